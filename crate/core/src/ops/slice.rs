//! Slice: a regular part of some axes.

use super::{Operator, fold};
use crate::channels::{ChannelContext, Layout, MAX_POSITIONS, positions, strides, take};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Shape, axis_of};

/// Slice.
#[derive(Debug)]
pub struct Slice;

/// One sliced axis: bounds as given and the step.
#[derive(Debug, Clone)]
struct Part {
    axis: usize,
    start: Dim,
    end: Dim,
    step: i64,
}

impl Part {
    /// Positions taken along an axis of length `n`, unless it is longer than any axis of channels.
    fn positions(&self, n: usize) -> Option<Vec<usize>> {
        if n > MAX_POSITIONS {
            return None;
        }
        let (n, step) = (i64::try_from(n).ok()?, self.step);
        let wrap = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
        let (start, end) = (wrap(self.start.known()?), wrap(self.end.known()?));
        let mut out = Vec::new();
        if step > 0 {
            let (mut i, end) = (start.clamp(0, n), end.clamp(0, n));
            while i < end {
                out.push(usize::try_from(i).ok()?);
                i = i.saturating_add(step);
            }
        } else {
            let (mut i, end) = (start.clamp(-1, n - 1), end.clamp(-1, n - 1));
            while i > end {
                out.push(usize::try_from(i).ok()?);
                i = i.saturating_add(step);
            }
        }
        Some(out)
    }

    /// How many positions are taken along an axis of length `n`.
    fn count(&self, n: i64) -> Option<i64> {
        let wrap = |v: i64| if v < 0 { v.saturating_add(n) } else { v };
        let (start, end) = (wrap(self.start.known()?), wrap(self.end.known()?));
        let room = if self.step > 0 {
            end.clamp(0, n) - start.clamp(0, n)
        } else {
            start.clamp(-1, n - 1) - end.clamp(-1, n - 1)
        };
        let step = i64::try_from(self.step.unsigned_abs()).unwrap_or(i64::MAX);
        let whole = room.max(0) / step;
        Some(whole + i64::from(room.max(0) % step != 0))
    }

    /// Length of what is taken from an axis of length `d`, symbolic where it must be.
    fn length(&self, d: &Dim, name: &str) -> Dim {
        if let Some(count) = d.known().and_then(|n| self.count(n)) {
            return Dim::Known(count);
        }
        let far = |v: &Dim| v.known().is_some_and(|n| n >= i64::from(i32::MAX));
        let (start, end) = (self.start.known(), self.end.known());
        match (start, self.step) {
            (Some(s), step) if s >= 0 && step > 0 && (far(&self.end) || self.end == *d) => {
                let left = d.sub(&Dim::Known(s)).add(&Dim::Known(step.saturating_sub(1)));
                left.div_floor(&Dim::Known(step)).unwrap_or_else(|| Dim::symbol(name))
            }
            (Some(s), 1) if s >= 0 && end.is_some_and(|e| e < 0) => {
                d.add(&Dim::Known(end.unwrap_or(0).saturating_sub(s)))
            }
            (Some(s), 1) if s < 0 && far(&self.end) => Dim::Known(s.saturating_neg()),
            // Up to a symbolic length: exporters only take what is there.
            (Some(s), 1) if s >= 0 && end.is_none() => self.end.sub(&Dim::Known(s)),
            _ => Dim::symbol(name),
        }
    }
}

impl Slice {
    fn parts(
        starts: Vec<Dim>,
        ends: Vec<Dim>,
        axes: Option<Vec<i64>>,
        steps: Option<Vec<i64>>,
        rank: usize,
    ) -> Option<Vec<Part>> {
        let axes = axes.filter(|a| !a.is_empty()).unwrap_or_else(|| (0..starts.len() as i64).collect());
        let steps = steps.filter(|s| !s.is_empty()).unwrap_or_else(|| vec![1; starts.len()]);
        if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() || steps.contains(&0)
        {
            return None;
        }
        starts
            .into_iter()
            .zip(ends)
            .zip(axes)
            .zip(steps)
            .map(|(((start, end), axis), step)| Some(Part { axis: axis_of(axis, rank)?, start, end, step }))
            .collect()
    }

