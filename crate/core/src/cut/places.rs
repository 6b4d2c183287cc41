//! Where the elements of cut parameters stood in the original.

use super::kept::Kept;
use super::mask::tensor_cuts;
use crate::channels::Channels;
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::onnx::{DataType, Tensor};
use std::collections::BTreeMap;

/// For every parameter that loses something, the place in it of each element that stays, in the order of the cut parameter: what
/// belongs to parameters element by element (momentum) is cut by it, and what was trained after a cut goes back by it.
///
/// # Errors
/// When a parameter cannot be cut this way.
pub fn places(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<BTreeMap<String, Vec<usize>>> {
    let mut out = BTreeMap::new();
    for (id, cut) in tensor_cuts(graph, channels, kept)? {
        let value = &graph.values[id];
        let Some(tensor) = &value.tensor else { continue };
        let count = u32::try_from(tensor.len()).map_err(|_| {
            Error::new(Code::TooLarge, format!("{:?} has too many elements to be followed", value.name))
        })?;
        let data: Vec<u8> = (0..count).flat_map(u32::to_le_bytes).collect();
        let numbered = Tensor { dtype: DataType::Uint32, data: data.into(), ..tensor.clone() };
        let left = cut.of_whole(&numbered)?.bytes()?;
        let places = left.chunks_exact(4).filter_map(|b| <[u8; 4]>::try_from(b).ok());
        out.insert(value.name.clone(), places.map(|b| u32::from_le_bytes(b) as usize).collect());
    }
    Ok(out)
}
