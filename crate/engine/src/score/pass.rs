//! A network that is run to be looked at: forward with taps, and backward where gradients are asked for.

use super::tally::Tally;
use super::{Placed, activations, gates, hrank, weights};
use crate::device::Device;
use crate::ops::Mode;
use crate::run::{Network, Slot};
use crate::tensor::{DeviceTensor, by_rank};
use crate::train::{gradient_of, mean_cross_entropy};
use crate::value::Value;
use burn::tensor::{Gradients, Slice, Tensor};
use lopper_core::graph::{Graph, Origin, ValueId};
use lopper_core::score::{Criterion, Layer, Needs};
use lopper_core::{Code, Error, Result};
use std::collections::BTreeSet;

/// What the criteria need of a graph.
pub(super) struct Pass {
    layers: Vec<Layer>,
    criteria: Vec<Criterion>,
    /// For gradients of the first output's loss.
    backward: Option<Network>,
    /// For values on the way.
    forward: Option<Network>,
}

/// An error of a layer whose images cannot be told apart.
pub(super) fn out_of_step(dims: &[usize], images: usize) -> Error {
    Error::new(
        Code::Unsupported,
        format!(
            "a value of shape {dims:?} does not begin with the {images} images of the batch; lock the group or score by weights"
        ),
    )
}

/// A value that was seen on the way, reduced as far as the device can.
struct Seen {
    criterion: Criterion,
    layer: usize,
    channels: usize,
}

/// What came of a backward pass.
enum Part {
    /// Gradients in a gate, image after image.
    Gate { layer: usize, channels: usize, space: usize },
    /// Terms of every filter.
    Weight { layer: usize, criterion: Criterion },
    /// Terms of every channel of a BatchNormalization.
    Norm { scale: ValueId, criterion: Criterion },
}

/// A parameter with its place in the autodiff graph.
struct Leaf {
    parameter: DeviceTensor,
    leaf: DeviceTensor,
}

/// Parameters that gradients are taken in.
struct Slope {
    of: Of,
    leaves: Vec<Leaf>,
}

/// Whose they are.
#[derive(Clone, Copy)]
enum Of {
    /// The weight of the first layer that reads it.
    Weight(usize),
    /// Scale and shift of a BatchNormalization, told by its scale.
    Norm(ValueId),
}

impl Pass {
    pub(super) fn new(graph: &Graph, device: &Device, layers: &[Layer], criteria: &[&Criterion]) -> Result<Self> {
        let criteria: Vec<Criterion> = criteria.iter().map(|&c| c.clone()).collect();
        let needs = |needs: Needs| criteria.iter().any(|c| c.needs() == needs);
        let backward = needs(Needs::Labels).then(|| Network::load_unfused(graph.clone(), device)).transpose()?;
        let mut values: BTreeSet<ValueId> = BTreeSet::new();
        for criterion in criteria.iter().filter(|c| c.needs() == Needs::Images) {
            let at = |l: &Layer| if *criterion == Criterion::WandaStructured { l.input.0 } else { l.read };
            values.extend(layers.iter().map(at).filter(|v| graph.values[*v].origin != Origin::Input));
        }
        let load = || Network::load_for_values(graph.clone(), device, values.into_iter().collect());
        let forward = needs(Needs::Images).then(load).transpose()?;
        Ok(Self { layers: layers.to_vec(), criteria, backward, forward })
    }

    /// Adds what a batch says to all criteria but those that look at single images.
    pub(super) async fn batch(&self, batch: &Placed, tally: &mut Tally) -> Result<()> {
        tally.begin(batch.images());
        if let Some(network) = &self.backward {
            let gates = self.criteria.iter().any(|c| gates::CRITERIA.contains(c));
            let slopes = self.criteria.iter().any(|c| weights::CRITERIA.contains(c));
            if gates || slopes {
                let batch = (batch.input.clone(), self.labels(batch)?);
                self.gradients(network, batch, gates, slopes.then_some(&weights::CRITERIA), tally).await?;
            }
        }
        match &self.forward {
            Some(network) => self.values(network, batch, tally).await,
            None => Ok(()),
        }
    }

    /// Adds what one image of a batch says to `fisher_obd`.
    pub(super) async fn image(&self, batch: &Placed, image: usize, tally: &mut Tally) -> Result<()> {
        let Some(network) = &self.backward else { return Ok(()) };
        // Where the model fixes the batch, it is filled with the one image: the mean loss is that of the image.
        let input = &network.graph().values[network.only_input()?];
        let copies = input.shape.as_ref().and_then(|s| s.first()?.length()).unwrap_or(1).max(1);
        let label = self.labels(batch)?.get(image).copied().unwrap_or_default();
        let dims: Vec<usize> = [copies].into_iter().chain(batch.dims.iter().skip(1).copied()).collect();
        let whole = batch.input.clone().on(network.device().inner())?;
        let own = whole.slice(&[Slice::from(image..image + 1)])?.expand(&dims)?;
        let labels = vec![label; copies];
        self.gradients(network, (own.into(), &labels), false, Some(&[Criterion::FisherObd]), tally).await
    }

