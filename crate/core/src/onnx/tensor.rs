//! A tensor with its elements as packed little-endian bytes.

use super::proto::TensorProto;
use super::{Data, DataType};
use crate::error::{Code, Error, Result};
use crate::graph::{MAX_ELEMENTS, MAX_RANK};
use bytes::Bytes;

/// A dense tensor; `data` shares the bytes of the file where the encoding allows it, and may still be in another file.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The initializer's name, or the output of its Constant node.
    pub name: String,
    /// Element type.
    pub dtype: DataType,
    /// Dimensions; empty for a scalar.
    pub dims: Vec<usize>,
    /// Elements, row-major, little-endian, packed.
    pub data: Data,
}

impl Tensor {
    /// Builds a float tensor.
    pub fn from_f32(name: impl Into<String>, dims: Vec<usize>, values: &[f32]) -> Self {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
        Self { name: name.into(), dtype: DataType::Float, dims, data }
    }

    /// Builds an int64 tensor.
    pub fn from_i64(name: impl Into<String>, dims: Vec<usize>, values: &[i64]) -> Self {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into();
        Self { name: name.into(), dtype: DataType::Int64, dims, data }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes.
    ///
    /// # Errors
    /// When they are elsewhere and cannot be read.
    pub fn bytes(&self) -> Result<Bytes> {
        self.data.read().map_err(|e| e.at(format!("tensor {:?}", self.name)))
    }

    /// The same tensor with its bytes in memory.
    ///
    /// # Errors
    /// As [`Tensor::bytes`].
    pub fn held(&self) -> Result<Self> {
        Ok(Self { data: self.bytes()?.into(), ..self.clone() })
    }

    /// Reads a tensor of the wire format; `external` holds its bytes when they live in another file.
    ///
    /// # Errors
    /// When dimensions are negative or too large, the type is unknown, or data and dimensions disagree.
    pub fn from_proto(proto: &TensorProto, external: Option<&Data>) -> Result<Self> {
        let name = proto.name.clone().unwrap_or_default();
        Self::read(proto, external).map_err(|e| e.at(format!("tensor {name:?}"))).map(|t| Self { name, ..t })
    }

    fn read(proto: &TensorProto, external: Option<&Data>) -> Result<Self> {
        let dtype = DataType::from_number(proto.data_type.unwrap_or(0))?;
        if proto.dims.len() > MAX_RANK {
            return Err(Error::new(Code::BadDims, format!("{} dimensions are more than {MAX_RANK}", proto.dims.len())));
        }
        let mut dims = Vec::with_capacity(proto.dims.len());
        let mut count = 1usize;
        for &d in &proto.dims {
            let d = usize::try_from(d).map_err(|_| Error::new(Code::BadDims, format!("dimension {d} is negative")))?;
            count = count
                .checked_mul(d.max(1))
                .filter(|&c| c <= MAX_ELEMENTS)
                .ok_or_else(|| Error::new(Code::BadDims, format!("dimensions {:?} are too large", proto.dims)))?;
            dims.push(d);
        }
        let count = dims.iter().product::<usize>();
        let data = match (&proto.raw_data, external) {
            (_, Some(bytes)) => bytes.clone(),
            (Some(raw), None) => raw.clone().into(),
            (None, None) => typed_data(proto, dtype)?.into(),
        };
        let want = dtype.bytes_for(count).unwrap_or(usize::MAX);
        if dtype != DataType::String && data.len() != want {
            return Err(Error::new(
                Code::BadTensor,
                format!("dimensions {dims:?} of {} need {want} bytes, but the file holds {}", dtype.name(), data.len()),
            ));
        }
        if dtype == DataType::String && proto.string_data.len() != count {
            return Err(Error::new(
                Code::BadTensor,
                format!("{count} strings expected, {} found", proto.string_data.len()),
            ));
        }
        Ok(Self { name: String::new(), dtype, dims, data })
    }

    /// The elements as float32; exact for float32, float16 and bfloat16, rounded for float64 and integers.
    ///
    /// # Errors
    /// For types that hold no real numbers of their own (strings, complex, floats of 8 bits and less).
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let bytes = self.bytes()?;
        let d = bytes.as_ref();
        Ok(match self.dtype {
            DataType::Float => words::<4>(d).map(f32::from_le_bytes).collect(),
            DataType::Double => words::<8>(d).map(|b| f64::from_le_bytes(b) as f32).collect(),
            DataType::Float16 => words::<2>(d).map(|b| half_to_f32(u16::from_le_bytes(b))).collect(),
            DataType::Bfloat16 => {
                words::<2>(d).map(|b| f32::from_bits(u32::from(u16::from_le_bytes(b)) << 16)).collect()
            }
            DataType::Bool => d.iter().map(|&b| if b == 0 { 0.0 } else { 1.0 }).collect(),
            _ => self.to_i64()?.into_iter().map(|v| v as f32).collect(),
        })
    }

