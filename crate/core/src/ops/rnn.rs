//! LSTM, GRU and RNN: the hidden size is one set of channels a direction, repeated in every gate.

use super::Operator;
use crate::channels::{Blocks, Bundle, ChannelContext, Ids, Layout, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};

/// A recurrent layer with so many gates.
#[derive(Debug)]
pub struct Recurrent {
    /// Gates stacked in W, R and B.
    pub gates: usize,
}

fn directions(node: &Node) -> usize {
    if node.string("direction") == Some("bidirectional") { 2 } else { 1 }
}

fn batch_first(node: &Node) -> bool {
    node.int("layout") == Some(1)
}

impl Operator for Recurrent {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (x, r) = (cx.required(0)?, cx.required(2)?);
        let (Some(xs), Some(rs)) = (&x.shape, &r.shape) else { return Ok(vec![Fact::of_type(x.dtype); 3]) };
        let ([a, b, _], Some(h)) = (xs.as_slice(), rs.get(2)) else {
            return Err(cx.bad_shape(format!("data {xs:?} and weights {rs:?} do not fit a recurrent layer")));
        };
        let d = Dim::from(directions(cx.node));
        let rows = h.mul(&Dim::from(self.gates));
        if rs.first() != Some(&d) || rs.get(1) != Some(&rows) {
            return Err(cx.bad_shape(format!("weights {rs:?} do not fit {d} directions of {h} channels")));
        }
        let (sequence, batch) = if batch_first(cx.node) { (b, a) } else { (a, b) };
        let (y, state) = if batch_first(cx.node) {
            (vec![batch.clone(), sequence.clone(), d.clone(), h.clone()], vec![batch.clone(), d, h.clone()])
        } else {
            (vec![sequence.clone(), d.clone(), batch.clone(), h.clone()], vec![d, batch.clone(), h.clone()])
        };
        Ok(vec![Fact::new(x.dtype, y), Fact::new(x.dtype, state.clone()), Fact::new(x.dtype, state)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let d = directions(cx.node);
        let (mut x, mut w) = (cx.layout(0), cx.layout(1));
        let value = cx.node.input(0);
        for axis in 0..2 {
            cx.keep_whole(&mut x, axis, value, "a recurrent layer runs along it");
        }
        cx.align(&mut x, &mut w, &[(2, 2)]);
        if let Some(b) = w.at(2).cloned() {
            cx.role(&b.ids, Role::Consumer);
        }
        let r = cx.layout(2);
        let Some(hidden) =
            r.at(2).filter(|b| b.ids.len() == d * cx.lengths(2).get(2).copied().flatten().unwrap_or(0)).cloned()
        else {
            return cx.pin_inputs("its recurrent weights are no parameters of its own");
        };
        cx.role(&hidden.ids, Role::Consumer);
        let size = hidden.ids.len() / d;
        let stacked = [
            (1, 1, self.gates, Role::Producer),
            (2, 1, self.gates, Role::Producer),
            (3, 1, 2 * self.gates, Role::Companion),
            (7, 1, 3, Role::Companion),
        ];
        for (input, axis, copies, role) in stacked {
            if cx.node.input(input).is_some() {
                unite_gates(cx, &hidden.ids, input, axis, (d, size, copies), role);
            }
        }
        self.states(cx, &hidden, d, size);
    }

    fn macs(&self, cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        let (Some([a, b, i]), Some([d, gh, h])) = (cx.shape(0).map(Vec::as_slice), cx.shape(2).map(Vec::as_slice))
        else {
            return Dim::Known(0);
        };
        a.mul(b).mul(d).mul(gh).mul(&i.add(h))
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, Blocks)> {
        let count = directions(node);
        let blocks = Blocks { axis: 0, count };
        match (count, input) {
            (1, _) => Vec::new(),
            (_, 2) => vec![(1, blocks), (2, blocks)],
            (_, 1 | 3 | 7) => vec![(1, blocks)],
            _ => Vec::new(),
        }
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let now = cx.new_shape(2).and_then(|s| s.get(2).and_then(Dim::known));
        if let Some(h) = now
            && cx.node().int("hidden_size").is_some_and(|old| old != h)
        {
            cx.set_int("hidden_size", h);
        }
        Ok(())
    }
}

impl Recurrent {
    /// Initial states and outputs carry the hidden channels, direction by direction.
    fn states(&self, cx: &mut ChannelContext<'_>, hidden: &Bundle, d: usize, size: usize) {
        let joint = |outer: usize, inner: usize| -> Layout {
            let b = match d {
                1 => Bundle::single(inner, hidden.ids.clone(), false),
                _ => Bundle::joint(vec![outer, inner], vec![d, size], hidden.ids.clone(), false),
            };
            Layout::from(vec![b])
        };
        let first = batch_first(cx.node);
        let state = if first { joint(1, 2) } else { joint(0, 2) };
        for input in [5, 6] {
            if cx.node.input(input).is_some() {
                let mut initial = cx.layout(input);
                let mut own = state.clone();
                let pairs: &[(usize, usize)] = match (d, first) {
                    (1, _) => &[(2, 2)],
                    (_, true) => &[(1, 1), (2, 2)],
                    (_, false) => &[(0, 0), (2, 2)],
                };
                cx.align(&mut own, &mut initial, pairs);
            }
        }
        cx.set(0, if first { joint(2, 3) } else { joint(1, 3) });
        cx.set(1, state.clone());
        cx.set(2, state);
    }
}

/// Unites an axis of `copies` stacked gates with the hidden channels; `(d, size, copies)` are its parts.
fn unite_gates(
    cx: &mut ChannelContext<'_>,
    hidden: &Ids,
    input: usize,
    axis: usize,
    parts: (usize, usize, usize),
    role: Role,
) {
    let (d, size, copies) = parts;
    let mut layout = cx.layout(input);
    cx.fix(&mut layout, 0);
    match layout.at(axis).filter(|b| b.ids.len() == d * copies * size).cloned() {
        Some(b) => {
            let repeated: Ids =
                hidden.chunks(size.max(1)).flat_map(|h| h.iter().copied().cycle().take(copies * size)).collect();
            cx.unite(&repeated, &b.ids);
            cx.role(&b.ids, role);
        }
        None => cx.pin_ids(cx.node.input(input), axis, hidden, "its weights are no parameters of its own"),
    }
}
