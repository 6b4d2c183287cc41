//! What a reshape does to a layout: runs of axes with equal products keep their positions, in row-major order.

use super::MAX_POSITIONS;
use super::context::ChannelContext;
use super::layout::{Bundle, Layout, positions, strides};
use crate::graph::Dim;
use std::ops::Range;

/// Axes of the input that become axes of the output, as few as possible.
#[derive(Debug, PartialEq)]
struct Run {
    input: Range<usize>,
    output: Range<usize>,
}

/// The layout of a reshaped value.
pub fn reshape(cx: &mut ChannelContext<'_>, mut layout: Layout, from: &[Dim], to: &[Dim]) -> Layout {
    let runs = runs(from, to);
    let last: Vec<Bundle> = runs.iter().filter_map(|run| move_last(cx, &mut layout, run, from, to)).collect();
    for run in &runs {
        if run.input.len() != 1 || run.output.len() != 1 {
            prepare(cx, &mut layout, run, from, to);
        }
    }
    let mut out = Layout::from(last);
    for bundle in layout.bundles {
        let moved = runs.iter().try_fold(bundle, |b, run| move_bundle(b, run, from, to));
        if let Some(bundle) = moved {
            out.bundles.push(tidy(unmark(bundle)));
        }
    }
    out
}

/// Axes of the output are marked by this offset until every run has been applied.
const MARK: usize = 1 << 16;

fn unmark(mut b: Bundle) -> Bundle {
    for axis in &mut b.axes {
        *axis -= MARK.min(*axis);
    }
    b
}

/// Takes the bundle of a run's last axis out of the layout and gives it to the last axis of the output, where other lengths of
/// the run are open, such as a batch that is merged with heads. Positions count from the back, so they are known if one length
/// divides the other: heads that an open axis holds lose the same positions.
fn move_last(cx: &mut ChannelContext<'_>, layout: &mut Layout, run: &Run, from: &[Dim], to: &[Dim]) -> Option<Bundle> {
    let open =
        |dims: &[Dim], r: &Range<usize>| dims.get(r.clone()).is_some_and(|d| d.iter().any(|d| d.length().is_none()));
    if !open(from, &run.input) {
        return None;
    }
    let (axis, to_axis) = (run.input.end.checked_sub(1)?, run.output.end.checked_sub(1)?);
    let (old, new) = (from.get(axis)?.length()?, to.get(to_axis)?.length()?);
    let at = layout.index_of(axis)?;
    let bundle = layout.bundles.get(at).filter(|b| b.axes == [axis] && old.max(new) <= MAX_POSITIONS)?.clone();
    let ids = if new > 1 && old.checked_rem(new) == Some(0) {
        let rows = Bundle::joint(vec![0, 1], vec![old / new, new], bundle.ids, bundle.zero);
        cx.collapsed(&rows, 0).ids
    } else if old > 1 && new.checked_rem(old) == Some(0) {
        bundle.ids.iter().copied().cycle().take(new).collect()
    } else {
        return None;
    };
    layout.bundles.remove(at);
    Some(Bundle::single(to_axis, ids, bundle.zero))
}

/// Leaves at most one bundle in a run, and none where a length of the run is not known.
fn prepare(cx: &mut ChannelContext<'_>, layout: &mut Layout, run: &Run, from: &[Dim], to: &[Dim]) {
    let known =
        |dims: &[Dim], r: &Range<usize>| dims.get(r.clone()).is_some_and(|d| d.iter().all(|d| d.length().is_some()));
    let keep = if known(from, &run.input) && known(to, &run.output) {
        let widest = layout.bundles.iter().filter(|b| b.axes.iter().any(|a| run.input.contains(a))).max_by_key(|b| {
            let (copies, rows) = cx.is_minor(b);
            (!copies, !rows, b.ids.len())
        });
        widest.filter(|b| joint_size(b, run, to) <= MAX_POSITIONS).map(|b| b.axes.clone()).unwrap_or_default()
    } else {
        Vec::new()
    };
    let value = cx.node.input(0);
    for axis in run.input.clone().filter(|a| !keep.contains(a)) {
        cx.keep_whole(layout, axis, value, "a reshape merges it with an axis of unknown length or with other channels");
    }
    // Rows that keep different columns can only be merged row by row: where columns come first in memory, all rows must
    // keep the same ones.
    while let Some(axis) = out_of_order(layout, run) {
        cx.keep_whole(layout, axis, value, "a reshape merges rows and columns the other way round");
    }
}

