//! `lopper verify`

use super::print_json;
use crate::args::Verify;
use crate::files::{self, Beside};
use lopper_pipeline::{Code, Error, Result, block_on, verify_files};

/// Re-checks a cut.
pub fn run(args: &Verify) -> Result<()> {
    let original = (files::read(&args.original)?, Beside::of(&args.original));
    let pruned = (files::read(&args.pruned)?, Beside::of(&args.pruned));
    let found = block_on(verify_files(original, pruned, &files::read(&args.report)?))?;
    if args.json {
        print_json(&found)?;
    } else {
        println!("initializers  {} compared bit for bit", found.initializers);
        match found.max_error {
            Some(e) => println!(
                "outputs       largest difference {e:.1e} of the largest output ({:.0e} is allowed)",
                found.tolerance
            ),
            None => println!("outputs       not compared"),
        }
        for line in &found.unchecked {
            println!("not checked   {line}");
        }
    }
    if found.passed {
        return Ok(());
    }
    Err(Error::new(
        Code::NotExact,
        format!("{} is not what the report says: {}", args.pruned.display(), found.failures.join("; ")),
    ))
}
