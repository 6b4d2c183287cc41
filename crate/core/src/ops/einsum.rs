//! Einsum: a contraction whose axes are named by letters.

use super::Operator;
use super::contract::{Operand, contract_all};
use crate::channels::{ChannelContext, Layout};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Shape, product};
use std::collections::BTreeMap;

/// Einsum.
#[derive(Debug)]
pub struct Einsum;

/// Labels of the axes behind an ellipsis count from here, the last axis first.
const ELLIPSIS: u32 = 0x1_0000;

/// A label for every axis of every operand and of the result.
#[derive(Debug, PartialEq)]
struct Equation {
    inputs: Vec<Vec<char>>,
    output: Vec<char>,
}

/// Letters of one term, with the ellipsis spread over `hidden` axes.
fn term(text: &str, hidden: usize) -> Option<Vec<char>> {
    let spread = || (0..hidden as u32).rev().filter_map(|i| char::from_u32(ELLIPSIS + i));
    match text.split_once("...") {
        Some((a, b)) if !b.contains('.') => Some(a.chars().chain(spread()).chain(b.chars()).collect()),
        None => Some(text.chars().collect()),
        Some(_) => None,
    }
    .filter(|labels: &Vec<char>| labels.iter().all(|c| c.is_ascii_alphabetic() || *c as u32 >= ELLIPSIS))
}

impl Equation {
    /// Reads an equation for operands of these ranks.
    fn parse(text: &str, ranks: &[usize]) -> Option<Self> {
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        let (left, right) = match text.split_once("->") {
            Some((l, r)) => (l, Some(r)),
            None => (text.as_str(), None),
        };
        let terms: Vec<&str> = left.split(',').collect();
        if terms.len() != ranks.len() {
            return None;
        }
        let letters = |t: &str| t.chars().filter(|c| *c != '.').count();
        let hidden = |t: &str, rank: usize| if t.contains("...") { rank.checked_sub(letters(t)) } else { Some(0) };
        let widths: Vec<usize> = terms.iter().zip(ranks).map(|(t, r)| hidden(t, *r)).collect::<Option<_>>()?;
        let inputs: Vec<Vec<char>> = terms.iter().zip(&widths).map(|(t, h)| term(t, *h)).collect::<Option<_>>()?;
        if inputs.iter().zip(ranks).any(|(l, r)| l.len() != *r) {
            return None;
        }
        let widest = widths.iter().copied().max().unwrap_or(0);
        let output = match right {
            Some(r) => term(r, widest)?,
            None => implied(&inputs, widest),
        };
        let known = output.iter().all(|c| inputs.iter().any(|i| i.contains(c)));
        let once = output.iter().enumerate().all(|(k, c)| !output.iter().skip(k + 1).any(|d| c == d));
        (known && once).then_some(Self { inputs, output })
    }

    fn of(cx: &InferContext<'_>) -> Option<Self> {
        let ranks: Option<Vec<usize>> = (0..cx.node.inputs.len()).map(|i| cx.shape(i).map(Vec::len)).collect();
        Self::parse(cx.node.string("equation")?, &ranks?)
    }

    /// The length of every label; an axis of length one is repeated.
    fn lengths(&self, cx: &InferContext<'_>) -> Result<BTreeMap<char, Dim>> {
        let mut out: BTreeMap<char, Dim> = BTreeMap::new();
        for (i, labels) in self.inputs.iter().enumerate() {
            for (label, d) in labels.iter().zip(cx.shape(i).into_iter().flatten()) {
                let slot = out.entry(*label).or_insert(Dim::Known(1));
                match (&*slot, d) {
                    (_, Dim::Known(1)) => {}
                    (Dim::Known(a), Dim::Known(b)) if *a != 1 && a != b => {
                        return Err(cx.bad_shape(format!("one index stands for lengths {a} and {b}")));
                    }
                    (Dim::Known(a), Dim::Symbolic(_)) if *a != 1 => {}
                    _ => *slot = d.clone(),
                }
            }
        }
        Ok(out)
    }
}

