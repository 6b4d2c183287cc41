//! Tensors inside a model's file, found by name and replaced.

use lopper_core::Result;
use lopper_core::onnx::proto::TensorProto;
use lopper_core::onnx::{Model, Tensor, tensor_proto};

/// A copy of a model that holds all of its tensors itself, so that replacing one is enough to change it.
pub(crate) fn inlined(model: &Model) -> Result<Model> {
    let outside = |t: &TensorProto| t.data_location == Some(1);
    let graph = model.graph();
    let constants = graph.node.iter().flat_map(|n| &n.attribute).filter_map(|a| a.t.as_option());
    if graph.initializer.iter().chain(constants).any(outside) {
        Model::read(model.write()?.into())
    } else {
        Ok(model.clone())
    }
}

/// The initializer of a name, or the tensor of the Constant node whose output has it.
pub(crate) fn find<'a>(model: &'a mut Model, name: &str) -> Option<&'a mut TensorProto> {
    let graph = model.proto.graph.as_option_mut()?;
    let initializers = graph.initializer.iter_mut().filter(|t| t.name.as_deref() == Some(name));
    let constants = (graph.node.iter_mut())
        .filter(|n| n.op_type.as_deref() == Some("Constant") && n.output.first().is_some_and(|o| o == name))
        .flat_map(|n| n.attribute.iter_mut())
        .filter_map(|a| a.t.as_option_mut());
    initializers.chain(constants).next()
}

/// Puts new elements in a tensor's place; its name and its text stay.
pub(crate) fn replace(place: &mut TensorProto, tensor: &Tensor) {
    let (name, doc_string) = (place.name.take(), place.doc_string.take());
    *place = TensorProto { name, doc_string, ..tensor_proto(tensor) };
}
