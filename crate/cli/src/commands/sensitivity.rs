//! `lopper sensitivity`

use super::{open, print_json};
use crate::args::Sensitivity;
use crate::files;
use crate::table::Table;
use crate::terminal::Terminal;
use lopper_pipeline::{
    DataOptions, Measure, Needs, PlanOptions, Result, Sensitivity as Seen, SensitivityOptions, Target, block_on,
};

/// Measures how every group bears cuts.
pub fn run(args: &Sensitivity) -> Result<()> {
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    block_on(session.device(args.measure.device))?;
    let criterion = args.measure.criterion()?.with(None, None, Some(args.seed));
    let by_images = criterion.needs() != Needs::Weights;
    if let Some(path) = &args.measure.data {
        let data = DataOptions {
            normalize: args.measure.normalize.clone(),
            seed: args.seed,
            validation: Some(args.validation),
            test: Some(args.test),
        };
        block_on(session.load_data(&files::name(path), files::images(path)?, &data, &terminal))
            .map_err(|e| e.at(path.display()))?;
    }
    if by_images {
        block_on(session.score(&criterion, None, &args.measure.options(), &terminal))?;
    }
    let seed = args.seed;
    let plan = PlanOptions { criterion, seed, locks: args.lock.clone(), ..PlanOptions::new(Target::Ratio(0.0)) };
    let options =
        SensitivityOptions { plan: plan.clone(), ratios: args.ratios.clone(), limit: args.measure.options().limit };
    let seen = block_on(session.sensitivity(&options, &terminal))?;
    terminal.clear();
    if let (Some(macs), Some(path)) = (args.macs, &args.recipe) {
        files::guard(path, &[&args.model], false)?;
        let solved = session.recipe_of(session.balanced(&seen, &plan, macs)?)?;
        files::write(path, solved.to_json()?.as_bytes())?;
    }
    if args.json {
        return print_json(&seen);
    }
    print(&seen, &args.ratios);
    Ok(())
}

fn print(seen: &Seen, ratios: &[f64]) {
    let shown = |v: f64| match seen.measure {
        Measure::Accuracy => format!("{:.2} %", 100.0 * v),
        Measure::Outputs | Measure::Random => format!("{v:.2e}"),
    };
    let mut titles = vec!["group".to_owned(), ">channels".to_owned()];
    titles.extend(ratios.iter().map(|r| format!(">{:.0} % gone", 100.0 * r)));
    let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
    match seen.measure {
        Measure::Accuracy => println!("right answers with one group cut; {} uncut", shown(seen.baseline)),
        Measure::Outputs => {
            println!("what the output moves on the images with one group cut, root mean square, of the output's own")
        }
        Measure::Random => {
            println!("largest difference of the output on random input with one group cut, of its largest number")
        }
    }
    let mut table = Table::new(&titles);
    for g in &seen.groups {
        let mut row = vec![g.name.clone(), g.channels.to_string()];
        for r in ratios {
            let point = g.points.iter().rfind(|p| p.ratio <= *r);
            row.push(point.map_or("-".to_owned(), |p| shown(p.value)));
        }
        table.row(row);
    }
    table.print();
}
