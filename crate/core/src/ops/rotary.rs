//! Rotary embeddings: dimensions of a head turn in pairs, by the same angles in every head.

use super::attention::{Heads, Place, count_of, heads_left, output_layout};
use super::{Meaning, Operator};
use crate::channels::{Bundle, ChannelContext, Ids, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};

/// Where the tables of cosines and sines are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cache {
    /// Input of the cosines.
    pub(super) cos: usize,
    /// Input of the sines.
    pub(super) sin: usize,
    /// Whether a pair lies side by side; else its halves are half a head apart.
    pub(super) interleaved: bool,
}

impl Cache {
    /// The two dimensions of pair `i` when `turned` dimensions turn.
    fn pair(&self, i: usize, turned: usize) -> (usize, usize) {
        if self.interleaved { (2 * i, 2 * i + 1) } else { (i, i + turned / 2) }
    }

    /// The columns of both tables as one list of channels, if they are parameters.
    fn columns(&self, cx: &mut ChannelContext<'_>, pairs: usize) -> Option<Ids> {
        let mut found: Vec<Ids> = Vec::new();
        for input in [self.cos, self.sin] {
            let mut layout = cx.layout(input);
            let last = cx.rank(input)?.checked_sub(1)?;
            for axis in 0..last {
                cx.keep_whole(&mut layout, axis, cx.node.input(input), "positions are looked up along it");
            }
            found.push(layout.at(last).filter(|b| b.axes == [last] && b.ids.len() == pairs)?.ids.clone());
        }
        let (cos, sin) = (found.first()?.clone(), found.get(1)?.clone());
        cx.unite(&cos, &sin);
        cx.role(&cos, Role::Companion);
        cx.role(&sin, Role::Companion);
        Some(cos)
    }

    /// Keeps the tables as they are.
    fn keep(&self, cx: &mut ChannelContext<'_>) {
        for input in [self.cos, self.sin] {
            let mut layout = cx.layout(input);
            let last = cx.rank(input).unwrap_or(1).saturating_sub(1);
            cx.keep_whole(&mut layout, last, cx.node.input(input), "the dimensions that it turns stay");
        }
    }

    /// Ties the pairs of every head to each other and to the tables. Where that cannot be, only whole heads go.
    pub(super) fn tie(&self, cx: &mut ChannelContext<'_>, heads: &mut Heads, turned: usize) {
        let size = heads.size();
        let pairs = turned / 2;
        let Some(columns) = self.columns(cx, pairs).filter(|_| turned <= size) else {
            self.keep(cx);
            heads.whole(cx);
            return;
        };
        for row in heads.ids.chunks(size.max(1)) {
            let pick = |second: bool| -> Ids {
                let place = |i| if second { self.pair(i, turned).1 } else { self.pair(i, turned).0 };
                (0..pairs).filter_map(|i| row.get(place(i)).copied()).collect()
            };
            for half in [pick(false), pick(true)] {
                cx.unite(&columns, &half);
            }
        }
    }
}

/// Ties the dimensions of every head into units of so many, as kernels want them; with a table, the same units everywhere.
pub(super) fn tie_units(cx: &mut ChannelContext<'_>, heads: &mut Heads, unit: usize, table: Option<&Cache>) {
    let size = heads.size();
    let fits = size.is_multiple_of(unit) && size > unit;
    let whole_turn = table.is_none_or(|t| {
        let columns = cx.lengths(t.cos).get(1).copied().flatten();
        columns == Some(size / 2)
    });
    if !fits || !whole_turn {
        if let Some(t) = table {
            t.keep(cx);
        }
        heads.whole(cx);
        return;
    }
    let halves = table.is_none_or(|t| !t.interleaved);
    let unit_of = |d: usize| if halves { d % (size / 2) / (unit / 2) } else { d / unit };
    let mut leaders: Vec<u32> = Vec::with_capacity(heads.ids.len());
    for row in heads.ids.chunks(size) {
        let mut first: Vec<Option<u32>> = vec![None; size / unit];
        for (d, &id) in row.iter().enumerate() {
            leaders.push(first.get_mut(unit_of(d)).map_or(id, |slot| *slot.get_or_insert(id)));
        }
    }
    cx.unite(&leaders.into(), &heads.ids);
    if let Some(t) = table {
        t.tie(cx, heads, size);
    }
}

/// RotaryEmbedding; the two domains order its inputs differently.
#[derive(Debug)]
pub struct RotaryEmbedding {
    /// Input of the cosines; the sines follow.
    pub cos: usize,
}

impl RotaryEmbedding {
    /// Heads, size of a head, dimensions that turn, and whether heads have an axis of their own.
    fn form(&self, cx: &InferContext<'_>) -> Option<(usize, usize, usize, bool)> {
        let x = cx.shape(0)?;
        let columns = cx.shape(self.cos)?.last()?.length()?;
        let partial = count_of(cx.node, "rotary_embedding_dim");
        let (heads, size, apart) = match x.as_slice() {
            [_, h, _, d] => (h.length()?, d.length()?, true),
            [_, _, c] => {
                let heads = count_of(cx.node, "num_heads").or_else(|| Some(c.length()? / (2 * columns).max(1)))?;
                (heads, c.length()?.checked_div(heads)?, false)
            }
            _ => return None,
        };
        let turned = partial.unwrap_or(size);
        (heads > 0 && turned == 2 * columns && turned <= size).then_some((heads, size, turned, apart))
    }
}

impl Operator for RotaryEmbedding {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.required(self.cos)?;
        cx.required(self.cos + 1)?;
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn meaning(&self, _node: &Node, input: usize) -> Option<Meaning> {
        let positions = if self.cos == 1 { 3 } else { 1 };
        (input == positions).then_some(Meaning::Row { table: self.cos, axis: 0 })
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some((count, _, turned, apart)) = cx.infer(|i| self.form(i)) else {
            return cx.pin_inputs("how a rotary embedding divides its input into heads is not known");
        };
        let table = Cache { cos: self.cos, sin: self.cos + 1, interleaved: cx.node.int("interleaved") == Some(1) };
        let Some(mut heads) = Heads::of(cx, 0, count, if apart { Place::Apart } else { Place::Last }) else {
            return table.keep(cx);
        };
        table.tie(cx, &mut heads, turned);
        if !apart {
            // Every head keeps as many dimensions, or goes whole.
            cx.balance(&Bundle::single(2, heads.ids.clone(), heads.zero), count);
        }
        cx.set(0, output_layout(Some(&heads), apart));
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let Some((heads, size, turned, apart)) = cx.infer_old(|i| self.form(i)) else { return Ok(()) };
        let width = cx.new_shape(0).and_then(|s| s.last().and_then(Dim::length)).unwrap_or(0);
        let left = match (apart, cx.kept_flags(0, 2)) {
            (false, Some(flags)) => heads_left(&flags, heads).max(1),
            _ => heads,
        };
        if !apart && (left != heads || !cx.node().has("num_heads")) {
            cx.set_int("num_heads", left as i64);
        }
        let columns = cx.new_shape(self.cos).and_then(|s| s.last().and_then(Dim::length)).unwrap_or(turned / 2);
        let now = if apart { width } else { width / left };
        if now != size && (cx.node().has("rotary_embedding_dim") || turned != size) {
            cx.set_int(
                "rotary_embedding_dim",
                if 2 * columns == now && turned == size { 0 } else { 2 * columns as i64 },
            );
        }
        Ok(())
    }
}
