//! From scores to the set of channels that go.

use super::{Cost, PlanOptions, Scope, Target, cost, matches_glob};
use crate::channels::{Channels, Group, Role};
use crate::cut::Kept;
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use crate::score::{Normalizer, Reduction, group_scores};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Share of a group's channels that stays whatever their scores, in global scope.
const GLOBAL_FLOOR: f64 = 0.1;
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

/// Channels that lose equal shares: each cell in the order in which its channels go.
struct Set {
    cells: Vec<(usize, Vec<usize>)>,
    /// The set can lose from none to so many equal shares.
    shares: usize,
    /// Shares it may lose at most.
    most: usize,
    /// Why it may not lose more, where its groups do not say.
    limit: Option<&'static str>,
    /// Score of losing each share, ascending.
    scores: Vec<f64>,
}

impl Set {
    /// Channels that the set loses with `n` shares.
    fn loses(&self, n: usize) -> usize {
        self.cells.iter().map(|(_, c)| c.len() / self.shares.max(1) * n).sum()
    }
}

/// Plans a cut.
///
/// # Errors
/// When options are out of range, a lock matches nothing, no group can be cut, or the target cannot be reached.
pub fn plan(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<Plan> {
    options.check()?;
    let limits = limits(graph, channels, options)?;
    let sets = sets(graph, channels, options, &limits)?;
    if sets.iter().all(|s| s.most == 0) {
        return Err(Error::new(
            Code::NothingToCut,
            "no group can be cut: all are pinned, locked or at their floor; see `lopper inspect`",
        ));
    }
    let solver = Solver { graph, channels, options, sets: &sets };
    let before = cost(graph, &Kept::new(graph, channels, []))?;
    let lost = solver.solve(before)?;
    let removed = solver.removed(&lost);
    let after = cost(graph, &Kept::new(graph, channels, removed.iter().copied()))?;
    let gone: HashSet<u32> = removed.iter().copied().collect();
    let held = |group: usize| {
        let own = sets.iter().zip(&lost).find(|(s, n)| **n == s.most && s.cells.iter().any(|(g, _)| *g == group));
        own.and_then(|(s, _)| s.limit).map(str::to_owned)
    };
    let groups = (channels.groups.iter().zip(limits).enumerate())
        .map(|(i, (g, limit))| GroupPlan {
            name: g.name.clone(),
            channels: g.classes.len(),
            kept: (0..g.classes.len()).filter(|&k| g.classes.get(k).is_some_and(|c| !gone.contains(c))).collect(),
            limit: limit.or_else(|| held(i)),
        })
        .collect();
    Ok(Plan { removed, groups, before, after })
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
    let limit = |g: &Group, names: &[&str]| -> Option<String> {
        if g.rows {
            return Some("these are whole rows (heads or blocks), which go only with all their channels".to_owned());
        }
        if g.with_role(Role::Producer).next().is_none() {
            return Some("nothing with a score makes these channels".to_owned());
        }
        let lock = options.locks.iter().find(|l| names.iter().any(|n| matches_glob(l, n)))?;
        Some(format!("locked by {lock:?}"))
    };
    Ok(channels.groups.iter().zip(&names).map(|(g, n)| limit(g, n)).collect())
}

/// Names by which a group can be locked: its own, those of what makes or accompanies its channels, and of the nodes that read these.
fn names_of<'a>(graph: &'a Graph, group: &'a Group) -> Vec<&'a str> {
    let mut out = vec![group.name.as_str()];
    for site in group.sites.iter().filter(|s| s.role != Role::Consumer) {
        let value = &graph.values[site.value];
        out.push(&value.name);
        out.extend(value.uses.iter().map(|(n, _)| graph.nodes[*n].name.as_str()));
    }
    out
}

/// The order in which channels go: ascending score, among equals the higher index first; those that must stay last.
fn order(scores: &[f64], of: &[usize], stays: impl Fn(usize) -> bool) -> Vec<usize> {
    let score = |k: usize| scores.get(k).copied().unwrap_or(0.0);
    let mut out = of.to_vec();
    // `+ 0.0` makes -0 equal to 0.
    out.sort_by(|&a, &b| stays(a).cmp(&stays(b)).then((score(a) + 0.0).total_cmp(&(score(b) + 0.0))).then(b.cmp(&a)));
    out
}

fn sets(graph: &Graph, channels: &Channels, options: &PlanOptions, limits: &[Option<String>]) -> Result<Vec<Set>> {
    let mut scores: Vec<Vec<f64>> = Vec::new();
    for (g, limit) in channels.groups.iter().zip(limits) {
        let mut own = match limit {
            None => group_scores(graph, channels, g, options.criterion, Reduction::Mean)?,
            Some(_) => vec![0.0; g.classes.len()],
        };
        if options.scope == Scope::Global {
            Normalizer::Mean.apply(&mut own);
        }
        scores.push(own);
    }
    let mut free: Vec<Vec<bool>> = channels.groups.iter().map(|g| vec![true; g.classes.len()]).collect();
    let mut drafts: Vec<(bool, Cells)> = Vec::new();
    for b in &channels.balances {
        for c in &b.cells {
            for &k in &c.channels {
                if let Some(slot) = free.get_mut(c.group).and_then(|f| f.get_mut(k)) {
                    *slot = false;
                }
            }
        }
        drafts.push((b.fixed, b.cells.iter().map(|c| (c.group, c.channels.clone())).collect()));
    }
    for (g, own) in free.iter().enumerate() {
        let left: Vec<usize> = own.iter().enumerate().filter(|(_, f)| **f).map(|(k, _)| k).collect();
        if !left.is_empty() {
            drafts.push((false, vec![(g, left)]));
        }
    }
    let locked = |cells: &Cells| cells.iter().any(|(g, _)| limits.get(*g).is_none_or(Option::is_some));
    let last = last_ones(channels, limits, &scores);
    Ok(drafts
        .into_iter()
        .map(|(fixed, cells)| {
            let mut set = build_set(channels, options, &scores, cells, &last);
            if fixed {
                (set.most, set.limit) = (0, Some("its channels go in step with others, some of which stay"));
            } else if locked(&set.cells) {
                set.most = 0;
            }
            set
        })
        .collect())
}

/// Channels of groups that lose equal shares: positions of each cell in its group.
type Cells = Vec<(usize, Vec<usize>)>;

/// Channels, by group and position, that stay so that no value loses all of an axis: the best one of each list of which no
/// group is a part as a whole, since every group keeps some channel anyway.
fn last_ones(channels: &Channels, limits: &[Option<String>], scores: &[Vec<f64>]) -> HashSet<(usize, usize)> {
    let mut place: HashMap<u32, (usize, usize)> = HashMap::new();
    for (g, group) in channels.groups.iter().enumerate() {
        place.extend(group.classes.iter().enumerate().map(|(k, &class)| (class, (g, k))));
    }
    let table = channels.class_table();
    let (mut seen, mut out) = (HashSet::new(), HashSet::new());
    for b in channels.layouts.values().flat_map(|l| &l.bundles).filter(|b| seen.insert(b.ids.as_ptr())) {
        let own: Option<HashSet<(usize, usize)>> =
            b.ids.iter().map(|&i| place.get(table.get(i as usize)?).copied()).collect();
        let Some(own) = own.filter(|own| !own.iter().any(|p| out.contains(p))) else { continue };
        let mut counts: HashMap<usize, usize> = HashMap::new();
        for (g, _) in &own {
            *counts.entry(*g).or_default() += 1;
        }
        let stays = counts.iter().any(|(&g, &n)| {
            limits.get(g).is_none_or(Option::is_some) || channels.groups.get(g).is_none_or(|g| g.classes.len() == n)
        });
        if stays {
            continue;
        }
        let score = |p: &(usize, usize)| scores.get(p.0).and_then(|s| s.get(p.1)).copied().unwrap_or(0.0) + 0.0;
        out.extend(own.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a))));
    }
    out
}

