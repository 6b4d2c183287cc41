//! Images with their classes, as training and evaluation take them.

use crate::data;
use lopper_core::{Code, Error, Result};

/// A batch of images in NCHW order with one class each.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// Values, row-major.
    pub images: Vec<f32>,
    /// Lengths of the axes, the batch first.
    pub dims: Vec<usize>,
    /// The class of each image.
    pub labels: Vec<u32>,
}

impl TryFrom<data::Batch> for Labelled {
    type Error = Error;

    fn try_from(batch: data::Batch) -> Result<Self> {
        let labels = batch.labels.ok_or_else(|| {
            Error::new(Code::BadData, "the images have no labels: put each class in a folder of its own")
        })?;
        Ok(Self { images: batch.images, dims: batch.shape.to_vec(), labels })
    }
}

/// Refuses labels that are not as many as they should be, and classes that the network does not know.
pub(crate) fn check_labels(labels: &[u32], wanted: usize, classes: usize) -> Result<()> {
    if labels.len() != wanted || labels.is_empty() {
        return Err(Error::new(Code::BadData, format!("{} labels where {wanted} are needed", labels.len())));
    }
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => Err(Error::new(
            Code::DataMismatch,
            format!("label {label} is beyond the {classes} classes that the model tells apart"),
        )),
        None => Ok(()),
    }
}

/// What a caller wants after each step or batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Stop here; the state is kept and the run can go on later.
    Pause,
    /// Stop for good.
    Cancel,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was done.
    Done,
    /// It was paused.
    Paused,
    /// It was cancelled.
    Cancelled,
}
