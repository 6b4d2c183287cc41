//! Resize and Upsample: each axis on its own, as a weighted sum of a few neighbours.

use super::{Call, Forward, axis_of, bad_attribute, bad_shape, lengths, one, slice, unsupported};
use crate::tensor::{DeviceTensor, by_rank, count};
use crate::value::{HostTensor, Value};
use burn::tensor::Device;
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Resize" => resize,
        "Upsample" => upsample,
        _ => return None,
    })
}

/// One neighbour of every output position: which input position, and how much it counts.
struct Tap {
    from: Vec<usize>,
    weight: Vec<f32>,
}

fn upsample(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let scales = match call.node.floats("scales") {
        Some(s) => s.to_vec(),
        None => call.host(1)?.data.to_f32(),
    };
    let x = call.tensor(0)?;
    let dims = x.dims();
    let out = scaled(&dims, &scales)?;
    let scales: Vec<f64> = scales.into_iter().map(f64::from).collect();
    let how = How {
        coordinates: "asymmetric",
        nearest: "floor",
        cubic: -0.75,
        outside: false,
        smooth: false,
        region: Vec::new(),
        beyond: 0.0,
        mode: call.node.string("mode").unwrap_or("nearest"),
    };
    one(axes(x, &dims, &out, &scales, &how, call.device)?)
}

fn scaled(dims: &[usize], scales: &[f32]) -> Result<Vec<usize>> {
    if scales.len() != dims.len() || scales.iter().any(|&s| s <= 0.0 || !s.is_finite()) {
        return Err(bad_shape(format!("scales {scales:?} for shape {dims:?}")));
    }
    Ok(dims.iter().zip(scales).map(|(&d, &s)| (d as f64 * f64::from(s)).floor() as usize).collect())
}

/// How positions of the output map to the input.
struct How<'a> {
    mode: &'a str,
    coordinates: &'a str,
    nearest: &'a str,
    cubic: f64,
    outside: bool,
    /// Whether a smaller result is the mean of all that it covers.
    smooth: bool,
    /// Start and end of the region of interest, axis by axis.
    region: Vec<(f64, f64)>,
    /// What stands outside of the input when a region is cropped.
    beyond: f32,
}

fn resize(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let node = call.node;
    // Operator set 10 has the scales as its second input, later ones the region of interest.
    let (scales_at, sizes_at) = if node.opset < 11 { (1, 3) } else { (2, 3) };
    let dims = call.look(0)?.dims();
    let axes_given = match node.ints("axes") {
        Some(a) => a.iter().map(|&a| axis_of(a, dims.len())).collect::<Result<Vec<_>>>()?,
        None => (0..dims.len()).collect(),
    };
    let mut out = dims.clone();
    let mut scales = vec![1.0_f64; dims.len()];
    let sizes = if call.has(sizes_at) { call.ints(sizes_at)?.filter(|s| !s.is_empty()) } else { None };
    if let Some(sizes) = sizes {
        let sizes = lengths(&sizes)?;
        let common = common_scale(node.string("keep_aspect_ratio_policy"), &axes_given, &sizes, &dims)?;
        for (&axis, n) in axes_given.iter().zip(sizes) {
            if let (Some(o), Some(s), Some(&d)) = (out.get_mut(axis), scales.get_mut(axis), dims.get(axis)) {
                (*o, *s) = match common {
                    Some(scale) => ((d as f64 * scale).round() as usize, scale),
                    None => (n, n as f64 / d as f64),
                };
            }
        }
    } else {
        let given = call.host(scales_at)?.data.to_f32();
        let mut all = vec![1.0_f32; dims.len()];
        if given.len() != axes_given.len() {
            return Err(bad_attribute(format!("{} scales for {} axes", given.len(), axes_given.len())));
        }
        for (&axis, s) in axes_given.iter().zip(given) {
            if let Some(a) = all.get_mut(axis) {
                *a = s;
            }
        }
        out = scaled(&dims, &all)?;
        scales = all.into_iter().map(f64::from).collect();
    }
    let how = How {
        mode: node.string("mode").unwrap_or("nearest"),
        coordinates: node.string("coordinate_transformation_mode").unwrap_or(if node.opset < 11 {
            "asymmetric"
        } else {
            "half_pixel"
        }),
        nearest: node.string("nearest_mode").unwrap_or(if node.opset < 11 { "floor" } else { "round_prefer_floor" }),
        cubic: f64::from(call.float_or("cubic_coeff_a", -0.75)),
        outside: call.flag("exclude_outside"),
        smooth: call.flag("antialias"),
        region: region(call, &axes_given, dims.len())?,
        beyond: call.float_or("extrapolation_value", 0.0),
    };
    let x = call.tensor(0)?;
    one(axes(x, &dims, &out, &scales, &how, call.device)?)
}

