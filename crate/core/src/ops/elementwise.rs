//! Activations and broadcast arithmetic: aligned positions of all operands are the same channel.

use super::{After, Operator, fold, rest};
use crate::channels::{Affine, ChannelContext};
use crate::cut::{Rest, RestContext};
use crate::error::Result;
use crate::graph::{Constant, Elements, Fact, InferContext};
use crate::onnx::DataType;

/// When an operator's result is zero at masked positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Zero {
    /// Unary: f(0) = 0.
    Kept,
    /// Never.
    Lost,
    /// If every operand is zero there.
    All,
    /// If any operand is.
    Any,
    /// If the first one is.
    First,
    /// As `First`; a divisor that is zero there would give no number, so it is pinned.
    Dividend,
    /// As `First`, if the exponent is a positive constant.
    Power,
}

fn infer_broadcast(cx: &InferContext<'_>, dtype: Option<DataType>) -> Result<Vec<Fact>> {
    let values: Vec<_> = (0..cx.node.inputs.len()).filter_map(|i| cx.value(i)).collect();
    let constants: Option<Vec<_>> = values.iter().map(|v| v.constant.as_ref()).collect();
    let shapes: Option<Vec<&[_]>> = values.iter().map(|v| v.shape.as_deref()).collect();
    let Some(shapes) = shapes else { return Ok(vec![Fact::of_type(dtype)]) };
    let shape =
        fold::broadcast_shapes(&shapes).ok_or_else(|| cx.bad_shape(format!("shapes {shapes:?} do not broadcast")))?;
    let mut fact = Fact::new(dtype, shape);
    fact.constant = constants.and_then(|c| fold::elementwise(&cx.node.op_type, &c)).map(|mut c| {
        c.dtype = dtype.unwrap_or(c.dtype);
        c
    });
    Ok(vec![fact])
}

fn is_comparison(op: &str) -> bool {
    matches!(
        op,
        "Equal"
            | "Less"
            | "Greater"
            | "LessOrEqual"
            | "GreaterOrEqual"
            | "And"
            | "Or"
            | "Xor"
            | "Not"
            | "IsNaN"
            | "IsInf"
    )
}

/// One operand.
#[derive(Debug)]
pub struct Unary {
    /// Whether f(0) = 0.
    pub zero: Zero,
}

impl Operator for Unary {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let input = cx.required(0)?;
        let dtype = match cx.node.op_type.as_str() {
            "Cast" | "BitCast" => Some(
                DataType::from_number(i32::try_from(cx.node.int("to").unwrap_or(0)).unwrap_or(-1))
                    .map_err(|e| e.at(cx.node.place()))?,
            ),
            op if is_comparison(op) => Some(DataType::Bool),
            _ => input.dtype,
        };
        let mut constant = input.constant.as_ref().and_then(|c| fold::elementwise(&cx.node.op_type, &[c]));
        if let (Some(c), Some(t)) = (&mut constant, dtype) {
            c.dtype = t;
            convert(c);
        }
        Ok(vec![Fact { dtype, shape: input.shape.clone(), constant }])
    }

    fn passes(&self, node: &crate::graph::Node) -> bool {
        matches!(node.op_type.as_str(), "Identity" | "Cast")
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        rest::activated(cx)
    }

    fn after(&self, node: &crate::graph::Node) -> After {
        match node.op_type.as_str() {
            "Identity" => After::Same,
            "Relu" => After::Rectifier,
            "LeakyRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "QuickGelu" | "Tanh" | "HardSwish" | "Mish"
            | "Softsign" | "ThresholdedRelu" | "Swish" | "Sigmoid" | "HardSigmoid" | "Softplus" => After::Activation,
            _ => After::Other,
        }
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        let keeps = self.zero == Zero::Kept && !casts_steps(cx);
        let layout = if keeps { layout } else { layout.with_zero(false) };
        cx.set(0, layout);
    }
}

