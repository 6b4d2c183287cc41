//! What a plan leaves, in the unit of its target.

use super::{Cost, GroupPlan, Target, cost};
use crate::channels::Channels;
use crate::cut::Kept;
use crate::error::Result;
use crate::graph::Graph;
use serde::{Deserialize, Serialize};

/// How near a plan came to its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Achieved {
    /// Name of the target.
    pub target: String,
    /// What was asked: a share, or milliseconds.
    pub asked: f64,
    /// What the plan reaches, in the same unit. For a ratio: the channels that go, of those of all groups that could be cut, whether
    /// or not a lock, a floor, a ceiling, a multiple or a ratio of its own held a group back. So it may lie below what was asked.
    pub got: f64,
}

/// Measures what is left of a graph in the unit of a target.
pub(super) struct Meter<'a> {
    pub(super) graph: &'a Graph,
    pub(super) channels: &'a Channels,
    pub(super) target: &'a Target,
    pub(super) before: Cost,
    /// Bytes of the file before.
    pub(super) file: u64,
}

impl Meter<'_> {
    /// What is left without some classes; for a ratio of channels nothing.
    pub(super) fn of(&self, removed: &[u32]) -> Result<f64> {
        let kept = Kept::new(self.graph, self.channels, removed.iter().copied());
        if let Target::Latency { table, .. } = self.target {
            return table.of(self.graph, &kept);
        }
        let after = cost(self.graph, &kept)?;
        Ok(match self.target {
            Target::Macs(_) => after.macs as f64,
            Target::Parameters(_) => after.parameters as f64,
            Target::Bytes(_) => self.file.saturating_sub(self.before.bytes.saturating_sub(after.bytes)) as f64,
            _ => 0.0,
        })
    }

    /// The share that is to stay.
    pub(super) fn stays(&self) -> Result<f64> {
        Ok(match self.target {
            Target::Ratio(r) => 1.0 - r,
            Target::Macs(s) | Target::Parameters(s) | Target::Bytes(s) => *s,
            Target::Latency { milliseconds, .. } => (milliseconds / self.of(&[])?.max(f64::MIN_POSITIVE)).min(1.0),
            Target::Remove(_) | Target::Dead => 1.0,
        })
    }

    pub(super) fn achieved(&self, groups: &[GroupPlan], removed: &[u32]) -> Result<Option<Achieved>> {
        let (asked, got) = match self.target {
            Target::Ratio(r) => {
                let own = self.channels.groups.iter().zip(groups).filter(|(g, _)| g.prunable());
                let (all, kept) = own.fold((0, 0), |(a, k), (_, p)| (a + p.channels, k + p.kept.len()));
                (*r, 1.0 - kept as f64 / all.max(1) as f64)
            }
            Target::Macs(s) | Target::Parameters(s) | Target::Bytes(s) => {
                (*s, self.of(removed)? / self.of(&[])?.max(1.0))
            }
            Target::Latency { milliseconds, .. } => (*milliseconds, self.of(removed)?),
            Target::Remove(_) | Target::Dead => return Ok(None),
        };
        Ok(Some(Achieved { target: self.target.name().to_owned(), asked, got }))
    }
}
