//! Bytes to a model, within bounds whatever the bytes are.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Model, Tensor};
use crate::error::{Code, Error, Result};
use buffa::{DecodeError, DecodeOptions};
use bytes::Bytes;
use std::collections::HashMap;

/// Depth of nested messages: a graph within an attribute of a node takes three levels.
const MAX_DEPTH: u32 = 64;

/// What decoding may hold in memory beyond the file itself: about eight times a file's size, at least 256 MiB.
fn memory_limit(file: usize) -> usize {
    file.saturating_mul(8).max(256 << 20)
}

/// Gives the bytes of files beside the model. `location` has passed the check that it stays in the model's folder.
pub trait ExternalData {
    /// The whole file at `location`, relative to the model.
    ///
    /// # Errors
    /// When there is no such file.
    fn load(&self, location: &str) -> Result<Bytes>;
}

/// Files that a person gave together with the model, each with its path. A location names the file of just that path, or the
/// only one whose path ends with it.
impl ExternalData for Vec<(String, Bytes)> {
    fn load(&self, location: &str) -> Result<Bytes> {
        let inside =
            |path: &str| path.strip_suffix(location).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
        let mut found = self.iter().filter(|(path, _)| inside(path));
        match (found.next(), found.next()) {
            (Some((_, bytes)), None) => Ok(bytes.clone()),
            (None, _) => NoExternalData.load(location),
            (Some((a, _)), Some((b, _))) => Err(Error::new(
                Code::ExternalMissing,
                format!(
                    "the model keeps tensors in {location:?}, which could be {a:?} or {b:?}: give only one of them"
                ),
            )),
        }
    }
}

/// For models that must hold all their data themselves.
#[derive(Clone, Copy, Debug)]
pub struct NoExternalData;

impl ExternalData for NoExternalData {
    fn load(&self, location: &str) -> Result<Bytes> {
        Err(Error::new(
            Code::ExternalMissing,
            format!(
                "the model keeps tensors in {location:?}, which is not here: open that file together with the model"
            ),
        ))
    }
}

impl Model {
    /// A model of a message that holds all of its tensors itself.
    ///
    /// # Errors
    /// When the message holds no graph.
    pub fn of(proto: ModelProto) -> Result<Self> {
        if proto.graph.as_option().is_none() {
            return Err(Error::new(Code::NoGraph, "the model holds no graph"));
        }
        Ok(Self { proto, external: HashMap::new() })
    }

    /// Reads a model that holds all its tensors itself. Tensors share `bytes`.
    ///
    /// # Errors
    /// With a code for every way in which bytes can fail to be a usable model.
    pub fn read(bytes: Bytes) -> Result<Self> {
        Self::read_with(bytes, &NoExternalData)
    }

    /// Reads a model whose tensors may live in other files.
    ///
    /// # Errors
    /// As [`Model::read`], and when external data are missing, too short or outside the folder.
    pub fn read_with(mut bytes: Bytes, files: &dyn ExternalData) -> Result<Self> {
        if bytes.is_empty() {
            return Err(Error::new(Code::Truncated, "the file is empty"));
        }
        let (limit, first) = (memory_limit(bytes.len()), bytes.first().copied());
        let proto: ModelProto = DecodeOptions::new()
            .with_recursion_limit(MAX_DEPTH)
            .with_element_memory_limit(limit)
            .with_unknown_field_limit(100_000)
            .decode(&mut bytes)
            .map_err(|e| explain(e, first))?;
        if proto.ir_version.is_none() && proto.opset_import.is_empty() {
            return Err(Error::new(
                Code::NotOnnx,
                "this is no ONNX model: it names neither an IR version nor an operator set",
            ));
        }
        let Some(graph) = proto.graph.as_option() else {
            return Err(Error::new(Code::NoGraph, "the model holds no graph"));
        };
        let mut external = HashMap::new();
        let mut loaded = HashMap::new();
        check_tensors(graph, files, &mut loaded, &mut external)?;
        for f in &proto.functions {
            check_nodes(&f.node, files, &mut loaded, &mut external)?;
        }
        Ok(Self { proto, external })
    }

    /// The graph message.
    pub fn graph(&self) -> &GraphProto {
        // Unset fields read as the default message, so this never fails.
        &self.proto.graph
    }

    /// The version of the standard operator set.
    pub fn opset(&self) -> Option<i64> {
        let standard = |d: &Option<String>| d.as_deref().is_none_or(|d| d.is_empty() || d == "ai.onnx");
        self.proto.opset_import.iter().find(|o| standard(&o.domain)).and_then(|o| o.version)
    }

    /// A tensor of the model with its bytes, wherever they live.
    ///
    /// # Errors
    /// When the tensor is malformed; the ones that were in the file when it was read are not.
    pub fn tensor(&self, proto: &TensorProto) -> Result<Tensor> {
        Tensor::from_proto(proto, external_key(proto).and_then(|key| self.external.get(&key)))
    }
}

