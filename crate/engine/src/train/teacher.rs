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
    /// Answers given ahead, by output.
    ahead: Ahead,
}

impl Teacher {
    /// Puts a model on a device: all outputs of it, or the scores of the first alone.
    pub(super) fn new(model: &Model, device: &Device, all_outputs: bool) -> Result<Self> {
        let load = if all_outputs { Network::load } else { Network::load_classifier };
        Ok(Self { network: load(model, device)?, ahead: Ahead::default() })
    }

    /// What it says to a lesson: what it said ahead, or else now.
    pub(super) fn answers(&mut self, lesson: &Lesson, input: &Value) -> Result<Vec<DeviceTensor>> {
        if lesson.ahead.is_empty() || self.ahead.is_empty() {
            return self.asked(input.clone());
        }
        self.ahead.rows(&lesson.ahead, self.network.device().inner())
    }

    /// Answers ahead of time; the answers stay on the device.
    pub(super) fn answer_ahead(&mut self, input: &HostTensor) -> Result<()> {
        let answers = self.asked(input.clone().into())?;
        self.ahead.push(answers);
        self.network.device().flush()
    }

    fn asked(&self, input: Value) -> Result<Vec<DeviceTensor>> {
        let inputs = vec![(self.network.only_input()?, input)];
        let outputs = self.network.forward(inputs, self.network.constants(), &mut Mode::Infer)?;
        real(outputs, self.network.device())
    }
}

/// The outputs that hold real numbers, on the device.
pub(super) fn real(outputs: Vec<Value>, device: &Device) -> Result<Vec<DeviceTensor>> {
    outputs.into_iter().filter(Value::is_float).map(|v| v.on(device.inner())).collect()
}
