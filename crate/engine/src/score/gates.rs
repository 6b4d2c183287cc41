//! Criteria taken at `Y`, the output of a layer's BatchNormalization or of the layer: `activation_taylor`,
//! `activation_taylor_mean`, `gate_taylor_sq` and `gbn_abs`.
//!
//! A gate of ones, one number an image and channel, multiplies `Y`. Its gradient is the sum over space of `Y dL/dY`,
//! from which all of these follow.

use super::pass::out_of_step;
use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::{Device, Shape, Tensor};
use lopper_core::Result;
use lopper_core::score::Criterion;

pub(super) const CRITERIA: [Criterion; 5] = [
    Criterion::ActivationTaylor,
    Criterion::ActivationTaylorMean,
    Criterion::GateTaylorSq,
    Criterion::GateTaylorSqPerImage,
    Criterion::GbnAbs,
];

/// A gate behind a value.
pub(super) struct Gate {
    pub(super) layer: usize,
    pub(super) leaf: DeviceTensor,
    pub(super) channels: usize,
    /// Elements of one image and channel.
    pub(super) space: usize,
}

/// Multiplies a value by a gate of ones.
pub(super) fn open(
    value: DeviceTensor,
    layer: usize,
    axis: usize,
    images: usize,
    device: &Device,
) -> Result<(DeviceTensor, Gate)> {
    let dims = value.dims();
    let (rows, channels) = (dims.first().copied().unwrap_or(0), dims.get(axis).copied().unwrap_or(0));
    if axis == 0 || images == 0 || channels == 0 || !rows.is_multiple_of(images) {
        return Err(out_of_step(&dims, images));
    }
    let space = dims.iter().product::<usize>() / (images * channels);
    let shape: Vec<usize> = dims.iter().enumerate().map(|(a, &n)| if a == 0 || a == axis { n } else { 1 }).collect();
    let (gated, leaf) = by_rank!(dims.len(), D => {
        let leaf = Tensor::<D>::ones(Shape::from(shape), device).autodiff().require_grad();
        Ok((DeviceTensor::from(value.float::<D>()? * leaf.clone()), DeviceTensor::from(leaf)))
    })?;
    Ok((gated, Gate { layer, leaf, channels, space }))
}

/// What a batch adds for a criterion. `gradients` holds, image after image, the channels' gradients in the gate of the
/// mean loss; a batch of `images` weighs that much.
pub(super) fn terms(
    criterion: &Criterion,
    gradients: &[f64],
    channels: usize,
    images: usize,
    space: usize,
) -> Vec<f64> {
    let (n, space) = (images as f64, space as f64);
    let mut out = vec![0.0; channels];
    let mut total = vec![0.0; channels];
    // Windows of one image lie together.
    let rows = gradients.len() / channels.max(1) / images.max(1);
    for image in gradients.chunks((rows * channels).max(1)) {
        let mut own = vec![0.0; channels];
        for row in image.chunks(channels.max(1)) {
            own.iter_mut().zip(row).for_each(|(sum, g)| *sum += g);
        }
        for ((out, total), own) in out.iter_mut().zip(&mut total).zip(own) {
            *total += own;
            // The mean loss has a share of 1 / n of each image's.
            *out += match criterion {
                Criterion::ActivationTaylor => (n * own / space).abs(),
                Criterion::GateTaylorSqPerImage => (n * own) * (n * own),
                _ => 0.0,
            };
        }
    }
    match criterion {
        // Every image's contribution counts alike, whatever the size of its batch.
        Criterion::ActivationTaylorMean => total.into_iter().map(|g| n * g / space).collect(),
        Criterion::GateTaylorSq => total.into_iter().map(|g| n * g * g).collect(),
        Criterion::GbnAbs => total.into_iter().map(|g| n * g.abs()).collect(),
        _ => out,
    }
}
