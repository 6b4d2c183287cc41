//! A burn tensor whose rank is known only at run time.
//!
//! burn's `Tensor<D>` carries its rank as a type; underneath lies one untyped tensor, which is what is kept here. Code
//! that needs the typed one names the rank with [`by_rank!`].

use crate::value::{HostData, HostTensor};
use burn::tensor::kind::BridgeTensor;
use burn::tensor::{Bool, Device, Int, Shape, Slice, Tensor, TensorData};
use lopper_core::{Code, Error, Result};

/// The highest rank that is compiled in.
pub(crate) const MAX_RANK: usize = 6;

/// Runs `$body` with the constant `$d` set to a rank that is known only now; scalars are held as rank 1.
macro_rules! by_rank {
    ($rank:expr, $d:ident => $body:expr) => {
        match $rank {
            0 | 1 => {
                const $d: usize = 1;
                $body
            }
            2 => {
                const $d: usize = 2;
                $body
            }
            3 => {
                const $d: usize = 3;
                $body
            }
            4 => {
                const $d: usize = 4;
                $body
            }
            5 => {
                const $d: usize = 5;
                $body
            }
            6 => {
                const $d: usize = 6;
                $body
            }
            rank => Err($crate::tensor::too_many_axes(rank)),
        }
    };
}
pub(crate) use by_rank;

pub(crate) fn too_many_axes(rank: usize) -> Error {
    Error::new(Code::Unsupported, format!("a tensor of {rank} axes cannot be run: {MAX_RANK} is the most"))
}

fn shape_error(what: impl Into<String>) -> Error {
    Error::new(Code::BadShape, what)
}

#[cfg(test)]
thread_local! {
    /// How often this thread has read from a device.
    pub(crate) static WAITS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What a tensor on a device holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Float,
    Int,
    Bool,
}

/// A tensor on a device.
#[derive(Clone, Debug)]
pub(crate) struct DeviceTensor {
    inner: BridgeTensor,
    /// ONNX's rank 0, which burn does not have: held as one axis of length 1.
    scalar: bool,
}

impl<const D: usize> From<Tensor<D>> for DeviceTensor {
    fn from(t: Tensor<D>) -> Self {
        Self { inner: t.into_bridge(), scalar: false }
    }
}

impl<const D: usize> From<Tensor<D, Int>> for DeviceTensor {
    fn from(t: Tensor<D, Int>) -> Self {
        Self { inner: t.into_bridge(), scalar: false }
    }
}

impl<const D: usize> From<Tensor<D, Bool>> for DeviceTensor {
    fn from(t: Tensor<D, Bool>) -> Self {
        Self { inner: t.into_bridge(), scalar: false }
    }
}

impl DeviceTensor {
    /// Copies a host tensor to a device.
    pub(crate) fn upload(host: &HostTensor, device: &Device) -> Result<Self> {
        Self::upload_data(host.dims.clone(), host.data.clone(), device)
    }

    /// Moves elements to a device.
    pub(crate) fn upload_data(dims: Vec<usize>, data: HostData, device: &Device) -> Result<Self> {
        if dims.contains(&0) {
            return Err(Error::new(Code::Unsupported, format!("an empty tensor of shape {dims:?} cannot be run")));
        }
        let scalar = dims.is_empty();
        let shape = Shape::from(if scalar { vec![1] } else { dims });
        let rank = shape.num_dims();
        let mut tensor: Self = by_rank!(rank, D => Ok(match data {
            HostData::F32(v) => Tensor::<D>::from_data(TensorData::new(v, shape), device).into(),
            HostData::I64(v) => Tensor::<D, Int>::from_data(TensorData::new(v, shape), device).into(),
            HostData::Bool(v) => Tensor::<D, Bool>::from_data(TensorData::new(v, shape), device).into(),
        }))?;
        tensor.scalar = scalar;
        Ok(tensor)
    }

