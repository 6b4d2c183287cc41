//! The cut as a mask of the original's initializers.

use super::kept::Kept;
use super::slice::{TensorCut, block_ranges, packed, unpacked};
use crate::channels::Channels;
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Graph, Value, ValueId, axis_of};
use crate::onnx::{Data, DataType, Model, Source, Tensor};
use crate::ops;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// Slices of an initializer: zero there, the original computes what the cut model computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskEntry {
    /// Initializer, or output of a Constant node or of one that fills a weight with one number.
    pub initializer: String,
    /// Axis of the slices.
    pub axis: usize,
    /// Positions along it.
    pub indices: Vec<usize>,
    /// Only within a range of another axis.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Where>,
}

/// A range of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Where {
    /// The axis.
    pub axis: usize,
    /// First position and the one after the last.
    pub range: [usize; 2],
}

/// What of every parameter goes, and of every weight that a node fills with one number.
///
/// # Errors
/// When a parameter cannot be cut this way.
pub(super) fn tensor_cuts(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<Vec<(ValueId, TensorCut)>> {
    let filled = graph.values.ids().filter(|&id| graph.filled(id).is_some());
    let mut out = Vec::new();
    for id in graph.parameters().map(|(id, _, _)| id).chain(filled) {
        let cut = channels.layouts.get(&id).map(|l| TensorCut::of(l, kept)).transpose()?.flatten();
        out.extend(cut.map(|cut| (id, cut)));
    }
    Ok(out)
}

/// The mask of a cut.
///
/// # Errors
/// When a parameter cannot be cut this way.
pub fn mask_entries(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<Vec<MaskEntry>> {
    Ok(tensor_cuts(graph, channels, kept)?.iter().flat_map(|(id, cut)| entries_of(&graph.values[*id], cut)).collect())
}

/// The mask of one parameter.
pub(super) fn entries_of(value: &Value, cut: &TensorCut) -> Vec<MaskEntry> {
    let gone = |n: usize, stay: &[usize]| -> Vec<usize> { (0..n).filter(|i| stay.binary_search(i).is_err()).collect() };
    let length = |axis: usize| value.shape.as_ref().and_then(|s| s.get(axis)).and_then(Dim::length).unwrap_or(0);
    let entry = |axis: usize, stay: &[usize], within: Option<Where>| MaskEntry {
        initializer: value.name.clone(),
        axis,
        indices: gone(length(axis), stay),
        within,
    };
    let mut out: Vec<MaskEntry> = cut.plain.iter().map(|(&axis, stay)| entry(axis, stay, None)).collect();
    for (&by, cuts) in &cut.blocks {
        for c in cuts {
            let blocks = block_ranges(length(by), c.stay.len()).zip(&c.stay).filter(|(_, s)| !s.is_empty());
            let within = |range: Range<usize>| Some(Where { axis: by, range: [range.start, range.end] });
            out.extend(blocks.map(|(range, stay)| entry(c.axis, stay, within(range))));
        }
    }
    out
}

/// The graph with its float parameters zero wherever channels went.
///
/// # Errors
/// When a parameter cannot be cut this way.
pub fn masked(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<Graph> {
    let mut out = graph.clone();
    let mask = mask_entries(graph, channels, kept)?;
    let mut by_name: BTreeMap<&str, Vec<&MaskEntry>> = BTreeMap::new();
    for e in &mask {
        by_name.entry(&e.initializer).or_default().push(e);
    }
    for (id, value, tensor) in graph.parameters().filter(|p| is_float(p.2)) {
        let Some(entries) = by_name.get(value.name.as_str()) else { continue };
        let entries = entries.iter().map(|e| (*e).clone()).collect();
        let data = Data::later(tensor.data.len(), Masked { tensor: tensor.clone(), entries });
        out.values[id].tensor = Some(Tensor { data, ..tensor.clone() });
    }
    Ok(out)
}

/// A tensor with zeros in some slices.
#[derive(Debug)]
struct Masked {
    tensor: Tensor,
    entries: Vec<MaskEntry>,
}

impl Source for Masked {
    fn read(&self) -> Result<Bytes> {
        let mut data = self.tensor.bytes()?.to_vec();
        zero(&mut data, &self.tensor.dims, &self.entries.iter().collect::<Vec<_>>()).ok_or_else(|| {
            Error::new(Code::Invalid, format!("tensor {:?}: what was cut of it is not in it", self.tensor.name))
        })?;
        Ok(data.into())
    }
}

fn is_float(tensor: &Tensor) -> bool {
    matches!(tensor.dtype, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16)
}

/// The model with the masked slices of its initializers set to zero, quantised ones to their zero points.
///
/// # Errors
/// When an entry names an initializer, axis or position that the model does not have.
pub fn apply_mask(model: &Model, mask: &[MaskEntry]) -> Result<Model> {
    let graph = Graph::new(model)?;
    let mut out = model.clone();
    let mut by_name: BTreeMap<&str, Vec<&MaskEntry>> = BTreeMap::new();
    for e in mask {
        by_name.entry(&e.initializer).or_default().push(e);
    }
    let mut masked = Vec::new();
    for (name, entries) in by_name {
        let bad = |what: &str| Error::new(Code::BadReport, format!("the mask names {name:?}, {what}"));
        let value = graph.find(name).map(|v| &graph.values[v]).ok_or_else(|| bad("which the model does not have"))?;
        let tensor = value.tensor.as_ref().ok_or_else(|| bad("which is no initializer"))?;
        if !is_float(tensor) && !tensor.dtype.is_integer() {
            continue;
        }
        let blank = graph.find(name).and_then(|v| zero_point(&graph, v)).filter(|_| !is_float(tensor));
        let whole = unpacked(tensor)?;
        let mut data = whole.bytes()?.to_vec();
        let point = |at: usize| blank.as_ref().and_then(|b| b.point(&whole, at));
        fill(&mut data, &whole.dims, &entries, point).ok_or_else(|| bad("but not such positions of it"))?;
        masked.push(packed(Tensor { data: data.into(), ..whole.clone() }, tensor.dtype)?);
    }
    out.replace_tensors(masked);
    Ok(out)
}

/// Zero points of a tensor along one of its axes, or one for all of it.
#[derive(Debug)]
struct Blank {
    axis: usize,
    points: Tensor,
    numbers: Bytes,
}

/// What stands for zero in a tensor of quantised numbers, if a reader says so.
fn zero_point(graph: &Graph, value: ValueId) -> Option<Blank> {
    let v = &graph.values[value];
    v.uses.iter().find_map(|&(node, port)| {
        let node = &graph.nodes[node];
        let (input, axis) = ops::lookup(node)?.zero_point(node, port)?;
        let points = unpacked(graph.values[node.input(input)?].tensor.as_ref()?).ok()?;
        let numbers = points.bytes().ok()?;
        let axis = axis_of(axis, v.shape.as_ref()?.len()).unwrap_or(0);
        Some(Blank { axis, points, numbers })
    })
}

impl Blank {
    /// The bytes that stand for zero at an element of a tensor.
    fn point(&self, t: &Tensor, at: usize) -> Option<&[u8]> {
        let size = (self.points.dtype.bits() == t.dtype.bits()).then_some(t.dtype.bits() / 8)?;
        let step: usize = t.dims.iter().skip(self.axis + 1).product();
        let along = at / step.max(1) % t.dims.get(self.axis).copied().unwrap_or(1).max(1);
        let k = if self.points.len() == 1 { 0 } else { along };
        self.numbers.get(k * size..(k + 1) * size)
    }
}

/// Sets masked slices of a tensor's bytes to zero. However often entries repeat, the time is that of reading them once and of a
/// few passes over the tensor. `None` if an entry names an axis or position that is not there; the bytes may be changed then.
pub fn zero(data: &mut [u8], dims: &[usize], entries: &[&MaskEntry]) -> Option<()> {
    fill(data, dims, entries, |_| None)
}

/// As [`zero`], with the bytes that `point` gives for an element instead of zeros.
fn fill<'a>(
    data: &mut [u8],
    dims: &[usize],
    entries: &[&MaskEntry],
    point: impl Fn(usize) -> Option<&'a [u8]>,
) -> Option<()> {
    let count: usize = dims.iter().product();
    let size = data.len().checked_div(count).filter(|n| *n > 0 && data.len().is_multiple_of(count))?;
    // Entries of the same two axes are one table of what goes: a row a position of the first axis, with the places along the
    // second where masking begins and ends.
    let mut tables: BTreeMap<(usize, Option<usize>), Vec<Vec<i64>>> = BTreeMap::new();
    for e in entries {
        let n = *dims.get(e.axis)?;
        let within = match &e.within {
            Some(w) => Some((w.axis, *dims.get(w.axis)?, w.range)),
            None => None,
        };
        let (length, [low, high]) = within.map_or((1, [0, 1]), |(_, length, range)| (length, range));
        if e.indices.iter().any(|&i| i >= n) || low > high || high > length {
            return None;
        }
        // An axis of one position divides nothing; so few kinds of tables are left.
        let key = (if n == 1 { usize::MAX } else { e.axis }, within.filter(|w| w.1 > 1).map(|w| w.0));
        if low == high {
            continue;
        }
        let (low, high) = if key.1.is_some() { (low, high) } else { (0, 1) };
        let columns = if key.1.is_some() { length } else { 1 };
        let table = tables.entry(key).or_insert_with(|| vec![Vec::new(); n]);
        for &i in &e.indices {
            let row = table.get_mut(i)?;
            row.resize(columns + 1, 0);
            *row.get_mut(low)? += 1;
            *row.get_mut(high)? -= 1;
        }
    }
    for ((axis, by), mut table) in tables {
        for row in &mut table {
            let mut depth = 0;
            for d in row.iter_mut() {
                depth += *d;
                *d = depth;
            }
        }
        let place = |axis: usize| -> (usize, usize) {
            let inner = dims.iter().skip(axis.saturating_add(1)).product::<usize>().max(1);
            (dims.get(axis).copied().unwrap_or(1).max(1), inner)
        };
        let ((n, inner), (m, by_inner)) = (place(axis), by.map_or((1, 1), place));
        for (at, element) in data.chunks_exact_mut(size).enumerate() {
            let row = table.get(at / inner % n);
            if row.and_then(|row| row.get(at / by_inner % m)).is_some_and(|depth| *depth > 0) {
                match point(at).filter(|bytes| bytes.len() == element.len()) {
                    Some(bytes) => element.copy_from_slice(bytes),
                    None => element.fill(0),
                }
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(axis: usize, indices: &[usize], within: Option<(usize, usize, usize)>) -> MaskEntry {
        let within = within.map(|(axis, low, high)| Where { axis, range: [low, high] });
        MaskEntry { initializer: "w".to_owned(), axis, indices: indices.to_vec(), within }
    }

    fn zeroed(dims: &[usize], entries: &[MaskEntry]) -> Option<Vec<u8>> {
        let mut data: Vec<u8> = (1..=dims.iter().product::<usize>() as u8).collect();
        zero(&mut data, dims, &entries.iter().collect::<Vec<_>>())?;
        Some(data)
    }

    #[test]
    fn slices_and_blocks_of_slices() {
        assert_eq!(zeroed(&[2, 3], &[entry(1, &[0, 2], None)]), Some(vec![0, 2, 0, 0, 5, 0]));
        assert_eq!(zeroed(&[2, 3], &[entry(0, &[1], None)]), Some(vec![1, 2, 3, 0, 0, 0]));
        assert_eq!(zeroed(&[2, 3], &[entry(1, &[1], Some((0, 1, 2)))]), Some(vec![1, 2, 3, 4, 0, 6]));
        assert_eq!(zeroed(&[1, 3], &[entry(0, &[0], Some((1, 1, 3)))]), Some(vec![1, 0, 0]));
        let both = [entry(1, &[0], Some((0, 0, 1))), entry(1, &[0, 1], Some((0, 0, 2)))];
        assert_eq!(zeroed(&[2, 2], &both), Some(vec![0, 0, 0, 0]));
    }

    #[test]
    fn strangers_are_refused() {
        for wrong in [entry(2, &[0], None), entry(1, &[3], None), entry(0, &[0], Some((0, 0, 3)))] {
            assert_eq!(zeroed(&[2, 3], &[wrong]), None);
        }
    }

    #[test]
    fn repeated_entries_take_no_longer_than_reading_them() {
        let entries = vec![entry(0, &[7; 50], Some((1, 0, 1000))); 20_000];
        let mut data = vec![1u8; 1000 * 1000];
        let start = std::time::Instant::now();
        zero(&mut data, &[1000, 1000], &entries.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(data.iter().filter(|b| **b == 0).count(), 1000);
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
