//! Where the filters or slices of a parameter lie, and sums over them.

use crate::channels::{Blocks, Bundle};
use crate::error::Result;
use crate::onnx::{DataType, Tensor};

/// Positions of a parameter that scores belong to: joint positions of some axes, in every one of so many equal blocks
/// of another. They are counted block after block, then row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The axes, outermost first.
    pub axes: Vec<usize>,
    /// The blocks, if positions differ from one to the next.
    pub blocks: Option<Blocks>,
}

/// Slices of a parameter, one a position, each as a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The elements, row after row.
    pub values: Vec<f32>,
    /// Elements of a row.
    pub size: usize,
}

/// Numbers that are added side by side, so that the sum does not wait for itself.
const LANES: usize = 8;

impl Positions {
    /// Positions along one axis.
    pub fn along(axis: usize) -> Self {
        Self { axes: vec![axis], blocks: None }
    }

    /// The positions of a bundle of a parameter.
    pub fn of(bundle: &Bundle) -> Self {
        Self { axes: bundle.axes.clone(), blocks: bundle.blocks }
    }

    /// How many there are in a parameter of these lengths.
    pub fn count(&self, dims: &[usize]) -> usize {
        let along = self.axes.iter().map(|&a| dims.get(a).copied().unwrap_or(1)).product::<usize>();
        along * self.blocks.map_or(1, |b| b.count)
    }

    /// The position of every element, by its place in the tensor.
    pub fn of_elements(&self, dims: &[usize]) -> impl Fn(usize) -> usize + use<> {
        let strides = crate::channels::strides(dims);
        let step = |axis: usize, per: usize| {
            let (stride, n) = (strides.get(axis).copied().unwrap_or(1), dims.get(axis).copied().unwrap_or(1));
            (stride.max(1) * per.max(1), (n / per.max(1)).max(1))
        };
        let mut parts: Vec<(usize, usize)> = Vec::new();
        if let Some(b) = self.blocks {
            parts.push(step(b.axis, dims.get(b.axis).copied().unwrap_or(1) / b.count.max(1)));
        }
        parts.extend(self.axes.iter().map(|&axis| step(axis, 1)));
        move |at| parts.iter().fold(0, |position, (stride, n)| position * n + at / stride % n)
    }

    /// For each position the terms of its elements, put together from the default on, in a fixed order.
    ///
    /// # Errors
    /// When the tensor holds no real numbers.
    pub fn fold<T: Copy + Default>(
        &self,
        tensor: &Tensor,
        term: impl Fn(f32, usize) -> T,
        join: impl Fn(T, T) -> T,
    ) -> Result<Vec<T>> {
        let bytes = &if tensor.dtype == DataType::Float {
            tensor.bytes()?
        } else {
            tensor.to_f32()?.into_iter().flat_map(f32::to_le_bytes).collect()
        };
        let mut sums = vec![T::default(); self.count(&tensor.dims)];
        match (self.axes.as_slice(), self.blocks) {
            ([axis], None) => {
                let inner = tensor.dims.iter().skip(axis + 1).product::<usize>().max(1);
                add_terms(&mut sums, bytes, inner, &term, &join);
            }
            _ => {
                let position = self.of_elements(&tensor.dims);
                for (at, b) in bytes.chunks_exact(4).enumerate() {
                    let position = position(at);
                    if let Some(sum) = sums.get_mut(position) {
                        *sum = join(*sum, term(float(b), position));
                    }
                }
            }
        }
        Ok(sums)
    }

    /// The slice of each position as a row, its elements in the tensor's order.
    ///
    /// # Errors
    /// When the tensor holds no real numbers.
    pub fn rows(&self, tensor: &Tensor) -> Result<Rows> {
        let values = tensor.to_f32()?;
        let count = self.count(&tensor.dims).max(1);
        let size = values.len() / count;
        if self.axes == [0] && self.blocks.is_none() {
            return Ok(Rows { values, size });
        }
        let position = self.of_elements(&tensor.dims);
        let mut out = vec![0.0; values.len()];
        let mut next = vec![0usize; count];
        for (at, value) in values.iter().enumerate() {
            let row = position(at);
            if let Some(column) = next.get_mut(row) {
                if let Some(place) = out.get_mut(row * size + *column) {
                    *place = *value;
                }
                *column += 1;
            }
        }
        Ok(Rows { values: out, size })
    }
}

impl Rows {
    /// The rows in order.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks(self.size.max(1))
    }
}

fn float(b: &[u8]) -> f32 {
    <[u8; 4]>::try_from(b).map_or(0.0, f32::from_le_bytes)
}

/// Joins the term of every element to its position's; `inner` elements of one position lie together.
fn add_terms<T: Copy + Default>(
    sums: &mut [T],
    bytes: &[u8],
    inner: usize,
    term: &impl Fn(f32, usize) -> T,
    join: &impl Fn(T, T) -> T,
) {
    for outer in bytes.chunks_exact((sums.len() * inner * 4).max(4)) {
        if inner == 1 {
            for (k, (sum, b)) in sums.iter_mut().zip(outer.chunks_exact(4)).enumerate() {
                *sum = join(*sum, term(float(b), k));
            }
            continue;
        }
        for (k, (sum, filter)) in sums.iter_mut().zip(outer.chunks_exact(inner * 4)).enumerate() {
            let mut lanes = [T::default(); LANES];
            let blocks = filter.chunks_exact(4 * LANES);
            let rest = blocks.remainder().chunks_exact(4).fold(T::default(), |sum, b| join(sum, term(float(b), k)));
            for block in blocks {
                for (lane, b) in lanes.iter_mut().zip(block.chunks_exact(4)) {
                    *lane = join(*lane, term(float(b), k));
                }
            }
            *sum = join(*sum, join(lanes.into_iter().fold(T::default(), join), rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_of_axes_and_blocks() {
        let t = Tensor::from_f32("t", vec![4, 3, 2], &(0..24).map(|v| v as f32).collect::<Vec<_>>());
        let sums = |p: &Positions| p.fold(&t, |v, _| f64::from(v), |a, b| a + b).unwrap();
        assert_eq!(sums(&Positions::along(0)), [15.0, 51.0, 87.0, 123.0]);
        assert_eq!(sums(&Positions::along(1)), [76.0, 92.0, 108.0]);
        assert_eq!(sums(&Positions::along(2)), [132.0, 144.0]);
        let blocks = Positions { axes: vec![1], blocks: Some(Blocks { axis: 0, count: 2 }) };
        // Rows 0 and 1 are one block, rows 2 and 3 the other.
        assert_eq!(sums(&blocks), [14.0, 22.0, 30.0, 62.0, 70.0, 78.0]);
        let joint = Positions { axes: vec![0, 2], blocks: None };
        assert_eq!(sums(&joint), [6.0, 9.0, 24.0, 27.0, 42.0, 45.0, 60.0, 63.0]);
        for p in [Positions::along(0), Positions::along(1), blocks, joint] {
            let rows = p.rows(&t).unwrap();
            let of_rows: Vec<f64> = rows.iter().map(|r| r.iter().map(|&v| f64::from(v)).sum()).collect();
            assert_eq!(of_rows, sums(&p), "{p:?}");
        }
        let rows = Positions::along(1).rows(&t).unwrap();
        assert_eq!(rows.iter().next().unwrap(), [0.0, 1.0, 6.0, 7.0, 12.0, 13.0, 18.0, 19.0]);
    }
}
