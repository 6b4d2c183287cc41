//! Channels that lose equal shares, in the order in which they go.

use super::heads::{Rows, rows};
use super::pools::{named, names_of};
use super::solve::is_locked;
use super::{PlanOptions, Scope, cost, matches_glob};
use crate::channels::{Channels, Group};
use crate::cut::{Kept, check_emptied};
use crate::error::Result;
use crate::graph::Graph;
use crate::hash::{Map, Set as HashedSet};
use crate::score::{Measured, Normalizer};
use std::collections::{BTreeMap, HashSet};

/// Share of a group's channels that stays whatever their scores, where groups compete.
const COMPETING_FLOOR: f64 = 0.1;

/// Guards shares such as 0.7 * 10 against the last bit.
pub(super) const EPSILON: f64 = 1e-9;

/// Channels that lose equal shares: each cell in the order in which its channels go.
pub(super) struct Set {
    pub(super) cells: Vec<(usize, Vec<usize>)>,
    /// The set can lose from none to so many equal shares.
    pub(super) shares: usize,
    /// Shares it may lose at most.
    pub(super) most: usize,
    /// Why it may not lose more, where its groups do not say.
    pub(super) limit: Option<&'static str>,
    /// Score of losing each share, ascending.
    pub(super) scores: Vec<f64>,
    /// Share of its channels that the set loses whatever the target is.
    pub(super) taken: Option<f64>,
    /// Channels of one position of a cell: more than one for whole rows.
    pub(super) weight: usize,
    /// Numbers of shares that may go, ascending from none.
    pub(super) admissible: Vec<usize>,
}

impl Set {
    /// Channels that the set loses with `n` shares.
    pub(super) fn loses(&self, n: usize) -> usize {
        self.cells.iter().map(|(_, c)| c.len() / self.shares.max(1) * n).sum::<usize>() * self.weight
    }

    /// Shares of which a ratio of the channels goes.
    pub(super) fn part(&self, ratio: f64) -> usize {
        let keep = ((1.0 - ratio) * self.shares as f64 + EPSILON).floor() as usize;
        self.shares - keep.min(self.shares)
    }

    /// The number of shares that may go which is nearest to `n`; of two equally near ones the smaller.
    pub(super) fn nearest(&self, n: usize) -> usize {
        self.admissible.iter().copied().min_by_key(|a| (a.abs_diff(n), *a)).unwrap_or(0)
    }

    /// Its groups, each once, ascending.
    pub(super) fn groups(&self) -> Vec<usize> {
        let mut out: Vec<usize> = self.cells.iter().map(|c| c.0).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    /// Channels of a group within the set that are left after `n` shares.
    pub(super) fn keeps(&self, n: usize, group: usize) -> usize {
        self.cells.iter().filter(|(g, _)| *g == group).map(|(_, c)| c.len() - c.len() / self.shares.max(1) * n).sum()
    }
}

/// The order in which channels go: ascending score, among equals the higher index first; those that must stay last.
fn order(scores: &[f64], of: &[usize], stays: impl Fn(usize) -> bool) -> Vec<usize> {
    let score = |k: usize| scores.get(k).copied().unwrap_or(0.0);
    let mut out = of.to_vec();
    // `+ 0.0` makes -0 equal to 0.
    out.sort_by(|&a, &b| stays(a).cmp(&stays(b)).then((score(a) + 0.0).total_cmp(&(score(b) + 0.0))).then(b.cmp(&a)));
    out
}

/// The sets of a graph whose classes `gone` are masked already: these go before all others. `all` are the groups' scores.
pub(super) fn sets(
    graph: &Graph,
    channels: &Channels,
    options: &PlanOptions,
    limits: &[Option<String>],
    gone: &HashSet<u32>,
    mut all: Vec<Vec<f64>>,
) -> Result<Vec<Set>> {
    let wanted = |g: usize| limits.get(g).is_some_and(Option::is_none);
    let whole = if options.heads { rows(graph, channels, &all) } else { Vec::new() };
    for r in &whole {
        let mut scores = vec![0.0; channels.groups.get(r.group).map_or(0, |g| g.classes.len())];
        for (&k, &score) in r.units.iter().zip(&r.scores) {
            if let Some(slot) = scores.get_mut(k) {
                *slot = score;
            }
        }
        if let Some(slot) = all.get_mut(r.group) {
            *slot = scores;
        }
    }
    let between = options.scoring(Measured::none()).between_groups();
    let scores: Vec<Vec<f64>> = (channels.groups.iter().zip(&all).enumerate())
        .map(|(g, (group, own))| match wanted(g) {
            true => scored(group, own, competes(graph, options, group).then_some(between), gone),
            false => vec![0.0; group.classes.len()],
        })
        .collect();
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
        if !left.is_empty() && channels.groups.get(g).is_some_and(|g| !g.rows) {
            drafts.push((false, vec![(g, left)]));
        }
    }
    let locked = |cells: &Cells| cells.iter().any(|(g, _)| limits.get(*g).is_none_or(Option::is_some));
    let last = last_ones(channels, limits, &scores);
    let members: HashSet<usize> = whole.iter().flat_map(|r| r.members.iter().copied()).collect();
    let build = Builder { graph, channels, options, limits, scores: &scores, last: &last };
    let mut out = Vec::new();
    for (fixed, cells) in drafts {
        let mut set = build.set(cells, 1);
        if fixed {
            set.stays("its channels go in step with others, some of which stay");
        } else if locked(&set.cells) || set.cells.iter().any(|(g, _)| members.contains(g)) {
            set.most = 0;
        }
        out.push(set);
    }
    out.extend(whole.iter().map(|r| build.rows(r)));
    for set in &mut out {
        set.admissible = admissible(set, options);
    }
    hold_uneven(&mut out, options);
    Ok(out)
}

