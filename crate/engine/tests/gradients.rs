//! Whether what training moves parameters along is the slope of the loss: one small step has to change the loss by its length
//! squared over the rate, for every operator that lies between a parameter and the loss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_engine::train::{Optimizer, Schedule, Settings, Trainer};
use lopper_engine::{Device, Labelled, block_on};

/// A value `a` of shape [4, 4, 6, 6] becomes `z`, which a small classifier reads; further initializers may be given.
const CASES: &[(&str, &str, &str)] = &[
    ("Einsum", "float[5,4] k", "z = Einsum <equation = \"oc,nchw->nohw\"> (k, a)"),
    ("Einsum of three", "float[4] k, float[6,3] m", "z = Einsum <equation = \"nchw,c,wv->nchv\"> (a, k, m)"),
    ("Tile", "int64[4] r = {1,2,1,1}", "z = Tile (a, r)"),
    ("DepthToSpace", "", "z = DepthToSpace <blocksize = 2, mode = \"CRD\"> (a)"),
    ("SpaceToDepth", "", "z = SpaceToDepth <blocksize = 2> (a)"),
    (
        "Col2Im",
        "int64[3] s = {0,4,36}, int64[2] i = {7,7}, int64[2] b = {2,2}",
        "r = Reshape (a, s) z = Col2Im (r, i, b)",
    ),
    (
        "Slice backwards",
        "int64[1] s = {-1}, int64[1] e = {-9}, int64[1] x1 = {3}, int64[1] t = {-2}",
        "z = Slice (a, s, e, x1, t)",
    ),
    ("Gather", "int64[2,2] i = {3,0,1,1}, int64[4] s = {4,4,6,6}", "g = Gather <axis = 1> (a, i) z = Reshape (g, s)"),
    ("Pad reflect", "int64[8] p = {0,0,1,2,0,0,2,1}", "z = Pad <mode = \"reflect\"> (a, p)"),
    ("CenterCropPad", "int64[2] s = {4,9}", "z = CenterCropPad <axes = [2,3]> (a, s)"),
    ("GatherElements", "int64[4,4,2,6] i", "z = GatherElements <axis = 2> (a, i)"),
    ("GatherND", "int64[4,2] i = {0,1,3,2,1,1,2,0}, int64[4] s = {4,1,6,6}", "g = GatherND (a, i) z = Reshape (g, s)"),
    ("ScatterElements", "int64[4,4,2,6] i, float[4,4,2,6] u", "z = ScatterElements <axis = 2> (a, i, u)"),
    (
        "ScatterND added",
        "int64[3,2] i = {0,1,3,2,0,1}, float[3,6,6] u",
        "z = ScatterND <reduction = \"add\"> (a, i, u)",
    ),
    ("TopK", "int64[1] k = {3}", "z, i = TopK <axis = 3> (a, k)"),
    ("CumSum", "int64[] x1 = {2}", "z = CumSum <exclusive = 1, reverse = 1> (a, x1)"),
    ("Compress", "bool[4] c = {1,0,1,1}", "z = Compress <axis = 1> (a, c)"),
    ("Trilu", "", "z = Trilu <upper = 0> (a)"),
    ("ReverseSequence", "int64[4] n = {6,1,3,2}", "z = ReverseSequence <time_axis = 2, batch_axis = 0> (a, n)"),
    ("LpPool", "", "z = LpPool <kernel_shape = [2,2], strides = [2,2]> (a)"),
    ("GlobalLpPool", "", "z = GlobalLpPool (a)"),
    (
        "MaxPool and MaxUnpool",
        "",
        "p, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a) z = MaxUnpool <kernel_shape = [2,2], strides = [2,2]> (p, i)",
    ),
    ("AveragePool dilated", "", "z = AveragePool <kernel_shape = [2,2], dilations = [2,2]> (a)"),
    (
        "MaxPool three axes",
        "int64[5] s = {4,1,4,6,6}, int64[4] t = {4,-1,5,5}",
        "r = Reshape (a, s) p = MaxPool <kernel_shape = [2,2,2]> (r) z = Reshape (p, t)",
    ),
    ("MeanVarianceNormalization", "", "z = MeanVarianceNormalization (a)"),
    ("LRN", "", "z = LRN <size = 3, alpha = 0.3> (a)"),
    ("GroupNormalization", "float[2] s, float[2] h", "z = GroupNormalization <num_groups = 2> (a, s, h)"),
    (
        "RoiAlign",
        "float[4,4] r = {0,0,3,3,1,0,5,4,0,1,3,3,2,2,5,5}, int64[4] o = {0,1,2,3}",
        "z = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2> (a, r, o)",
    ),
    ("GridSample", "float[1,3,3,2] g, int64[4] t = {4,1,1,1}", "m = Tile (g, t) z = GridSample (a, m)"),
    (
        "DeformConv",
        "float[3,4,2,2] k, float[1,8,5,5] o, int64[4] t = {4,1,1,1}",
        "m = Tile (o, t) z = DeformConv <kernel_shape = [2,2]> (a, k, m)",
    ),
    (
        "DFT",
        "int64[5] s = {4,4,6,6,1}, int64[4] t = {4,8,6,6}",
        "r = Reshape (a, s) d = DFT <axis = 2> (r) z = Reshape (d, t)",
    ),
    ("Resize cubic", "float[4] c = {1,1,1.5,2}", "z = Resize <mode = \"cubic\"> (a, _, c)"),
    ("Shrink", "", "z = Shrink <lambd = 0.1, bias = 0.05> (a)"),
    ("Atan", "", "z = Atan (a)"),
];