    /// Reads the elements back; the only way that also works in a browser.
    pub(crate) async fn download(self) -> Result<HostTensor> {
        #[cfg(test)]
        WAITS.set(WAITS.get() + 1);
        let (dims, kind) = (self.dims(), self.kind());
        let lost = |e: &dyn std::fmt::Debug| {
            Error::new(Code::DeviceLost, format!("results could not be read back from the device ({e:?})"))
        };
        let read = |data: TensorData| -> Result<HostData> {
            Ok(match kind {
                Kind::Float => HostData::F32(data.convert::<f32>().try_to_vec::<f32>().map_err(|e| lost(&e))?),
                Kind::Int => HostData::I64(data.convert::<i64>().try_to_vec::<i64>().map_err(|e| lost(&e))?),
                Kind::Bool => HostData::Bool(data.iter::<bool>().collect()),
            })
        };
        // The rank does not matter for reading, so the flat one is always used.
        let flat = [dims.iter().product::<usize>()];
        let data = match kind {
            Kind::Float => Tensor::<1>::from_bridge(self.inner).reshape(flat).into_data_async().await,
            Kind::Int => Tensor::<1, Int>::from_bridge(self.inner).reshape(flat).into_data_async().await,
            Kind::Bool => Tensor::<1, Bool>::from_bridge(self.inner).reshape(flat).into_data_async().await,
        };
        Ok(HostTensor { dims, data: read(data.map_err(|e| lost(&e))?)? })
    }

    /// The elements, from a device that has them at hand: the CPU.
    pub(crate) fn now(&self) -> Option<Result<HostTensor>> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(self.clone().download()).poll(&mut context) {
            std::task::Poll::Ready(t) => Some(t),
            std::task::Poll::Pending => None,
        }
    }

    /// What it holds.
    pub(crate) fn kind(&self) -> Kind {
        if self.inner.is_int() {
            Kind::Int
        } else if self.inner.is_bool() {
            Kind::Bool
        } else {
            Kind::Float
        }
    }

    /// Lengths of the axes.
    pub(crate) fn dims(&self) -> Vec<usize> {
        if self.scalar { Vec::new() } else { self.inner.shape().to_vec() }
    }

    /// Number of axes.
    pub(crate) fn rank(&self) -> usize {
        if self.scalar { 0 } else { self.inner.rank() }
    }

    /// The same tensor marked as ONNX's rank 0; it must have one element in one axis.
    fn marked(mut self, scalar: bool) -> Self {
        self.scalar = scalar;
        self
    }

    /// The typed float tensor of `D` axes (a scalar counts as one).
    pub(crate) fn float<const D: usize>(self) -> Result<Tensor<D>> {
        self.expect(Kind::Float, D)?;
        Ok(Tensor::from_bridge(self.inner))
    }

    /// The typed tensor of truth values.
    pub(crate) fn bool<const D: usize>(self) -> Result<Tensor<D, Bool>> {
        self.expect(Kind::Bool, D)?;
        Ok(Tensor::from_bridge(self.inner))
    }

    /// The typed tensor of whole numbers.
    pub(crate) fn int<const D: usize>(self) -> Result<Tensor<D, Int>> {
        self.expect(Kind::Int, D)?;
        Ok(Tensor::from_bridge(self.inner))
    }

    fn expect(&self, kind: Kind, rank: usize) -> Result<()> {
        if self.kind() != kind {
            return Err(Error::new(Code::BadType, format!("{kind:?} elements expected, {:?} found", self.kind())));
        }
        if self.inner.rank() != rank {
            return Err(shape_error(format!("{rank} axes expected, shape {:?} found", self.dims())));
        }
        Ok(())
    }

    /// Another shape for the same elements.
    pub(crate) fn reshape(self, dims: &[usize]) -> Result<Self> {
        let count: usize = self.dims().iter().product();
        if dims.iter().product::<usize>() != count {
            return Err(shape_error(format!("shape {:?} cannot become {dims:?}", self.dims())));
        }
        if dims == self.dims() {
            return Ok(self);
        }
        let shape = if dims.is_empty() { vec![1] } else { dims.to_vec() };
        let t = self.map_any(|t| by_rank!(shape.len(), D => Ok(t.reshape::<D>(Shape::from(shape.clone())))))?;
        Ok(t.marked(dims.is_empty()))
    }

    /// Axes in another order.
    pub(crate) fn permute(self, axes: &[usize]) -> Result<Self> {
        if axes.iter().enumerate().all(|(i, &a)| i == a) {
            return Ok(self);
        }
        by_rank!(self.rank(), D => {
            let order: Vec<isize> = axes.iter().map(|&a| a as isize).collect();
            let order = <[isize; D]>::try_from(order).map_err(|_| shape_error(format!("{axes:?} does not order {D} axes")))?;
            self.map_any(|t| Ok(t.permute::<D>(order)))
        })
    }

    /// A regular part of every axis.
    pub(crate) fn slice(self, slices: &[Slice]) -> Result<Self> {
        by_rank!(self.rank(), D => self.map_any(|t| Ok(t.slice::<D>(slices))))
    }

    /// Repeats axes of length 1 up to `dims`, whose rank may be higher.
    pub(crate) fn expand(self, dims: &[usize]) -> Result<Self> {
        if self.dims() == dims {
            return Ok(self);
        }
        let padded = pad_rank(&self.dims(), dims.len());
        let fits = padded.len() == dims.len() && padded.iter().zip(dims).all(|(&a, &b)| a == b || a == 1);
        if !fits {
            return Err(shape_error(format!("shape {:?} cannot be repeated to {dims:?}", self.dims())));
        }
        count(dims)?;
        let this = self.reshape(&padded)?;
        by_rank!(dims.len(), D => this.map_any(|t| Ok(t.expand::<D>(Shape::from(dims.to_vec())))))
    }

    fn map_any(self, f: impl FnOnce(Untyped) -> Result<Untyped>) -> Result<Self> {
        let kind = self.kind();
        f(Untyped { kind, inner: self.inner }).map(|u| Self { inner: u.inner, scalar: false })
    }
}

