//! The proof of a cut: the original with its cut channels set to zero computes what the cut model computes.

use crate::data::random::SplitMix64;
use crate::device::Device;
use crate::meaning;
use crate::run::Network;
use crate::stored;
use crate::value::{HostData, HostTensor};
use lopper_core::cut::{MaskEntry, Where, apply_mask, zero};
use lopper_core::graph::{Dim, Graph};
use lopper_core::onnx::{DataType, Model, Tensor};
use lopper_core::{Class, Code, Error, Result};
use std::collections::BTreeMap;

/// A part of another axis to which a mask is confined: blocks of grouped convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// The axis that is divided.
    pub axis: usize,
    /// First position of the block.
    pub low: usize,
    /// First position after it.
    pub high: usize,
}

/// Slices of an initializer of the original that are set to zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedSlices {
    /// The initializer, or the output of a Constant node.
    pub initializer: String,
    /// The axis that the indices count along.
    pub axis: usize,
    /// Positions on that axis.
    pub indices: Vec<usize>,
    /// Only inside this block.
    pub within: Option<Block>,
}

/// How far two networks agree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// The largest difference of any output.
    pub difference: f64,
    /// The largest output of the masked original.
    pub largest: f64,
    /// The largest difference of any output, each divided by the largest of its own.
    pub relative: f64,
}

/// How many random batches are compared, and of how many images.
const RUNS: u64 = 2;
const BATCH: usize = 2;
/// Lengths that the model leaves open.
const OPEN: usize = 16;
/// How many other lengths are tried where the model does not run with that one.
const OTHERS: usize = 8;
/// Random whole numbers stay below the first of these with which the model runs: they may be positions along short axes.
const RANGES: [usize; 3] = [16, 2, 1];

/// Runs the masked original and the cut model side by side on random input on the CPU.
///
/// # Errors
/// When the mask does not fit the original, or either model cannot be run.
pub async fn compare(original: &Model, cut: &Model, mask: &[MaskedSlices], seed: u64) -> Result<Agreement> {
    let device = Device::cpu();
    let masked = Network::load(&masked(original, mask)?, &device)?;
    let cut = Network::load(cut, &device)?;
    let mut seen = Agreement::default();
    for run in 0..RUNS {
        let (inputs, want) = run_once(&masked, &[seed, run]).await.map_err(not_run)?;
        let got = cut.run(&inputs).await?;
        if want.len() != got.len() {
            return Err(Error::new(Code::Invalid, format!("{} outputs became {}", want.len(), got.len())));
        }
        for ((name, want), (_, got)) in want.iter().zip(&got) {
            seen.add(want, got).map_err(|e| e.at(format!("output {name:?}")))?;
        }
    }
    Ok(seen)
}

/// What keeps the original itself from running says nothing of the cut.
fn not_run(e: Error) -> Error {
    match e.code().class() {
        Class::Device => e,
        _ => Error::new(Code::Unsupported, format!("the original does not run here on random input: {}", e.message())),
    }
}

/// Inputs and outputs of a network by name.
type Named = Vec<(String, HostTensor)>;

/// Random inputs that the network takes, and what it makes of them.
async fn run_once(network: &Network, seed: &[u64]) -> Result<(Named, Named)> {
    let mut last = Error::new(Code::Invalid, "no random input was made");
    for open in open_lengths(network.graph()) {
        for range in RANGES {
            let inputs = random_inputs(network.graph(), &mut SplitMix64::keyed(seed), range, open)?;
            match network.run(&inputs).await {
                Ok(outputs) => return Ok((inputs, outputs)),
                Err(e) if e.code() == Code::BadShape => last = e,
                Err(e) => return Err(e),
            }
        }
    }
    Err(last)
}

/// What lengths that the model leaves open may be. A tracer can have fixed one all the same: then it is the length of an inner
/// axis, and the most frequent ones are tried.
fn open_lengths(graph: &Graph) -> Vec<usize> {
    let mut often: BTreeMap<usize, usize> = BTreeMap::new();
    for id in graph.nodes.iter().flat_map(|(_, n)| n.outputs.iter().flatten()) {
        for n in graph.values[*id].shape.iter().flatten().filter_map(Dim::length).filter(|n| *n > 1) {
            *often.entry(n).or_default() += 1;
        }
    }
    let mut others: Vec<(usize, usize)> = often.into_iter().filter(|(n, _)| *n != OPEN).collect();
    others.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    std::iter::once(OPEN).chain(others.into_iter().map(|(n, _)| n).take(OTHERS)).collect()
}

