//! Times criteria on the convolutions of VGG-16 with random weights: `cargo bench -p lopper-core --bench scores`.
//!
//! Prints one JSON object a criterion: the weights' gigabytes a second (or the distances' billions of terms), and those of a plain read
//! of the same bytes in the same run. With a path as argument it writes the model there instead.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, missing_docs)]

use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::score::{Criterion, Measured, weight_scores};
use lopper_core::text::parse;
use std::hint::black_box;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Simonyan and Zisserman 2015, configuration D; 0 is a pooling.
const WIDTHS: [usize; 18] = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0];

/// The convolutions of VGG-16 one after the other.
fn vgg() -> Model {
    let (mut nodes, mut weights, mut last, mut channels) = (String::new(), Vec::new(), "x".to_string(), 3);
    for (i, &width) in WIDTHS.iter().enumerate() {
        if width == 0 {
            nodes += &format!("  p{i} = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> ({last})\n");
            last = format!("p{i}");
            continue;
        }
        let bound = (6.0 / (9 * channels) as f64).sqrt();
        weights.push(format!(" float[{width},{channels},3,3] w{i} ~ {{-{bound:.4}, {bound:.4}}}"));
        nodes += &format!(
            "  c{i} = Conv <pads = [1, 1, 1, 1], kernel_shape = [3, 3]> ({last}, w{i})\n  r{i} = Relu (c{i})\n"
        );
        (last, channels) = (format!("r{i}"), width);
    }
    nodes += &format!("  y = GlobalAveragePool ({last})\n");
    let text = format!(
        "<opset 17>\n(float[N,3,224,224] x) => (float[N,512,1,1] y)\n<{}>\n{{\n{nodes}}}\n",
        weights.join(",\n")
    );
    parse(&text).unwrap()
}

/// The least seconds of several runs.
fn least(mut run: impl FnMut()) -> f64 {
    run();
    (0..9)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min)
}

/// A plain read: the sum of all numbers, sixteen at a time.
fn read(bytes: &[u8]) -> f32 {
    let mut lanes = [0.0f32; 16];
    for block in bytes.chunks_exact(64) {
        for (lane, b) in lanes.iter_mut().zip(block.chunks_exact(4)) {
            *lane += f32::from_le_bytes(b.try_into().unwrap());
        }
    }
    lanes.iter().sum()
}

fn main() {
    let model = vgg();
    if let Some(path) = std::env::args().nth(1).filter(|a| !a.starts_with("--")) {
        std::fs::write(path, model.write().unwrap()).unwrap();
        return;
    }
    let graph = Graph::new(&model).unwrap();
    let tensors: Vec<_> = graph.parameters().map(|(_, _, t)| t.bytes().unwrap()).collect();
    let gb = tensors.iter().map(|t| t.len()).sum::<usize>() as f64 / 1e9;
    // Terms of distances: each pair of a layer's filters once.
    let terms: f64 = graph.parameters().map(|(_, _, t)| (t.dims[0] * (t.dims[0] - 1) / 2 * t.dims[1] * 9) as f64).sum();
    for name in ["l1", "l2", "linf", "fpgm_l2", "fpgm_l1", "fpgm_cosine"] {
        let criterion = Criterion::parse(name).unwrap();
        let plain = least(|| _ = black_box(tensors.iter().map(|t| read(t)).sum::<f32>()));
        let scores = least(|| drop(black_box(weight_scores(&graph, &criterion, None, &Measured::default()))));
        let distances = name.starts_with("fpgm");
        let out = serde_json::json!({
            "criterion": name, "ms": scores * 1e3, "read_gb_s": gb / plain,
            "gb_s": (!distances).then_some(gb / scores), "terms_g_s": distances.then_some(terms / scores / 1e9),
        });
        println!("{out}");
    }
}
