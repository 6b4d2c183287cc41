//! Positions of a flat tensor, picked or written by number: what many operators come to once their indices are known.

use super::{bad_shape, unsupported};
use crate::tensor::{DeviceTensor, count};
use crate::value::{HostTensor, Value};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use lopper_core::{Code, Error, Result};

/// The most elements of a list that is made on the host because an attribute asks for it.
const MOST_MADE: usize = 1 << 24;

/// The number of elements of such a list, within bounds.
pub(super) fn made(dims: &[usize]) -> Result<usize> {
    let total = count(dims)?;
    if total > MOST_MADE {
        return Err(Error::new(Code::TooLarge, format!("a list of shape {dims:?} is too large to make")));
    }
    Ok(total)
}

/// Row-major strides.
pub(super) fn strides(dims: &[usize]) -> Vec<usize> {
    let mut out = vec![1; dims.len()];
    let mut step = 1_usize;
    for (slot, &d) in out.iter_mut().zip(dims).rev() {
        *slot = step;
        step = step.saturating_mul(d);
    }
    out
}

/// The place of a flat position along every axis.
pub(super) fn place(flat: usize, dims: &[usize], steps: &[usize]) -> Vec<usize> {
    dims.iter().zip(steps).map(|(n, s)| flat / s % n.max(&1)).collect()
}

/// A list of positions on the device.
pub(super) fn list(at: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = at.iter().map(|&i| i as i64).collect();
    Tensor::from_data(TensorData::new(numbers, [at.len()]), device)
}

/// Elements of a tensor at flat positions, in another shape.
pub(super) fn pick(x: DeviceTensor, at: &[usize], dims: &[usize], device: &Device) -> Result<DeviceTensor> {
    let total: usize = x.dims().iter().product();
    if at.is_empty() || count(dims)? != at.len() {
        return Err(unsupported("an empty tensor"));
    }
    if at.iter().any(|&i| i >= total) {
        return Err(bad_shape("positions outside of a tensor"));
    }
    let flat = x.reshape(&[total])?.float::<1>()?;
    DeviceTensor::from(flat.select(0, list(at, device))).reshape(dims)
}

/// As [`pick`], wherever the value lives.
pub(super) fn pick_value(x: Value, at: &[usize], dims: &[usize], device: &Device) -> Result<Value> {
    match x {
        Value::Device(t) => pick(*t, at, dims, device).map(Value::from),
        Value::Host(h) => {
            count(dims)?;
            let data =
                h.tensor.data.pick(at.iter().copied()).ok_or_else(|| bad_shape("positions outside of a tensor"))?;
            HostTensor::new(dims.to_vec(), data).map(Value::from)
        }
    }
}

/// Adds values to rows of `zeros`, which number `size`; rows may be met several times.
pub(super) fn add_rows(size: usize, at: &[usize], values: Tensor<2>, device: &Device) -> Result<Tensor<2>> {
    let [_, width] = values.dims();
    count(&[size, width])?;
    if at.iter().any(|&i| i >= size) {
        return Err(bad_shape("positions outside of a tensor"));
    }
    let zeros = Tensor::<2>::zeros([size, width], device);
    Ok(zeros.select_assign(0, list(at, device), values, IndexingUpdateOp::Add))
}
