//! `lopper tune`

use super::{open, print_json};
use crate::args::Tune;
use crate::files;
use crate::table::count;
use crate::terminal::Terminal;
use lopper_pipeline::{DataOptions, DeviceInfo, Result, TuneOptions, TuneSummary, Unproved, Which, block_on};
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
    };
    options.check()?;
    files::guard(&args.output, &[&args.model, &args.data], args.force)?;
    let mut session = open(&args.model)?;
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
    println!("steps       {} in {:.1} s", count(summary.steps as u64), summary.seconds);
    println!("loss        {:.4}", summary.loss);
    if let Some(top1) = summary.validation_top1 {
        println!("validation  {:.2} % right", 100.0 * top1);
    }
    println!("device      {} ({})", device.name, device.why);
    Ok(())
}