/// Whether computed bytes become other numbers: the zero point of quantised ones need not be zero.
fn casts_steps(cx: &ChannelContext<'_>) -> bool {
    let Some(v) = cx.node.input(0).map(|v| &cx.graph.values[v]).filter(|_| cx.node.op_type == "Cast") else {
        return false;
    };
    !v.is_parameter() && matches!(v.dtype, Some(DataType::Uint8 | DataType::Int8 | DataType::Uint16 | DataType::Int16))
}

/// Makes a cast constant's elements fit its type.
fn convert(c: &mut Constant) {
    match &c.elements {
        Elements::Ints(v) if c.dtype.is_float() => {
            let known: Option<Vec<f64>> = v.iter().map(|d| d.known().map(|n| n as f64)).collect();
            // A symbolic number stays one under its float type: casts back and forth must not lose it.
            if let Some(known) = known {
                c.elements = Elements::Floats(known);
            }
        }
        Elements::Floats(v) if !c.dtype.is_float() => {
            c.elements = Elements::Ints(v.iter().map(|f| crate::graph::Dim::Known(f.trunc() as i64)).collect());
        }
        _ => {}
    }
}

/// Two operands, or any number.
#[derive(Debug)]
pub struct Binary {
    /// When the result is zero.
    pub zero: Zero,
}

impl Operator for Binary {
    fn after(&self, node: &crate::graph::Node) -> After {
        match node.op_type.as_str() {
            "Add" | "Sum" => After::Sum,
            "Mul" => After::Product,
            "PRelu" => After::Activation,
            _ => After::Other,
        }
    }

    fn affine(&self, node: &crate::graph::Node, inputs: &[Option<Affine>]) -> Option<Affine> {
        let [Some(a), Some(b)] = inputs else { return None };
        match node.op_type.as_str() {
            "Add" => a.add(b),
            "Mul" => a.mul(b),
            _ => None,
        }
    }

