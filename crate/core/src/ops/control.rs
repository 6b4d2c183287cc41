//! If, Loop, Scan: what goes in and out stays whole; shapes of the results are read off the bodies.

use super::Operator;
use crate::channels::ChannelContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, Graph, InferContext, Shape, Value};
use crate::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::tensor_shape_proto::Dimension;
use crate::onnx::proto::type_proto::Tensor as TensorType;
use crate::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto};
use crate::onnx::{Model, tensor_proto};
use std::collections::HashMap;

/// Bodies within bodies deeper than this are not looked into.
const MAX_DEPTH: usize = 4;
/// Larger bodies are not looked into.
const MAX_BODY: usize = 4096;
/// Times that the shapes carried around a loop are widened.
const PASSES: usize = 3;

fn type_of(fact: &Fact) -> Option<TypeProto> {
    let dim = |d: &Dim| Dimension {
        value: match d {
            Dim::Known(n) => Some(DimValue::DimValue(*n)),
            Dim::Symbolic(_) => Some(DimValue::DimParam(format!("{d:?}"))),
        },
        ..Dimension::default()
    };
    let shape = fact.shape.as_ref()?;
    let shape = TensorShapeProto { dim: shape.iter().map(dim).collect(), ..TensorShapeProto::default() };
    let tensor = TensorType { elem_type: Some(fact.dtype?.number()), shape: shape.into(), ..TensorType::default() };
    Some(TypeProto { tensor_type: tensor.into(), ..TypeProto::default() })
}

fn fact_of(value: &Value) -> Fact {
    Fact { dtype: value.dtype, shape: value.shape.clone(), constant: None }
}

fn depth(body: &GraphProto) -> usize {
    let inner = body.node.iter().flat_map(|n| &n.attribute).flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs));
    1 + inner.map(depth).max().unwrap_or(0)
}

/// The body as a model of its own: its inputs have the given types, and what it reads from outside are inputs or constants.
fn closed(cx: &InferContext<'_>, body: &GraphProto, inputs: &[Fact]) -> Option<Model> {
    let mut graph = body.clone();
    for (slot, fact) in graph.input.iter_mut().zip(inputs) {
        if let Some(t) = type_of(fact) {
            slot.r#type = t.into();
        }
    }
    let own: Vec<String> = graph.input.iter().filter_map(|i| i.name.clone()).collect();
    for &id in &cx.node.captures {
        let value = &cx.values()[id];
        if own.contains(&value.name) {
            continue;
        }
        match value.constant.as_ref().and_then(|c| c.to_tensor(&value.name)) {
            Some(tensor) => graph.initializer.push(tensor_proto(&tensor)),
            None => graph.input.push(ValueInfoProto {
                name: Some(value.name.clone()),
                r#type: type_of(&fact_of(value)).unwrap_or_default().into(),
                ..ValueInfoProto::default()
            }),
        }
    }
    let sets = [("", cx.node.opset), ("com.microsoft", 1)];
    let opset_import = sets.map(|(domain, version)| OperatorSetIdProto {
        domain: Some(domain.to_owned()),
        version: Some(version),
        ..OperatorSetIdProto::default()
    });
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: opset_import.to_vec(),
        graph: graph.into(),
        ..ModelProto::default()
    };
    Some(Model { proto, external: HashMap::new(), apart: false })
}

/// Types and shapes of a body's outputs. What it cannot tell, or tells by names of its own, is left open.
fn outputs(cx: &InferContext<'_>, name: &str, inputs: &[Fact]) -> Vec<Fact> {
    let body = cx.node.attributes.iter().find(|a| a.name.as_deref() == Some(name)).and_then(|a| a.g.as_option());
    let Some(body) = body.filter(|b| b.node.len() <= MAX_BODY && depth(b) <= MAX_DEPTH) else { return Vec::new() };
    let known: Vec<String> = inputs
        .iter()
        .filter_map(|f| f.shape.as_ref())
        .chain(cx.node.captures.iter().filter_map(|&v| cx.values()[v].shape.as_ref()))
        .flatten()
        .map(|d| format!("{d:?}"))
        .collect();
    let outer: HashMap<String, Dim> = (inputs.iter().filter_map(|f| f.shape.as_ref()))
        .chain(cx.node.captures.iter().filter_map(|&v| cx.values()[v].shape.as_ref()))
        .flatten()
        .map(|d| (format!("{d:?}"), d.clone()))
        .collect();
    let graph = closed(cx, body, inputs).and_then(|m| Graph::new(&m).ok());
    let Some(graph) = graph else { return Vec::new() };
    let translate = |(axis, d): (usize, &Dim)| match d {
        Dim::Known(_) => d.clone(),
        Dim::Symbolic(_) if known.contains(&format!("{d:?}")) => {
            outer.get(&format!("{d:?}")).cloned().unwrap_or_else(|| Dim::symbol(format!("{name}.{axis}")))
        }
        Dim::Symbolic(_) => Dim::symbol(format!("{}.{name}.{axis}.{d:?}", cx.node.name)),
    };
    let fact = |v: &Value| Fact {
        dtype: v.dtype,
        shape: v.shape.as_ref().map(|s| s.iter().enumerate().map(translate).collect()),
        constant: None,
    };
    graph.outputs.iter().map(|&v| fact(&graph.values[v])).collect()
}

