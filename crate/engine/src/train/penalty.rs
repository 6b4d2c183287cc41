//! What training does to parameters beside following the loss: penalties on them, frozen and held ones, zeros.
//!
//! A penalty enters as its gradient, after the backward pass and before the optimiser's step, so momentum sees it.

use super::checkpoint::broken;
use super::{Optimizer, Trainer};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::HostTensor;
use lopper_core::{Code, Error, Result};
use std::collections::HashMap;

/// What is added to the gradient `g` of a parameter `w`.
#[derive(Clone, Debug)]
pub enum Pull {
    /// `g += amount * sign(w)`, and nothing where `w` is 0.
    Sign(f32),
    /// `g += strength * factor * w`, one factor an element; [`Trainer::strength`] sets the strength.
    Shrink(HostTensor),
    /// `g *= factor`, one factor an element: 0 holds an element where it is.
    Hold(HostTensor),
}

/// A [`Pull`] on the device.
#[derive(Clone, Debug)]
pub(super) enum Pulling {
    Sign(f32),
    Shrink(DeviceTensor),
    Hold(DeviceTensor),
}

impl Pulling {
    /// The gradient with what this adds.
    pub(super) fn apply(&self, w: &DeviceTensor, g: DeviceTensor, strength: f32) -> Result<DeviceTensor> {
        by_rank!(w.rank(), D => {
            let (w, g) = (w.clone().float::<D>()?, g.float::<D>()?);
            Ok(match self {
                Self::Sign(amount) => g + w.sign().mul_scalar(*amount),
                Self::Shrink(factor) => g + factor.clone().float::<D>()? * w.mul_scalar(strength),
                Self::Hold(factor) => g * factor.clone().float::<D>()?,
            }.into())
        })
    }
}

/// Pulls of all parameters, and the strength of those that shrink.
pub(super) type Pulls = (Vec<Option<Pulling>>, Option<f32>);

impl Trainer {
    /// What pulls parameters, for a checkpoint: `u:` factors that shrink, `v:` factors of gradients, `y:` amounts of signs, each with
    /// a parameter's name, and `t:` the strength.
    pub(super) async fn pulls(&self) -> Result<Vec<(String, HostTensor)>> {
        let mut out = Vec::new();
        for p in &self.parameters {
            let (kind, tensor) = match &p.pull {
                None => continue,
                Some(Pulling::Sign(amount)) => ("y", HostTensor::f32(vec![1], vec![*amount])?),
                Some(Pulling::Shrink(t)) => ("u", t.clone().download().await?),
                Some(Pulling::Hold(t)) => ("v", t.clone().download().await?),
            };
            out.push((format!("{kind}:{}", p.name), tensor));
        }
        if !out.is_empty() {
            out.push(("t:".to_owned(), HostTensor::f32(vec![1], vec![self.strength])?));
        }
        Ok(out)
    }

    /// The same back from a checkpoint.
    pub(super) fn known_pulls(&self, tensors: &mut HashMap<String, HostTensor>) -> Result<Pulls> {
        let device = self.network.device().inner().clone();
        let number = |t: &HostTensor| t.as_f32().and_then(|v| v.first().copied()).unwrap_or(0.0);
        let mut pulls = Vec::with_capacity(self.parameters.len());
        for p in &self.parameters {
            let mut take = |kind: &str| tensors.remove(&format!("{kind}:{}", p.name));
            let factors = |t: HostTensor| match t.dims == p.tensor.dims() {
                true => DeviceTensor::upload(&t, &device),
                false => Err(broken(&format!("what pulls {} has another shape", p.name))),
            };
            pulls.push(match (take("y"), take("u"), take("v")) {
                (Some(t), ..) => Some(Pulling::Sign(number(&t))),
                (_, Some(t), _) => Some(Pulling::Shrink(factors(t)?)),
                (.., Some(t)) => Some(Pulling::Hold(factors(t)?)),
                (None, None, None) => None,
            });
        }
        Ok((pulls, tensors.remove("t:").as_ref().map(number)))
    }

