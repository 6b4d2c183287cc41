//! Recovery without gradients, on the golden ResNet-20.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::channels::Channels;
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Planner, Target};
use lopper_engine::data::random::SplitMix64;
use lopper_engine::data::{Dataset, ImageSpec, Normalization};
use lopper_engine::recover::{Refit, compensate, reestimate, refit};
use lopper_engine::score::Sample;
use lopper_engine::train::{Settings, Trainer};
use lopper_engine::verify::MaskedSlices;
use lopper_engine::{Control, Device, Ended, HostTensor, Labelled, Network, block_on};
use support::{bytes, floats, json, model, shared};

/// Batches of 64 of the golden training images.
fn batches(folder: &std::path::Path) -> Vec<lopper_core::Result<Sample>> {
    let data = Dataset::from_npz(bytes(folder.join("sgd640.npz")), ImageSpec::default()).unwrap();
    let batch = |i: u32| {
        let indices: Vec<u32> = (i * 64..(i + 1) * 64).collect();
        Ok(data.gather(&indices, &Normalization::cifar10(), None)?.into())
    };
    (0..10).map(batch).collect()
}

fn stored(model: &Model, name: &str) -> Vec<f64> {
    let tensor = model.graph().initializer.iter().find(|t| t.name.as_deref() == Some(name));
    model
        .tensor(tensor.unwrap_or_else(|| panic!("{name}")))
        .unwrap()
        .to_f32()
        .unwrap()
        .into_iter()
        .map(f64::from)
        .collect()
}

#[test]
fn statistics_are_those_of_pytorch() {
    let Some(golden) = shared("golden") else { return };
    let want = json(golden.join("resnet20.golden.json"))["bn_reestimation"]["bn"].clone();
    let before = model(golden.join("resnet20.onnx"));
    let go_on = async |_: usize| Control::Continue;
    let (after, ended) = block_on(reestimate(&before, &support::device(), batches(&golden), go_on)).unwrap();
    assert_eq!(ended, Ended::Done);
    let mut error = 0.0_f64;
    for (norm, want) in want.as_object().unwrap() {
        for statistic in ["running_mean", "running_var"] {
            let want = floats(&want[statistic]);
            let largest = want.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
            let got = stored(&after, &format!("{norm}.{statistic}"));
            assert_eq!(got.len(), want.len());
            error = got.iter().zip(&want).map(|(g, w)| (g - w).abs() / largest).fold(error, f64::max);
        }
    }
    println!("largest difference of a statistic {error:.2e} of the largest");
    assert!(error < 1e-4, "{error:e}");
}

/// The golden network with half the channels inside its blocks cut, and what went.
fn half(before: &Model) -> (Model, Vec<MaskedSlices>) {
    let graph = Graph::new(before).unwrap();
    let channels = Channels::analyze(&graph);
    let mut options = PlanOptions::new(Target::Ratio(0.5));
    options.locks = ["conv1.weight", "*.conv2.weight", "fc.*"].map(str::to_owned).to_vec();
    let plan = {
        let mut planner = Planner::new(&graph, &channels, &options).unwrap();
        while let Some(now) = planner.next_graph().unwrap() {
            planner.step(&now, &Default::default()).unwrap();
        }
        planner.finish().unwrap()
    };
    let done = cut(before, &graph, &channels, plan.removed.iter().copied()).unwrap();
    let mask = done.mask.iter().map(|m| MaskedSlices {
        initializer: m.initializer.clone(),
        axis: m.axis,
        indices: m.indices.clone(),
        within: None,
    });
    let mask = mask.collect();
    (done.model, mask)
}

/// Mean squared difference of two networks' outputs on the golden batch.
fn distance(a: &Model, b: &Model, input: &HostTensor) -> f64 {
    let device = support::device();
    let run = |m: &Model| block_on(Network::load(m, &device).unwrap().run(&[("input".into(), input.clone())])).unwrap();
    let (a, b) = (run(a), run(b));
    let pairs = a[0].1.as_f32().unwrap().iter().zip(b[0].1.as_f32().unwrap());
    pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 640.0
}

#[test]
fn each_stage_brings_a_cut_network_nearer_to_the_original() {
    let Some(golden) = shared("golden") else { return };
    let data = Dataset::from_npz(bytes(golden.join("resnet20_batch64.npz")), ImageSpec::default()).unwrap();
    let test = data.gather(&(0..64).collect::<Vec<u32>>(), &Normalization::cifar10(), None).unwrap();
    let test = HostTensor::f32(test.shape.to_vec(), test.images).unwrap();
    let device = support::device();
    for file in ["resnet20.onnx", "resnet20_folded.onnx"] {
        let original = model(golden.join(file));
        let (cut, mask) = half(&original);
        let go_on = async |_: usize, _: usize| Control::Continue;
        let both = [&original, &cut];
        let biased = block_on(compensate(both, &mask, &device, batches(&golden), go_on)).unwrap();
        let settings = Refit::default();
        let fitted = block_on(refit(both, &mask, &device, batches(&golden), &settings, go_on)).unwrap();
        let [cut, biased, fitted] = [&cut, &biased, &fitted].map(|m| distance(&original, m, &test));
        println!("{file}: distance {cut:.2} after the cut, {biased:.2} with biases, {fitted:.3} refitted");
        assert!(biased < 0.9 * cut && fitted < 0.2 * cut);
    }
}

#[test]
fn a_grouped_layer_that_was_moved_is_fitted_back() {
    let text = |groups: usize| {
        let each = 4 / groups;
        let conv = format!("y = Conv <group = {groups}, pads = [1, 1, 1, 1]> (x, w, b)");
        format!("(float[N,4,6,6] x) => (float[N,4,6,6] y) <float[4,{each},3,3] w, float[4] b> {{ {conv} }}")
    };
    let mut random = SplitMix64::new(2);
    let mut numbers = |n: usize| (0..n).map(|_| random.range(-1.0, 1.0)).collect::<Vec<f32>>();
    let dims = vec![8, 4, 6, 6];
    let batches: Vec<Sample> =
        (0..4).map(|_| Sample { values: numbers(8 * 144), dims: dims.clone(), labels: None }).collect();
    for groups in [1, 2, 4] {
        let original = lopper_core::text::parse(&text(groups)).unwrap();
        let mut trainer =
            Trainer::new(&original, &Device::cpu(), Settings { rate: 1.0, ..Settings::default() }).unwrap();
        // A class for every position.
        let batch = Labelled { images: numbers(8 * 144), dims: dims.clone(), labels: vec![0; 8 * 36] };
        trainer.step(&batch).unwrap();
        let moved = block_on(trainer.to_model(&original)).unwrap();
        let settings = Refit { ridge: 0.0, ..Refit::default() };
        let go_on = async |_: usize, _: usize| Control::Continue;
        let samples = batches.iter().cloned().map(Ok);
        let fitted = block_on(refit([&original, &moved], &[], &Device::cpu(), samples, &settings, go_on)).unwrap();
        for name in ["w", "b"] {
            let [want, before, after] = [&original, &moved, &fitted].map(|m| stored(m, name));
            let worst = |got: &[f64]| got.iter().zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max);
            assert!(
                worst(&before) > 1e-3 && worst(&after) < 1e-4,
                "{groups} groups, {name}: {} {}",
                worst(&before),
                worst(&after)
            );
        }
    }
}
