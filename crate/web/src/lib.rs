//! The pipeline for a browser's worker: JSON and bytes in and out, and no logic.
//!
//! Everything that can fail throws a text, the JSON `{"code", "message"}`. A panic ends the instance for good; the page is
//! told through `died` and starts another one.
#![cfg(target_family = "wasm")]

mod page;
mod seeing;

use js_sys::{Float32Array, Function, Uint8Array};
use lopper_pipeline::{
    Bytes, Code, Control, Criterion, DeviceChoice, Error, HostTensor, PlanOptions, PruneTrainRecipe, Recipe, Result,
    ScoreOptions, Sensitivity, Session, Source, Unproved, Which,
};
use page::Page;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::cell::RefCell;
use std::sync::Arc;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

/// What goes back to the worker.
type Answer<T> = std::result::Result<T, JsValue>;

/// One model on its way from open to download.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Lopper {
    /// Absent while an asynchronous call has it.
    session: RefCell<Option<Session>>,
    control: Arc<Control>,
    page: Page,
    /// The last one that was measured: budgets are solved from it.
    sensitivity: RefCell<Option<Sensitivity>>,
}

/// What is scored on images, and on which.
#[derive(Deserialize)]
struct ScoreAsk {
    criterion: Criterion,
    images: ScoreOptions,
}

/// Recipes to compare, each with its name.
#[derive(Deserialize)]
struct SweepAsk {
    recipes: Vec<(String, Recipe)>,
    limit: Option<usize>,
}

/// A share of the MACs that is to stay, and what holds beside.
#[derive(Deserialize)]
struct BudgetAsk {
    plan: PlanOptions,
    macs: f64,
}

/// A method of pruning and training together, and what is to go.
#[derive(Deserialize)]
struct PruneTrainAsk {
    method: PruneTrainRecipe,
    cut: PlanOptions,
}

#[wasm_bindgen]
impl Lopper {
    /// An empty session on the CPU. `progress` gets JSON, `checkpoint` bytes, and `died` a sentence, once.
    #[wasm_bindgen(constructor)]
    pub fn new(progress: Function, checkpoint: Function, died: Function) -> Self {
        page::watch_panics(died);
        let session = Session::new();
        Self {
            control: session.control(),
            session: RefCell::new(Some(session)),
            page: Page::new(progress, checkpoint),
            sensitivity: RefCell::default(),
        }
    }

