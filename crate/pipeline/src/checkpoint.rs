//! A run's checkpoint: which cut of which model, how it was tuned, and the trainer's state.
//!
//! `LOPPERRN`, length of a JSON header (u32, little-endian), the header, then the engine's own checkpoint.

use crate::options::{TuneOptions, Which};
use crate::session::Session;
use crate::tune::Tuned;
use lopper_core::plan::PlanOptions;
use lopper_core::{Code, Error, Result};
use lopper_engine::Device;
use lopper_engine::train::Trainer;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"LOPPERRN";

/// What the state belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) lopper: String,
    /// SHA-256 of the original.
    pub(crate) model: String,
    /// The cut; none if the original itself is tuned.
    pub(crate) plan: Option<PlanOptions>,
    pub(crate) tune: TuneOptions,
    /// Steps done and steps in all.
    pub(crate) steps: [usize; 2],
    pub(crate) loss: f64,
}

/// A checkpoint that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    pub(crate) header: Header,
    pub(crate) state: Vec<u8>,
}

/// A header and a state as one file.
pub(crate) fn pack(header: &Header, state: &[u8]) -> Result<Vec<u8>> {
    let header = serde_json::to_vec(header).map_err(|e| broken(&e.to_string()))?;
    let mut out = Vec::with_capacity(MAGIC.len() + 4 + header.len() + state.len());
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(state);
    Ok(out)
}

fn broken(what: &str) -> Error {
    Error::new(Code::BadData, format!("this checkpoint cannot be used: {what}"))
}

fn unpack(bytes: &[u8]) -> Result<Restored> {
    let short = || broken("it ends too early");
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    if magic != MAGIC {
        return Err(broken("it was not written by Lopper"));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (header, state) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    let header = serde_json::from_slice(header).map_err(|e| broken(&format!("its header is damaged ({e})")))?;
    Ok(Restored { header, state: state.to_vec() })
}

impl Session {
    /// Takes a checkpoint of a fine-tune of the present cut: its weights become the tuned model, and
    /// [`TuneOptions::resume`] goes on from it.
    ///
    /// # Errors
    /// When the bytes are damaged, or belong to another model or another cut; the session is unchanged then.
    pub async fn restore(&mut self, bytes: &[u8]) -> Result<()> {
        let restored = unpack(bytes)?;
        let opened = self.opened()?;
        if restored.header.model != opened.sha256() {
            return Err(broken("it belongs to another model"));
        }
        if restored.header.plan.as_ref() != opened.cut.as_ref().map(|c| &c.options) {
            return Err(broken("it belongs to another cut of this model: cut with its settings first"));
        }
        let base = self.base()?;
        let [done, total] = restored.header.steps;
        let mut trainer = Trainer::new(base, &Device::cpu(), self.settings(&restored.header.tune, total)?)?;
        trainer.restore(&restored.state)?;
        let model = trainer.to_model(base).await?;
        let tuned =
            Tuned { model, options: restored.header.tune.clone(), steps: done, seconds: 0.0, finished: done >= total };
        self.opened_mut()?.answers.forget(Which::Tuned);
        self.opened_mut()?.tuned = Some(tuned);
        self.restored = Some(restored);
        Ok(())
    }

    /// The model that is tuned: the cut one, or the original where nothing was cut.
    pub(crate) fn base(&self) -> Result<&lopper_core::onnx::Model> {
        self.model(if self.opened()?.cut.is_some() { Which::Cut } else { Which::Original })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_refuses_what_is_damaged() {
        let tune = TuneOptions { epochs: 2, learning_rate: 0.1, batch: 4, seed: 1, ..TuneOptions::default() };
        let header = Header { lopper: "0".into(), model: "ab".into(), plan: None, tune, steps: [3, 9], loss: 0.5 };
        let bytes = pack(&header, &[1, 2, 3]).unwrap();
        let back = unpack(&bytes).unwrap();
        assert_eq!((back.header, back.state.as_slice()), (header, [1, 2, 3].as_slice()));
        for end in [0, 7, 11, 20, 40] {
            assert_eq!(unpack(&bytes[..end]).unwrap_err().code(), Code::BadData, "{end}");
        }
        let mut other = bytes.clone();
        other[0] = b'X';
        assert_eq!(unpack(&other).unwrap_err().code(), Code::BadData);
    }
}
