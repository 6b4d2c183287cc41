//! Entries drawn at random.

use super::amount::Amount;
use super::draw::draws;
use super::rank::{lowest, without};
use super::unmasked;
use crate::error::Result;

/// The mask without some of its unmasked entries, each as likely as any other. The tensor's name is part of the seed.
pub(super) fn mask(name: &str, mask: &[bool], amount: Amount, seed: u64) -> Result<Vec<bool>> {
    let left = unmasked(mask);
    let n = amount.of(left.len(), "entries")?;
    Ok(without(mask, &lowest(&draws(name, seed, mask.len()), left, n)?))
}
