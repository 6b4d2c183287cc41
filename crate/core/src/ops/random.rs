//! Random numbers. Every position is drawn on its own, so a cut leaves the distribution of what remains as it was; no
//! single draw can be compared, since the original's draws differ from run to run as well.

use super::Operator;
use crate::channels::{ChannelContext, Layout};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext};
use crate::onnx::DataType;

fn dtype(cx: &InferContext<'_>, default: Option<DataType>) -> Option<DataType> {
    cx.node.int("dtype").and_then(|t| DataType::from_number(i32::try_from(t).ok()?).ok()).or(default)
}

/// RandomNormalLike, RandomUniformLike, Bernoulli: one number for every position of the input.
#[derive(Debug)]
pub struct RandomLike;

impl Operator for RandomLike {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        Ok(vec![Fact { dtype: dtype(cx, x.dtype), shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        // A probability of zero gives zeros; any other distribution does not.
        let zero = cx.node.op_type == "Bernoulli";
        cx.set(0, if zero { layout } else { layout.with_zero(false) });
    }
}

/// RandomNormal and RandomUniform of a given shape, which stays.
#[derive(Debug)]
pub struct Random;

impl Operator for Random {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let shape = cx.node.ints("shape").unwrap_or_default().iter().map(|&n| Dim::Known(n)).collect();
        Ok(vec![Fact::new(dtype(cx, Some(DataType::Float)), shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}

/// Multinomial: draws classes by their scores.
#[derive(Debug)]
pub struct Multinomial;

impl Operator for Multinomial {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let samples = Dim::Known(cx.node.int("sample_size").unwrap_or(1));
        let shape = x.shape.as_ref().and_then(|s| s.first()).map(|n| vec![n.clone(), samples]);
        Ok(vec![Fact { dtype: dtype(cx, Some(DataType::Int32)), shape, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        cx.keep_whole(&mut layout, 1, value, "classes are drawn by their number along it");
        cx.set(0, layout.with_zero(false));
    }
}
