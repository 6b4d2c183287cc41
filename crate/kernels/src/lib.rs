//! Loops for the CPU on plain slices of 32-bit floats: convolutions over two axes with their gradients, and
//! BatchNormalization in training, least squares, and sums over pairs of rows. They know nothing of tensors, graphs or burn.
//!
//! A crate of its own because it must be optimised for speed where the module for the browser is optimised for size.

// Pairs of rows and columns are indexed by their axis, 0 or 1; slices are read with `get` or as chunks.
#![allow(clippy::indexing_slicing)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod conv;
mod correlate;
mod geometry;
mod least_squares;
mod norm;
mod pairs;
mod simd;
#[cfg(test)]
mod tests;
mod weights;

pub use conv::{forward, input_gradient};
pub use geometry::Geometry;
pub use least_squares::{products, solve};
pub use norm::{NormGradients, Normalised, Planes, norm_backward, norm_forward, plane_sums};
pub use pairs::{Term, pair_sums};
pub use weights::weight_gradient;

/// Calls `work` with the number and numbers of each chunk, on all threads that there are.
fn each_chunk(output: &mut [f32], size: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        output.par_chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| work(i, chunk));
    }
    #[cfg(target_family = "wasm")]
    output.chunks_mut(size.max(1)).enumerate().for_each(|(i, chunk)| work(i, chunk));
}

/// What `work` makes of each number below `count`, in their order, on all threads that there are.
fn map_all<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync + Send) -> Vec<T> {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        (0..count).into_par_iter().map(work).collect()
    }
    #[cfg(target_family = "wasm")]
    (0..count).map(work).collect()
}
