//! Regions and sampling grids: RoiAlign, GridSample, AffineGrid.

use super::pick::{list, made};
use super::{Call, Forward, array, bad_shape, length, lengths, one, unsupported};
use crate::tensor::{DeviceTensor, count};
use crate::value::{HostTensor, Value};
use burn::tensor::Tensor;
use burn::tensor::ops::{GridSampleOptions, GridSamplePaddingMode, InterpolateMode};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "RoiAlign" => roi_align,
        "GridSample" => grid_sample,
        "AffineGrid" => affine_grid,
        _ => return None,
    })
}

/// Four neighbours of a place on a map and how much each counts; none where it lies outside.
fn neighbours(y: f64, x: f64, h: usize, w: usize) -> [(usize, f32); 4] {
    if y < -1.0 || y > h as f64 || x < -1.0 || x > w as f64 {
        return [(0, 0.0); 4];
    }
    let side = |v: f64, n: usize| {
        let v = v.max(0.0);
        let low = (v as usize).min(n - 1);
        let high = (low + 1).min(n - 1);
        (low, high, if low == n - 1 { 0.0 } else { v - low as f64 })
    };
    let ((y0, y1, fy), (x0, x1, fx)) = (side(y, h), side(x, w));
    [
        (y0 * w + x0, ((1.0 - fy) * (1.0 - fx)) as f32),
        (y0 * w + x1, ((1.0 - fy) * fx) as f32),
        (y1 * w + x0, (fy * (1.0 - fx)) as f32),
        (y1 * w + x1, (fy * fx) as f32),
    ]
}

/// Samples of all cells of all regions: where to look, and how much it counts.
struct Samples {
    at: Vec<usize>,
    weight: Vec<f32>,
    /// Samples of one cell, four neighbours each.
    each: usize,
}

fn samples(call: &Call<'_>, [images, _, h, w]: [usize; 4], [rows, columns]: [usize; 2]) -> Result<Samples> {
    let (regions, of) = (call.host(1)?.data.to_f32(), lengths(&call.ints(2)?.unwrap_or_default())?);
    let ratio = length(call.int_or("sampling_ratio", 0))?;
    let scale = f64::from(call.float_or("spatial_scale", 1.0));
    let old = call.node.opset < 16;
    let mode = call.node.string("coordinate_transformation_mode").unwrap_or("half_pixel");
    let half = !old && mode == "half_pixel";
    if ratio == 0 {
        return Err(unsupported("as many samples as a region is large (sampling_ratio = 0)"));
    }
    made(&[of.len(), rows, columns, ratio, ratio, 4])?;
    let mut out = Samples { at: Vec::new(), weight: Vec::new(), each: ratio * ratio * 4 };
    for (corners, &image) in regions.chunks(4).zip(&of) {
        let [x1, y1, x2, y2] = array::<f32, 4>(corners)?.map(|v| f64::from(v) * scale - if half { 0.5 } else { 0.0 });
        let least = if half { f64::MIN } else { 1.0 };
        let (bin_h, bin_w) = ((y2 - y1).max(least) / rows as f64, (x2 - x1).max(least) / columns as f64);
        if image >= images {
            return Err(bad_shape(format!("a region of image {image} of {images}")));
        }
        for cell in 0..rows * columns {
            let (i, j) = ((cell / columns) as f64, (cell % columns) as f64);
            for s in 0..ratio * ratio {
                let (sy, sx) = ((s / ratio) as f64, (s % ratio) as f64);
                let y = y1 + i * bin_h + (sy + 0.5) * bin_h / ratio as f64;
                let x = x1 + j * bin_w + (sx + 0.5) * bin_w / ratio as f64;
                for (place, weight) in neighbours(y, x, h, w) {
                    out.at.push(image * h * w + place);
                    out.weight.push(weight / (ratio * ratio) as f32);
                }
            }
        }
    }
    Ok(out)
}

