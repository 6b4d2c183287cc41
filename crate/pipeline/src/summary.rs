//! What a session tells its caller, in the shapes that the page reads as JSON.

use crate::options::Stage;
use crate::rules::LossKind;
use lopper_core::plan::Achieved;
use lopper_core::report::{Change, PinInfo};
use serde::{Deserialize, Serialize, Serializer};

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Element type as numpy writes it.
    pub dtype: String,
    /// Lengths of its axes: numbers, or names where the model leaves them open.
    pub shape: Vec<serde_json::Value>,
}

/// A node that the engine cannot run, or that the dependency rules do not know.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsupported {
    /// Its name.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// What does not work.
    pub why: String,
}

/// A model at a glance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelSummary {
    /// File name.
    pub name: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// Version of the standard operator set.
    pub opset: i64,
    /// Number of nodes.
    pub nodes: usize,
    /// Float elements of all parameters.
    pub parameters: u64,
    /// Multiply-accumulates of one sample.
    pub macs: u64,
    /// Bytes of all that nodes make of one sample.
    pub activation_bytes: u64,
    /// What it reads.
    pub inputs: Vec<Port>,
    /// What it gives.
    pub outputs: Vec<Port>,
    /// What cannot be run or has no rule.
    pub unsupported: Vec<Unsupported>,
}

/// Channels that stand in the same places, and so go together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupSummary {
    /// After its first producer.
    pub name: String,
    /// Number of channels.
    pub channels: usize,
    /// Initializers that make the channels.
    pub producers: Vec<String>,
    /// Initializers that sum over them.
    pub consumers: Vec<String>,
    /// Initializers with one number a channel.
    pub companions: Vec<String>,
    /// Parameters that hang on the group's channels.
    pub parameters: u64,
    /// Multiply-accumulates that hang on them.
    pub macs: u64,
    /// Whether a share of the channels can go.
    pub prunable: bool,
    /// Nodes whose statistic runs over the channels: no cut is exact there.
    pub renormalised: Vec<String>,
    /// Blocks that each lose as many channels.
    pub blocks: usize,
}

/// An opened model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OpenedModel {
    /// At a glance.
    pub summary: ModelSummary,
    /// What belongs together.
    pub groups: Vec<GroupSummary>,
    /// What stays and why.
    pub pinned: Vec<PinInfo>,
}

/// What is left of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupChange {
    /// Its name.
    pub name: String,
    /// Channels before.
    pub channels: usize,
    /// Channels after.
    pub kept: usize,
}

/// What a cut would bring.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Float elements of parameters.
    pub parameters: Change,
    /// Multiply-accumulates of one sample.
    pub macs: Change,
    /// Bytes of the file.
    pub bytes: Change,
    /// Every group.
    pub groups: Vec<GroupChange>,
}

/// What a cut brought, with its proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CutSummary {
    /// Sizes.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// Whether the cut model must equal the masked original.
    pub exact: bool,
    /// Nodes whose statistics ran over channels that went.
    pub renormalised: Vec<String>,
    /// Largest difference divided by the largest output; none if the proof could not be run.
    #[serde(serialize_with = "finite")]
    pub max_error: Option<f64>,
    /// What `max_error` may be at most.
    pub tolerance: f64,
    /// Device of the proof.
    pub device: String,
    /// Why the proof could not be run, if so.
    pub not_proved: Option<String>,
    /// Whether the proof needs only more memory than there is here: then the model is handed out, and the proof is run elsewhere.
    pub elsewhere: bool,
    /// How near the plan came to its target.
    pub achieved: Option<Achieved>,
}

/// JSON has no infinity; a difference beyond all bounds is the largest number.
fn finite<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    value.map(|v| if v.is_finite() { v } else { f64::MAX }).serialize(serializer)
}

/// The device in use.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeviceInfo {
    /// `cpu` or `gpu`.
    pub kind: &'static str,
    /// What it calls itself.
    pub name: String,
    /// Why this one, as a clause.
    pub why: String,
}

