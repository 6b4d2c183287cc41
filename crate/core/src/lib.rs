//! Everything about the graph: ONNX in and out, shapes, channels that belong together, scores, plans, cuts, reports.
//!
//! Pure Rust: no I/O, no device, no panics. `ARCHITECTURE.md` has the map.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

pub mod channels;
pub mod cut;
pub mod error;
pub mod graph;
mod hash;
pub mod mask;
pub mod onnx;
pub mod ops;
pub mod plan;
pub mod recipe;
pub mod report;
pub mod score;
pub mod text;

pub use error::{Class, Code, Error, Result};
