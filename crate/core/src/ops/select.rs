//! Operators that choose, count or order positions along an axis: that axis stays, all others pass.

use super::Operator;
use crate::channels::{ChannelContext, Layout, Role, take};
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Shape, axis_of};
use crate::onnx::DataType;

/// Keeps one axis of the first input and returns the layout.
fn without(cx: &mut ChannelContext<'_>, axis: usize, why: &str) -> Layout {
    let mut layout = cx.layout(0);
    let value = cx.node.input(0);
    cx.keep_whole(&mut layout, axis, value, why);
    layout
}

/// Keeps every axis of an input.
fn keep_input(cx: &mut ChannelContext<'_>, input: usize, why: &str) {
    let mut layout = cx.layout(input);
    let value = cx.node.input(input);
    for axis in 0..cx.rank(input).unwrap_or(0) {
        cx.keep_whole(&mut layout, axis, value, why);
    }
}

fn same(cx: &InferContext<'_>) -> Result<Vec<Fact>> {
    let x = cx.required(0)?;
    Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
}

/// TopK: values and their positions.
#[derive(Debug)]
pub struct TopK;

impl Operator for TopK {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let both = |shape: Option<Shape>| {
            vec![
                Fact { dtype: x.dtype, shape: shape.clone(), constant: None },
                Fact { dtype: Some(DataType::Int64), shape, constant: None },
            ]
        };
        let Some(from) = &x.shape else { return Ok(both(None)) };
        let axis = cx.axis(cx.node.int("axis").unwrap_or(-1), from.len())?;
        let given = cx.ints_or_attribute(1, "k").or_else(|| cx.node.int("k").map(|k| vec![Dim::Known(k)]));
        let k = given.and_then(|k| k.first().cloned());
        let mut shape = from.clone();
        if let Some(d) = shape.get_mut(axis) {
            if let (Some(n), Some(k)) = (d.known(), k.as_ref().and_then(Dim::known))
                && !(0..=n).contains(&k)
            {
                return Err(cx.bad_attribute(format!("the largest {k} of {n}")));
            }
            *d = k.unwrap_or_else(|| Dim::symbol(format!("{}.k", cx.node.name)));
        }
        Ok(both(Some(shape)))
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = cx.rank(0).and_then(|r| axis_of(cx.node.int("axis").unwrap_or(-1), r)) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let layout = without(cx, axis, "the largest positions along it are chosen");
        cx.set(0, layout.clone());
        cx.set(1, layout.with_zero(false));
    }
}

/// ArgMax and ArgMin.
#[derive(Debug)]
pub struct ArgMax;

impl Operator for ArgMax {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let Some(from) = &cx.required(0)?.shape else { return Ok(vec![Fact::of_type(Some(DataType::Int64))]) };
        let axis = cx.axis(cx.node.int("axis").unwrap_or(0), from.len())?;
        let keep = cx.node.int("keepdims") != Some(0);
        let shape = (from.iter().enumerate())
            .filter(|(i, _)| keep || *i != axis)
            .map(|(i, d)| if i == axis { Dim::Known(1) } else { d.clone() })
            .collect();
        Ok(vec![Fact::new(Some(DataType::Int64), shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = cx.rank(0).and_then(|r| axis_of(cx.node.int("axis").unwrap_or(0), r)) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let keep = cx.node.int("keepdims") != Some(0);
        let layout = without(cx, axis, "the number of the largest or smallest position along it is taken");
        let out = layout.renamed(|a| if keep || a < axis { Some(a) } else { a.checked_sub(1) });
        cx.set(0, out.with_zero(false));
    }
}

/// Sums or products of everything up to a position. Zeros change no sum, so a cut along the axis is exact where masked
/// positions are zero.
#[derive(Debug)]
pub struct Cumulative {
    /// Sums rather than products.
    pub sum: bool,
}

impl Operator for Cumulative {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        cx.required(1)?;
        let facts = same(cx)?;
        if let (Some(s), Some([axis])) = (cx.shape(0), cx.constant(1).and_then(|c| c.as_known()).as_deref()) {
            cx.axis(*axis, s.len())?;
        }
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        let known = cx.known(1).and_then(|a| axis_of(*a.first()?, cx.rank(0)?));
        let Some(axis) = known else {
            for axis in 0..cx.rank(0).unwrap_or(0) {
                cx.keep_whole(&mut layout, axis, value, "a running sum may go along it: its axis is computed");
            }
            return cx.set(0, layout);
        };
        let innermost = layout.at(axis).is_some_and(|b| b.zero && b.axes.last() == Some(&axis));
        if self.sum && innermost {
            for b in layout.bundles.iter_mut().filter(|b| b.axes.contains(&axis)) {
                b.zero = false;
            }
        } else {
            let why = "everything up to a position counts along it, and masked positions are not neutral";
            cx.keep_whole(&mut layout, axis, value, why);
        }
        if !self.sum {
            // An exclusive product starts with a one.
            layout = layout.with_zero(false);
        }
        cx.set(0, layout);
    }
}

/// OneHot: a new axis that says which number it was.
#[derive(Debug)]
pub struct OneHot;

impl Operator for OneHot {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(2)?.dtype;
        let Some(from) = &cx.required(0)?.shape else { return Ok(vec![Fact::of_type(dtype)]) };
        let axis = cx.axis(cx.node.int("axis").unwrap_or(-1), from.len() + 1)?;
        let depth = cx.constant(1).and_then(Constant::as_ints).and_then(|d| d.first().cloned());
        let mut shape = from.clone();
        shape.insert(axis, depth.unwrap_or_else(|| Dim::symbol(format!("{}.depth", cx.node.name))));
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(axis) = cx.rank(0).and_then(|r| axis_of(cx.node.int("axis").unwrap_or(-1), r + 1)) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let out = cx.layout(0).renamed(|a| Some(if a < axis { a } else { a + 1 }));
        keep_input(cx, 2, "it holds the two values of a one-hot code");
        cx.set(0, out.with_zero(false));
    }
}

