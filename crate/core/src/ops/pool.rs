//! Windows that slide over spatial axes: pooling, and the arithmetic that convolutions share.

use super::Operator;
use crate::channels::ChannelContext;
use crate::cut::{CutContext, Rest, RestContext};
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Origin, ValueId};
use crate::onnx::DataType;

/// Kernel, strides, dilations and pads of a window, one entry a spatial axis.
#[derive(Debug)]
pub struct Window {
    kernel: Vec<Dim>,
    strides: Vec<i64>,
    dilations: Vec<i64>,
    pads: Vec<i64>,
    auto_pad: String,
    ceil: bool,
}

impl Window {
    /// Reads the attributes that all sliding windows share.
    ///
    /// # Errors
    /// When a stride or dilation is not positive or a list has the wrong length.
    pub fn of(cx: &InferContext<'_>, kernel: &[Dim]) -> Result<Self> {
        let n = kernel.len();
        if kernel.iter().any(|k| k.known().is_some_and(|k| k < 1)) {
            return Err(cx.bad_attribute(format!("a kernel of {kernel:?}")));
        }
        let given = cx.node.ints("kernel_shape").unwrap_or_default();
        let differs = given.iter().zip(kernel).any(|(g, k)| k.known().is_some_and(|k| k != *g));
        if !given.is_empty() && (given.len() != n || differs) {
            return Err(
                cx.bad_attribute(format!("kernel_shape {given:?} does not fit weights whose kernel is {kernel:?}"))
            );
        }
        let list = |name: &str, len: usize, default: i64| -> Result<Vec<i64>> {
            let v = match cx.node.ints(name) {
                Some(v) if !v.is_empty() => v.to_vec(),
                _ => vec![default; len],
            };
            // Strides and dilations are at least one, pads at least zero.
            if v.len() != len || v.iter().any(|&s| s < default) {
                return Err(cx.bad_attribute(format!("{name} {v:?} does not fit {n} spatial axes")));
            }
            Ok(v)
        };
        Ok(Self {
            kernel: kernel.to_vec(),
            strides: list("strides", n, 1)?,
            dilations: list("dilations", n, 1)?,
            pads: list("pads", 2 * n, 0)?,
            auto_pad: cx.node.string("auto_pad").unwrap_or("NOTSET").to_owned(),
            ceil: cx.node.int("ceil_mode") == Some(1),
        })
    }

    fn at(list: &[i64], k: usize, default: i64) -> i64 {
        list.get(k).copied().unwrap_or(default)
    }

    /// Length that a window covers along axis `k`.
    fn extent(&self, k: usize) -> Dim {
        let kernel = self.kernel.get(k).cloned().unwrap_or(Dim::Known(1));
        kernel.sub(&Dim::Known(1)).mul(&Dim::Known(Self::at(&self.dilations, k, 1))).add(&Dim::Known(1))
    }

    fn padding(&self, k: usize) -> i64 {
        let n = self.kernel.len();
        Self::at(&self.pads, k, 0).saturating_add(Self::at(&self.pads, k + n, 0))
    }

    /// Positions that the window takes along axis `k` of length `d`.
    fn forward(&self, k: usize, d: &Dim) -> Option<Dim> {
        let stride = Dim::Known(Self::at(&self.strides, k, 1));
        let one = Dim::Known(1);
        match self.auto_pad.as_str() {
            "SAME_UPPER" | "SAME_LOWER" => d.add(&stride).sub(&one).div_floor(&stride),
            "VALID" => d.sub(&self.extent(k)).div_floor(&stride).map(|n| n.add(&one)),
            _ => {
                let room = d.add(&Dim::Known(self.padding(k))).sub(&self.extent(k));
                let steps =
                    if self.ceil { room.add(&stride).sub(&one).div_floor(&stride)? } else { room.div_floor(&stride)? };
                let n = steps.add(&one);
                // A last window that would start in the padding after the data is left out.
                let start = Dim::Known(Self::at(&self.pads, k, 0)).add(d);
                match (self.ceil, n.known(), start.known(), stride.known()) {
                    (true, Some(count), Some(end), Some(s)) if count.saturating_sub(1).saturating_mul(s) >= end => {
                        Some(Dim::Known(count - 1))
                    }
                    _ => Some(n),
                }
            }
        }
    }

    /// Length of axis `k` after a transposed convolution.
    pub fn transposed(&self, k: usize, d: &Dim, output_padding: Option<&[i64]>) -> Dim {
        let stride = Dim::Known(Self::at(&self.strides, k, 1));
        if self.auto_pad.starts_with("SAME") {
            return d.mul(&stride);
        }
        let extra = output_padding.and_then(|p| p.get(k)).copied().unwrap_or(0).saturating_sub(self.padding(k));
        d.sub(&Dim::Known(1)).mul(&stride).add(&self.extent(k)).add(&Dim::Known(extra))
    }
}

/// Spatial lengths after a window slid over them.
///
/// # Errors
/// When a window is larger than what it slides over.
pub fn spatial_output(cx: &InferContext<'_>, spatial: &[Dim], window: &Window) -> Result<Vec<Dim>> {
    (spatial.iter().enumerate())
        .map(|(k, d)| {
            let n = window.forward(k, d).ok_or_else(|| cx.bad_attribute("a stride of zero"))?;
            if n.known().is_some_and(|n| n < 1) {
                return Err(cx.bad_shape(format!("the window is larger than axis {} of length {d}", k + 2)));
            }
            Ok(n)
        })
        .collect()
}

