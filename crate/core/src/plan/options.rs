//! Everything that decides a plan.

use super::{Schedule, Scope, Target};
use crate::error::{Code, Error, Result};
use crate::score::{Criterion, Measured, Normalizer, Reduction, Scoring};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that decides a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanOptions {
    /// How channels are scored.
    pub criterion: Criterion,
    /// How the scores of a group's members become one, unless as the criterion has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduction: Option<Reduction>,
    /// How scores of different groups become comparable, unless as the criterion has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalizer: Option<Normalizer>,
    /// Which channels compete.
    pub scope: Scope,
    /// What to reach.
    pub target: Target,
    /// Patterns (`*`, `?`) of groups, producers or nodes: those that match one list compete with each other and no others.
    #[serde(default)]
    pub sets: Vec<Vec<String>>,
    /// Ratios of single groups, by pattern, whatever the target says of the others.
    #[serde(default)]
    pub group_ratios: BTreeMap<String, f64>,
    /// Fewest channels that a group keeps; by default 1. With 0 a group may lose all its channels where what its branch then
    /// computes can be written: a residual block becomes its shortcut.
    #[serde(default)]
    pub floor: Option<usize>,
    /// Smallest share of its channels that a group keeps; by default a tenth where groups compete, unless there is a floor.
    #[serde(default)]
    pub min_ratio: Option<f64>,
    /// Largest share of its channels that a group loses.
    #[serde(default)]
    pub max_ratio: Option<f64>,
    /// Groups keep the nearest multiple of this that limits allow, or everything. It does not count within whole heads.
    #[serde(default)]
    pub multiple: Option<usize>,
    /// Names or patterns of groups, producers or nodes whose groups stay whole.
    #[serde(default)]
    pub locks: Vec<String>,
    /// Heads, and blocks of grouped convolutions, are ranked and go as wholes instead of channels within them.
    #[serde(default)]
    pub heads: bool,
    /// Steps to the target; channels are scored anew before each.
    #[serde(default = "one")]
    pub steps: usize,
    /// How far each step goes.
    #[serde(default)]
    pub schedule: Schedule,
    /// For whatever is drawn at random.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> usize {
    1
}

impl PlanOptions {
    /// A one-step plan by L1 norms within each group, without limits.
    pub fn new(target: Target) -> Self {
        Self {
            criterion: Criterion::L1,
            reduction: None,
            normalizer: None,
            scope: Scope::Group,
            target,
            sets: Vec::new(),
            group_ratios: BTreeMap::new(),
            floor: None,
            min_ratio: None,
            max_ratio: None,
            multiple: None,
            locks: Vec::new(),
            heads: false,
            steps: 1,
            schedule: Schedule::default(),
            seed: 0,
        }
    }

    /// How the plan's channels are scored.
    pub fn scoring<'a>(&'a self, measured: &'a Measured) -> Scoring<'a> {
        Scoring { criterion: &self.criterion, reduction: self.reduction, normalizer: self.normalizer, measured }
    }

    /// # Errors
    /// When a number is out of range.
    pub fn check(&self) -> Result<()> {
        self.criterion.check()?;
        let bad = |what: String| Err(Error::new(Code::Usage, what));
        let stays = |share: f64, what: &str| {
            if share > 0.0 && share <= 1.0 {
                return Ok(());
            }
            bad(format!("a share of {share} of the {what} is out of range: give the share that stays, 0 < R <= 1"))
        };
        let goes = |ratio: f64, what: &str| {
            if (0.0..1.0).contains(&ratio) {
                return Ok(());
            }
            bad(format!("{what} of {ratio} is out of range: give the share of channels that go, 0 <= R < 1"))
        };
        match &self.target {
            Target::Ratio(r) => goes(*r, "a ratio")?,
            Target::Macs(m) => stays(*m, "MACs")?,
            Target::Parameters(p) => stays(*p, "parameters")?,
            Target::Bytes(b) => stays(*b, "bytes")?,
            Target::Latency { milliseconds, .. } if !(*milliseconds > 0.0 && milliseconds.is_finite()) => {
                bad(format!("{milliseconds} ms can never be reached: give a time above 0"))?;
            }
            Target::Latency { table, .. } => table.clone().settle()?,
            Target::Remove(_) | Target::Dead => {}
        }
        for (glob, ratio) in &self.group_ratios {
            goes(*ratio, &format!("a ratio for {glob:?}"))?;
        }
        if let Some(m) = self.min_ratio.filter(|m| !(0.0..=1.0).contains(m)) {
            bad(format!(
                "a smallest share of {m} is out of range: give the share of each group that stays, 0 <= R <= 1"
            ))?;
        }
        if let Some(m) = self.max_ratio.filter(|m| !(0.0..=1.0).contains(m)) {
            bad(format!(
                "a largest ratio of {m} is out of range: give the share that each group may lose, 0 <= R <= 1"
            ))?;
        }
        if self.steps == 0 {
            bad("0 steps lead nowhere: give 1 or more".to_owned())?;
        }
        if self.multiple == Some(0) {
            bad("a multiple of 0 makes no sense: give 1 or more".to_owned())?;
        }
        Ok(())
    }
}
