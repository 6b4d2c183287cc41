//! The one error type of the workspace: a code for programs, a sentence for people.

use std::fmt;

/// Which of the four ways an operation failed; also the exit status of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wrong options or arguments (exit status 2).
    Usage,
    /// The file is not valid (exit status 3).
    BadFile,
    /// Valid, but cannot be done as asked (exit status 4).
    CannotDo,
    /// The device failed or is not there (exit status 5).
    Device,
}

impl Class {
    /// The exit status of the command line.
    pub fn exit_status(self) -> u8 {
        match self {
            Class::Usage => 2,
            Class::BadFile => 3,
            Class::CannotDo => 4,
            Class::Device => 5,
        }
    }
}

macro_rules! codes {
    ($($name:ident, $class:ident, $text:literal, $doc:literal;)*) => {
        /// What went wrong, stable across versions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $(#[doc = $doc] $name,)* }
        impl Code {
            /// The code as text, such as `file.truncated`.
            pub fn as_str(self) -> &'static str { match self { $(Code::$name => $text,)* } }
            /// The class of failure, which decides the exit status.
            pub fn class(self) -> Class { match self { $(Code::$name => Class::$class,)* } }
            /// Every code, for documentation and tests.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];
        }
    };
}

codes! {
    Usage, Usage, "usage", "An option or argument does not make sense.";
    NotFound, BadFile, "file.not_found", "A file could not be opened or read.";
    NotOnnx, BadFile, "file.not_onnx", "The bytes are no ONNX model.";
    Truncated, BadFile, "file.truncated", "The bytes end before the message does.";
    TooLarge, BadFile, "file.too_large", "The file or something in it exceeds a limit.";
    TooDeep, BadFile, "file.too_deep", "Messages are nested deeper than the limit.";
    NoGraph, BadFile, "file.no_graph", "The model holds no graph or an empty one.";
    NoOpset, BadFile, "file.no_opset", "The model names no version of the standard operators.";
    OldOpset, CannotDo, "model.old_opset", "The operator set is older than what is supported.";
    DuplicateName, BadFile, "graph.duplicate_name", "One name is defined twice.";
    DanglingName, BadFile, "graph.dangling_name", "A node or output reads a name that nothing defines.";
    Cycle, BadFile, "graph.cycle", "Nodes depend on each other in a circle.";
    BadNode, BadFile, "graph.bad_node", "A node has too few inputs or outputs.";
    BadAttribute, BadFile, "graph.bad_attribute", "An attribute is missing, of the wrong type or out of range.";
    BadTensor, BadFile, "tensor.bad", "A tensor's data do not fit its type and dimensions.";
    BadDims, BadFile, "tensor.bad_dims", "A tensor's dimensions are negative or too large.";
    BadType, BadFile, "tensor.bad_type", "A data type is unknown or not allowed here.";
    ExternalPath, BadFile, "external.path", "External data point outside the model's folder.";
    ExternalMissing, BadFile, "external.missing", "External data are missing or too short.";
    BadShape, BadFile, "graph.bad_shape", "Shapes do not fit together.";
    Unsupported, CannotDo, "model.unsupported", "Valid, but Lopper cannot do this yet.";
    NoTarget, CannotDo, "plan.unreachable", "The target cannot be reached within the limits.";
    NothingToCut, CannotDo, "plan.nothing", "No group can be cut under these settings.";
    NotExact, CannotDo, "cut.not_exact", "The cut model differs from the masked one: a bug, not downloaded.";
    Invalid, CannotDo, "cut.invalid", "The structural validator refused the cut model.";
    BadReport, BadFile, "report.bad", "A report does not fit the model.";
    BadData, BadFile, "data.bad", "Images, labels or an archive cannot be used.";
    DataMismatch, CannotDo, "data.mismatch", "The data do not fit the model.";
    Diverged, CannotDo, "train.diverged", "The loss became infinite or not a number.";
    Cancelled, CannotDo, "cancelled", "The person cancelled.";
    NoDevice, Device, "device.none", "The device asked for is not there.";
    DeviceRefused, Device, "device.refused", "The device's self-test disagrees with the CPU.";
    DeviceLost, Device, "device.lost", "The device stopped answering or ran out of memory.";
}

/// An error: what, where and what to do, in one sentence.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
}

impl Error {
    /// An error with a code and a sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: shortened(message.into()) }
    }

    /// The stable code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error with its place put in front.
    pub fn at(self, place: impl fmt::Display) -> Self {
        Self { message: shortened(format!("{place}: {}", self.message)), ..self }
    }
}

/// Longest sentence in bytes: names and shapes in it come from the file, which may be hostile.
const MAX_MESSAGE: usize = 1000;

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    message
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code.as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}

/// Short for a result with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
