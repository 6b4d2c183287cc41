//! Fused operators of the domain com.microsoft, as runtimes' optimisers write them.

use super::contract::{Operand, contract};
use super::{Meaning, Operator, conv, fold, matmul};
use crate::channels::{ChannelContext, Layout, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node, Shape, product};

/// Whether an activation named by an attribute keeps zero.
fn keeps_zero(node: &Node) -> bool {
    !matches!(node.string("activation"), Some("Sigmoid" | "HardSigmoid" | "Softplus" | "Clip"))
}

/// LayerNorm of a sum: input, skip, gain, then shift (not for the root mean square) and bias.
#[derive(Debug)]
pub struct SkipLayerNormalization {
    /// Whether there is a shift at input 3.
    pub shift: bool,
}

impl Operator for SkipLayerNormalization {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        (1..3).try_for_each(|i| cx.required(i).map(drop))?;
        let fact = Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None };
        let statistic = x.shape.as_ref().map(|s| {
            let axes = s.len().saturating_sub(1);
            s.iter().take(axes).cloned().chain([Dim::Known(1)]).collect::<Shape>()
        });
        let statistic = Fact { dtype: x.dtype, shape: statistic, constant: None };
        Ok(vec![fact.clone(), statistic.clone(), statistic, fact])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let all: Vec<usize> = (0..5).filter(|i| cx.node.input(*i).is_some()).collect();
        let parameters: &[usize] = if self.shift { &[2, 3] } else { &[2] };
        let given: Vec<bool> = all.iter().map(|i| parameters.contains(i)).collect();
        let layout = cx.broadcast(&all, &|z| z.iter().zip(&given).all(|(z, parameter)| !parameter || *z == Some(true)));
        let last = cx.rank(0).unwrap_or(1).saturating_sub(1);
        for b in layout.bundles.iter().filter(|b| b.axes.contains(&last)) {
            cx.renormalises(&b.ids);
        }
        let summed: Vec<bool> = all.iter().map(|i| !parameters.contains(i)).collect();
        let sum = cx.broadcast(&all, &|z| z.iter().zip(&summed).all(|(z, summed)| !summed || *z == Some(true)));
        cx.set(3, sum);
        cx.set(0, layout);
    }
}

/// LayerNorm of a sum of looked-up embeddings: words, positions and, if given, segments.
#[derive(Debug)]
pub struct EmbedLayerNormalization;

impl Operator for EmbedLayerNormalization {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (ids, words) = (cx.required(0)?, cx.required(2)?);
        let (Some(is), Some(ws)) = (&ids.shape, &words.shape) else { return Ok(vec![Fact::of_type(words.dtype)]) };
        let ([b, s], [_, h]) = (is.as_slice(), ws.as_slice()) else {
            return Err(cx.bad_shape(format!("positions {is:?} and words {ws:?} do not fit an embedding")));
        };
        let out = Fact::new(words.dtype, vec![b.clone(), s.clone(), h.clone()]);
        Ok(vec![out.clone(), Fact::new(ids.dtype, vec![b.clone()]), out])
    }

    fn meaning(&self, _node: &Node, input: usize) -> Option<Meaning> {
        let table = [(0, 2), (1, 4), (8, 3)].into_iter().find(|(i, _)| *i == input).map(|(_, t)| t)?;
        Some(Meaning::Row { table, axis: 0 })
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        for input in [0, 1, 7, 8] {
            let mut layout = cx.layout(input);
            for axis in 0..cx.rank(input).unwrap_or(0) {
                cx.keep_whole(&mut layout, axis, cx.node.input(input), "it says which rows are looked up");
            }
        }
        let mut words = cx.layout(2);
        let mut zero = true;
        for (input, axis) in [(3, 1), (4, 1), (5, 0), (6, 0)] {
            if cx.node.input(input).is_none() {
                continue;
            }
            let mut other = cx.layout(input);
            cx.align(&mut words, &mut other, &[(1, axis)]);
            if axis == 1 {
                cx.keep_whole(&mut other, 0, cx.node.input(input), "rows are looked up by number");
            }
            zero &= other.at(axis).is_some_and(|b| b.zero);
        }
        cx.keep_whole(&mut words, 0, cx.node.input(2), "rows are looked up by number");
        if let Some(b) = words.at(1) {
            let ids = b.ids.clone();
            cx.role(&ids, Role::Producer);
            cx.renormalises(&ids);
        }
        let layout = words.renamed(|axis| (axis == 1).then_some(2)).with_zero(zero);
        cx.set(2, layout.clone());
        cx.set(0, layout);
    }
}

