//! Runs a model node by node on a device.

use crate::device::Device;
use crate::ops::{self, Call, Forward, Mode};
use crate::value::{HostData, HostTensor, Value};
use lopper_core::graph::{Graph, Node, NodeId, Origin, ValueId};
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use std::collections::HashSet;
use std::sync::Arc;

mod fuse;

/// A place for a value while the network runs: the graph's values first, then what fusing added.
pub(crate) type Slot = usize;

/// Constants of at most as many real numbers stay on the host as well: scales of a Resize, bounds of a Clip.
const MOST_SETTINGS: usize = 16;

/// One node, ready to run.
#[derive(Clone, Debug)]
struct Step {
    node: NodeId,
    forward: Forward,
    inputs: Vec<Option<Slot>>,
    outputs: Vec<Option<Slot>>,
    /// Values that nobody reads after this step.
    last: Vec<Slot>,
}

impl Step {
    fn run(&self, node: &Node, call: &mut Call<'_>) -> Result<Vec<Value>> {
        let outputs = (self.forward)(call).map_err(|e| e.at(node.place()))?;
        match self.outputs.iter().skip(outputs.len()).flatten().next() {
            Some(_) => Err(Error::new(
                Code::Unsupported,
                format!("{}: only the first {} outputs are supported", node.place(), outputs.len()),
            )),
            None => Ok(outputs),
        }
    }
}

/// A run between two steps: the values that later ones read.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    slots: Vec<Option<Value>>,
}

impl Running {
    /// A value that was computed and is still read, or a constant.
    pub(crate) fn value(&self, constants: &[Option<Value>], id: ValueId) -> Option<Value> {
        read(&self.slots, constants, id.into())
    }
}

/// A model on a device, ready to run.
#[derive(Clone, Debug)]
pub struct Network {
    graph: Arc<Graph>,
    device: Device,
    steps: Vec<Step>,
    /// Parameters and what was computed from them when the network was loaded.
    constants: Vec<Option<Value>>,
    wanted: Vec<ValueId>,
}

impl Network {
    /// Puts a model on a device, for inference.
    ///
    /// # Errors
    /// When the graph is not valid, or holds operators that cannot be run: all of them are named at once.
    pub fn load(model: &Model, device: &Device) -> Result<Self> {
        let graph = Graph::new(model)?;
        let wanted = graph.outputs.clone();
        Self::build(graph, device, wanted)?.prepared()
    }

    /// The nodes that the outputs need and that cannot be run; nothing is loaded.
    pub fn refused(graph: &Graph) -> Vec<NodeId> {
        refused(graph, &needed(graph, &graph.outputs))
    }

    /// Whether nodes of an operator can be run; some of its settings may still be refused.
    pub fn runs(domain: &str, op_type: &str) -> bool {
        ops::named(domain, op_type).is_some()
    }

