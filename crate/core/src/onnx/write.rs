//! A model to bytes.

use super::proto::{StringStringEntryProto, TensorProto};
use super::read::external_key;
use super::{Data, Model, visit};
use crate::error::{Code, Error, Result};
use buffa::{Message as _, Rope};
use bytes::Bytes;
use std::collections::HashMap;

/// Protobuf readers refuse messages of 2 GiB; a margin is left for what surrounds the tensors.
const MAX_BYTES: usize = (1 << 31) - (1 << 20);

/// Tensors of fewer bytes are copied into what surrounds them.
const PIECE: usize = 4096;

/// Tensors of fewer bytes stay in a model that keeps its tensors beside it.
const SMALL: usize = 32 << 10;

/// Where tensors begin in a file beside a model: at whole pages, so that runtimes can map them.
const PAGE: u64 = 4096;

impl Model {
    /// Whether the model keeps its tensors in a file beside it, where one file would become too large.
    pub fn is_apart(&self) -> bool {
        self.apart
    }

    /// The file in pieces, with every tensor in it. Tensors are the pieces that were read, not copies; those that are elsewhere
    /// are read with their piece.
    ///
    /// # Errors
    /// When the file would reach the 2 GiB that protobuf allows, or a small tensor cannot be read.
    pub fn write_pieces(&self) -> Result<Vec<Data>> {
        if self.external.is_empty() {
            return Ok(encoded(self)?.into_iter().map(Data::Held).collect());
        }
        // Zeros of the right length stand for tensors that are elsewhere; where they begin tells which.
        let longest = self.external.values().map(Data::len).max().unwrap_or(0);
        let zeros = Bytes::from(vec![0; longest.saturating_add(self.external.len())]);
        let mut later: Vec<Data> = Vec::new();
        let whole = self.replaced(|t, data| {
            t.raw_data = Some(if data.len() < PIECE {
                data.read()?
            } else {
                later.push(data.clone());
                zeros.slice(later.len() - 1..later.len() - 1 + data.len())
            });
            forget_place(t);
            Ok(())
        })?;
        let first = zeros.as_ptr() as usize;
        let piece = |bytes: Bytes| {
            let which = (bytes.as_ptr() as usize).checked_sub(first).and_then(|i| later.get(i));
            which.cloned().unwrap_or(Data::Held(bytes))
        };
        Ok(encoded(&whole)?.into_iter().map(piece).collect())
    }

    /// The file in pieces, and those of a file at `location` beside it that holds all larger tensors that are elsewhere.
    ///
    /// # Errors
    /// As [`Model::write_pieces`].
    pub fn write_apart(&self, location: &str) -> Result<(Vec<Data>, Vec<Data>)> {
        let (mut beside, mut end) = (Vec::new(), 0u64);
        let model = self.replaced(|t, data| {
            if data.len() < SMALL {
                t.raw_data = Some(data.read()?);
                forget_place(t);
                return Ok(());
            }
            let gap = end.next_multiple_of(PAGE) - end;
            if gap > 0 {
                beside.push(Data::from(vec![0; gap as usize]));
            }
            end += gap;
            t.raw_data = None;
            t.data_location = Some(1);
            let length = data.len() as u64;
            t.external_data = vec![
                entry("location", location.to_owned()),
                entry("offset", end.to_string()),
                entry("length", length.to_string()),
            ];
            end += length;
            beside.push(data.clone());
            Ok(())
        })?;
        Ok((encoded(&model)?.into_iter().map(Data::Held).collect(), beside))
    }

    /// The file as one buffer.
    ///
    /// # Errors
    /// As [`Model::write_pieces`], and when a tensor cannot be read.
    pub fn write(&self) -> Result<Vec<u8>> {
        let pieces = self.write_pieces()?;
        let mut out = Vec::with_capacity(pieces.iter().map(Data::len).sum());
        for piece in pieces {
            out.extend_from_slice(&piece.read()?);
        }
        Ok(out)
    }

    /// The same model with every tensor in the message, in memory.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn held(&self) -> Result<Model> {
        self.replaced(|t, data| {
            t.raw_data = Some(data.read()?);
            forget_place(t);
            Ok(())
        })
    }

    /// The same model with tensors that are not in the message changed by `change`.
    fn replaced(&self, mut change: impl FnMut(&mut TensorProto, &Data) -> Result<()>) -> Result<Model> {
        let mut model = Model { proto: self.proto.clone(), external: HashMap::new(), apart: false };
        if let Some(graph) = model.proto.graph.as_option_mut() {
            for t in visit::tensors_mut(graph) {
                if let Some(data) = external_key(t).and_then(|key| self.external.get(&key)) {
                    change(t, data)?;
                }
            }
        }
        Ok(model)
    }
}

/// Gives a tensor other bytes. Those that are elsewhere get a place of their own, which no file can name.
pub(crate) fn set_data(slot: &mut TensorProto, name: &str, data: Data, external: &mut HashMap<String, Data>) {
    forget_place(slot);
    slot.raw_data = None;
    match data {
        Data::Held(bytes) => slot.raw_data = Some(bytes),
        later @ Data::Later { .. } => {
            slot.data_location = Some(1);
            slot.external_data = vec![entry("location", format!("\0{name}"))];
            external.extend(external_key(slot).map(|key| (key, later)));
        }
    }
}

fn entry(key: &str, value: String) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value), ..StringStringEntryProto::default() }
}

fn forget_place(t: &mut TensorProto) {
    t.data_location = None;
    t.external_data.clear();
}

fn encoded(model: &Model) -> Result<Vec<Bytes>> {
    let mut rope = Rope::with_min_segment(PIECE);
    if model.proto.try_encode(&mut rope).is_err() || rope.len() > MAX_BYTES {
        return Err(Error::new(
            Code::TooLarge,
            "the model with all its tensors is too large: one ONNX file holds at most 2 GiB",
        ));
    }
    Ok(rope.into_segments())
}
