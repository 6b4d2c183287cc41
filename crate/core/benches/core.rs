//! Times opening, grouping, planning and cutting of ONNX files: `cargo bench -p lopper-core -- MODEL...`.
//!
//! Prints one JSON object a model with medians over many runs; reading is set against a plain copy of the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use bytes::Bytes;
use lopper_core::Result;
use lopper_core::channels::Channels;
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::onnx::{ExternalData, Model};
use lopper_core::plan::{PlanOptions, Target, plan};
use lopper_core::report::sha256;
use std::hint::black_box;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// The command line's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Median seconds of several runs (`LOPPER_RUNS`; 0 for a single one that counts, as under callgrind), and the last result.
fn median<T>(mut run: impl FnMut() -> T) -> (f64, T) {
    let runs = std::env::var("LOPPER_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(15);
    if runs == 0 {
        let start = Instant::now();
        let last = black_box(run());
        return (start.elapsed().as_secs_f64(), last);
    }
    let mut last = run();
    let mut seconds: Vec<f64> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            last = black_box(run());
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    (seconds[runs / 2], last)
}

/// The folder of a model.
struct Folder(PathBuf);

impl ExternalData for Folder {
    fn length(&self, location: &str) -> Result<u64> {
        Ok(std::fs::metadata(self.0.join(location)).unwrap().len())
    }

    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let mut file = std::fs::File::open(self.0.join(location)).unwrap();
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).unwrap();
        Ok(bytes.into())
    }
}

/// The most memory that this process ever had, where the system tells.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kb| kb >> 10)
}

fn main() {
    for path in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
        let bytes = Bytes::from(std::fs::read(&path).expect("the model"));
        let folder: Arc<dyn ExternalData> = Arc::new(Folder(Path::new(&path).parent().unwrap().to_path_buf()));
        let (copy, _) = median(|| bytes.to_vec());
        let (open, model) = median(|| Model::read_with(bytes.clone(), &folder).unwrap());
        let (graph_s, graph) = median(|| Graph::new(&model).unwrap());
        let (group, channels) = median(|| Channels::analyze(&graph));
        let options = PlanOptions::new(Target::Ratio(0.5));
        let (plan_s, planned) = median(|| plan(&graph, &channels, &options).unwrap());
        let (cut_s, done) = median(|| cut(&model, &graph, &channels, planned.removed.iter().copied()).unwrap());
        // As a file is written: one slice after the other, and none is kept.
        let pieces = || match done.model.is_apart() {
            true => done.model.write_apart("m.data").map(|(file, beside)| [file, beside].concat()).unwrap(),
            false => done.model.write_pieces().unwrap(),
        };
        let slices = || pieces().iter().map(|p| p.read().unwrap().len()).sum::<usize>();
        let (slice_s, written) = median(slices);
        let gb = bytes.len() as f64 / 1e9;
        let out = serde_json::json!({
            "model": path, "bytes": bytes.len(), "nodes": graph.nodes.len(),
            "memcpy_gb_s": gb / copy, "open_gb_s": gb / (open + graph_s),
            "open_ms": open * 1e3, "graph_ms": graph_s * 1e3, "groups_ms": group * 1e3, "plan_ms": plan_s * 1e3, "cut_ms": cut_s * 1e3,
            "slices_ms": slice_s * 1e3, "written": written,
            "graph_to_cut_ms": (graph_s + group + plan_s + cut_s + slice_s) * 1e3, "peak_mb": peak_mb(),
            "sha256": (!done.model.is_apart()).then(|| sha256(&done.model.write().unwrap())),
        });
        println!("{out}");
    }
}
