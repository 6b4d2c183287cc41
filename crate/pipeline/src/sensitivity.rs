//! How much each group matters: a model is cut in one group at a time, and judged.

use crate::cutting::agreement;
use crate::evaluate::{Judge, fixed_batch};
use crate::host::{Host, Progress};
use crate::session::Session;
use lopper_core::cut::cut;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Scope, Target};
use lopper_core::{Code, Error, Result};
use lopper_engine::{HostTensor, Network};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Halvings of the largest drop while ratios are solved for.
const HALVINGS: usize = 30;
/// What the uncut model says is kept: so many numbers at most, and fewer images where an output is large.
const KEPT_NUMBERS: usize = 16 << 20;
/// Images without classes in a batch, where the model leaves that open.
const UNLABELLED_BATCH: usize = 16;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensitivityOptions {
    /// Criterion, locks and limits of every cut; its target and ratios do not count.
    pub plan: PlanOptions,
    /// Shares of the channels that go.
    pub ratios: Vec<f64>,
    /// Images to judge by, at most.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A cut of one group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Share of its channels that was to go.
    pub ratio: f64,
    /// Channels that stay.
    pub kept: usize,
    /// As the [`Measure`] says.
    pub value: f64,
}

/// How one group bears cuts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupSensitivity {
    /// Its name.
    pub name: String,
    /// Its channels.
    pub channels: usize,
    /// One a ratio, ascending.
    pub points: Vec<Point>,
}

/// What a cut model is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// Share of right answers on the validation images, 0 to 1.
    Accuracy,
    /// Root mean square of what the first output moves on the validation images, divided by that of the output itself.
    Outputs,
    /// Largest difference of an output on random input, divided by its largest number.
    Random,
}

/// How every group bears cuts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sensitivity {
    /// What the values are.
    pub measure: Measure,
    /// Of the uncut model.
    pub baseline: f64,
    /// Groups that can be cut, in graph order.
    pub groups: Vec<GroupSensitivity>,
}

impl Session {
    /// Cuts one group at a time and judges what is left: by the classes of the validation images, without classes by how far the
    /// output moves on them, without images by how far it moves on random input. Test images are not looked at: what is measured
    /// here chooses ratios. The session stays as it is. A criterion that looks at images has to be scored by before, see
    /// [`Session::score`].
    ///
    /// # Errors
    /// When a ratio is out of range, there are images but none for validation, no group can be cut, the model cannot be run, or with [`Code::Cancelled`].
    pub async fn sensitivity(&self, options: &SensitivityOptions, host: &impl Host) -> Result<Sensitivity> {
        let control = self.control();
        control.begin();
        let mut ratios = options.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        if ratios.is_empty() || ratios.iter().any(|r| !(*r > 0.0 && *r < 1.0)) {
            return Err(Error::new(Code::Usage, "give ratios between 0 and 1, such as 0.1,0.3,0.5"));
        }
        let opened = self.opened()?;
        let bench = self.bench(options, host).await?;
        let baseline = match &bench {
            Bench::Classes { .. } => self.judge(&opened.model, options, &bench, host).await?,
            Bench::Outputs(_) | Bench::Random => 0.0,
        };
        let names: Vec<(String, usize)> = (opened.channels.groups.iter())
            .filter(|g| g.prunable())
            .map(|g| (g.name.clone(), g.classes.len()))
            .collect();
        let (mut done, total) = (0, names.len() * ratios.len());
        let (mut groups, mut refused) = (Vec::new(), None);
        for (name, channels) in names {
            let mut own = GroupSensitivity { name, channels, points: Vec::new() };
            for &ratio in &ratios {
                host.progress(&Progress::Evaluate { done, total });
                done += 1;
                if !control.pass(host).await {
                    return Err(cancelled());
                }
                let alone = alone(&options.plan, &own.name, ratio);
                let planned = match self.quick_plan(&alone) {
                    Err(e) if e.code() == Code::NothingToCut => {
                        refused = Some(e);
                        continue;
                    }
                    other => other?,
                };
                let kept = planned.groups.iter().find(|g| g.name == own.name).map_or(channels, |g| g.kept.len());
                if planned.removed.is_empty() || own.points.last().is_some_and(|p| p.kept == kept) {
                    continue;
                }
                let smaller = cut(&opened.model, &opened.graph, &opened.channels, planned.removed)?.model;
                own.points.push(Point { ratio, kept, value: self.judge(&smaller, options, &bench, host).await? });
            }
            if !own.points.is_empty() {
                groups.push(own);
            }
        }
        if groups.is_empty() {
            let small =
                || Error::new(Code::NothingToCut, "no channel goes at any of these ratios: ask for larger ones");
            return Err(match refused {
                Some(e) => e,
                None => self.quick_plan(&options.plan).err().unwrap_or_else(small),
            });
        }
        Ok(Sensitivity { measure: bench.measure(), baseline, groups })
    }

