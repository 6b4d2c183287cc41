//! Normalisations: over the batch, a layer, a group, an instance, and by root mean square.

use super::reduce::over;
use super::{Call, Forward, Mode, Statistics, axis_of, bad_attribute, bad_shape, length, one, unsupported};
use crate::kernels;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::{Shape, Tensor, module};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "BatchNormalization" => batch_norm,
        "LayerNormalization" => layer_norm,
        "GroupNormalization" => group_norm,
        "InstanceNormalization" => instance_norm,
        "RMSNormalization" | "SimplifiedLayerNormalization" => rms_norm,
        "LpNormalization" => lp_norm,
        "MeanVarianceNormalization" => mean_variance,
        "LRN" => local_response,
        _ => return None,
    })
}

/// One number a channel as a shape that repeats over all other axes of `x`.
fn per_channel(t: DeviceTensor, x: &[usize]) -> Result<DeviceTensor> {
    let channels = x.get(1).copied().unwrap_or(1);
    let mut dims = vec![1; x.len()];
    if let Some(d) = dims.get_mut(1) {
        *d = channels;
    }
    if t.dims() != [channels] {
        return Err(bad_shape(format!("{:?} numbers for {channels} channels", t.dims())));
    }
    t.reshape(&dims)
}

fn batch_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.int_or("spatial", 1) == 0 {
        return Err(unsupported("statistics for every position (spatial = 0)"));
    }
    let epsilon = f64::from(call.float_or("epsilon", 1e-5));
    if matches!(call.mode, Mode::Train(_)) {
        return batch_norm_train(call, epsilon);
    }
    if call.flag("training_mode") {
        return batch_norm_of_batch(call, epsilon);
    }
    let (x, scale, shift) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (mean, variance) = (call.tensor(3)?, call.tensor(4)?);
    let dims = x.dims();
    for t in [&scale, &shift, &mean, &variance] {
        per_channel(t.clone(), &dims)?;
    }
    by_rank!(dims.len(), D => one(DeviceTensor::from(module::batch_norm(
        x.float::<D>()?, scale.float()?, shift.float()?, mean.float()?, variance.float()?, epsilon,
    ))))
}

/// `x * scale + shift`, one number a channel: what a BatchNormalization with fixed statistics comes to.
pub(crate) fn scale_shift(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, scale, shift) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let dims = x.dims();
    let (scale, shift) = (per_channel(scale, &dims)?, per_channel(shift, &dims)?);
    by_rank!(dims.len(), D => one(DeviceTensor::from(x.float::<D>()? * scale.float()? + shift.float()?)))
}

/// A model that normalises by its input's own statistics in inference too, as where weights are standardised when it runs. The
/// other outputs are the moved statistics, of which the variance is that of the population.
fn batch_norm_of_batch(call: &mut Call<'_>, epsilon: f64) -> Result<Vec<Value>> {
    let (x, scale, shift) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let (mean, variance) = (call.tensor(3)?, call.tensor(4)?);
    let keep = f64::from(call.float_or("momentum", 0.9));
    let dims = x.dims();
    for t in [&scale, &shift, &mean, &variance] {
        per_channel(t.clone(), &dims)?;
    }
    let moved = |old: DeviceTensor, new: Tensor<1>| -> Result<Value> {
        Ok(DeviceTensor::from(old.float::<1>()?.mul_scalar(keep) + new.mul_scalar(1.0 - keep)).into())
    };
    by_rank!(dims.len(), D => {
        let y = module::batch_norm_train(x.float::<D>()?, scale.float()?, shift.float()?, epsilon);
        Ok(vec![DeviceTensor::from(y.output).into(), moved(mean, y.mean)?, moved(variance, y.variance)?])
    })
}

