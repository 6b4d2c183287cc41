//! Bytes to a model, within bounds whatever the bytes are.

use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Data, Model, Source, Tensor, visit};
use crate::error::{Code, Error, Result};
use crate::graph::MAX_FOLDED;
use buffa::{DecodeError, DecodeOptions};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

/// Depth of nested messages: a graph within an attribute of a node takes three levels.
const MAX_DEPTH: u32 = 64;

/// What decoding may hold in memory beyond the file itself: about eight times a file's size, at least 256 MiB.
fn memory_limit(file: usize) -> usize {
    file.saturating_mul(8).max(256 << 20)
}

/// Tensors of at most so many bytes are read when a model is opened: they may say how data are laid out.
const SMALL: usize = 8 * MAX_FOLDED;

/// Files beside a model that hold more than this stay apart: its cut has such a file, too.
const MOST_TOGETHER: usize = 64 << 20;

/// Gives the bytes of files beside the model. `location` has passed the check that it stays in the model's folder.
pub trait ExternalData: Send + Sync {
    /// Number of bytes of the file at `location`, relative to the model.
    ///
    /// # Errors
    /// When there is no such file.
    fn length(&self, location: &str) -> Result<u64>;

    /// Bytes of the file at `location` from `offset` on.
    ///
    /// # Errors
    /// When there is no such file, or it has become shorter.
    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes>;
}

/// Files that a person gave together with the model, each with its path. A location names the file of just that path, or the
/// only one whose path ends with it.
impl ExternalData for Vec<(String, Bytes)> {
    fn length(&self, location: &str) -> Result<u64> {
        let at = chosen(self.iter().map(|(path, _)| path.as_str()), location)?;
        Ok(self.get(at).map_or(0, |file| file.1.len() as u64))
    }

    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let at = chosen(self.iter().map(|(path, _)| path.as_str()), location)?;
        let range = usize::try_from(offset).ok().and_then(|start| Some(start..start.checked_add(length)?));
        let found = self.get(at).zip(range).filter(|((_, bytes), range)| range.end <= bytes.len());
        found.map(|((_, bytes), range)| bytes.slice(range)).ok_or_else(|| too_short(location, offset))
    }
}

/// Which of the paths of files that a person gave is the one that a model calls `location`: just that path, or the only one
/// that ends with it.
///
/// # Errors
/// When none or several could be.
pub fn chosen<'a>(paths: impl Iterator<Item = &'a str>, location: &str) -> Result<usize> {
    let inside =
        |path: &str| path.strip_suffix(location).is_some_and(|folder| folder.is_empty() || folder.ends_with('/'));
    let mut found = paths.enumerate().filter(|(_, path)| inside(path));
    match (found.next(), found.next()) {
        (Some((at, _)), None) => Ok(at),
        (None, _) => Err(missing(location)),
        (Some((_, a)), Some((_, b))) => Err(Error::new(
            Code::ExternalMissing,
            format!("the model keeps tensors in {location:?}, which could be {a:?} or {b:?}: give only one of them"),
        )),
    }
}

fn missing(location: &str) -> Error {
    let what =
        format!("the model keeps tensors in {location:?}, which is not here: open that file together with the model");
    Error::new(Code::ExternalMissing, what)
}

fn too_short(location: &str, offset: u64) -> Error {
    Error::new(Code::ExternalMissing, format!("{location:?} is too short for offset {offset}"))
}

/// For models that must hold all their data themselves.
#[derive(Clone, Copy, Debug)]
pub struct NoExternalData;

impl ExternalData for NoExternalData {
    fn length(&self, location: &str) -> Result<u64> {
        Err(missing(location))
    }

    fn read(&self, location: &str, _offset: u64, _length: usize) -> Result<Bytes> {
        Err(missing(location))
    }
}

/// A range of a file beside the model.
struct Stored {
    files: Arc<dyn ExternalData>,
    location: String,
    offset: u64,
    length: usize,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of {:?} from {}", self.length, self.location, self.offset)
    }
}

impl Source for Stored {
    fn read(&self) -> Result<Bytes> {
        self.files.read(&self.location, self.offset, self.length)
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
        Ok(Self { proto, external: HashMap::new(), apart: false })
    }

    /// Reads a model that holds all its tensors itself. Tensors share `bytes`.
    ///
    /// # Errors
    /// With a code for every way in which bytes can fail to be a usable model.
    pub fn read(bytes: Bytes) -> Result<Self> {
        Self::read_with(bytes, &(Arc::new(NoExternalData) as Arc<dyn ExternalData>))
    }

