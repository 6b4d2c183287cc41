//! The gradient by the weights: sums over chunks of the batch's positions, then the sum of the chunks.

use super::correlate::Sizes;
use burn_cubecl::cubecl;
use cubecl::prelude::*;

/// What a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Filters of an invocation.
    pub(super) filters: usize,
    /// Channels of an invocation.
    pub(super) channels: usize,
    /// Rows and columns of taps of an invocation.
    pub(super) taps: [usize; 2],
    /// Neighbouring output columns that are read at once.
    pub(super) columns: usize,
    pub(super) stride: [u32; 2],
    pub(super) dilation: [u32; 2],
}

impl Tile {
    /// Columns from the first that is read to the last.
    fn span(&self) -> usize {
        (self.columns - 1) * self.stride[1] as usize + (self.taps[1] - 1) * self.dilation[1] as usize + 1
    }

    /// Whether any output of the tile reads a column.
    fn reads(&self, column: usize) -> bool {
        let (stride, dilation) = (self.stride[1] as usize, self.dilation[1] as usize);
        (0..self.taps[1]).any(|t| {
            let from = t * dilation;
            column >= from && (column - from).is_multiple_of(stride) && (column - from) / stride < self.columns
        })
    }

    /// Sums of an invocation.
    fn sums(&self) -> usize {
        self.filters * self.channels * self.taps[0] * self.taps[1]
    }

    /// The place of a sum.
    fn at(&self, f: usize, c: usize, k: usize, t: usize) -> usize {
        ((f * self.channels + c) * self.taps[0] + k) * self.taps[1] + t
    }
}

/// How an invocation goes from one piece of a row to its next: so many pieces, rows and images further.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Walk {
    pub(super) chunks: u32,
    pub(super) pieces: u32,
    pub(super) rows: u32,
    pub(super) images: u32,
}

/// Sums of `x * dy` over every `chunks`-th piece of an output row, in `chunks` parts one after the other. Neighbouring
/// invocations read neighbouring pieces.
#[cube(launch)]
pub(super) fn weigh(x: &[f32], dy: &[f32], parts: &mut [f32], s: &Sizes, walk: &Walk, #[comptime] tile: Tile) {
    let width = comptime!(tile.columns as u32);
    let pieces = (s.out_columns + width - 1) / width;
    let tap_columns = s.kernel_columns / comptime!(tile.taps[1] as u32);
    let tap_rows = s.kernel_rows / comptime!(tile.taps[0] as u32);
    let channel_blocks = (s.channels + comptime!(tile.channels as u32 - 1)) / comptime!(tile.channels as u32);
    let filter_blocks = (s.filters + comptime!(tile.filters as u32 - 1)) / comptime!(tile.filters as u32);
    let at = ABSOLUTE_POS as u32;
    let chunk = at % walk.chunks;
    let rest = at / walk.chunks;
    let tap_column = (rest % tap_columns) * comptime!(tile.taps[1] as u32);
    let rest = rest / tap_columns;
    let tap_row = (rest % tap_rows) * comptime!(tile.taps[0] as u32);
    let rest = rest / tap_rows;
    let first_channel = (rest % channel_blocks) * comptime!(tile.channels as u32);
    let rest = rest / channel_blocks;
    let first_filter = (rest % filter_blocks) * comptime!(tile.filters as u32);
    let group = rest / filter_blocks;
    if group >= s.groups {
        terminate!();
    }

    let mut sums = Array::<f32>::new(comptime!(tile.sums()));
    let mut seen = Array::<f32>::new(comptime!(tile.span()));
    let mut back = Array::<f32>::new(comptime!(tile.filters * tile.columns));
    #[unroll]
    for i in 0..comptime!(tile.sums()) {
        sums[i] = 0.0f32;
    }

    let mut piece = chunk % pieces;
    let mut row = chunk / pieces % s.out_rows;
    let mut image = chunk / pieces / s.out_rows;
    while image < s.images {
        let first_column = piece * width;
        #[unroll]
        for f in 0..tile.filters {
            let filter = clamp_max(first_filter + f as u32, s.filters - 1);
            let line = (((image * s.groups + group) * s.filters + filter) * s.out_rows + row) * s.out_columns;
            #[unroll]
            for p in 0..tile.columns {
                let column = first_column + p as u32;
                let inside = column < s.out_columns;
                let value = dy[(line + select(inside, column, 0u32)) as usize];
                back[f * tile.columns + p] = select(inside, value, 0.0f32);
            }
        }
        let from =
            first_column * comptime!(tile.stride[1]) + tap_column * comptime!(tile.dilation[1]) - s.begin_columns;
        #[unroll]
        for c in 0..tile.channels {
            let channel = clamp_max(first_channel + c as u32, s.channels - 1);
            let plane = ((image * s.groups + group) * s.channels + channel) * s.rows;
            #[unroll]
            for k in 0..comptime!(tile.taps[0]) {
                let from_row =
                    row * comptime!(tile.stride[0]) + (tap_row + k as u32) * comptime!(tile.dilation[0]) - s.begin_rows;
                let row_inside = from_row < s.rows;
                let line = (plane + select(row_inside, from_row, 0u32)) * s.columns;
                #[unroll]
                for j in 0..comptime!(tile.span()) {
                    if comptime!(tile.reads(j)) {
                        let column = from + j as u32;
                        let inside = row_inside && column < s.columns;
                        let value = x[(line + select(inside, column, 0u32)) as usize];
                        seen[j] = select(inside, value, 0.0f32);
                    }
                }
                #[unroll]
                for t in 0..comptime!(tile.taps[1]) {
                    #[unroll]
                    for f in 0..tile.filters {
                        #[unroll]
                        for p in 0..tile.columns {
                            sums[comptime!(tile.at(f, c, k, t))] += back[f * tile.columns + p]
                                * seen[comptime!(p * tile.stride[1] as usize + t * tile.dilation[1] as usize)];
                        }
                    }
                }
            }
        }
        piece += walk.pieces;
        row += walk.rows;
        image += walk.images;
        if piece >= pieces {
            piece -= pieces;
            row += 1;
        }
        if row >= s.out_rows {
            row -= s.out_rows;
            image += 1;
        }
    }

    let area = s.kernel_rows * s.kernel_columns;
    let part = chunk * s.groups * s.filters * s.channels * area;
    #[unroll]
    for f in 0..tile.filters {
        #[unroll]
        for c in 0..tile.channels {
            let (filter, channel) = (first_filter + f as u32, first_channel + c as u32);
            if filter < s.filters && channel < s.channels {
                let own = part + ((group * s.filters + filter) * s.channels + channel) * area;
                #[unroll]
                for k in 0..comptime!(tile.taps[0]) {
                    #[unroll]
                    for t in 0..comptime!(tile.taps[1]) {
                        let tap = (tap_row + k as u32) * s.kernel_columns + tap_column + t as u32;
                        parts[(own + tap) as usize] = sums[comptime!(tile.at(f, c, k, t))];
                    }
                }
            }
        }
    }
}

/// The sum of parts that lie one after the other.
#[cube(launch)]
pub(super) fn gather(parts: &[f32], sums: &mut [f32], length: u32, chunks: u32) {
    let at = ABSOLUTE_POS as u32;
    if at >= length {
        terminate!();
    }
    let mut sum = 0.0f32;
    for chunk in 0..chunks {
        sum += parts[(chunk * length + at) as usize];
    }
    sums[at as usize] = sum;
}
