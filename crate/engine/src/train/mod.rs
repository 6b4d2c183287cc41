//! Training: forward with the statistics of the batch, backward, and a step of the optimiser.

mod checkpoint;
mod gates;
mod optimizer;
mod parameters;
mod penalty;
mod schedule;

use crate::batch::{Control, Ended, Labelled};
use crate::device::Device;
use crate::ops::Mode;
use crate::run::{Network, Slot};
use crate::stored;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::{HostTensor, Value};
use burn::tensor::{Gradients, Tensor, TensorData, activation};
use lopper_core::onnx::{Model, Tensor as Stored};
use lopper_core::{Code, Error, Result};

pub use checkpoint::Memory;
pub use gates::GateSite;
pub use optimizer::Optimizer;
pub(crate) use parameters::write;
pub use penalty::Pull;
pub use schedule::Schedule;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The rule that moves parameters.
    pub optimizer: Optimizer,
    /// The learning rate that the schedule scales.
    pub rate: f64,
    /// How the learning rate goes over the steps.
    pub schedule: Schedule,
    /// For dropout.
    pub seed: u64,
}

/// A parameter that training moves, and what the optimiser remembers of it.
#[derive(Debug)]
struct Parameter {
    name: String,
    slot: Slot,
    tensor: DeviceTensor,
    /// The momentum of SGD or the first moment of AdamW.
    first: Option<DeviceTensor>,
    /// The second moment of AdamW.
    second: Option<DeviceTensor>,
    /// What is added to its gradient.
    pull: Option<penalty::Pulling>,
    /// Whether it stays as it is.
    frozen: bool,
}

impl Parameter {
    fn new(name: String, slot: Slot, tensor: DeviceTensor) -> Self {
        Self { name, slot, tensor, first: None, second: None, pull: None, frozen: false }
    }

    /// One step at a rate, the step being counted from 1.
    fn advance(
        &mut self,
        optimizer: &Optimizer,
        gradient: DeviceTensor,
        (rate, step): (f64, usize),
        strength: f32,
    ) -> Result<()> {
        let gradient = match &self.pull {
            Some(pull) => pull.apply(&self.tensor, gradient, strength)?,
            None => gradient,
        };
        optimizer.update(self, gradient, rate, step)
    }
}

/// A network that learns.
#[derive(Debug)]
pub struct Trainer {
    network: Network,
    settings: Settings,
    parameters: Vec<Parameter>,
    /// Names and places of running statistics, which training updates without gradients.
    statistics: Vec<(String, Slot)>,
    /// Everything that nodes read from outside the data, by slot.
    constants: Vec<Option<Value>>,
    steps: usize,
    unread: Vec<Tensor<1>>,
    gates: Vec<gates::Gate>,
    /// What factors of penalties are multiplied by.
    strength: f32,
    fixed_statistics: bool,
}

/// What a caller of [`Trainer::fit`] sees after each step.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Steps done since the trainer was made, those before a checkpoint included.
    pub steps: usize,
    /// The learning rate of the step just done.
    pub rate: f64,
    /// Losses that were read from the device since the last call, oldest first; often empty.
    pub losses: Vec<f32>,
}

impl Trainer {
    /// Puts a model on a device for training.
    ///
    /// # Errors
    /// When the model cannot be run, has no parameters to train, or holds them in half precision.
    pub fn new(model: &Model, device: &Device, settings: Settings) -> Result<Self> {
        let network = Network::load_for_training(model, device)?;
        let mut constants = network.constants().to_vec();
        let mut parameters = Vec::new();
        for (name, slot) in parameters::trainable(network.graph())? {
            let tensor = upload(&mut constants, slot, device)?;
            parameters.push(Parameter::new(name, slot, tensor));
        }
        if parameters.is_empty() {
            return Err(Error::new(Code::Unsupported, "the model holds no parameters that could be trained"));
        }
        let statistics = parameters::statistics(network.graph());
        for (_, slot) in &statistics {
            let tensor = upload(&mut constants, *slot, device)?;
            put(&mut constants, *slot, Some(tensor));
        }
        device.inner().seed(settings.seed);
        Ok(Self {
            network,
            settings,
            parameters,
            statistics,
            constants,
            steps: 0,
            unread: Vec::new(),
            gates: Vec::new(),
            strength: 1.0,
            fixed_statistics: false,
        })
    }

