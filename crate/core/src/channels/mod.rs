//! Which channels belong together, and why: ids on every axis, united by what every operator does to positions.
//!
//! One pass over the graph asks each operator's rule to unite, move and pin ids; [`Channels::analyze`] then reads off
//! classes, sites, balance and groups. Grouping reads no weights. The theory is Lopper's own; the union of dependent
//! layers goes back to DepGraph (Fang et al., CVPR 2023).

pub(crate) mod advice;
mod balance;
mod context;
mod groups;
mod layout;
mod reshape;
mod shared;
mod shuffle;
mod strided;
mod union_find;
mod why;

pub use balance::{Balance, Cell};
pub use context::{ChannelContext, merge, take};
pub use groups::{Group, Site};
pub use layout::{Blocks, Bundle, Ids, Layout, Layouts, positions, strides};
pub use reshape::reshape;
pub use shuffle::{Shuffle, Shuffles};
pub use strided::Affine;
pub use union_find::{Classes, PINNED, UnionFind};
pub use why::{Coupling, Link, Place, Reason, Told};

use crate::graph::{Graph, NodeId, ValueId};
use crate::hash::{Map, Set};
use crate::ops;
use shared::{SharedRows, row_table, settle_shared, shared_rows};
use std::collections::HashSet;
use std::sync::Arc;

/// Most joint positions of one bundle: small files can ask for lists of any length.
pub const MAX_POSITIONS: usize = 1 << 22;
/// Steps that one analysis may take; past them every operator keeps its inputs whole. Large models need a tenth.
const MAX_STEPS: usize = 1 << 26;
/// Steps that making one position of a list costs.
const LIST_COST: usize = 4;

/// What a channel is to an initializer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The axis along which the initializer makes the channel.
    Producer,
    /// The axis along which it is summed over.
    Consumer,
    /// Bias, norm, scale, embedding: one number a channel.
    Companion,
}

/// A reason why channels must stay.
#[derive(Clone, Debug)]
pub struct Pin {
    /// The value that was seen, if one was.
    pub value: Option<ValueId>,
    /// Its axis.
    pub axis: usize,
    /// The node whose rule pinned it; `None` for graph inputs and outputs.
    pub node: Option<NodeId>,
    /// The channels.
    pub ids: Ids,
    /// Why.
    pub why: String,
}

/// A run of ids that was made for one parameter.
#[derive(Clone, Debug)]
struct Range {
    start: u32,
    len: usize,
    role: Option<Role>,
}

/// Rows of a list of joint positions: each row goes if and only if all its positions go.
#[derive(Clone, Debug)]
pub(crate) struct RowSet {
    pub(crate) rows: Ids,
    pub(crate) cells: Ids,
}

/// The analysis while it runs.
#[derive(Debug, Default)]
pub struct State {
    classes: Classes,
    layouts: Layouts,
    ranges: Vec<Range>,
    row_sets: Vec<RowSet>,
    row_index: Map<(usize, usize), usize>,
    shared: Vec<SharedRows>,
    /// First ids of lists of copies, which may go one by one.
    copies: Set<u32>,
    united: Vec<(Ids, Ids, NodeId)>,
    /// The node whose rule speaks.
    current: NodeId,
    seen: Set<(usize, usize)>,
    pins: Vec<Pin>,
    renormalised: Vec<(NodeId, Ids)>,
    /// Steps taken, of [`MAX_STEPS`].
    spent: usize,
    /// Lists along one axis that must stay a grid of so many rows, and a value that shows it.
    grids: Vec<(ValueId, Ids, usize)>,
}

impl State {
    /// Takes so many steps; false once they are more than there are.
    fn spend(&mut self, steps: usize) -> bool {
        self.spent = self.spent.saturating_add(steps);
        self.spent <= MAX_STEPS
    }

    /// New ids for a parameter.
    fn fresh(&mut self, _value: ValueId, len: usize) -> Ids {
        let start = self.classes.fresh(len);
        self.ranges.push(Range { start, len, role: None });
        (start..start.saturating_add(len as u32)).collect()
    }

