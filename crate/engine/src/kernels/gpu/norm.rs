//! BatchNormalization in training: sums over chunks of a channel, what they come to, and one pass over the values.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// Neighbouring values of an invocation's pass over all values.
pub(super) const RUN: usize = 4;

/// Images, channels and positions; how many chunks a channel is in, and how an invocation goes from one value to its next.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Walk {
    pub(super) images: u32,
    pub(super) channels: u32,
    pub(super) size: u32,
    pub(super) chunks: u32,
    pub(super) further: u32,
    pub(super) images_further: u32,
}

/// For each channel and chunk, two sums: of `a - pivot` and its square, or of `b` and `b * (a - pivot)` where `products`
/// are asked for. `pivots` has one number a channel; without it a channel's first value stands in, which keeps
/// the squares small.
#[cube(launch)]
pub(super) fn sum(a: &[f32], b: &[f32], pivots: &[f32], parts: &mut [f32], s: &Walk, #[comptime] products: bool) {
    let at = ABSOLUTE_POS as u32;
    let chunk = at % s.chunks;
    let channel = at / s.chunks;
    if channel >= s.channels {
        terminate!();
    }
    let pivot = if comptime!(products) { pivots[channel as usize] } else { a[(channel * s.size) as usize] };
    let mut first = 0.0f32;
    let mut second = 0.0f32;
    let mut image = chunk / s.size;
    let mut place = chunk % s.size;
    while image < s.images {
        let here = ((image * s.channels + channel) * s.size + place) as usize;
        let value = a[here] - pivot;
        if comptime!(products) {
            let other = b[here];
            first += other;
            second += other * value;
        } else {
            first += value;
            second += value * value;
        }
        place += s.further;
        image += s.images_further;
        if place >= s.size {
            place -= s.size;
            image += 1;
        }
    }
    parts[at as usize] = first;
    parts[(s.chunks * s.channels + at) as usize] = second;
}

/// From the sums of a batch: mean, variance, and what a value is multiplied by and gets added, one after the other.
#[cube(launch)]
pub(super) fn settle(
    parts: &[f32],
    x: &[f32],
    gamma: &[f32],
    beta: &[f32],
    mean: &mut [f32],
    variance: &mut [f32],
    factors: &mut [f32],
    s: &Walk,
    epsilon: f32,
) {
    let channel = ABSOLUTE_POS as u32;
    if channel >= s.channels {
        terminate!();
    }
    let mut first = 0.0f32;
    let mut second = 0.0f32;
    for chunk in 0..s.chunks {
        let at = channel * s.chunks + chunk;
        first += parts[at as usize];
        second += parts[(s.chunks * s.channels + at) as usize];
    }
    let count = f32::cast_from(s.images * s.size);
    let off = first / count;
    let middle = x[(channel * s.size) as usize] + off;
    let spread = max(second / count - off * off, 0.0f32);
    let factor = gamma[channel as usize] / (spread + epsilon).sqrt();
    mean[channel as usize] = middle;
    variance[channel as usize] = spread;
    factors[channel as usize] = factor;
    factors[(s.channels + channel) as usize] = beta[channel as usize] - middle * factor;
}

/// `a * factors[0] + factors[1]`, or `a * factors[0] + b * factors[1] + factors[2]` of two.
#[cube(launch)]
pub(super) fn apply(
    a: &[f32],
    b: &[f32],
    factors: &[f32],
    y: &mut [f32],
    s: &Walk,
    #[comptime] run: usize,
    #[comptime] two: bool,
) {
    let first = ABSOLUTE_POS as u32 * comptime!(run as u32);
    if first >= s.images * s.channels * s.size {
        terminate!();
    }
    let channel = first / s.size % s.channels;
    let one = factors[channel as usize];
    let other = factors[(s.channels + channel) as usize];
    #[unroll]
    for i in 0..run {
        let at = (first + i as u32) as usize;
        if comptime!(two) {
            y[at] = a[at] * one + b[at] * other + factors[(2 * s.channels + channel) as usize];
        } else {
            y[at] = a[at] * one + other;
        }
    }
}

/// From the sums of a gradient and of its products with what was normalised: the gradients by gamma and beta, and the
/// factors by which gradient and input make the gradient by the input.
#[cube(launch)]
pub(super) fn settle_back(
    parts: &[f32],
    gamma: &[f32],
    mean: &[f32],
    variance: &[f32],
    by_gamma: &mut [f32],
    by_beta: &mut [f32],
    factors: &mut [f32],
    s: &Walk,
    epsilon: f32,
) {
    let channel = ABSOLUTE_POS as u32;
    if channel >= s.channels {
        terminate!();
    }
    let mut first = 0.0f32;
    let mut second = 0.0f32;
    for chunk in 0..s.chunks {
        let at = channel * s.chunks + chunk;
        first += parts[at as usize];
        second += parts[(s.chunks * s.channels + at) as usize];
    }
    let count = f32::cast_from(s.images * s.size);
    let inverse = 1.0f32 / (variance[channel as usize] + epsilon).sqrt();
    let factor = gamma[channel as usize] * inverse;
    let slope = factor * inverse * inverse * second / count;
    by_gamma[channel as usize] = second * inverse;
    by_beta[channel as usize] = first;
    factors[channel as usize] = factor;
    factors[(s.channels + channel) as usize] = -slope;
    factors[(2 * s.channels + channel) as usize] = slope * mean[channel as usize] - factor * first / count;
}
