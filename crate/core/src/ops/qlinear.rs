//! Operators on quantised values that compute what a standard operator computes on real ones: its rule holds for the inputs
//! that carry values, and scales and zero points accompany them.

use super::Operator;
use crate::channels::{Blocks, ChannelContext, Role};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};
use crate::onnx::DataType;

/// Numbers that belong to one axis of an operand.
#[derive(Clone, Copy, Debug)]
pub struct Companion {
    /// The input that holds them, if it is no single number.
    pub input: usize,
    /// The operand.
    pub of: usize,
    /// Its axis; -1 is the last one.
    pub axis: i64,
}

/// Which type the result has.
#[derive(Clone, Copy, Debug)]
pub enum Result8 {
    /// That of an input, unsigned bytes if it is left out.
    Of(usize),
    /// Sums of products.
    Int32,
    /// Real numbers.
    Float,
}

/// An operator on quantised values.
pub struct Quantized {
    /// What it computes.
    pub like: &'static dyn Operator,
    /// Its name among the standard operators.
    pub name: &'static str,
    /// Inputs that carry values, in the order of the standard operator; none for every third from the third on.
    pub inputs: &'static [usize],
    /// Scales and zero points of operands.
    pub companions: &'static [Companion],
    /// Input that holds a bias of the last axis, added behind the product.
    pub bias: Option<usize>,
    /// Type of the result.
    pub dtype: Result8,
}

impl std::fmt::Debug for Quantized {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Quantized").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Quantized {
    /// The node as the standard operator would have it.
    fn plain(&self, node: &Node) -> Node {
        Node {
            op_type: self.name.to_owned(),
            domain: String::new(),
            opset: 13,
            inputs: match self.inputs {
                [] => (2..node.inputs.len()).step_by(3).map(|i| node.input(i)).collect(),
                list => list.iter().map(|&i| node.input(i)).collect(),
            },
            ..node.clone()
        }
    }
}

impl Operator for Quantized {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let first = self.inputs.first().copied().unwrap_or(2);
        cx.required(first)?;
        let node = self.plain(cx.node);
        let mut facts = self.like.infer(&cx.of(&node))?;
        facts.truncate(1);
        for f in &mut facts {
            f.constant = None;
            f.dtype = match self.dtype {
                Result8::Of(i) => cx.dtype(i).or(Some(DataType::Uint8)),
                Result8::Int32 => Some(DataType::Int32),
                Result8::Float => Some(DataType::Float),
            };
        }
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        if cx.node.int("channels_last") == Some(1) {
            return cx.pin_inputs("it takes channels last, which has no rule here yet");
        }
        for c in self.companions {
            let (lengths, rank) = (cx.lengths(c.input), cx.rank(c.of).unwrap_or(0));
            if lengths.iter().all(|n| *n == Some(1)) || cx.node.input(c.input).is_none() {
                continue;
            }
            let Some(axis) = crate::graph::axis_of(c.axis, rank) else { continue };
            let (mut operand, mut own) = (cx.layout(c.of), cx.layout(c.input));
            cx.align(&mut operand, &mut own, &[(axis, lengths.len().saturating_sub(1))]);
            if let Some(b) = own.at(lengths.len().saturating_sub(1)).cloned() {
                cx.role(&b.ids, Role::Companion);
            }
        }
        let node = self.plain(cx.node);
        cx.as_node(&node, |cx| self.like.channels(cx));
        if let Some(input) = self.bias.filter(|i| cx.node.input(*i).is_some()) {
            let (mut out, mut bias) = (cx.made(0), cx.layout(input));
            let last = cx.output_lengths(0).len().saturating_sub(1);
            cx.align(&mut out, &mut bias, &[(last, 0)]);
            if let Some(b) = bias.at(0).cloned() {
                cx.role(&b.ids, Role::Companion);
            }
            for b in out.bundles.iter_mut().filter(|b| b.axes.contains(&last)) {
                b.zero &= bias.at(0).is_some_and(|c| c.zero);
            }
            cx.set(0, out);
        }
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        let node = self.plain(cx.node);
        self.like.macs(&cx.of(&node), outputs)
    }

    fn blocks(&self, node: &Node, input: usize) -> Vec<(usize, Blocks)> {
        match self.inputs.iter().position(|&i| i == input) {
            Some(i) => self.like.blocks(node, i),
            None => Vec::new(),
        }
    }

    fn zero_point(&self, _node: &Node, input: usize) -> Option<(usize, i64)> {
        let mut own = self.companions.iter().filter(|c| c.of == input).map(|c| (c.input, c.axis));
        // The zero point is listed behind the scale.
        own.next_back()
    }

    fn rewrite(&self, cx: &mut CutContext<'_>) -> Result<()> {
        self.like.rewrite(cx)
    }
}

/// QGemm: where the scales of its weights lie depends on whether these are transposed.
#[derive(Debug)]
pub struct QuantizedGemm;

const ROWS: &[Companion] = &[Companion { input: 4, of: 3, axis: 0 }, Companion { input: 5, of: 3, axis: 0 }];
const COLUMNS: &[Companion] = &[Companion { input: 4, of: 3, axis: 1 }, Companion { input: 5, of: 3, axis: 1 }];

impl QuantizedGemm {
    fn form(node: &Node) -> Quantized {
        Quantized {
            like: &super::matmul::Gemm,
            name: "Gemm",
            inputs: &[0, 3, 6],
            companions: if node.int("transB") == Some(1) { ROWS } else { COLUMNS },
            bias: None,
            // Without a scale of its own the result is real.
            dtype: if node.input(7).is_some() { Result8::Of(8) } else { Result8::Float },
        }
    }
}

impl Operator for QuantizedGemm {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        Self::form(cx.node).infer(cx)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        Self::form(cx.node).channels(cx);
    }

    fn macs(&self, cx: &InferContext<'_>, outputs: &[Fact]) -> Dim {
        Self::form(cx.node).macs(cx, outputs)
    }

    fn zero_point(&self, node: &Node, input: usize) -> Option<(usize, i64)> {
        Self::form(node).zero_point(node, input)
    }
}
