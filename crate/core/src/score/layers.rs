//! Producers with weights: where their filters lie, and what is read of their output.

use super::Positions;
use crate::channels::Blocks;
use crate::graph::{Graph, Node, NodeId, Origin, ValueId, axis_of};
use crate::hash::Set as HashSet;
use crate::ops::{self, After, Filters};

/// Nodes that are passed on the way to a stored weight, or behind a producer.
const MOST_STEPS: usize = 64;

/// A convolution or linear layer whose weight is stored.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The node.
    pub node: NodeId,
    /// The stored weight, which may lie behind a Transpose.
    pub weight: ValueId,
    /// Its filters.
    pub filters: Positions,
    /// The weight's axis that is summed over together with the input's channels.
    pub sums: usize,
    /// Blocks of input channels; the filters of one see only its own.
    pub groups: usize,
    /// What the layer reads, and the axis of its channels.
    pub input: (ValueId, usize),
    /// `Y`: the output of the BatchNormalization behind the layer or else of the layer itself, bias added, and the axis
    /// of its channels.
    pub output: (ValueId, usize),
    /// That BatchNormalization.
    pub norm: Option<NodeId>,
    /// `Z`: the output of the first activation that is reached from `Y` through sole readers, passing sums with other
    /// branches; `Y` if there is none.
    pub read: ValueId,
    /// Whether that activation sets what is negative to zero and changes nothing near above.
    pub rectified: bool,
}

impl Layer {
    /// The input channel that each element of the weight meets.
    pub fn inputs_of_elements(&self, dims: &[usize]) -> impl Fn(usize) -> usize + use<> {
        let strides = crate::channels::strides(dims);
        let axis = |a: usize| (strides.get(a).copied().unwrap_or(1).max(1), dims.get(a).copied().unwrap_or(1).max(1));
        let (stride, n) = axis(self.sums);
        let (filter_stride, filters) = axis(self.filters.axes.first().copied().unwrap_or(0));
        // Where the filters are in blocks, so is the summed axis itself.
        let each = if self.filters.blocks.is_some() { 0 } else { filters / self.groups.max(1) };
        move |at| {
            let group = (at / filter_stride % filters).checked_div(each).unwrap_or(0);
            group * n + at / stride % n
        }
    }
}

/// All such layers, in graph order.
pub fn layers(graph: &Graph) -> Vec<Layer> {
    let captured = graph.nodes.iter().flat_map(|(_, n)| n.captures.iter().copied()).collect();
    let readers = Readers { graph, captured };
    graph.nodes.iter().filter_map(|(id, node)| layer(&readers, id, node)).collect()
}

fn layer(readers: &Readers<'_>, id: NodeId, node: &Node) -> Option<Layer> {
    let graph = readers.graph;
    let op = ops::lookup(node)?;
    let rank = |v: ValueId| rank_of(graph, v);
    op.filters(node).into_iter().find_map(|f: Filters| {
        let own = node.input(f.weight)?;
        let own_rank = rank(own)?;
        let mut axes = [axis_of(f.axis, own_rank)?, axis_of(f.sums, own_rank)?];
        let weight = stored(graph, own, &mut axes)?;
        if f.rank.is_some_and(|r| r != own_rank) {
            return None;
        }
        let [axis, sums] = axes;
        let blocks = (f.in_blocks && f.groups > 1).then_some(Blocks { axis: sums, count: f.groups });
        let filters = Positions { axes: vec![axis], blocks };
        let input = node.input(f.input)?;
        let made = node.output(0)?;
        let output_axis = axis_of(f.output_axis, rank(made)?)?;
        let count = graph.values[made].shape.as_ref()?.get(output_axis)?.length();
        let (output, norm) = readers.output_of(made, count);
        let (read, rectified) = readers.read_of(output);
        let input = (input, axis_of(f.input_axis, rank(input)?)?);
        Some(Layer {
            node: id,
            weight,
            filters,
            sums,
            groups: f.groups,
            input,
            output: (output, output_axis),
            norm,
            read,
            rectified,
        })
    })
}

/// The parameter that a value holds, and where its axes are in it.
fn stored(graph: &Graph, mut value: ValueId, axes: &mut [usize]) -> Option<ValueId> {
    for _ in 0..MOST_STEPS {
        if graph.values[value].is_parameter() || graph.filled(value).is_some() {
            return Some(value);
        }
        let Origin::Node(id, 0) = graph.values[value].origin else { return None };
        let node = &graph.nodes[id];
        let op = ops::lookup(node)?;
        if let Some(Some(order)) = op.permutes(node, graph.values[value].shape.as_ref()?.len()) {
            for axis in axes.iter_mut() {
                *axis = order.get(*axis).copied()?;
            }
        } else if !op.passes(node) {
            return None;
        }
        value = node.input(0)?;
    }
    None
}

