//! Which positions of every value are left when some classes go.

use crate::channels::{Bundle, Channels, PINNED};
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Graph, Shape, ValueId};
use crate::hash::Map;
use std::cell::RefCell;

/// Address of a list and the lengths that it is seen with.
type ListKey = (usize, Vec<usize>);

/// Classes that go, and what that leaves of layouts.
#[derive(Debug)]
pub struct Kept<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    classes: &'a [u32],
    gone: Vec<bool>,
    removed: Vec<u32>,
    /// Lengths that are left of lists met before: values share them.
    lengths: RefCell<Map<ListKey, Option<Vec<usize>>>>,
    /// The same of lists along one axis, by their addresses.
    counts: RefCell<Map<usize, usize>>,
}

impl<'a> Kept<'a> {
    /// From the classes that go.
    pub fn new(graph: &'a Graph, channels: &'a Channels, removed: impl IntoIterator<Item = u32>) -> Self {
        let classes = channels.class_table();
        let gone = vec![false; classes.len()];
        let (lengths, counts) = (RefCell::default(), RefCell::default());
        let mut out = Self { graph, channels, classes, gone, removed: Vec::new(), lengths, counts };
        out.replace(removed);
        out
    }

    /// Other classes go instead.
    pub fn replace(&mut self, removed: impl IntoIterator<Item = u32>) {
        for class in std::mem::take(&mut self.removed) {
            if let Some(slot) = self.gone.get_mut(class as usize) {
                *slot = false;
            }
        }
        for class in removed.into_iter().filter(|c| *c != PINNED) {
            if let Some(slot) = self.gone.get_mut(class as usize) {
                *slot = true;
                self.removed.push(class);
            }
        }
        self.lengths.borrow_mut().clear();
        self.counts.borrow_mut().clear();
    }

    /// Whether the channel of an id goes.
    pub fn goes(&self, id: u32) -> bool {
        self.classes.get(id as usize).and_then(|&c| self.gone.get(c as usize)).copied().unwrap_or(false)
    }

    /// The bundle that holds an axis of a value.
    pub fn bundle(&self, value: ValueId, axis: usize) -> Option<&'a Bundle> {
        self.channels.layouts.get(&value).and_then(|l| l.at(axis))
    }

    /// Length of each axis of a bundle after the cut.
    ///
    /// # Errors
    /// When rows keep different numbers of positions: a plan must not ask for that.
    pub fn lengths(&self, bundle: &Bundle) -> Result<Vec<usize>> {
        // The analysis holds every list, so an address stays that of one list.
        let key = (bundle.ids.as_ptr() as usize, bundle.lengths.clone());
        let known = self.lengths.borrow().get(&key).cloned();
        let lengths = known.unwrap_or_else(|| {
            let stay: Vec<usize> =
                bundle.ids.iter().enumerate().filter(|(_, id)| !self.goes(**id)).map(|(i, _)| i).collect();
            let lengths = grid(&stay, &bundle.lengths);
            self.lengths.borrow_mut().insert(key, lengths.clone());
            lengths
        });
        lengths.ok_or_else(|| {
            Error::new(
                Code::Invalid,
                format!("what is left of axes {:?} is no grid: rows would keep different numbers", bundle.axes),
            )
        })
    }

    /// Length of an axis after the cut.
    ///
    /// # Errors
    /// As [`Self::lengths`].
    pub fn length(&self, value: ValueId, axis: usize, old: &Dim) -> Result<Dim> {
        self.length_in(value, self.bundle(value, axis), axis, old)
    }

    fn length_in(&self, value: ValueId, bundle: Option<&Bundle>, axis: usize, old: &Dim) -> Result<Dim> {
        // A length that only running the model tells says so after the cut, too.
        let Some(b) = bundle.filter(|_| old.known().is_some()) else { return Ok(old.clone()) };
        if let [_] = b.lengths.as_slice() {
            return Ok(Dim::from(self.count(b)));
        }
        let skip = b.lengths.len() - b.axes.len();
        let lengths = self.lengths(b).map_err(|e| e.at(format!("value {:?}", self.graph.values[value].name)))?;
        Ok(b.rank_of(axis).and_then(|r| lengths.get(r + skip)).map_or_else(|| old.clone(), |&n| Dim::from(n)))
    }

    /// How many positions of a list are left.
    fn count(&self, bundle: &Bundle) -> usize {
        let count = || bundle.ids.iter().filter(|id| !self.goes(**id)).count();
        *self.counts.borrow_mut().entry(bundle.ids.as_ptr() as usize).or_insert_with(count)
    }

    /// Whether an axis of a value becomes shorter.
    pub fn reaches(&self, value: ValueId) -> bool {
        let shape = self.graph.values[value].shape.iter().flatten().enumerate();
        let Some(layout) = self.channels.layouts.get(&value) else { return false };
        shape.into_iter().any(|(axis, d)| self.length_in(value, layout.at(axis), axis, d).is_ok_and(|n| n != *d))
    }

    /// Shape of a value after the cut, if it is known.
    ///
    /// # Errors
    /// As [`Self::lengths`].
    pub fn shape(&self, value: ValueId) -> Result<Option<Shape>> {
        let Some(shape) = &self.graph.values[value].shape else { return Ok(None) };
        let layout = self.channels.layouts.get(&value).filter(|_| !self.removed.is_empty());
        let Some(layout) = layout else { return Ok(Some(shape.clone())) };
        let lengths = shape.iter().enumerate().map(|(axis, d)| self.length_in(value, layout.at(axis), axis, d));
        lengths.collect::<Result<Shape>>().map(Some)
    }
}

/// Lengths of the grid that kept positions form: rows that keep nothing vanish, all others keep equal numbers.
fn grid(positions: &[usize], lengths: &[usize]) -> Option<Vec<usize>> {
    let (Some((_, inner_lengths)), false) = (lengths.split_first(), positions.is_empty()) else {
        return Some(vec![0; lengths.len()]);
    };
    if inner_lengths.is_empty() {
        return Some(vec![positions.len()]);
    }
    let inner: usize = inner_lengths.iter().product::<usize>().max(1);
    let (mut rows, mut shape): (usize, Option<Vec<usize>>) = (0, None);
    let mut rest = positions;
    while let Some(&first) = rest.first() {
        let row = first / inner;
        let n = rest.partition_point(|&p| p / inner == row);
        let (this, after) = rest.split_at(n);
        let local: Vec<usize> = this.iter().map(|p| p % inner).collect();
        let own = grid(&local, inner_lengths)?;
        if shape.get_or_insert_with(|| own.clone()) != &own {
            return None;
        }
        rows += 1;
        rest = after;
    }
    let mut out = vec![rows];
    out.extend(shape.unwrap_or_default());
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn grids_may_be_jagged_in_indices_but_not_in_numbers() {
        assert_eq!(grid(&[0, 1, 4, 5], &[2, 4]), Some(vec![2, 2]));
        assert_eq!(grid(&[0, 3, 5, 6], &[2, 4]), Some(vec![2, 2]));
        assert_eq!(grid(&[4, 5, 6, 7], &[2, 4]), Some(vec![1, 4]));
        assert_eq!(grid(&[0, 4, 5], &[2, 4]), None);
        assert_eq!(grid(&[1, 2, 3], &[4]), Some(vec![3]));
    }
}
