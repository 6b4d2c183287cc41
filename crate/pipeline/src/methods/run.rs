//! Training in phases, with something done before every step.

use super::StageNote;
use super::preset::{Phase, PruneTrainOptions};
use super::uncut::Uncut;
use crate::checkpoint::{Header, Stand, pack};
use crate::host::{Control, Host, Progress, Stretch, TuneProgress};
use crate::images::Images;
use crate::rules::{MOMENTUM, Rules};
use crate::tune::{CHECKPOINT_SECONDS, pause_after};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, whole_cost};
use lopper_core::{Code, Error, Result};
use lopper_engine::Device;
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::train::{Memory, Optimizer, Schedule, Settings, Trainer};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Losses are read, and progress is told, every so many steps.
const READ_EVERY: usize = 4;

/// What happens before a step: penalties that change, zeros.
pub(super) trait Act {
    /// Before a step of so many, the first being 0.
    async fn before(&mut self, trainer: &mut Trainer, step: usize, total: usize) -> Result<()>;

    /// Numbers of channels that it remembers from step to step.
    fn factors(&self) -> Vec<Vec<f64>> {
        Vec::new()
    }

    /// The same back from a checkpoint.
    fn recall(&mut self, _factors: Vec<Vec<f64>>) {}
}

/// Nothing happens.
pub(super) struct Plain;

impl Act for Plain {
    async fn before(&mut self, _: &mut Trainer, _: usize, _: usize) -> Result<()> {
        Ok(())
    }
}

/// Where a run stands, as its checkpoint says it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Phases that are done.
    pub(crate) phase: usize,
    /// Steps done of the present phase, and in all.
    pub(crate) step: usize,
    pub(crate) steps: usize,
    /// Batches that were taken so far.
    pub(crate) taken: usize,
    pub(crate) seconds: f64,
    /// Batches and seconds when the present stage began.
    pub(crate) begin: (usize, f64),
    /// Classes that have gone from the uncut model.
    pub(crate) gone: Vec<u32>,
    /// What an [`Act`] remembers, to the last bit: numbers in JSON are not read back as exactly.
    #[serde(with = "bits")]
    pub(crate) factors: Vec<Vec<f64>>,
    pub(crate) stages: Vec<StageNote>,
    pub(crate) held: Vec<(String, String)>,
    /// The last cut, once it is made.
    pub(crate) plan: Option<PlanOptions>,
}

mod bits {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(super) fn serialize<S: Serializer>(numbers: &[Vec<f64>], to: S) -> Result<S::Ok, S::Error> {
        let bits: Vec<Vec<u64>> = numbers.iter().map(|n| n.iter().map(|v| v.to_bits()).collect()).collect();
        bits.serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Vec<Vec<f64>>, D::Error> {
        let bits = Vec::<Vec<u64>>::deserialize(from)?;
        Ok(bits.into_iter().map(|n| n.into_iter().map(f64::from_bits).collect()).collect())
    }
}

/// Where a run stands, and how it is kept.
pub(super) struct Log {
    header: Header,
    options: PruneTrainOptions,
    pub(super) place: Place,
    /// The engine's checkpoint to go on from in the phase where the place is.
    state: Option<Vec<u8>>,
    /// The model just before the last cut, once that is made.
    before: Vec<u8>,
    start: f64,
    kept: f64,
    pause: f64,
}

impl Log {
    pub(super) fn new(
        header: Header,
        options: &PruneTrainOptions,
        from: Option<(Place, Vec<u8>, Vec<u8>)>,
        host: &impl Host,
    ) -> Self {
        let now = host.seconds();
        let (place, state, before) =
            from.map_or_else(Default::default, |(place, state, before)| (place, Some(state), before));
        let (start, options) = (now - place.seconds, options.clone());
        Self { header, options, place, state, before, start, kept: now, pause: CHECKPOINT_SECONDS }
    }

    /// Whether the next phase goes on from a checkpoint.
    pub(super) fn resumes(&self) -> bool {
        self.state.is_some()
    }

