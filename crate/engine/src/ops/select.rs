//! Operators that choose, count or order positions along an axis.

use super::pick::{made, pick_value, place, strides};
use super::{Call, Forward, axis_of, bad_attribute, bad_shape, host, length, one, slice, unsupported};
use crate::tensor::{DeviceTensor, Kind, by_rank, count};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Int, Tensor};
use lopper_core::Result;
use std::cmp::Ordering;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "TopK" => top_k,
        "CumSum" | "CumProd" => cumulative,
        "OneHot" => one_hot,
        "NonZero" => non_zero,
        "Compress" => compress,
        "Trilu" => trilu,
        "EyeLike" => eye_like,
        "ReverseSequence" => reverse_sequence,
        "Unique" => unique,
        _ => return None,
    })
}

fn top_k(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let k = match call.node.int("k") {
        Some(k) => k,
        None => call.ints(1)?.and_then(|v| v.first().copied()).ok_or_else(|| bad_attribute("no k is given"))?,
    };
    let smallest = call.int_or("largest", 1) == 0;
    if let Some(t) = call.look(0)?.host().filter(|t| t.as_f32().is_none()) {
        return whole_top_k(t, axis_of(call.int_or("axis", -1), t.dims.len())?, length(k)?, smallest);
    }
    let x = call.tensor(0)?;
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", -1), dims.len())?;
    let k = length(k)?;
    if k == 0 || k > dims.get(axis).copied().unwrap_or(0) {
        return Err(unsupported(format!("the largest {k} of shape {dims:?}")));
    }
    by_rank!(dims.len(), D => {
        let x: Tensor<D> = x.float()?;
        let (values, indices) = if smallest {
            let (v, i) = x.neg().topk_with_indices(k, axis);
            (v.neg(), i)
        } else {
            x.topk_with_indices(k, axis)
        };
        Ok(vec![DeviceTensor::from(values).into(), DeviceTensor::from(indices).into()])
    })
}

/// The same for whole numbers, exactly.
fn whole_top_k(t: &HostTensor, axis: usize, k: usize, smallest: bool) -> Result<Vec<Value>> {
    let n = t.dims.get(axis).copied().unwrap_or(1);
    let inner: usize = t.dims.iter().skip(axis + 1).product();
    let mut dims = t.dims.clone();
    match dims.get_mut(axis) {
        Some(d) if k <= n => *d = k,
        _ => return Err(bad_attribute(format!("the largest {k} of shape {:?}", t.dims))),
    }
    let numbers = t.data.to_i64();
    let number = |i: &usize| numbers.get(*i).copied().unwrap_or(0);
    let mut chosen = vec![0_usize; count(&dims)?];
    for line in 0..numbers.len() / n.max(1) {
        let (outer, lane) = (line / inner, line % inner);
        let mut order: Vec<usize> = (0..n).map(|i| (outer * n + i) * inner + lane).collect();
        order.sort_by(|a, b| if smallest { number(a).cmp(&number(b)) } else { number(b).cmp(&number(a)) });
        for (i, from) in order.into_iter().take(k).enumerate() {
            if let Some(slot) = chosen.get_mut((outer * k + i) * inner + lane) {
                *slot = from;
            }
        }
    }
    let values = chosen.iter().map(number).collect();
    let places = chosen.iter().map(|&i| (i / inner % n.max(1)) as i64).collect();
    Ok(vec![HostTensor::i64(dims.clone(), values)?.into(), HostTensor::i64(dims, places)?.into()])
}

fn cumulative(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (exclusive, reverse) = (call.flag("exclusive"), call.flag("reverse"));
    let product = call.node.op_type == "CumProd";
    let axis = call.ints(1)?.and_then(|v| v.first().copied()).ok_or_else(|| bad_attribute("no axis is given"))?;
    if let Some(HostTensor { dims, data: HostData::I64(v) }) = call.look(0)?.host() {
        let axis = axis_of(axis, dims.len())?;
        return one(HostTensor::i64(dims.clone(), running(v, dims, axis, (exclusive, reverse, product)))?);
    }
    let x = call.tensor(0)?;
    let dims = x.dims();
    let axis = axis_of(axis, dims.len())?;
    let n = dims.get(axis).copied().unwrap_or(1);
    by_rank!(dims.len(), D => {
        let mut x: Tensor<D> = x.float()?;
        if reverse {
            x = x.flip([axis as isize]);
        }
        if exclusive {
            let start = x.clone().narrow(axis, 0, 1);
            let start = if product { start.ones_like() } else { start.zeros_like() };
            x = if n > 1 { Tensor::cat(vec![start, x.narrow(axis, 0, n - 1)], axis) } else { start };
        }
        let y = if product { x.cumprod(axis) } else { x.cumsum(axis) };
        one(DeviceTensor::from(if reverse { y.flip([axis as isize]) } else { y }))
    })
}

