//! The loops of every GPU that cubecl compiles for: WebGPU, Vulkan, Metal and CUDA.
//!
//! An invocation computes a block of results, so that it reads a value once for many products; neighbouring invocations
//! read neighbouring values.

// An index within a kernel is one on the device; a kernel takes each of its tensors by itself.
#![allow(clippy::indexing_slicing, clippy::manual_div_ceil, clippy::needless_range_loop, clippy::too_many_arguments)]

mod correlate;
mod norm;
mod spread;
mod weights;

use super::{Loops, Tracked, conversions};
use burn::backend::Autodiff;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape, Tensor};
use burn_cubecl::Cube;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{cubecl, kernel::into_contiguous};
use correlate::SizesLaunch;
use cubecl::prelude::*;
use lopper_kernels::{Geometry, Planes};

/// Invocations of a workgroup.
const GROUP: u32 = 64;
/// Invocations of a reduction, about: many for a GPU, and each with much to do.
const MANY: usize = 16384;
/// The most numbers that the parts of a reduction may take.
const PARTS: usize = 1 << 22;

fn u(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn empty(like: &CubeTensor, dims: impl Into<Vec<usize>>) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), Shape::from(dims.into()), DType::F32)
}

/// Workgroups for so many invocations.
fn cubes(like: &CubeTensor, invocations: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(GROUP);
    (cubecl::calculate_cube_count_elemwise(&like.client, invocations, dim), dim)
}

/// Whether every number of invocations and every place fits 32 bits.
fn fits(g: &Geometry) -> bool {
    let x = g.images * g.groups * g.channels * g.input[0] * g.input[1];
    let y = g.images * g.groups * g.filters * g.output[0] * g.output[1];
    let w = g.groups * g.filters * g.channels * g.kernel[0] * g.kernel[1];
    [x, y, w].into_iter().all(|n| n < 1 << 31)
}

/// The most filters and columns of one invocation.
const FILTERS: usize = 4;
const COLUMNS: usize = 8;

/// Filters or channels of one invocation.
fn block(of: usize) -> usize {
    match of {
        0 | 1 => 1,
        2 | 3 => 2,
        _ => FILTERS,
    }
}

fn columns(of: usize) -> usize {
    match of {
        0..=4 => of.max(1),
        _ => COLUMNS,
    }
}

/// Kernel columns that share what they read: all, unless the tile would become too large.
fn shared_taps(kernel: usize, stride: usize, dilation: usize) -> usize {
    if kernel <= 5 && (kernel - 1) * dilation <= 8 && stride <= 2 { kernel } else { 1 }
}

/// The convolution that `g` describes.
fn forward(g: &Geometry, x: CubeTensor, w: CubeTensor, bias: Option<CubeTensor>) -> CubeTensor {
    let area = g.kernel[0] * g.kernel[1];
    let steps = [g.channels * area, area, g.filters * g.channels * area];
    let tile = correlate::Tile {
        filters: block(g.filters),
        columns: columns(g.output[1]),
        taps: shared_taps(g.kernel[1], g.stride[1], g.dilation[1]),
        stride: g.stride.map(u),
        dilation: g.dilation.map(u),
        turned: false,
        bias: bias.is_some(),
    };
    run(g, x, w, bias, steps, tile)
}

fn sizes(g: &Geometry, steps: [usize; 3]) -> SizesLaunch {
    let [filter, channel, group] = steps.map(u);
    SizesLaunch::new(
        u(g.images),
        u(g.groups),
        u(g.channels),
        u(g.filters),
        u(g.input[0]),
        u(g.input[1]),
        u(g.output[0]),
        u(g.output[1]),
        u(g.kernel[0]),
        u(g.kernel[1]),
        u(g.begin[0]),
        u(g.begin[1]),
        filter,
        channel,
        group,
    )
}

fn run(
    g: &Geometry,
    x: CubeTensor,
    w: CubeTensor,
    bias: Option<CubeTensor>,
    steps: [usize; 3],
    tile: correlate::Tile,
) -> CubeTensor {
    let (x, w) = (into_contiguous(x), into_contiguous(w));
    let bias = into_contiguous(bias.unwrap_or_else(|| w.clone()));
    let y = empty(&x, [g.images, g.groups * g.filters, g.output[0], g.output[1]]);
    let blocks = g.output[1].div_ceil(tile.columns) * g.filters.div_ceil(tile.filters);
    let (count, dim) = cubes(&x, blocks * g.output[0] * g.images * g.groups);
    correlate::correlate::launch(
        &y.client,
        count,
        dim,
        x.into_buffer_arg(),
        w.into_buffer_arg(),
        bias.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        sizes(g, steps),
        tile,
    );
    y
}

