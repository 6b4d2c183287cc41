//! Training: forward with the statistics of the batch, backward, and a step of the optimiser.

mod ahead;
mod checkpoint;
mod clip;
mod features;
mod followers;
mod gates;
mod lesson;
mod loss;
mod optimizer;
mod parameters;
mod penalty;
mod pixels;
mod prefix;
#[cfg(test)]
mod proof;
mod schedule;
mod statistics;
mod teacher;

use crate::batch::{Control, Ended, Labelled};
use crate::data;
use crate::device::Device;
use crate::ops::Mode;
use crate::run::{Network, Slot};
use crate::stored;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::{HostTensor, Value};
use burn::tensor::{Gradients, Tensor};
use lopper_core::onnx::{Model, Tensor as Stored};
use lopper_core::{Code, Error, Result};
use teacher::{Taught, Teacher};

pub use checkpoint::Memory;
pub use features::Hints;
pub use gates::GateSite;
pub use lesson::{Lesson, Target};
pub use loss::Loss;
pub(crate) use loss::mean_cross_entropy;
pub use optimizer::Optimizer;
pub(crate) use parameters::write;
pub use penalty::Pull;
pub use prefix::Resting;
pub use schedule::Schedule;
pub use statistics::own_statistics;

/// Makes seeds of neighbouring steps far apart: the odd number nearest to 2^64 over the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

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
    /// What is made small.
    pub loss: Loss,
    /// Whether biases and the scales of norms decay, too.
    pub decay_all: bool,
    /// The most that the norm of all gradients together may be.
    pub clip: Option<f32>,
    /// Whether BatchNormalization keeps its running statistics and normalises by them.
    pub frozen_statistics: bool,
}

impl Default for Settings {
    /// SGD with Nesterov's momentum 0.9 and a decay of 5e-4 at a constant rate of 0.02.
    fn default() -> Self {
        Self {
            optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 5e-4 },
            rate: 0.02,
            schedule: Schedule::Constant,
            seed: 0,
            loss: Loss::default(),
            decay_all: true,
            clip: None,
            frozen_statistics: false,
        }
    }
}

