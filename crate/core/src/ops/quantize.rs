//! QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: scales and zero points accompany what they belong to.
//!
//! A quantised value counts as zero where it stands for the real number zero, which is its zero point: that is what a mask
//! puts into quantised weights.

use super::Operator;
use crate::channels::{ChannelContext, Layout, Role};
use crate::cut::CutContext;
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Fact, InferContext, Node, axis_of};
use crate::onnx::DataType;

/// QuantizeLinear or DequantizeLinear.
#[derive(Debug)]
pub struct Linear {
    /// Whether it makes quantised values.
    pub quantize: bool,
}

/// Length of the blocks that share a scale along the axis; 0 for one scale a position or a tensor.
fn block_size(node: &Node) -> usize {
    node.int("block_size").and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

impl Operator for Linear {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(1)?;
        let given = cx.node.int("output_dtype").filter(|n| *n != 0);
        let given = given.and_then(|n| i32::try_from(n).ok()).and_then(|n| DataType::from_number(n).ok());
        let dtype = given.or_else(|| match self.quantize {
            true => cx.dtype(2).or(Some(DataType::Uint8)),
            false => cx.dtype(1),
        });
        if let (Some(xs), Some(Dim::Known(n))) =
            (&x.shape, cx.shape(1).filter(|s| s.len() == 1).and_then(|s| s.first()))
            && *n > 1
        {
            let axis = cx.axis(cx.node.int("axis").unwrap_or(1), xs.len())?;
            if xs.get(axis).and_then(Dim::known).is_some_and(|d| d != *n) {
                return Err(cx.bad_shape(format!("{n} scales for axis {axis} of {xs:?}")));
            }
        }
        Ok(vec![Fact { dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let (rank, scales) = (cx.rank(0).unwrap_or(0), cx.rank(1).unwrap_or(0));
        let axis = axis_of(cx.node.int("axis").unwrap_or(1), rank).unwrap_or(0);
        let before: Vec<bool> = layout.bundles.iter().map(|b| b.zero).collect();
        let mut scaled = Layout::default();
        for input in [1, 2] {
            if cx.node.input(input).is_none() || cx.lengths(input).iter().all(|n| *n == Some(1)) {
                continue;
            }
            let own = if scales == 1 {
                let mut p = cx.layout(input);
                cx.align(&mut layout, &mut p, &[(axis, 0)]);
                p.renamed(|_| Some(axis))
            } else {
                blocked(cx, &mut layout, input, axis, rank)
            };
            for b in &own.bundles {
                cx.role(&b.ids, Role::Companion);
            }
            if input == 1 {
                scaled = own;
            }
        }
        for (i, b) in layout.bundles.iter_mut().enumerate() {
            let scale = b.axes.iter().find_map(|&a| scaled.at(a)).map(|s| s.zero);
            let zero = before.get(i).copied().unwrap_or(b.zero) && b.zero;
            b.zero = match self.quantize {
                // Where the scale is masked as well, zero is divided by zero.
                true => zero && scale != Some(true),
                false => zero || scale == Some(true),
            };
        }
        cx.set(0, layout);
    }

    fn passes(&self, _node: &Node) -> bool {
        true
    }

    fn zero_point(&self, node: &Node, input: usize) -> Option<(usize, i64)> {
        (input == 0 && !self.quantize && block_size(node) == 0).then(|| (2, node.int("axis").unwrap_or(1)))
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let old = block_size(cx.node());
        let (Some(x), Some(s)) = (cx.new_shape(0), cx.new_shape(1)) else { return Ok(()) };
        if old == 0 || s.len() != x.len() {
            return Ok(());
        }
        let Some(axis) = axis_of(cx.node().int("axis").unwrap_or(1), x.len()) else { return Ok(()) };
        let (Some(n), Some(blocks)) = (x.get(axis).and_then(Dim::length), s.get(axis).and_then(Dim::length)) else {
            return Ok(());
        };
        match n.checked_div(blocks) {
            Some(size) if size * blocks == n && size != old => cx.set_int("block_size", size as i64),
            Some(size) if size * blocks == n => {}
            _ if n.div_ceil(old) == blocks => {}
            _ => {
                let what = format!("{}: {n} positions do not divide into {blocks} blocks", cx.node().place());
                return Err(Error::new(Code::Invalid, what));
            }
        }
        Ok(())
    }
}

/// Scales of blocks along `axis`; along every other axis they lie as the values do. Every block keeps as many positions.
fn blocked(cx: &mut ChannelContext<'_>, layout: &mut Layout, input: usize, axis: usize, rank: usize) -> Layout {
    let mut p = cx.layout(input);
    let others: Vec<(usize, usize)> = (0..rank).filter(|a| *a != axis).map(|a| (a, a)).collect();
    cx.align(layout, &mut p, &others);
    let n = cx.lengths(0).get(axis).copied().flatten().unwrap_or(0);
    let blocks = cx.lengths(input).get(axis).copied().flatten().unwrap_or(0);
    let even = blocks > 0 && n % blocks == 0 && n / blocks == block_size(cx.node);
    match (layout.at(axis).cloned().filter(|b| b.axes == [axis] && even), p.at(axis).cloned()) {
        (Some(b), Some(own)) => {
            let rows = cx.balance(&b, blocks);
            cx.unite(&rows, &own.ids);
        }
        (Some(_), None) if blocks == 1 && even => {}
        _ => {
            cx.keep_whole(layout, axis, cx.node.input(0), "blocks along it share a scale");
            cx.keep_whole(&mut p, axis, cx.node.input(input), "it holds one scale a block");
        }
    }
    p.renamed(|a| (a != axis).then_some(a))
}

/// DynamicQuantizeLinear: its scale is that of the whole tensor, which zeros do not change.
#[derive(Debug)]
pub struct Dynamic;

impl Operator for Dynamic {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        Ok(vec![
            Fact { dtype: Some(DataType::Uint8), shape: x.shape.clone(), constant: None },
            Fact::new(x.dtype, vec![]),
            Fact::new(Some(DataType::Uint8), vec![]),
        ])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        for b in layout.bundles.iter().filter(|b| !b.zero) {
            cx.renormalises(&b.ids);
        }
        cx.set(0, layout);
    }
}
