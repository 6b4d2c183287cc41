//! Whole rows (attention heads, blocks of grouped convolutions) ranked and cut as wholes.

use super::cost;
use crate::channels::Channels;
use crate::cut::Kept;
use crate::graph::Graph;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Rows of one group that go one by one.
pub(super) struct Rows {
    /// The group of the rows.
    pub(super) group: usize,
    /// Positions in it of rows that do not hold the same channels.
    pub(super) units: Vec<usize>,
    /// Mean score of each unit's channels, before any normaliser.
    pub(super) scores: Vec<f64>,
    /// Channels in each.
    pub(super) weight: usize,
    /// Groups that the channels are of.
    pub(super) members: BTreeSet<usize>,
    /// Whether a row can go without breaking a grid.
    pub(super) possible: bool,
}

/// All rows that can be ranked. Of rows within rows only the first kind is taken.
pub(super) fn rows(graph: &Graph, channels: &Channels, scores: &[Vec<f64>]) -> Vec<Rows> {
    // A row stands in several lists: queries, keys and values of one head.
    let mut cells: HashMap<u32, BTreeSet<u32>> = HashMap::new();
    for (row, own) in channels.rows() {
        cells.entry(*row).or_default().extend(own);
    }
    let mut place: HashMap<u32, (usize, usize)> = HashMap::new();
    for (g, group) in channels.groups.iter().enumerate().filter(|(_, g)| !g.rows) {
        place.extend(group.classes.iter().enumerate().map(|(k, &class)| (class, (g, k))));
    }
    let mut claimed: HashSet<u32> = HashSet::new();
    let mut out = Vec::new();
    for (index, group) in channels.groups.iter().enumerate().filter(|(_, g)| g.rows) {
        let mut own = Rows {
            group: index,
            units: Vec::new(),
            scores: Vec::new(),
            weight: 0,
            members: BTreeSet::new(),
            possible: true,
        };
        let mut seen: HashSet<&BTreeSet<u32>> = HashSet::new();
        for (k, row) in group.classes.iter().enumerate() {
            let Some(cells) = cells.get(row).filter(|c| seen.insert(*c)) else { continue };
            let at: Vec<(usize, usize)> = cells.iter().filter_map(|c| place.get(c)).copied().collect();
            let sum: f64 = at.iter().filter_map(|&(g, k)| scores.get(g)?.get(k)).sum();
            own.units.push(k);
            own.scores.push(sum / at.len().max(1) as f64);
            own.weight = own.weight.max(at.len());
            own.members.extend(at.iter().map(|p| p.0));
        }
        if seen.iter().flat_map(|c| c.iter()).any(|c| claimed.contains(c)) {
            continue;
        }
        claimed.extend(seen.into_iter().flatten());
        let alone = |k: &usize| -> HashSet<u32> {
            let mut gone = group.classes.get(*k).copied().into_iter().collect();
            channels.close_rows(&mut gone);
            gone
        };
        let one = own.units.first().map(alone).unwrap_or_default();
        // A head's queries and keys may be one row, its values another, and both go.
        own.members.extend(one.iter().filter_map(|c| place.get(c)).map(|p| p.0));
        let even = own.units.iter().all(|k| channels.uneven(&alone(k)).is_none());
        own.possible = own.units.len() > 1 && even && cost(graph, &Kept::new(graph, channels, one)).is_ok();
        out.push(own);
    }
    out
}
