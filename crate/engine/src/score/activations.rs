//! Criteria of activations that one number an image and channel decides: `activation_mean_abs`, `apoz` and
//! `wanda_structured`.

use super::pass::out_of_step;
use crate::tensor::DeviceTensor;
use burn::tensor::Tensor;
use lopper_core::onnx::Tensor as Stored;
use lopper_core::score::{Criterion, Layer};
use lopper_core::{Code, Error, Result};

/// A value as images, channels, and the elements of one image and channel.
pub(crate) fn by_channel(value: DeviceTensor, axis: usize, images: usize) -> Result<Tensor<3>> {
    let dims = value.dims();
    let (rows, channels) = (dims.first().copied().unwrap_or(0), dims.get(axis).copied().unwrap_or(0));
    if axis == 0 || images == 0 || channels == 0 || !rows.is_multiple_of(images) {
        return Err(out_of_step(&dims, images));
    }
    let space = dims.iter().product::<usize>() / (images * channels);
    // Windows of one image lie together, so they are more of its space.
    let windows = rows / images;
    let (dims, axis) = match windows {
        1 => (dims, axis),
        _ => ([images, windows].into_iter().chain(dims.into_iter().skip(1)).collect(), axis + 1),
    };
    let rest = (1..dims.len()).filter(|a| *a != axis);
    let order: Vec<usize> = [0, axis].into_iter().chain(rest).collect();
    value.reshape(&dims)?.permute(&order)?.reshape(&[images, channels, space])?.float()
}

/// A value as maps of each image and channel, and how wide these are.
pub(crate) fn maps(value: DeviceTensor, axis: usize, images: usize) -> Result<(DeviceTensor, usize)> {
    match (value.dims().as_slice(), axis) {
        (&[n, _, _, width], 1) if n == images => Ok((value, width)),
        (&[n, _, width, _], 3) if n == images => Ok((value.permute(&[0, 3, 1, 2])?, width)),
        (&[n, ..], _) if n == images && value.rank() < 4 => Ok((by_channel(value, axis, images)?.into(), 1)),
        (dims, _) => Err(Error::new(
            Code::Unsupported,
            format!("maps of shape {dims:?} have no rank; score by activation_mean_abs instead, or lock the group"),
        )),
    }
}

/// What each image and channel adds to a criterion, image after image, at `Z` or, for Wanda, at the layer's input.
pub(super) fn terms(criterion: &Criterion, seen: Tensor<3>) -> Tensor<1> {
    match criterion {
        Criterion::ActivationMeanAbs => seen.abs().mean_dim(2).flatten(0, 2),
        // Exact zeros only, and only behind a rectifier.
        Criterion::Apoz => (seen.equal_elem(0.0).float().mean_dim(2).mul_scalar(-1.0).add_scalar(1.0)).flatten(0, 2),
        _ => (seen.clone() * seen).sum_dim(2).flatten(0, 2),
    }
}

/// `sum |W| s` for every filter of a layer, `s` being the norm of the input channel that an element meets.
pub(super) fn wanda(layer: &Layer, weight: &Stored, squares: &[f64], images: usize) -> Result<Vec<f64>> {
    let norms: Vec<f64> = squares.iter().map(|s| (s / images.max(1) as f64).sqrt()).collect();
    let (position, input) = (layer.filters.of_elements(&weight.dims), layer.inputs_of_elements(&weight.dims));
    let mut out = vec![0.0; layer.filters.count(&weight.dims)];
    for (at, w) in weight.to_f32()?.into_iter().enumerate() {
        let norm = norms.get(input(at)).ok_or_else(|| {
            Error::new(Code::BadShape, format!("{} input channels do not fit weights {:?}", norms.len(), weight.dims))
        })?;
        if let Some(sum) = out.get_mut(position(at)) {
            *sum += f64::from(w).abs() * norm;
        }
    }
    Ok(out)
}

/// Why a layer has no score by zeros, if it has none.
pub(super) fn rectified(layer: &Layer) -> Result<()> {
    if layer.rectified {
        return Ok(());
    }
    Err(Error::new(
        Code::Unsupported,
        "its output does not go through a ReLU first, so zeros say nothing; score by activation_mean_abs instead, or lock the group",
    ))
}
