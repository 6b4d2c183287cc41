//! From scores to the set of channels that go.

use super::pools::{names_of, pools};
use super::sets::{EPSILON, Set, sets};
use super::{Cost, PlanOptions, Target, cost, matches_glob, remove};
use crate::channels::{Channels, Group, Role};
use crate::cut::{Kept, masked};
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::mask::dead_channels;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashSet;

/// What a plan leaves of one group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupPlan {
    /// Name of the group.
    pub name: String,
    /// Channels before.
    pub channels: usize,
    /// Positions that stay.
    pub kept: Vec<usize>,
    /// Why it keeps more than was asked, if it does.
    pub limit: Option<String>,
}

/// How near a plan came to its target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Achieved {
    /// Name of the target.
    pub target: String,
    /// What was asked: a share, or milliseconds.
    pub asked: f64,
    /// What the plan reaches, in the same unit.
    pub got: f64,
}

/// Which channels go.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Classes that go.
    pub removed: Vec<u32>,
    /// Every group with what is left of it.
    pub groups: Vec<GroupPlan>,
    /// Cost before.
    pub before: Cost,
    /// Cost after.
    pub after: Cost,
    /// How near it came to its target, if that is a number.
    pub achieved: Option<Achieved>,
}

/// Plans a cut of a graph that is no file: a target of bytes counts those of parameters.
///
/// # Errors
/// When options are out of range, a pattern matches nothing, no group can be cut, or the target cannot be reached.
pub fn plan(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Plan> {
    plan_file(graph, channels, options, None)
}

/// Plans a cut of a file of so many bytes.
///
/// # Errors
/// As [`plan`].
pub fn plan_file(graph: &Graph, channels: &Channels, options: &PlanOptions, file: Option<u64>) -> Result<Plan> {
    options.check()?;
    let mut limits = limits(graph, channels, options)?;
    let before = cost(graph, &Kept::new(graph, channels, []))?;
    let meter = Meter { graph, channels, target: &options.target, before, file: file.unwrap_or(before.bytes) };
    let mut removed: Vec<u32> = match &options.target {
        Target::Remove(wanted) => remove::listed(graph, channels, wanted, &limits)?,
        Target::Dead => silenced(graph, channels, &limits)?,
        _ => in_steps(&meter, options, &mut limits)?,
    }
    .into_iter()
    .collect();
    removed.sort_unstable();
    let after = cost(graph, &Kept::new(graph, channels, removed.iter().copied()))?;
    let gone: HashSet<u32> = removed.iter().copied().collect();
    let groups: Vec<GroupPlan> = (channels.groups.iter().zip(limits))
        .map(|(g, limit)| GroupPlan {
            name: g.name.clone(),
            channels: g.classes.len(),
            kept: (0..g.classes.len()).filter(|&k| g.classes.get(k).is_some_and(|c| !gone.contains(c))).collect(),
            limit,
        })
        .collect();
    let achieved = meter.achieved(&groups, &removed)?;
    Ok(Plan { removed, groups, before, after, achieved })
}

/// Channels that zeros have silenced, without those of locked groups.
fn silenced(graph: &Graph, channels: &Channels, limits: &[Option<String>]) -> Result<HashSet<u32>> {
    let is_locked = |l: &Option<String>| l.as_ref().is_some_and(|l| l.starts_with("locked"));
    let held = channels.groups.iter().zip(limits).filter(|(_, l)| is_locked(l));
    let held: HashSet<u32> = held.flat_map(|(g, _)| g.classes.iter().copied()).collect();
    let dead = dead_channels(graph, channels, &held)?;
    if dead.is_empty() {
        return Err(Error::new(
            Code::NothingToCut,
            "no channel is silenced by zeros: mask whole channels with everything that adds to them (bias, normalisation)",
        ));
    }
    Ok(dead.into_iter().collect())
}

/// Goes to the target step by step and scores what is left anew before each.
fn in_steps(meter: &Meter<'_>, options: &PlanOptions, limits: &mut [Option<String>]) -> Result<HashSet<u32>> {
    let (graph, channels) = (meter.graph, meter.channels);
    let mut gone = HashSet::new();
    let stays = meter.stays()?;
    for step in 1..=options.steps {
        let now = match gone.is_empty() {
            true => Cow::Borrowed(graph),
            false => Cow::Owned(masked(graph, channels, &Kept::new(graph, channels, gone.iter().copied()))?),
        };
        let sets = sets(&now, channels, options, limits, &gone)?;
        if sets.iter().all(|s| s.most == 0) {
            return Err(Error::new(
                Code::NothingToCut,
                "no group can be cut: all are pinned, locked or at their floor; see `lopper inspect`",
            ));
        }
        let part = |stays: f64| options.schedule.after(step, options.steps, stays);
        let taken =
            sets.iter().map(|s| s.taken.map_or(0, |r| s.nearest(s.part(1.0 - part(1.0 - r)).min(s.most)))).collect();
        let solver = Solver { meter, sets: &sets, pools: pools(graph, channels, options, &sets), taken };
        let lost = solver.solve(part(stays))?;
        gone = solver.removed(&lost).into_iter().collect();
        if step == options.steps {
            name_limits(limits, &sets, &lost);
        }
    }
    Ok(gone)
}

/// Says of groups that a set holds back what does it.
fn name_limits(limits: &mut [Option<String>], sets: &[Set], lost: &[usize]) {
    for (set, _) in sets.iter().zip(lost).filter(|(s, n)| **n == s.most) {
        for (group, _) in &set.cells {
            if let (Some(slot), Some(why)) = (limits.get_mut(*group), set.limit) {
                slot.get_or_insert_with(|| why.to_owned());
            }
        }
    }
}

/// For each group why it stays whole, if it does.
fn limits(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Vec<Option<String>>> {
    let names: Vec<Vec<&str>> = channels.groups.iter().map(|g| names_of(graph, g)).collect();
    let everything =
        || graph.values.iter().map(|(_, v)| v.name.as_str()).chain(graph.nodes.iter().map(|(_, n)| n.name.as_str()));
    for lock in &options.locks {
        if !names.iter().flatten().copied().chain(everything()).any(|n| matches_glob(lock, n)) {
            return Err(Error::new(
                Code::Usage,
                format!("the lock {lock:?} matches no group, initializer or node of the model"),
            ));
        }
    }
    for glob in options.group_ratios.keys().chain(options.sets.iter().flatten()) {
        if !names.iter().flatten().any(|n| matches_glob(glob, n)) {
            return Err(Error::new(
                Code::Usage,
                format!("{glob:?} matches no group of the model; `lopper inspect` lists them"),
            ));
        }
    }
    let limit = |g: &Group, names: &[&str]| -> Option<String> {
        let lock = options.locks.iter().find(|l| names.iter().any(|n| matches_glob(l, n)));
        if let Some(lock) = lock.filter(|_| g.rows || g.with_role(Role::Producer).next().is_some()) {
            return Some(format!("locked by {lock:?}"));
        }
        if g.rows {
            let why = "these are whole rows (heads or blocks), which go only with all their channels or by name";
            return (!options.heads).then(|| why.to_owned());
        }
        (g.with_role(Role::Producer).next().is_none()).then(|| "nothing with a score makes these channels".to_owned())
    };
    Ok(channels.groups.iter().zip(&names).map(|(g, n)| limit(g, n)).collect())
}

/// Measures what is left of a graph in the unit of a target.
struct Meter<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    target: &'a Target,
    before: Cost,
    file: u64,
}

impl Meter<'_> {
    /// What is left without some classes; for a ratio of channels nothing.
    fn of(&self, removed: &[u32]) -> Result<f64> {
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
    fn stays(&self) -> Result<f64> {
        Ok(match self.target {
            Target::Ratio(r) => 1.0 - r,
            Target::Macs(s) | Target::Parameters(s) | Target::Bytes(s) => *s,
            Target::Latency { milliseconds, .. } => (milliseconds / self.of(&[])?.max(f64::MIN_POSITIVE)).min(1.0),
            Target::Remove(_) | Target::Dead => 1.0,
        })
    }

    fn achieved(&self, groups: &[GroupPlan], removed: &[u32]) -> Result<Option<Achieved>> {
        let (asked, got) = match self.target {
            Target::Ratio(r) => {
                let own = self.channels.groups.iter().zip(groups).filter(|(g, p)| g.prunable() && p.limit.is_none());
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

struct Solver<'a> {
    meter: &'a Meter<'a>,
    sets: &'a [Set],
    /// Positions of sets that compete.
    pools: Vec<Vec<usize>>,
    /// Shares that sets with a ratio of their own lose.
    taken: Vec<usize>,
}

impl Solver<'_> {
    /// Shares that each set loses so that a share of the whole stays.
    fn solve(&self, stays: f64) -> Result<Vec<usize>> {
        match self.meter.target {
            Target::Ratio(_) => Ok(self.by_ratio(1.0 - stays)),
            _ => self.search(stays),
        }
    }

    /// Every share of a pool's sets that may go, cheapest first. Of equal scores the later set's goes first.
    fn ranked(&self, pool: &[usize]) -> Vec<usize> {
        let mut out: Vec<(f64, usize, usize)> = Vec::new();
        for (i, s) in pool.iter().filter_map(|&i| self.sets.get(i).map(|s| (i, s))) {
            let first = s.cells.iter().map(|c| c.0).min().unwrap_or(i);
            out.extend(s.scores.iter().take(s.most).map(|&score| (score + 0.0, first, i)));
        }
        out.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        out.into_iter().map(|p| p.2).collect()
    }

    /// Every pool loses the same share of its channels.
    fn by_ratio(&self, ratio: f64) -> Vec<usize> {
        let mut lost = self.taken.clone();
        for pool in &self.pools {
            match pool.as_slice() {
                [i] => {
                    if let (Some(s), Some(n)) = (self.sets.get(*i), lost.get_mut(*i)) {
                        *n = s.part(ratio).min(s.most);
                    }
                }
                _ => self.by_count(pool, ratio, &mut lost),
            }
        }
        self.rounded(lost)
    }

    /// Channels of a pool's sets that can lose any.
    fn channels_of(&self, pool: &[usize]) -> usize {
        pool.iter().filter_map(|&i| self.sets.get(i)).filter(|s| s.most > 0).map(|s| s.loses(s.shares)).sum()
    }

    fn by_count(&self, pool: &[usize], ratio: f64, lost: &mut [usize]) {
        let total = self.channels_of(pool);
        let go = total - ((1.0 - ratio) * total as f64 + EPSILON).floor() as usize;
        let mut gone = 0;
        for i in self.ranked(pool) {
            let each = self.sets.get(i).map_or(0, |s| s.loses(1));
            if gone + each <= go
                && let Some(n) = lost.get_mut(i)
            {
                *n += 1;
                gone += each;
            }
        }
    }

    /// Every share of every set that may go, in the order in which pools of any size lose the same share of their channels.
    fn merged(&self) -> Vec<usize> {
        let mut out: Vec<(f64, usize, usize)> = Vec::new();
        for pool in &self.pools {
            let total = self.channels_of(pool);
            let mut gone = 0;
            for i in self.ranked(pool) {
                out.push((gone as f64 / total.max(1) as f64, pool.first().copied().unwrap_or(0), i));
                gone += self.sets.get(i).map_or(0, |s| s.loses(1));
            }
        }
        out.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        out.into_iter().map(|p| p.2).collect()
    }

    /// The fewest channels after which at most a share of the whole is left.
    fn search(&self, stays: f64) -> Result<Vec<usize>> {
        let order = self.merged();
        let at = |k: usize| {
            let mut lost = self.taken.clone();
            for &i in order.iter().take(k) {
                if let Some(n) = lost.get_mut(i) {
                    *n += 1;
                }
            }
            self.rounded(lost)
        };
        let whole = self.meter.of(&[])?;
        let left = |k: usize| self.meter.of(&self.removed(&at(k)));
        let limit = whole * (stays + EPSILON);
        let (mut low, mut high) = (0, order.len());
        let least = left(high)?;
        if least > limit {
            let what = match self.meter.target {
                Target::Latency { milliseconds, .. } => format!(
                    "{milliseconds} ms cannot be reached: the smallest cut within the limits takes {least:.3} ms"
                ),
                other => format!(
                    "{:.1} % of the {} cannot be reached: the smallest cut within the limits leaves {:.1} %",
                    stays * 100.0,
                    if matches!(other, Target::Macs(_)) { "MACs" } else { other.name() },
                    least / whole.max(1.0) * 100.0
                ),
            };
            return Err(Error::new(Code::NoTarget, what));
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if left(middle)? <= limit {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(at(high))
    }

    /// The nearest numbers of shares that limits allow.
    fn rounded(&self, lost: Vec<usize>) -> Vec<usize> {
        self.sets.iter().zip(lost).map(|(s, n)| s.nearest(n)).collect()
    }

    fn removed(&self, lost: &[usize]) -> Vec<u32> {
        let channels = self.meter.channels;
        let (mut out, mut rows) = (Vec::new(), false);
        for (s, &n) in self.sets.iter().zip(lost) {
            for (g, cell) in &s.cells {
                let Some(group) = channels.groups.get(*g) else { continue };
                let each = cell.len() / s.shares.max(1);
                out.extend(cell.iter().take(each * n).filter_map(|&k| group.classes.get(k)));
                rows |= group.rows && n > 0;
            }
        }
        if rows {
            let mut all: HashSet<u32> = out.into_iter().collect();
            channels.close_rows(&mut all);
            out = all.into_iter().collect();
            out.sort_unstable();
        }
        out
    }
}
