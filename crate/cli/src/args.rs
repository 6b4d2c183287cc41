//! What can be written on the command line.

mod prune_train;
mod tune;

pub use prune_train::PruneTrain;
pub use tune::Tune;

use crate::words::{criterion, device, group_ratio, multiple_of, normalizer, reduction, removal, schedule, scope};
use clap::{Args as Group, Parser, Subcommand};
use lopper_pipeline::{Amount, Criterion, DeviceChoice, Norm, Normalizer, Pattern, Reduction, Schedule, Scope};
use std::path::PathBuf;

/// Makes trained neural networks smaller: finds the channels of an ONNX model that belong together, cuts the least useful
/// ones out, proves the cut, and repairs the accuracy.
#[derive(Debug, Parser)]
#[command(name = "lopper", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a model's groups, sizes, and what cannot be cut and why.
    Inspect(Inspect),
    /// Score every filter of every convolution and linear layer.
    Score(Score),
    /// Cut channels out of a model and prove the cut.
    Prune(Prune),
    /// Set weights to zero, one by one or by channels, and cut what that leaves dead.
    Mask(Mask),
    /// Do with a model what a recipe says.
    Run(Run),
    /// Measure how much each group bears, and solve for ratios.
    Sensitivity(Sensitivity),
    /// Follow many recipes and compare what they bring.
    Sweep(Sweep),
    /// Measure a model's accuracy on labelled images.
    Eval(Eval),
    /// Fine-tune a model on labelled images.
    Tune(Tune),
    /// Prune and train together by a paper's method.
    PruneTrain(PruneTrain),
    /// Compute for `lopper tune --workers` on other machines.
    Worker(Worker),
    /// Check a pruned file against its original and its report.
    Verify(Verify),
    /// Read a model and write it again unchanged.
    #[command(hide = true)]
    Copy(Copy),
    /// Write the model that a text case describes.
    #[command(hide = true)]
    Text(Text),
    /// Train the sample model that the page opens with one click.
    #[command(hide = true)]
    SampleTrain(SampleTrain),
}

