//! Operators that only rename or reorder axes.

use super::{Operator, fold};
use crate::channels::{Bundle, ChannelContext, Layout, reshape};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, Shape, axis_of, product};

/// Layout of an output that has the same elements in the same order as input 0.
fn same_order(cx: &mut ChannelContext<'_>) {
    let layout = cx.layout(0);
    let (from, to) = (cx.shape(0), cx.output_shape(0));
    match (from, to) {
        (Some(from), Some(to)) => {
            let out = reshape(cx, layout, &from, &to);
            cx.set(0, out);
        }
        _ => pin_all(cx, layout, "the shapes around this reshape are not known"),
    }
}

fn pin_all(cx: &mut ChannelContext<'_>, layout: Layout, why: &str) {
    let value = cx.node.input(0);
    for b in &layout.bundles {
        cx.pin_ids(value, b.axes.first().copied().unwrap_or(0), &b.ids, why);
    }
    cx.set(0, Layout::default());
}

/// Reshape.
#[derive(Debug)]
pub struct Reshape;

/// The shape that a target with zeros and a -1 stands for.
pub fn resolve(from: &[Dim], target: &[Dim], allow_zero: bool) -> Option<Shape> {
    let mut out: Shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, t) in target.iter().enumerate() {
        out.push(match t {
            Dim::Known(0) if !allow_zero => from.get(i)?.clone(),
            Dim::Known(-1) => {
                if open.replace(i).is_some() {
                    return None; // only one length can be left open
                }
                Dim::Known(1)
            }
            t => t.clone(),
        });
    }
    if let Some(i) = open {
        // Axes that are copied cancel out first: their lengths need not be comparable otherwise.
        let (mut have, mut used): (Vec<Dim>, Vec<Dim>) = (from.to_vec(), out.clone());
        used.retain(|u| match have.iter().position(|h| h == u && u.known().is_none()) {
            Some(at) => {
                have.remove(at);
                false
            }
            None => true,
        });
        let left = product(&have).div_floor(&product(&used))?;
        *out.get_mut(i)? = left;
    }
    Some(out)
}

impl Operator for Reshape {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let target = cx.ints_or_attribute(1, "shape");
        let (Some(from), Some(target)) = (&x.shape, target) else {
            let rank = cx.shape(1).and_then(|s| s.first()).and_then(Dim::length);
            let shape = rank.and_then(|r| cx.node.output(0).map(|o| cx.unknown_shape(o, r)));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        let shape = resolve(from, &target, cx.node.int("allowzero") == Some(1))
            .ok_or_else(|| cx.bad_shape(format!("{from:?} cannot become {target:?}")))?;
        if let (Some(a), Some(b)) = (product(from).known(), product(&shape).known())
            && a != b
        {
            return Err(cx.bad_shape(format!("{from:?} has {a} elements, {shape:?} has {b}")));
        }
        let constant = fold::reshaped(x.constant.as_ref(), &shape);
        Ok(vec![Fact { constant, ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        same_order(cx);
    }

    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        Some(None)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(want), Some(from)) = (cx.wanted(0), cx.new_shape(0)) else { return Ok(()) };
        let allow_zero = cx.node().int("allowzero") == Some(1);
        let target = cx.new_ints(1, "shape");
        if target.as_ref().and_then(|t| resolve(&from, t, allow_zero)).as_ref() == Some(&want) {
            return Ok(());
        }
        let old: Vec<Dim> = target.unwrap_or_default();
        let mut open = old.contains(&Dim::Known(-1));
        let wanted: Vec<Dim> = (want.iter().enumerate())
            .map(|(i, d)| match (d, old.get(i)) {
                (Dim::Known(n), _) if *n != 0 => d.clone(),
                (_, Some(Dim::Known(-1))) => Dim::Known(-1),
                _ if !allow_zero && from.get(i) == Some(d) => Dim::Known(0),
                _ if !open => {
                    open = true;
                    Dim::Known(-1)
                }
                _ => d.clone(),
            })
            .collect();
        cx.set_layout(1, "shape", wanted, "shape of a reshape")
    }
}

/// Flatten to two axes.
#[derive(Debug)]
pub struct Flatten;

impl Operator for Flatten {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let axis = cx.node.int("axis").unwrap_or(1);
        let axis = if axis == from.len() as i64 { from.len() } else { cx.axis(axis, from.len())? };
        let shape = vec![product(from.iter().take(axis)), product(from.iter().skip(axis))];
        Ok(vec![Fact { constant: fold::reshaped(x.constant.as_ref(), &shape), ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        same_order(cx);
    }

    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        Some(None)
    }
}

/// Squeeze.
#[derive(Debug)]
pub struct Squeeze;

impl Operator for Squeeze {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if cx.is_computed(1) {
            return Ok(vec![Fact::of_type(x.dtype)]);
        }
        let gone: Vec<usize> = match cx.known_or_attribute(1, "axes") {
            Some(axes) => axes.iter().map(|&a| cx.axis(a, from.len())).collect::<Result<_>>()?,
            None => (0..from.len()).filter(|&i| from.get(i) == Some(&Dim::Known(1))).collect(),
        };
        if let Some(axis) = gone.iter().find(|&&i| from.get(i).and_then(Dim::known).is_some_and(|n| n != 1)) {
            return Err(cx.bad_shape(format!("axis {axis} of {from:?} is squeezed, but its length is not 1")));
        }
        let shape: Shape = from.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, d)| d.clone()).collect();
        Ok(vec![Fact { constant: fold::reshaped(x.constant.as_ref(), &shape), ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        same_order(cx);
    }

    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        Some(None)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(old), Some(new)) = (cx.old_shape(0), cx.new_shape(0)) else { return Ok(()) };
        let given = cx.infer_old(|i| i.known_or_attribute(1, "axes")).is_some();
        let single = |d: Option<&Dim>| d == Some(&Dim::Known(1));
        if given || !(0..old.len()).any(|i| single(new.get(i)) && !single(old.get(i))) {
            return Ok(());
        }
        // Without a list every axis of length one goes, and now more have that length.
        let axes = (0..old.len()).filter(|&i| single(old.get(i))).map(Dim::from).collect();
        cx.set_layout(1, "axes", axes, "axes of a squeeze")
    }
}

