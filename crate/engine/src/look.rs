//! A network that is run to be looked at: what its layers make of an image, and which of their channels stay silent.

use crate::batch::{Control, Ended};
use crate::device::Device;
use crate::ops::Mode;
use crate::run::{Network, Slot};
use crate::score::{Sample, by_channel, maps, read_all};
use crate::tensor::DeviceTensor;
use crate::value::{HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::graph::{Graph, Origin};
use lopper_core::score::Layer;
use lopper_core::{Code, Error, Result};

/// What the channels of a layer hold for one image, behind the layer's activation.
#[derive(Clone, Debug, PartialEq)]
pub struct Maps {
    /// Rows of each channel's map.
    pub height: usize,
    /// Columns of each channel's map.
    pub width: usize,
    /// All maps, one channel after the other, row-major.
    pub values: Vec<f32>,
}

/// Runs a batch as far as a layer and gives the maps of its first image.
///
/// # Errors
/// When the graph cannot be run, the batch does not fit it, or the layer's channels form no maps of an image.
pub async fn feature_maps(graph: &Graph, device: &Device, layer: &Layer, batch: &Sample) -> Result<Maps> {
    let network = Network::load_for_values(graph.clone(), device, vec![layer.read])?;
    let images = batch.dims.first().copied().unwrap_or(0);
    let mut found: Option<Result<(DeviceTensor, usize)>> = None;
    let mut tap = |slot: Slot, value: Value| -> Result<Value> {
        if slot == Slot::from(layer.read) {
            found = Some(value.clone().on(device.inner()).and_then(|seen| maps(seen, layer.output.1, images)));
        }
        Ok(value)
    };
    pass(&network, batch, &mut tap)?;
    let unseen = || Error::new(Code::BadNode, "this layer is not reached when the model runs");
    let (seen, width) = found.ok_or_else(unseen)??;
    let dims = seen.dims();
    let channels = dims.get(1).copied().unwrap_or(1);
    let host = seen.download().await?;
    let values = host.as_f32().ok_or_else(|| Error::new(Code::Unsupported, "this layer makes no real numbers"))?;
    let values = values.get(..values.len() / images.max(1)).unwrap_or_default().to_vec();
    let width = if dims.len() == 4 { width } else { 1 };
    Ok(Maps { height: values.len() / (channels * width).max(1), width, values })
}

/// The largest absolute value of every channel of every layer over some images, behind the layer's activation. Layers whose
/// channels cannot be told apart have none. `on_batch` is told how many images are done.
///
/// # Errors
/// When the graph cannot be run, batches do not fit it, or the device fails.
pub async fn peaks(
    graph: &Graph,
    device: &Device,
    layers: &[Layer],
    batches: impl IntoIterator<Item = Result<Sample>>,
    mut on_batch: impl AsyncFnMut(usize) -> Control,
) -> Result<(Vec<Option<Vec<f64>>>, Ended)> {
    let computed = |l: &&Layer| graph.values[l.read].origin != Origin::Input;
    let values = layers.iter().filter(computed).map(|l| l.read).collect();
    let network = Network::load_for_values(graph.clone(), device, values)?;
    let mut out: Vec<Option<Vec<f64>>> = vec![None; layers.len()];
    let mut done = 0;
    for batch in batches {
        let batch = batch?;
        let images = batch.dims.first().copied().unwrap_or(0);
        let (mut places, mut parts): (Vec<usize>, Vec<Tensor<1>>) = (Vec::new(), Vec::new());
        let mut tap = |slot: Slot, value: Value| -> Result<Value> {
            for (place, layer) in layers.iter().enumerate().filter(|(_, l)| Slot::from(l.read) == slot) {
                if let Ok(seen) = by_channel(value.clone().on(device.inner())?, layer.output.1, images) {
                    places.push(place);
                    parts.push(seen.abs().max_dim(2).max_dim(0).flatten(0, 2));
                }
            }
            Ok(value)
        };
        pass(&network, &batch, &mut tap)?;
        for (place, now) in places.into_iter().zip(read_all(parts).await?) {
            let Some(slot) = out.get_mut(place) else { continue };
            let before = slot.get_or_insert_with(|| vec![0.0; now.len()]);
            before.iter_mut().zip(now).for_each(|(most, v)| *most = most.max(v));
        }
        done += images;
        match on_batch(done).await {
            Control::Continue => {}
            Control::Pause => return Ok((out, Ended::Paused)),
            Control::Cancel => return Ok((out, Ended::Cancelled)),
        }
    }
    Ok((out, Ended::Done))
}

fn pass(network: &Network, batch: &Sample, tap: &mut dyn FnMut(Slot, Value) -> Result<Value>) -> Result<()> {
    let input = Value::from(HostTensor::f32(batch.dims.clone(), batch.values.clone())?);
    let inputs = vec![(network.only_input()?, input)];
    network.forward_tapped(inputs, network.constants(), &mut Mode::Infer, tap).map(|_| ())
}
