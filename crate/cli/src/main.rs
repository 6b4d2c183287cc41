//! The command line of Lopper: arguments to pipeline calls, tables and JSON out.

/// As the standard one, but a reader that goes away (`lopper inspect MODEL | head`) ends the program instead of breaking it.
macro_rules! println {
    () => { crate::say(format_args!("")) };
    ($($words:tt)*) => { crate::say(format_args!($($words)*)) };
}

mod args;
mod commands;
mod files;
mod table;
mod terminal;
mod words;

use args::{Args, Command};
use clap::Parser;
use std::io::Write as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.command {
        Command::Inspect(a) => commands::inspect::run(a),
        Command::Score(a) => commands::score::run(a),
        Command::Prune(a) => commands::prune::run(a),
        Command::Mask(a) => commands::mask::run(a),
        Command::Run(a) => commands::run::run(a),
        Command::Sensitivity(a) => commands::sensitivity::run(a),
        Command::Sweep(a) => commands::sweep::run(a),
        Command::Eval(a) => commands::eval::run(a),
        Command::Tune(a) => commands::tune::run(a),
        Command::PruneTrain(a) => commands::prune_train::run(a),
        Command::Worker(a) => commands::worker::run(a),
        Command::Verify(a) => commands::verify::run(a),
        Command::Copy(a) => commands::copy::run(a),
        Command::Text(a) => commands::text::run(a),
        Command::SampleTrain(a) => commands::sample::run(a),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("lopper: {e}");
            ExitCode::from(e.code().class().exit_status())
        }
    }
}

/// Writes a line, or ends the program where nobody reads it.
fn say(line: std::fmt::Arguments<'_>) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
