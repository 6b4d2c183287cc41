//! `lopper text`

use crate::args::Text;
use crate::files;
use lopper_pipeline::{Code, Error, Result};

/// Writes the model that a text file describes.
pub fn run(args: &Text) -> Result<()> {
    files::guard(&args.output, &[&args.text], false)?;
    let bytes = files::read(&args.text)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| Error::new(Code::Usage, format!("{} is no text: {e}", args.text.display())))?;
    files::write(&args.output, &lopper_pipeline::from_text(text)?)
}