    /// The layout of a value; parameters get theirs when first asked for: new ids on every axis, joint blocks where
    /// the reading operator says so.
    fn layout(&mut self, graph: &Graph, v: ValueId) -> Layout {
        if let Some(layout) = self.layouts.get(&v) {
            return layout.clone();
        }
        let tensor = &graph.values[v].tensor;
        let stored = tensor.as_ref().filter(|t| !t.is_empty()).map(|t| t.dims.clone());
        let mut layout = Layout::default();
        if let Some(dims) = stored.or_else(|| graph.filled(v).map(|f| f.0)) {
            let blocks = declared_blocks(graph, v, 4);
            for (axis, &n) in dims.iter().enumerate().filter(|(_, n)| **n > 1) {
                let divides = |b: &Blocks| dims.get(b.axis).is_some_and(|d| d % b.count.max(1) == 0);
                let block = blocks.iter().find(|b| b.0 == axis).map(|b| b.1).filter(divides);
                let count = n.saturating_mul(block.map_or(1, |b| b.count));
                if count > MAX_POSITIONS {
                    continue;
                }
                let ids = self.fresh(v, count);
                let mut bundle = Bundle::single(axis, ids, true);
                bundle.owner = Some((v, axis));
                if let Some(b) = block {
                    bundle = Bundle { lengths: vec![b.count, n], blocks: Some(b), owner: None, ..bundle };
                }
                layout.bundles.push(bundle);
            }
        }
        self.layouts.insert(v, layout.clone());
        layout
    }

    /// The layout behind a channel shuffle: other axes as they are, one axis in another order.
    fn shuffle(&mut self, graph: &Graph, node: &crate::graph::Node, shuffle: &Shuffle) {
        let mut layout = self.layout(graph, shuffle.input);
        if let (Some(perm), Some(output)) = (&shuffle.perm, node.output(0)) {
            self.layouts.insert(output, layout.renamed(|axis| perm.iter().position(|&p| p == axis)));
            return;
        }
        self.separate(&mut layout, shuffle.axis);
        let reorder =
            |b: &Bundle| if b.axes.contains(&shuffle.axis) { take(b, shuffle.axis, &shuffle.order) } else { b.clone() };
        if let Some(output) = node.output(0) {
            self.layouts.insert(output, Layout::from(layout.bundles.iter().map(reorder).collect::<Vec<_>>()));
        }
    }

    /// Unites positions that differ only along one axis of a bundle and takes the axis out of it.
    fn collapsed(&mut self, bundle: &Bundle, axis: usize) -> Bundle {
        let Some(rank) = bundle.rank_of(axis) else { return bundle.clone() };
        let order: Vec<usize> = (0..bundle.axes.len()).filter(|&r| r != rank).chain([rank]).collect();
        let moved = bundle.reordered(&order);
        let n = moved.lengths.last().copied().unwrap_or(1).max(1);
        for chunk in moved.ids.chunks(n) {
            for (a, b) in chunk.iter().zip(chunk.iter().skip(1)) {
                self.classes.unite(*a, *b);
            }
            if let Some((first, others)) = chunk.split_first() {
                self.united.push((others.iter().map(|_| *first).collect(), others.into(), self.current));
            }
        }
        let ids = moved.ids.iter().step_by(n).copied().collect();
        let keep = moved.axes.len().saturating_sub(1);
        let axes = moved.axes.into_iter().take(keep).collect();
        Bundle::joint(axes, moved.lengths.into_iter().take(keep).collect(), ids, bundle.zero)
    }

    /// Makes rows keep the same positions of an axis: one list of indices has to fit all of them.
    fn separate(&mut self, layout: &mut Layout, axis: usize) {
        while let Some((at, outer)) = layout.index_of(axis).and_then(|at| {
            let first = layout.bundles.get(at)?.axes.first()?;
            (*first != axis).then_some((at, *first))
        }) {
            let bundle = layout.bundles.remove(at);
            layout.bundles.insert(at, self.collapsed(&bundle, outer));
        }
    }

