//! Parts of tensors: Slice, Gather, and their opposite, Pad.

use super::reshape::set_shape;
use super::{Call, Forward, axis_of, bad_attribute, bad_shape, host, lengths, one, unsupported};
use crate::tensor::{DeviceTensor, Kind, by_rank, count};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::ops::PadMode;
use burn::tensor::{Device, Int, Slice, Tensor, TensorData};
use lopper_core::{Code, Error, Result};

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Slice" => slice,
        "Gather" => gather,
        "Pad" => pad,
        "CenterCropPad" => center_crop_pad,
        _ => return None,
    })
}

/// Rows along an axis, in a new order.
pub(super) fn take(t: DeviceTensor, axis: usize, rows: &[usize], device: &Device) -> Result<DeviceTensor> {
    let dims = t.dims();
    let n = dims.get(axis).copied().unwrap_or(0);
    if rows.is_empty() {
        return Err(unsupported("an empty tensor"));
    }
    if rows.iter().any(|&r| r >= n) {
        return Err(bad_shape(format!("positions outside of an axis of {n}")));
    }
    if let Some(range) = regular(rows) {
        let mut slices = vec![Slice::full(); dims.len()];
        if let Some(s) = slices.get_mut(axis) {
            *s = range;
        }
        return t.slice(&slices);
    }
    let indices = rows.iter().map(|&r| r as i64).collect::<Vec<_>>();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [rows.len()]), device);
    by_rank!(dims.len(), D => Ok(t.float::<D>()?.select(axis, indices).into()))
}

/// The slice that picks these positions, if they go in even steps.
fn regular(rows: &[usize]) -> Option<Slice> {
    let (&first, &last) = (rows.first()?, rows.last()?);
    let at = |i: usize| rows.get(i).map(|&r| r as isize);
    let step = match rows.len() {
        1 => 1,
        _ => at(1)? - at(0)?,
    };
    let even = rows.windows(2).all(|w| matches!(w, [a, b] if *b as isize - *a as isize == step));
    // burn counts steps backwards from the end of the range.
    let (low, high) = if step < 0 { (last, first) } else { (first, last) };
    (even && step != 0).then(|| Slice::new(low as isize, Some(high as isize + 1), step))
}

/// Rows along an axis, wherever the value lives.
pub(super) fn take_value(x: Value, axis: usize, rows: &[usize], device: &Device) -> Result<Value> {
    match x {
        Value::Host(h) => host::take(&h.tensor, axis, rows).map(Value::from),
        // A device holds no empty tensors.
        Value::Device(t) if rows.is_empty() => {
            let mut dims = t.dims();
            if let Some(d) = dims.get_mut(axis) {
                *d = 0;
            }
            let data = match t.kind() {
                Kind::Float => HostData::F32(Vec::new()),
                Kind::Int => HostData::I64(Vec::new()),
                Kind::Bool => HostData::Bool(Vec::new()),
            };
            HostTensor::new(dims, data).map(Value::from)
        }
        Value::Device(t) => take(*t, axis, rows, device).map(Value::from),
    }
}

fn slice(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let missing = |what: &str| bad_attribute(format!("{what} is not given"));
    let starts = call.ints_of("starts", 1)?.ok_or_else(|| missing("starts"))?;
    let ends = call.ints_of("ends", 2)?.ok_or_else(|| missing("ends"))?;
    let axes = call.ints_of("axes", 3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = call.ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(bad_attribute("starts, ends, axes and steps are of different lengths"));
    }
    let mut x = call.take(0)?;
    for (((start, end), axis), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let dims = x.dims();
        let axis = axis_of(axis, dims.len())?;
        let n = dims.get(axis).copied().unwrap_or(0);
        let rows = range(start, end, step, n)?;
        if !rows.iter().copied().eq(0..n) {
            x = take_value(x, axis, &rows, call.device)?;
        }
    }
    one(x)
}

/// The positions that ONNX's Slice picks on an axis of length `n`.
fn range(start: i64, end: i64, step: i64, n: usize) -> Result<Vec<usize>> {
    let n = n as i64;
    let wrap = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
    let (start, end) = (wrap(start), wrap(end));
    Ok(match step {
        0 => return Err(bad_attribute("a step of 0")),
        1.. => {
            let (start, end) = (start.clamp(0, n), end.clamp(0, n));
            (start..end).step_by(step as usize).map(|i| i as usize).collect()
        }
        _ => {
            let (start, end) = (start.clamp(-1, n - 1), end.clamp(-1, n - 1));
            (end + 1..=start).rev().step_by(step.unsigned_abs() as usize).map(|i| i as usize).collect()
        }
    })
}

fn positions(indices: &HostTensor, n: usize) -> Result<Vec<usize>> {
    (indices.data.to_i64().into_iter())
        .map(|i| {
            let from_front = if i < 0 { i + n as i64 } else { i };
            usize::try_from(from_front)
                .ok()
                .filter(|&i| i < n)
                .ok_or_else(|| Error::new(Code::BadShape, format!("index {i} is out of range for an axis of {n}")))
        })
        .collect()
}

fn gather(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.take(0)?;
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", 0), dims.len())?;
    if call.look(1)?.host().is_none() {
        return gather_computed(call, x, axis);
    }
    let indices = call.host(1)?;
    let rows = positions(indices, dims.get(axis).copied().unwrap_or(0))?;
    let mut out: Vec<usize> = dims.iter().take(axis).copied().collect();
    out.extend(&indices.dims);
    out.extend(dims.iter().skip(axis + 1));
    count(&out)?;
    one(set_shape(take_value(x, axis, &rows, call.device)?, &out)?)
}

