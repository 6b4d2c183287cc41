//! The layers of a cut network beside those of the original, and both networks on their way through some images.

use crate::device::Device;
use crate::ops::Mode;
use crate::run::{Network, Running, Slot};
use crate::score::Sample;
use crate::value::{HostTensor, Value};
use crate::verify::MaskedSlices;
use lopper_core::Result;
use lopper_core::graph::{Graph, NodeId, ValueId};
use lopper_core::onnx::Model;
use lopper_core::score::{Layer, layers};
use std::collections::{HashMap, HashSet};

/// One of the two networks with all batches on their way through it.
pub(super) struct Side {
    pub(super) network: Network,
    constants: Vec<Option<Value>>,
    pub(super) runs: Vec<Running>,
    /// Steps that all batches have done.
    done: usize,
}

impl Side {
    pub(super) fn new(model: &Model, device: &Device) -> Result<Self> {
        let network = Network::load_for_training(model, device)?;
        let constants = network.constants().to_vec();
        Ok(Self { network, constants, runs: Vec::new(), done: 0 })
    }

    pub(super) fn begin(&mut self, batch: &Sample) -> Result<()> {
        let input = Value::from(HostTensor::f32(batch.dims.clone(), batch.values.clone())?);
        let inputs = vec![(self.network.only_input()?, input)];
        self.runs.push(self.network.begin(inputs, &mut |_, value| Ok(value))?);
        Ok(())
    }

    pub(super) fn step(&mut self, step: usize) -> Result<()> {
        for run in &mut self.runs {
            self.network.advance(run, step, &self.constants, &mut Mode::Infer, &mut |_, value| Ok(value))?;
        }
        self.done = step + 1;
        Ok(())
    }

    /// Runs up to a node, which has run then.
    pub(super) fn run_through(&mut self, node: NodeId) -> Result<()> {
        self.run_before(node)?;
        if self.network.step_nodes().nth(self.done) == Some(node) { self.step(self.done) } else { Ok(()) }
    }

    /// Runs up to a node, which is next then.
    pub(super) fn run_before(&mut self, node: NodeId) -> Result<()> {
        let at = self.network.step_nodes().position(|n| n == node).unwrap_or(0);
        (self.done..at).try_for_each(|step| self.step(step))
    }

    /// The mean of each channel of a value over all batches, if it is there at this point.
    pub(super) async fn means(&self, (value, axis): (ValueId, usize)) -> Result<Option<Vec<f64>>> {
        let (mut sums, mut count) = (Vec::new(), 0);
        for batch in 0..self.runs.len() {
            let Some(tensor) = self.read(batch, value).await? else { return Ok(None) };
            let channels = tensor.dims.get(axis).copied().unwrap_or(1).max(1);
            let inner: usize = tensor.dims.iter().skip(axis + 1).product();
            sums.resize(channels, 0.0);
            let values = tensor.as_f32().unwrap_or_default();
            for (i, run) in values.chunks(inner.max(1)).enumerate() {
                if let Some(sum) = sums.get_mut(i % channels) {
                    *sum += run.iter().map(|v| f64::from(*v)).sum::<f64>();
                }
            }
            count += values.len() / channels;
        }
        sums.iter_mut().for_each(|s| *s /= count.max(1) as f64);
        Ok(Some(sums))
    }

    /// A value of a batch, if it is there at this point.
    pub(super) async fn read(&self, batch: usize, value: ValueId) -> Result<Option<HostTensor>> {
        match self.runs.get(batch).and_then(|run| run.value(&self.constants, value)) {
            Some(value) => Ok(Some(value.download().await?).filter(|t| t.as_f32().is_some())),
            None => Ok(None),
        }
    }

    pub(super) fn replace(&mut self, value: ValueId, tensor: HostTensor) {
        if let Some(place) = self.constants.get_mut(Slot::from(value)) {
            *place = Some(Value::from(tensor));
        }
    }

    /// The numbers of a stored tensor.
    pub(super) fn stored(&self, value: ValueId) -> Option<Vec<f32>> {
        self.network.graph().values[value].tensor.as_ref()?.to_f32().ok()
    }
}

