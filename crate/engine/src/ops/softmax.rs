//! Softmax, its logarithm, and the one-hot code of the largest.

use super::{Call, Forward, axis_of, one};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::{Int, Tensor, activation};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Softmax" => |call| softmax(call, Kind::Soft),
        "LogSoftmax" => |call| softmax(call, Kind::Log),
        "Hardmax" => |call| softmax(call, Kind::Hard),
        _ => return None,
    })
}

/// What is made of every row.
#[derive(Clone, Copy)]
enum Kind {
    Soft,
    Log,
    Hard,
}

fn softmax(call: &mut Call<'_>, kind: Kind) -> Result<Vec<Value>> {
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
        let y = match kind {
            Kind::Soft => activation::softmax(x, axis),
            Kind::Log => activation::log_softmax(x, axis),
            Kind::Hard => hardmax(x, axis),
        };
        one(DeviceTensor::from(y).reshape(&dims)?)
    })
}

/// One at the first largest position along an axis, zero elsewhere.
fn hardmax<const D: usize>(x: Tensor<D>, axis: usize) -> Tensor<D> {
    let shape = x.shape();
    let n = shape.to_vec().get(axis).copied().unwrap_or(1);
    let mut own = [1; D];
    if let Some(d) = own.get_mut(axis) {
        *d = n;
    }
    let numbers = Tensor::<1, Int>::arange(0..n as i64, &x.device()).reshape(own);
    let chosen = x.argmax(axis).repeat_dim(axis, n);
    numbers.expand::<D, _>(shape).equal(chosen).float()
}
