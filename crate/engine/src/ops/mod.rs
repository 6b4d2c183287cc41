//! The forward of every operator, in the families and under the file names of the core's rules.
//!
//! To add an operator: a line in its family's `find` and its forward. To add a family: its file and a line in [`find`].

mod attention;
mod concat;
mod constant;
mod control;
mod conv;
mod deform;
mod einsum;
mod elementwise;
mod fused;
mod fused_attention;
mod host;
mod indexed;
mod loss;
mod matmul;
mod norm;
mod pick;
mod pool;
mod qlinear;
mod quantize;
mod reduce;
mod region;
mod reshape;
mod resize;
mod rnn;
mod rotary;
mod sample;
mod select;
mod signal;
mod slice;
mod softmax;
mod solve;
mod windows;

use crate::tensor::DeviceTensor;
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Device, Tensor};
use lopper_core::graph::{Graph, Node, ValueId};
use lopper_core::onnx::DataType;

pub(crate) use conv::geometry;
use lopper_core::{Code, Error, Result};
pub(crate) use norm::scale_shift;

/// What a node computes from its inputs.
pub(crate) type Forward = fn(&mut Call<'_>) -> Result<Vec<Value>>;

/// The forward of a node's operator.
pub(crate) fn find(node: &Node) -> Option<Forward> {
    named(&node.domain, &node.op_type).filter(|_| node.bodies().all(control::runnable))
}

/// The forward of an operator.
pub(crate) fn named(domain: &str, op: &str) -> Option<Forward> {
    match domain {
        "" => standard(op),
        "com.microsoft" => microsoft(op),
        _ => None,
    }
}

/// Operators that ONNX Runtime adds and its optimiser writes.
fn microsoft(op: &str) -> Option<Forward> {
    let own: [fn(&str) -> Option<Forward>; 6] = [
        fused::find,
        fused_attention::find,
        rotary::find_microsoft,
        qlinear::find_microsoft,
        qlinear::find,
        quantize::find,
    ];
    let shared = || if op == "SimplifiedLayerNormalization" { norm::find(op) } else { None };
    own.iter().find_map(|family| family(op)).or_else(shared)
}

fn standard(op: &str) -> Option<Forward> {
    let families: &[fn(&str) -> Option<Forward>] = &[
        conv::find,
        deform::find,
        einsum::find,
        indexed::find,
        loss::find,
        region::find,
        select::find,
        signal::find,
        windows::find,
        norm::find,
        pool::find,
        elementwise::find,
        matmul::find,
        reshape::find,
        concat::find,
        slice::find,
        reduce::find,
        softmax::find,
        resize::find,
        constant::find,
        control::find,
        rnn::find,
        attention::find,
        rotary::find,
        quantize::find,
        qlinear::find,
    ];
    families.iter().find_map(|family| family(op))
}

/// What a BatchNormalization saw in one training step.
#[derive(Debug)]
pub(crate) struct Statistics {
    /// The initializers that hold the running mean and variance.
    pub(crate) mean_of: ValueId,
    pub(crate) variance_of: ValueId,
    /// Of this batch; the variance is the unbiased one.
    pub(crate) mean: Tensor<1>,
    pub(crate) variance: Tensor<1>,
    /// How much of the running statistics stays.
    pub(crate) momentum: f32,
}

/// How nodes behave that know training.
#[derive(Debug)]
pub(crate) enum Mode {
    /// Running statistics, no dropout.
    Infer,
    /// Statistics of the batch, which are collected here, and dropout.
    Train(Vec<Statistics>),
    /// Running statistics, and dropout.
    Frozen,
}

impl Mode {
    /// Whether slopes are wanted and dropout drops.
    pub(crate) fn trains(&self) -> bool {
        !matches!(self, Mode::Infer)
    }
}

/// One node that is about to run: its attributes and inputs, and where it runs.
pub(crate) struct Call<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    /// The device for new tensors.
    pub(crate) device: &'a Device,
    /// Training or not.
    pub(crate) mode: &'a mut Mode,
    /// Element type of the first output, where the graph tells it.
    pub(crate) dtype: Option<DataType>,
    /// The node's own inputs, then what its bodies read.
    inputs: Vec<Option<Value>>,
    /// Names of what its bodies read.
    captures: Vec<String>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(node: &'a Node, device: &'a Device, mode: &'a mut Mode, inputs: Vec<Option<Value>>) -> Self {
        Self { node, device, mode, dtype: None, inputs, captures: Vec::new() }
    }

    /// The same call with what the graph knows of its node's values.
    pub(crate) fn typed(self, graph: &Graph) -> Self {
        let dtype = self.node.output(0).and_then(|v| graph.values[v].dtype);
        let captures = self.node.captures.iter().map(|&v| graph.values[v].name.clone()).collect();
        Self { dtype, captures, ..self }
    }

    /// What the node's bodies read, by name.
    pub(crate) fn captured(&self) -> impl Iterator<Item = (&str, &Value)> {
        let values = self.inputs.iter().skip(self.node.inputs.len());
        self.captures.iter().zip(values).filter_map(|(name, v)| Some((name.as_str(), v.as_ref()?)))
    }

    /// Whether an input is given.
    pub(crate) fn has(&self, i: usize) -> bool {
        self.peek(i).is_some()
    }

    /// Number of inputs, those left out included.
    pub(crate) fn len(&self) -> usize {
        self.inputs.len()
    }

    /// An input, left in its place.
    pub(crate) fn peek(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// An input that must be given, left in its place.
    pub(crate) fn look(&self, i: usize) -> Result<&Value> {
        self.peek(i).ok_or_else(|| Error::new(Code::BadNode, format!("input {i} is missing")))
    }

    /// An input, taken out so that its memory can be reused.
    pub(crate) fn take(&mut self, i: usize) -> Result<Value> {
        self.inputs
            .get_mut(i)
            .and_then(Option::take)
            .ok_or_else(|| Error::new(Code::BadNode, format!("input {i} is missing")))
    }

    /// An input as a real tensor on the device.
    pub(crate) fn tensor(&mut self, i: usize) -> Result<DeviceTensor> {
        let device = self.device;
        let value = self.take(i)?;
        if !value.is_float() {
            return Err(Error::new(Code::BadType, format!("input {i} holds no real numbers")));
        }
        value.on(device)
    }

    /// An optional input as a real tensor on the device.
    pub(crate) fn optional(&mut self, i: usize) -> Result<Option<DeviceTensor>> {
        if self.has(i) { self.tensor(i).map(Some) } else { Ok(None) }
    }

    /// An input that must be known on the host.
    pub(crate) fn host(&self, i: usize) -> Result<&HostTensor> {
        self.look(i)?.host().ok_or_else(|| {
            Error::new(
                Code::Unsupported,
                format!("input {i} depends on the contents of the data; only constants and shapes are supported here"),
            )
        })
    }

    /// An input whose contents decide what is computed, wherever it lives.
    pub(crate) fn read(&self, i: usize) -> Result<HostTensor> {
        self.contents(self.look(i)?).map_err(|e| e.at(format!("input {i}")))
    }

    /// The contents of a value that decides what is computed, wherever it lives.
    pub(crate) fn contents(&self, value: &Value) -> Result<HostTensor> {
        match value {
            Value::Host(h) => Ok(h.tensor.clone()),
            Value::Device(_) if self.mode.trains() => {
                Err(unsupported("training through what depends on the contents of the data"))
            }
            Value::Device(t) => t.now().ok_or_else(|| {
                unsupported("what is computed depends on the contents of the data, which only the CPU can follow")
            })?,
        }
    }

    /// Whether every given input is on the host.
    pub(crate) fn all_host(&self) -> bool {
        self.inputs.iter().flatten().all(|v| v.host().is_some())
    }

    /// Whole numbers of an input, if it is given.
    pub(crate) fn ints(&self, i: usize) -> Result<Option<Vec<i64>>> {
        if !self.has(i) {
            return Ok(None);
        }
        Ok(Some(self.host(i)?.data.to_i64()))
    }

    /// Whole numbers of an attribute (older operator sets) or else of an input.
    pub(crate) fn ints_of(&self, attribute: &str, i: usize) -> Result<Option<Vec<i64>>> {
        match self.node.ints(attribute).filter(|_| !self.has(i)) {
            Some(v) => Ok(Some(v.to_vec())),
            None => self.ints(i),
        }
    }

    /// The one real number of an input, if it is given.
    pub(crate) fn float_input(&self, i: usize) -> Result<Option<f32>> {
        match self.peek(i) {
            None => Ok(None),
            Some(v) => match v.host().map(|h| &h.data) {
                Some(HostData::F32(v)) if v.len() == 1 => Ok(v.first().copied()),
                Some(HostData::I64(v)) if v.len() == 1 => Ok(v.first().map(|&x| x as f32)),
                _ => Err(Error::new(Code::Unsupported, format!("input {i} must be one constant number"))),
            },
        }
    }

    /// A whole-number attribute or its default.
    pub(crate) fn int_or(&self, name: &str, default: i64) -> i64 {
        self.node.int(name).unwrap_or(default)
    }

    /// A real-number attribute or its default.
    pub(crate) fn float_or(&self, name: &str, default: f32) -> f32 {
        self.node.float(name).unwrap_or(default)
    }

    /// Whether a flag attribute is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.int_or(name, 0) != 0
    }
}

