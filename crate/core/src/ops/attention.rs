//! Attention: heads and their dimensions are rows and columns of one grid.
//!
//! Queries and keys are united position by position (several query heads on one key head), values with the output. A head
//! goes when its queries, keys and values all go; every head loses as many dimensions as the others.

use super::Operator;
use crate::channels::{Bundle, ChannelContext, Ids, Layout};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, product};
use std::sync::Arc;

/// One operand of an attention: ids of its (head, dimension) positions, row-major.
#[derive(Clone, Debug)]
pub(super) struct Heads {
    /// The ids; empty where nothing can be cut.
    pub(super) ids: Ids,
    /// Number of heads.
    pub(super) count: usize,
    /// Whether masked positions are zero.
    pub(super) zero: bool,
    /// The input and its axis, for messages.
    pub(super) place: (usize, usize),
}

/// Where head positions lie in an operand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// `[batch, sequence, heads * dimensions]`, all of the last axis.
    Last,
    /// `[batch, heads, sequence, dimensions]`.
    Apart,
    /// `[batch, sequence, heads, parts, dimensions]`: this one of so many parts.
    Packed(usize, usize),
}

impl Heads {
    /// The heads of an input, if positions along its head and dimension axes can be cut.
    pub(super) fn of(cx: &mut ChannelContext<'_>, input: usize, count: usize, place: Place) -> Option<Self> {
        let rank = cx.rank(input)?;
        let axes: &[usize] = match place {
            Place::Last => &[2],
            Place::Apart => &[1, 3],
            Place::Packed(..) => &[2, 3, 4],
        };
        let (mut layout, value) = (cx.layout(input), cx.node.input(input));
        for axis in (0..rank).filter(|a| !axes.contains(a)) {
            cx.keep_whole(&mut layout, axis, value, "an attention runs along it");
        }
        let last = axes.last().copied()?;
        let lengths: Vec<usize> =
            axes.iter().map(|&a| cx.lengths(input).get(a).copied().flatten()).collect::<Option<_>>()?;
        let (rows, columns) = (layout.at(axes.first().copied()?).cloned(), layout.at(last).cloned());
        let (ids, zero): (Ids, bool) = match (rows, columns, place) {
            (_, Some(b), Place::Packed(part, parts)) if b.axes == axes => {
                let d = lengths.last().copied()?.max(1);
                let chunks = b.ids.chunks(d).enumerate().filter(|(i, _)| i % parts == part);
                (chunks.flat_map(|(_, c)| c.iter().copied()).collect(), b.zero)
            }
            (Some(b), _, _) if b.axes == axes => (b.ids.clone(), b.zero),
            // One set of dimensions for all heads, or heads of dimensions that stay.
            (None, Some(b), Place::Apart) if b.axes == [last] => {
                (b.ids.iter().copied().cycle().take(b.ids.len() * count).collect(), b.zero)
            }
            (Some(b), None, Place::Apart) if b.axes == [1] => {
                let d = lengths.last().copied()?;
                (b.ids.iter().flat_map(|&i| std::iter::repeat_n(i, d)).collect(), b.zero)
            }
            _ => {
                for &axis in axes {
                    cx.keep_whole(
                        &mut layout,
                        axis,
                        value,
                        "an attention needs its heads and their dimensions as they are",
                    );
                }
                return None;
            }
        };
        (count > 0 && ids.len() % count == 0).then_some(Self { ids, count, zero, place: (input, last) })
    }

    /// A stretch of a list of positions as heads.
    pub(super) fn part(ids: &Ids, from: usize, len: usize, count: usize, place: (usize, usize)) -> Option<Self> {
        let ids: Ids = ids.get(from..from + len)?.iter().copied().collect();
        (count > 0 && len.is_multiple_of(count)).then_some(Self { ids, count, zero: true, place })
    }

    /// Dimensions of one head.
    pub(super) fn size(&self) -> usize {
        self.ids.len() / self.count.max(1)
    }

    /// One bundle over all positions.
    pub(super) fn bundle(&self) -> Bundle {
        Bundle::single(self.place.1, self.ids.clone(), self.zero)
    }

