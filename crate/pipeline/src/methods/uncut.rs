//! The uncut model, what has gone from it, and the way between the two of what training moves.
//!
//! However often a model is cut on its way, all of it is one cut of the model it began as: what has gone adds up there, the smaller
//! model is cut from it anew, and trained tensors, the optimiser's buffers and gates go back and forth by the places of their elements.

use super::gates;
use lopper_core::channels::Channels;
use lopper_core::cut::{Kept, cut, places};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_engine::HostTensor;
use lopper_engine::train::{GateSite, Memory};
use std::collections::{BTreeMap, HashSet};

/// A tensor of the uncut model.
struct Whole {
    dims: Vec<usize>,
    /// What stands in it where nothing was trained.
    blank: Vec<f32>,
    /// The places of what was trained, if that is not all of it.
    places: Option<Vec<usize>>,
}

/// A model with its channels and what has gone.
pub(crate) struct Uncut<'a> {
    pub(super) model: &'a Model,
    pub(super) graph: &'a Graph,
    pub(super) channels: &'a Channels,
    /// Gates of the uncut model, if it has any.
    pub(super) gates: Vec<GateSite>,
    pub(super) gone: HashSet<u32>,
    places: BTreeMap<String, Vec<usize>>,
    /// Tensors that the cut changed beyond taking slices.
    rewritten: HashSet<String>,
}

impl<'a> Uncut<'a> {
    pub(super) fn new(model: &'a Model, graph: &'a Graph, channels: &'a Channels) -> Self {
        Self {
            model,
            graph,
            channels,
            gates: Vec::new(),
            gone: HashSet::new(),
            places: BTreeMap::new(),
            rewritten: HashSet::new(),
        }
    }

    /// Takes classes out, those of before among them, and gives what is left of the model, with its original weights.
    pub(super) fn remove(&mut self, gone: HashSet<u32>) -> Result<Model> {
        let mut all: Vec<u32> = gone.iter().copied().collect();
        all.sort_unstable();
        self.places = places(self.graph, self.channels, &Kept::new(self.graph, self.channels, all.iter().copied()))?;
        let cut = cut(self.model, self.graph, self.channels, all)?;
        self.rewritten = cut.rewritten.into_iter().map(|r| r.0).collect();
        self.gone = gone;
        Ok(cut.model)
    }

    /// What is left of the model now, with its original weights.
    pub(super) fn small(&self) -> Result<Model> {
        let mut gone: Vec<u32> = self.gone.iter().copied().collect();
        gone.sort_unstable();
        Ok(if gone.is_empty() { self.model.clone() } else { cut(self.model, self.graph, self.channels, gone)?.model })
    }

    /// What is left of the gates in a smaller model.
    pub(super) fn gates_of(&self, small: &Graph) -> Vec<GateSite> {
        let length = |name: &str, axis: usize| {
            let value = &small.values[small.find(name)?];
            value.tensor.as_ref()?.dims.get(axis).copied()
        };
        let left = |site: &GateSite| {
            let (name, axis) = site.scales.first()?;
            let channels = length(name, *axis)?;
            Some(GateSite { channels, ..site.clone() })
        };
        self.gates.iter().filter_map(left).collect()
    }

    /// Positions in the uncut model of the channels that a gate still has.
    pub(super) fn channels_of(&self, site: &GateSite) -> Option<Vec<usize>> {
        let (name, axis) = site.scales.first()?;
        let dims = self.dims(name)?;
        let whole = dims.get(*axis).copied()?;
        let Some(places) = self.places.get(name) else { return Some((0..whole).collect()) };
        let stride: usize = dims.iter().skip(axis + 1).product();
        let mut own: Vec<usize> = places.iter().map(|at| at / stride.max(1) % whole.max(1)).collect();
        own.sort_unstable();
        own.dedup();
        Some(own)
    }

