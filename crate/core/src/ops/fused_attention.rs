//! The attentions of the domain com.microsoft, which optimised transformers hold: MultiHeadAttention, Attention with packed
//! weights, GroupQueryAttention.

use super::attention::{
    Heads, Place, attend, cache, count_of, heads_left, joined, keep_scale, mask_heads, output_layout, per_head,
    scores_macs,
};
use super::contract::{Operand, contract};
use super::rotary::{Cache, tie_units};
use super::{Meaning, Operator};
use crate::channels::{Bundle, ChannelContext, Layout, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, Shape};

/// A length of a shape, if it is known.
fn at(shape: Option<&Shape>, axis: usize) -> Option<usize> {
    shape.and_then(|s| s.get(axis)).and_then(Dim::length)
}

/// MultiHeadAttention: queries, keys and values come projected, apart or packed into one tensor.
#[derive(Debug)]
pub struct MultiHeadAttention;

impl MultiHeadAttention {
    /// Where queries, keys and values are: input and place.
    fn places(cx: &InferContext<'_>) -> [Option<(usize, Place)>; 3] {
        let rank = |i: usize| cx.shape(i).map(Vec::len);
        match (rank(0), rank(1)) {
            (Some(5), _) => [0, 1, 2].map(|part| Some((0, Place::Packed(part, 3)))),
            (_, Some(5)) => [Some((0, Place::Last)), Some((1, Place::Packed(0, 2))), Some((1, Place::Packed(1, 2)))],
            (_, Some(4)) => [Some((0, Place::Last)), Some((1, Place::Apart)), Some((2, Place::Apart))],
            (Some(3), Some(3)) => [0, 1, 2].map(|input| Some((input, Place::Last))),
            _ => [None; 3],
        }
    }

    /// Dimensions of one head of a part, and the length of its sequence.
    fn size(cx: &InferContext<'_>, part: Option<(usize, Place)>, heads: usize) -> Option<(Dim, Dim)> {
        let (input, place) = part?;
        let s = cx.shape(input)?;
        match place {
            Place::Last => Some((per_head(s.get(2)?, heads)?, s.get(1)?.clone())),
            Place::Apart => Some((s.get(3)?.clone(), s.get(2)?.clone())),
            Place::Packed(..) => Some((s.get(4)?.clone(), s.get(1)?.clone())),
        }
    }
}

