//! Normalisations: with stored statistics they treat channels apart; with statistics over channels they renormalise.

use super::{After, Operator};
use crate::channels::{ChannelContext, Layout, Role};
use crate::cut::{Rest, RestContext};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};

fn same_as_input(cx: &InferContext<'_>) -> Result<Vec<Fact>> {
    let x = cx.required(0)?;
    Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
}

/// Aligns parameters of one number a channel with axis `axis` of the layout. Returns whether all of the first two are zero
/// where they are masked.
fn companions(cx: &mut ChannelContext<'_>, layout: &mut Layout, axis: usize, inputs: std::ops::Range<usize>) -> bool {
    let mut zero = true;
    for input in inputs {
        if cx.node.input(input).is_none() {
            continue;
        }
        let mut p = cx.layout(input);
        if cx.lengths(input).first() == Some(&Some(1)) {
            zero = false;
            continue;
        }
        cx.align(layout, &mut p, &[(axis, 0)]);
        match p.at(0).cloned() {
            Some(b) => {
                zero &= b.zero || input > 2;
                cx.role(&b.ids, Role::Companion);
            }
            None => zero = false,
        }
    }
    zero
}

/// BatchNormalization.
#[derive(Debug)]
pub struct BatchNormalization;

impl Operator for BatchNormalization {
    fn gain(&self) -> Option<usize> {
        Some(1)
    }

    fn after(&self, node: &Node) -> After {
        if node.int("training_mode").unwrap_or(0) == 0 { After::Norm } else { After::Other }
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        if let (Some(Dim::Known(c)), Some(Dim::Known(n))) =
            (x.shape.as_ref().and_then(|s| s.get(1)), cx.shape(1).and_then(|s| s.first()))
            && c != n
        {
            return Err(cx.bad_shape(format!("{n} scales for {c} channels")));
        }
        same_as_input(cx)
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        let normalised = || -> Option<Rest> {
            let rank = cx.shape(0)?.len();
            let epsilon = f64::from(cx.node.float("epsilon").unwrap_or(1e-5));
            let all: Vec<Vec<f64>> =
                (0..5).map(|i| cx.numbers(i)?.as_floats().map(<[f64]>::to_vec)).collect::<Option<_>>()?;
            let [x, scale, bias, mean, variance] = all.as_slice() else { return None };
            let one = |c: usize| -> Option<f64> {
                let x = x.get(if x.len() == 1 { 0 } else { c })?;
                Some((x - mean.get(c)?) / (variance.get(c)? + epsilon).sqrt() * scale.get(c)? + bias.get(c)?)
            };
            let numbers: Vec<f64> = (0..scale.len()).map(one).collect::<Option<_>>()?;
            let mut dims = vec![1; rank];
            *dims.get_mut(1)? = numbers.len();
            Some(cx.made(dims, numbers))
        };
        normalised().unwrap_or(Rest::Unknown)
    }

    fn silenced(&self, zero: &dyn Fn(usize) -> bool) -> bool {
        zero(1) && zero(2)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let zero = companions(cx, &mut layout, 1, 1..5);
        // In training mode statistics run over all axes but one, as in weights that are standardised filter by filter.
        let training = cx.node.int("training_mode") == Some(1) || cx.node.output(1).is_some();
        for b in &mut layout.bundles {
            if training && b.axes != [1] {
                cx.renormalises(&b.ids);
                b.zero = false;
            } else if b.axes.contains(&1) {
                b.zero = zero;
            }
        }
        cx.set(0, layout);
    }
}

/// Statistics of each channel over its own spatial positions.
#[derive(Debug)]
pub struct InstanceNormalization;

