//! Resize and Upsample.

use super::Operator;
use crate::channels::ChannelContext;
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Shape, axis_of};

/// Resize by scales or to sizes.
#[derive(Debug)]
pub struct Resize;

/// Inputs of scales and sizes, which moved with operator set 11.
fn ports(node: &crate::graph::Node) -> (usize, usize) {
    if node.op_type == "Upsample" || node.opset < 11 { (1, usize::MAX) } else { (2, 3) }
}

impl Resize {
    fn axes(cx: &InferContext<'_>, rank: usize) -> Option<Vec<usize>> {
        match cx.node.ints("axes") {
            Some(a) => a.iter().map(|&a| axis_of(a, rank)).collect(),
            None => Some((0..rank).collect()),
        }
    }

    /// The one scale of all axes that keeps the aspect ratio, if that is asked for.
    fn common_scale(cx: &InferContext<'_>, from: &Shape, axes: &[usize], sizes: &[Dim]) -> Option<f64> {
        let larger = match cx.node.string("keep_aspect_ratio_policy") {
            Some("not_larger") => false,
            Some("not_smaller") => true,
            _ => return None,
        };
        let ratios = axes.iter().zip(sizes).map(|(&a, n)| Some(n.known()? as f64 / from.get(a)?.known()? as f64));
        let ratios: Vec<f64> = ratios.collect::<Option<_>>()?;
        ratios.into_iter().reduce(if larger { f64::max } else { f64::min })
    }

    fn output(cx: &InferContext<'_>, from: &Shape) -> Option<Shape> {
        let axes = Self::axes(cx, from.len())?;
        let (scales, sizes) = ports(cx.node);
        let mut shape = from.clone();
        if let Some(sizes) = cx.constant(sizes).and_then(|c| c.as_ints()).filter(|s| !s.is_empty()) {
            let scale = Self::common_scale(cx, from, &axes, sizes);
            for (&axis, n) in axes.iter().zip(sizes) {
                let d = shape.get_mut(axis)?;
                *d = match scale {
                    Some(scale) => Dim::Known((d.known()? as f64 * scale).round() as i64),
                    None => n.clone(),
                };
            }
            return Some(shape);
        }
        let own: Vec<f64> = match cx.node.floats("scales") {
            Some(s) => s.iter().map(|&s| f64::from(s)).collect(),
            None => cx.constant(scales)?.as_floats()?.to_vec(),
        };
        for (&axis, &s) in axes.iter().zip(&own) {
            let d = shape.get_mut(axis)?;
            *d = match d.known() {
                Some(n) => Dim::Known((n as f64 * s).floor() as i64),
                None if s.fract() == 0.0 => d.mul(&Dim::Known(s as i64)),
                None => Dim::symbol(format!("floor({d}*{s})")),
            };
        }
        Some(shape)
    }
}

/// Whether the region of interest is all of an axis.
fn whole_region(cx: &InferContext<'_>, axis: usize) -> bool {
    let Some(rank) = cx.shape(0).map(Vec::len) else { return false };
    let Some(axes) = Resize::axes(cx, rank) else { return false };
    let Some(at) = axes.iter().position(|a| *a == axis) else { return true };
    let region = cx.constant(1).and_then(|c| c.as_floats());
    region.is_some_and(|r| r.get(at) == Some(&0.0) && r.get(at + axes.len()) == Some(&1.0))
}

impl Operator for Resize {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let shape = Self::output(cx, from).or_else(|| cx.node.output(0).map(|o| cx.unknown_shape(o, from.len())));
        Ok(vec![Fact { dtype: x.dtype, shape, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let (from, to) = (cx.shape(0), cx.output_shape(0));
        let value = cx.node.input(0);
        for axis in 0..cx.rank(0).unwrap_or(0) {
            let same = matches!((&from, &to), (Some(f), Some(t)) if f.get(axis) == t.get(axis));
            // A crop may move positions of an axis whose length stays.
            let cropped = cx.node.string("coordinate_transformation_mode") == Some("tf_crop_and_resize")
                && !cx.infer(|i| whole_region(i, axis));
            if !same || cropped {
                cx.keep_whole(&mut layout, axis, value, "it is resized along it");
            }
        }
        if cx.node.float("extrapolation_value").is_some_and(|v| v != 0.0) {
            // What lies outside of a cropped region is not zero where a channel is masked.
            layout = layout.with_zero(false);
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (_, sizes) = ports(cx.node());
        let (Some(want), Some(from)) = (cx.wanted(0), cx.new_shape(0)) else { return Ok(()) };
        if sizes == usize::MAX
            || cx.node().input(sizes).is_none()
            || cx.infer_new(|i| Self::output(i, &from)).as_ref() == Some(&want)
        {
            return Ok(());
        }
        let axes = cx.infer_old(|i| Self::axes(i, from.len())).unwrap_or_default();
        let wanted = axes.iter().filter_map(|&a| want.get(a).cloned()).collect();
        cx.set_layout(sizes, "", wanted, "sizes of a resize")
    }
}
