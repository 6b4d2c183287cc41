//! A run's checkpoint: of which model and images it is, where it stands, and everything that it has learnt.
//!
//! `LOPPERR2`, length of a JSON header (u32, little-endian), the header, then parts whose lengths the header gives: the engine's own
//! checkpoint and one or two models.

use crate::host::Host;
use crate::methods::{Place, PruneTrainOptions, Trained};
use crate::options::{DataOptions, TuneOptions, Which};
use crate::rules::LossKind;
use crate::session::Session;
use crate::summary::{CutSummary, StageSummary, TeacherLook};
use crate::tune::Tuned;
use lopper_core::onnx::Model;
use lopper_core::plan::PlanOptions;
use lopper_core::{Code, Error, Result};
use lopper_engine::Device;
use lopper_engine::train::Trainer;
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"LOPPERR2";

/// What the state belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) lopper: String,
    /// SHA-256 of the original.
    pub(crate) model: String,
    /// How many images, and which were for what.
    pub(crate) images: (usize, DataOptions),
    pub(crate) run: Stand,
}

/// Which run it is, and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Stand {
    Tune(Box<TuneStand>),
    PruneTrain(Box<(PruneTrainOptions, Place)>),
}

/// Where a fine-tune stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TuneStand {
    /// The cut; none if the original itself is tuned.
    pub(crate) plan: Option<PlanOptions>,
    pub(crate) options: TuneOptions,
    /// Steps done and steps in all.
    pub(crate) steps: [usize; 2],
    /// The mean loss of the last steps, if there were any.
    pub(crate) loss: Option<f64>,
    /// What is learnt, and what spoke for it.
    pub(crate) loss_kind: LossKind,
    pub(crate) teacher: Option<TeacherLook>,
    /// Parts that a batch is taken in.
    pub(crate) parts: usize,
    /// Epochs whose model was judged, and the best of them: its number, its share of right answers and the bits of its cost, which
    /// JSON would not give back to the last one.
    pub(crate) judged: usize,
    pub(crate) best: Option<(usize, Option<f64>, u64)>,
    pub(crate) before_top1: Option<f64>,
    pub(crate) stages: Vec<StageSummary>,
}

/// Parts of a fine-tune's checkpoint beside the engine's: what the stages before made, if there were any, and the best epoch's model.
pub(crate) const BASE: usize = 1;
pub(crate) const BEST: usize = 2;
/// A part of the checkpoint of pruning and training: the model just before the last cut.
pub(crate) const BEFORE: usize = 1;

/// A checkpoint that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Restored {
    pub(crate) header: Header,
    /// The engine's checkpoint, and models; empty where there is none.
    parts: Vec<Vec<u8>>,
}

impl Restored {
    /// A model among the parts.
    pub(crate) fn model(&self, part: usize) -> Result<Option<Model>> {
        let bytes = self.parts.get(part).filter(|bytes| !bytes.is_empty());
        bytes.map(|bytes| Model::read(bytes.clone().into())?.inlined()).transpose()
    }

    pub(crate) fn part(&self, part: usize) -> Vec<u8> {
        self.parts.get(part).cloned().unwrap_or_default()
    }

    /// The engine's checkpoint.
    pub(crate) fn state(&self) -> Vec<u8> {
        self.part(0)
    }
}

/// What a checkpoint that was taken holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resumed {
    /// Settings of a fine-tune, if it is one.
    pub tune: Option<TuneOptions>,
    /// Settings of pruning and training together, if it is that.
    pub prune_train: Option<PruneTrainOptions>,
    /// The cut that pruning and training ended with, once it has.
    pub cut: Option<CutSummary>,
    /// Steps done, and in all: of the present stretch of pruning and training.
    pub steps: [usize; 2],
    /// Whether the session has a trained model from it.
    pub tuned: bool,
    /// Whether nothing is left to be done.
    pub finished: bool,
}

/// A header and parts as one file.
pub(crate) fn pack(header: &Header, parts: &[Vec<u8>]) -> Result<Vec<u8>> {
    let lengths: Vec<usize> = parts.iter().map(Vec::len).collect();
    let header = serde_json::to_vec(&(header, lengths)).map_err(|e| broken(&e.to_string()))?;
    let size = MAGIC.len() + 4 + header.len() + parts.iter().map(Vec::len).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(header.len() as u32).to_le_bytes());
    out.extend_from_slice(&header);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    Ok(out)
}

pub(crate) fn broken(what: &str) -> Error {
    Error::new(Code::BadData, format!("this checkpoint cannot be used: {what}"))
}

