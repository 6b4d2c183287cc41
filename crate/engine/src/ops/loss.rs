//! Losses that a model computes itself, from classes that are known.

use super::pick::list;
use super::{Call, Forward, bad_attribute, bad_shape};
use crate::tensor::DeviceTensor;
use crate::value::{HostTensor, Value};
use burn::tensor::{Tensor, activation};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "NegativeLogLikelihoodLoss" => |call| loss(call, false),
        "SoftmaxCrossEntropyLoss" => |call| loss(call, true),
        _ => return None,
    })
}

/// Minus the score (or its log-softmax) of every place's class, weighed by class; `[batch, classes, places..]` comes in.
fn loss(call: &mut Call<'_>, softmax: bool) -> Result<Vec<Value>> {
    let reduction = call.node.string("reduction").unwrap_or("mean");
    let wanted = call.read(1)?;
    let ignored = call.node.int("ignore_index");
    let scores = call.tensor(0)?;
    let dims = scores.dims();
    let (Some(&batch), Some(&classes)) = (dims.first(), dims.get(1)) else {
        return Err(bad_shape(format!("batch and classes expected, shape {dims:?} found")));
    };
    let places: usize = dims.iter().skip(2).product();
    let out: Vec<usize> = [batch].into_iter().chain(dims.iter().skip(2).copied()).collect();
    if wanted.dims != out {
        return Err(bad_shape(format!("classes of shape {:?} where {out:?} is needed", wanted.dims)));
    }
    let weights = if call.has(2) { call.read(2)?.data.to_f32() } else { vec![1.0; classes] };
    let (mut at, mut weight) = (Vec::new(), Vec::new());
    for (flat, &class) in wanted.data.to_i64().iter().enumerate() {
        let class = if Some(class) == ignored { None } else { Some(class) };
        let own = match class.map(usize::try_from) {
            None => None,
            Some(Ok(c)) if c < classes => Some(c),
            Some(_) => return Err(bad_shape(format!("a class outside of {classes}"))),
        };
        let (image, place) = (flat / places.max(1), flat % places.max(1));
        at.push((image * classes + own.unwrap_or(0)) * places + place);
        weight.push(own.and_then(|c| weights.get(c).copied()).unwrap_or(0.0));
    }
    let x: Tensor<3> = scores.reshape(&[batch, classes, places])?.float()?;
    let x = if softmax { activation::log_softmax(x, 1) } else { x };
    let total: f32 = weight.iter().sum();
    let weight = DeviceTensor::upload(&HostTensor::f32(vec![weight.len()], weight)?, call.device)?.float::<1>()?;
    let each = x.clone().reshape([batch * classes * places]).select(0, list(&at, call.device)) * weight.neg();
    let y = match reduction {
        "none" => DeviceTensor::from(each).reshape(&out)?,
        "sum" => DeviceTensor::from(each.sum()).reshape(&[])?,
        "mean" => DeviceTensor::from(each.sum().div_scalar(total)).reshape(&[])?,
        other => return Err(bad_attribute(format!("reduction {other:?} is unknown"))),
    };
    let log = DeviceTensor::from(x).reshape(&dims)?;
    Ok(vec![y.into(), log.into()])
}
