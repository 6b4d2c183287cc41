//! `lopper score`

use super::print_json;
use crate::args::Score;
use crate::files;
use crate::table::Table;
use lopper_pipeline::{Result, scores};

/// Prints the score of every filter.
pub fn run(args: &Score) -> Result<()> {
    if args.data.is_some() || args.normalize.is_some() || args.device.is_some() {
        eprintln!(
            "the criterion {} looks at weights only: no images are read, no device is used",
            args.criterion.name()
        );
    }
    let scores = scores(files::read(&args.model)?, &files::Beside::of(&args.model), args.criterion)
        .map_err(|e| e.at(args.model.display()))?;
    if args.json {
        return print_json(&scores);
    }
    let mut table = Table::new(&["weight", ">filters", ">least", ">mean", ">most"]);
    for (name, list) in &scores {
        let list: Vec<f64> = list.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect();
        let least = list.iter().copied().fold(f64::INFINITY, f64::min);
        let most = list.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mean = list.iter().sum::<f64>() / list.len().max(1) as f64;
        table.row([
            name.clone(),
            list.len().to_string(),
            format!("{least:.4}"),
            format!("{mean:.4}"),
            format!("{most:.4}"),
        ]);
    }
    table.print();
    Ok(())
}
