//! The order in which entries go, and the axes of a tensor as slices.

use crate::error::{Code, Error, Result};

/// The `n` first of the candidates: ascending score, among equals the later one first.
///
/// # Errors
/// When a score is not a number or infinite.
pub(super) fn lowest(scores: &[f64], candidates: Vec<usize>, n: usize) -> Result<Vec<usize>> {
    // `+ 0.0` makes -0 equal to 0.
    let score = |i: usize| scores.get(i).copied().unwrap_or(0.0) + 0.0;
    if let Some(i) = candidates.iter().find(|&&i| !score(i).is_finite()) {
        return Err(Error::new(
            Code::BadTensor,
            format!("entry {i} is infinite or not a number, so it has no place in the order: repair the weights first"),
        ));
    }
    let mut order = candidates;
    let ahead = |a: &usize, b: &usize| score(*a).total_cmp(&score(*b)).then(b.cmp(a));
    if n < order.len() && n > 0 {
        order.select_nth_unstable_by(n - 1, ahead);
    }
    order.truncate(n);
    Ok(order)
}

/// A mask without some of its entries.
pub(super) fn without(mask: &[bool], gone: &[usize]) -> Vec<bool> {
    let mut out = mask.to_vec();
    for &i in gone {
        if let Some(slot) = out.get_mut(i) {
            *slot = false;
        }
    }
    out
}

/// One axis of a tensor: entries of position `k` are those whose `place` is `k`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) length: usize,
    inner: usize,
}

impl Axis {
    /// # Errors
    /// When the tensor has fewer than two axes, or not this one.
    pub(super) fn of(dims: &[usize], axis: usize) -> Result<Self> {
        if dims.len() < 2 {
            let what = format!("masks of whole channels need at least two axes, and this tensor has {}", dims.len());
            return Err(Error::new(Code::Usage, what));
        }
        let length = dims.get(axis).copied().ok_or_else(|| {
            Error::new(Code::Usage, format!("there is no axis {axis} in the shape {dims:?}: count from 0"))
        })?;
        Ok(Self { length: length.max(1), inner: dims.iter().skip(axis + 1).product::<usize>().max(1) })
    }

    /// The position of an entry along the axis.
    pub(super) fn place(self, entry: usize) -> usize {
        entry / self.inner % self.length
    }

    /// The entry `step` positions further along the axis.
    pub(super) fn further(self, entry: usize, step: usize) -> usize {
        entry + step * self.inner
    }

    /// Positions with any unmasked entry.
    pub(super) fn alive(self, mask: &[bool]) -> Vec<usize> {
        let mut alive = vec![false; self.length];
        for (i, _) in mask.iter().enumerate().filter(|(_, m)| **m) {
            if let Some(slot) = alive.get_mut(self.place(i)) {
                *slot = true;
            }
        }
        alive.iter().enumerate().filter(|(_, a)| **a).map(|(k, _)| k).collect()
    }

    /// A mask without whole positions.
    pub(super) fn without(self, mask: &[bool], gone: &[usize]) -> Vec<bool> {
        let mut stays = vec![true; self.length];
        for &k in gone {
            if let Some(slot) = stays.get_mut(k) {
                *slot = false;
            }
        }
        mask.iter().enumerate().map(|(i, &m)| m && stays.get(self.place(i)) == Some(&true)).collect()
    }
}
