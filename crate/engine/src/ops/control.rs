//! If, Loop, Scan: a body is a network of its own, built when its node runs.

use super::concat::joined;
use super::reshape::set_shape;
use super::{Call, Forward, Mode, axis_of, bad_attribute, bad_shape, length, slice, unsupported};
use crate::device::Device;
use crate::run::Network;
use crate::value::{HostData, HostTensor, Value};
use lopper_core::graph::ValueId;
use lopper_core::onnx::proto::{GraphProto, ModelProto, OperatorSetIdProto, ValueInfoProto};
use lopper_core::onnx::{DataType, Model, Tensor, tensor_proto};
use lopper_core::{Code, Error, Result};

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "If" => branch,
        "Loop" => repeat,
        "Scan" => scan,
        _ => return None,
    })
}

/// Whether a body, and all bodies within it, hold only operators that can be run.
pub(super) fn runnable(body: &GraphProto) -> bool {
    body.node.iter().all(|n| {
        let domain = n.domain.as_deref().filter(|d| *d != "ai.onnx").unwrap_or_default();
        let bodies = n.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs));
        let constant = domain.is_empty() && n.op_type.as_deref() == Some("Constant");
        let known = constant || super::named(domain, n.op_type.as_deref().unwrap_or_default()).is_some();
        known && bodies.into_iter().all(runnable)
    })
}

/// A body with what it reads from outside.
struct Body {
    network: Network,
    inputs: Vec<Option<ValueId>>,
    captured: Vec<(ValueId, Value)>,
}

impl Body {
    fn of(call: &Call<'_>, attribute: &str) -> Result<Self> {
        let attributes = &call.node.attributes;
        let body = attributes.iter().find(|a| a.name.as_deref() == Some(attribute)).and_then(|a| a.g.as_option());
        let mut graph = body.ok_or_else(|| bad_attribute(format!("{attribute} is missing")))?.clone();
        let own: Vec<String> = graph.input.iter().filter_map(|i| i.name.clone()).collect();
        let mut outer = Vec::new();
        for (name, value) in call.captured() {
            if own.iter().any(|o| o == name) {
                continue;
            }
            match value.host().and_then(|t| stored(name, t)) {
                Some(tensor) => graph.initializer.push(tensor_proto(&tensor)),
                None => {
                    graph.input.push(ValueInfoProto { name: Some(name.to_owned()), ..ValueInfoProto::default() });
                    outer.push((name.to_owned(), value.clone()));
                }
            }
        }
        let network = Network::of_body(closed(graph, call.node.opset)?, &Device::holding(call.device))?;
        let inputs = own.iter().map(|name| network.graph().find(name)).collect();
        let captured = outer.into_iter().filter_map(|(name, v)| Some((network.graph().find(&name)?, v))).collect();
        Ok(Self { network, inputs, captured })
    }

    fn run(&self, call: &mut Call<'_>, inputs: Vec<Value>) -> Result<Vec<Value>> {
        let own = self.inputs.iter().zip(inputs).filter_map(|(id, v)| Some(((*id)?, v)));
        let all = own.chain(self.captured.iter().cloned()).collect();
        let seen = |mode: &Mode| if let Mode::Train(statistics) = mode { statistics.len() } else { 0 };
        let before = seen(call.mode);
        let out = self.network.forward(all, self.network.constants(), call.mode)?;
        // Running statistics within a body are none of the network's parameters.
        if let Mode::Train(statistics) = call.mode {
            statistics.truncate(before);
        }
        Ok(out)
    }
}

/// Small whole numbers and settings go into the body as constants, so that its shapes are known.
fn stored(name: &str, t: &HostTensor) -> Option<Tensor> {
    let dims = t.dims.clone();
    Some(match &t.data {
        HostData::F32(v) => Tensor::from_f32(name, dims, v),
        HostData::I64(v) => Tensor::from_i64(name, dims, v),
        HostData::Bool(v) => Tensor {
            name: name.to_owned(),
            dtype: DataType::Bool,
            dims,
            data: v.iter().map(|&b| u8::from(b)).collect::<Vec<u8>>().into(),
        },
    })
}

/// A model of one body. A graph without nodes is none, so what goes straight through passes an Identity.
fn closed(mut graph: GraphProto, opset: i64) -> Result<Model> {
    if graph.node.is_empty() {
        for output in &mut graph.output {
            let name = output.name.clone().unwrap_or_default();
            let passed = format!("{name}.passed");
            graph.node.push(lopper_core::onnx::proto::NodeProto {
                op_type: Some("Identity".to_owned()),
                input: vec![name],
                output: vec![passed.clone()],
                ..Default::default()
            });
            output.name = Some(passed);
        }
    }
    let sets = [("", opset), ("com.microsoft", 1)];
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
    Model::of(proto)
}

fn truth(t: &HostTensor) -> Result<bool> {
    t.data.to_bool().first().copied().ok_or_else(|| bad_shape("a condition without a value"))
}

