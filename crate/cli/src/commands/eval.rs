//! `lopper eval`

use super::{open, print_json};
use crate::args::Eval;
use crate::files;
use crate::table::count;
use crate::terminal::Terminal;
use lopper_pipeline::{DataOptions, Result, Which, block_on};

/// Measures how well a model answers.
pub fn run(args: &Eval) -> Result<()> {
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    let device = block_on(session.device(args.device))?;
    let options = DataOptions { normalize: args.normalize.clone(), seed: 0, validation: Some(0.0), test: Some(1.0) };
    block_on(session.load_data(&files::name(&args.data), files::images(&args.data)?, &options, &terminal))
        .map_err(|e| e.at(args.data.display()))?;
    let limit = args.limit.map(|n| n as usize);
    let seen = block_on(session.evaluate(Which::Original, limit, &terminal))?;
    terminal.clear();
    if args.json {
        return print_json(&seen);
    }
    match (seen.top1, seen.mean_iou) {
        (Some(top1), None) => println!("top-1   {:.2} %", 100.0 * top1),
        (Some(top1), Some(iou)) => {
            println!("IoU     {:.2} % on average over the classes", 100.0 * iou);
            println!("right   {:.2} % of the places", 100.0 * top1);
        }
        (None, _) => {
            println!("mse     {:.6}", seen.loss);
            println!("mae     {:.6}", seen.absolute.unwrap_or(f64::NAN));
        }
    }
    if seen.top1.is_some() {
        println!("loss    {:.4}", seen.loss);
    }
    println!("images  {}", count(seen.images as u64));
    println!("time    {:.3} ms an image", seen.milliseconds_per_image);
    println!("device  {} ({})", device.name, device.why);
    Ok(())
}
