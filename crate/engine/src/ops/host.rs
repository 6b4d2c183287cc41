//! Arithmetic on the host: shapes, counts and small numbers, exact in 64 bits.

use super::{bad_shape, unsupported};
use crate::tensor::{broadcast, count, pad_rank};
use crate::value::{HostData, HostTensor};
use lopper_core::onnx::DataType;
use lopper_core::{Code, Error, Result};

/// For every position of `dims` the position in a tensor of shape `from` that is repeated to it.
fn repeated(from: &[usize], dims: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let padded = pad_rank(from, dims.len());
    let mut strides = Vec::with_capacity(dims.len());
    let mut step = 1;
    for &d in padded.iter().rev() {
        strides.push(if d == 1 { 0 } else { step });
        step *= d;
    }
    let dims = dims.to_vec();
    (0..dims.iter().product::<usize>()).map(move |mut i| {
        let mut at = 0;
        for (&d, &s) in dims.iter().rev().zip(&strides) {
            at += i % d * s;
            i /= d;
        }
        at
    })
}

/// A host tensor repeated to a shape.
pub(super) fn expand(t: &HostTensor, dims: &[usize]) -> Result<HostTensor> {
    if t.dims == dims {
        return Ok(t.clone());
    }
    count(dims)?;
    if broadcast(&t.dims, dims)? != dims {
        return Err(bad_shape(format!("shape {:?} cannot be repeated to {dims:?}", t.dims)));
    }
    let data = t.data.pick(repeated(&t.dims, dims)).ok_or_else(|| bad_shape("positions outside of a tensor"))?;
    HostTensor::new(dims.to_vec(), data)
}

fn zip<A: Copy, B>(a: &[A], b: &[A], f: impl Fn(A, A) -> B) -> Vec<B> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn try_zip(a: &[i64], b: &[i64], f: impl Fn(i64, i64) -> Option<i64>) -> Result<HostData> {
    let out: Option<Vec<i64>> = a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect();
    out.map(HostData::I64).ok_or_else(|| Error::new(Code::BadShape, "whole numbers overflow or are divided by zero"))
}

/// An operator of two host tensors, by its ONNX name.
pub(super) fn binary(op: &str, a: &HostTensor, b: &HostTensor) -> Result<HostTensor> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (a, b) = (expand(a, &dims)?, expand(b, &dims)?);
    let data = match (&a.data, &b.data) {
        (HostData::F32(x), HostData::F32(y)) => floats(op, x, y),
        // The exponent's type may differ from the base's.
        (HostData::F32(x), y @ HostData::I64(_)) if op == "Pow" => floats(op, x, &y.to_f32()),
        (x @ HostData::I64(_), HostData::F32(y)) if op == "Pow" => {
            floats(op, &x.to_f32(), y).map(|p| HostData::I64(p.to_i64()))
        }
        (HostData::I64(x), HostData::I64(y)) => integers(op, x, y)?,
        (HostData::Bool(x), HostData::Bool(y)) => match op {
            "And" => Some(HostData::Bool(zip(x, y, |a, b| a && b))),
            "Or" => Some(HostData::Bool(zip(x, y, |a, b| a || b))),
            "Xor" => Some(HostData::Bool(zip(x, y, |a, b| a != b))),
            "Equal" => Some(HostData::Bool(zip(x, y, |a, b| a == b))),
            _ => None,
        },
        _ => None,
    };
    let data = data.ok_or_else(|| unsupported("an operator for these element types"))?;
    HostTensor::new(dims, data)
}

fn floats(op: &str, x: &[f32], y: &[f32]) -> Option<HostData> {
    Some(match op {
        "Add" | "Sum" => HostData::F32(zip(x, y, |a, b| a + b)),
        "Sub" => HostData::F32(zip(x, y, |a, b| a - b)),
        "Mul" => HostData::F32(zip(x, y, |a, b| a * b)),
        "Div" => HostData::F32(zip(x, y, |a, b| a / b)),
        "Pow" => HostData::F32(zip(x, y, f32::powf)),
        "Min" => HostData::F32(zip(x, y, f32::min)),
        "Max" => HostData::F32(zip(x, y, f32::max)),
        "Mod" => HostData::F32(zip(x, y, |a, b| {
            let rest = a % b;
            if rest != 0.0 && (rest < 0.0) != (b < 0.0) { rest + b } else { rest }
        })),
        "FMod" => HostData::F32(zip(x, y, |a, b| a % b)),
        _ => HostData::Bool(compare(op, x, y)?),
    })
}

