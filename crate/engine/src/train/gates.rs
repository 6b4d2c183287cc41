//! Gates: one trained number a channel that multiplies what a layer gives (You et al., Gate Decorator, NeurIPS 2019).
//!
//! A gate multiplies the parameters that make the channel (scale and shift of a normalisation, or weights and biases) instead of
//! its values: `Y = g * (gamma * xhat + beta)` is the same function, and no node is added. So folding a gate back is exact, bit
//! for bit: the product that the network ran with becomes the parameter.

use super::penalty::stranger;
use super::{Parameter, Trainer, put};
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::HostTensor;
use lopper_core::{Code, Error, Result};

/// What a gate is made on.
#[derive(Clone, Debug, PartialEq)]
pub struct GateSite {
    /// What the gate is called: its layer's weight.
    pub name: String,
    /// Channels.
    pub channels: usize,
    /// Parameters that it multiplies, and the axis of the channels of each.
    pub scales: Vec<(String, usize)>,
}

/// A gate.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) parameter: Parameter,
    /// Places among the trainer's parameters, and the shape in which the gate multiplies each.
    scales: Vec<(usize, Vec<usize>)>,
    /// The sum over steps of `abs(g * dL/dg)`.
    pub(super) score: Option<DeviceTensor>,
}

impl Trainer {
    /// Puts gates of ones on layers, instead of those there were.
    ///
    /// # Errors
    /// When a parameter is not trained or has another length, or two gates would multiply it.
    pub fn open_gates(&mut self, sites: &[GateSite]) -> Result<()> {
        let device = self.network.device().inner().clone();
        let mut gates: Vec<Gate> = Vec::new();
        for site in sites {
            let mut scales = Vec::new();
            for (name, axis) in &site.scales {
                let at = self.parameters.iter().position(|p| p.name == *name).ok_or_else(|| stranger(name))?;
                let dims = self.parameters.get(at).map(|p| p.tensor.dims()).unwrap_or_default();
                let taken = gates.iter().flat_map(|g| &g.scales).any(|s| s.0 == at);
                if dims.get(*axis) != Some(&site.channels) || taken {
                    let what = format!("{name:?} of shape {dims:?} cannot carry a gate of {} channels", site.channels);
                    return Err(Error::new(Code::Unsupported, what));
                }
                let shape = dims.iter().enumerate().map(|(a, &n)| if a == *axis { n } else { 1 }).collect();
                scales.push((at, shape));
            }
            let ones = HostTensor::f32(vec![site.channels], vec![1.0; site.channels])?;
            let parameter = Parameter::new(site.name.clone(), 0, DeviceTensor::upload(&ones, &device)?);
            gates.push(Gate { parameter, scales, score: None });
        }
        self.gates = gates;
        Ok(())
    }

    /// Multiplies every gate into its parameters and takes it away. The function stays the same.
    ///
    /// # Errors
    /// When the device fails.
    pub fn fold_gates(&mut self) -> Result<()> {
        for gate in std::mem::take(&mut self.gates) {
            for (at, shape) in &gate.scales {
                if let Some(p) = self.parameters.get_mut(*at) {
                    p.tensor = times(p.tensor.clone(), gate.parameter.tensor.clone(), shape)?;
                }
            }
        }
        Ok(())
    }

    /// From the next step on gates are pulled towards 0 by `amount * sign(g)`.
    pub fn pull_gates(&mut self, amount: f32) {
        let pull = (amount != 0.0).then_some(super::penalty::Pulling::Sign(amount));
        self.gates.iter_mut().for_each(|g| g.parameter.pull = pull.clone());
    }

    /// The sums of `abs(g * dL/dg)` over all steps since this was last called, gate by gate.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn gate_scores(&mut self) -> Result<Vec<(String, Vec<f64>)>> {
        let mut out = Vec::with_capacity(self.gates.len());
        for gate in &mut self.gates {
            let Some(score) = gate.score.take() else { continue };
            let score = score.download().await?;
            let numbers = score.as_f32().unwrap_or_default().iter().map(|&v| f64::from(v)).collect();
            out.push((gate.parameter.name.clone(), numbers));
        }
        Ok(out)
    }

    /// A parameter as the network reads it: multiplied by its gate.
    pub(super) fn gated(&self, at: usize) -> Result<Option<DeviceTensor>> {
        let Some(p) = self.parameters.get(at) else { return Ok(None) };
        let gate = self.gates.iter().find_map(|g| Some((g, &g.scales.iter().find(|s| s.0 == at)?.1)));
        let Some((gate, shape)) = gate else { return Ok(Some(p.tensor.clone())) };
        times(p.tensor.clone(), gate.parameter.tensor.clone(), shape).map(Some)
    }

    /// Gives every gate a place in the autodiff graph, and parameters their products with it.
    pub(super) fn multiply_by_gates(&mut self, leaves: &[DeviceTensor]) -> Result<Vec<DeviceTensor>> {
        let mut out = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            let leaf: DeviceTensor = gate.parameter.tensor.clone().float::<1>()?.autodiff().require_grad().into();
            for (at, shape) in &gate.scales {
                let (Some(p), Some(own)) = (self.parameters.get(*at), leaves.get(*at)) else { continue };
                put(&mut self.constants, p.slot, Some(times(own.clone(), leaf.clone(), shape)?));
            }
            out.push(leaf);
        }
        Ok(out)
    }

    /// Scores gates by their gradients and moves them.
    pub(super) fn move_gates(&mut self, gradients: Vec<Option<DeviceTensor>>, rate: f64) -> Result<()> {
        for (gate, gradient) in self.gates.iter_mut().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            let own = gradient.clone().float::<1>()? * gate.parameter.tensor.clone().float::<1>()?;
            gate.score = Some(match gate.score.take() {
                Some(sum) => (sum.float::<1>()? + own.abs()).into(),
                None => own.abs().into(),
            });
            gate.parameter.advance(&self.settings.optimizer, gradient, (rate, self.steps), self.strength)?;
        }
        Ok(())
    }
}

/// A parameter times one number a channel.
fn times(t: DeviceTensor, gate: DeviceTensor, shape: &[usize]) -> Result<DeviceTensor> {
    let gate = gate.reshape(shape)?;
    by_rank!(t.rank(), D => Ok((t.float::<D>()? * gate.float::<D>()?).into()))
}
