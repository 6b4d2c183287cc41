//! Gather: positions of an axis are picked by number.

use super::slice::{fits, moved};
use super::{Meaning, Operator, fold};
use crate::channels::{Bundle, ChannelContext, Layout, Role, reshape, take};
use crate::cut::CutContext;
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Fact, InferContext, Shape, axis_of};

/// Gather along an axis; with constant indices positions move, with computed ones the axis stays whole.
#[derive(Debug)]
pub struct Gather;

impl Operator for Gather {
    fn gathers(&self, node: &crate::graph::Node) -> Option<i64> {
        Some(node.int("axis").unwrap_or(0))
    }

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
        let value = cx.node.input(0);
        let picked = at.filter(|at| fits(&layout, axis, at.len()));
        let spread_out = rank > 1 && picked.is_some();
        match picked {
            Some(at) if rank == 0 && layout.at(axis).is_some_and(|b| b.axes.len() > 1) => {
                layout = one_row(cx, layout, axis, &at);
            }
            Some(at) => {
                let inside = layout.at(axis).filter(|b| rank > 1 || b.axes.first() != Some(&axis));
                for other in inside.map(|b| b.axes.clone()).unwrap_or_default().into_iter().filter(|a| *a != axis) {
                    cx.keep_whole(&mut layout, other, value, "positions of another axis are picked by number");
                }
                layout = moved(layout, axis, &at);
                if rank == 0 {
                    // Nothing of the result says that the position is there, so it has to be.
                    let picked = layout.at(axis).map(|b| b.ids.clone());
                    if let Some(ids) = picked {
                        cx.pin_ids(value, axis, &ids, "one position of it is picked by number");
                    }
                }
                if rank > 1 {
                    layout = spread(cx, layout, axis, at.len());
                }
            }
            None => cx.keep_whole(&mut layout, axis, value, "positions along it are picked by number"),
        }
        let mut index = cx.layout(1);
        let stored = cx.node.input(1).is_some_and(|v| cx.graph.values[v].is_parameter());
        for axis in 0..rank {
            if stored {
                // A cut writes new numbers where it must; the list itself holds no channels.
                cx.fix(&mut index, axis);
            } else {
                let value = cx.node.input(1);
                cx.keep_whole(&mut index, axis, value, "it says which positions are picked");
            }
        }
        // A table whose rows are looked up makes the channels of its other axes.
        let own = axis..axis + if spread_out { rank } else { 1 };
        for b in layout.bundles.clone() {
            if !b.axes.iter().any(|a| own.contains(a)) {
                cx.role(&b.ids, Role::Producer);
            }
        }
        if spread_out {
            return cx.set(0, layout);
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

/// The layout once picked positions stand in the shape of the indices.
fn spread(cx: &mut ChannelContext<'_>, layout: Layout, axis: usize, count: usize) -> Layout {
    let (Some(from), Some(to)) = (cx.shape(0), cx.output_shape(0)) else { return Layout::default() };
    let flat: Shape = from.into_iter().enumerate().map(|(i, d)| if i == axis { Dim::from(count) } else { d }).collect();
    reshape(cx, layout, &flat, &to)
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