    /// Lopper's version.
    pub fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }

    /// `pause`, `resume` or `cancel` for the call that is running.
    pub fn control(&self, control: &str) -> Answer<()> {
        match control {
            "pause" => self.control.pause(),
            "resume" => self.control.resume(),
            "cancel" => self.control.cancel(),
            other => return Err(thrown(&usage(format!("there is no control {other:?}: use pause, resume or cancel")))),
        }
        Ok(())
    }

    /// Opens a model: a summary, its groups, its pins. `paths` and `lengths` are of files that may hold tensors of it; `read`
    /// takes the number of one of them, an offset and a length, and gives the bytes there. It is called whenever they are needed.
    pub fn open(
        &self,
        bytes: Vec<u8>,
        name: &str,
        paths: Vec<String>,
        lengths: Vec<f64>,
        read: Function,
    ) -> Answer<String> {
        let files = Arc::new(page::Files::new(paths, lengths, read));
        self.at_once(|session| text(session.open_with(bytes, name, files)?))
    }

    /// Opens the project's own model, whose bytes the page has, and draws its images.
    pub async fn sample(&self, model: Vec<u8>) -> Answer<String> {
        self.in_steps(async |session, page| text(&session.load_sample(model.into(), page).await?)).await
    }

    /// What a cut would bring.
    pub fn plan(&self, options: &str) -> Answer<String> {
        self.at_once(|session| text(&session.plan(&parsed(options)?)?))
    }

    /// Scores of all channels by which the plan of these options is made.
    pub fn scores(&self, options: &str) -> Answer<String> {
        self.at_once(|session| text(&session.channel_scores(&parsed(options)?)?))
    }

    /// Looks at images for a criterion, after which plans can be made by it. Why weights have no score.
    pub async fn score(&self, options: &str) -> Answer<String> {
        let ask = parsed::<ScoreAsk>(options);
        self.in_steps(async |session, page| {
            let ask = ask?;
            text(&session.score(&ask.criterion, None, &ask.images, page).await?.left_out)
        })
        .await
    }

    /// Nodes, values and groups, to be drawn.
    pub fn drawing(&self) -> Answer<String> {
        self.at_once(|session| text(&session.drawing()?))
    }

    /// What pins the channels of a group, initializer, node or value.
    pub fn why(&self, name: &str) -> Answer<String> {
        self.at_once(|session| text(&session.why(name)?))
    }

    /// How the channels of two of them hang together.
    pub fn why_together(&self, a: &str, b: &str) -> Answer<String> {
        self.at_once(|session| text(&session.why_together(a, b)?))
    }

    /// How accuracy or output bear cuts of single groups.
    pub async fn sensitivity(&self, options: &str) -> Answer<String> {
        let options = parsed(options);
        self.in_steps(async |session, page| {
            let seen = session.sensitivity(&options?, page).await?;
            let told = text(&seen);
            self.sensitivity.replace(Some(seen));
            told
        })
        .await
    }

    /// Ratios of groups for a budget, from the last measurement of sensitivity: options of a plan.
    pub fn balanced(&self, options: &str) -> Answer<String> {
        self.at_once(|session| {
            let ask: BudgetAsk = parsed(options)?;
            let seen = self.sensitivity.borrow();
            let seen = seen.as_ref().ok_or_else(|| usage("measure the sensitivity first".to_owned()))?;
            text(&session.balanced(seen, &ask.plan, ask.macs)?)
        })
    }

    /// Follows recipes one after the other and compares what they bring. Afterwards nothing is cut.
    pub async fn sweep(&self, options: &str) -> Answer<String> {
        let ask = parsed::<SweepAsk>(options);
        self.in_steps(async |session, page| {
            let ask = ask?;
            text(&session.sweep(&ask.recipes, ask.limit, page).await?)
        })
        .await
    }

    /// Times every layer at several widths: the table of a target in milliseconds. `locks` is a JSON list.
    pub async fn latencies(&self, locks: &str) -> Answer<String> {
        let locks = parsed::<Vec<String>>(locks);
        self.in_steps(async |session, page| text(&session.latencies(&locks?, page).await?)).await
    }

    /// Times the model whole, with a share of its weights set to zero, and cut.
    pub async fn zeros(&self, share: f64) -> Answer<String> {
        self.in_steps(async |session, page| text(&session.zeros(share, page).await?)).await
    }

    /// A recipe as JSON, from its JSON, a report or the compact form.
    pub fn read_recipe(&self, recipe: &str) -> Answer<String> {
        Recipe::read(recipe).and_then(|recipe| recipe.to_json()).map_err(|e| thrown(&e))
    }

    /// A recipe in the compact form.
    pub fn compact_recipe(&self, recipe: &str) -> Answer<String> {
        Recipe::read(recipe).and_then(|recipe| recipe.to_compact()).map_err(|e| thrown(&e))
    }

    /// Cuts the opened model and proves the cut.
    pub async fn cut(&self, options: &str) -> Answer<String> {
        let options = options.to_owned();
        self.in_steps(async |session, page| text(&session.cut(&parsed(&options)?, page).await?)).await
    }

    /// Opens a device: `auto`, `cpu` or `gpu`.
    pub async fn device(&self, choice: &str) -> Answer<String> {
        let choice = choice.parse::<DeviceChoice>();
        self.in_steps(async |session, _| text(&session.device(choice?).await?)).await
    }

    /// Reads a zip, an npz, or a folder of images.
    pub async fn data(
        &self,
        name: &str,
        paths: Vec<String>,
        contents: Vec<Uint8Array>,
        options: &str,
    ) -> Answer<String> {
        let (name, options) = (name.to_owned(), options.to_owned());
        let source = Source::from(files(paths, &contents));
        self.in_steps(async |session, page| text(&session.load_data(&name, source, &parsed(&options)?, page).await?))
            .await
    }

    /// Judges one of the three models by the test images: `{"which", "limit"}`.
    pub async fn evaluate(&self, options: &str) -> Answer<String> {
        let options = parsed::<serde_json::Value>(options);
        self.in_steps(async |session, page| {
            let options = options?;
            let limit = options.get("limit").and_then(serde_json::Value::as_u64).map(|limit| limit as usize);
            let which = options.get("which").cloned().unwrap_or_default();
            let which: Which = serde_json::from_value(which).map_err(|e| usage(e.to_string()))?;
            text(&session.evaluate(which, limit, page).await?)
        })
        .await
    }

    /// Fine-tunes what was cut.
    pub async fn tune(&self, options: &str) -> Answer<String> {
        let options = options.to_owned();
        self.in_steps(async |session, page| text(&session.tune(&parsed(&options)?, page).await?)).await
    }

    /// Prunes and trains what was opened: `{"method", "cut"}`, a preset with its changes and what is to go. What it ended with.
    pub async fn prune_train(&self, options: &str) -> Answer<String> {
        let ask = parsed::<PruneTrainAsk>(options);
        self.in_steps(async |session, page| {
            let ask = ask?;
            text(&session.prune_train(&ask.method.options(&ask.cut)?, page).await?)
        })
        .await
    }

    /// Goes on pruning and training from the restored checkpoint.
    pub async fn resume_prune_train(&self) -> Answer<String> {
        self.in_steps(async |session, page| text(&session.resume_prune_train(page).await?)).await
    }

    /// One of the three models as a file, if its cut was proved or could not be in a page. A large one has a second file, which it
    /// calls `beside`. `sink` takes whether a piece is of that file, and its bytes; pieces come in the order of the files' bytes.
    pub fn model(&self, which: &str, beside: &str, sink: &Function) -> Answer<()> {
        self.at_once(|session| {
            let files = session.export(named(which)?, Unproved::Refuse, beside)?;
            let pieces = files.model.iter().map(|piece| (false, piece));
            for (second, piece) in pieces.chain(files.beside.iter().map(|piece| (true, piece))) {
                let bytes = Uint8Array::from(piece.read()?.as_ref());
                sink.call2(&JsValue::NULL, &second.into(), &bytes)
                    .map_err(|_| usage("the page could not take the file".to_owned()))?;
            }
            Ok(())
        })
    }

    /// The report of the cut.
    pub fn report(&self, _which: &str) -> Answer<String> {
        self.at_once(|session| session.report())
    }

    /// Every setting and seed.
    pub fn recipe(&self, _which: &str) -> Answer<String> {
        self.at_once(|session| session.recipe())
    }

    /// Runs one of the three models on one input whose shape is a JSON list; its first output.
    pub async fn run(&self, which: &str, input: Vec<f32>, shape: &str) -> Answer<Float32Array> {
        let (which, shape) = (named(which), parsed::<Vec<usize>>(shape));
        self.in_steps(async |session, _| {
            let output = session.run(which?, HostTensor::f32(shape?, input)?).await?;
            let numbers = output
                .as_f32()
                .ok_or_else(|| Error::new(Code::Unsupported, "the model's first output holds no real numbers"))?;
            Ok(Float32Array::from(numbers))
        })
        .await
    }

    /// Takes a checkpoint of a fine-tune of the present cut, or of pruning and training together: what is in it.
    pub async fn restore(&self, bytes: Vec<u8>) -> Answer<String> {
        self.in_steps(async |session, page| text(&session.restore(&bytes, page).await?)).await
    }
}

