//! What a person takes home: the model, the report, the recipe.

use crate::cutting::pieces;
use crate::methods::PruneTrainOptions;
use crate::options::{TuneOptions, Which};
use crate::session::Session;
use lopper_core::onnx::Data;
use lopper_core::recipe::Recipe;
use lopper_core::report::Report;
use lopper_core::{Code, Error, Result};
use serde::Serialize;
use std::collections::BTreeSet;

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
    /// The ONNX file, piece by piece: a piece is read or made when it is asked for.
    pub model: Vec<Data>,
    /// The file of tensors beside it; empty if the model holds them itself.
    pub beside: Vec<Data>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    prune_train: Option<&'a PruneTrainOptions>,
}

#[derive(Serialize)]
struct TunedInfo<'a> {
    #[serde(flatten)]
    options: &'a TuneOptions,
    steps_done: usize,
    finished: bool,
}

impl Exported {
    /// The ONNX file as one buffer.
    ///
    /// # Errors
    /// When a piece cannot be read.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(self.model.iter().map(Data::len).sum());
        for piece in &self.model {
            out.extend_from_slice(&piece.read()?);
        }
        Ok(out)
    }
}

impl Session {
    /// The files of a result. A model whose tensors are too many for one file has `beside` as the name of the other.
    ///
    /// # Errors
    /// When there is no such model, or its cut was not proved although it could be here and [`Unproved::Refuse`] was said.
    pub fn export(&self, which: Which, unproved: Unproved, beside: &str) -> Result<Exported> {
        let opened = self.opened()?;
        let refused = opened.cut.as_ref().and_then(|cut| cut.not_proved.as_ref()).filter(|n| !n.elsewhere);
        if let (Some(n), true) = (refused, which != Which::Original && unproved == Unproved::Refuse) {
            let what = format!("the cut could not be proved, so it is not handed out: {}", n.why);
            return Err(Error::new(Code::Unsupported, what));
        }
        let (model, beside) = match which {
            Which::Original => (vec![opened.bytes.clone().into()], Vec::new()),
            _ => pieces(self.model(which)?, beside)?,
        };
        Ok(Exported { model, beside, report: self.report()?, recipe: self.recipe()? })
    }

    /// The files beside the opened model that hold tensors of it, relative to the model.
    ///
    /// # Errors
    /// When no model is open.
    pub fn locations(&self) -> Result<BTreeSet<String>> {
        Ok(self.opened()?.model.locations())
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
        report.recipe = self.whole_recipe()?;
        let proof = match (&cut.not_proved, report.exact) {
            (Some(n), _) => format!("not run, because {}", n.why),
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
        let prune_train = opened.trained.as_ref().map(|t| &t.options);
        json(&ReportFile { report, proof, tuned, prune_train })
    }

    /// Every setting and seed as JSON.
    ///
    /// # Errors
    /// When no model is open.
    pub fn recipe(&self) -> Result<String> {
        json(&self.whole_recipe()?)
    }

    fn whole_recipe(&self) -> Result<Recipe> {
        let opened = self.opened()?;
        let mut recipe = self.history()?;
        if let Some(t) = &opened.trained {
            // Its last cut is the method's work, not a setting.
            (recipe.cut, recipe.score) = (None, None);
            recipe.prune_train = serde_json::to_value(&t.options).ok();
        }
        if let Some(t) = &opened.tuned {
            let tune = TuneOptions { rules: t.options.rules.filled(), ..t.options.clone() };
            recipe.tune = serde_json::to_value(tune).ok();
        }
        Ok(recipe)
    }
}

fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Code::Invalid, format!("the result cannot be written as JSON ({e})")))
}
