//! Criteria that look at images, or whose work is worth a device: scores of filters for the core to make scores of
//! channels of.
//!
//! Everything runs in inference mode (running statistics, no dropout) with no parameter update in between. One backward
//! pass a batch serves all gradient criteria of all layers; `fisher_obd` takes one an image. CRITERIA.md, sections 1, 3
//! and 4, has the formulas.

mod activations;
mod distances;
mod gates;
mod hrank;
mod pass;
mod tally;
mod weights;

use crate::batch::{Control, Ended};
use crate::data;
use crate::device::{Device, DeviceKind};
use crate::value::{HostTensor, Value};
pub(crate) use activations::{by_channel, maps};
use lopper_core::graph::Graph;
use lopper_core::score::{Criterion, Measured, Needs, layers};
use lopper_core::{Error, Result};
use pass::Pass;
pub(crate) use pass::read_all;
use std::borrow::Borrow;
use tally::Tally;

/// A batch of a network's input, with its classes if they are known.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Values, row-major.
    pub values: Vec<f32>,
    /// Lengths of the axes, the batch first.
    pub dims: Vec<usize>,
    /// The class of each image.
    pub labels: Option<Vec<u32>>,
}

impl From<data::Batch> for Sample {
    fn from(batch: data::Batch) -> Self {
        Self { values: batch.images, dims: batch.shape.to_vec(), labels: batch.labels }
    }
}

/// A sample whose values go to a device when a pass first reads them, and stay there for every other pass.
#[derive(Clone, Debug)]
pub struct Placed {
    input: Value,
    dims: Vec<usize>,
    labels: Option<Vec<u32>>,
}

impl TryFrom<Sample> for Placed {
    type Error = Error;

    fn try_from(Sample { values, dims, labels }: Sample) -> Result<Self> {
        Ok(Self { input: HostTensor::f32(dims.clone(), values)?.into(), dims, labels })
    }
}

impl Placed {
    fn images(&self) -> usize {
        self.dims.first().copied().unwrap_or(0)
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> u64 {
        self.dims.iter().map(|&n| n as u64).product::<u64>() * size_of::<f32>() as u64
    }
}

/// The single criteria of a mixture that [`measure`] measures on a device: those that look at images, and distances
/// between filters where the device is a GPU.
pub fn measurable<'a>(criterion: &'a Criterion, device: &Device) -> Vec<&'a Criterion> {
    let mut out: Vec<&Criterion> = Vec::new();
    for (term, _) in criterion.terms() {
        let here = term.needs() != Needs::Weights || (device.kind() == DeviceKind::Gpu && term.compares());
        if here && !out.contains(&term) {
            out.push(term);
        }
    }
    out
}

/// Scores the filters of every convolution and linear layer of a graph by each of some [`measurable`] criteria. Where
/// one has no score for a weight, the result says why. `on_batch` is told how many images are done.
///
/// # Errors
/// When the graph cannot be run, batches do not fit it, classes are missing or there are no images, or the device
/// fails.
pub async fn measure(
    graph: &Graph,
    device: &Device,
    criteria: &[&Criterion],
    batches: impl IntoIterator<Item = Result<Sample>>,
    on_batch: impl AsyncFnMut(usize) -> Control,
) -> Result<(Measured, Ended)> {
    let placed = batches.into_iter().map(|batch| Placed::try_from(batch?));
    measure_placed(graph, device, criteria, placed, on_batch).await
}

/// As [`measure`], of samples that may lie on the device already: all passes of this call read what one of them put there, and so
/// do later calls that are given the same samples.
///
/// # Errors
/// As [`measure`].
pub async fn measure_placed<P: Borrow<Placed>>(
    graph: &Graph,
    device: &Device,
    criteria: &[&Criterion],
    batches: impl IntoIterator<Item = Result<P>>,
    mut on_batch: impl AsyncFnMut(usize) -> Control,
) -> Result<(Measured, Ended)> {
    let layers = layers(graph);
    let mut measured = Measured::default();
    let (by_images, by_distance): (Vec<&Criterion>, Vec<&Criterion>) =
        criteria.iter().copied().partition(|c| c.needs() != Needs::Weights);
    for term in by_distance {
        for layer in &layers {
            distances::score(graph, layer, term, device, &mut measured).await?;
            if let Some(ended) = stop(on_batch(0).await) {
                return Ok((measured, ended));
            }
        }
    }
    if by_images.is_empty() {
        return Ok((measured, Ended::Done));
    }
    let mut tally = Tally::new(&by_images, &layers);
    let pass = Pass::new(graph, device, &layers, &by_images)?;
    for batch in batches {
        let batch = batch?;
        let batch = batch.borrow();
        pass.batch(batch, &mut tally).await?;
        if by_images.contains(&&Criterion::FisherObd) {
            for image in 0..batch.images() {
                pass.image(batch, image, &mut tally).await?;
                if let Some(ended) = stop(on_batch(tally.images() - batch.images() + image).await) {
                    return Ok((measured, ended));
                }
            }
        }
        if let Some(ended) = stop(on_batch(tally.images()).await) {
            return Ok((measured, ended));
        }
    }
    tally.close(graph, &mut measured)?;
    Ok((measured, Ended::Done))
}

fn stop(control: Control) -> Option<Ended> {
    match control {
        Control::Continue => None,
        Control::Pause => Some(Ended::Paused),
        Control::Cancel => Some(Ended::Cancelled),
    }
}
