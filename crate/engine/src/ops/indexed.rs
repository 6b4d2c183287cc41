//! GatherElements, GatherND and their opposites, ScatterElements and ScatterND.

use super::pick::{add_rows, pick, pick_value, place, strides};
use super::reshape::set_shape;
use super::slice::take_value;
use super::{Call, Forward, axis_of, bad_shape, length, one, unsupported};
use crate::tensor::{DeviceTensor, Kind, by_rank, count};
use crate::value::{HostTensor, Value};
use burn::tensor::{Device, Int, Tensor};
use lopper_core::{Code, Error, Result};
use std::collections::HashMap;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "GatherElements" => gather_elements,
        "GatherND" => gather_nd,
        "ScatterElements" | "Scatter" => scatter_elements,
        "ScatterND" => scatter_nd,
        "TensorScatter" => tensor_scatter,
        _ => return None,
    })
}

/// An index that may count from the back.
fn wrap(i: i64, n: usize) -> Result<usize> {
    let from_front = if i < 0 { i + n as i64 } else { i };
    let inside = usize::try_from(from_front).ok().filter(|&i| i < n);
    inside.ok_or_else(|| Error::new(Code::BadShape, format!("index {i} is out of range for an axis of {n}")))
}

/// Flat positions in data of shape `dims` that indices along `axis` point to.
fn along(indices: &HostTensor, dims: &[usize], axis: usize) -> Result<Vec<usize>> {
    let fits = indices.dims.len() == dims.len()
        && indices.dims.iter().zip(dims).enumerate().all(|(i, (a, b))| i == axis || a <= b);
    if !fits {
        return Err(bad_shape(format!("indices of shape {:?} into shape {dims:?}", indices.dims)));
    }
    let (steps, own) = (strides(dims), strides(&indices.dims));
    let n = dims.get(axis).copied().unwrap_or(1);
    (indices.data.to_i64().into_iter().enumerate())
        .map(|(flat, i)| {
            let mut p = place(flat, &indices.dims, &own);
            if let Some(slot) = p.get_mut(axis) {
                *slot = wrap(i, n)?;
            }
            Ok(p.iter().zip(&steps).map(|(i, s)| i * s).sum())
        })
        .collect()
}

fn gather_elements(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.take(0)?;
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", 0), dims.len())?;
    if let Some(indices) = call.look(1)?.host() {
        let at = along(indices, &dims, axis)?;
        let out = indices.dims.clone();
        return one(pick_value(x, &at, &out, call.device)?);
    }
    let (x, indices) = (x.on(call.device)?, whole(call, 1)?);
    let own = indices.dims();
    if own.len() != dims.len() || own.iter().zip(&dims).enumerate().any(|(i, (a, b))| i != axis && a != b) {
        return Err(unsupported(format!("computed indices of shape {own:?} into shape {dims:?}")));
    }
    let n = dims.get(axis).copied().unwrap_or(1);
    by_rank!(dims.len(), D => one(DeviceTensor::from(x.float::<D>()?.gather(axis, front(indices.int::<D>()?, n)))))
}

/// Whole numbers that were computed on the device.
fn whole(call: &mut Call<'_>, input: usize) -> Result<DeviceTensor> {
    let device = call.device;
    let t = call.take(input)?.on(device)?;
    if t.kind() == Kind::Int { Ok(t) } else { Err(Error::new(Code::BadType, "indices have to be whole numbers")) }
}

/// Indices counted from the front.
fn front<const D: usize>(indices: Tensor<D, Int>, n: usize) -> Tensor<D, Int> {
    let back = indices.clone().lower_elem(0);
    indices.clone().mask_where(back, indices.add_scalar(n as i64))
}