impl Operator for MultiHeadAttention {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let q = cx.required(0)?;
        let Some(heads) = count_of(cx.node, "num_heads") else {
            return Err(cx.bad_attribute("the number of heads is missing"));
        };
        let [pq, pk, pv] = Self::places(cx);
        let (Some((d, s)), Some((_, l)), Some((dv, _))) =
            (Self::size(cx, pq, heads), Self::size(cx, pk, heads), Self::size(cx, pv, heads))
        else {
            return Ok(vec![Fact::of_type(q.dtype)]);
        };
        let batch = q.shape.as_ref().and_then(|s| s.first()).cloned().unwrap_or(Dim::Known(1));
        let total = cx.shape(6).and_then(|p| p.get(2)).map_or_else(|| l.clone(), |p| p.add(&l));
        let h = Dim::from(heads);
        Ok(vec![
            Fact::new(q.dtype, vec![batch.clone(), s.clone(), h.mul(&dv)]),
            Fact::new(q.dtype, vec![batch.clone(), h.clone(), total.clone(), d]),
            Fact::new(q.dtype, vec![batch.clone(), h.clone(), total.clone(), dv]),
            Fact::new(q.dtype, vec![batch, h, s, total]),
        ])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let heads = count_of(cx.node, "num_heads").unwrap_or(1);
        let places = cx.infer(Self::places);
        let [q, k, v] = places.map(|p| p.and_then(|(input, place)| Heads::of(cx, input, heads, place)));
        let sizes =
            places.map(|p| cx.infer(|i| Self::size(i, p, heads)).and_then(|s| s.0.length()).unwrap_or(0) * heads);
        let parts = [q, k, v];
        let [q, k, v] = packed_bias(cx, 3, parts, sizes, heads);
        cache(cx, 6, 1, k.as_ref());
        cache(cx, 7, 2, v.as_ref());
        for input in [8, 9] {
            if cx.node.input(input).is_some() {
                for part in [&q, &k, &v].into_iter().flatten() {
                    part.pin(cx, "the node writes into a cache of fixed heads");
                }
            }
        }
        let done = attend(cx, q, k, v, heads);
        mask_heads(cx, 5, heads, done.rows.as_ref());
        if let Some(rows) = done.rows.filter(|_| cx.node.output(3).is_some()) {
            cx.set(3, Layout::from(vec![Bundle::single(1, rows, false)]));
        }
        cx.set(0, output_layout(done.output.as_ref(), false));
    }

    fn macs(&self, _cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        cache_macs(outputs)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let heads = count_of(cx.node(), "num_heads").unwrap_or(1);
        let [part, ..] = cx.infer_old(Self::places);
        let old = cx.infer_old(|i| Self::size(i, part, heads)).and_then(|s| s.0.length()).unwrap_or(0);
        let packed = matches!(part, Some((_, Place::Packed(..))));
        let left = match (packed, cx.kept_flags(0, 2)) {
            (true, _) => at(cx.new_shape(0).as_ref(), 2).unwrap_or(heads),
            (false, Some(flags)) => heads_left(&flags, heads),
            (false, None) => heads,
        };
        if left != heads {
            cx.set_int("num_heads", left as i64);
        }
        let new = cx.new_shape(0);
        let size = if packed { at(new.as_ref(), 4) } else { at(new.as_ref(), 2).map(|n| n / left.max(1)) };
        keep_scale(cx, old, size.unwrap_or(old));
        Ok(())
    }
}

/// Multiply-accumulates from the facts of output, present key, present value and scores.
fn cache_macs(outputs: &[Fact]) -> Dim {
    let shape = |i: usize| outputs.get(i).and_then(|f| f.shape.as_ref());
    let (Some(keys), Some(values), Some([b, h, s, l])) = (shape(1), shape(2), shape(3).map(Vec::as_slice)) else {
        return Dim::Known(0);
    };
    scores_macs(&[b, h, s, l], keys.last(), values.last())
}

/// One bias over queries, keys and values in a row goes with them.
fn packed_bias(
    cx: &mut ChannelContext<'_>,
    input: usize,
    parts: [Option<Heads>; 3],
    sizes: [usize; 3],
    heads: usize,
) -> [Option<Heads>; 3] {
    if cx.node.input(input).is_none() {
        return parts;
    }
    let bias = cx.layout(input);
    let bundle = bias.at(0).filter(|b| b.ids.len() == sizes.iter().sum::<usize>()).cloned();
    let mut from = 0;
    let mut sizes = sizes.into_iter();
    parts.map(|part| {
        let len = sizes.next().unwrap_or(0);
        let own = bundle.as_ref().and_then(|b| Heads::part(&b.ids, from, len, heads, (input, 0)));
        from += len;
        match (part, own) {
            (Some(p), Some(own)) => {
                cx.unite(&p.ids, &own.ids);
                cx.role(&own.ids, Role::Companion);
                let zero = p.zero && bundle.as_ref().is_some_and(|b| b.zero);
                Some(Heads { zero, ..p })
            }
            (Some(p), None) => {
                p.pin(cx, "the bias of the attention cannot be cut");
                None
            }
            (None, Some(own)) => {
                own.pin(cx, "what it is added to cannot be cut");
                None
            }
            (None, None) => None,
        }
    })
}

/// Attention whose weights project one input to queries, keys and values.
#[derive(Debug)]
pub struct PackedAttention;

