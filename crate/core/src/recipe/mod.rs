//! Every setting and seed of a run, as JSON: the same recipe on the same file gives the same bytes.

mod compact;

use crate::error::{Code, Error, Result};
use crate::mask::MaskStep;
use crate::plan::{PlanOptions, Target};
use crate::report::ModelInfo;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version of recipes that this program writes and reads.
pub const VERSION: u32 = 1;

/// What to do with a model, in this order: mask, cut, fine-tune; or prune and train it together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// [`VERSION`].
    pub version: u32,
    /// Note: the version of the program that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lopper: Option<String>,
    /// Note: the model that it was written for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelInfo>,
    /// Note: the device that was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// Masks, one after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<MaskStep>,
    /// Masked weights are written as lists of what is not zero, if nothing is cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// The cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<PlanOptions>,
    /// Which images the cut's criterion looks at, if it looks at any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<ScoreOptions>,
    /// How images become the model's input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataRecipe>,
    /// How to fine-tune, in the words of whoever trains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<Value>,
    /// How to prune and train together, in the words of whoever trains. The cut then says only what is to go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_train: Option<Value>,
}

/// How images become a network's input, and which are for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// `imagenet`, `cifar10`, `none`, or numbers as `mean,mean,mean/deviation,deviation,deviation`.
    pub normalize: String,
    /// Seed of the split.
    #[serde(default)]
    pub seed: u64,
    /// Share of the images for validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation: Option<f64>,
    /// Share of the images for the test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<f64>,
    /// Note: the file's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Note: how many images it held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Note: how many of them were for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Value>,
}

/// The images that criteria look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreOptions {
    /// Images a batch.
    pub batch: usize,
    /// Only so many images, spread evenly over all that are for training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

impl Default for ScoreOptions {
    fn default() -> Self {
        Self { batch: 64, limit: None }
    }
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: VERSION,
            lopper: None,
            model: None,
            device: None,
            mask: Vec::new(),
            sparse: false,
            cut: None,
            score: None,
            data: None,
            tune: None,
            prune_train: None,
        }
    }
}

impl Recipe {
    /// A recipe that only cuts.
    pub fn of_cut(options: PlanOptions) -> Self {
        Self { cut: Some(options), ..Self::default() }
    }

    /// Reads a recipe: its JSON, a report, which holds one, or the compact form.
    ///
    /// # Errors
    /// When it is none, of another version, or holds a field that this version does not know.
    pub fn read(text: &str) -> Result<Self> {
        let text = text.trim();
        if !text.starts_with('{') {
            return Self::from_compact(text);
        }
        let bad = |e: serde_json::Error| Error::new(Code::Usage, format!("this is no recipe ({e})"));
        let mut value: Value = serde_json::from_str(text).map_err(bad)?;
        if let Some(inner) = value.get_mut("recipe").filter(|r| r.is_object()) {
            value = inner.take();
        }
        Self::from_value(value)
    }

    fn from_value(value: Value) -> Result<Self> {
        match value.get("version").and_then(Value::as_u64) {
            Some(v) if v == u64::from(VERSION) => {}
            Some(v) => {
                let what = format!(
                    "the recipe is of version {v}, and this program knows version {VERSION}: use the program that wrote it"
                );
                return Err(Error::new(Code::Usage, what));
            }
            None => {
                let what = format!("this is no recipe: it has no field \"version\", which must be {VERSION}");
                return Err(Error::new(Code::Usage, what));
            }
        }
        let recipe: Self = serde_json::from_value(value).map_err(|e| {
            Error::new(
                Code::Usage,
                format!("the recipe cannot be followed as it is written ({e}): mend or remove that field"),
            )
        })?;
        recipe.check()?;
        Ok(recipe)
    }

    /// # Errors
    /// When a number is out of range, or there is nothing to do.
    pub fn check(&self) -> Result<()> {
        let nothing = self.cut.is_none() && self.tune.is_none() && self.prune_train.is_none();
        if self.mask.is_empty() && nothing {
            let what = "the recipe says nothing of what to do: give mask, cut, tune or prune_train";
            return Err(Error::new(Code::Usage, what));
        }
        self.cut.as_ref().map_or(Ok(()), PlanOptions::check)
    }

    /// The recipe as JSON for people.
    ///
    /// # Errors
    /// Never for recipes that were read.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|e| Error::new(Code::Invalid, format!("the recipe cannot be written as JSON ({e})")))
    }

    /// What the compact form leaves out.
    fn defaults() -> Value {
        let of = |v: serde_json::Result<Value>| v.unwrap_or(Value::Null);
        let mut cut = of(serde_json::to_value(PlanOptions::new(Target::Ratio(0.5))));
        if let Some(fields) = cut.as_object_mut() {
            fields.remove("target");
        }
        serde_json::json!({ "version": VERSION, "cut": cut, "data": { "seed": 0 } })
    }
}
