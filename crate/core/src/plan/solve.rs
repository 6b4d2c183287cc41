//! From scores to the set of channels that go.

use super::meter::Meter;
use super::nothing::nothing_to_cut;
use super::pools::{names_of, pools};
use super::sets::{EPSILON, Set, sets};
use super::{Achieved, Cost, PlanOptions, Scope, Target, cost, matches_glob, remove, whole_cost};
use crate::channels::{Channels, Group, Role};
use crate::cut::{Kept, check_emptied, masked};
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::mask::dead_channels;
use crate::score::{Measured, group_scores};
use serde::Serialize;
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

/// Plans a cut by a criterion that looks at weights only.
///
/// # Errors
/// When options are out of range, a pattern matches nothing, no group can be cut, the target cannot be reached, or the
/// criterion needs more than weights.
pub fn plan(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Plan> {
    Planner::new(graph, channels, options)?.by_weights()
}

/// A plan on its way to the target. Before each step, whoever makes the plan scores what is left.
#[derive(Debug)]
pub struct Planner<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    options: PlanOptions,
    limits: Vec<Option<String>>,
    before: Cost,
    file: u64,
    gone: HashSet<u32>,
    steps: usize,
}

impl<'a> Planner<'a> {
    /// At the beginning. A target of bytes counts those of parameters, unless [`Planner::of_file`] says more.
    ///
    /// # Errors
    /// When options are out of range, a pattern matches nothing, or channels that are to go by name, or because zeros
    /// have silenced them, cannot.
    pub fn new(graph: &'a Graph, channels: &'a Channels, options: &PlanOptions) -> Result<Self> {
        options.check()?;
        let limits = limits(graph, channels, options)?;
        let before = whole_cost(graph);
        let gone = match &options.target {
            Target::Remove(wanted) => remove::listed(graph, channels, wanted, &limits)?,
            Target::Dead => silenced(graph, channels, &limits)?,
            _ => HashSet::new(),
        };
        // One seed decides whatever is drawn.
        let criterion = options.criterion.clone().with(None, None, Some(options.seed));
        let options = PlanOptions { criterion, ..options.clone() };
        Ok(Self { graph, channels, options, limits, before, file: before.bytes, gone, steps: 0 })
    }

    /// The same for a file of so many bytes.
    #[must_use]
    pub fn of_file(self, bytes: u64) -> Self {
        Self { file: bytes, ..self }
    }

    /// The same where these classes have gone before the first step.
    #[must_use]
    pub fn after(self, gone: HashSet<u32>) -> Self {
        Self { gone, ..self }
    }

    /// The same after so many steps, in which these classes have gone.
    #[must_use]
    pub fn after_steps(self, steps: usize, gone: HashSet<u32>) -> Self {
        Self { gone, steps, ..self }
    }

    /// All steps by a criterion that looks at weights only.
    ///
    /// # Errors
    /// As [`Planner::step`].
    pub fn by_weights(mut self) -> Result<Plan> {
        while let Some(now) = self.next_graph()? {
            self.step(&now, Measured::none())?;
        }
        self.finish()
    }

