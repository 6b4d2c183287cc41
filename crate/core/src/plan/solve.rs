//! From scores to the set of channels that go.

use super::sets::{Set, kept_of, sets};
use super::{Cost, PlanOptions, Scope, Target, cost, matches_glob, remove, whole_cost};
use crate::channels::{Channels, Group, Role};
use crate::cut::{Kept, check_emptied, masked};
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::score::Measured;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::HashSet;

/// Guards shares such as 0.7 * 10 against the last bit.
const EPSILON: f64 = 1e-9;

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
}

/// Plans a cut by a criterion that looks at weights only.
///
/// # Errors
/// When options are out of range, a lock matches nothing, no group can be cut, the target cannot be reached, or the
/// criterion needs more than weights.
pub fn plan(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Plan> {
    let mut planner = Planner::new(graph, channels, options)?;
    while let Some(now) = planner.next_graph()? {
        planner.step(&now, Measured::none())?;
    }
    planner.finish()
}

/// A plan on its way to the target, in equal steps. Before each, whoever makes the plan scores what is left.
#[derive(Debug)]
pub struct Planner<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    options: PlanOptions,
    limits: Vec<Option<String>>,
    before: Cost,
    gone: HashSet<u32>,
    steps: usize,
}

impl<'a> Planner<'a> {
    /// At the beginning.
    ///
    /// # Errors
    /// When options are out of range, a lock matches nothing, or channels that are to go by name cannot.
    pub fn new(graph: &'a Graph, channels: &'a Channels, options: &PlanOptions) -> Result<Self> {
        options.check()?;
        let limits = limits(graph, channels, options)?;
        let before = whole_cost(graph);
        let gone = match &options.target {
            Target::Remove(wanted) => remove::listed(graph, channels, wanted, &limits)?,
            _ => HashSet::new(),
        };
        // One seed decides whatever is drawn.
        let criterion = options.criterion.clone().with(None, None, Some(options.seed));
        Ok(Self {
            graph,
            channels,
            options: PlanOptions { criterion, ..options.clone() },
            limits,
            before,
            gone,
            steps: 0,
        })
    }

    /// The graph that the next step's scores are taken from: what has gone is zero there. `None` at the target.
    ///
    /// # Errors
    /// When a parameter cannot be masked.
    pub fn next_graph(&self) -> Result<Option<Cow<'a, Graph>>> {
        let done = matches!(self.options.target, Target::Remove(_)) || self.steps == self.options.steps;
        match (done, self.gone.is_empty()) {
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
        let sets = sets(now, self.channels, &self.options, &self.limits, &self.gone, measured)?;
        if sets.iter().all(|s| s.most == 0) {
            return Err(Error::new(
                Code::NothingToCut,
                "no group can be cut: all are pinned, locked or at their floor; see `lopper inspect`",
            ));
        }
        self.steps += 1;
        let target = self.options.target.part(self.steps as f64 / self.options.steps as f64);
        let solver = Solver { graph: self.graph, channels: self.channels, options: &self.options, target, sets: &sets };
        let lost = solver.solve(self.before)?;
        self.gone = solver.removed(&lost).into_iter().collect();
        if self.options.floor == Some(0) {
            self.channels.close_rows(&mut self.gone);
        }
        if self.steps == self.options.steps {
            name_limits(&mut self.limits, &self.options, &sets, &lost);
        }
        Ok(())
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
        let groups = (self.channels.groups.iter().zip(self.limits))
            .map(|(g, limit)| GroupPlan {
                name: g.name.clone(),
                channels: g.classes.len(),
                kept: (0..g.classes.len())
                    .filter(|&k| g.classes.get(k).is_some_and(|c| !self.gone.contains(c)))
                    .collect(),
                limit,
            })
            .collect();
        Ok(Plan { removed, groups, before: self.before, after })
    }
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
            let (whole, kept) =
                (kept_of(&set.cells, set.shares, 0, *group), kept_of(&set.cells, set.shares, n, *group));
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
    let named = |g| if options.locks.is_empty() { Vec::new() } else { names_of(graph, g) };
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
    let limit = |g: &Group, names: &[&str]| -> Option<String> {
        if g.rows {
            return Some(
                "these are whole rows (heads or blocks), which go only with all their channels or by name".to_owned(),
            );
        }
        if g.with_role(Role::Producer).next().is_none() {
            return Some("nothing with a score makes these channels".to_owned());
        }
        if g.classes.len() == 1 && options.floor != Some(0) {
            return Some("it has one channel, and the floor keeps that".to_owned());
        }
        let lock = options.locks.iter().find(|l| names.iter().any(|n| matches_glob(l, n)))?;
        Some(format!("locked by {lock:?}"))
    };
    Ok(channels.groups.iter().zip(&names).map(|(g, n)| limit(g, n)).collect())
}

