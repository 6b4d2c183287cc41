//! Groups: channels that stand in the same places.

use super::layout::Ids;
use super::union_find::PINNED;
use super::{Role, State};
use crate::graph::{Graph, NodeId, ValueId};
use crate::hash::{Map, Set};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A place in a parameter that channels of a group own.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The parameter.
    pub value: ValueId,
    /// Index of the bundle in the parameter's layout.
    pub bundle: usize,
    /// The axis, the innermost one of a joint bundle.
    pub axis: usize,
    /// What the channel is to the parameter.
    pub role: Role,
}

/// Channels of one signature: they stand in the same parameters.
#[derive(Clone, Debug)]
pub struct Group {
    /// After the first producer.
    pub name: String,
    /// The class of each channel, in the order of the first site.
    pub classes: Vec<u32>,
    /// Where the channels stand, producers in graph order first.
    pub sites: Vec<Site>,
    /// Nodes whose statistics run over the channels.
    pub renormalised: Vec<NodeId>,
    /// Whether the channels are whole rows (heads, groups of a convolution), which go only with all their columns.
    pub rows: bool,
}

impl Group {
    /// Sites of one role.
    pub fn with_role(&self, role: Role) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(move |s| s.role == role)
    }

    /// Whether anything hangs on the channels: constants that lay out data have positions, too.
    pub fn matters(&self) -> bool {
        self.rows || self.sites.iter().any(|s| s.role != Role::Companion)
    }

    /// Whether the group can be pruned by a share: it has several channels, something makes them, and they are no rows.
    pub fn prunable(&self) -> bool {
        self.classes.len() > 1 && !self.rows && self.with_role(Role::Producer).next().is_some()
    }
}

/// When a parameter is first read: the order of sites and of groups.
fn first_use(graph: &Graph, v: ValueId) -> NodeId {
    graph.values[v].uses.iter().map(|u| u.0).min().unwrap_or_else(|| NodeId::from(graph.nodes.len()))
}

pub(super) fn collect(graph: &Graph, state: &mut State) -> Vec<Group> {
    let filled = graph.values.ids().filter(|&id| graph.filled(id).is_some());
    let mut parameters: Vec<ValueId> =
        graph.parameters().map(|(id, _, _)| id).chain(filled).filter(|id| state.layouts.contains_key(id)).collect();
    parameters.sort_by_key(|&v| (first_use(graph, v), v));
    let mut sites: Vec<Site> = Vec::new();
    let mut of_class: Vec<Vec<usize>> = vec![Vec::new(); state.classes.count()];
    let mut order: Vec<u32> = Vec::new();
    for value in parameters {
        let Some(layout) = state.layouts.get(&value) else { continue };
        for (index, bundle) in layout.bundles.iter().enumerate() {
            let role = state.role_of(&bundle.ids);
            let axis = bundle.axes.last().copied().unwrap_or(0);
            let site = sites.len();
            sites.push(Site { value, bundle: index, axis, role });
            for &id in bundle.ids.iter() {
                let class = state.classes.find(id);
                if class == PINNED {
                    continue;
                }
                let Some(list) = of_class.get_mut(class as usize) else { continue };
                if list.is_empty() {
                    order.push(class);
                }
                if list.last() != Some(&site) {
                    list.push(site);
                }
            }
        }
    }
    let rows = row_classes(state);
    let renormalised = renormalised_classes(state);
    let mut groups: Vec<Group> = Vec::new();
    let mut index: Map<Vec<usize>, usize> = Map::default();
    for class in order {
        let list = of_class.get_mut(class as usize).map(std::mem::take).unwrap_or_default();
        let at = *index.entry(list).or_insert_with_key(|list| {
            groups.push(new_group(graph, &sites, list));
            groups.len() - 1
        });
        if let Some(g) = groups.get_mut(at) {
            g.rows |= rows.contains(&class);
            g.classes.push(class);
            for n in renormalised.get(&class).into_iter().flatten() {
                if !g.renormalised.contains(n) {
                    g.renormalised.push(*n);
                }
            }
        }
    }
    finish(graph, groups)
}

