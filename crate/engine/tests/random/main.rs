//! Random models, each cut at random: the masked original and the cut model compute the same.
//!
//! `LOPPER_RANDOM_GRAPHS` says how many (500 unless it is set), `LOPPER_RANDOM_SEED` with which seed to start: a failure
//! prints the seed of its model and the model made small, as text that can become a case in `crate/core/tests/cases`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod brute;
mod build;
mod check;
mod generate;
mod image;
mod rare_image;
mod rare_sequence;
mod sequence;
mod shrink;
mod spec;

use check::{Outcome, check};
use std::collections::BTreeMap;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn random_models_survive_random_cuts() {
    let (first, count) = (number("LOPPER_RANDOM_SEED", 1), number("LOPPER_RANDOM_GRAPHS", 500));
    let most = number("LOPPER_RANDOM_FAILURES", 3) as usize;
    println!("{count} random models from seed {first}");
    let (mut exact, mut renormalised, mut nothing, mut nodes, mut worst) = (0, 0, 0, 0, 0.0f64);
    let mut failures: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut shown = Vec::new();
    for seed in first..first + count {
        let spec = generate::generate(seed);
        nodes += spec.steps.len();
        match check(&spec.text(), seed) {
            Ok(Outcome::Nothing) => nothing += 1,
            Ok(Outcome::Renormalised) => renormalised += 1,
            Ok(Outcome::Exact(e)) => {
                exact += 1;
                worst = worst.max(e);
            }
            Err(f) => {
                failures.entry(f.kind).or_default().push(seed);
                if shown.len() < most {
                    let (small, small_failure) = shrink::shrink(&spec, seed, f.kind);
                    let why = small_failure.why;
                    let asked = check::options(seed, &[]);
                    shown.push(format!(
                        "seed {seed}, {}: {}\n{asked:?}\nmade small: {why}\n{}",
                        f.kind,
                        f.why,
                        small.text()
                    ));
                }
            }
        }
    }
    println!(
        "{exact} exact (worst {worst:.1e}), {renormalised} renormalised, {nothing} with nothing to cut, {:.1} nodes each",
        nodes as f64 / count.max(1) as f64
    );
    assert!(failures.is_empty(), "{failures:?}\n{}", shown.join("\n"));
    assert!(exact * 2 > count, "fewer than half of the cuts were exact: the generator proves too little");
}

#[test]
fn groups_are_what_the_definition_says() {
    let (first, count) = (number("LOPPER_RANDOM_SEED", 1), number("LOPPER_RANDOM_TINY", 60));
    let (mut classes, mut coarse, mut lost, mut wrong) = (0, Vec::new(), Vec::new(), Vec::new());
    for seed in first..first + count {
        let spec = generate::tiny(seed);
        match brute::compare(&spec, seed) {
            Ok(seen) => {
                classes += seen.classes;
                coarse.extend(seen.coarse.first().map(|c| format!("seed {seed}: {c}\n{}", spec.text())));
                lost.extend(seen.lost.first().map(|l| format!("seed {seed}: {l}\n{}", spec.text())));
            }
            Err(why) => wrong.push(format!("seed {seed}: {why}\n{}", spec.text())),
        }
    }
    println!("{count} tiny models: {classes} classes hold; {} coarser than need be, {} lost", coarse.len(), lost.len());
    for line in coarse.iter().chain(&lost).take(number("LOPPER_RANDOM_SHOWN", 0) as usize) {
        println!("{line}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(classes as u64 > count, "only {classes} classes in {count} models");
}
