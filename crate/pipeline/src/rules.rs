//! By which rules training moves parameters: what a recipe says of them, and what the engine makes of it.

use lopper_core::{Code, Error, Result};
use lopper_engine::train::{Loss, Optimizer, Schedule, Settings};
use serde::{Deserialize, Serialize};

/// The rules of a fine-tune. What is left out is as in [`Rules::filled`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The optimiser.
    #[serde(skip_serializing_if = "usual")]
    pub optimizer: OptimizerKind,
    /// How much of the last direction stays; of AdamW: of the first moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Whether SGD looks ahead along its momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// Pull of weights towards zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// What decays.
    #[serde(skip_serializing_if = "usual")]
    pub decay: Decay,
    /// The most that the norm of all gradients together may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// How the learning rate goes.
    #[serde(skip_serializing_if = "usual")]
    pub schedule: ScheduleKind,
    /// Share of the steps on which the learning rate rises.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmup: Option<f64>,
    /// How far labels are moved towards all classes alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// What happens to training images; flip (of colour images) and crop where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub augmentation: Option<Vec<Augmentation>>,
    /// Statistics of BatchNormalization.
    #[serde(skip_serializing_if = "usual")]
    pub batch_norm: BatchNorm,
    /// Patterns of names of parameters that stay as they are; `prefix` stands for all before the first node that the cut changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub freeze: Vec<String>,
    /// Whether convolutions with a bias and no normalisation learn a scale a channel besides, which is multiplied in at the end.
    #[serde(skip_serializing_if = "usual")]
    pub affine: bool,
    /// Batches that make one step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accumulate: Option<usize>,
    /// What is made small.
    #[serde(skip_serializing_if = "usual")]
    pub loss: LossKind,
    /// How much both sides are flattened in distillation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// How much the uncut model counts beside the labels in distillation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_share: Option<f64>,
    /// How much differences inside count beside those of the answers, where the uncut model's are learnt: at ends of blocks, relative to
    /// what stands there (Romero et al., FitNets, ICLR 2015).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<f64>,
}

fn usual<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The optimiser.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Stochastic gradient descent with momentum.
    #[default]
    Sgd,
    /// Adam with decay beside the gradient.
    AdamW,
}

/// What decays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Every parameter.
    #[default]
    All,
    /// Neither biases nor what scales single channels.
    Weights,
}

/// How the learning rate goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleKind {
    /// Always the same.
    Constant,
    /// A tenth after each third of the steps.
    Step,
    /// Down along half a cosine.
    #[default]
    Cosine,
    /// Up along half a cosine and further down along another.
    OneCycle,
    /// Up and down in lines, from a tenth to a tenth.
    Triangular,
}

/// What happens to training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Augmentation {
    /// Half of the images are mirrored left to right.
    Flip,
    /// Images are shifted by up to an eighth of their size.
    Crop,
    /// A square of half the image's size is set to zero.
    Cutout,
    /// Images and their labels are mixed in pairs.
    Mixup,
}

/// Statistics of BatchNormalization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BatchNorm {
    /// Of each batch; the running ones follow.
    #[default]
    Train,
    /// The running ones, which stay.
    Frozen,
}

/// What is made small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossKind {
    /// By what the data hold: regression of numbers, segmentation of places with classes, and with one class an image distillation
    /// where the uncut model is known and has learnt what the labels say, cross-entropy where not.
    #[default]
    Auto,
    /// Cross-entropy with the labels.
    #[serde(alias = "classification")]
    CrossEntropy,
    /// Cross-entropy with the class of each place.
    Segmentation,
    /// Mean squared difference of the first output from the data's numbers.
    Regression,
    /// Mean absolute difference of the first output from the data's numbers.
    L1,
    /// The uncut model's answers, and the labels where there are any.
    Distill,
    /// Mean squared difference of all outputs from the uncut model's.
    Mse,
}

/// Of every preset, too.
pub(crate) const MOMENTUM: f64 = 0.9;
/// Of PyTorch's reference recovery, and of PyTorch's AdamW.
const WEIGHT_DECAY: (f64, f64) = (5e-4, 0.01);
const WARMUP: f64 = 0.1;
const ONE_CYCLE_RISE: f64 = 0.3;
const TRIANGLE_PEAK: f64 = 0.5;
const TEMPERATURE: f64 = 4.0;
const TEACHER_SHARE: f64 = 0.9;
const FEATURES: f64 = 50.0;

