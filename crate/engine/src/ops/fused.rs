//! Fused operators of the domain com.microsoft.

use super::{Call, Forward, array, bad_shape, length, one, unsupported};
use crate::tensor::{DeviceTensor, broadcast, by_rank};
use crate::value::Value;
use burn::tensor::{Tensor, activation};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Gelu" => |call| gelu(call, false),
        "BiasGelu" => |call| gelu(call, false),
        "FastGelu" => |call| gelu(call, true),
        "QuickGelu" => quick_gelu,
        "BiasSplitGelu" => split_gelu,
        "SkipLayerNormalization" => |call| skip_norm(call, true),
        "SkipSimplifiedLayerNormalization" => |call| skip_norm(call, false),
        "EmbedLayerNormalization" => embed_norm,
        "GroupNorm" => group_norm,
        "FusedMatMul" | "TransposeMatMul" => matmul,
        "FusedGemm" => gemm,
        "FusedConv" => conv,
        "Inverse" => inverse,
        _ => return None,
    })
}

/// The sum of two tensors that repeat to each other.
fn sum(a: DeviceTensor, b: DeviceTensor) -> Result<DeviceTensor> {
    let dims = broadcast(&a.dims(), &b.dims())?;
    let (a, b) = (a.expand(&dims)?, b.expand(&dims)?);
    by_rank!(dims.len(), D => Ok(DeviceTensor::from(a.float::<D>()? + b.float::<D>()?)))
}

fn gelu(call: &mut Call<'_>, fast: bool) -> Result<Vec<Value>> {
    let (x, bias) = (call.tensor(0)?, call.optional(1)?);
    let x = match bias {
        Some(b) => sum(x, b)?,
        None => x,
    };
    by_rank!(x.rank(), D => {
        let x: Tensor<D> = x.float()?;
        one(DeviceTensor::from(if fast { activation::gelu_approximate(x) } else { activation::gelu(x) }))
    })
}

fn quick_gelu(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let alpha = call.float_or("alpha", 1.702);
    let x = call.tensor(0)?;
    by_rank!(x.rank(), D => {
        let x: Tensor<D> = x.float()?;
        one(DeviceTensor::from(x.clone() * activation::sigmoid(x.mul_scalar(alpha))))
    })
}

fn split_gelu(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = sum(call.tensor(0)?, call.tensor(1)?)?;
    let last = x.rank().saturating_sub(1);
    let half = x.dims().last().copied().unwrap_or(0) / 2;
    by_rank!(x.rank(), D => {
        let x: Tensor<D> = x.float()?;
        let gate = activation::gelu(x.clone().narrow(last, half, half));
        one(DeviceTensor::from(x.narrow(last, 0, half) * gate))
    })
}

/// Rows of the last axis with mean 0 (unless `shift` is not asked for) and variance 1, times a scale.
fn normalized(
    x: DeviceTensor,
    scale: DeviceTensor,
    shift: Option<DeviceTensor>,
    mean: bool,
    epsilon: f32,
) -> Result<DeviceTensor> {
    let dims = x.dims();
    let n = dims.last().copied().unwrap_or(1);
    if scale.dims() != [n] {
        return Err(bad_shape(format!("a scale {:?} for rows of {n}", scale.dims())));
    }
    let mut x: Tensor<2> = x.reshape(&[dims.iter().product::<usize>() / n.max(1), n])?.float()?;
    if mean {
        x = x.clone() - x.mean_dim(1);
    }
    let variance = x.clone().square().mean_dim(1);
    let mut y = x / variance.add_scalar(epsilon).sqrt() * scale.reshape(&[1, n])?.float()?;
    if let Some(shift) = shift {
        y = y + shift.reshape(&[1, n])?.float()?;
    }
    DeviceTensor::from(y).reshape(&dims)
}

fn skip_norm(call: &mut Call<'_>, layer: bool) -> Result<Vec<Value>> {
    let statistics = call.node.output(1).is_some() || call.node.output(2).is_some();
    if statistics {
        return Err(unsupported("mean and deviation as outputs"));
    }
    let epsilon = call.float_or("epsilon", 1e-12);
    let (x, skip, scale) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (shift, bias) = if layer { (call.optional(3)?, call.optional(4)?) } else { (None, call.optional(3)?) };
    let mut total = sum(x, skip)?;
    if let Some(bias) = bias {
        total = sum(total, bias)?;
    }
    let y = normalized(total.clone(), scale, shift, layer, epsilon)?;
    // The two statistics in between are asked for by nobody; the sum fills their places.
    Ok(vec![y.into(), total.clone().into(), total.clone().into(), total.into()])
}

fn embed_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.node.output(1).is_some() && call.has(7) {
        return Err(unsupported("a mask in an embedding"));
    }
    let epsilon = call.float_or("epsilon", 1e-12);
    let ids = call.host(0)?.clone();
    let [batch, sequence]: [usize; 2] = array(&ids.dims)?;
    let look_up = |t: DeviceTensor, at: Vec<i64>| -> Result<DeviceTensor> {
        let [rows, width]: [usize; 2] = array(&t.dims())?;
        if at.iter().any(|&i| i < 0 || i >= rows as i64) {
            return Err(bad_shape(format!("a position outside of a table of {rows} rows")));
        }
        let t: Tensor<2> = t.float()?;
        let count = at.len();
        let at = Tensor::<1, burn::tensor::Int>::from_data(burn::tensor::TensorData::new(at, [count]), &t.device());
        DeviceTensor::from(t.select(0, at)).reshape(&[batch, sequence, width])
    };
    let mut total = look_up(call.tensor(2)?, ids.data.to_i64())?;
    let places = match call.ints(8)? {
        Some(p) if p.len() == batch * sequence => p,
        Some(p) => (0..batch).flat_map(|_| p.clone()).collect(),
        None => (0..batch).flat_map(|_| 0..sequence as i64).collect(),
    };
    total = sum(total, look_up(call.tensor(3)?, places)?)?;
    if let (Some(segments), Some(table)) = (call.ints(1)?, call.optional(4)?) {
        total = sum(total, look_up(table, segments)?)?;
    }
    let (scale, shift) = (call.tensor(5)?, call.optional(6)?);
    let y = normalized(total.clone(), scale, shift, true, epsilon)?;
    let none = crate::value::HostTensor::i64(vec![batch], vec![0; batch])?;
    Ok(vec![y.into(), none.into(), total.into()])
}

