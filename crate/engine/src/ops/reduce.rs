//! Reductions over axes.

use super::pick::{made, place, strides};
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
    if let Some(t) = call.look(0)?.host().filter(|t| t.as_f32().is_none() || t.data.is_empty()) {
        return one(on_host(op, t, &axes, out)?);
    }
    let x = call.tensor(0)?;
    one(over(op, x, &dims, &axes)?.reshape(&out)?)
}

/// Reductions of whole numbers and truth values, and of nothing at all, which a device cannot hold.
fn on_host(op: &str, t: &HostTensor, axes: &[usize], out: Vec<usize>) -> Result<HostTensor> {
    let kept: Vec<usize> = t.dims.iter().enumerate().map(|(i, &d)| if axes.contains(&i) { 1 } else { d }).collect();
    let (steps, own) = (strides(&t.dims), strides(&kept));
    let mut cells: Vec<Vec<usize>> = vec![Vec::new(); made(&kept)?];
    for flat in 0..t.data.len() {
        let p = place(flat, &t.dims, &steps);
        let cell: usize = p
            .iter()
            .enumerate()
            .filter(|(i, _)| !axes.contains(i))
            .map(|(i, p)| p * own.get(i).copied().unwrap_or(0))
            .sum();
        if let Some(list) = cells.get_mut(cell) {
            list.push(flat);
        }
    }
    let data = match &t.data {
        HostData::F32(_) => HostData::F32(vec![of_nothing(op)?; cells.len()]),
        HostData::I64(v) => {
            let cell = |at: &Vec<usize>| whole(op, &at.iter().filter_map(|&i| v.get(i).copied()).collect::<Vec<_>>());
            HostData::I64(cells.iter().map(cell).collect::<Result<_>>()?)
        }
        HostData::Bool(v) => {
            let holds = |i: &usize| v.get(*i).copied().unwrap_or(false);
            HostData::Bool(match op {
                "ReduceMax" => cells.iter().map(|at| at.iter().any(holds)).collect(),
                "ReduceMin" => cells.iter().map(|at| at.iter().all(holds)).collect(),
                other => return Err(unsupported(format!("{other} of truth values"))),
            })
        }
    };
    HostTensor::new(out, data)
}

/// What a reduction gives where there is nothing to reduce.
fn of_nothing(op: &str) -> Result<f32> {
    Ok(match op {
        "ReduceSum" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" => 0.0,
        "ReduceProd" => 1.0,
        "ReduceMax" | "ReduceLogSum" | "ReduceLogSumExp" => f32::NEG_INFINITY,
        "ReduceMin" => f32::INFINITY,
        "ReduceMean" => f32::NAN,
        other => return Err(unsupported(format!("{other} of nothing"))),
    })
}

/// A reduction of whole numbers to one.
fn whole(op: &str, v: &[i64]) -> Result<i64> {
    let sum = || v.iter().try_fold(0_i64, |a, &b| a.checked_add(b));
    let reduced = match op {
        "ReduceSum" => sum(),
        "ReduceProd" => v.iter().try_fold(1_i64, |a, &b| a.checked_mul(b)),
        "ReduceMax" => v.iter().copied().max(),
        "ReduceMin" => v.iter().copied().min(),
        "ReduceMean" => sum().and_then(|s| s.checked_div(v.len() as i64)),
        "ReduceL1" => v.iter().try_fold(0_i64, |a, &b| a.checked_add(b.checked_abs()?)),
        "ReduceSumSquare" => v.iter().try_fold(0_i64, |a, &b| a.checked_add(b.checked_mul(b)?)),
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
