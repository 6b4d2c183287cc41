//! What can be written on the command line.

use clap::{Args as Group, Parser, Subcommand};
use lopper_pipeline::{Criterion, DeviceChoice, Normalizer, Reduction, Scope, Stage, TuneOptions};
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
    /// Measure a model's accuracy on labelled images.
    Eval(Eval),
    /// Fine-tune a model on labelled images.
    Tune(Tune),
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
#[command(group(clap::ArgGroup::new("target").required(true).args(["ratio", "macs", "remove"])))]
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
    /// Whether each group loses the same share, or all channels compete: group or global.
    #[arg(long, value_parser = scope, default_value = "group")]
    pub scope: Scope,
    /// Share of the channels that go, 0 <= R < 1.
    #[arg(long, value_name = "R")]
    pub ratio: Option<f64>,
    /// Share of the original's multiply-accumulates that stays, 0 < R <= 1.
    #[arg(long, value_name = "R")]
    pub macs: Option<f64>,
    /// Exactly these channels, heads or blocks: a group's name and positions in it. May be given several times. A residual
    /// branch that loses all of them becomes what it then adds.
    #[arg(long, value_name = "GROUP:1,5,8-15", value_parser = removal)]
    pub remove: Vec<(String, Vec<usize>)>,
    /// Go to the target in N steps, with new scores before each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub steps: u32,
    /// Groups, initializers or nodes whose groups stay whole; `*` and `?` are wild. May be given several times.
    #[arg(long, value_name = "GLOB")]
    pub lock: Vec<String>,
    /// Fewest channels that a group keeps.
    #[arg(long, value_name = "N")]
    pub floor: Option<usize>,
    /// Keep a multiple of N channels in every group.
    #[arg(long, value_name = "N")]
    pub multiple: Option<usize>,
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

/// Arguments of `eval`.
#[derive(Debug, Group)]
pub struct Eval {
    /// ONNX file.
    pub model: PathBuf,
    /// Labelled images: an npz file, a zip or a folder.
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

/// Arguments of `tune`.
#[derive(Debug, Group)]
pub struct Tune {
    /// ONNX file.
    pub model: PathBuf,
    /// Where the tuned model goes.
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Labelled images: an npz file, a zip or a folder. A tenth is kept back to watch the accuracy.
    #[arg(long, value_name = "D")]
    pub data: PathBuf,
    /// How bytes become the model's input: imagenet, cifar10, none or MEAN,../DEVIATION,..
    #[arg(long, value_name = "N", default_value = "imagenet")]
    pub normalize: String,
    /// The model that MODEL was cut from, for stages of --recover that compare the two.
    #[arg(long, value_name = "MODEL")]
    pub original: Option<PathBuf>,
    /// What is done before the first step, without gradients: bias, lstsq (both need --original), batchnorm.
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = stage)]
    pub recover: Vec<Stage>,
    /// Images that bias and lstsq look at, at most.
    #[arg(long, value_name = "N", default_value_t = TuneOptions::RECOVER_IMAGES)]
    pub recover_images: usize,
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
    /// Seed of the split, the order of the images and their augmentation.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Device: auto, cpu or gpu.
    #[arg(long, value_name = "D", value_parser = device, default_value = "auto")]
    pub device: DeviceChoice,
    /// Allow OUT to be MODEL itself.
    #[arg(long)]
    pub force: bool,
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

fn criterion(name: &str) -> Result<Criterion, String> {
    Criterion::parse(name).map_err(|e| e.message().to_owned())
}

fn reduction(name: &str) -> Result<Reduction, String> {
    Reduction::parse(name).map_err(|e| e.message().to_owned())
}

fn normalizer(name: &str) -> Result<Normalizer, String> {
    Normalizer::parse(name).map_err(|e| e.message().to_owned())
}

fn removal(words: &str) -> Result<(String, Vec<usize>), String> {
    // Names of initializers may hold colons themselves.
    let (group, list) = words.rsplit_once(':').ok_or("give a group and positions in it, as in GROUP:1,5,9")?;
    let position =
        |word: &str| word.trim().parse::<usize>().map_err(|_| format!("{word:?} is no position of a channel"));
    let mut out = Vec::new();
    for word in list.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (position(first)?, position(last)?);
        if last >= first.saturating_add(MOST_NAMED) {
            return Err(format!("{word:?} names more than {MOST_NAMED} channels"));
        }
        out.extend(first..=last);
    }
    Ok((group.to_owned(), out))
}

/// Most channels that one range of positions names.
const MOST_NAMED: usize = 1 << 20;

fn stage(name: &str) -> Result<Stage, String> {
    match name {
        "bias" => Ok(Stage::Bias),
        "lstsq" => Ok(Stage::Lstsq),
        "batchnorm" => Ok(Stage::BatchNorm),
        other => Err(format!("there is no stage {other:?}: use bias, lstsq or batchnorm")),
    }
}

fn device(name: &str) -> Result<DeviceChoice, String> {
    name.parse().map_err(|e: lopper_pipeline::Error| e.message().to_owned())
}

fn scope(name: &str) -> Result<Scope, String> {
    match name {
        "group" => Ok(Scope::Group),
        "global" => Ok(Scope::Global),
        _ => Err("choose group or global".to_owned()),
    }
}
