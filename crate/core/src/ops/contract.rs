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

/// Applies the contraction rule to two operands and returns the layout of the result with axes labelled `output`.
pub fn contract(cx: &mut ChannelContext<'_>, a: &Operand, b: &Operand, output: &[Option<char>]) -> Layout {
    let (mut la, mut lb) = (cx.layout(a.input), cx.layout(b.input));
    let pairs: Vec<(usize, usize)> = a
        .labels
        .iter()
        .enumerate()
        .filter_map(|(i, l)| l.and_then(|l| b.labels.iter().position(|m| *m == Some(l))).map(|j| (i, j)))
        .collect();
    cx.align(&mut la, &mut lb, &pairs);
    let summed = |l: &Option<char>| l.is_some() && !output.contains(l);
    mark_roles(cx, a, &la, &summed);
    mark_roles(cx, b, &lb, &summed);
    for &(i, j) in pairs.iter().filter(|(i, _)| a.labels.get(*i).is_some_and(summed)) {
        if let (Some(x), Some(y)) = (la.at(i).cloned(), lb.at(j))
            && !x.zero
            && !y.zero
        {
            let value = cx.node.input(a.input);
            cx.pin_ids(value, i, &x.ids, "it is summed over, and neither side is zero where it is masked");
        }
    }
    let mut out = Layout::default();
    let (pa, pb) = (passed(cx, a, &la, output), passed(cx, b, &lb, output));
    let mut all: Vec<Bundle> = pa.into_iter().chain(pb).collect();
    all.sort_by_key(|x| std::cmp::Reverse(x.axes.len()));
    for x in all {
        match out.bundles.iter_mut().find(|o| x.axes.iter().any(|axis| o.axes.contains(axis))) {
            Some(o) => o.zero |= x.zero,
            None => out.bundles.push(x),
        }
    }
    out
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
