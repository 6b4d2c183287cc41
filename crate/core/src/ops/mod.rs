//! Operators: each family answers what passes ask. [`lookup`] is the only registry; no pass knows operators by name.

mod attention;
mod concat;
mod constant;
mod contract;
mod control;
mod conv;
mod deform;
mod depth;
mod einsum;
mod elementwise;
mod fold;
mod fused;
mod fused_attention;
mod gather;
mod indexed;
mod matmul;
mod norm;
mod pad;
mod pool;
mod qlinear;
mod quantize;
mod random;
mod reduce;
mod region;
mod reshape;
mod resize;
mod rest;
mod rnn;
mod rotary;
mod select;
mod signal;
mod slice;
mod softmax;
mod tile;
mod whole;

use crate::channels::{Affine, Blocks, ChannelContext};
use crate::cut::{CutContext, Rest, RestContext};
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext, Node};

/// What whole numbers at an input of a node mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// Positions along an axis of another input.
    Row {
        /// The input that is looked up.
        table: usize,
        /// Its axis.
        axis: usize,
    },
    /// The length of an axis of another input.
    Length {
        /// The input that has the axis.
        of: usize,
        /// The axis.
        axis: usize,
        /// What is taken off.
        less: i64,
    },
}

/// Where the weights of an operator hold one filter for each channel of its output. Negative axes count from the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// The input that holds the weights.
    pub weight: usize,
    /// Number of axes that the weights must have, if only one number will do.
    pub rank: Option<usize>,
    /// Their axis that has a position a filter.
    pub axis: i64,
    /// Their axis that is summed over.
    pub sums: i64,
    /// The input that holds the data.
    pub input: usize,
    /// The axis of the data that is summed over.
    pub input_axis: i64,
    /// The axis of the output that has the channels.
    pub output_axis: i64,
    /// Blocks of channels that are treated apart.
    pub groups: usize,
    /// Whether every block of the summed axis has filters of its own.
    pub in_blocks: bool,
}

/// What an operator is to a layer whose output it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// A BatchNormalization with stored statistics; its input 1 is the scale.
    Norm,
    /// An activation function.
    Activation,
    /// An activation that sets what is negative to zero and leaves the rest.
    Rectifier,
    /// A Clip, whose bounds are input or attribute.
    Clip,
    /// A sum.
    Sum,
    /// A product.
    Product,
    /// The output is the input.
    Same,
    /// Anything else.
    Other,
}

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

    /// Whether the operator keeps whole whatever it reads, so that no shape has to be known.
    fn keeps_all(&self) -> bool {
        false
    }

    /// The input that holds the weights, of operators that sum products of data and weights.
    fn weights(&self) -> Option<usize> {
        None
    }

    /// Where the weights hold filters: what fits first counts.
    fn filters(&self, _node: &Node) -> Vec<Filters> {
        Vec::new()
    }

    /// What the operator is to a layer before it.
    fn after(&self, _node: &Node) -> After {
        After::Other
    }

    /// The input that holds a factor a channel, of normalisations.
    fn gain(&self) -> Option<usize> {
        None
    }

    /// The number that the output holds everywhere, of operators that make such tensors.
    fn fills(&self, _node: &Node) -> Option<f64> {
        None
    }

    /// Whether the operator only renames and reorders axes: `Some(None)` if elements keep their order,
    /// `Some(Some(order))` for a transposition of so many axes.
    fn permutes(&self, _node: &Node, _rank: usize) -> Option<Option<Vec<usize>>> {
        None
    }

    /// What whole numbers at an input mean, where not every number does.
    fn meaning(&self, _node: &Node, _input: usize) -> Option<Meaning> {
        None
    }

    /// Whether the first output holds the first input's elements, position by position.
    fn passes(&self, _node: &Node) -> bool {
        false
    }

    /// Whether the first output is zero where the inputs that `zero` names are, whatever the others hold; beyond what holds of
    /// every operator that keeps zeros.
    fn silenced(&self, _zero: &dyn Fn(usize) -> bool) -> bool {
        false
    }

    /// For an input that holds quantised numbers: the input with their zero points and the axis that these belong to.
    fn zero_point(&self, _node: &Node, _input: usize) -> Option<(usize, i64)> {
        None
    }

    /// The output's whole numbers, if those of the inputs grow by fixed steps along every axis and so do these.
    fn affine(&self, _node: &Node, _inputs: &[Option<Affine>]) -> Option<Affine> {
        None
    }

    /// The axis along which input 0 is picked by the numbers of input 1.
    fn gathers(&self, _node: &Node) -> Option<i64> {
        None
    }

    /// What the first output is where nothing is left of some inputs, or they hold numbers that are known because of that.
    fn rest(&self, _cx: &RestContext<'_>) -> Rest {
        Rest::Unknown
    }

    /// Rewrites what depends on sizes that a cut changes.
    ///
    /// # Errors
    /// When the operator cannot be made to compute the cut value.
    fn rewrite(&self, _cx: &mut CutContext<'_>) -> Result<()> {
        Ok(())
    }
}