    /// What the images allow to judge by.
    async fn bench(&self, options: &SensitivityOptions, host: &impl Host) -> Result<Bench> {
        let Some(images) = &self.images else { return Ok(Bench::Random) };
        let indices = images.judges(options.limit)?;
        if images.dataset.labels().is_some() {
            return Ok(Bench::Classes { indices });
        }
        let network = Network::load(&self.opened()?.model, &self.device)?;
        let batch = fixed_batch(&network).unwrap_or(UNLABELLED_BATCH);
        let (mut said, mut numbers) = (Vec::new(), 0);
        for indices in indices.chunks(batch) {
            if !self.control().pass(host).await {
                return Err(cancelled());
            }
            let wanted = network.run_single(images.lesson(indices, None)?.input).await?;
            numbers += wanted.data.to_f32().len();
            said.push((indices.to_vec(), wanted));
            if numbers >= KEPT_NUMBERS {
                break;
            }
        }
        Ok(Bench::Outputs(said))
    }

    async fn judge(&self, model: &Model, options: &SensitivityOptions, bench: &Bench, host: &impl Host) -> Result<f64> {
        let control = self.control();
        match bench {
            Bench::Random => Ok(agreement(&self.opened()?.model, model, &[], options.plan.seed).await?.relative),
            Bench::Classes { indices } => {
                let judge = Judge { images: self.images()?, device: &self.device, control: &control, host };
                Ok(judge.run(model, indices, |_| ()).await?.0.top1())
            }
            Bench::Outputs(said) => {
                let network = Network::load(model, &self.device)?;
                let (mut moved, mut whole) = (0.0, 0.0);
                for (indices, wanted) in said {
                    if !control.pass(host).await {
                        return Err(cancelled());
                    }
                    let got = network.run_single(self.images()?.lesson(indices, None)?.input).await?;
                    for (want, got) in wanted.data.to_f32().iter().zip(&got.data.to_f32()) {
                        let want = f64::from(*want);
                        moved += (f64::from(*got) - want).powi(2);
                        whole += want.powi(2);
                    }
                }
                Ok((moved / whole.max(f64::MIN_POSITIVE)).sqrt())
            }
        }
    }

