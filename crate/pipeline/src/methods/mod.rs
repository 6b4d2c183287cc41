//! Prune and train together: a model learns to do without channels before they go, and goes on learning after.
//!
//! Methods that train before one cut put penalties on the uncut model ([`penalties`], [`soft`]); the others cut many times, and
//! [`uncut`] keeps the sum of it as one cut of the model that the run began with. In the end the session holds that model as it was
//! just before the last cut, the cut with its proof, and the cut model after its training.

mod decorator;
mod gates;
mod penalties;
mod preset;
mod recipe;
mod run;
mod soft;
#[cfg(test)]
mod tests;
mod uncut;

pub(crate) use gates::affines;

pub use preset::{Course, Method, PRESETS, Phase, PruneTrainOptions};
pub use recipe::PruneTrainRecipe;
pub(crate) use run::Place;

use crate::checkpoint::{BEFORE, Stand};
use crate::host::{Control, Host};
use crate::session::Session;
use crate::summary::CutSummary;
use lopper_core::channels::Channels;
use lopper_core::cut::{Kept, masked};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Planner, Target};
use lopper_core::score::{Criterion, Measured, Needs, weight_scores};
use lopper_core::{Code, Error, Result};
use lopper_engine::train::{Memory, Trainer, own_statistics};
use penalties::Penalty;
use run::{Log, Plain, Run};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use uncut::Uncut;

/// A stretch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// False if training after the cut was stopped early; what was learnt up to there is kept.
    pub finished: bool,
}

/// What training around a cut ended with, and how it went about it.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) model: Model,
    pub(crate) options: PruneTrainOptions,
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
        self.open_first()?;
        self.prune_train_from(options, None, host).await
    }

    /// Goes on from the restored checkpoint; the end is the same, to the byte on the CPU, as without the break.
    ///
    /// # Errors
    /// When there is no such checkpoint or the images are others, and as [`Session::prune_train`].
    pub async fn resume_prune_train(&mut self, host: &impl Host) -> Result<PruneTrainSummary> {
        let restored = self.restored.clone();
        let missing =
            || Error::new(Code::Usage, "there is no checkpoint of pruning and training together to go on from");
        let restored = restored.ok_or_else(missing)?;
        let Stand::PruneTrain(stand) = &restored.header.run else { return Err(missing()) };
        self.same_images(&restored.header)?;
        let (options, place) = stand.as_ref();
        self.prune_train_from(options, Some((place.clone(), restored.state(), restored.part(BEFORE))), host).await
    }

    async fn prune_train_from(
        &mut self,
        options: &PruneTrainOptions,
        from: Option<(Place, Vec<u8>, Vec<u8>)>,
        host: &impl Host,
    ) -> Result<PruneTrainSummary> {
        options.check()?;
        let control = self.control();
        control.begin();
        self.images_with_labels(options)?;
        let before_cut = from.as_ref().is_none_or(|(place, ..)| place.plan.is_none());
        if let Some(own) = own_statistics(&self.opened()?.model)?.filter(|_| before_cut) {
            self.reopen(&own)?;
        }
        let done = self.prune_train_on(options, from, &control, host).await;
        if done.is_err() && self.opened()?.cut.is_none() {
            self.open_first()?;
        }
        done
    }

    /// Refuses images that the training, which is by cross-entropy in every preset, cannot learn from.
    fn images_with_labels(&self, options: &PruneTrainOptions) -> Result<()> {
        let images = self.images()?;
        if images.dataset.labels().is_none() {
            let what = "the images have no class each, which pruning and training together learns: put each class in a folder of its own, \
                        give an npz with an array \"labels\", or cut and fine-tune one after the other";
            return Err(Error::new(Code::BadData, what));
        }
        if images.split.train.len() < options.batch {
            let what = format!("{} images are fewer than one batch of {}", images.split.train.len(), options.batch);
            return Err(Error::new(Code::BadData, format!("{what}: give more images or a smaller batch")));
        }
        Ok(())
    }

    async fn prune_train_on(
        &mut self,
        options: &PruneTrainOptions,
        from: Option<(Place, Vec<u8>, Vec<u8>)>,
        control: &Control,
        host: &impl Host,
    ) -> Result<PruneTrainSummary> {
        let header = self.header(Stand::PruneTrain(Box::new((options.clone(), Place::default()))))?;
        let mut log = Log::new(header, options, from, host);
        let ready = match log.place.plan.clone() {
            // The last cut was made again when the checkpoint was restored.
            Some(_) => None,
            None => {
                let opened = self.opened()?;
                let uncut = Uncut::new(&opened.model, &opened.graph, &opened.channels);
                let run = Run { images: self.images()?, device: &self.device, control, host, options, log };
                let mut work = Work { session: self, run, uncut };
                let ready = work.until_cut().await?;
                log = work.run.log;
                Some(ready)
            }
        };
        if let Some(ready) = &ready {
            self.reopen(&ready.model)?;
            self.cut_opened(&ready.plan, host).await?;
            let macs = self.cut_summary()?.estimate.macs.after;
            let validation_top1 = self.judged(self.model(crate::Which::Cut)?, host).await?;
            log.cut(&ready.model, &ready.plan, StageNote::of_cut(macs, validation_top1))?;
        }
        let run = Run { images: self.images()?, device: &self.device, control, host, options, log };
        let (model, finished, log) = self.after_cut(run, ready.map(|r| r.memory)).await?;
        let Place { stages, held, .. } = log.place;
        self.opened_mut()?.answers.forget(crate::Which::Tuned);
        self.opened_mut()?.trained = Some(Trained { model, options: options.clone() });
        Ok(PruneTrainSummary { cut: self.cut_summary()?, stages, held, finished })
    }

    /// Trains the cut model, from where training before the cut left off. False if it was cancelled.
    async fn after_cut<H: Host>(&self, mut run: Run<'_, H>, memory: Option<Memory>) -> Result<(Model, bool, Log)> {
        let plan = run.log.place.plan.clone();
        let plan = plan.ok_or_else(|| Error::new(Code::Invalid, "nothing was cut yet: this is a bug in Lopper"))?;
        let (small, uncut) = self.small(&plan)?;
        run.begin();
        let mut trainer = match &memory {
            Some(memory) => run.resume(&small, &uncut, memory).await?,
            None => run.trainer(&small)?,
        };
        let options = run.options;
        let finished = match run.phase("fine-tune", &mut trainer, &options.tune, &mut Plain).await {
            Ok(()) => true,
            Err(e) if e.code() == Code::Cancelled => false,
            Err(e) => return Err(e),
        };
        let model = trainer.to_model(&small).await?;
        let validation_top1 = if finished { self.judged(&model, run.host).await? } else { None };
        run.note("fine-tune".to_owned(), &Graph::new(&model)?, validation_top1)?;
        Ok((model, finished, run.log))
    }

    /// What the opened model's last cut leaves of it, with its weights as they are.
    pub(crate) fn small(&self, plan: &PlanOptions) -> Result<(Model, Uncut<'_>)> {
        let opened = self.opened()?;
        let removed = self.quick_plan(plan)?.removed.into_iter().collect();
        let mut uncut = Uncut::new(&opened.model, &opened.graph, &opened.channels);
        Ok((uncut.remove(removed)?, uncut))
    }
}

