//! `lopper run`

use super::{open, write_model};
use crate::args::Run;
use crate::files;
use crate::terminal::Terminal;
use lopper_pipeline::{Code, DataOptions, Error, Recipe, Result, Which, block_on};
use std::path::Path;

/// Follows a recipe and writes what comes out.
pub fn run(args: &Run) -> Result<()> {
    let recipe = read(&args.recipe)?;
    files::guard(&args.output, &[&args.model, Path::new(&args.recipe)], args.force)?;
    if let Some(report) = &args.report {
        files::guard(report, &[&args.model, &args.output, Path::new(&args.recipe)], false)?;
    }
    let mut session = open(&args.model)?;
    let terminal = Terminal::new();
    block_on(session.device(args.device))?;
    if let Some(path) = &args.data {
        let data = recipe.data.as_ref().ok_or_else(|| {
            Error::new(
                Code::Usage,
                "the recipe does not say how images become input: add \"data\": {\"normalize\": ..}",
            )
        })?;
        let options = DataOptions {
            normalize: data.normalize.clone(),
            seed: data.seed,
            validation: data.validation,
            test: data.test,
        };
        block_on(session.load_data(&files::name(path), files::images(path)?, &options, &terminal))
            .map_err(|e| e.at(path.display()))?;
    }
    let which = block_on(session.follow(&recipe, &terminal))?;
    terminal.clear();
    let bytes = if recipe.sparse && which == Which::Original {
        let (model, _) = session.sparse()?;
        files::write(&args.output, &model)?;
        model.len() as u64
    } else {
        write_model(&session, which, &args.model, &args.output)?
    };
    if let Some(path) = &args.report {
        let report = session.report()?;
        let text = if report.is_empty() { session.recipe()? } else { report };
        files::write(path, text.as_bytes())?;
    }
    println!("{} -> {}: {bytes} bytes", args.model.display(), args.output.display());
    if args.compact {
        println!("{}", recipe.to_compact()?);
    }
    Ok(())
}

/// A recipe from a file, or as the word itself.
pub fn read(recipe: &str) -> Result<Recipe> {
    match files::read(Path::new(recipe)) {
        Ok(bytes) => {
            let text = std::str::from_utf8(&bytes)
                .map_err(|_| Error::new(Code::Usage, format!("{recipe} is no recipe: it is no text")))?;
            Recipe::read(text).map_err(|e| e.at(recipe))
        }
        Err(missing) => Recipe::from_compact(recipe).map_err(|_| missing),
    }
}