    /// Ratios of groups with which at most a share of the MACs stays, so that no group alone costs more than it must: one bound
    /// on the loss of every group, as small as the budget allows.
    ///
    /// # Errors
    /// When the budget cannot be reached with the ratios that were measured.
    pub fn balanced(&self, seen: &Sensitivity, base: &PlanOptions, macs: f64) -> Result<PlanOptions> {
        PlanOptions::new(Target::Macs(macs)).check()?;
        let losses: Vec<(&GroupSensitivity, Vec<(f64, f64)>)> =
            seen.groups.iter().map(|g| (g, curve(g, seen))).collect();
        let at = |bound: f64| PlanOptions {
            target: Target::Ratio(0.0),
            scope: Scope::Group,
            group_ratios: losses
                .iter()
                .map(|(g, c)| (g.name.clone(), largest(c, bound)))
                .filter(|r| r.1 > 0.0)
                .collect(),
            ..base.clone()
        };
        let share = |bound: f64| -> Result<f64> {
            let macs = self.plan(&at(bound))?.macs;
            Ok(macs.after as f64 / macs.before.max(1) as f64)
        };
        let worst = losses.iter().flat_map(|l| &l.1).map(|p| p.1).fold(0.0, f64::max);
        let least = share(worst)?;
        if least > macs {
            let what = format!(
                "{:.1} % of the MACs cannot be reached: with the largest ratios that were measured {:.1} % are left",
                macs * 100.0,
                least * 100.0
            );
            return Err(Error::new(Code::NoTarget, what));
        }
        let (mut low, mut high) = (0.0, worst);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            if share(middle)? <= macs { high = middle } else { low = middle }
        }
        Ok(at(high))
    }
}

/// What cut models are judged with.
enum Bench {
    /// Validation images with their classes.
    Classes { indices: Vec<u32> },
    /// Batches of validation images and what the uncut model says of them.
    Outputs(Vec<(Vec<u32>, HostTensor)>),
    /// Nothing: random input.
    Random,
}

impl Bench {
    fn measure(&self) -> Measure {
        match self {
            Self::Classes { .. } => Measure::Accuracy,
            Self::Outputs(_) => Measure::Outputs,
            Self::Random => Measure::Random,
        }
    }
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "the measurement was cancelled")
}

/// A plan that cuts one group only.
fn alone(base: &PlanOptions, group: &str, ratio: f64) -> PlanOptions {
    PlanOptions {
        target: Target::Ratio(0.0),
        scope: Scope::Group,
        sets: Vec::new(),
        group_ratios: BTreeMap::from([(group.to_owned(), ratio)]),
        steps: 1,
        ..base.clone()
    }
}

/// Loss by ratio, from none at all, never falling.
fn curve(group: &GroupSensitivity, seen: &Sensitivity) -> Vec<(f64, f64)> {
    let mut worst = 0.0f64;
    let point = |p: &Point| {
        worst = worst.max((p.value - seen.baseline).abs() * if better(p.value, seen) { 0.0 } else { 1.0 });
        (p.ratio, worst)
    };
    std::iter::once((0.0, 0.0)).chain(group.points.iter().map(point).collect::<Vec<_>>()).collect()
}

/// Whether a cut model is no worse than the whole one.
fn better(value: f64, seen: &Sensitivity) -> bool {
    if seen.measure == Measure::Accuracy { value >= seen.baseline } else { value <= seen.baseline }
}

/// The largest ratio whose loss is within a bound.
fn largest(curve: &[(f64, f64)], bound: f64) -> f64 {
    let end = curve.partition_point(|p| p.1 <= bound);
    match (end.checked_sub(1).and_then(|i| curve.get(i)), curve.get(end)) {
        (Some(low), Some(high)) => low.0 + (high.0 - low.0) * (bound - low.1) / (high.1 - low.1).max(f64::MIN_POSITIVE),
        (Some(last), None) => last.0,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_on_the_loss_gives_a_ratio() {
        let point = |ratio, value| Point { ratio, kept: 1, value };
        let group = GroupSensitivity {
            name: "g".into(),
            channels: 8,
            points: vec![point(0.2, 0.9), point(0.4, 0.95), point(0.6, 0.7)],
        };
        let seen = Sensitivity { measure: Measure::Accuracy, baseline: 0.9, groups: vec![group.clone()] };
        let curve = curve(&group, &seen);
        assert_eq!(curve.iter().map(|p| p.0).collect::<Vec<_>>(), [0.0, 0.2, 0.4, 0.6]);
        assert!((largest(&curve, 0.1) - 0.5).abs() < 1e-9);
        assert_eq!((largest(&curve, 0.0), largest(&curve, 1.0)), (0.4, 0.6));
    }
}
