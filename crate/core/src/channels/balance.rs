//! Which channels must go in equal numbers, because a value sees them as rows and columns of a grid.
//!
//! A value whose bundle spans several axes needs a grid after the cut: every row keeps as many columns, or goes whole.
//! Channels that lie in the same rows of the same grids are interchangeable and form a cell. Taking the same share of every
//! cell of a connected set keeps every grid a grid, since rows of one grid have equal length.

use super::State;
use super::groups::Group;
use super::layout::Ids;
use super::union_find::UnionFind;
use crate::graph::ValueId;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Interchangeable channels of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Position of the group.
    pub group: usize,
    /// Positions of the channels in the group.
    pub channels: Vec<usize>,
}

/// Cells that lose equal shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Balance {
    /// The cells.
    pub cells: Vec<Cell>,
    /// A value that asks for it.
    pub value: ValueId,
    /// Whether nothing of it can go, since some rows hold positions that stay and others do not.
    pub fixed: bool,
}

/// Cells before groups are known: class -> cell, and per cell its connected set and a value.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) of: HashMap<u32, usize>,
    sets: Vec<u32>,
    values: Vec<ValueId>,
}

struct Grid {
    value: ValueId,
    rows: usize,
    ids: Ids,
}

fn grids(state: &State) -> Vec<Grid> {
    let mut seen = HashSet::new();
    let mut out = Vec::new();
    for (value, ids, rows) in &state.grids {
        if seen.insert((ids.as_ptr() as usize, ids.len() / rows)) {
            out.push(Grid { value: *value, rows: *rows, ids: ids.clone() });
        }
    }
    for (value, layout) in state.layouts.iter() {
        for b in layout.bundles.iter().filter(|b| b.lengths.len() > 1) {
            // Rows of every depth: those of the last axis may vanish whole, and then those before it count.
            for depth in (1..b.lengths.len()).rev() {
                let columns = b.inner(depth).max(1);
                if seen.insert((b.ids.as_ptr() as usize, columns)) {
                    out.push(Grid { value, rows: b.ids.len() / columns, ids: b.ids.clone() });
                }
            }
        }
    }
    out
}

/// Rows in which each constrained class of a grid lies, with how often.
fn constrained(grid: &Grid, classes: &mut UnionFind) -> BTreeMap<u32, Vec<(u32, u32)>> {
    let columns = (grid.ids.len() / grid.rows.max(1)).max(1);
    let mut rows: BTreeMap<u32, Vec<(u32, u32)>> = BTreeMap::new();
    for (r, chunk) in grid.ids.chunks(columns).enumerate() {
        for &id in chunk {
            let list = rows.entry(classes.find(id)).or_default();
            match list.last_mut() {
                Some(last) if last.0 == r as u32 => last.1 += 1,
                _ => list.push((r as u32, 1)),
            }
        }
    }
    rows.retain(|_, list| {
        let first = list.first().map(|l| l.1);
        let even = list.len() == grid.rows && list.iter().all(|l| Some(l.1) == first);
        !even
    });
    // A row of one class vanishes whole. Beside rows that lose some positions it cannot stay, so it counts there.
    if rows.values().flatten().all(|l| l.1 as usize == columns) {
        rows.clear();
    }
    rows
}

/// Where a class lies: for every grid that constrains it, its rows with how often it lies there.
type Place = Vec<(usize, Vec<(u32, u32)>)>;

/// Finds the cells of all grids.
pub(super) fn collect(state: &mut State) -> Cells {
    let mut places: BTreeMap<u32, Place> = BTreeMap::new();
    let mut known: HashSet<BTreeMap<u32, Vec<(u32, u32)>>> = HashSet::new();
    let grids = grids(state);
    for (g, grid) in grids.iter().enumerate() {
        let rows = constrained(grid, &mut state.classes);
        if rows.is_empty() || !known.insert(rows.clone()) {
            continue;
        }
        for (class, list) in rows {
            places.entry(class).or_default().push((g, list));
        }
    }
    let mut cells = Cells::default();
    let mut index: HashMap<Place, usize> = HashMap::new();
    let mut set_of_grid: HashMap<usize, usize> = HashMap::new();
    let mut sets = UnionFind::default();
    for (class, place) in places {
        let value = place.first().and_then(|(g, _)| grids.get(*g)).map(|g| g.value);
        let in_grids: Vec<usize> = place.iter().map(|p| p.0).collect();
        let cell = *index.entry(place).or_insert_with(|| {
            cells.sets.push(sets.fresh(1));
            cells.values.extend(value);
            cells.sets.len() - 1
        });
        for g in in_grids {
            let other = *set_of_grid.entry(g).or_insert(cell);
            if let (Some(&a), Some(&b)) = (cells.sets.get(cell), cells.sets.get(other)) {
                sets.unite(a, b);
            }
        }
        cells.of.insert(class, cell);
    }
    for set in &mut cells.sets {
        *set = sets.find(*set);
    }
    cells
}

/// Cells of groups, gathered into connected sets.
pub(super) fn assign(cells: Cells, groups: &[Group]) -> Vec<Balance> {
    let mut by_set: BTreeMap<u32, BTreeMap<(usize, usize), Vec<usize>>> = BTreeMap::new();
    // What no parameter makes, such as the zeros of a pad, never goes; neither does what is pinned.
    let grouped: HashSet<u32> = groups.iter().flat_map(|g| g.classes.iter().copied()).collect();
    let fixed: HashSet<u32> = cells
        .of
        .iter()
        .filter(|(c, _)| !grouped.contains(c))
        .filter_map(|(_, &i)| cells.sets.get(i).copied())
        .collect();
    for (g, group) in groups.iter().enumerate() {
        for (k, class) in group.classes.iter().enumerate() {
            let Some(&cell) = cells.of.get(class) else { continue };
            let set = cells.sets.get(cell).copied().unwrap_or(0);
            by_set.entry(set).or_default().entry((cell, g)).or_default().push(k);
        }
    }
    (by_set.into_iter())
        .filter_map(|(number, set)| {
            let first = set.keys().next().map(|k| k.0)?;
            let value = cells.values.get(first).copied()?;
            let cells = set.into_iter().map(|((_, group), channels)| Cell { group, channels }).collect();
            Some(Balance { cells, value, fixed: fixed.contains(&number) })
        })
        .collect()
}
