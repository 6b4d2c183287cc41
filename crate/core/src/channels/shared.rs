//! Rows whose columns are shared, such as heads that meet one rotation: columns go from all rows at once, and a row can
//! still go whole. A position goes with its column or with its row.

use super::layout::{Bundle, Ids};
use super::union_find::PINNED;
use super::{Channels, State};
use std::collections::{HashMap, HashSet};

/// Rows of joint positions whose columns are shared.
#[derive(Clone, Debug)]
pub(super) struct SharedRows {
    rows: Ids,
    /// Row-major.
    cells: Ids,
}

impl SharedRows {
    /// Every row with its positions.
    fn each(&self) -> impl Iterator<Item = (u32, &[u32])> {
        let columns = (self.cells.len() / self.rows.len().max(1)).max(1);
        self.rows.iter().copied().zip(self.cells.chunks(columns))
    }

    /// The ids of the rows.
    pub(super) fn rows(&self) -> &Ids {
        &self.rows
    }
}

impl State {
    /// Takes an axis out of a bundle because all rows along it share what meets their columns. Returns the columns, and the rows
    /// as a bundle of their own.
    pub(super) fn share(&mut self, bundle: &Bundle, axis: usize) -> (Bundle, Bundle) {
        let others = (0..bundle.axes.len()).filter(|&r| bundle.axes.get(r) != Some(&axis));
        let order: Vec<usize> = bundle.rank_of(axis).into_iter().chain(others).collect();
        let moved = bundle.reordered(&order);
        let count = moved.lengths.first().copied().unwrap_or(1).max(1);
        let columns = moved.ids.len() / count;
        let (row, column) = (self.classes.fresh(count), self.classes.fresh(columns));
        let rows: Ids = (row..).take(count).collect();
        let ids: Ids = (column..).take(columns).collect();
        for chunk in moved.ids.chunks(columns.max(1)) {
            for (&cell, &column) in chunk.iter().zip(ids.iter()) {
                self.classes.share(column, cell);
            }
            self.united.push((ids.clone(), chunk.into(), self.current));
        }
        self.spend(moved.ids.len());
        self.shared.push(SharedRows { rows: rows.clone(), cells: moved.ids.clone() });
        let rest = |v: &[usize]| v.iter().skip(1).copied().collect();
        (
            Bundle::joint(rest(&moved.axes), rest(&moved.lengths), ids, bundle.zero),
            Bundle::joint(vec![axis], vec![count], rows, bundle.zero),
        )
    }

    /// Whether a bundle holds copies of one position, and whether it holds rows whose columns are elsewhere.
    pub(super) fn is_minor(&self, bundle: &Bundle) -> (bool, bool) {
        let first = bundle.ids.first().copied().unwrap_or(PINNED);
        (self.copies.contains(&first), self.shared.iter().any(|s| s.rows.contains(&first)))
    }
}

/// Rows can go if nothing keeps a position of theirs. A position that two rows have in common can go with neither.
pub(super) fn settle_shared(state: &mut State) {
    let mut row_of: HashMap<u32, u32> = HashMap::new();
    let mut kept = Vec::new();
    for (row, cells) in state.shared.iter().flat_map(SharedRows::each) {
        let row = state.classes.find(row);
        for &cell in cells {
            let cell = state.classes.find_same(cell);
            let other = *row_of.entry(cell).or_insert(row);
            if cell == PINNED || other != row {
                kept.extend([row, other]);
            }
        }
    }
    for row in kept {
        state.classes.unite(PINNED, row);
    }
}

/// Rows that can go, with the classes of their columns.
pub(super) fn shared_rows(state: &mut State) -> Vec<(u32, Vec<u32>)> {
    let mut out = Vec::new();
    for (row, cells) in state.shared.iter().flat_map(SharedRows::each) {
        let row = state.classes.find(row);
        if row != PINNED {
            out.push((row, cells.iter().map(|&c| state.classes.find(c)).collect()));
        }
    }
    out
}

/// For every id the class of the row in which it lies, [`PINNED`] where it lies in none; empty if there are no such rows.
pub(super) fn row_table(state: &mut State) -> Vec<u32> {
    let mut row_of: HashMap<u32, u32> = HashMap::new();
    for (row, cells) in state.shared.iter().flat_map(SharedRows::each) {
        let row = state.classes.find(row);
        for &cell in cells.iter().filter(|_| row != PINNED) {
            row_of.insert(state.classes.find_same(cell), row);
        }
    }
    if row_of.is_empty() {
        return Vec::new();
    }
    let ids = 0..state.classes.count() as u32;
    ids.map(|id| row_of.get(&state.classes.find_same(id)).copied().unwrap_or(PINNED)).collect()
}

impl Channels {
    /// For every id the class of a row with which it goes as well, if it has one; empty if none has.
    pub fn row_table(&self) -> &[u32] {
        &self.row_table
    }

    /// Leaves out groups of rows with which the same channels go as with those of an earlier one.
    pub(super) fn with_rows_once(mut self) -> Self {
        let mut seen: HashSet<(usize, Vec<u32>)> = HashSet::new();
        let mut groups = std::mem::take(&mut self.groups);
        let made = groups.iter().filter(|g| !g.sites.is_empty());
        let named: HashSet<u32> = made.flat_map(|g| &g.classes).copied().collect();
        groups.retain(|group| {
            let Some(first) = group.classes.first().filter(|_| group.sites.is_empty()) else { return true };
            let mut gone = HashSet::from([*first]);
            self.close_rows(&mut gone);
            // With rows of shared columns go positions that have no class of their own.
            let row = self.row_table.contains(first).then_some(*first);
            let mut gone: Vec<u32> = gone.into_iter().filter(|c| named.contains(c)).chain(row).collect();
            gone.sort_unstable();
            seen.insert((group.classes.len(), gone))
        });
        self.groups = groups;
        self
    }
}
