//! Recovery without gradients: what a cut took is made up for by what some images show, labels or not (CRITERIA.md, section 8).

mod batch_norm;
mod bias;
mod least_squares;
mod pairs;
mod rows;

use crate::stored;
use crate::train::write;
use crate::value::HostTensor;
use lopper_core::Result;
use lopper_core::onnx::{Model, Tensor};

pub use batch_norm::reestimate;
pub use bias::compensate;
pub use least_squares::{Refit, refit};

/// A copy of a model with new numbers in some of its tensors.
fn updated(model: &Model, updates: &[(String, HostTensor)]) -> Result<Model> {
    let mut model = stored::inlined(model, updates.iter().map(|(name, _)| name.as_str()))?;
    for (name, tensor) in updates {
        write(&mut model, &Tensor::from_f32(name.clone(), tensor.dims.clone(), tensor.as_f32().unwrap_or_default()))?;
    }
    Ok(model)
}
