//! A mask that is given.

use crate::error::{Code, Error, Result};

/// The old mask where the given one is not zero.
pub(super) fn mask(mask: &[bool], given: &[u8]) -> Result<Vec<bool>> {
    if mask.len() != given.len() {
        return Err(Error::new(
            Code::Usage,
            format!("the mask has {} entries and the tensor {}: give one 0 or 1 an entry", given.len(), mask.len()),
        ));
    }
    Ok(mask.iter().zip(given).map(|(&m, &g)| m && g != 0).collect())
}
