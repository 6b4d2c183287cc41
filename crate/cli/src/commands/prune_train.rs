//! `lopper prune-train`

use super::{open, print_json, same_settings, write_model};
use crate::args::PruneTrain;
use crate::files;
use crate::table::{Table, count};
use crate::terminal::Terminal;
use lopper_pipeline::{
    Code, DataOptions, DeviceInfo, Error, PlanOptions, PruneTrainOptions, PruneTrainRecipe, PruneTrainSummary, Result,
    Target, Which, block_on,
};
use serde::Serialize;

#[derive(Serialize)]
struct Outcome<'a> {
    #[serde(flatten)]
    summary: &'a PruneTrainSummary,
    options: &'a PruneTrainOptions,
    device: &'a DeviceInfo,
}

/// Prunes and trains a model.
pub fn run(args: &PruneTrain) -> Result<()> {
    let options = options(args)?;
    files::guard(&args.output, &[&args.model, &args.data], args.force)?;
    for extra in [&args.report, &args.before, &args.after, &args.checkpoint].into_iter().flatten() {
        files::guard(extra, &[&args.model, &args.data, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    let terminal = Terminal::keeping(args.checkpoint.as_deref());
    let device = block_on(session.device(args.device))?;
    let data =
        DataOptions { normalize: args.normalize.clone(), seed: args.seed, validation: Some(0.1), test: Some(0.0) };
    block_on(session.load_data(&files::name(&args.data), files::images(&args.data)?, &data, &terminal))
        .map_err(|e| e.at(args.data.display()))?;
    let summary = match args.checkpoint.as_deref().filter(|_| args.resume) {
        Some(path) => {
            let resumed =
                block_on(session.restore(&files::read(path)?, &terminal)).map_err(|e| e.at(path.display()))?;
            same_settings(path, resumed.prune_train.as_ref() == Some(&options))?;
            block_on(session.resume_prune_train(&terminal))?
        }
        None => block_on(session.prune_train(&options, &terminal))?,
    };
    terminal.clear();
    write_model(&session, Which::Tuned, &args.model, &args.output)?;
    for (which, path) in [(Which::Original, &args.before), (Which::Cut, &args.after)] {
        if let Some(path) = path {
            write_model(&session, which, &args.model, path)?;
        }
    }
    if let Some(report) = &args.report {
        files::write(report, session.report()?.as_bytes())?;
    }
    if args.json {
        return print_json(&Outcome { summary: &summary, options: &options, device: &device });
    }
    print(args, &summary);
    println!("device: {} ({})", device.name, device.why);
    Ok(())
}

/// The preset with what the arguments change of it.
fn options(args: &PruneTrain) -> Result<PruneTrainOptions> {
    let target = args.ratio.map(Target::Ratio).or(args.macs.map(Target::Macs)).or(args.params.map(Target::Parameters));
    let target = target.ok_or_else(|| Error::new(Code::Usage, "give one of --ratio, --macs and --params"))?;
    let recipe = PruneTrainRecipe {
        preset: args.preset.clone(),
        short: args.short,
        epochs: args.epochs,
        tune_epochs: args.tune_epochs,
        learning_rate: args.lr,
        tune_learning_rate: args.tune_lr,
        strength: args.strength,
        share: args.share,
        eta: args.eta,
        rounds: args.rounds,
        batch: args.batch,
        criterion: args.criterion.clone(),
        scope: args.scope,
        seed: args.seed,
    };
    recipe.options(&PlanOptions { locks: args.lock.clone(), min_ratio: args.min_ratio, ..PlanOptions::new(target) })
}

fn print(args: &PruneTrain, s: &PruneTrainSummary) {
    println!("{} -> {}", args.model.display(), args.output.display());
    let mut table = Table::new(&["", ">steps", ">seconds", ">MACs", ">validation"]);
    for stage in &s.stages {
        let right = stage.validation_top1.map_or_else(String::new, |t| format!("{:.2} %", 100.0 * t));
        let seconds = format!("{:.1}", stage.seconds);
        table.row([stage.what.clone(), count(stage.steps as u64), seconds, count(stage.macs), right]);
    }
    table.print();
    for (group, why) in &s.held {
        println!("whole: {group}, because {why}");
    }
    let (macs, parameters) = (s.cut.estimate.macs, s.cut.estimate.parameters);
    println!(
        "MACs {} -> {}, parameters {} -> {}",
        count(macs.before),
        count(macs.after),
        count(parameters.before),
        count(parameters.after)
    );
    match (s.cut.max_error, &s.cut.not_proved) {
        (_, Some(why)) => println!("proof: not run, because {why}"),
        (Some(e), None) => println!(
            "proof: the cut model and the masked one just before the cut differ by {e:.1e} of the largest output"
        ),
        (None, None) => {}
    }
}
