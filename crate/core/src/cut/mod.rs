//! Cutting: a set of channels goes out of every tensor that holds them, and every number that depended on a size is rewritten.

mod apply;
mod context;
mod edits;
mod emptied;
mod kept;
mod mask;
mod places;
mod slice;

pub use apply::{Cut, cut};
pub use context::CutContext;
pub(crate) use emptied::is_zero;
pub use emptied::{Rest, RestContext, check_emptied};
pub use kept::Kept;
pub use mask::{MaskEntry, Where, apply_mask, mask_entries, masked, zero};
pub use places::places;
