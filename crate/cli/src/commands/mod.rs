//! One file a command.

pub mod copy;
pub mod eval;
pub mod inspect;
pub mod mask;
pub mod prune;
pub mod prune_train;
pub mod run;
pub mod sample;
pub mod score;
pub mod sensitivity;
pub mod sweep;
pub mod text;
pub mod tune;
pub mod verify;
pub mod worker;

use crate::files;
use lopper_pipeline::{Code, Data, Error, Result, Session, Unproved, Which};
use std::path::{Path, PathBuf};

/// A session with a model.
fn open(model: &Path) -> Result<Session> {
    let mut session = Session::new();
    session
        .open_with(files::read(model)?, &files::name(model), files::Beside::of(model))
        .map_err(|e| e.at(model.display()))?;
    Ok(session)
}

/// Writes a model of a session that was opened from `input`, and the file beside it if it needs one. Gives their bytes.
fn write_model(session: &Session, which: Which, input: &Path, output: &Path) -> Result<u64> {
    let beside = files::data_of(output);
    let made = session.export(which, Unproved::Allow, &files::name(&beside))?;
    if !made.beside.is_empty() {
        let folder = input.parent().unwrap_or(Path::new(""));
        let read: Vec<PathBuf> = session.locations()?.iter().map(|location| folder.join(location)).collect();
        files::guard(&beside, &read.iter().map(PathBuf::as_path).collect::<Vec<_>>(), false)?;
        files::write_pieces(&beside, &made.beside)?;
    }
    files::write_pieces(output, &made.model)?;
    Ok(made.model.iter().chain(&made.beside).map(Data::len).sum::<usize>() as u64)
}

fn print_json(value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::new(Code::Invalid, format!("no JSON can be made of this ({e})")))?;
    println!("{text}");
    Ok(())
}

/// Refuses to go on with other settings than the checkpoint's.
fn same_settings(path: &Path, same: bool) -> Result<()> {
    if same {
        return Ok(());
    }
    let what =
        format!("{} is of a run with other settings: give the same arguments, or leave --resume out", path.display());
    Err(Error::new(Code::Usage, what))
}