fn batch_norm_train(call: &mut Call<'_>, epsilon: f64) -> Result<Vec<Value>> {
    let (Some(mean_of), Some(variance_of)) = (call.node.input(3), call.node.input(4)) else {
        return Err(bad_shape("running statistics are missing"));
    };
    let (x, scale, shift) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let dims = x.dims();
    per_channel(scale.clone(), &dims)?;
    per_channel(shift.clone(), &dims)?;
    let count = dims.iter().product::<usize>() / dims.get(1).copied().unwrap_or(1).max(1);
    let momentum = call.float_or("momentum", 0.9);
    let (output, mean, variance) = by_rank!(dims.len(), D => {
        let (x, scale, shift) = (x.float::<D>()?, scale.float()?, shift.float()?);
        Ok(match kernels::batch_norm_train(&x, &scale, &shift, epsilon) {
            Some((y, [mean, variance])) => (DeviceTensor::from(y), mean, variance),
            None => {
                let y = module::batch_norm_train(x, scale, shift, epsilon);
                (y.output.into(), y.mean.inner(), y.variance.inner())
            }
        })
    })?;
    // The running variance is the unbiased estimate; with one value a channel there is none, and the biased one stands in.
    let unbiased = count as f64 / (count.max(2) - 1) as f64;
    if let Mode::Train(statistics) = call.mode {
        let variance = variance.mul_scalar(unbiased);
        statistics.push(Statistics { mean_of, variance_of, mean, variance, momentum });
    }
    one(output)
}

/// `x` as rows over which statistics run: everything from `axis` on is one row.
fn rows(x: DeviceTensor, axis: usize) -> Result<Tensor<2>> {
    let dims = x.dims();
    let outer: usize = dims.iter().take(axis).product();
    let inner: usize = dims.iter().skip(axis).product();
    x.reshape(&[outer, inner])?.float()
}

/// A scale or bias over the axes from `axis` on as one row.
fn row(t: DeviceTensor, x: &[usize], axis: usize) -> Result<Tensor<1>> {
    let inner: Vec<usize> = x.iter().skip(axis).copied().collect();
    t.expand(&inner)?.reshape(&[inner.iter().product()])?.float()
}

fn layer_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let epsilon = f64::from(call.float_or("epsilon", 1e-5));
    let (x, scale, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", -1), dims.len())?;
    let scale = row(scale, &dims, axis)?;
    let bias = bias.map(|b| row(b, &dims, axis)).transpose()?;
    let x = rows(x, axis)?;
    let mut out = Vec::new();
    if call.node.output(1).is_some() || call.node.output(2).is_some() {
        let kept: Vec<usize> = dims.iter().enumerate().map(|(i, &d)| if i < axis { d } else { 1 }).collect();
        let (variance, mean) = x.clone().var_mean_bias(1);
        out.push(DeviceTensor::from(mean).reshape(&kept)?.into());
        out.push(DeviceTensor::from(variance.add_scalar(epsilon).sqrt().recip()).reshape(&kept)?.into());
    }
    let y = module::layer_norm(x, scale, bias, epsilon);
    out.insert(0, DeviceTensor::from(y).reshape(&dims)?.into());
    Ok(out)
}

fn rms_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let epsilon = call.float_or("epsilon", 1e-5);
    let (x, scale) = (call.tensor(0)?, call.tensor(1)?);
    let dims = x.dims();
    let axis = axis_of(call.int_or("axis", -1), dims.len())?;
    let scale = row(scale, &dims, axis)?.unsqueeze::<2>();
    let x = rows(x, axis)?;
    let mean_square = x.clone().square().mean_dim(1);
    let y = x / mean_square.add_scalar(epsilon).sqrt() * scale;
    one(DeviceTensor::from(y).reshape(&dims)?)
}

fn instance_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let channels = call.look(0)?.dims().get(1).copied().unwrap_or(1);
    normalize_groups(call, channels)
}

fn group_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let groups = length(call.int_or("num_groups", 1))?;
    normalize_groups(call, groups)
}