fn roi_align(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.node.string("mode").is_some_and(|m| m != "avg") {
        return Err(unsupported("the largest sample of a region (mode = max)"));
    }
    let dims = array::<usize, 4>(&call.look(0)?.dims())?;
    let [images, channels, h, w] = dims;
    let size = [length(call.int_or("output_height", 1))?, length(call.int_or("output_width", 1))?];
    let found = samples(call, dims, size)?;
    let cells = found.at.len() / found.each.max(1);
    if cells == 0 {
        return Err(unsupported("no regions at all"));
    }
    let x = call.tensor(0)?.permute(&[0, 2, 3, 1])?.reshape(&[images * h * w, channels])?.float::<2>()?;
    count(&[found.at.len(), channels])?;
    let weight = DeviceTensor::upload(&HostTensor::f32(vec![found.at.len(), 1], found.weight)?, call.device)?;
    let parts = x.select(0, list(&found.at, call.device)) * weight.float::<2>()?;
    let cells_sum: Tensor<3> = parts.reshape([cells, found.each, channels]).sum_dim(1);
    let [rows, columns] = size;
    let y = DeviceTensor::from(cells_sum).reshape(&[cells / (rows * columns).max(1), rows, columns, channels])?;
    one(y.permute(&[0, 3, 1, 2])?)
}

fn grid_sample(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let mode = match call.node.string("mode").unwrap_or("linear") {
        "linear" | "bilinear" => InterpolateMode::Bilinear,
        "nearest" => InterpolateMode::Nearest,
        "cubic" | "bicubic" => InterpolateMode::Bicubic,
        other => return Err(unsupported(format!("mode {other:?}"))),
    };
    let padding_mode = match call.node.string("padding_mode").unwrap_or("zeros") {
        "zeros" => GridSamplePaddingMode::Zeros,
        "border" => GridSamplePaddingMode::Border,
        "reflection" => GridSamplePaddingMode::Reflection,
        other => return Err(unsupported(format!("padding_mode {other:?}"))),
    };
    let align_corners = call.flag("align_corners");
    let (x, grid) = (call.tensor(0)?, call.tensor(1)?);
    let (xd, gd) = (array::<usize, 4>(&x.dims()), array::<usize, 4>(&grid.dims()));
    let (Ok([n, ..]), Ok([m, _, _, 2])) = (xd, gd) else {
        return Err(unsupported(format!("a grid of shape {:?} for {:?}", grid.dims(), x.dims())));
    };
    if n != m {
        return Err(bad_shape(format!("{m} grids for {n} images")));
    }
    let options = GridSampleOptions { mode, padding_mode, align_corners };
    one(DeviceTensor::from(x.float::<4>()?.grid_sample_2d(grid.float::<4>()?, options)))
}

fn affine_grid(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let size = lengths(&call.ints(1)?.unwrap_or_default())?;
    let corners = call.flag("align_corners");
    let theta = call.tensor(0)?;
    let space = size.get(2..).unwrap_or_default();
    let (batch, axes, places) = (size.first().copied().unwrap_or(1), space.len(), made(space)?);
    if theta.dims() != [batch, axes, axes + 1] || axes == 0 {
        return Err(bad_shape(format!("matrices of shape {:?} for a size {size:?}", theta.dims())));
    }
    let steps = super::pick::strides(space);
    let mut points = Vec::with_capacity(places * (axes + 1));
    for flat in 0..places {
        let p = super::pick::place(flat, space, &steps);
        // Coordinates run from x, the last axis, to the first one.
        for (&i, &n) in p.iter().zip(space).rev() {
            let (i, n) = (i as f32, n as f32);
            points.push(match (corners, n > 1.0) {
                (true, true) => 2.0 * i / (n - 1.0) - 1.0,
                (true, false) => 0.0,
                (false, _) => (2.0 * i + 1.0) / n - 1.0,
            });
        }
        points.push(1.0);
    }
    let points = DeviceTensor::upload(&HostTensor::f32(vec![1, places, axes + 1], points)?, call.device)?;
    let points = points.expand(&[batch, places, axes + 1])?.float::<3>()?;
    let y = points.matmul(theta.float::<3>()?.swap_dims(1, 2));
    let mut out = vec![batch];
    out.extend(space);
    out.push(axes);
    one(DeviceTensor::from(y).reshape(&out)?)
}
