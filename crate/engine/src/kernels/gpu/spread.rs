//! The gradient by the input where strides leave gaps, and transposed convolutions with strides: a block of channels by
//! columns a stride apart in each invocation, so that all of them meet the same taps.

// What becomes a kernel for the GPU knows the remainder only.
#![allow(clippy::manual_is_multiple_of)]

use super::correlate::Sizes;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Output channels of an invocation.
    pub(super) filters: usize,
    /// Columns of an invocation, a stride apart.
    pub(super) columns: usize,
    pub(super) stride: [u32; 2],
    pub(super) dilation: [u32; 2],
    pub(super) bias: bool,
}

/// `y[n, f] = bias[f] + sum x * w` over the taps by which an input reaches an output. `x` is what the other convolution
/// puts out, `rows` and `columns` its shape.
#[cube(launch)]
pub(super) fn spread(x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32], s: &Sizes, #[comptime] tile: Tile) {
    let (down, right) = comptime!((tile.stride[0], tile.stride[1]));
    let width = (s.out_columns + right - 1) / right;
    let blocks = (width + comptime!(tile.columns as u32 - 1)) / comptime!(tile.columns as u32);
    let height = (s.out_rows + down - 1) / down;
    let filter_blocks = (s.filters + comptime!(tile.filters as u32 - 1)) / comptime!(tile.filters as u32);
    let at = ABSOLUTE_POS as u32;
    let block = at % blocks;
    let rest = at / blocks;
    let row = rest % height * down;
    let rest = rest / height;
    let image = rest % s.images;
    let rest = rest / s.images;
    let phase = rest % right;
    let rest = rest / right;
    let row = row + rest % down;
    let rest = rest / down;
    let first_filter = (rest % filter_blocks) * comptime!(tile.filters as u32);
    let group = rest / filter_blocks;
    if group >= s.groups || row >= s.out_rows {
        terminate!();
    }
    let first_column = phase + block * comptime!(tile.columns as u32) * right;

    let mut sums = Array::<f32>::new(comptime!(tile.filters * tile.columns));
    let mut seen = Array::<f32>::new(tile.columns);
    let mut of_filter = Array::<u32>::new(tile.filters);
    #[unroll]
    for f in 0..tile.filters {
        let filter = clamp_max(first_filter + f as u32, s.filters - 1);
        of_filter[f] = group * s.group_step + filter * s.filter_step;
        let mut start = 0.0f32;
        if comptime!(tile.bias) {
            start = bias[(group * s.filters + filter) as usize];
        }
        #[unroll]
        for p in 0..tile.columns {
            sums[f * tile.columns + p] = start;
        }
    }

    for k in 0..s.kernel_rows {
        // Negative before the first row: as an unsigned number larger than all.
        let reach = row + s.begin_rows - k * comptime!(tile.dilation[0]);
        let from_row = reach / down;
        if reach % down == 0 && from_row < s.rows {
            for t in 0..s.kernel_columns {
                let ahead = (first_column + s.begin_columns) as i32 - (t * comptime!(tile.dilation[1])) as i32;
                if ahead % comptime!(tile.stride[1] as i32) == 0 {
                    let from = (ahead / comptime!(tile.stride[1] as i32)) as u32;
                    let tap = k * s.kernel_columns + t;
                    for channel in 0..s.channels {
                        let plane = ((image * s.groups + group) * s.channels + channel) * s.rows;
                        let line = (plane + from_row) * s.columns;
                        #[unroll]
                        for p in 0..tile.columns {
                            let column = from + p as u32;
                            let inside = column < s.columns;
                            let value = x[(line + select(inside, column, 0u32)) as usize];
                            seen[p] = select(inside, value, 0.0f32);
                        }
                        #[unroll]
                        for f in 0..tile.filters {
                            let weight = w[(of_filter[f] + channel * s.channel_step + tap) as usize];
                            #[unroll]
                            for p in 0..tile.columns {
                                sums[f * tile.columns + p] += weight * seen[p];
                            }
                        }
                    }
                }
            }
        }
    }

    #[unroll]
    for f in 0..tile.filters {
        let filter = first_filter + f as u32;
        if filter < s.filters {
            let line = (((image * s.groups + group) * s.filters + filter) * s.out_rows + row) * s.out_columns;
            #[unroll]
            for p in 0..tile.columns {
                let column = first_column + p as u32 * right;
                if column < s.out_columns {
                    y[(line + column) as usize] = sums[f * tile.columns + p];
                }
            }
        }
    }
}