fn integers(op: &str, x: &[i64], y: &[i64]) -> Result<Option<HostData>> {
    Ok(Some(match op {
        "Add" | "Sum" => try_zip(x, y, i64::checked_add)?,
        "Sub" => try_zip(x, y, i64::checked_sub)?,
        "Mul" => try_zip(x, y, i64::checked_mul)?,
        // ONNX leaves it to C, which drops the fraction.
        "Div" => try_zip(x, y, i64::checked_div)?,
        "Mod" => try_zip(x, y, |a, b| a.checked_rem(b)?.checked_add(b)?.checked_rem(b))?,
        "FMod" => try_zip(x, y, i64::checked_rem)?,
        "Pow" => try_zip(x, y, |a, b| a.checked_pow(u32::try_from(b).ok()?))?,
        "BitwiseAnd" => HostData::I64(zip(x, y, |a, b| a & b)),
        "BitwiseOr" => HostData::I64(zip(x, y, |a, b| a | b)),
        "BitwiseXor" => HostData::I64(zip(x, y, |a, b| a ^ b)),
        "ShiftLeft" => HostData::I64(zip(x, y, |a, b| shift(b, 64).map_or(0, |b| a.checked_shl(b).unwrap_or(0)))),
        "ShiftRight" => HostData::I64(zip(x, y, |a, b| shift(b, 63).map_or(a >> 63, |b| a >> b))),
        "Min" => HostData::I64(zip(x, y, i64::min)),
        "Max" => HostData::I64(zip(x, y, i64::max)),
        _ => return Ok(compare(op, x, y).map(HostData::Bool)),
    }))
}

/// A number of places below a limit.
fn shift(places: i64, limit: u32) -> Option<u32> {
    u32::try_from(places).ok().filter(|&n| n < limit)
}

/// Whole numbers cut down to the bits of their type, as its arithmetic does.
pub(super) fn wrapped(mut t: HostTensor, dtype: Option<DataType>) -> HostTensor {
    let cut: Option<fn(i64) -> i64> = match dtype {
        Some(DataType::Int8) => Some(|v| i64::from(v as i8)),
        Some(DataType::Int16) => Some(|v| i64::from(v as i16)),
        Some(DataType::Int32) => Some(|v| i64::from(v as i32)),
        Some(DataType::Uint8) => Some(|v| i64::from(v as u8)),
        Some(DataType::Uint16) => Some(|v| i64::from(v as u16)),
        Some(DataType::Uint32) => Some(|v| i64::from(v as u32)),
        Some(DataType::Int4) => Some(|v| (v << 60) >> 60),
        Some(DataType::Uint4) => Some(|v| v & 15),
        Some(DataType::Int2) => Some(|v| (v << 62) >> 62),
        Some(DataType::Uint2) => Some(|v| v & 3),
        _ => None,
    };
    if let (HostData::I64(values), Some(cut)) = (&mut t.data, cut) {
        values.iter_mut().for_each(|v| *v = cut(*v));
    }
    t
}

fn compare<T: Copy + PartialOrd>(op: &str, x: &[T], y: &[T]) -> Option<Vec<bool>> {
    Some(match op {
        "Equal" => zip(x, y, |a, b| a == b),
        "Greater" => zip(x, y, |a, b| a > b),
        "GreaterOrEqual" => zip(x, y, |a, b| a >= b),
        "Less" => zip(x, y, |a, b| a < b),
        "LessOrEqual" => zip(x, y, |a, b| a <= b),
        _ => return None,
    })
}