impl PackedAttention {
    /// Widths of queries, keys and values.
    fn widths(cx: &InferContext<'_>) -> Option<[usize; 3]> {
        let total = cx.shape(1)?.get(1)?.length()?;
        match cx.node.ints("qkv_hidden_sizes").filter(|s| !s.is_empty()) {
            Some(&[q, k, v]) => {
                let sizes = [usize::try_from(q).ok()?, usize::try_from(k).ok()?, usize::try_from(v).ok()?];
                (sizes.iter().try_fold(0usize, |a, &b| a.checked_add(b)) == Some(total)).then_some(sizes)
            }
            Some(_) => None,
            None => (total % 3 == 0).then_some([total / 3; 3]),
        }
    }
}

impl Operator for PackedAttention {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(1)?;
        let Some(heads) = count_of(cx.node, "num_heads") else {
            return Err(cx.bad_attribute("the number of heads is missing"));
        };
        let (Some(xs), true) = (&x.shape, cx.shape(1).is_some()) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let (Some([q, k, v]), [b, s, _]) = (Self::widths(cx), xs.as_slice()) else {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {:?} do not fit an attention", cx.shape(1))));
        };
        if q != k || q % heads != 0 || v % heads != 0 {
            return Err(cx.bad_shape(format!("widths {q}, {k} and {v} do not divide into {heads} heads")));
        }
        let total = cx.shape(4).and_then(|p| p.get(3)).map_or_else(|| s.clone(), |p| p.add(s));
        let mut facts = vec![Fact::new(x.dtype, vec![b.clone(), s.clone(), Dim::from(v)])];
        if q == v {
            let size = Dim::from(q / heads);
            facts.push(Fact::new(x.dtype, vec![Dim::Known(2), b.clone(), Dim::from(heads), total, size]));
        }
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let heads = count_of(cx.node, "num_heads").unwrap_or(1);
        let Some(sizes) = cx.infer(Self::widths) else {
            return cx.pin_inputs("the widths of queries, keys and values are not known");
        };
        let (a, b) = (
            Operand { input: 0, labels: vec![Some('b'), Some('s'), Some('k')] },
            Operand { input: 1, labels: vec![Some('k'), Some('n')] },
        );
        let mut projected = contract(cx, &a, &b, &[Some('b'), Some('s'), Some('n')]);
        for axis in 0..2 {
            cx.keep_whole(&mut projected, axis, cx.node.input(0), "an attention runs along it");
        }
        let bundle = projected.at(2).filter(|b| b.axes == [2]).cloned();
        let mut from = 0;
        let parts = sizes.map(|len| {
            let b = bundle.as_ref();
            let part =
                b.and_then(|b| Heads::part(&b.ids, from, len, heads, (1, 1)).map(|h| Heads { zero: b.zero, ..h }));
            from += len;
            part
        });
        let [mut q, mut k, v] = packed_bias(cx, 2, parts, sizes, heads);
        if cx.node.int("do_rotary") == Some(1) {
            for part in [&mut q, &mut k].into_iter().flatten() {
                part.whole(cx);
            }
        }
        if cx.node.input(4).is_some() || cx.node.output(1).is_some() {
            for part in [&q, &k, &v].into_iter().flatten() {
                part.pin(
                    cx,
                    "the cache of past keys and values holds all heads: export the model without a cache to cut them",
                );
            }
        }
        let done = attend(cx, q, k, v, heads);
        mask_heads(cx, 5, heads, done.rows.as_ref());
        cx.set(0, output_layout(done.output.as_ref(), false));
    }

    fn macs(&self, cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        let heads = count_of(cx.node, "num_heads").unwrap_or(1);
        let (Some([b, s, c]), Some([q, _, v]), Some(w)) =
            (cx.shape(0).map(Vec::as_slice), Self::widths(cx), cx.shape(1))
        else {
            return Dim::Known(0);
        };
        let projection = b.mul(s).mul(c).mul(w.get(1).unwrap_or(&Dim::Known(0)));
        let size = |n: usize| Dim::from(n / heads);
        projection.add(&scores_macs(&[b, &Dim::from(heads), s, s], Some(&size(q)), Some(&size(v))))
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let heads = count_of(cx.node(), "num_heads").unwrap_or(1);
        let (Some([q, k, v]), Some(flags)) = (cx.infer_old(Self::widths), cx.kept_flags(1, 1)) else { return Ok(()) };
        let mut rest = flags.as_slice();
        let mut counts = Vec::new();
        let mut left = heads;
        for (i, n) in [q, k, v].into_iter().enumerate() {
            let (part, after) = rest.split_at(n.min(rest.len()));
            if i == 0 {
                left = heads_left(part, heads).max(1);
            }
            counts.push(part.iter().filter(|f| **f).count() as i64);
            rest = after;
        }
        if left != heads {
            cx.set_int("num_heads", left as i64);
        }
        let size = counts.first().copied().unwrap_or(0) as usize / left;
        keep_scale(cx, q / heads, size);
        let equal = counts.iter().all(|c| counts.first() == Some(c));
        if counts != [q as i64, k as i64, v as i64] && (!equal || cx.node().has("qkv_hidden_sizes")) {
            cx.set_ints("qkv_hidden_sizes", counts);
        }
        Ok(())
    }
}