    /// Puts a classifier on a device. Its only output is what goes into the final softmax, if there is one.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn load_classifier(model: &Model, device: &Device) -> Result<Self> {
        let graph = Graph::new(model)?;
        let wanted = logits(&graph).into_iter().collect();
        Self::build(graph, device, wanted)?.prepared()
    }

    /// As [`Network::load_classifier`], but nothing is computed ahead: in training, parameters move.
    pub(crate) fn load_for_training(model: &Model, device: &Device) -> Result<Self> {
        Self::load_unfused(Graph::new(model)?, device)
    }

    /// As [`Network::load_for_training`], from a graph.
    pub(crate) fn load_unfused(graph: Graph, device: &Device) -> Result<Self> {
        let wanted = logits(&graph).into_iter().collect();
        Self::load_moving(graph, device, wanted)
    }

    /// As [`Network::load_for_training`], with all outputs as they are.
    pub(crate) fn load_whole_for_training(model: &Model, device: &Device) -> Result<Self> {
        let graph = Graph::new(model)?;
        let wanted = graph.outputs.clone();
        Self::load_moving(graph, device, wanted)
    }

    fn load_moving(graph: Graph, device: &Device, wanted: Vec<ValueId>) -> Result<Self> {
        let mut network = Self::build(graph, device, wanted)?;
        network.plan();
        network.upload()?;
        Ok(network)
    }

    /// What computes some values, nothing ahead. They are seen by a tap as they come, and kept no longer than others.
    pub(crate) fn load_for_values(graph: Graph, device: &Device, values: Vec<ValueId>) -> Result<Self> {
        let mut network = Self::build(graph, device, values)?;
        network.wanted.clear();
        network.plan();
        network.upload()?;
        Ok(network)
    }

    /// The body of a node; nothing is computed ahead.
    pub(crate) fn of_body(model: Model, device: &Device) -> Result<Self> {
        let graph = Graph::new(&model)?;
        let wanted = graph.outputs.clone();
        let mut network = Self::build(graph, device, wanted)?;
        network.plan();
        Ok(network)
    }

    /// With everything computed ahead that inference can.
    fn prepared(mut self) -> Result<Self> {
        self.fuse()?;
        self.fold()?;
        self.plan();
        self.upload()?;
        Ok(self)
    }

    fn build(graph: Graph, device: &Device, wanted: Vec<ValueId>) -> Result<Self> {
        let needed = needed(&graph, &wanted);
        let captured: HashSet<ValueId> =
            to_run(&graph, &needed).flat_map(|(_, node)| node.captures.iter().copied()).collect();
        let used = |id: &ValueId| graph.values[*id].uses.iter().any(|(node, _)| needed.contains(node));
        let read = |id: &ValueId| wanted.contains(id) || captured.contains(id) || used(id);
        runnable(&graph, &needed)?;
        let steps: Vec<Step> = to_run(&graph, &needed)
            .filter_map(|(id, node)| {
                Some(Step {
                    node: id,
                    forward: ops::find(node)?,
                    inputs: (node.inputs.iter().copied())
                        .chain(node.captures.iter().map(|&v| Some(v)))
                        .map(|i| i.map(Slot::from))
                        .collect(),
                    outputs: node.outputs.iter().map(|o| o.filter(read).map(Slot::from)).collect(),
                    last: Vec::new(),
                })
            })
            .collect();
        let mut constants = vec![None; graph.values.len()];
        let used: HashSet<Slot> = steps
            .iter()
            .flat_map(|s| s.inputs.iter().flatten().copied())
            .chain(wanted.iter().map(|&v| v.into()))
            .collect();
        for (slot, (_, value)) in constants.iter_mut().zip(graph.values.iter()) {
            if let Some(tensor) = value.tensor.as_ref() {
                let id = graph.require(&value.name)?;
                if used.contains(&Slot::from(id)) {
                    *slot = Some(Value::from(
                        HostTensor::of(tensor).map_err(|e| e.at(format!("tensor {:?}", tensor.name)))?,
                    ));
                }
            }
        }
        Ok(Self { graph: Arc::new(graph), device: device.clone(), steps, constants, wanted })
    }

    /// Runs what depends on nothing but parameters, once and for all.
    fn fold(&mut self) -> Result<()> {
        let mut mode = Mode::Infer;
        let mut left = Vec::with_capacity(self.steps.len());
        for step in std::mem::take(&mut self.steps) {
            let constant = |slot: &Slot| self.constants.get(*slot).is_some_and(Option::is_some);
            let node = &self.graph.nodes[step.node];
            if step.inputs.is_empty() || !step.inputs.iter().flatten().all(constant) {
                left.push(step);
                continue;
            }
            let inputs = step.inputs.iter().map(|i| i.and_then(|i| self.constants.get(i).cloned().flatten())).collect();
            let outputs =
                step.run(node, &mut Call::new(node, self.device.inner(), &mut mode, inputs).typed(&self.graph))?;
            for (slot, value) in step.outputs.iter().zip(outputs) {
                if let Some(c) = slot.and_then(|s| self.constants.get_mut(s)) {
                    *c = Some(value);
                }
            }
        }
        self.steps = left;
        Ok(())
    }

    /// Notes for every step which values it is the last to read, and drops constants that nobody reads.
    fn plan(&mut self) {
        let kept: HashSet<Slot> = self.wanted.iter().map(|&v| v.into()).collect();
        let mut seen = HashSet::new();
        for step in self.steps.iter_mut().rev() {
            let read: HashSet<Slot> =
                step.inputs.iter().flatten().copied().chain(step.outputs.iter().flatten().copied()).collect();
            step.last = read.into_iter().filter(|s| seen.insert(*s) && !kept.contains(s)).collect();
        }
        for (slot, constant) in self.constants.iter_mut().enumerate() {
            if !seen.contains(&slot) && !kept.contains(&slot) {
                *constant = None;
            }
        }
    }

    /// Moves large parameters to the device; small ones may be settings, which nodes read on the host.
    fn upload(&mut self) -> Result<()> {
        for constant in self.constants.iter_mut() {
            let large = constant.as_ref().and_then(Value::host).is_some_and(|t| t.data.len() > MOST_SETTINGS);
            if large && constant.as_ref().is_some_and(Value::is_float) {
                let value = constant.take().map(|v| v.on(self.device.inner())).transpose()?;
                *constant = value.map(Value::from);
            }
        }
        Ok(())
    }

    /// The graph that runs.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where it runs.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Runs the network on inputs by name and reads all outputs back.
    ///
    /// # Errors
    /// When inputs are missing or do not fit the graph, or the device fails.
    pub async fn run(&self, inputs: &[(String, HostTensor)]) -> Result<Vec<(String, HostTensor)>> {
        let values = inputs
            .iter()
            .map(|(name, t)| Ok((self.input(name, t)?, Value::from(t.clone()))))
            .collect::<Result<Vec<_>>>()?;
        let outputs = self.forward(values, &self.constants, &mut Mode::Infer)?;
        let mut out = Vec::with_capacity(outputs.len());
        for (id, value) in self.wanted.iter().zip(outputs) {
            let v = &self.graph.values[*id];
            let mut tensor = value.download().await?;
            // Quantised numbers are held as real ones while the network runs.
            if v.dtype.is_some_and(lopper_core::onnx::DataType::is_integer) && tensor.as_f32().is_some() {
                tensor.data = HostData::I64(tensor.data.to_i64());
            }
            out.push((v.name.clone(), tensor));
        }
        Ok(out)
    }

    /// Runs a network of one input on it and reads its first output back.
    ///
    /// # Errors
    /// When the network has another number of inputs, the input does not fit, or the device fails.
    pub async fn run_single(&self, input: HostTensor) -> Result<HostTensor> {
        let id = self.only_input()?;
        let id = self.input(&self.graph.values[id].name, &input)?;
        let output =
            self.forward(vec![(id, Value::from(input))], &self.constants, &mut Mode::Infer)?.into_iter().next();
        output.ok_or_else(|| Error::new(Code::BadNode, "the model has no output"))?.download().await
    }

    /// The one input that images go into.
    pub(crate) fn only_input(&self) -> Result<ValueId> {
        match self.graph.inputs.as_slice() {
            [one] => Ok(*one),
            other => Err(Error::new(
                Code::Unsupported,
                format!("a model of {} inputs cannot be fed with images", other.len()),
            )),
        }
    }

    /// Checks one input against the graph.
    fn input(&self, name: &str, tensor: &HostTensor) -> Result<ValueId> {
        let mismatch = |what: String| Error::new(Code::DataMismatch, format!("input {name:?}: {what}"));
        let id = self.graph.find(name).filter(|id| self.graph.inputs.contains(id));
        let id = id.ok_or_else(|| mismatch("the model has no such input".into()))?;
        let value = &self.graph.values[id];
        if let Some(shape) = &value.shape {
            let fits = shape.len() == tensor.dims.len()
                && shape.iter().zip(&tensor.dims).all(|(want, &d)| want.length().is_none_or(|w| w == d));
            if !fits {
                return Err(mismatch(format!("the model expects shape {shape:?}, the data have {:?}", tensor.dims)));
            }
        }
        let float = matches!(tensor.data, HostData::F32(_));
        match value.dtype {
            Some(t) if t.is_float() != float => Err(mismatch(format!("the model expects {} elements", t.name()))),
            _ => Ok(id),
        }
    }

    /// Runs every step; `constants` are the parameters by slot, which training replaces by its own.
    pub(crate) fn forward(
        &self,
        inputs: Vec<(ValueId, Value)>,
        constants: &[Option<Value>],
        mode: &mut Mode,
    ) -> Result<Vec<Value>> {
        self.forward_tapped(inputs, constants, mode, &mut |_, value| Ok(value))
    }

    /// As [`Network::forward`]; every input and every output of a node is what `tap` makes of it.
    pub(crate) fn forward_tapped(
        &self,
        inputs: Vec<(ValueId, Value)>,
        constants: &[Option<Value>],
        mode: &mut Mode,
        tap: &mut dyn FnMut(Slot, Value) -> Result<Value>,
    ) -> Result<Vec<Value>> {
        let mut running = self.begin(inputs, tap)?;
        for step in 0..self.steps.len() {
            self.advance(&mut running, step, constants, mode, tap)?;
        }
        self.outputs(&running, constants)
    }

    /// What a run that did all its steps gave.
    pub(crate) fn outputs(&self, running: &Running, constants: &[Option<Value>]) -> Result<Vec<Value>> {
        self.wanted.iter().map(|&id| running.value(constants, id).ok_or_else(|| self.missing(id.into()))).collect()
    }

    /// The values that it gives.
    pub(crate) fn wanted(&self) -> &[ValueId] {
        &self.wanted
    }

    /// A run that has its inputs and did no step yet.
    pub(crate) fn begin(
        &self,
        inputs: Vec<(ValueId, Value)>,
        tap: &mut dyn FnMut(Slot, Value) -> Result<Value>,
    ) -> Result<Running> {
        let mut slots: Vec<Option<Value>> = vec![None; self.constants.len()];
        for (id, value) in inputs {
            if let Some(slot) = slots.get_mut(Slot::from(id)) {
                *slot = Some(tap(Slot::from(id), value)?);
            }
        }
        Ok(Running { slots })
    }

    /// The nodes of the steps, in their order.
    pub(crate) fn step_nodes(&self) -> impl ExactSizeIterator<Item = NodeId> {
        self.steps.iter().map(|step| step.node)
    }

    /// Does one step of a run.
    pub(crate) fn advance(
        &self,
        running: &mut Running,
        step: usize,
        constants: &[Option<Value>],
        mode: &mut Mode,
        tap: &mut dyn FnMut(Slot, Value) -> Result<Value>,
    ) -> Result<()> {
        let Some(step) = self.steps.get(step) else { return Ok(()) };
        let node = &self.graph.nodes[step.node];
        let mut inputs = Vec::with_capacity(step.inputs.len());
        for slot in &step.inputs {
            inputs.push(match slot {
                None => None,
                Some(s) => Some(read(&running.slots, constants, *s).ok_or_else(|| self.missing(*s))?),
            });
        }
        // Freed before the node runs, so that it may work in place on what only it holds.
        for s in &step.last {
            if let Some(slot) = running.slots.get_mut(*s) {
                *slot = None;
            }
        }
        let outputs = step.run(node, &mut Call::new(node, self.device.inner(), mode, inputs).typed(&self.graph))?;
        for (slot, value) in step.outputs.iter().zip(outputs) {
            let Some(slot) = *slot else { continue };
            let value = tap(slot, value)?;
            if let Some(s) = running.slots.get_mut(slot).filter(|_| !step.last.contains(&slot)) {
                *s = Some(value);
            }
        }
        Ok(())
    }

    fn missing(&self, slot: Slot) -> Error {
        let name = self.graph.values.iter().nth(slot).map(|(_, v)| v.name.clone()).unwrap_or_default();
        let what = format!("the value {name:?} is not there: every input of the model must be given");
        Error::new(Code::DataMismatch, what)
    }

    /// Parameters by slot.
    pub(crate) fn constants(&self) -> &[Option<Value>] {
        &self.constants
    }
}