impl Rules {
    /// With every number written out, as a recipe should have it.
    #[must_use]
    pub fn filled(&self) -> Self {
        let own = self.clone();
        let sgd = own.optimizer == OptimizerKind::Sgd;
        let distils = matches!(own.loss, LossKind::Auto | LossKind::Distill);
        Self {
            momentum: own.momentum.or(Some(MOMENTUM)),
            nesterov: own.nesterov.or(sgd.then_some(true)),
            weight_decay: own.weight_decay.or(Some(if sgd { WEIGHT_DECAY.0 } else { WEIGHT_DECAY.1 })),
            warmup: own.warmup.or(match own.schedule {
                ScheduleKind::Cosine | ScheduleKind::Step => Some(WARMUP),
                ScheduleKind::OneCycle => Some(ONE_CYCLE_RISE),
                ScheduleKind::Triangular => Some(TRIANGLE_PEAK),
                ScheduleKind::Constant => None,
            }),
            temperature: own.temperature.or(distils.then_some(TEMPERATURE)),
            teacher_share: own.teacher_share.or(distils.then_some(TEACHER_SHARE)),
            features: own.features.or(distils.then_some(FEATURES)),
            ..own
        }
    }

    /// # Errors
    /// When a number makes no sense.
    pub fn check(&self) -> Result<()> {
        let share = |v: f64| (0.0..=1.0).contains(&v);
        let below_one = |v: Option<f64>| v.is_none_or(|v| (0.0..1.0).contains(&v));
        let positive = |v: Option<f64>| v.is_none_or(|v| v > 0.0 && v.is_finite());
        let checks = [
            (below_one(self.momentum), "a momentum is from 0 to less than 1"),
            (self.weight_decay.is_none_or(|v| v >= 0.0 && v.is_finite()), "a weight decay is 0 or more"),
            (positive(self.clip), "gradients are clipped to a norm above 0"),
            (self.warmup.is_none_or(share), "a warm-up is a share of the steps, from 0 to 1"),
            (below_one(self.label_smoothing), "labels are smoothed by 0 to less than 1"),
            (self.accumulate != Some(0), "1 batch or more makes a step"),
            (positive(self.temperature), "a temperature is above 0"),
            (self.teacher_share.is_none_or(share), "a teacher's share is from 0 to 1"),
            (self.features.is_none_or(|v| v >= 0.0 && v.is_finite()), "features count 0 or more"),
        ];
        match checks.iter().find(|c| !c.0) {
            Some((_, what)) => Err(Error::new(Code::Usage, format!("{what}: give such a number"))),
            None => Ok(()),
        }
    }

    /// How much features count in a run that learns this.
    pub(crate) fn feature_weight(&self, loss: LossKind) -> f64 {
        match (self.loss, loss) {
            (_, LossKind::Distill) => self.features.unwrap_or(FEATURES),
            (LossKind::Mse, LossKind::Mse) => self.features.unwrap_or(0.0),
            _ => 0.0,
        }
    }

    /// Batches that make one step.
    pub(crate) fn batches(&self) -> usize {
        self.accumulate.unwrap_or(1)
    }

    /// Whether something is done to images, where nothing else is said.
    pub(crate) fn augments(&self, how: Augmentation) -> bool {
        let usual = matches!(how, Augmentation::Flip | Augmentation::Crop);
        self.augmentation.as_ref().map_or(usual, |all| all.contains(&how))
    }

    /// The engine's settings for a run of so many steps.
    pub(crate) fn settings(&self, loss: LossKind, rate: f64, seed: u64, total: usize) -> Settings {
        let own = self.filled();
        let (momentum, weight_decay) = (own.momentum.unwrap_or(0.0) as f32, own.weight_decay.unwrap_or(0.0) as f32);
        let warmup = (own.warmup.unwrap_or(0.0) * total as f64) as usize;
        let smoothing = own.label_smoothing.unwrap_or(0.0) as f32;
        Settings {
            optimizer: match own.optimizer {
                OptimizerKind::Sgd => {
                    Optimizer::Sgd { momentum, nesterov: own.nesterov.unwrap_or(false) && momentum > 0.0, weight_decay }
                }
                OptimizerKind::AdamW => Optimizer::AdamW { betas: (momentum, 0.999), epsilon: 1e-8, weight_decay },
            },
            rate,
            schedule: match own.schedule {
                ScheduleKind::Constant => Schedule::Step { warmup, every: usize::MAX, factor: 1.0 },
                ScheduleKind::Step => Schedule::Step { warmup, every: (total - warmup).div_ceil(3), factor: 0.1 },
                ScheduleKind::Cosine => Schedule::Cosine { warmup, total },
                ScheduleKind::OneCycle => Schedule::OneCycle { rise: warmup, total },
                ScheduleKind::Triangular => Schedule::Triangular { peak: warmup, total },
            },
            seed,
            loss: match loss {
                LossKind::Auto | LossKind::CrossEntropy | LossKind::Segmentation => Loss::CrossEntropy { smoothing },
                LossKind::Distill => Loss::Distill {
                    temperature: own.temperature.unwrap_or(TEMPERATURE) as f32,
                    share: own.teacher_share.unwrap_or(TEACHER_SHARE) as f32,
                    smoothing,
                },
                LossKind::Mse | LossKind::Regression => Loss::Squared,
                LossKind::L1 => Loss::Absolute,
            },
            decay_all: own.decay == Decay::All,
            clip: own.clip.map(|c| c as f32),
            frozen_statistics: own.batch_norm == BatchNorm::Frozen,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<crate::TuneOptions> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_recipe_of_before_says_the_same_as_nothing() {
        // What earlier versions noted of the rules that they always followed.
        let old = r#"{"epochs": 3, "learning_rate": 0.02, "batch": 32, "optimizer": "sgd", "momentum": 0.9, "nesterov": true,
            "weight_decay": 0.0005, "schedule": "cosine", "warmup": 0.1, "augment": {"shift": 4, "flip": true}}"#;
        let settings = |r: &Rules| r.settings(LossKind::CrossEntropy, 0.02, 0, 100);
        let old = read(old).unwrap();
        assert_eq!(settings(&old.rules), settings(&Rules::default()));
        assert_eq!(settings(&Rules::default().filled()), settings(&Rules::default()));
        assert_eq!(serde_json::to_value(Rules::default()).unwrap(), serde_json::json!({}), "defaults are not written");
    }

    #[test]
    fn words_become_settings() {
        let text = r#"{"epochs": 1, "learning_rate": 0.1, "batch": 8, "recover": ["lstsq"], "optimizer": "adamw",
            "decay": "weights", "clip": 1.5, "schedule": "onecycle", "batch_norm": "frozen", "loss": "cross-entropy",
            "label_smoothing": 0.1, "augmentation": ["cutout", "mixup"]}"#;
        let options = read(text).unwrap();
        options.check().unwrap();
        let settings = options.rules.settings(options.rules.loss, 0.1, 7, 50);
        let optimizer = Optimizer::AdamW { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01 };
        let want = Settings {
            optimizer,
            rate: 0.1,
            schedule: Schedule::OneCycle { rise: 15, total: 50 },
            seed: 7,
            loss: Loss::CrossEntropy { smoothing: 0.1 },
            decay_all: false,
            clip: Some(1.5),
            frozen_statistics: true,
        };
        assert_eq!(settings, want);
        assert!(options.rules.augments(Augmentation::Cutout) && !options.rules.augments(Augmentation::Flip));
        assert_eq!(read(&serde_json::to_string(&options).unwrap()).unwrap(), options);
    }

