//! The uncut model, whose answers a cut one learns to give.

use super::lesson::Lesson;
use crate::device::Device;
use crate::ops::Mode;
use crate::run::Network;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::{HostTensor, Value};
use burn::tensor::{Int, Tensor, TensorData};
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};

/// A network that only answers: nothing of it is trained, and no graph of its work is kept.
#[derive(Debug)]
pub(super) struct Teacher {
    network: Network,
    /// Answers given ahead, batch after batch, by output.
    ahead: Vec<Vec<DeviceTensor>>,
}

impl Teacher {
    /// Puts a model on a device: all outputs of it, or the scores of the first alone.
    pub(super) fn new(model: &Model, device: &Device, all_outputs: bool) -> Result<Self> {
        let load = if all_outputs { Network::load } else { Network::load_classifier };
        Ok(Self { network: load(model, device)?, ahead: Vec::new() })
    }

    /// What it says to a lesson: what it said ahead, or else now.
    pub(super) fn answers(&mut self, lesson: &Lesson) -> Result<Vec<DeviceTensor>> {
        if lesson.answers.is_empty() {
            return self.asked(&lesson.input);
        }
        let device = self.network.device().inner().clone();
        let rows: Vec<i64> = lesson.answers.iter().map(|&r| i64::from(r)).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [lesson.answers.len()]), &device);
        let mut out = Vec::with_capacity(self.ahead.len());
        for pieces in &mut self.ahead {
            let all = joined(std::mem::take(pieces))?;
            *pieces = vec![all.clone()];
            let known = all.dims().first().copied().unwrap_or(0);
            if lesson.answers.iter().any(|&r| r as usize >= known) {
                return Err(Error::new(Code::Usage, format!("an answer is asked for beyond the {known} given ahead")));
            }
            out.push(by_rank!(all.rank(), D => Ok(all.float::<D>()?.select(0, rows.clone()).into()))?);
        }
        Ok(out)
    }

    /// Answers ahead of time; the answers stay on the device.
    pub(super) fn answer_ahead(&mut self, input: &HostTensor) -> Result<()> {
        let answers = self.asked(input)?;
        self.ahead.resize_with(answers.len(), Vec::new);
        self.ahead.iter_mut().zip(answers).for_each(|(pieces, answer)| pieces.push(answer));
        self.network.device().flush()
    }

    fn asked(&self, input: &HostTensor) -> Result<Vec<DeviceTensor>> {
        let inputs = vec![(self.network.only_input()?, Value::from(input.clone()))];
        let outputs = self.network.forward(inputs, self.network.constants(), &mut Mode::Infer)?;
        real(outputs, self.network.device())
    }
}

/// The outputs that hold real numbers, on the device.
pub(super) fn real(outputs: Vec<Value>, device: &Device) -> Result<Vec<DeviceTensor>> {
    outputs.into_iter().filter(Value::is_float).map(|v| v.on(device.inner())).collect()
}

/// Pieces of a batch as one.
fn joined(mut pieces: Vec<DeviceTensor>) -> Result<DeviceTensor> {
    match (pieces.pop(), pieces.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => by_rank!(last.rank(), D => {
            let pieces = pieces.into_iter().chain([last]).map(DeviceTensor::float::<D>).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(pieces, 0).into())
        }),
        (None, _) => Err(Error::new(Code::Usage, "nothing was answered ahead")),
    }
}