    /// Every head so many times in a row.
    pub(super) fn repeated(&self, times: usize) -> Ids {
        match times {
            1 => self.ids.clone(),
            _ => {
                let rows = self.ids.chunks(self.size().max(1));
                rows.flat_map(|r| std::iter::repeat_n(r, times)).flatten().copied().collect()
            }
        }
    }

    /// Pins every position.
    pub(super) fn pin(&self, cx: &mut ChannelContext<'_>, why: &str) {
        let value = cx.node.input(self.place.0);
        cx.pin_ids(value, self.place.1, &self.ids, why);
    }

    /// Makes the dimensions of every head one channel: only whole heads go.
    pub(super) fn whole(&mut self, cx: &mut ChannelContext<'_>) {
        let (count, size) = (self.count, self.size());
        let joint = Bundle::joint(vec![0, 1], vec![count, size], self.ids.clone(), self.zero);
        let rows = cx.collapsed(&joint, 1);
        self.ids = rows.ids.iter().flat_map(|&i| std::iter::repeat_n(i, size)).collect();
    }
}

/// What an attention does to the positions of its operands.
#[derive(Debug)]
pub(super) struct Attended {
    /// Positions of the output, for every query head.
    pub(super) output: Option<Heads>,
    /// A channel for every query head that can go whole.
    pub(super) rows: Option<Ids>,
}

const OTHER_STAYS: &str = "the heads that it meets in an attention cannot be cut";

/// Unites queries with keys and the heads of both with those of the values.
pub(super) fn attend(
    cx: &mut ChannelContext<'_>,
    q: Option<Heads>,
    k: Option<Heads>,
    v: Option<Heads>,
    q_heads: usize,
) -> Attended {
    match (&q, &k) {
        (Some(q), Some(k)) => {
            let keys = k.repeated((q_heads / k.count.max(1)).max(1));
            cx.unite(&q.ids, &keys);
            if !q.zero && !k.zero {
                q.pin(cx, "queries and keys are multiplied, and neither is zero where it is masked");
            }
        }
        (Some(one), None) | (None, Some(one)) => one.pin(cx, OTHER_STAYS),
        (None, None) => {}
    }
    let score = if q.is_some() { k.as_ref() } else { None };
    let key_rows = score.map(|k| cx.balance(&k.bundle(), k.count));
    let value_rows = v.as_ref().map(|v| cx.balance(&v.bundle(), v.count));
    match (&key_rows, &value_rows) {
        (Some(a), Some(b)) => cx.unite(a, b),
        (Some(rows), None) | (None, Some(rows)) => cx.pin_ids(None, 1, rows, OTHER_STAYS),
        (None, None) => {}
    }
    let output = v.map(|v| {
        let times = (q_heads / v.count.max(1)).max(1);
        Heads { ids: v.repeated(times), count: q_heads, ..v }
    });
    let rows = key_rows.filter(|_| value_rows.is_some());
    let rows = rows.map(|r| {
        let times = (q_heads / r.len().max(1)).max(1);
        r.iter().flat_map(|&i| std::iter::repeat_n(i, times)).collect()
    });
    Attended { output, rows }
}

/// A mask or bias that broadcasts to `[batch, heads, queries, keys]`: heads of its own go with the heads.
pub(super) fn mask_heads(cx: &mut ChannelContext<'_>, input: usize, q_heads: usize, rows: Option<&Ids>) {
    let Some(value) = cx.node.input(input) else { return };
    let (mut layout, rank) = (cx.layout(input), cx.rank(input).unwrap_or(0));
    let axis = rank.checked_sub(3);
    for other in (0..rank).filter(|a| Some(*a) != axis) {
        cx.keep_whole(&mut layout, other, Some(value), "an attention runs along it");
    }
    let Some(axis) = axis.filter(|a| cx.lengths(input).get(*a) == Some(&Some(q_heads)) && q_heads > 1) else { return };
    match (layout.at(axis).cloned(), rows) {
        (Some(b), Some(rows)) if b.axes == [axis] => cx.unite(rows, &b.ids),
        (Some(_), _) => cx.keep_whole(&mut layout, axis, Some(value), OTHER_STAYS),
        (None, Some(rows)) => {
            cx.pin_ids(Some(value), axis, rows, "the mask of the attention is computed for every head")
        }
        (None, None) => {}
    }
}

