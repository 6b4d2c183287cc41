//! Constants and shape arithmetic: values that carry no channels.

use super::Operator;
use crate::channels::{Affine, Bundle, ChannelContext, Layout};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Constant, Dim, Elements, Fact, InferContext, MAX_FOLDED, Node};
use crate::onnx::{DataType, Tensor};

/// Constant: its tensor was read when the graph was built.
#[derive(Debug)]
pub struct ConstantNode;

impl Operator for ConstantNode {
    fn infer(&self, _cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        Ok(vec![Fact::default()])
    }

    fn channels(&self, _cx: &mut ChannelContext<'_>) {}
}

/// ConstantOfShape.
#[derive(Debug)]
pub struct ConstantOfShape;

impl Operator for ConstantOfShape {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        cx.required(0)?;
        cx.list(0)?;
        let fill = match cx.node.tensor("value") {
            Some(t) => Tensor::from_proto(t, None)?,
            None => Tensor::from_f32("", vec![1], &[0.0]),
        };
        let Some(shape) = cx.constant(0).and_then(|c| c.as_ints()).map(<[Dim]>::to_vec) else {
            let rank = cx.shape(0).and_then(|s| s.first()).and_then(Dim::length);
            let shape = rank.and_then(|r| cx.node.output(0).map(|o| cx.unknown_shape(o, r)));
            return Ok(vec![Fact { dtype: Some(fill.dtype), shape, constant: None }]);
        };
        let dims: Option<Vec<usize>> = shape.iter().map(Dim::length).collect();
        let constant = dims
            .filter(|d| d.iter().try_fold(1usize, |p, &n| p.checked_mul(n)).is_some_and(|n| n <= MAX_FOLDED))
            .and_then(|dims| {
                let n = dims.iter().product();
                let elements = match Constant::of(&fill)?.elements {
                    Elements::Ints(v) => Elements::Ints(vec![v.first()?.clone(); n]),
                    Elements::Floats(v) => Elements::Floats(vec![*v.first()?; n]),
                };
                Some(Constant { dtype: fill.dtype, dims, elements })
            });
        Ok(vec![Fact { constant, ..Fact::new(Some(fill.dtype), shape) }])
    }

    fn fills(&self, node: &Node) -> Option<f64> {
        match node.tensor("value") {
            Some(t) => Tensor::from_proto(t, None).and_then(|t| t.to_f32()).ok()?.first().map(|&v| f64::from(v)),
            None => Some(0.0),
        }
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        if cx.node.output(0).is_some_and(|v| cx.graph.filled(v).is_some()) {
            return; // a parameter like any other
        }
        // The same number everywhere, so positions along any axis of known length may go.
        let zero = self.fills(cx.node) == Some(0.0);
        let mut layout = Layout::default();
        for (axis, n) in cx.output_lengths(0).into_iter().enumerate() {
            if let Some(ids) = n.filter(|n| *n > 1).and_then(|n| cx.fresh_zeros(n)) {
                layout.bundles.push(Bundle::single(axis, ids, zero));
            }
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        match cx.wanted(0) {
            Some(want) if cx.new_ints(0, "").as_ref() != Some(&want) => {
                cx.set_layout(0, "", want, "shape of a constant")
            }
            _ => Ok(()),
        }
    }
}

/// Shape, whole or from `start` to `end`.
#[derive(Debug)]
pub struct ShapeOf;

impl Operator for ShapeOf {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let Some(shape) = &cx.required(0)?.shape else { return Ok(vec![Fact::of_type(Some(DataType::Int64))]) };
        let n = shape.len() as i64;
        let clamp = |v: i64| usize::try_from(if v < 0 { v + n } else { v }.clamp(0, n)).unwrap_or(0);
        let (start, end) = (clamp(cx.node.int("start").unwrap_or(0)), clamp(cx.node.int("end").unwrap_or(n)));
        Ok(vec![Fact::constant(Constant::ints(shape.get(start..end).unwrap_or_default().to_vec()))])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}

/// Size: number of elements.
#[derive(Debug)]
pub struct Size;

impl Operator for Size {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let Some(shape) = &cx.required(0)?.shape else { return Ok(vec![Fact::of_type(Some(DataType::Int64))]) };
        let n = crate::graph::product(shape);
        Ok(vec![Fact::constant(Constant { dtype: DataType::Int64, dims: vec![], elements: Elements::Ints(vec![n]) })])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}

/// Range(start, limit, delta).
#[derive(Debug)]
pub struct Range;

impl Operator for Range {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(0)?.dtype;
        let ints: Option<Vec<Dim>> = (0..3).map(|i| cx.constant(i)?.as_ints()?.first().cloned()).collect();
        let known: Option<Vec<i64>> = ints.as_ref().and_then(|v| v.iter().map(Dim::known).collect());
        if let Some([start, limit, delta]) = known.as_deref()
            && *delta != 0
        {
            let (s, l, d) = (*start, *limit, *delta);
            let count = ((l.saturating_sub(s) as f64) / d as f64).ceil().max(0.0) as usize;
            if count <= MAX_FOLDED {
                let v: Vec<Dim> =
                    (0..count as i64).map(|i| Dim::Known(s.saturating_add(i.saturating_mul(d)))).collect();
                return Ok(vec![Fact::constant(Constant {
                    dtype: dtype.unwrap_or(DataType::Int64),
                    ..Constant::ints(v)
                })]);
            }
        }
        let length = match ints.as_deref() {
            Some([start, limit, Dim::Known(1)]) => limit.sub(start),
            _ => Dim::symbol(format!("{}.length", cx.node.name)),
        };
        Ok(vec![Fact::new(dtype, vec![length])])
    }

    fn affine(&self, _node: &Node, inputs: &[Option<Affine>]) -> Option<Affine> {
        let number = |i: usize| inputs.get(i)?.as_ref().filter(|a| a.steps.iter().all(|s| *s == 0)).map(|a| a.start);
        Some(Affine { start: number(0)?, steps: vec![number(2)?] })
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}