/// Follows a value through its readers.
struct Readers<'a> {
    graph: &'a Graph,
    /// What bodies of control flow read.
    captured: HashSet<ValueId>,
}

impl<'a> Readers<'a> {
    /// The only node that reads a value.
    fn sole(&self, value: ValueId) -> Option<(NodeId, &'a Node)> {
        let v = &self.graph.values[value];
        match v.uses.as_slice() {
            [(id, _)] if !v.is_output && !self.captured.contains(&value) => Some((*id, &self.graph.nodes[*id])),
            _ => None,
        }
    }

    fn output_of(&self, made: ValueId, filters: Option<usize>) -> (ValueId, Option<NodeId>) {
        let (mut value, mut biased) = (made, made);
        for _ in 0..MOST_STEPS {
            let Some((id, node)) = self.sole(value) else { break };
            let Some(next) = node.output(0) else { break };
            match after(node) {
                After::Norm if node.input(0) == Some(value) => return (next, Some(id)),
                After::Same if node.input(0) == Some(value) => value = next,
                After::Sum if is_bias(self.graph, node, value, filters) => (value, biased) = (next, next),
                _ => break,
            }
        }
        (biased, None)
    }

    fn read_of(&self, output: ValueId) -> (ValueId, bool) {
        let mut value = output;
        for _ in 0..MOST_STEPS {
            if let Some(product) = self.gated(value) {
                return (product, false);
            }
            let Some((_, node)) = self.sole(value) else { break };
            let Some(next) = node.output(0) else { break };
            match after(node) {
                After::Activation if node.input(0) == Some(value) => return (next, false),
                After::Rectifier if node.input(0) == Some(value) => return (next, true),
                After::Clip if node.input(0) == Some(value) => return (next, clips_at_zero(self.graph, node)),
                After::Same if node.input(0) == Some(value) => value = next,
                After::Sum if rank_of(self.graph, next) == rank_of(self.graph, value) => value = next,
                _ => break,
            }
        }
        (output, false)
    }

    /// An activation that is written as the product of a value and a function of it, such as SiLU.
    fn gated(&self, value: ValueId) -> Option<ValueId> {
        let graph = self.graph;
        let v = &graph.values[value];
        let [(a, _), (b, _)] = v.uses.as_slice() else { return None };
        let (gate, product) = (&graph.nodes[*a], &graph.nodes[*b]);
        let is_function = |n: &Node| matches!(after(n), After::Activation | After::Clip | After::Rectifier);
        let (gate, product) = if is_function(gate) { (gate, product) } else { (product, gate) };
        let opened = gate.output(0)?;
        let both = product.inputs.len() == 2
            && product.inputs.contains(&Some(value))
            && product.inputs.contains(&Some(opened));
        let is_gate = is_function(gate) && after(product) == After::Product;
        (is_gate && both && !v.is_output && self.sole(opened).is_some()).then(|| product.output(0))?
    }
}

fn after(node: &Node) -> After {
    ops::lookup(node).map_or(After::Other, |op| op.after(node))
}

/// Whether a sum adds one stored number a channel.
fn is_bias(graph: &Graph, node: &Node, value: ValueId, filters: Option<usize>) -> bool {
    let mut others = node.inputs.iter().flatten().filter(|v| **v != value);
    let count = others.next().and_then(|v| graph.values[*v].tensor.as_ref()).map(|t| t.len());
    count.is_some() && count == filters && others.next().is_none()
}

fn rank_of(graph: &Graph, value: ValueId) -> Option<usize> {
    graph.values[value].shape.as_ref().map(Vec::len)
}

/// Whether the lower bound of a Clip, an input or an attribute, is zero.
fn clips_at_zero(graph: &Graph, node: &Node) -> bool {
    let bound = |i: usize, name: &str| match node.input(i) {
        Some(v) => graph.values[v].tensor.as_ref().and_then(|t| t.to_f32().ok()?.first().copied()),
        None => node.float(name),
    };
    bound(1, "min") == Some(0.0) && bound(2, "max").is_none_or(|m| m > 0.0)
}
