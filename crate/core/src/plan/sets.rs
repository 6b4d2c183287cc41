//! Channels that lose equal shares, in the order in which they go.

use super::{PlanOptions, Scope, cost};
use crate::channels::{Channels, Group};
use crate::cut::{Kept, check_emptied};
use crate::error::Result;
use crate::graph::Graph;
use crate::hash::{Map, Set as HashedSet};
use crate::score::{Measured, group_scores};
use std::collections::{BTreeMap, HashSet};

/// Share of a group's channels that stays whatever their scores, in global scope.
const GLOBAL_FLOOR: f64 = 0.1;

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
}

impl Set {
    /// Channels that the set loses with `n` shares.
    pub(super) fn loses(&self, n: usize) -> usize {
        self.cells.iter().map(|(_, c)| c.len() / self.shares.max(1) * n).sum()
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

/// The sets of a graph whose classes `gone` are masked already: these go before all others.
pub(super) fn sets(
    graph: &Graph,
    channels: &Channels,
    options: &PlanOptions,
    limits: &[Option<String>],
    gone: &HashSet<u32>,
    measured: &Measured,
) -> Result<Vec<Set>> {
    let wanted = |g: usize| limits.get(g).is_some_and(Option::is_none);
    let all = group_scores(graph, channels, wanted, &options.scoring(measured), gone)?;
    let scores: Vec<Vec<f64>> = (channels.groups.iter().zip(&all).enumerate())
        .map(
            |(g, (group, own))| {
                if wanted(g) { scored(group, own, options, gone) } else { vec![0.0; group.classes.len()] }
            },
        )
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
        if !left.is_empty() {
            drafts.push((false, vec![(g, left)]));
        }
    }
    let locked = |cells: &Cells| cells.iter().any(|(g, _)| limits.get(*g).is_none_or(Option::is_some));
    let last = last_ones(channels, limits, &scores);
    Ok(drafts
        .into_iter()
        .map(|(fixed, cells)| {
            let all = options.floor == Some(0) && can_go(graph, channels, &cells);
            let mut set = build_set(channels, options, &scores, cells, &last, all);
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

/// Scores of a group's channels, normalised over those that are left; minus infinity for the others.
fn scored(group: &Group, all: &[f64], options: &PlanOptions, gone: &HashSet<u32>) -> Vec<f64> {
    let stays = |k: usize| group.classes.get(k).is_some_and(|c| !gone.contains(c));
    let mut left: Vec<f64> = all.iter().enumerate().filter(|(k, _)| stays(*k)).map(|(_, s)| *s).collect();
    if options.scope == Scope::Global {
        options.scoring(Measured::none()).between_groups().apply(&mut left);
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

/// A set of cells; `all` says that nothing of it has to stay.
fn build_set(
    channels: &Channels,
    options: &PlanOptions,
    scores: &[Vec<f64>],
    cells: Cells,
    last: &HashedSet<(usize, usize)>,
    all: bool,
) -> Set {
    let shares = cells.iter().map(|(_, c)| c.len()).fold(0, gcd);
    let cells: Vec<(usize, Vec<usize>)> = (cells.into_iter())
        .map(|(g, c)| {
            let own = scores.get(g).map(Vec::as_slice).unwrap_or_default();
            (g, order(own, &c, |k| last.contains(&(g, k))))
        })
        .collect();
    // Of every group: channels in the set, channels of each share, cells.
    let mut parts: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
    for (g, c) in &cells {
        let part = parts.entry(*g).or_default();
        *part = (part.0 + c.len(), part.1 + c.len() / shares.max(1), part.2 + 1);
    }
    let within = |(&g, &(own, each, rows)): (&usize, &(usize, usize, usize))| {
        own.saturating_sub(floor_of(channels, options, g, own, rows)) / each.max(1)
    };
    let floor = parts.iter().map(within).min().unwrap_or(0).min(shares);
    let floor = if all { shares } else { floor };
    let guarded = |(g, c): &(usize, Vec<usize>)| {
        let stay = c.iter().filter(|k| last.contains(&(*g, **k))).count();
        (c.len() - stay) / (c.len() / shares.max(1)).max(1)
    };
    let most = if all { shares } else { cells.iter().map(guarded).min().unwrap_or(0).min(floor) };
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
pub(super) fn kept_of(cells: &[(usize, Vec<usize>)], shares: usize, n: usize, group: usize) -> usize {
    cells.iter().filter(|(g, _)| *g == group).map(|(_, c)| c.len() - c.len() / shares.max(1) * n).sum()
}

/// Fewest channels of a group that stay of the `own` within a set. A set with several cells of a group keeps one of each.
fn floor_of(channels: &Channels, options: &PlanOptions, group: usize, own: usize, cells: usize) -> usize {
    let all = channels.groups.get(group).map_or(0, |g| g.classes.len());
    let floor = match (options.floor, options.scope) {
        (Some(n), _) => n,
        (None, Scope::Global) => (GLOBAL_FLOOR * all as f64).floor() as usize,
        (None, Scope::Group) => 1,
    };
    // Of a group that lies in several sets, each keeps its part.
    floor.saturating_mul(own).div_ceil(all.max(1)).max(cells).min(own)
}
