//! Channels drawn at random.

use super::amount::Amount;
use super::draw::draws;
use super::rank::{Axis, lowest};
use crate::error::Result;

/// The mask without some of the positions of an axis that have any unmasked entry, each as likely as any other.
pub(super) fn mask(
    name: &str,
    dims: &[usize],
    mask: &[bool],
    amount: Amount,
    axis: usize,
    seed: u64,
) -> Result<Vec<bool>> {
    let axis = Axis::of(dims, axis)?;
    let alive = axis.alive(mask);
    let n = amount.of(alive.len(), "channels")?;
    Ok(axis.without(mask, &lowest(&draws(name, seed, axis.length), alive, n)?))
}
