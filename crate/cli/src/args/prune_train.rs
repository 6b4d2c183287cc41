//! What `prune-train` takes.

use crate::words::{criterion, device, scope};
use clap::Args as Group;
use lopper_pipeline::{Criterion, DeviceChoice, Scope};
use std::path::PathBuf;

const METHODS: &str = "\
Method, with the numbers of its paper:
slimming, group-slimming: L1 on the scales of BatchNormalization (Liu et al., ICCV 2017)
group-lasso: weak groups decay faster (DepGraph, Fang et al., CVPR 2023)
growing, growing-group: decay that grows (Wang et al., ICLR 2021)
soft, soft-hard: the weakest filters are set to zero again and again (He et al., IJCAI 2018; masked: CVPR 2019)
gate-decorator: channels go a few at a time by trained gates (You et al., NeurIPS 2019)
iterative: cut a part, train, and so on (Han et al., NeurIPS 2015)";

/// Arguments of `prune-train`.
#[derive(Debug, Group)]
#[command(group(clap::ArgGroup::new("goal").required(true).args(["ratio", "macs", "params"])))]
pub struct PruneTrain {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the smaller, trained model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Method, with the numbers of its paper; --help lists all.
    #[arg(long, value_name = "NAME", long_help = METHODS)]
    pub preset: String,
    /// A variant for a few epochs instead of the paper's hundreds: penalties are stronger, steps larger.
    #[arg(long)]
    pub short: bool,
    /// Labelled images: an npz file, a zip or a folder. A tenth is kept back to watch the accuracy.
    #[arg(long, value_name = "D")]
    pub data: PathBuf,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// Share of the channels that go, 0 <= R < 1.
    #[arg(long, value_name = "R")]
    pub ratio: Option<f64>,
    /// Share of the original's multiply-accumulates that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub macs: Option<f64>,
    /// Share of the original's parameters that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub params: Option<f64>,
    /// Passes over the images before the cut: of each round of iterative, of each tock of gate-decorator. May be a part of one.
    #[arg(long, value_name = "N")]
    pub epochs: Option<f64>,
    /// Passes over the images after the cut.
    #[arg(long, value_name = "N")]
    pub tune_epochs: Option<f64>,
    /// The highest learning rate before the cut.
    #[arg(long, value_name = "F")]
    pub lr: Option<f64>,
    /// The highest learning rate after the cut.
    #[arg(long, value_name = "F")]
    pub tune_lr: Option<f64>,
    /// How strong the penalty is: factor of slimming and group-lasso, ceiling of growing, growth of growing-group, penalty on gates.
    #[arg(long, value_name = "F")]
    pub strength: Option<f64>,
    /// Share of the channels left that go after a tick of gate-decorator.
    #[arg(long, value_name = "R")]
    pub share: Option<f64>,
    /// How much a gate's share in the cost counts against it, of gate-decorator.
    #[arg(long, value_name = "F")]
    pub eta: Option<f64>,
    /// Rounds of iterative.
    #[arg(long, value_name = "N")]
    pub rounds: Option<usize>,
    /// Keep the run in FILE every few seconds, so that --resume can go on from there.
    #[arg(long, value_name = "FILE")]
    pub checkpoint: Option<PathBuf>,
    /// Go on from --checkpoint with the same arguments; the end is the same as without the break.
    #[arg(long, requires = "checkpoint")]
    pub resume: bool,
    /// Images a step.
    #[arg(long, value_name = "N")]
    pub batch: Option<usize>,
    /// Criterion of the cut, instead of the method's own.
    #[arg(long, value_name = "NAME", value_parser = criterion)]
    pub criterion: Option<Criterion>,
    /// Whether each group loses the same share, or channels compete, instead of the method's own: group, global, isomorphic.
    #[arg(long, value_parser = scope)]
    pub scope: Option<Scope>,
    /// Groups, initializers or nodes whose groups stay whole; `*` and `?` are wild. May be given several times.
    #[arg(long, value_name = "GLOB")]
    pub lock: Vec<String>,
    /// Smallest share of its channels that a group keeps; by default 0.1 where groups compete.
    #[arg(long, value_name = "R")]
    pub min_ratio: Option<f64>,
    /// Seed of the split, the order of the images and their augmentation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
    /// Where the report of the cut goes.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Where the model as it was just before the last cut goes: the original of the report.
    #[arg(long, value_name = "FILE")]
    pub before: Option<PathBuf>,
    /// Where the model just after the last cut goes, before any more training.
    #[arg(long, value_name = "FILE")]
    pub after: Option<PathBuf>,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}