/// The gradient by the input of the convolution that `g` describes; `start` is a number a channel that is added.
fn input_gradient(g: &Geometry, w: CubeTensor, dy: CubeTensor, start: Option<CubeTensor>) -> CubeTensor {
    let area = g.kernel[0] * g.kernel[1];
    let steps = [area, g.channels * area, g.filters * g.channels * area];
    let reach = [0, 1].map(|i| (g.kernel[i] - 1) * g.dilation[i]);
    let back = Geometry { channels: g.filters, filters: g.channels, input: g.output, output: g.input, ..*g };
    // Without strides it is a convolution with the kernel turned around; with more padding than the kernel reaches,
    // its own would be negative.
    if g.stride == [1, 1] && reach[0] >= g.begin[0] && reach[1] >= g.begin[1] {
        let back = Geometry { begin: [reach[0] - g.begin[0], reach[1] - g.begin[1]], ..back };
        let tile = correlate::Tile {
            filters: block(back.filters),
            columns: columns(back.output[1]),
            taps: shared_taps(g.kernel[1], 1, g.dilation[1]),
            stride: [1, 1],
            dilation: g.dilation.map(u),
            turned: true,
            bias: start.is_some(),
        };
        return run(&back, dy, w, start, steps, tile);
    }
    let width = g.input[1].div_ceil(g.stride[1]);
    let tile = spread::Tile {
        filters: block(back.filters),
        columns: columns(width),
        stride: g.stride.map(u),
        dilation: g.dilation.map(u),
        bias: start.is_some(),
    };
    let (dy, w) = (into_contiguous(dy), into_contiguous(w));
    let start = into_contiguous(start.unwrap_or_else(|| w.clone()));
    let dx = empty(&dy, [g.images, g.groups * g.channels, g.input[0], g.input[1]]);
    let blocks = width.div_ceil(tile.columns) * back.filters.div_ceil(tile.filters);
    let rows = g.input[0].div_ceil(g.stride[0]);
    let (count, dim) = cubes(&dy, blocks * rows * g.stride[0] * g.stride[1] * g.images * g.groups);
    spread::spread::launch(
        &dx.client,
        count,
        dim,
        dy.into_buffer_arg(),
        w.into_buffer_arg(),
        start.into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        sizes(&back, steps),
        tile,
    );
    dx
}

/// What of a weight's gradient one invocation sums.
fn weight_tile(g: &Geometry) -> weights::Tile {
    let few = |kernel: usize, dilation: usize| kernel <= 3 && (kernel - 1) * dilation <= 8;
    let columns = if few(g.kernel[1], g.dilation[1]) {
        g.kernel[1]
    } else {
        [7, 5].into_iter().find(|t| *t == g.kernel[1] && g.dilation[1] == 1).unwrap_or(1)
    };
    let rows = if columns <= 3 && few(g.kernel[0], 1) { g.kernel[0] } else { 1 };
    let filters = block(g.filters);
    let channels = block(g.channels).min((16 / (filters * rows * columns)).max(1));
    let channels = if channels == 3 { 2 } else { channels };
    weights::Tile {
        filters,
        channels,
        taps: [rows, columns],
        columns: g.output[1].clamp(1, 4),
        stride: g.stride.map(u),
        dilation: g.dilation.map(u),
    }
}

/// The gradient by the weights.
fn weight_gradient(g: &Geometry, x: CubeTensor, dy: CubeTensor) -> CubeTensor {
    let (x, dy) = (into_contiguous(x), into_contiguous(dy));
    let tile = weight_tile(g);
    let shape = [g.groups * g.filters, g.channels, g.kernel[0], g.kernel[1]];
    let length: usize = shape.iter().product();
    let blocks = g.groups
        * g.filters.div_ceil(tile.filters)
        * g.channels.div_ceil(tile.channels)
        * (g.kernel[0] / tile.taps[0])
        * (g.kernel[1] / tile.taps[1]);
    let pieces = g.output[1].div_ceil(tile.columns);
    let all = g.images * g.output[0] * pieces;
    let chunks = (MANY / blocks.max(1)).clamp(8, 256).min(PARTS / length.max(1)).min(all).max(1);
    let walk = weights::WalkLaunch::new(
        u(chunks),
        u(chunks % pieces),
        u(chunks / pieces % g.output[0]),
        u(chunks / pieces / g.output[0]),
    );
    let parts = empty(&x, vec![chunks, length]);
    let (count, dim) = cubes(&x, blocks * chunks);
    weights::weigh::launch(
        &parts.client,
        count,
        dim,
        x.into_buffer_arg(),
        dy.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        sizes(g, [0; 3]),
        walk,
        tile,
    );
    let dw = empty(&parts, shape);
    let (count, dim) = cubes(&parts, length);
    weights::gather::launch(
        &dw.client,
        count,
        dim,
        parts.into_buffer_arg(),
        dw.clone().into_buffer_arg(),
        u(length),
        u(chunks),
    );
    dw
}

fn chunks(planes: Planes) -> usize {
    (MANY / planes.channels.max(1)).clamp(1, 256).min((planes.images * planes.size).max(1))
}

fn walk(planes: Planes) -> norm::WalkLaunch {
    let chunks = chunks(planes);
    norm::WalkLaunch::new(
        u(planes.images),
        u(planes.channels),
        u(planes.size),
        u(chunks),
        u(chunks % planes.size.max(1)),
        u(chunks / planes.size.max(1)),
    )
}

