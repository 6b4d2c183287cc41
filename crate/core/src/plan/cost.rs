//! Multiply-accumulates, parameters and bytes of a graph, whole or with channels gone.

use crate::cut::Kept;
use crate::error::Result;
use crate::graph::{Dim, Fact, Graph, InferContext, Origin, Table, Value, ValueId};
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
    let mut values: Table<ValueId, Value> = Table::new();
    let (mut parameters, mut bytes) = (0u64, 0u64);
    for (id, v) in graph.values.iter() {
        let shape = kept.shape(id)?.map(|s| s.iter().map(Dim::at_one).collect::<Vec<_>>());
        if let (Some(t), Some(s)) = (&v.tensor, &shape) {
            let count = s.iter().map(|d| d.length().unwrap_or(1) as u64).product::<u64>();
            bytes = bytes.saturating_add(count.saturating_mul(t.dtype.bits() as u64) / 8);
            let counted = !matches!(v.origin, Origin::Node(n, _) if !graph.nodes[n].has("value"));
            parameters += if t.dtype.is_float() && counted { count } else { 0 };
        }
        values.push(Value {
            name: String::new(),
            origin: v.origin.clone(),
            dtype: v.dtype,
            shape,
            constant: None,
            tensor: None,
            uses: Vec::new(),
            is_output: v.is_output,
        });
    }
    let mut macs = 0u64;
    for (_, node) in graph.nodes.iter() {
        let Some(op) = ops::lookup(node) else { continue };
        let outputs: Vec<Fact> = (node.outputs.iter())
            .map(|o| o.and_then(|o| values[o].shape.clone()).map_or_else(Fact::default, |s| Fact::new(None, s)))
            .collect();
        let n = op.macs(&InferContext::new(node, &values), &outputs);
        macs = macs.saturating_add(n.known().and_then(|n| u64::try_from(n).ok()).unwrap_or(0));
    }
    Ok(Cost { parameters, macs, bytes })
}
