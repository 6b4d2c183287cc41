//! Tile: copies of a whole axis behind each other hold the same channels.

use super::{Operator, fold};
use crate::channels::{Bundle, ChannelContext, MAX_POSITIONS, positions, strides, take};
use crate::cut::CutContext;
use crate::error::{Code, Error, Result};
use crate::graph::{Constant, Dim, Fact, InferContext, Shape};

/// Tile.
#[derive(Debug)]
pub struct Tile;

/// A small constant, repeated.
fn repeated(c: &Constant, times: &[Dim]) -> Option<Constant> {
    let dims: Vec<usize> = c.dims.iter().zip(times).map(|(n, t)| n.checked_mul(t.length()?)).collect::<Option<_>>()?;
    let total = dims.iter().try_fold(1usize, |p, &n| p.checked_mul(n))?;
    if total > crate::graph::MAX_FOLDED {
        return None;
    }
    let steps = strides(&c.dims);
    let at: Vec<usize> = positions(&dims)
        .map(|p| p.iter().zip(&c.dims).zip(&steps).map(|((i, n), s)| i % n.max(&1) * s).sum())
        .collect();
    fold::pick(c, dims, at.into_iter())
}

impl Operator for Tile {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let Some(times) = cx.constant(1).and_then(Constant::as_ints) else {
            let shape = cx.node.output(0).map(|o| cx.unknown_shape(o, from.len()));
            return Ok(vec![Fact { dtype: x.dtype, shape, constant: None }]);
        };
        if times.len() != from.len() || times.iter().any(|t| t.known().is_some_and(|t| t < 0)) {
            return Err(cx.bad_shape(format!("repeats {times:?} for {from:?}")));
        }
        let shape: Shape = from.iter().zip(times).map(|(d, t)| d.mul(t)).collect();
        let constant = x.constant.as_ref().and_then(|c| repeated(c, times));
        Ok(vec![Fact { constant, ..Fact::new(x.dtype, shape) }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let (from, to) = (cx.lengths(0), cx.output_lengths(0));
        let (shape, out) = (cx.shape(0), cx.output_shape(0));
        let value = cx.node.input(0);
        for (axis, (n, m)) in from.iter().zip(&to).enumerate() {
            let same = matches!((&shape, &out), (Some(a), Some(b)) if a.get(axis) == b.get(axis));
            match (*n, *m) {
                _ if same => {}
                (Some(1), Some(m)) => {
                    // Copies of one position may go one by one.
                    if let Some(ids) = cx.fresh_copies(m) {
                        layout.bundles.retain(|b| !b.axes.contains(&axis));
                        layout.bundles.push(Bundle::single(axis, ids, false));
                    }
                }
                (Some(n), Some(m)) if layout.at(axis).is_some_and(|b| fits(b.ids.len(), n, m)) => {
                    let at: Vec<usize> = (0..m).map(|i| i % n.max(1)).collect();
                    for b in layout.bundles.iter_mut().filter(|b| b.axes.contains(&axis)) {
                        *b = take(b, axis, &at);
                    }
                }
                _ => cx.keep_whole(&mut layout, axis, value, "it is repeated as often as only running the model tells"),
            }
        }
        cx.set(0, layout);
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        let (Some(want), Some(from)) = (cx.wanted(0), cx.new_shape(0)) else { return Ok(()) };
        let Some(times) = cx.new_ints(1, "") else { return Ok(()) };
        let made: Shape = from.iter().zip(&times).map(|(d, t)| d.mul(t)).collect();
        if made == want {
            return Ok(());
        }
        let wanted: Option<Vec<Dim>> = want.iter().zip(&from).map(|(w, d)| w.div_exact(d)).collect();
        let wanted = wanted.ok_or_else(|| {
            Error::new(Code::Invalid, format!("{}: {from:?} cannot be repeated to {want:?}", cx.node().place()))
        })?;
        cx.set_layout(1, "", wanted, "repeats of a tile")
    }
}

/// Whether a list in which an axis of length `n` becomes one of length `m` can be followed.
fn fits(ids: usize, n: usize, m: usize) -> bool {
    (ids / n.max(1)).saturating_mul(m) <= MAX_POSITIONS
}