/// Names by which a group can be locked: its own, those of what makes or accompanies its channels, and of the nodes
/// that read these.
fn names_of<'a>(graph: &'a Graph, group: &'a Group) -> Vec<&'a str> {
    let mut out = vec![group.name.as_str()];
    for site in group.sites.iter().filter(|s| s.role != Role::Consumer) {
        let value = &graph.values[site.value];
        out.push(&value.name);
        out.extend(value.uses.iter().map(|(n, _)| graph.nodes[*n].name.as_str()));
    }
    out
}

struct Solver<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    options: &'a PlanOptions,
    target: Target,
    sets: &'a [Set],
}

impl Solver<'_> {
    /// Shares that each set loses.
    fn solve(&self, before: Cost) -> Result<Vec<usize>> {
        match (self.options.scope, &self.target) {
            (_, Target::Remove(_)) => Ok(vec![0; self.sets.len()]),
            (Scope::Group, Target::Ratio(r)) => Ok(self.by_ratio(*r)),
            (Scope::Group, Target::Macs(m)) => {
                self.search(before, *m, 1 << 16, |k| self.by_ratio(k as f64 / f64::from(1 << 16)))
            }
            (Scope::Global, Target::Ratio(r)) => Ok(self.by_count(&self.pool(), *r)),
            (Scope::Global, Target::Macs(m)) => {
                let pool = self.pool();
                self.search(before, *m, pool.len(), |k| self.by_prefix(&pool, k))
            }
        }
    }

    fn by_ratio(&self, ratio: f64) -> Vec<usize> {
        let lost = (self.sets.iter())
            .map(|s| {
                let keep = ((1.0 - ratio) * s.shares as f64 + EPSILON).floor() as usize;
                (s.shares - keep.min(s.shares)).min(s.most)
            })
            .collect();
        self.round(lost)
    }

    /// Every share of every set that may go, cheapest first. Of equal scores the later set's goes first.
    fn pool(&self) -> Vec<usize> {
        let mut pool: Vec<(f64, usize, usize)> = Vec::new();
        for (i, s) in self.sets.iter().enumerate() {
            let first = s.cells.iter().map(|c| c.0).min().unwrap_or(i);
            pool.extend(s.scores.iter().take(s.most).map(|&score| (score + 0.0, first, i)));
        }
        pool.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        pool.into_iter().map(|p| p.2).collect()
    }

    fn by_prefix(&self, pool: &[usize], k: usize) -> Vec<usize> {
        let mut lost = vec![0; self.sets.len()];
        for &i in pool.iter().take(k) {
            if let Some(n) = lost.get_mut(i) {
                *n += 1;
            }
        }
        self.round(lost)
    }

    fn by_count(&self, pool: &[usize], ratio: f64) -> Vec<usize> {
        let total: usize = self.sets.iter().filter(|s| s.most > 0).map(|s| s.loses(s.shares)).sum();
        let go = total - ((1.0 - ratio) * total as f64 + EPSILON).floor() as usize;
        let (mut lost, mut gone) = (vec![0; self.sets.len()], 0);
        for &i in pool {
            let each = self.sets.get(i).map_or(0, |s| s.loses(1));
            if gone + each <= go
                && let Some(n) = lost.get_mut(i)
            {
                *n += 1;
                gone += each;
            }
        }
        self.round(lost)
    }

    /// The smallest step whose MACs are at most the share asked for.
    fn search(&self, before: Cost, share: f64, steps: usize, at: impl Fn(usize) -> Vec<usize>) -> Result<Vec<usize>> {
        let limit = before.macs as f64 * share + EPSILON;
        let macs = |k: usize| -> Result<f64> {
            let removed = self.removed(&at(k));
            Ok(cost(self.graph, &Kept::new(self.graph, self.channels, removed))?.macs as f64)
        };
        let (mut low, mut high) = (0, steps);
        let least = macs(high)?;
        if least > limit {
            return Err(Error::new(
                Code::NoTarget,
                format!(
                    "{:.1} % of the MACs cannot be reached: the smallest cut within the limits leaves {:.1} %",
                    share * 100.0,
                    least / before.macs.max(1) as f64 * 100.0
                ),
            ));
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if macs(middle)? <= limit {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(at(high))
    }

    /// Gives shares back until every group keeps a multiple of what was asked, or everything.
    fn round(&self, mut lost: Vec<usize>) -> Vec<usize> {
        let Some(multiple) = self.options.multiple.filter(|m| *m > 1) else { return lost };
        for (s, n) in self.sets.iter().zip(lost.iter_mut()) {
            let fits =
                |n: usize| s.cells.iter().all(|(g, _)| kept_of(&s.cells, s.shares, n, *g).is_multiple_of(multiple));
            while *n > 0 && !fits(*n) {
                *n -= 1;
            }
        }
        lost
    }

    fn removed(&self, lost: &[usize]) -> Vec<u32> {
        let mut out = Vec::new();
        for (s, &n) in self.sets.iter().zip(lost) {
            for (g, cell) in &s.cells {
                let classes = self.channels.groups.get(*g).map(|g| g.classes.as_slice()).unwrap_or_default();
                out.extend(cell.iter().take(cell.len() / s.shares.max(1) * n).filter_map(|&k| classes.get(k)));
            }
        }
        out
    }
}