/// A parameter that training moves, and what the optimiser remembers of it.
#[derive(Debug)]
struct Parameter {
    name: String,
    slot: Slot,
    tensor: DeviceTensor,
    /// Whether the optimiser's decay is for it.
    decays: bool,
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
        Self { name, slot, tensor, decays: true, first: None, second: None, pull: None, frozen: false }
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
    teacher: Option<Teacher>,
    /// What is compared with the teacher's inside.
    features: Option<features::Features>,
    steps: usize,
    unread: Vec<Tensor<1>>,
    gates: Vec<gates::Gate>,
    /// What comes before the first parameter that moves, where that is known to rest.
    prefix: Option<prefix::Prefix>,
    /// Images that lie on the device.
    pixels: Option<pixels::DevicePixels>,
    /// The same network on other devices, which take parts of every batch.
    followers: Vec<Self>,
    /// What factors of penalties are multiplied by.
    strength: f32,
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
        let own = own_statistics(model)?;
        let model = own.as_ref().unwrap_or(model);
        let whole = settings.loss.compares_all();
        let load = if whole { Network::load_whole_for_training } else { Network::load_for_training };
        let network = load(model, device)?;
        let mut constants = network.constants().to_vec();
        let mut parameters = Vec::new();
        for found in parameters::trainable(network.graph())? {
            let tensor = upload(&mut constants, found.slot, device)?;
            let decays = settings.decay_all || found.mixes;
            parameters.push(Parameter { decays, ..Parameter::new(found.name, found.slot, tensor) });
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
            teacher: None,
            features: None,
            steps: 0,
            unread: Vec::new(),
            gates: Vec::new(),
            prefix: None,
            pixels: None,
            followers: Vec::new(),
            strength: 1.0,
        })
    }

    /// Names the model whose answers are to be learnt.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn learn_from(&mut self, original: &Model) -> Result<()> {
        self.teacher = Some(Teacher::new(original, self.network.device(), self.settings.loss.compares_all())?);
        Ok(())
    }

    /// Asks the teacher ahead of time. The images of all calls, in their order, are what [`Lesson::ahead`] counts.
    ///
    /// # Errors
    /// When there is no teacher, or the images do not fit it.
    pub fn ask_ahead(&mut self, input: &HostTensor) -> Result<()> {
        let teacher = self.teacher.as_mut();
        teacher
            .ok_or_else(|| Error::new(Code::Usage, "there is no uncut model to ask: name it"))?
            .answer_ahead(input)?;
        self.followers.iter_mut().try_for_each(|f| f.ask_ahead(input))
    }

    /// Puts all images of a data set on the device, where [`Lesson::moved`] finds them.
    ///
    /// # Errors
    /// When they are no bytes, or the normalisation does not fit them.
    pub fn keep_images(&mut self, data: &data::Dataset, normalization: &data::Normalization) -> Result<()> {
        self.pixels = Some(pixels::DevicePixels::new(data, normalization, self.network.device().inner())?);
        self.followers.iter_mut().try_for_each(|f| f.keep_images(data, normalization))
    }

    /// The graph that is trained.
    pub fn graph(&self) -> &lopper_core::graph::Graph {
        self.network.graph()
    }

    /// Steps done.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Names of the parameters that are trained.
    pub fn trained(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().map(|p| p.name.as_str())
    }

    /// Names of those of them that are not frozen.
    pub fn moving(&self) -> impl Iterator<Item = &str> {
        self.parameters.iter().filter(|p| !p.frozen).map(|p| p.name.as_str())
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
        self.learn(vec![batch.clone().into()])
    }

    /// One step on a batch in one or more parts, whose gradients are added up; each has statistics of its own. What dropout draws
    /// depends on the seed and the step alone, so that a run goes on after a checkpoint as it would have without.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn learn(&mut self, parts: Vec<Lesson>) -> Result<()> {
        let weight: f64 = parts.iter().map(Lesson::weight).sum();
        let draw = self.settings.seed.wrapping_add((self.steps as u64).wrapping_mul(SPREAD));
        self.network.device().inner().seed(draw);
        let (mut gradients, losses) = self.dealt(parts, weight, draw)?;
        let rate = self.rate();
        self.steps += 1;
        if let Some(most) = self.settings.clip {
            clip::clip(&mut gradients, most)?;
        }
        let of_gates = gradients.split_off(self.parameters.len());
        for (parameter, gradient) in self.parameters.iter_mut().zip(gradients) {
            if let Some(gradient) = gradient {
                parameter.advance(&self.settings.optimizer, gradient, (rate, self.steps), self.strength)?;
            }
        }
        self.move_gates(of_gates, rate)?;
        self.unread.push(Tensor::cat(losses, 0).sum());
        self.network.device().flush()
    }

    /// The mean loss over lessons as inference has it: nothing moves. One wait for the device, at the end.
    ///
    /// # Errors
    /// As [`Trainer::step`]; [`Code::Cancelled`] when the caller says stop.
    pub async fn judge(
        &mut self,
        lessons: impl IntoIterator<Item = Result<Lesson>>,
        mut on_batch: impl AsyncFnMut() -> Control,
    ) -> Result<f64> {
        let mut constants = self.constants.clone();
        for (at, p) in self.parameters.iter().enumerate() {
            put(&mut constants, p.slot, self.gated(at)?);
        }
        let (mut losses, mut weight) = (Vec::new(), 0.0);
        for lesson in lessons {
            let lesson = lesson?;
            let input = self.input(&lesson)?;
            let taught = self.taught(&lesson, &input)?;
            let inputs = vec![(self.network.only_input()?, input)];
            let mut outputs = self.network.forward(inputs, &constants, &mut Mode::Infer)?;
            self.split_features(&mut outputs);
            let outputs = teacher::real(outputs, self.network.device())?;
            let loss = self.settings.loss.of(outputs, taught.answers, &lesson, self.network.device())?;
            losses.push(loss.mul_scalar(lesson.weight()));
            weight += lesson.weight();
            if on_batch().await != Control::Continue {
                return Err(Error::new(Code::Cancelled, "the look at the validation images was cancelled"));
            }
        }
        if losses.is_empty() {
            return Err(Error::new(Code::BadData, "there is no image to judge by"));
        }
        let sum = DeviceTensor::from(Tensor::cat(losses, 0).sum()).download().await?;
        let sum = sum.as_f32().and_then(|s| s.first().copied()).unwrap_or(f32::NAN);
        Ok(f64::from(sum) / weight.max(1.0))
    }

    /// Forward and backward of a part; its share of the loss.
    fn add_gradients(&mut self, part: Lesson, share: f64, sums: &mut [Option<DeviceTensor>]) -> Result<Tensor<1>> {
        let input = self.input(&part)?;
        let taught = self.taught(&part, &input)?;
        let leaves = self.leaves()?;
        let gates = self.multiply_by_gates(&leaves)?;
        let mut mode = if self.settings.frozen_statistics { Mode::Frozen } else { Mode::Train(Vec::new()) };
        let mut outputs = self.forward(&part, input, &mut mode)?;
        let own = self.split_features(&mut outputs);
        let outputs = teacher::real(outputs, self.network.device())?;
        let mut loss = self.settings.loss.of(outputs, taught.answers, &part, self.network.device())?;
        if let Some(features) = &self.features {
            loss = loss + features.loss(own, taught.features, self.network.device().inner())?;
        }
        let loss = loss.mul_scalar(share);
        let mut gradients = loss.backward();
        for parameter in &self.parameters {
            put(&mut self.constants, parameter.slot, None);
        }
        let moves = self.parameters.iter().map(|p| !p.frozen).chain(gates.iter().map(|_| true));
        let leaves = leaves.into_iter().chain(gates.iter().cloned());
        for ((leaf, _), sum) in leaves.zip(moves).zip(sums).filter(|((_, moves), _)| *moves) {
            if let Some(gradient) = gradient_of(leaf, &mut gradients)? {
                *sum = Some(followers::added(sum.take(), gradient)?);
            }
        }
        if let Mode::Train(statistics) = mode {
            self.move_statistics(statistics)?;
        }
        Ok(loss.inner())
    }

    /// What the teacher says, if there is one.
    fn taught(&mut self, lesson: &Lesson, input: &Value) -> Result<Taught> {
        self.teacher.as_mut().map_or_else(|| Ok(Taught::default()), |t| t.says(lesson, input))
    }

    /// The input of a lesson, which both networks read.
    fn input(&self, lesson: &Lesson) -> Result<Value> {
        match (&self.pixels, lesson.moved.is_empty()) {
            (_, true) => Ok(lesson.input.clone().into()),
            (Some(pixels), false) => Ok(pixels.gather(&lesson.moved)?.into()),
            (None, false) => Err(Error::new(Code::Usage, "there are no images on the device: put them there first")),
        }
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

    /// The model with the trained values in the places of the old ones; everything else stays as it is, but that normalisations which
    /// shared running statistics have statistics of their own.
    ///
    /// # Errors
    /// When `model` is not the one that was trained, or the device fails.
    pub async fn to_model(&self, model: &Model) -> Result<Model> {
        let own = own_statistics(model)?;
        let mut model = stored::inlined(own.as_ref().unwrap_or(model), [])?;
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
