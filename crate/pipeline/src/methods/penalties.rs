//! Penalties of methods that train a model before one cut.

use super::preset::Method;
use super::run::Act;
use super::uncut::Uncut;
use lopper_core::channels::{Channels, Group, Role};
use lopper_core::graph::Graph;
use lopper_core::plan::{PlanOptions, Planner};
use lopper_core::score::{Criterion, Measured, Members, Scoring, group_scores, growth, lasso, spread};
use lopper_core::{Result, onnx::Tensor};
use lopper_engine::HostTensor;
use lopper_engine::train::{Pull, Trainer};
use std::collections::{BTreeMap, HashSet};

/// Factors that follow the weights are taken anew every so many steps.
const REFRESH: usize = 10;
/// Under the root of group slimming.
const EPSILON: f32 = 1e-9;
/// Share of the steps after which a factor that grows to its ceiling has reached it.
const GROWN: f64 = 0.7;

/// A parameter, and the place in its group of the channel of every element.
type Scale = (String, Vec<Option<usize>>);

/// Scales of BatchNormalization that channels of prunable groups pass, group by group: each with its group's place of every element.
pub(super) fn scales(graph: &Graph, channels: &Channels) -> Vec<Vec<Scale>> {
    let table = channels.class_table();
    let is_scale =
        |v| graph.values[v].uses.iter().any(|&(n, port)| graph.nodes[n].op_type == "BatchNormalization" && port == 1);
    let of = |group: &Group| {
        let place: BTreeMap<u32, usize> = group.classes.iter().enumerate().map(|(k, c)| (*c, k)).collect();
        let sites = group.with_role(Role::Companion).filter(|s| is_scale(s.value));
        let bundle = |s: &lopper_core::channels::Site| channels.layouts.get(&s.value)?.bundles.get(s.bundle);
        sites
            .filter_map(|s| {
                let class = |id: &u32| table.get(*id as usize).and_then(|c| place.get(c)).copied();
                Some((graph.values[s.value].name.clone(), bundle(s)?.ids.iter().map(class).collect()))
            })
            .collect()
    };
    channels.groups.iter().filter(|g| g.prunable()).map(of).collect()
}

/// Network slimming: one pull on all scales, for good.
pub(super) fn slim(trainer: &mut Trainer, scales: &[Vec<Scale>], strength: f64) -> Result<()> {
    scales.iter().flatten().try_for_each(|(name, _)| trainer.pull(name, Some(Pull::Sign(strength as f32))))
}

/// What group slimming multiplies every scale with: `strength / sqrt(mean over the channel's scales of their squares + 1e-9)`.
pub(super) fn slimming_factors(group: &[(Vec<f32>, Vec<Option<usize>>)], strength: f64) -> Vec<Vec<f32>> {
    let mut sums: BTreeMap<usize, (f32, f32)> = BTreeMap::new();
    for (values, places) in group {
        for (value, place) in values.iter().zip(places) {
            if let Some(k) = place {
                let sum = sums.entry(*k).or_default();
                *sum = (sum.0 + value * value, sum.1 + 1.0);
            }
        }
    }
    let factor = |k: &Option<usize>| {
        k.and_then(|k| sums.get(&k)).map_or(0.0, |(sum, count)| strength as f32 / (sum / count + EPSILON).sqrt())
    };
    group.iter().map(|(_, places)| places.iter().map(factor).collect()).collect()
}

/// The penalty of a method, as it changes over the steps.
pub(super) struct Penalty<'a> {
    method: &'a Method,
    uncut: &'a Uncut<'a>,
    plan: &'a PlanOptions,
    scales: Vec<Vec<Scale>>,
    /// Factors of growing regularisation by groups.
    factors: Vec<Vec<f64>>,
    per_epoch: usize,
    /// What soft pruning has set to zero last.
    pub(super) zeroed: HashSet<u32>,
}

