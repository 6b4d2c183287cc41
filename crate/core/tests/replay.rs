//! The seeds of the fuzz target, replayed: small valid models, mutated ones, and every file that once made trouble.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::chain::chain;
use support::models;
use support::mutate::{Random, bytes, meaning};

/// Mutants kept of each outcome.
const OF_EACH: usize = 4;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/read")
}

/// Valid models, and a few mutants of every outcome.
fn seeds() -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
    for (m, (name, net)) in models::valid().into_iter().enumerate() {
        out.insert(format!("valid-{name}.onnx"), net.bytes());
        for k in 0..200u64 {
            let mut random = Random(k << 8 | m as u64);
            let file = if k % 2 == 0 { bytes(&mut random, net.bytes()) } else { meaning(&mut random, net.clone()) };
            let outcome = chain(&file).map_or_else(|e| e.code().as_str(), |()| "cut");
            let count = seen.entry(outcome).or_default();
            if *count < OF_EACH && file.len() < 4096 {
                *count += 1;
                out.insert(format!("mutant-{outcome}-{count}.onnx"), file);
            }
        }
    }
    out
}

#[test]
fn seeds_are_refused_or_cut() {
    if std::env::var_os("LOPPER_WRITE_SEEDS").is_some() {
        for (name, file) in seeds() {
            std::fs::write(folder().join(name), file).expect("the folder is there");
        }
    }
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder of seeds") {
        let path = entry.expect("readable").path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        let result = chain(&std::fs::read(&path).expect("readable"));
        if name.starts_with("valid-") {
            assert_eq!(result, Ok(()), "{name}");
        }
        count += 1;
    }
    assert!(count >= 40, "{count} seeds in {}", folder().display());
}
