//! Softmax and its relatives: every position along the axis counts for every other.

use super::Operator;
use crate::channels::ChannelContext;
use crate::error::Result;
use crate::graph::{Fact, InferContext, axis_of};

/// Softmax, LogSoftmax, Hardmax.
#[derive(Debug)]
pub struct Softmax;

impl Operator for Softmax {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        if let (Some(axis), Some(rank)) = (cx.node.int("axis"), x.shape.as_ref().map(Vec::len))
            && axis != rank as i64
        {
            cx.axis(axis, rank)?;
        }
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let rank = cx.rank(0).unwrap_or(0);
        let old = cx.node.opset < 13;
        let first = axis_of(cx.node.int("axis").unwrap_or(if old { 1 } else { -1 }), rank).unwrap_or(0);
        let value = cx.node.input(0);
        // Before operator set 13 everything from the axis on was one axis.
        for axis in first..if old { rank } else { (first + 1).min(rank) } {
            cx.keep_whole(&mut layout, axis, value, "a softmax runs over it");
        }
        cx.set(0, layout.with_zero(false));
    }
}
