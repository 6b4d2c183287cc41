//! Masked tensors in a file: as zeros, or as lists of what is not zero.

use super::{Entry, Masks};
use crate::error::{Code, Error, Result};
use crate::onnx::proto::{SparseTensorProto, TensorProto};
use crate::onnx::{Model, Tensor, tensor_proto};
use buffa::MessageField;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The oldest version of the file format that has sparse tensors.
const SPARSE_IR: i64 = 6;

/// A tensor with zeros where it is masked.
pub(super) fn zeroed(entry: &Entry) -> Result<Tensor> {
    let Some(mask) = &entry.mask else { return Ok(entry.tensor.clone()) };
    let mut data = entry.tensor.bytes()?.to_vec();
    let size = (data.len() / mask.len().max(1)).max(1);
    for (element, _) in data.chunks_exact_mut(size).zip(mask).filter(|(_, m)| !**m) {
        element.fill(0);
    }
    Ok(Tensor { data: data.into(), ..entry.tensor.clone() })
}

/// How a tensor was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Initializer.
    pub initializer: String,
    /// Whether as a list of what is not zero.
    pub sparse: bool,
    /// Bytes of its numbers, and of their places where these are written.
    pub bytes: u64,
    /// Bytes of all its numbers, zeros included.
    pub dense: u64,
}

impl Masks {
    /// The model with zeros where its tensors are masked.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn zeros(&self, model: &Model) -> Result<Model> {
        let mut out = model.clone();
        let touched = |e: &&Entry| e.mask.is_some() || !self.done.is_empty();
        let tensors = self.tensors.values().filter(touched).map(zeroed).collect::<Result<Vec<_>>>()?;
        out.replace_tensors(tensors);
        Ok(out)
    }

    /// The same model with its masked initializers as ONNX `sparse_initializer`s: their numbers that are not zero and the places
    /// of these. Outputs of Constant nodes, and initializers that a caller may override, stay as they are.
    ///
    /// # Errors
    /// When the model holds no graph, or a tensor cannot be read.
    pub fn sparse(&self, model: &Model) -> Result<(Model, Vec<Stored>)> {
        let mut out = self.zeros(model)?;
        let (mut dense, mut sparse, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        let overridable: HashSet<String> = out.graph().input.iter().filter_map(|i| i.name.clone()).collect();
        let initializers = out.proto.graph.as_option_mut().map(|g| std::mem::take(&mut g.initializer));
        for proto in initializers.ok_or_else(|| Error::new(Code::NoGraph, "the model holds no graph"))? {
            let name = proto.name.clone().unwrap_or_default();
            let entry = self.tensors.get(&name).filter(|e| e.mask.is_some());
            let Some(tensor) = entry.map(zeroed).transpose()? else {
                dense.push(proto);
                continue;
            };
            let bytes = tensor.data.len() as u64;
            let list = if overridable.contains(&name) { None } else { listed(&tensor)? };
            match list {
                Some(list) => {
                    let size =
                        |t: Option<&TensorProto>| t.and_then(|t| t.raw_data.as_ref()).map_or(0, |d| d.len() as u64);
                    let own = size(list.values.as_option()) + size(list.indices.as_option());
                    stored.push(Stored { initializer: name, sparse: true, bytes: own, dense: bytes });
                    sparse.push(list);
                }
                None => {
                    stored.push(Stored { initializer: name, sparse: false, bytes, dense: bytes });
                    dense.push(proto);
                }
            }
        }
        if let Some(graph) = out.proto.graph.as_option_mut() {
            graph.initializer = dense;
            graph.sparse_initializer.extend(sparse);
        }
        out.proto.ir_version = out.proto.ir_version.map(|v| v.max(SPARSE_IR));
        Ok((out, stored))
    }
}

/// A tensor as the list of its numbers that are not zero, with places counted row-major; none if it has no such number.
fn listed(tensor: &Tensor) -> Result<Option<SparseTensorProto>> {
    let bytes = tensor.bytes()?;
    let size = (bytes.len() / tensor.len().max(1)).max(1);
    let (mut values, mut places) = (Vec::new(), Vec::new());
    for (i, element) in bytes.chunks_exact(size).enumerate().filter(|(_, e)| e.iter().any(|b| *b != 0)) {
        values.extend_from_slice(element);
        places.push(i as i64);
    }
    if places.is_empty() {
        return Ok(None);
    }
    let count = vec![places.len()];
    let values = Tensor { dims: count.clone(), data: values.into(), ..tensor.clone() };
    Ok(Some(SparseTensorProto {
        values: MessageField::some(tensor_proto(&values)),
        indices: MessageField::some(tensor_proto(&Tensor::from_i64("", count, &places))),
        dims: tensor.dims.iter().map(|&d| d as i64).collect(),
        ..SparseTensorProto::default()
    }))
}