    /// The elements as float64 of what [`Tensor::to_f32`] gives.
    ///
    /// # Errors
    /// As [`Tensor::to_f32`].
    pub fn to_f64(&self) -> Result<Vec<f64>> {
        match self.dtype {
            DataType::Float => Ok(words::<4>(&self.bytes()?).map(|b| f64::from(f32::from_le_bytes(b))).collect()),
            _ => Ok(self.to_f32()?.into_iter().map(f64::from).collect()),
        }
    }

    /// The elements as int64, for integer and bool types.
    ///
    /// # Errors
    /// For any other type.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        let bytes = self.bytes()?;
        let d = bytes.as_ref();
        Ok(match self.dtype {
            DataType::Int64 => words::<8>(d).map(i64::from_le_bytes).collect(),
            DataType::Uint64 => {
                words::<8>(d).map(|b| i64::try_from(u64::from_le_bytes(b)).unwrap_or(i64::MAX)).collect()
            }
            DataType::Int32 => words::<4>(d).map(|b| i64::from(i32::from_le_bytes(b))).collect(),
            DataType::Uint32 => words::<4>(d).map(|b| i64::from(u32::from_le_bytes(b))).collect(),
            DataType::Int16 => words::<2>(d).map(|b| i64::from(i16::from_le_bytes(b))).collect(),
            DataType::Uint16 => words::<2>(d).map(|b| i64::from(u16::from_le_bytes(b))).collect(),
            DataType::Int8 => d.iter().map(|&b| i64::from(b as i8)).collect(),
            DataType::Uint8 | DataType::Bool => d.iter().map(|&b| i64::from(b)).collect(),
            DataType::Int4 | DataType::Uint4 | DataType::Int2 | DataType::Uint2 => self.packed(d),
            other => {
                return Err(Error::new(
                    Code::BadType,
                    format!("tensor {:?}: whole numbers expected, found {}", self.name, other.name()),
                ));
            }
        })
    }
}

impl Tensor {
    /// Whole numbers of 2 or 4 bits, the first one in a byte's lowest bits.
    fn packed(&self, bytes: &[u8]) -> Vec<i64> {
        let bits = self.dtype.bits();
        let signed = matches!(self.dtype, DataType::Int4 | DataType::Int2);
        let number = |i: usize| {
            let byte = i64::from(bytes.get(i * bits / 8).copied().unwrap_or(0));
            let own = byte >> (i * bits % 8) & ((1 << bits) - 1);
            if signed && own >> (bits - 1) == 1 { own - (1 << bits) } else { own }
        };
        (0..self.len()).map(number).collect()
    }
}

/// A tensor in the wire format with its elements in `raw_data`. One that cannot be read has none, which [`Tensor::from_proto`]
/// refuses.
pub fn tensor_proto(tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: Some(tensor.name.clone()),
        data_type: Some(tensor.dtype as i32),
        dims: tensor.dims.iter().map(|&d| d as i64).collect(),
        raw_data: tensor.bytes().ok(),
        ..TensorProto::default()
    }
}

fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
    bytes.chunks_exact(N).map(|c| <[u8; N]>::try_from(c).unwrap_or([0; N]))
}

/// The typed fields of a tensor as packed bytes. ONNX puts every type of at most 32 bits but float32 into `int32_data`.
fn typed_data(p: &TensorProto, dtype: DataType) -> Result<Bytes> {
    let out: Vec<u8> = match dtype {
        DataType::Float | DataType::Complex64 => p.float_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Double | DataType::Complex128 => p.double_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Int64 => p.int64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Uint64 => p.uint64_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Uint32 => p.uint64_data.iter().flat_map(|&v| (v as u32).to_le_bytes()).collect(),
        DataType::Int32 => p.int32_data.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DataType::Float16 | DataType::Bfloat16 | DataType::Int16 | DataType::Uint16 => {
            p.int32_data.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect()
        }
        DataType::String => Vec::new(),
        _ if dtype.bits() <= 8 => p.int32_data.iter().map(|&v| v as u8).collect(),
        _ => return Err(Error::new(Code::BadType, format!("{} without raw data", dtype.name()))),
    };
    Ok(out.into())
}

fn half_to_f32(h: u16) -> f32 {
    let sign = if h & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(h >> 10 & 0x1f), f32::from(h & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        e => (1.0 + fraction / 1024.0) * 2f32.powi(e - 15),
    }
}