fn model(name: &str, extra: &str, body: &str) -> Model {
    let opset = if name == "GroupNormalization" || name == "CenterCropPad" || name == "Col2Im" { 18 } else { 19 };
    let text = |columns: &str| {
        let extra = if extra.is_empty() { String::new() } else { format!(", {extra}") };
        format!(
            "<opset {opset}> (float[4,2,6,6] x) => (float[4,3] y) <float[4,2,1,1] w, float[3,{columns}] fc{extra}>
            {{ a = Conv (x, w) {body} q = Mul (z, z) f = GlobalAveragePool (q) l = Flatten (f) y = Gemm <transB = 1> (l, fc) }}"
        )
    };
    // How many channels come out is asked of the core.
    let graph = Graph::new(
        &lopper_core::text::parse(&text("4").replace("l = Flatten (f) y = Gemm <transB = 1> (l, fc)", "y = Relu (f)"))
            .unwrap(),
    )
    .unwrap();
    let channels = graph.values[graph.require("z").unwrap()].lengths().unwrap()[1];
    lopper_core::text::parse(&text(&channels.to_string())).unwrap()
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// Loss before and after one step, and the change that the step's own length promises.
fn step(model: &Model, rate: f64) -> (f64, f64) {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let settings = Settings { optimizer, rate, schedule: Schedule::Constant, seed: 1 };
    let mut trainer = Trainer::new(model, &Device::cpu(), settings).unwrap();
    let batch = Labelled { images: numbers(4 * 72), dims: vec![4, 2, 6, 6], labels: vec![0, 1, 2, 1] };
    trainer.step(&batch).unwrap();
    let moved = block_on(trainer.to_model(model)).unwrap();
    trainer.step(&batch).unwrap();
    let losses = block_on(trainer.losses()).unwrap();
    let tensors = |m: &Model| -> Vec<f32> {
        let trained: Vec<String> = trainer.trained().map(str::to_owned).collect();
        let all = m.graph().initializer.iter().filter(|t| trained.iter().any(|n| t.name.as_ref() == Some(n)));
        all.flat_map(|t| m.tensor(t).unwrap().to_f32().unwrap()).collect()
    };
    let length: f64 = (tensors(model).iter().zip(tensors(&moved))).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    (f64::from(losses[0] - losses[1]), length / rate)
}

#[test]
fn steps_change_the_loss_as_slopes_promise() {
    let mut wrong = Vec::new();
    for (name, extra, body) in CASES {
        let model = model(name, extra, body);
        // A rate for which the loss changes by about a thousandth: far from rounding, and nearly in a line.
        let (_, first) = step(&model, 1e-3);
        let rate = 1e-3 * 1e-3 / first.max(1e-9);
        let (change, promised) = step(&model, rate.min(0.5));
        println!("{name}: {change:.2e} of {promised:.2e}");
        if !(promised > 1e-5 && (change / promised - 1.0).abs() < 0.03) {
            wrong.push(format!("{name}: the loss falls by {change:.3e} instead of {promised:.3e}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