fn unpack(bytes: &[u8]) -> Result<Restored> {
    let short = || broken("it ends too early");
    let (magic, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
    if magic != MAGIC {
        return Err(broken("it was not written by this version of Lopper"));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (header, mut rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    let header = serde_json::from_slice::<(Header, Vec<usize>)>(header);
    let (header, lengths) = header.map_err(|e| broken(&format!("its header is damaged ({e})")))?;
    let mut parts = Vec::with_capacity(lengths.len().min(8));
    for length in lengths {
        let (part, later) = rest.split_at_checked(length).ok_or_else(short)?;
        parts.push(part.to_vec());
        rest = later;
    }
    Ok(Restored { header, parts })
}

impl Session {
    /// What a checkpoint of this session begins with.
    pub(crate) fn header(&self, run: Stand) -> Result<Header> {
        let images = self.images()?;
        Ok(Header {
            lopper: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.first_sha256()?,
            images: (images.dataset.len(), images.options.clone()),
            run,
        })
    }

    /// That the images are those of the checkpoint.
    pub(crate) fn same_images(&self, header: &Header) -> Result<()> {
        let images = self.images()?;
        if header.images == (images.dataset.len(), images.options.clone()) {
            return Ok(());
        }
        Err(broken("it belongs to other images, or to another split of them: load those that the run began with"))
    }

    /// Takes a checkpoint. Of a fine-tune of the present cut: its weights become the tuned model, and [`TuneOptions::resume`] goes on
    /// from it. Of pruning and training together: [`Session::resume_prune_train`] goes on from it, and where the last cut was made
    /// already, it and what was learnt since are there again.
    ///
    /// # Errors
    /// When the bytes are damaged, or belong to another model or another cut; the session is unchanged then.
    pub async fn restore(&mut self, bytes: &[u8], host: &impl Host) -> Result<Resumed> {
        let restored = unpack(bytes)?;
        if restored.header.model != self.first_sha256()? {
            return Err(broken("it belongs to another model"));
        }
        let told = match &restored.header.run {
            Stand::Tune(stand) => self.restore_tune(stand, &restored).await?,
            Stand::PruneTrain(stand) => self.restore_prune_train(stand, &restored, host).await?,
        };
        self.restored = Some(restored);
        Ok(told)
    }

    async fn restore_tune(&mut self, stand: &TuneStand, restored: &Restored) -> Result<Resumed> {
        if stand.plan.as_ref() != self.opened()?.cut.as_ref().map(|c| &c.options) {
            return Err(broken("it belongs to another cut of this model: cut with its settings first"));
        }
        let [done, total] = stand.steps;
        let finished = done >= total;
        let model = match restored.model(BEST)?.filter(|_| finished) {
            Some(best) => best,
            None => {
                let base = restored.model(BASE)?;
                let base = base.as_ref().map_or_else(|| self.base(), Ok)?;
                let settings = self.settings(&stand.options, stand.loss_kind, total);
                let mut trainer = Trainer::new(base, &Device::cpu(), settings)?;
                trainer.restore(&restored.state())?;
                trainer.to_model(base).await?
            }
        };
        let options = stand.options.clone();
        let tuned = Tuned { model, options: options.clone(), steps: done, seconds: 0.0, finished };
        self.opened_mut()?.answers.forget(Which::Tuned);
        self.opened_mut()?.tuned = Some(tuned);
        Ok(Resumed { tune: Some(options), prune_train: None, cut: None, steps: [done, total], tuned: true, finished })
    }

    async fn restore_prune_train(
        &mut self,
        (options, place): &(PruneTrainOptions, Place),
        restored: &Restored,
        host: &impl Host,
    ) -> Result<Resumed> {
        self.same_images(&restored.header)?;
        if place.plan.is_none() {
            self.open_first()?;
        }
        let steps = [place.step, place.steps];
        let (mut cut, mut finished) = (None, false);
        if let (Some(plan), Some(before)) = (&place.plan, restored.model(BEFORE)?) {
            finished = place.step >= place.steps;
            self.reopen(&before)?;
            cut = Some(self.cut_opened(plan, host).await?);
            let (small, _) = self.small(plan)?;
            let mut trainer = Trainer::new(&small, &Device::cpu(), Default::default())?;
            trainer.restore(&restored.state())?;
            let model = trainer.to_model(&small).await?;
            self.opened_mut()?.answers.forget(Which::Tuned);
            self.opened_mut()?.trained = Some(Trained { model, options: options.clone() });
        }
        let tuned = cut.is_some();
        Ok(Resumed { tune: None, prune_train: Some(options.clone()), cut, steps, tuned, finished })
    }

    /// The model that is tuned: the cut one, or the original where nothing was cut.
    pub(crate) fn base(&self) -> Result<&Model> {
        self.model(if self.opened()?.cut.is_some() { Which::Cut } else { Which::Original })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_refuses_what_is_damaged() {
        let options = TuneOptions { epochs: 2, learning_rate: 0.1, batch: 4, seed: 1, ..TuneOptions::default() };
        let stand = TuneStand {
            plan: None,
            options,
            steps: [3, 9],
            loss: Some(0.5),
            loss_kind: LossKind::Distill,
            teacher: None,
            parts: 1,
            judged: 1,
            best: Some((1, Some(0.5), 0.5_f64.to_bits())),
            before_top1: None,
            stages: Vec::new(),
        };
        let data = DataOptions { normalize: "none".to_owned(), seed: 1, validation: None, test: None };
        let run = Stand::Tune(Box::new(stand));
        let header = Header { lopper: "0".into(), model: "ab".into(), images: (7, data), run };
        let bytes = pack(&header, &[vec![1, 2, 3], Vec::new(), vec![4]]).unwrap();
        let back = unpack(&bytes).unwrap();
        assert_eq!((back.header, back.parts.as_slice()), (header, [vec![1, 2, 3], vec![], vec![4]].as_slice()));
        for end in [0, 7, 11, 20, 40, bytes.len() - 1] {
            assert_eq!(unpack(&bytes[..end]).unwrap_err().code(), Code::BadData, "{end}");
        }
        let mut other = bytes.clone();
        other[0] = b'X';
        assert_eq!(unpack(&other).unwrap_err().code(), Code::BadData);
    }
}