/// What external data a tensor refers to. Names would not do: those of Constant nodes are often empty.
pub(super) fn external_key(t: &TensorProto) -> Option<String> {
    (t.data_location == Some(1)).then(|| format!("{:?}", t.external_data))
}

/// Whether a file can start with this byte: the tags of a model's fields below 16, or the first half of a longer tag.
fn starts_model(byte: u8) -> bool {
    matches!(byte, 0x08 | 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42 | 0x72 | 0x80..)
}

fn explain(e: DecodeError, first: Option<u8>) -> Error {
    match e {
        _ if first.is_none_or(|b| !starts_model(b)) => {
            Error::new(Code::NotOnnx, "the bytes are no ONNX model: it does not start like one")
        }
        DecodeError::UnexpectedEof => {
            Error::new(Code::Truncated, "the file ends in the middle: it was cut short or is no ONNX model")
        }
        DecodeError::RecursionLimitExceeded => Error::new(
            Code::TooDeep,
            format!("messages are nested more than {MAX_DEPTH} deep: no exporter writes such a model"),
        ),
        DecodeError::MessageTooLarge
        | DecodeError::UnknownFieldLimitExceeded
        | DecodeError::ElementMemoryLimitExceeded => {
            Error::new(Code::TooLarge, format!("the file exceeds a limit of the reader ({e})"))
        }
        other => Error::new(Code::NotOnnx, format!("the bytes are no ONNX model ({other})")),
    }
}

fn check_tensors(
    graph: &GraphProto,
    files: &dyn ExternalData,
    loaded: &mut HashMap<String, Bytes>,
    external: &mut HashMap<String, Bytes>,
) -> Result<()> {
    for t in &graph.initializer {
        check_tensor(t, files, loaded, external)?;
    }
    check_nodes(&graph.node, files, loaded, external)
}

fn check_nodes(
    nodes: &[NodeProto],
    files: &dyn ExternalData,
    loaded: &mut HashMap<String, Bytes>,
    external: &mut HashMap<String, Bytes>,
) -> Result<()> {
    for node in nodes {
        for a in &node.attribute {
            if let Some(t) = a.t.as_option() {
                check_tensor(t, files, loaded, external).map_err(|e| e.at(node_place(node.name.as_deref())))?;
            }
            for g in a.g.as_option().into_iter().chain(&a.graphs) {
                check_tensors(g, files, loaded, external)?;
            }
        }
    }
    Ok(())
}

fn node_place(name: Option<&str>) -> String {
    format!("node {:?}", name.unwrap_or_default())
}

fn check_tensor(
    t: &TensorProto,
    files: &dyn ExternalData,
    loaded: &mut HashMap<String, Bytes>,
    external: &mut HashMap<String, Bytes>,
) -> Result<()> {
    let Some(key) = external_key(t) else {
        return Tensor::from_proto(t, None).map(drop);
    };
    let name = t.name.as_deref().unwrap_or_default();
    let data = external_bytes(t, files, loaded).map_err(|e| e.at(format!("tensor {name:?}")))?;
    Tensor::from_proto(t, Some(&data))?;
    external.insert(key, data);
    Ok(())
}

fn external_bytes(t: &TensorProto, files: &dyn ExternalData, loaded: &mut HashMap<String, Bytes>) -> Result<Bytes> {
    let entry =
        |key: &str| t.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref());
    let number = |key: &str| -> Result<Option<usize>> {
        entry(key)
            .map(|v| {
                v.parse::<usize>()
                    .map_err(|_| Error::new(Code::BadTensor, format!("external {key} {v:?} is no length")))
            })
            .transpose()
    };
    let location =
        entry("location").ok_or_else(|| Error::new(Code::ExternalPath, "external data without a location"))?;
    stays_inside(location)?;
    let file = match loaded.get(location) {
        Some(file) => file.clone(),
        None => {
            let file = files.load(location)?;
            loaded.insert(location.to_owned(), file.clone());
            file
        }
    };
    let start = number("offset")?.unwrap_or(0);
    let end = match number("length")? {
        Some(length) => start.checked_add(length),
        None => Some(file.len()),
    };
    match end {
        Some(end) if start <= end && end <= file.len() => Ok(file.slice(start..end)),
        _ => Err(Error::new(Code::ExternalMissing, format!("{location:?} is too short for offset {start}"))),
    }
}

/// A location must name a file below the model's folder on every operating system.
fn stays_inside(location: &str) -> Result<()> {
    let outside = location.is_empty()
        || location.contains(['\\', ':', '\0'])
        || location.starts_with('/')
        || location.split('/').any(|part| part == "..");
    if outside {
        return Err(Error::new(
            Code::ExternalPath,
            format!("external data at {location:?} would leave the model's folder: refused"),
        ));
    }
    Ok(())
}
