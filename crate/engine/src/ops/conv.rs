//! Conv and ConvTranspose.

use super::{Call, Forward, MOST, array, bad_shape, lengths, one, small, unsupported};
use crate::kernels::convolve;
use crate::tensor::{DeviceTensor, count};
use crate::value::Value;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, PadMode};
use burn::tensor::{Slice, Tensor, module};
use lopper_core::Result;
use lopper_core::graph::Node;
use lopper_kernels::Geometry;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Conv" => conv,
        "ConvTranspose" => conv_transpose,
        _ => return None,
    })
}

/// Where a sliding window goes: kernel, strides, dilations and `(begin, end)` pads of each spatial axis.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    pub(super) pads: Vec<(usize, usize)>,
}

impl Window {
    /// From a node's attributes and the lengths of its input's spatial axes.
    pub(super) fn of(node: &Node, kernel: Vec<usize>, input: &[usize]) -> Result<Self> {
        let axes = kernel.len();
        let list = |name: &str| -> Result<Vec<usize>> {
            let given = node.ints(name).map(small).transpose()?.unwrap_or_else(|| vec![1; axes]);
            if given.len() != axes || given.contains(&0) {
                return Err(super::bad_attribute(format!("{name} {given:?} does not fit {axes} axes")));
            }
            Ok(given)
        };
        if kernel.iter().any(|k| !(1..=MOST).contains(k)) || input.len() != axes {
            return Err(bad_shape(format!("a kernel {kernel:?} cannot slide over {input:?}")));
        }
        let mut window =
            Self { strides: list("strides")?, dilations: list("dilations")?, pads: vec![(0, 0); axes], kernel };
        match node.string("auto_pad").unwrap_or("NOTSET") {
            "NOTSET" | "" => {
                if let Some(pads) = node.ints("pads") {
                    let pads = small(pads)?;
                    if pads.len() != 2 * axes {
                        return Err(super::bad_attribute(format!("pads {pads:?} do not fit {axes} axes")));
                    }
                    let (begin, end) = pads.split_at(axes);
                    window.pads = begin.iter().copied().zip(end.iter().copied()).collect();
                }
            }
            "VALID" => {}
            same @ ("SAME_UPPER" | "SAME_LOWER") => window.pad_same(input, same == "SAME_UPPER"),
            other => return Err(super::bad_attribute(format!("auto_pad {other:?} is unknown"))),
        }
        Ok(window)
    }

    fn pad_same(&mut self, input: &[usize], upper: bool) {
        let spans = self.spans();
        for (((pad, &n), &stride), span) in self.pads.iter_mut().zip(input).zip(&self.strides).zip(spans) {
            let out = n.div_ceil(stride);
            let total = ((out.saturating_sub(1)) * stride + span).saturating_sub(n);
            let (less, more) = (total / 2, total - total / 2);
            *pad = if upper { (less, more) } else { (more, less) };
        }
    }

    /// Lengths of the output's spatial axes.
    fn output(&self, input: &[usize]) -> Vec<usize> {
        let padded = input.iter().zip(&self.pads).map(|(n, (b, e))| n + b + e);
        padded
            .zip(self.spans())
            .zip(&self.strides)
            .map(|((n, span), stride)| n.saturating_sub(span) / stride + 1)
            .collect()
    }

    /// The same over two axes for the own kernels, from images, groups, and channels and filters of a group;
    /// nothing over three axes.
    fn geometry(&self, sizes: [usize; 4], input: &[usize], output: &[usize]) -> Option<Geometry> {
        let [images, groups, channels, filters] = sizes;
        let two = |list: &[usize], missing: usize| match list {
            [one] => Some([missing, *one]),
            [one, two] => Some([*one, *two]),
            _ => None,
        };
        let begin: Vec<usize> = self.pads.iter().map(|(begin, _)| *begin).collect();
        Some(Geometry {
            images,
            groups,
            channels,
            filters,
            input: two(input, 1)?,
            output: two(output, 1)?,
            kernel: two(&self.kernel, 1)?,
            stride: two(&self.strides, 1)?,
            dilation: two(&self.dilations, 1)?,
            begin: two(&begin, 0)?,
        })
    }

    /// Input positions from a window's first to its last.
    pub(super) fn spans(&self) -> Vec<usize> {
        self.kernel.iter().zip(&self.dilations).map(|(k, d)| (k - 1) * d + 1).collect()
    }

    /// Refuses windows that do not fit into the padded input even once, and padding that makes it too large to hold;
    /// `planes` is the number of maps, of images and channels together.
    pub(super) fn check(&self, planes: usize, input: &[usize]) -> Result<()> {
        let padded: Vec<usize> = input.iter().zip(&self.pads).map(|(n, (b, e))| n + b + e).collect();
        if self.spans().iter().zip(&padded).any(|(span, n)| span > n) {
            return Err(bad_shape(format!("a kernel {:?} does not fit into {input:?}", self.kernel)));
        }
        let all: Vec<usize> = [planes].into_iter().chain(padded).collect();
        count(&all).map(drop)
    }

