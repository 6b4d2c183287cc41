//! Placeholder replaced below.
use lopper_core::Result;
pub(crate) async fn compare(_: &burn::tensor::Device) -> Result<()> { Ok(()) }
