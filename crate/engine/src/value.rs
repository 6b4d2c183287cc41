//! What flows between nodes: tensors on the device, and small ones on the host.

use crate::tensor::DeviceTensor;
use burn::tensor::Device;
use lopper_core::onnx::Tensor;
use lopper_core::{Code, Error, Result};
use std::sync::{Arc, OnceLock};

/// Elements of a host tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum HostData {
    /// Real numbers.
    F32(Vec<f32>),
    /// Whole numbers of any ONNX type.
    I64(Vec<i64>),
    /// Truth values.
    Bool(Vec<bool>),
}

impl HostData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            HostData::F32(v) => v.len(),
            HostData::I64(v) => v.len(),
            HostData::Bool(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As real numbers.
    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            HostData::F32(v) => v.clone(),
            HostData::I64(v) => v.iter().map(|&x| x as f32).collect(),
            HostData::Bool(v) => v.iter().map(|&x| f32::from(u8::from(x))).collect(),
        }
    }

    /// As whole numbers; real ones lose their fraction.
    pub(crate) fn to_i64(&self) -> Vec<i64> {
        match self {
            HostData::F32(v) => v.iter().map(|&x| x as i64).collect(),
            HostData::I64(v) => v.clone(),
            HostData::Bool(v) => v.iter().map(|&x| i64::from(x)).collect(),
        }
    }

    /// As truth values.
    pub(crate) fn to_bool(&self) -> Vec<bool> {
        match self {
            HostData::F32(v) => v.iter().map(|&x| x != 0.0).collect(),
            HostData::I64(v) => v.iter().map(|&x| x != 0).collect(),
            HostData::Bool(v) => v.clone(),
        }
    }

    /// The elements at some places, in that order.
    pub(crate) fn pick(&self, places: impl Iterator<Item = usize>) -> Option<Self> {
        Some(match self {
            HostData::F32(v) => HostData::F32(places.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
            HostData::I64(v) => HostData::I64(places.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
            HostData::Bool(v) => HostData::Bool(places.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
        })
    }
}

/// A tensor in main memory.
#[derive(Clone, Debug, PartialEq)]
pub struct HostTensor {
    /// Lengths of the axes; empty for a scalar.
    pub dims: Vec<usize>,
    /// Elements.
    pub data: HostData,
}

impl HostTensor {
    /// A tensor of real numbers.
    ///
    /// # Errors
    /// When the number of elements is not the product of the lengths.
    pub fn f32(dims: Vec<usize>, values: Vec<f32>) -> Result<Self> {
        Self::new(dims, HostData::F32(values))
    }

    /// A tensor of whole numbers.
    ///
    /// # Errors
    /// When the number of elements is not the product of the lengths.
    pub fn i64(dims: Vec<usize>, values: Vec<i64>) -> Result<Self> {
        Self::new(dims, HostData::I64(values))
    }

    /// A tensor.
    ///
    /// # Errors
    /// When the number of elements is not the product of the lengths.
    pub fn new(dims: Vec<usize>, data: HostData) -> Result<Self> {
        let want = dims.iter().try_fold(1_usize, |a, &b| a.checked_mul(b));
        if want != Some(data.len()) {
            return Err(Error::new(Code::BadShape, format!("{} elements do not fill the shape {dims:?}", data.len())));
        }
        Ok(Self { dims, data })
    }

    /// The real numbers, if that is what it holds.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            HostData::F32(v) => Some(v),
            _ => None,
        }
    }

    /// Takes over a tensor of a model.
    pub(crate) fn of(tensor: &Tensor) -> Result<Self> {
        use lopper_core::onnx::DataType;
        let data = match tensor.dtype {
            t if t.is_float() => HostData::F32(tensor.to_f32()?),
            DataType::Bool => HostData::Bool(tensor.to_i64()?.into_iter().map(|v| v != 0).collect()),
            _ => HostData::I64(tensor.to_i64()?),
        };
        Self::new(tensor.dims.clone(), data)
    }
}

/// A host tensor that is copied to the device at most once.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) tensor: HostTensor,
    uploaded: OnceLock<DeviceTensor>,
}

/// A value of the graph while it runs. Whole numbers, truth values and what is computed from shapes stay on the host,
/// where 64-bit arithmetic is exact; real tensors live on the device.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Host(Arc<Held>),
    Device(Box<DeviceTensor>),
}

impl From<HostTensor> for Value {
    fn from(tensor: HostTensor) -> Self {
        Value::Host(Arc::new(Held { tensor, uploaded: OnceLock::new() }))
    }
}

impl From<DeviceTensor> for Value {
    fn from(t: DeviceTensor) -> Self {
        Value::Device(Box::new(t))
    }
}

impl Value {
    /// Lengths of the axes.
    pub(crate) fn dims(&self) -> Vec<usize> {
        match self {
            Value::Host(h) => h.tensor.dims.clone(),
            Value::Device(t) => t.dims(),
        }
    }

    /// The host tensor, if it is one.
    pub(crate) fn host(&self) -> Option<&HostTensor> {
        match self {
            Value::Host(h) => Some(&h.tensor),
            Value::Device(_) => None,
        }
    }

    /// Whether it holds real numbers.
    pub(crate) fn is_float(&self) -> bool {
        match self {
            Value::Host(h) => matches!(h.tensor.data, HostData::F32(_)),
            Value::Device(t) => t.kind() == crate::tensor::Kind::Float,
        }
    }

    /// The one real number of a host tensor with one element.
    pub(crate) fn scalar(&self) -> Option<f32> {
        match &self.host()?.data {
            HostData::F32(v) if v.len() == 1 => v.first().copied(),
            _ => None,
        }
    }

    /// The tensor on the device.
    pub(crate) fn on(self, device: &Device) -> Result<DeviceTensor> {
        match self {
            Value::Device(t) => Ok(*t),
            Value::Host(h) => {
                if let Some(t) = h.uploaded.get() {
                    return Ok(t.clone());
                }
                match Arc::try_unwrap(h) {
                    Ok(h) => DeviceTensor::upload_data(h.tensor.dims, h.tensor.data, device),
                    Err(h) => {
                        let t = DeviceTensor::upload(&h.tensor, device)?;
                        Ok(h.uploaded.get_or_init(|| t).clone())
                    }
                }
            }
        }
    }

    /// The tensor on the host.
    pub(crate) async fn download(self) -> Result<HostTensor> {
        match self {
            Value::Host(h) => Ok(Arc::try_unwrap(h).map_or_else(|h| h.tensor.clone(), |h| h.tensor)),
            Value::Device(t) => t.download().await,
        }
    }
}
