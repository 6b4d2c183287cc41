//! Contractions: positions that are summed over are united, free positions pass through.

use crate::channels::{Bundle, ChannelContext, Layout, Role};

/// One operand of a contraction: its input and a label for every axis. Equal labels are the same index.
#[derive(Debug)]
pub struct Operand {
    /// Input position of the node.
    pub input: usize,
    /// A label per axis; `None` for axes that broadcast (length one) or are no part of it.
    pub labels: Vec<Option<char>>,
}

impl Operand {
    /// The first axis with a label.
    fn axis_of(&self, label: char) -> Option<usize> {
        self.labels.iter().position(|m| *m == Some(label))
    }
}

/// Applies the contraction rule to two operands and returns the layout of the result with axes labelled `output`.
pub fn contract(cx: &mut ChannelContext<'_>, a: &Operand, b: &Operand, output: &[Option<char>]) -> Layout {
    let layouts = vec![cx.layout(a.input), cx.layout(b.input)];
    contract_all(cx, &[a, b], layouts, output)
}

/// Applies the contraction rule to any number of operands with these layouts.
pub fn contract_all(
    cx: &mut ChannelContext<'_>,
    operands: &[&Operand],
    mut layouts: Vec<Layout>,
    output: &[Option<char>],
) -> Layout {
    agree(cx, operands, &mut layouts);
    let summed = |l: &Option<char>| l.is_some() && !output.contains(l);
    for (o, layout) in operands.iter().zip(&layouts) {
        mark_roles(cx, o, layout, &summed);
    }
    let mut sums: Vec<char> =
        operands.iter().flat_map(|o| &o.labels).filter(|l| summed(l)).copied().flatten().collect();
    sums.sort_unstable();
    sums.dedup();
    for label in sums {
        check_sum(cx, operands, &mut layouts, label);
    }
    let mut all: Vec<Bundle> = Vec::new();
    for (o, layout) in operands.iter().zip(&layouts) {
        all.extend(passed(cx, o, layout, output));
    }
    all.sort_by_key(|x| std::cmp::Reverse(x.axes.len()));
    let mut out = Layout::default();
    for x in all {
        match out.bundles.iter_mut().find(|o| x.axes.iter().any(|axis| o.axes.contains(axis))) {
            Some(o) => o.zero |= x.zero,
            None => out.bundles.push(x),
        }
    }
    out
}

/// Unites axes of equal labels, each operand with each.
fn agree(cx: &mut ChannelContext<'_>, operands: &[&Operand], layouts: &mut [Layout]) {
    // Twice where a later pair can keep an axis whole that an earlier one had in a bundle.
    let rounds = if operands.len() > 2 { 2 } else { 1 };
    for (i, j) in
        (0..rounds).flat_map(|_| (0..operands.len()).flat_map(|i| (i + 1..operands.len()).map(move |j| (i, j))))
    {
        let (Some(a), Some(b)) = (operands.get(i), operands.get(j)) else { continue };
        let pairs: Vec<(usize, usize)> = a
            .labels
            .iter()
            .enumerate()
            .filter(|(k, l)| l.is_some_and(|l| a.axis_of(l) == Some(*k)))
            .filter_map(|(k, l)| l.and_then(|l| b.axis_of(l)).map(|m| (k, m)))
            .collect();
        if let (Some(mut x), Some(mut y)) = (layouts.get(i).cloned(), layouts.get(j).cloned()) {
            cx.align(&mut x, &mut y, &pairs);
            if let Some(slot) = layouts.get_mut(i) {
                *slot = x;
            }
            if let Some(slot) = layouts.get_mut(j) {
                *slot = y;
            }
        }
    }
}

/// A sum over masked positions is exact where any factor is zero there; else the axis stays.
fn check_sum(cx: &mut ChannelContext<'_>, operands: &[&Operand], layouts: &mut [Layout], label: char) {
    let found: Vec<(usize, usize, usize)> =
        operands.iter().enumerate().filter_map(|(k, o)| Some((k, o.input, o.axis_of(label)?))).collect();
    let zero = found.iter().any(|(k, _, axis)| layouts.get(*k).and_then(|l| l.at(*axis)).is_some_and(|b| b.zero));
    let Some(&(first, input, axis)) = found.first().filter(|_| !zero) else { return };
    let value = cx.node.input(input);
    let Some(layout) = layouts.get_mut(first) else { return };
    if found.len() == 1 {
        cx.keep_whole(layout, axis, value, "it is summed over, and is not zero where it is masked");
    } else if let Some(x) = layout.at(axis).cloned() {
        cx.pin_ids(value, axis, &x.ids, "it is summed over, and neither side is zero where it is masked");
    }
}

fn mark_roles(cx: &mut ChannelContext<'_>, o: &Operand, layout: &Layout, summed: &impl Fn(&Option<char>) -> bool) {
    for b in &layout.bundles {
        let contracted = b.axes.iter().any(|&axis| o.labels.get(axis).is_some_and(summed));
        cx.role(&b.ids, if contracted { Role::Consumer } else { Role::Producer });
    }
}

/// The bundles of an operand that reach the result, with the result's axes.
fn passed(cx: &mut ChannelContext<'_>, o: &Operand, layout: &Layout, output: &[Option<char>]) -> Vec<Bundle> {
    let to = |axis: usize| -> Option<usize> {
        let label = o.labels.get(axis).copied().flatten()?;
        output.iter().position(|l| *l == Some(label))
    };
    let mut out = Vec::new();
    for b in &layout.bundles {
        let stays: Vec<usize> = b.axes.iter().copied().filter(|&axis| to(axis).is_some()).collect();
        if stays.is_empty() {
            continue;
        }
        let mut b = b.clone();
        if stays.len() < b.axes.len() {
            if b.axes.starts_with(&stays) {
                b = cx.rows(&b, stays.len());
            } else {
                for axis in b.axes.clone().into_iter().filter(|axis| to(*axis).is_none()) {
                    b = cx.collapsed(&b, axis);
                }
            }
        }
        out.extend(b.renamed(to));
    }
    out
}
