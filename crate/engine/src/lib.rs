//! Runs and trains ONNX graphs with burn, on the CPU or on a GPU that is chosen at run time.
//!
//! [`Device::open`] gives a device, [`Network::load`] puts a model on it, [`train::Trainer`] trains it, [`eval`] and
//! [`verify`] judge it; [`data`] reads images and knows nothing of burn.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod batch;
pub mod data;
pub mod device;
pub mod eval;
mod kernels;
pub mod look;
mod meaning;
mod ops;
pub mod recover;
mod run;
pub mod score;
mod selftest;
mod stored;
mod tensor;
#[cfg(test)]
mod tests;
pub mod train;
mod value;
pub mod verify;
#[cfg(not(target_family = "wasm"))]
mod wait;

pub use batch::{Control, Ended, Labelled};
pub use device::{Device, DeviceChoice, DeviceKind};
pub use run::Network;
pub use value::{HostData, HostTensor};
#[cfg(not(target_family = "wasm"))]
pub use wait::block_on;
