//! From a graph and its channels to what a person sees.

use crate::summary::{GroupSummary, ModelSummary, OpenedModel, Port, Unsupported};
use lopper_core::channels::{Channels, Group, Role};
use lopper_core::cut::Kept;
use lopper_core::graph::{Graph, Node, ValueId};
use lopper_core::plan::{Cost, cost};
use lopper_core::report::pin_infos;
use lopper_core::{Result, ops};
use lopper_engine::Network;
use std::collections::HashSet;

/// Describes a model that was just opened.
pub(crate) fn opened(name: &str, bytes: u64, graph: &Graph, channels: &Channels, whole: Cost) -> OpenedModel {
    let port = |&id: &ValueId| port(graph, id);
    OpenedModel {
        summary: ModelSummary {
            name: name.to_owned(),
            bytes,
            opset: graph.opset,
            nodes: graph.nodes.len(),
            parameters: whole.parameters,
            macs: whole.macs,
            inputs: graph.inputs.iter().map(port).collect(),
            outputs: graph.outputs.iter().map(port).collect(),
            unsupported: unsupported(graph),
        },
        groups: (0..channels.groups.len())
            .filter(|&i| channels.groups.get(i).is_some_and(Group::matters))
            .filter_map(|i| group(graph, channels, i, whole))
            .collect(),
        pinned: pin_infos(graph, channels),
    }
}

fn port(graph: &Graph, id: ValueId) -> Port {
    let value = &graph.values[id];
    Port {
        name: value.name.clone(),
        dtype: value.dtype.map_or("unknown", |t| t.name()).to_owned(),
        shape: (value.shape.iter().flatten())
            .map(|d| d.known().map_or_else(|| d.to_string().into(), serde_json::Value::from))
            .collect(),
    }
}

fn unsupported(graph: &Graph) -> Vec<Unsupported> {
    let entry = |n: &Node, why: &str| Unsupported { node: n.name.clone(), op: n.op_type.clone(), why: why.to_owned() };
    let unruled = (graph.nodes.iter())
        .filter(|(_, n)| ops::lookup(n).is_none())
        .map(|(_, n)| entry(n, "there is no dependency rule for it: what it touches stays whole"));
    let refused = (Network::refused(graph).into_iter())
        .map(|id| entry(&graph.nodes[id], "it cannot be run here: no proof, evaluation or fine-tuning"));
    unruled.chain(refused).collect()
}

fn group(graph: &Graph, channels: &Channels, index: usize, whole: Cost) -> Option<GroupSummary> {
    let g = channels.groups.get(index)?;
    let names = |role: Role| -> Vec<String> {
        let mut seen = HashSet::new();
        g.with_role(role).filter(|s| seen.insert(s.value)).map(|s| graph.values[s.value].name.clone()).collect()
    };
    let left = without(graph, channels, index, g).unwrap_or(whole);
    let cells = |b: &lopper_core::channels::Balance| b.cells.iter().filter(|c| c.group == index).count();
    Some(GroupSummary {
        name: g.name.clone(),
        channels: g.classes.len(),
        producers: names(Role::Producer),
        consumers: names(Role::Consumer),
        companions: names(Role::Companion),
        parameters: whole.parameters.saturating_sub(left.parameters),
        macs: whole.macs.saturating_sub(left.macs),
        prunable: g.prunable(),
        renormalised: g.renormalised.iter().map(|&n| graph.nodes[n].name.clone()).collect(),
        blocks: channels.balances.iter().map(cells).max().unwrap_or(0).max(1),
    })
}

/// The cost of the model without a group; where it cannot go alone, without all that must go in step with it.
fn without(graph: &Graph, channels: &Channels, index: usize, g: &Group) -> Result<Cost> {
    let mut own: HashSet<u32> = g.classes.iter().copied().collect();
    channels.close_rows(&mut own);
    cost(graph, &Kept::new(graph, channels, own)).or_else(|_| {
        let tied = |b: &&lopper_core::channels::Balance| b.cells.iter().any(|c| c.group == index);
        let along =
            channels.balances.iter().filter(tied).flat_map(|b| &b.cells).filter_map(|c| channels.groups.get(c.group));
        let classes: HashSet<u32> = along.flat_map(|g| g.classes.iter().copied()).collect();
        cost(graph, &Kept::new(graph, channels, classes))
    })
}