/// Unsqueeze.
#[derive(Debug)]
pub struct Unsqueeze;

impl Operator for Unsqueeze {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let (Some(from), Some(axes)) = (&x.shape, cx.known_or_attribute(1, "axes")) else {
            return Ok(vec![Fact::of_type(x.dtype)]);
        };
        let rank = from.len() + axes.len();
        let new: std::collections::BTreeSet<usize> = axes.iter().map(|&a| cx.axis(a, rank)).collect::<Result<_>>()?;
        if new.len() < axes.len() {
            return Err(cx.bad_attribute(format!("axes {axes:?} name one twice")));
        }
        let mut old = from.iter();
        let shape: Shape = (0..rank)
            .map(|i| if new.contains(&i) { Dim::Known(1) } else { old.next().cloned().unwrap_or(Dim::Known(1)) })
            .collect();
        Ok(vec![Fact { constant: fold::reshaped(x.constant.as_ref(), &shape), ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        same_order(cx);
    }

    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        Some(None)
    }
}

/// Transpose.
#[derive(Debug)]
pub struct Transpose;

fn permutation(perm: Option<&[i64]>, rank: usize) -> Option<Vec<usize>> {
    match perm {
        Some(p) => {
            let p: Vec<usize> = p.iter().map(|&a| axis_of(a, rank)).collect::<Option<_>>()?;
            let mut sorted = p.clone();
            sorted.sort_unstable();
            sorted.iter().copied().eq(0..rank).then_some(p)
        }
        None => Some((0..rank).rev().collect()),
    }
}

impl Operator for Transpose {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let perm = permutation(cx.node.ints("perm"), from.len())
            .ok_or_else(|| cx.bad_attribute(format!("perm is no order of {} axes", from.len())))?;
        let shape: Shape = perm.iter().filter_map(|&p| from.get(p).cloned()).collect();
        let constant = x.constant.as_ref().and_then(|c| {
            let dims: Vec<usize> = perm.iter().map(|&p| c.dims.get(p).copied()).collect::<Option<_>>()?;
            let steps = crate::channels::strides(&c.dims);
            let at: Vec<usize> = crate::channels::positions(&dims)
                .map(|p| p.iter().zip(&perm).filter_map(|(i, &a)| steps.get(a).map(|s| i * s)).sum())
                .collect();
            fold::pick(c, dims.clone(), at.into_iter())
        });
        Ok(vec![Fact { constant, ..Fact::new(x.dtype, shape) }])
    }

    fn permutes(&self, node: &Node, rank: usize) -> Option<Option<Vec<usize>>> {
        permutation(node.ints("perm"), rank).map(Some)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.layout(0);
        let Some(perm) = cx.rank(0).and_then(|r| permutation(cx.node.ints("perm"), r)) else {
            return pin_all(cx, layout, "the number of axes is not known");
        };
        cx.set(0, layout.renamed(|axis| perm.iter().position(|&p| p == axis)));
    }
}

/// Expand to a broadcast shape.
#[derive(Debug)]
pub struct Expand;

impl Operator for Expand {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let (Some(from), Some(to)) = (&x.shape, cx.constant(1).and_then(|c| c.as_ints())) else {
            let rank = cx.shape(1).and_then(|s| s.first()).and_then(Dim::length);
            let shape = rank.and_then(|r| {
                cx.node.output(0).map(|o| cx.unknown_shape(o, r.max(x.shape.as_ref().map_or(0, Vec::len))))
            });
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        let shape = fold::broadcast_shapes(&[from, to])
            .ok_or_else(|| cx.bad_shape(format!("{from:?} does not expand to {to:?}")))?;
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let shift = cx.output_lengths(0).len().saturating_sub(cx.lengths(0).len());
        let (from, to) = (cx.lengths(0), cx.output_lengths(0));
        for axis in (0..from.len()).filter(|axis| to.get(axis + shift) != Some(&Some(1))) {
            cx.keep_repeated(&mut layout, axis, 0, axis);
        }
        let mut out = layout.renamed(|axis| Some(axis + shift));
        for (axis, n) in to.iter().enumerate() {
            let one = axis.checked_sub(shift).is_none_or(|k| from.get(k) == Some(&Some(1)));
            // Copies of one position may go one by one.
            if let Some(ids) = n.filter(|n| *n > 1 && one).and_then(|n| cx.fresh_copies(n)) {
                out.bundles.push(Bundle::single(axis, ids, false));
            }
        }
        cx.set(0, out);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(want), Some(from)) = (cx.wanted(0), cx.new_shape(0)) else { return Ok(()) };
        let target = cx.new_ints(1, "");
        if target.as_ref().and_then(|t| fold::broadcast_shapes(&[&from, t])).as_ref() == Some(&want) {
            return Ok(());
        }
        let shift = want.len().saturating_sub(from.len());
        let wanted = (want.iter().enumerate())
            .map(|(i, d)| match i.checked_sub(shift).and_then(|k| from.get(k)) {
                Some(own) if own == d => Dim::Known(1),
                _ => d.clone(),
            })
            .collect();
        cx.set_layout(1, "", wanted, "shape of an expand")
    }
}
