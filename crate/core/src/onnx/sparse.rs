//! Sparse initializers become dense ones, so that their channels can be followed.

use super::proto::SparseTensorProto;
use super::{Model, Tensor, tensor_proto};
use crate::error::{Code, Error, Result};

/// Bytes that all sparse initializers together may become: a few bytes of a file can describe any number of zeros.
const MAX_BYTES: usize = 256 << 20;

impl Model {
    /// Puts zeros back into sparse initializers, as far as they stay within bounds; the others stay what they are.
    pub(super) fn densify(&mut self) -> Result<()> {
        let Some(graph) = self.proto.graph.as_option_mut() else { return Ok(()) };
        let (mut left, mut sparse, mut dense) = (MAX_BYTES, Vec::new(), Vec::new());
        for list in std::mem::take(&mut graph.sparse_initializer) {
            match self.dense(&list, left)? {
                Some(tensor) => {
                    left = left.saturating_sub(tensor.data.len());
                    dense.push(tensor_proto(&tensor));
                }
                None => sparse.push(list),
            }
        }
        if let Some(graph) = self.proto.graph.as_option_mut() {
            graph.sparse_initializer = sparse;
            graph.initializer.extend(dense);
        }
        Ok(())
    }

    /// A list of numbers and places as a tensor; none if it would take more than so many bytes.
    fn dense(&self, list: &SparseTensorProto, limit: usize) -> Result<Option<Tensor>> {
        let (Some(values), Some(places)) = (list.values.as_option(), list.indices.as_option()) else { return Ok(None) };
        let (values, places) = (self.tensor(values)?, self.tensor(places)?);
        let bad = |what: &str| Error::new(Code::BadTensor, format!("sparse tensor {:?}: {what}", values.name));
        let dims = list.dims.iter().map(|&d| usize::try_from(d)).collect::<std::result::Result<Vec<_>, _>>();
        let dims = dims.map_err(|_| bad("a dimension is negative"))?;
        let count = dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let size = values.dtype.bits() / 8;
        let fits = |n: &usize| values.dtype.bits() >= 8 && n.checked_mul(size).is_some_and(|bytes| bytes <= limit);
        let Some(count) = count.filter(fits) else { return Ok(None) };
        let flat = match places.dims.as_slice() {
            [n] if *n == values.len() => places.to_i64()?,
            [n, rank] if *n == values.len() && *rank == dims.len() => {
                let fold = |at: &[i64]| {
                    at.iter().zip(&dims).fold(0i64, |sum, (&i, &d)| sum.saturating_mul(d as i64).saturating_add(i))
                };
                places.to_i64()?.chunks(dims.len().max(1)).map(fold).collect()
            }
            other => return Err(bad(&format!("{} numbers have places of shape {other:?}", values.len()))),
        };
        let mut data = vec![0; count * size];
        for (at, value) in flat.into_iter().zip(values.bytes()?.chunks_exact(size)) {
            let start = usize::try_from(at).ok().and_then(|at| at.checked_mul(size));
            let slot = start.and_then(|start| data.get_mut(start..start.checked_add(size)?));
            slot.ok_or_else(|| bad(&format!("place {at} is outside of its shape {dims:?}")))?.copy_from_slice(value);
        }
        Ok(Some(Tensor { dims, data: data.into(), ..values }))
    }
}
