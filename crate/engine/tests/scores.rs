//! Criteria that look at images: against PyTorch's numbers, and against plain loops and differences of the loss.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::Code;
use lopper_core::graph::Graph;
use lopper_core::onnx::{Model, Tensor, tensor_proto};
use lopper_core::score::{Criterion, Measured, layers as layers_of_graph};
use lopper_engine::data::{Dataset, ImageSpec, Normalization};
use lopper_engine::eval::evaluate;
use lopper_engine::score::{Sample, measure};
use lopper_engine::{Control, Device, DeviceKind, Ended, Labelled, Network, block_on};
use serde_json::Value;
use std::path::Path;
use support::{bytes, floats, json, model, shared};

const FILES: [&str; 3] = ["resnet20.onnx", "resnet20_simplified.onnx", "resnet20_folded.onnx"];

fn samples(folder: &Path, batch: usize) -> Vec<Sample> {
    let data = Dataset::from_npz(bytes(folder.join("resnet20_batch64.npz")), ImageSpec::default()).unwrap();
    let all: Vec<u32> = (0..64).collect();
    all.chunks(batch).map(|i| data.gather(i, &Normalization::cifar10(), None).unwrap().into()).collect()
}

fn measured(model: &Model, device: &Device, criteria: &[Criterion], batches: Vec<Sample>) -> Measured {
    let graph = Graph::new(model).unwrap();
    let criteria: Vec<&Criterion> = criteria.iter().collect();
    let batches = batches.into_iter().map(Ok);
    let (measured, ended) = block_on(measure(&graph, device, &criteria, batches, async |_| Control::Continue)).unwrap();
    assert_eq!(ended, Ended::Done);
    measured
}

fn scores(measured: &Measured, criterion: &Criterion, weight: &str) -> Vec<f64> {
    measured.get(criterion, weight).unwrap_or_else(|| panic!("{criterion} {weight}")).clone().unwrap()
}

/// The largest difference, divided by the largest number that is wanted.
fn error(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let most = want.iter().copied().fold(1e-300, |a: f64, b| a.max(b.abs()));
    got.iter().zip(want).map(|(g, w)| if (g - w).is_nan() { f64::INFINITY } else { (g - w).abs() }).fold(0.0, f64::max)
        / most
}

/// Gradients on a GPU may be five times as far off.
fn times(device: &Device) -> f64 {
    if device.kind() == DeviceKind::Gpu { 5.0 } else { 1.0 }
}

fn worst(golden: &Value, measured: &Measured, criterion: &Criterion, name: &str) -> f64 {
    let layers = golden.as_object().unwrap();
    assert_eq!(layers.len(), 19);
    layers
        .iter()
        .map(|(weight, want)| error(&scores(measured, criterion, weight), &floats(&want[name])))
        .fold(0.0, f64::max)
}

#[test]
fn every_criterion_on_the_golden_batch() {
    let Some(folder) = shared("golden") else { return };
    let golden = json(folder.join("resnet20.golden.json"));
    let device = support::device();
    use Criterion as C;
    // What is taken at the weights changes when norms are folded into them; what is taken behind the norm does not.
    let all = [
        (C::ActivationTaylor, 1e-3, true),
        (C::ActivationTaylorMean, 1e-3, true),
        (C::GateTaylorSq, 1e-3, true),
        (C::GbnAbs, 1e-3, true),
        (C::ActivationMeanAbs, 1e-4, true),
        (C::Apoz, 1e-3, true),
        (C::WeightTaylorAbs, 1e-3, false),
        (C::WeightTaylorSigned, 1e-3, false),
        (C::WeightTaylorSq, 1e-3, false),
        (C::FisherObd, 1e-3, false),
        (C::WandaStructured, 1e-4, false),
    ];
    let criteria: Vec<C> = all.iter().map(|c| c.0.clone()).collect();
    for file in FILES {
        let folded = file.contains("folded");
        let of: Vec<C> = criteria.iter().filter(|c| !folded || **c != C::FisherObd).cloned().collect();
        let measured = measured(&model(folder.join(file)), &device, &of, samples(&folder, 64));
        for (criterion, tolerance, behind) in &all {
            if folded && !behind {
                continue;
            }
            let worst = worst(&golden["criteria"], &measured, criterion, criterion.name());
            println!("{file} {criterion}: {worst:.1e}");
            assert!(worst < tolerance * times(&device), "{file} {criterion}: {worst:e}");
        }
        let linear = measured.get(&C::Apoz, "fc.weight").unwrap().clone().unwrap_err();
        assert!(linear.code() == Code::Unsupported && linear.message().contains("activation_mean_abs"), "{linear}");
        assert_eq!(scores(&measured, &C::GbnAbs, "fc.weight").len(), 10);
    }
}