    /// Pulls as a checkpoint has them.
    pub(super) fn take_pulls(&mut self, (pulls, strength): Pulls) {
        self.parameters.iter_mut().zip(pulls).for_each(|(p, pull)| p.pull = pull);
        self.strength = strength.unwrap_or(self.strength);
    }

    /// From the next step on another rule and rate; what the optimiser remembers stays.
    pub fn steer(&mut self, optimizer: Optimizer, rate: f64) {
        self.settings.optimizer = optimizer;
        self.settings.rate = rate;
    }

    /// Pulls a parameter in every step from now on, instead of what pulled it before; `None` lets go.
    ///
    /// # Errors
    /// When no parameter of that name is trained or factors do not have its shape.
    pub fn pull(&mut self, name: &str, pull: Option<Pull>) -> Result<()> {
        let device = self.network.device().inner().clone();
        let p = self.parameter(name)?;
        let dims = p.tensor.dims();
        let factors = |t: HostTensor| match t.dims == dims {
            true => DeviceTensor::upload(&t, &device),
            false => Err(misfit(name, &t.dims, &dims)),
        };
        p.pull = match pull {
            None => None,
            Some(Pull::Sign(amount)) => Some(Pulling::Sign(amount)),
            Some(Pull::Shrink(t)) => Some(Pulling::Shrink(factors(t)?)),
            Some(Pull::Hold(t)) => Some(Pulling::Hold(factors(t)?)),
        };
        Ok(())
    }

    /// Lets go of all parameters.
    pub fn release(&mut self) {
        self.parameters.iter_mut().for_each(|p| p.pull = None);
    }

    /// What all factors of [`Pull::Shrink`] are multiplied by; 1 in the beginning.
    pub fn strength(&mut self, strength: f32) {
        self.strength = strength;
    }

    /// From the next step on the parameters that are named neither move nor cost a backward pass, and all others move.
    pub fn freeze(&mut self, frozen: impl Fn(&str) -> bool) {
        self.parameters.iter_mut().for_each(|p| p.frozen = frozen(&p.name));
        self.prefix = None;
    }

    /// Whether steps take the running statistics as they are instead of those of the batch.
    pub fn fix_statistics(&mut self, fixed: bool) {
        self.settings.frozen_statistics = fixed;
    }

    /// Multiplies a parameter by factors of its shape; with `still`, what the optimiser remembers of it, too.
    ///
    /// # Errors
    /// When no parameter of that name is trained or factors do not have its shape.
    pub fn multiply(&mut self, name: &str, factors: &HostTensor, still: bool) -> Result<()> {
        let device = self.network.device().inner().clone();
        let p = self.parameter(name)?;
        if p.tensor.dims() != factors.dims {
            return Err(misfit(name, &factors.dims, &p.tensor.dims()));
        }
        let factors = DeviceTensor::upload(factors, &device)?;
        let times = |t: DeviceTensor| -> Result<DeviceTensor> {
            by_rank!(t.rank(), D => Ok((t.float::<D>()? * factors.clone().float::<D>()?).into()))
        };
        p.tensor = times(p.tensor.clone())?;
        if still {
            p.first = p.first.take().map(times).transpose()?;
            p.second = p.second.take().map(times).transpose()?;
        }
        Ok(())
    }

    /// The values of a parameter.
    ///
    /// # Errors
    /// When no parameter of that name is trained, or the device fails.
    pub async fn read(&self, name: &str) -> Result<HostTensor> {
        let p = self.parameters.iter().find(|p| p.name == name).ok_or_else(|| stranger(name))?;
        p.tensor.clone().download().await
    }

    fn parameter(&mut self, name: &str) -> Result<&mut super::Parameter> {
        self.parameters.iter_mut().find(|p| p.name == name).ok_or_else(|| stranger(name))
    }
}

pub(super) fn stranger(name: &str) -> Error {
    Error::new(Code::Usage, format!("no parameter {name:?} is trained: name one that the model's layers read"))
}

fn misfit(name: &str, got: &[usize], want: &[usize]) -> Error {
    Error::new(Code::BadShape, format!("factors of shape {got:?} for {name:?}, whose shape is {want:?}"))
}
