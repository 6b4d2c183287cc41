//! Softmax and its logarithm.

use super::{Call, Forward, axis_of, one};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::activation;
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Softmax" => |call| softmax(call, false),
        "LogSoftmax" => |call| softmax(call, true),
        _ => return None,
    })
}

fn softmax(call: &mut Call<'_>, log: bool) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let dims = x.dims();
    // Until operator set 13 everything from the axis on was one row, and the axis was 1 unless given.
    let old = call.node.opset < 13;
    let axis = axis_of(call.int_or("axis", if old { 1 } else { -1 }), dims.len())?;
    let (x, axis) = if old {
        let outer = dims.iter().take(axis).product();
        let inner = dims.iter().skip(axis).product();
        (x.reshape(&[outer, inner])?, 1)
    } else {
        (x, axis)
    };
    by_rank!(x.rank(), D => {
        let x = x.float::<D>()?;
        let y = if log { activation::log_softmax(x, axis) } else { activation::softmax(x, axis) };
        one(DeviceTensor::from(y).reshape(&dims)?)
    })
}