/// BiasSplitGelu: the first half times gelu of the second.
#[derive(Debug)]
pub struct BiasSplitGelu;

impl Operator for BiasSplitGelu {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let Some(mut shape) = x.shape.clone() else { return Ok(vec![Fact::of_type(x.dtype)]) };
        let half = shape.last().and_then(|d| d.div_exact(&Dim::Known(2)));
        match (shape.last_mut(), half) {
            (Some(last), Some(half)) => *last = half,
            _ => return Err(cx.bad_shape(format!("the last axis of {:?} has no halves", x.shape))),
        }
        Ok(vec![Fact::new(x.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let layout = cx.broadcast(&[0, 1], &|z| z.iter().all(|z| *z == Some(true)));
        let last = cx.rank(0).unwrap_or(1).saturating_sub(1);
        let value = cx.node.input(0);
        let mut out = Layout { bundles: Vec::new(), source: None };
        for mut b in layout.bundles {
            if b.axes == [last] {
                let (first, second) = b.ids.split_at(b.ids.len() / 2);
                cx.unite(&first.into(), &second.into());
                b = crate::channels::Bundle::single(last, first.into(), b.zero);
            } else if b.axes.contains(&last) {
                cx.pin_ids(value, last, &b.ids, "a gated activation halves an axis that is divided into heads");
                continue;
            }
            out.bundles.push(b);
        }
        cx.set(0, out);
    }
}

/// GroupNorm with its activation, channels last unless told otherwise.
#[derive(Debug)]
pub struct GroupNorm;

impl Operator for GroupNorm {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let mut layout = cx.layout(0);
        let axis = if cx.node.int("channels_last") == Some(0) { 1 } else { cx.rank(0).unwrap_or(4).saturating_sub(1) };
        for input in 1..3 {
            let mut p = cx.layout(input);
            cx.align(&mut layout, &mut p, &[(axis, 0)]);
            if let Some(b) = p.at(0).cloned() {
                cx.role(&b.ids, Role::Companion);
            }
        }
        if let Some(b) = layout.at(axis).cloned() {
            let groups = usize::try_from(cx.node.int("groups").unwrap_or(1)).unwrap_or(1).max(1);
            let rows = cx.balance(&b, groups);
            cx.pin_ids(None, axis, &rows, "the number of groups of a GroupNorm stays");
            cx.renormalises(&b.ids);
        }
        cx.set(0, layout);
    }
}

/// MatMul with factors and transpositions of its own.
#[derive(Debug)]
pub struct FusedMatMul;

type Labels = Vec<Option<char>>;

impl FusedMatMul {
    /// Labels of both operands and of the result; `None` if batch axes are moved, too.
    fn labels(node: &Node, a: usize, b: usize) -> Option<(Labels, Labels, Labels)> {
        let flag = |name: &str| node.int(name).unwrap_or(0) != 0;
        if flag("transBatchA") || flag("transBatchB") || a < 2 || b < 2 {
            return None;
        }
        let batch = a.max(b) - 2;
        let lead = |rank: usize| -> Labels {
            (batch + 2 - rank..batch).map(|i| char::from_u32('\u{100}' as u32 + i as u32)).collect()
        };
        let ends = |swap: bool, x: char, y: char| if swap { [Some(y), Some(x)] } else { [Some(x), Some(y)] };
        let (mut la, mut lb, mut out) = (lead(a), lead(b), lead(batch + 2));
        la.extend(ends(flag("transA"), 'm', 'k'));
        lb.extend(ends(flag("transB"), 'k', 'n'));
        out.extend([Some('m'), Some('n')]);
        Some((la, lb, out))
    }
}

impl Operator for FusedMatMul {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let (a, b) = (cx.required(0)?, cx.required(1)?);
        let (Some(sa), Some(sb)) = (&a.shape, &b.shape) else { return Ok(vec![Fact::of_type(a.dtype)]) };
        let Some((la, lb, _)) = Self::labels(cx.node, sa.len(), sb.len()) else {
            return Ok(vec![Fact::of_type(a.dtype)]);
        };
        let mismatch = || cx.bad_shape(format!("{sa:?} times {sb:?} does not fit"));
        let of = |s: &[Dim], l: &[Option<char>], c: char| {
            l.iter().position(|x| *x == Some(c)).and_then(|i| s.get(i)).cloned()
        };
        if let (Some(Dim::Known(x)), Some(Dim::Known(y))) = (of(sa, &la, 'k'), of(sb, &lb, 'k'))
            && x != y
        {
            return Err(mismatch());
        }
        let lead = |s: &Shape| s.iter().take(s.len().saturating_sub(2)).cloned().collect::<Shape>();
        let mut shape = fold::broadcast_shapes(&[&lead(sa), &lead(sb)]).ok_or_else(mismatch)?;
        shape.extend(of(sa, &la, 'm'));
        shape.extend(of(sb, &lb, 'n'));
        Ok(vec![Fact::new(a.dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (a, b) = (cx.lengths(0), cx.lengths(1));
        let Some((mut la, mut lb, out)) = Self::labels(cx.node, a.len(), b.len()) else {
            return cx.pin_inputs("the product moves batch axes: write it as Transpose and MatMul");
        };
        for (labels, lengths) in [(&mut la, &a), (&mut lb, &b)] {
            let lead = lengths.len().saturating_sub(2);
            for (label, _) in labels.iter_mut().zip(lengths).take(lead).filter(|(_, n)| **n == Some(1)) {
                *label = None;
            }
        }
        let layout = contract(cx, &Operand { input: 0, labels: la }, &Operand { input: 1, labels: lb }, &out);
        cx.set(0, layout);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let (Some(out), Some(a)) = (outputs.first().and_then(|f| f.shape.as_ref()), cx.shape(0)) else {
            return Dim::Known(0);
        };
        let back = if cx.node.int("transA").unwrap_or(0) != 0 { 2 } else { 1 };
        product(out).mul(a.len().checked_sub(back).and_then(|i| a.get(i)).unwrap_or(&Dim::Known(1)))
    }
}

/// Gemm with an activation behind it.
#[derive(Debug)]
pub struct FusedGemm;

impl Operator for FusedGemm {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        matmul::Gemm.infer(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        matmul::Gemm.channels(cx);
        activated(cx);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        matmul::Gemm.macs(cx, outputs)
    }
}

fn activated(cx: &mut ChannelContext<'_>) {
    if !keeps_zero(cx.node) {
        let layout = cx.made(0).with_zero(false);
        cx.set(0, layout);
    }
}

/// Conv with a sum and an activation behind it.
#[derive(Debug)]
pub struct FusedConv;

impl Operator for FusedConv {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        conv::Conv.infer(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        conv::Conv.channels(cx);
        if cx.node.input(3).is_some() {
            let (mut out, mut sum) = (cx.made(0), cx.layout(3));
            let pairs: Vec<(usize, usize)> = (0..cx.rank(3).unwrap_or(0)).map(|a| (a, a)).collect();
            cx.align(&mut out, &mut sum, &pairs);
            for b in &mut out.bundles {
                b.zero &= b.axes.iter().all(|&a| sum.at(a).is_some_and(|s| s.zero));
            }
            cx.set(0, out);
        }
        activated(cx);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        conv::Conv.macs(cx, outputs)
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, crate::channels::Blocks)> {
        conv::Conv.blocks(node, input)
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        conv::Conv.rewrite(cx)
    }
}

/// Inverse of square matrices: every element counts for every other.
#[derive(Debug)]
pub struct Inverse;

impl Operator for Inverse {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        Ok(vec![Fact { dtype: x.dtype, shape: x.shape.clone(), constant: None }])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (mut layout, rank) = (cx.layout(0), cx.rank(0).unwrap_or(2));
        for axis in rank.saturating_sub(2)..rank {
            cx.keep_whole(&mut layout, axis, cx.node.input(0), "a matrix is inverted along it");
        }
        cx.set(0, layout.with_zero(false));
    }
}
