//! Bytes through the whole core: read, graph, channels, plans, cuts, report, written and read again.
#![no_main]

#[path = "../../crate/core/tests/support/chain.rs"]
mod chain;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // An error is a fine answer; only a panic, a hang or a lack of memory is none.
    let _ = chain::chain(bytes);
});
