//! Activations and arithmetic that work element by element.

use super::{Call, Forward, bad_attribute, host, one, unsupported};
use crate::tensor::{DeviceTensor, Kind, broadcast, by_rank, count, pad_rank};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Distribution, Tensor, activation};
use lopper_core::onnx::DataType;
use lopper_core::{Code, Error, Result};

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Relu" | "LeakyRelu" | "Sigmoid" | "HardSigmoid" | "HardSwish" | "Tanh" | "Erf" | "Gelu" | "Exp" | "Log"
        | "Sqrt" | "Reciprocal" | "Neg" | "Abs" | "Floor" | "Ceil" | "Round" | "Sign" | "Softplus" | "Softsign"
        | "Elu" | "Selu" | "Celu" | "Mish" | "Swish" | "ThresholdedRelu" | "Sin" | "Cos" | "Not" | "Tan" | "Sinh"
        | "Cosh" | "Asin" | "Acos" | "Atan" | "Asinh" | "Acosh" | "Atanh" | "Shrink" | "BitwiseNot" => unary,
        "IsNaN" | "IsInf" => special,
        "SwiGLU" => swiglu,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Mod" | "Equal" | "Greater" | "GreaterOrEqual" | "Less"
        | "LessOrEqual" | "And" | "Or" | "Xor" | "BitwiseAnd" | "BitwiseOr" | "BitwiseXor" | "BitShift" => binary,
        "Min" | "Max" | "Sum" | "Mean" => variadic,
        "Where" => select,
        "Clip" => clip,
        "PRelu" => prelu,
        "Identity" => |call| Ok(vec![call.take(0)?]),
        "Dropout" => dropout,
        "BitCast" => bit_cast,
        _ => return None,
    })
}

fn unary(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let op = call.node.op_type.as_str();
    if let Some(y) = call.peek(0).and_then(Value::host).and_then(|t| host::unary(op, t)) {
        return one(host::wrapped(y, call.dtype));
    }
    if op == "Not" {
        let x = call.take(0)?.on(call.device)?;
        return by_rank!(x.rank(), D => one(shaped(&x.dims(), x.bool::<D>()?.bool_not().into())?));
    }
    let x = call.tensor(0)?;
    let dims = x.dims();
    by_rank!(dims.len(), D => one(shaped(&dims, activate::<D>(call, x.float()?)?.into())?))
}

/// Gives a result its ONNX shape back, which differs only for scalars.
fn shaped(dims: &[usize], t: DeviceTensor) -> Result<DeviceTensor> {
    if dims.is_empty() { t.reshape(dims) } else { Ok(t) }
}

fn activate<const D: usize>(call: &Call<'_>, x: Tensor<D>) -> Result<Tensor<D>> {
    let number = |name: &str, default: f32| f64::from(call.float_or(name, default));
    Ok(match call.node.op_type.as_str() {
        "Relu" => activation::relu(x),
        "LeakyRelu" => activation::leaky_relu(x, number("alpha", 0.01)),
        "Sigmoid" => activation::sigmoid(x),
        "HardSigmoid" => activation::hard_sigmoid(x, number("alpha", 0.2), number("beta", 0.5)),
        "HardSwish" => activation::hard_swish(x),
        "Tanh" => x.tanh(),
        "Erf" => x.erf(),
        "Gelu" if call.node.string("approximate") == Some("tanh") => activation::gelu_approximate(x),
        "Gelu" => activation::gelu(x),
        "Exp" => x.exp(),
        "Log" => x.log(),
        "Sqrt" => x.sqrt(),
        "Reciprocal" => x.recip(),
        "Neg" => x.neg(),
        "Abs" => x.abs(),
        "Floor" => x.floor(),
        "Ceil" => x.ceil(),
        "Round" => x.round(),
        "Sign" => x.sign(),
        "Softplus" => softplus(x),
        "Softsign" => activation::softsign(x),
        "Elu" => activation::elu(x, number("alpha", 1.0)),
        "Selu" => activation::elu(x, number("alpha", 1.673_263_2)).mul_scalar(number("gamma", 1.050_701)),
        "Celu" => activation::celu(x, number("alpha", 1.0)),
        "Mish" => mish(x),
        "Swish" => x.clone() * activation::sigmoid(x.mul_scalar(number("alpha", 1.0))),
        "ThresholdedRelu" => activation::thresholded_relu(x, number("alpha", 1.0)),
        "Sin" => x.sin(),
        "Cos" => x.cos(),
        "Tan" => x.tan(),
        "Sinh" => x.sinh(),
        "Cosh" => x.cosh(),
        "Asin" => x.asin(),
        "Acos" => x.acos(),
        "Atan" => x.atan(),
        "Asinh" => x.asinh(),
        "Acosh" => x.acosh(),
        "Atanh" => x.atanh(),
        "Shrink" => {
            let (bias, limit) = (number("bias", 0.0), number("lambd", 0.5));
            let low = x.clone().lower_elem(-limit).float() * x.clone().add_scalar(bias);
            low + x.clone().greater_elem(limit).float() * x.sub_scalar(bias)
        }
        other => return Err(unsupported(format!("the operator {other}"))),
    })
}

