//! Convolutions with more inputs: deformable ones, and causal ones that carry a state.

use super::Operator;
use super::conv::{check_groups, convolve, rewrite_groups, weight_blocks, weight_macs};
use super::pool::{Window, spatial_output};
use crate::channels::{Blocks, ChannelContext, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, product};

/// DeformConv: a convolution whose window is bent by offsets, which stay.
#[derive(Debug)]
pub struct DeformConv;

impl Operator for DeformConv {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, w) = (cx.required(0)?, cx.required(1)?);
        cx.required(2)?;
        let (Some(xs), Some(ws)) = (&x.shape, &w.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let ([n, _, space @ ..], [filters, _, kernel @ ..]) = (xs.as_slice(), ws.as_slice()) else {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {ws:?} do not fit a convolution")));
        };
        if space.is_empty() || space.len() != kernel.len() {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {ws:?} do not fit a convolution")));
        }
        check_groups(cx, ws)?;
        let mut shape = vec![n.clone(), filters.clone()];
        shape.extend(spatial_output(cx, space, &Window::of(cx, kernel)?)?);
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        for (input, why) in [(2, "it holds the offsets of a deformable convolution"), (4, "it weighs a bent window")] {
            let mut layout = cx.layout(input);
            let value = cx.node.input(input);
            for axis in 0..cx.rank(input).unwrap_or(0) {
                cx.keep_whole(&mut layout, axis, value, why);
            }
        }
        let mut data = cx.layout(0);
        let value = cx.node.input(0);
        cx.keep_whole(&mut data, 0, value, "every image has offsets of its own");
        let blocks = usize::try_from(cx.node.int("offset_group").unwrap_or(1)).unwrap_or(1).max(1);
        if let Some(b) = data.at(1).filter(|_| blocks > 1).cloned() {
            let rows = cx.balance(&b, blocks);
            cx.pin_ids(value, 1, &rows, "the number of offset groups of a deformable convolution stays");
        }
        convolve(cx, 3);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        weight_macs(cx, outputs, 0)
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, Blocks)> {
        weight_blocks(node, input)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        rewrite_groups(cx)
    }
}

/// CausalConvWithState: depthwise over time, with what came before as a second input and output.
#[derive(Debug)]
pub struct CausalConv;

impl Operator for CausalConv {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, w) = (cx.required(0)?, cx.required(1)?);
        let fact = Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None };
        let state = match (x.shape.as_deref(), w.shape.as_deref()) {
            (Some([n, c, _]), Some([_, _, k])) => Some(vec![n.clone(), c.clone(), k.sub(&Dim::Known(1))]),
            _ => None,
        };
        Ok(vec![fact, Fact { dtype: x.dtype, shape: state, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        cx.keep_whole(&mut layout, 2, value, "a convolution slides along it");
        let mut zero = true;
        for (input, axis) in [(1, 0), (2, 0), (3, 1)] {
            if cx.node.input(input).is_none() {
                continue;
            }
            let mut own = cx.layout(input);
            let rest: Vec<usize> = (0..cx.rank(input).unwrap_or(0)).filter(|a| *a != axis).collect();
            let value = cx.node.input(input);
            for a in rest {
                if input == 3 {
                    cx.keep_whole(&mut own, a, value, "it holds what came before");
                } else {
                    cx.fix(&mut own, a);
                }
            }
            cx.align(&mut layout, &mut own, &[(1, axis)]);
            for b in &own.bundles {
                cx.role(&b.ids, Role::Companion);
            }
            zero &= input == 3 || own.at(axis).is_some_and(|b| b.zero);
        }
        let state = layout.clone();
        for b in layout.bundles.iter_mut().filter(|b| b.axes.contains(&1)) {
            b.zero = zero;
        }
        cx.set(0, layout);
        cx.set(1, state.with_zero(false));
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let (Some(out), Some(w)) = (outputs.first().and_then(|f| f.shape.as_ref()), cx.shape(1)) else {
            return Dim::Known(0);
        };
        product(out).mul(w.last().unwrap_or(&Dim::Known(1)))
    }
}