/// For every row of indices: the number of the block of data that it points to, and the shape of a block.
fn blocks(indices: &HostTensor, dims: &[usize], batch: usize) -> Result<(Vec<usize>, Vec<usize>)> {
    let depth = indices.dims.last().copied().unwrap_or(0);
    let bad = || bad_shape(format!("indices of shape {:?} into shape {dims:?}", indices.dims));
    let rows: usize = indices.dims.iter().take(indices.dims.len().saturating_sub(1)).product();
    let (Some(pointed), Some(block)) = (dims.get(batch..batch + depth), dims.get(batch + depth..)) else {
        return Err(bad());
    };
    if indices.dims.len() <= batch || indices.dims.get(..batch) != dims.get(..batch) {
        return Err(bad());
    }
    let (groups, steps) = (dims.iter().take(batch).product::<usize>(), strides(pointed));
    let (each, size) = (rows / groups.max(1), pointed.iter().product::<usize>());
    let numbers = indices.data.to_i64();
    let at = (0..rows).map(|r| {
        let own = numbers.iter().skip(r * depth).take(depth).zip(pointed).zip(&steps);
        let inner = own.map(|((&i, &n), s)| Ok(wrap(i, n)? * s)).sum::<Result<usize>>()?;
        Ok(r / each.max(1) * size + inner)
    });
    Ok((at.collect::<Result<_>>()?, block.to_vec()))
}

fn gather_nd(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let batch = length(call.int_or("batch_dims", 0))?;
    let x = call.take(0)?;
    let dims = x.dims();
    if call.look(1)?.host().is_none() {
        return computed_nd(call, x, batch);
    }
    let indices = call.host(1)?;
    let (at, block) = blocks(indices, &dims, batch)?;
    let size: usize = block.iter().product();
    let mut out: Vec<usize> = indices.dims.iter().take(indices.dims.len().saturating_sub(1)).copied().collect();
    out.extend(block);
    count(&out)?;
    let table = set_shape(x, &[dims.iter().product::<usize>() / size.max(1), size])?;
    one(set_shape(take_value(table, 0, &at, call.device)?, &out)?)
}

/// GatherND with indices that were computed on the device.
fn computed_nd(call: &mut Call<'_>, x: Value, batch: usize) -> Result<Vec<Value>> {
    let (x, indices) = (x.on(call.device)?, whole(call, 1)?);
    let (dims, own) = (x.dims(), indices.dims());
    let depth = own.last().copied().unwrap_or(0);
    let (Some(pointed), Some(block), 0) = (dims.get(..depth), dims.get(depth..), batch) else {
        return Err(unsupported("computed indices with batch axes"));
    };
    let rows: usize = own.iter().take(own.len().saturating_sub(1)).product();
    let table: Tensor<2, Int> = indices.reshape(&[rows, depth])?.int()?;
    let mut at = Tensor::<1, Int>::zeros([rows], call.device);
    for (k, (&n, step)) in pointed.iter().zip(strides(pointed)).enumerate() {
        let column: Tensor<1, Int> = table.clone().slice([0..rows, k..k + 1]).reshape([rows]);
        at = at + front(column, n).mul_scalar(step as i64);
    }
    let size: usize = block.iter().product();
    let mut out: Vec<usize> = own.iter().take(own.len().saturating_sub(1)).copied().collect();
    out.extend(block);
    let table = x.reshape(&[pointed.iter().product(), size])?.float::<2>()?;
    one(DeviceTensor::from(table.select(0, at)).reshape(&out)?)
}

/// Writes rows of `updates` into rows of `data`; both have the same width.
fn write(reduction: &str, data: Tensor<2>, at: &[usize], updates: Tensor<2>, device: &Device) -> Result<Tensor<2>> {
    let [rows, width] = data.dims();
    if reduction == "add" {
        return Ok(data + add_rows(rows, at, updates, device)?);
    }
    // Rows that are written several times are written in rounds, each row once in each.
    let mut met: HashMap<usize, usize> = HashMap::new();
    let mut rounds: Vec<Vec<(usize, usize)>> = Vec::new();
    for (k, &row) in at.iter().enumerate() {
        let turn = met.entry(row).or_insert(0);
        if rounds.len() <= *turn {
            rounds.push(Vec::new());
        }
        if let Some(round) = rounds.get_mut(*turn) {
            round.push((row, k));
        }
        *turn += 1;
    }
    let mut data = data;
    for round in rounds {
        let (into, from): (Vec<usize>, Vec<usize>) = round.into_iter().unzip();
        let new = updates.clone().select(0, super::pick::list(&from, device));
        let old = data.clone().select(0, super::pick::list(&into, device));
        let new = match reduction {
            "none" => new,
            "mul" => old * new,
            "max" => old.max_pair(new),
            "min" => old.min_pair(new),
            other => return Err(unsupported(format!("the reduction {other:?}"))),
        };
        let mut source: Vec<usize> = (0..rows).collect();
        for (k, row) in into.iter().enumerate() {
            *source.get_mut(*row).ok_or_else(|| bad_shape("positions outside of a tensor"))? = rows + k;
        }
        count(&[rows + into.len(), width])?;
        data = Tensor::cat(vec![data, new], 0).select(0, super::pick::list(&source, device));
    }
    Ok(data)
}

