//! The proof of a cut: the original with its cut channels set to zero computes what the cut model computes.

use crate::data::random::SplitMix64;
use crate::device::Device;
use crate::meaning;
use crate::run::Network;
use crate::stored;
use crate::value::{HostData, HostTensor};
use lopper_core::cut::{MaskEntry, Where, apply_mask};
use lopper_core::graph::Graph;
use lopper_core::onnx::{DataType, Model, Tensor};
use lopper_core::{Code, Error, Result};

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
/// Lengths that the model leaves open, and the range of random whole numbers.
const OPEN: usize = 16;

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
        let inputs = random_inputs(masked.graph(), &mut SplitMix64::keyed(&[seed, run]))?;
        let (want, got) = (masked.run(&inputs).await?, cut.run(&inputs).await?);
        if want.len() != got.len() {
            return Err(Error::new(Code::Invalid, format!("{} outputs became {}", want.len(), got.len())));
        }
        for ((name, want), (_, got)) in want.iter().zip(&got) {
            seen.add(want, got).map_err(|e| e.at(format!("output {name:?}")))?;
        }
    }
    Ok(seen)
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
    let mut model = stored::inlined(original)?;
    let mut quantised = Vec::new();
    for slices in mask {
        let stranger = || {
            Error::new(
                Code::BadReport,
                format!("the mask names {:?}, which the model does not have", slices.initializer),
            )
        };
        let tensor = Tensor::from_proto(stored::find(&mut model, &slices.initializer).ok_or_else(stranger)?, None)?;
        if tensor.dtype.is_float() {
            let data = zeroed(&tensor, slices)?.into();
            let place = stored::find(&mut model, &slices.initializer).ok_or_else(stranger)?;
            stored::replace(place, &Tensor { data, ..tensor });
        } else {
            quantised.push(MaskEntry {
                initializer: slices.initializer.clone(),
                axis: slices.axis,
                indices: slices.indices.clone(),
                within: slices.within.map(|b| Where { axis: b.axis, range: [b.low, b.high] }),
            });
        }
    }
    if quantised.is_empty() { Ok(model) } else { apply_mask(&model, &quantised) }
}

/// A tensor's bytes with some slices set to zero.
fn zeroed(tensor: &Tensor, slices: &MaskedSlices) -> Result<Vec<u8>> {
    let misfit = || {
        Error::new(
            Code::BadReport,
            format!("the mask of {:?} does not fit its shape {:?}", slices.initializer, tensor.dims),
        )
    };
    let axis = |axis: usize| -> Result<(usize, usize)> {
        let length = tensor.dims.get(axis).copied().filter(|&n| n > 0).ok_or_else(misfit)?;
        Ok((length, tensor.dims.iter().skip(axis + 1).product()))
    };
    let (length, inner) = axis(slices.axis)?;
    let mut gone = vec![false; length];
    for &i in &slices.indices {
        *gone.get_mut(i).ok_or_else(misfit)? = true;
    }
    let block = match slices.within {
        Some(b) => {
            let (length, inner) = axis(b.axis)?;
            if b.low > b.high || b.high > length {
                return Err(misfit());
            }
            Some((b, length, inner))
        }
        None => None,
    };
    let mut data = tensor.data.to_vec();
    for (i, element) in data.chunks_mut(tensor.dtype.bits() / 8).enumerate() {
        let inside = block.is_none_or(|(b, length, inner)| (b.low..b.high).contains(&(i / inner % length)));
        if inside && gone.get(i / inner % length) == Some(&true) {
            element.fill(0);
        }
    }
    Ok(data)
}

/// One random tensor for each input of a graph.
fn random_inputs(graph: &Graph, random: &mut SplitMix64) -> Result<Vec<(String, HostTensor)>> {
    let mut inputs = Vec::with_capacity(graph.inputs.len());
    for &id in &graph.inputs {
        let value = &graph.values[id];
        let shape = value.shape.as_ref().ok_or_else(|| {
            Error::new(
                Code::Unsupported,
                format!("input {:?} has no shape, so no random input can be made for it", value.name),
            )
        })?;
        let open = |axis: usize| if axis == 0 { BATCH } else { OPEN };
        let dims: Vec<usize> =
            shape.iter().enumerate().map(|(axis, d)| d.length().unwrap_or_else(|| open(axis))).collect();
        let count = dims.iter().product::<usize>();
        let data = match value.dtype {
            Some(DataType::Bool) => HostData::Bool(vec![true; count]),
            Some(t) if !t.is_float() => HostData::I64(meaning::draw(graph, id, count, (OPEN, OPEN), random)),
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

    fn slices(axis: usize, indices: &[usize], within: Option<Block>) -> MaskedSlices {
        MaskedSlices { initializer: "w".into(), axis, indices: indices.to_vec(), within }
    }

    fn zeroes(slices: &MaskedSlices) -> Result<Vec<f32>> {
        let t = Tensor::from_f32("w", vec![2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let data = zeroed(&t, slices)?;
        Tensor { data: data.into(), ..t }.to_f32()
    }

    #[test]
    fn masks_slices_and_blocks_of_slices() {
        assert_eq!(zeroes(&slices(1, &[0, 2], None)).unwrap(), [0.0, 2.0, 0.0, 0.0, 5.0, 0.0]);
        assert_eq!(zeroes(&slices(0, &[1], None)).unwrap(), [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
        let second = Some(Block { axis: 0, low: 1, high: 2 });
        assert_eq!(zeroes(&slices(1, &[1], second)).unwrap(), [1.0, 2.0, 3.0, 4.0, 0.0, 6.0]);
    }

    #[test]
    fn refuses_masks_that_do_not_fit() {
        for wrong in
            [slices(2, &[0], None), slices(1, &[3], None), slices(1, &[0], Some(Block { axis: 0, low: 0, high: 3 }))]
        {
            assert_eq!(zeroes(&wrong).unwrap_err().code(), Code::BadReport);
        }
    }

    #[test]
    fn what_is_no_number_counts_as_the_worst() {
        let t = |v: f32| HostTensor::f32(vec![1], vec![v]).unwrap();
        let mut seen = Agreement::default();
        seen.add(&t(1.0), &t(f32::NAN)).unwrap();
        assert_eq!(seen.relative, f64::INFINITY);
    }
}