/// An outer axis of a bundle that lies behind an inner one within the run.
fn out_of_order(layout: &Layout, run: &Run) -> Option<usize> {
    layout.bundles.iter().find_map(|b| {
        let inside: Vec<usize> = b.axes.iter().copied().filter(|a| run.input.contains(a)).collect();
        inside.iter().zip(inside.iter().skip(1)).find(|(a, b)| a > b).map(|(a, _)| *a)
    })
}

/// Positions of a bundle once the whole run is part of it.
fn joint_size(b: &Bundle, run: &Run, to: &[Dim]) -> usize {
    let others = b.axes.iter().zip(&b.lengths).filter(|(a, _)| !run.input.contains(a)).map(|(_, n)| *n);
    let own = to.get(run.output.clone()).into_iter().flatten().filter_map(Dim::length);
    others.chain(own).fold(1, usize::saturating_mul)
}

fn move_bundle(b: Bundle, run: &Run, from: &[Dim], to: &[Dim]) -> Option<Bundle> {
    let inside: Vec<usize> = run.input.clone().filter(|a| b.axes.contains(a)).collect();
    if inside.is_empty() {
        return Some(b);
    }
    if run.input.len() == 1 && run.output.len() == 1 {
        return b.renamed(|a| Some(if run.input.contains(&a) { run.output.start + MARK } else { a }));
    }
    let lens = |dims: &[Dim], r: &Range<usize>| -> Option<Vec<usize>> {
        dims.get(r.clone())?.iter().map(Dim::length).collect()
    };
    let (old, new) = (lens(from, &run.input)?, lens(to, &run.output)?);
    let first = b.axes.iter().position(|a| run.input.contains(a))?;
    let (mut axes, mut lengths, mut plan) = (Vec::new(), Vec::new(), Vec::new());
    for (rank, (&axis, &n)) in b.axes.iter().zip(&b.lengths).enumerate() {
        if rank == first {
            axes.extend(run.output.clone().map(|a| a + MARK));
            lengths.extend(new.iter().copied());
            plan.extend(new.iter().map(|_| None));
        }
        if !run.input.contains(&axis) {
            axes.push(axis);
            lengths.push(n);
            plan.push(Some(rank));
        }
    }
    let ids = gather_ids(&b, run, &old, &lengths, &plan)?;
    Some(Bundle::joint(axes, lengths, ids.into(), b.zero))
}

/// Ids of the new joint positions. `plan` tells for each new axis which old rank it is, or that it is part of the run.
fn gather_ids(b: &Bundle, run: &Run, old: &[usize], lengths: &[usize], plan: &[Option<usize>]) -> Option<Vec<u32>> {
    let steps = strides(&b.lengths);
    let new: Vec<usize> = lengths.iter().zip(plan).filter(|(_, p)| p.is_none()).map(|(n, _)| *n).collect();
    let (new_steps, old_steps) = (strides(&new), strides(old));
    // For every position within the run: its offset in the bundle's ids.
    let within: Vec<usize> = (0..new.iter().product())
        .map(|flat: usize| {
            run.input
                .clone()
                .enumerate()
                .filter_map(|(k, axis)| {
                    let rank = b.rank_of(axis)?;
                    let (step, n) = (old_steps.get(k)?, old.get(k)?);
                    Some(flat / step % n * steps.get(rank)?)
                })
                .sum()
        })
        .collect();
    positions(lengths)
        .map(|p| {
            let (mut flat, mut at, mut k) = (0, 0, 0);
            for (i, plan) in p.iter().zip(plan) {
                match plan {
                    Some(rank) => at += i * steps.get(*rank)?,
                    None => {
                        flat += i * new_steps.get(k)?;
                        k += 1;
                    }
                }
            }
            b.ids.get(at + within.get(flat)?).copied()
        })
        .collect()
}