/// GroupQueryAttention: fewer key and value heads than query heads, with or without rotary embedding inside.
#[derive(Debug)]
pub struct GroupQueryAttention;

/// Kernels take heads whose size is a multiple of this, twice as much with rotary embedding.
const UNIT: usize = 8;

impl GroupQueryAttention {
    /// Query heads, key heads and the size of a head.
    fn heads(cx: &InferContext<'_>) -> Option<(usize, usize, Dim)> {
        let (hq, hk) = (count_of(cx.node, "num_heads")?, count_of(cx.node, "kv_num_heads")?);
        let all = if cx.node.input(1).is_none() { hq + 2 * hk } else { hq };
        (hq % hk == 0).then_some((hq, hk, per_head(cx.shape(0)?.get(2)?, all)?))
    }
}

impl Operator for GroupQueryAttention {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let q = cx.required(0)?;
        let Some(qs) = &q.shape else { return Ok(vec![Fact::of_type(q.dtype)]) };
        let (Some((hq, hk, d)), [b, s, _]) = (Self::heads(cx), qs.as_slice()) else {
            return Err(cx.bad_shape(format!("queries {qs:?} do not divide into the heads of the attention")));
        };
        let l = cx.shape(1).and_then(|k| k.get(1)).unwrap_or(s);
        let name = |output: usize| {
            let v = cx.node.output(output)?;
            cx.unknown_shape(v, 4).into_iter().nth(2)
        };
        // A cache may be a buffer of its final length.
        let total = |output: usize| match cx.node.input(3) {
            None => l.clone(),
            Some(_) => name(output).unwrap_or_else(|| l.clone()),
        };
        let present = |output: usize| Fact::new(q.dtype, vec![b.clone(), Dim::from(hk), total(output), d.clone()]);
        Ok(vec![Fact::new(q.dtype, vec![b.clone(), s.clone(), Dim::from(hq).mul(&d)]), present(1), present(2)])
    }

    fn meaning(&self, node: &Node, input: usize) -> Option<Meaning> {
        let of = usize::from(node.input(1).is_some());
        match input {
            5 => Some(Meaning::Length { of, axis: 1, less: 1 }),
            6 => Some(Meaning::Length { of, axis: 1, less: 0 }),
            _ => None,
        }
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some((hq, hk, size)) = cx.infer(Self::heads) else {
            return cx.pin_inputs("the number of heads is not known");
        };
        let (q, mut k, mut v) = if cx.node.input(1).is_none() {
            packed(cx, hq, hk, size.length().unwrap_or(0))
        } else {
            let q = Heads::of(cx, 0, hq, Place::Last);
            (q, Heads::of(cx, 1, hk, Place::Last), Heads::of(cx, 2, hk, Place::Last))
        };
        let rotary = cx.node.int("do_rotary") == Some(1);
        let table = Cache { cos: 7, sin: 8, interleaved: cx.node.int("rotary_interleaved") == Some(1) };
        if let Some(k) = &mut k {
            tie_units(cx, k, if rotary { 2 * UNIT } else { UNIT }, rotary.then_some(&table));
        }
        if let Some(v) = &mut v {
            tie_units(cx, v, if rotary { 2 * UNIT } else { UNIT }, None);
        }
        if let (Some(k), Some(v)) = (&k, &v) {
            // Keys and values have heads of one size.
            let both = Bundle::single(2, joined([&k.ids[..], &v.ids[..]]), true);
            cx.balance(&both, 2 * hk);
        }
        for (one, other) in [(&k, &v), (&v, &k)] {
            if let (Some(one), None) = (one, other) {
                one.pin(cx, "keys and values have heads of one size, and the others cannot be cut");
            }
        }
        cache(cx, 3, 1, k.as_ref());
        cache(cx, 4, 2, v.as_ref());
        let done = attend(cx, q, k, v, hq);
        mask_heads(cx, 10, hq, done.rows.as_ref());
        sink(cx, 11, done.rows.as_ref());
        cx.set(0, output_layout(done.output.as_ref(), false));
    }

    fn macs(&self, cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        let (Some((hq, _, d)), Some([b, s, _])) = (Self::heads(cx), cx.shape(0).map(Vec::as_slice)) else {
            return Dim::Known(0);
        };
        let l = cx.shape(1).and_then(|k| k.get(1)).unwrap_or(s);
        scores_macs(&[b, &Dim::from(hq), s, l], Some(&d), Some(&d))
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let Some((hq, hk, size)) = cx.infer_old(Self::heads) else { return Ok(()) };
        let (Some(flags), Some(old)) = (cx.kept_flags(0, 2), size.length()) else { return Ok(()) };
        let queries = flags.get(..hq * old).unwrap_or(&flags);
        let left = heads_left(queries, hq).max(1);
        if left != hq {
            cx.set_int("num_heads", left as i64);
            cx.set_int("kv_num_heads", (left * hk / hq).max(1) as i64);
        }
        keep_scale(cx, old, queries.iter().filter(|f| **f).count() / left);
        Ok(())
    }
}