/// The most elements of one tensor: 8 GiB of them on a native device; a browser gives up far earlier.
const MOST_ELEMENTS: usize = 1 << 31;

/// The number of elements of a shape that a file asks for, within bounds.
pub(crate) fn count(dims: &[usize]) -> Result<usize> {
    let count = dims.iter().try_fold(1_usize, |a, &b| a.checked_mul(b)).filter(|&c| c <= MOST_ELEMENTS);
    count.ok_or_else(|| Error::new(Code::TooLarge, format!("a tensor of shape {dims:?} is too large to run")))
}

/// A shape with ones put in front until it has `rank` axes.
pub(crate) fn pad_rank(dims: &[usize], rank: usize) -> Vec<usize> {
    let mut out = vec![1; rank.saturating_sub(dims.len())];
    out.extend_from_slice(dims);
    out
}

/// The shape that two shapes are repeated to when they meet in an elementwise operator.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    (pad_rank(a, rank).into_iter().zip(pad_rank(b, rank)))
        .map(|(x, y)| match (x, y) {
            (x, y) if x == y => Ok(x),
            (1, n) | (n, 1) => Ok(n),
            _ => Err(shape_error(format!("shapes {a:?} and {b:?} do not fit together"))),
        })
        .collect()
}

/// Moves data around without looking at what they are.
struct Untyped {
    kind: Kind,
    inner: BridgeTensor,
}

macro_rules! each_kind {
    ($self:ident, $d:ident, $t:ident => $body:expr) => {{
        let inner = match $self.kind {
            Kind::Float => {
                let $t = Tensor::<$d>::from_bridge($self.inner);
                $body.into_bridge()
            }
            Kind::Int => {
                let $t = Tensor::<$d, Int>::from_bridge($self.inner);
                $body.into_bridge()
            }
            Kind::Bool => {
                let $t = Tensor::<$d, Bool>::from_bridge($self.inner);
                $body.into_bridge()
            }
        };
        Untyped { kind: $self.kind, inner }
    }};
}

impl Untyped {
    /// The rank of the source plays no part: burn reads it from the tensor itself.
    fn reshape<const D: usize>(self, shape: Shape) -> Self {
        each_kind!(self, D, t => t.reshape::<D, Shape>(shape))
    }

    fn permute<const D: usize>(self, order: [isize; D]) -> Self {
        each_kind!(self, D, t => t.permute(order))
    }

    fn slice<const D: usize>(self, slices: &[Slice]) -> Self {
        each_kind!(self, D, t => t.slice(slices))
    }

    fn expand<const D: usize>(self, shape: Shape) -> Self {
        each_kind!(self, D, t => t.expand::<D, Shape>(shape))
    }
}
