//! The engine against numbers from PyTorch in float64 and from ONNX Runtime.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_engine::data::{Dataset, ImageSpec, Normalization};
use lopper_engine::train::{Optimizer, Schedule, Settings, Trainer};
use lopper_engine::{HostTensor, Labelled, Network, block_on};
use support::{bytes, floats, json, model, shared, worst};

const FILES: [&str; 3] = ["resnet20.onnx", "resnet20_simplified.onnx", "resnet20_folded.onnx"];

fn images(folder: &std::path::Path, file: &str) -> Dataset {
    Dataset::from_npz(bytes(folder.join(file)), ImageSpec::default()).unwrap()
}

fn batch(data: &Dataset, range: std::ops::Range<u32>) -> (HostTensor, Vec<u32>) {
    let indices: Vec<u32> = range.collect();
    let batch = data.gather(&indices, &Normalization::cifar10(), None).unwrap();
    (HostTensor::f32(batch.shape.to_vec(), batch.images).unwrap(), batch.labels.unwrap())
}

#[test]
fn logits_of_the_golden_batch() {
    let Some(golden) = shared("golden") else { return };
    let want = floats(&json(golden.join("resnet20.golden.json"))["logits"]);
    let (input, _) = batch(&images(&golden, "resnet20_batch64.npz"), 0..64);
    let device = support::device();
    for file in FILES {
        let network = Network::load(&model(golden.join(file)), &device).unwrap();
        let outputs = block_on(network.run(&[("input".into(), input.clone())])).unwrap();
        let (name, logits) = &outputs[0];
        let error = worst(logits.as_f32().unwrap().iter().map(|&v| f64::from(v)), want.iter().copied());
        println!("{file}: largest difference of the logits {error:.2e}");
        assert_eq!((name.as_str(), logits.dims.as_slice()), ("logits", [64, 10].as_slice()));
        assert!(error < 1e-4, "{file}: {error:e}");
    }
}

/// The losses of the 20 golden steps with an optimiser, and the trainer after them.
fn twenty_steps(optimizer: Optimizer, rate: f64) -> Option<(Vec<f64>, serde_json::Value, Trainer)> {
    let golden = shared("golden")?;
    let data = images(&golden, "sgd640.npz");
    let settings = Settings { optimizer, rate, schedule: Schedule::Constant, seed: 0, ..Settings::default() };
    let mut trainer = Trainer::new(&model(golden.join("resnet20.onnx")), &support::device(), settings).unwrap();
    assert_eq!(trainer.trained().count(), 19 + 2 * 19 + 2, "19 convolutions, 19 norms, one linear layer");
    for i in 0..20 {
        let (input, labels) = batch(&data, i * 32..(i + 1) * 32);
        trainer.step(&Labelled { dims: input.dims.clone(), images: input.as_f32().unwrap().to_vec(), labels }).unwrap();
    }
    let losses = block_on(trainer.losses()).unwrap().into_iter().map(f64::from).collect();
    Some((losses, json(golden.join("resnet20.golden.json"))["training"].clone(), trainer))
}

const SGD: Optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 };

#[test]
fn losses_and_statistics_of_small_sgd_steps() {
    let Some((losses, golden, trainer)) = twenty_steps(SGD, 0.002) else { return };
    let golden = &golden["sgd_small"];
    let error = worst(losses, floats(&golden["losses"]));
    println!("sgd_small: largest difference of 20 losses {error:.2e}");
    assert!(error < 1e-4, "{error:e}");

    let folder = shared("golden").unwrap();
    let before = model(folder.join("resnet20.onnx"));
    let after = block_on(trainer.to_model(&before)).unwrap();
    let stored = |name: String| {
        let tensor = after.graph().initializer.iter().find(|t| t.name.as_deref() == Some(&name));
        let values = after.tensor(tensor.unwrap_or_else(|| panic!("{name}"))).unwrap().to_f32().unwrap();
        values.into_iter().map(f64::from).collect::<Vec<_>>()
    };
    let (mut mean, mut variance) = (0.0_f64, 0.0_f64);
    for (norm, want) in golden["bn_after"].as_object().unwrap() {
        mean = mean.max(worst(stored(format!("{norm}.running_mean")), floats(&want["running_mean"])));
        let want = floats(&want["running_var"]);
        let got = stored(format!("{norm}.running_var"));
        variance = variance.max(got.iter().zip(&want).map(|(g, w)| (g - w).abs() / w).fold(0.0, f64::max));
    }
    println!("sgd_small: largest difference of running means {mean:.2e}, of variances {variance:.2e} of their value");
    assert!(mean < 1e-4 && variance < 1e-3, "{mean:e} {variance:e}");
}

#[test]
fn first_losses_of_large_sgd_steps() {
    let Some((losses, golden, _)) = twenty_steps(SGD, 0.05) else { return };
    let want = floats(&golden["sgd"]["losses"]);
    let (five, eight) =
        (worst(losses[..5].to_vec(), want[..5].to_vec()), worst(losses[..8].to_vec(), want[..8].to_vec()));
    println!("sgd: largest difference of 5 losses {five:.2e}, of 8 {eight:.2e}");
    assert!(five < 1e-3 && eight < 5e-3, "{five:e} {eight:e}");
}

#[test]
fn losses_of_adamw_steps() {
    let adamw = Optimizer::AdamW { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.01 };
    let Some((losses, golden, _)) = twenty_steps(adamw, 1e-3) else { return };
    let want = floats(&golden["adamw"]["losses"]);
    let (three, six) =
        (worst(losses[..3].to_vec(), want[..3].to_vec()), worst(losses[..6].to_vec(), want[..6].to_vec()));
    let all = worst(losses, want);
    println!("adamw: largest difference of 3 losses {three:.2e}, of 6 {six:.2e}, of 20 {all:.2e}");
    // The fourth step already depends on which activations rounding puts on which side of zero: PyTorch in float32 is
    // off by 4e-4 to 6e-4 there, depending on its threads. The rule itself is tested beside it, number by number.
    assert!(three < 1e-4 && six < 1e-3 && all < 1e-2, "{three:e} {six:e} {all:e}");
}

/// Not a test: `LOPPER_DEVICE=gpu cargo test --release -p lopper-engine --test golden --features webgpu -- --ignored --nocapture`.
#[test]
#[ignore = "prints times"]
fn milliseconds_of_a_step() {
    let Some(golden) = shared("golden") else { return };
    let data = images(&golden, "sgd640.npz");
    let device = support::device();
    let mut trainer =
        Trainer::new(&model(golden.join("resnet20_simplified.onnx")), &device, Settings::default()).unwrap();
    for _ in 0..4 {
        let (input, labels) = batch(&data, 0..32);
        let start = std::time::Instant::now();
        trainer.step(&Labelled { dims: input.dims.clone(), images: input.as_f32().unwrap().to_vec(), labels }).unwrap();
        let losses = block_on(trainer.losses()).unwrap();
        println!("{:.0} ms a step, loss {losses:?}", start.elapsed().as_secs_f64() * 1e3);
    }
}
