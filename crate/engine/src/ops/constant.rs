//! Values that come from shapes and numbers rather than from data.

use super::host::wrapped;
use super::{Call, Forward, bad_attribute, lengths, one, unsupported};
use crate::tensor::{DeviceTensor, Kind, by_rank, count};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Int, Tensor};
use lopper_core::onnx::{DataType, Tensor as Stored};
use lopper_core::{Code, Error, Result};

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "ConstantOfShape" => constant_of_shape,
        "Shape" => shape,
        "Size" => |call| one(HostTensor::i64(vec![], vec![call.look(0)?.dims().iter().product::<usize>() as i64])?),
        "Range" => range,
        "Cast" => cast,
        "CastLike" => cast_like,
        _ => return None,
    })
}

/// More elements than shape arithmetic ever makes on the host.
const MAX_MADE: usize = 1 << 26;

fn constant_of_shape(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = lengths(&call.ints(0)?.ok_or_else(|| bad_attribute("no shape is given"))?)?;
    let count = count(&dims)?;
    if count > MAX_MADE {
        return Err(Error::new(Code::TooLarge, format!("a constant of shape {dims:?} is too large")));
    }
    let value = call.node.attributes.iter().find_map(|a| a.t.as_option());
    let element = match value {
        Some(t) => HostTensor::of(&Stored::from_proto(t, None)?)?.data,
        None => HostData::F32(vec![0.0]),
    };
    let data = element.pick(std::iter::repeat_n(0, count)).ok_or_else(|| bad_attribute("the value is empty"))?;
    one(HostTensor::new(dims, data)?)
}

fn shape(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let rank = dims.len() as i64;
    let place = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
    let (start, end) = (place(call.int_or("start", 0)), place(call.int_or("end", rank)));
    let part: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(|&d| d as i64).collect();
    one(HostTensor::i64(vec![part.len()], part)?)
}

fn range(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let limits = [call.host(0)?, call.host(1)?, call.host(2)?];
    if limits.iter().all(|t| matches!(t.data, HostData::I64(_))) {
        let v: Vec<i64> = limits.iter().filter_map(|t| t.data.to_i64().first().copied()).collect();
        let &[start, limit, step] = v.as_slice() else {
            return Err(bad_attribute("start, limit and step must be single numbers"));
        };
        let count = steps((limit as f64 - start as f64) / step as f64)?;
        let list: Vec<i64> = (0..count as i64).map(|i| start + i * step).collect();
        return one(HostTensor::i64(vec![count], list)?);
    }
    let v: Vec<f32> = limits.iter().filter_map(|t| t.data.to_f32().first().copied()).collect();
    let &[start, limit, step] = v.as_slice() else {
        return Err(bad_attribute("start, limit and step must be single numbers"));
    };
    let count = steps((f64::from(limit) - f64::from(start)) / f64::from(step))?;
    one(HostTensor::f32(vec![count], (0..count).map(|i| start + i as f32 * step).collect())?)
}

fn steps(exact: f64) -> Result<usize> {
    let count = exact.ceil().max(0.0);
    if count.is_finite() && count <= MAX_MADE as f64 {
        Ok(count as usize)
    } else {
        Err(Error::new(Code::BadDims, "a range without end"))
    }
}

fn cast(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let to = i32::try_from(call.int_or("to", 0)).unwrap_or(0);
    let to = DataType::from_number(to)?;
    let x = call.take(0)?;
    one(convert(x, kind_of(to)?, Some(to))?)
}

fn cast_like(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let like = match call.look(1)? {
        Value::Device(t) => t.kind(),
        Value::Host(h) => match h.tensor.data {
            HostData::F32(_) => Kind::Float,
            HostData::I64(_) => Kind::Int,
            HostData::Bool(_) => Kind::Bool,
        },
    };
    let x = call.take(0)?;
    one(convert(x, like, call.dtype)?)
}

fn kind_of(t: DataType) -> Result<Kind> {
    match t {
        t if t.is_float() => Ok(Kind::Float),
        t if t.is_integer() => Ok(Kind::Int),
        DataType::Bool => Ok(Kind::Bool),
        other => Err(unsupported(format!("casting to {}", other.name()))),
    }
}

/// Another element type. All real numbers are float32 here, all whole ones 64-bit.
fn convert(x: Value, to: Kind, dtype: Option<DataType>) -> Result<Value> {
    match x {
        Value::Host(h) => {
            let data = match to {
                Kind::Float => HostData::F32(h.tensor.data.to_f32()),
                Kind::Int => HostData::I64(h.tensor.data.to_i64()),
                Kind::Bool => HostData::Bool(h.tensor.data.to_bool()),
            };
            HostTensor::new(h.tensor.dims.clone(), data).map(|t| wrapped(t, dtype).into())
        }
        Value::Device(t) if t.kind() == to => Ok(Value::Device(t)),
        Value::Device(t) => {
            let dims = t.dims();
            let narrow = dtype.filter(|t| t.is_integer() && t.bits() <= 16);
            let y: DeviceTensor = by_rank!(t.rank(), D => Ok(match (t.kind(), to) {
                (Kind::Int, Kind::Float) => t.int::<D>()?.float().into(),
                (Kind::Bool, Kind::Float) => t.bool::<D>()?.float().into(),
                (Kind::Float, Kind::Int) => match narrow {
                    Some(to) => cut(t.float::<D>()?.int(), to).into(),
                    None => t.float::<D>()?.int().into(),
                },
                (Kind::Bool, Kind::Int) => t.bool::<D>()?.int().into(),
                (Kind::Int, Kind::Bool) => t.int::<D>()?.not_equal_elem(0).into(),
                (_, _) => t.float::<D>()?.not_equal_elem(0.0).into(),
            }))?;
            Ok(y.reshape(&dims)?.into())
        }
    }
}

/// Whole numbers cut down to the bits of a type of at most 16.
fn cut<const D: usize>(t: Tensor<D, Int>, to: DataType) -> Tensor<D, Int> {
    let span = 1_i64 << to.bits();
    let unsigned = matches!(to, DataType::Uint2 | DataType::Uint4 | DataType::Uint8 | DataType::Uint16);
    let least = if unsigned { 0 } else { -span / 2 };
    t.sub_scalar(least).remainder_scalar(span).add_scalar(least)
}
