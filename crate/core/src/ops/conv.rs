//! Convolutions in one to three dimensions, grouped, depthwise, dilated and transposed.

use super::pool::{Window, spatial_output};
use super::{Filters, Operator};
use crate::channels::{Blocks, Bundle, ChannelContext, Layout, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, product};

/// Refuses group counts that do not divide axis 0 of the weights.
pub fn check_groups(cx: &InferContext<'_>, weights: &[Dim]) -> Result<()> {
    let given = cx.node.int("group").unwrap_or(1);
    let divides = |n: i64| n.checked_rem(given) == Some(0);
    if given < 1 || weights.first().and_then(Dim::known).is_some_and(|n| !divides(n)) {
        return Err(cx.bad_attribute(format!("{given} groups do not fit weights {weights:?}")));
    }
    Ok(())
}

/// Refuses a bias that does not hold one number a channel.
fn check_bias(cx: &InferContext<'_>, channels: &Dim) -> Result<()> {
    match (cx.shape(2).map(Vec::as_slice), channels.known()) {
        (Some([n]), Some(c)) if n.known().is_none_or(|n| n == c) => Ok(()),
        (Some(bias), Some(c)) => Err(cx.bad_shape(format!("a bias {bias:?} for {c} channels"))),
        _ => Ok(()),
    }
}

fn groups(node: &Node) -> usize {
    usize::try_from(node.int("group").unwrap_or(1)).unwrap_or(1).max(1)
}

/// What all convolutions say of their filters.
fn filters(node: &Node) -> Filters {
    Filters {
        weight: 1,
        rank: None,
        axis: 0,
        sums: 1,
        input: 0,
        input_axis: 1,
        output_axis: 1,
        groups: groups(node),
        in_blocks: false,
    }
}

/// Weights of grouped convolutions hold other input channels in every block.
pub fn weight_blocks(node: &Node, input: usize) -> Vec<(usize, Blocks)> {
    let count = groups(node);
    if input == 1 && count > 1 { vec![(1, Blocks { axis: 0, count })] } else { Vec::new() }
}

/// Keeps kernel positions and spatial axes whole, and returns the layouts of data and weight.
fn operands(cx: &mut ChannelContext<'_>) -> (Layout, Layout) {
    let (mut x, mut w) = (cx.layout(0), cx.layout(1));
    let value = cx.node.input(0);
    for axis in 2..cx.rank(0).unwrap_or(2) {
        cx.keep_whole(&mut x, axis, value, "a convolution slides along it");
        cx.fix(&mut w, axis);
    }
    if x.at(1).is_some_and(|b| b.axes.len() > 1) {
        for axis in x.at(1).map(|b| b.axes.clone()).unwrap_or_default().into_iter().filter(|a| *a != 1) {
            cx.keep_whole(&mut x, axis, value, "a convolution needs the same channels everywhere");
        }
    }
    (x, w)
}

/// Unites data channels with the weight's own axis for them, block by block. `w_axis` is that axis.
fn unite_inputs(cx: &mut ChannelContext<'_>, x: &mut Layout, w: &mut Layout, w_axis: usize, count: usize) {
    let (Some(xb), Some(wb)) = (x.at(1).cloned(), w.at(w_axis).cloned()) else {
        let value = cx.node.input(0);
        if w.at(w_axis).is_some() || cx.lengths(1).get(w_axis) != Some(&Some(1)) {
            cx.keep_whole(x, 1, value, "the weights it meets cannot be cut along it");
        }
        cx.keep_weight(w, w_axis, "the data it meets cannot be cut along it");
        return;
    };
    if wb.blocks.is_some() || wb.ids.len() == xb.ids.len() {
        cx.unite(&xb.ids, &wb.ids);
    } else {
        let tiled = (0..count).flat_map(|_| wb.ids.iter().copied()).collect();
        cx.unite(&xb.ids, &tiled);
    }
    cx.role(&wb.ids, Role::Consumer);
}

/// Adds the bias of an input and sets the output: batch axes from the data, channels from the weight.
fn finish(cx: &mut ChannelContext<'_>, x: &Layout, channels: Option<Bundle>, bias_input: usize) {
    let mut out = x.renamed(|axis| (axis == 0).then_some(0));
    if let Some(c) = channels {
        out.bundles.push(Bundle { axes: vec![1], lengths: vec![c.ids.len()], blocks: None, owner: None, ..c });
    }
    if cx.node.input(bias_input).is_some() {
        let mut bias = cx.layout(bias_input);
        cx.align(&mut out, &mut bias, &[(1, 0)]);
        let zero = bias.at(0).is_some_and(|b| b.zero);
        for b in out.bundles.iter_mut().filter(|b| b.axes == [1]) {
            b.zero &= zero;
        }
        if let Some(b) = bias.at(0).cloned() {
            cx.role(&b.ids, Role::Companion);
        }
    }
    cx.set(0, out);
}

