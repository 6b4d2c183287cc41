//! Groups against their definition, on models of a few channels.
//!
//! A channel is what can go together: with every place where it is summed over set to zero, nothing that it holds elsewhere
//! matters any more. That is seen by running the model with other numbers there.

use super::spec::Spec;
use lopper_core::channels::{Channels, Role};
use lopper_core::graph::Graph;
use lopper_core::onnx::{Model, Tensor};
use lopper_core::text::parse;
use lopper_engine::data::random::SplitMix64;
use lopper_engine::{Device, HostTensor, Network, block_on};
use std::collections::{BTreeMap, BTreeSet};

/// A slice of a parameter: its name, an axis, a position.
pub type Place = (String, usize, usize);

/// Parameters by name, with what is needed to run a model with other ones.
struct Bench {
    model: Model,
    tensors: BTreeMap<String, Tensor>,
    /// Several, so that a ReLU which happens to be silent for one of them is not taken for a channel that could go.
    inputs: Vec<Vec<(String, HostTensor)>>,
}

impl Bench {
    fn new(model: Model, graph: &Graph, seed: u64) -> Self {
        let mut random = SplitMix64::keyed(&[seed, 3]);
        let mut input = |v: &lopper_core::graph::ValueId| {
            let value = &graph.values[*v];
            let dims: Vec<usize> = value.shape.iter().flatten().map(|d| d.length().unwrap_or(2)).collect();
            let numbers = (0..dims.iter().product()).map(|_| random.range(-2.0, 2.0)).collect();
            (value.name.clone(), HostTensor::f32(dims, numbers).unwrap())
        };
        let inputs = (0..4).map(|_| graph.inputs.iter().map(&mut input).collect()).collect();
        let floats = graph.parameters().filter(|(_, _, t)| t.dtype.is_float());
        let tensors = floats.map(|(_, v, t)| (v.name.clone(), t.clone())).collect();
        Self { model, tensors, inputs }
    }

    /// The outputs with some slices set to zero and others to random numbers.
    fn run(&self, zero: &BTreeSet<Place>, random: &BTreeSet<Place>, seed: u64) -> Vec<f32> {
        let mut numbers = SplitMix64::keyed(&[seed, 4]);
        let mut model = self.model.clone();
        let graph = model.proto.graph.as_option_mut().unwrap();
        for t in &mut graph.initializer {
            let name = t.name.clone().unwrap_or_default();
            let touched = |places: &BTreeSet<Place>| places.iter().any(|p| p.0 == name);
            if !touched(zero) && !touched(random) {
                continue;
            }
            let tensor = &self.tensors[&name];
            let mut values = tensor.to_f32().unwrap();
            for (i, v) in values.iter_mut().enumerate() {
                let inside = |places: &BTreeSet<Place>| {
                    places.iter().filter(|p| p.0 == name).any(|(_, axis, at)| {
                        let inner: usize = tensor.dims[axis + 1..].iter().product();
                        i / inner % tensor.dims[*axis] == *at
                    })
                };
                if inside(random) {
                    // Positive, since it may be a variance.
                    *v = numbers.range(0.5, 2.0);
                }
                if inside(zero) {
                    *v = 0.0;
                }
            }
            *t = lopper_core::onnx::tensor_proto(&Tensor::from_f32(name, tensor.dims.clone(), &values));
        }
        let network = Network::load(&model, &Device::cpu()).unwrap();
        let outputs = self.inputs.iter().flat_map(|x| block_on(network.run(x)).unwrap());
        outputs.flat_map(|(_, t)| t.as_f32().unwrap_or_default().to_vec()).collect()
    }

    /// Whether other numbers at some places leave the outputs as they are.
    fn is_free(&self, zero: &BTreeSet<Place>, places: &BTreeSet<Place>) -> bool {
        let want = self.run(zero, &BTreeSet::new(), 0);
        let largest = want.iter().fold(0.0f32, |m, v| m.max(v.abs())).max(1e-6);
        (1..=2).all(|seed| {
            let got = self.run(zero, places, seed);
            got.iter().zip(&want).all(|(g, w)| (g - w).abs() <= 1e-5 * largest)
        })
    }
}

/// What came of one model.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Classes whose definition holds.
    pub classes: usize,
    /// Classes that some smaller part of could go alone.
    pub coarse: Vec<String>,
    /// Pinned places that could go.
    pub lost: Vec<String>,
}

