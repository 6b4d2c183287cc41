//! The networks whose slopes `gradients.rs` measures. A case's first word is the operator that it asks about.

/// One network: initializers and nodes between `a` of shape [4, 4, 6, 6] and `z`, whose first axis has length 4.
pub struct Case {
    pub name: &'static str,
    pub extra: &'static str,
    pub body: &'static str,
    pub opset: u32,
}

impl Case {
    /// Domain and name of the operator.
    pub fn operator(&self) -> (&str, &str) {
        let op = self.name.split(' ').next().unwrap();
        op.rsplit_once('.').unwrap_or(("", op))
    }
}

const fn case(name: &'static str, extra: &'static str, body: &'static str) -> Case {
    Case { name, extra, body, opset: 21 }
}

const fn newer(name: &'static str, extra: &'static str, body: &'static str) -> Case {
    Case { name, extra, body, opset: 27 }
}

/// Parameters that the loss does not depend on: what comes behind takes every constant out again.
pub const FLAT: &[(&str, &str)] = &[
    ("BatchNormalization", "b"),
    ("InstanceNormalization", "b"),
    ("MeanVarianceNormalization", "b"),
    ("LayerNormalization last axis", "b"),
    ("GridSample nearest", "g"),
    ("GridSample nearest", "g1"),
    ("Mod", "k"),
    ("Mod", "k1"),
];

/// Operators that no slope goes through, by reason.
pub const WITHOUT: &[(&str, &str)] = &[
    ("Ceil Floor Round Sign Hardmax", "flat between jumps"),
    ("And Or Xor Not Equal Greater GreaterOrEqual Less LessOrEqual IsNaN IsInf", "truth values"),
    ("BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitCast", "bits of whole numbers"),
    ("ArgMax ArgMin NonZero NonMaxSuppression Unique Shape Size OneHot", "positions, counts and shapes"),
    ("ConstantOfShape EyeLike Range HannWindow HammingWindow BlackmanWindow MelWeightMatrix", "made of settings"),
    ("Det com.microsoft.Inverse", "refused in training: computed on the host"),
    (
        "QuantizeLinear DequantizeLinear DynamicQuantizeLinear ConvInteger MatMulInteger QLinearConv QLinearMatMul \
         com.microsoft.QuantizeLinear com.microsoft.DequantizeLinear com.microsoft.QLinearConv com.microsoft.QGemm \
         com.microsoft.QLinearAdd com.microsoft.QLinearMul com.microsoft.QLinearLeakyRelu com.microsoft.QLinearSigmoid \
         com.microsoft.QLinearGlobalAveragePool com.microsoft.QLinearAveragePool com.microsoft.QLinearConcat \
         com.microsoft.DynamicQuantizeMatMul com.microsoft.MatMulIntegerToFloat com.microsoft.QAttention",
        "quantised numbers",
    ),
];

