//! Fourier transforms as products with a matrix of sines, windows, the mel scale, and determinants.

use super::pick::{list, made};
use super::{Call, Forward, axis_of, bad_attribute, bad_shape, length, one, solve, unsupported};
use crate::tensor::{DeviceTensor, count};
use crate::value::{HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::Result;
use std::f64::consts::PI;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "DFT" => dft,
        "STFT" => stft,
        "HannWindow" | "HammingWindow" | "BlackmanWindow" => window,
        "MelWeightMatrix" => mel,
        "Det" => determinant,
        _ => return None,
    })
}

/// A transform's matrix has at most so many rows and columns: beyond them a fast transform is needed.
const MOST_SAMPLES: usize = 1 << 12;

/// From `n` samples of `parts` numbers (real, or real and imaginary) to `bins` frequencies of a transform of length `size`.
fn matrix(n: usize, parts: usize, size: usize, bins: usize, inverse: bool) -> Result<HostTensor> {
    if n.max(size) > MOST_SAMPLES {
        return Err(unsupported(format!(
            "a Fourier transform of {} samples; {MOST_SAMPLES} are the most",
            n.max(size)
        )));
    }
    let mut values = Vec::with_capacity(count(&[n * parts, bins * 2])?);
    let scale = if inverse { 1.0 / size as f64 } else { 1.0 };
    for i in 0..n {
        for part in 0..parts {
            for bin in 0..bins {
                let turn = 2.0 * PI * ((i * bin) % size) as f64 / size as f64;
                let (sin, cos) = if inverse { turn.sin_cos() } else { (-turn).sin_cos() };
                // Samples beyond the transform's length do not count.
                let on = if i < size { scale } else { 0.0 };
                let (real, imaginary) = if part == 0 { (cos, sin) } else { (-sin, cos) };
                values.extend([(real * on) as f32, (imaginary * on) as f32]);
            }
        }
    }
    HostTensor::f32(vec![n * parts, bins * 2], values)
}

/// From the first `n` frequencies, real and imaginary, to `size` real samples.
fn real_matrix(n: usize, size: usize) -> Result<HostTensor> {
    if size > MOST_SAMPLES {
        return Err(unsupported(format!("a Fourier transform of {size} samples; {MOST_SAMPLES} are the most")));
    }
    let mut values = Vec::with_capacity(count(&[n * 2, size])?);
    for bin in 0..n {
        // All frequencies but the first, and the middle one of an even number, stand for two.
        let times = match bin {
            0 => 1.0,
            b if 2 * b == size => 1.0,
            b if 2 * b < size => 2.0,
            _ => 0.0,
        };
        for part in 0..2 {
            for i in 0..size {
                let (sin, cos) = (2.0 * PI * ((i * bin) % size) as f64 / size as f64).sin_cos();
                values.push((if part == 0 { cos } else { -sin } * times / size as f64) as f32);
            }
        }
    }
    HostTensor::f32(vec![n * 2, size], values)
}

fn dft(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (inverse, half) = (call.flag("inverse"), call.flag("onesided"));
    let size = call.ints(1)?.and_then(|v| v.first().copied());
    let axis = match call.node.opset {
        ..20 => call.int_or("axis", 1),
        _ => call.ints(2)?.and_then(|v| v.first().copied()).unwrap_or(-2),
    };
    let x = call.tensor(0)?;
    let dims = x.dims();
    let rank = dims.len();
    let axis = axis_of(axis, rank)?;
    let parts = dims.last().copied().unwrap_or(1);
    if rank < 2 || axis + 1 >= rank || !(1..=2).contains(&parts) {
        return Err(bad_shape(format!("a transform along axis {axis} of shape {dims:?}")));
    }
    let n = dims.get(axis).copied().unwrap_or(1);
    // Half of the frequencies are known: the others are their conjugates, and what comes out is real.
    let real = inverse && half;
    let size = size.map_or(Ok(if real { 2 * n.saturating_sub(1) } else { n }), length)?;
    if size == 0 || (real && parts != 2) {
        return Err(bad_attribute("a transform of no samples"));
    }
    let bins = if half && !inverse { size / 2 + 1 } else { size };
    // The transformed axis goes right before the parts.
    let mut order: Vec<usize> = (0..rank).filter(|a| *a != axis && *a + 1 != rank).collect();
    let outer: Vec<usize> = order.iter().filter_map(|&a| dims.get(a).copied()).collect();
    order.extend([axis, rank - 1]);
    let flat = x.permute(&order)?.reshape(&[outer.iter().product(), n * parts])?.float::<2>()?;
    let m = if real { real_matrix(n, size)? } else { matrix(n, parts, size, bins, inverse)? };
    let m = DeviceTensor::upload(&m, call.device)?;
    let mut out = outer;
    out.extend([bins, if real { 1 } else { 2 }]);
    let y = DeviceTensor::from(flat.matmul(m.float::<2>()?)).reshape(&out)?;
    let mut back = vec![0; rank];
    for (k, &a) in order.iter().enumerate() {
        if let Some(slot) = back.get_mut(a) {
            *slot = k;
        }
    }
    one(y.permute(&back)?)
}

