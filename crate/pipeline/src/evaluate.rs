//! How well each of the three models does on the test images.

use crate::host::{Control, Host, Progress};
use crate::images::Images;
use crate::options::Which;
use crate::session::Session;
use crate::summary::EvaluationSummary;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_engine::data::Targets;
use lopper_engine::eval::{self, Evaluation};
use lopper_engine::{Device, Ended, Network};
use std::cell::Cell;

/// Images of one batch, fewer where they are large: a batch takes about this many numbers.
const BATCH: usize = 64;
const BATCH_NUMBERS: usize = 2 << 20;

impl Session {
    /// Evaluates a model on the test images, or on `limit` of them spread evenly over all.
    ///
    /// # Errors
    /// When images are missing, have neither labels nor targets or do not fit, the device fails, or with [`Code::Cancelled`].
    pub async fn evaluate(
        &mut self,
        which: Which,
        limit: Option<usize>,
        host: &impl Host,
    ) -> Result<EvaluationSummary> {
        self.control().begin();
        let indices = spread(&self.images()?.split.test, limit);
        if indices.is_empty() {
            return Err(Error::new(Code::BadData, "there is no image to test with: give more images"));
        }
        let summary = self.evaluated(which, &indices, host).await?;
        let percent = summary.top1.map(|top1| 100.0 * top1);
        let accuracy = &mut self.opened_mut()?.accuracy;
        match which {
            Which::Original => accuracy.before = percent,
            Which::Cut => accuracy.after_cut = percent,
            Which::Tuned => accuracy.after_recovery = percent,
        }
        Ok(summary)
    }

    /// Evaluates a model on some images; nothing of it is noted.
    pub(crate) async fn evaluated(&self, which: Which, indices: &[u32], host: &impl Host) -> Result<EvaluationSummary> {
        let control = self.control();
        let total = indices.len();
        let report = |done: usize| host.progress(&Progress::Evaluate { done, total });
        report(0);
        let judge = Judge { images: self.images()?, device: &self.device, control: &control, host };
        let (seen, milliseconds) = judge.run(self.model(which)?, indices, report).await?;
        Ok(EvaluationSummary {
            top1: seen.absolute().is_none().then(|| seen.top1()),
            mean_iou: seen.mean_iou(),
            absolute: seen.absolute(),
            loss: seen.loss(),
            images: seen.images,
            milliseconds_per_image: milliseconds,
            device: self.device.name().to_owned(),
        })
    }
}

/// So many of the indices, evenly spread; all of them without a limit.
pub(crate) fn spread(indices: &[u32], limit: Option<usize>) -> Vec<u32> {
    let most = limit.unwrap_or(indices.len()).min(indices.len());
    (0..most).filter_map(|at| indices.get(at * indices.len() / most)).copied().collect()
}

/// What evaluation needs.
pub(crate) struct Judge<'a, H> {
    pub(crate) images: &'a Images,
    pub(crate) device: &'a Device,
    pub(crate) control: &'a Control,
    pub(crate) host: &'a H,
}

impl<H: Host> Judge<'_, H> {
    /// Compares answers with what the images ask for; also gives milliseconds an image, leaving out the first batch, which warms the device up.
    pub(crate) async fn run(
        &self,
        model: &Model,
        indices: &[u32],
        report: impl Fn(usize),
    ) -> Result<(Evaluation, f64)> {
        let numbers = matches!(self.images.dataset.targets(), Some(Targets::Values { .. }));
        let load = if numbers { Network::load } else { Network::load_classifier };
        let network = load(model, self.device)?;
        let numbers = self.images.dataset.height() * self.images.dataset.width() * self.images.dataset.channels();
        let open = BATCH.min(BATCH_NUMBERS / numbers.max(1)).max(1);
        let batches = indices.chunks(fixed_batch(&network).unwrap_or(open)).map(|i| self.images.lesson(i, None));
        let start = self.host.seconds();
        let first = Cell::new(None);
        let result = eval::evaluate(&network, batches, async |seen: &Evaluation| {
            if first.get().is_none() {
                first.set(Some((self.host.seconds(), seen.images)));
            }
            report(seen.images);
            if self.control.pass(self.host).await {
                lopper_engine::Control::Continue
            } else {
                lopper_engine::Control::Cancel
            }
        });
        let (seen, ended) = result.await?;
        if ended != Ended::Done {
            return Err(Error::new(Code::Cancelled, "the evaluation was cancelled"));
        }
        let end = self.host.seconds();
        let (from, warm) = first.get().filter(|f| f.1 < seen.images).unwrap_or((start, 0));
        let timed = (seen.images - warm).max(1);
        Ok((seen, 1000.0 * (end - from) / timed as f64))
    }
}

/// The batch that the model's input fixes, if it does.
pub(crate) fn fixed_batch(network: &Network) -> Option<usize> {
    let input = network.graph().inputs.first()?;
    network.graph().values[*input].shape.as_ref()?.first()?.length().filter(|n| *n > 0)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn a_limit_takes_images_from_everywhere() {
        let all: Vec<u32> = (0..10).collect();
        assert_eq!(spread(&all, None), all);
        assert_eq!(spread(&all, Some(5)), [0, 2, 4, 6, 8]);
        assert_eq!(spread(&all, Some(99)), all);
        assert!(spread(&all, Some(0)).is_empty() && spread(&[], Some(3)).is_empty());
    }
}