/// The one scale of all axes that keeps the aspect ratio, if that is asked for.
fn common_scale(policy: Option<&str>, axes: &[usize], sizes: &[usize], dims: &[usize]) -> Result<Option<f64>> {
    let ratios = axes.iter().zip(sizes).filter_map(|(&a, &n)| dims.get(a).map(|&d| n as f64 / d as f64));
    Ok(match policy {
        None | Some("stretch") => None,
        Some("not_larger") => ratios.reduce(f64::min),
        Some("not_smaller") => ratios.reduce(f64::max),
        Some(other) => return Err(bad_attribute(format!("keep_aspect_ratio_policy {other:?} is unknown"))),
    })
}

/// Start and end of the region of interest along every axis, as shares of its length.
fn region(call: &Call<'_>, axes: &[usize], rank: usize) -> Result<Vec<(f64, f64)>> {
    let mut out = vec![(0.0, 1.0); rank];
    if call.node.string("coordinate_transformation_mode") == Some("tf_crop_and_resize") {
        let given = call.host(1)?.data.to_f32();
        let (starts, ends) =
            given.split_at_checked(axes.len()).ok_or_else(|| bad_shape("the region has too few numbers"))?;
        for ((&axis, &start), &end) in axes.iter().zip(starts).zip(ends) {
            if let Some(slot) = out.get_mut(axis) {
                *slot = (f64::from(start), f64::from(end));
            }
        }
    }
    Ok(out)
}

fn axes(
    mut x: DeviceTensor,
    dims: &[usize],
    out: &[usize],
    scales: &[f64],
    how: &How<'_>,
    device: &Device,
) -> Result<DeviceTensor> {
    count(out)?;
    if out.contains(&0) {
        return Err(unsupported("an empty tensor"));
    }
    for (axis, ((&n, &m), &scale)) in dims.iter().zip(out).zip(scales).enumerate() {
        let cropped = how.coordinates == "tf_crop_and_resize";
        let whole = !cropped || how.region.get(axis) == Some(&(0.0, 1.0));
        if n == m && (scale - 1.0).abs() < 1e-9 && whole {
            continue;
        }
        let place = Along { n, m, scale, region: how.region.get(axis).copied().unwrap_or((0.0, 1.0)) };
        let mut sum: Option<DeviceTensor> = None;
        for tap in taps(&place, how)? {
            let part = weighted(slice::take(x.clone(), axis, &tap.from, device)?, axis, tap.weight, device)?;
            sum = Some(match sum {
                None => part,
                Some(s) => by_rank!(s.rank(), D => Ok(DeviceTensor::from(s.float::<D>()? + part.float::<D>()?)))?,
            });
        }
        x = sum.ok_or_else(|| bad_attribute(format!("mode {:?} is unknown", how.mode)))?;
        if cropped {
            x = beyond(x, axis, &place, how, device)?;
        }
    }
    Ok(x)
}

fn weighted(t: DeviceTensor, axis: usize, weight: Vec<f32>, device: &Device) -> Result<DeviceTensor> {
    if weight.iter().all(|&w| w == 1.0) {
        return Ok(t);
    }
    let mut dims = vec![1; t.rank()];
    if let Some(d) = dims.get_mut(axis) {
        *d = weight.len();
    }
    let w = DeviceTensor::upload(&HostTensor::f32(dims, weight)?, device)?;
    by_rank!(t.rank(), D => Ok((t.float::<D>()? * w.float::<D>()?).into()))
}

/// One axis: its lengths before and after, how they are related, and the region that is cropped.
struct Along {
    n: usize,
    m: usize,
    scale: f64,
    region: (f64, f64),
}

/// Positions whose source lies outside of the input hold a number of their own.
fn beyond(x: DeviceTensor, axis: usize, place: &Along, how: &How<'_>, device: &Device) -> Result<DeviceTensor> {
    let at = (0..place.m).map(|i| source(i, place, how.coordinates)).collect::<Result<Vec<f64>>>()?;
    let last = (place.n - 1) as f64;
    let inside: Vec<f32> = at.iter().map(|v| f32::from(u8::from((0.0..=last).contains(v)))).collect();
    let filled: Vec<f32> = inside.iter().map(|i| (1.0 - i) * how.beyond).collect();
    let mut dims = vec![1; x.rank()];
    if let Some(d) = dims.get_mut(axis) {
        *d = filled.len();
    }
    let x = weighted(x, axis, inside, device)?;
    let filled = DeviceTensor::upload(&HostTensor::f32(dims, filled)?, device)?;
    by_rank!(x.rank(), D => Ok((x.float::<D>()? + filled.float::<D>()?).into()))
}