fn normalize_groups(call: &mut Call<'_>, groups: usize) -> Result<Vec<Value>> {
    let epsilon = call.float_or("epsilon", 1e-5);
    let (x, scale, bias) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    let dims = x.dims();
    let (Some(&batch), Some(&channels)) = (dims.first(), dims.get(1)) else {
        return Err(bad_shape(format!("a batch and a channel axis expected, shape {dims:?} found")));
    };
    if groups == 0 || channels % groups != 0 {
        return Err(bad_shape(format!("{channels} channels do not divide into {groups} groups")));
    }
    let (scale, bias) = (group_row(scale, channels, groups)?, group_row(bias, channels, groups)?);
    let inner = dims.iter().product::<usize>() / (batch * groups).max(1);
    let x: Tensor<2> = x.reshape(&[batch * groups, inner])?.float()?;
    let (variance, mean) = x.clone().var_mean_bias(1);
    let y = (x - mean) / variance.add_scalar(epsilon).sqrt();
    let y = DeviceTensor::from(y).reshape(&dims)?;
    let (scale, bias) = (per_channel(scale, &dims)?, per_channel(bias, &dims)?);
    by_rank!(dims.len(), D => one(DeviceTensor::from(y.float::<D>()? * scale.float()? + bias.float()?)))
}

/// Before operator set 21, GroupNormalization has one scale a group.
fn group_row(t: DeviceTensor, channels: usize, groups: usize) -> Result<DeviceTensor> {
    if t.dims() == [groups] && groups != channels {
        return t.reshape(&[groups, 1])?.expand(&[groups, channels / groups])?.reshape(&[channels]);
    }
    Ok(t)
}

fn lp_norm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let p = call.int_or("p", 2);
    let x = call.tensor(0)?;
    let rank = x.rank();
    let axis = axis_of(call.int_or("axis", -1), rank)?;
    by_rank!(rank, D => {
        let x: Tensor<D> = x.float()?;
        let norm = match p {
            1 => x.clone().abs().sum_dim(axis),
            2 => x.clone().square().sum_dim(axis).sqrt(),
            _ => return Err(unsupported(format!("a norm of order {p}"))),
        };
        // Where all are zero the result is zero.
        let none = norm.clone().equal_elem(0.0);
        let shape: Shape = x.shape();
        one(DeviceTensor::from(x / norm.mask_fill(none, 1.0).expand::<D, Shape>(shape)))
    })
}

fn mean_variance(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let dims = x.dims();
    let axes = call.node.ints("axes").unwrap_or(&[0, 2, 3]);
    let mut axes = axes.iter().map(|&a| axis_of(a, dims.len())).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    by_rank!(dims.len(), D => {
        let centred: Tensor<D> = x.clone().float::<D>()? - over("ReduceMean", x, &dims, &axes)?.float()?;
        let square = DeviceTensor::from(centred.clone().square());
        let deviation = over("ReduceMean", square, &dims, &axes)?.float::<D>()?.sqrt();
        one(DeviceTensor::from(centred / deviation.add_scalar(1e-9)))
    })
}

fn local_response(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let size = length(call.int_or("size", 1))?;
    let (alpha, beta, bias) = (call.float_or("alpha", 1e-4), call.float_or("beta", 0.75), call.float_or("bias", 1.0));
    let x = call.tensor(0)?;
    let dims = x.dims();
    let (Some(&batch), Some(&channels)) = (dims.first(), dims.get(1)) else {
        return Err(bad_shape(format!("a batch and a channel axis expected, shape {dims:?} found")));
    };
    if !(1..=super::MOST).contains(&size) {
        return Err(bad_attribute(format!("a neighbourhood of {size} channels")));
    }
    let flat: Tensor<3> = x.reshape(&[batch, channels, dims.iter().skip(2).product()])?.float()?;
    let square = flat.clone().square();
    let mut sum = Tensor::zeros_like(&square);
    let before = (size - 1) / 2;
    for k in 0..size {
        // Neighbour `k - before` of every channel that has one.
        let (skip, late) = (k.saturating_sub(before), before.saturating_sub(k));
        let n = channels.saturating_sub(skip + late);
        if n == 0 {
            continue;
        }
        let part = square.clone().narrow(1, skip, n);
        let near: Vec<Tensor<3>> = [(late, None), (n, Some(part)), (skip, None)]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, t)| t.unwrap_or_else(|| square.clone().narrow(1, 0, n).zeros_like()))
            .collect();
        sum = sum + Tensor::cat(near, 1);
    }
    let divisor = sum.mul_scalar(alpha / size as f32).add_scalar(bias).powf_scalar(beta);
    one(DeviceTensor::from(flat / divisor).reshape(&dims)?)
}
