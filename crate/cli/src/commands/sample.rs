//! `lopper sample-train`

use crate::args::SampleTrain;
use crate::files;
use crate::terminal::Terminal;
use lopper_pipeline::{Result, block_on, train_sample};

/// Trains the sample model and says how good it is on images that it has not seen.
pub fn run(args: &SampleTrain) -> Result<()> {
    let terminal = Terminal::new();
    let (model, top1) = block_on(train_sample(args.epochs, &terminal))?;
    terminal.clear();
    files::write(&args.output, &model)?;
    println!("{}: {} bytes, {:.2} % of new images right", args.output.display(), model.len(), 100.0 * top1);
    Ok(())
}
