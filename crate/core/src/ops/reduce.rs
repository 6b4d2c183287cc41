//! Reductions: over channels a sum is a contraction with ones; a mean becomes one, divided by the old length.

use super::Operator;
use crate::channels::ChannelContext;
use crate::cut::{CutContext, Rest, RestContext};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, axis_of};

/// What is reduced to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Sum: exact over zeros.
    Sum,
    /// Mean: exact over zeros once it is a sum times one over the old length.
    Mean,
    /// Anything else, whose value changes with what is left.
    Other,
}

/// A reduction over some axes.
#[derive(Debug)]
pub struct Reduce {
    /// To what.
    pub kind: Kind,
}

fn axes(cx: &InferContext<'_>, rank: usize) -> Option<Vec<usize>> {
    let given = match cx.node.ints("axes") {
        Some(v) => Some(v.to_vec()),
        None if cx.node.input(1).is_some() => Some(cx.constant(1)?.as_known()?),
        None => None,
    };
    match given {
        Some(v) if !v.is_empty() => v
            .iter()
            .map(|&a| axis_of(a, rank))
            .collect::<Option<std::collections::BTreeSet<usize>>>()
            .map(|v| v.into_iter().collect()),
        _ if cx.node.int("noop_with_empty_axes") == Some(1) => Some(Vec::new()),
        _ => Some((0..rank).collect()),
    }
}

fn keeps(node: &crate::graph::Node) -> bool {
    node.int("keepdims") != Some(0)
}

impl Operator for Reduce {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        cx.list(1)?;
        let Some(from) = &x.shape else { return Ok(vec![Fact::of_type(x.dtype)]) };
        if let Some(axis) =
            cx.known_or_attribute(1, "axes").iter().flatten().find(|a| axis_of(**a, from.len()).is_none())
        {
            return Err(cx.bad_attribute(format!("axis {axis} is out of range for {} axes", from.len())));
        }
        let Some(axes) = axes(cx, from.len()) else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let shape = (from.iter().enumerate())
            .filter(|(i, _)| keeps(cx.node) || !axes.contains(i))
            .map(|(i, d)| if axes.contains(&i) { Dim::Known(1) } else { d.clone() })
            .collect();
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let rank = cx.rank(0).unwrap_or(0);
        let Some(axes) = cx.infer(|i| axes(i, rank)) else {
            return cx.pin_inputs("it is reduced over axes that only running the model tells");
        };
        let value = cx.node.input(0);
        for &axis in &axes {
            let Some(b) = layout.at(axis).cloned() else { continue };
            let exact = b.zero && matches!(self.kind, Kind::Sum | Kind::Mean) && !self.is_centring(cx);
            if exact || self.kind == Kind::Mean {
                if !exact {
                    cx.renormalises(&b.ids);
                }
                if b.axes.iter().all(|a| axes.contains(a)) {
                    layout.bundles.retain(|o| o.axes != b.axes);
                    continue;
                }
            }
            cx.keep_whole(&mut layout, axis, value, "it is reduced over, and what is masked would count");
        }
        let keep = keeps(cx.node);
        cx.set(
            0,
            layout.renamed(|a| {
                if axes.contains(&a) {
                    None
                } else if keep {
                    Some(a)
                } else {
                    Some(a - axes.iter().filter(|&&x| x < a).count())
                }
            }),
        );
    }

    fn rest(&self, cx: &RestContext<'_>) -> Rest {
        let sums = matches!(self.kind, Kind::Sum | Kind::Mean);
        if sums && cx.is_empty(0) { cx.made(Vec::new(), vec![0.0]) } else { Rest::Unknown }
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        if self.kind != Kind::Mean {
            return Ok(());
        }
        let (Some(old), Some(new)) = (cx.old_shape(0), cx.new_shape(0)) else { return Ok(()) };
        let Some(axes) = cx.infer_old(|i| axes(i, old.len())) else { return Ok(()) };
        let cut = axes.iter().any(|&a| old.get(a) != new.get(a));
        if !cut || cx.is_renormalised() {
            return Ok(());
        }
        let pick = |s: &[Dim]| axes.iter().filter_map(|&a| s.get(a).and_then(Dim::length)).product::<usize>();
        cx.scale_output(pick(&new) as f32 / pick(&old) as f32)
    }
}

impl Reduce {
    /// Whether the mean is subtracted from what it is the mean of: part of a normalisation, whose statistic follows the cut.
    fn is_centring(&self, cx: &ChannelContext<'_>) -> bool {
        let (Some(x), Some(mean)) = (cx.node.input(0), cx.node.output(0)) else { return false };
        self.kind == Kind::Mean
            && cx.graph.values[mean].uses.iter().any(|&(n, _)| {
                let reader = &cx.graph.nodes[n];
                reader.op_type == "Sub" && reader.inputs.contains(&Some(x))
            })
    }
}
