//! Which tensors of a model training moves, and how they get back into it.

use crate::run::Slot;
use crate::stored;
use lopper_core::graph::{Graph, Node, Origin, ValueId};
use lopper_core::onnx::{DataType, Model, Tensor};
use lopper_core::{Code, Error, Result};

/// A tensor that is trained.
pub(super) struct Trainable {
    pub(super) name: String,
    pub(super) slot: Slot,
    /// Whether it multiplies what goes through it, mixing channels: neither a bias nor the scale of a norm.
    pub(super) mixes: bool,
}

/// The float tensors that are trained, in the graph's order: decided by how nodes use them.
pub(super) fn trainable(graph: &Graph) -> Result<Vec<Trainable>> {
    let mut out = Vec::new();
    for (id, value, tensor) in graph.parameters() {
        if !tensor.dtype.is_float() || tensor.is_empty() || !learns(graph, id, tensor.len()) {
            continue;
        }
        if tensor.dtype != DataType::Float {
            return Err(Error::new(
                Code::Unsupported,
                format!("parameter {:?} holds {}: only float32 models can be trained", value.name, tensor.dtype.name()),
            ));
        }
        let mixes = tensor.dims.len() > 1 && mixes(graph, id);
        out.push(Trainable { name: value.name.clone(), slot: Slot::from(id), mixes });
    }
    Ok(out)
}

fn learns(graph: &Graph, id: ValueId, elements: usize) -> bool {
    graph.values[id].uses.iter().any(|&(node, port)| uses_as_parameter(graph, &graph.nodes[node], port, elements))
}

fn uses_as_parameter(graph: &Graph, node: &Node, port: usize, elements: usize) -> bool {
    match (node.op_type.as_str(), port) {
        (
            "Conv" | "ConvTranspose" | "Gemm" | "BatchNormalization" | "LayerNormalization" | "InstanceNormalization",
            1 | 2,
        ) => true,
        ("GroupNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization", 1 | 2) => true,
        ("LSTM" | "GRU" | "RNN", 1..=3) | ("PRelu", 1) | ("MatMul", _) | ("Gather", 0) => true,
        ("Einsum" | "FusedMatMul" | "TransposeMatMul", _) | ("DeformConv", 1 | 3) => true,
        ("FusedGemm" | "FusedConv" | "CausalConvWithState" | "GroupNorm", 1 | 2) => true,
        ("BiasGelu" | "FastGelu" | "BiasSplitGelu", 1) | ("MultiHeadAttention", 3) => true,
        ("SkipLayerNormalization", 2..=4) | ("SkipSimplifiedLayerNormalization", 2 | 3) => true,
        ("EmbedLayerNormalization", 2..=6) => true,
        ("Attention", 1 | 2) => node.domain == "com.microsoft",
        // A number on its own is arithmetic of the architecture, and what meets the input directly prepares the data.
        ("Add" | "Sub" | "Mul" | "Div", _) => {
            let partner = node.input(1 - port.min(1)).map(|v| &graph.values[v].origin);
            elements > 1 && partner != Some(&Origin::Input)
        }
        ("Transpose" | "Reshape" | "Identity" | "Expand" | "Squeeze" | "Unsqueeze" | "Concat" | "Cast", 0)
        | ("Concat", _) => node.output(0).is_some_and(|v| learns(graph, v, elements)),
        _ => false,
    }
}

fn mixes(graph: &Graph, id: ValueId) -> bool {
    graph.values[id].uses.iter().any(|&(node, port)| {
        let node = &graph.nodes[node];
        match (node.op_type.as_str(), port) {
            ("Add" | "Sub" | "Mul" | "Div" | "PRelu", _) | ("LSTM" | "GRU" | "RNN", 3) => false,
            ("LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization", _) => false,
            ("Transpose" | "Reshape" | "Identity" | "Expand" | "Squeeze" | "Unsqueeze" | "Concat" | "Cast", _) => {
                node.output(0).is_some_and(|v| mixes(graph, v))
            }
            _ => true,
        }
    })
}

/// Names and slots of the running statistics of BatchNormalization.
pub(super) fn statistics(graph: &Graph) -> Vec<(String, Slot)> {
    let mut out: Vec<(String, Slot)> = Vec::new();
    for (_, node) in graph.nodes.iter().filter(|(_, n)| n.op_type == "BatchNormalization") {
        for id in [3, 4].into_iter().filter_map(|port| node.input(port)) {
            let value = &graph.values[id];
            if value.tensor.is_some() && !out.iter().any(|(_, s)| *s == Slot::from(id)) {
                out.push((value.name.clone(), Slot::from(id)));
            }
        }
    }
    out
}

/// Puts a tensor in the place of the one of its name, which must have its shape.
pub(crate) fn write(model: &mut Model, tensor: &Tensor) -> Result<()> {
    let stranger = || {
        Error::new(
            Code::DataMismatch,
            format!("this model has no parameter {:?} of shape {:?}", tensor.name, tensor.dims),
        )
    };
    let place = stored::find(model, &tensor.name).ok_or_else(stranger)?;
    let same = place.dims.iter().copied().eq(tensor.dims.iter().map(|&d| d as i64));
    if !same || place.data_type != Some(DataType::Float as i32) {
        return Err(stranger());
    }
    stored::replace(place, tensor);
    Ok(())
}