    /// Steps done.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Names of the parameters that are trained.
    pub fn trained(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|p| p.name.as_str())
    }

    /// The learning rate of the next step.
    pub fn rate(&self) -> f64 {
        self.settings.rate * self.settings.schedule.factor(self.steps)
    }

    /// One step on one batch. The loss stays on the device until [`Trainer::losses`] reads it.
    ///
    /// # Errors
    /// When the batch does not fit the network, or the device fails.
    pub fn step(&mut self, batch: &Labelled) -> Result<()> {
        let leaves = self.leaves()?;
        let gates = self.multiply_by_gates(&leaves)?;
        let input = Value::from(HostTensor::f32(batch.dims.clone(), batch.images.clone())?);
        let inputs = vec![(self.network.only_input()?, input)];
        let mut mode = if self.fixed_statistics { Mode::Infer } else { Mode::Train(Vec::new()) };
        let output = self.network.forward(inputs, &self.constants, &mut mode)?.into_iter().next();
        let logits = output
            .ok_or_else(|| Error::new(Code::BadNode, "the model has no output"))?
            .on(self.network.device().inner())?;
        let loss = cross_entropy(logits, batch, self.network.device())?;
        let mut gradients = loss.backward();
        self.unread.push(loss.inner());
        let rate = self.rate();
        self.steps += 1;
        for (parameter, leaf) in self.parameters.iter_mut().zip(leaves) {
            put(&mut self.constants, parameter.slot, None);
            if parameter.frozen {
                continue;
            }
            if let Some(gradient) = gradient_of(leaf, &mut gradients)? {
                parameter.advance(&self.settings.optimizer, gradient, (rate, self.steps), self.strength)?;
            }
        }
        self.move_gates(gates, &mut gradients, rate)?;
        if let Mode::Train(statistics) = mode {
            self.move_statistics(statistics)?;
        }
        self.network.device().flush()
    }

    /// Gives every parameter that moves a fresh place in the autodiff graph.
    fn leaves(&mut self) -> Result<Vec<DeviceTensor>> {
        let mut leaves = Vec::with_capacity(self.parameters.len());
        for p in &self.parameters {
            let t = p.tensor.clone();
            let leaf: DeviceTensor = match p.frozen {
                true => t,
                false => by_rank!(t.rank(), D => Ok(t.float::<D>()?.autodiff().require_grad().into()))?,
            };
            put(&mut self.constants, p.slot, Some(leaf.clone()));
            leaves.push(leaf);
        }
        Ok(leaves)
    }

    /// `running = momentum * running + (1 - momentum) * batch`.
    fn move_statistics(&mut self, seen: Vec<crate::ops::Statistics>) -> Result<()> {
        for s in seen {
            for (id, batch) in [(s.mean_of, s.mean), (s.variance_of, s.variance)] {
                let slot = Slot::from(id);
                let Some(Value::Device(old)) = self.constants.get_mut(slot).and_then(Option::take) else { continue };
                let new = old.float::<1>()?.mul_scalar(s.momentum) + batch.mul_scalar(1.0 - s.momentum);
                put(&mut self.constants, slot, Some(new.into()));
            }
        }
        Ok(())
    }

    /// Reads the losses of all steps since the last call, oldest first: one wait for the device.
    ///
    /// # Errors
    /// [`Code::Diverged`] when a loss is not finite; [`Code::DeviceLost`] when the device fails.
    pub async fn losses(&mut self) -> Result<Vec<f32>> {
        if self.unread.is_empty() {
            return Ok(Vec::new());
        }
        let first = self.steps - self.unread.len();
        let all = Tensor::cat(std::mem::take(&mut self.unread), 0);
        let host = DeviceTensor::from(all).download().await?;
        let losses = host.as_f32().unwrap_or_default().to_vec();
        match losses.iter().position(|l| !l.is_finite()) {
            Some(at) => Err(Error::new(
                Code::Diverged,
                format!("the loss stopped being a number at step {}: use a lower learning rate", first + at + 1),
            )),
            None => Ok(losses),
        }
    }

    /// Trains on batches until they end or the caller says stop. Losses are read every `read_every` steps and at the end.
    ///
    /// # Errors
    /// As [`Trainer::step`] and [`Trainer::losses`].
    pub async fn fit(
        &mut self,
        batches: impl IntoIterator<Item = Result<Labelled>>,
        read_every: usize,
        mut on_step: impl AsyncFnMut(Progress) -> Control,
    ) -> Result<Ended> {
        for batch in batches {
            let rate = self.rate();
            self.step(&batch?)?;
            let losses = if self.unread.len() >= read_every.max(1) { self.losses().await? } else { Vec::new() };
            match on_step(Progress { steps: self.steps, rate, losses }).await {
                Control::Continue => {}
                Control::Pause => return Ok(Ended::Paused),
                Control::Cancel => return Ok(Ended::Cancelled),
            }
        }
        let losses = self.losses().await?;
        if !losses.is_empty() {
            on_step(Progress { steps: self.steps, rate: self.rate(), losses }).await;
        }
        Ok(Ended::Done)
    }

    /// Every trained tensor by name: parameters, multiplied by their gates, then running statistics.
    async fn tensors(&self) -> Result<Vec<(String, HostTensor)>> {
        let mut out = Vec::with_capacity(self.parameters.len() + self.statistics.len());
        for (at, p) in self.parameters.iter().enumerate() {
            if let Some(tensor) = self.gated(at)? {
                out.push((p.name.clone(), tensor.download().await?));
            }
        }
        for (name, slot) in &self.statistics {
            if let Some(value) = self.constants.get(*slot).cloned().flatten() {
                out.push((name.clone(), value.download().await?));
            }
        }
        Ok(out)
    }

    /// The model with the trained values in the places of the old ones; everything else stays as it is.
    ///
    /// # Errors
    /// When `model` is not the one that was trained, or the device fails.
    pub async fn to_model(&self, model: &Model) -> Result<Model> {
        let mut model = stored::inlined(model, [])?;
        for (name, tensor) in self.tensors().await? {
            let values = tensor.as_f32().unwrap_or_default();
            write(&mut model, &Stored::from_f32(name, tensor.dims.clone(), values))?;
        }
        Ok(model)
    }
}

