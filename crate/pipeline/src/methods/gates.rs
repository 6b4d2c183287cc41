//! Where gates go, and what they say of channels.

use lopper_core::channels::{Channels, Role};
use lopper_core::graph::{Graph, ValueId};
use lopper_core::score::{Layer, layers};
use lopper_engine::train::GateSite;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Sites for gates on all layers that make channels of prunable groups, and the groups that hold a layer without one.
pub(super) fn sites(
    graph: &Graph,
    channels: &Channels,
    trained: &HashSet<String>,
) -> (Vec<GateSite>, Vec<(String, String)>) {
    let mut made: BTreeMap<ValueId, Option<GateSite>> = BTreeMap::new();
    let mut taken: HashSet<String> = HashSet::new();
    let all = layers(graph);
    let prunable = || channels.groups.iter().filter(|g| g.prunable());
    let producers: HashSet<ValueId> = prunable().flat_map(|g| g.with_role(Role::Producer)).map(|s| s.value).collect();
    for weight in all.iter().map(|l| l.weight).filter(|w| producers.contains(w)) {
        if made.contains_key(&weight) {
            continue;
        }
        let own: Vec<&Layer> = all.iter().filter(|l| l.weight == weight).collect();
        let site =
            site(graph, &own).filter(|s| s.scales.iter().all(|(n, _)| trained.contains(n) && !taken.contains(n)));
        taken.extend(site.iter().flat_map(|s| &s.scales).map(|(n, _)| n.clone()));
        made.insert(weight, site);
    }
    let mut held = Vec::new();
    for group in prunable() {
        let bare = group.with_role(Role::Producer).find(|s| !matches!(made.get(&s.value), Some(Some(_))));
        if let Some(bare) = bare {
            let name = &graph.values[bare.value].name;
            let why = format!(
                "no gate fits the layer of {name:?}: it has neither scale and shift of its own nor plain filters"
            );
            held.push((group.name.clone(), why));
        }
    }
    (made.into_values().flatten().collect(), held)
}

/// The parameters that make the channels of the layers of one weight: scales and shifts of their normalisations, or the weight with
/// their biases.
fn site(graph: &Graph, layers: &[&Layer]) -> Option<GateSite> {
    let first = layers.first()?;
    let name = graph.values[first.weight].name.clone();
    let dims = |v: ValueId| graph.values[v].tensor.as_ref().map(|t| t.dims.clone());
    let axis = match (first.filters.axes.as_slice(), first.filters.blocks) {
        ([axis], None) => *axis,
        _ => return None,
    };
    let channels = dims(first.weight)?.get(axis).copied()?;
    let mut scales: Vec<(String, usize)> = Vec::new();
    let mut add = |v: ValueId, axis: usize| {
        let entry = (graph.values[v].name.clone(), axis);
        if !scales.contains(&entry) {
            scales.push(entry);
        }
    };
    if layers.iter().all(|l| l.norm.is_some()) {
        for norm in layers.iter().filter_map(|l| l.norm).map(|n| &graph.nodes[n]) {
            for v in [norm.input(1)?, norm.input(2)?] {
                (dims(v)? == [channels]).then_some(())?;
                add(v, 0);
            }
        }
        return Some(GateSite { name, channels, scales });
    }
    if layers.iter().any(|l| l.norm.is_some()) {
        return None;
    }
    add(first.weight, axis);
    for layer in layers {
        for bias in biases(graph, layer) {
            let own = dims(bias)?;
            let at = own.iter().position(|&n| n == channels).filter(|_| own.iter().product::<usize>() == channels)?;
            add(bias, at);
        }
    }
    Some(GateSite { name, channels, scales })
}

/// Sites on convolutions with a bias of their own and nothing that normalises after them, as is left of one with a normalisation that
/// was folded: a scale a channel beside the bias is what that trained.
pub(crate) fn affines(graph: &Graph, moving: &HashSet<String>) -> Vec<GateSite> {
    let all: Vec<Layer> = layers(graph);
    let mut out: Vec<GateSite> = Vec::new();
    for layer in all.iter().filter(|l| graph.nodes[l.node].op_type.contains("Conv") && l.norm.is_none()) {
        let own: Vec<&Layer> = all.iter().filter(|l| l.weight == layer.weight).collect();
        let Some(site) = site(graph, &own).filter(|s| s.scales.len() > 1) else { continue };
        let taken = |name: &String| out.iter().flat_map(|s| &s.scales).any(|(n, _)| n == name);
        if site.scales.iter().all(|(name, _)| moving.contains(name) && !taken(name)) {
            out.push(site);
        }
    }
    out
}

/// What is added to the layer's product, by itself or by sums up to its output.
fn biases(graph: &Graph, layer: &Layer) -> Vec<ValueId> {
    let node = &graph.nodes[layer.node];
    let weight_port = node.inputs.iter().position(|v| *v == Some(layer.weight));
    let mut out: Vec<ValueId> = node.inputs.iter().skip(weight_port.unwrap_or(1) + 1).flatten().copied().collect();
    let mut value = node.output(0);
    while let Some(v) = value.filter(|v| *v != layer.output.0) {
        let [(next, _)] = graph.values[v].uses.as_slice() else { break };
        let next = &graph.nodes[*next];
        out.extend(next.inputs.iter().flatten().filter(|i| **i != v && graph.values[**i].is_parameter()));
        value = next.output(0);
    }
    out
}

/// How large the output of each gated layer is, as a multiple of the smallest.
pub(super) fn areas(graph: &Graph, sites: &[GateSite]) -> HashMap<String, f64> {
    let area = |l: &Layer| {
        let (value, axis) = l.output;
        let shape = graph.values[value].shape.as_ref()?;
        let lengths = shape.iter().enumerate().filter(|(a, _)| *a > 0 && *a != axis);
        let area = lengths.map(|(_, d)| d.length()).try_fold(1.0, |all, n| Some(all * n? as f64))?;
        let name = &graph.values[l.weight].name;
        sites.iter().any(|s| s.name == *name).then(|| (name.clone(), area))
    };
    let all: Vec<(String, f64)> = layers(graph).iter().filter_map(area).collect();
    let least = all.iter().map(|a| a.1).fold(f64::INFINITY, f64::min);
    all.into_iter().map(|(name, area)| (name, area / least)).collect()
}

/// Parameters of convolutions, which rest while gates are scored.
pub(super) fn of_convolutions(graph: &Graph) -> HashSet<String> {
    let of = graph.nodes.iter().filter(|(_, n)| n.op_type.contains("Conv")).flat_map(|(_, n)| n.inputs.iter().skip(1));
    of.flatten().map(|&v| graph.values[v].name.clone()).collect()
}
