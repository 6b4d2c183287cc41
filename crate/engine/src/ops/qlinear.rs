//! Operators on quantised numbers: what they stand for goes through the standard operator and is quantised again.

use super::quantize::{optional, range, real, spread, to_steps};
use super::{Call, Forward, one, unsupported};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "ConvInteger" => |call| integer(call, super::conv::find, "Conv", 0),
        "MatMulInteger" => |call| integer(call, super::matmul::find, "MatMul", -1),
        "QLinearConv" => conv,
        "QLinearMatMul" => matmul,
        _ => return None,
    })
}

pub(super) fn find_microsoft(op: &str) -> Option<Forward> {
    Some(match op {
        "QGemm" => gemm,
        "QLinearAdd" => |call| both(call, super::elementwise::find, "Add"),
        "QLinearMul" => |call| both(call, super::elementwise::find, "Mul"),
        "QLinearLeakyRelu" => |call| alone(call, super::elementwise::find, "LeakyRelu"),
        "QLinearSigmoid" => |call| alone(call, super::elementwise::find, "Sigmoid"),
        "QLinearGlobalAveragePool" => |call| alone(call, super::pool::find, "GlobalAveragePool"),
        "QLinearAveragePool" => |call| alone(call, super::pool::find, "AveragePool"),
        "QLinearConcat" => concat,
        "DynamicQuantizeMatMul" => dynamic,
        "MatMulIntegerToFloat" => to_float,
        "QAttention" => attention,
        _ => return None,
    })
}

type Find = fn(&str) -> Option<Forward>;

/// Runs a standard operator on other inputs, with this node's attributes.
fn run(call: &mut Call<'_>, find: Find, op: &str, inputs: Vec<Option<DeviceTensor>>) -> Result<DeviceTensor> {
    let forward = find(op).ok_or_else(|| unsupported(op))?;
    let node = lopper_core::graph::Node { op_type: op.to_owned(), domain: String::new(), ..call.node.clone() };
    let inputs = inputs.into_iter().map(|t| t.map(Value::from)).collect();
    let mut inner = Call::new(&node, call.device, call.mode, inputs);
    match forward(&mut inner)?.into_iter().next() {
        Some(y) => y.on(call.device),
        None => Err(unsupported(op)),
    }
}

/// The axis that scales and zero points of a weight belong to; -1 is the last one.
fn place(axis: i64, rank: usize) -> usize {
    if axis < 0 { rank.saturating_sub(axis.unsigned_abs() as usize) } else { axis as usize }
}

fn moved(x: DeviceTensor, zero: Option<DeviceTensor>, axis: i64) -> Result<DeviceTensor> {
    let Some(zero) = zero else { return Ok(x) };
    let zero = along(zero, &x.dims(), axis)?;
    by_rank!(x.rank(), D => Ok(DeviceTensor::from(x.float::<D>()? - zero.float::<D>()?)))
}

fn scaled(x: DeviceTensor, scale: DeviceTensor, axis: i64) -> Result<DeviceTensor> {
    let scale = along(scale, &x.dims(), axis)?;
    let dims = x.dims();
    let y: DeviceTensor = by_rank!(x.rank(), D => Ok(DeviceTensor::from(x.float::<D>()? * scale.float::<D>()?)))?;
    y.reshape(&dims)
}

/// Numbers of one axis, or in a shape that broadcasts already.
fn along(t: DeviceTensor, dims: &[usize], axis: i64) -> Result<DeviceTensor> {
    let rank = t.rank();
    if rank > 1 && rank == dims.len() { Ok(t) } else { spread(t, dims, place(axis, dims.len()), 0) }
}

/// What the quantised numbers at an input stand for; scale and zero point follow it.
fn value_of(call: &mut Call<'_>, input: usize, scale: usize, zero: usize, axis: i64) -> Result<DeviceTensor> {
    let x = real(call, input)?;
    let zero = optional(call, zero)?;
    let scale = real(call, scale)?;
    scaled(moved(x, zero, axis)?, scale, axis)
}

fn requantize(call: &mut Call<'_>, y: DeviceTensor, scale: usize, zero: usize) -> Result<Vec<Value>> {
    let dims = y.dims();
    let scale = spread(real(call, scale)?, &dims, 0, 0)?;
    let zero = optional(call, zero)?.map(|z| spread(z, &dims, 0, 0)).transpose()?;
    one(to_steps(y, scale, zero, range(call.dtype)?)?)
}

fn integer(call: &mut Call<'_>, find: Find, op: &str, axis: i64) -> Result<Vec<Value>> {
    let (x, w) = (real(call, 0)?, real(call, 1)?);
    let (xz, wz) = (optional(call, 2)?, optional(call, 3)?);
    let (x, w) = (moved(x, xz, -2)?, moved(w, wz, axis)?);
    one(run(call, find, op, vec![Some(x), Some(w), None])?)
}

fn conv(call: &mut Call<'_>) -> Result<Vec<Value>> {
    // The sums are whole numbers: scaling them afterwards rounds as other runtimes do.
    let (x, w) = (real(call, 0)?, real(call, 3)?);
    let (xz, wz) = (optional(call, 2)?, optional(call, 5)?);
    let bias = optional(call, 8)?;
    let (x, w) = (moved(x, xz, 0)?, moved(w, wz, 0)?);
    let sums = run(call, super::conv::find, "Conv", vec![Some(x), Some(w), bias])?;
    let (xs, ws) = (real(call, 1)?, real(call, 4)?);
    let y = scaled(scaled(sums, ws, 1)?, xs, 0)?;
    requantize(call, y, 6, 7)
}

