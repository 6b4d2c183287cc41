//! Small constants, as far as shape arithmetic needs them.

use super::Dim;
use crate::onnx::{DataType, Tensor};

/// Larger tensors are never folded.
pub const MAX_FOLDED: usize = 4096;

/// Elements of a constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Elements {
    /// Whole numbers and booleans; they may depend on symbolic lengths.
    Ints(Vec<Dim>),
    /// Real numbers.
    Floats(Vec<f64>),
}

/// A value known before anything runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Element type.
    pub dtype: DataType,
    /// Lengths of the axes.
    pub dims: Vec<usize>,
    /// Elements, row-major.
    pub elements: Elements,
}

impl Constant {
    /// Of a tensor, if it is small and numeric.
    pub fn of(tensor: &Tensor) -> Option<Self> {
        if tensor.len() > MAX_FOLDED {
            return None;
        }
        let elements = if tensor.dtype.is_float() {
            Elements::Floats(tensor.to_f64().ok()?)
        } else {
            Elements::Ints(tensor.to_i64().ok()?.into_iter().map(Dim::Known).collect())
        };
        Some(Self { dtype: tensor.dtype, dims: tensor.dims.clone(), elements })
    }

    /// A list of int64.
    pub fn ints(values: Vec<Dim>) -> Self {
        Self { dtype: DataType::Int64, dims: vec![values.len()], elements: Elements::Ints(values) }
    }

    /// As a tensor, if every element is known and its type has a constructor.
    pub(crate) fn to_tensor(&self, name: &str) -> Option<Tensor> {
        match (&self.elements, self.dtype) {
            (Elements::Ints(_), DataType::Int64) => {
                Some(Tensor::from_i64(name.to_owned(), self.dims.clone(), &self.as_known()?))
            }
            (Elements::Floats(v), DataType::Float) => {
                let values: Vec<f32> = v.iter().map(|&x| x as f32).collect();
                Some(Tensor::from_f32(name.to_owned(), self.dims.clone(), &values))
            }
            _ => None,
        }
    }

    /// The whole numbers, symbolic or not.
    pub fn as_ints(&self) -> Option<&[Dim]> {
        match &self.elements {
            Elements::Ints(v) => Some(v),
            Elements::Floats(_) => None,
        }
    }

    /// The whole numbers, if all are known.
    pub fn as_known(&self) -> Option<Vec<i64>> {
        self.as_ints()?.iter().map(Dim::known).collect()
    }

    /// The real numbers.
    pub fn as_floats(&self) -> Option<&[f64]> {
        match &self.elements {
            Elements::Floats(v) => Some(v),
            Elements::Ints(_) => None,
        }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match &self.elements {
            Elements::Ints(v) => v.len(),
            Elements::Floats(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether every element is known.
    pub fn is_known(&self) -> bool {
        match &self.elements {
            Elements::Ints(v) => v.iter().all(|d| d.known().is_some()),
            Elements::Floats(_) => true,
        }
    }
}