/// Drops axes of length one and axes along which nothing changes.
fn tidy(mut b: Bundle) -> Bundle {
    let mut rank = 0;
    while rank < b.axes.len() && b.axes.len() > 1 {
        match b.without(rank, |x, y| x == y) {
            Some(smaller) => b = smaller,
            None => rank += 1,
        }
    }
    b
}

/// Divides two shapes into the smallest runs of equal products, from the left and, past a length that cannot be compared,
/// from the right.
fn runs(from: &[Dim], to: &[Dim]) -> Vec<Run> {
    let (mut left, mut i, mut j) = (Vec::new(), 0, 0);
    while let Some((a, b)) = next_run(from.get(i..).unwrap_or_default(), to.get(j..).unwrap_or_default()) {
        left.push(Run { input: i..i + a, output: j..j + b });
        (i, j) = (i + a, j + b);
    }
    let back = |dims: &[Dim], start: usize| -> Vec<Dim> { dims.iter().skip(start).rev().cloned().collect() };
    let (tail_in, tail_out) = (back(from, i), back(to, j));
    let (mut right, mut p, mut q) = (Vec::new(), 0, 0);
    while let Some((a, b)) = next_run(tail_in.get(p..).unwrap_or_default(), tail_out.get(q..).unwrap_or_default()) {
        right.push(Run { input: from.len() - p - a..from.len() - p, output: to.len() - q - b..to.len() - q });
        (p, q) = (p + a, q + b);
    }
    let middle = Run { input: i..from.len() - p, output: j..to.len() - q };
    if !middle.input.is_empty() || !middle.output.is_empty() {
        left.push(middle);
    }
    left.extend(right.into_iter().rev());
    left
}

/// The smallest first run, if both sides have axes left and one can be found. Axes of length one at the end join it.
fn next_run(from: &[Dim], to: &[Dim]) -> Option<(usize, usize)> {
    if from.is_empty() || to.is_empty() {
        return None;
    }
    let mut products = Dim::Known(1);
    for (b, d) in to.iter().enumerate() {
        products = products.mul(d);
        let mut other = Dim::Known(1);
        for (a, e) in from.iter().enumerate() {
            other = other.mul(e);
            if other == products {
                let ones = |dims: &[Dim], start: usize| dims.iter().skip(start).all(|d| *d == Dim::Known(1));
                let all_in = if ones(from, a + 1) && ones(to, b + 1) { (from.len(), to.len()) } else { (a + 1, b + 1) };
                return Some(all_in);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dims(v: &[i64]) -> Vec<Dim> {
        v.iter().map(|&n| if n == 0 { Dim::symbol("n") } else { Dim::Known(n) }).collect()
    }

    #[test]
    fn runs_are_smallest() {
        let spans = |f: &[i64], t: &[i64]| -> Vec<(usize, usize)> {
            runs(&dims(f), &dims(t)).iter().map(|r| (r.input.len(), r.output.len())).collect()
        };
        assert_eq!(spans(&[0, 64, 8, 8], &[0, 4096]), [(1, 1), (3, 1)]);
        assert_eq!(spans(&[0, 12, 7, 7], &[0, 3, 4, 7, 7]), [(1, 1), (1, 2), (1, 1), (1, 1)]);
        assert_eq!(spans(&[2, 3, 4], &[6, 4]), [(2, 1), (1, 1)]);
        assert_eq!(spans(&[0, 5, 64], &[0, 5, 4, 16]), [(1, 1), (1, 1), (1, 2)]);
        assert_eq!(spans(&[0, 64, 1, 1], &[0, 64]), [(1, 1), (3, 1)]);
    }

    #[test]
    fn unknown_lengths_are_passed_from_both_sides() {
        let from = vec![Dim::symbol("a"), Dim::symbol("b"), Dim::Known(6)];
        let to = vec![Dim::symbol("c"), Dim::Known(2), Dim::Known(3)];
        let r = runs(&from, &to);
        assert_eq!(r.first(), Some(&Run { input: 0..2, output: 0..1 }));
        assert_eq!(r.get(1), Some(&Run { input: 2..3, output: 1..3 }));
    }
}
