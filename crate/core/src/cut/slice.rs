//! Taking positions out of tensors.

use super::kept::Kept;
use crate::channels::{Bundle, Layout};
use crate::error::{Code, Error, Result};
use crate::onnx::{DataType, Tensor};
use std::collections::BTreeMap;
use std::ops::Range;

/// Positions of one axis that go in every block of another axis.
#[derive(Debug)]
pub(super) struct BlockCut {
    pub(super) axis: usize,
    /// For every block: positions that stay.
    pub(super) stay: Vec<Vec<usize>>,
}

/// What of a parameter goes, axis by axis.
#[derive(Debug, Default)]
pub(super) struct TensorCut {
    /// Axis -> positions that stay.
    pub(super) plain: BTreeMap<usize, Vec<usize>>,
    /// Axis that is divided -> cuts of other axes, block by block.
    pub(super) blocks: BTreeMap<usize, Vec<BlockCut>>,
}

/// A joint bundle without the axes along which nothing differs in what goes.
fn essential(b: &Bundle, goes: impl Fn(u32) -> bool) -> Bundle {
    let mut out = b.clone();
    let mut rank = 0;
    while b.blocks.is_none() && out.axes.len() > 1 && rank < out.axes.len() {
        match out.without(rank, |x, y| goes(x) == goes(y)) {
            Some(smaller) => out = smaller,
            None => rank += 1,
        }
    }
    out
}

impl TensorCut {
    /// What of a parameter with this layout goes; `None` if nothing does.
    pub(super) fn of(layout: &Layout, kept: &Kept<'_>) -> Result<Option<Self>> {
        let mut cut = Self::default();
        for b in layout.bundles.iter().filter(|b| b.ids.iter().any(|&i| kept.goes(i))) {
            let stays = |ids: &[u32]| -> Vec<usize> {
                ids.iter().enumerate().filter(|(_, i)| !kept.goes(**i)).map(|(i, _)| i).collect()
            };
            let b = &essential(b, |i| kept.goes(i));
            match (b.axes.as_slice(), b.blocks) {
                ([axis], None) => {
                    cut.plain.insert(*axis, stays(&b.ids));
                }
                ([axis], Some(blocks)) => cut.add_blocks(blocks.axis, *axis, blocks.count, b, &stays),
                ([row, axis], None) => {
                    let count = b.lengths.first().copied().unwrap_or(1);
                    cut.add_blocks(*row, *axis, count, b, &stays);
                    let rows = cut.blocks.get(row).and_then(|c| c.last()).map(|c| &c.stay);
                    let left: Vec<usize> =
                        rows.into_iter().flatten().enumerate().filter(|(_, s)| !s.is_empty()).map(|(i, _)| i).collect();
                    if left.len() < count {
                        cut.plain.insert(*row, left);
                    }
                }
                _ => {
                    return Err(Error::new(
                        Code::Unsupported,
                        "a parameter whose channels span three axes cannot be cut yet",
                    ));
                }
            }
        }
        Ok((!cut.plain.is_empty() || !cut.blocks.is_empty()).then_some(cut))
    }

    fn add_blocks(&mut self, by: usize, axis: usize, count: usize, b: &Bundle, stays: &impl Fn(&[u32]) -> Vec<usize>) {
        let block = (b.ids.len() / count.max(1)).max(1);
        let stay = b.ids.chunks(block).map(stays).collect();
        self.blocks.entry(by).or_default().push(BlockCut { axis, stay });
    }

    /// The tensor without what goes.
    pub(super) fn apply(&self, tensor: &Tensor) -> Result<Tensor> {
        if let (4 | 2, whole) = (tensor.dtype.bits(), unpacked(tensor)) {
            return Ok(packed(self.apply(&whole)?, tensor.dtype));
        }
        if !tensor.dtype.bits().is_multiple_of(8) || tensor.dtype.bits() == 0 {
            return Err(Error::new(
                Code::Unsupported,
                format!("tensor {:?}: elements of type {} cannot be cut yet", tensor.name, tensor.dtype.name()),
            ));
        }
        let mut out = tensor.clone();
        let mut divided = Vec::new();
        for (&by, cuts) in &self.blocks {
            out = self.apply_blocks(&out, by, cuts);
            divided.push(by);
        }
        for (&axis, stay) in self.plain.iter().filter(|(axis, _)| !divided.contains(axis)) {
            out = take(&out, axis, stay);
        }
        Ok(out)
    }

