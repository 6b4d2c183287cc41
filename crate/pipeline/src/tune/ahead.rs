//! What a fine-tune does once and for all before its first step: which nodes rest, and what does not change from epoch to epoch.

use super::{LOOK, Run};
use crate::host::Host;
use crate::memory;
use crate::methods::affines;
use crate::rules::{Augmentation, LossKind, Rules};
use crate::session::Session;
use crate::summary::RestingSummary;
use lopper_core::graph::Graph;
use lopper_core::onnx::Tensor;
use lopper_core::plan::matches_glob;
use lopper_core::{Code, Error, Result};
use lopper_engine::train::Trainer;

/// What stands for everything before the first node that the cut changed.
const PREFIX: &str = "prefix";

impl Session {
    /// Freezes what the rules say; how much rests then, if they say anything.
    pub(super) fn rest(&self, trainer: &mut Trainer, rules: &Rules) -> Result<Option<RestingSummary>> {
        if rules.freeze.is_empty() {
            return Ok(None);
        }
        let early = if rules.freeze.iter().any(|g| g == PREFIX) {
            let what = "the nodes before the cut are told by comparing with the uncut model: name it (--original on the command line)";
            let uncut = Graph::new(self.uncut().ok_or_else(|| Error::new(Code::Usage, what))?)?;
            let old = |name: &str| uncut.find(name).and_then(|id| uncut.values[id].tensor.as_ref());
            let new = |name: &str| trainer.graph().find(name).and_then(|id| trainer.graph().values[id].tensor.as_ref());
            trainer.before(|name| !old(name).zip(new(name)).is_some_and(|(old, new)| equal(old, new)))
        } else {
            Default::default()
        };
        let named = |name: &str| rules.freeze.iter().any(|glob| glob != PREFIX && matches_glob(glob, name));
        let frozen: Vec<String> =
            trainer.trained().filter(|name| early.contains(*name) || named(name)).map(str::to_owned).collect();
        if frozen.is_empty() {
            let what = format!(
                "nothing is to be frozen by {:?}: no parameter's name matches, or the first node was changed",
                rules.freeze
            );
            return Err(Error::new(Code::Usage, what));
        }
        let resting = trainer.rest(|name| frozen.iter().any(|f| f == name))?;
        Ok(Some(RestingSummary {
            parameters: resting.parameters,
            nodes: resting.nodes,
            of: resting.of,
            bytes: resting.numbers.filter(|_| resting.nodes > 0).map(|n| n * memory::NUMBER * self.train_images()),
            kept: false,
        }))
    }

    fn train_images(&self) -> u64 {
        self.images().map_or(0, |i| i.split.train.len() as u64)
    }
}

/// Puts scales on what a folded normalisation left, where the rules say so.
pub(super) fn scale(trainer: &mut Trainer, rules: &Rules) -> Result<()> {
    if !rules.affine {
        return Ok(());
    }
    let sites = affines(trainer.graph(), &trainer.moving().map(str::to_owned).collect());
    if sites.is_empty() {
        let what = "no convolution has a bias and no normalisation, so there is nothing to scale: leave affine out";
        return Err(Error::new(Code::Usage, what));
    }
    trainer.open_gates(&sites)
}

/// Whether two tensors hold the same numbers to the last bit.
fn equal(old: &Tensor, new: &Tensor) -> bool {
    old.dims == new.dims && old.dtype == new.dtype && matches!((old.bytes(), new.bytes()), (Ok(a), Ok(b)) if a == b)
}

impl<H: Host> Run<'_, H> {
    /// Puts the images on the device, where that is wanted and they fit. Mixtures of two are made on the host.
    pub(super) fn keep_pixels(&mut self, wanted: bool) -> Result<()> {
        if wanted && memory::pixels_fit(&self.images.dataset) && !self.options.rules.augments(Augmentation::Mixup) {
            self.trainer.keep_images(&self.images.dataset, &self.images.normalization)?;
            self.pixels = true;
        }
        Ok(())
    }

    /// Has the uncut model answer, and the nodes that rest run, once and for all where they would be asked the same again. False if
    /// it was cancelled.
    pub(super) async fn look_ahead(&mut self) -> Result<bool> {
        let rules = &self.options.rules;
        let changing = self.images.augment(rules, 0, 0).is_some() || rules.augments(Augmentation::Mixup);
        let left = self.total.saturating_sub(self.trainer.steps());
        if changing || left <= self.per_epoch {
            return Ok(true);
        }
        let taught = matches!(self.stand.loss_kind, LossKind::Distill | LossKind::Mse);
        let answers = taught && memory::answers_fit(self.base, self.images)?;
        let bytes = self.resting.as_ref().and_then(|r| r.bytes);
        let mut kept = bytes.is_some_and(|bytes| memory::rest_fits(bytes, self.host.memory()));
        if !answers && !kept {
            return Ok(true);
        }
        let train = &self.images.split.train;
        for indices in train.chunks(LOOK) {
            let input = self.images.lesson(indices, None)?.input;
            if answers {
                self.trainer.ask_ahead(&input)?;
            }
            kept = kept && self.trainer.run_ahead(&input)?;
            if !self.control.pass(self.host).await {
                return Ok(false);
            }
        }
        if let Some(resting) = &mut self.resting {
            resting.kept = kept;
        }
        self.ahead = vec![0; self.images.dataset.len()];
        for (at, &image) in train.iter().enumerate() {
            if let Some(place) = self.ahead.get_mut(image as usize) {
                *place = at as u32;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::TuneOptions;
    use lopper_engine::block_on;

    struct Still;

    impl Host for Still {
        fn seconds(&self) -> f64 {
            0.0
        }

        async fn breathe(&self, _idle: bool) {}
    }

    #[test]
    fn images_on_the_device_teach_the_same() {
        let mut session = Session::new();
        let sample = bytes::Bytes::from_static(include_bytes!("../../assets/sample.onnx"));
        block_on(session.load_sample(sample, &Still)).unwrap();
        let augmentation = Some(vec![Augmentation::Crop, Augmentation::Flip, Augmentation::Cutout]);
        let rules = Rules { augmentation, ..Rules::default() };
        let options = TuneOptions { steps: Some(6), batch: 16, rules, ..TuneOptions::default() };
        let mut learnt = |there: bool| {
            let begin = block_on(session.beginning(&options, 6, &Still)).unwrap();
            let base = session.base().unwrap();
            let mut run = session.run_of(base, begin, &options, &Still, [100, 6]).unwrap();
            run.keep_pixels(there).unwrap();
            assert_eq!(run.pixels, there);
            assert!(block_on(run.all()).unwrap());
            let (model, summary) = block_on(run.end(true)).unwrap();
            (model.write().unwrap(), summary.loss)
        };
        let ((host, loss), (device, there)) = (learnt(false), learnt(true));
        assert!((loss - there).abs() < 1e-5, "{loss} {there}");
        assert_eq!(host, device, "on the CPU to the last bit");
    }
}
