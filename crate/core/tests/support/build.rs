//! Builds small ONNX files.

use buffa::{Message as _, MessageField};
use lopper_core::onnx::Tensor;
use lopper_core::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use lopper_core::onnx::proto::tensor_shape_proto::Dimension;
use lopper_core::onnx::proto::type_proto::Tensor as TensorType;
use lopper_core::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
};
use lopper_core::onnx::tensor_proto;

/// A model under construction: every call adds something and returns it.
#[derive(Clone, Debug, Default)]
pub struct Net {
    pub proto: ModelProto,
}

impl Net {
    /// An empty model of operator set 17.
    pub fn new() -> Self {
        let graph = GraphProto { name: Some("g".to_owned()), ..GraphProto::default() };
        let opset = OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() };
        Self {
            proto: ModelProto {
                ir_version: Some(8),
                graph: MessageField::some(graph),
                opset_import: vec![opset],
                ..ModelProto::default()
            },
        }
    }

    pub fn opset(mut self, version: i64) -> Self {
        self.proto.opset_import[0].version = Some(version);
        self
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.proto.graph.get_or_insert_default()
    }

    /// A float input; negative lengths become symbols named after them.
    pub fn input(mut self, name: &str, dims: &[i64]) -> Self {
        self.graph().input.push(info(name, dims));
        self
    }

    pub fn output(mut self, name: &str) -> Self {
        self.graph().output.push(ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() });
        self
    }

    /// A float initializer with numbers that differ.
    pub fn weight(mut self, name: &str, dims: &[usize]) -> Self {
        let count: usize = dims.iter().product();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0).collect();
        self.graph().initializer.push(tensor_proto(&Tensor::from_f32(name, dims.to_vec(), &values)));
        self
    }

    /// An int64 initializer of one axis.
    pub fn ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph().initializer.push(tensor_proto(&Tensor::from_i64(name, vec![values.len()], values)));
        self
    }

    pub fn tensor(mut self, tensor: TensorProto) -> Self {
        self.graph().initializer.push(tensor);
        self
    }

    /// A node; names are separated by spaces, `-` is one that is left out.
    pub fn node(mut self, op: &str, inputs: &str, outputs: &str, attributes: &[AttributeProto]) -> Self {
        self.graph().node.push(node(op, inputs, outputs, attributes));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.proto.encode_to_vec()
    }
}

pub fn node(op: &str, inputs: &str, outputs: &str, attributes: &[AttributeProto]) -> NodeProto {
    let names = |s: &str| s.split_whitespace().map(|n| if n == "-" { String::new() } else { n.to_owned() }).collect();
    NodeProto {
        op_type: Some(op.to_owned()),
        name: Some(format!("{op}_{outputs}")),
        input: names(inputs),
        output: names(outputs),
        attribute: attributes.to_vec(),
        ..NodeProto::default()
    }
}

pub fn info(name: &str, dims: &[i64]) -> ValueInfoProto {
    let dim = |&n: &i64| Dimension {
        value: Some(if n < 0 { DimValue::DimParam(format!("s{}", -(n + 1))) } else { DimValue::DimValue(n) }),
        ..Dimension::default()
    };
    let shape = TensorShapeProto { dim: dims.iter().map(dim).collect(), ..TensorShapeProto::default() };
    let tensor = TensorType { elem_type: Some(1), shape: MessageField::some(shape), ..TensorType::default() };
    let r#type = TypeProto { tensor_type: MessageField::some(tensor), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: MessageField::some(r#type), ..ValueInfoProto::default() }
}

fn attribute(name: &str, r#type: i32) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(r#type), ..AttributeProto::default() }
}

pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { f: Some(value), ..attribute(name, 1) }
}

pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { i: Some(value), ..attribute(name, 2) }
}

pub fn text(name: &str, value: &str) -> AttributeProto {
    AttributeProto { s: Some(value.as_bytes().to_vec().into()), ..attribute(name, 3) }
}

pub fn tensor(name: &str, value: TensorProto) -> AttributeProto {
    AttributeProto { t: MessageField::some(value), ..attribute(name, 4) }
}

pub fn body(name: &str, value: GraphProto) -> AttributeProto {
    AttributeProto { g: MessageField::some(value), ..attribute(name, 5) }
}

pub fn floats(name: &str, values: &[f32]) -> AttributeProto {
    AttributeProto { floats: values.to_vec(), ..attribute(name, 6) }
}

pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { ints: values.to_vec(), ..attribute(name, 7) }
}
