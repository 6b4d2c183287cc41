//! ONNX files: bytes to [`Model`] and back, without loss and without copying tensors.

mod data;
mod data_type;
mod inline;
mod read;
mod single;
mod sparse;
mod tensor;
mod visit;
mod write;

pub use data::{Data, Source};
pub use data_type::DataType;
pub use read::{ExternalData, NoExternalData, chosen};
pub use tensor::{Tensor, tensor_proto};
pub(crate) use write::set_data;

/// The generated wire types. Every message keeps the fields it does not know.
#[allow(missing_docs, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#[allow(unused_qualifications, unsafe_code, dead_code, unused_imports, rustdoc::all)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/onnx.mod.rs"));
}

use proto::ModelProto;
use std::collections::HashMap;

/// An ONNX model in memory: the wire message, whose tensors share the bytes of the file.
#[derive(Clone, Debug)]
pub struct Model {
    /// The message as read; passes change it in place.
    pub proto: ModelProto,
    /// Bytes of tensors that are not in the message, by what tensors say of them.
    pub(crate) external: HashMap<String, Data>,
    /// Whether files beside the model hold more than belongs into one file.
    pub(crate) apart: bool,
}
