//! Scores of channels: importance, small goes first.
//!
//! A criterion gives every producer one number per filter; reductions over the members of a group and normalisers over
//! its channels make them one number a channel that can be compared in the chosen scope.

mod agree;
mod criterion;
mod fpgm;
mod geometry;
mod lamp;
mod layers;
mod measured;
mod normalize;
mod norms;
mod positions;
mod random;
mod rank;
mod reduce;
mod spread;
mod threads;
mod weights;

pub use agree::rank_correlation;
pub use criterion::{Criterion, Needs};
pub use fpgm::{Distance, distance_sums, mixed};
pub use geometry::{Distances, Plane};
pub use layers::{Layer, layers};
pub use measured::Measured;
pub use normalize::Normalizer;
pub use positions::{Positions, Rows};
pub use rank::ascending;
pub use reduce::{Reduction, Scoring, group_scores};
pub use spread::{Members, growth, lasso, spread};
pub use weights::{Scorer, weight_scores};
