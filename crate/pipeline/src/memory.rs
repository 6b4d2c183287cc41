//! What a fine-tune will take, told before it starts.

use crate::images::Images;
use crate::options::TuneOptions;
use crate::rules::OptimizerKind;
use lopper_core::Result;
use lopper_core::graph::{Graph, Value};
use lopper_core::onnx::Model;
use lopper_engine::data::{Dataset, Pixels};

/// Bytes of a number.
pub(crate) const NUMBER: u64 = 4;
/// Answers given ahead may take so much.
const ANSWERS: u64 = 256 << 20;
/// So may what nodes that rest give; where memory is known, an eighth of it, because it is there twice while it is put together.
const RESTING: u64 = 1 << 30;

/// Numbers that a sample's value holds, where its shape tells.
fn numbers(value: &Value) -> u64 {
    let shape = value.shape.as_ref().filter(|_| value.tensor.is_none());
    shape.map_or(0, |s| s.iter().skip(1).filter_map(|d| d.length()).map(|n| n as u64).product())
}

/// Bytes that a step on so many images takes: parameters with their gradients and what the optimiser remembers, every value
/// of the network with its gradient, and the uncut model's parameters and two of its largest values.
fn estimate(graph: &Graph, taught: bool, options: &TuneOptions, images: u64) -> u64 {
    let parameters: u64 = graph.parameters().map(|(_, _, t)| t.len() as u64).sum();
    let remembered = if options.rules.optimizer == OptimizerKind::Sgd { 1 } else { 2 };
    let values: u64 = graph.values.iter().map(|(_, v)| numbers(v)).sum();
    let largest = graph.values.iter().map(|(_, v)| numbers(v)).max().unwrap_or(0);
    let teacher = if taught { parameters + 2 * largest * images } else { 0 };
    NUMBER * (parameters * (2 + remembered) + 2 * values * images + teacher)
}

/// Parts that a batch must be taken in, halved until a part fits into memory.
pub(crate) fn parts(graph: &Graph, taught: bool, options: &TuneOptions, memory: Option<u64>) -> usize {
    let Some(memory) = memory else { return 1 };
    let fits = |parts: &usize| estimate(graph, taught, options, options.batch.div_ceil(*parts) as u64) <= memory;
    let halved = std::iter::successors(Some(1), |parts| Some(parts * 2)).take_while(|parts| *parts <= options.batch);
    halved.clone().find(fits).or(halved.last()).unwrap_or(1)
}

/// Bytes of images that may lie on a device, which does not tell how much it has.
const PIXELS: usize = 256 << 20;

/// Whether the images may lie on a device.
pub(crate) fn pixels_fit(data: &Dataset) -> bool {
    matches!(data.pixels(), Pixels::Bytes(bytes) if bytes.len() <= PIXELS)
}

/// Whether so many bytes of what nodes that rest give may be kept.
pub(crate) fn rest_fits(bytes: u64, memory: Option<u64>) -> bool {
    bytes <= memory.map_or(RESTING, |m| m / 8)
}

/// Whether what the uncut model says to all training images may be kept.
pub(crate) fn answers_fit(model: &Model, images: &Images) -> Result<bool> {
    let graph = Graph::new(model)?;
    let known = |id: &lopper_core::graph::ValueId| {
        let shape = graph.values[*id].shape.as_ref()?;
        shape.iter().skip(1).map(|d| d.length().map(|n| n as u64)).product::<Option<u64>>()
    };
    let each = graph.outputs.iter().map(known).sum::<Option<u64>>();
    Ok(each.is_some_and(|n| n * NUMBER * images.split.train.len() as u64 <= ANSWERS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_halved_until_it_fits() {
        let text = "(float[N,4] x) => (float[N,8] y) <float[8,4] w> { y = Gemm <transB = 1> (x, w) }";
        let graph = Graph::new(&lopper_core::text::parse(text).unwrap()).unwrap();
        let options = TuneOptions { batch: 16, ..TuneOptions::default() };
        // 32 parameters thrice, and 12 numbers a sample twice.
        let of = |images: u64| 4 * (32 * 3 + 2 * 12 * images);
        assert_eq!(estimate(&graph, false, &options, 16), of(16));
        let cases = [(None, 1), (Some(of(16)), 1), (Some(of(16) - 1), 2), (Some(of(4)), 4), (Some(0), 16)];
        cases.into_iter().for_each(|(memory, want)| assert_eq!(parts(&graph, false, &options, memory), want));
    }
}