impl Set {
    fn stays(&mut self, why: &'static str) {
        (self.most, self.limit) = (0, Some(why));
    }
}

/// Numbers of shares that leave every group a multiple of what was asked, or everything. Rows count as wholes.
fn admissible(set: &Set, options: &PlanOptions) -> Vec<usize> {
    let multiple = options.multiple.filter(|_| set.weight == 1).unwrap_or(1);
    let groups = set.groups();
    let fits = |n: &usize| *n == 0 || groups.iter().all(|&g| set.keeps(*n, g).is_multiple_of(multiple));
    (0..=set.most).filter(fits).collect()
}

/// A group in several sets keeps a multiple only if each part does. Where a part is none as a whole, all stay whole.
fn hold_uneven(sets: &mut [Set], options: &PlanOptions) {
    let multiple = options.multiple.unwrap_or(1);
    let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, set) in sets.iter().enumerate().filter(|(_, s)| s.weight == 1) {
        set.groups().into_iter().for_each(|g| parts.entry(g).or_default().push(i));
    }
    for (g, own) in parts.into_iter().filter(|(_, own)| own.len() > 1) {
        if own.iter().filter_map(|&i| sets.get(i)).any(|s| !s.keeps(0, g).is_multiple_of(multiple)) {
            for i in own {
                if let Some(set) = sets.get_mut(i) {
                    set.admissible = vec![0];
                }
            }
        }
    }
}

/// Channels of groups that lose equal shares: positions of each cell in its group.
type Cells = Vec<(usize, Vec<usize>)>;

/// Channels, by group and position, that stay so that no value loses all of an axis: the best one of each list of which no
/// group is a part as a whole, since every group keeps some channel anyway.
fn last_ones(channels: &Channels, limits: &[Option<String>], scores: &[Vec<f64>]) -> HashedSet<(usize, usize)> {
    let table = channels.class_table();
    // Classes are smaller than the number of ids.
    let mut place: Vec<Option<(usize, usize)>> = vec![None; table.len()];
    for (g, group) in channels.groups.iter().enumerate() {
        for (k, &class) in group.classes.iter().enumerate() {
            if let Some(slot) = place.get_mut(class as usize) {
                *slot = Some((g, k));
            }
        }
    }
    let mut guarded = vec![false; table.len()];
    let mut counted = vec![0usize; table.len()];
    let (mut seen, mut out) = (HashedSet::default(), HashedSet::default());
    let lists = channels.layouts.values().flat_map(|l| &l.bundles).filter(|b| seen.insert(b.ids.as_ptr()));
    for (round, b) in lists.enumerate() {
        let classes = || b.ids.iter().filter_map(|&i| table.get(i as usize)).map(|&class| class as usize);
        let (of, is_guarded) = (|c: usize| place.get(c).copied().flatten(), |c: usize| guarded.get(c) == Some(&true));
        if classes().any(|c| of(c).is_none() || is_guarded(c)) {
            continue;
        }
        let mut own: Vec<(usize, usize)> = Vec::new();
        for class in classes() {
            if let (Some(slot), Some(p)) = (counted.get_mut(class).filter(|r| **r != round + 1), of(class)) {
                *slot = round + 1;
                own.push(p);
            }
        }
        let mut counts: Map<usize, usize> = Map::default();
        for (g, _) in &own {
            *counts.entry(*g).or_default() += 1;
        }
        let stays = counts.iter().any(|(&g, &n)| {
            limits.get(g).is_none_or(Option::is_some) || channels.groups.get(g).is_none_or(|g| g.classes.len() == n)
        });
        let score = |p: &(usize, usize)| scores.get(p.0).and_then(|s| s.get(p.1)).copied().unwrap_or(0.0) + 0.0;
        let best = own.iter().copied().max_by(|a, b| score(a).total_cmp(&score(b)).then(b.cmp(a)));
        if let Some((g, k)) = best.filter(|_| !stays) {
            out.insert((g, k));
            let class = channels.groups.get(g).and_then(|group| group.classes.get(k));
            if let Some(slot) = class.and_then(|&c| guarded.get_mut(c as usize)) {
                *slot = true;
            }
        }
    }
    out
}