/// Where a constant that the fit finds goes.
pub(super) enum Constant {
    /// The layer's bias, which is part of what is fitted.
    Bias(ValueId),
    /// The mean that the normalisation behind the layer takes off.
    Mean(ValueId),
    Nowhere,
}

/// A layer of the cut network with the one of the original that it comes from.
pub(super) struct Pair {
    pub(super) layer: Layer,
    pub(super) before: Layer,
    /// The original's filters that stayed.
    pub(super) filters: Vec<usize>,
    pub(super) constant: Constant,
    /// The other branch of the sum that the output goes into, here and in the original.
    pub(super) other: Option<[ValueId; 2]>,
}

/// The layers of the cut network that can be refitted, by node.
pub(super) fn pairs(original: &Graph, cut: &Graph, mask: &[MaskedSlices]) -> HashMap<NodeId, Pair> {
    let mut by_name: HashMap<&str, Vec<Layer>> = HashMap::new();
    for layer in layers(original) {
        by_name.entry(original.values[layer.weight].name.as_str()).or_default().push(layer);
    }
    // A weight that several layers share has several outputs to fit: it stays.
    let mut seen = HashSet::new();
    let all = layers(cut);
    let shared: HashSet<ValueId> = all.iter().map(|l| l.weight).filter(|w| !seen.insert(*w)).collect();
    let own = all.into_iter().filter(|l| !shared.contains(&l.weight));
    own.filter_map(|layer| {
        let before = by_name.get(cut.values[layer.weight].name.as_str())?;
        let [before] = before.as_slice() else { return None };
        Some((layer.node, Pair::new(original, cut, mask, layer, before.clone())?))
    })
    .collect()
}

impl Pair {
    fn new(original: &Graph, cut: &Graph, mask: &[MaskedSlices], layer: Layer, before: Layer) -> Option<Self> {
        let node = &cut.nodes[layer.node];
        // The weight must be read as it is stored.
        node.input(1).filter(|w| *w == layer.weight)?;
        let [axis] = *before.filters.axes.as_slice() else { return None };
        let count = |graph: &Graph, weight: ValueId| graph.values[weight].tensor.as_ref()?.dims.get(axis).copied();
        let name = &original.values[before.weight].name;
        let gone: HashSet<usize> = mask
            .iter()
            .filter(|m| m.initializer == *name && m.axis == axis && m.within.is_none())
            .flat_map(|m| m.indices.iter().copied())
            .collect();
        let filters: Vec<usize> = (0..count(original, before.weight)?).filter(|f| !gone.contains(f)).collect();
        if Some(filters.len()) != count(cut, layer.weight) {
            return None;
        }
        let own = |value: ValueId| {
            let v = &cut.values[value];
            v.tensor.as_ref().filter(|t| v.uses.len() == 1 && t.len() == filters.len()).map(|_| value)
        };
        let mean = layer.norm.and_then(|norm| cut.nodes[norm].input(3)).and_then(own);
        let constant = match (node.input(2).and_then(own), mean) {
            (Some(bias), _) => Constant::Bias(bias),
            (None, Some(mean)) => Constant::Mean(mean),
            (None, None) => Constant::Nowhere,
        };
        let other = other(cut, layer.output.0).zip(other(original, before.output.0)).map(|(a, b)| [a, b]);
        Some(Self { layer, before, filters, constant, other })
    }
}

/// The other input of a sum that is a value's only reader.
fn other(graph: &Graph, value: ValueId) -> Option<ValueId> {
    let v = &graph.values[value];
    let [(node, port)] = v.uses.as_slice() else { return None };
    let node = &graph.nodes[*node];
    let other = node.input(1 - (*port).min(1)).filter(|_| node.op_type == "Add" && !v.is_output)?;
    let same = graph.values[other].shape.as_ref().map(Vec::len) == v.shape.as_ref().map(Vec::len);
    (same && graph.values[other].tensor.is_none()).then_some(other)
}
