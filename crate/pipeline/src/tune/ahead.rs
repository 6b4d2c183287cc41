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
use lopper_engine::train::{Hints, Trainer};

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

    /// Has a run learn from the uncut model, where that is what it does. How many features are compared, where these count.
    pub(super) fn teach(&self, trainer: &mut Trainer, rules: &Rules, kind: LossKind) -> Result<Option<usize>> {
        let Some(uncut) = self.uncut().filter(|_| matches!(kind, LossKind::Distill | LossKind::Mse)) else {
            return Ok(None);
        };
        let weight = rules.feature_weight(kind) as f32;
        if weight == 0.0 {
            trainer.learn_from(uncut)?;
            return Ok(None);
        }
        let mask = self.gone();
        let removed = |tensor: &str, axis: usize| -> Vec<usize> {
            let own = mask.iter().filter(|m| m.initializer == tensor && m.axis == axis && m.within.is_none());
            own.flat_map(|m| m.indices.iter().copied()).collect()
        };
        trainer.match_features(&Hints { original: uncut, weight, removed: &removed }).map(Some)
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
        // What the uncut model has inside is too much to keep, so it is asked in each step.
        let answers = taught && self.features.is_none_or(|n| n == 0) && memory::answers_fit(self.base, self.images)?;
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
    use crate::evaluate::Judge;
    use crate::images::Source;
    use crate::options::{DataOptions, TuneOptions, Which};
    use crate::rules::ScheduleKind;
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

    #[test]
    fn the_epoch_with_the_best_overlap_is_kept() {
        let text = "(float[N,1,8,8] x) => (float[N,3,8,8] y)
            <float[3,1,1,1] w = {0, 4, 10}, float[3] b = {0, -2, -7}> { y = Conv (x, w, b) }";
        let mut session = Session::new();
        session.open(lopper_core::text::parse(text).unwrap().write().unwrap(), "places.onnx").unwrap();
        let data = DataOptions { normalize: "none".to_owned(), seed: 1, validation: Some(0.25), test: Some(0.0) };
        let npz = bytes::Bytes::from_static(include_bytes!("../../tests/targets/places.npz"));
        block_on(session.load_data("places.npz", Source::Archive(npz), &data, &Still)).unwrap();
        // Every epoch of a longer run is that of a shorter one.
        let rules = Rules { schedule: ScheduleKind::Constant, augmentation: Some(Vec::new()), ..Rules::default() };
        let mut best: Vec<(f64, usize)> = Vec::new();
        for epochs in 1..=6 {
            let options =
                TuneOptions { epochs, learning_rate: 0.1, batch: 9, rules: rules.clone(), ..TuneOptions::default() };
            let told = block_on(session.tune(&options, &Still)).unwrap();
            let images = session.images().unwrap();
            let judge = Judge { images, device: &session.device, control: &session.control(), host: &Still };
            let seen = block_on(judge.run(session.model(Which::Tuned).unwrap(), &images.watched(), |_| ())).unwrap().0;
            let kept = told.validation_mean_iou.unwrap();
            assert!((seen.mean_iou().unwrap() - kept).abs() < 1e-12 && told.validation_loss.is_none(), "{told:?}");
            best.push((kept, told.best_epoch.unwrap()));
        }
        for pair in best.windows(2) {
            assert!(pair[1].0 >= pair[0].0 && (pair[1] == pair[0] || pair[1].1 > pair[0].1), "{best:?}");
        }
    }
}
