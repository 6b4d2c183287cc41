//! What several test files share.
#![allow(dead_code, missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod build;
pub mod chain;
pub mod hostile;
pub mod malformed;
pub mod models;
pub mod mutate;
