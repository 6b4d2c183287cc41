//! The cut as a mask of the original's initializers.

use super::kept::Kept;
use super::slice::{TensorCut, block_ranges, packed, unpacked};
use crate::channels::Channels;
use crate::error::{Code, Error, Result};
use crate::graph::{Graph, ValueId, axis_of};
use crate::onnx::{DataType, Model, Tensor};
use crate::ops;
use serde::{Deserialize, Serialize};

/// Slices of an initializer: zero there, the original computes what the cut model computes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MaskEntry {
    /// Initializer, or output of a Constant node.
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

/// The mask of a cut.
///
/// # Errors
/// When a parameter cannot be cut this way.
pub fn mask_entries(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<Vec<MaskEntry>> {
    let mut out = Vec::new();
    for (id, value, tensor) in graph.parameters() {
        let Some(cut) = channels.layouts.get(&id).map(|l| TensorCut::of(l, kept)).transpose()?.flatten() else {
            continue;
        };
        let gone =
            |n: usize, stay: &[usize]| -> Vec<usize> { (0..n).filter(|i| stay.binary_search(i).is_err()).collect() };
        let length = |axis: usize| tensor.dims.get(axis).copied().unwrap_or(0);
        for (&axis, stay) in &cut.plain {
            out.push(MaskEntry {
                initializer: value.name.clone(),
                axis,
                indices: gone(length(axis), stay),
                within: None,
            });
        }
        for (&by, cuts) in &cut.blocks {
            for c in cuts {
                for (range, stay) in block_ranges(length(by), c.stay.len()).zip(&c.stay).filter(|(_, s)| !s.is_empty())
                {
                    let within = Some(Where { axis: by, range: [range.start, range.end] });
                    out.push(MaskEntry {
                        initializer: value.name.clone(),
                        axis: c.axis,
                        indices: gone(length(c.axis), stay),
                        within,
                    });
                }
            }
        }
    }
    Ok(out)
}

/// The model with the masked slices of its initializers set to zero, quantised ones to their zero points.
///
/// # Errors
/// When an entry names an initializer, axis or position that the model does not have.
pub fn apply_mask(model: &Model, mask: &[MaskEntry]) -> Result<Model> {
    let graph = Graph::new(model)?;
    let mut out = model.clone();
    let mut by_name: std::collections::BTreeMap<&str, Vec<&MaskEntry>> = std::collections::BTreeMap::new();
    for e in mask {
        by_name.entry(&e.initializer).or_default().push(e);
    }
    for (name, entries) in by_name {
        let bad = |what: &str| Error::new(Code::BadReport, format!("the mask names {name:?}, {what}"));
        let value = graph.find(name).map(|v| &graph.values[v]).ok_or_else(|| bad("which the model does not have"))?;
        let tensor = value.tensor.as_ref().ok_or_else(|| bad("which is no initializer"))?;
        let float = matches!(tensor.dtype, DataType::Float | DataType::Double | DataType::Float16 | DataType::Bfloat16);
        let blank = graph.find(name).and_then(|v| zero_point(&graph, v)).filter(|_| !float);
        if !float && !tensor.dtype.is_integer() {
            continue;
        }
        let whole = unpacked(tensor);
        let mut data = whole.data.to_vec();
        for e in entries {
            fill(&mut data, &whole, e, blank.as_ref()).ok_or_else(|| bad("but not such positions of it"))?;
        }
        let masked = packed(Tensor { data: data.into(), ..whole }, tensor.dtype);
        out.replace_tensor(masked);
    }
    Ok(out)
}

/// Zero points of a tensor along one of its axes, or one for all of it.
#[derive(Debug)]
struct Blank {
    axis: usize,
    points: Tensor,
}

/// What stands for zero in a tensor of quantised numbers, if a reader says so.
fn zero_point(graph: &Graph, value: ValueId) -> Option<Blank> {
    let v = &graph.values[value];
    v.uses.iter().find_map(|&(node, port)| {
        let node = &graph.nodes[node];
        let (input, axis) = ops::lookup(node)?.zero_point(node, port)?;
        let points = unpacked(graph.values[node.input(input)?].tensor.as_ref()?);
        let axis = axis_of(axis, v.shape.as_ref()?.len()).unwrap_or(0);
        Some(Blank { axis, points })
    })
}

fn fill(data: &mut [u8], t: &Tensor, e: &MaskEntry, blank: Option<&Blank>) -> Option<()> {
    let size = t.dtype.bits() / 8;
    let n = *t.dims.get(e.axis)?;
    let inner: usize = t.dims.iter().skip(e.axis + 1).product();
    if e.indices.iter().any(|&i| i >= n) {
        return None;
    }
    let (by_n, by_inner, range) = match &e.within {
        Some(w) => (*t.dims.get(w.axis)?, t.dims.iter().skip(w.axis + 1).product::<usize>(), w.range[0]..w.range[1]),
        None => (1, usize::MAX, 0..1),
    };
    let point = |at: usize| -> Option<&[u8]> {
        let b = blank.filter(|b| b.points.dtype.bits() == t.dtype.bits())?;
        let step: usize = t.dims.iter().skip(b.axis + 1).product();
        let along = at / step.max(1) % t.dims.get(b.axis).copied().unwrap_or(1).max(1);
        let k = if b.points.len() == 1 { 0 } else { along };
        b.points.data.get(k * size..(k + 1) * size)
    };
    for outer in 0..t.len() / (n * inner).max(1) {
        for &i in &e.indices {
            for k in 0..inner {
                let at = (outer * n + i) * inner + k;
                if range.contains(&(at / by_inner % by_n)) {
                    let slot = data.get_mut(at * size..(at + 1) * size)?;
                    match point(at) {
                        Some(bytes) => slot.copy_from_slice(bytes),
                        None => slot.fill(0),
                    }
                }
            }
        }
    }
    Some(())
}