use crate::onnx::DataType;
use elementwise::{Binary, Unary, Zero};
use qlinear::{Companion, Quantized, Result8};
use whole::{Makes, Whole};

/// The family of a node's operator, if there is a rule for it.
pub fn lookup(node: &Node) -> Option<&'static dyn Operator> {
    match node.domain.as_str() {
        "" => find(&node.op_type).or_else(|| quantized(&node.op_type)),
        "com.microsoft" => microsoft(&node.op_type).or_else(|| quantized(&node.op_type)),
        _ => None,
    }
}

const KEEPS_ZERO: Unary = Unary { zero: Zero::Kept };
const LOSES_ZERO: Unary = Unary { zero: Zero::Lost };

fn find(op_type: &str) -> Option<&'static dyn Operator> {
    Some(match op_type {
        "Relu" | "LeakyRelu" | "Elu" | "Selu" | "Celu" | "Gelu" | "QuickGelu" | "Tanh" | "Erf" | "HardSwish"
        | "Mish" | "Softsign" | "ThresholdedRelu" | "Shrink" | "Sqrt" | "Abs" | "Neg" | "Sign" | "Floor" | "Ceil"
        | "Round" | "Sin" | "Sinh" | "Asin" | "Asinh" | "Atan" | "Atanh" | "Tan" | "Identity" | "Cast" | "Swish"
        | "BitCast" => &KEEPS_ZERO,
        "CastLike" => &elementwise::CastLike,
        "Dropout" => &elementwise::Dropout,
        "Sigmoid" | "HardSigmoid" | "Exp" | "Log" | "Softplus" | "Cos" | "Cosh" | "Acos" | "Acosh" | "Reciprocal"
        | "Not" | "IsNaN" | "IsInf" | "BitwiseNot" => &LOSES_ZERO,
        "Clip" => &elementwise::Clip,
        "Add" | "Sub" | "Sum" | "Max" | "Min" | "Mean" | "BitwiseOr" | "BitwiseXor" => &Binary { zero: Zero::All },
        "Mul" | "And" | "BitwiseAnd" | "SwiGLU" => &Binary { zero: Zero::Any },
        "Div" => &Binary { zero: Zero::Dividend },
        "Pow" => &Binary { zero: Zero::Power },
        "PRelu" | "Mod" | "BitShift" => &Binary { zero: Zero::First },
        "Or" | "Xor" | "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" => &Binary { zero: Zero::Lost },
        "Where" => &elementwise::Where,
        "Conv" => &conv::Conv,
        "ConvTranspose" => &conv::ConvTranspose,
        "DeformConv" => &deform::DeformConv,
        "CausalConvWithState" => &deform::CausalConv,
        "Einsum" => &einsum::Einsum,
        "MatMul" => &matmul::MatMul,
        "Gemm" => &matmul::Gemm,
        "BatchNormalization" => &norm::BatchNormalization,
        "InstanceNormalization" => &norm::InstanceNormalization,
        "LayerNormalization" | "RMSNormalization" | "SimplifiedLayerNormalization" => &norm::LayerNormalization,
        "GroupNormalization" => &norm::GroupNormalization,
        "MeanVarianceNormalization" => &norm::MeanVariance,
        "LRN" => &norm::LocalResponse,
        "LpNormalization" => &norm::LpNormalization,
        "MaxPool" => &pool::Pool { average: false },
        "AveragePool" | "LpPool" => &pool::Pool { average: true },
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" => &pool::GlobalPool,
        "MaxUnpool" => &pool::MaxUnpool,
        "Reshape" => &reshape::Reshape,
        "Flatten" => &reshape::Flatten,
        "Squeeze" => &reshape::Squeeze,
        "Unsqueeze" => &reshape::Unsqueeze,
        "Transpose" => &reshape::Transpose,
        "Expand" => &reshape::Expand,
        "Tile" => &tile::Tile,
        "DepthToSpace" => &depth::DepthToSpace,
        "SpaceToDepth" => &depth::SpaceToDepth,
        "Col2Im" => &depth::Col2Im,
        "Concat" => &concat::Concat,
        "Split" => &concat::Split,
        "Slice" => &slice::Slice,
        "Gather" => &gather::Gather,
        "GatherElements" => &indexed::GatherElements,
        "GatherND" => &indexed::GatherNd,
        "ScatterElements" | "Scatter" => &indexed::ScatterElements,
        "ScatterND" => &indexed::ScatterNd,
        "TensorScatter" => &indexed::TensorScatter,
        "Pad" => &pad::Pad,
        "CenterCropPad" => &pad::CenterCropPad,
        "TopK" => &select::TopK,
        "ArgMax" | "ArgMin" => &select::ArgMax,
        "CumSum" => &select::Cumulative { sum: true },
        "CumProd" => &select::Cumulative { sum: false },
        "OneHot" => &select::OneHot,
        "Compress" => &select::Compress,
        "Trilu" => &select::Trilu,
        "ReverseSequence" => &select::ReverseSequence,
        "Unique" => &whole::Unique,
        "ReduceMean" => &reduce::Reduce { kind: reduce::Kind::Mean },
        "ReduceSum" => &reduce::Reduce { kind: reduce::Kind::Sum },
        "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2" | "ReduceSumSquare" | "ReduceLogSum"
        | "ReduceLogSumExp" => &reduce::Reduce { kind: reduce::Kind::Other },
        "Softmax" | "LogSoftmax" | "Hardmax" => &softmax::Softmax,
        "Resize" | "Upsample" => &resize::Resize,
        "RoiAlign" | "MaxRoiPool" => &region::RoiPool,
        "GridSample" => &region::GridSample,
        "AffineGrid" => &region::AffineGrid,
        "NonMaxSuppression" => &region::NonMaxSuppression,
        "DFT" => &signal::Dft,
        "STFT" => &signal::Stft,
        "HannWindow" | "HammingWindow" | "BlackmanWindow" => &signal::Window,
        "MelWeightMatrix" => &signal::MelWeightMatrix,
        "Det" => &signal::Det,
        "RandomNormalLike" | "RandomUniformLike" | "Bernoulli" => &random::RandomLike,
        "RandomNormal" | "RandomUniform" => &random::Random,
        "Multinomial" => &random::Multinomial,
        "Attention" => &attention::Attention,
        "RotaryEmbedding" => &rotary::RotaryEmbedding { cos: 1 },
        "DynamicQuantizeLinear" => &quantize::Dynamic,
        "If" => &control::If,
        "Loop" => &control::Loop,
        "Scan" => &control::Scan,
        "LSTM" => &rnn::Recurrent { gates: 4 },
        "GRU" => &rnn::Recurrent { gates: 3 },
        "RNN" => &rnn::Recurrent { gates: 1 },
        "Constant" => &constant::ConstantNode,
        "ConstantOfShape" => &constant::ConstantOfShape,
        "Shape" => &constant::ShapeOf,
        "Size" => &constant::Size,
        "Range" => &constant::Range,
        _ => return whole(op_type),
    })
}

