//! The state of a training run as bytes, so that it can go on elsewhere or later.
//!
//! `LOPPERCP`, version (u32), steps (u64), number of tensors (u32); then for each tensor: length of its label (u32), the
//! label, number of axes (u32), their lengths (u64), elements (f32). All numbers are little-endian. Labels are those of
//! [`Memory`].

use super::{Trainer, put, write};
use crate::stored;
use crate::tensor::DeviceTensor;
use crate::value::{HostData, HostTensor};
use lopper_core::onnx::{Model, Tensor as Stored};
use lopper_core::{Code, Error, Result};
use std::collections::HashMap;

const MAGIC: &[u8; 8] = b"LOPPERCP";
const VERSION: u32 = 1;

/// Everything that training moved and the optimiser remembers, by label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// Steps done.
    pub steps: usize,
    /// Tensors by label: `p:`, `s:`, `1:` or `2:` (parameter, running statistic, first and second buffer of the optimiser) and a
    /// name, or `g:` and `h:` (gate, its first buffer) and the name of a gate.
    pub tensors: HashMap<String, HostTensor>,
}

impl Memory {
    /// A model with these parameters and running statistics; everything else stays as it is. Gates are not multiplied in.
    ///
    /// # Errors
    /// When a tensor is none of the model's.
    pub fn to_model(&self, model: &Model) -> Result<Model> {
        let own = super::own_statistics(model)?;
        let mut model = stored::inlined(own.as_ref().unwrap_or(model), [])?;
        for (label, tensor) in &self.tensors {
            if let Some(name) = label.strip_prefix("p:").or(label.strip_prefix("s:")) {
                let values = tensor.as_f32().unwrap_or_default();
                write(&mut model, &Stored::from_f32(name, tensor.dims.clone(), values))?;
            }
        }
        Ok(model)
    }
}

impl Trainer {
    /// Everything that a later [`Trainer::restore`] needs to go on as if nothing had happened: beside the [`Memory`] what pulls
    /// parameters, and what gates were scored so far. Which parameters rest is not in it.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn state(&self) -> Result<Vec<u8>> {
        let mut tensors = self.labelled().await?;
        tensors.extend(self.pulls().await?);
        for gate in &self.gates {
            if let Some(score) = &gate.score {
                tensors.push((format!("q:{}", gate.parameter.name), score.clone().download().await?));
            }
        }
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(self.steps as u64).to_le_bytes());
        out.extend_from_slice(&(tensors.len() as u32).to_le_bytes());
        for (label, tensor) in &tensors {
            out.extend_from_slice(&(label.len() as u32).to_le_bytes());
            out.extend_from_slice(label.as_bytes());
            out.extend_from_slice(&(tensor.dims.len() as u32).to_le_bytes());
            out.extend(tensor.dims.iter().flat_map(|&d| (d as u64).to_le_bytes()));
            out.extend(tensor.as_f32().unwrap_or_default().iter().flat_map(|v| v.to_le_bytes()));
        }
        Ok(out)
    }

    /// The same as tensors, which a cut can take slices of.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn memory(&self) -> Result<Memory> {
        Ok(Memory { steps: self.steps, tensors: self.labelled().await?.into_iter().collect() })
    }

    async fn labelled(&self) -> Result<Vec<(String, HostTensor)>> {
        let mut tensors = Vec::new();
        let gates = self.gates.iter().map(|g| (&g.parameter, ["g", "h", ""]));
        for (p, kinds) in self.parameters.iter().map(|p| (p, ["p", "1", "2"])).chain(gates) {
            for (kind, t) in kinds.iter().zip([Some(&p.tensor), p.first.as_ref(), p.second.as_ref()]) {
                if let Some(t) = t.filter(|_| !kind.is_empty()) {
                    tensors.push((format!("{kind}:{}", p.name), t.clone().download().await?));
                }
            }
        }
        for (name, slot) in &self.statistics {
            if let Some(value) = self.constants.get(*slot).cloned().flatten() {
                tensors.push((format!("s:{name}"), value.download().await?));
            }
        }
        Ok(tensors)
    }

    /// Goes back to a state. The trainer must have been made from the same model with the same optimiser.
    ///
    /// # Errors
    /// When the bytes are no state of this model; the trainer is unchanged then.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let (steps, mut tensors) = read(bytes)?;
        let pulls = self.known_pulls(&mut tensors)?;
        let device = self.network.device().inner().clone();
        let mut scores = Vec::with_capacity(self.gates.len());
        for gate in &self.gates {
            let score = tensors.remove(&format!("q:{}", gate.parameter.name));
            let fits = |t: &HostTensor| t.dims == gate.parameter.tensor.dims();
            if !score.as_ref().is_none_or(fits) {
                return Err(broken(&format!("the scores of gate {} have another shape", gate.parameter.name)));
            }
            scores.push(score.map(|t| DeviceTensor::upload(&t, &device)).transpose()?);
        }
        self.remember(Memory { steps, tensors })?;
        self.gates.iter_mut().zip(scores).for_each(|(gate, score)| gate.score = score);
        self.take_pulls(pulls);
        Ok(())
    }

    /// Goes on from what another trainer of the same parameters remembered. What its optimiser had no buffer for starts without.
    ///
    /// # Errors
    /// When a parameter is missing or has another shape; the trainer is unchanged then.
    pub fn remember(&mut self, Memory { steps, mut tensors }: Memory) -> Result<()> {
        let device = self.network.device().inner().clone();
        let mut upload = |label: String, dims: &[usize]| -> Result<Option<DeviceTensor>> {
            match tensors.remove(&label) {
                None => Ok(None),
                Some(t) if t.dims == dims => DeviceTensor::upload(&t, &device).map(Some),
                Some(t) => Err(broken(&format!("{label} has shape {:?} where the model has {dims:?}", t.dims))),
            }
        };
        let missing = |name: &str| broken(&format!("{name} is missing"));
        let mut loaded = Vec::with_capacity(self.parameters.len() + self.gates.len());
        let gates = self.gates.iter().map(|g| (&g.parameter, ["g", "h", ""]));
        for (p, [value, first, second]) in self.parameters.iter().map(|p| (p, ["p", "1", "2"])).chain(gates) {
            let dims = p.tensor.dims();
            let mut get = |kind: &str| upload(format!("{kind}:{}", p.name), &dims);
            loaded.push((get(value)?.ok_or_else(|| missing(&p.name))?, get(first)?, get(second)?));
        }
        let mut statistics = Vec::with_capacity(self.statistics.len());
        for (name, slot) in &self.statistics {
            let dims =
                self.constants.get(*slot).and_then(Option::as_ref).map(crate::value::Value::dims).unwrap_or_default();
            statistics.push((*slot, upload(format!("s:{name}"), &dims)?.ok_or_else(|| missing(name))?));
        }
        let gates = self.gates.iter_mut().map(|g| &mut g.parameter);
        for (p, (tensor, first, second)) in self.parameters.iter_mut().chain(gates).zip(loaded) {
            (p.tensor, p.first, p.second) = (tensor, first, second);
        }
        for (slot, tensor) in statistics {
            put(&mut self.constants, slot, Some(tensor));
        }
        self.unread.clear();
        self.steps = steps;
        Ok(())
    }
}

