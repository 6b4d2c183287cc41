//! Prune and train together: a model learns to do without channels before they go, and goes on learning after.
//!
//! Methods that train before one cut put penalties on the uncut model ([`penalties`], [`soft`]); the others cut many times, and
//! [`uncut`] keeps the sum of it as one cut of the model that the run began with. In the end the session holds that model as it was
//! just before the last cut, the cut with its proof, and the cut model after its training.

mod decorator;
mod gates;
mod penalties;
mod preset;
mod run;
mod soft;
#[cfg(test)]
mod tests;
mod uncut;

pub use preset::{Course, Method, PRESETS, Phase, PruneTrainOptions};

use crate::host::Host;
use crate::session::Session;
use crate::summary::CutSummary;
use lopper_core::channels::Channels;
use lopper_core::cut::{Kept, masked};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Planner, Target, whole_cost};
use lopper_core::score::{Criterion, Measured, Needs, weight_scores};
use lopper_core::{Code, Error, Result};
use lopper_engine::train::{Memory, Trainer};
use penalties::Penalty;
use run::{Plain, Run};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use uncut::Uncut;

/// A stretch of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageNote {
    /// What was done.
    pub what: String,
    /// Steps of training.
    pub steps: usize,
    /// Seconds it took.
    pub seconds: f64,
    /// Multiply-accumulates of one sample after it.
    pub macs: u64,
    /// Share of right answers on the validation images after it.
    pub validation_top1: Option<f64>,
}

/// What a run brought.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PruneTrainSummary {
    /// The cut, against the model just before it.
    pub cut: CutSummary,
    /// What was done, in order.
    pub stages: Vec<StageNote>,
    /// Groups that stay whole because the method has nothing to say of them, and why.
    pub held: Vec<(String, String)>,
}

/// A model just before its last cut, what training remembers of it, in its shapes, and the cut.
struct Ready {
    model: Model,
    memory: Memory,
    plan: PlanOptions,
}

impl Session {
    /// Prunes and trains the opened model on the loaded images. Afterwards the session holds the model as it was just before the
    /// last cut as its original, the cut, and the trained model.
    ///
    /// # Errors
    /// When images are missing or unlabelled, the method does not fit the model, the target cannot be reached, the proof of the cut
    /// fails, or with [`Code::Diverged`] or [`Code::Cancelled`]. A run that ends before the cut leaves the session as it was.
    pub async fn prune_train(&mut self, options: &PruneTrainOptions, host: &impl Host) -> Result<PruneTrainSummary> {
        options.check()?;
        let control = self.control();
        control.begin();
        let images = self.images()?;
        if images.split.train.len() < options.batch {
            let what = format!("{} images are fewer than one batch of {}", images.split.train.len(), options.batch);
            return Err(Error::new(Code::BadData, format!("{what}: give more images or a smaller batch")));
        }
        let (batch, seed) = (options.batch, options.seed);
        let (start, device) = (host.seconds(), &self.device);
        let run = Run { images, device, control: &control, host, batch, seed, taken: 0, start };
        let opened = self.opened()?;
        let uncut = Uncut::new(&opened.model, &opened.graph, &opened.channels);
        let mut work = Work { session: self, run, uncut, options, stages: Vec::new(), held: Vec::new() };
        let ready = work.until_cut().await?;
        let (taken, mut stages, held) = (work.run.taken, work.stages, work.held);
        self.reopen(&ready.model)?;
        let cut = self.cut(&ready.plan, host).await?;
        let validation_top1 = self.judged(self.model(crate::Which::Cut)?, host).await?;
        let macs = cut.estimate.macs.after;
        stages.push(StageNote { what: "cut".to_owned(), steps: 0, seconds: 0.0, macs, validation_top1 });
        let begin = host.seconds();
        let (images, device) = (self.images()?, &self.device);
        let mut run = Run { images, device, control: &control, host, batch, seed, taken, start };
        let model = self.after_cut(&mut run, &ready, options).await?;
        let (steps, seconds) = (run.taken - taken, host.seconds() - begin);
        let validation_top1 = self.judged(&model, host).await?;
        stages.push(StageNote { what: "fine-tune".to_owned(), steps, seconds, macs, validation_top1 });
        self.opened_mut()?.trained = Some((model, options.clone()));
        Ok(PruneTrainSummary { cut, stages, held })
    }