    fn meter(&self) -> Meter<'_> {
        let Self { graph, channels, before, file, .. } = *self;
        Meter { graph, channels, target: &self.options.target, before, file }
    }

    /// The graph that the next step's scores are taken from: what has gone is zero there. `None` at the target.
    ///
    /// # Errors
    /// When a parameter cannot be masked.
    pub fn next_graph(&self) -> Result<Option<Cow<'a, Graph>>> {
        let at_once = matches!(self.options.target, Target::Remove(_) | Target::Dead);
        match (at_once || self.steps == self.options.steps, self.gone.is_empty()) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(Cow::Borrowed(self.graph))),
            (false, false) => {
                let kept = Kept::new(self.graph, self.channels, self.gone.iter().copied());
                masked(self.graph, self.channels, &kept).map(|g| Some(Cow::Owned(g)))
            }
        }
    }

    /// One step by the scores of what [`Planner::next_graph`] gave; `measured` holds those of criteria that look at
    /// images.
    ///
    /// # Errors
    /// When no group can be cut, the target cannot be reached, or a score is missing.
    pub fn step(&mut self, now: &Graph, measured: &Measured) -> Result<()> {
        let scores = self.scores(now, measured)?;
        self.step_by(now, scores)
    }

    /// A score for every channel of every group that can be cut, taken from what [`Planner::next_graph`] gave; 0 for the others.
    ///
    /// # Errors
    /// When a score is missing.
    pub fn scores(&self, now: &Graph, measured: &Measured) -> Result<Vec<Vec<f64>>> {
        let wanted = |g: usize| self.limits.get(g).is_some_and(Option::is_none);
        group_scores(now, self.channels, wanted, &self.options.scoring(measured), &self.gone)
    }

    /// What tells the first step's [`Planner::scores`] from those of other options, for one graph and what was measured of it.
    pub fn scored_by(&self) -> String {
        let PlanOptions { criterion, reduction, normalizer, .. } = &self.options;
        let held: Vec<usize> = (self.limits.iter().enumerate()).filter(|(_, l)| l.is_some()).map(|(g, _)| g).collect();
        format!("{criterion:?} {reduction:?} {normalizer:?} {held:?}")
    }

    /// As [`Planner::step`], by scores that are known.
    ///
    /// # Errors
    /// When no group can be cut or the target cannot be reached.
    pub fn step_by(&mut self, now: &Graph, scores: Vec<Vec<f64>>) -> Result<()> {
        let (options, steps) = (&self.options, self.options.steps);
        let sets = sets(now, self.channels, options, &self.limits, &self.gone, scores)?;
        if sets.iter().all(|s| s.most == 0) {
            name_limits(&mut self.limits, &self.options, &sets, &vec![0; sets.len()]);
            return Err(nothing_to_cut(self.graph, self.channels, &self.limits));
        }
        let step = self.steps + 1;
        let part = |stays: f64| options.schedule.after(step, steps, stays);
        let taken = |s: &Set| s.taken.map_or(0, |r| s.nearest(s.part(1.0 - part(1.0 - r)).min(s.most)));
        let meter = self.meter();
        let pools = pools(self.graph, self.channels, options, &sets);
        let solver = Solver { meter: &meter, sets: &sets, pools, taken: sets.iter().map(taken).collect() };
        let lost = solver.solve(part(meter.stays()?))?;
        let mut gone = solver.removed(&lost).into_iter().collect();
        if options.floor == Some(0) {
            self.channels.close_rows(&mut gone);
        }
        (self.gone, self.steps) = (gone, step);
        if step == steps {
            name_limits(&mut self.limits, &self.options, &sets, &lost);
        }
        Ok(())
    }

    /// Classes that have gone so far.
    pub fn gone(&self) -> &HashSet<u32> {
        &self.gone
    }

    /// The plan.
    ///
    /// # Errors
    /// When what is left is no grid, or what a branch without any channel computes cannot be written.
    pub fn finish(self) -> Result<Plan> {
        let mut removed: Vec<u32> = self.gone.iter().copied().collect();
        removed.sort_unstable();
        let kept = Kept::new(self.graph, self.channels, removed.iter().copied());
        check_emptied(self.graph, self.channels, &kept)?;
        let after = cost(self.graph, &kept)?;
        let groups: Vec<GroupPlan> = (self.channels.groups.iter().zip(&self.limits))
            .map(|(g, limit)| GroupPlan {
                name: g.name.clone(),
                channels: g.classes.len(),
                kept: (0..g.classes.len())
                    .filter(|&k| g.classes.get(k).is_some_and(|c| !self.gone.contains(c)))
                    .collect(),
                limit: limit.clone(),
            })
            .collect();
        let achieved = self.meter().achieved(&groups, &removed)?;
        Ok(Plan { removed, groups, before: self.before, after, achieved })
    }
}

/// Whether what limits a group is a lock.
pub(super) fn is_locked(limit: &Option<String>) -> bool {
    limit.as_ref().is_some_and(|l| l.starts_with("locked"))
}

/// Channels that zeros have silenced, without those of locked groups.
fn silenced(graph: &Graph, channels: &Channels, limits: &[Option<String>]) -> Result<HashSet<u32>> {
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

/// Says of groups that a set holds back what does it.
fn name_limits(limits: &mut [Option<String>], options: &PlanOptions, sets: &[Set], lost: &[usize]) {
    for (set, _) in sets.iter().zip(lost).filter(|(s, n)| **n == s.most) {
        for (group, _) in &set.cells {
            if let (Some(slot), Some(why)) = (limits.get_mut(*group), set.limit) {
                slot.get_or_insert_with(|| why.to_owned());
            }
        }
    }
    let (Scope::Group, Target::Ratio(ratio), None | Some(1)) = (options.scope, &options.target, options.multiple)
    else {
        return;
    };
    for (set, &n) in sets.iter().zip(lost).filter(|(s, _)| s.cells.len() > 1) {
        for (group, _) in &set.cells {
            let (whole, kept) = (set.keeps(0, *group), set.keeps(n, *group));
            let asked = ((1.0 - ratio) * whole as f64 + EPSILON).floor() as usize;
            if let Some(slot) = limits.get_mut(*group).filter(|_| kept > asked.max(1)) {
                let each = whole / set.shares.max(1);
                slot.get_or_insert_with(|| format!("its channels go in step with those of others, {each} at a time"));
            }
        }
    }
}

/// For each group why it stays whole, if it does.
fn limits(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Vec<Option<String>>> {
    let unnamed = options.locks.is_empty() && options.group_ratios.is_empty() && options.sets.is_empty();
    let named = |g| if unnamed { Vec::new() } else { names_of(graph, g) };
    let names: Vec<Vec<&str>> = channels.groups.iter().map(named).collect();
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
        if g.with_role(Role::Producer).next().is_none() {
            return Some("nothing with a score makes these channels".to_owned());
        }
        let alone = g.classes.len() == 1 && options.floor != Some(0);
        alone.then(|| "it has one channel, and the floor keeps that".to_owned())
    };
    Ok(channels.groups.iter().zip(&names).map(|(g, n)| limit(g, n)).collect())
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
