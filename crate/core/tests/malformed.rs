//! Malformed files: every one gives its code and a sentence, and nothing panics.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::chain::chain;
use support::{malformed, models};

#[test]
fn every_malformed_file_gives_its_code() {
    let cases = malformed::all();
    assert!(cases.len() >= 40);
    let mut wrong = Vec::new();
    for case in &cases {
        let started = std::time::Instant::now();
        match catch_unwind(AssertUnwindSafe(|| chain(&case.bytes))) {
            Ok(Err(e)) if e.code() == case.code && !e.message().is_empty() && e.message().len() < 1100 => {}
            Ok(Err(e)) => wrong.push(format!("{}: {e} instead of {}", case.name, case.code.as_str())),
            Ok(Ok(())) => wrong.push(format!("{}: accepted", case.name)),
            Err(_) => wrong.push(format!("{}: panicked", case.name)),
        }
        if started.elapsed().as_secs() > 5 {
            wrong.push(format!("{}: took {:?}", case.name, started.elapsed()));
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn the_valid_models_are_cut() {
    for (name, net) in models::valid() {
        assert_eq!(chain(&net.bytes()), Ok(()), "{name}");
    }
}
