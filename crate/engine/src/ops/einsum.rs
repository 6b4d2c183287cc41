//! Einsum, as products of matrices: two operands at a time, from left to right.

use super::reduce::over;
use super::{Call, Forward, bad_attribute, bad_shape, one, pick};
use crate::tensor::{DeviceTensor, count};
use burn::tensor::{Device, Tensor};
use lopper_core::Result;
use std::collections::BTreeMap;

pub(super) fn find(op: &str) -> Option<Forward> {
    (op == "Einsum").then_some(einsum as Forward)
}

/// Axes behind an ellipsis, the last one first.
const ELLIPSIS: u32 = 0x1_0000;

/// A tensor with a letter for each of its axes.
struct Named {
    tensor: DeviceTensor,
    letters: Vec<char>,
}

fn letters(term: &str, rank: usize) -> Option<Vec<char>> {
    let Some((a, b)) = term.split_once("...") else { return Some(term.chars().collect()) };
    let hidden = rank.checked_sub(a.len() + b.len())?;
    let spread = (0..hidden as u32).rev().filter_map(|i| char::from_u32(ELLIPSIS + i));
    Some(a.chars().chain(spread).chain(b.chars()).collect())
}

/// Letters of every operand and of the result.
fn parse(text: &str, ranks: &[usize]) -> Option<(Vec<Vec<char>>, Vec<char>)> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (left, right) = text.split_once("->").map_or((text.as_str(), None), |(l, r)| (l, Some(r)));
    let inputs: Vec<Vec<char>> = left.split(',').zip(ranks).map(|(t, &r)| letters(t, r)).collect::<Option<_>>()?;
    let fits = inputs.len() == ranks.len()
        && left.split(',').count() == ranks.len()
        && inputs.iter().zip(ranks).all(|(l, r)| l.len() == *r);
    let mut times: BTreeMap<char, usize> = BTreeMap::new();
    for c in inputs.iter().flatten() {
        *times.entry(*c).or_insert(0) += 1;
    }
    let mut hidden: Vec<char> = times.keys().copied().filter(|c| *c as u32 >= ELLIPSIS).collect();
    hidden.reverse();
    let output = match right {
        Some(r) => letters(r, r.replace("...", "").len() + hidden.len())?,
        None => hidden
            .iter()
            .copied()
            .chain(times.iter().filter(|(c, n)| **n == 1 && (**c as u32) < ELLIPSIS).map(|(c, _)| *c))
            .collect(),
    };
    (fits && output.iter().all(|c| times.contains_key(c))).then_some((inputs, output))
}

fn einsum(call: &mut Call<'_>) -> Result<Vec<crate::value::Value>> {
    let text = call.node.string("equation").unwrap_or_default().to_owned();
    let tensors = (0..call.len()).map(|i| call.tensor(i)).collect::<Result<Vec<_>>>()?;
    let ranks: Vec<usize> = tensors.iter().map(DeviceTensor::rank).collect();
    let (inputs, output) = parse(&text, &ranks)
        .ok_or_else(|| bad_attribute(format!("the equation {text:?} does not fit the operands")))?;
    let mut lengths: BTreeMap<char, usize> = BTreeMap::new();
    for (t, own) in tensors.iter().zip(&inputs) {
        for (c, n) in own.iter().zip(t.dims()) {
            let slot = lengths.entry(*c).or_insert(1);
            if *slot != 1 && n != 1 && *slot != n {
                return Err(bad_shape(format!("one index stands for lengths {slot} and {n}")));
            }
            *slot = (*slot).max(n);
        }
    }
    let operands = tensors.into_iter().zip(&inputs).map(|(t, own)| prepared(t, own, &lengths, call.device));
    let mut rest = operands.collect::<Result<Vec<Named>>>()?.into_iter();
    let mut have = rest.next().ok_or_else(|| bad_attribute("no operand"))?;
    for (k, next) in rest.enumerate() {
        let later: Vec<char> = inputs.iter().skip(k + 2).flatten().copied().collect();
        have = sum_out(have, |c| output.contains(&c) || later.contains(&c) || next.letters.contains(&c))?;
        let held = have.letters.clone();
        let next = sum_out(next, |c| output.contains(&c) || later.contains(&c) || held.contains(&c))?;
        have = product(have, next, |c| output.contains(&c) || later.contains(&c))?;
    }
    let have = sum_out(have, |c| output.contains(&c))?;
    one(ordered(have, &output)?)
}

