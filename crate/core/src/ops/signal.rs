//! Signals: DFT, STFT, windows and the mel scale. A transform mixes all positions along its axis; other axes pass.

use super::Operator;
use crate::channels::{ChannelContext, Layout};
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Shape, axis_of};
use crate::onnx::DataType;

/// The transformed axis: an attribute before operator set 20, then an input.
fn own_axis(cx: &InferContext<'_>, rank: usize) -> Option<usize> {
    if cx.node.opset < 20 {
        return axis_of(cx.node.int("axis").unwrap_or(1), rank);
    }
    match cx.node.input(2) {
        Some(_) => axis_of(*cx.constant(2)?.as_known()?.first()?, rank),
        None => axis_of(-2, rank),
    }
}

fn number(cx: &InferContext<'_>, input: usize) -> Option<Dim> {
    cx.constant(input).and_then(Constant::as_ints).and_then(|v| v.first().cloned())
}

/// How many frequencies a real signal of `n` samples has: half of them, and the constant one.
fn half(n: &Dim) -> Dim {
    n.div_floor(&Dim::Known(2)).unwrap_or(Dim::Known(0)).add(&Dim::Known(1))
}

/// DFT: the last axis holds real and imaginary parts.
#[derive(Debug)]
pub struct Dft;

impl Operator for Dft {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let Some(axis) = own_axis(cx, from.len()) else {
            let shape = cx.node.output(0).map(|o| cx.unknown_shape(o, from.len()));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        let (inverse, one) = (cx.node.int("inverse") == Some(1), cx.node.int("onesided") == Some(1));
        let mut shape: Shape = from.clone();
        if let Some(d) = shape.get_mut(axis) {
            let given = match cx.node.input(1) {
                Some(_) => number(cx, 1).unwrap_or_else(|| Dim::symbol(format!("{}.length", cx.node.name))),
                None if inverse && one => d.sub(&Dim::Known(1)).mul(&Dim::Known(2)),
                None => d.clone(),
            };
            *d = if one && !inverse { half(&given) } else { given };
        }
        if let Some(d) = shape.last_mut() {
            *d = Dim::Known(if inverse && one { 1 } else { 2 });
        }
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let rank = cx.rank(0).unwrap_or(0);
        let Some(axis) = cx.infer(|i| own_axis(i, rank)) else {
            return cx.pin_inputs("which axis a Fourier transform runs along is only told by running the model");
        };
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        cx.keep_whole(&mut layout, axis, value, "a Fourier transform mixes all positions along it");
        cx.keep_whole(&mut layout, rank.saturating_sub(1), value, "it holds real and imaginary parts");
        cx.set(0, layout);
    }
}

/// STFT: frames of a signal, each transformed.
#[derive(Debug)]
pub struct Stft;

impl Operator for Stft {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let window = cx.shape(2).and_then(|s| s.first().cloned());
        let size = number(cx, 3).or(window);
        let (Some(from), Some(step), Some(size)) = (&x.shape, number(cx, 1), size) else {
            let shape = cx.node.output(0).map(|o| cx.unknown_shape(o, 4));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        let [n, length, ..] = from.as_slice() else {
            return Err(cx.bad_shape(format!("a batch of signals is needed, not {from:?}")));
        };
        let frames = length.sub(&size).div_floor(&step).ok_or_else(|| cx.bad_attribute("a step of zero"))?;
        let bins = if cx.node.int("onesided") == Some(0) { size.clone() } else { half(&size) };
        Ok(vec![Fact::new(x.dtype, vec![n.clone(), frames.add(&Dim::Known(1)), bins, Dim::Known(2)])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        for axis in 1..cx.rank(0).unwrap_or(1) {
            cx.keep_whole(&mut layout, axis, value, "a Fourier transform mixes all samples along it");
        }
        let mut window = cx.layout(2);
        let value = cx.node.input(2);
        cx.keep_whole(&mut window, 0, value, "it weighs the samples of a frame");
        cx.set(0, layout);
    }
}

/// HannWindow, HammingWindow, BlackmanWindow.
#[derive(Debug)]
pub struct Window;

fn made_type(cx: &InferContext<'_>) -> Option<DataType> {
    DataType::from_number(i32::try_from(cx.node.int("output_datatype").unwrap_or(1)).unwrap_or(1)).ok()
}

impl Operator for Window {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        cx.required(0)?;
        let n = number(cx, 0).unwrap_or_else(|| Dim::symbol(format!("{}.size", cx.node.name)));
        Ok(vec![Fact::new(made_type(cx), vec![n])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}

/// MelWeightMatrix: from frequencies to the mel scale.
#[derive(Debug)]
pub struct MelWeightMatrix;

impl Operator for MelWeightMatrix {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        (0..5).try_for_each(|i| cx.required(i).map(drop))?;
        let open = |what: &str| Dim::symbol(format!("{}.{what}", cx.node.name));
        let bins = number(cx, 1).map_or_else(|| open("bins"), |n| half(&n));
        Ok(vec![Fact::new(made_type(cx), vec![bins, number(cx, 0).unwrap_or_else(|| open("mels"))])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.set(0, Layout::default());
    }
}

/// Det: one number for every matrix of the last two axes.
#[derive(Debug)]
pub struct Det;

impl Operator for Det {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let shape = x.shape.as_ref().map(|s| s.iter().take(s.len().saturating_sub(2)).cloned().collect());
        Ok(vec![Fact { dtype: x.dtype, shape, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let rank = cx.rank(0).unwrap_or(0);
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        for axis in rank.saturating_sub(2)..rank {
            cx.keep_whole(&mut layout, axis, value, "a determinant needs every row and column");
        }
        cx.set(0, layout);
    }
}
