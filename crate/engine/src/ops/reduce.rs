//! Reductions over axes.

use super::{Call, Forward, axis_of, one, unsupported};
use crate::tensor::DeviceTensor;
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => reduce,
        "ArgMax" | "ArgMin" => argument,
        _ => return None,
    })
}

fn reduce(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let given = call.ints_of("axes", 1)?.unwrap_or_default();
    let keep = call.int_or("keepdims", 1) != 0;
    let dims = call.look(0)?.dims();
    if given.is_empty() && call.flag("noop_with_empty_axes") {
        return Ok(vec![call.take(0)?]);
    }
    let mut axes = given.iter().map(|&a| axis_of(a, dims.len())).collect::<Result<Vec<_>>>()?;
    if axes.is_empty() {
        axes = (0..dims.len()).collect();
    }
    axes.sort_unstable();
    axes.dedup();
    let out: Vec<usize> = (dims.iter().enumerate())
        .filter_map(|(i, &d)| match (axes.contains(&i), keep) {
            (false, _) => Some(d),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect();
    let op = call.node.op_type.as_str();
    if let Some(HostTensor { data: HostData::I64(v), .. }) = call.look(0)?.host() {
        return one(HostTensor::i64(out, vec![whole(op, v, &axes, &dims)?])?);
    }
    let x = call.tensor(0)?;
    one(over(op, x, &dims, &axes)?.reshape(&out)?)
}

/// Shape arithmetic reduces lists of whole numbers to one.
fn whole(op: &str, v: &[i64], axes: &[usize], dims: &[usize]) -> Result<i64> {
    let reduced = match op {
        _ if axes.len() != dims.len() => None,
        "ReduceSum" => v.iter().try_fold(0_i64, |a, &b| a.checked_add(b)),
        "ReduceProd" => v.iter().try_fold(1_i64, |a, &b| a.checked_mul(b)),
        "ReduceMax" => v.iter().copied().max(),
        "ReduceMin" => v.iter().copied().min(),
        _ => None,
    };
    reduced.ok_or_else(|| unsupported("this reduction of whole numbers"))
}

/// Reduces some axes; runs of neighbouring axes go in one pass.
pub(super) fn over(op: &str, x: DeviceTensor, dims: &[usize], axes: &[usize]) -> Result<DeviceTensor> {
    let (before, step, after): (&str, &str, &str) = match op {
        "ReduceL1" => ("abs", "ReduceSum", ""),
        "ReduceL2" => ("square", "ReduceSum", "sqrt"),
        "ReduceSumSquare" => ("square", "ReduceSum", ""),
        "ReduceLogSum" => ("", "ReduceSum", "log"),
        "ReduceLogSumExp" => return log_sum_exp(x, dims, axes),
        other => ("", other, ""),
    };
    let mut dims = dims.to_vec();
    let mut x = apply(before, x)?;
    let mut rest = axes;
    while let Some((&first, _)) = rest.split_first() {
        let run = rest.iter().enumerate().take_while(|(i, a)| **a == first + i).count();
        let (now, later) = rest.split_at(run);
        let outer: usize = dims.iter().take(first).product();
        let middle: usize = now.iter().filter_map(|&a| dims.get(a)).product();
        let inner: usize = dims.iter().skip(first + run).product();
        let y = pass(step, x.reshape(&[outer, middle, inner])?.float()?)?;
        for &a in now {
            if let Some(d) = dims.get_mut(a) {
                *d = 1;
            }
        }
        x = DeviceTensor::from(y).reshape(&dims)?;
        rest = later;
    }
    apply(after, x)
}

fn pass(step: &str, x: Tensor<3>) -> Result<Tensor<3>> {
    // The last axis is the fast one to reduce.
    let [outer, middle, inner] = x.dims();
    if inner == 1 {
        let x = x.reshape([outer, middle]);
        return Ok(axis_step(step, x, 1)?.reshape([outer, 1, 1]));
    }
    axis_step(step, x, 1)
}

fn axis_step<const D: usize>(step: &str, x: Tensor<D>, axis: usize) -> Result<Tensor<D>> {
    Ok(match step {
        "ReduceMean" => x.mean_dim(axis),
        "ReduceSum" => x.sum_dim(axis),
        "ReduceMax" => x.max_dim(axis),
        "ReduceMin" => x.min_dim(axis),
        "ReduceProd" => x.prod_dim(axis),
        other => return Err(unsupported(format!("the reduction {other}"))),
    })
}

fn apply(f: &str, x: DeviceTensor) -> Result<DeviceTensor> {
    if f.is_empty() {
        return Ok(x);
    }
    let dims = x.dims();
    let flat = x.reshape(&[dims.iter().product()])?.float::<1>()?;
    let y = match f {
        "abs" => flat.abs(),
        "square" => flat.square(),
        "sqrt" => flat.sqrt(),
        "log" => flat.log(),
        _ => flat.exp(),
    };
    DeviceTensor::from(y).reshape(&dims)
}

fn log_sum_exp(x: DeviceTensor, dims: &[usize], axes: &[usize]) -> Result<DeviceTensor> {
    let top = over("ReduceMax", x.clone(), dims, axes)?;
    let count: usize = dims.iter().product();
    let repeated = top.clone().expand(dims)?.reshape(&[count])?.float::<1>()?;
    let centred = DeviceTensor::from((x.reshape(&[count])?.float::<1>()? - repeated).exp()).reshape(dims)?;
    let sum = over("ReduceSum", centred, dims, axes)?;
    let kept = sum.dims();
    let n: usize = kept.iter().product();
    let y = sum.reshape(&[n])?.float::<1>()?.log() + top.reshape(&[n])?.float::<1>()?;
    DeviceTensor::from(y).reshape(&kept)
}

fn argument(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let last = call.flag("select_last_index");
    let x = call.tensor(0)?;
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", 0), dims.len())?;
    let outer: usize = dims.iter().take(axis).product();
    let inner: usize = dims.iter().skip(axis + 1).product();
    let middle = dims.get(axis).copied().unwrap_or(1);
    let mut x: Tensor<3> = x.reshape(&[outer, middle, inner])?.float()?;
    if last {
        // The last of several is the first from behind.
        x = x.flip([1]);
    }
    let y = if call.node.op_type == "ArgMax" { x.argmax(1) } else { x.argmin(1) };
    let y = if last { y.neg().add_scalar(middle as i64 - 1) } else { y };
    let mut out = dims;
    if call.int_or("keepdims", 1) != 0 {
        if let Some(d) = out.get_mut(axis) {
            *d = 1;
        }
    } else {
        out.remove(axis);
    }
    one(DeviceTensor::from(y).reshape(&out)?)
}