    /// One backward pass for all gradient criteria of all layers.
    async fn gradients(
        &self,
        network: &Network,
        (input, labels): (Value, &[u32]),
        gated: bool,
        slopes: Option<&[Criterion]>,
        tally: &mut Tally,
    ) -> Result<()> {
        let device = network.device().inner();
        let images = labels.len();
        let rows = input.dims().first().copied().unwrap_or(0);
        let mut constants = network.constants().to_vec();
        let leaves = if slopes.is_some() { self.leaves(network, &mut constants)? } else { Vec::new() };
        let mut gates: Vec<gates::Gate> = Vec::new();
        let mut tap = |slot: Slot, value: Value| -> Result<Value> {
            let own = self.layers.iter().enumerate().filter(|(_, l)| gated && Slot::from(l.output.0) == slot);
            own.take(1).try_fold(value, |value, (k, layer)| {
                match gates::open(value.clone().on(device)?, k, layer.output.1, images, device) {
                    Ok((value, gate)) => {
                        gates.push(gate);
                        Ok(value.into())
                    }
                    Err(e) => {
                        gates::CRITERIA.iter().for_each(|c| tally.add(c, k, Err(e.clone())));
                        Ok(value)
                    }
                }
            })
        };
        let inputs = vec![(network.only_input()?, input)];
        let output = network.forward_tapped(inputs, &constants, &mut Mode::Infer, &mut tap)?.into_iter().next();
        if gates.is_empty() && leaves.is_empty() {
            // Nothing to take a gradient in.
            return Ok(());
        }
        let logits = output.ok_or_else(|| Error::new(Code::BadNode, "the model has no output"))?.on(device)?;
        let loss = mean_cross_entropy(logits, rows, labels, network.device())?;
        let mut gradients = loss.backward();
        let (parts, numbers) = self.reduced(gates, leaves, slopes.unwrap_or_default(), &mut gradients)?;
        for (part, numbers) in parts.into_iter().zip(read_all(numbers).await?) {
            match part {
                Part::Gate { layer, channels, space } => {
                    for c in self.criteria.iter().filter(|c| gates::CRITERIA.contains(c)) {
                        tally.add(c, layer, Ok(gates::terms(c, &numbers, channels, images, space)));
                    }
                }
                Part::Weight { layer, criterion: Criterion::FisherObd } => {
                    tally.add(&Criterion::FisherObd, layer, Ok(numbers));
                }
                Part::Norm { scale, criterion } => {
                    tally.add_norm(&criterion, scale, numbers.into_iter().map(|v| v * images as f64).collect());
                }
                // A batch weighs as much as it has images.
                Part::Weight { layer, criterion } => {
                    tally.add(&criterion, layer, Ok(numbers.into_iter().map(|v| v * images as f64).collect()));
                }
            }
        }
        Ok(())
    }

    /// What is read back of a backward pass, and whose it is.
    fn reduced(
        &self,
        gates: Vec<gates::Gate>,
        leaves: Vec<Slope>,
        slopes: &[Criterion],
        gradients: &mut Gradients,
    ) -> Result<(Vec<Part>, Vec<Tensor<1>>)> {
        let (mut parts, mut numbers) = (Vec::new(), Vec::new());
        for gate in gates {
            if let Some(gradient) = gradient_of(gate.leaf, gradients)? {
                let count = gradient.dims().iter().product();
                numbers.push(gradient.reshape(&[count])?.float()?);
                parts.push(Part::Gate { layer: gate.layer, channels: gate.channels, space: gate.space });
            }
        }
        let asked = || slopes.iter().filter(|c| self.criteria.contains(c)).cloned();
        for Slope { of, leaves } in leaves {
            let mut found = Vec::with_capacity(leaves.len());
            for Leaf { parameter, leaf } in leaves {
                found.extend(gradient_of(leaf, gradients)?.map(|gradient| (parameter, gradient)));
            }
            match (of, found.as_slice()) {
                (Of::Weight(layer), [(weight, gradient)]) => {
                    let Some(own) = self.layers.get(layer) else { continue };
                    for criterion in asked() {
                        numbers.push(weights::terms(&criterion, weight, gradient, &own.filters)?);
                        parts.push(Part::Weight { layer, criterion });
                    }
                }
                (Of::Norm(scale), [(gamma, by_gamma), (beta, by_beta)]) => {
                    for criterion in asked().filter(|c| weights::CRITERIA.contains(c)) {
                        numbers.push(weights::norm_terms(&criterion, [(gamma, by_gamma), (beta, by_beta)])?);
                        parts.push(Part::Norm { scale, criterion });
                    }
                }
                // The loss does not depend on it.
                _ => {}
            }
        }
        Ok((parts, numbers))
    }