/// Compares the groups of a model with the definition.
///
/// # Errors
/// When a class is no channel: what it holds still matters when all places where it is summed over are zero.
pub fn compare(spec: &Spec, seed: u64) -> Result<Comparison, String> {
    let model = parse(&spec.text()).unwrap();
    let graph = Graph::new(&model).unwrap();
    let channels = Channels::analyze(&graph);
    let bench = Bench::new(model.clone(), &graph, seed);
    let mut out = Comparison::default();
    let (classes, pinned) = places(&graph, &channels);
    for (name, (exact, makes, takes)) in &classes {
        // A reduction sums over channels without a weight that could be set to zero.
        let weightless = spec.steps.iter().any(|s| s.op.starts_with("Reduce"));
        if !exact || takes.is_empty() || weightless {
            continue;
        }
        if !bench.is_free(takes, makes) {
            return Err(format!("{name}: {makes:?} still matter with {takes:?} at zero"));
        }
        out.classes += 1;
        // A part of the places where it is summed over that frees a part of the rest, both apart from what is left.
        for place in takes.iter().filter(|_| takes.len() > 1) {
            let one = BTreeSet::from([place.clone()]);
            let freed: BTreeSet<Place> =
                makes.iter().filter(|m| bench.is_free(&one, &BTreeSet::from([(*m).clone()]))).cloned().collect();
            let others: BTreeSet<Place> = takes.iter().filter(|p| *p != place).cloned().collect();
            let rest: BTreeSet<Place> = makes.difference(&freed).cloned().collect();
            if !freed.is_empty() && !rest.is_empty() && bench.is_free(&others, &rest) {
                out.coarse.push(format!("{name}: {place:?} with {freed:?}"));
            }
        }
    }
    // Pinned pairs: what one place frees of what is pinned. What matters to no output in any case is no channel that was lost.
    let idle = |p: &Place| bench.is_free(&BTreeSet::new(), &BTreeSet::from([p.clone()]));
    let pinned: Vec<(Place, bool)> = pinned.into_iter().filter(|p| !idle(&p.0)).collect();
    for take in pinned.iter().filter(|p| p.1) {
        let zero = BTreeSet::from([take.0.clone()]);
        for make in pinned.iter().filter(|p| !p.1 && p.0.0 != take.0.0) {
            if bench.is_free(&zero, &BTreeSet::from([make.0.clone()])) {
                out.lost.push(format!("{:?} frees {:?}", take.0, make.0));
            }
        }
    }
    Ok(out)
}

/// By class: whether a cut of it is exact, the places that make it or go along, and those where it is summed over.
type Classes = BTreeMap<String, (bool, BTreeSet<Place>, BTreeSet<Place>)>;

/// Places of every class, and those that are pinned with whether they are summed over. Parameters with joint bundles or blocks
/// are left out: their places are no whole slices.
fn places(graph: &Graph, channels: &Channels) -> (Classes, Vec<(Place, bool)>) {
    let table = channels.class_table();
    let mut classes = Classes::new();
    let mut odd: BTreeSet<u32> = BTreeSet::new();
    let mut class_of: BTreeMap<String, u32> = BTreeMap::new();
    let mut of: BTreeMap<u32, (usize, usize)> = BTreeMap::new();
    for (g, group) in channels.groups.iter().enumerate() {
        of.extend(group.classes.iter().enumerate().map(|(k, &c)| (c, (g, k))));
    }
    for (id, value, tensor) in graph.parameters().filter(|(_, _, t)| t.dtype.is_float()) {
        for b in channels.layouts.get(&id).into_iter().flat_map(|l| &l.bundles) {
            let whole = b.axes.len() == 1 && b.blocks.is_none() && b.ids.len() == tensor.dims[b.axes[0]];
            for (at, &i) in b.ids.iter().enumerate() {
                let class = table[i as usize];
                let Some(&(g, k)) = of.get(&class) else { continue };
                let group = &channels.groups[g];
                if !whole {
                    odd.insert(class);
                    continue;
                }
                let role = group.sites.iter().find(|s| s.value == id && s.axis == b.axes[0]).map(|s| s.role);
                let name = format!("{}[{k}]", group.name);
                class_of.insert(name.clone(), class);
                let slot =
                    classes.entry(name).or_insert((group.renormalised.is_empty(), BTreeSet::new(), BTreeSet::new()));
                let place = (value.name.clone(), b.axes[0], at);
                if role == Some(Role::Consumer) {
                    slot.2.insert(place)
                } else {
                    slot.1.insert(place)
                };
            }
        }
    }
    classes.retain(|name, _| !odd.contains(&class_of[name]));
    (classes, pinned_places(graph, channels))
}

/// Pinned places along axes by which operators multiply.
fn pinned_places(graph: &Graph, channels: &Channels) -> Vec<(Place, bool)> {
    let table = channels.class_table();
    let mut out = Vec::new();
    for (id, value, tensor) in graph.parameters().filter(|(_, _, t)| t.dtype.is_float() && t.dims.len() > 1) {
        let reader = value.uses.first().map(|u| &graph.nodes[u.0]);
        let summed = match reader.map(|n| n.op_type.as_str()) {
            Some("Conv") => 1,
            Some("Gemm") => usize::from(reader.and_then(|n| n.int("transB")) == Some(1)),
            Some("MatMul") => 0,
            _ => continue,
        };
        for b in channels.layouts.get(&id).into_iter().flat_map(|l| &l.bundles) {
            let [axis] = b.axes[..] else { continue };
            if axis > 1 || b.blocks.is_some() || b.ids.len() != tensor.dims[axis] {
                continue;
            }
            for (at, _) in b.ids.iter().enumerate().filter(|(_, i)| table[**i as usize] == 0) {
                out.push(((value.name.clone(), axis, at), axis == summed));
            }
        }
    }
    out
}
