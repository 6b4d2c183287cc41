//! Where a two-dimensional convolution reads and writes.

/// The sizes of a convolution over two axes. One over one axis has rows of 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images of the batch.
    pub images: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Input channels of one group.
    pub channels: usize,
    /// Output channels of one group.
    pub filters: usize,
    /// Rows and columns of an input plane.
    pub input: [usize; 2],
    /// Rows and columns of an output plane.
    pub output: [usize; 2],
    /// Rows and columns of a filter.
    pub kernel: [usize; 2],
    /// Input rows and columns from one output to the next.
    pub stride: [usize; 2],
    /// Input rows and columns from one tap to the next.
    pub dilation: [usize; 2],
    /// Zeros before the first row and column.
    pub begin: [usize; 2],
}

/// A plane as the kernels read it: padded with zeros and, for strides, split so that neighbours in it are a stride apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// Rows and columns of the plane that is copied.
    pub(super) source: [usize; 2],
    /// Row and column of the padded plane where the source begins; negative where a strip begins further down.
    pub(super) begin: [isize; 2],
    pub(super) stride: [usize; 2],
    /// Rows and columns of one phase.
    pub(super) size: [usize; 2],
}

impl Frame {
    /// Numbers of one plane with all its phases.
    pub(super) fn len(&self) -> usize {
        self.stride[0] * self.stride[1] * self.size[0] * self.size[1]
    }

    /// The place of a row and column of the padded plane.
    pub(super) fn at(&self, [y, x]: [usize; 2]) -> usize {
        let phase = (y % self.stride[0]) * self.stride[1] + x % self.stride[1];
        (phase * self.size[0] + y / self.stride[0]) * self.size[1] + x / self.stride[1]
    }

    /// Copies a plane into its frame, with zeros around it.
    pub(super) fn fill(&self, plane: &[f32], frame: &mut [f32]) {
        let [sh, sw] = self.stride;
        let [rows, columns] = self.size;
        let width = self.source[1];
        for (i, to) in frame.chunks_exact_mut(columns.max(1)).enumerate() {
            let (phase, row) = (i / rows, i % rows);
            let y = (row * sh + phase / sw) as isize - self.begin[0];
            let from = usize::try_from(y).ok().and_then(|y| plane.get(y * width..(y + 1) * width));
            let Some(from) = from.filter(|_| (y as usize) < self.source[0]) else {
                to.fill(0.0);
                continue;
            };
            // The frame's column c is the source's column `c * sw + first`.
            let first = (phase % sw) as isize - self.begin[1];
            let before = usize::try_from(-first).unwrap_or(0).div_ceil(sw).min(columns);
            let start = (first + (before * sw) as isize).max(0) as usize;
            let (zeros, rest) = to.split_at_mut(before);
            zeros.fill(0.0);
            let from = from.get(start..).unwrap_or_default();
            let n = from.len().div_ceil(sw).min(rest.len());
            let (rest, zeros) = rest.split_at_mut(n);
            zeros.fill(0.0);
            if sw == 1 {
                rest.copy_from_slice(from.get(..n).unwrap_or_default());
            } else {
                rest.iter_mut().zip(from.iter().step_by(sw)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}

/// A vector of positions of one output row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Image of the chunk.
    pub(super) image: usize,
    /// Output row and first output column.
    pub(super) row: usize,
    pub(super) column: usize,
    /// Positions that exist.
    pub(super) lanes: usize,
}

/// All positions of some images' rows and columns, `lanes` at a time.
pub(super) fn runs(
    images: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    lanes: usize,
) -> Vec<Run> {
    let mut out = Vec::new();
    for image in 0..images {
        for row in rows.clone() {
            for column in columns.clone().step_by(lanes) {
                out.push(Run { image, row, column, lanes: lanes.min(columns.end - column) });
            }
        }
    }
    out
}
