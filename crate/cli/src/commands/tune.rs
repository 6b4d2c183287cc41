//! `lopper tune`

use super::{open, print_json};
use crate::args::Tune;
use crate::files;
use crate::table::count;
use crate::terminal::Terminal;
use lopper_pipeline::{DataOptions, DeviceInfo, Result, Stage, TuneOptions, TuneSummary, Unproved, Which, block_on};
use serde::Serialize;

#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    summary: &'a TuneSummary,
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
        resume: false,
        recover: args.recover.clone(),
        recover_images: args.recover_images,
    };
    options.check()?;
    files::guard(&args.output, &[&args.model, &args.data], args.force)?;
    let mut session = open(&args.model)?;
    if let Some(original) = &args.original {
        let read = session.compare_with(files::read(original)?, files::Beside::of(original));
        read.map_err(|e| e.at(original.display()))?;
    }
    let terminal = Terminal::new();
    let device = block_on(session.device(args.device))?;
    let data =
        DataOptions { normalize: args.normalize.clone(), seed: args.seed, validation: Some(0.1), test: Some(0.0) };
    block_on(session.load_data(&files::name(&args.data), files::images(&args.data)?, &data, &terminal))
        .map_err(|e| e.at(args.data.display()))?;
    let summary = block_on(session.tune(&options, &terminal))?;
    terminal.clear();
    let result = session.export(Which::Tuned, Unproved::Allow, "")?;
    files::write_pieces(&args.output, &result.model)?;
    if args.json {
        let recipe = serde_json::from_str(&result.recipe).unwrap_or_default();
        return print_json(&Outcome { summary: &summary, device: &device, recipe });
    }
    println!("{} -> {}", args.model.display(), args.output.display());
    for stage in &summary.stages {
        let name = match stage.stage {
            Stage::Bias => "bias",
            Stage::Lstsq => "lstsq",
            Stage::BatchNorm => "batchnorm",
        };
        let right = stage
            .validation_top1
            .map_or_else(String::new, |t| format!(", {:.2} % right on the validation images", 100.0 * t));
        println!("{name:11} {:.1} s{right}", stage.seconds);
    }
    println!("steps       {} in {:.1} s", count(summary.steps as u64), summary.seconds);
    if summary.steps > 0 {
        println!("loss        {:.4}", summary.loss);
    }
    if let Some(top1) = summary.validation_top1 {
        println!("validation  {:.2} % right", 100.0 * top1);
    }
    println!("device      {} ({})", device.name, device.why);
    Ok(())
}