/// What two facts have in common; lengths that differ are left open under a name of their own.
fn common(a: &Fact, b: &Fact, name: &str) -> Fact {
    let dtype = a.dtype.filter(|t| b.dtype == Some(*t));
    let shape = match (&a.shape, &b.shape) {
        (Some(x), Some(y)) if x.len() == y.len() => {
            let dims = x.iter().zip(y).enumerate();
            let both = |(axis, (p, q)): (usize, (&Dim, &Dim))| {
                if p == q { p.clone() } else { Dim::symbol(format!("{name}.{axis}")) }
            };
            Some(dims.map(both).collect::<Shape>())
        }
        _ => None,
    };
    Fact { dtype, shape, constant: None }
}

fn input_fact(cx: &InferContext<'_>, input: usize) -> Fact {
    cx.value(input).map(fact_of).unwrap_or_default()
}

fn pin(cx: &mut ChannelContext<'_>) {
    cx.pin_inputs(
        "the body of the node reads it; channels are not followed into bodies: fold or unroll the node to cut them",
    );
}

/// If: the outputs of both branches.
#[derive(Debug)]
pub struct If;

impl Operator for If {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        cx.required(0)?;
        let (a, b) = (outputs(cx, "then_branch", &[]), outputs(cx, "else_branch", &[]));
        let taken = cx.constant(0).and_then(|c| c.as_known()).and_then(|v| v.first().copied());
        match taken {
            Some(0) => return Ok(b),
            Some(_) => return Ok(a),
            None => {}
        }
        let name = |i: usize| format!("{}.{i}", cx.node.name);
        Ok(a.iter().zip(&b).enumerate().map(|(i, (a, b))| common(a, b, &name(i))).collect())
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        pin(cx);
    }
}

/// Shapes of the values that a body carries from one round to the next, valid in every round, and all outputs of the body.
fn carried(
    cx: &InferContext<'_>,
    first: Vec<Fact>,
    run: impl Fn(&[Fact]) -> (Vec<Fact>, Vec<Fact>),
) -> (Vec<Fact>, Vec<Fact>) {
    let mut state = first;
    for pass in 0..PASSES {
        let (next, rest) = run(&state);
        let name = |i: usize| format!("{}.carried{i}.{pass}", cx.node.name);
        let open = Fact::default();
        let wider: Vec<Fact> =
            state.iter().enumerate().map(|(i, s)| common(s, next.get(i).unwrap_or(&open), &name(i))).collect();
        let settled = wider.iter().zip(&state).all(|(a, b)| a.dtype == b.dtype && a.shape == b.shape);
        state = wider;
        if settled {
            return (state, rest);
        }
    }
    let types = state.into_iter().map(|s| Fact::of_type(s.dtype)).collect();
    (types, Vec::new())
}

/// Loop: values carried around, then values of all rounds.
#[derive(Debug)]
pub struct Loop;

impl Operator for Loop {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        use crate::onnx::DataType;
        let count = cx.node.inputs.len().saturating_sub(2);
        let first: Vec<Fact> = (0..count).map(|i| input_fact(cx, i + 2)).collect();
        let (mut out, rest) = carried(cx, first, |state| {
            let head = [Fact::new(Some(DataType::Int64), vec![]), Fact::new(Some(DataType::Bool), vec![])];
            let inputs: Vec<Fact> = head.into_iter().chain(state.iter().cloned()).collect();
            let mut all = outputs(cx, "body", &inputs).into_iter().skip(1);
            (all.by_ref().take(count).collect(), all.collect())
        });
        let rounds = Dim::symbol(format!("{}.rounds", cx.node.name));
        out.extend(
            rest.into_iter()
                .map(|f| Fact { shape: f.shape.map(|s| [rounds.clone()].into_iter().chain(s).collect()), ..f }),
        );
        Ok(out)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        pin(cx);
    }
}

/// Scan: states, then slices of all rounds.
#[derive(Debug)]
pub struct Scan;

impl Operator for Scan {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let inputs = cx.node.inputs.len();
        let scanned = cx.node.int("num_scan_inputs").and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        if cx.node.opset < 9 || scanned == 0 || scanned > inputs {
            return Ok(Vec::new());
        }
        let states = inputs - scanned;
        let axis = |name: &str, i: usize, rank: usize| {
            crate::graph::axis_of(cx.node.ints(name).and_then(|a| a.get(i)).copied().unwrap_or(0), rank).unwrap_or(0)
        };
        let mut length = None;
        let mut slices = Vec::new();
        for i in 0..scanned {
            let mut fact = input_fact(cx, states + i);
            if let Some(s) = fact.shape.as_mut().filter(|s| !s.is_empty()) {
                length = Some(s.remove(axis("scan_input_axes", i, s.len())));
            }
            slices.push(fact);
        }
        let first: Vec<Fact> = (0..states).map(|i| input_fact(cx, i)).collect();
        let (mut out, rest) = carried(cx, first, |state| {
            let given: Vec<Fact> = state.iter().chain(&slices).cloned().collect();
            let mut all = outputs(cx, "body", &given).into_iter();
            (all.by_ref().take(states).collect(), all.collect())
        });
        let length = length.unwrap_or_else(|| Dim::symbol(format!("{}.rounds", cx.node.name)));
        out.extend(rest.into_iter().enumerate().map(|(i, mut f)| {
            if let Some(s) = &mut f.shape {
                let at = axis("scan_output_axes", i, s.len() + 1);
                s.insert(at.min(s.len()), length.clone());
            }
            f
        }));
        Ok(out)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        pin(cx);
    }
}
