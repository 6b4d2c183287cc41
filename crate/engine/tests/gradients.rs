//! Whether what training moves parameters along is the slope of the loss, for every operator that the engine runs: each
//! network of `slopes/mod.rs` is asked for the slope of its loss along lines through every one of its parameters, and the
//! loss a little before and behind says what it is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod slopes;
mod support;

use lopper_core::graph::Graph;
use lopper_core::onnx::proto::TensorProto;
use lopper_core::onnx::{Model, Tensor, tensor_proto};
use lopper_engine::train::{Optimizer, Schedule, Settings, Trainer};
use lopper_engine::{Device, HostTensor, Labelled, Network, block_on};
use slopes::{CASES, Case, FLAT};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

const IMAGES: usize = 4;
/// A slope below this is none.
const LEAST: f64 = 1e-5;

/// The network of a case: a value `a` of shape [4, 4, 6, 6] becomes `z`, which a small classifier reads.
fn model(case: &Case) -> Result<Model, lopper_core::Error> {
    let extra = if case.extra.is_empty() { String::new() } else { format!(", {}", case.extra) };
    let text = |columns: usize, end: &str| {
        format!(
            "<opset {}> (float[{IMAGES},2,6,6] x) => (float[{IMAGES},3] y)
            <float[4,2,1,1] w, float[4] b, float[3,{columns}] fc, int64[2] rows = {{{IMAGES},-1}}{extra}>
            {{ a = Conv (x, w, b) {} f = Reshape (z, rows) {end} }}",
            case.opset, case.body
        )
    };
    // How many numbers come out for each image is seen in a run.
    let network = Network::load(&lopper_core::text::parse(&text(1, "y = Tanh (f)"))?, &Device::cpu())?;
    let image = HostTensor::f32(vec![IMAGES, 2, 6, 6], numbers(IMAGES * 72))?;
    let columns = block_on(network.run(&[("x".into(), image)]))?[0].1.dims[1];
    let mut model = lopper_core::text::parse(&text(columns, "square = Mul (f, f) y = Gemm <transB = 1> (square, fc)"))?;
    // Many numbers in a sum make a steep loss.
    let scale = 1.0 / (columns as f32).sqrt();
    change(&mut model, "fc", |values| values.iter_mut().for_each(|v| *v *= scale));
    Ok(model)
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
}

fn tensor<'a>(model: &'a mut Model, name: &str) -> &'a mut TensorProto {
    let graph = model.proto.graph.as_option_mut().unwrap();
    graph.initializer.iter_mut().find(|t| t.name.as_deref() == Some(name)).unwrap()
}

fn values(model: &Model, name: &str) -> Vec<f32> {
    let found = model.graph().initializer.iter().find(|t| t.name.as_deref() == Some(name)).unwrap();
    model.tensor(found).unwrap().to_f32().unwrap()
}

fn change(model: &mut Model, name: &str, f: impl FnOnce(&mut Vec<f32>)) {
    let mut own = values(model, name);
    f(&mut own);
    let place = tensor(model, name);
    let dims = place.dims.iter().map(|&d| d as usize).collect();
    *place = tensor_proto(&Tensor::from_f32(name, dims, &own));
}

fn trainer(model: &Model) -> Result<Trainer, lopper_core::Error> {
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    Trainer::new(
        model,
        &Device::cpu(),
        Settings { optimizer, rate: 1.0, schedule: Schedule::Constant, seed: 1, ..Settings::default() },
    )
}