fn source(i: usize, place: &Along, coordinates: &str) -> Result<f64> {
    let (i, n, m, scale) = (i as f64, place.n as f64, place.m as f64, place.scale);
    Ok(match coordinates {
        "half_pixel" => (i + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => {
            if m > 1.0 {
                (i + 0.5) / scale - 0.5
            } else {
                0.0
            }
        }
        "half_pixel_symmetric" => {
            let adjust = m / (n * scale);
            n / 2.0 * (1.0 - adjust) + (i + 0.5) / scale - 0.5
        }
        "align_corners" => {
            if m > 1.0 {
                i * (n - 1.0) / (m - 1.0)
            } else {
                0.0
            }
        }
        "asymmetric" => i / scale,
        "tf_crop_and_resize" => {
            let (start, end) = place.region;
            if m > 1.0 {
                start * (n - 1.0) + i * (end - start) * (n - 1.0) / (m - 1.0)
            } else {
                0.5 * (start + end) * (n - 1.0)
            }
        }
        other => return Err(unsupported(format!("coordinate_transformation_mode {other:?}"))),
    })
}

fn taps(place: &Along, how: &How<'_>) -> Result<Vec<Tap>> {
    let (n, m) = (place.n, place.m);
    let at = (0..m).map(|i| source(i, place, how.coordinates)).collect::<Result<Vec<f64>>>()?;
    let last = (n - 1) as f64;
    let inside = |v: f64| v.clamp(0.0, last) as usize;
    match how.mode {
        "nearest" => {
            let round = |v: f64| match how.nearest {
                "floor" => v.floor(),
                "ceil" => v.ceil(),
                "round_prefer_ceil" => (v + 0.5).floor(),
                _ => (v - 0.5).ceil(),
            };
            Ok(vec![Tap { from: at.iter().map(|&v| inside(round(v))).collect(), weight: vec![1.0; m] }])
        }
        "linear" | "bilinear" | "trilinear" if how.smooth && place.scale < 1.0 => {
            Ok(kernel(&at, last, how, (1.0, place.scale), |x| (1.0 - x).max(0.0)))
        }
        "linear" | "bilinear" | "trilinear" => {
            let at: Vec<f64> = at.into_iter().map(|v| v.clamp(0.0, last)).collect();
            let low = Tap {
                from: at.iter().map(|&v| inside(v.floor())).collect(),
                weight: at.iter().map(|&v| (1.0 - v.fract()) as f32).collect(),
            };
            let high = Tap {
                from: at.iter().map(|&v| inside(v.floor() + 1.0)).collect(),
                weight: at.iter().map(|&v| v.fract() as f32).collect(),
            };
            Ok(vec![low, high])
        }
        "cubic" => {
            let a = how.cubic;
            let keys = |x: f64| {
                if x <= 1.0 {
                    ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
                } else if x < 2.0 {
                    a * (((x - 5.0) * x + 8.0) * x - 4.0)
                } else {
                    0.0
                }
            };
            let scale = if how.smooth { place.scale.min(1.0) } else { 1.0 };
            Ok(kernel(&at, last, how, (2.0, scale), keys))
        }
        other => Err(unsupported(format!("mode {other:?}"))),
    }
}

/// A kernel that is zero from `support` on over the neighbours of every place, stretched by one over `scale`.
fn kernel(at: &[f64], last: f64, how: &How<'_>, (support, scale): (f64, f64), weight: impl Fn(f64) -> f64) -> Vec<Tap> {
    let first = (-support / scale).floor() as i64 + 1;
    let neighbours: Vec<f64> = (first..=1 - first).map(|k| k as f64).collect();
    let rows: Vec<Vec<f64>> = (at.iter())
        .map(|v| {
            let outside = |k: f64| how.outside && !(0.0..=last).contains(&(v.floor() + k));
            let weights = neighbours.iter().map(|&k| match outside(k) {
                true => 0.0,
                false => weight(((v.floor() + k - v) * scale).abs()),
            });
            let weights: Vec<f64> = weights.collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(|w| w / sum).collect()
        })
        .collect();
    let tap = |(i, &k): (usize, &f64)| Tap {
        from: at.iter().map(|&v| (v.floor() + k).clamp(0.0, last) as usize).collect(),
        weight: rows.iter().map(|w| w.get(i).copied().unwrap_or(0.0) as f32).collect(),
    };
    neighbours.iter().enumerate().map(tap).collect()
}
