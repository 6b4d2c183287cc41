//! Chains of reshapes and transposes that only permute the positions of one axis (channel shuffles), or only the axes.
//!
//! No operator sees the axes between the ends apart, so the chain asks for no balance. A cut turns it into one Gather, or into
//! one Transpose.

use super::layout::{positions, strides};
use super::strided;
use crate::graph::{Dim, Graph, NodeId, Shape, ValueId};
use crate::ops;
use std::collections::{BTreeMap, HashSet};

/// Larger tensors are not followed element by element.
const MAX_ELEMENTS: usize = 1 << 21;
/// Elements followed in one graph: what lies behind is a reshape like any other.
const MAX_ALL_ELEMENTS: usize = 1 << 23;
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
        let mut budget = MAX_ALL_ELEMENTS;
        for (id, node) in graph.nodes.iter() {
            if let Some((before, last, view)) = strided::find(graph, id, node) {
                out.inner.insert(before);
                out.by_last.insert(last, view);
            }
            if out.inner.contains(&id) || out.by_last.contains_key(&id) {
                continue;
            }
            if let Some((nodes, last, shuffle)) = chain(graph, id, &mut budget) {
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

fn chain(graph: &Graph, first: NodeId, budget: &mut usize) -> Option<(Vec<NodeId>, NodeId, Shuffle)> {
    let input = graph.nodes[first].input(0)?;
    let start = graph.values[input].shape.as_ref()?;
    let lengths = sample(start)?;
    let total = lengths.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if total > MAX_ELEMENTS.min(*budget)
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
            *budget -= total;
            let (axis, order) = permutation(&lengths, &steps, start)?;
            return Some((nodes, node, Shuffle { input, axis, order, perm: None }));
        }
        let reshaped = transposed && steps.last().is_some_and(|s| s.1.is_none());
        if let Some(perm) =
            value.shape.as_ref().filter(|_| reshaped).and_then(|s| transposition(&lengths, &steps, start, s))
        {
            nodes.pop();
            *budget -= total;
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
    let held = followed(lengths, steps)?;
    let own = strides(lengths);
    let after: Vec<usize> = end.iter().map(|d| d.at(SAMPLES).length()).collect::<Option<_>>()?;
    let mut perm: Vec<usize> = Vec::new();
    for ((d, &n), &step) in end.iter().zip(&after).zip(&strides(&after)) {
        let fits = |&axis: &usize| {
            let same = start.get(axis) == Some(d) && !perm.contains(&axis);
            same && (n == 1 || held.get(step) == own.get(axis))
        };
        perm.push((0..start.len()).find(fits)?);
    }
    let picked: Vec<usize> = perm.iter().map(|&p| own.get(p).copied()).collect::<Option<_>>()?;
    let at = |p: Vec<usize>| p.iter().zip(&picked).map(|(i, s)| i * s).sum::<usize>();
    positions(&after).map(at).eq(held).then_some(perm)
}

/// The element of the start that each element of the end is.
fn followed(lengths: &[usize], steps: &Steps) -> Option<Vec<usize>> {
    let mut held: Vec<usize> = (0..lengths.iter().product()).collect();
    for (shape, perm) in steps {
        let Some(perm) = perm else { continue };
        let old = strides(shape);
        let new: Vec<usize> = perm.iter().map(|&p| shape.get(p).copied()).collect::<Option<_>>()?;
        let picked: Vec<usize> = perm.iter().map(|&p| old.get(p).copied()).collect::<Option<_>>()?;
        held = positions(&new)
            .map(|p| held.get(p.iter().zip(&picked).map(|(i, s)| i * s).sum::<usize>()).copied())
            .collect::<Option<_>>()?;
    }
    Some(held)
}

/// The axis and order by which the steps permute, if they do nothing else.
fn permutation(lengths: &[usize], steps: &Steps, start: &[Dim]) -> Option<(usize, Vec<usize>)> {
    let held = followed(lengths, steps)?;
    let own = strides(lengths);
    for (axis, (&n, &step)) in lengths.iter().zip(&own).enumerate() {
        if n < 2 || start.get(axis).and_then(Dim::length) != Some(n) {
            continue;
        }
        let order: Vec<usize> = (0..n).map(|i| held.get(i * step).map(|h| h / step % n)).collect::<Option<_>>()?;
        let explains = held.iter().enumerate().all(|(at, &h)| {
            let i = at / step % n;
            order.get(i).is_some_and(|&o| at - i * step + o * step == h)
        });
        if explains {
            return Some((axis, order));
        }
    }
    None
}
