//! The entries of smallest absolute value of several tensors together.

use super::amount::Amount;
use super::rank::lowest;
use crate::error::Result;

/// The masks of all tensors without the smallest of their unmasked entries. Of equals those of later tensors go first.
pub(super) fn masks(tensors: &[(Vec<f32>, Vec<bool>)], amount: Amount) -> Result<Vec<Vec<bool>>> {
    let scores: Vec<f64> = tensors.iter().flat_map(|t| &t.0).map(|v| f64::from(*v).abs()).collect();
    let mut all: Vec<bool> = tensors.iter().flat_map(|t| &t.1).copied().collect();
    let left: Vec<usize> = super::unmasked(&all);
    let n = amount.of(left.len(), "entries")?;
    for i in lowest(&scores, left, n)? {
        if let Some(slot) = all.get_mut(i) {
            *slot = false;
        }
    }
    let mut all = all.into_iter();
    Ok(tensors.iter().map(|t| all.by_ref().take(t.1.len()).collect()).collect())
}