/// An operand with its diagonals taken and axes of length one repeated.
fn prepared(t: DeviceTensor, own: &[char], lengths: &BTreeMap<char, usize>, device: &Device) -> Result<Named> {
    let full: Vec<usize> = own.iter().map(|c| lengths.get(c).copied().unwrap_or(1)).collect();
    let t = if t.dims() == full { t } else { t.expand(&full)? };
    let mut letters: Vec<char> = Vec::new();
    for c in own {
        if !letters.contains(c) {
            letters.push(*c);
        }
    }
    if letters.len() == own.len() {
        return Ok(Named { tensor: t, letters });
    }
    let dims: Vec<usize> = letters.iter().map(|c| lengths.get(c).copied().unwrap_or(1)).collect();
    let (steps, own_steps) = (pick::strides(&dims), pick::strides(&full));
    let at: Vec<usize> = (0..count(&dims)?)
        .map(|flat| {
            let p = pick::place(flat, &dims, &steps);
            let index = |c: &char| letters.iter().position(|l| l == c).and_then(|k| p.get(k)).copied().unwrap_or(0);
            own.iter().zip(&own_steps).map(|(c, s)| index(c) * s).sum()
        })
        .collect();
    Ok(Named { tensor: pick::pick(t, &at, &dims, device)?, letters })
}

/// Sums over the axes that are not kept.
fn sum_out(x: Named, keep: impl Fn(char) -> bool) -> Result<Named> {
    let axes: Vec<usize> = x.letters.iter().enumerate().filter(|(_, c)| !keep(**c)).map(|(i, _)| i).collect();
    if axes.is_empty() {
        return Ok(x);
    }
    let dims = x.tensor.dims();
    let kept: Vec<usize> = dims.iter().enumerate().filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
    let tensor = over("ReduceSum", x.tensor, &dims, &axes)?.reshape(&kept)?;
    Ok(Named { tensor, letters: x.letters.into_iter().filter(|c| keep(*c)).collect() })
}

/// The tensor with its axes in the order of these letters.
fn ordered(x: Named, order: &[char]) -> Result<DeviceTensor> {
    let axes: Option<Vec<usize>> = order.iter().map(|c| x.letters.iter().position(|l| l == c)).collect();
    let axes = axes.ok_or_else(|| bad_attribute("a letter of the result stands in no operand"))?;
    if axes.is_empty() { Ok(x.tensor) } else { x.tensor.permute(&axes) }
}

/// The product of two operands, summed over letters that both have and nothing keeps.
fn product(a: Named, b: Named, keep: impl Fn(char) -> bool) -> Result<Named> {
    let both = |c: &char| b.letters.contains(c);
    let batch: Vec<char> = a.letters.iter().copied().filter(|c| both(c) && keep(*c)).collect();
    let inner: Vec<char> = a.letters.iter().copied().filter(|c| both(c) && !keep(*c)).collect();
    let rows: Vec<char> = a.letters.iter().copied().filter(|c| !both(c)).collect();
    let columns: Vec<char> = b.letters.iter().copied().filter(|c| !a.letters.contains(c)).collect();
    let length = |t: &Named, c: &char| {
        t.letters.iter().position(|l| l == c).and_then(|i| t.tensor.dims().get(i).copied()).unwrap_or(1)
    };
    let lengths = |t: &Named, list: &[char]| -> Vec<usize> { list.iter().map(|c| length(t, c)).collect() };
    let mut dims = lengths(&a, &batch);
    dims.extend(lengths(&a, &rows));
    dims.extend(lengths(&b, &columns));
    let size = |list: Vec<usize>| list.iter().product::<usize>();
    let (n, m, k, w) =
        (size(lengths(&a, &batch)), size(lengths(&a, &rows)), size(lengths(&a, &inner)), size(lengths(&b, &columns)));
    count(&dims)?;
    let left = ordered(a, &[batch.clone(), rows.clone(), inner.clone()].concat())?.reshape(&[n, m, k])?;
    let right = ordered(b, &[batch.clone(), inner, columns.clone()].concat())?.reshape(&[n, k, w])?;
    let y: Tensor<3> = left.float::<3>()?.matmul(right.float::<3>()?);
    let tensor = DeviceTensor::from(y).reshape(&dims)?;
    Ok(Named { tensor, letters: [batch, rows, columns].concat() })
}