fn branch(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let name = if truth(&call.read(0)?)? { "then_branch" } else { "else_branch" };
    Body::of(call, name)?.run(call, Vec::new())
}

/// Rounds of a loop are counted, so that a file cannot keep a worker busy for ever.
const MOST_ROUNDS: i64 = 1 << 20;

fn repeat(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let rounds = if call.has(0) { call.read(0)?.data.to_i64().first().copied().unwrap_or(0) } else { i64::MAX };
    let mut going = if call.has(1) { truth(&call.read(1)?)? } else { true };
    let body = Body::of(call, "body")?;
    let carried = call.node.inputs.len().saturating_sub(2);
    let mut state = (0..carried).map(|i| call.take(i + 2)).collect::<Result<Vec<_>>>()?;
    let mut lists: Vec<Vec<Value>> = Vec::new();
    let mut round = 0;
    while going && round < rounds {
        if round >= MOST_ROUNDS {
            return Err(Error::new(Code::TooLarge, format!("a loop of more than {MOST_ROUNDS} rounds")));
        }
        let fixed = [HostTensor::i64(vec![], vec![round])?, HostTensor::new(vec![], HostData::Bool(vec![going]))?];
        let inputs = fixed.map(Value::from).into_iter().chain(state).collect();
        let mut out = body.run(call, inputs)?.into_iter();
        let next = out.next().ok_or_else(|| bad_shape("a loop without a condition"))?;
        going = truth(&call.contents(&next)?)?;
        state = out.by_ref().take(carried).collect();
        lists.resize_with(out.len(), Vec::new);
        lists.iter_mut().zip(out).for_each(|(list, v)| list.push(v));
        round += 1;
    }
    let made = lists.into_iter().map(|parts| stacked(call, parts, 0, false)).collect::<Result<Vec<_>>>()?;
    Ok(state.into_iter().chain(made).collect())
}

/// Values of all rounds along a new axis.
fn stacked(call: &Call<'_>, mut parts: Vec<Value>, axis: i64, reverse: bool) -> Result<Value> {
    let dims = parts.first().map(Value::dims).ok_or_else(|| unsupported("a list of no rounds at all"))?;
    let axis = axis_of(axis, dims.len() + 1)?;
    let mut wide = dims;
    wide.insert(axis, 1);
    if reverse {
        parts.reverse();
    }
    let parts = parts.into_iter().map(|p| set_shape(p, &wide)).collect::<Result<_>>()?;
    joined(parts, axis, call.device)
}

fn scan(call: &mut Call<'_>) -> Result<Vec<Value>> {
    if call.node.opset < 9 {
        return Err(unsupported("Scan before operator set 9"));
    }
    let read = length(call.int_or("num_scan_inputs", 0))?;
    let carried = call.node.inputs.len().checked_sub(read).ok_or_else(|| bad_attribute("too many scan inputs"))?;
    let setting = |name: &str, i: usize| call.node.ints(name).and_then(|v| v.get(i).copied()).unwrap_or(0);
    let ways: Vec<(i64, bool)> =
        (0..read).map(|i| (setting("scan_input_axes", i), setting("scan_input_directions", i) != 0)).collect();
    let made = call.node.outputs.len().saturating_sub(carried);
    let outward: Vec<(i64, bool)> =
        (0..made).map(|i| (setting("scan_output_axes", i), setting("scan_output_directions", i) != 0)).collect();
    let body = Body::of(call, "body")?;
    let mut state = (0..carried).map(|i| call.take(i)).collect::<Result<Vec<_>>>()?;
    let mut sources = Vec::with_capacity(read);
    for (i, (axis, reverse)) in ways.into_iter().enumerate() {
        let x = call.take(carried + i)?;
        let axis = axis_of(axis, x.dims().len())?;
        sources.push((x, axis, reverse));
    }
    let rounds = sources.first().and_then(|(x, axis, _)| x.dims().get(*axis).copied()).unwrap_or(0);
    if sources.iter().any(|(x, axis, _)| x.dims().get(*axis) != Some(&rounds)) {
        return Err(bad_shape("scan inputs of different lengths"));
    }
    let mut lists: Vec<Vec<Value>> = vec![Vec::new(); made];
    for round in 0..rounds {
        let mut inputs = state;
        for (x, axis, reverse) in &sources {
            let at = if *reverse { rounds - 1 - round } else { round };
            let mut dims = x.dims();
            dims.remove(*axis);
            inputs.push(set_shape(slice::take_value(x.clone(), *axis, &[at], call.device)?, &dims)?);
        }
        let mut out = body.run(call, inputs)?.into_iter();
        state = out.by_ref().take(carried).collect();
        lists.iter_mut().zip(out).for_each(|(list, v)| list.push(v));
    }
    let lists = lists.into_iter().zip(outward);
    let made = lists.map(|(parts, (axis, reverse))| stacked(call, parts, axis, reverse)).collect::<Result<Vec<_>>>()?;
    Ok(state.into_iter().chain(made).collect())
}