/// Queries, keys and values packed along the last axis of one input.
fn packed(
    cx: &mut ChannelContext<'_>,
    hq: usize,
    hk: usize,
    size: usize,
) -> (Option<Heads>, Option<Heads>, Option<Heads>) {
    let Some(all) = Heads::of(cx, 0, hq + 2 * hk, Place::Last) else { return (None, None, None) };
    let part = |from: usize, count: usize| {
        let own = Heads::part(&all.ids, from * size, count * size, count, all.place)?;
        Some(Heads { zero: all.zero, ..own })
    };
    // One list, so that the three stay in step: every head keeps as many dimensions.
    cx.balance(&all.bundle(), hq + 2 * hk);
    (part(0, hq), part(hq, hk), part(hq + hk, hk))
}

/// One number a query head.
fn sink(cx: &mut ChannelContext<'_>, input: usize, rows: Option<&crate::channels::Ids>) {
    if cx.node.input(input).is_none() {
        return;
    }
    let mut layout = cx.layout(input);
    match (layout.at(0).cloned(), rows) {
        (Some(b), Some(rows)) => cx.unite(rows, &b.ids),
        (Some(_), None) => cx.keep_whole(&mut layout, 0, cx.node.input(input), "the heads it belongs to stay"),
        (None, Some(rows)) => cx.pin_ids(cx.node.input(input), 0, rows, "one number for every head cannot be cut"),
        (None, None) => {}
    }
}
