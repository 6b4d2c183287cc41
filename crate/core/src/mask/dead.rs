//! Channels that a mask has silenced: what can be cut without changing what the masked model computes.
//!
//! A channel is dead if wherever it is summed over one side is zero: the slices of the weights that read it, or what reaches
//! them. That something is zero follows from zeros in parameters through operators that keep zeros.

use crate::channels::{Cell, Channels, PINNED, Role};
use crate::cut::Kept;
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, ValueId};
use crate::ops;
use crate::plan::{cost, gcd};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// The classes that can go from a graph because its zeros have silenced them, but for those that are `held`; what must go in
/// step with others, or would leave nothing of an axis, stays.
///
/// # Errors
/// When a parameter holds no numbers that can be read.
pub fn dead_channels(graph: &Graph, channels: &Channels, held: &HashSet<u32>) -> Result<Vec<u32>> {
    let search = Search::new(graph, channels)?;
    let exact = channels.groups.iter().filter(|g| !g.rows && g.renormalised.is_empty());
    let candidates = exact.flat_map(|g| g.classes.iter().copied());
    let mut dead: HashSet<u32> = candidates.filter(|c| !held.contains(c) && search.is_dead(*c)).collect();
    leave_some(channels, &mut dead);
    // Grids allow all of it, or whole rows of them, or equal shares.
    let choices = [dead.clone(), whole_rows(channels, &dead), equal_shares(channels, &dead)];
    let fits = |classes: &HashSet<u32>| cost(graph, &Kept::new(graph, channels, classes.iter().copied())).is_ok();
    let closed = choices.into_iter().map(|mut classes| {
        channels.close_rows(&mut classes);
        classes
    });
    let best = closed.filter(fits).max_by_key(HashSet::len).unwrap_or_default();
    let mut out: Vec<u32> = best.into_iter().collect();
    out.sort_unstable();
    Ok(out)
}

/// Classes that no grid holds, and those of rows that go whole.
fn whole_rows(channels: &Channels, dead: &HashSet<u32>) -> HashSet<u32> {
    let of = |c: &Cell| channels.groups.get(c.group).map(|g| (g, c.channels.clone()));
    let tied = channels.balances.iter().flat_map(|b| &b.cells).filter_map(of);
    let tied: HashSet<u32> =
        tied.flat_map(|(g, list)| list.into_iter().filter_map(|k| g.classes.get(k))).copied().collect();
    let mut closed = dead.clone();
    channels.close_rows(&mut closed);
    let rows: HashSet<u32> =
        channels.groups.iter().filter(|g| g.rows).flat_map(|g| g.classes.iter().copied()).collect();
    closed.into_iter().filter(|c| rows.contains(c) || (dead.contains(c) && !tied.contains(c))).collect()
}

/// Of every set of tied channels as many as each of its parts can spare.
fn equal_shares(channels: &Channels, dead: &HashSet<u32>) -> HashSet<u32> {
    let mut out = dead.clone();
    for b in &channels.balances {
        let cells: Vec<Vec<u32>> = (b.cells.iter())
            .filter_map(|c| channels.groups.get(c.group).map(|g| (c, g)))
            .map(|(c, g)| c.channels.iter().filter_map(|&k| g.classes.get(k)).copied().collect())
            .collect();
        let shares = cells.iter().map(Vec::len).fold(0, gcd).max(1);
        let spare = |cell: &Vec<u32>| cell.iter().filter(|c| dead.contains(c)).count() / (cell.len() / shares).max(1);
        let n = if b.fixed { 0 } else { cells.iter().map(spare).min().unwrap_or(0) };
        for cell in &cells {
            let go = cell.iter().filter(|c| dead.contains(c)).skip(cell.len() / shares * n);
            go.for_each(|c| {
                out.remove(c);
            });
        }
    }
    out
}

/// Of every list of channels that would go whole, the first stays.
fn leave_some(channels: &Channels, dead: &mut HashSet<u32>) {
    let table = channels.class_table();
    let mut seen = HashSet::new();
    for b in channels.layouts.values().flat_map(|l| &l.bundles).filter(|b| seen.insert(b.ids.as_ptr())) {
        let mut classes = b.ids.iter().filter_map(|&i| table.get(i as usize));
        if classes.clone().all(|c| dead.contains(c))
            && let Some(first) = classes.next()
        {
            dead.remove(first);
        }
    }
}

