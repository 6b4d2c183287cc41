//! One file a command.

pub mod copy;
pub mod eval;
pub mod inspect;
pub mod mask;
pub mod prune;
pub mod run;
pub mod sample;
pub mod score;
pub mod sensitivity;
pub mod sweep;
pub mod tune;
pub mod verify;

use crate::files;
use lopper_pipeline::{Code, Error, Result, Session};
use std::path::Path;

/// A session with a model.
fn open(model: &Path) -> Result<Session> {
    let mut session = Session::new();
    session
        .open_with(files::read(model)?, &files::name(model), &files::Beside::of(model))
        .map_err(|e| e.at(model.display()))?;
    Ok(session)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Code::Invalid, format!("no JSON can be made of this ({e})")))?;
    println!("{text}");
    Ok(())
}
