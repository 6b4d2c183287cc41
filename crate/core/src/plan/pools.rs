//! Which channels compete with which: pools of sets.

use super::sets::Set;
use super::{PlanOptions, Scope, matches_glob};
use crate::channels::{Channels, Group, Role};
use crate::graph::{Graph, NodeId};
use std::collections::BTreeMap;

/// What sets of one pool have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A person put their groups together.
    Named(usize),
    /// A set alone.
    Own(usize),
    /// Groups that look alike.
    Kind(Vec<Member>),
    /// All.
    All,
}

/// A member of a group: operator, input of it, axis and role.
type Member = (String, usize, usize, Role);

/// Positions of sets that compete, pool by pool.
pub(super) fn pools(graph: &Graph, channels: &Channels, options: &PlanOptions, sets: &[Set]) -> Vec<Vec<usize>> {
    let mut out: BTreeMap<Key, Vec<usize>> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate().filter(|(_, s)| s.taken.is_none()) {
        out.entry(key(graph, channels, options, i, set)).or_default().push(i);
    }
    let mut out: Vec<Vec<usize>> = out.into_values().collect();
    out.sort();
    out
}

fn key(graph: &Graph, channels: &Channels, options: &PlanOptions, at: usize, set: &Set) -> Key {
    let groups: Vec<&Group> = set.groups().into_iter().filter_map(|g| channels.groups.get(g)).collect();
    if let Some(named) = groups.iter().find_map(|g| named(graph, options, g)) {
        return Key::Named(named);
    }
    match options.scope {
        Scope::Group => Key::Own(at),
        Scope::Global => Key::All,
        Scope::Isomorphic => Key::Kind(groups.iter().flat_map(|g| members(graph, g)).collect()),
    }
}

/// The named set that a group is in.
pub(super) fn named(graph: &Graph, options: &PlanOptions, group: &Group) -> Option<usize> {
    let names = names_of(graph, group);
    let holds = |globs: &Vec<String>| globs.iter().any(|glob| names.iter().any(|n| matches_glob(glob, n)));
    options.sets.iter().position(holds)
}

/// The members of a group in graph order (Fang et al., Isomorphic Pruning for Vision Models, ECCV 2024).
fn members(graph: &Graph, group: &Group) -> Vec<Member> {
    let mut out: Vec<(NodeId, Member)> = Vec::new();
    for site in &group.sites {
        for &(node, port) in &graph.values[site.value].uses {
            out.push((node, (graph.nodes[node].op_type.clone(), port, site.axis, site.role)));
        }
    }
    out.sort();
    out.into_iter().map(|m| m.1).collect()
}

/// Names by which a group can be named: its own, those of what makes or accompanies its channels, and of the nodes that read these.
pub(super) fn names_of<'a>(graph: &'a Graph, group: &'a Group) -> Vec<&'a str> {
    let mut out = vec![group.name.as_str()];
    for site in group.sites.iter().filter(|s| s.role != Role::Consumer) {
        let value = &graph.values[site.value];
        out.push(&value.name);
        out.extend(value.uses.iter().map(|(n, _)| graph.nodes[*n].name.as_str()));
    }
    out
}