impl Agreement {
    fn add(&mut self, want: &HostTensor, got: &HostTensor) -> Result<()> {
        if want.dims != got.dims {
            return Err(Error::new(Code::Invalid, format!("shape {:?} became {:?}", want.dims, got.dims)));
        }
        let (want, got) = (want.data.to_f32(), got.data.to_f32());
        // NaN compares as nothing; it must count as the worst.
        let size = |v: f64| if v.is_finite() { v.abs() } else { f64::INFINITY };
        let largest = want.iter().map(|&v| size(f64::from(v))).fold(0.0, f64::max);
        let difference = want.iter().zip(&got).map(|(&a, &b)| size(f64::from(a) - f64::from(b))).fold(0.0, f64::max);
        self.largest = self.largest.max(largest);
        self.difference = self.difference.max(difference);
        self.relative = self.relative.max(if difference == 0.0 { 0.0 } else { difference / largest.max(1e-12) });
        Ok(())
    }
}

/// The original with the mask's slices set to zero, quantised ones to their zero points.
fn masked(original: &Model, mask: &[MaskedSlices]) -> Result<Model> {
    let mut by_name: BTreeMap<&str, Vec<MaskEntry>> = BTreeMap::new();
    for s in mask {
        let within = s.within.map(|b| Where { axis: b.axis, range: [b.low, b.high] });
        let (axis, indices) = (s.axis, s.indices.clone());
        let entry = MaskEntry { initializer: String::new(), axis, indices, within };
        by_name.entry(&s.initializer).or_default().push(entry);
    }
    let mut model = stored::inlined(original, by_name.keys().copied())?;
    let mut quantised = Vec::new();
    for (name, place) in stored::all(&mut model) {
        let Some(entries) = by_name.remove(name.as_str()) else { continue };
        let tensor = Tensor::from_proto(place, None)?;
        if tensor.dtype.is_float() {
            let data = zeroed(&tensor, &entries)?.into();
            stored::replace(place, &Tensor { data, ..tensor });
        } else {
            quantised.extend(entries.into_iter().map(|e| MaskEntry { initializer: name.clone(), ..e }));
        }
    }
    if let Some((name, _)) = by_name.first_key_value() {
        let what = format!("the mask names {name:?}, which the model does not have");
        return Err(Error::new(Code::BadReport, what));
    }
    if quantised.is_empty() { Ok(model) } else { apply_mask(&model, &quantised) }
}

/// A tensor's bytes with some slices set to zero.
fn zeroed(tensor: &Tensor, entries: &[MaskEntry]) -> Result<Vec<u8>> {
    let mut data = tensor.bytes()?.to_vec();
    zero(&mut data, &tensor.dims, &entries.iter().collect::<Vec<_>>()).ok_or_else(|| {
        let (name, dims) = (&tensor.name, &tensor.dims);
        Error::new(Code::BadReport, format!("the mask of {name:?} does not fit its shape {dims:?}"))
    })?;
    Ok(data)
}

/// One random tensor for each input of a graph; whole numbers are below `range`, lengths that the model leaves open are `open`.
fn random_inputs(graph: &Graph, random: &mut SplitMix64, range: usize, open: usize) -> Result<Named> {
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for &id in &graph.inputs {
        let value = &graph.values[id];
        let shape = value.shape.as_ref().ok_or_else(|| {
            Error::new(
                Code::Unsupported,
                format!("input {:?} has no shape, so no random input can be made for it", value.name),
            )
        })?;
        let open = |axis: usize| if axis == 0 { BATCH } else { open };
        let dims: Vec<usize> =
            shape.iter().enumerate().map(|(axis, d)| d.length().unwrap_or_else(|| open(axis))).collect();
        let count = dims.iter().product::<usize>();
        let data = match value.dtype {
            Some(DataType::Bool) => HostData::Bool(vec![true; count]),
            Some(t) if !t.is_float() => HostData::I64(meaning::draw(graph, id, count, (range, open(1)), random)),
            _ => HostData::F32((0..count).map(|_| normal(random)).collect()),
        };
        inputs.push((value.name.clone(), HostTensor::new(dims, data)?));
    }
    Ok(inputs)
}

/// A number of the normal distribution (Box and Muller).
fn normal(random: &mut SplitMix64) -> f32 {
    let radius = (-2.0 * (1.0 - random.unit()).ln()).sqrt();
    radius * (std::f32::consts::TAU * random.unit()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_counts_as_the_worst() {
        let t = |v: f32| HostTensor::f32(vec![1], vec![v]).unwrap();
        let mut seen = Agreement::default();
        seen.add(&t(1.0), &t(f32::NAN)).unwrap();
        assert_eq!(seen.relative, f64::INFINITY);
    }
}