impl Lopper {
    fn take(&self) -> Result<Session> {
        self.session.take().ok_or_else(|| usage("another call is still running".to_owned()))
    }

    fn at_once<T>(&self, work: impl FnOnce(&mut Session) -> Result<T>) -> Answer<T> {
        let mut session = self.take().map_err(|e| thrown(&e))?;
        let result = work(&mut session);
        self.session.replace(Some(session));
        result.map_err(|e| thrown(&e))
    }

    async fn in_steps<T>(&self, work: impl AsyncFnOnce(&mut Session, &Page) -> Result<T>) -> Answer<T> {
        let mut session = self.take().map_err(|e| thrown(&e))?;
        let result = work(&mut session, &self.page).await;
        self.session.replace(Some(session));
        result.map_err(|e| thrown(&e))
    }
}

fn files(paths: Vec<String>, contents: &[Uint8Array]) -> Vec<(String, Bytes)> {
    paths.into_iter().zip(contents.iter().map(|bytes| bytes.to_vec().into())).collect()
}

fn usage(message: String) -> Error {
    Error::new(Code::Usage, message)
}

fn named(which: &str) -> Result<Which> {
    serde_json::from_value(which.into()).map_err(|e| usage(e.to_string()))
}

fn parsed<T: DeserializeOwned>(options: &str) -> Result<T> {
    serde_json::from_str(options).map_err(|e| usage(format!("these options cannot be understood: {e}")))
}

fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| usage(format!("the answer cannot be written as JSON: {e}")))
}

fn thrown(error: &Error) -> JsValue {
    json!({ "code": error.code().as_str(), "message": error.message() }).to_string().into()
}