fn reduction(call: &Call<'_>) -> String {
    call.node.string("reduction").unwrap_or("none").to_owned()
}

fn scatter_elements(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let axis = axis_of(call.int_or("axis", 0), dims.len())?;
    let indices = call.host(1)?;
    let at = along(indices, &dims, axis)?;
    let reduction = reduction(call);
    let (x, updates) = (call.tensor(0)?, call.tensor(2)?);
    if updates.dims().iter().product::<usize>() != at.len() {
        return Err(bad_shape(format!("updates of shape {:?} for {} indices", updates.dims(), at.len())));
    }
    let flat = x.reshape(&[count(&dims)?, 1])?.float()?;
    let y = write(&reduction, flat, &at, updates.reshape(&[at.len(), 1])?.float()?, call.device)?;
    one(DeviceTensor::from(y).reshape(&dims)?)
}

fn scatter_nd(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let (at, block) = blocks(call.host(1)?, &dims, 0)?;
    let reduction = reduction(call);
    let (x, updates) = (call.tensor(0)?, call.tensor(2)?);
    let size: usize = block.iter().product();
    if updates.dims().iter().product::<usize>() != at.len() * size {
        return Err(bad_shape(format!("updates of shape {:?} for {} blocks of {block:?}", updates.dims(), at.len())));
    }
    let rows = count(&dims)? / size.max(1);
    let table = x.reshape(&[rows, size])?.float()?;
    let y = write(&reduction, table, &at, updates.reshape(&[at.len(), size])?.float()?, call.device)?;
    one(DeviceTensor::from(y).reshape(&dims)?)
}

fn tensor_scatter(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let axis = axis_of(call.int_or("axis", -2), dims.len())?;
    let own = call.look(1)?.dims();
    let starts = call.ints(2)?.unwrap_or_else(|| vec![0; dims.first().copied().unwrap_or(1)]);
    let around = call.node.string("mode") == Some("circular");
    let (n, steps, own_steps) = (dims.get(axis).copied().unwrap_or(1), strides(&dims), strides(&own));
    if own.len() != dims.len() || axis == 0 || starts.len() != dims.first().copied().unwrap_or(1) {
        return Err(bad_shape(format!("an update of shape {own:?} for a cache of shape {dims:?}")));
    }
    let mut source: Vec<usize> = (0..count(&dims)?).collect();
    let total = source.len();
    for flat in 0..count(&own)? {
        let mut p = place(flat, &own, &own_steps);
        let start = length(p.first().and_then(|b| starts.get(*b)).copied().unwrap_or(0))?;
        if let Some(slot) = p.get_mut(axis) {
            *slot = if around { (*slot + start) % n.max(1) } else { *slot + start };
            if *slot >= n {
                return Err(bad_shape(format!("position {slot} of a cache of {n}")));
            }
        }
        let at: usize = p.iter().zip(&steps).map(|(i, s)| i * s).sum();
        *source.get_mut(at).ok_or_else(|| bad_shape("positions outside of a tensor"))? = total + flat;
    }
    let (x, updates) = (call.tensor(0)?, call.tensor(1)?);
    let parts = vec![x.reshape(&[total])?.float::<1>()?, updates.reshape(&[count(&own)?])?.float::<1>()?];
    one(pick(Tensor::cat(parts, 0).into(), &source, &dims, call.device)?)
}