    fn options<const N: usize>(&self, groups: usize) -> Result<ConvOptions<N>> {
        Ok(ConvOptions::new_with_padding(array(&self.strides)?, array(&self.pads)?, array(&self.dilations)?, groups))
    }
}

/// Checks what all convolutions share; returns the groups.
fn check_groups(node: &Node, channels: usize, filters: usize, per_group: usize, transposed: bool) -> Result<usize> {
    let groups = super::length(node.int("group").unwrap_or(1))?;
    let fits = groups > 0
        && channels.is_multiple_of(groups)
        && if transposed {
            filters == channels
        } else {
            filters.is_multiple_of(groups) && per_group * groups == channels
        };
    if fits {
        Ok(groups)
    } else {
        Err(bad_shape(format!(
            "weights of {filters} x {per_group} channels in {groups} groups do not fit {channels} channels"
        )))
    }
}

fn spatial(dims: &[usize]) -> Result<(usize, usize, &[usize])> {
    match dims {
        [n, c, rest @ ..] if !rest.is_empty() => Ok((*n, *c, rest)),
        _ => Err(bad_shape(format!("batch, channel and spatial axes expected, shape {dims:?} found"))),
    }
}

fn conv(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, w, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let (xd, wd) = (x.dims(), w.dims());
    let (batch, channels, input) = spatial(&xd)?;
    let (filters, per_group, kernel) = spatial(&wd)?;
    let groups = check_groups(call.node, channels, filters, per_group, false)?;
    let window = Window::of(call.node, kernel.to_vec(), input)?;
    window.check(batch * channels.max(filters), input)?;
    let bias = check_bias(bias, filters)?;
    let output = window.output(input);
    let (channels, filters) = (channels / groups, filters / groups);
    if let Some(geometry) = window.geometry([batch, groups, channels, filters], input, &output)
        && let Some(y) = by_own(&x, &w, bias.as_ref(), geometry, false)?
    {
        return one(y);
    }
    one(match input.len() {
        1 => DeviceTensor::from(module::conv1d(x.float()?, w.float()?, bias, window.options::<1>(groups)?)),
        2 => module::conv2d(x.float()?, w.float()?, bias, window.options::<2>(groups)?).into(),
        3 => {
            // burn's three-dimensional convolution takes symmetric padding only.
            let x = x.float::<5>()?.pad(array::<_, 3>(&window.pads)?, PadMode::Constant(0.0));
            let window = Window { pads: vec![(0, 0); 3], ..window };
            module::conv3d(x, w.float()?, bias, window.options::<3>(groups)?).into()
        }
        n => return Err(unsupported(format!("a convolution over {n} axes; at most 3 are supported"))),
    })
}

/// The sizes of a convolution from the shapes of its input and weights; nothing over three axes.
pub(crate) fn geometry(node: &Node, x: &[usize], w: &[usize]) -> Result<Option<Geometry>> {
    let (batch, channels, input) = spatial(x)?;
    let (filters, per_group, kernel) = spatial(w)?;
    let groups = check_groups(node, channels, filters, per_group, false)?;
    let window = Window::of(node, kernel.to_vec(), input)?;
    window.check(batch * channels.max(filters), input)?;
    Ok(window.geometry([batch, groups, channels / groups, filters / groups], input, &window.output(input)))
}

/// A convolution over one or two axes by own kernels; nothing where burn's do it.
fn by_own(
    x: &DeviceTensor,
    w: &DeviceTensor,
    bias: Option<&Tensor<1>>,
    geometry: Geometry,
    transposed: bool,
) -> Result<Option<DeviceTensor>> {
    let planes = |t: &DeviceTensor| -> Result<Tensor<4>> {
        match *t.dims().as_slice() {
            [images, channels, length] => t.clone().reshape(&[images, channels, 1, length])?.float(),
            _ => t.clone().float(),
        }
    };
    let Some(y) = convolve(&planes(x)?, &planes(w)?, bias, geometry, transposed) else { return Ok(None) };
    let y = DeviceTensor::from(y);
    match (x.dims().len(), y.dims().as_slice()) {
        (3, &[images, channels, _, length]) => y.reshape(&[images, channels, length]).map(Some),
        _ => Ok(Some(y)),
    }
}

fn check_bias(bias: Option<DeviceTensor>, filters: usize) -> Result<Option<Tensor<1>>> {
    match bias {
        Some(b) if b.dims() != [filters] => {
            Err(bad_shape(format!("a bias of shape {:?} for {filters} filters", b.dims())))
        }
        Some(b) => b.float().map(Some),
        None => Ok(None),
    }
}

