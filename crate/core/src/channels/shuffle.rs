//! Chains of reshapes and transposes that only permute the positions of one axis (channel shuffles), or only the axes.
//!
//! No operator sees the axes between the ends apart, so the chain asks for no balance. A cut turns it into one Gather, or into
//! one Transpose.

use super::layout::strides;
use super::strided;
use crate::graph::{Dim, Graph, NodeId, Shape, ValueId};
use crate::ops;
use std::collections::{BTreeMap, HashSet};

/// Longest chain that is tried.
const MAX_NODES: usize = 8;

/// A chain that permutes positions of one axis, or axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Shuffle {
    /// What goes in.
    pub input: ValueId,
    /// The axis.
    pub axis: usize,
    /// Position of the input that each position of the output holds.
    pub order: Vec<usize>,
    /// The input's axes in the order that the output has them, where the chain does nothing else.
    pub perm: Option<Vec<usize>>,
}

/// Shuffles by their last node, and all nodes before the last ones.
#[derive(Debug, Default)]
pub struct Shuffles {
    /// By last node.
    pub by_last: BTreeMap<NodeId, Shuffle>,
    /// First and inner nodes.
    pub inner: HashSet<NodeId>,
}

impl Shuffles {
    /// Finds the shuffles of a graph.
    pub(super) fn find(graph: &Graph) -> Self {
        let mut out = Self::default();
        for (id, node) in graph.nodes.iter() {
            if let Some((before, last, view)) = strided::find(graph, id, node) {
                out.inner.insert(before);
                out.by_last.insert(last, view);
            }
            if out.inner.contains(&id) || out.by_last.contains_key(&id) {
                continue;
            }
            if let Some((nodes, last, shuffle)) = chain(graph, id) {
                out.inner.extend(nodes);
                out.by_last.insert(last, shuffle);
            }
        }
        out
    }
}

/// The steps of one node as a map from output elements to input elements.
fn moves(graph: &Graph, node: NodeId, from: &[usize]) -> Option<(Vec<usize>, Option<Vec<usize>>)> {
    let node = &graph.nodes[node];
    let out = graph.values[node.output(0)?].shape.as_ref()?;
    let perm = ops::lookup(node)?.permutes(node, from.len())?;
    match perm {
        Some(perm) => Some((perm.iter().map(|&p| from.get(p).copied()).collect::<Option<_>>()?, Some(perm))),
        None => Some((sample(out)?, None)),
    }
}

/// Symbolic axes count as so many: with a single sample, one that changes places with channels would look like none.
const SAMPLES: i64 = 3;

/// Lengths for a few samples.
fn sample(shape: &Shape) -> Option<Vec<usize>> {
    shape.iter().map(|d| d.at(SAMPLES).length()).collect()
}

fn chain(graph: &Graph, first: NodeId) -> Option<(Vec<NodeId>, NodeId, Shuffle)> {
    let input = graph.nodes[first].input(0)?;
    let start = graph.values[input].shape.as_ref()?;
    let lengths = sample(start)?;
    let total = lengths.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if total == 0
        || graph.values[input].is_parameter()
        || ops::lookup(&graph.nodes[first])?.permutes(&graph.nodes[first], lengths.len())?.is_some()
    {
        return None;
    }
    let (mut nodes, mut node, mut steps) = (Vec::new(), first, Vec::new());
    let mut shape = lengths.clone();
    let mut transposed = false;
    while nodes.len() < MAX_NODES {
        let (next, perm) = moves(graph, node, &shape)?;
        transposed |= perm.is_some();
        steps.push((shape, perm));
        shape = next;
        nodes.push(node);
        let output = graph.nodes[node].output(0)?;
        let value = &graph.values[output];
        if transposed && value.shape.as_ref() == Some(start) && steps.last().is_some_and(|s| s.1.is_none()) {
            nodes.pop();
            let (axis, order) = permutation(&lengths, &steps, start)?;
            return Some((nodes, node, Shuffle { input, axis, order, perm: None }));
        }
        let reshaped = transposed && steps.last().is_some_and(|s| s.1.is_none());
        if let Some(perm) =
            value.shape.as_ref().filter(|_| reshaped).and_then(|s| transposition(&lengths, &steps, start, s))
        {
            nodes.pop();
            return Some((nodes, node, Shuffle { input, axis: 0, order: Vec::new(), perm: Some(perm) }));
        }
        match value.uses.as_slice() {
            [(reader, 0)] if !value.is_output => node = *reader,
            _ => return None,
        }
    }
    None
}

/// Shapes before each step, and how a transposition orders the axes of its.
type Steps = [(Vec<usize>, Option<Vec<usize>>)];