/// ln(1 + e^x). Far below zero 1 + e^x keeps nothing of e^x, and a GPU has no logarithm that starts there.
fn softplus<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    const FAR: f64 = -3.5;
    let e = x.clone().clamp_max(FAR).exp();
    let series = (((e.clone() * -0.25 + 1.0 / 3.0) * e.clone() - 0.5) * e.clone() + 1.0) * e;
    activation::softplus(x.clone(), 1.0).mask_where(x.lower_elem(FAR), series)
}

/// x tanh(ln(1 + e^x)), as a quotient in which nothing cancels.
fn mish<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    // From here on the quotient is one.
    const HIGH: f64 = 20.0;
    let e = x.clone().clamp_max(HIGH).exp();
    let n = e.clone() * (e + 2.0);
    x * n.clone() / (n + 2.0)
}

fn binary(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (a, b) = (call.take(0)?, call.take(1)?);
    let op = call.node.op_type.as_str();
    one(combine(call, op, a, b)?)
}

/// An operator of two values, on the host if both are there.
fn combine(call: &Call<'_>, op: &str, a: Value, b: Value) -> Result<Value> {
    let op = match op {
        "Mod" if call.flag("fmod") => "FMod",
        "BitShift" if call.node.string("direction") == Some("LEFT") => "ShiftLeft",
        "BitShift" => "ShiftRight",
        op => op,
    };
    if let (Some(x), Some(y)) = (a.host(), b.host()) {
        return host::binary(op, x, y).map(|y| host::wrapped(y, call.dtype).into());
    }
    // Whole numbers that the data decide are counts and places: few, and exact only there.
    if [&a, &b].iter().any(|v| matches!(v, Value::Device(t) if t.kind() == Kind::Int)) {
        let (x, y) = (call.contents(&a)?, call.contents(&b)?);
        return host::binary(op, &x, &y).map(|y| host::wrapped(y, call.dtype).into());
    }
    let dims = broadcast(&a.dims(), &b.dims())?;
    let exponent = if op == "Pow" {
        b.host().filter(|t| t.data.len() == 1).and_then(|t| t.data.to_f32().first().copied())
    } else {
        None
    };
    match (a.scalar(), exponent.or(b.scalar())) {
        (_, Some(s)) if takes_scalar(op, &a, false) => return with_scalar(op, a.on(call.device)?, s, false, &dims),
        (Some(s), _) if takes_scalar(op, &b, true) => return with_scalar(op, b.on(call.device)?, s, true, &dims),
        _ => {}
    }
    let rank = dims.len();
    let side = |v: Value| {
        let t = v.on(call.device)?;
        let padded = pad_rank(&t.dims(), rank);
        t.reshape(&padded)
    };
    let (a, b) = (side(a)?, side(b)?);
    let y = by_rank!(rank, D => two_tensors::<D>(op, a, b))?;
    Ok(shaped(&dims, y)?.into())
}

/// Whether there is a form of the operator for one number, which spares its upload and a broadcast.
fn takes_scalar(op: &str, x: &Value, scalar_first: bool) -> bool {
    x.is_float()
        && matches!(
            (op, scalar_first),
            (
                "Add"
                    | "Sum"
                    | "Mul"
                    | "Sub"
                    | "Div"
                    | "Max"
                    | "Min"
                    | "Equal"
                    | "Greater"
                    | "GreaterOrEqual"
                    | "Less"
                    | "LessOrEqual",
                _
            ) | ("Pow", false)
        )
}

/// A tensor with one number.
fn with_scalar(op: &str, x: DeviceTensor, s: f32, scalar_first: bool, dims: &[usize]) -> Result<Value> {
    let y: DeviceTensor = by_rank!(x.rank(), D => {
        let x: Tensor<D> = x.float()?;
        Ok(match (op, scalar_first) {
            ("Add" | "Sum", _) => x.add_scalar(s).into(),
            ("Mul", _) => x.mul_scalar(s).into(),
            ("Sub", false) => x.sub_scalar(s).into(),
            ("Sub", true) => x.neg().add_scalar(s).into(),
            ("Div", false) => x.div_scalar(s).into(),
            ("Div", true) => x.recip().mul_scalar(s).into(),
            ("Max", _) => x.clamp_min(s).into(),
            ("Min", _) => x.clamp_max(s).into(),
            ("Pow", _) => power(x, s).into(),
            ("Equal", _) => x.equal_elem(s).into(),
            ("Greater", false) | ("Less", true) => x.greater_elem(s).into(),
            ("GreaterOrEqual", false) | ("LessOrEqual", true) => x.greater_equal_elem(s).into(),
            ("Less", false) | ("Greater", true) => x.lower_elem(s).into(),
            ("LessOrEqual", false) | ("GreaterOrEqual", true) => x.lower_equal_elem(s).into(),
            (other, _) => return Err(unsupported(format!("{other} with one number"))),
        })
    })?;
    y.reshape(dims).map(Value::from)
}