fn stft(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let number = |v: Option<Vec<i64>>| v.and_then(|v| v.first().copied()).map(length).transpose();
    let step = number(call.ints(1)?)?.filter(|s| *s > 0).ok_or_else(|| bad_attribute("a step of zero"))?;
    let given = number(call.ints(3)?)?;
    let window = call.optional(2)?;
    let size = given.or(window.as_ref().and_then(|w| w.dims().first().copied()));
    let size = size.filter(|s| *s > 0).ok_or_else(|| bad_attribute("neither a window nor a frame length"))?;
    let half = call.int_or("onesided", 1) != 0;
    let x = call.tensor(0)?;
    let dims = x.dims();
    let (batch, total) = match dims.as_slice() {
        [b, n] | [b, n, _] => (*b, *n),
        _ => return Err(bad_shape(format!("a batch of signals is needed, not {dims:?}"))),
    };
    let parts = dims.get(2).copied().unwrap_or(1);
    let frames = total.checked_sub(size).ok_or_else(|| bad_shape("a frame longer than the signal"))? / step + 1;
    made(&[frames, size])?;
    let at: Vec<usize> = (0..frames).flat_map(|f| (0..size).map(move |i| f * step + i)).collect();
    count(&[batch, at.len(), parts])?;
    let signal: Tensor<3> = x.reshape(&[batch, total, parts])?.float()?;
    let mut framed: Tensor<4> = signal.select(1, list(&at, call.device)).reshape([batch, frames, size, parts]);
    if let Some(w) = window {
        framed = framed * w.reshape(&[1, 1, size, 1])?.float::<4>()?;
    }
    let bins = if half { size / 2 + 1 } else { size };
    let m = DeviceTensor::upload(&matrix(size, parts, size, bins, false)?, call.device)?;
    let y = framed.reshape([batch * frames, size * parts]).matmul(m.float::<2>()?);
    one(DeviceTensor::from(y).reshape(&[batch, frames, bins, 2])?)
}

fn window(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let n = length(call.ints(0)?.and_then(|v| v.first().copied()).ok_or_else(|| bad_attribute("no size is given"))?)?;
    made(&[n])?;
    let around = if call.int_or("periodic", 1) != 0 { n } else { n.saturating_sub(1) };
    let parts: [f64; 3] = match call.node.op_type.as_str() {
        "HannWindow" => [0.5, 0.5, 0.0],
        "HammingWindow" => [25.0 / 46.0, 21.0 / 46.0, 0.0],
        _ => [0.42, 0.5, 0.08],
    };
    let [a, b, c] = parts;
    let values = (0..n).map(|i| {
        let turn = 2.0 * PI * i as f64 / around.max(1) as f64;
        (a - b * turn.cos() + c * (2.0 * turn).cos()) as f32
    });
    one(HostTensor::f32(vec![n], values.collect())?)
}

/// Triangles on the mel scale, with their corners on whole frequency bins.
fn mel(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let whole = |i: usize| call.ints(i).map(|v| v.and_then(|v| v.first().copied()).unwrap_or(0));
    let (mels, size, rate) = (length(whole(0)?)?, length(whole(1)?)?, whole(2)? as f64);
    let real = |i: usize| Ok(f64::from(call.float_input(i)?.unwrap_or(0.0)));
    let (low, high): (f64, f64) = (real(3)?, real(4)?);
    let bins = size / 2 + 1;
    made(&[bins, mels.saturating_add(2)])?;
    let to_mel = |hz: f64| 2595.0 * (1.0 + hz / 700.0).log10();
    let (from, to) = (to_mel(low), to_mel(high));
    let step = (to - from) / (mels + 2) as f64;
    let corner = |k: usize| {
        let hz = 700.0 * (10_f64.powf((from + k as f64 * step) / 2595.0) - 1.0);
        ((size + 1) as f64 * hz / rate).floor()
    };
    let mut values = vec![0.0_f32; bins * mels];
    for mel in 0..mels {
        let (left, middle, right) = (corner(mel), corner(mel + 1), corner(mel + 2));
        for bin in 0..bins {
            let b = bin as f64;
            let weight = if b >= left && b <= middle && middle > left {
                (b - left) / (middle - left)
            } else if b == middle {
                1.0
            } else if b > middle && b < right && right > middle {
                (right - b) / (right - middle)
            } else {
                0.0
            };
            if let Some(slot) = values.get_mut(bin * mels + mel) {
                *slot = weight as f32;
            }
        }
    }
    one(HostTensor::f32(vec![bins, mels], values)?)
}

/// Determinants of square matrices.
fn determinant(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let t = call.read(0)?;
    let [lead @ .., rows, columns] = t.dims.as_slice() else { return Err(bad_shape("a matrix is needed")) };
    if rows != columns || *rows == 0 {
        return Err(bad_shape(format!("the determinant of a matrix of shape {:?}", t.dims)));
    }
    let values = t.data.to_f32();
    let found = values.chunks(rows * columns).map(|m| solve::eliminated(m, *rows).0 as f32).collect();
    one(HostTensor::f32(lead.to_vec(), found)?)
}