impl<'a> Penalty<'a> {
    pub(super) fn new(
        method: &'a Method,
        uncut: &'a Uncut<'a>,
        plan: &'a PlanOptions,
        per_epoch: usize,
        trained: &HashSet<String>,
    ) -> Self {
        let mut scales = scales(uncut.graph, uncut.channels);
        scales.iter_mut().for_each(|group| group.retain(|(name, _)| trained.contains(name)));
        Self { method, uncut, plan, scales, factors: Vec::new(), per_epoch, zeroed: HashSet::new() }
    }

    /// The roots of the group norms of the model as it is now, normalised by their mean; none for groups that stay.
    async fn importance(&self, trainer: &Trainer) -> Result<Vec<Vec<f64>>> {
        let now = self.now(trainer).await?;
        let scoring =
            Scoring { criterion: &Criterion::GroupNorm, reduction: None, normalizer: None, measured: Measured::none() };
        let groups = &self.uncut.channels.groups;
        let wanted = |g: usize| groups.get(g).is_some_and(Group::prunable);
        let mut all = group_scores(&now, self.uncut.channels, wanted, &scoring, &HashSet::new())?;
        for (g, own) in all.iter_mut().enumerate() {
            if !wanted(g) {
                own.clear();
            }
            let mean = own.iter().sum::<f64>() / own.len().max(1) as f64;
            own.iter_mut().for_each(|s| *s = (*s / mean.max(f64::MIN_POSITIVE)).sqrt());
        }
        Ok(all)
    }

    /// The graph of the model as it is now.
    async fn now(&self, trainer: &Trainer) -> Result<Graph> {
        Graph::new(&trainer.to_model(self.uncut.model).await?)
    }

    /// Pulls all members of groups by numbers of their channels.
    fn shrink(&self, trainer: &mut Trainer, numbers: &[Vec<f64>]) -> Result<()> {
        let trained: HashSet<String> = trainer.trained().map(str::to_owned).collect();
        let all = spread(self.uncut.graph, self.uncut.channels, Members::All, numbers);
        for (name, factors) in all.into_iter().filter(|(name, _)| trained.contains(name)) {
            let factors = self.tensor(&name, factors.into_iter().map(|f| f as f32).collect())?;
            trainer.pull(&name, Some(Pull::Shrink(factors)))?;
        }
        Ok(())
    }

    fn tensor(&self, name: &str, numbers: Vec<f32>) -> Result<HostTensor> {
        let graph = self.uncut.graph;
        let dims = graph.find(name).and_then(|v| graph.values[v].tensor.as_ref()).map(|t: &Tensor| t.dims.clone());
        HostTensor::f32(dims.unwrap_or_default(), numbers)
    }

    async fn group_slimming(&self, trainer: &mut Trainer, strength: f64) -> Result<()> {
        for group in &self.scales {
            let mut values = Vec::with_capacity(group.len());
            for (name, places) in group {
                values.push((trainer.read(name).await?.as_f32().unwrap_or_default().to_vec(), places.clone()));
            }
            for ((name, _), factors) in group.iter().zip(slimming_factors(&values, strength)) {
                trainer.pull(name, Some(Pull::Shrink(HostTensor::f32(vec![factors.len()], factors)?)))?;
            }
        }
        Ok(())
    }

    /// The channels that growing regularisation shrinks, chosen once.
    fn chosen(&self) -> Result<HashSet<u32>> {
        let plan = Planner::new(self.uncut.graph, self.uncut.channels, self.plan)?.by_weights()?;
        Ok(plan.removed.into_iter().collect())
    }