fn power<const D: usize>(x: Tensor<D>, s: f32) -> Tensor<D> {
    if s == 2.0 {
        x.square()
    } else if s == 0.5 {
        x.sqrt()
    } else if s == 1.0 {
        x
    } else if s == 3.0 {
        x.clone().square() * x
    } else {
        x.powf_scalar(s)
    }
}

fn two_tensors<const D: usize>(op: &str, a: DeviceTensor, b: DeviceTensor) -> Result<DeviceTensor> {
    if a.kind() == Kind::Bool && b.kind() == Kind::Bool {
        let dims = broadcast(&a.dims(), &b.dims())?;
        let (a, b) = (a.expand(&dims)?.bool::<D>()?, b.expand(&dims)?.bool::<D>()?);
        return Ok(match op {
            "And" => a.bool_and(b),
            "Or" => a.bool_or(b),
            "Xor" => a.not_equal(b),
            "Equal" => a.equal(b),
            _ => return Err(Error::new(Code::BadType, format!("{op} of truth values"))),
        }
        .into());
    }
    let (a, b): (Tensor<D>, Tensor<D>) = (a.float()?, b.float()?);
    Ok(match op {
        "Add" | "Sum" => (a + b).into(),
        "Sub" => (a - b).into(),
        "Mul" => (a * b).into(),
        "Div" => (a / b).into(),
        "Pow" => a.powf(b).into(),
        "Mod" => a.remainder(b).into(),
        "FMod" => a.fmod(b).into(),
        "Min" => a.min_pair(b).into(),
        "Max" => a.max_pair(b).into(),
        "Equal" => a.equal(b).into(),
        "Greater" => a.greater(b).into(),
        "GreaterOrEqual" => a.greater_equal(b).into(),
        "Less" => a.lower(b).into(),
        "LessOrEqual" => a.lower_equal(b).into(),
        other => return Err(Error::new(Code::BadType, format!("{other} of real numbers"))),
    })
}

fn variadic(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let op = call.node.op_type.as_str();
    let count = call.len();
    let step = if op == "Mean" { "Sum" } else { op };
    let mut total = call.take(0)?;
    for i in 1..count {
        let next = call.take(i)?;
        total = combine(call, step, total, next)?;
    }
    if op == "Mean" && count > 1 {
        let share = HostTensor::f32(vec![], vec![1.0 / count as f32])?;
        total = combine(call, "Mul", total, share.into())?;
    }
    one(total)
}

fn select(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.all_host() {
        return one(host::select(call.host(0)?, call.host(1)?, call.host(2)?)?);
    }
    let (condition, a, b) = (call.take(0)?, call.take(1)?, call.take(2)?);
    let dims = broadcast(&broadcast(&condition.dims(), &a.dims())?, &b.dims())?;
    let part = |v: Value| v.on(call.device)?.expand(&dims);
    let (condition, a, b) = (part(condition)?, part(a)?, part(b)?);
    by_rank!(dims.len(), D => {
        let y: Tensor<D> = b.float::<D>()?.mask_where(condition.bool()?, a.float()?);
        one(shaped(&dims, y.into())?)
    })
}

fn clip(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let bound = |i: usize, name: &str| -> Result<Option<f32>> { Ok(call.float_input(i)?.or(call.node.float(name))) };
    let (low, high) = (bound(1, "min")?, bound(2, "max")?);
    if let Some(HostTensor { dims, data: HostData::I64(v) }) = call.look(0)?.host() {
        let low = call.ints(1)?.and_then(|v| v.first().copied()).unwrap_or(i64::MIN);
        let high = call.ints(2)?.and_then(|v| v.first().copied()).unwrap_or(i64::MAX);
        return one(HostTensor::i64(dims.clone(), v.iter().map(|&x| x.max(low).min(high)).collect())?);
    }
    if let Some(HostTensor { dims, data: HostData::F32(v) }) = call.look(0)?.host() {
        // Comparisons leave what is no number as it is.
        let above = |x: f32| low.filter(|low| x < *low).unwrap_or(x);
        let within = |x: f32| high.filter(|high| x > *high).unwrap_or(x);
        return one(HostTensor::f32(dims.clone(), v.iter().map(|&x| within(above(x))).collect())?);
    }
    let x = call.tensor(0)?;
    let dims = x.dims();
    by_rank!(dims.len(), D => {
        let x: Tensor<D> = x.float()?;
        let y = match (low, high) {
            (Some(0.0), None) => activation::relu(x),
            // Where the bounds cross, the upper one holds.
            (Some(low), Some(high)) => x.clamp(low.min(high), high),
            (Some(low), None) => x.clamp_min(low),
            (None, Some(high)) => x.clamp_max(high),
            (None, None) => x,
        };
        one(shaped(&dims, y.into())?)
    })
}