const SEQUENCE: Whole = Whole {
    why: "a sequence of tensors holds it; export the model without sequences to cut it",
    makes: Makes::Unknown,
};
const OPTIONAL: Whole = Whole {
    why: "an optional value holds it; export the model without optional values to cut it",
    makes: Makes::Unknown,
};
const LOSS: Whole = Whole { why: "a loss compares its classes; export the model without the loss", makes: Makes::Loss };

/// Operators whose inputs stay whole, with the reason.
fn whole(op_type: &str) -> Option<&'static dyn Operator> {
    Some(match op_type {
        "EyeLike" => &Whole { why: "a matrix with ones on a diagonal takes its shape", makes: Makes::Same },
        "NonZero" => &Whole {
            why: "positions that are not zero are counted over all axes",
            makes: Makes::Open(DataType::Int64, 2),
        },
        "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase" | "SequenceInsert"
        | "SequenceLength" | "SequenceMap" | "SplitToSequence" | "ConcatFromSequence" => &SEQUENCE,
        "Optional" | "OptionalGetElement" | "OptionalHasElement" => &OPTIONAL,
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => &LOSS,
        _ => return None,
    })
}

/// Operators that ONNX Runtime adds and its optimiser writes.
fn microsoft(op_type: &str) -> Option<&'static dyn Operator> {
    Some(match op_type {
        "Gelu" | "QuickGelu" => &KEEPS_ZERO,
        "BiasGelu" | "FastGelu" => &Binary { zero: Zero::All },
        "BiasSplitGelu" => &fused::BiasSplitGelu,
        "SimplifiedLayerNormalization" => &norm::LayerNormalization,
        "SkipLayerNormalization" => &fused::SkipLayerNormalization { shift: true },
        "SkipSimplifiedLayerNormalization" => &fused::SkipLayerNormalization { shift: false },
        "EmbedLayerNormalization" => &fused::EmbedLayerNormalization,
        "GroupNorm" => &fused::GroupNorm,
        "FusedMatMul" | "TransposeMatMul" => &fused::FusedMatMul,
        "FusedGemm" => &fused::FusedGemm,
        "FusedConv" => &fused::FusedConv,
        "Inverse" => &fused::Inverse,
        "Attention" => &fused_attention::PackedAttention,
        "MultiHeadAttention" => &fused_attention::MultiHeadAttention,
        "GroupQueryAttention" => &fused_attention::GroupQueryAttention,
        "RotaryEmbedding" => &rotary::RotaryEmbedding { cos: 2 },
        _ => return None,
    })
}