fn matmul(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let a = value_of(call, 0, 1, 2, -2)?;
    let b = value_of(call, 3, 4, 5, -1)?;
    let y = run(call, super::matmul::find, "MatMul", vec![Some(a), Some(b)])?;
    requantize(call, y, 6, 7)
}

fn gemm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let axis = if call.flag("transB") { 0 } else { 1 };
    let (a, b) = (real(call, 0)?, real(call, 3)?);
    let (az, bz) = (optional(call, 2)?, optional(call, 5)?);
    let (a, b, c) = (moved(a, az, 0)?, moved(b, bz, axis)?, optional(call, 6)?);
    let alpha = call.float_or("alpha", 1.0);
    // The bias counts in units of the product's scale, factor included, so the factor comes behind the sum.
    let mut node = call.node.clone();
    node.attributes.retain(|a| a.name.as_deref() != Some("alpha"));
    let device = call.device;
    let inputs = [Some(a), Some(b), c].into_iter().map(|t| t.map(Value::from)).collect();
    let mut inner = Call::new(&node, device, call.mode, inputs);
    let forward = super::matmul::find("Gemm").ok_or_else(|| unsupported("Gemm"))?;
    let sums = forward(&mut inner)?.into_iter().next().ok_or_else(|| unsupported("Gemm"))?.on(device)?;
    let (xs, ws) = (real(call, 1)?, real(call, 4)?);
    let y = scaled(scaled(sums, ws, -1)?, xs, 0)?;
    let y: DeviceTensor = by_rank!(y.rank(), D => Ok(DeviceTensor::from(y.float::<D>()?.mul_scalar(alpha))))?;
    if call.has(7) { requantize(call, y, 7, 8) } else { one(y) }
}

fn both(call: &mut Call<'_>, find: Find, op: &str) -> Result<Vec<Value>> {
    let (a, b) = (value_of(call, 0, 1, 2, 0)?, value_of(call, 3, 4, 5, 0)?);
    let y = run(call, find, op, vec![Some(a), Some(b)])?;
    requantize(call, y, 6, 7)
}

fn alone(call: &mut Call<'_>, find: Find, op: &str) -> Result<Vec<Value>> {
    if call.flag("channels_last") {
        return Err(unsupported("channels last"));
    }
    let x = value_of(call, 0, 1, 2, 0)?;
    let y = run(call, find, op, vec![Some(x)])?;
    requantize(call, y, 3, 4)
}

fn concat(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let mut parts = Vec::new();
    for i in (2..call.len()).step_by(3) {
        parts.push(Some(value_of(call, i, i + 1, i + 2, 0)?));
    }
    let y = run(call, super::concat::find, "Concat", parts)?;
    requantize(call, y, 0, 1)
}

fn biased(y: DeviceTensor, bias: Option<DeviceTensor>) -> Result<Vec<Value>> {
    let Some(bias) = bias else { return one(y) };
    let bias = spread(bias, &y.dims(), y.rank().saturating_sub(1), 0)?;
    by_rank!(y.rank(), D => one(DeviceTensor::from(y.float::<D>()? + bias.float::<D>()?)))
}

fn to_float(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (a, b) = (value_of(call, 0, 2, 4, -2)?, value_of(call, 1, 3, 5, -1)?);
    let bias = optional(call, 6)?;
    let y = run(call, super::matmul::find, "MatMul", vec![Some(a), Some(b)])?;
    biased(y, bias)
}

fn dynamic(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x: DeviceTensor = real(call, 0)?;
    let forward = super::quantize::find("DynamicQuantizeLinear").ok_or_else(|| unsupported("DynamicQuantizeLinear"))?;
    let node = call.node;
    let mut inner = Call::new(node, call.device, call.mode, vec![Some(x.into())]);
    let mut steps = forward(&mut inner)?.into_iter();
    let mut next = || steps.next().ok_or_else(|| unsupported("a dynamic scale"))?.on(call.device);
    let (q, scale, zero) = (next()?, next()?, next()?);
    let a = scaled(moved(q, Some(zero), 0)?, scale, 0)?;
    let b = value_of(call, 1, 2, 3, -1)?;
    let bias = optional(call, 4)?;
    let y = run(call, super::matmul::find, "MatMul", vec![Some(a), Some(b)])?;
    biased(y, bias)
}

/// An Attention with packed weights, of what the quantised numbers stand for.
fn attention(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.has(8) {
        return Err(unsupported("a cache inside of a QAttention"));
    }
    let (x, w) = (value_of(call, 0, 3, 6, -1)?, value_of(call, 1, 4, 7, -1)?);
    let bias = optional(call, 2)?.map(Value::from);
    let mask = if call.has(5) { Some(call.take(5)?) } else { None };
    let forward = super::fused_attention::find("Attention").ok_or_else(|| unsupported("QAttention"))?;
    let inputs = vec![Some(x.into()), Some(w.into()), bias, mask];
    forward(&mut Call::new(call.node, call.device, call.mode, inputs))
}