/// Rows of grouped data: a block of inputs goes whole exactly when the block of outputs does.
fn tie_blocks(cx: &mut ChannelContext<'_>, x: Option<&Bundle>, out: Option<&Bundle>, count: usize) {
    let rows: Vec<_> = [x, out].into_iter().flatten().map(|b| cx.balance(b, count)).collect();
    if let [a, b] = rows.as_slice() {
        cx.unite(a, b);
    }
    for (given, other) in [(x, out), (out, x)] {
        if given.is_none() && other.is_some() {
            for r in &rows {
                cx.pin_ids(None, 1, r, "the other side of the grouped convolution stays");
            }
        }
    }
}

/// Multiply-accumulates: outputs times what of the weights makes one, all but one axis.
pub fn weight_macs(cx: &InferContext<'_>, outputs: &[Fact], skip_axis: usize) -> Dim {
    let (Some(out), Some(w)) = (outputs.first().and_then(|f| f.shape.as_ref()), cx.shape(1)) else {
        return Dim::Known(0);
    };
    product(out).mul(&product(w.iter().enumerate().filter(|(i, _)| *i != skip_axis).map(|(_, d)| d)))
}

/// Conv.
#[derive(Debug)]
pub struct Conv;

impl Operator for Conv {
    fn weights(&self) -> Option<usize> {
        Some(1)
    }

    fn filters(&self, node: &Node) -> Vec<Filters> {
        vec![Filters { axis: 0, sums: 1, in_blocks: false, ..filters(node) }]
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, w) = (cx.required(0)?, cx.required(1)?);
        let (Some(xs), Some(ws)) = (&x.shape, &w.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if xs.len() < 3 || ws.len() != xs.len() {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {ws:?} do not fit a convolution")));
        }
        check_groups(cx, ws)?;
        check_bias(cx, ws.first().unwrap_or(&Dim::Known(1)))?;
        let group = Dim::from(groups(cx.node));
        if let (Some(Dim::Known(c)), Some(per)) = (xs.get(1), ws.get(1).map(|d| d.mul(&group)))
            && per.known().is_some_and(|p| p != *c)
        {
            return Err(cx.bad_shape(format!("data have {c} channels, weights {ws:?} with {group} groups want {per}")));
        }
        let kernel: Vec<Dim> = ws.iter().skip(2).cloned().collect();
        let window = Window::of(cx, &kernel)?;
        let mut shape: Vec<Dim> =
            vec![xs.first().cloned().unwrap_or(Dim::Known(1)), ws.first().cloned().unwrap_or(Dim::Known(1))];
        shape.extend(spatial_output(cx, xs.get(2..).unwrap_or_default(), &window)?);
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        convolve(cx, 2);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        weight_macs(cx, outputs, 0)
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, Blocks)> {
        weight_blocks(node, input)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        rewrite_groups(cx)
    }
}

/// The rule of a convolution whose bias is at this input.
pub fn convolve(cx: &mut ChannelContext<'_>, bias: usize) {
    let count = groups(cx.node);
    let (mut x, mut w) = operands(cx);
    if count == 1 {
        cx.align(&mut x, &mut w, &[(1, 1)]);
        if let Some(b) = w.at(1).cloned() {
            cx.role(&b.ids, Role::Consumer);
        }
    } else if cx.lengths(1).get(1) == Some(&Some(1)) {
        depthwise(cx, &mut x, &mut w, 0);
    } else {
        unite_inputs(cx, &mut x, &mut w, 1, count);
        let (xb, wb) = (x.at(1).cloned(), w.at(0).cloned());
        tie_blocks(cx, xb.as_ref(), wb.as_ref(), count);
    }
    let out = w.at(0).cloned();
    if let Some(b) = &out {
        cx.role(&b.ids, Role::Producer);
    }
    finish(cx, &x, out, bias);
}

/// Every output of a depthwise convolution goes with its input channel. `w_axis` is the weight's axis of `multiplier * inputs`.
fn depthwise(cx: &mut ChannelContext<'_>, x: &mut Layout, w: &mut Layout, w_axis: usize) {
    let (Some(xb), Some(wb)) = (x.at(1).cloned(), w.at(w_axis).cloned()) else {
        let value = cx.node.input(0);
        cx.keep_whole(x, 1, value, "the depthwise weights it meets cannot be cut");
        cx.keep_weight(w, w_axis, "the data it meets cannot be cut");
        return;
    };
    let m = (wb.ids.len() / xb.ids.len().max(1)).max(1);
    let repeated =
        if m == 1 { xb.ids.clone() } else { xb.ids.iter().flat_map(|&i| std::iter::repeat_n(i, m)).collect() };
    cx.unite(&repeated, &wb.ids);
}