const fn companion(input: usize, of: usize, axis: i64) -> Companion {
    Companion { input, of, axis }
}

const fn like(like: &'static dyn Operator, name: &'static str, inputs: &'static [usize]) -> Quantized {
    Quantized { like, name, inputs, companions: &[], bias: None, dtype: Result8::Of(0) }
}

const CONV_INTEGER: Quantized =
    Quantized { companions: &[companion(3, 1, 0)], dtype: Result8::Int32, ..like(&conv::Conv, "Conv", &[0, 1]) };
const MATMUL_INTEGER: Quantized = Quantized {
    companions: &[companion(2, 0, -2), companion(3, 1, -1)],
    dtype: Result8::Int32,
    ..like(&matmul::MatMul, "MatMul", &[0, 1])
};
const QLINEAR_CONV: Quantized = Quantized {
    companions: &[companion(4, 3, 0), companion(5, 3, 0)],
    dtype: Result8::Of(7),
    ..like(&conv::Conv, "Conv", &[0, 3, 8])
};
const QLINEAR_MATMUL: Quantized = Quantized {
    companions: &[companion(1, 0, -2), companion(2, 0, -2), companion(4, 3, -1), companion(5, 3, -1)],
    dtype: Result8::Of(7),
    ..like(&matmul::MatMul, "MatMul", &[0, 3])
};
const MATMUL_TO_FLOAT: Quantized = Quantized {
    companions: &[companion(3, 1, -1), companion(5, 1, -1)],
    bias: Some(6),
    dtype: Result8::Float,
    ..like(&matmul::MatMul, "MatMul", &[0, 1])
};
const DYNAMIC_MATMUL: Quantized = Quantized {
    companions: &[companion(2, 1, -1), companion(3, 1, -1)],
    bias: Some(4),
    dtype: Result8::Float,
    ..like(&matmul::MatMul, "MatMul", &[0, 1])
};
const QATTENTION: Quantized = Quantized {
    companions: &[companion(4, 1, -1), companion(7, 1, -1)],
    dtype: Result8::Float,
    ..like(&fused_attention::PackedAttention, "Attention", &[0, 1, 2, 5, 8])
};

/// Operators on quantised values; both domains know some of them.
fn quantized(op_type: &str) -> Option<&'static dyn Operator> {
    Some(match op_type {
        "QuantizeLinear" => &quantize::Linear { quantize: true },
        "DequantizeLinear" => &quantize::Linear { quantize: false },
        "ConvInteger" => &CONV_INTEGER,
        "MatMulInteger" => &MATMUL_INTEGER,
        "QLinearConv" => &QLINEAR_CONV,
        "QLinearMatMul" => &QLINEAR_MATMUL,
        "QGemm" => &qlinear::QuantizedGemm,
        "MatMulIntegerToFloat" => &MATMUL_TO_FLOAT,
        "DynamicQuantizeMatMul" => &DYNAMIC_MATMUL,
        "QAttention" => &QATTENTION,
        "QLinearAdd" => const { &like(&Binary { zero: Zero::All }, "Add", &[0, 3]) },
        "QLinearMul" => const { &like(&Binary { zero: Zero::Any }, "Mul", &[0, 3]) },
        "QLinearLeakyRelu" => const { &like(&KEEPS_ZERO, "LeakyRelu", &[0]) },
        "QLinearSigmoid" => const { &like(&LOSES_ZERO, "Sigmoid", &[0]) },
        "QLinearGlobalAveragePool" => const { &like(&pool::GlobalPool, "GlobalAveragePool", &[0]) },
        "QLinearAveragePool" => const { &like(&pool::Pool { average: true }, "AveragePool", &[0]) },
        "QLinearConcat" => const { &Quantized { dtype: Result8::Of(1), ..like(&concat::Concat, "Concat", &[]) } },
        _ => return None,
    })
}
