//! A model to bytes.

use super::Model;
use crate::error::{Code, Error, Result};
use buffa::{Message as _, Rope};
use bytes::Bytes;

/// Protobuf readers refuse messages of 2 GiB; a margin is left for what surrounds the tensors.
const MAX_BYTES: usize = (1 << 31) - (1 << 20);

impl Model {
    /// The file in pieces; tensors are the pieces that were read, not copies. Data of external files are embedded.
    ///
    /// # Errors
    /// When the file would reach the 2 GiB that protobuf allows.
    pub fn write_pieces(&self) -> Result<Vec<Bytes>> {
        let mut rope = Rope::new();
        let done = match self.external.is_empty() {
            true => self.proto.try_encode(&mut rope),
            false => self.embedded().proto.try_encode(&mut rope),
        };
        if done.is_err() || rope.len() > MAX_BYTES {
            return Err(Error::new(
                Code::TooLarge,
                "the model with all its tensors is too large: one ONNX file holds at most 2 GiB",
            ));
        }
        Ok(rope.into_segments())
    }

    /// The file as one buffer.
    ///
    /// # Errors
    /// As [`Model::write_pieces`].
    pub fn write(&self) -> Result<Vec<u8>> {
        Ok(self.write_pieces()?.concat())
    }

    /// The same model with every tensor inside it.
    fn embedded(&self) -> Model {
        let mut model = self.clone();
        let external = std::mem::take(&mut model.external);
        if let Some(graph) = model.proto.graph.as_option_mut() {
            for t in super::visit::tensors_mut(graph) {
                if let Some(data) = super::read::external_key(t).and_then(|key| external.get(&key)) {
                    t.raw_data = Some(data.clone());
                    t.data_location = None;
                    t.external_data.clear();
                }
            }
        }
        model
    }
}
