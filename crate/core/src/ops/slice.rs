//! Slice, Gather and Pad: positions of axes are picked or surrounded.

use super::{Meaning, Operator, fold};
use crate::channels::{Bundle, ChannelContext, Ids, Layout, MAX_POSITIONS, Role, positions, strides, take};
use crate::cut::CutContext;
use crate::error::{Code, Error, Result};
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
                Some(at) => layout = moved(layout, p.axis, &at),
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
        for (k, p) in parts.iter().enumerate() {
            let (n_old, n_new) = (old.get(p.axis), new.get(p.axis));
            let (mut start, mut end) = (p.start.clone(), p.end.clone());
            if let (Some(n), true) = (n_old.and_then(Dim::length), n_old != n_new)
                && let Some(at) = p.positions(n)
            {
                let Some(bounds) = cx.kept_bounds(0, p.axis, &at, p.step)? else {
                    return cx.gather_instead(0, p.axis, &at);
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
        Ok(())
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
fn fits(layout: &Layout, axis: usize, count: usize) -> bool {
    layout.at(axis).is_none_or(|b| {
        let n = b.rank_of(axis).and_then(|r| b.lengths.get(r)).copied().unwrap_or(1).max(1);
        (b.ids.len() / n).saturating_mul(count) <= MAX_POSITIONS
    })
}

fn moved(layout: Layout, axis: usize, at: &[usize]) -> Layout {
    layout
        .bundles
        .iter()
        .map(|b| if b.axes.contains(&axis) { take(b, axis, at) } else { b.clone() })
        .collect::<Vec<_>>()
        .into()
}

/// Gather along an axis; with constant indices positions move, with computed ones the axis stays whole.
#[derive(Debug)]
pub struct Gather;

impl Operator for Gather {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, i) = (cx.required(0)?, cx.required(1)?);
        if let Some(t) = i.dtype.filter(|t| !t.is_integer()) {
            return Err(Error::new(
                Code::BadType,
                format!("{}: indices have to be whole numbers, not {}", cx.node.place(), t.name()),
            ));
        }
        let (Some(from), Some(index)) = (&x.shape, &i.shape) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let axis = cx.axis(cx.node.int("axis").unwrap_or(0), from.len())?;
        let mut shape: Shape = from.iter().take(axis).cloned().collect();
        shape.extend(index.iter().cloned());
        shape.extend(from.iter().skip(axis + 1).cloned());
        let constant = match (&x.constant, cx.constant(1).and_then(|c| c.as_known())) {
            (Some(c), Some(at)) if c.dims.len() == 1 => {
                let at: Option<Vec<usize>> = at.iter().map(|&i| axis_of(i, c.len())).collect();
                at.and_then(|at| fold::pick(c, cx.constant(1)?.dims.clone(), at.into_iter()))
            }
            _ => None,
        };
        Ok(vec![Fact { constant, ..Fact::new(x.dtype, shape) }])
    }

    fn meaning(&self, node: &crate::graph::Node, input: usize) -> Option<Meaning> {
        let axis = usize::try_from(node.int("axis").unwrap_or(0)).ok()?;
        (input == 1).then_some(Meaning::Row { table: 0, axis })
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let lengths = cx.lengths(0);
        let Some(axis) = axis_of(cx.node.int("axis").unwrap_or(0), lengths.len()) else {
            return cx.pin_inputs("the number of axes is not known");
        };
        let rank = cx.rank(1).unwrap_or(0);
        let n = lengths.get(axis).copied().flatten();
        let at: Option<Vec<usize>> = cx.known(1).and_then(|v| v.iter().map(|&i| axis_of(i, n?)).collect());
        let picked = match at {
            Some(at) if rank <= 1 && fits(&layout, axis, at.len()) => Some(at),
            _ => {
                let value = cx.node.input(0);
                cx.keep_whole(&mut layout, axis, value, "positions along it are picked by number");
                None
            }
        };
        if let Some(at) = picked {
            if layout.at(axis).is_some_and(|b| b.axes.len() > 1) && rank == 0 {
                layout = one_row(cx, layout, axis, &at);
            } else {
                layout = moved(layout, axis, &at);
            }
        }
        let index = cx.layout(1);
        if cx.node.input(1).is_some_and(|v| !cx.graph.values[v].is_parameter()) {
            for b in &index.bundles {
                cx.pin_ids(
                    cx.node.input(1),
                    b.axes.first().copied().unwrap_or(0),
                    &b.ids,
                    "it says which positions are picked",
                );
            }
        }
        // A table whose rows are looked up makes the channels of its other axes.
        for b in layout.bundles.clone() {
            if !b.axes.contains(&axis) {
                cx.role(&b.ids, Role::Producer);
            }
        }
        cx.set(
            0,
            layout.renamed(|a| match a.cmp(&axis) {
                std::cmp::Ordering::Less => Some(a),
                std::cmp::Ordering::Equal => (rank == 1).then_some(a),
                std::cmp::Ordering::Greater => Some(a + rank - 1),
            }),
        );
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let Some(old) = cx.old_shape(0) else { return Ok(()) };
        let axis = axis_of(cx.node().int("axis").unwrap_or(0), old.len()).unwrap_or(0);
        let n = old.get(axis).and_then(Dim::length);
        if cx.new_shape(0).is_some_and(|s| s.get(axis) == old.get(axis)) {
            return Ok(());
        }
        let Some(at) = cx.old_known(1).and_then(|v| v.iter().map(|&i| axis_of(i, n?)).collect::<Option<Vec<usize>>>())
        else {
            return Ok(());
        };
        cx.renumber(1, axis, &at)
    }
}

/// A single position of one axis of a joint bundle: the other axes remain.
fn one_row(cx: &mut ChannelContext<'_>, layout: Layout, axis: usize, at: &[usize]) -> Layout {
    let mut out = Layout::default();
    for b in layout.bundles {
        if !b.axes.contains(&axis) {
            out.bundles.push(b);
            continue;
        }
        // Which row stays where it is must not change: rows go only together with this reader.
        if let Some(rank) = b.rank_of(axis) {
            let rows = cx.rows(&b, rank + 1);
            cx.pin_ids(None, axis, &rows.ids, "one row of it is picked by number");
        }
        let row = take(&b, axis, at);
        let keep: Vec<usize> = (0..row.axes.len()).filter(|&r| row.axes.get(r) != Some(&axis)).collect();
        let pick = |v: &[usize]| keep.iter().filter_map(|&r| v.get(r).copied()).collect::<Vec<_>>();
        out.bundles.push(Bundle::joint(pick(&row.axes), pick(&row.lengths), row.ids.clone(), row.zero));
    }
    out
}

/// Pad. New positions along an axis of channels are channels of their own that are known to be zero.
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
        let known = cx.infer(|i| Self::amounts(i, rank)).and_then(|pads| {
            pads.iter().map(|(a, b)| Some((a.known()?, b.known()?))).collect::<Option<Vec<(i64, i64)>>>()
        });
        let zero = cx.node.string("mode").is_none_or(|m| m == "constant") && pads_with_zero(cx);
        for axis in 0..rank {
            let amount = known.as_ref().and_then(|k| k.get(axis)).copied();
            match amount {
                Some((0, 0)) => {}
                Some((a, b)) if zero && a >= 0 && b >= 0 => surround(cx, &mut layout, axis, (a, b)),
                Some((a, b)) if a <= 0 && b <= 0 => {
                    if let (Some(n), true) = (cx.lengths(0).get(axis).copied().flatten(), layout.at(axis).is_some()) {
                        let at: Vec<usize> =
                            (a.unsigned_abs() as usize..n.saturating_sub(b.unsigned_abs() as usize)).collect();
                        layout = moved(layout, axis, &at);
                    }
                }
                Some(_) => cx.keep_whole(&mut layout, axis, value, "it is padded with something else than zeros"),
                None => {
                    cx.keep_whole(&mut layout, axis, value, "it is padded by amounts that only running the model tells")
                }
            }
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