/// A cache of keys or values: what comes in from outside has to keep its shape, and what goes out carries the heads.
pub(super) fn cache(cx: &mut ChannelContext<'_>, past: usize, present: usize, heads: Option<&Heads>) {
    let Some(h) = heads else { return };
    let lengths = vec![h.count, h.size()];
    if let Some(value) = cx.node.input(past) {
        let mut layout = cx.layout(past);
        match layout.at(1).cloned().filter(|b| b.axes == [1, 3]) {
            Some(b) => cx.unite(&h.ids, &b.ids),
            None => {
                for axis in 0..4 {
                    cx.keep_whole(&mut layout, axis, Some(value), OTHER_STAYS);
                }
                cx.pin_ids(Some(value), 3, &h.ids, "the cache of past keys and values is given with all heads: export the model without a cache to cut them");
            }
        }
    }
    if cx.node.output(present).is_some() {
        cx.set(present, Layout::from(vec![Bundle::joint(vec![1, 3], lengths, h.ids.clone(), h.zero)]));
    }
}

/// The layout of an output of heads.
pub(super) fn output_layout(out: Option<&Heads>, apart: bool) -> Layout {
    let Some(h) = out else { return Layout::default() };
    Layout::from(vec![match apart {
        true => Bundle::joint(vec![1, 3], vec![h.count, h.size()], h.ids.clone(), h.zero),
        false => Bundle::single(2, h.ids.clone(), h.zero),
    }])
}

/// A whole number attribute that counts something.
pub(super) fn count_of(node: &Node, name: &str) -> Option<usize> {
    node.int(name).and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0)
}

/// Quotient of a length by a count, if it divides.
pub(super) fn per_head(n: &Dim, heads: usize) -> Option<Dim> {
    n.div_exact(&Dim::from(heads))
}

/// The number of heads that keep any position of an axis that held `heads` of them.
pub(super) fn heads_left(flags: &[bool], heads: usize) -> usize {
    flags.chunks((flags.len() / heads.max(1)).max(1)).filter(|c| c.contains(&true)).count()
}

/// Writes down the scale that a default would otherwise take from the new size of a head.
pub(super) fn keep_scale(cx: &mut CutContext<'_>, old: usize, new: usize) {
    let given = cx.node().float("scale").is_some_and(|s| s != 0.0);
    if old != new && !given && old > 0 {
        cx.set_float("scale", 1.0 / (old as f32).sqrt());
    }
}

/// Attention of the standard operators.
#[derive(Debug)]
pub struct Attention;

impl Attention {
    /// Heads of queries and of keys and values, and whether they have an axis of their own.
    fn heads(cx: &InferContext<'_>) -> Option<(usize, usize, bool)> {
        let (q, k) = (cx.shape(0)?, cx.shape(1)?);
        let apart = q.len() == 4;
        let (hq, hk) = match apart {
            true => (q.get(1)?.length()?, k.get(1)?.length()?),
            false => (count_of(cx.node, "q_num_heads")?, count_of(cx.node, "kv_num_heads")?),
        };
        (hq > 0 && hk > 0 && hq % hk == 0).then_some((hq, hk, apart))
    }
}