fn build_set(
    channels: &Channels,
    options: &PlanOptions,
    scores: &[Vec<f64>],
    cells: Cells,
    last: &HashSet<(usize, usize)>,
) -> Set {
    let shares = cells.iter().map(|(_, c)| c.len()).fold(0, gcd);
    let cells: Vec<(usize, Vec<usize>)> = (cells.into_iter())
        .map(|(g, c)| {
            let own = scores.get(g).map(Vec::as_slice).unwrap_or_default();
            (g, order(own, &c, |k| last.contains(&(g, k))))
        })
        .collect();
    let mut most = shares;
    while most > 0
        && cells.iter().any(|(g, _)| kept_of(&cells, shares, most, *g) < floor_of(channels, options, *g, &cells))
    {
        most -= 1;
    }
    let floor = most;
    let guarded = |g: usize, c: &[usize]| c.iter().filter(|k| last.contains(&(g, **k))).count();
    while most > 0 && cells.iter().any(|(g, c)| c.len() - c.len() / shares.max(1) * most < guarded(*g, c)) {
        most -= 1;
    }
    let limit = (most < floor).then_some("some part of it would be left without any channel");
    let share_score = |n: usize| -> f64 {
        let (mut sum, mut count) = (0.0, 0usize);
        for (g, c) in &cells {
            let each = c.len() / shares.max(1);
            for &k in c.iter().skip(n * each).take(each) {
                sum += scores.get(*g).and_then(|s| s.get(k)).copied().unwrap_or(0.0);
                count += 1;
            }
        }
        sum / count.max(1) as f64
    };
    let scores = (0..shares).map(share_score).collect();
    Set { cells, shares, most, limit, scores }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Channels of a group within the set that are left after `n` shares.
fn kept_of(cells: &[(usize, Vec<usize>)], shares: usize, n: usize, group: usize) -> usize {
    cells.iter().filter(|(g, _)| *g == group).map(|(_, c)| c.len() - c.len() / shares.max(1) * n).sum()
}

/// Fewest channels of a group that stay within the set. A set with several cells of a group keeps one of each row.
fn floor_of(channels: &Channels, options: &PlanOptions, group: usize, cells: &[(usize, Vec<usize>)]) -> usize {
    let all = channels.groups.get(group).map_or(0, |g| g.classes.len());
    let own: usize = cells.iter().filter(|(g, _)| *g == group).map(|(_, c)| c.len()).sum();
    let rows = cells.iter().filter(|(g, _)| *g == group).count();
    let floor = match (options.floor, options.scope) {
        (Some(n), _) => n,
        (None, Scope::Global) => (GLOBAL_FLOOR * all as f64).floor() as usize,
        (None, Scope::Group) => 1,
    };
    // Of a group that lies in several sets, each keeps its part.
    floor.saturating_mul(own).div_ceil(all.max(1)).max(rows).min(own)
}

struct Solver<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    options: &'a PlanOptions,
    sets: &'a [Set],
}

impl Solver<'_> {
    /// Shares that each set loses.
    fn solve(&self, before: Cost) -> Result<Vec<usize>> {
        match (self.options.scope, self.options.target) {
            (Scope::Group, Target::Ratio(r)) => Ok(self.by_ratio(r)),
            (Scope::Group, Target::Macs(m)) => {
                self.search(before, m, 1 << 16, |k| self.by_ratio(k as f64 / f64::from(1 << 16)))
            }
            (Scope::Global, target) => {
                let pool = self.pool();
                match target {
                    Target::Ratio(r) => Ok(self.by_count(&pool, r)),
                    Target::Macs(m) => self.search(before, m, pool.len(), |k| self.by_prefix(&pool, k)),
                }
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
        out.sort_unstable();
        out
    }
}