/// Keeps spatial axes whole and passes the others.
fn pass_channels(cx: &mut ChannelContext<'_>) {
    let mut layout = cx.layout(0);
    let value = cx.node.input(0);
    for axis in 2..cx.rank(0).unwrap_or(2) {
        cx.keep_whole(&mut layout, axis, value, "pooling mixes positions along it");
    }
    cx.set(0, layout.clone());
    if cx.node.output(1).is_some_and(|v| !only_unpooled(cx, v)) {
        // Such a number counts every element before it, so it changes with the length of every axis.
        let why = "the places of the largest elements are counted over all of its axes";
        for axis in 0..cx.rank(0).unwrap_or(0) {
            cx.keep_whole(&mut layout, axis, value, why);
        }
    }
    cx.set(1, layout.with_zero(false));
}

/// Whether a value goes into MaxUnpool only, which counts as MaxPool does.
fn only_unpooled(cx: &ChannelContext<'_>, v: ValueId) -> bool {
    let value = &cx.graph.values[v];
    !value.is_output && value.uses.iter().all(|(n, port)| cx.graph.nodes[*n].op_type == "MaxUnpool" && *port == 1)
}

/// MaxUnpool: puts elements back to the places that a MaxPool took them from.
#[derive(Debug)]
pub struct MaxUnpool;

impl Operator for MaxUnpool {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(1)?;
        cx.list(2)?;
        let Some(xs) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if let Some(shape) = cx.constant(2).and_then(Constant::as_ints).filter(|s| s.len() == xs.len()) {
            return Ok(vec![Fact::new(x.dtype, shape.to_vec())]);
        }
        if cx.node.input(2).is_some() {
            let shape = cx.node.output(0).map(|o| cx.unknown_shape(o, xs.len()));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        }
        let kernel: Vec<Dim> =
            cx.node.ints("kernel_shape").unwrap_or_default().iter().map(|&k| Dim::Known(k)).collect();
        if kernel.len() + 2 != xs.len() {
            return Err(cx.bad_shape(format!("a kernel of {} axes over data {xs:?}", kernel.len())));
        }
        let window = Window::of(cx, &kernel)?;
        let mut shape: Vec<Dim> = xs.iter().take(2).cloned().collect();
        shape.extend(xs.iter().skip(2).enumerate().map(|(k, d)| window.transposed(k, d, None)));
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (mut data, mut places) = (cx.layout(0), cx.layout(1));
        let from_pool = cx.node.input(1).is_some_and(|v| match cx.graph.values[v].origin {
            Origin::Node(n, 1) => cx.graph.nodes[n].op_type == "MaxPool",
            _ => false,
        });
        let rank = cx.rank(0).unwrap_or(0);
        // Places that do not come straight from a MaxPool over the same channels count all axes as they were.
        let first = if from_pool { 2 } else { 0 };
        let why = "elements are put back to places that are counted over all of its axes";
        for axis in first..rank {
            let (x, y) = (cx.node.input(0), cx.node.input(1));
            cx.keep_whole(&mut data, axis, x, why);
            cx.keep_whole(&mut places, axis, y, why);
        }
        let pairs: Vec<(usize, usize)> = (0..first.min(rank)).map(|a| (a, a)).collect();
        cx.align(&mut data, &mut places, &pairs);
        cx.set(0, data);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        match cx.wanted(0) {
            Some(want) if cx.node().input(2).is_some() && cx.new_ints(2, "").as_ref() != Some(&want) => {
                cx.set_layout(2, "", want, "shape after unpooling")
            }
            _ => Ok(()),
        }
    }
}

/// MaxPool, AveragePool, LpPool.
#[derive(Debug)]
pub struct Pool {
    /// Whether the node has one output only.
    pub average: bool,
}

impl Operator for Pool {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(xs) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let kernel: Vec<Dim> =
            cx.node.ints("kernel_shape").unwrap_or_default().iter().map(|&k| Dim::Known(k)).collect();
        if kernel.len() + 2 != xs.len() {
            return Err(cx.bad_shape(format!("a kernel of {} axes over data {xs:?}", kernel.len())));
        }
        let window = Window::of(cx, &kernel)?;
        let mut shape: Vec<Dim> = xs.iter().take(2).cloned().collect();
        shape.extend(spatial_output(cx, xs.get(2..).unwrap_or_default(), &window)?);
        let mut facts = vec![Fact::new(x.dtype, shape.clone())];
        if !self.average {
            facts.push(Fact::new(Some(DataType::Int64), shape));
        }
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        pass_channels(cx);
    }
}

/// Pooling over all spatial axes.
#[derive(Debug)]
pub struct GlobalPool;

impl Operator for GlobalPool {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let shape = x
            .shape
            .as_ref()
            .map(|s| s.iter().enumerate().map(|(i, d)| if i < 2 { d.clone() } else { Dim::Known(1) }).collect());
        Ok(vec![Fact { dtype: x.dtype, shape, constant: None }])
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        let same = cx.node.op_type != "GlobalLpPool";
        cx.numbers(0).filter(|_| same).map_or(Rest::Unknown, Rest::Numbers)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        pass_channels(cx);
    }
}