    fn set_role(&mut self, ids: &Ids, role: Role) {
        let Some(&first) = ids.first() else { return };
        let at = self.ranges.partition_point(|r| r.start <= first);
        if let Some(r) = at.checked_sub(1).and_then(|i| self.ranges.get_mut(i))
            && first < r.start + r.len as u32
        {
            r.role.get_or_insert(role);
        }
    }

    fn role_of(&self, ids: &Ids) -> Role {
        let first = ids.first().copied().unwrap_or(0);
        let at = self.ranges.partition_point(|r| r.start <= first);
        at.checked_sub(1).and_then(|i| self.ranges.get(i)).and_then(|r| r.role).unwrap_or(Role::Companion)
    }

    fn unite_lists(&mut self, a: &Ids, b: &Ids, node: NodeId) {
        let key = (a.as_ptr() as usize, b.as_ptr() as usize);
        if key.0 == key.1 || !self.seen.insert(key) {
            return;
        }
        for (&x, &y) in a.iter().zip(b.iter()) {
            self.classes.unite(x, y);
        }
        self.spend(a.len());
        // Kept alive here, so that the addresses above stay theirs.
        self.united.push((a.clone(), b.clone(), node));
    }

    fn rows(&mut self, cells: &Ids, count: usize) -> Ids {
        let key = (cells.as_ptr() as usize, count);
        if let Some(set) = self.row_index.get(&key).and_then(|&i| self.row_sets.get(i)) {
            return set.rows.clone();
        }
        // There are never more rows than positions, whatever an attribute says.
        let count = count.min(cells.len());
        self.spend(cells.len());
        let start = self.classes.fresh(count);
        let rows: Ids = (start..).take(count).collect();
        self.row_index.insert(key, self.row_sets.len());
        self.row_sets.push(RowSet { rows: rows.clone(), cells: cells.clone() });
        rows
    }
}

/// An input, or the first output, whose number of axes is not known: nothing can be said of what meets what there.
fn unknown(graph: &Graph, node: &crate::graph::Node) -> Option<ValueId> {
    let mut all = node.inputs.iter().flatten().copied().chain(node.output(0));
    all.find(|&v| graph.values[v].shape.is_none())
}

/// Axes of a parameter that differ from block to block of another, if all its readers agree on them.
fn declared_blocks(graph: &Graph, v: ValueId, steps: usize) -> Vec<(usize, Blocks)> {
    let mut answers = graph.values[v].uses.iter().map(|&(node, port)| {
        let node = &graph.nodes[node];
        let Some(op) = ops::lookup(node) else { return Vec::new() };
        match node.output(0) {
            // A dequantised weight is divided as the layer behind it says.
            Some(output) if port == 0 && steps > 0 && op.passes(node) => declared_blocks(graph, output, steps - 1),
            _ => op.blocks(node, port),
        }
    });
    let first = answers.next().unwrap_or_default();
    if answers.all(|a| a == first) { first } else { Vec::new() }
}

/// The result of the analysis.
#[derive(Debug)]
pub struct Channels {
    table: Vec<u32>,
    /// Chains that only permute channels.
    pub shuffles: Shuffles,
    /// Layout of every value that has one.
    pub layouts: Layouts,
    /// Groups, in the order of their first producer.
    pub groups: Vec<Group>,
    /// What ties the number of channels that go: see [`Balance`].
    pub balances: Vec<Balance>,
    /// Why channels stay.
    pub pins: Vec<Pin>,
    /// Nodes whose statistics run over channels, with these.
    pub renormalised: Vec<(NodeId, Ids)>,
    /// Every union of two lists and the node that made it.
    pub united: Vec<(Ids, Ids, NodeId)>,
    /// Classes of rows of several channels, each with the classes in it.
    rows: Vec<(u32, Vec<u32>)>,
    /// Rows and the positions in them, as ids.
    row_ids: Vec<(Ids, Ids)>,
    /// Rows that an operator keeps equally long, such as the blocks of a grouped convolution: a value, its ids, how many rows.
    grids: Vec<(ValueId, Ids, usize)>,
    /// For every id the class of the row with which it goes, too; [`PINNED`] where there is none.
    row_table: Vec<u32>,
}

