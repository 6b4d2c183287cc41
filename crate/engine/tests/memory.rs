//! What a training step takes at most, counted by the allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::graph::Graph;
use lopper_engine::train::{Settings, Trainer};
use lopper_engine::{Labelled, block_on};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{model, shared};

const BATCH: usize = 32;
/// Of parameters, activations and what the optimiser remembers.
const MOST: f64 = 1.5;

/// Counts bytes in use.
struct Counting;

static USED: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

#[allow(unsafe_code)]
// SAFETY: every call goes to the system's allocator unchanged; only sizes are noted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let used = USED.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(used, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_step_of_resnet20_takes_little_more_than_what_it_must_keep() {
    let Some(golden) = shared("golden") else { return };
    let model = model(golden.join("resnet20.onnx"));
    let graph = Graph::new(&model).unwrap();
    let parameters: usize = graph.parameters().map(|(_, _, t)| t.len()).sum();
    let length = |v: &lopper_core::graph::Value| -> usize {
        let shape = v.shape.as_ref().filter(|_| v.tensor.is_none());
        shape.map_or(0, |s| s.iter().skip(1).filter_map(|d| d.length()).product())
    };
    let activations: usize = graph.values.iter().map(|(_, v)| length(v)).sum::<usize>() * BATCH;
    // SGD with momentum remembers one number a parameter.
    let kept = 4 * (2 * parameters + activations);

    let before = USED.load(Ordering::Relaxed);
    let mut trainer = Trainer::new(&model, &support::device(), Settings::default()).unwrap();
    PEAK.store(USED.load(Ordering::Relaxed), Ordering::Relaxed);
    for step in 0..3 {
        let images = (0..BATCH * 3 * 32 * 32).map(|i| ((i * 31 + step) % 255) as f32 / 255.0).collect();
        let labels = (0..BATCH as u32).map(|i| i % 10).collect();
        trainer.step(&Labelled { images, dims: vec![BATCH, 3, 32, 32], labels }).unwrap();
        block_on(trainer.losses()).unwrap();
    }
    let taken = PEAK.load(Ordering::Relaxed) - before;
    let ratio = taken as f64 / kept as f64;
    println!(
        "batch {BATCH}: {:.1} MB at most for {:.1} MB of parameters, activations and momentum: {ratio:.2} times",
        taken as f64 / 1e6,
        kept as f64 / 1e6
    );
    assert!((0.5..MOST).contains(&ratio), "{ratio}");
}
