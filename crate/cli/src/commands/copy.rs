//! `lopper copy`

use crate::args::Copy;
use crate::files::{self, Beside};
use lopper_pipeline::Result;

/// Reads a model and writes it again.
pub fn run(args: &Copy) -> Result<()> {
    files::guard(&args.output, &[&args.model], false)?;
    files::write(&args.output, &lopper_pipeline::copy(files::read(&args.model)?, Beside::of(&args.model))?)
}
