//! Malformed files: every one gives its code and a sentence, and nothing panics.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::build::{Net, int, ints};
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

/// A file that once was cut wrongly, or refused though it is valid.
fn odd() -> Vec<(&'static str, Net)> {
    let net = |name| models::valid().into_iter().find(|m| m.0 == name).expect("a model of that name").1;
    let mut backwards = net("residual");
    backwards.graph().node.reverse();
    let mut dead = net("attention");
    let reader = dead.graph().node.iter_mut().find(|n| n.output == ["kt"]).expect("it is there");
    reader.input[0] = "qh".to_owned();
    // A writer that leaves out zeros: `keepdims` is 0 here.
    let mut kept = int("keepdims", 0);
    kept.i = None;
    let start = || {
        Net::new().input("x", &[1, 3, 4, 4]).weight("w", &[8, 3, 1, 1]).weight("v", &[2, 8]).node(
            "Conv",
            "x w",
            "h",
            &[],
        )
    };
    let mean = start().node("ReduceMean", "h", "m", &[ints("axes", &[2, 3]), kept]);
    let many: Vec<String> = (0..5000).map(|i| format!("p{i}")).collect();
    let parts = Net::new()
        .input("x", &[1, 3, 4, 4])
        .weight("w", &[10_000, 3, 1, 1])
        .weight("v", &[2, 10_000, 1, 1])
        .ints("s", &[2; 5000]);
    let parts = parts.node("Conv", "x w", "h", &[]).node("Split", "h s", &many.join(" "), &[int("axis", 1)]);
    vec![
        ("nodes in reverse order", backwards),
        ("a reshape that nothing reads", dead),
        ("a zero that is left out", mean.node("Gemm", "m v", "y", &[int("transB", 1)]).output("y")),
        ("5,000 parts of given length", {
            parts.node("Concat", &many.join(" "), "c", &[int("axis", 1)]).node("Conv", "c v", "y", &[]).output("y")
        }),
    ]
}

#[test]
fn odd_but_valid_files_are_cut() {
    for (name, net) in odd() {
        assert_eq!(chain(&net.bytes()), Ok(()), "{name}");
    }
}
