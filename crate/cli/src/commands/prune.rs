//! `lopper prune`

use super::score::prepare;
use super::{open, print_json, write_model};
use crate::args::Prune;
use crate::files;
use crate::table::{Table, count, left};
use crate::terminal::Terminal;
use lopper_pipeline::{
    Change, Code, CutSummary, Error, GroupChange, LatencyTable, PlanOptions, Result, Target, Which, block_on,
};
use std::collections::{BTreeMap, HashSet};

/// Cuts a model and writes it with its report.
pub fn run(args: &Prune) -> Result<()> {
    let mut options = options(args)?;
    files::guard(&args.output, &[&args.model], args.force)?;
    if let Some(report) = &args.report {
        files::guard(report, &[&args.model, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    if prepare(&mut session, &args.measure, &terminal)? {
        block_on(session.score(&options.criterion, None, &args.measure.options(), &terminal))?;
    }
    if let Target::Latency { table, .. } = &mut options.target {
        block_on(session.device(args.measure.device))?;
        *table = block_on(session.latencies(&args.lock, &terminal))?;
    }
    let summary = block_on(session.cut(&options, &terminal))?;
    let took = args.ms.map(|_| block_on(session.milliseconds(&terminal))).transpose()?;
    terminal.clear();
    write_model(&session, Which::Cut, &args.model, &args.output)?;
    if let Some(report) = &args.report {
        files::write(report, session.report()?.as_bytes())?;
    }
    if let Some(why) = &summary.not_proved {
        eprintln!("lopper: warning: the cut was NOT proved, because {why}");
    }
    if args.json {
        return print_json(&summary);
    }
    let prunable: HashSet<&str> = session.groups()?.iter().filter(|g| g.prunable).map(|g| g.name.as_str()).collect();
    print(args, &summary, &prunable);
    if let Some(took) = took {
        println!("time: {took:.3} ms measured on {}", session.device_info().name);
    }
    Ok(())
}

/// The plan that is asked for. Times of layers are not measured yet.
fn options(args: &Prune) -> Result<PlanOptions> {
    let mut remove: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (group, positions) in &args.remove {
        remove.entry(group.clone()).or_default().extend(positions);
    }
    let target = [
        args.ratio.map(Target::Ratio),
        args.macs.map(Target::Macs),
        args.params.map(Target::Parameters),
        args.bytes.map(Target::Bytes),
        args.ms.map(|milliseconds| Target::Latency { milliseconds, table: LatencyTable::default() }),
        (!remove.is_empty()).then_some(Target::Remove(remove)),
        args.dead.then_some(Target::Dead),
    ];
    let [target]: [Target; 1] = target.into_iter().flatten().collect::<Vec<_>>().try_into().map_err(|_| {
        Error::new(Code::Usage, "give one of --ratio, --macs, --params, --bytes, --ms, --remove and --dead")
    })?;
    let globs = |list: &String| list.split(',').map(|glob| glob.trim().to_owned()).collect();
    let options = PlanOptions {
        criterion: args.measure.criterion()?,
        reduction: args.reduction,
        normalizer: args.normalizer,
        scope: args.scope,
        sets: args.set.iter().map(globs).collect(),
        group_ratios: args.group_ratio.iter().cloned().collect(),
        floor: args.floor,
        min_ratio: args.min_ratio,
        max_ratio: args.max_ratio,
        multiple: args.multiple.or(args.hardware),
        locks: args.lock.clone(),
        heads: args.heads,
        steps: args.steps as usize,
        schedule: args.schedule,
        seed: args.seed,
        ..PlanOptions::new(target)
    };
    options.check()?;
    Ok(options)
}

fn print(args: &Prune, s: &CutSummary, prunable: &HashSet<&str>) {
    println!("{} -> {}", args.model.display(), args.output.display());
    let mut table = Table::new(&["", ">before", ">after", ">left"]);
    let mut line =
        |name: &str, c: Change| table.row([name.to_owned(), count(c.before), count(c.after), left(c.before, c.after)]);
    line("parameters", s.estimate.parameters);
    line("MACs", s.estimate.macs);
    line("bytes", s.estimate.bytes);
    let groups = || s.estimate.groups.iter().filter(|g| prunable.contains(g.name.as_str()));
    let sum = |f: fn(&GroupChange) -> usize| groups().map(f).sum::<usize>() as u64;
    line("channels", Change { before: sum(|g| g.channels), after: sum(|g| g.kept) });
    table.print();
    if let Some(a) = &s.achieved {
        println!("target: {} {:.4} asked, {:.4} reached", a.target, a.asked, a.got);
    }
    match (s.max_error, s.exact) {
        (Some(e), true) => println!(
            "proof: the cut model equals the masked original; largest difference {e:.1e} of the largest output ({:.0e} is allowed)",
            s.tolerance
        ),
        (Some(e), false) => println!(
            "proof: not exact, since statistics run over cut channels in {}; largest difference {e:.1e} of the largest output",
            s.renormalised.join(", ")
        ),
        (None, _) => {
            println!("proof: not run, because {}", s.not_proved.as_deref().unwrap_or("the model cannot be run"))
        }
    }
}