/// The loss, and the network after one step of rate 1 along the slopes.
fn step(model: &Model) -> Result<(f64, Model, Vec<String>), lopper_core::Error> {
    let mut trainer = trainer(model)?;
    let batch = Labelled { images: numbers(IMAGES * 72), dims: vec![IMAGES, 2, 6, 6], labels: vec![0, 1, 2, 1] };
    trainer.step(&batch)?;
    let loss = f64::from(block_on(trainer.losses())?[0]);
    let moved = block_on(trainer.to_model(model))?;
    let names = trainer.trained().map(str::to_owned).collect();
    Ok((loss, moved, names))
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The slope of the loss along a line through one parameter that the losses beside it tell, `share` of a step away.
fn beside(model: &Model, name: &str, line: &[f64], promised: f64, share: f64) -> f64 {
    let own: Vec<f64> = values(model, name).into_iter().map(f64::from).collect();
    // Far enough for the loss to change by more than it is rounded, near enough for it to be nearly a line.
    let most = 1e-2 * (norm(&own) + 1e-2 * (own.len() as f64).sqrt());
    let far = share * (4e-3 / promised.abs().max(1e-9)).min(most);
    let loss = |side: f64| {
        let mut moved = model.clone();
        change(&mut moved, name, |v| {
            for ((v, o), l) in v.iter_mut().zip(&own).zip(line) {
                *v = (o + side * far * l / norm(line)) as f32;
            }
        });
        step(&moved).unwrap().0
    };
    // Two distances take away the part of the error that grows with their square.
    let wide = (loss(1.0) - loss(-1.0)) / (2.0 * far);
    let narrow = (loss(0.5) - loss(-0.5)) / far;
    (4.0 * narrow - wide) / 3.0
}

/// Whether a step follows the slope along a line, to a hundredth of the steepest: where a function has kinks only near enough.
fn follows(model: &Model, name: &str, slope: &[f64], line: &[f64]) -> Result<(), String> {
    let promised: f64 = slope.iter().zip(line).map(|(s, l)| s * l).sum::<f64>() / norm(line);
    let allowed = if norm(slope) < LEAST { 1e-3 } else { 1e-2 * norm(slope) };
    let mut seen = Vec::new();
    for share in [1.0, 0.25, 0.0625] {
        let told = beside(model, name, line, promised, share);
        if (promised - told).abs() <= allowed {
            return Ok(());
        }
        seen.push(told);
    }
    Err(format!("along {name} the loss rises by {seen:.4?} instead of {promised:.4e}"))
}

/// What is wrong with the slopes of one network.
fn faults(case: &Case) -> Vec<String> {
    let made = model(case).and_then(|m| Ok((Graph::new(&m)?, step(&m)?, m)));
    let (graph, (_, moved, names), model) = match made {
        Ok(done) => done,
        Err(e) => return vec![format!("{}: {e}", case.name)],
    };
    let (domain, op) = case.operator();
    if !graph.nodes.iter().any(|(_, n)| n.domain == domain && n.op_type == op) {
        return vec![format!("{}: no such node", case.name)];
    }
    let mut wrong = Vec::new();
    for name in names.iter().filter(|n| *n != "fc") {
        let slope: Vec<f64> =
            values(&model, name).iter().zip(values(&moved, name)).map(|(a, b)| f64::from(*a) - f64::from(b)).collect();
        let crooked: Vec<f64> = (numbers(slope.len()).iter().zip(&slope))
            .map(|(n, s)| s + f64::from(*n) * norm(&slope).max(LEAST) / (slope.len() as f64).sqrt())
            .collect();
        let lines = if norm(&slope) < LEAST {
            if !FLAT.contains(&(case.name, name)) {
                wrong.push(format!("{}: the loss does not depend on {name}", case.name));
            }
            vec![crooked]
        } else {
            vec![slope.clone(), crooked]
        };
        for line in lines {
            wrong.extend(follows(&model, name, &slope, &line).err().map(|e| format!("{}: {e}", case.name)));
        }
    }
    wrong
}

#[test]
fn slopes_are_those_of_the_loss() {
    let only = std::env::var("LOPPER_ONLY").unwrap_or_default();
    let caught = |case: &Case| {
        let asked = catch_unwind(AssertUnwindSafe(|| faults(case)));
        asked.unwrap_or_else(|_| vec![format!("{}: it panicked", case.name)])
    };
    let wrong: Vec<String> = CASES.iter().filter(|c| c.name.contains(&only)).flat_map(caught).collect();
    assert!(wrong.is_empty(), "{} faults:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_operator_that_runs_is_asked_or_has_no_slope() {
    let asked: BTreeSet<&str> = CASES.iter().map(|c| c.name.split(' ').next().unwrap()).collect();
    let without: BTreeSet<&str> = slopes::WITHOUT.iter().flat_map(|(ops, _)| ops.split(' ')).collect();
    let both: Vec<_> = asked.intersection(&without).collect();
    assert!(both.is_empty(), "asked for, and listed as without a slope: {both:?}");
    let runs = |name: &str| {
        let (domain, op) = name.rsplit_once('.').unwrap_or(("", name));
        Network::runs(domain, op)
    };
    let known = include_str!("names.txt").split_whitespace();
    let unknown: Vec<&str> = known.filter(|n| runs(n) && !asked.contains(n) && !without.contains(n)).collect();
    assert!(unknown.is_empty(), "neither asked for nor listed: {unknown:?}");
    let gone: Vec<_> = asked.union(&without).filter(|n| !runs(n)).collect();
    assert!(gone.is_empty(), "not run at all: {gone:?}");
}