/// An operator of one host tensor; `None` if it is not one that shape arithmetic uses.
pub(super) fn unary(op: &str, t: &HostTensor) -> Option<HostTensor> {
    let data = match (&t.data, op) {
        (HostData::Bool(v), "Not") => HostData::Bool(v.iter().map(|b| !b).collect()),
        (HostData::I64(v), _) => {
            let f: fn(i64) -> i64 = match op {
                "Neg" => i64::wrapping_neg,
                "Abs" => i64::wrapping_abs,
                "Sign" => i64::signum,
                "BitwiseNot" => |x| !x,
                "Relu" => |x| x.max(0),
                _ => return None,
            };
            HostData::I64(v.iter().map(|&x| f(x)).collect())
        }
        (HostData::F32(v), _) => {
            let f: fn(f32) -> f32 = match op {
                "Neg" => |x| -x,
                "Abs" => f32::abs,
                "Sqrt" => f32::sqrt,
                "Exp" => f32::exp,
                "Log" => f32::ln,
                "Reciprocal" => f32::recip,
                "Floor" => f32::floor,
                "Ceil" => f32::ceil,
                "Round" => f32::round_ties_even,
                _ => return None,
            };
            HostData::F32(v.iter().map(|&x| f(x)).collect())
        }
        _ => return None,
    };
    Some(HostTensor { dims: t.dims.clone(), data })
}

/// `condition ? a : b`, element by element.
pub(super) fn select(condition: &HostTensor, a: &HostTensor, b: &HostTensor) -> Result<HostTensor> {
    let dims = broadcast(&broadcast(&condition.dims, &a.dims)?, &b.dims)?;
    let (c, a, b) = (expand(condition, &dims)?, expand(a, &dims)?, expand(b, &dims)?);
    let c = c.data.to_bool();
    fn pick<T: Copy>(c: &[bool], a: &[T], b: &[T]) -> Vec<T> {
        c.iter().zip(a.iter().zip(b)).map(|(&c, (&a, &b))| if c { a } else { b }).collect()
    }
    let data = match (&a.data, &b.data) {
        (HostData::F32(a), HostData::F32(b)) => HostData::F32(pick(&c, a, b)),
        (HostData::I64(a), HostData::I64(b)) => HostData::I64(pick(&c, a, b)),
        (HostData::Bool(a), HostData::Bool(b)) => HostData::Bool(pick(&c, a, b)),
        _ => return Err(Error::new(Code::BadType, "the two branches hold different element types")),
    };
    HostTensor::new(dims, data)
}

/// Axes in another order.
pub(super) fn permute(t: &HostTensor, axes: &[usize]) -> Result<HostTensor> {
    let dims: Option<Vec<usize>> = axes.iter().map(|&a| t.dims.get(a).copied()).collect();
    let dims = dims.ok_or_else(|| bad_shape(format!("axes {axes:?} of shape {:?}", t.dims)))?;
    let mut strides = vec![1; t.dims.len()];
    for i in (1..t.dims.len()).rev() {
        let step = strides.get(i).copied().unwrap_or(1) * t.dims.get(i).copied().unwrap_or(1);
        if let Some(s) = strides.get_mut(i - 1) {
            *s = step;
        }
    }
    let steps: Vec<usize> = axes.iter().map(|&a| strides.get(a).copied().unwrap_or(0)).collect();
    let places = (0..t.data.len()).map(|mut i| {
        let mut at = 0;
        for (&d, &s) in dims.iter().rev().zip(steps.iter().rev()) {
            at += i % d * s;
            i /= d;
        }
        at
    });
    let data = t.data.pick(places).ok_or_else(|| bad_shape("positions outside of a tensor"))?;
    HostTensor::new(dims, data)
}

/// Rows of a host tensor along an axis, in a new order.
pub(super) fn take(t: &HostTensor, axis: usize, rows: &[usize]) -> Result<HostTensor> {
    let n = t.dims.get(axis).copied().unwrap_or(1);
    let outer: usize = t.dims.iter().take(axis).product();
    let inner: usize = t.dims.iter().skip(axis + 1).product();
    let places =
        (0..outer).flat_map(|o| rows.iter().flat_map(move |&r| (0..inner).map(move |i| (o * n + r) * inner + i)));
    let data = t.data.pick(places).ok_or_else(|| bad_shape(format!("positions {rows:?} on an axis of {n}")))?;
    let mut dims = t.dims.clone();
    if let Some(d) = dims.get_mut(axis) {
        *d = rows.len();
    }
    HostTensor::new(dims, data)
}