/// Whether channels of a group are compared with those of others.
fn competes(graph: &Graph, options: &PlanOptions, group: &Group) -> bool {
    options.scope != Scope::Group || named(graph, options, group).is_some()
}

/// Scores of a group's channels, normalised over those that are left where groups compete; minus infinity for the others.
fn scored(group: &Group, all: &[f64], between: Option<Normalizer>, gone: &HashSet<u32>) -> Vec<f64> {
    let stays = |k: usize| group.classes.get(k).is_some_and(|c| !gone.contains(c));
    let mut left: Vec<f64> = all.iter().enumerate().filter(|(k, _)| stays(*k)).map(|(_, s)| *s).collect();
    if let Some(normalizer) = between {
        normalizer.apply(&mut left);
    }
    let mut left = left.into_iter();
    (0..all.len()).map(|k| if stays(k) { left.next().unwrap_or(0.0) } else { f64::NEG_INFINITY }).collect()
}

/// Whether all channels of a set can go at once, since what then is left of their branch can be written.
fn can_go(graph: &Graph, channels: &Channels, cells: &Cells) -> bool {
    let classes = |(g, own): &(usize, Vec<usize>)| -> Vec<u32> {
        let all = channels.groups.get(*g).map(|g| g.classes.as_slice()).unwrap_or_default();
        own.iter().filter_map(|&k| all.get(k).copied()).collect()
    };
    let mut gone: HashSet<u32> = cells.iter().flat_map(classes).collect();
    channels.close_rows(&mut gone);
    let kept = Kept::new(graph, channels, gone);
    cost(graph, &kept).is_ok() && check_emptied(graph, channels, &kept).is_ok()
}

/// Makes sets of cells.
struct Builder<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    options: &'a PlanOptions,
    limits: &'a [Option<String>],
    scores: &'a [Vec<f64>],
    last: &'a HashedSet<(usize, usize)>,
}

