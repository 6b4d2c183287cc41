//! What a caller chooses beside the plan.

use crate::rules::Rules;
use lopper_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// The three models of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Which {
    /// As opened.
    Original,
    /// After the cut.
    Cut,
    /// After fine-tuning.
    Tuned,
}

impl Which {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Which::Original => "original",
            Which::Cut => "cut",
            Which::Tuned => "tuned",
        }
    }
}

/// How images become a network's input, and which are for what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataOptions {
    /// `imagenet`, `cifar10`, `none`, or numbers as `mean,mean,mean/deviation,deviation,deviation`.
    pub normalize: String,
    /// Seed of the split.
    #[serde(default)]
    pub seed: u64,
    /// Share of the images for validation, by default 0.1.
    #[serde(default)]
    pub validation: Option<f64>,
    /// Share of the images for the test, by default 0.2.
    #[serde(default)]
    pub test: Option<f64>,
}

/// How to fine-tune.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TuneOptions {
    /// Passes over the training images.
    pub epochs: usize,
    /// Steps in all, instead of whole epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Images a step.
    pub batch: usize,
    /// For the order of the images, their augmentation and dropout.
    #[serde(default)]
    pub seed: u64,
    /// Go on from the restored checkpoint instead of from the beginning.
    #[serde(default)]
    pub resume: bool,
    /// What is done before the first step.
    #[serde(flatten)]
    pub recovery: Recovery,
    /// By which rules parameters move.
    #[serde(flatten)]
    pub rules: Rules,
}

/// What is done before the first step, without gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The stages.
    #[serde(default, rename = "recover", skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<Stage>,
    /// Images that the stages of comparison look at, at most.
    #[serde(default = "recover_images", rename = "recover_images")]
    pub images: usize,
}

fn recover_images() -> usize {
    Recovery::IMAGES
}

impl Recovery {
    /// Images where nothing else is said.
    pub const IMAGES: usize = 1024;
}

impl Default for Recovery {
    fn default() -> Self {
        Self { stages: Vec::new(), images: Self::IMAGES }
    }
}

/// A stage of recovery without gradients. Whatever is asked for is done in the order of this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// What removed channels gave on average goes into biases.
    Bias,
    /// Every layer is fitted anew to what the original made.
    Lstsq,
    /// Statistics of BatchNormalization are taken anew.
    BatchNorm,
}

impl Default for TuneOptions {
    /// Three epochs.
    fn default() -> Self {
        Self {
            epochs: 3,
            steps: None,
            learning_rate: 0.02,
            batch: 32,
            seed: 0,
            resume: false,
            recovery: Recovery::default(),
            rules: Rules::default(),
        }
    }
}

impl TuneOptions {
    /// # Errors
    /// When a number makes no sense.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::new(Code::Usage, what));
        if self.batch == 0 {
            return bad("a batch of 0 images cannot be trained on: give 1 or more".to_owned());
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return bad(format!(
                "a learning rate of {} makes no sense: give a number above 0, such as 0.02",
                self.learning_rate
            ));
        }
        if self.steps.unwrap_or(self.epochs) == 0 && self.recovery.stages.is_empty() {
            return bad("there is nothing to do in 0 epochs: give 1 or more, or a stage of recovery".to_owned());
        }
        self.rules.check()
    }
}