/// Puts a tensor into its slot, or empties it.
fn put(constants: &mut [Option<Value>], slot: Slot, tensor: Option<DeviceTensor>) {
    if let Some(place) = constants.get_mut(slot) {
        *place = tensor.map(Value::from);
    }
}

/// Takes a constant out of its slot and onto the device.
fn upload(constants: &mut [Option<Value>], slot: Slot, device: &Device) -> Result<DeviceTensor> {
    let value = constants.get_mut(slot).and_then(Option::take);
    value.ok_or_else(|| Error::new(Code::BadTensor, "a parameter is missing"))?.on(device.inner())
}

/// The gradient in a leaf, if the loss depends on it.
pub(crate) fn gradient_of(leaf: DeviceTensor, gradients: &mut Gradients) -> Result<Option<DeviceTensor>> {
    by_rank!(leaf.rank(), D => Ok(leaf.float::<D>()?.grad_remove(gradients).map(DeviceTensor::from)))
}

/// The mean over the batch of `-log softmax(logits)` at the labels.
pub(crate) fn cross_entropy(logits: DeviceTensor, batch: &Labelled, device: &Device) -> Result<Tensor<1>> {
    let images = batch.labels.len();
    let dims = logits.dims();
    let classes = dims.iter().skip(1).product::<usize>();
    if dims.first() != Some(&images) {
        return Err(Error::new(Code::DataMismatch, format!("an output of shape {dims:?} for {images} images")));
    }
    batch.check(classes)?;
    let logits: Tensor<2> = logits.reshape(&[images, classes])?.float()?;
    let mut target = vec![0.0_f32; images * classes];
    for (row, &label) in target.chunks_mut(classes).zip(&batch.labels) {
        if let Some(t) = row.get_mut(label as usize) {
            *t = -1.0 / images as f32;
        }
    }
    let target = Tensor::<2>::from_data(TensorData::new(target, [images, classes]), device.inner());
    Ok((activation::log_softmax(logits, 1) * target).sum())
}
