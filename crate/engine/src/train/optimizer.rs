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
        let rule = if p.decays { *self } else { self.without_decay() };
        by_rank!(p.tensor.rank(), D => rule.move_one::<D>(p, gradient.float()?, rate, step))?;
        if scalar {
            p.tensor = p.tensor.clone().reshape(&[])?;
        }
        Ok(())
    }

    fn without_decay(mut self) -> Self {
        let (Self::Sgd { weight_decay, .. } | Self::AdamW { weight_decay, .. }) = &mut self;
        *weight_decay = 0.0;
        self
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::HostTensor;
    use burn::tensor::Device;

    const RATE: f64 = 0.1;
    const GRADIENTS: [f64; 4] = [0.5, -0.25, 1e-3, 2.0];

    /// A weight that starts at 1, after each of four steps.
    fn path(optimizer: Optimizer, decays: bool) -> Vec<f64> {
        let device = Device::flex();
        let one =
            |v: f64| DeviceTensor::upload(&HostTensor::f32(vec![1, 1], vec![v as f32]).unwrap(), &device).unwrap();
        let mut p = Parameter { decays, ..Parameter::new(String::new(), 0, one(1.0)) };
        let mut path = Vec::new();
        for (i, g) in GRADIENTS.into_iter().enumerate() {
            optimizer.update(&mut p, one(g), RATE, i + 1).unwrap();
            let host = crate::block_on(p.tensor.clone().download()).unwrap();
            path.push(f64::from(host.as_f32().unwrap()[0]));
        }
        path
    }

    fn follows(optimizer: Optimizer, mut rule: impl FnMut(f64, f64, i32) -> f64) {
        let mut w = 1.0;
        for (i, (g, got)) in GRADIENTS.into_iter().zip(path(optimizer, true)).enumerate() {
            w = rule(w, g, i as i32 + 1);
            assert!((w - got).abs() < 2e-6, "step {}: {got} instead of {w}", i + 1);
        }
    }

    #[test]
    fn sgd_is_plain_with_momentum_and_with_nesterov() {
        let sgd = |momentum, nesterov, weight_decay| Optimizer::Sgd { momentum, nesterov, weight_decay };
        follows(sgd(0.0, false, 0.0), |w, g, _| w - RATE * g);
        let mut v = 0.0;
        follows(sgd(0.9, false, 0.01), |w, g, _| {
            v = 0.9 * v + g + 0.01 * w;
            w - RATE * v
        });
        let mut v = 0.0;
        follows(sgd(0.9, true, 0.01), |w, g, _| {
            let g = g + 0.01 * w;
            v = 0.9 * v + g;
            w - RATE * (g + 0.9 * v)
        });
    }

    #[test]
    fn what_does_not_decay_moves_as_if_there_were_none() {
        let sgd = |weight_decay| Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay };
        let adamw = |weight_decay| Optimizer::AdamW { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay };
        assert_eq!(path(sgd(0.1), false), path(sgd(0.0), true));
        assert_eq!(path(adamw(0.1), false), path(adamw(0.0), true));
        assert_ne!(path(adamw(0.1), true), path(adamw(0.0), true));
    }

    #[test]
    fn adamw_decays_first_and_corrects_its_moments() {
        let (mut m, mut v) = (0.0, 0.0);
        follows(Optimizer::AdamW { betas: (0.9, 0.999), epsilon: 1e-8, weight_decay: 0.05 }, |w, g, step| {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9_f64.powi(step)), v / (1.0 - 0.999_f64.powi(step)));
            w * (1.0 - RATE * 0.05) - RATE * m / (v.sqrt() + 1e-8)
        });
    }
}
