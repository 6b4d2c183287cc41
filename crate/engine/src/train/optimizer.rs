//! The rules that move parameters.

use super::Parameter;
use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::Tensor;
use lopper_core::Result;

/// A rule that moves parameters against their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// `g += decay * w; v = momentum * v + g; w -= rate * v`, with `v = g` in the first step.
    Sgd {
        /// How much of the last direction stays.
        momentum: f32,
        /// Whether to move by `g + momentum * v` instead of `v`.
        nesterov: bool,
        /// Added to the gradient as `decay * w`.
        weight_decay: f32,
    },
    /// `w *= 1 - rate * decay`, then Adam with bias-corrected moments and epsilon outside of the root.
    AdamW {
        /// How much of the first and second moment stays.
        betas: (f32, f32),
        /// Keeps the division finite.
        epsilon: f32,
        /// Share of the weight that goes in each step, times the rate.
        weight_decay: f32,
    },
}

impl Optimizer {
    /// Moves one parameter; `step` counts from 1.
    pub(super) fn update(&self, p: &mut Parameter, gradient: DeviceTensor, rate: f64, step: usize) -> Result<()> {
        let scalar = p.tensor.dims().is_empty();
        by_rank!(p.tensor.rank(), D => self.move_one::<D>(p, gradient.float()?, rate, step))?;
        if scalar {
            p.tensor = p.tensor.clone().reshape(&[])?;
        }
        Ok(())
    }

    fn move_one<const D: usize>(&self, p: &mut Parameter, mut g: Tensor<D>, rate: f64, step: usize) -> Result<()> {
        let w: Tensor<D> = p.tensor.clone().float()?;
        p.tensor = match *self {
            Optimizer::Sgd { momentum, nesterov, weight_decay } => {
                if weight_decay != 0.0 {
                    g = g + w.clone().mul_scalar(weight_decay);
                }
                if momentum == 0.0 {
                    w - g.mul_scalar(rate)
                } else {
                    let v = match p.first.take() {
                        Some(v) => v.float::<D>()?.mul_scalar(momentum) + g.clone(),
                        None => g.clone(),
                    };
                    p.first = Some(v.clone().into());
                    let direction = if nesterov { g + v.mul_scalar(momentum) } else { v };
                    w - direction.mul_scalar(rate)
                }
            }
            Optimizer::AdamW { betas: (b1, b2), epsilon, weight_decay } => {
                let fresh = 1.0 - b1;
                let m = match p.first.take() {
                    Some(m) => m.float::<D>()?.mul_scalar(b1) + g.clone().mul_scalar(fresh),
                    None => g.clone().mul_scalar(fresh),
                };
                let square = g.square().mul_scalar(1.0 - b2);
                let v = match p.second.take() {
                    Some(v) => v.float::<D>()?.mul_scalar(b2) + square,
                    None => square,
                };
                p.first = Some(m.clone().into());
                p.second = Some(v.clone().into());
                let correct = |b: f32| 1.0 - f64::from(b).powi(i32::try_from(step).unwrap_or(i32::MAX));
                let root = v.div_scalar(correct(b2)).sqrt().add_scalar(epsilon);
                let decayed = w.mul_scalar(1.0 - rate * f64::from(weight_decay));
                decayed - (m / root).mul_scalar(rate / correct(b1))
            }
        }
        .into();
        Ok(())
    }
}
