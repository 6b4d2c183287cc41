//! Windows over any number of axes, position by position: the pools that burn has no kernel for, MaxUnpool and Col2Im.

use super::conv::Window;
use super::pick::{add_rows, list, made, place, strides};
use super::{Call, Forward, array, bad_shape, lengths, one, small, unsupported};
use crate::tensor::{DeviceTensor, by_rank, count};
use crate::value::{HostTensor, Value};
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "LpPool" => lp_pool,
        "GlobalLpPool" => global_lp_pool,
        "MaxUnpool" => max_unpool,
        "Col2Im" => col2im,
        _ => return None,
    })
}

/// The places that windows look at: for every output position one input position a kernel position, or the one behind the
/// last where the window hangs over the edge.
pub(super) struct Places {
    /// Input positions, kernel position by kernel position within each output position.
    pub(super) at: Vec<usize>,
    /// Lengths of the output's spatial axes.
    pub(super) out: Vec<usize>,
    /// Kernel positions.
    pub(super) taps: usize,
    /// Positions of the input, which is also the number that stands for the edge.
    pub(super) edge: usize,
}

/// How many windows fit along each axis; with `ceil` a last one may hang over, if it starts inside.
fn positions(w: &Window, input: &[usize], ceil: bool) -> Result<Vec<usize>> {
    (input.iter().zip(&w.pads).zip(w.spans().iter().zip(&w.strides)))
        .map(|((&n, &(begin, end)), (&span, &stride))| {
            let room = (n + begin + end).checked_sub(span).ok_or_else(|| bad_shape("the window does not fit"))?;
            let fits = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
            Ok(if ceil && (fits - 1) * stride >= n + begin { fits - 1 } else { fits })
        })
        .collect()
}

impl Places {
    pub(super) fn of(w: &Window, input: &[usize], ceil: bool) -> Result<Self> {
        let out = positions(w, input, ceil)?;
        let (edge, taps) = (made(input)?, made(&w.kernel)?);
        let total = made(&[made(&out)?, taps])?;
        let (steps, own, inner) = (strides(&out), strides(input), strides(&w.kernel));
        let mut at = Vec::with_capacity(total);
        for o in 0..total / taps.max(1) {
            let start = place(o, &out, &steps);
            for t in 0..taps {
                let k = place(t, &w.kernel, &inner);
                let mut sum = Some(0);
                for (axis, (&n, s)) in input.iter().zip(&own).enumerate() {
                    let get = |v: &[usize]| v.get(axis).copied().unwrap_or(0);
                    let from = get(&start) * get(&w.strides) + get(&k) * get(&w.dilations);
                    let p = from.checked_sub(w.pads.get(axis).map_or(0, |p| p.0)).filter(|p| *p < n);
                    sum = sum.zip(p).map(|(sum, p): (usize, usize)| sum + p * s);
                }
                at.push(sum.unwrap_or(edge));
            }
        }
        Ok(Self { at, out, taps, edge })
    }

    /// The windows of every map, `[maps, windows, taps]`; beyond the edge stands `outside`.
    pub(super) fn windows(&self, x: DeviceTensor, outside: f32, device: &Device) -> Result<Tensor<3>> {
        let maps = x.dims().iter().take(2).product::<usize>();
        count(&[maps, self.at.len()])?;
        let flat: Tensor<2> = x.reshape(&[maps, self.edge])?.float()?;
        let edge = Tensor::<2>::full([maps, 1], outside, device);
        let all = Tensor::cat(vec![flat, edge], 1).select(1, list(&self.at, device));
        Ok(all.reshape([maps, self.at.len() / self.taps.max(1), self.taps]))
    }

    /// Lengths of the axes of a pooled tensor.
    pub(super) fn dims(&self, x: &[usize]) -> Vec<usize> {
        x.iter().take(2).chain(&self.out).copied().collect()
    }
}

