//! What an operator's channel rule works with: layouts of its inputs, unions, pins.

use super::layout::{Bundle, Ids, Layout, positions, strides};
use super::union_find::PINNED;
use super::{LIST_COST, MAX_POSITIONS, Pin, Role, State};
use crate::graph::{Dim, Graph, InferContext, Node, NodeId, Origin, Shape, ValueId};
use std::sync::Arc;

/// Most operands that are made to agree, each with each.
const MAX_OPERANDS: usize = 64;

/// A channel rule's view of the analysis at one node.
#[derive(Debug)]
pub struct ChannelContext<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// The node.
    pub node: &'a Node,
    pub(super) id: NodeId,
    pub(super) state: &'a mut State,
}

impl<'a> ChannelContext<'a> {
    /// The layout of an input; empty if it is left out.
    pub fn layout(&mut self, input: usize) -> Layout {
        match self.node.input(input) {
            Some(v) => Layout { source: Some((v, 0)), ..self.state.layout(self.graph, v) },
            None => Layout::default(),
        }
    }

    /// The layout that an output has been given.
    pub fn made(&self, output: usize) -> Layout {
        self.node.output(output).and_then(|v| self.state.layouts.get(&v)).cloned().unwrap_or_default()
    }

    /// Asks a rule as if the node were another one with the same outputs.
    pub fn as_node(&mut self, node: &Node, rule: impl FnOnce(&mut ChannelContext<'_>)) {
        rule(&mut ChannelContext { graph: self.graph, node, id: self.id, state: &mut *self.state });
    }

    /// Number of axes of an input.
    pub fn rank(&self, input: usize) -> Option<usize> {
        self.node.input(input).and_then(|v| self.graph.values[v].shape.as_ref()).map(Vec::len)
    }

    /// Lengths of an input's axes; `None` where one is not known.
    pub fn lengths(&self, input: usize) -> Vec<Option<usize>> {
        self.node.input(input).map(|v| self.value_lengths(v)).unwrap_or_default()
    }

    /// Lengths of an output's axes; `None` where one is not known.
    pub fn output_lengths(&self, output: usize) -> Vec<Option<usize>> {
        self.node.output(output).map(|v| self.value_lengths(v)).unwrap_or_default()
    }

    fn value_lengths(&self, v: ValueId) -> Vec<Option<usize>> {
        self.graph.values[v].shape.iter().flatten().map(Dim::length).collect()
    }

    /// The folded elements of an input, if all are known.
    pub fn known(&self, input: usize) -> Option<Vec<i64>> {
        let v = &self.graph.values[self.node.input(input)?];
        match (&v.constant, &v.tensor) {
            (Some(c), _) => c.as_known(),
            (None, Some(t)) => t.to_i64().ok(),
            _ => None,
        }
    }

    /// The shape of an input, if it is known.
    pub fn shape(&self, input: usize) -> Option<Shape> {
        self.node.input(input).and_then(|v| self.graph.values[v].shape.clone())
    }

    /// The shape of an output, if it is known.
    pub fn output_shape(&self, output: usize) -> Option<Shape> {
        self.node.output(output).and_then(|v| self.graph.values[v].shape.clone())
    }

    /// Asks something that shape inference knows, too.
    pub fn infer<T>(&self, ask: impl FnOnce(&InferContext<'_>) -> T) -> T {
        ask(&InferContext::new(self.node, &self.graph.values))
    }

    /// New ids for positions that are known to be the same everywhere, such as the zeros of a Pad.
    /// `None` where they would be too many to follow: then the axis stays as it is.
    pub fn fresh_zeros(&mut self, count: usize) -> Option<Ids> {
        if count > MAX_POSITIONS || !self.state.spend(count.saturating_mul(LIST_COST)) {
            return None;
        }
        let first = self.state.classes.fresh(count);
        Some((first..).take(count).collect())
    }

    /// New ids for copies of one position, which may go one by one.
    pub fn fresh_copies(&mut self, count: usize) -> Option<Ids> {
        let ids = self.fresh_zeros(count)?;
        self.state.copies.extend(ids.first());
        Some(ids)
    }

    /// Whether a bundle only holds copies of one position, and whether only rows whose columns are elsewhere.
    pub(super) fn is_minor(&self, bundle: &Bundle) -> (bool, bool) {
        self.state.is_minor(bundle)
    }

    /// Takes an axis out of a bundle over which another operand is repeated; rows along it can still go whole.
    pub fn share_columns(&mut self, layout: &mut Layout, axis: usize) {
        let Some(at) = layout.index_of(axis) else { return };
        let bundle = layout.bundles.remove(at);
        let (columns, rows) = self.state.share(&bundle, axis);
        layout.bundles.insert(at, columns);
        layout.bundles.push(rows);
    }

    /// Keeps an axis of a parameter that holds no channels, such as kernel positions.
    pub fn fix(&mut self, layout: &mut Layout, axis: usize) {
        let Some(at) = layout.index_of(axis) else { return };
        for id in layout.bundles.remove(at).ids.iter() {
            self.state.classes.unite(PINNED, *id);
        }
    }

    /// Keeps an axis of a weight, with the reason.
    pub fn keep_weight(&mut self, layout: &mut Layout, axis: usize, why: &str) {
        let value = self.node.input(1);
        self.keep_whole(layout, axis, value, why);
    }

    /// Asks that channels along one axis stay a grid of so many rows, and returns the ids of the rows.
    pub fn balance(&mut self, bundle: &Bundle, rows: usize) -> Ids {
        if let Some(v) = self.node.input(0) {
            self.state.grids.push((v, bundle.ids.clone(), rows.max(1)));
        }
        self.state.rows(&bundle.ids, rows.max(1))
    }

    /// Asks that every row of a joint bundle loses as many positions, or goes whole.
    pub fn keep_grid(&mut self, bundle: &Bundle) {
        let Some(v) = self.node.input(0) else { return };
        for depth in 1..bundle.lengths.len() {
            let rows = bundle.ids.len() / bundle.inner(depth).max(1);
            self.state.grids.push((v, bundle.ids.clone(), rows.max(1)));
        }
    }

    /// Sets the layout of an output.
    pub fn set(&mut self, output: usize, mut layout: Layout) {
        let Some(v) = self.node.output(output) else { return };
        layout.bundles = layout.bundles.into_iter().map(Bundle::narrowed).collect();
        let read = |ids: &Ids, state: &State| {
            let inputs = self.node.inputs.iter().flatten().filter_map(|i| state.layouts.get(i));
            inputs.flat_map(|l| &l.bundles).any(|b| Arc::ptr_eq(&b.ids, ids))
        };
        let made = layout.bundles.iter().filter(|b| !read(&b.ids, self.state)).map(|b| b.ids.len()).sum::<usize>();
        self.state.spend(made.saturating_mul(LIST_COST));
        self.state.layouts.insert(v, layout);
    }

    /// Says that whatever of an input is masked stays in the cut model's statistics: see `renormalised` of the report.
    pub fn renormalises(&mut self, ids: &Ids) {
        self.state.renormalised.push((self.id, ids.clone()));
    }

    /// Notes which role initializers play whose channels are in this list.
    pub fn role(&mut self, ids: &Ids, role: Role) {
        self.state.set_role(ids, role);
    }

    /// Unites two lists position by position.
    pub fn unite(&mut self, a: &Ids, b: &Ids) {
        self.state.unite_lists(a, b, self.id);
    }

    /// Pins every channel of a list.
    pub fn pin_ids(&mut self, value: Option<ValueId>, axis: usize, ids: &Ids, why: &str) {
        self.state.spend(ids.len());
        if ids.iter().any(|&i| self.state.classes.find(i) != PINNED) {
            for &i in ids.iter() {
                self.state.classes.unite(PINNED, i);
            }
            self.state.pins.push(Pin { value, axis, node: Some(self.id), ids: ids.clone(), why: why.to_owned() });
        }
    }

    /// Pins all axes of all inputs, for operators that allow nothing.
    pub fn pin_inputs(&mut self, why: &str) {
        for input in 0..self.node.inputs.len() {
            let layout = self.layout(input);
            for b in &layout.bundles {
                let axis = b.axes.first().copied().unwrap_or(0);
                self.pin_ids(self.node.input(input), axis, &b.ids.clone(), why);
            }
        }
    }

    /// Ids of the rows of a bundle's first `prefix` axes: a row goes if and only if all its positions go.
    pub fn rows(&mut self, bundle: &Bundle, prefix: usize) -> Bundle {
        let lengths: Vec<usize> = bundle.lengths.iter().take(prefix).copied().collect();
        let ids = self.state.rows(&bundle.ids, lengths.iter().product());
        let axes = bundle.axes.iter().take(prefix).copied().collect();
        Bundle::joint(axes, lengths, ids, bundle.zero)
    }

    /// Keeps an axis whole where positions along it are mixed: its positions become one channel, or are pinned if the bundle
    /// has no other axis.
    pub fn keep_whole(&mut self, layout: &mut Layout, axis: usize, value: Option<ValueId>, why: &str) {
        let Some(at) = layout.index_of(axis) else { return };
        let bundle = layout.bundles.remove(at);
        if bundle.axes.len() == 1 {
            self.pin_ids(value, axis, &bundle.ids, why);
        } else {
            layout.bundles.insert(at, self.collapsed(&bundle, axis));
        }
    }

    /// Keeps the one position that an axis of an input has, where the output repeats it.
    pub fn keep_repeated(&mut self, layout: &mut Layout, axis: usize, input: usize, own: usize) {
        if self.lengths(input).get(own) == Some(&Some(1)) {
            let value = self.node.input(input);
            self.keep_whole(layout, axis, value, "its only position along the axis is repeated");
        }
    }

    /// Unites positions that differ only along one axis of a bundle and takes the axis out of it.
    pub fn collapsed(&mut self, bundle: &Bundle, axis: usize) -> Bundle {
        self.state.collapsed(bundle, axis)
    }

    /// Makes rows keep the same positions of an axis: one list of indices has to fit all of them.
    pub fn separate(&mut self, layout: &mut Layout, axis: usize) {
        self.state.separate(layout, axis);
    }

    /// Makes two layouts agree along pairs of axes of equal length, by unions and, where they are built differently, by keeping
    /// axes whole. Afterwards every paired axis is in no bundle of both, or in equal bundles, or in one that is a prefix of the other.
    pub fn align(&mut self, a: &mut Layout, b: &mut Layout, pairs: &[(usize, usize)]) {
        if let [(i, j)] = pairs
            && let (Some(x), Some(y)) = (a.at(*i), b.at(*j))
            && let ([_], [_]) = (x.axes.as_slice(), y.axes.as_slice())
        {
            let (x, y) = (x.ids.clone(), y.ids.clone());
            self.unite(&x, &y);
            return;
        }
        self.adopt(a, b, pairs);
        let mut done: Vec<usize> = Vec::new();
        while let Some(&(i, j)) = pairs.iter().find(|(i, _)| !done.contains(i)) {
            match (a.at(i).cloned(), b.at(j).cloned()) {
                (None, None) => done.push(i),
                (Some(x), None) => {
                    let why = self.meets(b, j);
                    self.keep_aligned(a, &x, i, &why);
                    done.push(i);
                }
                (None, Some(y)) => {
                    let why = self.meets(a, i);
                    self.keep_aligned(b, &y, j, &why);
                    done.push(i);
                }
                (Some(x), Some(y)) => self.align_bundles(a, b, &x, &y, pairs, &mut done),
            }
        }
    }

    /// Why an axis that meets axis `axis` of another layout must stay.
    fn meets(&self, other: &Layout, axis: usize) -> String {
        let Some((v, shift)) = other.source else { return "it meets a value whose same axis cannot be cut".to_owned() };
        let value = &self.graph.values[v];
        let what = if value.origin == Origin::Input { "an input of the model" } else { "which cannot be cut there" };
        format!("it meets axis {} of {:?}, {what}", axis.saturating_sub(shift), value.name)
    }

    /// One side has a bundle along an axis that the other keeps whole. Its channels stay, and so do all that they meet later.
    fn keep_aligned(&mut self, layout: &mut Layout, x: &Bundle, axis: usize, why: &str) {
        let (value, own) = match layout.source {
            Some((v, shift)) => (Some(v), axis.saturating_sub(shift)),
            None => (None, axis),
        };
        match x.rank_of(axis) {
            Some(_) if x.axes.len() == 1 => self.pin_ids(value, own, &x.ids, why),
            Some(rank) if rank + 1 < x.axes.len() => {
                let rows = self.rows(x, rank + 1);
                self.pin_ids(value, own, &rows.ids, why);
            }
            _ => self.keep_whole(layout, axis, value, why),
        }
    }

    fn align_bundles(
        &mut self,
        a: &mut Layout,
        b: &mut Layout,
        x: &Bundle,
        y: &Bundle,
        pairs: &[(usize, usize)],
        done: &mut Vec<usize>,
    ) {
        let to_b = |i: usize| pairs.iter().find(|p| p.0 == i).map(|p| p.1);
        let to_a = |j: usize| pairs.iter().find(|p| p.1 == j).map(|p| p.0);
        let common: Vec<usize> =
            x.axes.iter().copied().filter(|&i| to_b(i).is_some_and(|j| y.axes.contains(&j))).collect();
        let common_b: Vec<usize> =
            y.axes.iter().copied().filter(|&j| to_a(j).is_some_and(|i| x.axes.contains(&i))).collect();
        let prefix_x = x.axes.starts_with(&common);
        let prefix_y = y.axes.starts_with(&common_b);
        let (whole_x, whole_y) = (common.len() == x.axes.len(), common_b.len() == y.axes.len());
        if whole_x && whole_y {
            let order: Vec<usize> = x.axes.iter().filter_map(|&i| to_b(i).and_then(|j| y.rank_of(j))).collect();
            let y = if order.iter().enumerate().all(|(k, &r)| k == r) { y.clone() } else { y.reordered(&order) };
            self.unite(&x.ids, &y.ids);
            done.extend(common);
        } else if (prefix_x && prefix_y) && (whole_x || whole_y) && same_order(&common, &common_b, to_b) {
            let (rx, ry) = (self.prefix_rows(x, common.len()), self.prefix_rows(y, common.len()));
            self.unite(&rx.ids, &ry.ids);
            done.extend(common);
        } else if let Some(&axis) = x.axes.iter().find(|i| to_b(**i).is_none()).filter(|_| x.axes.len() > 1) {
            self.share_columns(a, axis);
        } else if let Some(&axis) = y.axes.iter().find(|j| to_a(**j).is_none()).filter(|_| y.axes.len() > 1) {
            self.share_columns(b, axis);
        } else if let Some(&axis) = x.axes.iter().find(|i| !common.contains(i)) {
            self.keep_whole(a, axis, None, "it meets a value whose axes are divided otherwise");
        } else if let Some(&axis) = y.axes.iter().find(|j| !common_b.contains(j)) {
            self.keep_whole(b, axis, None, "it meets a value whose axes are divided otherwise");
        }
    }

    fn prefix_rows(&mut self, x: &Bundle, prefix: usize) -> Bundle {
        if prefix == x.axes.len() { x.clone() } else { self.rows(x, prefix) }
    }

    /// A parameter that nothing has read yet takes over the joint structure that the other side has along its axes.
    fn adopt(&mut self, a: &mut Layout, b: &mut Layout, pairs: &[(usize, usize)]) {
        let flipped: Vec<(usize, usize)> = pairs.iter().map(|&(i, j)| (j, i)).collect();
        self.adopt_from(a, b, pairs);
        self.adopt_from(b, a, &flipped);
    }

    fn adopt_from(&mut self, from: &Layout, to: &mut Layout, pairs: &[(usize, usize)]) {
        for x in from.bundles.iter().filter(|x| x.axes.len() > 1) {
            let axes: Vec<usize> =
                x.axes.iter().filter_map(|&i| pairs.iter().find(|p| p.0 == i).map(|p| p.1)).collect();
            let owners: Vec<_> = axes.iter().filter_map(|&j| to.at(j).and_then(|y| y.owner)).collect();
            let Some(&(value, _)) = owners.first() else { continue };
            let fresh = self.graph.values[value].uses.len() == 1 && self.node.inputs.contains(&Some(value));
            if axes.len() < 2 || owners.len() < axes.len() || !fresh || owners.iter().any(|o| o.0 != value) {
                continue;
            }
            let lengths: Vec<usize> = axes.iter().filter_map(|&j| to.at(j).map(|y| y.ids.len())).collect();
            let ids = self.state.fresh(value, lengths.iter().product());
            to.bundles.retain(|y| !axes.iter().any(|j| y.axes.contains(j)));
            to.bundles.push(Bundle::joint(axes, lengths.clone(), ids.clone(), true));
            let own: Vec<usize> = owners.iter().map(|o| o.1).collect();
            let stored = self.state.layouts.or_default(value);
            stored.bundles.retain(|y| !own.iter().any(|j| y.axes.contains(j)));
            stored.bundles.push(Bundle::joint(own, lengths, ids, true));
        }
    }

    /// The layout of a broadcast result of several inputs, after making them agree. `zero` decides from the inputs' answers
    /// (`None`: the input does not vary along the bundle) whether masked positions of the result are zero.
    pub fn broadcast(&mut self, inputs: &[usize], zero: &dyn Fn(&[Option<bool>]) -> bool) -> Layout {
        if inputs.len() > MAX_OPERANDS {
            self.pin_inputs("the node has more inputs than can be compared pair by pair");
            return Layout::default();
        }
        let lengths = self.output_lengths(0);
        let rank = lengths.len();
        let mut layouts: Vec<Layout> = Vec::new();
        let mut shifts = Vec::new();
        for &i in inputs {
            let own = self.lengths(i);
            let shift = rank.saturating_sub(own.len());
            shifts.push((shift, own));
            let layout = self.layout(i);
            let source = layout.source.map(|(v, _)| (v, shift));
            let mut layout = Layout { source, ..layout.renamed(|axis| Some(axis + shift)) };
            for axis in (shift..rank).filter(|&axis| lengths.get(axis) != Some(&Some(1))) {
                self.keep_repeated(&mut layout, axis, i, axis - shift);
            }
            layouts.push(layout);
        }
        let spans = |k: usize, axis: usize| -> bool {
            shifts
                .get(k)
                .is_some_and(|(shift, own)| axis >= *shift && own.get(axis - shift).is_some_and(|n| *n != Some(1)))
        };
        let count = layouts.len();
        // Twice, since making a later pair agree can keep an axis whole that an earlier one had in a bundle.
        for (i, j) in (0..2).flat_map(|_| (0..count).flat_map(move |i| (i + 1..count).map(move |j| (i, j)))) {
            let pairs: Vec<(usize, usize)> =
                (0..rank).filter(|&ax| spans(i, ax) && spans(j, ax)).map(|ax| (ax, ax)).collect();
            if let (Some(mut a), Some(mut b)) = (layouts.get(i).cloned(), layouts.get(j).cloned()) {
                self.align(&mut a, &mut b, &pairs);
                if let Some(slot) = layouts.get_mut(i) {
                    *slot = a;
                }
                if let Some(slot) = layouts.get_mut(j) {
                    *slot = b;
                }
            }
        }
        let mut out = merge(&layouts);
        for bundle in &mut out.bundles {
            let answers: Vec<Option<bool>> =
                layouts.iter().map(|l| bundle.axes.iter().find_map(|&axis| l.at(axis)).map(|b| b.zero)).collect();
            bundle.zero = zero(&answers);
        }
        for &i in inputs {
            let layout = self.layout(i);
            for b in &layout.bundles {
                self.role(&b.ids, Role::Companion);
            }
        }
        out
    }
}

fn same_order(common: &[usize], common_b: &[usize], to_b: impl Fn(usize) -> Option<usize>) -> bool {
    common.iter().zip(common_b).all(|(&i, &j)| to_b(i) == Some(j))
}

/// The widest bundles of several layouts that agree.
pub fn merge(layouts: &[Layout]) -> Layout {
    let mut all: Vec<&Bundle> = layouts.iter().flat_map(|l| &l.bundles).collect();
    all.sort_by_key(|b| std::cmp::Reverse(b.axes.len()));
    let mut out = Layout::default();
    for b in all {
        if !b.axes.iter().any(|&axis| out.at(axis).is_some()) {
            out.bundles.push(b.clone());
        }
    }
    out
}

/// Takes some positions along one axis of a bundle, in the order given.
pub fn take(bundle: &Bundle, axis: usize, indices: &[usize]) -> Bundle {
    let Some(rank) = bundle.rank_of(axis) else { return bundle.clone() };
    let mut lengths = bundle.lengths.clone();
    if let Some(n) = lengths.get_mut(rank) {
        *n = indices.len();
    }
    let steps = strides(&bundle.lengths);
    let ids: Arc<[u32]> = positions(&lengths)
        .filter_map(|mut p| {
            if let Some(i) = p.get_mut(rank) {
                *i = indices.get(*i).copied()?;
            }
            let at: usize = p.iter().zip(&steps).map(|(i, s)| i * s).sum();
            bundle.ids.get(at).copied()
        })
        .collect();
    Bundle::joint(bundle.axes.clone(), lengths, ids, bundle.zero)
}
