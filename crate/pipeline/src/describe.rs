//! From a graph and its channels to what a person sees.

use crate::summary::{GroupSummary, ModelSummary, OpenedModel, Port, Unsupported};
use lopper_core::channels::{Channels, Group, Role};
use lopper_core::graph::{Graph, Node, ValueId};
use lopper_core::plan::{Cost, Savings, activation_bytes};
use lopper_core::report::pin_infos;
use lopper_core::{Result, ops};
use lopper_engine::Network;
use std::collections::{BTreeMap, HashSet};

/// Describes a model that was just opened.
pub(crate) fn opened(name: &str, bytes: u64, graph: &Graph, channels: &Channels, whole: Cost) -> Result<OpenedModel> {
    let port = |&id: &ValueId| port(graph, id);
    Ok(OpenedModel {
        summary: ModelSummary {
            name: name.to_owned(),
            bytes,
            opset: graph.opset,
            nodes: graph.nodes.len(),
            parameters: whole.parameters,
            macs: whole.macs,
            activation_bytes: activation_bytes(graph),
            inputs: graph.inputs.iter().map(port).collect(),
            outputs: graph.outputs.iter().map(port).collect(),
            unsupported: unsupported(graph),
        },
        groups: groups(graph, channels)?,
        pinned: pin_infos(graph, channels),
    })
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

fn groups(graph: &Graph, channels: &Channels) -> Result<Vec<GroupSummary>> {
    let mut savings = Savings::new(graph, channels)?;
    let (tied, blocks) = ties(channels);
    let mattering = channels.groups.iter().enumerate().zip(blocks).filter(|((_, g), _)| g.matters());
    Ok(mattering
        .map(|((index, g), blocks)| {
            let lost = lost(&mut savings, channels, &tied, index).unwrap_or(Cost { parameters: 0, macs: 0, bytes: 0 });
            group(graph, g, lost, blocks)
        })
        .collect())
}

fn group(graph: &Graph, g: &Group, lost: Cost, blocks: usize) -> GroupSummary {
    let names = |role: Role| -> Vec<String> {
        let mut seen = HashSet::new();
        g.with_role(role).filter(|s| seen.insert(s.value)).map(|s| graph.values[s.value].name.clone()).collect()
    };
    GroupSummary {
        name: g.name.clone(),
        channels: g.classes.len(),
        producers: names(Role::Producer),
        consumers: names(Role::Consumer),
        companions: names(Role::Companion),
        parameters: lost.parameters,
        macs: lost.macs,
        prunable: g.prunable(),
        renormalised: g.renormalised.iter().map(|&n| graph.nodes[n].name.clone()).collect(),
        blocks,
    }
}

/// What goes with a group; where it cannot go alone, with all that must go in step with it.
fn lost(savings: &mut Savings<'_>, channels: &Channels, tied: &[Vec<usize>], index: usize) -> Option<Cost> {
    let mut own: HashSet<u32> = channels.groups.get(index)?.classes.iter().copied().collect();
    channels.close_rows(&mut own);
    if let Ok(cost) = savings.of(&own) {
        return Some(cost);
    }
    let along = tied.get(index)?.iter().filter_map(|&g| channels.groups.get(g));
    let mut all: HashSet<u32> = along.flat_map(|g| g.classes.iter().copied()).collect();
    channels.close_rows(&mut all);
    savings.of(&all).ok()
}

/// For every group those with which it shares a balance, and the most cells that it has in one.
fn ties(channels: &Channels) -> (Vec<Vec<usize>>, Vec<usize>) {
    let mut with = vec![Vec::new(); channels.groups.len()];
    let mut blocks = vec![1; channels.groups.len()];
    for balance in &channels.balances {
        let mut cells: BTreeMap<usize, usize> = BTreeMap::new();
        for cell in &balance.cells {
            *cells.entry(cell.group).or_default() += 1;
        }
        for (&g, &n) in &cells {
            if let (Some(list), Some(most)) = (with.get_mut(g), blocks.get_mut(g)) {
                list.extend(cells.keys().copied());
                *most = n.max(*most);
            }
        }
    }
    (with, blocks)
}
