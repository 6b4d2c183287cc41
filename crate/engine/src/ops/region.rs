//! Regions and sampling grids: RoiAlign, NonMaxSuppression, GridSample, AffineGrid.

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
        "NonMaxSuppression" => non_max_suppression,
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

/// One region on the map of its image.
struct Region {
    image: usize,
    start: [f64; 2],
    /// Height and width of one cell.
    cell: [f64; 2],
    /// Samples of one cell along both axes.
    samples: [usize; 2],
}

fn regions(call: &Call<'_>, images: usize, cells: [usize; 2]) -> Result<Vec<Region>> {
    let (corners, of) = (call.read(1)?.data.to_f32(), lengths(&call.read(2)?.data.to_i64())?);
    let ratio = length(call.int_or("sampling_ratio", 0))?;
    let scale = f64::from(call.float_or("spatial_scale", 1.0));
    let mode = call.node.string("coordinate_transformation_mode").unwrap_or("half_pixel");
    let half = call.node.opset >= 16 && mode == "half_pixel";
    let least = if half { f64::MIN } else { 1.0 };
    let one = |(corners, &image): (&[f32], &usize)| {
        let [x1, y1, x2, y2] = array::<f32, 4>(corners)?.map(|v| f64::from(v) * scale - if half { 0.5 } else { 0.0 });
        if image >= images {
            return Err(bad_shape(format!("a region of image {image} of {images}")));
        }
        let [rows, columns] = cells;
        let cell = [(y2 - y1).max(least) / rows as f64, (x2 - x1).max(least) / columns as f64];
        let samples = if ratio > 0 { [ratio; 2] } else { cell.map(|n| n.ceil().max(0.0) as usize) };
        Ok(Region { image, start: [y1, x1], cell, samples })
    };
    corners.chunks(4).zip(&of).map(one).collect()
}

fn samples(call: &Call<'_>, [images, _, h, w]: [usize; 4], [rows, columns]: [usize; 2], max: bool) -> Result<Samples> {
    let found = regions(call, images, [rows, columns])?;
    let most = found.iter().map(|r| r.samples.iter().fold(4_usize, |a, b| a.saturating_mul(*b))).max().unwrap_or(0);
    made(&[found.len(), rows, columns, most])?;
    let mut out = Samples { at: Vec::new(), weight: Vec::new(), each: most };
    for r in &found {
        let ([y0, x0], [tall, wide], [down, across]) = (r.start, r.cell, r.samples);
        for cell in 0..rows * columns {
            let (i, j) = ((cell / columns) as f64, (cell % columns) as f64);
            for s in 0..down * across {
                let (sy, sx) = ((s / across) as f64, (s % across) as f64);
                let y = y0 + i * tall + (sy + 0.5) * tall / down as f64;
                let x = x0 + j * wide + (sx + 0.5) * wide / across as f64;
                for (place, weight) in neighbours(y, x, h, w) {
                    out.at.push(r.image * h * w + place);
                    out.weight.push(if max { weight } else { weight / (down * across) as f32 });
                }
            }
            // Cells of smaller regions are filled up: a mean counts it as nothing, a maximum sees the first sample again.
            let missing = most - down * across * 4;
            let start = out.at.len() - down * across * 4;
            let again = |at: usize| max.then(|| (out.at.get(at).copied(), out.weight.get(at).copied()));
            let (place, weight) = match again(start) {
                Some((Some(place), Some(weight))) => (place, weight),
                _ => (0, 0.0),
            };
            out.at.extend(std::iter::repeat_n(place, missing));
            out.weight.extend(std::iter::repeat_n(weight, missing));
        }
    }
    Ok(out)
}

