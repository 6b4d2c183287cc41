//! Concat and Split: positions of one axis, one part after the other.

use super::{Operator, fold};
use crate::channels::{Bundle, ChannelContext, Layout, MAX_POSITIONS, PINNED, take};
use crate::cut::{CutContext, Rest, RestContext};
use crate::error::Result;
use crate::graph::{Constant, Dim, Elements, Fact, InferContext, MAX_FOLDED, Shape, axis_of};

/// Concat along an axis.
#[derive(Debug)]
pub struct Concat;

impl Operator for Concat {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let first = cx.required(0)?;
        let count = cx.node.inputs.len();
        let shapes: Option<Vec<&Shape>> = (0..count).map(|i| cx.shape(i)).collect();
        let Some(shapes) = shapes else { return Ok(vec![Fact::of_type(first.dtype)]) };
        let rank = shapes.first().map_or(0, |s| s.len());
        let axis = cx.axis(cx.node.int("axis").unwrap_or(1), rank)?;
        let mut shape: Shape = Vec::new();
        for i in 0..rank {
            let own: Option<Vec<&Dim>> = shapes.iter().map(|s| s.get(i)).collect();
            let own = own.ok_or_else(|| cx.bad_shape(format!("shapes {shapes:?} have different numbers of axes")))?;
            if i == axis {
                shape.push(own.into_iter().fold(Dim::Known(0), |sum, d| sum.add(d)));
            } else {
                let known: Vec<&&Dim> = own.iter().filter(|d| d.known().is_some()).collect();
                if known.iter().zip(known.iter().skip(1)).any(|(a, b)| a != b) {
                    return Err(cx.bad_shape(format!("shapes {shapes:?} differ along axis {i}")));
                }
                shape.push(
                    known
                        .first()
                        .map(|d| (**d).clone())
                        .or_else(|| own.first().map(|d| (*d).clone()))
                        .unwrap_or(Dim::Known(1)),
                );
            }
        }
        let constants: Option<Vec<&Constant>> = (0..count).map(|i| cx.constant(i)).collect();
        let constant = constants.filter(|_| rank == 1).and_then(|c| join(&c));
        Ok(vec![Fact { constant, ..Fact::new(first.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let rank = cx.output_lengths(0).len();
        let Some(axis) = axis_of(cx.node.int("axis").unwrap_or(1), rank) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let count = cx.node.inputs.len();
        let mut layouts: Vec<Layout> = (0..count).map(|i| cx.layout(i)).collect();
        let others: Vec<(usize, usize)> = (0..rank).filter(|&i| i != axis).map(|i| (i, i)).collect();
        if let Some(single) = concat_single(cx, &layouts, axis) {
            // The usual case: the axis is a bundle of its own everywhere it is one.
            let out = beside(cx, layouts, axis, &others, single);
            return cx.set(0, out);
        }
        let joint = concat_joint(cx, &mut layouts, axis);
        if joint.is_none()
            && columns_apart(cx, &mut layouts, axis)
            && let Some(single) = concat_single(cx, &layouts, axis)
        {
            let out = beside(cx, layouts, axis, &others, single);
            return cx.set(0, out);
        }
        for l in &mut layouts {
            if joint.is_none() {
                let value = cx.node.input(0);
                cx.keep_whole(l, axis, value, "it is concatenated with values that are divided otherwise");
            } else {
                l.bundles.retain(|b| !b.axes.contains(&axis));
            }
        }
        let rest: Vec<(usize, usize)> =
            others.into_iter().filter(|(i, _)| joint.as_ref().is_none_or(|j: &Bundle| !j.axes.contains(i))).collect();
        let mut out = agree(cx, layouts, &rest);
        out.bundles.extend(joint);
        cx.set(0, out);
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        let known = (0..cx.node.inputs.len()).any(|i| cx.is_known(i));
        if known { Rest::Unknown } else { Rest::Stays }
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let flags: Vec<bool> = (0..cx.node().inputs.len()).map(|i| !cx.is_emptied(i)).collect();
        if flags.contains(&false) {
            cx.keep_inputs(&flags);
        }
        Ok(())
    }
}

fn join(parts: &[&Constant]) -> Option<Constant> {
    let total: usize = parts.iter().map(|c| c.len()).sum();
    if total > MAX_FOLDED {
        return None;
    }
    let ints: Option<Vec<&[Dim]>> = parts.iter().map(|c| c.as_ints()).collect();
    let floats: Option<Vec<&[f64]>> = parts.iter().map(|c| c.as_floats()).collect();
    let elements = match (ints, floats) {
        (Some(v), _) => Elements::Ints(v.concat()),
        (_, Some(v)) => Elements::Floats(v.concat()),
        _ => return None,
    };
    let dims = vec![total];
    Some(Constant { dtype: parts.first()?.dtype, dims, elements })
}

/// The layout of parts one after the other, whose ids along the axis are `single`.
fn beside(
    cx: &mut ChannelContext<'_>,
    mut layouts: Vec<Layout>,
    axis: usize,
    others: &[(usize, usize)],
    single: Bundle,
) -> Layout {
    for l in &mut layouts {
        l.bundles.retain(|b| !b.axes.contains(&axis));
    }
    let mut out = agree(cx, layouts, others);
    out.bundles.push(single);
    out
}

/// Parts are divided otherwise, as where some dimensions of every head have met one rotation and the others have not: rows of
/// every part keep the same positions. `false` where a part has no known length.
fn columns_apart(cx: &mut ChannelContext<'_>, layouts: &mut [Layout], axis: usize) -> bool {
    let known = |(i, l): (usize, &Layout)| l.at(axis).is_some() || cx.lengths(i).get(axis).is_some_and(Option::is_some);
    if !layouts.iter().enumerate().all(known) {
        return false;
    }
    for l in layouts {
        while let Some(other) = l.at(axis).and_then(|b| b.axes.iter().copied().find(|a| *a != axis)) {
            cx.share_columns(l, other);
        }
    }
    true
}

/// Makes all layouts agree on the other axes.
fn agree(cx: &mut ChannelContext<'_>, mut layouts: Vec<Layout>, pairs: &[(usize, usize)]) -> Layout {
    let mut out = layouts.first().cloned().unwrap_or_default();
    for _ in 0..2 {
        for l in layouts.iter_mut().skip(1) {
            cx.align(&mut out, l, pairs);
        }
    }
    for b in &mut out.bundles {
        b.zero = layouts.iter().all(|l| b.axes.iter().all(|a| l.at(*a).is_some_and(|x| x.zero)));
    }
    out
}

/// Ids along the axis if it is a bundle of its own, or whole, in every part.
fn concat_single(cx: &ChannelContext<'_>, layouts: &[Layout], axis: usize) -> Option<Bundle> {
    let mut ids: Vec<u32> = Vec::new();
    let (mut zero, mut any) = (true, false);
    for (i, l) in layouts.iter().enumerate() {
        match l.at(axis) {
            Some(b) if b.axes == [axis] => {
                ids.extend(b.ids.iter());
                zero &= b.zero;
                any = true;
            }
            Some(_) => return None,
            None => {
                let n = cx.lengths(i).get(axis).copied().flatten()?;
                if n > MAX_POSITIONS {
                    return None;
                }
                ids.extend(std::iter::repeat_n(PINNED, n));
            }
        }
        if ids.len() > MAX_POSITIONS {
            return None;
        }
    }
    any.then(|| Bundle::single(axis, ids.into(), zero))
}

/// Joint bundles of equal structure, such as (head, dimension), whose last axis is concatenated.
fn concat_joint(cx: &mut ChannelContext<'_>, layouts: &mut [Layout], axis: usize) -> Option<Bundle> {
    let first = layouts.first()?.at(axis)?.clone();
    let rank = first.axes.len();
    if first.axes.last() != Some(&axis) || rank < 2 {
        return None;
    }
    let parts: Vec<Bundle> = layouts.iter().map(|l| l.at(axis).cloned()).collect::<Option<_>>()?;
    let outer = first.lengths.get(..rank - 1)?.to_vec();
    if parts.iter().any(|p| p.axes != first.axes || p.lengths.get(..rank - 1) != Some(&outer)) {
        return None;
    }
    let rows: Vec<_> = parts.iter().map(|p| cx.rows(p, rank - 1)).collect();
    for r in rows.iter().skip(1) {
        cx.unite(&rows.first()?.ids, &r.ids);
    }
    let count: usize = outer.iter().product();
    if parts.iter().map(|p| p.ids.len()).sum::<usize>() > MAX_POSITIONS {
        return None;
    }
    let mut ids = Vec::new();
    for row in 0..count {
        for p in &parts {
            let n = p.lengths.last().copied().unwrap_or(0);
            ids.extend(p.ids.iter().skip(row * n).take(n));
        }
    }
    let mut lengths = outer;
    lengths.push(parts.iter().filter_map(|p| p.lengths.last()).sum());
    Some(Bundle::joint(first.axes, lengths, ids.into(), parts.iter().all(|p| p.zero)))
}

/// Split along an axis.
#[derive(Debug)]
pub struct Split;

/// Lengths of the parts, given or equal.
fn parts(given: Option<Vec<i64>>, total: Option<usize>, count: usize) -> Option<Vec<usize>> {
    match given {
        Some(v) if !v.is_empty() => v.into_iter().map(|n| usize::try_from(n).ok()).collect(),
        _ => {
            let total = total?;
            let each = total.div_ceil(count.max(1));
            Some((0..count).map(|i| each.min(total.saturating_sub(i * each))).collect())
        }
    }
}

impl Operator for Split {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let count = cx.node.outputs.len();
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype); count]) };
        let axis = cx.axis(cx.node.int("axis").unwrap_or(0), from.len())?;
        let total = from.get(axis).and_then(Dim::length);
        let stored = || cx.value(1)?.tensor.as_ref()?.to_i64().ok();
        let given = cx.known_or_attribute(1, "split").or_else(stored);
        if given.iter().flatten().any(|n| *n < 0) {
            return Err(cx.bad_attribute("a part has a negative length"));
        }
        let computed = given.is_none() && cx.node.input(1).is_some();
        let lengths = if computed { None } else { parts(given, total, count) };
        if let (Some(l), Some(t)) = (&lengths, total)
            && (l.iter().fold(0, |s: usize, n| s.saturating_add(*n)) != t || l.len() != count)
        {
            return Err(cx.bad_shape(format!("parts {l:?} of an axis of {t}")));
        }
        let mut start = 0usize;
        let facts = (0..count).map(|k| {
            let n = lengths.as_ref().and_then(|l| l.get(k)).map(|&n| Dim::from(n));
            let n = n.unwrap_or_else(|| Dim::symbol(format!("{}.part{k}", cx.node.name)));
            let mut shape = from.clone();
            if let Some(d) = shape.get_mut(axis) {
                *d = n;
            }
            let constant = lengths.as_ref().filter(|_| from.len() == 1).and_then(|l| {
                let (c, len) = (x.constant.as_ref()?, l.get(k).copied()?);
                let from = start;
                start = start.saturating_add(len);
                (start <= c.len()).then(|| fold::pick(c, vec![len], from..start)).flatten()
            });
            Fact { constant, ..Fact::new(x.dtype, shape) }
        });
        Ok(facts.collect())
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let lengths = cx.lengths(0);
        let Some(axis) = axis_of(cx.node.int("axis").unwrap_or(0), lengths.len()) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let given = cx.infer(|i| i.known_or_attribute(1, "split")).or_else(|| cx.known(1));
        let computed = given.is_none() && cx.node.input(1).is_some();
        let sizes =
            if computed { None } else { parts(given, lengths.get(axis).copied().flatten(), cx.node.outputs.len()) };
        let value = cx.node.input(0);
        if sizes.is_none() {
            cx.keep_whole(&mut layout, axis, value, "it is split in parts of unknown length");
            for k in 0..cx.node.outputs.len() {
                cx.set(k, layout.clone());
            }
        }
        let mut start = 0;
        // Only positions that the bundle has can be taken, whatever lengths the parts claim.
        let most = layout.at(axis).map_or(0, |b| b.ids.len());
        for (k, n) in sizes.unwrap_or_default().into_iter().enumerate() {
            let end = start + n.min(most - start);
            let at: Vec<usize> = (start..end).collect();
            start = end;
            let bundles: Vec<Bundle> = layout
                .bundles
                .iter()
                .map(|b| if b.axes.contains(&axis) { take(b, axis, &at) } else { b.clone() })
                .collect();
            // Sizes are one list for all rows, whether anything reads the part or not.
            for b in bundles.iter().filter(|b| b.axes.contains(&axis) && cx.node.output(k).is_none()) {
                cx.keep_grid(b);
            }
            cx.set(k, Layout::from(bundles));
        }
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let outputs = cx.node().outputs.len();
        let Some(rank) = cx.new_shape(0).map(|s| s.len()) else { return Ok(()) };
        let axis = axis_of(cx.node().int("axis").unwrap_or(0), rank).unwrap_or(0);
        let Some(old) = cx.old_shape(0) else { return Ok(()) };
        if cx.new_shape(0).as_ref().map(|s| s.get(axis)) == Some(old.get(axis)) {
            return Ok(());
        }
        let wanted: Option<Vec<Dim>> = (0..outputs).map(|k| cx.wanted(k).and_then(|s| s.get(axis).cloned())).collect();
        let Some(wanted) = wanted else { return Ok(()) };
        cx.drop_attribute("num_outputs");
        let left: Vec<bool> = wanted.iter().map(|n| *n != Dim::Known(0)).collect();
        let wanted: Vec<Dim> = if left.contains(&false) {
            cx.keep_outputs(&left);
            wanted.into_iter().filter(|n| *n != Dim::Known(0)).collect()
        } else {
            wanted
        };
        cx.set_layout(1, "split", wanted, "sizes of a split")
    }
}
