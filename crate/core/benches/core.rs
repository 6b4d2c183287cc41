//! Times opening, grouping, planning and cutting of ONNX files: `cargo bench -p lopper-core -- MODEL...`.
//!
//! Prints one JSON object a model with medians over many runs; reading is set against a plain copy of the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use lopper_core::channels::Channels;
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Target, plan};
use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 15;

/// Median seconds of several runs, and the last result.
fn median<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let mut last = run();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            last = black_box(run());
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[RUNS / 2], last)
}

fn main() {
    for path in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
        let bytes = bytes::Bytes::from(std::fs::read(&path).expect("the model"));
        let (copy, _) = median(|| bytes.to_vec());
        let (open, model) = median(|| Model::read(bytes.clone()).unwrap());
        let (graph_s, graph) = median(|| Graph::new(&model).unwrap());
        let (group, channels) = median(|| Channels::analyze(&graph));
        let options = PlanOptions::new(Target::Ratio(0.5));
        let (plan_s, planned) = median(|| plan(&graph, &channels, &options).unwrap());
        let (cut_s, _) = median(|| cut(&model, &graph, &channels, planned.removed.iter().copied()).unwrap());
        let gb = bytes.len() as f64 / 1e9;
        let out = serde_json::json!({
            "model": path, "bytes": bytes.len(), "nodes": graph.nodes.len(),
            "memcpy_gb_s": gb / copy, "open_gb_s": gb / (open + graph_s),
            "open_ms": open * 1e3, "graph_ms": graph_s * 1e3, "groups_ms": group * 1e3, "plan_ms": plan_s * 1e3, "cut_ms": cut_s * 1e3,
            "graph_to_cut_ms": (graph_s + group + plan_s + cut_s) * 1e3,
        });
        println!("{out}");
    }
}