    /// Trains the cut model, from where training before the cut left off.
    async fn after_cut<H: Host>(
        &self,
        run: &mut Run<'_, H>,
        ready: &Ready,
        options: &PruneTrainOptions,
    ) -> Result<Model> {
        let opened = self.opened()?;
        let removed = self.quick_plan(&ready.plan)?.removed.into_iter().collect();
        let mut uncut = Uncut::new(&opened.model, &opened.graph, &opened.channels);
        let small = uncut.remove(removed)?;
        let mut trainer = run.resume(&small, &uncut, &ready.memory).await?;
        run.phase(&mut trainer, &options.tune, &mut Plain).await?;
        trainer.to_model(&small).await
    }

    /// Opens a model in the place of the one that is open; images stay.
    fn reopen(&mut self, model: &Model) -> Result<()> {
        let name = self.opened()?.name.clone();
        let images = self.images.take();
        self.open(model.write()?, &name)?;
        self.images = images;
        Ok(())
    }
}

/// A run until its last cut.
struct Work<'a, H> {
    session: &'a Session,
    run: Run<'a, H>,
    uncut: Uncut<'a>,
    options: &'a PruneTrainOptions,
    stages: Vec<StageNote>,
    held: Vec<(String, String)>,
}

impl<H: Host> Work<'_, H> {
    async fn until_cut(&mut self) -> Result<Ready> {
        match &self.options.method {
            Method::Iterative { rounds } => self.iterative(*rounds).await,
            Method::GateDecorator { .. } => self.decorated().await,
            _ => self.penalised().await,
        }
    }

    /// Notes what was done since `(steps, seconds)`.
    async fn note(&mut self, what: String, model: &Model, (taken, begin): (usize, f64)) -> Result<()> {
        let validation_top1 = self.session.judged(model, self.run.host).await?;
        let (steps, seconds) = (self.run.taken - taken, self.run.host.seconds() - begin);
        let macs = whole_cost(&Graph::new(model)?).macs;
        self.stages.push(StageNote { what, steps, seconds, macs, validation_top1 });
        Ok(())
    }

    fn now(&self) -> (usize, f64) {
        (self.run.taken, self.run.host.seconds())
    }

    /// Training with a penalty, for one cut.
    async fn penalised(&mut self) -> Result<Ready> {
        let Self { run, uncut, options, .. } = self;
        let begin = (run.taken, run.host.seconds());
        let mut plan = options.plan.clone();
        if matches!(options.method, Method::Slimming { .. } | Method::GroupSlimming { .. }) {
            self.held = without_scales(uncut.graph, uncut.channels, &plan)?;
            plan.locks.extend(self.held.iter().map(|h| h.0.clone()));
        }
        let mut trainer = run.trainer(uncut.model)?;
        let trained: HashSet<String> = trainer.trained().map(str::to_owned).collect();
        let mut penalty = Penalty::new(&options.method, uncut, &plan, run.per_epoch(), &trained);
        run.phase(&mut trainer, &options.sparse, &mut penalty).await?;
        let gone = penalty.end(&mut trainer).await?;
        let plan = gone.map_or_else(|| plan.clone(), |gone| removal(uncut.channels, &gone));
        let (model, memory) = (trainer.to_model(uncut.model).await?, trainer.memory().await?);
        self.note("penalty".to_owned(), &model, begin).await?;
        Ok(Ready { model, memory, plan })
    }

    /// A part of the way is cut, then trained, again and again.
    async fn iterative(&mut self, rounds: usize) -> Result<Ready> {
        if self.options.plan.criterion.needs() != Needs::Weights {
            let what = "iterative cuts rank by weights only: choose a criterion such as l1 or group_norm";
            return Err(Error::new(Code::Usage, what));
        }
        let (graph, channels) = (self.uncut.graph, self.uncut.channels);
        let options = PlanOptions { steps: rounds, ..self.options.plan.clone() };
        let mut planner = Planner::new(graph, channels, &options)?;
        let mut trainer = self.run.trainer(self.uncut.model)?;
        for round in 1..=rounds {
            let begin = self.now();
            let (model, memory) = self.whole(&trainer).await?;
            let trained = Graph::new(&model)?;
            let kept = Kept::new(&trained, channels, planner.gone().iter().copied());
            planner.step(&masked(&trained, channels, &kept)?, Measured::none())?;
            if round == rounds {
                return Ok(Ready { model, memory, plan: removal(channels, planner.gone()) });
            }
            trainer = self.run.shrink(&trainer, &mut self.uncut, planner.gone().clone()).await?;
            self.run.phase(&mut trainer, &self.options.sparse, &mut Plain).await?;
            let small = self.small(&trainer).await?;
            self.note(format!("round {round}"), &small, begin).await?;
        }
        Err(Error::new(Code::Usage, "0 rounds lead nowhere: give 1 or more"))
    }

    /// The model in its uncut shapes, and what training remembers in them.
    async fn whole(&self, trainer: &Trainer) -> Result<(Model, Memory)> {
        let memory = self.uncut.expand(&trainer.memory().await?)?;
        Ok((memory.to_model(self.uncut.model)?, memory))
    }

    /// The model that is trained.
    async fn small(&self, trainer: &Trainer) -> Result<Model> {
        trainer.to_model(&self.uncut.small()?).await
    }
}