/// Compress: positions along an axis that a list of truth values leaves.
#[derive(Debug)]
pub struct Compress;

impl Operator for Compress {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(1)?;
        let count = cx.constant(1).and_then(|c| c.as_known()).map(|v| v.iter().filter(|b| **b != 0).count());
        let count = count.map_or_else(|| Dim::symbol(format!("{}.count", cx.node.name)), Dim::from);
        let shape = match (cx.node.int("axis"), &x.shape) {
            (None, _) => Some(vec![count]),
            (Some(axis), Some(from)) => {
                let axis = cx.axis(axis, from.len())?;
                Some(from.iter().enumerate().map(|(i, d)| if i == axis { count.clone() } else { d.clone() }).collect())
            }
            (Some(_), None) => None,
        };
        Ok(vec![Fact { dtype: x.dtype, shape, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let axis = cx.node.int("axis").and_then(|a| axis_of(a, cx.rank(0)?));
        let Some(axis) = axis else {
            return cx.pin_inputs("what is left of it in one list depends on every position");
        };
        let mut layout = cx.layout(0);
        let at: Option<Vec<usize>> =
            cx.known(1).map(|v| v.iter().enumerate().filter(|(_, b)| **b != 0).map(|(i, _)| i).collect());
        let stored = cx.node.input(1).is_some_and(|v| cx.graph.values[v].is_parameter());
        match at.filter(|_| stored && cx.lengths(0).get(axis) == cx.lengths(1).first()) {
            Some(at) => {
                // The list loses the same positions as the data.
                let mut list = cx.layout(1);
                cx.align(&mut layout, &mut list, &[(axis, 0)]);
                for b in layout.bundles.iter_mut().filter(|b| b.axes.contains(&axis)) {
                    *b = take(b, axis, &at);
                }
                for b in &list.bundles {
                    cx.role(&b.ids, Role::Companion);
                }
            }
            None => {
                let value = cx.node.input(0);
                cx.keep_whole(&mut layout, axis, value, "which positions along it are left is computed");
                keep_input(cx, 1, "it says which positions are left");
            }
        }
        cx.set(0, layout);
    }
}

/// Trilu: the upper or lower triangle of the last two axes.
#[derive(Debug)]
pub struct Trilu;

impl Operator for Trilu {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        same(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let (value, rank) = (cx.node.input(0), cx.rank(0).unwrap_or(0));
        for axis in rank.saturating_sub(2)..rank {
            cx.keep_whole(&mut layout, axis, value, "what lies above a diagonal depends on the place along it");
        }
        cx.set(0, layout);
    }
}

/// ReverseSequence: a part of one axis, of another length for every position of a second one, is turned round.
#[derive(Debug)]
pub struct ReverseSequence;

impl Operator for ReverseSequence {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        cx.required(1)?;
        same(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let rank = cx.rank(0).unwrap_or(2);
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        let axes = [cx.node.int("time_axis").unwrap_or(0), cx.node.int("batch_axis").unwrap_or(1)];
        for axis in axes.into_iter().filter_map(|a| axis_of(a, rank)) {
            cx.keep_whole(&mut layout, axis, value, "sequences along it are turned round");
        }
        keep_input(cx, 1, "it holds the lengths of sequences");
        cx.set(0, layout);
    }
}