    fn parts_of(cx: &InferContext<'_>, rank: usize) -> Option<Vec<Part>> {
        if cx.is_computed(3) || cx.is_computed(4) {
            return None;
        }
        let starts = cx.ints_or_attribute(1, "starts")?;
        let ends = cx.ints_or_attribute(2, "ends")?;
        Self::parts(starts, ends, cx.known_or_attribute(3, "axes"), cx.known_or_attribute(4, "steps"), rank)
    }
}

impl Operator for Slice {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        (1..5).try_for_each(|i| cx.list(i))?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let Some(parts) = Self::parts_of(cx, from.len()) else {
            let computed = cx.is_computed(3) || cx.is_computed(4);
            if !computed && cx.ints_or_attribute(1, "starts").is_some() && cx.ints_or_attribute(2, "ends").is_some() {
                return Err(cx.bad_attribute("starts, ends, axes and steps do not fit together"));
            }
            let shape = cx.node.output(0).map(|o| self.unknown(cx, o, from));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        let mut shape = from.clone();
        for p in &parts {
            if let Some(d) = shape.get_mut(p.axis) {
                *d = p.length(d, &format!("{}.{}", cx.node.name, p.axis));
            }
        }
        let constant = x.constant.as_ref().and_then(|c| fold_slice(c, &parts));
        Ok(vec![Fact { constant, ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let lengths = cx.lengths(0);
        let value = cx.node.input(0);
        let Some(parts) = cx.infer(|i| Self::parts_of(i, lengths.len())) else {
            let same = cx.output_lengths(0);
            for axis in (0..lengths.len()).filter(|&a| same.get(a) != lengths.get(a)) {
                cx.keep_whole(&mut layout, axis, value, "it is sliced at bounds that only running the model tells");
            }
            return cx.set(0, layout);
        };
        for p in parts {
            let Some(n) = lengths.get(p.axis).copied().flatten() else { continue };
            match p.positions(n) {
                Some(at) if at.len() == n && p.step == 1 => {}
                Some(at) => {
                    level(cx, &mut layout, p.axis, &at, p.step);
                    layout = moved(layout, p.axis, &at);
                }
                None => cx.keep_whole(
                    &mut layout,
                    p.axis,
                    value,
                    "it is sliced at bounds that only running the model tells",
                ),
            }
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(old), Some(new)) = (cx.old_shape(0), cx.new_shape(0)) else { return Ok(()) };
        let Some(parts) = cx.infer_old(|i| Self::parts_of(i, old.len())) else { return Ok(()) };
        let now = cx.infer_new(|i| Self::parts_of(i, old.len()));
        let (mut starts, mut ends, mut changed) = (Vec::new(), Vec::new(), false);
        let mut picked = Vec::new();
        for (k, p) in parts.iter().enumerate() {
            let (n_old, n_new) = (old.get(p.axis), new.get(p.axis));
            let (mut start, mut end) = (p.start.clone(), p.end.clone());
            if let (Some(n), true) = (n_old.and_then(Dim::length), n_old != n_new)
                && let Some(at) = p.positions(n)
            {
                let bounds = match cx.kept_bounds(0, p.axis, &at, p.step)? {
                    Some(bounds) => bounds,
                    None if parts.len() == 1 => return cx.gather_instead(0, p.axis, &at),
                    None => {
                        // What is left is picked from the input first; the slice then takes all of it.
                        picked.push((p.axis, at));
                        (0, i64::from(i32::MAX))
                    }
                };
                (start, end) = (Dim::Known(bounds.0), Dim::Known(bounds.1));
            }
            // Bounds computed at run time may come out right by themselves.
            let present = now.as_ref().and_then(|n| n.get(k));
            changed |= present.is_none_or(|q| q.start != start || q.end != end);
            starts.push(start);
            ends.push(end);
        }
        if changed {
            cx.set_layout(1, "starts", starts, "bounds of a slice")?;
            cx.set_layout(2, "ends", ends, "bounds of a slice")?;
        }
        if picked.is_empty() {
            return Ok(());
        }
        let steps = parts.iter().map(|p| Dim::Known(if picked.iter().any(|(a, _)| *a == p.axis) { 1 } else { p.step }));
        if parts.iter().any(|p| p.step != 1) {
            cx.set_layout(4, "steps", steps.collect(), "steps of a slice")?;
        }
        for (axis, at) in picked {
            cx.gather_before(0, axis, &at)?;
        }
        Ok(())
    }
}

/// Rows of a joint bundle may keep different columns. A slice needs the same bounds in each: as many columns are left before
/// the part that is taken, or, where it takes only some of them, the same ones.
fn level(cx: &mut ChannelContext<'_>, layout: &mut Layout, axis: usize, at: &[usize], step: i64) {
    let Some(b) = layout.at(axis).filter(|b| b.axes.len() > 1).cloned() else { return };
    let value = cx.node.input(0);
    if b.axes.first() == Some(&axis) {
        return;
    }
    if step.abs() == 1 && b.axes.last() == Some(&axis) {
        let first = at.iter().min().copied().unwrap_or(0);
        if first > 0 {
            let before: Vec<usize> = (0..first).collect();
            let part = take(&b, axis, &before);
            cx.balance(&part, part.ids.len() / first);
        }
        return;
    }
    for other in b.axes.iter().copied().filter(|a| *a != axis) {
        cx.keep_whole(layout, other, value, "a slice picks some positions of another axis");
    }
}

impl Slice {
    fn unknown(&self, cx: &InferContext<'_>, output: crate::graph::ValueId, from: &Shape) -> Shape {
        let open = cx.unknown_shape(output, from.len());
        match cx.known_or_attribute(3, "axes") {
            Some(axes) => {
                let axes: Vec<usize> = axes.iter().filter_map(|&a| axis_of(a, from.len())).collect();
                from.iter()
                    .zip(open)
                    .enumerate()
                    .map(|(i, (d, o))| if axes.contains(&i) { o } else { d.clone() })
                    .collect()
            }
            None => open,
        }
    }
}

/// The picked elements of a small constant.
fn fold_slice(c: &Constant, parts: &[Part]) -> Option<Constant> {
    if c.is_empty() {
        return None;
    }
    let mut picked: Vec<Vec<usize>> = c.dims.iter().map(|&n| (0..n).collect()).collect();
    for p in parts {
        let n = *c.dims.get(p.axis)?;
        *picked.get_mut(p.axis)? = p.positions(n)?;
    }
    let dims: Vec<usize> = picked.iter().map(Vec::len).collect();
    let steps = strides(&c.dims);
    let at: Option<Vec<usize>> = positions(&dims)
        .map(|p| p.iter().zip(&picked).zip(&steps).map(|((i, from), s)| from.get(*i).map(|k| k * s)).sum())
        .collect();
    fold::pick(c, dims, at?.into_iter())
}

/// Whether so many positions of an axis can be picked: indices may repeat.
pub fn fits(layout: &Layout, axis: usize, count: usize) -> bool {
    layout.at(axis).is_none_or(|b| {
        let n = b.rank_of(axis).and_then(|r| b.lengths.get(r)).copied().unwrap_or(1).max(1);
        (b.ids.len() / n).saturating_mul(count) <= MAX_POSITIONS
    })
}

/// The layout once some positions of an axis are taken, in the order given.
pub fn moved(layout: Layout, axis: usize, at: &[usize]) -> Layout {
    layout
        .bundles
        .iter()
        .map(|b| if b.axes.contains(&axis) { take(b, axis, at) } else { b.clone() })
        .collect::<Vec<_>>()
        .into()
}
