//! What inference may compute once instead of in every run: BatchNormalization with fixed statistics.

use super::{Network, Slot, Step};
use crate::ops;
use crate::value::{HostData, HostTensor, Value};
use lopper_core::graph::Node;
use lopper_core::{Code, Error, Result};
use std::collections::HashMap;

/// What a BatchNormalization with fixed statistics does to each channel.
struct Affine {
    scale: Vec<f64>,
    shift: Vec<f64>,
}

impl Network {
    /// Folds each BatchNormalization into the convolution before it, or else makes it one product and one sum.
    pub(super) fn fuse(&mut self) -> Result<()> {
        let mut readers: HashMap<Slot, usize> = HashMap::new();
        let read = self.steps.iter().flat_map(|s| s.inputs.iter().flatten().copied());
        for slot in read.chain(self.wanted.iter().map(|&v| v.into())) {
            *readers.entry(slot).or_default() += 1;
        }
        let mut producer: HashMap<Slot, usize> = HashMap::new();
        let mut steps: Vec<Step> = Vec::with_capacity(self.steps.len());
        for mut step in std::mem::take(&mut self.steps) {
            if let Some(affine) = self.affine(&step) {
                let source = step.inputs.first().copied().flatten();
                let before = source.filter(|s| readers.get(s) == Some(&1)).and_then(|s| producer.get(&s)).copied();
                let output = step.outputs.first().copied().flatten();
                if let Some(conv) = before.and_then(|i| steps.get_mut(i))
                    && self.absorb(conv, &affine)?
                {
                    conv.outputs = vec![output];
                    if let (Some(output), Some(i)) = (output, before) {
                        producer.insert(output, i);
                    }
                    continue;
                }
                step.forward = ops::scale_shift;
                step.inputs = vec![source, Some(self.add(affine.scale)?), Some(self.add(affine.shift)?)];
            }
            for output in step.outputs.iter().flatten() {
                producer.insert(*output, steps.len());
            }
            steps.push(step);
        }
        self.steps = steps;
        Ok(())
    }

    fn node(&self, step: &Step) -> &Node {
        &self.graph.nodes[step.node]
    }

    /// A constant of real numbers.
    fn constant(&self, step: &Step, input: usize) -> Option<&HostTensor> {
        let slot = step.inputs.get(input).copied().flatten()?;
        self.constants.get(slot)?.as_ref()?.host().filter(|t| matches!(t.data, HostData::F32(_)))
    }

    fn add(&mut self, values: Vec<f64>) -> Result<Slot> {
        self.add_tensor(HostTensor::f32(vec![values.len()], values.into_iter().map(|v| v as f32).collect())?)
    }

    fn add_tensor(&mut self, tensor: HostTensor) -> Result<Slot> {
        self.constants.push(Some(Value::from(tensor)));
        Ok(self.constants.len() - 1)
    }

    fn affine(&self, step: &Step) -> Option<Affine> {
        let node = self.node(step);
        let plain = node.op_type == "BatchNormalization"
            && node.int("training_mode").unwrap_or(0) == 0
            && node.int("spatial").unwrap_or(1) != 0;
        let single = step.outputs.iter().skip(1).flatten().next().is_none();
        if !plain || !single {
            return None;
        }
        let numbers = |i: usize| self.constant(step, i).and_then(HostTensor::as_f32);
        let epsilon = f64::from(node.float("epsilon").unwrap_or(1e-5));
        let (scale, bias, mean, variance) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?);
        if [bias.len(), mean.len(), variance.len()] != [scale.len(); 3] {
            return None;
        }
        let scale: Vec<f64> =
            scale.iter().zip(variance).map(|(&s, &v)| f64::from(s) / (f64::from(v) + epsilon).sqrt()).collect();
        let shift = bias.iter().zip(mean).zip(&scale).map(|((&b, &m), s)| f64::from(b) - f64::from(m) * s).collect();
        Some(Affine { scale, shift })
    }

    /// Multiplies a convolution's filters; says whether it could.
    fn absorb(&mut self, step: &mut Step, affine: &Affine) -> Result<bool> {
        let filters = affine.scale.len();
        let has_bias = step.inputs.get(2).copied().flatten().is_some();
        if self.node(step).op_type != "Conv" || (has_bias && self.constant(step, 2).is_none()) {
            return Ok(false);
        }
        let Some(weight) = self.constant(step, 1).filter(|w| w.dims.first() == Some(&filters)) else {
            return Ok(false);
        };
        let values = weight.as_f32().unwrap_or_default();
        let size = (values.len() / filters.max(1)).max(1);
        let scaled = values
            .chunks(size)
            .zip(&affine.scale)
            .flat_map(|(filter, s)| filter.iter().map(move |&w| (f64::from(w) * s) as f32))
            .collect();
        let weight = HostTensor::f32(weight.dims.clone(), scaled)?;
        let old =
            self.constant(step, 2).and_then(HostTensor::as_f32).map_or_else(|| vec![0.0; filters], <[f32]>::to_vec);
        if old.len() != filters {
            return Err(Error::new(Code::BadShape, format!("{} biases for {filters} filters", old.len()))
                .at(self.node(step).place()));
        }
        let bias =
            old.iter().zip(affine.scale.iter().zip(&affine.shift)).map(|(&b, (s, t))| f64::from(b) * s + t).collect();
        let source = step.inputs.first().copied().flatten();
        step.inputs = vec![source, Some(self.add_tensor(weight)?), Some(self.add(bias)?)];
        Ok(true)
    }
}
