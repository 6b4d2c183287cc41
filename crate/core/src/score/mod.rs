//! Scores of channels: importance, small goes first.
//!
//! A criterion gives every producer one number per filter; reductions over the members of a group and normalisers over its
//! channels make them one number a channel that can be compared in the chosen scope.

mod magnitude;
mod normalize;
mod reduce;

pub use magnitude::{Criterion, scores_of};
pub use normalize::Normalizer;
pub use reduce::{Reduction, group_scores, member_scores};