fn prelu(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, slope) = (call.tensor(0)?, call.tensor(1)?);
    let dims = x.dims();
    let padded = pad_rank(&slope.dims(), dims.len());
    let slope = slope.reshape(&padded)?;
    broadcast(&dims, &padded)?;
    by_rank!(dims.len(), D => {
        let x: Tensor<D> = x.float()?;
        let below = x.clone().neg();
        one(shaped(&dims, (activation::relu(x) - activation::relu(below) * slope.float::<D>()?).into())?)
    })
}

fn dropout(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let ratio = match call.float_input(1)? {
        Some(r) => r,
        None => call.float_or("ratio", 0.5),
    };
    if !(0.0..1.0).contains(&ratio) {
        return Err(bad_attribute(format!("a dropout ratio of {ratio}")));
    }
    let train = call.mode.trains();
    if !train && call.has(2) && call.host(2)?.data.to_bool().contains(&true) {
        return Err(unsupported("training_mode outside of training: export the model for inference"));
    }
    if !train || ratio == 0.0 {
        let x = call.take(0)?;
        let dims = x.dims();
        let kept = HostTensor::new(dims.clone(), HostData::Bool(vec![true; count(&dims)?]))?;
        return Ok(if call.node.output(1).is_some() { vec![x, kept.into()] } else { vec![x] });
    }
    let keep = 1.0 - ratio;
    let x = call.tensor(0)?;
    by_rank!(x.rank(), D => {
        let x: Tensor<D> = x.float()?;
        let mask = x.clone().inner().random_like(Distribution::Bernoulli(f64::from(keep)));
        one(DeviceTensor::from(x * mask.div_scalar(keep)))
    })
}

/// Which numbers are none, or infinite.
fn special(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (above, below) = (call.int_or("detect_positive", 1) != 0, call.int_or("detect_negative", 1) != 0);
    let infinite = call.node.op_type == "IsInf";
    let x = call.tensor(0)?;
    let dims = x.dims();
    by_rank!(dims.len(), D => {
        let x: Tensor<D> = x.float()?;
        let y = match (infinite, above, below) {
            (false, _, _) => x.is_nan(),
            (true, true, true) => x.is_inf(),
            (true, true, false) => x.clone().is_inf().bool_and(x.greater_elem(0.0)),
            (true, false, true) => x.clone().is_inf().bool_and(x.lower_elem(0.0)),
            (true, false, false) => x.clone().not_equal(x),
        };
        one(shaped(&dims, y.into())?)
    })
}

fn swiglu(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let alpha = call.float_or("alpha", 1.0);
    let (gate, x) = (call.tensor(0)?, call.tensor(1)?);
    let dims = gate.dims();
    if x.dims() != dims {
        return Err(Error::new(Code::BadShape, format!("shapes {dims:?} and {:?} differ", x.dims())));
    }
    by_rank!(dims.len(), D => {
        let gate: Tensor<D> = gate.float()?;
        let y = gate.clone() * activation::sigmoid(gate.mul_scalar(alpha)) * x.float::<D>()?;
        one(shaped(&dims, y.into())?)
    })
}

/// The same bits as numbers of another type of the same size.
fn bit_cast(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let t = call.read(0)?;
    let to = call.dtype.ok_or_else(|| bad_attribute("the type to cast to is not known"))?;
    let data = match (t.data, to) {
        (HostData::F32(v), DataType::Int32 | DataType::Uint32) => {
            HostData::I64(v.into_iter().map(|x| i64::from(x.to_bits())).collect())
        }
        (HostData::I64(v), DataType::Float) => HostData::F32(v.into_iter().map(|x| f32::from_bits(x as u32)).collect()),
        (HostData::I64(v), DataType::Double) => {
            HostData::F32(v.into_iter().map(|x| f64::from_bits(x as u64) as f32).collect())
        }
        (HostData::I64(v), DataType::Bool) => HostData::Bool(v.into_iter().map(|x| x != 0).collect()),
        (data @ (HostData::I64(_) | HostData::Bool(_)), to) if to.is_integer() => HostData::I64(data.to_i64()),
        (_, to) => return Err(unsupported(format!("these bits as {}", to.name()))),
    };
    one(host::wrapped(HostTensor::new(t.dims, data)?, call.dtype))
}
