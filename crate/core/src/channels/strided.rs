//! Strided views: a flat reshape followed by a Gather whose indices, computed for any batch size, count the elements in
//! order. Exporters write `as_strided` and some squeezes like that; it changes nothing.

use super::shuffle::Shuffle;
use crate::graph::{Dim, Graph, Node, NodeId, Origin, Shape, Value, ValueId};
use crate::onnx::DataType;
use crate::ops;

/// Longest chain of arithmetic that is followed.
const MAX_DEPTH: usize = 24;

/// Whole numbers that grow by a fixed step along every axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affine {
    /// The first number.
    pub start: i64,
    /// The step along each axis; 0 along axes of length 1.
    pub steps: Vec<i64>,
}

impl Affine {
    /// The sum, broadcast.
    pub fn add(&self, other: &Self) -> Option<Self> {
        let rank = self.steps.len().max(other.steps.len());
        let step = |a: &Self, axis: usize| {
            (axis + a.steps.len()).checked_sub(rank).and_then(|i| a.steps.get(i)).copied().unwrap_or(0)
        };
        Some(Self {
            start: self.start.checked_add(other.start)?,
            steps: (0..rank).map(|axis| step(self, axis).checked_add(step(other, axis))).collect::<Option<_>>()?,
        })
    }

    /// The product, if one of both is one number; broadcast.
    pub fn mul(&self, other: &Self) -> Option<Self> {
        let (factor, of) = if other.steps.iter().all(|s| *s == 0) { (other, self) } else { (self, other) };
        if factor.steps.iter().any(|s| *s != 0) {
            return None;
        }
        let rank = self.steps.len().max(other.steps.len());
        let steps = of.steps.iter().map(|s| s.checked_mul(factor.start)).collect::<Option<Vec<_>>>()?;
        let wide = std::iter::repeat_n(0, rank.saturating_sub(steps.len())).chain(steps);
        Some(Self { start: of.start.checked_mul(factor.start)?, steps: wide.collect() })
    }
}

/// What the numbers of a value are, if they grow by fixed steps.
fn affine(graph: &Graph, value: ValueId, depth: usize) -> Option<Affine> {
    let v = &graph.values[value];
    if let Some(tensor) = v.tensor.as_ref().filter(|t| matches!(t.dtype, DataType::Int64 | DataType::Int32)) {
        return stored(&tensor.dims, &tensor.to_i64().ok()?);
    }
    if let Some(known) = v.constant.as_ref().and_then(|c| Some((&c.dims, c.as_known()?))) {
        return stored(known.0, &known.1);
    }
    let node = producer(v).filter(|_| depth < MAX_DEPTH).map(|n| &graph.nodes[n])?;
    let op = ops::lookup(node)?;
    let first = || affine(graph, node.input(0)?, depth + 1);
    if op.passes(node) {
        return first();
    }
    if op.permutes(node, v.shape.as_ref()?.len()) == Some(None) {
        return squeezed(&first()?, graph.values[node.input(0)?].shape.as_ref()?, v.shape.as_ref()?);
    }
    let inputs: Vec<Option<Affine>> = node.inputs.iter().map(|i| i.and_then(|i| affine(graph, i, depth + 1))).collect();
    op.affine(node, &inputs)
}

fn producer(value: &Value) -> Option<NodeId> {
    match value.origin {
        Origin::Node(id, 0) => Some(id),
        _ => None,
    }
}

/// The same numbers in another shape, if only axes of length 1 come or go.
fn squeezed(a: &Affine, from: &Shape, to: &Shape) -> Option<Affine> {
    let long = |d: &&Dim| **d != Dim::Known(1);
    if !from.iter().filter(long).eq(to.iter().filter(long)) {
        return None;
    }
    let mut steps = from.iter().zip(&a.steps).filter(|(d, _)| long(d)).map(|(_, s)| *s);
    let steps = to.iter().map(|d| if long(&d) { steps.next() } else { Some(0) }).collect::<Option<_>>()?;
    Some(Affine { start: a.start, steps })
}

/// Stored numbers, if they grow by fixed steps.
fn stored(dims: &[usize], numbers: &[i64]) -> Option<Affine> {
    let start = *numbers.first()?;
    let strides = super::layout::strides(dims);
    let step = |(&n, &stride): (&usize, &usize)| if n > 1 { numbers.get(stride)?.checked_sub(start) } else { Some(0) };
    let steps: Vec<i64> = dims.iter().zip(&strides).map(step).collect::<Option<_>>()?;
    let fits = super::layout::positions(dims).zip(numbers).all(|(p, &number)| {
        let terms = p.iter().zip(&steps).map(|(&i, s)| (i as i64).checked_mul(*s)).sum::<Option<i64>>();
        terms.and_then(|t| t.checked_add(start)) == Some(number)
    });
    fits.then_some(Affine { start, steps })
}

/// The flat reshape before a Gather and what both do together, if that is nothing.
pub(super) fn find(graph: &Graph, id: NodeId, node: &Node) -> Option<(NodeId, NodeId, Shuffle)> {
    if ops::lookup(node)?.gathers(node)? != 0 {
        return None;
    }
    let (flat, indices, output) = (node.input(0)?, node.input(1)?, node.output(0)?);
    let value = &graph.values[flat];
    let before = producer(value).filter(|_| value.uses.len() == 1 && !value.is_output)?;
    let reshape = &graph.nodes[before];
    let keeps_order = ops::lookup(reshape)?.permutes(reshape, 1)?.is_none();
    let input = reshape.input(0).filter(|_| keeps_order && value.shape.as_ref().is_some_and(|s| s.len() == 1))?;
    let shape = graph.values[input].shape.as_ref()?;
    if graph.values[output].shape.as_ref() != Some(shape) || graph.values[input].is_parameter() {
        return None;
    }
    let numbers = affine(graph, indices, 0).filter(|a| a.start == 0 && a.steps.len() == shape.len())?;
    let mut inner = Some(1i64);
    for (d, &step) in shape.iter().zip(&numbers.steps).rev() {
        if *d != Dim::Known(1) && Some(step) != inner {
            return None;
        }
        inner = inner.zip(d.known()).and_then(|(a, b)| a.checked_mul(b));
    }
    let longest = shape.iter().enumerate().filter_map(|(axis, d)| Some((d.length()?, axis))).max();
    let (length, axis) = longest?;
    Some((before, id, Shuffle { input, axis, order: (0..length).collect(), perm: None }))
}
