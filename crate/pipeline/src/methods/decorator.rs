//! Gate decorator: channels go a few at a time by the scores of gates, with training in between.

use super::gates::{areas, of_convolutions};
use super::preset::{Method, Phase};
use super::run::Plain;
use super::uncut::Uncut;
use super::{Ready, Work, removal};
use crate::host::Host;
use lopper_core::channels::Group;
use lopper_core::plan::{Plan, PlanOptions, Planner, Scope, Target, matches_glob};
use lopper_core::score::{Criterion, Measured, Normalizer};
use lopper_core::{Code, Error, Result};
use lopper_engine::train::{Memory, Trainer};
use lopper_engine::{HostTensor, train::GateSite};
use std::collections::HashSet;

/// Share of a group's channels that stays whatever their scores.
const FLOOR: f64 = 0.1;

impl<H: Host> Work<'_, H> {
    /// Ticks and tocks until the target is met.
    pub(super) async fn decorated(&mut self) -> Result<Ready> {
        let options = self.run.options;
        let Method::GateDecorator { tick, ticks, share, penalty, eta, from_scales } = &options.method else {
            return Err(Error::new(Code::Usage, "these are no options of a gate decorator"));
        };
        let mut trainer = self.run.trainer(self.uncut.model)?;
        let trained: HashSet<String> = trainer.trained().map(str::to_owned).collect();
        let held = self.uncut.with_gates(&trained);
        if self.uncut.gates.is_empty() {
            let what = "no layer of a prunable group can carry a gate: take group-lasso or growing";
            return Err(Error::new(Code::Unsupported, what));
        }
        trainer.open_gates(&self.uncut.gates)?;
        if *from_scales {
            let mut memory = trainer.memory().await?;
            self.uncut.gates.iter().try_for_each(|site| begin_as_scales(&mut memory, site))?;
            trainer.remember(memory)?;
        }
        self.run.log.place.held.clone_from(&held);
        let convolutions = of_convolutions(self.uncut.graph);
        // A tock and its ticks are that many phases and one.
        let (tocks, within) = (self.run.log.place.phase / (ticks + 1), self.run.log.place.phase % (ticks + 1));
        if self.run.log.resumes() {
            trainer = self.run.again(&mut self.uncut)?;
        }
        let mut tocked = within == 1;
        for done in tocks * ticks + within.saturating_sub(1).. {
            if done % ticks == 0 && !std::mem::take(&mut tocked) {
                self.tock(&mut trainer, *penalty, done / ticks + 1).await?;
            }
            let scores = self.tick(&mut trainer, tick, &convolutions, done + 1).await?;
            let (uncut, plan, held) = (&self.uncut, &options.plan, held.as_slice());
            let (gone, reached) = Pick { uncut, plan, held, share: *share, eta: *eta }.by(&scores)?;
            if reached {
                trainer.fold_gates()?;
                let plan = removal(self.uncut.channels, &gone);
                let (model, memory) = self.whole(&trainer).await?;
                self.run.begin();
                self.note(format!("{} ticks", done + 1), &self.small(&trainer).await?).await?;
                return Ok(Ready { model, memory, plan });
            }
            trainer = self.run.shrink(&trainer, &mut self.uncut, gone).await?;
        }
        Err(Error::new(Code::NoTarget, "the target was not met"))
    }

    /// Trains everything, with a penalty on gates.
    async fn tock(&mut self, trainer: &mut Trainer, penalty: f64, count: usize) -> Result<()> {
        self.run.begin();
        trainer.freeze(|_| false);
        trainer.fix_statistics(false);
        trainer.pull_gates(penalty as f32);
        let (what, sparse) = (format!("tock {count}"), &self.run.options.sparse);
        self.run.phase(&what, trainer, sparse, &mut Plain).await?;
        // Scores are those of ticks.
        trainer.gate_scores().await?;
        let small = self.small(trainer).await?;
        self.note(what, &small).await
    }

    /// Trains gates, normalisations and linear layers while convolutions rest, and gives the scores of gates.
    async fn tick(
        &mut self,
        trainer: &mut Trainer,
        tick: &Phase,
        convolutions: &HashSet<String>,
        count: usize,
    ) -> Result<Vec<(String, Vec<f64>)>> {
        trainer.freeze(|name| convolutions.contains(name));
        trainer.fix_statistics(true);
        trainer.pull_gates(0.0);
        self.run.phase(&format!("tick {count}"), trainer, tick, &mut Plain).await?;
        trainer.gate_scores().await
    }
}

/// What decides which channels go after a tick.
pub(super) struct Pick<'a> {
    pub(super) uncut: &'a Uncut<'a>,
    pub(super) plan: &'a PlanOptions,
    /// Groups that stay, with the reason.
    pub(super) held: &'a [(String, String)],
    pub(super) share: f64,
    pub(super) eta: f64,
}