impl StageNote {
    fn of_cut(macs: u64, validation_top1: Option<f64>) -> Self {
        Self { what: "cut".to_owned(), steps: 0, seconds: 0.0, macs, validation_top1 }
    }
}

/// A run until its last cut.
struct Work<'a, H> {
    session: &'a Session,
    run: Run<'a, H>,
    uncut: Uncut<'a>,
}

impl<H: Host> Work<'_, H> {
    async fn until_cut(&mut self) -> Result<Ready> {
        match &self.run.options.method {
            Method::Iterative { rounds } => self.iterative(*rounds).await,
            Method::GateDecorator { .. } => self.decorated().await,
            _ => self.penalised().await,
        }
    }

    /// Notes what was done since [`Run::begin`].
    async fn note(&mut self, what: String, model: &Model) -> Result<()> {
        let validation_top1 = self.session.judged(model, self.run.host).await?;
        self.run.note(what, &Graph::new(model)?, validation_top1)
    }

    /// Training with a penalty, for one cut.
    async fn penalised(&mut self) -> Result<Ready> {
        let Self { run, uncut, .. } = self;
        let options = run.options;
        let mut plan = options.plan.clone();
        if matches!(options.method, Method::Slimming { .. } | Method::GroupSlimming { .. }) {
            run.log.place.held = without_scales(uncut.graph, uncut.channels, &plan)?;
            plan.locks.extend(run.log.place.held.iter().map(|h| h.0.clone()));
        }
        run.begin();
        let mut trainer = run.trainer(uncut.model)?;
        let trained: HashSet<String> = trainer.trained().map(str::to_owned).collect();
        let mut penalty = Penalty::new(&options.method, uncut, &plan, run.per_epoch(), &trained);
        run.phase("penalty", &mut trainer, &options.sparse, &mut penalty).await?;
        let gone = penalty.end(&mut trainer).await?;
        let plan = gone.map_or_else(|| plan.clone(), |gone| removal(uncut.channels, &gone));
        let (model, memory) = (trainer.to_model(uncut.model).await?, trainer.memory().await?);
        self.note("penalty".to_owned(), &model).await?;
        Ok(Ready { model, memory, plan })
    }

    /// A part of the way is cut, then trained, again and again.
    async fn iterative(&mut self, rounds: usize) -> Result<Ready> {
        let given = self.run.options;
        if given.plan.criterion.needs() != Needs::Weights {
            let what = "iterative cuts rank by weights only: choose a criterion such as l1 or group_norm";
            return Err(Error::new(Code::Usage, what));
        }
        let (graph, channels) = (self.uncut.graph, self.uncut.channels);
        let options = PlanOptions { steps: rounds, ..given.plan.clone() };
        let mut planner = Planner::new(graph, channels, &options)?;
        let mut trainer = self.run.trainer(self.uncut.model)?;
        let first = self.run.log.place.phase + 1;
        let mut resumed = self.run.log.resumes();
        if resumed {
            trainer = self.run.again(&mut self.uncut)?;
            planner = planner.after_steps(first, self.uncut.gone.clone());
        }
        for round in first..=rounds {
            self.run.begin();
            if !std::mem::take(&mut resumed) {
                let (model, memory) = self.whole(&trainer).await?;
                let trained = Graph::new(&model)?;
                let kept = Kept::new(&trained, channels, planner.gone().iter().copied());
                planner.step(&masked(&trained, channels, &kept)?, Measured::none())?;
                if round == rounds {
                    return Ok(Ready { model, memory, plan: removal(channels, planner.gone()) });
                }
                trainer = self.run.shrink(&trainer, &mut self.uncut, planner.gone().clone()).await?;
            }
            let what = format!("round {round}");
            self.run.phase(&what, &mut trainer, &given.sparse, &mut Plain).await?;
            let small = self.small(&trainer).await?;
            self.note(what, &small).await?;
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
