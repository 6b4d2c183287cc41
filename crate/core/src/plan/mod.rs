//! Plans: which channels go, for a target within limits.

mod cost;
mod glob;
mod hardware;
mod heads;
mod latency;
mod meter;
mod nothing;
mod options;
mod pools;
mod remove;
mod savings;
mod schedule;
mod sets;
mod solve;

pub use cost::{Cost, activation_bytes, cost, whole_cost};
pub use glob::matches_glob;
pub use hardware::{HARDWARE, hardware};
pub use latency::{LatencyTable, layers};
pub use meter::Achieved;
pub use options::PlanOptions;
pub use savings::Savings;
pub use schedule::Schedule;
pub(crate) use sets::gcd;
pub use solve::{GroupPlan, Plan, Planner, plan};

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
    /// Groups whose members are of the same operators in the same order form one pool.
    Isomorphic,
}

/// What the cut is to reach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// Share of channels that go, from 0 up to but not including 1.
    Ratio(f64),
    /// Share of multiply-accumulates that stay.
    Macs(f64),
    /// Share of parameters that stay.
    Parameters(f64),
    /// Share of the file's bytes that stay.
    Bytes(f64),
    /// Milliseconds of one sample, by times that were measured layer by layer.
    Latency {
        /// At most so many.
        milliseconds: f64,
        /// The times.
        table: LatencyTable,
    },
    /// Exactly these channels: a group's name, and positions in it. Whole heads or blocks are groups of their own.
    Remove(BTreeMap<String, Vec<usize>>),
    /// The channels that zeros in the weights have silenced, and no others.
    Dead,
}

impl Target {
    /// Its name, as in a recipe.
    pub fn name(&self) -> &'static str {
        match self {
            Target::Ratio(_) => "ratio",
            Target::Macs(_) => "macs",
            Target::Parameters(_) => "parameters",
            Target::Bytes(_) => "bytes",
            Target::Latency { .. } => "latency",
            Target::Remove(_) => "remove",
            Target::Dead => "dead",
        }
    }
}
