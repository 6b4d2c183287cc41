//! Pooling over windows and over whole maps.

use super::conv::Window;
use super::quantize::real;
use super::{Call, Forward, array, bad_shape, one, small, unsupported, windows};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::module;
use burn::tensor::ops::{AvgPoolOptions, MaxPoolOptions};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "MaxPool" => max_pool,
        "AveragePool" => average_pool,
        "GlobalAveragePool" => |call| global(call, false),
        "GlobalMaxPool" => |call| global(call, true),
        _ => return None,
    })
}

fn window(call: &Call<'_>, dims: &[usize]) -> Result<Window> {
    let input = dims.get(2..).unwrap_or_default();
    let kernel = small(call.node.ints("kernel_shape").unwrap_or_default())?;
    let window = Window::of(call.node, kernel, input)?;
    window.check(dims.iter().take(2).product(), input)?;
    if window.pads.iter().zip(window.spans()).any(|(&(b, e), span)| b >= span || e >= span) {
        return Err(bad_shape("padding as wide as the window"));
    }
    Ok(window)
}

fn max_pool(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let ceil = call.flag("ceil_mode");
    let x = real(call, 0)?;
    let dims = x.dims();
    let w = window(call, &dims)?;
    if dims.len() > 4 || call.node.output(1).is_some() {
        return windows::max(call, x, &w, ceil);
    }
    one(match dims.len() {
        3 => DeviceTensor::from(module::max_pool1d(x.float()?, max_options(&w, ceil)?)),
        4 => module::max_pool2d(x.float()?, max_options(&w, ceil)?).into(),
        n => return Err(unsupported(format!("pooling over {} axes; 1 or 2 are supported", n.saturating_sub(2)))),
    })
}

fn max_options<const N: usize>(w: &Window, ceil: bool) -> Result<MaxPoolOptions<N>> {
    Ok(MaxPoolOptions::new(array(&w.kernel)?)
        .with_stride(array(&w.strides)?)
        .with_padding_pairs(array(&w.pads)?)
        .with_dilation(array(&w.dilations)?)
        .with_ceil_mode(ceil))
}

fn average_pool(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (ceil, count_pads) = (call.flag("ceil_mode"), call.flag("count_include_pad"));
    let x = call.tensor(0)?;
    let dims = x.dims();
    let w = window(call, &dims)?;
    if w.dilations.iter().any(|&d| d != 1) || dims.len() > 4 {
        return windows::average(call, x, &w, ceil, count_pads);
    }
    one(match dims.len() {
        3 => DeviceTensor::from(module::avg_pool1d(x.float()?, average_options(&w, ceil, count_pads)?)),
        4 => module::avg_pool2d(x.float()?, average_options(&w, ceil, count_pads)?).into(),
        n => return Err(unsupported(format!("pooling over {} axes; 1 or 2 are supported", n.saturating_sub(2)))),
    })
}

fn average_options<const N: usize>(w: &Window, ceil: bool, count_pads: bool) -> Result<AvgPoolOptions<N>> {
    Ok(AvgPoolOptions::new(array(&w.kernel)?)
        .with_stride(array(&w.strides)?)
        .with_padding_pairs(array(&w.pads)?)
        .with_count_include_pad(count_pads)
        .with_ceil_mode(ceil))
}

fn global(call: &mut Call<'_>, max: bool) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let dims = x.dims();
    let (Some(&batch), Some(&channels), true) = (dims.first(), dims.get(1), dims.len() > 2) else {
        return Err(bad_shape(format!("batch, channel and spatial axes expected, shape {dims:?} found")));
    };
    // One long axis reduces in one pass.
    let flat = x.reshape(&[batch, channels, dims.iter().skip(2).product()])?.float::<3>()?;
    let y = DeviceTensor::from(if max { flat.max_dim(2) } else { flat.mean_dim(2) });
    let mut out = vec![1; dims.len()];
    for (o, d) in out.iter_mut().zip([batch, channels]) {
        *o = d;
    }
    by_rank!(dims.len(), D => one(DeviceTensor::from(y.reshape(&out)?.float::<D>()?)))
}
