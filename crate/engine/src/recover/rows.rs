//! A layer as a linear map: rows of inputs that it multiplies, and the outputs that it makes of them.

use crate::data::random::SplitMix64;
use crate::ops;
use lopper_core::Result;
use lopper_core::graph::Node;
use lopper_kernels::Geometry;

/// How rows lie in a layer's input and output.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// A convolution: for each of its groups, a row for every position of every image, channels outermost.
    Window(Geometry),
    /// The last axis is the row.
    Last { columns: usize },
}

impl Layout {
    /// From the shapes of a layer's input and weights; nothing for layers that are not refitted: three axes, transposed
    /// inputs or scaled outputs.
    pub(super) fn of(node: &Node, x: &[usize], w: &[usize]) -> Result<Option<Self>> {
        Ok(match node.op_type.as_str() {
            "Conv" => ops::geometry(node, x, w)?.map(Self::Window),
            "Gemm" | "MatMul" => {
                let plain = node.int("transA").unwrap_or(0) == 0
                    && [node.float("alpha"), node.float("beta")].iter().all(|v| v.unwrap_or(1.0) == 1.0);
                x.last().filter(|_| plain && w.len() == 2).map(|&columns| Self::Last { columns })
            }
            _ => None,
        })
    }

    /// Numbers of a row.
    pub(super) fn columns(&self) -> usize {
        match self {
            Self::Window(g) => g.channels * g.kernel[0] * g.kernel[1],
            Self::Last { columns } => *columns,
        }
    }

    /// Groups, each with rows and filters of its own.
    pub(super) fn groups(&self) -> usize {
        match self {
            Self::Window(g) => g.groups,
            Self::Last { .. } => 1,
        }
    }

    /// Rows of an input of so many numbers.
    pub(super) fn count(&self, numbers: usize) -> usize {
        match self {
            Self::Window(g) => g.images * g.output[0] * g.output[1],
            Self::Last { columns } => numbers / (*columns).max(1),
        }
    }

    /// Appends one row of a group's input.
    pub(super) fn row(&self, x: &[f32], group: usize, row: usize, to: &mut Vec<f32>) {
        let g = match self {
            Self::Last { columns } => {
                to.extend(x.get(row * columns..(row + 1) * columns).unwrap_or_default());
                return;
            }
            Self::Window(g) => g,
        };
        let positions = g.output[0] * g.output[1];
        let (image, at) = (row / positions, row % positions);
        let [top, left] = [at / g.output[1] * g.stride[0], at % g.output[1] * g.stride[1]];
        for channel in group * g.channels..(group + 1) * g.channels {
            let plane = (image * g.groups * g.channels + channel) * g.input[0] * g.input[1];
            for ky in 0..g.kernel[0] {
                let y = (top + ky * g.dilation[0]).checked_sub(g.begin[0]).filter(|y| *y < g.input[0]);
                for kx in 0..g.kernel[1] {
                    let x_at = (left + kx * g.dilation[1]).checked_sub(g.begin[1]).filter(|x| *x < g.input[1]);
                    let value = y.zip(x_at).and_then(|(y, c)| x.get(plane + y * g.input[1] + c));
                    to.push(value.copied().unwrap_or(0.0));
                }
            }
        }
    }

    /// The output of a filter in a row; `filters` is how many the output has.
    pub(super) fn output(&self, y: &[f32], filters: usize, row: usize, filter: usize) -> f32 {
        let at = match self {
            Self::Window(g) => {
                let positions = g.output[0] * g.output[1];
                (row / positions * filters + filter) * positions + row % positions
            }
            Self::Last { .. } => row * filters + filter,
        };
        y.get(at).copied().unwrap_or(0.0)
    }
}

/// So many of all rows, spread by a seed; all of them where there are no more.
pub(super) fn chosen(all: usize, wanted: usize, seed: &[u64]) -> Vec<usize> {
    if all <= wanted {
        return (0..all).collect();
    }
    let mut random = SplitMix64::keyed(seed);
    (0..wanted).map(|_| random.below(all as u64) as usize).collect()
}