/// Where classes stand, and which slices of parameters are zero.
struct Search<'a> {
    graph: &'a Graph,
    /// Values that carry a class, with whether zeros at its positions stay zeros; in no parameter.
    carried: HashMap<u32, BTreeMap<ValueId, bool>>,
    /// Parameters that hold a class: its role, and whether the slice is zero.
    slices: HashMap<u32, BTreeMap<ValueId, Vec<(Role, bool)>>>,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, channels: &'a Channels) -> Result<Self> {
        let table = channels.class_table();
        let mut roles: HashMap<(ValueId, usize), Role> = HashMap::new();
        for s in channels.groups.iter().flat_map(|g| &g.sites) {
            roles.insert((s.value, s.bundle), s.role);
        }
        let mut out = Self { graph, carried: HashMap::new(), slices: HashMap::new() };
        for (value, layout) in channels.layouts.iter() {
            for (index, b) in layout.bundles.iter().enumerate() {
                let classes = || b.ids.iter().filter_map(|&i| table.get(i as usize)).copied();
                if !graph.values[value].is_parameter() && graph.filled(value).is_none() {
                    for class in classes().filter(|c| *c != PINNED) {
                        let zero = out.carried.entry(class).or_default().entry(value).or_insert(true);
                        *zero &= b.zero;
                    }
                    continue;
                }
                let role = roles.get(&(value, index)).copied().unwrap_or(Role::Companion);
                let full = nonzero(graph, value, b)?;
                let mut slices: BTreeMap<u32, bool> = BTreeMap::new();
                for (class, full) in classes().zip(full).filter(|(c, _)| *c != PINNED) {
                    *slices.entry(class).or_insert(true) &= !full;
                }
                for (class, zero) in slices {
                    out.slices.entry(class).or_default().entry(value).or_default().push((role, zero));
                }
            }
        }
        Ok(out)
    }

    /// Whether the slices of a parameter that make or accompany a class are zero; none if it has none.
    fn made_zero(&self, class: u32, value: ValueId) -> Option<bool> {
        let own = self.slices.get(&class)?.get(&value)?;
        let mut made = own.iter().filter(|(role, _)| *role != Role::Consumer).peekable();
        made.peek()?;
        Some(made.all(|(_, zero)| *zero))
    }

    /// Whether the slices of a parameter that sum over a class are zero; none if it has none.
    fn read_zero(&self, class: u32, value: ValueId) -> Option<bool> {
        let own = self.slices.get(&class)?.get(&value)?;
        let mut read = own.iter().filter(|(role, _)| *role == Role::Consumer).peekable();
        read.peek()?;
        Some(read.all(|(_, zero)| *zero))
    }

    fn is_dead(&self, class: u32) -> bool {
        let none = BTreeMap::new();
        let carried = self.carried.get(&class).unwrap_or(&none);
        let parameters = self.slices.get(&class).into_iter().flat_map(BTreeMap::keys);
        let mut nodes: BTreeSet<NodeId> = BTreeSet::new();
        for v in carried.keys().chain(parameters) {
            nodes.extend(self.graph.values[*v].uses.iter().map(|u| u.0));
        }
        let mut zero: HashMap<ValueId, bool> = HashMap::new();
        for id in nodes {
            let node = &self.graph.nodes[id];
            let outputs: Vec<ValueId> =
                node.outputs.iter().flatten().copied().filter(|o| carried.contains_key(o)).collect();
            if !self.sums_nothing(class, node, outputs.is_empty(), carried, &zero) {
                return false;
            }
            let silent = self.gives_zero(class, node, carried, &zero);
            for o in outputs {
                zero.insert(o, silent && carried.get(&o) == Some(&true));
            }
        }
        true
    }

    /// Whether the node sums over the class at most with zeros on one side.
    fn sums_nothing(
        &self,
        class: u32,
        node: &Node,
        ends: bool,
        carried: &BTreeMap<ValueId, bool>,
        zero: &HashMap<ValueId, bool>,
    ) -> bool {
        let inputs = || node.inputs.iter().flatten();
        let reads: Vec<bool> = inputs().filter_map(|&v| self.read_zero(class, v)).collect();
        if reads.is_empty() && !ends {
            return true;
        }
        let data = || inputs().filter(|v| carried.contains_key(v)).map(|v| zero.get(v) == Some(&true));
        let made = inputs().filter_map(|&v| self.made_zero(class, v)).any(|z| ends && z);
        (!reads.is_empty() && reads.iter().all(|z| *z)) || made || (data().next().is_some() && data().all(|z| z))
    }

    /// Whether what the node makes is zero at the class.
    fn gives_zero(
        &self,
        class: u32,
        node: &Node,
        carried: &BTreeMap<ValueId, bool>,
        zero: &HashMap<ValueId, bool>,
    ) -> bool {
        let of = |input: usize| -> Option<bool> {
            let v = node.input(input)?;
            if carried.contains_key(&v) { Some(zero.get(&v) == Some(&true)) } else { self.made_zero(class, v) }
        };
        let all =
            || (0..node.inputs.len()).filter_map(of).all(|z| z) && (0..node.inputs.len()).any(|i| of(i).is_some());
        let Some(op) = ops::lookup(node) else { return false };
        let weighed = |w: usize| of(w) == Some(true) && (w + 1..node.inputs.len()).filter_map(of).all(|z| z);
        all() || op.weights().is_some_and(weighed) || op.silenced(&|input| of(input) == Some(true))
    }
}

/// For every joint position of a parameter's bundle, whether anything there is not zero.
fn nonzero(graph: &Graph, value: ValueId, b: &crate::channels::Bundle) -> Result<Vec<bool>> {
    let mut out = vec![false; b.ids.len()];
    let Some(tensor) = &graph.values[value].tensor else {
        let number = graph.filled(value).map_or(1.0, |f| f.1);
        return Ok(vec![number != 0.0; b.ids.len()]);
    };
    if !tensor.dtype.is_float() {
        return Ok(vec![true; b.ids.len()]);
    }
    let strides = crate::channels::strides(&tensor.dims);
    let along = |axis: usize, entry: usize| {
        entry / strides.get(axis).copied().unwrap_or(1).max(1) % tensor.dims.get(axis).copied().unwrap_or(1).max(1)
    };
    for (entry, _) in tensor.to_f32()?.iter().enumerate().filter(|(_, v)| **v != 0.0) {
        let mut at = match b.blocks {
            Some(blocks) => {
                let length = tensor.dims.get(blocks.axis).copied().unwrap_or(1);
                along(blocks.axis, entry) / (length / blocks.count.max(1)).max(1)
            }
            None => 0,
        };
        for (&axis, &n) in b.axes.iter().zip(b.lengths.iter().skip(b.lengths.len() - b.axes.len())) {
            at = at * n + along(axis, entry);
        }
        if let Some(slot) = out.get_mut(at) {
            *slot = true;
        }
    }
    Ok(out)
}
