//! The uncut model, whose answers a cut one learns to give.

use super::ahead::Ahead;
use super::lesson::Lesson;
use crate::device::Device;
use crate::ops::Mode;
use crate::run::Network;
use crate::tensor::DeviceTensor;
use crate::value::{HostTensor, Value};
use lopper_core::Result;
use lopper_core::onnx::Model;

/// A network that only answers: nothing of it is trained, and no graph of its work is kept.
#[derive(Debug)]
pub(super) struct Teacher {
    network: Network,
    /// How many of what the network gives are features, which come last.
    features: usize,
    /// Answers given ahead, by output.
    ahead: Ahead,
}

/// What a teacher says to a lesson.
#[derive(Debug, Default)]
pub(super) struct Taught {
    /// Its answers, where there is one.
    pub(super) answers: Option<Vec<DeviceTensor>>,
    /// Its features, where they are compared.
    pub(super) features: Vec<Value>,
}

impl Teacher {
    /// Puts a model on a device: all outputs of it, or the scores of the first alone.
    pub(super) fn new(model: &Model, device: &Device, all_outputs: bool) -> Result<Self> {
        Self::with_features(model, device, all_outputs, &[])
    }

    /// As [`Teacher::new`], with values of these names as features.
    pub(super) fn with_features(model: &Model, device: &Device, all_outputs: bool, names: &[String]) -> Result<Self> {
        let network = Network::load_with(model, device, all_outputs, names)?;
        Ok(Self { network, features: names.len(), ahead: Ahead::default() })
    }

    /// What it says to a lesson: what it said ahead, or else now. Features are never known ahead.
    pub(super) fn says(&mut self, lesson: &Lesson, input: &Value) -> Result<Taught> {
        if lesson.ahead.is_empty() || self.ahead.is_empty() || self.features > 0 {
            return self.asked(input.clone());
        }
        let answers = self.ahead.rows(&lesson.ahead, self.network.device().inner())?;
        Ok(Taught { answers: Some(answers), features: Vec::new() })
    }

    /// Answers ahead of time; the answers stay on the device.
    pub(super) fn answer_ahead(&mut self, input: &HostTensor) -> Result<()> {
        let answers = self.asked(input.clone().into())?.answers;
        self.ahead.push(answers.unwrap_or_default());
        self.network.device().flush()
    }

    fn asked(&self, input: Value) -> Result<Taught> {
        let inputs = vec![(self.network.only_input()?, input)];
        let mut outputs = self.network.forward(inputs, self.network.constants(), &mut Mode::Infer)?;
        let features = outputs.split_off(outputs.len().saturating_sub(self.features));
        Ok(Taught { answers: Some(real(outputs, self.network.device())?), features })
    }
}

/// The outputs that hold real numbers, on the device.
pub(super) fn real(outputs: Vec<Value>, device: &Device) -> Result<Vec<DeviceTensor>> {
    outputs.into_iter().filter(Value::is_float).map(|v| v.on(device.inner())).collect()
}
