//! A block of filters by a block of neighbouring columns in each invocation.

use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// The sizes of a correlation. `rows` and `columns` are those of the input, `out_` those of the output; weights lie
/// `filter_step`, `channel_step` and `group_step` apart.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Sizes {
    pub(super) images: u32,
    pub(super) groups: u32,
    pub(super) channels: u32,
    pub(super) filters: u32,
    pub(super) rows: u32,
    pub(super) columns: u32,
    pub(super) out_rows: u32,
    pub(super) out_columns: u32,
    pub(super) kernel_rows: u32,
    pub(super) kernel_columns: u32,
    pub(super) begin_rows: u32,
    pub(super) begin_columns: u32,
    pub(super) filter_step: u32,
    pub(super) channel_step: u32,
    pub(super) group_step: u32,
}

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Filters of an invocation.
    pub(super) filters: usize,
    /// Neighbouring columns of an invocation.
    pub(super) columns: usize,
    /// Kernel columns that share what was read.
    pub(super) taps: usize,
    pub(super) stride: [u32; 2],
    pub(super) dilation: [u32; 2],
    /// Whether weights are read from the last tap to the first.
    pub(super) turned: bool,
    pub(super) bias: bool,
}

impl Tile {
    /// Columns from the first that is read to the last.
    fn span(&self) -> usize {
        (self.columns - 1) * self.stride[1] as usize + (self.taps - 1) * self.dilation[1] as usize + 1
    }

    /// Whether any output of the tile reads a column.
    fn reads(&self, column: usize) -> bool {
        let (stride, dilation) = (self.stride[1] as usize, self.dilation[1] as usize);
        (0..self.taps).any(|t| {
            let from = t * dilation;
            column >= from && (column - from).is_multiple_of(stride) && (column - from) / stride < self.columns
        })
    }
}

/// `y[n, f] = bias[f] + sum x * w`. Planes before the first and behind the last column hold zeros: a place before the
/// first wraps around and is larger than any column.
#[cube(launch)]
pub(super) fn correlate(x: &[f32], w: &[f32], bias: &[f32], y: &mut [f32], s: &Sizes, #[comptime] tile: Tile) {
    let blocks = (s.out_columns + comptime!(tile.columns as u32 - 1)) / comptime!(tile.columns as u32);
    let filter_blocks = (s.filters + comptime!(tile.filters as u32 - 1)) / comptime!(tile.filters as u32);
    let at = ABSOLUTE_POS as u32;
    let block = at % blocks;
    let rest = at / blocks;
    let row = rest % s.out_rows;
    let rest = rest / s.out_rows;
    let image = rest % s.images;
    let rest = rest / s.images;
    let first_filter = (rest % filter_blocks) * comptime!(tile.filters as u32);
    let group = rest / filter_blocks;
    if group >= s.groups {
        terminate!();
    }
    let first_column = block * comptime!(tile.columns as u32);

    let mut sums = Array::<f32>::new(comptime!(tile.filters * tile.columns));
    let mut seen = Array::<f32>::new(comptime!(tile.span()));
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

    let area = s.kernel_rows * s.kernel_columns;
    // Channels go innermost: the loop around the sums is then long, and no condition is within.
    for k in 0..s.kernel_rows {
        let from_row = row * comptime!(tile.stride[0]) + k * comptime!(tile.dilation[0]) - s.begin_rows;
        if from_row < s.rows {
            for part in 0..s.kernel_columns / comptime!(tile.taps as u32) {
                let first_tap = part * comptime!(tile.taps as u32);
                let from = first_column * comptime!(tile.stride[1]) + first_tap * comptime!(tile.dilation[1])
                    - s.begin_columns;
                let first_tap = k * s.kernel_columns + first_tap;
                for channel in 0..s.channels {
                    let line = (((image * s.groups + group) * s.channels + channel) * s.rows + from_row) * s.columns;
                    #[unroll]
                    for j in 0..comptime!(tile.span()) {
                        if comptime!(tile.reads(j)) {
                            let column = from + j as u32;
                            let inside = column < s.columns;
                            let value = x[(line + select(inside, column, 0u32)) as usize];
                            seen[j] = select(inside, value, 0.0f32);
                        }
                    }
                    #[unroll]
                    for t in 0..tile.taps {
                        let mut tap = first_tap + t as u32;
                        if comptime!(tile.turned) {
                            tap = area - 1 - tap;
                        }
                        let tap = channel * s.channel_step + tap;
                        #[unroll]
                        for f in 0..tile.filters {
                            let weight = w[(of_filter[f] + tap) as usize];
                            #[unroll]
                            for p in 0..tile.columns {
                                sums[f * tile.columns + p] += weight
                                    * seen[comptime!(p * tile.stride[1] as usize + t * tile.dilation[1] as usize)];
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
                let column = first_column + p as u32;
                if column < s.out_columns {
                    y[(line + column) as usize] = sums[f * tile.columns + p];
                }
            }
        }
    }
}
