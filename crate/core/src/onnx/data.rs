//! Bytes of tensors: at hand, or read from where they are whenever they are needed, and not kept.

use crate::error::{Code, Error, Result};
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;

/// A place that gives the same bytes whenever it is asked.
pub trait Source: fmt::Debug + Send + Sync {
    /// All of its bytes.
    ///
    /// # Errors
    /// When they cannot be read or made.
    fn read(&self) -> Result<Bytes>;
}

/// The bytes of a tensor.
#[derive(Clone, Debug)]
pub enum Data {
    /// In memory.
    Held(Bytes),
    /// Elsewhere: nothing is in memory but while somebody works with it.
    Later {
        /// How many bytes there are.
        length: usize,
        /// Where they come from.
        source: Arc<dyn Source>,
    },
}

impl Data {
    /// Bytes that a source gives when they are asked for.
    pub fn later(length: usize, source: impl Source + 'static) -> Self {
        Data::Later { length, source: Arc::new(source) }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        match self {
            Data::Held(bytes) => bytes.len(),
            Data::Later { length, .. } => *length,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes. Whoever asks should let go of them before asking for others.
    ///
    /// # Errors
    /// When they cannot be read, or are not as many as before.
    pub fn read(&self) -> Result<Bytes> {
        match self {
            Data::Held(bytes) => Ok(bytes.clone()),
            Data::Later { length, source } => {
                let bytes = source.read()?;
                if bytes.len() == *length {
                    return Ok(bytes);
                }
                let what = format!("{} bytes were read where {length} are expected: open the model anew", bytes.len());
                Err(Error::new(Code::ExternalMissing, what))
            }
        }
    }
}

impl From<Vec<u8>> for Data {
    fn from(bytes: Vec<u8>) -> Self {
        Data::Held(bytes.into())
    }
}

impl From<Bytes> for Data {
    fn from(bytes: Bytes) -> Self {
        Data::Held(bytes)
    }
}

/// Equal bytes, wherever they are.
impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && matches!((self.read(), other.read()), (Ok(a), Ok(b)) if a == b)
    }
}
