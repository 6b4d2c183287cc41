//! The stages of recovery that need no gradients and no labels.

use crate::cutting::slices;
use crate::evaluate::{Judge, spread};
use crate::host::{Host, Progress};
use crate::images::Images;
use crate::lost::lost;
use crate::options::{Stage, TuneOptions};
use crate::session::Session;
use crate::summary::StageSummary;
use lopper_core::graph::Graph;
use lopper_core::onnx::{ExternalData, Model};
use lopper_core::{Code, Error, Result};
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::recover::{Refit, compensate, reestimate, refit};
use lopper_engine::score::Sample;
use lopper_engine::verify::MaskedSlices;
use lopper_engine::{Control, Ended};
use std::sync::Arc;

/// Images a batch, where the model leaves that open.
const BATCH: usize = 64;
/// Numbers that both networks may hold at once on their way through all images: a gigabyte.
const NUMBERS: usize = 1 << 28;
/// Values that are alive at once, as multiples of the largest one.
const ALIVE: usize = 6;

/// The model that was cut, and what went, for a session that has opened the cut one.
#[derive(Debug)]
pub(crate) struct Reference {
    model: Model,
    mask: Vec<MaskedSlices>,
}

impl Session {
    /// Tells which model the opened one was cut from, for stages that compare the two.
    ///
    /// # Errors
    /// When the bytes are no model.
    pub fn compare_with(&mut self, bytes: impl Into<bytes::Bytes>, files: Arc<dyn ExternalData>) -> Result<()> {
        let model = Model::read_with(bytes.into(), &files)?.inlined()?;
        let mask = lost(&Graph::new(&model)?, &self.opened()?.graph);
        self.reference = Some(Reference { model, mask: slices(&mask) });
        Ok(())
    }

    /// The uncut model, where it is known.
    pub(crate) fn uncut(&self) -> Option<&Model> {
        let opened = self.opened.as_ref()?;
        match &opened.cut {
            Some(_) => Some(&opened.model),
            None => self.reference.as_ref().map(|r| &r.model),
        }
    }

    /// What went from the uncut model, as far as it is known.
    pub(crate) fn gone(&self) -> Vec<MaskedSlices> {
        self.original().map_or_else(|_| Vec::new(), |(_, mask)| mask)
    }

    /// The original and what went.
    fn original(&self) -> Result<(&Model, Vec<MaskedSlices>)> {
        let opened = self.opened()?;
        match (&opened.cut, &self.reference) {
            (Some(cut), _) => Ok((&opened.model, slices(&cut.report.mask))),
            (None, Some(reference)) if reference.mask.is_empty() => {
                let what = "the opened model cannot be told to be cut from this original: no tensor of it is the original's with \
                            slices missing; give the file that lopper prune wrote, before any fine-tune";
                Err(Error::new(Code::DataMismatch, what))
            }
            (None, Some(reference)) => Ok((&reference.model, reference.mask.clone())),
            (None, None) => Err(Error::new(
                Code::Usage,
                "bias and lstsq compare with the model that was cut: name it (--original on the command line)",
            )),
        }
    }

    /// Runs the stages that the options name, in their fixed order; nothing where they name none.
    pub(crate) async fn recovered(
        &self,
        options: &TuneOptions,
        host: &impl Host,
    ) -> Result<Option<(Model, Vec<StageSummary>)>> {
        let mut stages = options.recovery.stages.clone();
        stages.sort_unstable();
        stages.dedup();
        if stages.is_empty() {
            return Ok(None);
        }
        let (mut model, mut told) = (self.base()?.clone(), Vec::new());
        for stage in stages {
            let start = host.seconds();
            model = self.stage(stage, &model, options, host).await?;
            let seconds = host.seconds() - start;
            told.push(StageSummary { stage, seconds, validation_top1: self.judged(&model, host).await? });
        }
        Ok(Some((model, told)))
    }

    async fn stage(&self, stage: Stage, model: &Model, options: &TuneOptions, host: &impl Host) -> Result<Model> {
        let images = self.images()?;
        let control = self.control();
        let done = async |done: usize, total: usize| {
            host.progress(&Progress::Recover { stage, done, total });
            if control.pass(host).await { Control::Continue } else { Control::Cancel }
        };
        let limit = match stage {
            Stage::BatchNorm => None,
            Stage::Bias | Stage::Lstsq => Some(self.most_images(options.recovery.images)?),
        };
        let indices = spread(&images.split.train, limit);
        let fixed = self.opened()?.graph.inputs.first();
        let fixed = fixed.and_then(|i| self.opened().ok()?.graph.values[*i].shape.as_ref()?.first()?.length());
        let size = fixed.filter(|n| *n > 0).unwrap_or(BATCH).min(indices.len().max(1));
        let batches = Batches::new(&indices, size, Order::Listed, Last::Drop);
        let total = batches.clone().count();
        let samples = batches.map(|i| sample(images, &i));
        match stage {
            Stage::Bias => {
                let (original, mask) = self.original()?;
                compensate([original, model], &mask, &self.device, samples, done).await
            }
            Stage::Lstsq => {
                let (original, mask) = self.original()?;
                let settings = Refit { seed: options.seed, ..Refit::default() };
                refit([original, model], &mask, &self.device, samples, &settings, done).await
            }
            Stage::BatchNorm => {
                let on_batch = async |batches: usize| done(batches, total).await;
                match reestimate(model, &self.device, samples, on_batch).await? {
                    (model, Ended::Done) => Ok(model),
                    _ => Err(Error::new(Code::Cancelled, "re-estimation was cancelled")),
                }
            }
        }
    }

    /// As many images as memory allows.
    fn most_images(&self, wanted: usize) -> Result<usize> {
        let graph = &self.opened()?.graph;
        let numbers = |v: &lopper_core::graph::Value| {
            let shape = v.shape.as_ref().filter(|_| v.tensor.is_none())?;
            Some(shape.iter().skip(1).filter_map(|d| d.length()).product::<usize>())
        };
        let largest = graph.values.iter().filter_map(|(_, v)| numbers(v)).max().unwrap_or(1);
        Ok(wanted.min(NUMBERS / (largest.max(1) * ALIVE)).max(1))
    }

    /// The share of right answers on the validation images, if they have labels.
    pub(crate) async fn judged(&self, model: &Model, host: &impl Host) -> Result<Option<f64>> {
        let images = self.images()?;
        let indices = images.watched();
        if indices.is_empty() || images.dataset.labels().is_none() {
            return Ok(None);
        }
        let judge = Judge { images, device: &self.device, control: &self.control(), host };
        Ok(Some(judge.run(model, &indices, |_| ()).await?.0.top1()))
    }
}

fn sample(images: &Images, indices: &[u32]) -> Result<Sample> {
    Ok(images.dataset.gather(indices, &images.normalization, None)?.into())
}
