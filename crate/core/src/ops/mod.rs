//! Operators: each family answers what passes ask. [`lookup`] is the only registry; no pass knows operators by name.

mod concat;
mod constant;
mod contract;
mod conv;
mod elementwise;
mod fold;
mod matmul;
mod norm;
mod pool;
mod reduce;
mod reshape;
mod resize;
mod rnn;
mod slice;
mod softmax;

use crate::channels::{Blocks, ChannelContext};
use crate::cut::CutContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};

/// What every operator family answers.
pub trait Operator: Sync {
    /// Type, shape and, where it can be folded, elements of each output.
    ///
    /// # Errors
    /// When inputs or attributes do not fit the operator.
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>>;

    /// Which positions are the same channel, how they move, what must stay.
    fn channels(&self, cx: &mut ChannelContext<'_>);

    /// Multiply-accumulates of one run, batch axes included. Only contractions count.
    fn macs(&self, _cx: &InferContext<'_>, _outputs: &[Fact]) -> Dim {
        Dim::Known(0)
    }

    /// Axes of the parameter at an input that hold other channels in every block of another axis.
    fn blocks(&self, _node: &Node, _input: usize) -> Vec<(usize, Blocks)> {
        Vec::new()
    }

    /// The input that holds the weights, of operators that sum products of data and weights.
    fn weights(&self) -> Option<usize> {
        None
    }

    /// The number that the output holds everywhere, of operators that make such tensors.
    fn fills(&self, _node: &Node) -> Option<f64> {
        None
    }

    /// Whether the operator only renames and reorders axes: `Some(None)` if elements keep their order, `Some(Some(order))` for
    /// a transposition of so many axes.
    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        None
    }

    /// Rewrites what depends on sizes that a cut changes.
    ///
    /// # Errors
    /// When the operator cannot be made to compute the cut value.
    fn rewrite(&self, _cx: &mut CutContext<'_>) -> Result<()> {
        Ok(())
    }
}

use elementwise::{Binary, Unary, Zero};

/// The family of a node's operator, if there is a rule for it.
pub fn lookup(node: &Node) -> Option<&'static dyn Operator> {
    let standard = node.domain.is_empty() || node.domain == "com.microsoft";
    standard.then(|| find(&node.op_type)).flatten()
}

const KEEPS_ZERO: Unary = Unary { zero: Zero::Kept };
const LOSES_ZERO: Unary = Unary { zero: Zero::Lost };

fn find(op_type: &str) -> Option<&'static dyn Operator> {
    Some(match op_type {
        "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "QuickGelu" | "Tanh" | "Erf" | "HardSwish"
        | "Mish" | "Softsign" | "ThresholdedRelu" | "Shrink" | "Sqrt" | "Abs" | "Neg" | "Sign" | "Floor" | "Ceil"
        | "Round" | "Sin" | "Sinh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "Tan" | "Identity" | "Cast" | "Swish" => {
            &KEEPS_ZERO
        }
        "Dropout" => &elementwise::Dropout,
        "Sigmoid" | "HardSigmoid" | "Exp" | "Log" | "Softplus" | "Cos" | "Cosh" | "Acos" | "Acosh" | "Reciprocal"
        | "Not" | "IsNaN" | "IsInf" => &LOSES_ZERO,
        "Clip" => &elementwise::Clip,
        "Add" | "Sub" | "Sum" | "Max" | "Min" | "Mean" => &Binary { zero: Zero::All },
        "Mul" | "And" | "BitwiseAnd" => &Binary { zero: Zero::Any },
        "Div" => &Binary { zero: Zero::Dividend },
        "Pow" => &Binary { zero: Zero::Power },
        "PRelu" | "Mod" => &Binary { zero: Zero::First },
        "Or" | "Xor" | "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => &Binary { zero: Zero::Lost },
        "Where" => &elementwise::Where,
        "Conv" => &conv::Conv,
        "ConvTranspose" => &conv::ConvTranspose,
        "MatMul" => &matmul::MatMul,
        "Gemm" => &matmul::Gemm,
        "BatchNormalization" => &norm::BatchNormalization,
        "InstanceNormalization" => &norm::InstanceNormalization,
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => &norm::LayerNormalization,
        "GroupNormalization" => &norm::GroupNormalization,
        "LRN" => &norm::LocalResponse,
        "LpNormalization" => &norm::LpNormalization,
        "MaxPool" => &pool::Pool { average: false },
        "AveragePool" | "LpPool" => &pool::Pool { average: true },
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => &pool::GlobalPool,
        "Reshape" => &reshape::Reshape,
        "Flatten" => &reshape::Flatten,
        "Squeeze" => &reshape::Squeeze,
        "Unsqueeze" => &reshape::Unsqueeze,
        "Transpose" => &reshape::Transpose,
        "Expand" => &reshape::Expand,
        "Concat" => &concat::Concat,
        "Split" => &concat::Split,
        "Slice" => &slice::Slice,
        "Gather" => &slice::Gather,
        "Pad" => &slice::Pad,
        "ReduceMean" => &reduce::Reduce { kind: reduce::Kind::Mean },
        "ReduceSum" => &reduce::Reduce { kind: reduce::Kind::Sum },
        "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSum"
        | "ReduceLogSumExp" => &reduce::Reduce { kind: reduce::Kind::Other },
        "Softmax" | "LogSoftmax" | "Hardmax" => &softmax::Softmax,
        "Resize" | "Upsample" => &resize::Resize,
        "LSTM" => &rnn::Recurrent { gates: 4 },
        "GRU" => &rnn::Recurrent { gates: 3 },
        "RNN" => &rnn::Recurrent { gates: 1 },
        "Constant" => &constant::ConstantNode,
        "ConstantOfShape" => &constant::ConstantOfShape,
        "Shape" => &constant::ShapeOf,
        "Size" => &constant::Size,
        "Range" => &constant::Range,
        _ => return None,
    })
}
