//! GatherElements, GatherND, ScatterElements, ScatterND, TensorScatter: axes that are picked by number stay whole, all
//! others pass, together with those of the indices and updates that lie beside them.

use super::Operator;
use crate::channels::{ChannelContext, Layout, Role, merge};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Fact, InferContext, Shape, axis_of};

const PICKED: &str = "positions along it are picked by number";
const WRITTEN: &str = "positions along it are written by number";

/// Refuses indices that are no whole numbers.
fn check_indices(cx: &InferContext<'_>, input: usize) -> Result<()> {
    cx.required(input)?;
    match cx.dtype(input).filter(|t| !t.is_integer()) {
        Some(t) => Err(Error::new(
            Code::BadType,
            format!("{}: indices have to be whole numbers, not {}", cx.node.place(), t.name()),
        )),
        None => Ok(()),
    }
}

/// Axis of the operator; 0 unless given.
fn own_axis(cx: &ChannelContext<'_>, default: i64) -> Option<usize> {
    axis_of(cx.node.int("axis").unwrap_or(default), cx.rank(0)?)
}

/// Keeps an axis of the value at an input.
fn keep(cx: &mut ChannelContext<'_>, layout: &mut Layout, input: usize, axis: usize, why: &str) {
    let value = cx.node.input(input);
    cx.keep_whole(layout, axis, value, why);
}

/// Notes that parameters looked up by number make the channels of their other axes, and that the rest goes along.
fn mark(cx: &mut ChannelContext<'_>, layout: &Layout, role: Role) {
    for b in &layout.bundles {
        cx.role(&b.ids, role);
    }
}

/// Layouts of data and further inputs after they agree on all axes but one. Axes along which they differ in length stay.
fn beside(cx: &mut ChannelContext<'_>, axis: usize, others: &[usize], why: &str) -> (Layout, Vec<Layout>) {
    let mut data = cx.layout(0);
    let mut layouts: Vec<Layout> = others.iter().map(|&i| cx.layout(i)).collect();
    let (shape, rank) = (cx.shape(0), cx.rank(0).unwrap_or(0));
    let shapes: Vec<Option<Shape>> = others.iter().map(|&i| cx.shape(i)).collect();
    let equal = |a: usize| {
        shapes.iter().all(|s| matches!((&shape, s), (Some(x), Some(y)) if x.get(a) == y.get(a) && x.len() == y.len()))
    };
    for a in (0..rank).filter(|&a| a == axis || !equal(a)) {
        let why = if a == axis { why } else { "only a part of it is indexed" };
        keep(cx, &mut data, 0, a, why);
        for (layout, &input) in layouts.iter_mut().zip(others) {
            keep(cx, layout, input, a, why);
        }
    }
    let pairs: Vec<(usize, usize)> = (0..rank).filter(|&a| a != axis && equal(a)).map(|a| (a, a)).collect();
    for _ in 0..2 {
        for k in 0..layouts.len() {
            let Some(mut own) = layouts.get(k).cloned() else { continue };
            cx.align(&mut data, &mut own, &pairs);
            if let Some(slot) = layouts.get_mut(k) {
                *slot = own;
            }
        }
    }
    (data, layouts)
}

/// GatherElements.
#[derive(Debug)]
pub struct GatherElements;

