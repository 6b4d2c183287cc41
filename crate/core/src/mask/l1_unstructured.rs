//! The entries of smallest absolute value.

use super::amount::Amount;
use super::rank::{lowest, without};
use super::unmasked;
use crate::error::Result;

/// The mask without the smallest of its unmasked entries.
pub(super) fn mask(values: &[f32], mask: &[bool], amount: Amount) -> Result<Vec<bool>> {
    let left = unmasked(mask);
    let n = amount.of(left.len(), "entries")?;
    let scores: Vec<f64> = values.iter().map(|v| f64::from(*v).abs()).collect();
    Ok(without(mask, &lowest(&scores, left, n)?))
}