    #[test]
    fn every_schedule_is_what_its_word_says() {
        let of = |schedule, warmup| {
            let rules = Rules { schedule, warmup, ..Rules::default() };
            rules.settings(LossKind::CrossEntropy, 0.1, 0, 90).schedule
        };
        assert_eq!(of(ScheduleKind::Constant, None), Schedule::Step { warmup: 0, every: usize::MAX, factor: 1.0 });
        assert_eq!(of(ScheduleKind::Constant, Some(0.5)).factor(8), 0.2, "warm-up of 45 steps");
        assert_eq!(of(ScheduleKind::Step, None), Schedule::Step { warmup: 9, every: 27, factor: 0.1 });
        assert_eq!(of(ScheduleKind::Cosine, None), Schedule::Cosine { warmup: 9, total: 90 });
        assert_eq!(of(ScheduleKind::OneCycle, None), Schedule::OneCycle { rise: 27, total: 90 });
        assert_eq!(of(ScheduleKind::Triangular, Some(0.2)), Schedule::Triangular { peak: 18, total: 90 });
    }

    #[test]
    fn features_count_where_answers_are_learnt() {
        let of = |loss, features, kind| Rules { loss, features, ..Rules::default() }.feature_weight(kind);
        assert_eq!(of(LossKind::Auto, None, LossKind::Distill), 50.0);
        assert_eq!(of(LossKind::Auto, Some(3.0), LossKind::Distill), 3.0);
        assert_eq!(of(LossKind::Auto, Some(3.0), LossKind::CrossEntropy), 0.0);
        assert_eq!([None, Some(3.0)].map(|f| of(LossKind::Mse, f, LossKind::Mse)), [0.0, 3.0]);
        assert_eq!(Rules::default().filled().features, Some(50.0));
        assert_eq!(Rules { loss: LossKind::CrossEntropy, ..Rules::default() }.filled().features, None);
    }

    #[test]
    fn numbers_that_make_no_sense_are_refused() {
        let bad = [
            Rules { momentum: Some(1.0), ..Rules::default() },
            Rules { weight_decay: Some(-1.0), ..Rules::default() },
            Rules { clip: Some(0.0), ..Rules::default() },
            Rules { warmup: Some(1.5), ..Rules::default() },
            Rules { label_smoothing: Some(f64::NAN), ..Rules::default() },
            Rules { accumulate: Some(0), ..Rules::default() },
            Rules { temperature: Some(0.0), ..Rules::default() },
            Rules { teacher_share: Some(2.0), ..Rules::default() },
            Rules { features: Some(-1.0), ..Rules::default() },
            Rules { features: Some(f64::INFINITY), ..Rules::default() },
        ];
        bad.iter().for_each(|rules| assert_eq!(rules.check().unwrap_err().code(), Code::Usage, "{rules:?}"));
        Rules::default().filled().check().unwrap();
    }
}