    /// Sets the weakest filters to zero. Hard ones get no gradient from then on, and lose their momentum.
    async fn zero(&mut self, trainer: &mut Trainer, hard: bool, norms: bool) -> Result<()> {
        let now = self.now(trainer).await?;
        self.zeroed = super::soft::weakest(&now, self.uncut.channels, self.plan)?;
        let which = if norms { Members::Normalized } else { Members::Producers };
        let trained: HashSet<String> = trainer.trained().map(str::to_owned).collect();
        trainer.release();
        let all = spread(self.uncut.graph, self.uncut.channels, which, &marks(self.uncut.channels, &self.zeroed));
        for (name, marks) in all.into_iter().filter(|(name, _)| trained.contains(name)) {
            let stays = self.tensor(&name, marks.into_iter().map(|m| if m == 0.0 { 1.0 } else { 0.0 }).collect())?;
            trainer.multiply(&name, &stays, hard)?;
            if hard {
                trainer.pull(&name, Some(Pull::Hold(stays)))?;
            }
        }
        Ok(())
    }
}

/// One for the channels of some classes, zero for all others.
pub(super) fn marks(channels: &Channels, classes: &HashSet<u32>) -> Vec<Vec<f64>> {
    let mark = |c: &u32| if classes.contains(c) { 1.0 } else { 0.0 };
    channels.groups.iter().map(|g| g.classes.iter().map(mark).collect()).collect()
}

/// Steps between two times that come every so many epochs.
fn interval(epochs: f64, per_epoch: usize) -> usize {
    ((epochs * per_epoch as f64).round() as usize).max(1)
}

impl Act for Penalty<'_> {
    async fn before(&mut self, trainer: &mut Trainer, step: usize, total: usize) -> Result<()> {
        match *self.method {
            Method::Slimming { strength } if step == 0 => slim(trainer, &self.scales, strength),
            Method::GroupSlimming { strength } => self.group_slimming(trainer, strength).await,
            Method::GroupLasso { strength, alpha } if step.is_multiple_of(REFRESH) => {
                let factors: Vec<Vec<f64>> = self.importance(trainer).await?.iter().map(|i| lasso(i, alpha)).collect();
                trainer.strength(strength as f32);
                self.shrink(trainer, &factors)
            }
            Method::Growing { delta, every, ceiling } => {
                if step == 0 {
                    let chosen = marks(self.uncut.channels, &self.chosen()?);
                    self.shrink(trainer, &chosen)?;
                }
                let fits = ceiling * every as f64 / (GROWN * total as f64).max(1.0);
                let grown = delta.unwrap_or(fits) * (step / every.max(1)) as f64;
                trainer.strength(grown.min(ceiling) as f32);
                Ok(())
            }
            Method::GrowingGroup { start, delta, every } if step.is_multiple_of(interval(every, self.per_epoch)) => {
                let importance = self.importance(trainer).await?;
                if step == 0 {
                    self.factors = importance.iter().map(|own| vec![start; own.len()]).collect();
                } else {
                    for (factors, own) in self.factors.iter_mut().zip(&importance) {
                        factors.iter_mut().zip(growth(own, delta)).for_each(|(f, more)| *f += more);
                    }
                }
                self.shrink(trainer, &self.factors)
            }
            Method::Soft { every, hard, norms } if step > 0 && step.is_multiple_of(interval(every, self.per_epoch)) => {
                self.zero(trainer, hard, norms).await
            }
            _ => Ok(()),
        }
    }

    fn factors(&self) -> Vec<Vec<f64>> {
        self.factors.clone()
    }

    fn recall(&mut self, factors: Vec<Vec<f64>>) {
        self.factors = factors;
    }
}

impl Penalty<'_> {
    /// What is to be done after the last step. Gives the classes that go, where the method has chosen them: soft pruning sets them to
    /// zero once more.
    pub(super) async fn end(&mut self, trainer: &mut Trainer) -> Result<Option<HashSet<u32>>> {
        let gone = match *self.method {
            Method::Soft { hard, norms, .. } => {
                self.zero(trainer, hard, norms).await?;
                Some(std::mem::take(&mut self.zeroed))
            }
            Method::Growing { .. } => Some(self.chosen()?),
            _ => None,
        };
        trainer.release();
        Ok(gone)
    }
}