#[test]
fn ranks_of_the_golden_maps() {
    let Some(folder) = shared("golden") else { return };
    let golden = json(folder.join("resnet20.golden.json"));
    for file in [FILES[0], FILES[2]] {
        let measured =
            measured(&model(folder.join(file)), &support::device(), &[Criterion::Hrank], samples(&folder, 64));
        for (weight, want) in golden["criteria"].as_object().unwrap() {
            let (got, want) = (scores(&measured, &Criterion::Hrank, weight), floats(&want["hrank"]));
            let off = support::worst(got, want);
            assert!(off < 0.1, "{file} {weight}: {off}");
        }
    }
}

#[test]
fn four_batches_of_sixteen_and_single_images() {
    let Some(folder) = shared("golden") else { return };
    let golden = json(folder.join("resnet20.golden.json"));
    let device = support::device();
    use Criterion as C;
    let network = model(folder.join(FILES[0]));
    let four = [
        (C::GbnAbs, "gbn_abs_4x16"),
        (C::GateTaylorSq, "gate_taylor_sq_4x16"),
        (C::ActivationTaylorMean, "activation_taylor_mean_4x16"),
        (C::WeightTaylorAbs, "weight_taylor_abs_4x16"),
        (C::WeightTaylorSq, "weight_taylor_sq_4x16"),
        (C::GateTaylorSqPerImage, "gate_taylor_sq_per_image"),
    ];
    let criteria: Vec<C> = four.iter().map(|c| c.0.clone()).collect();
    let by_sixteen = measured(&network, &device, &criteria, samples(&folder, 16));
    for (criterion, name) in &four {
        let worst = worst(&golden["variants"], &by_sixteen, criterion, name);
        println!("{name}: {worst:.1e}");
        assert!(worst < 1e-3 * times(&device), "{name}: {worst:e}");
    }
    // What is a mean over images does not depend on how they are divided.
    let criteria = [C::ActivationTaylor, C::ActivationMeanAbs, C::Apoz, C::WandaStructured];
    let by_sixteen = measured(&network, &device, &criteria, samples(&folder, 16));
    for criterion in &criteria {
        let worst = worst(&golden["criteria"], &by_sixteen, criterion, criterion.name());
        assert!(worst < 1e-3 * times(&device), "{criterion}: {worst:e}");
    }
}

/// `g dL/dg = gamma dL/dgamma + beta dL/dbeta`, and `activation_taylor_mean` is that over images and space.
#[test]
fn a_gate_is_the_scale_and_shift_of_its_norm() {
    let Some(folder) = shared("golden") else { return };
    let golden = json(folder.join("resnet20.golden.json"));
    let device = support::device();
    let criteria = [Criterion::GbnAbs, Criterion::ActivationTaylorMean, Criterion::GateTaylorSq];
    for file in FILES {
        let measured = measured(&model(folder.join(file)), &device, &criteria, samples(&folder, 64));
        for (weight, want) in golden["variants"].as_object().unwrap() {
            let identity: Vec<f64> = floats(&want["bn_identity"]).into_iter().map(f64::abs).collect();
            let gate = scores(&measured, &criteria[0], weight);
            assert!(error(&gate, &identity) < 1e-3 * times(&device), "{file} {weight}");
            let side = if weight.starts_with("layer2") {
                16.0
            } else if weight.starts_with("layer3") {
                8.0
            } else {
                32.0
            };
            let mean: Vec<f64> =
                scores(&measured, &criteria[1], weight).iter().map(|m| m * 64.0 * side * side).collect();
            let square: Vec<f64> = scores(&measured, &criteria[2], weight).iter().map(|s| s.sqrt()).collect();
            assert!(error(&mean, &gate) < 1e-6 && error(&square, &gate) < 1e-6, "{file} {weight}");
        }
    }
}