    /// Reads a model whose tensors may live in other files. They are read whenever they are needed, but for small ones.
    ///
    /// # Errors
    /// As [`Model::read`], and when external data are missing, too short or outside the folder.
    pub fn read_with(mut bytes: Bytes, files: &Arc<dyn ExternalData>) -> Result<Self> {
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
        let mut beside = Beside { files, lengths: HashMap::new(), external: HashMap::new() };
        beside.check_tensors(graph)?;
        for f in &proto.functions {
            beside.check_nodes(&f.node)?;
        }
        let external = beside.external;
        let apart = external.values().map(Data::len).fold(0, usize::saturating_add) > MOST_TOGETHER;
        Ok(Self { proto, external, apart })
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

    /// Bytes of tensors that are not in the message.
    pub fn outside(&self) -> u64 {
        self.external.values().map(|data| data.len() as u64).sum()
    }

    /// Lets go of data that are not in the message and that no tensor refers to any more.
    pub(crate) fn forget_unread(&mut self) {
        if self.external.is_empty() {
            return;
        }
        let tensors = self.proto.graph.as_option_mut().into_iter().flat_map(visit::tensors_mut);
        let read: HashSet<String> = tensors.filter_map(|t| external_key(t)).collect();
        self.external.retain(|key, _| read.contains(key));
    }

    /// The files beside the model that hold tensors of it, relative to the model.
    pub fn locations(&self) -> BTreeSet<String> {
        let mut out = BTreeSet::new();
        let mut model = self.clone();
        for t in model.proto.graph.as_option_mut().into_iter().flat_map(visit::tensors_mut) {
            let place = t.external_data.iter().filter(|_| t.data_location == Some(1));
            out.extend(place.filter(|e| e.key.as_deref() == Some("location")).filter_map(|e| e.value.clone()));
        }
        out
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

fn node_place(name: Option<&str>) -> String {
    format!("node {:?}", name.unwrap_or_default())
}

/// Finds the bytes of tensors that are in other files.
struct Beside<'a> {
    files: &'a Arc<dyn ExternalData>,
    lengths: HashMap<String, u64>,
    external: HashMap<String, Data>,
}

impl Beside<'_> {
    fn check_tensors(&mut self, graph: &GraphProto) -> Result<()> {
        for t in &graph.initializer {
            self.check_tensor(t)?;
        }
        self.check_nodes(&graph.node)
    }

    fn check_nodes(&mut self, nodes: &[NodeProto]) -> Result<()> {
        for node in nodes {
            for a in &node.attribute {
                if let Some(t) = a.t.as_option() {
                    self.check_tensor(t).map_err(|e| e.at(node_place(node.name.as_deref())))?;
                }
                for g in a.g.as_option().into_iter().chain(&a.graphs) {
                    self.check_tensors(g)?;
                }
            }
        }
        Ok(())
    }

    fn check_tensor(&mut self, t: &TensorProto) -> Result<()> {
        let Some(key) = external_key(t) else {
            return Tensor::from_proto(t, None).map(drop);
        };
        let name = t.name.as_deref().unwrap_or_default();
        let data = self.find(t).map_err(|e| e.at(format!("tensor {name:?}")))?;
        Tensor::from_proto(t, Some(&data))?;
        self.external.insert(key, data);
        Ok(())
    }

    fn find(&mut self, t: &TensorProto) -> Result<Data> {
        let entry =
            |key: &str| t.external_data.iter().find(|e| e.key.as_deref() == Some(key)).and_then(|e| e.value.as_deref());
        let number = |key: &str| -> Result<Option<u64>> {
            let bad = |v: &str| Error::new(Code::BadTensor, format!("external {key} {v:?} is no length"));
            entry(key).map(|v| v.parse::<u64>().map_err(|_| bad(v))).transpose()
        };
        let location =
            entry("location").ok_or_else(|| Error::new(Code::ExternalPath, "external data without a location"))?;
        stays_inside(location)?;
        let whole = match self.lengths.get(location) {
            Some(length) => *length,
            None => {
                let length = self.files.length(location)?;
                self.lengths.insert(location.to_owned(), length);
                length
            }
        };
        let offset = number("offset")?.unwrap_or(0);
        let end = number("length")?.map_or(Some(whole), |length| offset.checked_add(length));
        let end = end.filter(|end| offset <= *end && *end <= whole).ok_or_else(|| too_short(location, offset))?;
        let length = usize::try_from(end - offset).map_err(|_| {
            Error::new(Code::TooLarge, format!("{} bytes are more than one tensor may have here", end - offset))
        })?;
        if length <= SMALL {
            return self.files.read(location, offset, length).map(Data::Held);
        }
        Ok(Data::later(length, Stored { files: Arc::clone(self.files), location: location.to_owned(), offset, length }))
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