/// MaxPool over any number of axes, with the places of what was taken if they are asked for.
pub(super) fn max(call: &Call<'_>, x: DeviceTensor, w: &Window, ceil: bool) -> Result<Vec<Value>> {
    let dims = x.dims();
    let places = Places::of(w, dims.get(2..).unwrap_or_default(), ceil)?;
    let out = places.dims(&dims);
    let windows = places.windows(x, f32::MIN, call.device)?;
    let [maps, count, taps] = windows.dims();
    if call.node.output(1).is_none() {
        return one(DeviceTensor::from(windows.max_dim(2)).reshape(&out)?);
    }
    let (values, chosen) = windows.max_dim_with_indices(2);
    let at = if call.flag("storage_order") { columns_first(&places, &dims) } else { places.at.clone() };
    let table = list(&at, call.device).reshape([1, count, taps]).expand([maps, count, taps]);
    let first = Tensor::<1, Int>::arange(0..maps as i64, call.device).mul_scalar(places.edge as i64);
    let at = table.gather(2, chosen) + first.reshape([maps, 1, 1]).expand([maps, count, 1]);
    Ok(vec![DeviceTensor::from(values).reshape(&out)?.into(), DeviceTensor::from(at).reshape(&out)?.into()])
}

/// The same places counted along the first spatial axis first.
fn columns_first(p: &Places, x: &[usize]) -> Vec<usize> {
    let input = x.get(2..).unwrap_or_default();
    let mut turned: Vec<usize> = input.to_vec();
    turned.reverse();
    let (steps, mut own) = (strides(input), strides(&turned));
    own.reverse();
    let turn = |&at: &usize| place(at, input, &steps).iter().zip(&own).map(|(i, s)| i * s).sum();
    p.at.iter().map(turn).collect()
}

/// AveragePool over any number of axes.
pub(super) fn average(call: &Call<'_>, x: DeviceTensor, w: &Window, ceil: bool, pads: bool) -> Result<Vec<Value>> {
    let dims = x.dims();
    let input = dims.get(2..).unwrap_or_default();
    let places = Places::of(w, input, ceil)?;
    let shares: Vec<f32> = if pads {
        // Padding counts, but not what hangs over it.
        let padded: Vec<usize> = input.iter().zip(&w.pads).map(|(n, (b, e))| n + b + e).collect();
        let whole = Window { pads: vec![(0, 0); input.len()], ..w.clone() };
        let wide = Places::of(&whole, &padded, ceil)?;
        shares(&wide, places.at.len() / places.taps.max(1))
    } else {
        shares(&places, places.at.len() / places.taps.max(1))
    };
    let out = places.dims(&dims);
    let sum = places.windows(x, 0.0, call.device)?.sum_dim(2);
    let shares = DeviceTensor::upload(&HostTensor::f32(vec![1, shares.len(), 1], shares)?, call.device)?;
    one(DeviceTensor::from(sum * shares.float::<3>()?).reshape(&out)?)
}

/// One over the number of positions inside each window.
fn shares(p: &Places, windows: usize) -> Vec<f32> {
    let inside = |w: &[usize]| w.iter().filter(|i| **i < p.edge).count().max(1);
    p.at.chunks(p.taps.max(1)).take(windows).map(|w| 1.0 / inside(w) as f32).collect()
}

fn norm(x: Tensor<3>, p: i64) -> Result<Tensor<3>> {
    Ok(match p {
        1 => x.abs().sum_dim(2),
        2 => x.square().sum_dim(2).sqrt(),
        p if p > 2 => x.abs().powf_scalar(p as f32).sum_dim(2).powf_scalar(1.0 / p as f32),
        p => return Err(unsupported(format!("a norm of order {p}"))),
    })
}

fn lp_pool(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (p, ceil) = (call.int_or("p", 2), call.flag("ceil_mode"));
    let x = call.tensor(0)?;
    let dims = x.dims();
    let input = dims.get(2..).unwrap_or_default();
    let w = Window::of(call.node, small(call.node.ints("kernel_shape").unwrap_or_default())?, input)?;
    let places = Places::of(&w, input, ceil)?;
    let out = places.dims(&dims);
    one(DeviceTensor::from(norm(places.windows(x, 0.0, call.device)?, p)?).reshape(&out)?)
}

