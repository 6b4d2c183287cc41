//! Tensors inside a model's file, found by name and replaced.

use lopper_core::Result;
use lopper_core::graph::Graph;
use lopper_core::onnx::proto::TensorProto;
use lopper_core::onnx::{Model, Tensor, tensor_proto};

/// A copy of a model that holds all of its tensors itself, so that replacing one is enough to change it. Of weights that a node
/// fills with one number, those that are named become initializers.
pub(crate) fn inlined<'a>(model: &Model, names: impl IntoIterator<Item = &'a str>) -> Result<Model> {
    let mut own = model.held()?;
    let whole = Graph::new(&own)?;
    for name in names {
        let filled = whole.find(name).and_then(|v| whole.filled(v));
        if let (Some((dims, number)), Some(graph)) = (filled, own.proto.graph.as_option_mut()) {
            graph.node.retain(|n| n.output.first().is_none_or(|o| o != name));
            let numbers = vec![number as f32; dims.iter().product()];
            graph.initializer.push(tensor_proto(&Tensor::from_f32(name, dims, &numbers)));
        }
    }
    Ok(own)
}

/// The initializer of a name, or the tensor of the Constant node whose output has it.
pub(crate) fn find<'a>(model: &'a mut Model, name: &str) -> Option<&'a mut TensorProto> {
    all(model).find(|(own, _)| own == name).map(|(_, tensor)| tensor)
}

/// Every initializer and every tensor of a Constant node, with its name.
pub(crate) fn all(model: &mut Model) -> impl Iterator<Item = (String, &mut TensorProto)> {
    model.proto.graph.as_option_mut().into_iter().flat_map(|graph| {
        let initializers = graph.initializer.iter_mut().filter_map(|t| Some((t.name.clone()?, t)));
        let constants = graph.node.iter_mut().filter(|n| n.op_type.as_deref() == Some("Constant")).filter_map(|n| {
            let name = n.output.first().cloned()?;
            Some((name, n.attribute.iter_mut().find_map(|a| a.t.as_option_mut())?))
        });
        initializers.chain(constants)
    })
}

/// Puts new elements in a tensor's place; its name and its text stay.
pub(crate) fn replace(place: &mut TensorProto, tensor: &Tensor) {
    let (name, doc_string) = (place.name.take(), place.doc_string.take());
    *place = TensorProto { name, doc_string, ..tensor_proto(tensor) };
}