fn running(v: &[i64], dims: &[usize], axis: usize, how: (bool, bool, bool)) -> Vec<i64> {
    let (exclusive, reverse, product) = how;
    let n = dims.get(axis).copied().unwrap_or(1).max(1);
    let inner: usize = dims.iter().skip(axis + 1).product::<usize>().max(1);
    let mut out = vec![0; v.len()];
    for line in 0..v.len() / n {
        let start = line / inner * n * inner + line % inner;
        let mut total = i64::from(product);
        for k in 0..n {
            let at = start + if reverse { n - 1 - k } else { k } * inner;
            let own = v.get(at).copied().unwrap_or(0);
            let next = if product { total.wrapping_mul(own) } else { total.wrapping_add(own) };
            if let Some(slot) = out.get_mut(at) {
                *slot = if exclusive { total } else { next };
            }
            total = next;
        }
    }
    out
}

fn one_hot(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let depth = call.ints(1)?.and_then(|v| v.first().copied()).ok_or_else(|| bad_attribute("no depth is given"))?;
    let depth = length(depth)?;
    let indices = call.take(0)?;
    let dims = indices.dims();
    let axis = axis_of(call.int_or("axis", -1), dims.len() + 1)?;
    let mut out = dims.clone();
    out.insert(axis, depth);
    made(&out)?;
    let (outer, inner): (usize, usize) = (dims.iter().take(axis).product(), dims.iter().skip(axis).product());
    if let Some(t) = indices.host() {
        let numbers = t.data.to_i64();
        let places = (0..outer * depth * inner).map(|flat| {
            let (o, d, i) = (flat / (depth * inner), flat / inner % depth, flat % inner);
            let n = numbers.get(o * inner + i).copied().unwrap_or(0);
            usize::from(n == d as i64 || n + depth as i64 == d as i64)
        });
        let values = call.host(2)?;
        let data = values.data.pick(places).ok_or_else(|| bad_shape("two values are needed"))?;
        return one(HostTensor::new(out, data)?);
    }
    let values = call.host(2)?.data.to_f32();
    let &[off, on] = values.as_slice() else { return Err(bad_shape("two values are needed")) };
    let t = indices.on(call.device)?.reshape(&[outer, 1, inner])?;
    let t: Tensor<3, Int> = if t.kind() == Kind::Int { t.int()? } else { t.float::<3>()?.int() };
    let t = t.clone().mask_where(t.clone().lower_elem(0), t.add_scalar(depth as i64));
    let numbers = Tensor::<1, Int>::arange(0..depth as i64, call.device).reshape([1, depth, 1]);
    let hot = t.repeat_dim(1, depth).equal(numbers.expand([outer, depth, inner])).float();
    one(DeviceTensor::from(hot.mul_scalar(on - off).add_scalar(off)).reshape(&out)?)
}

fn non_zero(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let t = call.read(0)?;
    let steps = strides(&t.dims);
    let found: Vec<Vec<usize>> = (t.data.to_bool().iter().enumerate())
        .filter(|(_, b)| **b)
        .map(|(flat, _)| place(flat, &t.dims, &steps))
        .collect();
    let rank = t.dims.len();
    let list = (0..rank).flat_map(|axis| found.iter().map(move |p| p.get(axis).copied().unwrap_or(0) as i64));
    one(HostTensor::i64(vec![rank, found.len()], list.collect())?)
}

fn compress(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let chosen = call.read(1)?.data.to_bool();
    let rows: Vec<usize> = chosen.iter().enumerate().filter(|(_, b)| **b).map(|(i, _)| i).collect();
    let x = call.take(0)?;
    match call.node.int("axis") {
        Some(axis) => {
            let axis = axis_of(axis, x.dims().len())?;
            one(slice::take_value(x, axis, &rows, call.device)?)
        }
        None => one(pick_value(x, &rows, &[rows.len()], call.device)?),
    }
}

/// For every element whether it lies in the triangle that stays.
fn triangle(dims: &[usize], upper: bool, shift: i64) -> Vec<bool> {
    let columns = dims.last().copied().unwrap_or(1).max(1);
    let rows = dims.iter().rev().nth(1).copied().unwrap_or(1).max(1);
    (0..dims.iter().product::<usize>())
        .map(|flat| {
            let (i, j) = ((flat / columns % rows) as i64, (flat % columns) as i64);
            if upper { j - i >= shift } else { j - i <= shift }
        })
        .collect()
}

fn trilu(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let upper = call.int_or("upper", 1) != 0;
    let shift = call.ints(1)?.and_then(|v| v.first().copied()).unwrap_or(0);
    let x = call.take(0)?;
    let dims = x.dims();
    if let Some(t) = x.host() {
        let stays = triangle(&dims, upper, shift);
        fn keep<T: Copy + Default>(v: &[T], stays: &[bool]) -> Vec<T> {
            v.iter().zip(stays).map(|(&v, &s)| if s { v } else { T::default() }).collect()
        }
        let data = match &t.data {
            HostData::F32(v) => HostData::F32(keep(v, &stays)),
            HostData::I64(v) => HostData::I64(keep(v, &stays)),
            HostData::Bool(v) => HostData::Bool(keep(v, &stays)),
        };
        return one(HostTensor::new(dims, data)?);
    }
    let last: Vec<usize> = dims.iter().skip(dims.len().saturating_sub(2)).copied().collect();
    let gone = triangle(&last, upper, shift).into_iter().map(|s| !s).collect();
    let mask = DeviceTensor::upload_data(last, HostData::Bool(gone), call.device)?.expand(&dims)?;
    let x = x.on(call.device)?;
    by_rank!(dims.len(), D => one(DeviceTensor::from(x.float::<D>()?.mask_fill(mask.bool::<D>()?, 0.0))))
}

