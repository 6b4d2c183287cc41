//! Scores of filters by weight, before any reduction or normaliser.

use lopper_core::graph::{Graph, Node, ValueId};
use lopper_core::onnx::{ExternalData, Model, Tensor};
use lopper_core::score::{Criterion, scores_of};
use lopper_core::{Code, Error, Result};
use std::sync::Arc;

/// The score of every filter of every convolution's and linear layer's weight, in graph order.
///
/// # Errors
/// When the model cannot be read, holds no such weight, or a weight holds no finite numbers.
pub fn scores(
    bytes: bytes::Bytes,
    files: &Arc<dyn ExternalData>,
    criterion: Criterion,
) -> Result<serde_json::Map<String, serde_json::Value>> {
    let graph = Graph::new(&Model::read_with(bytes, files)?.inlined()?)?;
    let mut out = serde_json::Map::new();
    for (_, node) in graph.nodes.iter() {
        let Some((id, filters)) = weight_of(&graph, node) else { continue };
        let value = &graph.values[id];
        let Some(tensor) = value.tensor.as_ref().filter(|t| t.dtype.is_float() && t.dims.len() > 1) else { continue };
        if !out.contains_key(&value.name) {
            out.insert(value.name.clone(), filter_scores(criterion, tensor, filters)?.into());
        }
    }
    if out.is_empty() {
        return Err(Error::new(Code::Unsupported, "the model holds no weight of a convolution or linear layer"));
    }
    Ok(out)
}

/// How a weight holds its filters: along an axis, in equal blocks of axis 0 one after the other.
struct Filters {
    axis: usize,
    blocks: usize,
}

fn weight_of(graph: &Graph, node: &Node) -> Option<(ValueId, Filters)> {
    let along = |axis: usize| Filters { axis, blocks: 1 };
    let is_parameter = |id: &ValueId| graph.values[*id].is_parameter();
    let second = || node.input(1).filter(is_parameter);
    match node.op_type.as_str() {
        "Conv" => Some((second()?, along(0))),
        "ConvTranspose" => {
            let blocks = node.int("group").and_then(|g| usize::try_from(g).ok()).unwrap_or(1).max(1);
            Some((second()?, Filters { axis: 1, blocks }))
        }
        "Gemm" => Some((second()?, along(if node.int("transB").unwrap_or(0) == 0 { 1 } else { 0 }))),
        "MatMul" => {
            let rank = |id: ValueId| graph.values[id].tensor.as_ref().map_or(0, |t| t.dims.len());
            match second() {
                Some(id) => Some((id, along(rank(id).saturating_sub(1)))),
                None => node.input(0).filter(is_parameter).map(|id| (id, along(rank(id).saturating_sub(2)))),
            }
        }
        _ => None,
    }
}

fn filter_scores(criterion: Criterion, tensor: &Tensor, filters: Filters) -> Result<Vec<f64>> {
    let Filters { axis, blocks } = filters;
    let mut dims = tensor.dims.clone();
    match dims.first_mut() {
        Some(rows) if blocks > 1 && rows.is_multiple_of(blocks) => *rows /= blocks,
        _ => return scores_of(criterion, tensor, axis),
    }
    let mut out = Vec::new();
    let bytes = tensor.bytes()?;
    for block in bytes.chunks((bytes.len() / blocks).max(1)) {
        let part = Tensor { dims: dims.clone(), data: bytes.slice_ref(block).into(), ..tensor.clone() };
        out.extend(scores_of(criterion, &part, axis)?);
    }
    Ok(out)
}
