//! The worker around the session: its clock, its event loop, its callbacks.

use js_sys::{Function, Promise, Uint8Array};
use lopper_pipeline::{Host, Progress};
use std::cell::RefCell;
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