impl Pick<'_> {
    /// The classes that go, those that have gone among them, and whether that meets the target: `int(share * left)` channels, one at
    /// least, with the smallest scores.
    pub(super) fn by(&self, scores: &[(String, Vec<f64>)]) -> Result<(HashSet<u32>, bool)> {
        let (uncut, wanted, options) = (self.uncut, self.plan, self.options());
        let measured = self.measured(scores);
        let free = self.free(&options.locks);
        let (total, gone) = (free.len(), free.intersection(&uncut.gone).count());
        let by = |target: Target| -> Result<Plan> {
            let options = PlanOptions { target, ..options.clone() };
            let mut planner = Planner::new(uncut.graph, uncut.channels, &options)?.after(uncut.gone.clone());
            planner.step(uncut.graph, &measured)?;
            planner.finish()
        };
        let mut more = ((self.share * (total - gone) as f64) as usize).max(1);
        loop {
            let ratio = (gone + more) as f64 / total.max(1) as f64;
            let plan = by(Target::Ratio(ratio.min(1.0 - f64::EPSILON)))?;
            let left = |after: u64, before: u64| after as f64 / before.max(1) as f64;
            let reached = match wanted.target {
                Target::Macs(stays) => left(plan.after.macs, plan.before.macs) <= stays,
                Target::Parameters(stays) => left(plan.after.parameters, plan.before.parameters) <= stays,
                Target::Ratio(goes) => ratio >= goes,
                _ => return Err(Error::new(Code::Usage, "give a share of channels, MACs or parameters as the target")),
            };
            if reached {
                // The last tick takes no more than it has to.
                return Ok((by(wanted.target.clone())?.removed.into_iter().collect(), true));
            }
            if plan.removed.len() > uncut.gone.len() {
                return Ok((plan.removed.into_iter().collect(), false));
            }
            // Channels in step with others go several at a time.
            more *= 2;
            if gone + more > total {
                let what = "the target cannot be reached: what is left is at its floor; give a smaller --min-ratio or lock less";
                return Err(Error::new(Code::NoTarget, what));
            }
        }
    }

    fn options(&self) -> PlanOptions {
        let held = self.held.iter().map(|h| h.0.clone());
        PlanOptions {
            criterion: Criterion::GbnAbs,
            normalizer: Some(self.plan.normalizer.unwrap_or(Normalizer::None)),
            scope: Scope::Global,
            min_ratio: Some(self.plan.min_ratio.unwrap_or(FLOOR)),
            locks: self.plan.locks.iter().cloned().chain(held).collect(),
            ..self.plan.clone()
        }
    }

    /// Classes of groups that may lose channels.
    fn free(&self, locks: &[String]) -> HashSet<u32> {
        let names = |g: &Group| -> Vec<String> {
            let sites = g.sites.iter().map(|s| self.uncut.graph.values[s.value].name.clone());
            sites.chain([g.name.clone()]).collect()
        };
        let locked = |g: &Group| names(g).iter().any(|n| locks.iter().any(|l| matches_glob(l, n)));
        let free = self.uncut.channels.groups.iter().filter(|g| g.prunable() && !locked(g));
        free.flat_map(|g| g.classes.iter().copied()).collect()
    }

    /// Scores of gates in the uncut model's positions, less their share in the cost.
    fn measured(&self, scores: &[(String, Vec<f64>)]) -> Measured {
        let areas = areas(self.uncut.graph, &self.uncut.gates);
        let mut measured = Measured::default();
        for site in &self.uncut.gates {
            let mut whole = vec![0.0; site.channels];
            let left = self.uncut.channels_of(site).unwrap_or_default();
            let cost = self.eta * areas.get(&site.name).unwrap_or(&1.0) * left.len() as f64;
            let own = scores.iter().find(|(name, _)| *name == site.name).map(|s| s.1.as_slice());
            for (at, score) in left.into_iter().zip(own.unwrap_or_default()) {
                if let Some(slot) = whole.get_mut(at) {
                    *slot = score - cost;
                }
            }
            measured.insert(&Criterion::GbnAbs, &site.name, Ok(whole));
        }
        measured
    }
}

/// Gates of a normalisation begin as its scales, and these as ones; the function stays the same. Where a scale is 0, the gate stays
/// a one.
pub(super) fn begin_as_scales(memory: &mut Memory, site: &GateSite) -> Result<()> {
    let [(scale, _), (shift, _)] = site.scales.as_slice() else { return Ok(()) };
    let get = |label: String| memory.tensors.get(&label).and_then(|t| t.as_f32()).map(<[f32]>::to_vec);
    let (Some(gammas), Some(betas)) = (get(format!("p:{scale}")), get(format!("p:{shift}"))) else { return Ok(()) };
    if *scale == site.name || gammas.len() != betas.len() {
        return Ok(());
    }
    let one = |g: f32| if g == 0.0 { 1.0 } else { g };
    let scales = gammas.iter().map(|&g| if g == 0.0 { 0.0 } else { 1.0 }).collect();
    let shifts = gammas.iter().zip(&betas).map(|(&g, b)| b / one(g)).collect();
    let dims = vec![gammas.len()];
    let all: [(String, Vec<f32>); 3] = [
        (format!("g:{}", site.name), gammas.iter().map(|&g| one(g)).collect()),
        (format!("p:{scale}"), scales),
        (format!("p:{shift}"), shifts),
    ];
    for (label, values) in all {
        memory.tensors.insert(label, HostTensor::f32(dims.clone(), values)?);
    }
    Ok(())
}
