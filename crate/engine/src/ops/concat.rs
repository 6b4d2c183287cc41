//! Concat and Split.

use super::{Call, Forward, axis_of, bad_shape, length, lengths, one, slice};
use crate::tensor::{DeviceTensor, Kind, by_rank};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Device, Tensor};
use lopper_core::{Code, Error, Result};

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Concat" => concat,
        "Split" => split,
        _ => return None,
    })
}

fn concat(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let count = call.len();
    let parts = (0..count).map(|i| call.take(i)).collect::<Result<Vec<_>>>()?;
    let rank = parts.first().map_or(0, |p| p.dims().len());
    let axis = axis_of(call.int_or("axis", 1), rank)?;
    one(joined(parts, axis, call.device)?)
}

/// Values one behind the other along an axis.
pub(super) fn joined(parts: Vec<Value>, axis: usize, device: &Device) -> Result<Value> {
    let first = parts.first().map(Value::dims).unwrap_or_default();
    for part in &parts {
        let dims = part.dims();
        let fits =
            dims.len() == first.len() && dims.iter().zip(&first).enumerate().all(|(i, (a, b))| i == axis || a == b);
        if !fits {
            return Err(bad_shape(format!("shapes {first:?} and {dims:?} cannot be joined along axis {axis}")));
        }
    }
    if parts.iter().all(|p| p.host().is_some()) {
        let hosts: Vec<&HostTensor> = parts.iter().filter_map(Value::host).collect();
        return join(&hosts, axis, &first).map(Value::from);
    }
    let parts = parts.into_iter().filter(|p| !p.dims().contains(&0)).map(|p| p.on(device));
    join_device(parts.collect::<Result<_>>()?, axis).map(Value::from)
}

/// Joins device tensors of one rank along an axis.
pub(super) fn join_device(parts: Vec<DeviceTensor>, axis: usize) -> Result<DeviceTensor> {
    let kind = parts.first().map(DeviceTensor::kind);
    let rank = parts.first().map_or(0, DeviceTensor::rank);
    by_rank!(rank, D => match kind {
        Some(Kind::Float) => {
            let parts = parts.into_iter().map(DeviceTensor::float::<D>).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(parts, axis).into())
        }
        Some(Kind::Int) => {
            let parts = parts.into_iter().map(DeviceTensor::int::<D>).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(parts, axis).into())
        }
        Some(Kind::Bool) => {
            let parts = parts.into_iter().map(DeviceTensor::bool::<D>).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(parts, axis).into())
        }
        None => Err(bad_shape("nothing to join")),
    })
}

fn join(parts: &[&HostTensor], axis: usize, first: &[usize]) -> Result<HostTensor> {
    let outer: usize = first.iter().take(axis).product();
    let inner: usize = first.iter().skip(axis + 1).product();
    let total: usize = parts.iter().filter_map(|p| p.dims.get(axis)).sum();
    let mut data = match parts.first().map(|p| &p.data) {
        Some(HostData::F32(_)) => HostData::F32(Vec::with_capacity(outer * total * inner)),
        Some(HostData::Bool(_)) => HostData::Bool(Vec::with_capacity(outer * total * inner)),
        _ => HostData::I64(Vec::with_capacity(outer * total * inner)),
    };
    for o in 0..outer {
        for part in parts {
            let n = part.dims.get(axis).copied().unwrap_or(0) * inner;
            let range = o * n..(o + 1) * n;
            let fits = match (&mut data, &part.data) {
                (HostData::F32(to), HostData::F32(from)) => from.get(range).map(|s| to.extend_from_slice(s)),
                (HostData::I64(to), HostData::I64(from)) => from.get(range).map(|s| to.extend_from_slice(s)),
                (HostData::Bool(to), HostData::Bool(from)) => from.get(range).map(|s| to.extend_from_slice(s)),
                _ => None,
            };
            fits.ok_or_else(|| Error::new(Code::BadType, "the parts hold different element types"))?;
        }
    }
    let mut dims = first.to_vec();
    if let Some(d) = dims.get_mut(axis) {
        *d = total;
    }
    HostTensor::new(dims, data)
}

fn split(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let given = call.ints_of("split", 1)?;
    let x = call.take(0)?;
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", 0), dims.len())?;
    let n = dims.get(axis).copied().unwrap_or(0);
    let sizes = match given {
        Some(sizes) => lengths(&sizes)?,
        None => {
            let parts = length(call.int_or("num_outputs", call.node.outputs.len() as i64))?.max(1);
            let chunk = n.div_ceil(parts);
            (0..parts).map(|i| chunk.min(n.saturating_sub(i * chunk))).collect()
        }
    };
    if sizes.iter().sum::<usize>() != n {
        return Err(bad_shape(format!("sizes {sizes:?} do not add up to {n}")));
    }
    let mut start = 0;
    let mut out = Vec::with_capacity(sizes.len());
    for size in sizes {
        let rows: Vec<usize> = (start..start + size).collect();
        out.push(slice::take_value(x.clone(), axis, &rows, call.device)?);
        start += size;
    }
    Ok(out)
}