/// Arguments of `inspect`.
#[derive(Debug, Group)]
pub struct Inspect {
    /// ONNX file.
    pub model: PathBuf,
    /// What pins the channels of A, or how A and B hang together: groups, initializers, nodes or values, NAME[AXIS] for one axis.
    #[arg(long, value_names = ["A", "B"], num_args = 1..=2)]
    pub why: Option<Vec<String>>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// What a criterion looks at.
#[derive(Debug, Group)]
pub struct Measure {
    /// Criterion, such as l1, or a weighted mixture, such as l1:0.7,fpgm_l2:0.3; --help lists all.
    #[arg(long, value_name = "NAME", value_parser = criterion, default_value = "l1", long_help = CRITERIA)]
    pub criterion: Criterion,
    /// Images, for criteria that look at some: an npz file, a zip or a folder.
    #[arg(long, value_name = "D")]
    pub data: Option<PathBuf>,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// Images a batch.
    #[arg(long, value_name = "B", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch: u32,
    /// Take only N images, spread evenly over all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Exponent of lp.
    #[arg(long, value_name = "P")]
    pub p: Option<f64>,
    /// Share that goes by norm, of fpgm_mixed.
    #[arg(long, value_name = "R")]
    pub norm_rate: Option<f64>,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
}

const CRITERIA: &str = "\
Criterion, or a weighted mixture of several, each normalised first: l1:0.7,fpgm_l2:0.3
By weights: l1, l2, lp (--p), linf, bn_scale, fpgm_l2, fpgm_l1, fpgm_cosine, fpgm_mixed (--norm-rate), lamp, group_norm, random (--seed)
By images (--data): activation_mean_abs, apoz, wanda_structured, hrank
By images with their classes (--data): weight_taylor_abs, weight_taylor_signed, weight_taylor_sq, activation_taylor,
activation_taylor_mean, gate_taylor_sq, gate_taylor_sq_per_image, gbn_abs, fisher_obd";

/// Arguments of `score`.
#[derive(Debug, Group)]
pub struct Score {
    /// ONNX file.
    pub model: PathBuf,
    /// How to score.
    #[command(flatten)]
    pub measure: Measure,
    /// Scale the scores of each weight: none, sum, mean, max, std, gaussian, lamp or l2. Mixtures take mean where this is not given.
    #[arg(long, value_name = "NAME", value_parser = normalizer)]
    pub normalizer: Option<Normalizer>,
    /// Seed of random.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON: {"<weight initializer>": [score per filter]}.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `prune`.
#[derive(Debug, Group)]
#[command(group(clap::ArgGroup::new("target").required(true).args(["ratio", "macs", "params", "bytes", "ms", "remove", "dead"])))]
pub struct Prune {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the smaller model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// How to score.
    #[command(flatten)]
    pub measure: Measure,
    /// How the scores of a group's members become one: sum, mean, max, prod or first. By default as the criterion has it.
    #[arg(long, value_name = "NAME", value_parser = reduction)]
    pub reduction: Option<Reduction>,
    /// How scores of different groups become comparable: none, sum, mean, max, std, gaussian, lamp or l2. By default as the criterion has it.
    #[arg(long, value_name = "NAME", value_parser = normalizer)]
    pub normalizer: Option<Normalizer>,
    /// Whether each group loses the same share, or channels compete, all or those of groups of one kind: group, global, isomorphic.
    #[arg(long, value_parser = scope, default_value = "group")]
    pub scope: Scope,
    /// Share of the channels that go, 0 <= R < 1.
    #[arg(long, value_name = "R")]
    pub ratio: Option<f64>,
    /// Share of the original's multiply-accumulates that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub macs: Option<f64>,
    /// Share of the original's parameters that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub params: Option<f64>,
    /// Share of the file's bytes that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub bytes: Option<f64>,
    /// Milliseconds of one sample on the device (--device): layers are timed at several widths first.
    #[arg(long, value_name = "F")]
    pub ms: Option<f64>,
    /// Exactly these channels, heads or blocks: a group's name and positions in it. May be given several times. A residual
    /// branch that loses all of them becomes what it then adds.
    #[arg(long, value_name = "GROUP:1,5,8-15", value_parser = removal)]
    pub remove: Vec<(String, Vec<usize>)>,
    /// Exactly the channels that zeros in the weights have silenced.
    #[arg(long)]
    pub dead: bool,
    /// Groups that compete with each other and no others, by patterns. May be given several times.
    #[arg(long, value_name = "GLOB,GLOB")]
    pub set: Vec<String>,
    /// Ratio of the groups of a pattern, whatever the target. May be given several times.
    #[arg(long, value_name = "GLOB=R", value_parser = group_ratio)]
    pub group_ratio: Vec<(String, f64)>,
    /// Go to the target in N steps, with new scores before each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub steps: u32,
    /// How far each step goes: linear, agp (cubic) or exponential.
    #[arg(long, value_name = "NAME", value_parser = schedule, default_value = "linear")]
    pub schedule: Schedule,
    /// Rank heads, and blocks of grouped convolutions, and cut them as wholes.
    #[arg(long)]
    pub heads: bool,
    /// Groups, initializers or nodes whose groups stay whole; `*` and `?` are wild. May be given several times.
    #[arg(long, value_name = "GLOB")]
    pub lock: Vec<String>,
    /// Fewest channels that a group keeps.
    #[arg(long, value_name = "N")]
    pub floor: Option<usize>,
    /// Smallest share of its channels that a group keeps; by default 0.1 where groups compete.
    #[arg(long, value_name = "R")]
    pub min_ratio: Option<f64>,
    /// Largest share of its channels that a group loses.
    #[arg(long, value_name = "R")]
    pub max_ratio: Option<f64>,
    /// Keep the nearest multiple of N channels in every group, or all of them.
    #[arg(long, value_name = "N")]
    pub multiple: Option<usize>,
    /// The multiple that a kind of hardware likes: neon, webgpu, avx2, avx512, tensor-core or tensor-core-int8.
    #[arg(long, value_name = "NAME", value_parser = multiple_of, conflicts_with = "multiple")]
    pub hardware: Option<usize>,
    /// Seed of whatever is drawn at random.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where the report goes.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `mask`.
#[derive(Debug, Group)]
pub struct Mask {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the masked model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// How entries are chosen: l1_unstructured, random_unstructured, global_unstructured, ln_structured, random_structured, n_m,
    /// custom_from_mask, or zeros: those that are zero already, which then count as masked.
    #[arg(long, value_name = "NAME", required_unless_present = "steps")]
    pub kind: Option<String>,
    /// Masks before that of --kind, each on what the ones before left: a JSON list such as
    /// [{"kind": "zeros"}, {"kind": "l1_unstructured", "amount": {"share": 0.3}, "tensors": ["conv*"]}], a recipe, or the report of an
    /// earlier call, whose model is then to be given once more, unmasked.
    #[arg(long, value_name = "FILE")]
    pub steps: Option<PathBuf>,
    /// Leave out the last N of --steps.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "steps")]
    pub undo: usize,
    /// A number of entries or channels, such as 7, or a share of those that are left, such as 0.3.
    #[arg(long, value_name = "A")]
    pub amount: Option<Amount>,
    /// Initializers by pattern, instead of all weights. May be given several times.
    #[arg(long, value_name = "GLOB")]
    pub tensor: Vec<String>,
    /// Axis of whole channels, or of the runs of a pattern; by default what the layers say.
    #[arg(long, value_name = "D")]
    pub dim: Option<usize>,
    /// Order of the norm of ln_structured: a number, inf or -inf.
    #[arg(long, value_name = "N", default_value = "2", allow_hyphen_values = true)]
    pub n: Norm,
    /// N:M of n_m: N of every M entries stay.
    #[arg(long, value_name = "N:M", default_value = "2:4")]
    pub pattern: Pattern,
    /// Seed of random masks.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// JSON file of custom_from_mask: {"<initializer>": [1, 0, ..]}, row-major.
    #[arg(long, value_name = "FILE")]
    pub mask: Option<PathBuf>,
    /// Write masked weights as lists of what is not zero (sparse_initializer).
    #[arg(long, conflicts_with = "cut")]
    pub sparse: bool,
    /// Cut the channels that the mask leaves dead.
    #[arg(long)]
    pub cut: bool,
    /// Where the report goes.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `run`.
#[derive(Debug, Group)]
pub struct Run {
    /// The recipe: its JSON, a report, or a file or word in the compact form.
    pub recipe: String,
    /// ONNX file.
    pub model: PathBuf,
    /// Where the result goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Images, where the recipe fine-tunes: an npz file, a zip or a folder.
    #[arg(long, value_name = "D")]
    pub data: Option<PathBuf>,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "cpu")]
    pub device: DeviceChoice,
    /// Where the report goes.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
    /// Print the recipe in its compact form, too.
    #[arg(long)]
    pub compact: bool,
}

/// Arguments of `worker`.
#[derive(Debug, Group)]
pub struct Worker {
    /// Address to listen at. Traffic is not encrypted: use it on a network that you trust.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:3000")]
    pub listen: String,
    /// What others must give as --worker-token; anybody may connect without.
    #[arg(long, value_name = "TOKEN", env = "LOPPER_WORKER_TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
}

/// Arguments of `sensitivity`.
#[derive(Debug, Group)]
pub struct Sensitivity {
    /// ONNX file.
    pub model: PathBuf,
    /// How to score. Images with their classes (--data) also judge what is left, those that are for validation; images without
    /// classes by how far the output moves on them; without images it is random input. Criteria look at the training images.
    #[command(flatten)]
    pub measure: Measure,
    /// Shares of the channels of one group that go.
    #[arg(long, value_name = "R,R", value_delimiter = ',', default_value = "0.1,0.3,0.5,0.7,0.9")]
    pub ratios: Vec<f64>,
    /// Groups, initializers or nodes whose groups stay whole. May be given several times.
    #[arg(long, value_name = "GLOB")]
    pub lock: Vec<String>,
    /// Seed of the split of the images, and of whatever is drawn at random.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Share of the images that judge.
    #[arg(long, value_name = "R", default_value_t = 0.1)]
    pub validation: f64,
    /// Share of the images that is not looked at, so that `lopper tune` and `lopper eval` can test by it.
    #[arg(long, value_name = "R", default_value_t = 0.2)]
    pub test: f64,
    /// Solve for ratios of groups with which this share of the MACs stays.
    #[arg(long, value_name = "R", requires = "recipe")]
    pub macs: Option<f64>,
    /// Where the recipe with these ratios goes.
    #[arg(long, value_name = "FILE", requires = "macs")]
    pub recipe: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `sweep`.
#[derive(Debug, Group)]
pub struct Sweep {
    /// ONNX file.
    pub model: PathBuf,
    /// Recipes or reports.
    #[arg(required = true)]
    pub recipes: Vec<PathBuf>,
    /// Labelled images: an npz file, a zip or a folder. Those for validation judge.
    #[arg(long, value_name = "D")]
    pub data: PathBuf,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// Seed of the split of the images.
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,
    /// Share of the images that judge.
    #[arg(long, value_name = "R", default_value_t = 0.1)]
    pub validation: f64,
    /// Share of the images that is not looked at, so that `lopper tune` and `lopper eval` can test by it.
    #[arg(long, value_name = "R", default_value_t = 0.2)]
    pub test: f64,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
    /// Judge by N validation images only, spread evenly over all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `eval`.
#[derive(Debug, Group)]
pub struct Eval {
    /// ONNX file.
    pub model: PathBuf,
    /// Images with classes (an npz file, a zip or a folder), or an npz with `targets`.
    #[arg(long, value_name = "D")]
    pub data: PathBuf,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
    /// Take only N images, spread evenly over all.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Group)]
pub struct Verify {
    /// The model before the cut.
    pub original: PathBuf,
    /// The model after the cut.
    pub pruned: PathBuf,
    /// The report of the cut.
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `copy`.
#[derive(Debug, Group)]
pub struct Copy {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the copy goes.
    pub output: PathBuf,
}

/// Arguments of `text`.
#[derive(Debug, Group)]
pub struct Text {
    /// Text file.
    pub text: PathBuf,
    /// Where the model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

/// Arguments of `sample-train`.
#[derive(Debug, Group)]
pub struct SampleTrain {
    /// Where the model goes; the page takes crate/pipeline/assets/sample.onnx.
    pub output: PathBuf,
    /// Passes over the 10,000 drawn images.
    #[arg(long, default_value_t = 10)]
    pub epochs: usize,
}