impl Operator for InstanceNormalization {
    fn gain(&self) -> Option<usize> {
        Some(1)
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        same_as_input(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let mut exact = true;
        for b in layout.bundles.clone() {
            // Channels folded into a spatial axis, as exporters write GroupNorm.
            if b.axes.iter().any(|axis| *axis >= 2) {
                cx.renormalises(&b.ids);
                exact = false;
            }
        }
        let zero = companions(cx, &mut layout, 1, 1..3);
        for b in &mut layout.bundles {
            b.zero = zero && exact && b.axes == [1];
        }
        cx.set(0, layout);
    }
}

/// LayerNormalization and RMSNormalization over the last axes, from `axis` on.
#[derive(Debug)]
pub struct LayerNormalization;

impl Operator for LayerNormalization {
    fn gain(&self) -> Option<usize> {
        Some(1)
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let mut facts = same_as_input(cx)?;
        if let (Some(s), Some(scale)) = (&x.shape, cx.shape(1)) {
            // A number beats a symbol, and a scale of another length is an error.
            let shape = super::fold::broadcast_shapes(&[s, scale]).filter(|b| b.len() == s.len());
            let shape = shape.ok_or_else(|| cx.bad_shape(format!("a scale {scale:?} for {s:?}")))?;
            facts = vec![Fact::new(x.dtype, shape)];
        }
        if let Some(s) = &x.shape {
            let axis = cx.axis(cx.node.int("axis").unwrap_or(-1), s.len())?;
            let stat: Vec<Dim> =
                s.iter().enumerate().map(|(i, d)| if i < axis { d.clone() } else { Dim::Known(1) }).collect();
            facts.push(Fact::new(x.dtype, stat.clone()));
            facts.push(Fact::new(x.dtype, stat));
        }
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let rank = cx.rank(0).unwrap_or(1);
        let axis = crate::graph::axis_of(cx.node.int("axis").unwrap_or(-1), rank).unwrap_or(rank.saturating_sub(1));
        let layout = cx
            .broadcast(&[0, 1, 2].into_iter().filter(|i| cx.node.input(*i).is_some()).collect::<Vec<_>>(), &|z| {
                z.iter().skip(1).all(|z| *z == Some(true))
            });
        for b in &layout.bundles {
            if b.axes.iter().any(|a| *a >= axis) {
                cx.renormalises(&b.ids);
            }
        }
        cx.set(0, layout);
    }
}

/// GroupNormalization: statistics over equal blocks of channels.
#[derive(Debug)]
pub struct GroupNormalization;

impl Operator for GroupNormalization {
    fn gain(&self) -> Option<usize> {
        Some(1)
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let groups = cx.node.int("num_groups").unwrap_or(1);
        let channels = cx.shape(0).and_then(|s| s.get(1)).and_then(Dim::known);
        if groups < 1 || channels.is_some_and(|c| c.checked_rem(groups) != Some(0)) {
            return Err(cx.bad_attribute(format!("{groups} groups do not divide the channels")));
        }
        same_as_input(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let groups = usize::try_from(cx.node.int("num_groups").unwrap_or(1)).unwrap_or(1).max(1);
        let per_group = cx.lengths(1).first() == Some(&Some(groups)) && cx.lengths(0).get(1) != Some(&Some(groups));
        let zero = if per_group {
            // Before operator set 21: one scale and one bias a group, which stay as the groups do.
            for input in [1, 2] {
                let mut own = cx.layout(input);
                let value = cx.node.input(input);
                cx.keep_whole(&mut own, 0, value, "it holds one number a group, and their number stays");
            }
            false
        } else {
            companions(cx, &mut layout, 1, 1..3)
        };
        if let Some(b) = layout.at(1).cloned() {
            let rows = cx.balance(&b, groups);
            cx.pin_ids(None, 1, &rows, "the number of groups of a GroupNormalization stays");
            cx.renormalises(&b.ids);
        }
        cx.set(0, layout.with_zero(zero));
    }
}

/// MeanVarianceNormalization over some axes: the batch and the maps unless given.
#[derive(Debug)]
pub struct MeanVariance;

impl Operator for MeanVariance {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        if let (Some(axes), Some(shape)) = (cx.node.ints("axes"), cx.shape(0)) {
            axes.iter().try_for_each(|a| cx.axis(*a, shape.len()).map(drop))?;
        }
        same_as_input(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let rank = cx.rank(0).unwrap_or(0);
        let axes = cx.node.ints("axes").unwrap_or(&[0, 2, 3]);
        let axes: Vec<usize> = axes.iter().filter_map(|&a| crate::graph::axis_of(a, rank)).collect();
        for b in &mut layout.bundles {
            if b.axes.iter().any(|a| axes.contains(a)) {
                cx.renormalises(&b.ids);
                b.zero = false;
            }
        }
        cx.set(0, layout);
    }
}

/// LRN: sums over neighbouring channels, so a cut changes what is next to what.
#[derive(Debug)]
pub struct LocalResponse;

impl Operator for LocalResponse {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        same_as_input(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        if let Some(b) = layout.at(1) {
            cx.renormalises(&b.ids.clone());
        }
        cx.set(0, layout);
    }
}

/// LpNormalization along one axis: the norm of zeros is zero, so a cut is exact where masked positions are zero.
#[derive(Debug)]
pub struct LpNormalization;

impl Operator for LpNormalization {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        same_as_input(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        let axis = crate::graph::axis_of(cx.node.int("axis").unwrap_or(-1), cx.rank(0).unwrap_or(1)).unwrap_or(0);
        if let Some(b) = layout.at(axis).filter(|b| !b.zero) {
            cx.renormalises(&b.ids.clone());
        }
        cx.set(0, layout);
    }
}