fn conv_transpose(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (x, w, bias) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let (xd, wd) = (x.dims(), w.dims());
    let (batch, channels, input) = spatial(&xd)?;
    let (filters, per_group, kernel) = spatial(&wd)?;
    let groups = check_groups(call.node, channels, filters, per_group, true)?;
    let bias = check_bias(bias, per_group * groups)?;
    let axes = input.len();
    let (window, extra) = transposed_window(call.node, kernel.to_vec(), input)?;
    let spans = window.spans();
    let mut full = vec![batch, per_group * groups];
    for (((&n, &stride), span), extra) in input.iter().zip(&window.strides).zip(spans).zip(&extra) {
        full.push(grown(n, stride, span + extra)?);
    }
    count(&full)?;
    let output: Vec<usize> = full
        .iter()
        .skip(2)
        .zip(window.strides.iter().zip(&window.pads))
        .map(|(full, (stride, (begin, end)))| full.saturating_sub(stride + begin + end))
        .collect();
    if output.contains(&0) {
        return Err(bad_shape("padding takes the whole output away"));
    }
    // It is the gradient by the input of the convolution that goes the other way.
    if let Some(geometry) = window.geometry([batch, groups, per_group, channels / groups], &output, input)
        && let Some(y) = by_own(&x, &w, bias.as_ref(), geometry, true)?
    {
        return one(y);
    }
    let symmetric = window.pads.iter().all(|(b, e)| b == e);
    // What cannot be said to burn is cut off afterwards.
    let inside = window.pads.iter().map(|&(b, _)| if symmetric { b } else { 0 }).collect::<Vec<_>>();
    let y: DeviceTensor = match axes {
        1 => module::conv_transpose1d(
            x.float()?,
            w.float()?,
            bias,
            transposed_options(&window, &inside, &extra, groups)?,
        )
        .into(),
        2 => module::conv_transpose2d(
            x.float()?,
            w.float()?,
            bias,
            transposed_options(&window, &inside, &extra, groups)?,
        )
        .into(),
        3 => module::conv_transpose3d(
            x.float()?,
            w.float()?,
            bias,
            transposed_options(&window, &inside, &extra, groups)?,
        )
        .into(),
        n => return Err(unsupported(format!("a transposed convolution over {n} axes; at most 3 are supported"))),
    };
    if symmetric {
        return one(y);
    }
    let mut slices = vec![Slice::full(); 2];
    for (&n, &(begin, end)) in y.dims().iter().skip(2).zip(&window.pads) {
        slices.push(Slice::new(begin as isize, Some((n - end) as isize), 1));
    }
    one(y.slice(&slices)?)
}

fn transposed_options<const N: usize>(
    w: &Window,
    inside: &[usize],
    extra: &[usize],
    groups: usize,
) -> Result<ConvTransposeOptions<N>> {
    Ok(ConvTransposeOptions::new(array(&w.strides)?, array(inside)?, array(extra)?, array(&w.dilations)?, groups))
}

/// `n * stride + more`, as long as a tensor can be that long.
fn grown(n: usize, stride: usize, more: usize) -> Result<usize> {
    let length = n.checked_mul(stride).and_then(|n| n.checked_add(more)).unwrap_or(usize::MAX);
    count(&[length])
}

/// The window of a transposed convolution and the rows that are added at the end of each axis.
fn transposed_window(node: &Node, kernel: Vec<usize>, input: &[usize]) -> Result<(Window, Vec<usize>)> {
    let axes = kernel.len();
    let mut extra = match node.ints("output_padding") {
        Some(v) => small(v)?,
        None => vec![0; axes],
    };
    let auto = node.string("auto_pad").unwrap_or("NOTSET");
    let mut window = Window::of(node, kernel, input)?;
    let same = auto.starts_with("SAME");
    let wanted = match node.ints("output_shape") {
        Some(v) => Some(lengths(v.get(v.len().saturating_sub(axes)..).unwrap_or_default())?),
        None if same => Some(input.iter().zip(&window.strides).map(|(&n, &s)| grown(n, s, 0)).collect::<Result<_>>()?),
        None => None,
    };
    if extra.len() != axes || wanted.as_ref().is_some_and(|w| w.len() != axes) {
        return Err(super::bad_attribute(format!("output_padding or output_shape does not fit {axes} axes")));
    }
    let spans = window.spans();
    let full =
        input.iter().zip(&window.strides).zip(&spans).map(|((&n, &s), &span)| grown(n.saturating_sub(1), s, span));
    let full = full.collect::<Result<Vec<_>>>()?.into_iter();
    if let Some(wanted) = wanted {
        for (((pad, extra), full), want) in window.pads.iter_mut().zip(&mut extra).zip(full).zip(wanted) {
            let total = (full + *extra).saturating_sub(want);
            *extra += want.saturating_sub(full + *extra);
            let (less, more) = (total / 2, total - total / 2);
            *pad = if auto == "SAME_UPPER" { (less, more) } else { (more, less) };
        }
    } else if !full.zip(&window.pads).zip(&extra).all(|((full, (b, e)), x)| b + e < full + x) {
        return Err(bad_shape("padding takes the whole output away"));
    }
    Ok((window, extra))
}
