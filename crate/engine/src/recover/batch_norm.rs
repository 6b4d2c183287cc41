//! Statistics of BatchNormalization taken anew from images.

use crate::batch::{Control, Ended};
use crate::device::Device;
use crate::ops::{Mode, Statistics};
use crate::run::{Network, Slot};
use crate::score::Sample;
use crate::stored;
use crate::tensor::DeviceTensor;
use crate::train::{own_statistics, write};
use crate::value::{HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::onnx::{Model, Tensor as Stored};
use lopper_core::{Code, Error, Result};
use std::collections::BTreeMap;

/// A statistic's average so far, and over how many batches.
type Average = (Tensor<1>, u32);

/// Replaces all running statistics by the averages over batches of what these show: means, and unbiased variances. Every
/// batch weighs the same, so a short last one should be left out. Weights stay. `on_batch` is told how many batches are done.
///
/// # Errors
/// When the model has no BatchNormalization, a batch does not fit it, there is none, or the device fails.
pub async fn reestimate(
    model: &Model,
    device: &Device,
    batches: impl IntoIterator<Item = Result<Sample>>,
    mut on_batch: impl AsyncFnMut(usize) -> Control,
) -> Result<(Model, Ended)> {
    let own = own_statistics(model)?;
    let model = own.as_ref().unwrap_or(model);
    let network = Network::load_for_training(model, device)?;
    let mut averages: BTreeMap<Slot, Average> = BTreeMap::new();
    for (done, batch) in batches.into_iter().enumerate() {
        let batch = batch?;
        let input = Value::from(HostTensor::f32(batch.dims, batch.values)?);
        let mut mode = Mode::Train(Vec::new());
        network.forward(vec![(network.only_input()?, input)], network.constants(), &mut mode)?;
        if let Mode::Train(seen) = mode {
            seen.into_iter().for_each(|s| add(&mut averages, s));
        }
        device.flush()?;
        match on_batch(done + 1).await {
            Control::Continue => {}
            Control::Pause => return Ok((model.clone(), Ended::Paused)),
            Control::Cancel => return Ok((model.clone(), Ended::Cancelled)),
        }
    }
    if averages.is_empty() {
        let what =
            "there is nothing to re-estimate: the model has no BatchNormalization, or no batch of images was given";
        return Err(Error::new(Code::Unsupported, what));
    }
    let mut model = stored::inlined(model, [])?;
    for (slot, (average, _)) in averages {
        let value = network.graph().values.iter().nth(slot).map(|(_, v)| v.name.clone()).unwrap_or_default();
        let host = DeviceTensor::from(average).download().await?;
        write(&mut model, &Stored::from_f32(value, host.dims.clone(), host.as_f32().unwrap_or_default()))?;
    }
    Ok((model, Ended::Done))
}

/// `average += (batch - average) / t` after batch t.
fn add(averages: &mut BTreeMap<Slot, Average>, seen: Statistics) {
    for (id, batch) in [(seen.mean_of, seen.mean), (seen.variance_of, seen.variance)] {
        let next = match averages.remove(&Slot::from(id)) {
            None => (batch, 1),
            Some((average, n)) => (average.clone() + (batch - average).div_scalar(n + 1), n + 1),
        };
        averages.insert(Slot::from(id), next);
    }
}
