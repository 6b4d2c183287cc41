//! Several devices that train one network: each takes parts of a batch, one keeps the parameters.
//!
//! The numbers travel by burn's own remote devices; what is here deals parts out and adds up what comes back.

use super::{Lesson, Slot, Trainer, put};
use crate::device::Device;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::Tensor;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};

/// Sums of gradients, one a parameter, where the loss depends on it.
type Sums = Vec<Option<DeviceTensor>>;

impl Trainer {
    /// Lets other devices take a share of every batch. The model is the one that is trained, `original` the one that is learnt from. Each
    /// batch then needs as many parts as there are devices, and each part has statistics of its own.
    ///
    /// # Errors
    /// When another device cannot hold the model, or scales are learnt besides its parameters.
    pub fn share(&mut self, model: &Model, original: Option<&Model>, devices: &[Device]) -> Result<()> {
        if !devices.is_empty() && !self.gates.is_empty() {
            return Err(Error::new(
                Code::Usage,
                "scales are learnt on one worker only: leave --affine out, or name one worker",
            ));
        }
        for device in devices {
            let mut follower = Self::new(model, device, self.settings.clone())?;
            for (own, leader) in follower.parameters.iter_mut().zip(&self.parameters) {
                own.frozen = leader.frozen;
            }
            if let Some(original) = original.filter(|_| self.teacher.is_some()) {
                follower.learn_as(self, original)?;
            }
            self.followers.push(follower);
        }
        Ok(())
    }

    /// Gradients of all parts, dealt out in turn, and their shares of the loss, all on the leading device.
    pub(super) fn dealt(&mut self, parts: Vec<Lesson>, weight: f64, draw: u64) -> Result<(Sums, Vec<Tensor<1>>)> {
        let mut sums = vec![None; self.parameters.len() + self.gates.len()];
        let mut losses = Vec::with_capacity(parts.len());
        let mut followers = std::mem::take(&mut self.followers);
        let workers = followers.len() + 1;
        for (follower, at) in followers.iter_mut().zip(1..) {
            follower.network.device().inner().seed(draw.wrapping_add(at));
            self.lead(follower)?;
        }
        let mut apart: Vec<Sums> = vec![vec![None; self.parameters.len()]; followers.len()];
        for (at, part) in parts.into_iter().enumerate() {
            let share = part.weight() / weight.max(1.0);
            let other = (at % workers).checked_sub(1);
            let other = other.and_then(|i| followers.get_mut(i).zip(apart.get_mut(i)));
            losses.push(match other {
                None => self.add_gradients(part, share, &mut sums)?,
                Some((follower, own)) => {
                    let loss = follower.add_gradients(part, share, own)?;
                    follower.network.device().flush()?;
                    loss
                }
            });
        }
        let home = self.network.device().inner().clone();
        let losses = losses.into_iter().map(|loss| loss.to_device(&home)).collect();
        for own in apart {
            for (sum, gradient) in sums.iter_mut().zip(own) {
                let Some(gradient) = gradient.map(|g| moved(&g, &home)).transpose()? else { continue };
                *sum = Some(added(sum.take(), gradient)?);
            }
        }
        self.average_statistics(&followers)?;
        self.followers = followers;
        Ok((sums, losses))
    }

    /// Gives another device the parameters and running statistics as they are now.
    fn lead(&self, follower: &mut Self) -> Result<()> {
        let device = follower.network.device().inner().clone();
        for (own, leader) in follower.parameters.iter_mut().zip(&self.parameters).filter(|(own, _)| !own.frozen) {
            own.tensor = moved(&leader.tensor, &device)?;
        }
        for (_, slot) in &self.statistics {
            if let Some(statistic) = self.statistic(*slot) {
                put(&mut follower.constants, *slot, Some(moved(statistic, &device)?));
            }
        }
        Ok(())
    }

    fn statistic(&self, slot: Slot) -> Option<&DeviceTensor> {
        match self.constants.get(slot) {
            Some(Some(Value::Device(tensor))) => Some(tensor),
            _ => None,
        }
    }

    /// Running statistics moved on every device from the same start: their mean.
    fn average_statistics(&mut self, followers: &[Self]) -> Result<()> {
        if followers.is_empty() || self.settings.frozen_statistics {
            return Ok(());
        }
        let home = self.network.device().inner().clone();
        let share = 1.0 / (followers.len() + 1) as f64;
        for slot in self.statistics.iter().map(|(_, slot)| *slot).collect::<Vec<_>>() {
            let Some(own) = self.statistic(slot).cloned() else { continue };
            let mut sum = own.float::<1>()?;
            for follower in followers {
                if let Some(other) = follower.statistic(slot) {
                    sum = sum + moved(other, &home)?.float::<1>()?;
                }
            }
            put(&mut self.constants, slot, Some(sum.mul_scalar(share).into()));
        }
        Ok(())
    }
}

/// A tensor on another device.
fn moved(tensor: &DeviceTensor, device: &burn::tensor::Device) -> Result<DeviceTensor> {
    by_rank!(tensor.rank(), D => Ok(tensor.clone().float::<D>()?.to_device(device).into()))
}

/// A gradient and what came before it.
pub(super) fn added(sum: Option<DeviceTensor>, gradient: DeviceTensor) -> Result<DeviceTensor> {
    match sum {
        None => Ok(gradient),
        Some(sum) => by_rank!(sum.rank(), D => Ok((sum.float::<D>()? + gradient.float()?).into())),
    }
}