fn new_group(graph: &Graph, sites: &[Site], list: &[usize]) -> Group {
    let mut sites: Vec<Site> = list.iter().filter_map(|&i| sites.get(i)).cloned().collect();
    sites.sort_by_key(|s| s.role);
    let name = sites.first().map(|s| graph.values[s.value].name.clone()).unwrap_or_default();
    Group { name, classes: Vec::new(), sites, renormalised: Vec::new(), rows: false }
}

/// What rows of one kind have in common: the groups that their channels are of, and how many these are.
type Kind = (Vec<usize>, usize);

/// A group and a position in it.
type Slot = (usize, usize);

/// Adds a group for whole rows (heads, blocks) that hold the same groups' channels: it is called after the first of these.
pub(super) fn add_rows(groups: &mut Vec<Group>, rows: &[(u32, Vec<u32>)]) {
    let mut place: HashMap<u32, Slot> = HashMap::new();
    for (g, group) in groups.iter().enumerate() {
        place.extend(group.classes.iter().enumerate().map(|(k, &class)| (class, (g, k))));
    }
    let known: HashSet<u32> = place.keys().copied().collect();
    let mut cells: BTreeMap<u32, BTreeSet<Slot>> = BTreeMap::new();
    for (row, own) in rows.iter().filter(|(row, _)| !known.contains(row)) {
        cells.entry(*row).or_default().extend(own.iter().filter_map(|c| place.get(c)));
    }
    // Rows of several depths hold the same groups, in other numbers.
    let mut kinds: BTreeMap<Kind, Vec<(Slot, u32)>> = BTreeMap::new();
    for (row, own) in cells {
        let Some(&first) = own.first() else { continue };
        let mut of: Vec<usize> = own.iter().map(|p| p.0).collect();
        of.dedup();
        kinds.entry((of, own.len())).or_default().push((first, row));
    }
    let mut used: HashSet<String> = groups.iter().map(|g| g.name.clone()).collect();
    for ((of, _), mut own) in kinds {
        own.sort_unstable();
        let base = of.first().and_then(|&g| groups.get(g)).map(|g| g.name.clone()).unwrap_or_default();
        let mut names = std::iter::once(format!("{base}/rows")).chain((2..).map(|n| format!("{base}/rows#{n}")));
        let name = names.find(|n| used.insert(n.clone())).unwrap_or(base);
        let classes = own.into_iter().map(|(_, row)| row).collect();
        groups.push(Group { name, classes, sites: Vec::new(), renormalised: Vec::new(), rows: true });
    }
}

/// Orders groups by their first site and makes their names unique.
fn finish(graph: &Graph, mut groups: Vec<Group>) -> Vec<Group> {
    groups.sort_by_key(|g| g.sites.first().map(|s| first_use(graph, s.value)));
    let mut used: HashSet<String> = HashSet::new();
    let mut last: HashMap<String, usize> = HashMap::new();
    for g in &mut groups {
        let base = g.name.clone();
        while !used.insert(g.name.clone()) {
            let n = last.entry(base.clone()).or_insert(1);
            *n += 1;
            g.name = format!("{base}#{n}");
        }
    }
    groups
}

/// Classes that stand for rows of several channels.
fn row_classes(state: &mut State) -> Set<u32> {
    let mut out = Set::default();
    for set in &state.row_sets {
        let inner = (set.cells.len() / set.rows.len().max(1)).max(1);
        for (&row, cells) in set.rows.iter().zip(set.cells.chunks(inner)) {
            let class = state.classes.find(row);
            if class != PINNED && cells.iter().any(|&c| state.classes.find(c) != class) {
                out.insert(class);
            }
        }
    }
    out
}

fn renormalised_classes(state: &mut State) -> Map<u32, Vec<NodeId>> {
    let mut out: Map<u32, Vec<NodeId>> = Map::default();
    let list: Vec<(NodeId, Ids)> = state.renormalised.clone();
    for (node, ids) in list {
        for &id in ids.iter() {
            let nodes = out.entry(state.classes.find(id)).or_default();
            if nodes.last() != Some(&node) {
                nodes.push(node);
            }
        }
    }
    out
}
