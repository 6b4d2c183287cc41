//! `lopper tune`

use super::{open, print_json, same_settings};
use crate::args::Tune;
use crate::files;
use crate::table::count;
use crate::terminal::Terminal;
use lopper_pipeline::{
    Code, DataOptions, DeviceInfo, Error, EvaluationSummary, LossKind, Recovery, RestingSummary, Result, Rules,
    Session, Stage, TuneOptions, TuneSummary, Unproved, Which, block_on,
};
use serde::Serialize;

#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    summary: &'a TuneSummary,
    /// Shares of right answers on the test images, before and now; none for a regression.
    tested: [Option<f64>; 2],
    /// All that the test images showed.
    test: &'a [Option<EvaluationSummary>; 2],
    device: &'a DeviceInfo,
    recipe: serde_json::Value,
}

/// Fine-tunes a model.
pub fn run(args: &Tune) -> Result<()> {
    let options = TuneOptions {
        epochs: args.epochs,
        steps: args.steps,
        learning_rate: args.lr,
        batch: args.batch,
        seed: args.seed,
        resume: args.resume,
        recovery: Recovery { stages: args.recover.clone(), images: args.recover_images },
        rules: rules(args),
    };
    options.check()?;
    files::guard(&args.output, &[&args.model, &args.data], args.force)?;
    if let Some(checkpoint) = &args.checkpoint {
        files::guard(checkpoint, &[&args.model, &args.data, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    if let Some(original) = &args.original {
        let read = session.compare_with(files::read(original)?, files::Beside::of(original));
        read.map_err(|e| e.at(original.display()))?;
    }
    let terminal = Terminal::keeping(args.checkpoint.as_deref());
    let device = match args.workers.as_slice() {
        [] => block_on(session.device(args.device))?,
        workers => block_on(session.workers(workers, args.worker_token.as_deref()))?,
    };
    let data = DataOptions {
        normalize: args.normalize.clone(),
        seed: args.seed,
        validation: Some(args.validation),
        test: Some(args.test),
    };
    let data = block_on(session.load_data(&files::name(&args.data), files::images(&args.data)?, &data, &terminal))
        .map_err(|e| e.at(args.data.display()))?;
    if let Some(path) = args.checkpoint.as_deref().filter(|_| args.resume) {
        let resumed = block_on(session.restore(&files::read(path)?, &terminal)).map_err(|e| e.at(path.display()))?;
        same_settings(path, resumed.tune.as_ref() == Some(&TuneOptions { resume: false, ..options.clone() }))?;
    }
    let summary = match trained(&mut session, args, &options, &terminal) {
        Ok(summary) => summary,
        Err(e) => {
            terminal.clear();
            return Err(keep_last_good(&session, args, e));
        }
    };
    // The only look at the test images: what was cut, and what is written.
    let mut tested = [None, None];
    if data.split.test > 0 && (data.labelled || data.targets) {
        for (seen, which) in tested.iter_mut().zip([Which::Original, Which::Tuned]) {
            *seen = Some(block_on(session.evaluate(which, None, &terminal))?);
        }
    }
    terminal.clear();
    let result = session.export(Which::Tuned, Unproved::Allow, "")?;
    files::write_pieces(&args.output, &result.model)?;
    if args.json {
        let recipe = serde_json::from_str(&result.recipe).unwrap_or_default();
        let top1 = tested.each_ref().map(|t| t.as_ref().and_then(|t| t.top1));
        return print_json(&Outcome { summary: &summary, tested: top1, test: &tested, device: &device, recipe });
    }
    println!("{} -> {}", args.model.display(), args.output.display());
    show(&summary);
    if let [Some(before), Some(after)] = tested.map(|t| t.map(|t| told(&t))) {
        println!("test        {before} before, {after} now");
    }
    println!("device      {} ({})", device.name, device.why);
    Ok(())
}

/// The fine-tune. burn panics where the connection to a worker breaks, which must not cost what was learnt.
fn trained(session: &mut Session, args: &Tune, options: &TuneOptions, terminal: &Terminal) -> Result<TuneSummary> {
    let mut work = || block_on(session.tune(options, terminal));
    if args.workers.is_empty() {
        return work();
    }
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let what =
            "a worker cannot be reached any more: start it again, and go on with --resume where --checkpoint was given";
        Err(Error::new(Code::DeviceLost, what))
    })
}

fn rules(args: &Tune) -> Rules {
    Rules {
        optimizer: args.optimizer,
        momentum: args.momentum,
        nesterov: args.nesterov,
        weight_decay: args.weight_decay,
        decay: args.decay,
        clip: args.clip,
        schedule: args.schedule,
        warmup: args.warmup,
        label_smoothing: args.label_smoothing,
        augmentation: args.augment.clone().map(|a| a.0),
        batch_norm: args.batch_norm,
        freeze: args.freeze.clone(),
        affine: args.affine,
        accumulate: args.accumulate,
        loss: args.loss,
        temperature: args.temperature,
        teacher_share: args.teacher_share,
        features: args.features,
    }
}

/// Writes the model that a failed run left beside where the tuned one should have gone, and says so.
fn keep_last_good(session: &Session, args: &Tune, e: Error) -> Error {
    let Ok(result) = session.export(Which::Tuned, Unproved::Allow, "") else { return e };
    let place = args.output.with_extension("last-good.onnx");
    match files::write_pieces(&place, &result.model) {
        Ok(()) => Error::new(e.code(), format!("{} in {}", e.message(), place.display())),
        Err(unwritten) => Error::new(e.code(), format!("{}, but it is lost: {}", e.message(), unwritten.message())),
    }
}

/// What the test images showed, in a few words.
fn told(seen: &EvaluationSummary) -> String {
    match (seen.top1, seen.mean_iou) {
        (_, Some(iou)) => format!("IoU {:.2} %", 100.0 * iou),
        (Some(top1), None) => percent(top1),
        (None, None) => format!("mse {:.6}", seen.loss),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} % right", 100.0 * share)
}

/// What was made small, in words.
fn learnt(kind: LossKind) -> String {
    let what = match kind {
        LossKind::Auto => return String::new(),
        LossKind::CrossEntropy => "cross-entropy of the images' classes",
        LossKind::Segmentation => "segmentation: cross-entropy of each place's class",
        LossKind::Regression => "regression: squared difference from the numbers given",
        LossKind::L1 => "regression: absolute difference from the numbers given",
        LossKind::Distill => "distillation: the uncut model's answers",
        LossKind::Mse => "squared difference from the uncut model's outputs",
    };
    format!(" ({what})")
}

fn show(summary: &TuneSummary) {
    let right =
        |top1: Option<f64>| top1.map_or_else(String::new, |t| format!(", {} on the validation images", percent(t)));
    if let Some(top1) = summary.before_top1 {
        println!("before      {} on the validation images", percent(top1));
    }
    for stage in &summary.stages {
        let name = match stage.stage {
            Stage::Bias => "bias",
            Stage::Lstsq => "lstsq",
            Stage::BatchNorm => "batchnorm",
        };
        println!("{name:11} {:.1} s{}", stage.seconds, right(stage.validation_top1));
    }
    if let Some(look) = &summary.teacher {
        let learns = if look.has_learnt() { "its answers are learnt" } else { "only the labels are learnt" };
        println!("uncut       cross-entropy {:.3} where guessing gets {:.3}: {learns}", look.loss, look.guessing);
    }
    match summary.features {
        None => {}
        Some(0) => println!("features    none: no end of a block is there in both models"),
        Some(count) => println!("features    {count} ends of blocks compared with the uncut model's"),
    }
    if let Some(RestingSummary { parameters, nodes, of, bytes, kept }) = summary.resting {
        let megabytes = bytes.map_or_else(|| "of unknown size".to_owned(), |b| format!("{:.0} MB", b as f64 / 1e6));
        let how = if kept { "computed once and kept" } else { "computed in each step" };
        println!("frozen      {parameters} parameters; what {nodes} of {of} nodes give ({megabytes}) was {how}");
    }
    println!("steps       {} in {:.1} s", count(summary.steps as u64), summary.seconds);
    if summary.parts > 1 {
        println!("parts       each batch was taken in {} parts", summary.parts);
    }
    if summary.steps > 0 {
        println!("loss        {:.4}{}", summary.loss, summary.loss_kind.map_or_else(String::new, learnt));
    }
    if let Some(epoch) = summary.best_epoch {
        let loss = match (summary.validation_loss, summary.validation_mean_iou) {
            (_, Some(iou)) => format!(", IoU {:.2} % on the validation images", 100.0 * iou),
            (Some(loss), None) => format!(", loss {loss:.6} on the validation images"),
            (None, None) => String::new(),
        };
        println!("best        epoch {epoch}{}{loss}", right(summary.validation_top1));
    }
}