/// Every network.
pub const CASES: &[Case] = &[
    case("Relu", "", "z = Relu (a)"),
    case("LeakyRelu", "", "z = LeakyRelu (a)"),
    case("Sigmoid", "", "z = Sigmoid (a)"),
    case("HardSigmoid", "", "z = HardSigmoid (a)"),
    case("HardSwish", "", "z = HardSwish (a)"),
    case("Tanh", "", "z = Tanh (a)"),
    case("Erf", "", "z = Erf (a)"),
    case("Exp", "", "z = Exp (a)"),
    case("Neg", "", "z = Neg (a)"),
    case("Abs", "", "z = Abs (a)"),
    case("Softplus", "", "z = Softplus (a)"),
    case("Softsign", "", "z = Softsign (a)"),
    case("Elu", "", "z = Elu <alpha = 0.7> (a)"),
    case("Selu", "", "z = Selu (a)"),
    case("Celu", "", "z = Celu <alpha = 0.7> (a)"),
    case("Mish", "", "z = Mish (a)"),
    case("ThresholdedRelu", "", "z = ThresholdedRelu <alpha = 0.0> (a)"),
    case("Sin", "", "z = Sin (a)"),
    case("Cos", "", "z = Cos (a)"),
    case("Tan", "", "z = Tan (a)"),
    case("Sinh", "", "z = Sinh (a)"),
    case("Cosh", "", "z = Cosh (a)"),
    case("Atan", "", "z = Atan (a)"),
    case("Asinh", "", "z = Asinh (a)"),
    case("Identity", "", "z = Identity (a)"),
    case("Flatten", "", "z = Flatten (a)"),
    case("LogSoftmax", "", "z = LogSoftmax <axis = 1> (a)"),
    case("GlobalAveragePool", "", "z = GlobalAveragePool (a)"),
    case("GlobalMaxPool", "", "z = GlobalMaxPool (a)"),
    case("GlobalLpPool", "", "z = GlobalLpPool (a)"),
    case("MeanVarianceNormalization", "", "z = MeanVarianceNormalization (a)"),
    case("Gelu", "", "z = Gelu (a)"),
    case("Gelu by tanh", "", "z = Gelu <approximate = \"tanh\"> (a)"),
    newer("Swish", "", "z = Swish <alpha = 1.3> (a)"),
    case("Shrink", "", "z = Shrink <lambd = 0.1, bias = 0.1> (a)"),
    case("Log", "float one = {1.0}", "q = Mul (a, a) p = Add (q, one) z = Log (p)"),
    case("Sqrt", "float one = {1.0}", "q = Mul (a, a) p = Add (q, one) z = Sqrt (p)"),
    case("Reciprocal", "float one = {1.0}", "q = Mul (a, a) p = Add (q, one) z = Reciprocal (p)"),
    case("Acosh", "float one = {1.2}", "q = Mul (a, a) p = Add (q, one) z = Acosh (p)"),
    case("Asin", "float part = {0.3}", "q = Mul (a, part) z = Asin (q)"),
    case("Acos", "float part = {0.3}", "q = Mul (a, part) z = Acos (q)"),
    case("Atanh", "float part = {0.3}", "q = Mul (a, part) z = Atanh (q)"),
    newer("SwiGLU", "", "k, l = Split <axis = 1, num_outputs = 2> (a) z = SwiGLU (k, l)"),
    case("Add", "float[4,1,1] k", "z = Add (a, k)"),
    case("Sub", "float[4,1,1] k", "z = Sub (a, k)"),
    case("Mul", "float[4,1,1] k", "z = Mul (a, k)"),
    case("Add of two parts", "", "k, l = Split <axis = 3, num_outputs = 2> (a) z = Add (k, l)"),
    case("Div", "float[4,1,1] k ~ {0.5, 1.5}", "z = Div (a, k)"),
    case("Div by the network", "float[4,1,1] k, float one = {1.0}", "q = Mul (a, a) p = Add (q, one) z = Div (k, p)"),
    case(
        "Pow",
        "float[4,1,1] k ~ {1.5, 2.5}, float[4,1,1] k1 ~ {0.9, 1.1}, float one = {1.0}",
        "q = Mul (a, a) p = Add (q, one) e = Mul (k, k1) z = Pow (p, e)",
    ),
    case("Pow of a number", "float three = {3.0}", "z = Pow (a, three)"),
    case(
        "Mod",
        "float[4,1,1] k ~ {5.5, 6.5}, float[4,1,1] k1 ~ {0.9, 1.1}",
        "e = Mul (k, k1) z = Mod <fmod = 1> (a, e)",
    ),
    case("Min", "float[4,6,6] k, float[4,6,6] k1 ~ {0.9, 1.1}", "e = Mul (k, k1) z = Min (a, e)"),
    case("Max", "float[4,6,6] k, float[4,6,6] k1 ~ {0.9, 1.1}", "e = Mul (k, k1) z = Max (a, e)"),
    case("Sum", "float[4,6,6] k, float[4,6,6] k1 ~ {0.9, 1.1}", "e = Mul (k, k1) z = Sum (a, e)"),
    case("Mean", "float[4,6,6] k, float[4,6,6] k1 ~ {0.9, 1.1}", "e = Mul (k, k1) z = Mean (a, e)"),
    case(
        "Where",
        "bool[6] c = {1,0,1,1,0,0}, float[4,1,1] k, float[4,1,1] k1 ~ {0.9, 1.1}",
        "e = Mul (k, k1) z = Where (c, a, e)",
    ),
    case("Clip", "float low = {-0.4}, float high = {0.5}", "z = Clip (a, low, high)"),
    case("PRelu", "float[4,1,1] k", "z = PRelu (a, k)"),
    case("Dropout", "float half = {0.5}", "z = Dropout (a, half)"),
    case("Cast", "", "z = Cast <to = 1> (a)"),
    case("CastLike", "float one = {1.0}", "z = CastLike (a, one)"),
    case(
        "Conv grouped, strided, dilated",
        "float[6,2,3,2] k, float[6] kb",
        "z = Conv <group = 2, strides = [2,1], dilations = [1,2], pads = [1,0,1,2]> (a, k, kb)",
    ),
    case("Conv depthwise", "float[8,1,3,3] k, float[8] kb", "z = Conv <group = 4, pads = [1,1,1,1]> (a, k, kb)"),
    case(
        "Conv one axis",
        "int64[3] s = {4,4,36}, float[6,2,5] k",
        "r = Reshape (a, s) z = Conv <group = 2, strides = [3], dilations = [2], pads = [2,1]> (r, k)",
    ),
    case(
        "Conv three axes",
        "int64[5] s = {4,2,2,6,6}, float[3,2,2,3,3] k, float[3] kb",
        "r = Reshape (a, s) z = Conv <pads = [1,1,0,0,1,1]> (r, k, kb)",
    ),
    case(
        "ConvTranspose grouped, strided, dilated",
        "float[4,3,3,2] k, float[6] kb",
        "z = ConvTranspose <group = 2, strides = [2,1], dilations = [1,2], pads = [1,0,0,1], output_padding = [1,0]> (a, k, kb)",
    ),
    case(
        "ConvTranspose one axis",
        "int64[3] s = {4,4,36}, float[4,3,4] k",
        "r = Reshape (a, s) z = ConvTranspose <strides = [2], pads = [1,1]> (r, k)",
    ),
    case(
        "ConvTranspose three axes",
        "int64[5] s = {4,2,2,6,6}, float[2,2,2,2,2] k",
        "r = Reshape (a, s) z = ConvTranspose <strides = [1,2,1]> (r, k)",
    ),
    case(
        "DeformConv",
        "float[3,4,2,2] k, float[1,8,5,5] o, float[1,8,5,5] o1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}, float[3] kb",
        "e = Mul (o, o1) m = Tile (e, t) z = DeformConv <kernel_shape = [2,2]> (a, k, m, kb)",
    ),
    newer(
        "CausalConvWithState",
        "int64[3] s = {4,4,36}, float[4,1,3] k, float[4] kb",
        "r = Reshape (a, s) z = CausalConvWithState <activation = \"silu\"> (r, k, kb)",
    ),
    case("MatMul", "float[6,5] k", "z = MatMul (a, k)"),
    case("MatMul of two parts", "", "t = Transpose <perm = [0,1,3,2]> (a) z = MatMul (a, t)"),
    case(
        "Gemm",
        "int64[2] s = {4,144}, float[5,144] k, float[5] kb",
        "r = Reshape (a, s) z = Gemm <transB = 1, alpha = 0.5, beta = 0.7> (r, k, kb)",
    ),
    case("Einsum", "float[5,4] k", "z = Einsum <equation = \"oc,nchw->nohw\"> (k, a)"),
    case("Einsum of three", "float[4] k, float[6,3] m", "z = Einsum <equation = \"nchw,c,wv->nchv\"> (a, k, m)"),
    case("Reshape", "int64[3] s = {4,9,16}", "z = Reshape (a, s)"),
    case("Transpose", "", "z = Transpose <perm = [0,2,3,1]> (a)"),
    case("Squeeze", "int64[5] s = {4,4,1,6,6}, int64[1] at = {2}", "r = Reshape (a, s) z = Squeeze (r, at)"),
    case("Unsqueeze", "int64[1] at = {2}", "z = Unsqueeze (a, at)"),
    case(
        "Expand",
        "int64[5] s = {4,1,24,1,1}, int64[5] t = {4,3,24,1,2}, int64[1] at = {3}",
        "m = ReduceSum (a, at) r = Reshape (m, s) z = Expand (r, t)",
    ),
    case("Tile", "int64[4] r = {1,2,1,1}", "z = Tile (a, r)"),
    case("DepthToSpace DCR", "", "z = DepthToSpace <blocksize = 2, mode = \"DCR\"> (a)"),
    case("DepthToSpace CRD", "", "z = DepthToSpace <blocksize = 2, mode = \"CRD\"> (a)"),
    case("SpaceToDepth", "", "z = SpaceToDepth <blocksize = 2> (a)"),
    case(
        "Col2Im",
        "int64[3] s = {4,4,36}, int64[2] i = {7,7}, int64[2] at = {2,2}",
        "r = Reshape (a, s) z = Col2Im (r, i, at)",
    ),
    case(
        "Concat",
        "float[4,1,6,6] k, float[4,1,6,6] k1 ~ {0.9, 1.1}",
        "e = Mul (k, k1) z = Concat <axis = 1> (a, e, a)",
    ),
    case("Split", "int64[2] s = {1,3}", "z, l = Split <axis = 1> (a, s)"),
    case(
        "Slice backwards",
        "int64[1] s = {-1}, int64[1] e = {-9}, int64[1] x1 = {3}, int64[1] t = {-2}",
        "z = Slice (a, s, e, x1, t)",
    ),
    case("Gather", "int64[2,2] i = {3,0,1,1}", "z = Gather <axis = 1> (a, i)"),
    case("Pad constant", "int64[8] p = {0,0,1,2,0,0,2,1}", "z = Pad <mode = \"constant\"> (a, p)"),
    case("Pad reflect", "int64[8] p = {0,0,1,2,0,0,2,1}", "z = Pad <mode = \"reflect\"> (a, p)"),
    case("Pad edge", "int64[8] p = {0,0,1,2,0,0,2,1}", "z = Pad <mode = \"edge\"> (a, p)"),
    case("Pad wrap", "int64[8] p = {0,0,1,2,0,0,2,1}", "z = Pad <mode = \"wrap\"> (a, p)"),
    case("CenterCropPad", "int64[2] s = {4,9}", "z = CenterCropPad <axes = [2,3]> (a, s)"),
    case("GatherElements", "int64[4,4,2,6] i", "z = GatherElements <axis = 2> (a, i)"),
    case("GatherND", "int64[4,2] i = {0,1,3,2,1,1,2,0}", "z = GatherND (a, i)"),
    case(
        "ScatterElements",
        "int64[4,4,1,6] i, float[4,4,1,6] u, float[4,4,1,6] u1 ~ {0.9, 1.1}",
        "e = Mul (u, u1) z = ScatterElements <axis = 2> (a, i, e)",
    ),
    Case {
        name: "Scatter",
        extra: "int64[4,4,1,6] i, float[4,4,1,6] u, float[4,4,1,6] u1 ~ {0.9, 1.1}",
        body: "e = Mul (u, u1) z = Scatter <axis = 2> (a, i, e)",
        opset: 10,
    },
    case(
        "ScatterND add",
        "int64[3,2] i = {0,1,3,2,0,2}, float[3,6,6] u, float[3,6,6] u1 ~ {0.9, 1.1}",
        "e = Mul (u, u1) z = ScatterND <reduction = \"add\"> (a, i, e)",
    ),
    case(
        "ScatterND mul",
        "int64[3,2] i = {0,1,3,2,0,2}, float[3,6,6] u, float[3,6,6] u1 ~ {0.9, 1.1}",
        "e = Mul (u, u1) z = ScatterND <reduction = \"mul\"> (a, i, e)",
    ),
    newer(
        "TensorScatter",
        "int64[4] at = {0,1,2,3}, float[4,4,2,6] u, float[4,4,2,6] u1 ~ {0.9, 1.1}",
        "e = Mul (u, u1) z = TensorScatter (a, e, at)",
    ),
    case("TopK", "int64[1] k = {3}", "z, i = TopK <axis = 3> (a, k)"),
    case("CumSum", "int64 x1 = {2}", "z = CumSum <exclusive = 1, reverse = 1> (a, x1)"),
    newer("CumProd", "int64 x1 = {2}, float one = {1.1}", "p = Add (a, one) z = CumProd (p, x1)"),
    case("Compress", "bool[4] c = {1,0,1,1}", "z = Compress <axis = 1> (a, c)"),
    case("Trilu", "", "z = Trilu <upper = 0> (a)"),
    case("ReverseSequence", "int64[4] n = {6,1,3,2}", "z = ReverseSequence <time_axis = 2, batch_axis = 0> (a, n)"),
    case("MaxPool", "", "z = MaxPool <kernel_shape = [3,2], strides = [2,1], pads = [1,0,1,1]> (a)"),
    case(
        "MaxPool one axis",
        "int64[3] s = {4,4,36}",
        "r = Reshape (a, s) z = MaxPool <kernel_shape = [3], strides = [2]> (r)",
    ),
    case(
        "MaxPool three axes",
        "int64[5] s = {4,1,4,6,6}",
        "r = Reshape (a, s) z = MaxPool <kernel_shape = [2,2,2]> (r)",
    ),
    case("AveragePool", "", "z = AveragePool <kernel_shape = [3,2], strides = [2,1], pads = [1,0,1,1]> (a)"),
    case("AveragePool dilated", "", "z = AveragePool <kernel_shape = [2,2], dilations = [2,2]> (a)"),
    case("LpPool", "", "z = LpPool <kernel_shape = [2,2], strides = [2,2]> (a)"),
    case("LpPool of order 3", "", "z = LpPool <kernel_shape = [2,2], strides = [2,2], p = 3> (a)"),
    case(
        "MaxUnpool",
        "",
        "p, i = MaxPool <kernel_shape = [2,2], strides = [2,2]> (a) z = MaxUnpool <kernel_shape = [2,2], strides = [2,2]> (p, i)",
    ),
    case(
        "RoiAlign",
        "float[4,4] r = {0,0,3,3,1,0,5,4,0,1,3,3,2,2,5,5}, int64[4] o = {0,1,2,3}",
        "z = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2> (a, r, o)",
    ),
    case(
        "RoiAlign largest",
        "float[4,4] r = {0,0,3,3,1,0,5,4,0,1,3,3,2,2,5,5}, int64[4] o = {0,1,2,3}",
        "z = RoiAlign <output_height = 2, output_width = 2, sampling_ratio = 2, mode = \"max\"> (a, r, o)",
    ),
    case(
        "GridSample linear",
        "float[1,3,3,2] g ~ {-0.9, 0.9}, float[1,3,3,2] g1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}",
        "e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"linear\"> (a, m)",
    ),
    case(
        "GridSample nearest",
        "float[1,3,3,2] g ~ {-0.9, 0.9}, float[1,3,3,2] g1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}",
        "e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"nearest\"> (a, m)",
    ),
    case(
        "GridSample cubic",
        "float[1,3,3,2] g ~ {-0.9, 0.9}, float[1,3,3,2] g1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}",
        "e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"cubic\"> (a, m)",
    ),
    case(
        "GridSample border",
        "float[1,3,3,2] g ~ {-1.5, 1.5}, float[1,3,3,2] g1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}",
        "e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"linear\", padding_mode = \"border\", align_corners = 1> (a, m)",
    ),
    case(
        "GridSample reflection",
        "float[1,3,3,2] g ~ {-1.5, 1.5}, float[1,3,3,2] g1 ~ {0.9, 1.1}, int64[4] t = {4,1,1,1}",
        "e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"linear\", padding_mode = \"reflection\"> (a, m)",
    ),
    case(
        "GridSample three axes",
        "int64[5] s = {4,1,4,6,6}, float[1,2,3,3,3] g ~ {-0.9, 0.9}, float[1,2,3,3,3] g1 ~ {0.9, 1.1}, int64[5] t = {4,1,1,1,1}",
        "r = Reshape (a, s) e = Mul (g, g1) m = Tile (e, t) z = GridSample <mode = \"linear\"> (r, m)",
    ),
    case(
        "AffineGrid",
        "float[4,2,3] k ~ {-0.6, 0.6}, float[4,2,3] k1 ~ {0.9, 1.1}, int64[4] s = {4,4,5,5}",
        "e = Mul (k, k1) g = AffineGrid (e, s) z = GridSample (a, g)",
    ),
    case(
        "BatchNormalization",
        "float[4] k ~ {0.5, 1.5}, float[4] kb, float[4] m, float[4] v ~ {0.5, 1.5}",
        "z = BatchNormalization (a, k, kb, m, v)",
    ),
    case("InstanceNormalization", "float[4] k ~ {0.5, 1.5}, float[4] kb", "z = InstanceNormalization (a, k, kb)"),
    case(
        "GroupNormalization",
        "float[4] k ~ {0.5, 1.5}, float[4] kb",
        "z = GroupNormalization <num_groups = 2> (a, k, kb)",
    ),
    case(
        "LayerNormalization",
        "float[4,6,6] k ~ {0.5, 1.5}, float[4,6,6] kb",
        "z = LayerNormalization <axis = 1> (a, k, kb)",
    ),
    case("LayerNormalization last axis", "float[6] k ~ {0.5, 1.5}, float[6] kb", "z = LayerNormalization (a, k, kb)"),
    newer("RMSNormalization", "float[6] k ~ {0.5, 1.5}", "z = RMSNormalization (a, k)"),
    case("SimplifiedLayerNormalization", "float[6] k ~ {0.5, 1.5}", "z = SimplifiedLayerNormalization (a, k)"),
    case("LpNormalization", "", "z = LpNormalization <axis = 1> (a)"),
    case("LpNormalization of order 1", "", "z = LpNormalization <axis = 1, p = 1> (a)"),
    case("LRN", "", "z = LRN <size = 3, alpha = 0.3> (a)"),
    case("Softmax", "", "z = Softmax <axis = 1> (a)"),
    case("ReduceMean", "int64[2] at = {1,3}", "z = ReduceMean (a, at)"),
    case("ReduceSum", "int64[2] at = {1,3}", "z = ReduceSum (a, at)"),
    case("ReduceMax", "int64[2] at = {1,3}", "z = ReduceMax (a, at)"),
    case("ReduceMin", "int64[2] at = {1,3}", "z = ReduceMin (a, at)"),
    case("ReduceL1", "int64[2] at = {1,3}", "z = ReduceL1 (a, at)"),
    case("ReduceL2", "int64[2] at = {1,3}", "z = ReduceL2 (a, at)"),
    case("ReduceSumSquare", "int64[2] at = {1,3}", "z = ReduceSumSquare (a, at)"),
    case("ReduceLogSumExp", "int64[2] at = {1,3}", "z = ReduceLogSumExp (a, at)"),
    case("ReduceProd", "int64[1] at = {1}", "z = ReduceProd (a, at)"),
    case(
        "ReduceLogSum",
        "int64[1] at = {1}, float one = {1.0}",
        "q = Mul (a, a) p = Add (q, one) z = ReduceLogSum (p, at)",
    ),
    case("Resize nearest", "float[4] c = {1,1,1.5,2}", "z = Resize <mode = \"nearest\"> (a, _, c)"),
    case("Resize linear", "float[4] c = {1,1,1.5,2}", "z = Resize <mode = \"linear\"> (a, _, c)"),
    case("Resize cubic", "float[4] c = {1,1,1.5,2}", "z = Resize <mode = \"cubic\"> (a, _, c)"),
    case("Resize smaller", "float[4] c = {1,1,0.5,0.6}", "z = Resize <mode = \"linear\", antialias = 1> (a, _, c)"),
    Case {
        name: "Upsample",
        extra: "float[4] c = {1,1,2,2}",
        body: "z = Upsample <mode = \"linear\"> (a, c)",
        opset: 9,
    },
    case("DFT", "int64[5] s = {4,4,6,6,1}, int64 at = {2}", "r = Reshape (a, s) z = DFT (r, _, at)"),
    case(
        "STFT",
        "int64[3] s = {4,144,1}, int64 n = {8}, float[16] k ~ {0.5, 1.5}, float[16] k1 ~ {0.9, 1.1}",
        "r = Reshape (a, s) e = Mul (k, k1) z = STFT (r, n, e)",
    ),
    case(
        "NegativeLogLikelihoodLoss",
        "int64[4,6,6] i",
        "p = LogSoftmax <axis = 1> (a) z = NegativeLogLikelihoodLoss <reduction = \"none\"> (p, i)",
    ),
    case("SoftmaxCrossEntropyLoss", "int64[4,6,6] i", "z = SoftmaxCrossEntropyLoss <reduction = \"none\"> (a, i)"),
    case(
        "LSTM",
        "int64[3] s = {4,9,16}, float[2,12,16] wi, float[2,12,3] wr, float[2,24] wb",
        "r = Reshape (a, s) t = Transpose <perm = [1,0,2]> (r) h = LSTM <hidden_size = 3, direction = \"bidirectional\"> (t, wi, wr, wb) z = Transpose <perm = [2,0,1,3]> (h)",
    ),
    case(
        "LSTM with peepholes",
        "int64[3] s = {4,9,16}, float[1,12,16] wi, float[1,12,3] wr, float[1,24] wb, float[1,9] p",
        "r = Reshape (a, s) z = LSTM <hidden_size = 3, layout = 1> (r, wi, wr, wb, _, _, _, p)",
    ),
    case(
        "GRU",
        "int64[3] s = {4,9,16}, float[1,9,16] wi, float[1,9,3] wr, float[1,18] wb",
        "r = Reshape (a, s) t = Transpose <perm = [1,0,2]> (r) h = GRU <hidden_size = 3, direction = \"reverse\"> (t, wi, wr, wb) z = Transpose <perm = [2,0,1,3]> (h)",
    ),
    case(
        "GRU reset after",
        "int64[3] s = {4,9,16}, float[1,9,16] wi, float[1,9,3] wr, float[1,18] wb",
        "r = Reshape (a, s) t = Transpose <perm = [1,0,2]> (r) h = GRU <hidden_size = 3, linear_before_reset = 1> (t, wi, wr, wb) z = Transpose <perm = [2,0,1,3]> (h)",
    ),
    case(
        "RNN",
        "int64[3] s = {4,9,16}, float[1,3,16] wi, float[1,3,3] wr, float[1,6] wb",
        "r = Reshape (a, s) t = Transpose <perm = [1,0,2]> (r) h = RNN <hidden_size = 3> (t, wi, wr, wb) z = Transpose <perm = [2,0,1,3]> (h)",
    ),
    newer(
        "Attention",
        "int64[3] s = {4,9,16}, float[16,8] wq, float[16,8] wk, float[16,8] wv",
        "r = Reshape (a, s) q = MatMul (r, wq) k = MatMul (r, wk) v = MatMul (r, wv) z = Attention <q_num_heads = 2, kv_num_heads = 2, is_causal = 1, softcap = 3.0> (q, k, v)",
    ),
    newer(
        "Attention with groups and a mask",
        "int64[3] s = {4,9,16}, float[16,8] wq, float[16,4] wk, float[16,4] wv, bool[9,9] m = {0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0,1,1,1,1,0}",
        "r = Reshape (a, s) q = MatMul (r, wq) k = MatMul (r, wk) v = MatMul (r, wv) z = Attention <q_num_heads = 2, kv_num_heads = 1> (q, k, v, m)",
    ),
    newer(
        "RotaryEmbedding",
        "int64[4] s = {4,2,9,8}, float[4,9,4] cos, float[4,9,4] sin",
        "r = Reshape (a, s) z = RotaryEmbedding (r, cos, sin)",
    ),
    case(
        "com.microsoft.RotaryEmbedding",
        "int64[3] s = {4,9,16}, float[9,4] cos, float[9,4] sin, int64[1] at = {0}",
        "r = Reshape (a, s) z = com.microsoft.RotaryEmbedding <num_heads = 2> (r, at, cos, sin)",
    ),
    case(
        "com.microsoft.MultiHeadAttention",
        "int64[3] s = {4,9,16}, float[16,8] wq, float[16,8] wk, float[16,8] wv, float[24] kb",
        "r = Reshape (a, s) q = MatMul (r, wq) k = MatMul (r, wk) v = MatMul (r, wv) z = com.microsoft.MultiHeadAttention <num_heads = 2> (q, k, v, kb)",
    ),
    case(
        "com.microsoft.Attention",
        "int64[3] s = {4,9,16}, float[16,24] k, float[24] kb",
        "r = Reshape (a, s) z = com.microsoft.Attention <num_heads = 2, unidirectional = 1> (r, k, kb)",
    ),
    case(
        "com.microsoft.GroupQueryAttention",
        "int64[3] s = {4,9,16}, float[16,16] wq, float[16,8] wk, float[16,8] wv, int32[4] lens = {8,8,8,8}, int32 total = {9}",
        "r = Reshape (a, s) q = MatMul (r, wq) k = MatMul (r, wk) v = MatMul (r, wv) z, pk, pv = com.microsoft.GroupQueryAttention <num_heads = 2, kv_num_heads = 1> (q, k, v, _, _, lens, total)",
    ),
    case("com.microsoft.Gelu", "", "z = com.microsoft.Gelu (a)"),
    case("com.microsoft.QuickGelu", "", "z = com.microsoft.QuickGelu (a)"),
    case("com.microsoft.BiasGelu", "float[6] k", "z = com.microsoft.BiasGelu (a, k)"),
    case("com.microsoft.FastGelu", "float[6] k", "z = com.microsoft.FastGelu (a, k)"),
    case(
        "com.microsoft.BiasSplitGelu",
        "int64[3] s = {4,9,16}, float[16] k",
        "r = Reshape (a, s) z = com.microsoft.BiasSplitGelu (r, k)",
    ),
    case(
        "com.microsoft.SkipLayerNormalization",
        "int64[3] s = {4,9,16}, float[16] k ~ {0.5, 1.5}, float[16] kb, float[16] kc, float[16,16] p",
        "r = Reshape (a, s) m = MatMul (r, p) z = com.microsoft.SkipLayerNormalization <epsilon = 0.00001> (r, m, k, kb, kc)",
    ),
    case(
        "com.microsoft.SkipSimplifiedLayerNormalization",
        "int64[3] s = {4,9,16}, float[16] k ~ {0.5, 1.5}, float[16,16] p",
        "r = Reshape (a, s) m = MatMul (r, p) z = com.microsoft.SkipSimplifiedLayerNormalization <epsilon = 0.00001> (r, m, k)",
    ),
    case(
        "com.microsoft.SimplifiedLayerNormalization",
        "float[6] k ~ {0.5, 1.5}",
        "z = com.microsoft.SimplifiedLayerNormalization (a, k)",
    ),
    case(
        "com.microsoft.EmbedLayerNormalization",
        "int32[4,3] ids = {0,4,1,2,2,3,0,0,1,4,3,2}, float[5,8] words, float[3,8] places, float[8] k ~ {0.5, 1.5}, float[8] kb, int64[3] s = {4,3,48}, float[48,8] p",
        "e, n = com.microsoft.EmbedLayerNormalization <epsilon = 0.00001> (ids, _, words, places, _, k, kb) r = Reshape (a, s) m = MatMul (r, p) z = Add (e, m)",
    ),
    case(
        "com.microsoft.GroupNorm",
        "float[4] k ~ {0.5, 1.5}, float[4] kb",
        "z = com.microsoft.GroupNorm <groups = 2, activation = 1, channels_last = 0> (a, k, kb)",
    ),
    case("com.microsoft.FusedMatMul", "float[5,6] k", "z = com.microsoft.FusedMatMul <transB = 1, alpha = 0.7> (a, k)"),
    case("com.microsoft.TransposeMatMul", "float[5,6] k", "z = com.microsoft.TransposeMatMul <transB = 1> (a, k)"),
    case(
        "com.microsoft.FusedGemm",
        "int64[2] s = {4,144}, float[144,5] k, float[5] kb",
        "r = Reshape (a, s) z = com.microsoft.FusedGemm <activation = \"Tanh\"> (r, k, kb)",
    ),
    case(
        "com.microsoft.FusedConv",
        "float[3,4,3,3] k, float[3] kb",
        "z = com.microsoft.FusedConv <activation = \"Sigmoid\"> (a, k, kb)",
    ),
    case(
        "If",
        "bool c = {1}",
        "z = If <then_branch = () => (float[4,4,6,6] p) { p = Tanh (a) }, else_branch = () => (float[4,4,6,6] p) { p = Neg (a) }> (c)",
    ),
    case(
        "Loop",
        "int64 rounds = {3}, bool go = {1}",
        "z = Loop <body = (int64 i, bool c, float[4,4,6,6] s) => (bool d, float[4,4,6,6] u) { d = Identity (c) u = Sin (s) }> (rounds, go, a)",
    ),
    case(
        "Scan",
        "float[4,6,6] start",
        "s, z = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1], body = (float[4,6,6] p, float[4,6,6] q) => (float[4,6,6] r, float[4,6,6] t) { r = Add (p, q) t = Tanh (r) }> (start, a)",
    ),
];