fn eye_like(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let [rows, columns] = super::array::<usize, 2>(&dims)?;
    let shift = call.int_or("k", 0);
    let real = call.look(0)?.is_float();
    let ones: Vec<i64> = (0..count(&dims)?)
        .map(|flat| i64::from((flat % columns.max(1)) as i64 - (flat / columns.max(1)) as i64 == shift))
        .collect();
    let real = match call.node.int("dtype") {
        Some(t) => lopper_core::onnx::DataType::from_number(i32::try_from(t).unwrap_or(0))?.is_float(),
        None => real,
    };
    let data = if real { HostData::F32(ones.iter().map(|&v| v as f32).collect()) } else { HostData::I64(ones) };
    one(HostTensor::new(vec![rows, columns], data)?)
}

fn reverse_sequence(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let ends = call.host(1)?.data.to_i64();
    let x = call.take(0)?;
    let dims = x.dims();
    let (time, batch) = (length(call.int_or("time_axis", 0))?, length(call.int_or("batch_axis", 1))?);
    if time >= dims.len() || batch >= dims.len() || time == batch {
        return Err(bad_attribute("time_axis and batch_axis do not fit"));
    }
    let steps = strides(&dims);
    let at: Vec<usize> = (0..count(&dims)?)
        .map(|flat| {
            let mut p = place(flat, &dims, &steps);
            let end = p.get(batch).and_then(|b| ends.get(*b)).copied().unwrap_or(0);
            if let Some(t) = p.get_mut(time).filter(|t| (**t as i64) < end) {
                *t = (end - 1) as usize - *t;
            }
            p.iter().zip(&steps).map(|(i, s)| i * s).sum()
        })
        .collect();
    one(pick_value(x, &at, &dims, call.device)?)
}

/// Values of a list, or slices along an axis, without repetition: each with where it first stood, which one every element is,
/// and how often it stands.
fn unique(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let t = call.read(0)?;
    let axis = call.node.int("axis").map(|a| axis_of(a, t.dims.len())).transpose()?;
    let (real, whole) = (t.data.to_f32(), t.data.to_i64());
    let one_by_one = |a: &usize, b: &usize| match &t.data {
        HostData::F32(_) => real.get(*a).partial_cmp(&real.get(*b)).unwrap_or(Ordering::Equal),
        _ => whole.get(*a).cmp(&whole.get(*b)),
    };
    let n = axis.map_or(t.data.len(), |a| t.dims.get(a).copied().unwrap_or(0));
    let inner: usize = axis.map_or(1, |a| t.dims.iter().skip(a + 1).product());
    let outer = t.data.len() / (n * inner).max(1);
    let slice = |i: usize| (0..outer * inner).map(move |k| (k / inner * n + i) * inner + k % inner);
    let compare = |a: &usize, b: &usize| {
        let found = slice(*a).zip(slice(*b)).map(|(a, b)| one_by_one(&a, &b)).find(|o| *o != Ordering::Equal);
        found.unwrap_or(Ordering::Equal)
    };
    // Equal elements come to lie beside each other, the first one in front.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(compare);
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match groups.last_mut() {
            Some(g) if g.first().is_some_and(|f| compare(f, &i) == Ordering::Equal) => g.push(i),
            _ => groups.push(vec![i]),
        }
    }
    if call.int_or("sorted", 1) == 0 {
        groups.sort_by_key(|g| g.first().copied());
    }
    let first: Vec<usize> = groups.iter().filter_map(|g| g.first().copied()).collect();
    let mut which = vec![0_i64; n];
    for (k, group) in groups.iter().enumerate() {
        for &i in group {
            if let Some(slot) = which.get_mut(i) {
                *slot = k as i64;
            }
        }
    }
    let counts = groups.iter().map(|g| g.len() as i64).collect();
    let values = match axis {
        Some(axis) => host::take(&t, axis, &first)?,
        None => {
            let data = t.data.pick(first.iter().copied()).ok_or_else(|| bad_shape("positions outside of a tensor"))?;
            HostTensor::new(vec![first.len()], data)?
        }
    };
    Ok(vec![
        values.into(),
        HostTensor::i64(vec![first.len()], first.iter().map(|&i| i as i64).collect())?.into(),
        HostTensor::i64(vec![which.len()], which)?.into(),
        HostTensor::i64(vec![first.len()], counts)?.into(),
    ])
}