fn group_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let epsilon = call.float_or("epsilon", 1e-5);
    let groups = length(call.int_or("groups", 1))?;
    let (x, scale, shift) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let [n, a, b, c]: [usize; 4] = array(&x.dims())?;
    let last = call.int_or("channels_last", 1) != 0;
    let x: Tensor<4> = x.float()?;
    let x = if last { x.permute([0, 3, 1, 2]) } else { x };
    let [_, channels, h, w] = x.dims();
    if groups == 0 || channels % groups != 0 {
        return Err(bad_shape(format!("{channels} channels do not divide into {groups} groups")));
    }
    let rows = x.reshape([n * groups, channels / groups * h * w]);
    let (variance, mean) = rows.clone().var_mean_bias(1);
    let y = ((rows - mean) / variance.add_scalar(epsilon).sqrt()).reshape([n, channels, h, w]);
    let per = |t: DeviceTensor| t.reshape(&[1, channels, 1, 1])?.float::<4>();
    let mut y = y * per(scale)? + per(shift)?;
    if call.flag("activation") {
        y = y.clone() * activation::sigmoid(y);
    }
    let y = if last { y.permute([0, 2, 3, 1]) } else { y };
    one(DeviceTensor::from(y).reshape(&[n, a, b, c])?)
}

fn matmul(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.flag("transBatchA") || call.flag("transBatchB") {
        return Err(unsupported("a product that moves batch axes"));
    }
    let turn = |t: DeviceTensor, flag: bool| -> Result<DeviceTensor> {
        let rank = t.rank();
        if !flag || rank < 2 {
            return Ok(t);
        }
        let order: Vec<usize> = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
        t.permute(&order)
    };
    let alpha = call.float_or("alpha", 1.0);
    let (ta, tb) = (call.flag("transA"), call.flag("transB"));
    let (a, b) = (turn(call.tensor(0)?, ta)?, turn(call.tensor(1)?, tb)?);
    let y = super::matmul::product(a, b)?;
    by_rank!(y.rank(), D => one(DeviceTensor::from(y.float::<D>()?.mul_scalar(alpha))))
}

/// The activation that a fused node names.
fn activated(call: &Call<'_>, y: DeviceTensor) -> Result<Vec<Value>> {
    let numbers = call.node.floats("activation_params").unwrap_or_default().to_vec();
    let number = |i: usize, name: &str, default: f32| {
        numbers.get(i).copied().or_else(|| call.node.float(name)).unwrap_or(default)
    };
    by_rank!(y.rank(), D => {
        let x: Tensor<D> = y.float()?;
        one(DeviceTensor::from(match call.node.string("activation").unwrap_or("") {
            "" => x,
            "Relu" => activation::relu(x),
            "Tanh" => x.tanh(),
            "Sigmoid" => activation::sigmoid(x),
            "LeakyRelu" => activation::leaky_relu(x, f64::from(number(0, "activation_alpha", 0.01))),
            "Clip" => x.clamp(number(0, "activation_alpha", f32::MIN), number(1, "activation_beta", f32::MAX)),
            "HardSigmoid" => activation::hard_sigmoid(
                x,
                f64::from(number(0, "activation_alpha", 0.2)),
                f64::from(number(1, "activation_beta", 0.5)),
            ),
            other => return Err(unsupported(format!("the activation {other}"))),
        }))
    })
}

fn first(values: Vec<Value>, call: &Call<'_>) -> Result<DeviceTensor> {
    values.into_iter().next().ok_or_else(|| unsupported("a node without a result"))?.on(call.device)
}

fn gemm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let forward = super::matmul::find("Gemm").ok_or_else(|| unsupported("Gemm"))?;
    let y = forward(call)?;
    let y = first(y, call)?;
    activated(call, y)
}

fn conv(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let forward = super::conv::find("Conv").ok_or_else(|| unsupported("Conv"))?;
    let added = call.optional(3)?;
    let y = forward(call)?;
    let mut y = first(y, call)?;
    if let Some(z) = added {
        y = sum(y, z)?;
    }
    activated(call, y)
}

/// Inverses of square matrices.
fn inverse(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let t = call.read(0)?;
    let [.., rows, columns] = t.dims.as_slice() else { return Err(bad_shape("a matrix is needed")) };
    if rows != columns || *rows == 0 {
        return Err(bad_shape(format!("the inverse of a matrix of shape {:?}", t.dims)));
    }
    let mut values = Vec::with_capacity(t.data.len());
    for m in t.data.to_f32().chunks(rows * columns) {
        let found = super::solve::eliminated(m, *rows).1.ok_or_else(|| bad_shape("a matrix has no inverse"))?;
        values.extend(found.into_iter().map(|v| v as f32));
    }
    one(crate::value::HostTensor::f32(t.dims.clone(), values)?)
}
