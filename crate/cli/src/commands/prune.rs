//! `lopper prune`

use super::score::prepare;
use super::{open, print_json};
use crate::args::Prune;
use crate::files;
use crate::table::{Table, count, left};
use crate::terminal::Terminal;
use lopper_pipeline::{
    Change, Code, CutSummary, Error, GroupChange, PlanOptions, Result, Target, Unproved, Which, block_on,
};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Cuts a model and writes it with its report.
pub fn run(args: &Prune) -> Result<()> {
    let mut remove: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (group, positions) in &args.remove {
        remove.entry(group.clone()).or_default().extend(positions);
    }
    let target = match (args.ratio, args.macs) {
        (Some(ratio), None) => Target::Ratio(ratio),
        (None, Some(macs)) => Target::Macs(macs),
        (None, None) if !remove.is_empty() => Target::Remove(remove),
        _ => return Err(Error::new(Code::Usage, "give one of --ratio, --macs and --remove")),
    };
    let options = PlanOptions {
        criterion: args.measure.criterion()?,
        reduction: args.reduction,
        normalizer: args.normalizer,
        scope: args.scope,
        target,
        floor: args.floor,
        multiple: args.multiple,
        locks: args.lock.clone(),
        steps: args.steps as usize,
        seed: args.seed,
    };
    options.check()?;
    files::guard(&args.output, &[&args.model], args.force)?;
    if let Some(report) = &args.report {
        files::guard(report, &[&args.model, &args.output], false)?;
    }
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    if prepare(&mut session, &args.measure, &terminal)? {
        block_on(session.score(&options.criterion, None, &args.measure.options(), &terminal))?;
    }
    let summary = block_on(session.cut(&options, &terminal))?;
    terminal.clear();
    let beside = files::data_of(&args.output);
    let files = session.export(Which::Cut, Unproved::Allow, &files::name(&beside))?;
    if !files.beside.is_empty() {
        let folder = args.model.parent().unwrap_or(Path::new(""));
        let read: Vec<PathBuf> = session.locations()?.iter().map(|location| folder.join(location)).collect();
        files::guard(&beside, &read.iter().map(PathBuf::as_path).collect::<Vec<_>>(), false)?;
        files::write_pieces(&beside, &files.beside)?;
    }
    files::write_pieces(&args.output, &files.model)?;
    if let Some(report) = &args.report {
        files::write(report, files.report.as_bytes())?;
    }
    if let Some(why) = &summary.not_proved {
        eprintln!("lopper: warning: the cut was NOT proved, because {why}");
    }
    if args.json {
        return print_json(&summary);
    }
    let prunable: HashSet<&str> = session.groups()?.iter().filter(|g| g.prunable).map(|g| g.name.as_str()).collect();
    print(args, &summary, &prunable);
    Ok(())
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