/// Torch-Pruning 1.6.1 looks for GroupNorm where it means BatchNormalization, and its Taylor scores know of neither scales nor shifts.
#[test]
fn taylor_scores_of_weights_know_the_scale_and_shift_of_the_norm() {
    let Some(folder) = shared("golden") else { return };
    let golden = json(folder.join("resnet20.golden.json"));
    let model = model(folder.join("resnet20.onnx"));
    let graph = Graph::new(&model).unwrap();
    let device = support::device();
    let criteria = [Criterion::WeightTaylorSigned, Criterion::WeightTaylorAbs, Criterion::WeightTaylorSq];
    let measured = measured(&model, &device, &criteria, samples(&folder, 64));
    let mut norms = 0;
    for layer in layers_of_graph(&graph) {
        let Some(norm) = layer.norm else { continue };
        let scale = &graph.values[graph.nodes[norm].input(1).unwrap()].name;
        let identity = floats(&golden["variants"][&graph.values[layer.weight].name]["bn_identity"]);
        let [signed, abs, sq] = [0, 1, 2].map(|k| scores(&measured, &criteria[k], scale));
        let gate: Vec<f64> = identity.iter().map(|v| v.abs()).collect();
        assert!(error(&signed, &gate) < 1e-3 * times(&device), "{scale}");
        // |a + b| <= |a| + |b|, and (|a| + |b|)^2 is at most twice the sum of squares.
        assert!(signed.iter().zip(&abs).all(|(s, a)| *s <= a * 1.000_001 + 1e-12), "{scale}");
        assert!(abs.iter().zip(&sq).all(|(a, q)| a * a <= 2.000_01 * q + 1e-18), "{scale}");
        norms += 1;
    }
    assert_eq!(norms, 19);
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + seed * 104_729 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

/// A grouped convolution, a transposed one in blocks, a depthwise one, and linear layers stored either way; weights by
/// name.
const SHAPES: [(&str, &[usize]); 6] =
    [("a", &[4, 1, 2, 2]), ("b", &[4, 3, 2, 2]), ("d", &[6, 1, 1, 1]), ("g", &[24, 5]), ("h", &[4, 5]), ("m", &[4, 3])];

const TEXT: &str = "<opset 17> (float[N,2,2,2] x) => (float[N,3] y)
        <float[4,1,2,2] a, float[4,3,2,2] b, float[6,1,1,1] d, float[24,5] g, float[4,5] h, float[4,3] m, float[6] bias>
        { p = Conv <group = 2, pads = [0,0,1,1]> (x, a) q = Tanh (p)
          r = ConvTranspose <group = 2, strides = [2,2], pads = [1,1,1,1]> (q, b, bias)
          s = Conv <group = 6> (r, d) t = Tanh (s) f = Flatten (t)
          u = Gemm (f, g) v = Tanh (u) w = Gemm <transB = 1> (v, h) y = MatMul (w, m) }";

fn layers(weights: &[Vec<f32>]) -> Model {
    layers_of(weights, TEXT)
}

fn layers_of(weights: &[Vec<f32>], text: &str) -> Model {
    let mut parsed = lopper_core::text::parse(text).unwrap();
    for ((name, dims), values) in SHAPES.iter().zip(weights) {
        put(&mut parsed, name, dims, values);
    }
    put(&mut parsed, "bias", &[6], &numbers(6, 77));
    parsed
}

fn put(model: &mut Model, name: &str, dims: &[usize], values: &[f32]) {
    let tensor = Tensor::from_f32(name, dims.to_vec(), values);
    let graph = model.proto.graph.as_option_mut().unwrap();
    let place = graph.initializer.iter_mut().find(|t| t.name.as_deref() == Some(name)).unwrap();
    *place = tensor_proto(&tensor);
}

fn weights() -> Vec<Vec<f32>> {
    SHAPES.iter().enumerate().map(|(k, (_, dims))| numbers(dims.iter().product(), k)).collect()
}

fn images(count: usize) -> Sample {
    let labels = Some((0..count as u32).map(|i| i % 3).collect());
    Sample { values: numbers(count * 8, 5).iter().map(|v| v * 2.0).collect(), dims: vec![count, 2, 2, 2], labels }
}

fn part(all: &Sample, range: std::ops::Range<usize>) -> Sample {
    Sample {
        values: all.values[range.start * 8..range.end * 8].to_vec(),
        dims: vec![range.len(), 2, 2, 2],
        labels: Some(all.labels.as_ref().unwrap()[range].to_vec()),
    }
}

/// The mean loss of a batch.
fn loss(weights: &[Vec<f32>], batch: &Sample) -> f64 {
    let network = Network::load_classifier(&layers(weights), &Device::cpu()).unwrap();
    let labels = batch.labels.clone().unwrap();
    let batch = Labelled { images: batch.values.clone(), dims: batch.dims.clone(), labels };
    let (seen, _) = block_on(evaluate(&network, [Ok(batch)], async |_| Control::Continue)).unwrap();
    seen.loss()
}

/// How the loss changes as some elements of a weight grow by a share of themselves: `sum w dL/dw` over them.
fn slope(weight: usize, elements: &[usize], batch: &Sample) -> f64 {
    let by = |share: f32| {
        let mut all = weights();
        elements.iter().for_each(|&e| all[weight][e] *= 1.0 + share);
        loss(&all, batch)
    };
    (by(0.02) - by(-0.02)) / 0.04
}

/// Elements of each filter, found by walking through the axes.
fn filters(weight: usize) -> Vec<Vec<usize>> {
    let dims = SHAPES[weight].1;
    let per = dims.iter().skip(2).product::<usize>();
    let columns = |rows: std::ops::Range<usize>, k: usize| -> Vec<usize> {
        rows.flat_map(|i| (0..per).map(move |e| (i * dims[1] + k) * per + e)).collect()
    };
    match SHAPES[weight].0 {
        // Two blocks of inputs, three filters each.
        "b" => (0..6).map(|k| columns(k / 3 * 2..k / 3 * 2 + 2, k % 3)).collect(),
        "g" | "m" => (0..dims[1]).map(|k| columns(0..dims[0], k)).collect(),
        _ => (0..dims[0]).map(|k| (k * per * dims[1]..(k + 1) * per * dims[1]).collect()).collect(),
    }
}

#[test]
fn gradients_of_all_kinds_of_layers_are_slopes_of_the_loss() {
    use Criterion as C;
    let batch = images(4);
    let criteria = [C::WeightTaylorAbs, C::WeightTaylorSigned, C::WeightTaylorSq, C::FisherObd, C::GbnAbs];
    let measured = measured(&layers(&weights()), &Device::cpu(), &criteria, vec![batch.clone()]);
    for (at, (name, _)) in SHAPES.iter().enumerate() {
        let filters = filters(at);
        let of = |f: &dyn Fn(&Vec<usize>) -> f64| -> Vec<f64> { filters.iter().map(f).collect() };
        let check = |criterion: &C, want: Vec<f64>| {
            let got = scores(&measured, criterion, name);
            assert!(error(&got, &want) < 0.02, "{criterion} {name}: {got:?} {want:?}");
        };
        let single =
            |f: &Vec<usize>, term: fn(f64) -> f64| f.iter().map(|&e| term(slope(at, &[e], &batch))).sum::<f64>();
        check(&C::WeightTaylorSigned, of(&|f| slope(at, f, &batch).abs()));
        check(&C::WeightTaylorAbs, of(&|f| single(f, f64::abs)));
        check(&C::WeightTaylorSq, of(&|f| single(f, |s| s * s)));
        // Squaring the gradient of the batch, or keeping the last image's only, gives other numbers.
        let of_image =
            |f: &Vec<usize>, i: usize| f.iter().map(|&e| slope(at, &[e], &part(&batch, i..i + 1)).powi(2)).sum::<f64>();
        check(&C::FisherObd, of(&|f| (0..4).map(|i| of_image(f, i)).sum::<f64>() / 8.0));
        if *name != "b" {
            // Without a bias the output grows as its filter does.
            check(&C::GbnAbs, of(&|f| slope(at, f, &batch).abs()));
        }
    }
}

/// A last batch of one image counts as one image: the sums of its gradients are not divided by its own size.
#[test]
fn a_short_last_batch_does_not_weigh_too_much() {
    use Criterion as C;
    let all = images(4);
    let network = layers(&weights());
    let criteria = [C::ActivationTaylorMean, C::GbnAbs, C::GateTaylorSq, C::ActivationTaylor, C::GateTaylorSqPerImage];
    let uneven = measured(&network, &Device::cpu(), &criteria, vec![part(&all, 0..3), part(&all, 3..4)]);
    let single: Vec<Measured> =
        (0..4).map(|i| measured(&network, &Device::cpu(), &criteria, vec![part(&all, i..i + 1)])).collect();
    let whole = measured(&network, &Device::cpu(), &criteria, vec![all.clone()]);
    let three = measured(&network, &Device::cpu(), &criteria, vec![part(&all, 0..3)]);
    for (name, _) in SHAPES {
        let of = |m: &Measured, c: usize| scores(m, &criteria[c], name);
        let mean = |list: [(&Measured, f64); 2], c: usize| -> Vec<f64> {
            let [(a, x), (b, y)] = list;
            of(a, c).iter().zip(of(b, c)).map(|(p, q)| x * p + y * q).collect()
        };
        // The signed sum over all four images, over the square of the largest batch.
        let signed: Vec<f64> = of(&whole, 0).iter().map(|v| v * 16.0 / 9.0).collect();
        assert!(error(&of(&uneven, 0), &signed) < 1e-4, "{name}");
        assert!(error(&of(&uneven, 1), &mean([(&three, 1.0), (&single[3], 1.0 / 3.0)], 1)) < 1e-4, "{name}");
        assert!(error(&of(&uneven, 2), &mean([(&three, 0.75), (&single[3], 0.25)], 2)) < 1e-4, "{name}");
        for c in [3, 4] {
            let by_image: Vec<Vec<f64>> = single.iter().map(|m| of(m, c)).collect();
            let mean: Vec<f64> =
                (0..by_image[0].len()).map(|k| by_image.iter().map(|i| i[k]).sum::<f64>() / 4.0).collect();
            assert!(error(&of(&uneven, c), &mean) < 1e-4 && error(&of(&whole, c), &mean) < 1e-4, "{name}");
        }
    }
}

/// Filters meet the inputs of their own group; a transposed convolution sums over axis 0, block by block.
#[test]
fn wanda_takes_the_inputs_that_a_filter_meets() {
    let norms = |x: &[f32], channels: usize, images: usize| -> Vec<f64> {
        let space = x.len() / channels / images;
        let of = |c: usize| (0..images).flat_map(move |n| (0..space).map(move |s| (n * channels + c) * space + s));
        (0..channels).map(|c| (of(c).map(|i| f64::from(x[i]).powi(2)).sum::<f64>() / images as f64).sqrt()).collect()
    };
    let x = numbers(3 * 4 * 4, 9);
    let s = norms(&x, 4, 3);
    let w = numbers(24, 1);
    let at = |i: usize| f64::from(w[i]).abs();
    let cases: [(&str, &str, [usize; 4], Vec<f64>); 3] = [
        (
            "Conv <group = 2> (x, w)",
            "float[6,2,1,2] w",
            [3, 4, 2, 2],
            (0..6).map(|k| (0..4).map(|e| at(k * 4 + e) * s[k / 3 * 2 + e / 2]).sum()).collect(),
        ),
        (
            "ConvTranspose <group = 2> (x, w)",
            "float[4,3,2,1] w",
            [3, 4, 2, 2],
            (0..6)
                .map(|k| {
                    let rows = k / 3 * 2..k / 3 * 2 + 2;
                    rows.map(|j| (0..2).map(|e| at((j * 3 + k % 3) * 2 + e) * s[j]).sum::<f64>()).sum()
                })
                .collect(),
        ),
        (
            "Conv (x, w)",
            "float[3,4,2,1] w",
            [3, 4, 2, 2],
            (0..3).map(|k| (0..8).map(|e| at(k * 8 + e) * s[e / 2]).sum()).collect(),
        ),
    ];
    for (node, weight, dims, want) in cases {
        let text = format!("<opset 17> (float[N,4,2,2] x) => (y) <{weight}> {{ y = {node} }}")
            .replace("=> (y)", "=> (float[N,C,H,W] y)");
        let mut parsed = lopper_core::text::parse(&text).unwrap();
        let shape: Vec<usize> = weight[6..weight.find(']').unwrap()].split(',').map(|n| n.parse().unwrap()).collect();
        put(&mut parsed, "w", &shape, &w);
        let batch = Sample { values: x.clone(), dims: dims.to_vec(), labels: None };
        let measured = measured(&parsed, &Device::cpu(), &[Criterion::WandaStructured], vec![batch]);
        let got = scores(&measured, &Criterion::WandaStructured, "w");
        assert!(error(&got, &want) < 1e-6, "{node}: {got:?} {want:?}");
    }
}

/// Zeros count behind the ReLU: there are none before it. What is read of a block is behind its sum.
#[test]
fn activations_are_those_that_consumers_read() {
    let text = "<opset 17> (float[N,1,1,2] x) => (float[N,1,1,2] y)
        <float[2,1,1,1] a = {1,-1}, float[2,2,1,1] b = {1,0,0,1}, float[2] none = {0,0}, float[1,2,1,1] c = {1,1}>
        { p = Conv (x, a) q = Relu (p) r = Conv (q, b, none) s = Add (r, p) t = Relu (s) z = Conv (t, c) g = Sigmoid (z) y = Mul (z, g) }";
    let parsed = lopper_core::text::parse(text).unwrap();
    let batch = Sample { values: vec![1.0, 2.0, -3.0, 4.0], dims: vec![2, 1, 1, 2], labels: None };
    let criteria = [Criterion::Apoz, Criterion::ActivationMeanAbs];
    let measured = measured(&parsed, &Device::cpu(), &criteria, vec![batch]);
    // `p` is read twice, so what its consumers read is itself, and zeros say nothing of it.
    assert!(measured.get(&criteria[0], "a").unwrap().is_err());
    assert_eq!(scores(&measured, &criteria[1], "a"), [2.5, 2.5]);
    // The second layer: 2 relu(x) for positive x, and 0 or -x + relu(-x) .. behind the sum.
    assert_eq!(scores(&measured, &criteria[0], "b"), [0.75, 0.25]);
    assert_eq!(scores(&measured, &criteria[1], "b"), [(2.0 + 4.0 + 0.0 + 8.0) / 4.0, 6.0 / 4.0]);
    // The last one's activation is a product with its own gate.
    let z = [2.0f64, 4.0, 6.0, 8.0];
    let silu: f64 = z.iter().map(|v| v / (1.0 + (-v).exp())).sum::<f64>() / 4.0;
    assert!(error(&scores(&measured, &criteria[1], "c"), &[silu]) < 1e-6);
}

#[test]
fn what_is_missing_is_said() {
    let network = layers(&weights());
    let graph = Graph::new(&network).unwrap();
    let run = |criterion: Criterion, batches: Vec<Sample>| {
        let criteria = [&criterion];
        let batches = batches.into_iter().map(Ok);
        block_on(measure(&graph, &Device::cpu(), &criteria, batches, async |_| Control::Continue)).map(drop)
    };
    let unlabelled = Sample { labels: None, ..images(2) };
    assert!(run(Criterion::ActivationMeanAbs, vec![unlabelled.clone()]).is_ok());
    for criterion in [Criterion::GbnAbs, Criterion::FisherObd, Criterion::WeightTaylorAbs] {
        let e = run(criterion.clone(), vec![unlabelled.clone()]).unwrap_err();
        let named = e.message().contains(&format!("no labels, which {criterion} cannot"));
        assert!(e.code() == Code::BadData && named, "{e}");
        // What it offers instead does work.
        let (_, offered) = e.message().split_once("images only (").unwrap();
        for other in offered.split_once(')').unwrap().0.split(", ").map(|name| Criterion::parse(name).unwrap()) {
            assert_eq!(other.needs(), lopper_core::score::Needs::Images);
        }
    }
    // Of a mixture those are named that need labels.
    let criteria = [&Criterion::Hrank, &Criterion::GbnAbs, &Criterion::WeightTaylorSq];
    let batches = [Ok(unlabelled)];
    let e = block_on(measure(&graph, &Device::cpu(), &criteria, batches, async |_| Control::Continue)).unwrap_err();
    assert!(e.message().contains("which gbn_abs, weight_taylor_sq cannot"), "{e}");
    let wrong = Sample { labels: Some(vec![0, 9]), ..images(2) };
    assert_eq!(run(Criterion::GbnAbs, vec![wrong]).unwrap_err().code(), Code::DataMismatch);
    assert_eq!(run(Criterion::Hrank, Vec::new()).unwrap_err().code(), Code::BadData);
    let criteria = [&Criterion::FisherObd];
    let cancelled = block_on(measure(&graph, &Device::cpu(), &criteria, [Ok(images(2))], async |_| Control::Cancel));
    assert_eq!(cancelled.unwrap().1, Ended::Cancelled);
}

/// A batch that the model fixes is filled with each single image in turn.
#[test]
fn a_fixed_batch_sees_single_images() {
    let open = layers(&weights());
    let text = "float[N,2,2,2] x";
    let fixed = layers_of(&weights(), &TEXT.replace(text, &text.replace('N', "4")));
    let criteria = [Criterion::FisherObd];
    let of = |m: &Model| measured(m, &Device::cpu(), &criteria, vec![images(4)]);
    let (a, b) = (of(&open), of(&fixed));
    for (name, _) in SHAPES {
        assert!(error(&scores(&b, &criteria[0], name), &scores(&a, &criteria[0], name)) < 1e-5, "{name}");
    }
}
