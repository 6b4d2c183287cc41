//! Regions and sampling grids: RoiAlign, MaxRoiPool, GridSample, AffineGrid, NonMaxSuppression. Channels pass; maps and
//! coordinates stay whole.

use super::Operator;
use crate::channels::{ChannelContext, merge};
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Shape};
use crate::onnx::DataType;

/// Keeps every axis of an input but those in `free`.
fn keep(cx: &mut ChannelContext<'_>, input: usize, free: &[usize], why: &str) -> crate::channels::Layout {
    let mut layout = cx.layout(input);
    let value = cx.node.input(input);
    for axis in (0..cx.rank(input).unwrap_or(0)).filter(|a| !free.contains(a)) {
        cx.keep_whole(&mut layout, axis, value, why);
    }
    layout
}

/// RoiAlign and MaxRoiPool: one small map for every region.
#[derive(Debug)]
pub struct RoiPool;

impl Operator for RoiPool {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, regions) = (cx.required(0)?, cx.required(1)?);
        let (Some(xs), Some(rs)) = (&x.shape, &regions.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let ([_, c, _, _], [n, _]) = (xs.as_slice(), rs.as_slice()) else {
            return Err(cx.bad_shape(format!("data {xs:?} and regions {rs:?} do not fit")));
        };
        let (h, w) = match cx.node.ints("pooled_shape") {
            Some([h, w]) => (*h, *w),
            _ => (cx.node.int("output_height").unwrap_or(1), cx.node.int("output_width").unwrap_or(1)),
        };
        Ok(vec![Fact::new(x.dtype, vec![n.clone(), c.clone(), Dim::Known(h), Dim::Known(w)])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = keep(cx, 0, &[1], "regions are taken out of it");
        keep(cx, 1, &[], "it holds the corners of regions");
        keep(cx, 2, &[], "it says from which image a region is taken");
        cx.set(0, layout);
    }
}

/// GridSample: looks up maps at computed places.
#[derive(Debug)]
pub struct GridSample;

impl Operator for GridSample {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, grid) = (cx.required(0)?, cx.required(1)?);
        let (Some(xs), Some(gs)) = (&x.shape, &grid.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if gs.len() != xs.len() || xs.len() < 3 {
            return Err(cx.bad_shape(format!("data {xs:?} and a grid {gs:?} do not fit")));
        }
        let mut shape: Shape = xs.iter().take(2).cloned().collect();
        shape.extend(gs.iter().take(gs.len() - 1).skip(1).cloned());
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut data = keep(cx, 0, &[0, 1], "it is looked up at computed places");
        let last = cx.rank(1).unwrap_or(1).saturating_sub(1);
        let free: Vec<usize> = (0..last).collect();
        let mut grid = keep(cx, 1, &free, "it holds coordinates");
        cx.align(&mut data, &mut grid, &[(0, 0)]);
        let places = grid.renamed(|a| Some(if a == 0 { 0 } else { a + 1 })).with_zero(false);
        cx.set(0, merge(&[data, places]));
    }
}

/// AffineGrid: coordinates from a matrix for every image.
#[derive(Debug)]
pub struct AffineGrid;

impl Operator for AffineGrid {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let theta = cx.required(0)?;
        cx.list(1)?;
        let Some([n, _, rest @ ..]) = cx.constant(1).and_then(Constant::as_ints) else {
            return Ok(vec![Fact::of_type(theta.dtype)]);
        };
        let mut shape = vec![n.clone()];
        shape.extend(rest.iter().cloned());
        shape.push(Dim::from(rest.len()));
        Ok(vec![Fact::new(theta.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = keep(cx, 0, &[0], "it is part of a matrix that maps coordinates");
        cx.set(0, layout.with_zero(false));
    }
}

/// NonMaxSuppression: which boxes stay.
#[derive(Debug)]
pub struct NonMaxSuppression;

impl Operator for NonMaxSuppression {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        (0..2).try_for_each(|i| cx.required(i).map(drop))?;
        let shape = vec![Dim::symbol(format!("{}.count", cx.node.name)), Dim::Known(3)];
        Ok(vec![Fact::new(Some(DataType::Int64), shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.pin_inputs("boxes are chosen by their number, class and score");
    }
}