fn read(slots: &[Option<Value>], constants: &[Option<Value>], slot: Slot) -> Option<Value> {
    slots.get(slot).cloned().flatten().or_else(|| constants.get(slot).cloned().flatten())
}

/// The scores of the classes before any final softmax.
fn logits(graph: &Graph) -> Option<ValueId> {
    let output = graph.outputs.first().copied()?;
    match graph.values[output].origin {
        Origin::Node(id, _) if matches!(graph.nodes[id].op_type.as_str(), "Softmax" | "LogSoftmax") => {
            graph.nodes[id].input(0)
        }
        _ => Some(output),
    }
}

/// Nodes that the wanted values depend on.
fn needed(graph: &Graph, wanted: &[ValueId]) -> HashSet<NodeId> {
    let mut nodes = HashSet::new();
    let mut open: Vec<ValueId> = wanted.to_vec();
    while let Some(value) = open.pop() {
        if let Origin::Node(id, _) = graph.values[value].origin
            && nodes.insert(id)
        {
            let node = &graph.nodes[id];
            open.extend(node.inputs.iter().flatten().chain(&node.captures));
        }
    }
    nodes
}

/// The nodes that are computed at run time.
fn to_run<'a>(graph: &'a Graph, needed: &'a HashSet<NodeId>) -> impl Iterator<Item = (NodeId, &'a Node)> {
    graph.nodes.iter().filter(|(id, node)| {
        let constant = node.outputs.iter().flatten().all(|&v| graph.values[v].tensor.is_some());
        !constant && needed.contains(id)
    })
}

/// The nodes that have no forward.
fn refused(graph: &Graph, needed: &HashSet<NodeId>) -> Vec<NodeId> {
    to_run(graph, needed).filter(|(_, node)| ops::find(node).is_none()).map(|(id, _)| id).collect()
}

/// Fails with the names of all nodes that have no forward.
fn runnable(graph: &Graph, needed: &HashSet<NodeId>) -> Result<()> {
    let places: Vec<String> = refused(graph, needed).into_iter().map(|id| graph.nodes[id].place()).collect();
    if places.is_empty() {
        return Ok(());
    }
    Err(Error::new(Code::Unsupported, format!("these nodes cannot be run yet: {}", places.join(", "))))
}
