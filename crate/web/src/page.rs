//! The worker around the session: its clock, its event loop, its callbacks.

use js_sys::{Function, Promise, Uint8Array};
use lopper_pipeline::{Bytes, Code, Error, ExternalData, Host, Progress, Result, chosen};
use std::cell::RefCell;
use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = performance)]
    fn now() -> f64;

    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(handler: &Function, milliseconds: i32) -> f64;

    #[derive(Debug)]
    type MessageChannel;

    #[wasm_bindgen(constructor)]
    fn new() -> MessageChannel;

    #[wasm_bindgen(method, getter)]
    fn port1(this: &MessageChannel) -> MessagePort;

    #[wasm_bindgen(method, getter)]
    fn port2(this: &MessageChannel) -> MessagePort;

    #[derive(Debug)]
    type MessagePort;

    #[wasm_bindgen(method, setter)]
    fn set_onmessage(this: &MessagePort, handler: &Function);

    #[wasm_bindgen(method, js_name = postMessage)]
    fn post_message(this: &MessagePort, message: &JsValue);
}

/// What an idle session waits between two looks.
const IDLE_MILLISECONDS: i32 = 50;

/// The worker as a session's host.
#[derive(Debug)]
pub(crate) struct Page {
    progress: Function,
    checkpoint: Function,
    listening: MessagePort,
    sending: MessagePort,
}

impl Page {
    pub(crate) fn new(progress: Function, checkpoint: Function) -> Self {
        let channel = MessageChannel::new();
        Self { progress, checkpoint, listening: channel.port1(), sending: channel.port2() }
    }
}

impl Host for Page {
    fn seconds(&self) -> f64 {
        now() / 1000.0
    }

    fn progress(&self, progress: &Progress) {
        if let Ok(json) = serde_json::to_string(progress) {
            // A callback that throws has nobody to tell: the worker's own handlers see it.
            let _ = self.progress.call1(&JsValue::NULL, &json.into());
        }
    }

    fn checkpoint(&self, bytes: Vec<u8>) {
        let _ = self.checkpoint.call1(&JsValue::NULL, &Uint8Array::from(bytes.as_slice()).into());
    }

    async fn breathe(&self, idle: bool) {
        // A message to oneself comes after the ones that wait already; a timer of 0 would take 4 milliseconds.
        let turn = Promise::new(&mut |resolve, _| {
            if idle {
                set_timeout(&resolve, IDLE_MILLISECONDS);
            } else {
                self.listening.set_onmessage(&resolve);
                self.sending.post_message(&JsValue::NULL);
            }
        });
        let _ = JsFuture::from(turn).await;
    }
}

thread_local! {
    static DIED: RefCell<Option<Function>> = const { RefCell::new(None) };
    /// Reads a part of one of the page's files. Values of JavaScript stay with their worker, so [`Files`] cannot hold it.
    static READ: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// Files that the page holds: their bytes come in when they are needed.
pub(crate) struct Files {
    paths: Vec<String>,
    lengths: Vec<f64>,
}

impl Files {
    pub(crate) fn new(paths: Vec<String>, lengths: Vec<f64>, read: Function) -> Self {
        READ.with(|place| place.replace(Some(read)));
        Self { paths, lengths }
    }

    fn find(&self, location: &str) -> Result<usize> {
        chosen(self.paths.iter().map(String::as_str), location)
    }
}

impl ExternalData for Files {
    fn length(&self, location: &str) -> Result<u64> {
        Ok(self.lengths.get(self.find(location)?).map_or(0, |length| *length as u64))
    }

    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let at = JsValue::from(self.find(location)? as f64);
        let part = READ.with(|place| {
            let read = place.borrow();
            let answer = read.as_ref()?.call3(&JsValue::NULL, &at, &(offset as f64).into(), &(length as f64).into());
            answer.ok()?.dyn_into::<Uint8Array>().ok()
        });
        part.map(|part| part.to_vec().into()).ok_or_else(|| {
            let what = format!("{location:?} can no longer be read: open the model anew");
            Error::new(Code::ExternalMissing, what)
        })
    }
}

/// Tells `died` about a panic, after which the instance cannot be used any more.
pub(crate) fn watch_panics(died: Function) {
    DIED.with(|place| place.replace(Some(died)));
    std::panic::set_hook(Box::new(|panic| {
        console_error_panic_hook::hook(panic);
        let message = panic.to_string();
        DIED.with(|place| {
            if let Some(died) = place.borrow().as_ref() {
                let _ = died.call1(&JsValue::NULL, &message.into());
            }
        });
    }));
}