impl Builder<'_> {
    fn score(&self, group: usize, k: usize) -> f64 {
        self.scores.get(group).and_then(|s| s.get(k)).copied().unwrap_or(0.0)
    }

    fn set(&self, cells: Cells, weight: usize) -> Set {
        let shares = cells.iter().map(|(_, c)| c.len()).fold(0, gcd);
        let cells: Cells = (cells.into_iter())
            .map(|(g, c)| {
                let own = self.scores.get(g).map(Vec::as_slice).unwrap_or_default();
                (g, order(own, &c, |k| self.last.contains(&(g, k))))
            })
            .collect();
        // Of every group: channels in the set, channels of each share, cells.
        let mut parts: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
        for (g, c) in &cells {
            let part = parts.entry(*g).or_default();
            *part = (part.0 + c.len(), part.1 + c.len() / shares.max(1), part.2 + 1);
        }
        let within =
            |(&g, &(own, each, rows)): (&usize, &(usize, usize, usize))| self.may_lose(g, own, rows) / each.max(1);
        let all = weight == 1 && self.may_vanish(&cells);
        let floor = if all { shares } else { parts.iter().map(within).min().unwrap_or(0).min(shares) };
        let guarded = |(g, c): &(usize, Vec<usize>)| {
            let stay = c.iter().filter(|k| self.last.contains(&(*g, **k))).count();
            (c.len() - stay) / (c.len() / shares.max(1)).max(1)
        };
        let most = if all { shares } else { cells.iter().map(guarded).min().unwrap_or(0).min(floor) };
        let limit = if most < floor {
            Some("some part of it would be left without any channel")
        } else if !all && weight == 1 && self.unlimited() {
            Some("what is computed without any of its channels cannot be written")
        } else {
            None
        };
        let share_score = |n: usize| -> f64 {
            let (mut sum, mut count) = (0.0, 0usize);
            for (g, c) in &cells {
                let each = c.len() / shares.max(1);
                for &k in c.iter().skip(n * each).take(each) {
                    sum += self.score(*g, k);
                    count += 1;
                }
            }
            sum / count.max(1) as f64
        };
        let scores = (0..shares).map(share_score).collect();
        let mut set = Set { cells, shares, most, limit, scores, taken: None, weight, admissible: Vec::new() };
        set.taken = set.groups().into_iter().find_map(|g| self.ratio_of(g));
        set
    }

    /// Whether nothing of a set has to stay.
    fn may_vanish(&self, cells: &Cells) -> bool {
        self.unlimited() && !self.takes_locked(cells) && can_go(self.graph, self.channels, cells)
    }

    /// Whether rows that lose all of these channels go with channels of a locked group.
    fn takes_locked(&self, cells: &Cells) -> bool {
        let class = |g: usize, k: &usize| self.channels.groups.get(g).and_then(|g| g.classes.get(*k)).copied();
        let mut gone: HashSet<u32> = cells.iter().flat_map(|(g, c)| c.iter().filter_map(|k| class(*g, k))).collect();
        self.channels.close_rows(&mut gone);
        let mut held = self.channels.groups.iter().zip(self.limits).filter(|(_, l)| is_locked(l));
        held.any(|(g, _)| g.classes.iter().any(|c| gone.contains(c)))
    }

    /// Whether what is asked allows that nothing of a set stays.
    fn unlimited(&self) -> bool {
        let o = self.options;
        o.floor == Some(0) && o.min_ratio.is_none_or(|r| r <= 0.0) && o.max_ratio.is_none_or(|r| r >= 1.0)
    }

    /// A set of whole rows, one a share.
    fn rows(&self, rows: &Rows) -> Set {
        let mut set = self.set(vec![(rows.group, rows.units.clone())], rows.weight);
        let is_locked = |g: &usize| self.limits.get(*g).is_none_or(Option::is_some);
        if !rows.possible {
            set.stays("a single one of these rows cannot go");
        } else if rows.members.iter().any(is_locked) {
            set.stays("some of the channels in these rows stay");
        }
        set.taken = set.taken.or_else(|| rows.members.iter().find_map(|&g| self.ratio_of(g)));
        set
    }

    /// The ratio that was asked for a group by name. What is the name of a group is asked for that group alone, though other groups
    /// may hold what it is named after.
    fn ratio_of(&self, group: usize) -> Option<f64> {
        let own = self.channels.groups.get(group)?;
        let ratios = &self.options.group_ratios;
        let names = names_of(self.graph, own);
        let named = |glob: &str| self.channels.groups.iter().any(|g| g.name == glob);
        let asked = |glob: &str| !named(glob) && names.iter().any(|n| matches_glob(glob, n));
        ratios.get(&own.name).or_else(|| ratios.iter().find(|(glob, _)| asked(glob)).map(|(_, ratio)| ratio)).copied()
    }

    /// Most channels of a group that go of the `own` within a set. Of a group that lies in several sets each keeps its part;
    /// a set with several cells of a group keeps one of each.
    fn may_lose(&self, group: usize, own: usize, cells: usize) -> usize {
        let o = self.options;
        let Some(whole) = self.channels.groups.get(group) else { return 0 };
        let all = whole.classes.len();
        let default = if competes(self.graph, o, whole) && o.floor.is_none() { COMPETING_FLOOR } else { 0.0 };
        let share = (o.min_ratio.unwrap_or(default) * all as f64 + EPSILON).floor() as usize;
        let floor = o.floor.unwrap_or(1).max(share);
        let stay = floor.saturating_mul(own).div_ceil(all.max(1)).max(cells).min(own);
        let ceiling = (o.max_ratio.unwrap_or(1.0) * own as f64 + EPSILON).floor() as usize;
        (own - stay).min(ceiling)
    }
}

pub(crate) fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
