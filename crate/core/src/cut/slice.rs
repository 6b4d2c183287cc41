//! Taking positions out of tensors.

use super::kept::Kept;
use crate::channels::{Bundle, Layout};
use crate::error::{Code, Error, Result};
use crate::graph::MAX_FOLDED;
use crate::onnx::{Data, DataType, Source, Tensor};
use bytes::Bytes;
use std::borrow::Cow;
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
fn essential(b: &Bundle, goes: impl Fn(u32) -> bool) -> Cow<'_, Bundle> {
    if b.axes.len() == 1 {
        return Cow::Borrowed(b);
    }
    let mut out = b.clone();
    let mut rank = 0;
    while b.blocks.is_none() && out.axes.len() > 1 && rank < out.axes.len() {
        match out.without(rank, |x, y| goes(x) == goes(y)) {
            Some(smaller) => out = smaller,
            None => rank += 1,
        }
    }
    Cow::Owned(out)
}

impl TensorCut {
    /// What of a parameter with this layout goes; `None` if nothing does.
    pub(super) fn of(layout: &Layout, kept: &Kept<'_>) -> Result<Option<Self>> {
        let mut cut = Self::default();
        for b in layout.bundles.iter().filter(|b| b.ids.iter().any(|&i| kept.goes(i))) {
            let stays = |ids: &[u32]| -> Vec<usize> {
                ids.iter().enumerate().filter(|(_, i)| !kept.goes(**i)).map(|(i, _)| i).collect()
            };
            let b = &*essential(b, |i| kept.goes(i));
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

    /// The tensor of these dimensions that is left, sliced when somebody reads it; small ones at once.
    ///
    /// # Errors
    /// When elements of its type cannot be cut.
    pub(super) fn apply(self, tensor: &Tensor, dims: Vec<usize>) -> Result<Tensor> {
        let bits = tensor.dtype.bits();
        if bits == 0 || !matches!(bits, 2 | 4) && !bits.is_multiple_of(8) {
            return Err(Error::new(
                Code::Unsupported,
                format!("tensor {:?}: elements of type {} cannot be cut yet", tensor.name, tensor.dtype.name()),
            ));
        }
        let length = tensor.dtype.bytes_for(dims.iter().product()).unwrap_or(usize::MAX);
        let (name, dtype) = (tensor.name.clone(), tensor.dtype);
        let data = if length <= AT_ONCE {
            self.rest(tensor)?.into()
        } else {
            Data::later(length, Rest { tensor: tensor.clone(), cut: self })
        };
        Ok(Tensor { name, dtype, dims, data })
    }

    /// The bytes that are left of a tensor.
    fn rest(&self, tensor: &Tensor) -> Result<Bytes> {
        match tensor.dtype.bits() {
            4 | 2 => packed(self.of_whole(&unpacked(tensor)?)?, tensor.dtype)?.bytes(),
            _ => self.of_whole(tensor)?.bytes(),
        }
    }

    /// What is left of a tensor whose elements are whole bytes.
    pub(super) fn of_whole(&self, tensor: &Tensor) -> Result<Tensor> {
        let mut out = Cow::Borrowed(tensor);
        for (&by, cuts) in &self.blocks {
            out = Cow::Owned(self.apply_blocks(&out, by, cuts)?);
        }
        let plain: Vec<(usize, &[usize])> = (self.plain.iter())
            .filter(|(axis, _)| !self.blocks.contains_key(axis))
            .map(|(&axis, stay)| (axis, stay.as_slice()))
            .collect();
        if plain.is_empty() { Ok(out.into_owned()) } else { take_all(&out, &plain) }
    }

    /// Cuts every block on its own and puts what is left together again.
    fn apply_blocks(&self, tensor: &Tensor, by: usize, cuts: &[BlockCut]) -> Result<Tensor> {
        let tensor = &tensor.held()?;
        let count = cuts.first().map_or(1, |c| c.stay.len());
        let n = tensor.dims.get(by).copied().unwrap_or(1);
        let rows = self.plain.get(&by);
        let mut parts = Vec::new();
        for (k, range) in block_ranges(n, count).enumerate() {
            let stay: Vec<usize> = range.filter(|r| rows.is_none_or(|rows| rows.binary_search(r).is_ok())).collect();
            let others: Vec<(usize, &[usize])> =
                cuts.iter().filter_map(|c| Some((c.axis, c.stay.get(k)?.as_slice()))).collect();
            if stay.is_empty() || others.iter().any(|(_, stay)| stay.is_empty()) {
                continue;
            }
            let all: Vec<(usize, &[usize])> = std::iter::once((by, stay.as_slice())).chain(others).collect();
            parts.push(take_all(tensor, &all)?);
        }
        concat(&parts, by)?.map_or_else(|| take(tensor, by, &[]), Ok)
    }
}

/// Tensors of at most so many bytes are sliced at once: they may say how data are laid out.
const AT_ONCE: usize = 8 * MAX_FOLDED;

/// A tensor without what goes.
#[derive(Debug)]
struct Rest {
    tensor: Tensor,
    cut: TensorCut,
}

impl Source for Rest {
    fn read(&self) -> Result<Bytes> {
        self.cut.rest(&self.tensor)
    }
}

/// Equal blocks of an axis of length `n`.
pub(super) fn block_ranges(n: usize, count: usize) -> impl Iterator<Item = Range<usize>> {
    let each = n / count.max(1);
    (0..count).map(move |k| k * each..(k + 1) * each)
}

/// Positions of one axis, in the order given.
pub(crate) fn take(t: &Tensor, axis: usize, stay: &[usize]) -> Result<Tensor> {
    take_all(t, &[(axis, stay)])
}

/// Runs of neighbouring positions.
fn runs(stay: &[usize]) -> Vec<Range<usize>> {
    let mut out: Vec<Range<usize>> = Vec::new();
    for &i in stay {
        match out.last_mut() {
            Some(last) if last.end == i => last.end += 1,
            _ => out.push(i..i + 1),
        }
    }
    out
}

/// Positions of several axes, in the order given, in one pass over the bytes.
fn take_all(t: &Tensor, axes: &[(usize, &[usize])]) -> Result<Tensor> {
    let mut dims = t.dims.clone();
    let mut levels: Vec<(usize, Vec<Range<usize>>)> = Vec::new();
    let mut step = t.dtype.bits() / 8;
    for (axis, n) in t.dims.iter().enumerate().rev() {
        let stay = axes.iter().find(|(a, _)| *a == axis).map(|(_, stay)| *stay);
        if let (Some(stay), Some(d)) = (stay, dims.get_mut(axis)) {
            *d = stay.len();
        }
        // Axes within the innermost one that loses something are copied along with it.
        if stay.is_some() || !levels.is_empty() {
            levels.push((step, stay.map_or_else(|| std::iter::once(0..*n).collect(), runs)));
        }
        step *= n;
    }
    levels.reverse();
    let mut data = Vec::with_capacity(dims.iter().product::<usize>() * (t.dtype.bits() / 8));
    copy(&t.bytes()?, &levels, &mut data);
    Ok(Tensor { name: t.name.clone(), dtype: t.dtype, dims, data: data.into() })
}

/// Copies runs of each axis, outermost first; every axis comes with the bytes of one position.
fn copy(bytes: &[u8], levels: &[(usize, Vec<Range<usize>>)], out: &mut Vec<u8>) {
    match levels {
        [] => out.extend_from_slice(bytes),
        [(step, runs)] => {
            for run in runs {
                out.extend_from_slice(bytes.get(run.start * step..run.end * step).unwrap_or_default());
            }
        }
        [(step, runs), inner @ ..] => {
            for position in runs.iter().cloned().flatten() {
                copy(bytes.get(position * step..(position + 1) * step).unwrap_or_default(), inner, out);
            }
        }
    }
}

fn concat(parts: &[Tensor], axis: usize) -> Result<Option<Tensor>> {
    let Some(first) = parts.first() else { return Ok(None) };
    let outer: usize = first.dims.iter().take(axis).product();
    let bytes = parts.iter().map(Tensor::bytes).collect::<Result<Vec<_>>>()?;
    let mut data = Vec::with_capacity(bytes.iter().map(Bytes::len).sum());
    for o in 0..outer {
        for part in &bytes {
            let each = part.len() / outer.max(1);
            data.extend_from_slice(part.get(o * each..(o + 1) * each).unwrap_or_default());
        }
    }
    let mut dims = first.dims.clone();
    if let Some(n) = dims.get_mut(axis) {
        *n = parts.iter().filter_map(|p| p.dims.get(axis)).sum();
    }
    Ok(Some(Tensor { name: first.name.clone(), dtype: first.dtype, dims, data: data.into() }))
}

/// Elements of two or four bits as bytes; other tensors as they are.
pub(super) fn unpacked(t: &Tensor) -> Result<Tensor> {
    let bits = t.dtype.bits();
    if bits != 2 && bits != 4 {
        return Ok(t.clone());
    }
    let (each, mask, packed) = (8 / bits, (1u8 << bits) - 1, t.bytes()?);
    let element = |i: usize| packed.get(i / each).map_or(0, |b| (b >> (i % each * bits)) & mask);
    let data: Vec<u8> = (0..t.len()).map(element).collect();
    Ok(Tensor { dtype: DataType::Uint8, data: data.into(), ..t.clone() })
}

/// The inverse of [`unpacked`].
pub(super) fn packed(t: Tensor, dtype: DataType) -> Result<Tensor> {
    let bits = dtype.bits();
    if bits != 2 && bits != 4 {
        return Ok(Tensor { dtype, ..t });
    }
    let pack = |c: &[u8]| c.iter().enumerate().fold(0u8, |b, (i, v)| b | (v << (i * bits)));
    let data: Vec<u8> = t.bytes()?.chunks(8 / bits).map(pack).collect();
    Ok(Tensor { dtype, data: data.into(), ..t })
}
