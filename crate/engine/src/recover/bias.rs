//! What removed channels gave on average goes into the constants of the layers that read them (ThiNet and others; the
//! constant part of He, Channel Pruning, ICCV 2017).

use super::pairs::{Constant, Pair, Side, pairs};
use super::updated;
use crate::batch::Control;
use crate::device::Device;
use crate::score::Sample;
use crate::value::HostTensor;
use crate::verify::MaskedSlices;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use std::collections::HashSet;

/// Adds to every layer's bias, or takes off the mean of the normalisation behind it, what the removed channels of its input
/// gave it on average over images and positions. Exact only away from zero padding. Layers with neither are left as they
/// are. `on_layer` is told how many of how many layers are done.
///
/// # Errors
/// As [`refit`](super::refit).
pub async fn compensate(
    [original, cut]: [&Model; 2],
    mask: &[MaskedSlices],
    device: &Device,
    batches: impl IntoIterator<Item = Result<Sample>>,
    mut on_layer: impl AsyncFnMut(usize, usize) -> Control,
) -> Result<Model> {
    let mut original = Side::new(original, device)?;
    let now = Side::new(cut, device)?;
    for batch in batches {
        original.begin(&batch?)?;
    }
    let mut pairs: Vec<Pair> = pairs(original.network.graph(), now.network.graph(), mask).into_values().collect();
    let order: Vec<_> = original.network.step_nodes().collect();
    pairs.sort_by_key(|p| order.iter().position(|n| *n == p.before.node));
    let mut updates: Vec<(String, HostTensor)> = Vec::new();
    for (done, pair) in pairs.iter().enumerate() {
        original.run_before(pair.before.node)?;
        updates.extend(compensated(pair, &original, &now, mask).await?);
        if on_layer(done + 1, pairs.len()).await != Control::Continue {
            return Err(Error::new(Code::Cancelled, "compensation was cancelled"));
        }
    }
    updated(cut, &updates)
}

/// The new constant of a layer, if it lost inputs and has a place for one.
async fn compensated(
    pair: &Pair,
    original: &Side,
    now: &Side,
    mask: &[MaskedSlices],
) -> Result<Option<(String, HostTensor)>> {
    let (place, sign) = match pair.constant {
        Constant::Bias(bias) => (bias, 1.0),
        Constant::Mean(mean) => (mean, -1.0),
        Constant::Nowhere => return Ok(None),
    };
    let graph = original.network.graph();
    let weight = &graph.values[pair.before.weight];
    let gone: HashSet<usize> = mask
        .iter()
        .filter(|m| m.initializer == weight.name && m.axis == pair.before.sums)
        .flat_map(|m| m.indices.iter().copied())
        .collect();
    let Some(tensor) = weight.tensor.as_ref().filter(|_| !gone.is_empty()) else { return Ok(None) };
    let Some(means) = original.means(pair.before.input).await? else { return Ok(None) };
    let input_of = pair.before.inputs_of_elements(&tensor.dims);
    let filter_of = pair.before.filters.of_elements(&tensor.dims);
    let mut lost =
        vec![0.0; tensor.dims.get(pair.before.filters.axes.first().copied().unwrap_or(0)).copied().unwrap_or(0)];
    for (at, w) in tensor.to_f32()?.into_iter().enumerate() {
        let channel = input_of(at);
        if let (true, Some(sum), Some(mean)) =
            (gone.contains(&channel), lost.get_mut(filter_of(at)), means.get(channel))
        {
            *sum += f64::from(w) * mean;
        }
    }
    let old = now.stored(place).unwrap_or_default();
    let lost = pair.filters.iter().map(|f| lost.get(*f).copied().unwrap_or(0.0));
    let new: Vec<f32> = old.iter().zip(lost).map(|(o, l)| (f64::from(*o) + sign * l) as f32).collect();
    let name = now.network.graph().values[place].name.clone();
    Ok(Some((name, HostTensor::f32(vec![new.len()], new)?)))
}