    fn dims(&self, name: &str) -> Option<&[usize]> {
        let value = &self.graph.values[self.graph.find(name)?];
        value.tensor.as_ref().map(|t| t.dims.as_slice())
    }

    /// The uncut tensor that a label of a memory belongs to; `None` where the uncut model has none.
    fn target(&self, label: &str) -> Result<Option<Whole>> {
        let Some((kind, name)) = label.split_once(':') else { return Ok(None) };
        if matches!(kind, "g" | "h") {
            let Some(site) = self.gates.iter().find(|g| g.name == name) else { return Ok(None) };
            let blank = if kind == "g" { 1.0 } else { 0.0 };
            let (dims, blank) = (vec![site.channels], vec![blank; site.channels]);
            return Ok(Some(Whole { dims, blank, places: self.channels_of(site) }));
        }
        let Some(id) = self.graph.find(name) else { return Ok(None) };
        let Some(tensor) = &self.graph.values[id].tensor else { return Ok(None) };
        let blank = if matches!(kind, "p" | "s") { tensor.to_f32()? } else { vec![0.0; tensor.len()] };
        Ok(Some(Whole { dims: tensor.dims.clone(), blank, places: self.places.get(name).cloned() }))
    }

    /// What a smaller model's training remembers, in the shapes of the uncut one; what has gone is as it was, buffers are zero there.
    pub(super) fn expand(&self, memory: &Memory) -> Result<Memory> {
        let mut out = Memory { steps: memory.steps, ..Memory::default() };
        for (label, tensor) in &memory.tensors {
            let Some(Whole { dims, blank: mut whole, places }) = self.target(label)? else { continue };
            let values = tensor.as_f32().unwrap_or_default();
            match places {
                None if values.len() == whole.len() => whole.copy_from_slice(values),
                Some(places) if places.len() == values.len() => {
                    for (at, value) in places.into_iter().zip(values) {
                        if let Some(slot) = whole.get_mut(at) {
                            *slot = *value;
                        }
                    }
                }
                _ => return Err(misfit(label)),
            }
            out.tensors.insert(label.clone(), HostTensor::f32(dims, whole)?);
        }
        Ok(out)
    }

    /// The other way: slices of what is remembered in the shapes of the uncut model, for the smaller `graph`. Parameters of which
    /// the cut made something else stay as the cut made them.
    pub(super) fn slice(&self, memory: &Memory, graph: &Graph) -> Result<Memory> {
        let gates = self.gates_of(graph);
        let mut out = Memory { steps: memory.steps, ..Memory::default() };
        for (label, tensor) in &memory.tensors {
            let Some(Whole { places, .. }) = self.target(label)? else { continue };
            let (kind, name) = label.split_once(':').unwrap_or_default();
            if self.rewritten.contains(name) {
                continue;
            }
            let dims = match kind {
                "g" | "h" => gates.iter().find(|g| g.name == name).map(|g| vec![g.channels]),
                _ => graph.find(name).and_then(|v| graph.values[v].tensor.as_ref()).map(|t| t.dims.clone()),
            };
            // A tensor whose branch went with its channels is not there any more.
            let Some(dims) = dims else { continue };
            let values = tensor.as_f32().unwrap_or_default();
            let left = match places {
                None => values.to_vec(),
                Some(places) => places.into_iter().filter_map(|at| values.get(at).copied()).collect(),
            };
            out.tensors.insert(label.clone(), HostTensor::f32(dims, left).map_err(|_| misfit(label))?);
        }
        Ok(out)
    }

    /// Puts gates on the layers of prunable groups. Gives the groups that have a layer without one, and why.
    pub(super) fn with_gates(&mut self, trained: &HashSet<String>) -> Vec<(String, String)> {
        let (sites, held) = gates::sites(self.graph, self.channels, trained);
        self.gates = sites;
        held
    }
}

fn misfit(label: &str) -> Error {
    Error::new(
        Code::Invalid,
        format!("what training remembers of {label:?} does not fit the cut: this is a bug in Lopper"),
    )
}
