//! What `tune` takes.

use crate::words::{Augmentations, augmentations, device, word};
use clap::Args as Group;
use lopper_pipeline::{BatchNorm, Decay, DeviceChoice, LossKind, OptimizerKind, Recovery, ScheduleKind, Stage};
use std::path::PathBuf;
/// Arguments of `tune`.
#[derive(Debug, Group)]
pub struct Tune {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the tuned model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Images: an npz file, a zip or a folder. With --original they need no labels. An npz may hold `targets` in place of `labels`:
    /// floats to learn as numbers, or a class for each place [N, H, W], where 255 does not count.
    #[arg(long, value_name = "D")]
    pub data: PathBuf,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// The model that MODEL was cut from, to learn from (--loss) and for stages of --recover that compare the two.
    #[arg(long, value_name = "MODEL")]
    pub original: Option<PathBuf>,
    /// What is done before the first step, without gradients: bias, lstsq (both need --original), batchnorm.
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = word::<Stage>)]
    pub recover: Vec<Stage>,
    /// Images that bias and lstsq look at, at most.
    #[arg(long, value_name = "N", default_value_t = Recovery::IMAGES)]
    pub recover_images: usize,
    /// Keep the run in FILE every few seconds, so that --resume can go on from there.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Go on from --checkpoint with the same arguments; the end is the same as without the break.
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
    /// Passes over the images; 0 does only what --recover says.
    #[arg(long, value_name = "N", default_value_t = 3, conflicts_with = "steps")]
    pub epochs: usize,
    /// Steps in all, instead of whole passes.
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// The highest learning rate.
    #[arg(long, value_name = "F", default_value_t = 0.02)]
    pub lr: f64,
    /// Images a step.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    /// What moves parameters: sgd or adamw.
    #[arg(long, value_name = "NAME", value_parser = word::<OptimizerKind>, default_value = "sgd")]
    pub optimizer: OptimizerKind,
    /// How much of the last direction stays; of adamw: of the first moment. By default 0.9.
    #[arg(long, value_name = "M")]
    pub momentum: Option<f64>,
    /// Whether sgd looks ahead along its momentum. By default true.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub nesterov: Option<bool>,
    /// Pull of parameters towards zero. By default 5e-4, of adamw 0.01.
    #[arg(long, value_name = "F")]
    pub weight_decay: Option<f64>,
    /// What decays: all, or weights (neither biases nor the scales of norms).
    #[arg(long, value_name = "WHAT", value_parser = word::<Decay>, default_value = "all")]
    pub decay: Decay,
    /// Scale gradients down where the norm of all of them is larger.
    #[arg(long, value_name = "NORM")]
    pub clip: Option<f64>,
    /// How the learning rate goes: constant, step (a tenth after each third), cosine, onecycle or triangular.
    #[arg(long, value_name = "NAME", value_parser = word::<ScheduleKind>, default_value = "cosine")]
    pub schedule: ScheduleKind,
    /// Share of the steps on which it rises. By default 0.1, of onecycle 0.3, of triangular 0.5, of constant 0.
    #[arg(long, value_name = "R")]
    pub warmup: Option<f64>,
    /// What is made small: classification (or cross-entropy), segmentation, regression (squared) or l1 (absolute differences from
    /// the data's numbers), distill (what the uncut model says, and the labels where there are any), mse (of all outputs from the
    /// uncut model's), or auto: by what the data hold, and distill where --original is given and has learnt what the labels say.
    #[arg(long, value_name = "NAME", value_parser = word::<LossKind>, default_value = "auto")]
    pub loss: LossKind,
    /// How much distill flattens both sides. By default 4.
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// How much the uncut model counts beside the labels. By default 0.9.
    #[arg(long, value_name = "R")]
    pub teacher_share: Option<f64>,
    /// How much differences at the ends of blocks count beside those of the answers, where the uncut model's answers are learnt. By default
    /// 50 of distill, 0 of mse.
    #[arg(long, value_name = "W", requires = "original")]
    pub features: Option<f64>,
    /// How far labels are moved towards all classes alike.
    #[arg(long, value_name = "R")]
    pub label_smoothing: Option<f64>,
    /// What happens to images: none, or some of flip, crop, cutout, mixup. By default crop, and flip of colour images.
    #[arg(long, value_name = "LIST", value_parser = augmentations)]
    pub augment: Option<Augmentations>,
    /// BatchNormalization by the statistics of each batch (train), or by those stored (frozen).
    #[arg(long, value_name = "MODE", value_parser = word::<BatchNorm>, default_value = "train")]
    pub batch_norm: BatchNorm,
    /// Parameters that stay as they are: patterns of their names, or prefix: all before the first node that the cut changed (needs
    /// --original). Nodes before all that learn run without gradients and, with --augment none, once.
    #[arg(long, value_name = "GLOBS", value_delimiter = ',')]
    pub freeze: Vec<String>,
    /// Of a model with folded normalisations: let convolutions learn a scale a channel, which is multiplied in at the end.
    #[arg(long)]
    pub affine: bool,
    /// Batches that make one step.
    #[arg(long, value_name = "N")]
    pub accumulate: Option<usize>,
    /// Share of the images that training is watched by; the best epoch is what is written.
    #[arg(long, value_name = "R", default_value_t = 0.1)]
    pub validation: f64,
    /// Share of the images that are looked at once, at the end.
    #[arg(long, value_name = "R", default_value_t = 0.1)]
    pub test: f64,
    /// Seed of the split, the order of the images and their augmentation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
    /// Train on the device of another machine, where `lopper worker` runs: ws://HOST:PORT. With several addresses, each takes a part
    /// of every batch.
    #[arg(long, value_name = "URL,URL", value_delimiter = ',', conflicts_with = "device")]
    pub workers: Vec<String>,
    /// What the workers want as their token.
    #[arg(long, value_name = "TOKEN", env = "LOPPER_WORKER_TOKEN", hide_env_values = true, requires = "workers")]
    pub worker_token: Option<String>,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