impl Channels {
    /// Analyses a graph.
    pub fn analyze(graph: &Graph) -> Self {
        let mut state = State::default();
        let shuffles = Shuffles::find(graph);
        let ids: Vec<NodeId> = graph.nodes.ids().filter(|id| !shuffles.inner.contains(id)).collect();
        for id in ids {
            let node = &graph.nodes[id];
            state.current = id;
            if let Some(shuffle) = shuffles.by_last.get(&id) {
                state.shuffle(graph, node, shuffle);
                continue;
            }
            let mut cx = ChannelContext { graph, node, id, state: &mut state };
            match ops::lookup(node) {
                Some(_) if cx.state.spent > MAX_STEPS => {
                    cx.pin_inputs("the model is too large to follow every channel")
                }
                Some(op) if op.keeps_all() => op.channels(&mut cx),
                Some(op) => match unknown(graph, node) {
                    Some(v) => cx.pin_inputs(&format!("the shape of {:?} is not known", graph.values[v].name)),
                    None => op.channels(&mut cx),
                },
                None => cx.pin_inputs(&format!("there is no rule for the operator {}", node.op_type)),
            }
            for &captured in &node.captures {
                let layout = state.layout(graph, captured);
                let body = node.body_reading(&graph.values[captured].name).unwrap_or("body");
                let why = format!("the body {body:?} of the node reads it, and channels are not followed into bodies");
                pin_layout(&mut state, &layout, captured, Some(id), &why);
            }
        }
        for &output in &graph.outputs {
            let layout = state.layout(graph, output);
            pin_layout(&mut state, &layout, output, None, "it is an output of the model");
        }
        settle_rows(&mut state);
        settle_shared(&mut state);
        flatten_parameters(graph, &mut state);
        settle_shared(&mut state);
        let cells = balance::collect(&mut state);
        let mut groups = groups::collect(graph, &mut state);
        let balances = balance::assign(cells, &groups);
        let rows = rows_of(&mut state);
        groups::add_rows(&mut groups, &rows, &shared_rows(&mut state));
        let row_table = row_table(&mut state);
        let table = (0..state.classes.count() as u32).map(|i| state.classes.find(i)).collect();
        Self {
            table,
            shuffles,
            layouts: state.layouts,
            groups,
            balances,
            pins: state.pins,
            renormalised: state.renormalised,
            united: state.united,
            rows,
            grids: state.grids,
            row_ids: state.row_sets.into_iter().map(|s| (s.rows, s.cells)).collect(),
            row_table,
        }
        .with_rows_once()
    }

    /// Adds what can only go with the classes of a set: all channels of a row that goes, and a row all of whose channels go.
    pub fn close_rows(&self, gone: &mut HashSet<u32>) {
        loop {
            let before = gone.len();
            for (row, cells) in &self.rows {
                if gone.contains(row) {
                    gone.extend(cells);
                } else if cells.iter().all(|c| gone.contains(c)) {
                    gone.insert(*row);
                }
            }
            if gone.len() == before {
                return;
            }
        }
    }

    /// A value of which an operator would find rows of different length with these classes gone: some rows lose more than others,
    /// or one loses everything that cannot go as a row.
    pub fn uneven(&self, gone: &HashSet<u32>) -> Option<ValueId> {
        let class = |id: &u32| self.table.get(*id as usize).copied().unwrap_or(PINNED);
        let is_uneven = |(_, ids, count): &&(ValueId, Ids, usize)| {
            let columns = ids.len() / (*count).max(1);
            if columns < 2 {
                return false;
            }
            let own = self.row_ids.iter().find(|(rows, cells)| cells.as_ptr() == ids.as_ptr() && rows.len() == *count);
            let went = |r: usize| own.and_then(|(rows, _)| rows.get(r)).is_some_and(|row| gone.contains(&class(row)));
            let stays = |row: &[u32]| row.iter().filter(|id| !gone.contains(&class(id))).count();
            let rows = ids.chunks(columns).enumerate().filter(|(r, _)| !went(*r));
            let mut lengths = rows.map(|(_, row)| stays(row));
            lengths.next().is_some_and(|first| lengths.any(|n| n != first))
        };
        self.grids.iter().find(is_uneven).map(|grid| grid.0)
    }

