//! MatMul and Gemm.

use super::contract::{Operand, contract};
use super::{Filters, Operator, fold};
use crate::channels::{ChannelContext, Role};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, product};

/// MatMul with numpy's broadcasting.
#[derive(Debug)]
pub struct MatMul;

/// A label an axis; `None` for axes that broadcast.
type Labels = Vec<Option<char>>;

/// Labels of both operands and of the result: batch axes from `a` on, then m, k and n.
fn labels(a: &[Option<usize>], b: &[Option<usize>]) -> (Labels, Labels, Labels) {
    let batch = a.len().max(b.len()).saturating_sub(2);
    let names = |own: &[Option<usize>]| -> Vec<Option<char>> {
        let depth = own.len().saturating_sub(2);
        (own.iter().take(depth).enumerate())
            .map(
                |(i, n)| {
                    if *n == Some(1) { None } else { char::from_u32('\u{100}' as u32 + (i + batch - depth) as u32) }
                },
            )
            .collect()
    };
    let (mut la, mut lb) = (names(a), names(b));
    la.extend(if a.len() < 2 { vec![Some('k')] } else { vec![Some('m'), Some('k')] });
    lb.extend(if b.len() < 2 { vec![Some('k')] } else { vec![Some('k'), Some('n')] });
    let mut out: Vec<Option<char>> = (0..batch).map(|i| char::from_u32('\u{100}' as u32 + i as u32)).collect();
    if a.len() >= 2 {
        out.push(Some('m'));
    }
    if b.len() >= 2 {
        out.push(Some('n'));
    }
    (la, lb, out)
}

impl Operator for MatMul {
    fn weights(&self) -> Option<usize> {
        Some(1)
    }

    fn filters(&self, _node: &Node) -> Vec<Filters> {
        let second = columns();
        let first = Filters { weight: 0, axis: -2, sums: -1, input: 1, input_axis: -2, output_axis: -2, ..second };
        vec![second, first]
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (a, b) = (cx.required(0)?, cx.required(1)?);
        let (Some(sa), Some(sb)) = (&a.shape, &b.shape) else { return Ok(vec![Fact::of_type(a.dtype)]) };
        let mismatch = || cx.bad_shape(format!("{sa:?} times {sb:?} does not fit"));
        let (batch_a, rows) = sa.split_at(sa.len().saturating_sub(2));
        let (batch_b, columns) = sb.split_at(sb.len().saturating_sub(2));
        let (ka, kb) = (sa.last().ok_or_else(mismatch)?, columns.first().ok_or_else(mismatch)?);
        if let (Dim::Known(x), Dim::Known(y)) = (ka, kb)
            && x != y
        {
            return Err(mismatch());
        }
        let mut shape = fold::broadcast_shapes(&[batch_a, batch_b]).ok_or_else(mismatch)?;
        shape.extend(rows.first().filter(|_| sa.len() >= 2).cloned());
        shape.extend(columns.get(1).cloned());
        Ok(vec![Fact::new(a.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (la, lb, out) = labels(&cx.lengths(0), &cx.lengths(1));
        let layout = contract(cx, &Operand { input: 0, labels: la }, &Operand { input: 1, labels: lb }, &out);
        cx.set(0, layout);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let (Some(out), Some(a)) = (outputs.first().and_then(|f| f.shape.as_ref()), cx.shape(0)) else {
            return Dim::Known(0);
        };
        product(out).mul(a.last().unwrap_or(&Dim::Known(1)))
    }
}

/// A matrix on the right holds a filter a column.
fn columns() -> Filters {
    Filters {
        weight: 1,
        rank: Some(2),
        axis: -1,
        sums: -2,
        input: 0,
        input_axis: -1,
        output_axis: -1,
        groups: 1,
        in_blocks: false,
    }
}

/// Gemm: alpha * A' * B' + beta * C.
#[derive(Debug)]
pub struct Gemm;

impl Gemm {
    fn transposed(cx: &Node) -> (bool, bool) {
        (cx.int("transA") == Some(1), cx.int("transB") == Some(1))
    }
}

impl Operator for Gemm {
    fn weights(&self) -> Option<usize> {
        Some(1)
    }

    fn filters(&self, node: &Node) -> Vec<Filters> {
        match Self::transposed(node) {
            (true, _) => Vec::new(),
            (false, false) => vec![columns()],
            (false, true) => vec![Filters { axis: -2, sums: -1, ..columns() }],
        }
    }

    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (a, b) = (cx.required(0)?, cx.required(1)?);
        let (Some(sa), Some(sb)) = (&a.shape, &b.shape) else { return Ok(vec![Fact::of_type(a.dtype)]) };
        let mismatch = || cx.bad_shape(format!("{sa:?} and {sb:?} do not fit a matrix product"));
        let ([a0, a1], [b0, b1]) = (sa.as_slice(), sb.as_slice()) else { return Err(mismatch()) };
        let (ta, tb) = Self::transposed(cx.node);
        let (m, ka) = if ta { (a1, a0) } else { (a0, a1) };
        let (kb, n) = if tb { (b1, b0) } else { (b0, b1) };
        if let (Dim::Known(x), Dim::Known(y)) = (ka, kb)
            && x != y
        {
            return Err(mismatch());
        }
        Ok(vec![Fact::new(a.dtype, vec![m.clone(), n.clone()])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (ta, tb) = Self::transposed(cx.node);
        let order = |t: bool, x: char, y: char| if t { vec![Some(y), Some(x)] } else { vec![Some(x), Some(y)] };
        let (a, b) =
            (Operand { input: 0, labels: order(ta, 'm', 'k') }, Operand { input: 1, labels: order(tb, 'k', 'n') });
        let mut out = contract(cx, &a, &b, &[Some('m'), Some('n')]);
        if cx.node.input(2).is_some() {
            let mut c = cx.layout(2);
            let lengths = cx.lengths(2);
            let shift = 2usize.saturating_sub(lengths.len());
            let pairs: Vec<(usize, usize)> =
                lengths.iter().enumerate().filter(|(_, n)| **n != Some(1)).map(|(i, _)| (i + shift, i)).collect();
            cx.align(&mut out, &mut c, &pairs);
            let bias = c.clone().renamed(|i| Some(i + shift));
            for b in &mut out.bundles {
                b.zero &= b.axes.iter().all(|&axis| bias.at(axis).is_some_and(|c| c.zero));
            }
            for b in &c.bundles {
                cx.role(&b.ids, Role::Companion);
            }
        }
        cx.set(0, out);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let Some(out) = outputs.first().and_then(|f| f.shape.as_ref()) else { return Dim::Known(0) };
        let axis = if Self::transposed(cx.node).0 { 0 } else { 1 };
        let k = cx.shape(0).and_then(|s| s.get(axis)).cloned().unwrap_or(Dim::Known(1));
        product(out).mul(&k)
    }
}