fn global_lp_pool(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let p = call.int_or("p", 2);
    let x = call.tensor(0)?;
    let dims = x.dims();
    let (Some(&batch), Some(&channels), true) = (dims.first(), dims.get(1), dims.len() > 2) else {
        return Err(bad_shape(format!("batch, channel and spatial axes expected, shape {dims:?} found")));
    };
    let flat = x.reshape(&[batch, channels, dims.iter().skip(2).product()])?.float()?;
    let out: Vec<usize> = dims.iter().enumerate().map(|(i, &d)| if i < 2 { d } else { 1 }).collect();
    one(DeviceTensor::from(norm(flat, p)?).reshape(&out)?)
}

fn max_unpool(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let dims = call.look(0)?.dims();
    let input = dims.get(2..).unwrap_or_default();
    let w = Window::of(call.node, small(call.node.ints("kernel_shape").unwrap_or_default())?, input)?;
    let mut out: Vec<usize> = dims.iter().take(2).copied().collect();
    for ((&n, &stride), (&k, &(begin, end))) in input.iter().zip(&w.strides).zip(w.kernel.iter().zip(&w.pads)) {
        out.push((n.saturating_sub(1) * stride + k).saturating_sub(begin + end));
    }
    let given = call.ints(2)?.map(|g| lengths(&g)).transpose()?;
    let total = count(&out)?;
    let x = call.tensor(0)?;
    let size: usize = x.dims().iter().product();
    let values: Tensor<2> = x.reshape(&[size, 1])?.float()?;
    let y = if let Some(places) = call.look(1)?.host() {
        add_rows(total, &lengths(&places.data.to_i64())?, values, call.device)?
    } else {
        let device = call.device;
        let at: Tensor<1, Int> = call.take(1)?.on(device)?.reshape(&[size])?.int()?;
        Tensor::<2>::zeros([total, 1], device).select_assign(0, at, values, IndexingUpdateOp::Add)
    };
    let y = DeviceTensor::from(y).reshape(&out)?;
    match given {
        Some(wide) if wide != out => widened(y, &out, &wide, call.device),
        _ => one(y),
    }
}

/// Zeros behind the end of every axis.
fn widened(y: DeviceTensor, dims: &[usize], wide: &[usize], device: &Device) -> Result<Vec<Value>> {
    if wide.len() != dims.len() || wide.iter().zip(dims).any(|(w, d)| w < d) {
        return Err(bad_shape(format!("{dims:?} does not fit into {wide:?}")));
    }
    count(wide)?;
    by_rank!(dims.len(), D => {
        let zeros = Tensor::<D>::zeros(array::<usize, D>(wide)?, device);
        let part = array::<usize, D>(dims)?.map(|d| 0..d);
        one(DeviceTensor::from(zeros.slice_assign(part, y.float::<D>()?)))
    })
}

fn col2im(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let image = lengths(&call.ints(1)?.unwrap_or_default())?;
    let kernel = small(&call.ints(2)?.unwrap_or_default())?;
    let x = call.tensor(0)?;
    let [batch, rows, columns] = array::<usize, 3>(&x.dims())?;
    let w = Window::of(call.node, kernel, &image)?;
    let places = Places::of(&w, &image, false)?;
    if rows % places.taps.max(1) != 0 || columns * places.taps != places.at.len() {
        return Err(bad_shape(format!("{rows} rows of {columns} columns do not fill {image:?}")));
    }
    let maps = batch * rows / places.taps.max(1);
    // Taps first in the data, windows first in the places.
    let at: Vec<usize> =
        (0..places.taps).flat_map(|t| places.at.iter().skip(t).step_by(places.taps).copied()).collect();
    let values: Tensor<2> = x.reshape(&[maps, places.at.len()])?.float::<2>()?.swap_dims(0, 1);
    let sum = add_rows(places.edge + 1, &at, values, call.device)?;
    let inside = sum.slice([0..places.edge, 0..maps]).swap_dims(0, 1);
    let mut out = vec![batch, rows / places.taps.max(1)];
    out.extend(image);
    one(DeviceTensor::from(inside).reshape(&out)?)
}
