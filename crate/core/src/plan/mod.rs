//! Plans: which channels go, for a target within limits.

mod cost;
mod glob;
mod remove;
mod savings;
mod sets;
mod solve;

pub use cost::{Cost, cost, whole_cost};
pub use glob::matches_glob;
pub use savings::Savings;
pub use solve::{GroupPlan, Plan, Planner, plan};

use crate::error::{Code, Error, Result};
use crate::score::{Criterion, Measured, Normalizer, Reduction, Scoring};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which channels compete with which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Each group is ranked by itself and loses the same share.
    Group,
    /// All groups form one pool.
    Global,
}

/// What the cut is to reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Share of channels that go, from 0 up to but not including 1.
    Ratio(f64),
    /// Share of multiply-accumulates that stay.
    Macs(f64),
    /// Exactly these channels: a group's name, and positions in it. Whole heads or blocks are groups of their own.
    Remove(BTreeMap<String, Vec<usize>>),
}

impl Target {
    /// Where a share of the way to the target leads.
    fn part(&self, share: f64) -> Self {
        match self {
            Target::Ratio(r) => Target::Ratio(r * share),
            Target::Macs(m) => Target::Macs(1.0 - (1.0 - m) * share),
            Target::Remove(list) => Target::Remove(list.clone()),
        }
    }
}

/// Everything that decides a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Fewest channels that a group keeps; by default 1, in global scope a tenth of the group. With 0 a group may lose all its
    /// channels where what its branch then computes can be written: a residual block becomes its shortcut.
    #[serde(default)]
    pub floor: Option<usize>,
    /// Kept channels of a group are rounded up to a multiple of this.
    #[serde(default)]
    pub multiple: Option<usize>,
    /// Names or patterns (`*`, `?`) of groups, producers or nodes whose groups stay whole.
    #[serde(default)]
    pub locks: Vec<String>,
    /// Steps to the target; channels are scored anew before each.
    #[serde(default = "one")]
    pub steps: usize,
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
            floor: None,
            multiple: None,
            locks: Vec::new(),
            steps: 1,
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
        match &self.target {
            Target::Ratio(r) if !(0.0..1.0).contains(r) => {
                bad(format!("a ratio of {r} is out of range: give the share of channels that go, 0 <= R < 1"))
            }
            Target::Macs(m) if !(*m > 0.0 && *m <= 1.0) => {
                bad(format!("a share of {m} of the MACs is out of range: give the share that stays, 0 < R <= 1"))
            }
            _ if self.steps == 0 => bad("0 steps lead nowhere: give 1 or more".to_owned()),
            _ if self.multiple == Some(0) => bad("a multiple of 0 makes no sense: give 1 or more".to_owned()),
            _ => Ok(()),
        }
    }
}
