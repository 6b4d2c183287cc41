//! Training in phases, with something done before every step.

use super::preset::Phase;
use super::uncut::Uncut;
use crate::host::{Control, Host, Progress, TuneProgress};
use crate::images::Images;
use crate::rules::{MOMENTUM, Rules};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_engine::Device;
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::train::{Memory, Optimizer, Schedule, Settings, Trainer};
use std::collections::HashSet;

/// Losses are read, and progress is told, every so many steps.
const READ_EVERY: usize = 4;

/// What happens before a step: penalties that change, zeros.
pub(super) trait Act {
    /// Before a step of so many, the first being 0.
    async fn before(&mut self, trainer: &mut Trainer, step: usize, total: usize) -> Result<()>;
}

/// Nothing happens.
pub(super) struct Plain;

impl Act for Plain {
    async fn before(&mut self, _: &mut Trainer, _: usize, _: usize) -> Result<()> {
        Ok(())
    }
}

/// Training of one model after the other on the same images.
pub(super) struct Run<'a, H> {
    pub(super) images: &'a Images,
    pub(super) device: &'a Device,
    pub(super) control: &'a Control,
    pub(super) host: &'a H,
    pub(super) batch: usize,
    pub(super) seed: u64,
    /// Batches that were taken so far.
    pub(super) taken: usize,
    pub(super) start: f64,
}

impl<H: Host> Run<'_, H> {
    /// Steps of an epoch.
    pub(super) fn per_epoch(&self) -> usize {
        Batches::new(&self.images.split.train, self.batch, Order::Listed, Last::Drop).count()
    }

    /// Trains a model from the beginning.
    pub(super) fn trainer(&self, model: &Model) -> Result<Trainer> {
        let optimizer = Optimizer::Sgd { momentum: MOMENTUM as f32, nesterov: false, weight_decay: 0.0 };
        let settings =
            Settings { optimizer, rate: 1.0, schedule: Schedule::Constant, seed: self.seed, ..Settings::default() };
        Trainer::new(model, self.device, settings)
    }

    /// Cuts classes out and goes on training what is left: parameters, statistics, gates and the optimiser's buffers lose the same
    /// slices.
    pub(super) async fn shrink(&self, trainer: &Trainer, uncut: &mut Uncut<'_>, gone: HashSet<u32>) -> Result<Trainer> {
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

    /// One phase. Gives the mean loss of its last steps.
    pub(super) async fn phase(&mut self, trainer: &mut Trainer, phase: &Phase, act: &mut impl Act) -> Result<f64> {
        let (per_epoch, total) = (self.per_epoch(), phase.steps(self.per_epoch()));
        let optimizer =
            Optimizer::Sgd { momentum: MOMENTUM as f32, nesterov: phase.nesterov, weight_decay: phase.weight_decay };
        let (mut loss, begin) = (f64::NAN, self.host.seconds());
        let mut batches: Option<(usize, Batches)> = None;
        for step in 0..total {
            let (epoch, at) = (self.taken / per_epoch, self.taken % per_epoch);
            if batches.as_ref().is_none_or(|b| b.0 != epoch) {
                let order = Order::Shuffled { seed: self.seed, epoch: epoch as u64 };
                let mut fresh = Batches::new(&self.images.split.train, self.batch, order, Last::Drop);
                fresh.seek(at);
                batches = Some((epoch, fresh));
            }
            let Some(indices) = batches.as_mut().and_then(|b| b.1.next()) else { break };
            let augment = self.images.augment(&Rules::default(), self.seed, epoch as u64);
            trainer.steer(optimizer, phase.rate_at(step, total));
            act.before(trainer, step, total).await?;
            trainer.step(&self.images.batch(&indices, augment)?)?;
            self.taken += 1;
            if (step + 1).is_multiple_of(READ_EVERY) || step + 1 == total {
                let losses = trainer.losses().await?;
                loss = losses.iter().map(|&l| f64::from(l)).sum::<f64>() / losses.len().max(1) as f64;
                self.tell(phase, (step + 1, total), loss, begin);
            }
            if !self.control.pass(self.host).await {
                return Err(Error::new(Code::Cancelled, "the training was cancelled"));
            }
        }
        Ok(loss)
    }

    fn tell(&self, phase: &Phase, (step, total): (usize, usize), loss: f64, begin: f64) {
        let (now, per_epoch) = (self.host.seconds(), self.per_epoch().max(1));
        self.host.progress(&Progress::Tune(TuneProgress {
            step,
            steps: total,
            epoch: step.div_ceil(per_epoch),
            epochs: total.div_ceil(per_epoch),
            loss,
            learning_rate: phase.rate_at(step - 1, total),
            seconds: now - self.start,
            eta: (step >= 5).then(|| (now - begin) / step as f64 * (total - step) as f64),
            validation_top1: None,
        }));
    }
}
