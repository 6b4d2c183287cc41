//! Whole numbers that an input of a model may hold: rows of a table that it looks up, or a length that it has to state.

use crate::data::random::SplitMix64;
use lopper_core::graph::{Graph, ValueId};
use lopper_core::ops::{self, Meaning};

/// Steps that an input is followed through operators that change no number.
const MOST_STEPS: usize = 8;

/// What the readers of a value take it for.
fn meanings(graph: &Graph, value: ValueId, steps: usize) -> Vec<(lopper_core::graph::NodeId, Meaning)> {
    let mut out = Vec::new();
    for &(id, port) in &graph.values[value].uses {
        let node = &graph.nodes[id];
        let Some(op) = ops::lookup(node) else { continue };
        out.extend(op.meaning(node, port).map(|m| (id, m)));
        let same = op.passes(node) || op.permutes(node, 1).is_some();
        if let Some(output) = node.output(0).filter(|_| same && port == 0 && steps > 0) {
            out.extend(meanings(graph, output, steps - 1));
        }
    }
    out
}

/// Random whole numbers below `limit` that the readers of an input can use; lengths left open count as `open`.
pub(crate) fn draw(
    graph: &Graph,
    input: ValueId,
    count: usize,
    (limit, open): (usize, usize),
    random: &mut SplitMix64,
) -> Vec<i64> {
    let mut below = limit;
    for (id, meaning) in meanings(graph, input, MOST_STEPS) {
        let length = |of: usize, axis: usize| -> Option<usize> {
            let shape = graph.values[graph.nodes[id].input(of)?].shape.as_ref()?;
            shape.get(axis).map(|d| d.length().unwrap_or(open))
        };
        match meaning {
            Meaning::Row { table, axis } => below = below.min(length(table, axis).unwrap_or(below)),
            Meaning::Length { of, axis, less } => {
                if let Some(n) = length(of, axis) {
                    return vec![n as i64 - less; count];
                }
            }
        }
    }
    (0..count).map(|_| random.below(below as u64) as i64).collect()
}
