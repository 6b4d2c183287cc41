//! Convolutions with more inputs: deformable ones, and causal ones that carry a state.

use super::conv::Window;
use super::{Call, Forward, array, bad_shape, length, one, unsupported};
use crate::tensor::{DeviceTensor, count};
use crate::value::{HostTensor, Value};
use burn::tensor::ops::{ConvOptions, DeformConvOptions};
use burn::tensor::{Tensor, activation, module};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "DeformConv" => deform_conv,
        "CausalConvWithState" => causal_conv,
        _ => return None,
    })
}

fn deform_conv(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, w, offset) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (bias, mask) = (call.optional(3)?, call.optional(4)?);
    let ([n, channels, height, width], [filters, per_group, kh, kw]) =
        (array::<usize, 4>(&x.dims())?, array::<usize, 4>(&w.dims())?);
    let (groups, bends) = (length(call.int_or("group", 1))?, length(call.int_or("offset_group", 1))?);
    let window = Window::of(call.node, vec![kh, kw], &[height, width])?;
    window.check(n * channels, &[height, width])?;
    if window.pads.iter().any(|(b, e)| b != e) {
        return Err(unsupported("a deformable convolution with unequal pads"));
    }
    let out: Vec<usize> = ([height, width].iter().zip(&window.pads).zip(window.spans().iter().zip(&window.strides)))
        .map(|((&n, &(b, e)), (&span, &stride))| (n + b + e - span) / stride + 1)
        .collect();
    let wanted = [vec![n, 2 * bends * kh * kw], out.clone()].concat();
    let fits = groups > 0
        && bends > 0
        && per_group * groups == channels
        && filters % groups == 0
        && channels % bends == 0
        && offset.dims() == wanted
        && mask.as_ref().is_none_or(|m| m.dims() == [vec![n, bends * kh * kw], out].concat())
        && bias.as_ref().is_none_or(|b| b.dims() == [filters]);
    if !fits {
        return Err(bad_shape(format!("offsets of shape {:?} where {wanted:?} is needed", offset.dims())));
    }
    let pads: Vec<usize> = window.pads.iter().map(|p| p.0).collect();
    let options =
        DeformConvOptions::new(array(&window.strides)?, array(&pads)?, array(&window.dilations)?, groups, bends);
    one(DeviceTensor::from(module::deform_conv2d(
        x.float()?,
        offset.float()?,
        w.float()?,
        mask.map(DeviceTensor::float).transpose()?,
        bias.map(DeviceTensor::float).transpose()?,
        options,
    )))
}

fn causal_conv(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    let (bias, past) = (call.optional(2)?, call.optional(3)?);
    let ([n, channels, steps], [filters, one_each, k]) = (array::<usize, 3>(&x.dims())?, array::<usize, 3>(&w.dims())?);
    if filters != channels || one_each != 1 || k == 0 || past.as_ref().is_some_and(|p| p.dims() != [n, channels, k - 1])
    {
        return Err(bad_shape(format!("weights of shape {:?} for {channels} channels", w.dims())));
    }
    count(&[n, channels, steps + k])?;
    let x: Tensor<3> = x.float()?;
    let all = match past {
        _ if k == 1 => x,
        Some(p) => Tensor::cat(vec![p.float()?, x], 2),
        None => Tensor::cat(vec![Tensor::zeros([n, channels, k - 1], call.device), x], 2),
    };
    let options = ConvOptions::new([1], [0], [1], channels);
    let y = module::conv1d(all.clone(), w.float()?, bias.map(DeviceTensor::float).transpose()?, options);
    let y = match call.node.string("activation").unwrap_or("none") {
        "none" => y,
        "silu" | "swish" => activation::silu(y),
        other => return Err(unsupported(format!("the activation {other:?}"))),
    };
    if call.node.output(1).is_none() {
        return one(DeviceTensor::from(y));
    }
    let state = match k {
        1 => HostTensor::f32(vec![n, channels, 0], Vec::new())?.into(),
        _ => DeviceTensor::from(all.narrow(2, steps, k - 1)).into(),
    };
    Ok(vec![DeviceTensor::from(y).into(), state])
}