    /// Cuts every block on its own and puts what is left together again.
    fn apply_blocks(&self, tensor: &Tensor, by: usize, cuts: &[BlockCut]) -> Tensor {
        let count = cuts.first().map_or(1, |c| c.stay.len());
        let n = tensor.dims.get(by).copied().unwrap_or(1);
        let rows = self.plain.get(&by);
        let parts: Vec<Tensor> = block_ranges(n, count)
            .enumerate()
            .filter_map(|(k, range)| {
                let stay: Vec<usize> =
                    range.filter(|r| rows.is_none_or(|rows| rows.binary_search(r).is_ok())).collect();
                let mut part = take(tensor, by, &stay);
                for c in cuts {
                    part = take(&part, c.axis, c.stay.get(k)?);
                }
                (!stay.is_empty() && !part.is_empty()).then_some(part)
            })
            .collect();
        concat(&parts, by).unwrap_or_else(|| take(tensor, by, &[]))
    }
}

/// Equal blocks of an axis of length `n`.
pub(super) fn block_ranges(n: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let each = n / count.max(1);
    (0..count).map(move |k| k * each..(k + 1) * each)
}

/// Positions of one axis, in the order given.
fn take(t: &Tensor, axis: usize, stay: &[usize]) -> Tensor {
    let size = t.dtype.bits() / 8;
    let n = t.dims.get(axis).copied().unwrap_or(1);
    let inner: usize = t.dims.iter().skip(axis + 1).product::<usize>() * size;
    let mut data = Vec::with_capacity(t.data.len() / n.max(1) * stay.len());
    for outer in t.data.chunks((n * inner).max(1)) {
        for &i in stay {
            data.extend_from_slice(outer.get(i * inner..(i + 1) * inner).unwrap_or_default());
        }
    }
    let mut dims = t.dims.clone();
    if let Some(d) = dims.get_mut(axis) {
        *d = stay.len();
    }
    Tensor { name: t.name.clone(), dtype: t.dtype, dims, data: data.into() }
}

fn concat(parts: &[Tensor], axis: usize) -> Option<Tensor> {
    let first = parts.first()?;
    let outer: usize = first.dims.iter().take(axis).product();
    let mut data = Vec::new();
    for o in 0..outer {
        for p in parts {
            let each = p.data.len() / outer.max(1);
            data.extend_from_slice(p.data.get(o * each..(o + 1) * each)?);
        }
    }
    let mut dims = first.dims.clone();
    *dims.get_mut(axis)? = parts.iter().filter_map(|p| p.dims.get(axis)).sum();
    Some(Tensor { name: first.name.clone(), dtype: first.dtype, dims, data: data.into() })
}

/// Elements of two or four bits as bytes; other tensors as they are.
pub(super) fn unpacked(t: &Tensor) -> Tensor {
    let bits = t.dtype.bits();
    if bits != 2 && bits != 4 {
        return t.clone();
    }
    let each = 8 / bits;
    let mask = (1u8 << bits) - 1;
    let element = |i: usize| t.data.get(i / each).map_or(0, |b| (b >> (i % each * bits)) & mask);
    let data: Vec<u8> = (0..t.len()).map(element).collect();
    Tensor { dtype: DataType::Uint8, data: data.into(), ..t.clone() }
}

/// The inverse of [`unpacked`].
pub(super) fn packed(t: Tensor, dtype: DataType) -> Tensor {
    let bits = dtype.bits();
    if bits != 2 && bits != 4 {
        return Tensor { dtype, ..t };
    }
    let pack = |c: &[u8]| c.iter().enumerate().fold(0u8, |b, (i, v)| b | (v << (i * bits)));
    let data: Vec<u8> = t.data.chunks(8 / bits).map(pack).collect();
    Tensor { dtype, data: data.into(), ..t }
}