/// Gather with indices that were computed on the device.
fn gather_computed(call: &mut Call<'_>, x: Value, axis: usize) -> Result<Vec<Value>> {
    let (x, indices) = (x.on(call.device)?, call.take(1)?.on(call.device)?);
    let (dims, own) = (x.dims(), indices.dims());
    let n = dims.get(axis).copied().unwrap_or(1);
    let flat: Tensor<1, Int> = indices.reshape(&[count(&own)?])?.int()?;
    let at = flat.clone().mask_where(flat.clone().lower_elem(0), flat.add_scalar(n as i64));
    let mut out: Vec<usize> = dims.iter().take(axis).copied().collect();
    out.extend(&own);
    out.extend(dims.iter().skip(axis + 1));
    count(&out)?;
    by_rank!(dims.len(), D => one(DeviceTensor::from(x.float::<D>()?.select(axis, at)).reshape(&out)?))
}

fn pad(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let pads = call.ints_of("pads", 1)?.ok_or_else(|| bad_attribute("no pads are given"))?;
    let value = match call.float_input(2)? {
        Some(v) => v,
        None => call.float_or("value", 0.0),
    };
    let rank = call.look(0)?.dims().len();
    let axes = match call.ints(3)? {
        Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if let Some(wide) = pads.iter().find(|p| p.unsigned_abs() > 1 << 24) {
        return Err(Error::new(Code::TooLarge, format!("padding of {wide}")));
    }
    if pads.len() != 2 * axes.len() {
        return Err(bad_attribute(format!("pads {pads:?} for {} axes", axes.len())));
    }
    let (begins, ends) = pads.split_at(axes.len());
    let mode = call.node.string("mode").unwrap_or("constant").to_owned();
    let mut x = call.take(0)?;
    let mut constant = vec![(0, 0); rank];
    for ((&axis, &begin), &end) in axes.iter().zip(begins).zip(ends) {
        let n = x.dims().get(axis).copied().unwrap_or(0);
        // Negative pads cut off.
        let (from, to) = ((-begin).max(0), n as i64 - (-end).max(0));
        if from >= to {
            return Err(unsupported("padding that leaves nothing"));
        }
        let rows: Vec<usize> = if mode == "constant" {
            if let Some(p) = constant.get_mut(axis) {
                *p = (begin.max(0) as usize, end.max(0) as usize);
            }
            (from as usize..to as usize).collect()
        } else {
            let whole = (-begin..n as i64 + end).map(|i| reflect(&mode, i, n as i64));
            lengths(&whole.collect::<Result<Vec<_>>>()?)?
        };
        if !rows.iter().copied().eq(0..n) {
            x = take_value(x, axis, &rows, call.device)?;
        }
    }
    if constant.iter().all(|&p| p == (0, 0)) {
        return one(x);
    }
    if !x.is_float() {
        return Err(unsupported("padding of whole numbers"));
    }
    let padded: Vec<usize> = x.dims().iter().zip(&constant).map(|(n, (b, e))| n + b + e).collect();
    count(&padded)?;
    let x = x.on(call.device)?;
    by_rank!(rank, D => one(DeviceTensor::from(x.float::<D>()?.pad(constant, PadMode::Constant(value)))))
}

/// The position inside an axis of `n` that stands at position `i` outside of it.
fn reflect(mode: &str, i: i64, n: i64) -> Result<i64> {
    Ok(match mode {
        "edge" => i.clamp(0, n - 1),
        "wrap" => i.rem_euclid(n),
        "reflect" if n == 1 => 0,
        "reflect" => {
            let period = 2 * (n - 1);
            let i = i.rem_euclid(period);
            if i < n { i } else { period - i }
        }
        other => return Err(bad_attribute(format!("pad mode {other:?} is unknown"))),
    })
}

fn center_crop_pad(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let want = lengths(&call.ints(1)?.ok_or_else(|| bad_attribute("no shape is given"))?)?;
    let mut x = call.take(0)?;
    let rank = x.dims().len();
    let axes = match call.node.ints("axes") {
        Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect::<Result<Vec<_>>>()?,
        None => (0..rank).collect(),
    };
    if axes.len() != want.len() {
        return Err(bad_attribute(format!("lengths {want:?} for {} axes", axes.len())));
    }
    let mut around = vec![(0, 0); rank];
    for (&axis, &want) in axes.iter().zip(&want) {
        let n = x.dims().get(axis).copied().unwrap_or(0);
        if want < n {
            let start = (n - want) / 2;
            let rows: Vec<usize> = (start..start + want).collect();
            x = take_value(x, axis, &rows, call.device)?;
        } else if let Some(p) = around.get_mut(axis) {
            *p = ((want - n) / 2, want - n - (want - n) / 2);
        }
    }
    let full: Vec<usize> = x.dims().iter().zip(&around).map(|(n, (b, e))| n.saturating_add(b + e)).collect();
    count(&full)?;
    if around.iter().all(|&p| p == (0, 0)) {
        return one(x);
    }
    let x = x.on(call.device)?;
    by_rank!(rank, D => one(DeviceTensor::from(x.float::<D>()?.pad(around, PadMode::Constant(0.0)))))
}
