//! What single groups of channels cost: only values and nodes that they reach are counted again.

use super::Cost;
use super::cost::{at_one, macs_of, parameters_of};
use crate::channels::Channels;
use crate::cut::Kept;
use crate::error::Result;
use crate::graph::{Graph, NodeId, Origin, Table, Value, ValueId};
use crate::hash::Map;
use std::collections::{BTreeSet, HashSet};

/// Counts what a model loses with some of its channels.
#[derive(Debug)]
pub struct Savings<'a> {
    graph: &'a Graph,
    kept: Kept<'a>,
    /// Shapes of one sample of the whole model.
    values: Table<ValueId, Value>,
    group_of: Map<u32, usize>,
    /// Values in which channels of each group stand.
    reached: Vec<Vec<ValueId>>,
}

impl<'a> Savings<'a> {
    /// Finds what every group reaches.
    ///
    /// # Errors
    /// Never for channels of this graph.
    pub fn new(graph: &'a Graph, channels: &'a Channels) -> Result<Self> {
        let kept = Kept::new(graph, channels, []);
        let values = at_one(graph, &kept)?;
        let mut group_of = Map::default();
        for (g, group) in channels.groups.iter().enumerate() {
            group_of.extend(group.classes.iter().map(|&class| (class, g)));
        }
        let table = channels.class_table();
        let mut lists: Map<*const u32, BTreeSet<usize>> = Map::default();
        let mut reached: Vec<BTreeSet<ValueId>> = vec![BTreeSet::new(); channels.groups.len()];
        for (value, layout) in channels.layouts.iter() {
            for b in &layout.bundles {
                let of = |id: &u32| table.get(*id as usize).and_then(|class| group_of.get(class)).copied();
                let groups = lists.entry(b.ids.as_ptr()).or_insert_with(|| b.ids.iter().filter_map(of).collect());
                for &g in groups.iter() {
                    if let Some(slot) = reached.get_mut(g) {
                        slot.insert(value);
                    }
                }
            }
        }
        let reached = reached.into_iter().map(|set| set.into_iter().collect()).collect();
        Ok(Self { graph, kept, values, group_of, reached })
    }

    /// What goes with so many classes. Bytes are not counted.
    ///
    /// # Errors
    /// When what is left is no grid.
    pub fn of(&mut self, classes: &HashSet<u32>) -> Result<Cost> {
        let groups: BTreeSet<usize> = classes.iter().filter_map(|c| self.group_of.get(c)).copied().collect();
        let values: BTreeSet<ValueId> = groups.iter().filter_map(|&g| self.reached.get(g)).flatten().copied().collect();
        self.kept.replace(classes.iter().copied());
        let smaller = values.iter().map(|&v| Ok((v, self.kept.shape(v)?))).collect::<Result<Vec<_>>>()?;
        let nodes: BTreeSet<NodeId> = values.iter().flat_map(|&v| self.around(v)).collect();
        let count = |own: &Self| -> (u64, u64) {
            let macs = nodes.iter().map(|&n| macs_of(own.graph, &own.values, n)).sum();
            (values.iter().map(|&v| parameters_of(own.graph, &own.values, v)).sum(), macs)
        };
        let before = count(self);
        let whole: Vec<_> = values.iter().map(|&v| (v, self.values[v].shape.clone())).collect();
        for (v, shape) in smaller {
            self.values[v].shape = shape.map(|s| s.iter().map(crate::graph::Dim::at_one).collect());
        }
        let after = count(self);
        for (v, shape) in whole {
            self.values[v].shape = shape;
        }
        let (parameters, macs) = (before.0.saturating_sub(after.0), before.1.saturating_sub(after.1));
        Ok(Cost { parameters, macs, bytes: 0 })
    }

    /// The nodes that make or read a value.
    fn around(&self, value: ValueId) -> Vec<NodeId> {
        let v = &self.graph.values[value];
        let maker = if let Origin::Node(n, _) = v.origin { Some(n) } else { None };
        v.uses.iter().map(|u| u.0).chain(maker).collect()
    }
}