fn roi_align(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let max = call.node.string("mode") == Some("max");
    let dims = array::<usize, 4>(&call.look(0)?.dims())?;
    let [images, channels, h, w] = dims;
    let size = [length(call.int_or("output_height", 1))?, length(call.int_or("output_width", 1))?];
    let found = samples(call, dims, size, max)?;
    let cells = found.at.len() / found.each.max(1);
    if cells == 0 {
        return Err(unsupported("no regions at all"));
    }
    let x = call.tensor(0)?.permute(&[0, 2, 3, 1])?.reshape(&[images * h * w, channels])?.float::<2>()?;
    count(&[found.at.len(), channels])?;
    let weight = DeviceTensor::upload(&HostTensor::f32(vec![found.at.len(), 1], found.weight)?, call.device)?;
    let parts = x.select(0, list(&found.at, call.device)) * weight.float::<2>()?;
    let parts: Tensor<3> = parts.reshape([cells, found.each, channels]);
    let y = DeviceTensor::from(if max { parts.max_dim(1) } else { parts.sum_dim(1) });
    let [rows, columns] = size;
    let y = y.reshape(&[cells / (rows * columns).max(1), rows, columns, channels])?;
    one(y.permute(&[0, 3, 1, 2])?)
}

/// Corners of a box, the lower ones first.
fn corners(b: &[f32], centred: bool) -> Result<[f32; 4]> {
    let [a, b, c, d] = array::<f32, 4>(b)?;
    Ok(match centred {
        true => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
        false => [a.min(c), b.min(d), a.max(c), b.max(d)],
    })
}

/// Shared area of two boxes over the area of both.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let ([y1, x1, y2, x2], [v1, u1, v2, u2]) = (a, b);
    let area = |y: f32, x: f32| y.max(0.0) * x.max(0.0);
    let both = area(y2.min(v2) - y1.max(v1), x2.min(u2) - x1.max(u1));
    let union = area(y2 - y1, x2 - x1) + area(v2 - v1, u2 - u1) - both;
    if both > 0.0 && union > 0.0 { both / union } else { 0.0 }
}

/// Boxes with the highest scores of every class, without those that overlap better ones: image, class and box of each.
fn non_max_suppression(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (boxes, scores) = (call.read(0)?, call.read(1)?);
    let ([images, count, four], [_, classes, own]): ([usize; 3], [usize; 3]) =
        (array(&boxes.dims)?, array(&scores.dims)?);
    if four != 4 || own != count {
        return Err(bad_shape(format!("boxes {:?} with scores {:?}", boxes.dims, scores.dims)));
    }
    let most = length(call.ints(2)?.and_then(|v| v.first().copied()).unwrap_or(0).max(0))?;
    let shared = call.float_input(3)?.unwrap_or(0.0);
    let least = call.float_input(4)?.unwrap_or(f32::NEG_INFINITY);
    let centred = call.flag("center_point_box");
    let (boxes, scores) = (boxes.data.to_f32(), scores.data.to_f32());
    let mut found: Vec<i64> = Vec::new();
    for (row, scores) in scores.chunks(count.max(1)).enumerate().take(images * classes) {
        let (image, class) = (row / classes.max(1), row % classes.max(1));
        let own =
            boxes.chunks(4).skip(image * count).take(count).map(|b| corners(b, centred)).collect::<Result<Vec<_>>>()?;
        let mut order: Vec<(usize, f32, [f32; 4])> =
            scores.iter().zip(own).enumerate().map(|(i, (&s, b))| (i, s, b)).filter(|(_, s, _)| *s > least).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut chosen: Vec<[f32; 4]> = Vec::new();
        for (i, _, b) in order {
            if chosen.len() < most && chosen.iter().all(|c| overlap(*c, b) <= shared) {
                chosen.push(b);
                found.extend([image as i64, class as i64, i as i64]);
            }
        }
    }
    one(HostTensor::i64(vec![found.len() / 3, 3], found)?)
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
    let (xd, gd) = (x.dims(), grid.dims());
    let (Some((n, [_, space @ ..])), Some((last, _))) = (xd.split_first(), gd.split_last()) else {
        return Err(bad_shape(format!("a grid of shape {gd:?} for {xd:?}")));
    };
    if gd.first() != Some(n) || gd.len() != xd.len() || *last != space.len() || space.contains(&0) {
        return Err(bad_shape(format!("a grid of shape {gd:?} for {xd:?}")));
    }
    // burn's kernel has one way of sampling and no slope of its own.
    let plain = space.len() == 2 && matches!(mode, InterpolateMode::Bilinear);
    if !plain || call.mode.trains() {
        return super::sample::places(x, grid, &mode, &padding_mode, align_corners);
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