/// `a * factors[0] + factors[1]`, or of two tensors.
fn apply(planes: Planes, a: CubeTensor, b: Option<CubeTensor>, factors: CubeTensor) -> CubeTensor {
    let y = empty(&a, a.meta.shape().to_vec());
    let run = if planes.size.is_multiple_of(norm::RUN) { norm::RUN } else { 1 };
    let two = b.is_some();
    let b = b.unwrap_or_else(|| factors.clone());
    let (count, dim) = cubes(&a, planes.images * planes.channels * planes.size / run);
    norm::apply::launch(
        &y.client,
        count,
        dim,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        factors.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        walk(planes),
        run,
        two,
    );
    y
}

fn sums(planes: Planes, a: CubeTensor, b: Option<(CubeTensor, CubeTensor)>) -> CubeTensor {
    let parts = empty(&a, vec![2, planes.channels, chunks(planes)]);
    let products = b.is_some();
    let (b, pivots) = b.unwrap_or_else(|| (a.clone(), a.clone()));
    let (count, dim) = cubes(&a, planes.channels * chunks(planes));
    norm::sum::launch(
        &parts.client,
        count,
        dim,
        a.into_buffer_arg(),
        b.into_buffer_arg(),
        pivots.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        walk(planes),
        products,
    );
    parts
}

/// Output, mean and biased variance of a batch that is normalised by itself.
fn norm_forward(planes: Planes, [x, gamma, beta]: [CubeTensor; 3], epsilon: f64) -> [CubeTensor; 3] {
    let x = into_contiguous(x);
    let parts = sums(planes, x.clone(), None);
    let [mean, variance] = [(); 2].map(|()| empty(&x, vec![planes.channels]));
    let factors = empty(&x, vec![2, planes.channels]);
    let (count, dim) = cubes(&x, planes.channels);
    norm::settle::launch(
        &x.client,
        count,
        dim,
        parts.into_buffer_arg(),
        x.clone().into_buffer_arg(),
        into_contiguous(gamma).into_buffer_arg(),
        into_contiguous(beta).into_buffer_arg(),
        mean.clone().into_buffer_arg(),
        variance.clone().into_buffer_arg(),
        factors.clone().into_buffer_arg(),
        walk(planes),
        epsilon as f32,
    );
    [apply(planes, x, None, factors), mean, variance]
}

/// The gradients by input, gamma and beta.
fn norm_backward(
    planes: Planes,
    [x, gamma, mean, variance]: [CubeTensor; 4],
    epsilon: f64,
    dy: CubeTensor,
) -> [CubeTensor; 3] {
    let (x, dy) = (into_contiguous(x), into_contiguous(dy));
    let parts = sums(planes, x.clone(), Some((dy.clone(), mean.clone())));
    let [by_gamma, by_beta] = [(); 2].map(|()| empty(&x, vec![planes.channels]));
    let factors = empty(&x, vec![3, planes.channels]);
    let (count, dim) = cubes(&x, planes.channels);
    norm::settle_back::launch(
        &x.client,
        count,
        dim,
        parts.into_buffer_arg(),
        into_contiguous(gamma).into_buffer_arg(),
        mean.into_buffer_arg(),
        variance.into_buffer_arg(),
        by_gamma.clone().into_buffer_arg(),
        by_beta.clone().into_buffer_arg(),
        factors.clone().into_buffer_arg(),
        walk(planes),
        epsilon as f32,
    );
    [apply(planes, dy, Some(x), factors), by_gamma, by_beta]
}

impl Loops for Cube {
    conversions!(Cube);

    fn fits(g: &Geometry) -> bool {
        fits(g)
    }

    fn forward(g: &Geometry, x: &CubeTensor, w: &CubeTensor, bias: Option<&CubeTensor>) -> CubeTensor {
        forward(g, x.clone(), w.clone(), bias.cloned())
    }

    fn input_gradient(g: &Geometry, w: &CubeTensor, gradient: &CubeTensor, start: Option<&CubeTensor>) -> CubeTensor {
        input_gradient(g, w.clone(), gradient.clone(), start.cloned())
    }

    fn weight_gradient(g: &Geometry, x: &CubeTensor, gradient: &CubeTensor) -> CubeTensor {
        weight_gradient(g, x.clone(), gradient.clone())
    }

    fn channel_sums(planes: Planes, gradient: &CubeTensor) -> CubeTensor {
        let flat = Shape::from([planes.images, planes.channels, planes.size]);
        let sums = Cube::float_sum_dim(Cube::float_reshape(gradient.clone(), flat), 2);
        Cube::float_reshape(Cube::float_sum_dim(sums, 0), Shape::from([planes.channels]))
    }

    fn norm_forward(planes: Planes, x_gamma_beta: [&CubeTensor; 3], epsilon: f64) -> [CubeTensor; 3] {
        norm_forward(planes, x_gamma_beta.map(Clone::clone), epsilon)
    }

    fn norm_backward(planes: Planes, of: [&CubeTensor; 4], epsilon: f64, gradient: &CubeTensor) -> [CubeTensor; 3] {
        norm_backward(planes, of.map(Clone::clone), epsilon, gradient.clone())
    }
}