    /// Classes of whole rows, each with the classes in it.
    pub fn rows(&self) -> &[(u32, Vec<u32>)] {
        &self.rows
    }

    /// The class of every id.
    pub fn class_table(&self) -> &[u32] {
        &self.table
    }
}

/// Rows that have a class of their own, each with the classes in it.
fn rows_of(state: &mut State) -> Vec<(u32, Vec<u32>)> {
    let mut out = Vec::new();
    for set in &state.row_sets {
        let inner = (set.cells.len() / set.rows.len().max(1)).max(1);
        for (&row, cells) in set.rows.iter().zip(set.cells.chunks(inner)) {
            let row = state.classes.find(row);
            let mut cells: Vec<u32> = cells.iter().map(|&c| state.classes.find(c)).collect();
            cells.sort_unstable();
            cells.dedup();
            if row != PINNED && cells != [row] {
                out.push((row, cells));
            }
        }
    }
    out.sort_unstable();
    out.dedup();
    out
}

fn pin_layout(state: &mut State, layout: &Layout, value: ValueId, node: Option<NodeId>, why: &str) {
    for b in &layout.bundles {
        if b.ids.iter().all(|&i| state.classes.find(i) == PINNED) {
            continue;
        }
        for &i in b.ids.iter() {
            state.classes.unite(PINNED, i);
        }
        let axis = b.axes.first().copied().unwrap_or(0);
        state.pins.push(Pin { value: Some(value), axis, node, ids: Arc::clone(&b.ids), why: why.to_owned() });
    }
}

/// Slices of a parameter, and blocks of slices, can go; what differs along three axes cannot be written as a mask. Of such
/// parameters positions along the innermost axes go together.
fn flatten_parameters(graph: &Graph, state: &mut State) {
    for (id, _, _) in graph.parameters() {
        let joint = state.layouts.get(&id).into_iter().flat_map(|l| &l.bundles).filter(|b| b.axes.len() > 2);
        for bundle in joint.cloned().collect::<Vec<_>>() {
            let mut present = bundle;
            loop {
                let mut ranks = (0..present.axes.len()).rev();
                let same = |state: &State, x, y| state.classes.peek(x) == state.classes.peek(y);
                if let Some(smaller) = ranks.find_map(|r| present.without(r, |x, y| same(state, x, y))) {
                    present = smaller;
                } else if let Some(&axis) = present.axes.last().filter(|_| present.axes.len() > 2) {
                    present = state.collapsed(&present, axis);
                    settle_rows(state);
                } else {
                    break;
                }
            }
        }
    }
}

/// A row whose positions are all one class is that class. A row that holds a pinned position can never go.
fn settle_rows(state: &mut State) {
    loop {
        let mut changed = false;
        for set in &state.row_sets {
            let inner = (set.cells.len() / set.rows.len().max(1)).max(1);
            for (&row, cells) in set.rows.iter().zip(set.cells.chunks(inner)) {
                let mut classes = cells.iter().map(|&c| state.classes.find(c));
                let Some(first) = classes.next() else { continue };
                let (mut same, mut pinned) = (true, first == PINNED);
                for c in classes {
                    same &= c == first;
                    pinned |= c == PINNED;
                }
                if same {
                    changed |= state.classes.unite(row, first);
                } else if pinned {
                    changed |= state.classes.unite(PINNED, row);
                }
            }
        }
        if !changed {
            return;
        }
    }
}