    /// Gives every layer's weight a place in the autodiff graph, once for all layers that read it, and the BatchNormalizations behind them.
    fn leaves(&self, network: &Network, constants: &mut [Option<Value>]) -> Result<Vec<Slope>> {
        let mut seen = BTreeSet::new();
        let mut out = Vec::new();
        let mut leaf = |id: ValueId| -> Result<Option<Leaf>> {
            let Some(place) = constants.get_mut(Slot::from(id)).filter(|_| seen.insert(id)) else { return Ok(None) };
            let Some(value) = place.clone().filter(Value::is_float) else { return Ok(None) };
            let parameter = value.on(network.device().inner())?;
            let leaf: DeviceTensor = by_rank!(parameter.rank(), D => {
                Ok(parameter.clone().float::<D>()?.autodiff().require_grad().into())
            })?;
            *place = Some(leaf.clone().into());
            Ok(Some(Leaf { parameter, leaf }))
        };
        for (layer, own) in self.layers.iter().enumerate() {
            if let Some(weight) = leaf(own.weight)? {
                out.push(Slope { of: Of::Weight(layer), leaves: vec![weight] });
            }
            let node = own.norm.map(|id| &network.graph().nodes[id]);
            let Some((scale, shift)) = node.and_then(|n| n.input(1).zip(n.input(2))) else { continue };
            if let Some((gamma, beta)) = leaf(scale)?.zip(leaf(shift)?) {
                out.push(Slope { of: Of::Norm(scale), leaves: vec![gamma, beta] });
            }
        }
        Ok(out)
    }

    /// One forward pass for all criteria that look at values.
    async fn values(&self, network: &Network, batch: &Placed, tally: &mut Tally) -> Result<()> {
        let device = network.device().inner();
        let images = batch.images();
        let input = batch.input.clone();
        let (mut parts, mut places) = (Vec::new(), Vec::new());
        let mut maps: Vec<(usize, DeviceTensor, usize)> = Vec::new();
        let mut tap = |slot: Slot, value: Value| -> Result<Value> {
            for (k, layer) in self.layers.iter().enumerate() {
                for criterion in self.criteria.iter().filter(|c| c.needs() == Needs::Images) {
                    let (at, axis) = match criterion {
                        Criterion::WandaStructured => layer.input,
                        _ => (layer.read, layer.output.1),
                    };
                    if Slot::from(at) != slot {
                        continue;
                    }
                    let seen = value.clone().on(device)?;
                    if *criterion == Criterion::Hrank {
                        match activations::maps(seen, axis, images) {
                            Ok((seen, width)) => maps.push((k, seen, width)),
                            Err(e) => tally.add(criterion, k, Err(e)),
                        }
                        continue;
                    }
                    let usable = if *criterion == Criterion::Apoz { activations::rectified(layer) } else { Ok(()) };
                    match usable.and_then(|()| activations::by_channel(seen, axis, images)) {
                        Ok(seen) => {
                            places.push(Seen { criterion: criterion.clone(), layer: k, channels: seen.dims()[1] });
                            parts.push(activations::terms(criterion, seen));
                        }
                        Err(e) => tally.add(criterion, k, Err(e)),
                    }
                }
            }
            Ok(value)
        };
        let inputs = vec![(network.only_input()?, input)];
        network.forward_tapped(inputs, network.constants(), &mut Mode::Infer, &mut tap)?;
        for (seen, numbers) in places.into_iter().zip(read_all(parts).await?) {
            let mut sums = vec![0.0; seen.channels];
            for image in numbers.chunks(seen.channels.max(1)) {
                sums.iter_mut().zip(image).for_each(|(sum, v)| *sum += v);
            }
            tally.add(&seen.criterion, seen.layer, Ok(sums));
        }
        for (k, seen, width) in maps {
            let seen = seen.download().await?;
            let channels = seen.dims.get(1).copied().unwrap_or(0);
            let ranks = hrank::ranks(seen.as_f32().unwrap_or_default(), (images, channels, width));
            tally.add(&Criterion::Hrank, k, Ok(ranks));
        }
        Ok(())
    }
}

/// Criteria that look at images without their classes.
const UNLABELLED: [Criterion; 4] =
    [Criterion::ActivationMeanAbs, Criterion::Apoz, Criterion::WandaStructured, Criterion::Hrank];

fn names<'a>(criteria: impl Iterator<Item = &'a Criterion>) -> String {
    criteria.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Pass {
    fn labels<'a>(&self, batch: &'a Placed) -> Result<&'a [u32]> {
        batch.labels.as_deref().ok_or_else(|| {
            let what = format!(
                "the images have no labels, which {} cannot do without: put each class in a folder of its own, or take a \
                 criterion that needs images only ({}) or weights only (such as l1)",
                names(self.criteria.iter().filter(|c| c.needs() == Needs::Labels)),
                names(UNLABELLED.iter())
            );
            Error::new(Code::BadData, what)
        })
    }
}

/// Reads many small tensors back with one wait for the device.
pub(crate) async fn read_all(parts: Vec<Tensor<1>>) -> Result<Vec<Vec<f64>>> {
    if parts.is_empty() {
        return Ok(Vec::new());
    }
    let lengths: Vec<usize> = parts.iter().map(|p| p.dims()[0]).collect();
    let host = DeviceTensor::from(Tensor::cat(parts, 0)).download().await?;
    let mut numbers = host.as_f32().unwrap_or_default().iter().map(|&v| f64::from(v));
    Ok(lengths.into_iter().map(|n| numbers.by_ref().take(n).collect()).collect())
}
