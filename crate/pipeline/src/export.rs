//! What a person takes home: the model, the report, the recipe.

use crate::options::{TuneOptions, Which};
use crate::session::Session;
use crate::tune::{MOMENTUM, WARMUP, WEIGHT_DECAY};
use lopper_core::report::Report;
use lopper_core::{Code, Error, Result};
use serde::Serialize;

/// What to do with a cut whose proof could not be run because the engine lacks an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproved {
    /// Refuse.
    Refuse,
    /// Hand it out; the report says that it was not proved.
    Allow,
}

/// The files of a result.
#[derive(Clone, Debug, PartialEq)]
pub struct Exported {
    /// The ONNX file.
    pub model: Vec<u8>,
    /// The report of the cut as JSON; empty if nothing was cut.
    pub report: String,
    /// Every setting and seed as JSON.
    pub recipe: String,
}

/// The report with the words of the proof.
#[derive(Serialize)]
struct ReportFile<'a> {
    #[serde(flatten)]
    report: Report,
    proof: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned: Option<TunedInfo<'a>>,
}

#[derive(Serialize)]
struct TunedInfo<'a> {
    #[serde(flatten)]
    options: &'a TuneOptions,
    steps_done: usize,
    finished: bool,
}

#[derive(Serialize)]
struct RecipeTune<'a> {
    #[serde(flatten)]
    options: &'a TuneOptions,
    optimizer: &'static str,
    momentum: f32,
    nesterov: bool,
    weight_decay: f32,
    schedule: &'static str,
    warmup: f64,
    augment: RecipeAugment,
}

#[derive(Serialize)]
struct RecipeAugment {
    shift: u32,
    flip: bool,
}

impl Session {
    /// The files of a result.
    ///
    /// # Errors
    /// When there is no such model, or its cut was not proved and [`Unproved::Refuse`] was said.
    pub fn export(&self, which: Which, unproved: Unproved) -> Result<Exported> {
        let opened = self.opened()?;
        let model = match (which, &opened.cut) {
            (Which::Original, _) => opened.bytes.to_vec(),
            (_, Some(cut)) => {
                if let (Some(why), Unproved::Refuse) = (&cut.not_proved, unproved) {
                    return Err(Error::new(
                        Code::Unsupported,
                        format!("the cut could not be proved, so it is not handed out: {why}"),
                    ));
                }
                if which == Which::Cut { cut.bytes.clone() } else { self.model(which)?.write()? }
            }
            _ => self.model(which)?.write()?,
        };
        Ok(Exported { model, report: self.report()?, recipe: self.recipe()? })
    }

    /// The report of the cut as JSON, with the accuracies measured so far; empty if nothing was cut.
    ///
    /// # Errors
    /// When no model is open.
    pub fn report(&self) -> Result<String> {
        let opened = self.opened()?;
        let Some(cut) = &opened.cut else { return Ok(String::new()) };
        let mut report = cut.report.clone();
        report.accuracy = opened.accuracy;
        report.recipe.data = self.history()?.data;
        let proof = match (&cut.not_proved, report.exact) {
            (Some(why), _) => format!("not run, because {why}"),
            (None, true) => "the cut model equals the masked original on random input".to_owned(),
            (None, false) => {
                "run, but a statistic over cut channels is computed anew, so the outputs may differ".to_owned()
            }
        };
        let tuned =
            opened.tuned.as_ref().map(|t| TunedInfo { options: &t.options, steps_done: t.steps, finished: t.finished });
        if let Some(t) = &opened.tuned {
            report.seconds.insert("tune".to_owned(), t.seconds);
        }
        json(&ReportFile { report, proof, tuned })
    }

    /// Every setting and seed as JSON.
    ///
    /// # Errors
    /// When no model is open.
    pub fn recipe(&self) -> Result<String> {
        let opened = self.opened()?;
        let mut recipe = self.history()?;
        if let Some(t) = &opened.tuned {
            let augment = self.images.as_ref().map(|i| i.augment(0, 0));
            let tune = RecipeTune {
                options: &t.options,
                optimizer: "sgd",
                momentum: MOMENTUM,
                nesterov: true,
                weight_decay: WEIGHT_DECAY,
                schedule: "cosine",
                warmup: 1.0 / WARMUP as f64,
                augment: RecipeAugment {
                    shift: augment.map_or(0, |a| a.padding),
                    flip: augment.is_some_and(|a| a.flip),
                },
            };
            recipe.tune = serde_json::to_value(tune).ok();
        }
        json(&recipe)
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Code::Invalid, format!("the result cannot be written as JSON ({e})")))
}
