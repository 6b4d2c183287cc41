//! Masks of the opened model.

use crate::host::{Host, Progress};
use crate::latency::time;
use crate::session::Session;
use bytes::Bytes;
use lopper_core::mask::{Amount, MaskKind, MaskStep, MaskedTensor, Masks, Stored};
use lopper_core::onnx::Model;
use lopper_core::report::Change;
use lopper_core::{Code, Error, Result};
use serde::Serialize;

/// What was masked in the opened model.
#[derive(Debug)]
pub(crate) struct MaskState {
    pub(crate) steps: Vec<MaskStep>,
    masks: Masks,
    /// The model before the first step, with the bytes of its file.
    before: (Bytes, Model),
}

/// What masks left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MaskSummary {
    /// Every masked tensor.
    pub tensors: Vec<MaskedTensor>,
    /// Entries of these.
    pub entries: usize,
    /// How many of them are masked.
    pub masked: usize,
    /// Bytes of the file.
    pub bytes: Change,
    /// How each masked tensor is stored, where lists of what is not zero were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stored: Vec<Stored>,
    /// What masks do and do not.
    pub note: &'static str,
}

/// What zeros alone bring, beside what the cut brings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ZerosSummary {
    /// Entries of all weights.
    pub entries: usize,
    /// How many of them were set to zero for the measurement.
    pub masked: usize,
    /// Milliseconds of one sample of the opened model.
    pub original: f64,
    /// The same with zeros.
    pub zeros: f64,
    /// Of the cut model, if there is one.
    pub cut: Option<f64>,
    /// Where they were measured.
    pub device: String,
}

const NOTE: &str = "zeros alone make nothing faster: a runtime multiplies them like any other number; what whole channels are dead can be cut";

impl Session {
    /// Masks the opened model: from here on it is the masked one, with zeros. What was cut or tuned is dropped. Where it is masked
    /// already these steps are added: as in torch's `PruningContainer`, they choose among the entries that are left, and what was
    /// masked stays so.
    ///
    /// # Errors
    /// When a step does not fit the model, or it is too large for one file; the session is unchanged then.
    pub fn mask(&mut self, steps: &[MaskStep]) -> Result<MaskSummary> {
        let opened = self.opened()?;
        let (mut masks, mut all, before) = match &opened.masks {
            Some(state) => (state.masks.clone(), state.steps.clone(), state.before.clone()),
            None => {
                let masks = Masks::new(&opened.graph, &opened.channels);
                (masks, Vec::new(), (opened.bytes.clone(), opened.model.clone()))
            }
        };
        for step in steps {
            masks.apply(step)?;
        }
        all.extend_from_slice(steps);
        self.masked(MaskState { steps: all, masks, before })
    }

    /// Takes the last step of masking back; after the first of them the model is as it was opened, to the byte. What was cut or
    /// tuned is dropped.
    ///
    /// # Errors
    /// When nothing is masked.
    pub fn undo_mask(&mut self) -> Result<MaskSummary> {
        let state = self.opened()?.masks.as_ref();
        let state = state
            .filter(|m| !m.steps.is_empty())
            .ok_or_else(|| Error::new(Code::Usage, "there is no mask to take back: mask the model first"))?;
        let (mut masks, mut steps, before) = (state.masks.clone(), state.steps.clone(), state.before.clone());
        masks.undo();
        steps.pop();
        self.masked(MaskState { steps, masks, before })
    }

    /// The steps of masking so far, in order.
    ///
    /// # Errors
    /// When no model is open.
    pub fn mask_steps(&self) -> Result<&[MaskStep]> {
        Ok(self.opened()?.masks.as_ref().map(|m| m.steps.as_slice()).unwrap_or_default())
    }

    /// Opens the model with these masks in the place of the one that is open; images stay.
    fn masked(&mut self, state: MaskState) -> Result<MaskSummary> {
        let (bytes, model) = &state.before;
        let size = bytes.len() as u64 + model.outside();
        let zeros = match state.steps.is_empty() {
            true => None,
            false => Some(Bytes::from(state.masks.zeros(model)?.write()?)),
        };
        let after = zeros.as_ref().map_or(size, |z| z.len() as u64);
        let summary = summary(&state.masks, Change { before: size, after }, Vec::new());
        let name = self.opened()?.name.clone();
        let images = self.images.take();
        let reopened = match zeros {
            Some(zeros) => self.open(zeros, &name).map(|_| ()),
            None => self.put(bytes.clone(), &name, model.clone()).map(|_| ()),
        };
        self.images = images;
        reopened?;
        self.opened_mut()?.masks = (!state.steps.is_empty()).then_some(state);
        Ok(summary)
    }

    /// Times the opened model, the same with this share of its smallest weights set to zero, and the cut one if there is one.
    /// The session stays as it is.
    ///
    /// # Errors
    /// When the share is out of range or the model cannot be run.
    pub async fn zeros(&self, share: f64, host: &impl Host) -> Result<ZerosSummary> {
        let opened = self.opened()?;
        let mut masks = Masks::new(&opened.graph, &opened.channels);
        let kind = MaskKind::GlobalUnstructured { amount: Amount::Share(share) };
        let masked = masks.apply(&MaskStep { kind, tensors: Vec::new() })?;
        let zeros = masks.zeros(&opened.model)?;
        let models = [Some(&opened.model), Some(&zeros), opened.cut.as_ref().map(|c| &c.model)];
        let mut milliseconds = [None; 3];
        for (done, (model, slot)) in models.into_iter().zip(&mut milliseconds).enumerate() {
            host.progress(&Progress::Evaluate { done, total: 3 });
            if let Some(model) = model {
                *slot = Some(1000.0 * time(model, &self.device, host).await?);
            }
        }
        let [original, zeros, cut] = milliseconds;
        Ok(ZerosSummary {
            entries: masks.masked().iter().map(|t| t.entries).sum(),
            masked,
            original: original.unwrap_or(f64::NAN),
            zeros: zeros.unwrap_or(f64::NAN),
            cut,
            device: self.device.name().to_owned(),
        })
    }

    /// The masked model with its weights as lists of what is not zero (ONNX `sparse_initializer`).
    ///
    /// # Errors
    /// When nothing was masked.
    pub fn sparse(&self) -> Result<(Vec<u8>, MaskSummary)> {
        let opened = self.opened()?;
        let state = opened.masks.as_ref().ok_or_else(|| Error::new(Code::Usage, "nothing is masked yet"))?;
        let (model, stored) = state.masks.sparse(&opened.model)?;
        let bytes = model.write()?;
        let sizes = Change { before: opened.size(), after: bytes.len() as u64 };
        Ok((bytes, summary(&state.masks, sizes, stored)))
    }
}

fn summary(masks: &Masks, bytes: Change, stored: Vec<Stored>) -> MaskSummary {
    let tensors = masks.masked();
    let sum = |f: fn(&MaskedTensor) -> usize| tensors.iter().map(f).sum();
    MaskSummary { entries: sum(|t| t.entries), masked: sum(|t| t.masked), tensors, bytes, stored, note: NOTE }
}
