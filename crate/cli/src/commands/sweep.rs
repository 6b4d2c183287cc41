//! `lopper sweep`

use super::{open, print_json, run::read};
use crate::args::Sweep;
use crate::files;
use crate::table::{Table, count};
use crate::terminal::Terminal;
use lopper_pipeline::{Code, DataOptions, Error, Result, block_on};

/// Follows many recipes and compares them.
pub fn run(args: &Sweep) -> Result<()> {
    let recipes = (args.recipes.iter())
        .map(|path| Ok((files::name(path), read(&path.to_string_lossy())?)))
        .collect::<Result<Vec<_>>>()?;
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    block_on(session.device(args.device))?;
    for (name, recipe) in &recipes {
        if let Some(data) = recipe.data.as_ref().filter(|d| d.normalize != args.normalize) {
            let what = format!(
                "{name} is for images with --normalize {}, and all recipes are judged by the same images: give that, or remove its \"data\"",
                data.normalize
            );
            return Err(Error::new(Code::Usage, what));
        }
    }
    let data = DataOptions {
        normalize: args.normalize.clone(),
        seed: args.seed,
        validation: Some(args.validation),
        test: Some(args.test),
    };
    block_on(session.load_data(&files::name(&args.data), files::images(&args.data)?, &data, &terminal))
        .map_err(|e| e.at(args.data.display()))?;
    let rows = block_on(session.sweep(&recipes, args.limit.map(|n| n as usize), &terminal))?;
    terminal.clear();
    if args.json {
        return print_json(&rows);
    }
    let mut table = Table::new(&["recipe", ">right", ">MACs", ">bytes", ">ms an image", "unbeaten"]);
    for r in &rows {
        match &r.failed {
            Some(why) => eprintln!("lopper: {}: {why}", r.name),
            None => table.row([
                r.name.clone(),
                format!("{:.2} %", 100.0 * r.top1),
                count(r.macs),
                count(r.bytes),
                format!("{:.3}", r.milliseconds),
                if r.pareto { "yes" } else { "" }.to_owned(),
            ]),
        }
    }
    table.print();
    Ok(())
}
