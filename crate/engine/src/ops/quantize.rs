//! QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear. Quantised numbers are held as real ones, which is exact.

use super::{Call, Forward, axis_of, bad_shape, length, unsupported};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::Result;
use lopper_core::onnx::DataType;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "QuantizeLinear" => quantize,
        "DequantizeLinear" => dequantize,
        "DynamicQuantizeLinear" => dynamic,
        _ => return None,
    })
}

/// The least and the greatest number of a quantised type.
pub(super) fn range(t: Option<DataType>) -> Result<(f32, f32)> {
    Ok(match t {
        Some(DataType::Uint8) | None => (0.0, 255.0),
        Some(DataType::Int8) => (-128.0, 127.0),
        Some(DataType::Uint16) => (0.0, 65_535.0),
        Some(DataType::Int16) => (-32_768.0, 32_767.0),
        Some(DataType::Uint4) => (0.0, 15.0),
        Some(DataType::Int4) => (-8.0, 7.0),
        Some(DataType::Uint2) => (0.0, 3.0),
        Some(DataType::Int2) => (-2.0, 1.0),
        Some(other) => return Err(unsupported(format!("quantising to {}", other.name()))),
    })
}

/// An input of whatever numbers as real ones on the device.
pub(super) fn real(call: &mut Call<'_>, input: usize) -> Result<DeviceTensor> {
    let value = call.take(input)?;
    if value.is_float() {
        return value.on(call.device);
    }
    if let Some(host) = value.host() {
        let real = HostTensor::new(host.dims.clone(), HostData::F32(host.data.to_f32()))?;
        return DeviceTensor::upload(&real, call.device);
    }
    let t = value.on(call.device)?;
    let dims = t.dims();
    let y: DeviceTensor = by_rank!(t.rank(), D => Ok(DeviceTensor::from(t.int::<D>()?.float())))?;
    y.reshape(&dims)
}

/// An optional input of whatever numbers.
pub(super) fn optional(call: &mut Call<'_>, input: usize) -> Result<Option<DeviceTensor>> {
    if call.has(input) { real(call, input).map(Some) } else { Ok(None) }
}

/// Scales or zero points in a shape that repeats over `dims`: one, one a position of the axis, or one a block.
pub(super) fn spread(t: DeviceTensor, dims: &[usize], axis: usize, block: usize) -> Result<DeviceTensor> {
    let own = t.dims();
    if own.iter().product::<usize>() == 1 {
        return t.reshape(&vec![1; dims.len().max(1)]);
    }
    if own.len() == 1 {
        let mut shape = vec![1; dims.len()];
        match (shape.get_mut(axis), dims.get(axis)) {
            (Some(slot), Some(n)) if own == [*n] => *slot = *n,
            _ => return Err(bad_shape(format!("{own:?} scales for axis {axis} of {dims:?}"))),
        }
        return t.reshape(&shape);
    }
    let (Some(&n), Some(&blocks)) = (dims.get(axis), own.get(axis)) else {
        return Err(bad_shape(format!("scales {own:?} for {dims:?}")));
    };
    if block == 0 || n.div_ceil(block) != blocks || own.len() != dims.len() {
        return Err(bad_shape(format!("scales {own:?} in blocks of {block} for {dims:?}")));
    }
    let inner: usize = dims.iter().skip(axis + 1).product();
    let outer: usize = dims.iter().take(axis).product();
    let t = t.reshape(&[outer, blocks, 1, inner])?.expand(&[outer, blocks, block, inner])?;
    let t: Tensor<3> = t.reshape(&[outer, blocks * block, inner])?.float()?;
    DeviceTensor::from(t.narrow(1, 0, n)).reshape(dims)
}

fn form(call: &Call<'_>, rank: usize) -> Result<(usize, usize)> {
    let axis = if rank == 0 { 0 } else { axis_of(call.int_or("axis", 1).min(rank as i64 - 1), rank)? };
    Ok((axis, length(call.int_or("block_size", 0))?))
}

/// Rounded, moved by the zero point and kept within a type. A scale of zero is that of a masked channel, which holds nothing.
pub(super) fn to_steps(
    x: DeviceTensor,
    scale: DeviceTensor,
    zero: Option<DeviceTensor>,
    bounds: (f32, f32),
) -> Result<DeviceTensor> {
    let dims = x.dims();
    let y: DeviceTensor = by_rank!(x.rank(), D => {
        let scale: Tensor<D> = scale.float()?;
        let none = scale.clone().equal_elem(0.0);
        let mut y: Tensor<D> = (x.float::<D>()? / scale.mask_fill(none, 1.0)).round();
        if let Some(zero) = zero {
            y = y + zero.float()?;
        }
        Ok(DeviceTensor::from(y.clamp(bounds.0, bounds.1)))
    })?;
    y.reshape(&dims)
}

fn quantize(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = real(call, 0)?;
    let dims = x.dims();
    let (axis, block) = form(call, dims.len())?;
    let scale = spread(real(call, 1)?, &dims, axis, block)?;
    let zero = optional(call, 2)?.map(|z| spread(z, &dims, axis, block)).transpose()?;
    super::one(to_steps(x, scale, zero, range(call.dtype)?)?)
}

fn dequantize(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = real(call, 0)?;
    let dims = x.dims();
    let (axis, block) = form(call, dims.len())?;
    let scale = spread(real(call, 1)?, &dims, axis, block)?;
    let zero = optional(call, 2)?.map(|z| spread(z, &dims, axis, block)).transpose()?;
    let y: DeviceTensor = by_rank!(x.rank(), D => {
        let mut x: Tensor<D> = x.float()?;
        if let Some(zero) = zero {
            x = x - zero.float()?;
        }
        Ok(DeviceTensor::from(x * scale.float::<D>()?))
    })?;
    super::one(y.reshape(&dims)?)
}

fn dynamic(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = real(call, 0)?;
    let dims = x.dims();
    let flat: Tensor<1> = x.clone().reshape(&[dims.iter().product()])?.float()?;
    let low = flat.clone().min().clamp_max(0.0);
    let high = flat.max().clamp_min(0.0);
    let scale = (high - low.clone()).div_scalar(255.0);
    let none = scale.clone().equal_elem(0.0);
    let scale = scale.mask_fill(none, 1.0);
    let zero = (low.neg() / scale.clone()).round().clamp(0.0, 255.0);
    let one = |t: &Tensor<1>| DeviceTensor::from(t.clone()).reshape(&vec![1; dims.len().max(1)]);
    let y = to_steps(x, one(&scale)?, Some(one(&zero)?), (0.0, 255.0))?;
    let scalar = |t: Tensor<1>| DeviceTensor::from(t).reshape(&[]).map(Value::from);
    Ok(vec![y.into(), scalar(scale)?, scalar(zero)?])
}