    /// Notes the last cut.
    pub(super) fn cut(&mut self, before: &Model, plan: &PlanOptions, stage: StageNote) -> Result<()> {
        self.before = before.write()?;
        self.place.plan = Some(plan.clone());
        self.place.stages.push(stage);
        Ok(())
    }
}

/// Training of one model after the other on the same images.
pub(super) struct Run<'a, H> {
    pub(super) images: &'a Images,
    pub(super) device: &'a Device,
    pub(super) control: &'a Control,
    pub(super) host: &'a H,
    pub(super) options: &'a PruneTrainOptions,
    pub(super) log: Log,
}

impl<H: Host> Run<'_, H> {
    fn seconds(&self) -> f64 {
        self.host.seconds() - self.log.start
    }

    /// A stage begins; one that a checkpoint goes on with has begun before.
    pub(super) fn begin(&mut self) {
        if !self.log.resumes() {
            self.log.place.begin = (self.log.place.taken, self.seconds());
        }
    }

    /// Notes what was done since the stage began, and tells of it.
    pub(super) fn note(&mut self, what: String, graph: &Graph, validation_top1: Option<f64>) -> Result<()> {
        let (now, macs) = (self.seconds(), whole_cost(graph).macs);
        let place = &mut self.log.place;
        let (taken, begin) = place.begin;
        let note = StageNote { what, steps: place.taken - taken, seconds: now - begin, macs, validation_top1 };
        place.stages.push(note.clone());
        self.host.progress(&Progress::Stage(note));
        Ok(())
    }

    /// A trainer of what the checkpoint's place leaves of the uncut model; the next phase restores what it had learnt.
    pub(super) fn again(&self, uncut: &mut Uncut<'_>) -> Result<Trainer> {
        let gone: HashSet<u32> = self.log.place.gone.iter().copied().collect();
        let small = if gone.is_empty() { uncut.model.clone() } else { uncut.remove(gone)? };
        let mut trainer = self.trainer(&small)?;
        trainer.open_gates(&uncut.gates_of(&Graph::new(&small)?))?;
        Ok(trainer)
    }

    /// Keeps a checkpoint.
    async fn keep(&mut self, trainer: &Trainer) -> Result<()> {
        let begin = self.host.seconds();
        self.log.place.seconds = self.seconds();
        let log = &mut self.log;
        log.header.run = Stand::PruneTrain(Box::new((log.options.clone(), log.place.clone())));
        let bytes = pack(&log.header, &[trainer.state().await?, log.before.clone()])?;
        self.host.checkpoint(bytes);
        log.kept = self.host.seconds();
        log.pause = pause_after(log.kept - begin);
        Ok(())
    }

    /// Steps of an epoch.
    pub(super) fn per_epoch(&self) -> usize {
        Batches::new(&self.images.split.train, self.options.batch, Order::Listed, Last::Drop).count()
    }

    /// Trains a model from the beginning.
    pub(super) fn trainer(&self, model: &Model) -> Result<Trainer> {
        let optimizer = Optimizer::Sgd { momentum: MOMENTUM as f32, nesterov: false, weight_decay: 0.0 };
        let settings = Settings {
            optimizer,
            rate: 1.0,
            schedule: Schedule::Constant,
            seed: self.options.seed,
            ..Settings::default()
        };
        Trainer::new(model, self.device, settings)
    }

    /// Cuts classes out and goes on training what is left: parameters, statistics, gates and the optimiser's buffers lose the same
    /// slices.
    pub(super) async fn shrink(
        &mut self,
        trainer: &Trainer,
        uncut: &mut Uncut<'_>,
        gone: HashSet<u32>,
    ) -> Result<Trainer> {
        self.log.place.gone = gone.iter().copied().collect();
        self.log.place.gone.sort_unstable();
        let memory = uncut.expand(&trainer.memory().await?)?;
        let small = uncut.remove(gone)?;
        self.resume(&small, uncut, &memory).await
    }

    /// Goes on training what is left of the uncut model, from what is remembered in its shapes.
    pub(super) async fn resume(&self, small: &Model, uncut: &Uncut<'_>, memory: &Memory) -> Result<Trainer> {
        let graph = Graph::new(small)?;
        let mut next = self.trainer(small)?;
        next.open_gates(&uncut.gates_of(&graph))?;
        let mut fresh = next.memory().await?;
        let left = uncut.slice(memory, &graph)?;
        fresh.steps = left.steps;
        fresh.tensors.extend(left.tensors);
        next.remember(fresh)?;
        Ok(next)
    }

    /// One phase, from its beginning or from where the checkpoint left it.
    pub(super) async fn phase(
        &mut self,
        what: &str,
        trainer: &mut Trainer,
        phase: &Phase,
        act: &mut impl Act,
    ) -> Result<()> {
        let (per_epoch, total) = (self.per_epoch(), phase.steps(self.per_epoch()));
        let optimizer =
            Optimizer::Sgd { momentum: MOMENTUM as f32, nesterov: phase.nesterov, weight_decay: phase.weight_decay };
        let from = match self.log.state.take() {
            Some(state) => {
                trainer.restore(&state)?;
                act.recall(self.log.place.factors.clone());
                self.log.place.step
            }
            None => 0,
        };
        let (begin, macs) = (self.host.seconds(), whole_cost(trainer.graph()).macs);
        let seed = self.options.seed;
        let mut batches: Option<(usize, Batches)> = None;
        for step in from..total {
            let taken = self.log.place.taken;
            let (epoch, at) = (taken / per_epoch, taken % per_epoch);
            if batches.as_ref().is_none_or(|b| b.0 != epoch) {
                let order = Order::Shuffled { seed, epoch: epoch as u64 };
                let mut fresh = Batches::new(&self.images.split.train, self.options.batch, order, Last::Drop);
                fresh.seek(at);
                batches = Some((epoch, fresh));
            }
            let Some(indices) = batches.as_mut().and_then(|b| b.1.next()) else { break };
            let augment = self.images.augment(&Rules::default(), seed, epoch as u64);
            trainer.steer(optimizer, phase.rate_at(step, total));
            act.before(trainer, step, total).await?;
            trainer.step(&self.images.batch(&indices, augment)?)?;
            self.log.place.taken += 1;
            (self.log.place.step, self.log.place.steps) = (step + 1, total);
            if (step + 1).is_multiple_of(READ_EVERY) || step + 1 == total {
                let losses = trainer.losses().await?;
                let loss = losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len().max(1) as f64;
                let stretch = Stretch { what: what.to_owned(), macs, taken: self.log.place.taken };
                self.tell(phase, (step + 1, total), loss, (from, begin), stretch);
            }
            let going = self.control.pass(self.host).await;
            if !going || self.host.seconds() - self.log.kept >= self.log.pause {
                self.log.place.factors = act.factors();
                self.keep(trainer).await?;
            }
            if !going {
                return Err(Error::new(Code::Cancelled, "the training was cancelled"));
            }
        }
        // The last phase's end is what a checkpoint of a finished run holds.
        if self.log.place.plan.is_some() {
            self.keep(trainer).await?;
        }
        self.log.place.phase += 1;
        self.log.place.step = 0;
        Ok(())
    }

    fn tell(
        &self,
        phase: &Phase,
        (step, total): (usize, usize),
        loss: f64,
        (from, begin): (usize, f64),
        stretch: Stretch,
    ) {
        let (now, per_epoch, done) = (self.host.seconds(), self.per_epoch().max(1), step - from);
        self.host.progress(&Progress::Tune(TuneProgress {
            step,
            steps: total,
            epoch: step.div_ceil(per_epoch),
            epochs: total.div_ceil(per_epoch),
            loss,
            learning_rate: phase.rate_at(step - 1, total),
            seconds: self.seconds(),
            eta: (done >= 5).then(|| (now - begin) / done as f64 * (total - step) as f64),
            validation_top1: None,
            stretch: Some(stretch),
        }));
    }
}