    fn silenced(&self, zero: &dyn Fn(usize) -> bool) -> bool {
        self.zero == Zero::Any && (zero(0) || zero(1))
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let first = cx.required(0)?;
        if !matches!(self.zero, Zero::All) || cx.node.op_type == "Add" || cx.node.op_type == "Sub" {
            cx.required(1)?;
        }
        let dtype = if is_comparison(&cx.node.op_type) { Some(DataType::Bool) } else { first.dtype };
        infer_broadcast(cx, dtype)
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        rest::broadcast(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let inputs: Vec<usize> = (0..cx.node.inputs.len()).collect();
        let rule = self.zero;
        let positive = rule == Zero::Power && positive_exponent(cx);
        let layout = cx.broadcast(&inputs, &|z: &[Option<bool>]| match rule {
            Zero::All => z.iter().all(|z| *z == Some(true)),
            Zero::Any => z.contains(&Some(true)),
            Zero::First | Zero::Dividend => z.first() == Some(&Some(true)),
            Zero::Power => positive && z.first() == Some(&Some(true)),
            Zero::Kept | Zero::Lost => false,
        });
        if rule == Zero::Dividend {
            let divisor = cx.layout(1);
            for b in divisor.bundles.iter().filter(|b| b.zero) {
                let axis = b.axes.first().copied().unwrap_or(0);
                cx.pin_ids(
                    cx.node.input(1),
                    axis,
                    &b.ids.clone(),
                    "something is divided by it, and a masked channel would be divided by zero",
                );
            }
        }
        cx.set(0, layout);
    }
}

fn positive_exponent(cx: &ChannelContext<'_>) -> bool {
    let Some(v) = cx.node.input(1) else { return false };
    match cx.graph.values[v].constant.as_ref().map(|c| &c.elements) {
        Some(Elements::Floats(v)) => v.iter().all(|&e| e > 0.0),
        Some(Elements::Ints(v)) => v.iter().all(|e| e.known().is_some_and(|e| e > 0)),
        None => false,
    }
}

/// Where(condition, a, b).
#[derive(Debug)]
pub struct Where;

impl Operator for Where {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        (0..3).try_for_each(|i| cx.required(i).map(drop))?;
        infer_broadcast(cx, cx.dtype(1))
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        rest::broadcast(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.broadcast(&[0, 1, 2], &|z| z.get(1) == Some(&Some(true)) && z.get(2) == Some(&Some(true)));
        cx.set(0, layout);
    }
}

/// Clip between scalars, given as attributes or inputs.
#[derive(Debug)]
pub struct Clip;

/// Known numbers between known bounds.
fn clipped(cx: &InferContext<'_>) -> Option<Constant> {
    let mut out = cx.constant(0)?.clone();
    for (input, name, op) in [(1, "min", "Max"), (2, "max", "Min")] {
        let bound = match (cx.node.float(name), cx.node.input(input)) {
            (Some(v), _) => {
                Constant { dtype: out.dtype, dims: Vec::new(), elements: Elements::Floats(vec![f64::from(v)]) }
            }
            (None, Some(_)) => cx.constant(input)?.clone(),
            (None, None) => continue,
        };
        out = fold::elementwise(op, &[&out, &bound])?;
    }
    Some(out)
}

impl Operator for Clip {
    fn after(&self, _node: &crate::graph::Node) -> After {
        After::Clip
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let input = cx.required(0)?;
        Ok(vec![Fact { dtype: input.dtype, shape: input.shape.clone(), constant: clipped(cx) }])
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        let bound = |input: usize, name: &str, open: f64| match (cx.node.float(name), cx.node.input(input)) {
            (Some(v), _) => Some(f64::from(v)),
            (None, Some(_)) => cx.numbers(input)?.as_floats()?.first().copied(),
            (None, None) => Some(open),
        };
        let bounds = bound(1, "min", f64::NEG_INFINITY).zip(bound(2, "max", f64::INFINITY));
        match (cx.numbers(0), bounds) {
            (Some(Constant { dims, elements: Elements::Floats(v), .. }), Some((low, high))) => {
                cx.made(dims, v.into_iter().map(|x| x.max(low).min(high)).collect())
            }
            _ => Rest::Unknown,
        }
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let bound = |input: usize, name: &str, default: f64| -> Option<f64> {
            match (cx.node.float(name), cx.node.input(input)) {
                (Some(v), _) => Some(f64::from(v)),
                (None, Some(v)) => cx.graph.values[v].constant.as_ref()?.as_floats()?.first().copied(),
                (None, None) => Some(default),
            }
        };
        let low = bound(1, "min", f64::NEG_INFINITY).is_some_and(|v| v <= 0.0);
        let high = bound(2, "max", f64::INFINITY).is_some_and(|v| v >= 0.0);
        let layout = cx.layout(0);
        cx.set(0, if low && high { layout } else { layout.with_zero(false) });
    }
}

/// CastLike: another element type, that of the second input, of which nothing else counts.
#[derive(Debug)]
pub struct CastLike;

impl Operator for CastLike {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let input = cx.required(0)?;
        let dtype = cx.required(1)?.dtype;
        let constant = match (&input.constant, dtype) {
            (Some(c), Some(t)) => {
                let mut c = Constant { dtype: t, ..c.clone() };
                convert(&mut c);
                Some(c)
            }
            _ => None,
        };
        Ok(vec![Fact { dtype, shape: input.shape.clone(), constant }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        cx.set(0, layout);
    }
}

/// Dropout: the identity when a model is used; its mask output carries the same channels.
#[derive(Debug)]
pub struct Dropout;

impl Operator for Dropout {
    fn after(&self, _node: &crate::graph::Node) -> After {
        After::Same
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let input = cx.required(0)?;
        let fact = Fact { dtype: input.dtype, shape: input.shape.clone(), constant: None };
        Ok(vec![fact.clone(), Fact { dtype: Some(DataType::Bool), ..fact }])
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        cx.numbers(0).map_or(Rest::Unknown, Rest::Numbers)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        cx.set(0, layout.clone());
        cx.set(1, layout.with_zero(false));
    }
}
