//! Pad and CenterCropPad: axes are surrounded or cropped.

use super::Operator;
use super::slice::moved;
use crate::channels::{Bundle, ChannelContext, Ids, Layout};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Shape, axis_of};

/// Pad. New positions along an axis of channels are channels of their own, the same constant everywhere.
#[derive(Debug)]
pub struct Pad;

impl Pad {
    /// Pads before and after each axis.
    fn amounts(cx: &InferContext<'_>, rank: usize) -> Option<Vec<(Dim, Dim)>> {
        let pads = cx.ints_or_attribute(1, "pads")?;
        if cx.is_computed(3) {
            return None;
        }
        let axes: Vec<usize> = match cx.constant(3).and_then(|c| c.as_known()) {
            Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect::<Option<_>>()?,
            None => (0..rank).collect(),
        };
        let mut out = vec![(Dim::Known(0), Dim::Known(0)); rank];
        for (k, &axis) in axes.iter().enumerate() {
            *out.get_mut(axis)? = (pads.get(k)?.clone(), pads.get(k + axes.len())?.clone());
        }
        Some(out)
    }
}

impl Operator for Pad {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        cx.list(3)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let shape = match Self::amounts(cx, from.len()) {
            Some(pads) => Some(from.iter().zip(&pads).map(|(d, (a, b))| d.add(a).add(b)).collect()),
            None => cx.node.output(0).map(|o| cx.unknown_shape(o, from.len())),
        };
        Ok(vec![Fact { dtype: x.dtype, shape, constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let value = cx.node.input(0);
        let rank = cx.rank(0).unwrap_or(0);
        let amounts = cx.infer(|i| Self::amounts(i, rank));
        let constant = cx.node.string("mode").is_none_or(|m| m == "constant");
        let zero = pads_with_zero(cx);
        for axis in 0..rank {
            let amount = amounts.as_ref().and_then(|k| k.get(axis)).and_then(|(a, b)| Some((a.known()?, b.known()?)));
            match amount {
                Some((0, 0)) => {}
                Some((a, b)) if constant && a >= 0 && b >= 0 => {
                    surround(cx, &mut layout, axis, (a, b));
                    if let Some(own) = layout.bundles.iter_mut().find(|o| o.axes.contains(&axis)) {
                        own.zero &= zero;
                    }
                }
                Some((a, b)) if a <= 0 && b <= 0 => {
                    if let (Some(n), true) = (cx.lengths(0).get(axis).copied().flatten(), layout.at(axis).is_some()) {
                        let at: Vec<usize> =
                            (a.unsigned_abs() as usize..n.saturating_sub(b.unsigned_abs() as usize)).collect();
                        layout = moved(layout, axis, &at);
                    }
                }
                Some(_) if constant => {
                    cx.keep_whole(&mut layout, axis, value, "it is padded at one end and cropped at the other")
                }
                Some(_) => {
                    let why = "it is padded with copies of its own positions; pad with a constant to cut along it";
                    cx.keep_whole(&mut layout, axis, value, why)
                }
                None => {
                    cx.keep_whole(&mut layout, axis, value, "it is padded by amounts that only running the model tells")
                }
            }
        }
        if constant && !zero {
            padded_beside(&mut layout, amounts.as_deref());
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let Some(old) = cx.old_shape(0) else { return Ok(()) };
        let Some(pads) = cx.infer_old(|i| Self::amounts(i, old.len())) else { return Ok(()) };
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (axis, (a, b)) in pads.iter().enumerate() {
            match (a.known(), b.known()) {
                (Some(x), Some(y)) if x != 0 || y != 0 => {
                    let (x, y) = cx.kept_pads(axis, x, y)?;
                    before.push(Dim::Known(x));
                    after.push(Dim::Known(y));
                }
                _ => {
                    before.push(a.clone());
                    after.push(b.clone());
                }
            }
        }
        let now = cx.infer_new(|i| Self::amounts(i, old.len()));
        let same =
            now.is_some_and(|n| n.iter().zip(before.iter().zip(&after)).all(|(n, (a, b))| n.0 == *a && n.1 == *b));
        if same {
            return Ok(());
        }
        if cx.node().input(3).is_some() {
            // Amounts were given for some axes only: write them for all.
            cx.drop_input(3);
        }
        before.extend(after);
        cx.set_layout(1, "pads", before, "amounts of a pad")
    }
}

/// Where other axes are padded with another constant than zero, masked positions of a channel are not zero everywhere.
fn padded_beside(layout: &mut Layout, amounts: Option<&[(Dim, Dim)]>) {
    let none = (Dim::Known(0), Dim::Known(0));
    for b in &mut layout.bundles {
        let beside = |a: &[(Dim, Dim)]| a.iter().enumerate().any(|(axis, p)| *p != none && !b.axes.contains(&axis));
        b.zero &= amounts.is_some_and(|a| !beside(a));
    }
}

fn pads_with_zero(cx: &ChannelContext<'_>) -> bool {
    if let Some(v) = cx.node.float("value") {
        return v == 0.0;
    }
    match cx.node.input(2) {
        None => true,
        Some(v) => match &cx.graph.values[v].constant {
            Some(c) => c.as_floats().map_or_else(|| c.as_known() == Some(vec![0]), |f| f == [0.0]),
            None => false,
        },
    }
}

fn surround(cx: &mut ChannelContext<'_>, layout: &mut Layout, axis: usize, amounts: (i64, i64)) {
    let Some(at) = layout.index_of(axis) else { return };
    if layout.bundles.get(at).is_some_and(|b| b.axes.len() > 1) {
        let value = cx.node.input(0);
        return cx.keep_whole(layout, axis, value, "it is padded together with other axes");
    }
    let mut fresh = |n: i64| usize::try_from(n).ok().and_then(|n| cx.fresh_zeros(n));
    let (Some(front), Some(back)) = (fresh(amounts.0), fresh(amounts.1)) else {
        let value = cx.node.input(0);
        return cx.keep_whole(layout, axis, value, "it is padded by more than can be followed");
    };
    let b = layout.bundles.remove(at);
    let ids: Ids = front.iter().chain(b.ids.iter()).chain(back.iter()).copied().collect();
    layout.bundles.insert(at, Bundle::single(axis, ids, b.zero));
}

/// CenterCropPad: every axis that it names is cropped or padded with zeros on both sides.
#[derive(Debug)]
pub struct CenterCropPad;

impl CenterCropPad {
    /// The wanted length of every axis that is named.
    fn targets(cx: &InferContext<'_>, rank: usize) -> Option<Vec<(usize, Dim)>> {
        let axes: Vec<usize> = match cx.node.ints("axes") {
            Some(axes) => axes.iter().map(|&a| axis_of(a, rank)).collect::<Option<_>>()?,
            None => (0..rank).collect(),
        };
        let lengths = cx.constant(1).and_then(Constant::as_ints)?;
        (lengths.len() == axes.len()).then(|| axes.into_iter().zip(lengths.iter().cloned()).collect())
    }
}

impl Operator for CenterCropPad {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let mut shape: Shape = from.clone();
        match Self::targets(cx, from.len()) {
            Some(targets) => {
                for (axis, n) in targets {
                    if let Some(d) = shape.get_mut(axis) {
                        *d = n;
                    }
                }
            }
            None => shape = cx.node.output(0).map(|o| cx.unknown_shape(o, from.len())).unwrap_or_default(),
        }
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let (from, to) = (cx.shape(0), cx.output_shape(0));
        let value = cx.node.input(0);
        for axis in 0..cx.rank(0).unwrap_or(0) {
            if !matches!((&from, &to), (Some(f), Some(t)) if f.get(axis) == t.get(axis)) {
                cx.keep_whole(&mut layout, axis, value, "it is cropped or padded around its middle");
            }
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(want), Some(from)) = (cx.wanted(0), cx.new_shape(0)) else { return Ok(()) };
        let Some(targets) = cx.infer_new(|i| Self::targets(i, from.len())) else { return Ok(()) };
        if targets.iter().all(|(axis, n)| want.get(*axis) == Some(n)) {
            return Ok(());
        }
        let wanted = targets.iter().filter_map(|(axis, _)| want.get(*axis).cloned()).collect();
        cx.set_layout(1, "", wanted, "shape of a crop")
    }
}
