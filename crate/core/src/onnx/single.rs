//! A node as a model of its own, to be timed alone.

use super::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as Length;
use super::proto::tensor_shape_proto::Dimension;
use super::proto::type_proto::Tensor as TensorType;
use super::proto::{GraphProto, ModelProto, TensorShapeProto, TypeProto, ValueInfoProto};
use super::{Model, tensor_proto};
use crate::graph::{Dim, Graph, NodeId, Value};
use buffa::MessageField;
use std::collections::HashMap;

impl Model {
    /// One node of this model with its parameters; everything else that it reads is an input for one sample. `None` if the
    /// shape of one of these is not known, or the node has bodies.
    pub fn single(&self, graph: &Graph, node: NodeId) -> Option<Model> {
        let node = &graph.nodes[node];
        let proto = self.graph().node.get(node.position).filter(|_| node.bodies().next().is_none())?;
        let mut out = GraphProto { name: Some(node.name.clone()), node: vec![proto.clone()], ..GraphProto::default() };
        let mut inputs: Vec<_> = node.inputs.iter().flatten().copied().collect();
        inputs.sort_unstable();
        inputs.dedup();
        for value in inputs.into_iter().map(|id| &graph.values[id]) {
            match &value.tensor {
                Some(tensor) => out.initializer.push(tensor_proto(tensor)),
                None => out.input.push(one_sample(value)?),
            }
        }
        let named = |name: &String| ValueInfoProto { name: Some(name.clone()), ..ValueInfoProto::default() };
        out.output = proto.output.iter().filter(|name| !name.is_empty()).take(1).map(named).collect();
        let proto = ModelProto {
            ir_version: self.proto.ir_version,
            opset_import: self.proto.opset_import.clone(),
            graph: MessageField::some(out),
            ..ModelProto::default()
        };
        Some(Model { proto, external: HashMap::new(), apart: false })
    }
}

/// A value as an input of fixed shape.
fn one_sample(value: &Value) -> Option<ValueInfoProto> {
    let lengths = value.shape.as_ref()?.iter().map(|d| Dim::at_one(d).length()).collect::<Option<Vec<usize>>>()?;
    let dim = |n: usize| Dimension { value: Some(Length::DimValue(n as i64)), ..Dimension::default() };
    let shape = TensorShapeProto { dim: lengths.into_iter().map(dim).collect(), ..TensorShapeProto::default() };
    let kind = TensorType {
        elem_type: Some(value.dtype?.number()),
        shape: MessageField::some(shape),
        ..TensorType::default()
    };
    Some(ValueInfoProto {
        name: Some(value.name.clone()),
        r#type: MessageField::some(TypeProto { tensor_type: MessageField::some(kind), ..TypeProto::default() }),
        ..ValueInfoProto::default()
    })
}
