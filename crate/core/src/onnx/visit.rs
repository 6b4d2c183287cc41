//! Walks over the tensors of a graph message.

use super::proto::{GraphProto, TensorProto};

/// Every tensor of a graph, those of Constant nodes and of bodies included.
pub(crate) fn tensors_mut(graph: &mut GraphProto) -> Vec<&mut TensorProto> {
    let mut out: Vec<&mut TensorProto> = graph.initializer.iter_mut().collect();
    for node in &mut graph.node {
        for a in &mut node.attribute {
            if let Some(t) = a.t.as_option_mut() {
                out.push(t);
            }
            for g in a.g.as_option_mut().into_iter().chain(a.graphs.iter_mut()) {
                out.extend(tensors_mut(g));
            }
        }
    }
    out
}