/// One output.
pub(crate) fn one(value: impl Into<Value>) -> Result<Vec<Value>> {
    Ok(vec![value.into()])
}

/// An error about shapes.
pub(crate) fn bad_shape(what: impl Into<String>) -> Error {
    Error::new(Code::BadShape, what)
}

/// An error about an attribute.
pub(crate) fn bad_attribute(what: impl Into<String>) -> Error {
    Error::new(Code::BadAttribute, what)
}

/// An error about what is valid but not there.
pub(crate) fn unsupported(what: impl Into<String>) -> Error {
    Error::new(Code::Unsupported, what)
}

/// An axis counted from the front; negative ones count from the back.
pub(crate) fn axis_of(axis: i64, rank: usize) -> Result<usize> {
    let from_front = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(from_front)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| bad_attribute(format!("axis {axis} is out of range for {rank} axes")))
}

/// A length that must not be negative.
pub(crate) fn length(n: i64) -> Result<usize> {
    usize::try_from(n).map_err(|_| bad_attribute(format!("{n} is negative")))
}

/// Lengths that must not be negative.
pub(crate) fn lengths(n: &[i64]) -> Result<Vec<usize>> {
    n.iter().map(|&n| length(n)).collect()
}

/// No window, stride, dilation, pad or block of a real model is larger; products of two of them stay in range.
const MOST: usize = 1 << 15;

/// Lengths that must not be negative and are those of a window.
pub(crate) fn small(n: &[i64]) -> Result<Vec<usize>> {
    let list = lengths(n)?;
    match list.iter().find(|&&n| n > MOST) {
        Some(n) => Err(Error::new(Code::TooLarge, format!("an attribute of {n}; {MOST} is the most"))),
        None => Ok(list),
    }
}

/// A list as an array.
pub(crate) fn array<T: Copy, const N: usize>(list: &[T]) -> Result<[T; N]> {
    <[T; N]>::try_from(list).map_err(|_| bad_attribute(format!("{} numbers found where {N} are needed", list.len())))
}