impl Operator for GatherElements {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        check_indices(cx, 1)?;
        if let Some(s) = &x.shape {
            cx.axis(cx.node.int("axis").unwrap_or(0), s.len())?;
        }
        Ok(vec![Fact { dtype: x.dtype, shape: cx.shape(1).cloned(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = own_axis(cx, 0) else { return cx.pin_inputs("the number of axes is not known") };
        let (data, indices) = beside(cx, axis, &[1], PICKED);
        mark(cx, &data, Role::Producer);
        for l in &indices {
            mark(cx, l, Role::Companion);
        }
        cx.set(0, data);
    }
}

/// GatherND.
#[derive(Debug)]
pub struct GatherNd;

/// Axes in front that are shared, and how many axes behind them are indexed.
fn nd_parts(cx: &InferContext<'_>) -> Option<(usize, usize)> {
    let batch = usize::try_from(cx.node.int("batch_dims").unwrap_or(0)).ok()?;
    let depth = cx.shape(1)?.last()?.length()?;
    let (rank, own) = (cx.shape(0)?.len(), cx.shape(1)?.len());
    (batch < own && batch.checked_add(depth)? <= rank).then_some((batch, depth))
}

impl Operator for GatherNd {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        check_indices(cx, 1)?;
        let (Some(from), Some(index)) = (&x.shape, cx.shape(1)) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let Some((batch, depth)) = nd_parts(cx) else {
            return match index.last().map(Dim::length) {
                Some(None) => Ok(vec![Fact::of_type(x.dtype)]),
                _ => Err(cx.bad_shape(format!("indices of shape {index:?} into {from:?}"))),
            };
        };
        let mut shape: Shape = index.iter().take(index.len().saturating_sub(1)).cloned().collect();
        shape.extend(from.iter().skip(batch + depth).cloned());
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some((batch, depth)) = cx.infer(nd_parts) else {
            return cx.pin_inputs("how many axes are picked by number is only told by running the model");
        };
        let (mut data, mut index) = (cx.layout(0), cx.layout(1));
        for axis in batch..batch + depth {
            keep(cx, &mut data, 0, axis, PICKED);
        }
        let last = cx.rank(1).unwrap_or(1).saturating_sub(1);
        keep(cx, &mut index, 1, last, "it holds the numbers of a position");
        let pairs: Vec<(usize, usize)> = (0..batch).map(|a| (a, a)).collect();
        cx.align(&mut data, &mut index, &pairs);
        mark(cx, &data, Role::Producer);
        mark(cx, &index, Role::Companion);
        let rows = data.renamed(|a| match a {
            a if a < batch => Some(a),
            a => Some(a + last - batch - depth),
        });
        // What numbers pick is not zero because the rows of numbers are masked.
        cx.set(0, merge(&[rows, index.with_zero(false)]));
    }
}

/// ScatterElements and its older form, Scatter.
#[derive(Debug)]
pub struct ScatterElements;

impl Operator for ScatterElements {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        check_indices(cx, 1)?;
        cx.required(2)?;
        if let Some(s) = &x.shape {
            cx.axis(cx.node.int("axis").unwrap_or(0), s.len())?;
        }
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = own_axis(cx, 0) else { return cx.pin_inputs("the number of axes is not known") };
        let (mut data, others) = beside(cx, axis, &[1, 2], WRITTEN);
        settle_zero(&mut data, others.get(1), Some);
        for l in &others {
            mark(cx, l, Role::Companion);
        }
        mark(cx, &data, Role::Companion);
        cx.set(0, data);
    }
}

/// Masked positions stay zero only if what is written there is zero, too.
fn settle_zero(data: &mut Layout, updates: Option<&Layout>, to: impl Fn(usize) -> Option<usize>) {
    for b in &mut data.bundles {
        let beside = b.axes.iter().find_map(|&a| updates.and_then(|u| u.at(to(a)?)));
        b.zero &= beside.is_some_and(|u| u.zero);
    }
}

/// ScatterND.
#[derive(Debug)]
pub struct ScatterNd;

impl Operator for ScatterNd {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        check_indices(cx, 1)?;
        cx.required(2)?;
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (Some((_, depth)), Some(rank), Some(own)) = (cx.infer(nd_parts), cx.rank(0), cx.rank(1)) else {
            return cx.pin_inputs("how many axes are written by number is only told by running the model");
        };
        let (mut data, mut index, mut updates) = (cx.layout(0), cx.layout(1), cx.layout(2));
        for axis in 0..depth {
            keep(cx, &mut data, 0, axis, WRITTEN);
        }
        for axis in 0..own {
            keep(cx, &mut index, 1, axis, "it holds the numbers of the positions that are written");
        }
        let rows = own.saturating_sub(1);
        for axis in 0..rows {
            keep(cx, &mut updates, 2, axis, "it is written row by row to positions given by number");
        }
        let pairs: Vec<(usize, usize)> = (depth..rank).map(|a| (a, a + rows - depth)).collect();
        cx.align(&mut data, &mut updates, &pairs);
        mark(cx, &data, Role::Companion);
        mark(cx, &updates, Role::Companion);
        settle_zero(&mut data, Some(&updates), |a| (a + rows).checked_sub(depth));
        cx.set(0, data);
    }
}

/// TensorScatter: writes new rows into a cache, from positions that are given a batch entry.
#[derive(Debug)]
pub struct TensorScatter;

impl Operator for TensorScatter {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(1)?;
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = own_axis(cx, -2) else { return cx.pin_inputs("the number of axes is not known") };
        let (mut data, mut updates) = (cx.layout(0), cx.layout(1));
        for a in [0, axis] {
            keep(cx, &mut data, 0, a, WRITTEN);
            keep(cx, &mut updates, 1, a, WRITTEN);
        }
        let pairs: Vec<(usize, usize)> = (1..cx.rank(0).unwrap_or(0)).filter(|&a| a != axis).map(|a| (a, a)).collect();
        cx.align(&mut data, &mut updates, &pairs);
        let mut written = cx.layout(2);
        keep(cx, &mut written, 2, 0, "it says where a cache is written");
        settle_zero(&mut data, Some(&updates), Some);
        cx.set(0, data);
    }
}