/// A plan that takes out exactly these classes, by the names of their groups.
fn removal(channels: &Channels, gone: &HashSet<u32>) -> PlanOptions {
    let mut wanted: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for group in channels.groups.iter().filter(|g| !g.rows) {
        let own: Vec<usize> =
            group.classes.iter().enumerate().filter(|(_, c)| gone.contains(c)).map(|(k, _)| k).collect();
        if !own.is_empty() {
            wanted.insert(group.name.clone(), own);
        }
    }
    PlanOptions::new(Target::Remove(wanted))
}

/// Prunable groups with a producer that no scale follows, and why they stay; an error if that is all of them.
fn without_scales(graph: &Graph, channels: &Channels, plan: &PlanOptions) -> Result<Vec<(String, String)>> {
    if plan.criterion != Criterion::BnScale {
        return Ok(Vec::new());
    }
    let scores: BTreeMap<String, Result<Vec<f64>>> =
        weight_scores(graph, &Criterion::BnScale, None, Measured::none()).into_iter().collect();
    let why = |name: &str| match scores.get(name) {
        Some(Ok(_)) => None,
        Some(Err(e)) => Some(e.message().to_owned()),
        None => Some(format!("{name:?} is no weight of a convolution or linear layer, so no scale follows it")),
    };
    let prunable = || channels.groups.iter().filter(|g| g.prunable());
    let producers = |g: &lopper_core::channels::Group| -> Vec<String> {
        g.with_role(lopper_core::channels::Role::Producer).map(|s| graph.values[s.value].name.clone()).collect()
    };
    let held: Vec<(String, String)> =
        prunable().filter_map(|g| Some((g.name.clone(), producers(g).iter().find_map(|name| why(name))?))).collect();
    if held.len() == prunable().count() {
        let what = "no group of the model passes a BatchNormalization, so there are no scales to shrink: take group-lasso or growing";
        return Err(Error::new(Code::Unsupported, what));
    }
    Ok(held)
}