/// A small picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Thumbnail {
    /// Its place among the images.
    pub image: u32,
    /// Its class.
    pub label: String,
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Base64 of red, green, blue and opacity of every pixel.
    pub rgba: String,
}

/// Sizes of the parts of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SplitSummary {
    /// Images to learn from.
    pub train: usize,
    /// Images to watch training by.
    pub validation: usize,
    /// Images to judge by.
    pub test: usize,
}

/// Loaded images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DataSummary {
    /// File name.
    pub name: String,
    /// Number of images.
    pub images: usize,
    /// Names of the classes by label.
    pub classes: Vec<String>,
    /// Whether every image has a class.
    pub labelled: bool,
    /// Whether images ask for numbers, or for a class of each place, instead.
    pub targets: bool,
    /// Which are for what.
    pub split: SplitSummary,
    /// The normalisation, by its shortest name.
    pub normalize: String,
    /// A few to look at.
    pub thumbnails: Vec<Thumbnail>,
}

/// How well a model does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvaluationSummary {
    /// Share of right answers, 0 to 1: of images, or of places that count; none for a regression.
    pub top1: Option<f64>,
    /// What is both of a class and named so by what is either, averaged over the classes, where places have classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_iou: Option<f64>,
    /// Mean absolute difference of a regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absolute: Option<f64>,
    /// Mean cross-entropy; of a regression the mean squared difference.
    pub loss: f64,
    /// Images seen.
    pub images: usize,
    /// Time of one image, without the first batch.
    pub milliseconds_per_image: f64,
    /// Where it ran.
    pub device: String,
}

/// How a fine-tune ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TuneSummary {
    /// Steps done.
    pub steps: usize,
    /// How long they took.
    pub seconds: f64,
    /// Mean loss of the last steps.
    pub loss: f64,
    /// False if it was stopped early; the weights up to there are kept.
    pub finished: bool,
    /// Share of right answers on the validation images of the model that is kept, if there are any with labels.
    pub validation_top1: Option<f64>,
    /// The loss on the validation images of the model that is kept, where no share of right answers chose it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// The mean intersection over union of the classes there, where that chose it: of a segmentation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_mean_iou: Option<f64>,
    /// The share of right answers before anything was done: right after the cut.
    pub before_top1: Option<f64>,
    /// The epoch whose model is kept: the best by the validation images; none where there were none to choose by.
    pub best_epoch: Option<usize>,
    /// What was made small, if there were steps.
    pub loss_kind: Option<LossKind>,
    /// What decided that, if the uncut model was looked at.
    pub teacher: Option<TeacherLook>,
    /// Values inside the network that were compared with the uncut model's; none where they did not count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<usize>,
    /// Parts that each batch was taken in, for memory's sake.
    pub parts: usize,
    /// What was frozen, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resting: Option<RestingSummary>,
    /// What was done before the first step.
    pub stages: Vec<StageSummary>,
}

/// What of a network is frozen while the rest learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RestingSummary {
    /// Parameters that do not move.
    pub parameters: usize,
    /// Nodes that run without gradients and with running statistics, because nothing that they read moves.
    pub nodes: usize,
    /// Nodes of the network in all.
    pub of: usize,
    /// Bytes that what they give for all training images takes, by the shapes.
    pub bytes: Option<u64>,
    /// Whether that was computed once and kept: it fits, images do not change and come more than once.
    pub kept: bool,
}

/// What a look at the uncut model showed, before its answers are learnt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TeacherLook {
    /// Its mean cross-entropy on the validation images.
    pub loss: f64,
    /// What guessing gets: the logarithm of the number of classes.
    pub guessing: f64,
}

/// A stage of recovery without gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Which one.
    pub stage: Stage,
    /// How long it took.
    pub seconds: f64,
    /// Share of right answers on the validation images after it, if there are any.
    pub validation_top1: Option<f64>,
}

/// The project's own model and images, opened together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SampleSummary {
    /// The model.
    pub model: OpenedModel,
    /// The images.
    pub data: DataSummary,
}