/// Without an arrow: the ellipsis, then every letter that stands once, in alphabetical order.
fn implied(inputs: &[Vec<char>], widest: usize) -> Vec<char> {
    let mut counts: BTreeMap<char, usize> = BTreeMap::new();
    for c in inputs.iter().flatten() {
        *counts.entry(*c).or_insert(0) += 1;
    }
    let hidden = (0..widest as u32).rev().filter_map(|i| char::from_u32(ELLIPSIS + i));
    hidden.chain(counts.into_iter().filter(|(c, n)| *n == 1 && (*c as u32) < ELLIPSIS).map(|(c, _)| c)).collect()
}

/// A label an axis; `None` where an axis of length one is repeated.
fn operand(input: usize, labels: &[char], lengths: &[Option<usize>]) -> Operand {
    let labels = labels.iter().zip(lengths).map(|(l, n)| (*n != Some(1)).then_some(*l)).collect();
    Operand { input, labels }
}

impl Operator for Einsum {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(0)?.dtype;
        if (0..cx.node.inputs.len()).any(|i| cx.shape(i).is_none()) {
            return Ok(vec![Fact::of_type(dtype)]);
        }
        let text = cx.node.string("equation").unwrap_or_default();
        let equation = Equation::of(cx)
            .ok_or_else(|| cx.bad_attribute(format!("the equation {text:?} does not fit the operands")))?;
        let lengths = equation.lengths(cx)?;
        let shape: Shape = equation.output.iter().map(|l| lengths.get(l).cloned().unwrap_or(Dim::Known(1))).collect();
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let Some(equation) = cx.infer(Equation::of) else {
            return cx.pin_inputs("the shapes of the operands of this Einsum are not known");
        };
        let operands: Vec<Operand> =
            equation.inputs.iter().enumerate().map(|(i, labels)| operand(i, labels, &cx.lengths(i))).collect();
        let mut layouts: Vec<Layout> = Vec::new();
        for o in &operands {
            let mut layout = cx.layout(o.input);
            for (axis, label) in o.labels.iter().enumerate() {
                if label.is_some() && o.labels.iter().filter(|l| *l == label).count() > 1 {
                    let value = cx.node.input(o.input);
                    cx.keep_whole(&mut layout, axis, value, "an Einsum takes a diagonal of it");
                }
            }
            layouts.push(layout);
        }
        let output: Vec<Option<char>> = equation.output.iter().copied().map(Some).collect();
        let layout = contract_all(cx, &operands.iter().collect::<Vec<_>>(), layouts, &output);
        cx.set(0, layout);
    }

    fn macs(&self, cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        let Some(equation) = Equation::of(cx) else { return Dim::Known(0) };
        let Ok(lengths) = equation.lengths(cx) else { return Dim::Known(0) };
        let volume = |labels: &[char]| product(labels.iter().filter_map(|l| lengths.get(l)));
        // From left to right, summing an index as soon as nothing behind needs it.
        let mut total = Dim::Known(0);
        let mut have: Vec<char> = equation.inputs.first().cloned().unwrap_or_default();
        for (k, next) in equation.inputs.iter().enumerate().skip(1) {
            have.extend(next);
            have.sort_unstable();
            have.dedup();
            total = total.add(&volume(&have));
            let later: Vec<char> = equation.inputs.iter().skip(k + 1).flatten().copied().collect();
            have.retain(|l| equation.output.contains(l) || later.contains(l));
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations() {
        let e = Equation::parse("bij, bjk -> bik", &[3, 3]).unwrap();
        assert_eq!(e.output, ['b', 'i', 'k']);
        let e = Equation::parse("...ij,jk", &[4, 2]).unwrap();
        assert_eq!(e.inputs[0].len(), 4);
        assert_eq!(e.output[2..], ['i', 'k']);
        assert_eq!(e.output[..2], e.inputs[0][..2]);
        assert_eq!(Equation::parse("ij,jk->iz", &[2, 2]), None);
        assert_eq!(Equation::parse("ij,jk->ik", &[2, 3]), None);
        assert_eq!(Equation::parse("ij->ii", &[2]), None);
    }
}