impl Operator for Attention {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (q, k, v) = (cx.required(0)?, cx.required(1)?, cx.required(2)?);
        let (Some(qs), Some(ks), Some(vs)) = (&q.shape, &k.shape, &v.shape) else {
            return Ok(vec![Fact::of_type(q.dtype); 4]);
        };
        if ![3, 4].contains(&qs.len()) || ks.len() != qs.len() || vs.len() != qs.len() {
            return Err(cx.bad_shape(format!("queries {qs:?}, keys {ks:?} and values {vs:?} do not fit an attention")));
        }
        let Some((hq, hk, apart)) = Self::heads(cx) else {
            return Err(cx.bad_attribute("the numbers of query and key heads are missing or do not divide"));
        };
        let split = |s: &[Dim], heads: usize| -> Option<[Dim; 4]> {
            match (s, apart) {
                ([b, h, l, d], true) => Some([b.clone(), h.clone(), l.clone(), d.clone()]),
                ([b, l, c], false) => Some([b.clone(), Dim::from(heads), l.clone(), per_head(c, heads)?]),
                _ => None,
            }
        };
        let (Some([b, _, s, d]), Some([_, _, l, dk]), Some([_, _, _, dv])) =
            (split(qs, hq), split(ks, hk), split(vs, hk))
        else {
            return Err(cx.bad_shape(format!("{qs:?}, {ks:?} and {vs:?} do not divide into {hq} and {hk} heads")));
        };
        if d.known().zip(dk.known()).is_some_and(|(a, b)| a != b) {
            return Err(cx.bad_shape(format!("heads of {d:?} query and {dk:?} key dimensions")));
        }
        let total = cx.shape(4).and_then(|p| p.get(2)).map_or_else(|| l.clone(), |p| p.add(&l));
        let (hq, hk) = (Dim::from(hq), Dim::from(hk));
        let y = if apart {
            vec![b.clone(), hq.clone(), s.clone(), dv.clone()]
        } else {
            vec![b.clone(), s.clone(), hq.mul(&dv)]
        };
        Ok(vec![
            Fact::new(q.dtype, y),
            Fact::new(k.dtype, vec![b.clone(), hk.clone(), total.clone(), d]),
            Fact::new(v.dtype, vec![b.clone(), hk, total.clone(), dv]),
            Fact::new(q.dtype, vec![b, hq, s, total]),
        ])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some((hq, hk, apart)) = cx.infer(Self::heads) else {
            return cx.pin_inputs("the number of heads is not known");
        };
        let place = if apart { Place::Apart } else { Place::Last };
        let q = Heads::of(cx, 0, hq, place);
        let k = Heads::of(cx, 1, hk, place);
        let v = Heads::of(cx, 2, hk, place);
        cache(cx, 4, 1, k.as_ref());
        cache(cx, 5, 2, v.as_ref());
        let done = attend(cx, q, k, v, hq);
        mask_heads(cx, 3, hq, done.rows.as_ref());
        if let Some(rows) = done.rows.filter(|_| cx.node.output(3).is_some()) {
            cx.set(3, Layout::from(vec![Bundle::single(1, rows, false)]));
        }
        cx.set(0, output_layout(done.output.as_ref(), apart));
    }

    fn macs(&self, _cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let shape = |i: usize| outputs.get(i).and_then(|f| f.shape.as_ref());
        let (Some(keys), Some(values), Some([b, h, s, l])) = (shape(1), shape(2), shape(3).map(Vec::as_slice)) else {
            return Dim::Known(0);
        };
        scores_macs(&[b, h, s, l], keys.last(), values.last())
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let Some((hq, hk, apart)) = cx.infer_old(Self::heads) else { return Ok(()) };
        let old = cx.old_shape(0).and_then(|s| s.last().and_then(Dim::length)).unwrap_or(0);
        let new = cx.new_shape(0).and_then(|s| s.last().and_then(Dim::length)).unwrap_or(0);
        if apart {
            keep_scale(cx, old, new);
            return Ok(());
        }
        let flags = cx.kept_flags(0, 2).unwrap_or_else(|| vec![true; old]);
        let left = heads_left(&flags, hq).max(1);
        if left != hq {
            cx.set_int("q_num_heads", left as i64);
            cx.set_int("kv_num_heads", (left * hk / hq).max(1) as i64);
        }
        keep_scale(cx, old / hq, new / left);
        Ok(())
    }
}

/// Multiply-accumulates of both products of an attention; `scores` is the shape of the scores.
pub(super) fn scores_macs(scores: &[&Dim], key: Option<&Dim>, value: Option<&Dim>) -> Dim {
    let (Some(k), Some(v)) = (key, value) else { return Dim::Known(0) };
    product(scores.iter().copied()).mul(&k.add(v))
}

/// One list of channels out of several.
pub(super) fn joined<'a>(lists: impl IntoIterator<Item = &'a [u32]>) -> Ids {
    Arc::from(lists.into_iter().flatten().copied().collect::<Vec<u32>>())
}
