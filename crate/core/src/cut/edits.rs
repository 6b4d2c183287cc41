//! Changes to the wire message, collected while the graph is walked.

use crate::graph::Graph;
use crate::hash::Map;
use crate::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::tensor_shape_proto::Dimension;
use crate::onnx::proto::type_proto::Tensor as TensorType;
use crate::onnx::proto::{AttributeProto, ModelProto, NodeProto, TensorShapeProto, TypeProto, ValueInfoProto};
use crate::onnx::{DataType, Tensor, tensor_proto};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Number of an attribute's type in the file.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const INTS: i32 = 7;

/// Type, dimensions and bytes of a tensor.
type Contents = (DataType, Vec<usize>, Option<Bytes>);

fn contents(tensor: &Tensor) -> Contents {
    (tensor.dtype, tensor.dims.clone(), tensor.bytes().ok())
}

/// Collected changes; positions are those of nodes in the original file.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    pub(crate) nodes: HashMap<usize, NodeProto>,
    pub(crate) before: BTreeMap<usize, Vec<NodeProto>>,
    pub(crate) after: BTreeMap<usize, Vec<NodeProto>>,
    tensors: Vec<Tensor>,
    /// Where the first initializer of these contents is.
    same: Map<Contents, usize>,
    pub(crate) rewritten: Vec<(String, String)>,
    names: HashSet<String>,
}

impl Edits {
    /// A name that nothing has, neither in the original's graph nor among what is new.
    pub(crate) fn name(&mut self, graph: &Graph, base: &str) -> String {
        let mut n = 0;
        loop {
            let name = if n == 0 { format!("{base}_cut") } else { format!("{base}_cut{n}") };
            if graph.find(&name).is_none() && self.names.insert(name.clone()) {
                return name;
            }
            n += 1;
        }
    }

    /// A new initializer and the reason for it; returns its name.
    pub(crate) fn add(&mut self, graph: &Graph, base: &str, why: &str, make: impl FnOnce(String) -> Tensor) -> String {
        let tensor = make(self.name(graph, base));
        let same = self.same.get(&contents(&tensor)).and_then(|&at| self.tensors.get(at));
        if let Some(same) = same {
            return same.name.clone();
        }
        let name = tensor.name.clone();
        self.rewritten.push((name.clone(), why.to_owned()));
        self.push(tensor);
        name
    }

    /// Takes a new initializer.
    pub(crate) fn push(&mut self, tensor: Tensor) {
        self.same.entry(contents(&tensor)).or_insert(self.tensors.len());
        self.tensors.push(tensor);
    }

    /// The changed form of a node.
    pub(crate) fn node<'m>(&'m mut self, model: &ModelProto, position: usize) -> &'m mut NodeProto {
        self.nodes.entry(position).or_insert_with(|| model.graph.node.get(position).cloned().unwrap_or_default())
    }

    /// Applies everything to a model whose tensors are cut already.
    pub(crate) fn apply(self, model: &mut ModelProto) {
        // Before version 4 of the format every initializer had to be a graph input, too.
        let listed = model.ir_version.is_some_and(|v| v < 4);
        let Some(graph) = model.graph.as_option_mut() else { return };
        let Edits { mut nodes, mut before, mut after, tensors, .. } = self;
        let mut out = Vec::with_capacity(graph.node.len());
        for (i, node) in std::mem::take(&mut graph.node).into_iter().enumerate() {
            out.extend(before.remove(&i).unwrap_or_default());
            out.push(nodes.remove(&i).unwrap_or(node));
            out.extend(after.remove(&i).unwrap_or_default());
        }
        graph.node = out;
        graph.input.extend(tensors.iter().filter(|_| listed).map(input_of));
        graph.initializer.extend(tensors.iter().map(tensor_proto));
    }
}

/// An initializer as a graph input.
fn input_of(tensor: &Tensor) -> ValueInfoProto {
    let dim = |&n: &usize| Dimension { value: Some(DimValue::DimValue(n as i64)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: tensor.dims.iter().map(dim).collect(), ..TensorShapeProto::default() };
    let elem_type = Some(tensor.dtype as i32);
    let tensor_type = TensorType { elem_type, shape: shape.into(), ..TensorType::default() };
    let r#type = TypeProto { tensor_type: tensor_type.into(), ..TypeProto::default() };
    ValueInfoProto { name: Some(tensor.name.clone()), r#type: r#type.into(), ..ValueInfoProto::default() }
}

/// Sets or adds an attribute of one whole number.
pub(crate) fn set_int(node: &mut NodeProto, name: &str, value: i64) {
    set(node, name, AttributeProto { i: Some(value), r#type: Some(INT), ..AttributeProto::default() });
}

/// Sets or adds an attribute of one real number.
pub(crate) fn set_float(node: &mut NodeProto, name: &str, value: f32) {
    set(node, name, AttributeProto { f: Some(value), r#type: Some(FLOAT), ..AttributeProto::default() });
}

/// Sets or adds an attribute of several whole numbers.
pub(crate) fn set_ints(node: &mut NodeProto, name: &str, values: Vec<i64>) {
    set(node, name, AttributeProto { ints: values, r#type: Some(INTS), ..AttributeProto::default() });
}

fn set(node: &mut NodeProto, name: &str, attribute: AttributeProto) {
    let attribute = AttributeProto { name: Some(name.to_owned()), ..attribute };
    match node.attribute.iter_mut().find(|a| a.name.as_deref() == Some(name)) {
        Some(old) => *old = attribute,
        None => node.attribute.push(attribute),
    }
}

/// A node of the standard domain.
pub(crate) fn new_node(op: &str, name: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(name.to_owned()),
        input: inputs.iter().map(|s| (*s).to_owned()).collect(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}