/// The order in which the steps leave the axes, if they do nothing else.
fn transposition(lengths: &[usize], steps: &Steps, start: &[Dim], end: &[Dim]) -> Option<Vec<usize>> {
    let mut left: Vec<&Dim> = start.iter().collect();
    for d in end {
        left.remove(left.iter().position(|l| *l == d)?);
    }
    if !left.is_empty() {
        return None;
    }
    let after: Vec<usize> = end.iter().map(|d| d.at(SAMPLES).length()).collect::<Option<_>>()?;
    let held = regrouped(&followed(lengths, steps)?, &after)?;
    let own = strides(lengths);
    let mut perm: Vec<usize> = Vec::new();
    for ((d, &n), digits) in end.iter().zip(&after).zip(&held) {
        let fits = |&axis: &usize| {
            let same = start.get(axis) == Some(d) && !perm.contains(&axis);
            same && own.get(axis).is_some_and(|&stride| is_axis(digits, stride, n))
        };
        perm.push((0..start.len()).find(fits)?);
    }
    Some(perm)
}

/// A run of positions: so many, so far apart in the start. A tensor whose elements lie in the order of a list of them is that of a
/// number with these digits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Digit {
    stride: usize,
    length: usize,
}

/// The digits of the end in its order, as places in the start.
fn followed(lengths: &[usize], steps: &Steps) -> Option<Vec<Digit>> {
    let whole = lengths.iter().zip(strides(lengths));
    let mut digits: Vec<Digit> = whole.map(|(&length, stride)| Digit { stride, length }).collect();
    for (shape, perm) in steps {
        let Some(perm) = perm else { continue };
        let axes = regrouped(&digits, shape)?;
        let picked: Vec<&Vec<Digit>> = perm.iter().map(|&p| axes.get(p)).collect::<Option<_>>()?;
        digits = picked.into_iter().flatten().copied().collect();
    }
    Some(digits)
}

/// The digits that make each axis of a shape; `None` where an axis ends within a digit that it does not divide.
fn regrouped(digits: &[Digit], shape: &[usize]) -> Option<Vec<Vec<Digit>>> {
    let mut rest = joined(digits);
    rest.reverse();
    let mut out = Vec::with_capacity(shape.len());
    for &n in shape {
        let (mut own, mut left) = (Vec::new(), n);
        while left > 1 {
            let Digit { stride, length } = rest.pop()?;
            if left.is_multiple_of(length) {
                own.push(Digit { stride, length });
                left /= length;
            } else if length.is_multiple_of(left) {
                let inner = length / left;
                own.push(Digit { stride: stride * inner, length: left });
                rest.push(Digit { stride, length: inner });
                left = 1;
            } else {
                return None;
            }
        }
        out.push(own);
    }
    rest.is_empty().then_some(out)
}

/// Digits that count on as one are one.
fn joined(digits: &[Digit]) -> Vec<Digit> {
    let mut out: Vec<Digit> = Vec::new();
    for &d in digits.iter().filter(|d| d.length > 1) {
        match out.last_mut().filter(|last| last.stride == d.stride * d.length) {
            Some(last) => *last = Digit { stride: d.stride, length: last.length * d.length },
            None => out.push(d),
        }
    }
    out
}

/// Whether digits are an axis of the start as a whole.
fn is_axis(digits: &[Digit], stride: usize, length: usize) -> bool {
    length == 1 || joined(digits) == [Digit { stride, length }]
}

/// The axis and order by which the steps permute, if they do nothing else.
fn permutation(lengths: &[usize], steps: &Steps, start: &[Dim]) -> Option<(usize, Vec<usize>)> {
    let held = regrouped(&followed(lengths, steps)?, lengths)?;
    let own = strides(lengths);
    let moved: Vec<usize> = (held.iter().zip(&own).zip(lengths).enumerate())
        .filter(|(_, ((digits, stride), n))| !is_axis(digits, **stride, **n))
        .map(|(axis, _)| axis)
        .collect();
    let named = |axis: &usize| start.get(*axis).and_then(Dim::length).is_some_and(|n| n > 1);
    let axis = match moved.as_slice() {
        [] => (0..lengths.len()).find(named)?,
        [axis] if named(axis) => *axis,
        _ => return None,
    };
    let (n, step) = (lengths.get(axis)?, own.get(axis)?);
    let mut order = vec![0];
    for d in held.get(axis)? {
        order = order.iter().flat_map(|&o| (0..d.length).map(move |i| o + i * d.stride / step)).collect();
    }
    (order.len() == *n && order.iter().all(|o| o < n)).then_some((axis, order))
}
