//! Multiply-accumulates, parameters and bytes of a graph, whole or with channels gone.

use crate::cut::Kept;
use crate::error::Result;
use crate::graph::{Fact, Graph, InferContext, NodeId, Origin, Shape, Table, Value, ValueId};
use crate::ops;
use serde::{Deserialize, Serialize};

/// What a model costs. Symbolic axes (the batch) count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Float elements of all parameters.
    pub parameters: u64,
    /// Multiply-accumulates of contractions for one sample.
    pub macs: u64,
    /// Bytes of all parameters.
    pub bytes: u64,
}

/// The cost of a graph with the classes of `kept` gone.
///
/// # Errors
/// When what is left is no grid.
pub fn cost(graph: &Graph, kept: &Kept<'_>) -> Result<Cost> {
    let values = at_one(graph, kept)?;
    Ok(counted(graph, &values))
}

/// The cost of a whole graph.
pub fn whole_cost(graph: &Graph) -> Cost {
    counted(graph, &lengths_at_one(graph, |id| graph.values[id].shape.clone()))
}

/// Bytes of all that the nodes of a graph make of one sample, as far as shapes are known; what is computed ahead does not count.
pub fn activation_bytes(graph: &Graph) -> u64 {
    let values = lengths_at_one(graph, |id| graph.values[id].shape.clone());
    let made = graph.nodes.iter().flat_map(|(_, node)| node.outputs.iter().flatten());
    let moves = |id: &&ValueId| graph.values[**id].tensor.is_none() && graph.values[**id].constant.is_none();
    let bytes = |id: &ValueId| {
        let bits = graph.values[*id].dtype.map_or(0, |t| t.bits() as u64);
        elements(&values, *id).unwrap_or(0).saturating_mul(bits) / 8
    };
    made.filter(moves).map(bytes).fold(0, u64::saturating_add)
}

fn counted(graph: &Graph, values: &Table<ValueId, Value>) -> Cost {
    let mut out = Cost { parameters: 0, macs: 0, bytes: 0 };
    for (id, v) in graph.values.iter() {
        if let Some(t) = &v.tensor {
            let count = elements(values, id).unwrap_or(0);
            out.bytes = out.bytes.saturating_add(count.saturating_mul(t.dtype.bits() as u64) / 8);
            out.parameters = out.parameters.saturating_add(parameters_of(graph, values, id));
        }
    }
    for (id, _) in graph.nodes.iter() {
        out.macs = out.macs.saturating_add(macs_of(graph, values, id));
    }
    out
}

/// The values of a graph with the shapes that are left for one sample, and nothing else.
pub(super) fn at_one(graph: &Graph, kept: &Kept<'_>) -> Result<Table<ValueId, Value>> {
    let shapes = graph.values.ids().map(|id| kept.shape(id)).collect::<Result<Vec<_>>>()?;
    let mut shapes = shapes.into_iter();
    Ok(lengths_at_one(graph, |_| shapes.next().flatten()))
}

fn lengths_at_one(graph: &Graph, mut shape: impl FnMut(ValueId) -> Option<Shape>) -> Table<ValueId, Value> {
    let one = |mut s: Shape| {
        s.iter_mut().filter(|d| d.known().is_none()).for_each(|d| *d = d.at_one());
        s
    };
    let value = |(id, v): (ValueId, &Value)| Value {
        name: String::new(),
        origin: v.origin.clone(),
        dtype: v.dtype,
        shape: shape(id).map(one),
        constant: None,
        tensor: None,
        uses: Vec::new(),
        is_output: v.is_output,
    };
    graph.values.iter().map(value).collect()
}

fn elements(values: &Table<ValueId, Value>, id: ValueId) -> Option<u64> {
    Some(values[id].shape.as_ref()?.iter().map(|d| d.length().unwrap_or(1) as u64).product())
}

/// Float elements of a parameter; those that a node computes are not counted.
pub(super) fn parameters_of(graph: &Graph, values: &Table<ValueId, Value>, id: ValueId) -> u64 {
    let v = &graph.values[id];
    let counted = !matches!(v.origin, Origin::Node(n, _) if !graph.nodes[n].has("value"));
    let float = v.tensor.as_ref().is_some_and(|t| t.dtype.is_float());
    if float && counted { elements(values, id).unwrap_or(0) } else { 0 }
}

/// Multiply-accumulates of a node.
pub(super) fn macs_of(graph: &Graph, values: &Table<ValueId, Value>, id: NodeId) -> u64 {
    let node = &graph.nodes[id];
    let Some(op) = ops::lookup(node) else { return 0 };
    let outputs: Vec<Fact> = (node.outputs.iter())
        .map(|o| o.and_then(|o| values[o].shape.clone()).map_or_else(Fact::default, |s| Fact::new(None, s)))
        .collect();
    let n = op.macs(&InferContext::new(node, values), &outputs);
    n.known().and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}
