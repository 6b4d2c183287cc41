//! `lopper score`

use super::{open, print_json};
use crate::args::{Measure, Score};
use crate::files;
use crate::table::Table;
use crate::terminal::Terminal;
use lopper_pipeline::{Criterion, DataOptions, Needs, Result, ScoreOptions, Session, block_on};

impl Measure {
    /// The criterion with its numbers.
    pub fn criterion(&self) -> Result<Criterion> {
        let criterion = self.criterion.clone().with(self.p, self.norm_rate, None);
        criterion.check()?;
        Ok(criterion)
    }

    /// Which images it looks at.
    pub fn options(&self) -> ScoreOptions {
        ScoreOptions { batch: self.batch as usize, limit: self.limit.map(|n| n as usize) }
    }
}

/// Opens the device where the criterion has work for one, and loads images if it looks at some. Says whether it does.
pub fn prepare(session: &mut Session, measure: &Measure, terminal: &Terminal) -> Result<bool> {
    let by_images = measure.criterion.needs() != Needs::Weights;
    if by_images || measure.criterion.compares() {
        block_on(session.device(measure.device))?;
    }
    if !by_images {
        if measure.data.is_some() {
            eprintln!("lopper: the criterion {} looks at weights only: no images are read", measure.criterion);
        }
        return Ok(false);
    }
    let Some(data) = &measure.data else { return Ok(true) };
    let options = DataOptions { normalize: measure.normalize.clone(), seed: 0, validation: Some(0.0), test: Some(0.0) };
    block_on(session.load_data(&files::name(data), files::images(data)?, &options, terminal))
        .map_err(|e| e.at(data.display()))?;
    Ok(true)
}

/// Prints the score of every filter.
pub fn run(args: &Score) -> Result<()> {
    let criterion = args.measure.criterion()?.with(None, None, Some(args.seed));
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    prepare(&mut session, &args.measure, &terminal)?;
    let seen = block_on(session.score(&criterion, args.normalizer, &args.measure.options(), &terminal))?;
    terminal.clear();
    for why in &seen.left_out {
        eprintln!("lopper: left out: {why}");
    }
    if args.json {
        let by_weight = seen.scores.into_iter().map(|(name, scores)| (name, scores.into()));
        return print_json(&by_weight.collect::<serde_json::Map<String, serde_json::Value>>());
    }
    let mut table = Table::new(&["weight", ">filters", ">least", ">mean", ">most"]);
    for (name, list) in &seen.scores {
        let least = list.iter().copied().fold(f64::INFINITY, f64::min);
        let most = list.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = list.iter().sum::<f64>() / list.len().max(1) as f64;
        // Scores by gradients are as small as 1e-9.
        let number = |v: f64| if v != 0.0 && v.abs() < 1e-3 { format!("{v:.3e}") } else { format!("{v:.4}") };
        table.row([name.clone(), list.len().to_string(), number(least), number(mean), number(most)]);
    }
    table.print();
    Ok(())
}