/// The number of groups is the number of blocks that keep any channel.
pub fn rewrite_groups(cx: &mut CutContext<'_>) -> Result<()> {
    let old = groups(cx.node());
    if old == 1 {
        return Ok(());
    }
    let left = cx.kept_blocks(0, 1, old)?;
    if left != old {
        cx.set_int("group", left as i64);
    }
    Ok(())
}

/// ConvTranspose: weights are `[inputs, outputs / groups, ..]`.
#[derive(Debug)]
pub struct ConvTranspose;

impl Operator for ConvTranspose {
    fn weights(&self) -> Option<usize> {
        Some(1)
    }

    fn filters(&self, node: &Node) -> Vec<Filters> {
        vec![Filters { axis: 1, sums: 0, in_blocks: true, ..filters(node) }]
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, w) = (cx.required(0)?, cx.required(1)?);
        let (Some(xs), Some(ws)) = (&x.shape, &w.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if xs.len() < 3 || ws.len() != xs.len() {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {ws:?} do not fit a transposed convolution")));
        }
        check_groups(cx, ws)?;
        if let (Some(Dim::Known(c)), Some(Dim::Known(n))) = (xs.get(1), ws.first())
            && c != n
        {
            return Err(cx.bad_shape(format!("data have {c} channels, weights {ws:?} want {n}")));
        }
        let kernel: Vec<Dim> = ws.iter().skip(2).cloned().collect();
        let window = Window::of(cx, &kernel)?;
        let channels = ws.get(1).map(|d| d.mul(&Dim::from(groups(cx.node)))).unwrap_or(Dim::Known(1));
        check_bias(cx, &channels)?;
        let mut shape = vec![xs.first().cloned().unwrap_or(Dim::Known(1)), channels];
        let given = cx.node.ints("output_shape").filter(|v| !v.is_empty());
        for (k, d) in xs.iter().skip(2).enumerate() {
            let own = given.and_then(|g| g.get(g.len().checked_sub(xs.len() - 2)? + k)).map(|&n| Dim::Known(n));
            shape.push(match own {
                Some(n) => n,
                None => window.transposed(k, d, cx.node.ints("output_padding")),
            });
        }
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let count = groups(cx.node);
        let (mut x, mut w) = operands(cx);
        cx.align(&mut x, &mut w, &[(1, 0)]);
        if let Some(b) = w.at(0).cloned() {
            cx.role(
                &b.ids,
                if cx.lengths(1).get(1) == Some(&Some(1)) && count > 1 { Role::Producer } else { Role::Consumer },
            );
        }
        let out = transposed_outputs(cx, &x, &w, count);
        if count > 1 && cx.lengths(1).first() != Some(&Some(count)) {
            tie_blocks(cx, x.at(1).cloned().as_ref(), out.as_ref(), count);
        }
        finish(cx, &x, out, 2);
    }

    fn macs(&self, cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        let (Some(x), Some(w)) = (cx.shape(0), cx.shape(1)) else { return Dim::Known(0) };
        product(x).mul(&product(w.iter().skip(1)))
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, Blocks)> {
        weight_blocks(node, input)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        rewrite_groups(cx)
    }
}

/// The output channels of a transposed convolution: axis 1 of the weight, block after block.
fn transposed_outputs(cx: &mut ChannelContext<'_>, x: &Layout, w: &Layout, count: usize) -> Option<Bundle> {
    let per_input = cx.lengths(1).first() == Some(&Some(count));
    let Some(wb) = w.at(1).cloned() else {
        return if count > 1 && per_input && cx.lengths(1).get(1) == Some(&Some(1)) { x.at(1).cloned() } else { None };
    };
    cx.role(&wb.ids, Role::Producer);
    let ids = if wb.blocks.is_some() || count == 1 {
        wb.ids.clone()
    } else {
        (0..count).flat_map(|_| wb.ids.iter().copied()).collect()
    };
    if count > 1 && per_input {
        match x.at(1) {
            Some(xb) => {
                let m = (ids.len() / xb.ids.len().max(1)).max(1);
                let repeated = xb.ids.iter().flat_map(|&i| std::iter::repeat_n(i, m)).collect();
                cx.unite(&repeated, &ids);
            }
            None => {
                cx.pin_ids(cx.node.input(1), 1, &ids, "the data it meets cannot be cut");
                return None;
            }
        }
    }
    Some(Bundle::single(1, ids, wb.zero))
}
