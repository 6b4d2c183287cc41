//! A convolution over two axes and its two gradients.

use crate::correlate::{Pass, Phase, Tap};
use crate::geometry::{Frame, Geometry};

/// The frame in which the forward reads its input: grid row r begins at padded row `r * stride`.
pub(super) fn input_frame(g: &Geometry) -> Frame {
    let size = [0, 1].map(|i| g.output[i] + (g.kernel[i] - 1) * g.dilation[i] / g.stride[i]);
    Frame { source: g.input, begin: g.begin.map(|b| b as isize), stride: g.stride, size }
}

/// Taps of a forward, in the order of a filter's weights.
pub(super) fn taps(g: &Geometry) -> Vec<Tap> {
    let mut taps = Vec::with_capacity(g.channels * g.kernel[0] * g.kernel[1]);
    for channel in 0..g.channels {
        for y in 0..g.kernel[0] {
            for x in 0..g.kernel[1] {
                taps.push(Tap { channel, at: [y * g.dilation[0], x * g.dilation[1]] });
            }
        }
    }
    taps
}

/// `y[n, f] = bias[f] + sum x * w`: images by channels by rows by columns, contiguous.
pub fn forward(g: &Geometry, x: &[f32], w: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let phase = Phase {
        taps: taps(g),
        weights: w.to_vec(),
        rows: 0..g.output[0],
        columns: 0..g.output[1],
        step: [1, 1],
        origin: [0, 0],
    };
    let pass = Pass {
        images: g.images,
        groups: g.groups,
        channels: g.channels,
        filters: g.filters,
        frame: input_frame(g),
        rows: g.output[0],
        output: g.output,
        phases: vec![phase],
    };
    pass.run(x, bias)
}

/// The gradient by the input from the gradient by the output; `start` is a number a channel that is added.
pub fn input_gradient(g: &Geometry, w: &[f32], gradient: &[f32], start: Option<&[f32]>) -> Vec<f32> {
    let reach = [0, 1].map(|i| (g.kernel[i] - 1) * g.dilation[i] / g.stride[i]);
    // Input row y is padded row y + begin = m * stride + phase; tap k brings output row m - k * dilation / stride.
    let last = [0, 1].map(|i| (g.input[i] - 1 + g.begin[i]) / g.stride[i]);
    let frame = Frame {
        source: g.output,
        begin: reach.map(|r| r as isize),
        stride: [1, 1],
        size: [last[0] + reach[0] + 1, last[1] + reach[1] + 1],
    };
    let mut phases = Vec::with_capacity(g.stride[0] * g.stride[1]);
    for a in 0..g.stride[0] {
        for b in 0..g.stride[1] {
            phases.push(gradient_phase(g, w, [a, b], reach));
        }
    }
    let pass = Pass {
        images: g.images,
        groups: g.groups,
        channels: g.filters,
        filters: g.channels,
        frame,
        rows: last[0] + 1,
        output: g.input,
        phases,
    };
    pass.run(gradient, start)
}

/// Input positions whose padded row and column leave the remainders `phase` by the strides.
fn gradient_phase(g: &Geometry, w: &[f32], phase: [usize; 2], reach: [usize; 2]) -> Phase {
    let here = |i: usize, k: usize| (k * g.dilation[i]) % g.stride[i] == phase[i];
    let kernel: Vec<[usize; 2]> = (0..g.kernel[0])
        .flat_map(|y| (0..g.kernel[1]).map(move |x| [y, x]))
        .filter(|&[y, x]| here(0, y) && here(1, x))
        .collect();
    let mut taps = Vec::with_capacity(g.filters * kernel.len());
    for channel in 0..g.filters {
        for k in &kernel {
            taps.push(Tap { channel, at: [0, 1].map(|i| reach[i] - k[i] * g.dilation[i] / g.stride[i]) });
        }
    }
    let area = g.kernel[0] * g.kernel[1];
    let mut weights = Vec::with_capacity(g.groups * g.channels * taps.len());
    for group in 0..g.groups {
        for channel in 0..g.channels {
            for filter in 0..g.filters {
                for [y, x] in &kernel {
                    let at = ((group * g.filters + filter) * g.channels + channel) * area + y * g.kernel[1] + x;
                    weights.push(w.get(at).copied().unwrap_or(0.0));
                }
            }
        }
    }
    let origin = [0, 1].map(|i| phase[i] as isize - g.begin[i] as isize);
    // Grid positions whose input position exists.
    let grid = |i: usize| {
        let first = usize::try_from(-origin[i]).unwrap_or(0).div_ceil(g.stride[i]);
        let past = usize::try_from(g.input[i] as isize - origin[i]).unwrap_or(0).div_ceil(g.stride[i]);
        first..past.max(first)
    };
    Phase { taps, weights, rows: grid(0), columns: grid(1), step: g.stride, origin }
}