pub(super) fn broken(what: &str) -> Error {
    Error::new(Code::BadData, format!("this checkpoint cannot be used: {what}"))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (now, later) = self.0.split_at_checked(n).ok_or_else(|| broken("it ends too early"))?;
        self.0 = later;
        Ok(now)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N]> {
        <[u8; N]>::try_from(self.take(N)?).map_err(|_| broken("it ends too early"))
    }

    fn u32(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.number()?) as usize)
    }

    fn u64(&mut self) -> Result<usize> {
        usize::try_from(u64::from_le_bytes(self.number()?)).map_err(|_| broken("a number is too large"))
    }
}

fn read(bytes: &[u8]) -> Result<(usize, HashMap<String, HostTensor>)> {
    let mut r = Reader(bytes);
    if r.take(MAGIC.len())? != MAGIC || r.u32()? != VERSION as usize {
        return Err(broken("it was not written by this version"));
    }
    let steps = r.u64()?;
    let count = r.u32()?;
    let mut tensors = HashMap::new();
    for _ in 0..count {
        let length = r.u32()?;
        let label = std::str::from_utf8(r.take(length)?).map_err(|_| broken("a name is no text"))?.to_owned();
        let rank = r.u32()?;
        if rank > crate::tensor::MAX_RANK {
            return Err(broken("a tensor has too many axes"));
        }
        let dims = (0..rank).map(|_| r.u64()).collect::<Result<Vec<_>>>()?;
        let size =
            dims.iter().try_fold(4_usize, |a, &b| a.checked_mul(b)).ok_or_else(|| broken("a tensor is too large"))?;
        let values =
            r.take(size)?.chunks_exact(4).filter_map(|c| <[u8; 4]>::try_from(c).ok()).map(f32::from_le_bytes).collect();
        tensors.insert(label, HostTensor::new(dims, HostData::F32(values))?);
    }
    if r.0.is_empty() { Ok((steps, tensors)) } else { Err(broken("something follows its end")) }
}
