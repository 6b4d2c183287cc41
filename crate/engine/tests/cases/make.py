#!/usr/bin/env python3
"""Makes operators.json: small models of one node with their inputs and what ONNX Runtime answers, or
ONNX's reference evaluator where ONNX Runtime does not have the operator.

    python make.py            (needs numpy, onnx, onnxruntime)
"""
import json
import os

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

rng = np.random.default_rng(7)
cases = []


def floats(*shape):
    return np.round(rng.uniform(-2, 2, shape), 2).astype(np.float32)


def case(name, op, inputs, opset=17, outputs=1, constants=(), **attributes):
    """`inputs`: arrays or None; the positions in `constants` become initializers."""
    inputs = [None if a is None else np.asarray(a) for a in inputs]
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], name=op.lower(), **attributes)
    fed = [(n, a) for i, (n, a) in enumerate(zip(names, inputs)) if a is not None and i not in constants]
    graph = helper.make_graph(
        [node], "case",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in fed],
        [helper.make_empty_tensor_value_info(f"y{i}") for i in range(outputs)],
        [numpy_helper.from_array(a, names[i]) for i, a in enumerate(inputs) if a is not None and i in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        got = ort.InferenceSession(model.SerializeToString(), options).run(None, dict(fed))
    except (ort.capi.onnxruntime_pybind11_state.NotImplemented, ort.capi.onnxruntime_pybind11_state.InvalidGraph,
            ort.capi.onnxruntime_pybind11_state.Fail):
        # What ONNX Runtime does not have, ONNX's own evaluator computes.
        got = [np.asarray(a) for a in ReferenceEvaluator(model).run(None, dict(fed))]

    def tensor(n, a):
        kind = {"f": "real", "b": "truth"}.get(a.dtype.kind, "whole")
        values = [round(float(v), 7) for v in a.ravel()] if kind == "real" else [int(v) for v in a.ravel()]
        return {"name": n, "dims": list(a.shape), "kind": kind, "values": values}

    cases.append({
        "name": f"{op}: {name}",
        "model": model.SerializeToString().hex(),
        "inputs": [tensor(n, a) for n, a in fed],
        "outputs": [tensor(f"y{i}", a) for i, a in enumerate(got)]})


def ints(*values):
    return np.array(values, np.int64)


# Convolutions
x, w, b = floats(1, 4, 5, 5), floats(4, 4, 3, 3), floats(4)
case("bias and padding", "Conv", [x, w, b], pads=[1, 1, 1, 1])
case("asymmetric padding", "Conv", [x, w], pads=[0, 1, 2, 0])
case("strides and dilations", "Conv", [floats(1, 2, 7, 7), floats(2, 2, 3, 3)], strides=[2, 1], dilations=[1, 2], pads=[1, 2, 1, 2])
case("same upper", "Conv", [x, w], auto_pad="SAME_UPPER", strides=[2, 2])
case("same lower", "Conv", [x, w], auto_pad="SAME_LOWER", strides=[2, 2])
case("valid", "Conv", [x, w], auto_pad="VALID")
case("groups", "Conv", [x, floats(6, 2, 3, 3)], group=2, pads=[1, 1, 1, 1])
case("depthwise", "Conv", [x, floats(4, 1, 3, 3)], group=4, pads=[1, 1, 1, 1])
case("depthwise with multiplier", "Conv", [x, floats(8, 1, 3, 3)], group=4)
case("one axis", "Conv", [floats(2, 3, 8), floats(2, 3, 3)], pads=[1, 0], strides=[2])
case("three axes", "Conv", [floats(1, 2, 3, 4, 3), floats(2, 2, 2, 2, 2)], pads=[0, 1, 0, 1, 0, 1])
w = floats(4, 2, 3, 3)
case("strides", "ConvTranspose", [floats(1, 4, 3, 3), w, floats(2)], strides=[2, 2])
case("padding and output padding", "ConvTranspose", [floats(1, 4, 3, 3), w], strides=[2, 2], pads=[1, 1, 1, 1], output_padding=[1, 1])
case("asymmetric padding", "ConvTranspose", [floats(1, 4, 3, 3), w], strides=[2, 2], pads=[0, 1, 1, 0])
case("output shape", "ConvTranspose", [floats(1, 4, 3, 3), w], strides=[2, 2], output_shape=[8, 7])
case("same upper", "ConvTranspose", [floats(1, 4, 3, 3), w], strides=[2, 2], auto_pad="SAME_UPPER")
case("groups", "ConvTranspose", [floats(1, 4, 3, 3), w], group=2, dilations=[2, 2])

# Normalisations
case("running statistics", "BatchNormalization", [floats(2, 3, 2, 2), floats(3), floats(3), floats(3), np.abs(floats(3)) + 1], epsilon=1e-3)
case("two axes", "BatchNormalization", [floats(4, 3), floats(3), floats(3), floats(3), np.abs(floats(3)) + 1])
case("last axis", "LayerNormalization", [floats(2, 3, 4), floats(4), floats(4)])
case("two axes", "LayerNormalization", [floats(2, 3, 4), floats(3, 4), floats(3, 4)], axis=1)
case("maps", "InstanceNormalization", [floats(2, 3, 2, 3), floats(3), floats(3)])
case("groups", "GroupNormalization", [floats(2, 4, 3), floats(4), floats(4)], opset=21, num_groups=2)

# Pools
x = floats(1, 2, 6, 5)
case("plain", "MaxPool", [x], kernel_shape=[2, 2])
case("ceil mode", "MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
case("ceil mode with padding", "MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2], pads=[1, 1, 1, 1], ceil_mode=1)
case("asymmetric padding and dilation", "MaxPool", [x], kernel_shape=[2, 2], dilations=[2, 2], pads=[0, 1, 1, 0])
case("one axis", "MaxPool", [floats(1, 2, 7)], kernel_shape=[3], strides=[2], pads=[1, 1])
case("padding not counted", "AveragePool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
case("padding counted", "AveragePool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
case("asymmetric padding not counted", "AveragePool", [x], kernel_shape=[3, 3], pads=[0, 1, 1, 0])
case("ceil mode", "AveragePool", [x], opset=19, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
case("same upper", "AveragePool", [x], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
case("maps", "GlobalAveragePool", [x])
case("maps", "GlobalMaxPool", [x])

# Elementwise
x = floats(2, 3, 4)
for op, attributes in [
    ("Relu", {}), ("LeakyRelu", {"alpha": 0.2}), ("Sigmoid", {}), ("HardSigmoid", {"alpha": 0.1, "beta": 0.6}), ("HardSwish", {}), ("Tanh", {}),
    ("Erf", {}), ("Exp", {}), ("Neg", {}), ("Abs", {}), ("Floor", {}), ("Ceil", {}), ("Round", {}), ("Sign", {}), ("Softplus", {}), ("Softsign", {}),
    ("Elu", {"alpha": 0.7}), ("Selu", {}), ("Celu", {"alpha": 0.5}), ("ThresholdedRelu", {"alpha": 0.3}), ("Sin", {}), ("Cos", {})]:
    case("plain", op, [x], **attributes)
case("exact", "Gelu", [x], opset=20)
case("with tanh", "Gelu", [x], opset=20, approximate="tanh")
for op in ("Sqrt", "Log", "Reciprocal"):
    case("plain", op, [np.abs(x) + np.float32(0.1)])
for op in ("Add", "Sub", "Mul", "Div", "Min", "Max"):
    case("broadcast", op, [x, floats(3, 1)])
    case("one number", op, [x, np.float32(1.5)], constants=(1,))
    case("one number first", op, [np.float32(1.5), x], constants=(0,))
case("higher rank from one number", "Add", [x, floats(1, 1, 1, 1)], constants=(1,))
case("square", "Pow", [x, np.float32(2)], constants=(1,))
case("tensors", "Pow", [np.abs(x) + np.float32(0.1), floats(4)])
case("real", "Mod", [x, floats(2, 3, 4)], fmod=1)
case("many", "Sum", [floats(2, 2), floats(2), floats(2, 1)])
case("many", "Mean", [floats(2, 2), floats(2), floats(2, 1)])
case("both bounds", "Clip", [x, np.float32(-1), np.float32(1)], constants=(1, 2))
case("upper bound", "Clip", [x, None, np.float32(0.5)], constants=(2,))
case("attributes", "Clip", [x], opset=7, min=0.0, max=1.0)
case("channel slopes", "PRelu", [x, floats(3, 1)])
for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
    case("real", op, [x, np.where(x > 0, x, 0).astype(np.float32)])
case("condition of the data", "Where", [x > 0, x, floats(1, 4)])
case("whole numbers", "Div", [ints(7, -7, 9), ints(2, 2, -4)])
case("whole numbers", "Mod", [ints(7, -7, 9), ints(2, 2, -4)])
case("truth values", "And", [x > 0, x > 1])
case("plain", "Identity", [x])
case("inference", "Dropout", [x])

# Products
case("matrices", "MatMul", [floats(3, 4), floats(4, 2)])
case("one weight for all rows", "MatMul", [floats(2, 3, 4), floats(4, 2)])
case("broadcast batches", "MatMul", [floats(2, 1, 3, 4), floats(3, 4, 2)])
case("vector first", "MatMul", [floats(4), floats(2, 4, 3)])
case("vector last", "MatMul", [floats(2, 3, 4), floats(4)])
case("two vectors", "MatMul", [floats(4), floats(4)])
case("linear layer", "Gemm", [floats(3, 4), floats(2, 4), floats(2)], transB=1)
case("everything", "Gemm", [floats(4, 3), floats(4, 2), floats(3, 1)], transA=1, alpha=0.5, beta=2.0)

# Shapes
x = floats(2, 3, 4)
case("zero and minus one", "Reshape", [x, ints(0, -1)], constants=(1,))
case("axis two", "Flatten", [x], axis=2)
case("axis behind the last", "Flatten", [x], axis=3)
case("permutation", "Transpose", [x], perm=[2, 0, 1])
case("reversed", "Transpose", [x])
case("given axes", "Squeeze", [floats(1, 3, 1), ints(-1)], constants=(1,))
case("all axes of length one", "Squeeze", [floats(1, 3, 1)])
case("attribute", "Squeeze", [floats(1, 3, 1)], opset=11, axes=[0])
case("two axes", "Unsqueeze", [x, ints(0, -1)], constants=(1,))
case("attribute", "Unsqueeze", [x], opset=11, axes=[1])
case("both ways", "Expand", [floats(3, 1), ints(2, 1, 4)], constants=(1,))
case("repeats", "Tile", [floats(2, 2), ints(1, 3)], constants=(1,))
case("columns first", "DepthToSpace", [floats(1, 8, 2, 2)], blocksize=2)
case("rows first", "DepthToSpace", [floats(1, 8, 2, 2)], blocksize=2, mode="CRD")
case("blocks", "SpaceToDepth", [floats(1, 2, 4, 4)], blocksize=2)
case("three parts", "Concat", [floats(2, 1), floats(2, 2), floats(2, 3)], axis=-1)
case("whole numbers", "Concat", [ints(1, 2), ints(3)], axis=0)
case("given sizes", "Split", [floats(5, 2), ints(1, 4)], constants=(1,), outputs=2)
case("uneven parts", "Split", [floats(5, 2)], opset=18, outputs=3, num_outputs=3)
case("steps", "Slice", [x, ints(0, 1), ints(2, 4), ints(1, 2), ints(1, 2)], constants=(1, 2, 3, 4))
case("backwards", "Slice", [x, ints(-1), ints(-100), ints(2), ints(-1)], constants=(1, 2, 3, 4))
case("backwards in twos", "Slice", [x, ints(3), ints(0), ints(-1), ints(-2)], constants=(1, 2, 3, 4))
case("attributes", "Slice", [x], opset=9, starts=[1], ends=[9], axes=[1])
case("one row", "Gather", [x, np.int64(-1)], axis=1)
case("rows in any order", "Gather", [x, np.array([[2, 0], [1, 1]], np.int64)], axis=1)
case("columns", "GatherElements", [floats(2, 3), np.array([[0, 2], [1, 1]], np.int64)], axis=1)
case("constant", "Pad", [x, ints(0, 1, 2, 0, 0, 1), np.float32(0.5)], constants=(1, 2))
case("cutting off", "Pad", [x, ints(0, -1, 0, 0, 1, -2)], constants=(1,))
case("reflect", "Pad", [x, ints(0, 1, 2, 0, 2, 3)], constants=(1,), mode="reflect")
case("edge", "Pad", [x, ints(1, 0, 2, 0, 1, 0)], constants=(1,), mode="edge")
case("given axes", "Pad", [x, ints(1, 2), None, ints(-1)], opset=18, constants=(1, 3))
case("attributes", "Pad", [x], opset=10, pads=[0, 0, 1, 0, 0, 1], value=1.0)

# Reductions
x = floats(2, 3, 4)
case("kept axes", "ReduceMean", [x], opset=13, axes=[1, 2])
case("axes that do not touch", "ReduceMean", [x], opset=13, axes=[0, 2], keepdims=0)
case("axes as input", "ReduceMean", [x, ints(-1)], opset=18, constants=(1,), keepdims=0)
case("all axes", "ReduceSum", [x], keepdims=0)
case("nothing to do", "ReduceSum", [x], noop_with_empty_axes=1)
for op in ("ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp"):
    case("middle axis", op, [x], opset=13, axes=[1])
case("last axis", "ArgMax", [x], axis=-1)
case("first axis", "ArgMin", [x], axis=0, keepdims=0)
case("last axis", "Softmax", [x])
case("middle axis", "Softmax", [x], axis=1)
case("old rule", "Softmax", [x], opset=11)
case("last axis", "LogSoftmax", [x])

# Resize
x = floats(1, 2, 3, 4)
case("nearest doubled", "Resize", [x, None, np.array([1, 1, 2, 2], np.float32)], constants=(2,), mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
case("nearest to a size", "Resize", [x, None, None, ints(1, 2, 5, 3)], constants=(3,), mode="nearest")
case("linear doubled", "Resize", [x, None, np.array([1, 1, 2, 2], np.float32)], constants=(2,), mode="linear")
case("linear with aligned corners", "Resize", [x, None, None, ints(1, 2, 5, 7)], constants=(3,), mode="linear", coordinate_transformation_mode="align_corners")
case("linear as in PyTorch", "Resize", [x, None, None, ints(1, 2, 1, 7)], constants=(3,), mode="linear", coordinate_transformation_mode="pytorch_half_pixel")
case("cubic", "Resize", [x, None, np.array([1, 1, 2, 1.5], np.float32)], constants=(2,), mode="cubic")
case("old form", "Resize", [x, np.array([1, 1, 2, 2], np.float32)], opset=10, constants=(1,), mode="linear")

# Numbers and shapes
case("part", "Shape", [floats(2, 3, 4)], start=1)
case("count", "Size", [floats(2, 3)])
case("filled", "ConstantOfShape", [ints(2, 3)], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [1.5]))
case("whole numbers", "Range", [np.int64(10), np.int64(1), np.int64(-3)])
case("real numbers", "Range", [np.float32(0), np.float32(2), np.float32(0.75)])
case("to real numbers", "Cast", [ints(1, -2)], to=TensorProto.FLOAT)
case("to whole numbers", "Cast", [floats(2, 3)], to=TensorProto.INT64)
case("to truth values", "Cast", [np.array([0, 0.5, -1], np.float32)], to=TensorProto.BOOL)

# Recurrent networks
x = floats(3, 2, 3)
case("both directions with all inputs", "LSTM", [x, floats(2, 16, 3), floats(2, 16, 4), floats(2, 32), None, floats(2, 2, 4), floats(2, 2, 4)], outputs=3, hidden_size=4, direction="bidirectional")
case("reversed", "LSTM", [x, floats(1, 16, 3), floats(1, 16, 4)], outputs=3, hidden_size=4, direction="reverse")
case("reset before", "GRU", [x, floats(1, 12, 3), floats(1, 12, 4), floats(1, 24)], outputs=2, hidden_size=4)
case("reset after", "GRU", [x, floats(1, 12, 3), floats(1, 12, 4), floats(1, 24)], outputs=2, hidden_size=4, linear_before_reset=1)
case("plain", "RNN", [x, floats(1, 4, 3), floats(1, 4, 4), floats(1, 8)], outputs=2, hidden_size=4)

# Contractions
case("product of matrices", "Einsum", [floats(2, 3, 4), floats(4, 5)], equation="bij,jk->bik")
case("heads", "Einsum", [floats(2, 3, 2, 4), floats(2, 5, 2, 4)], equation="bshd,bthd->bhst")
case("three operands", "Einsum", [floats(2, 3), floats(2, 4), floats(3, 4, 2)], equation="ni,nj,ijo->no")
case("ellipsis and no arrow", "Einsum", [floats(2, 3, 4), floats(4, 5)], equation="...ij,jk")
case("diagonal", "Einsum", [floats(2, 3, 3)], equation="bii->bi")
case("trace", "Einsum", [floats(3, 3)], equation="ii->")
case("sum and order", "Einsum", [floats(2, 3, 4)], equation="abc->ca")
case("outer product", "Einsum", [floats(3), floats(4)], equation="i,j->ji")
case("letter in one operand only", "Einsum", [floats(2, 3), floats(2, 4)], equation="ab,ac->b")

# Positions by number
x = floats(3, 4, 2)
case("fewer rows and from behind", "GatherElements", [floats(3, 4), np.array([[0, 1, -1], [2, 0, 1]], np.int64)], axis=0)
case("blocks", "GatherND", [x, np.array([[0, 1], [2, -1]], np.int64)])
case("batch axes", "GatherND", [x, np.array([[1], [0], [3]], np.int64)], batch_dims=1)
case("single elements", "GatherND", [x, np.array([[[0, 1, 1]], [[2, 3, 0]]], np.int64)])
case("rows", "ScatterElements", [floats(3, 4), np.array([[0, 2, 1, 0], [1, 0, 2, 2]], np.int64), floats(2, 4)], axis=0)
case("added, some twice", "ScatterElements", [floats(2, 4), np.array([[1, 1, -1]], np.int64), floats(1, 3)], opset=18, axis=1, reduction="add")
case("products, some twice", "ScatterElements", [floats(2, 4), np.array([[1, 1, 3]], np.int64), floats(1, 3)], opset=18, axis=1, reduction="mul")
case("largest, some twice", "ScatterElements", [floats(2, 4), np.array([[1, 1, 3]], np.int64), floats(1, 3)], opset=18, axis=1, reduction="max")
case("blocks", "ScatterND", [floats(4, 3), np.array([[1], [3]], np.int64), floats(2, 3)])
case("elements", "ScatterND", [floats(4, 3), np.array([[1, 2], [3, -1]], np.int64), floats(2)])
case("added, some twice", "ScatterND", [floats(4, 3), np.array([[1], [1]], np.int64), floats(2, 3)], opset=18, reduction="add")
case("smallest, some twice", "ScatterND", [floats(4, 3), np.array([[1], [1]], np.int64), floats(2, 3)], opset=18, reduction="min")
case("cache", "TensorScatter", [floats(2, 5, 3), floats(2, 2, 3), ints(1, 3)], opset=24, axis=1)

# Choices
x = floats(2, 5, 3)
case("largest", "TopK", [x, ints(2)], constants=(1,), outputs=2, axis=1)
case("smallest", "TopK", [floats(2, 7), ints(3)], constants=(1,), outputs=2, largest=0)
case("over time", "CumSum", [x, np.int64(1)], constants=(1,))
case("exclusive and reversed", "CumSum", [x, np.int64(-1)], constants=(1,), exclusive=1, reverse=1)
case("whole numbers", "CumSum", [np.arange(6, dtype=np.int64).reshape(2, 3), np.int64(0)], constants=(1,), exclusive=1)
case("exclusive", "CumProd", [x, np.int64(1)], opset=26, constants=(1,), exclusive=1)
case("last axis", "OneHot", [ints(1, 3, -1), np.int64(4), np.array([0.5, 2], np.float32)], constants=(1, 2))
case("first axis", "OneHot", [np.array([[0, 2], [1, 5]], np.int64), np.int64(3), np.array([0, 1], np.float32)], constants=(1, 2), axis=0)
case("whole numbers", "NonZero", [np.array([[1, 0], [3, 4]], np.int64)])
case("axis", "Compress", [x, np.array([True, False, True, True, False])], constants=(1,), axis=1)
case("flat", "Compress", [floats(2, 2), np.array([True, False, True])], constants=(1,))
case("upper", "Trilu", [floats(2, 3, 4)])
case("lower, shifted", "Trilu", [floats(3, 3), np.int64(-1)], constants=(1,), upper=0)
case("shifted", "EyeLike", [floats(3, 4)], k=1)
case("sequences", "ReverseSequence", [floats(4, 3, 2), ints(1, 4, 2)])
case("batch first", "ReverseSequence", [floats(3, 4), ints(1, 4, 2)], time_axis=1, batch_axis=0)
case("sorted", "Unique", [ints(3, 1, 3, 2, 1)], outputs=4)
case("in their order", "Unique", [np.array([2, 1, 2.5, 1], np.float32)], outputs=4, sorted=0)
case("last of several", "ArgMax", [np.array([[1, 3, 3], [2, 0, 2]], np.float32)], axis=1, select_last_index=1)
case("last axis", "Hardmax", [np.array([[1, 3, 3], [2, 0, 2]], np.float32)])
case("old rule", "Hardmax", [floats(2, 2, 3)], opset=11)
case("old rule", "LogSoftmax", [floats(2, 2, 3)], opset=11)

# Windows
x = floats(1, 2, 6, 5)
case("order two", "LpPool", [x], kernel_shape=[2, 2], strides=[2, 2])
case("order three with padding", "LpPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1], p=3)
case("order two", "GlobalLpPool", [x])
case("order one", "GlobalLpPool", [x], p=1)
case("three axes", "MaxPool", [floats(1, 2, 4, 4, 3)], kernel_shape=[2, 2, 2], strides=[2, 1, 1], pads=[0, 1, 0, 0, 0, 1])
case("three axes", "AveragePool", [floats(1, 2, 4, 4, 3)], kernel_shape=[2, 2, 2], pads=[0, 1, 0, 0, 0, 1])
case("places", "MaxPool", [floats(2, 2, 4, 4)], kernel_shape=[2, 2], strides=[2, 2], outputs=2)
case("places with padding", "MaxPool", [floats(1, 2, 7)], kernel_shape=[3], strides=[2], pads=[1, 1], outputs=2)
case("dilated", "AveragePool", [x], opset=19, kernel_shape=[2, 2], dilations=[2, 2])
case("dilated, padding counted", "AveragePool", [x], opset=19, kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1)
case("places", "MaxUnpool", [floats(1, 1, 2, 2), np.array([[[[0, 6], [8, 15]]]], np.int64)], kernel_shape=[2, 2], strides=[2, 2])
case("blocks", "Col2Im", [floats(1, 8, 9), ints(4, 4), ints(2, 2)], opset=18, constants=(1, 2))
case("padding and strides", "Col2Im", [floats(2, 4, 9), ints(5, 5), ints(2, 2)], opset=18, constants=(1, 2), pads=[0, 1, 1, 0], strides=[2, 2])
case("crop and pad", "CenterCropPad", [floats(5, 3, 4), ints(2, 6)], opset=18, constants=(1,), axes=[0, 2])

# Normalisations with other statistics
case("maps", "MeanVarianceNormalization", [floats(2, 3, 4, 2)])
case("features", "MeanVarianceNormalization", [floats(2, 3, 4)], axes=[2])
case("odd", "LRN", [floats(1, 6, 2, 2)], size=3, alpha=0.1, bias=1.5)
case("even", "LRN", [floats(5, 5, 3, 1)], size=4, alpha=0.2, beta=0.6)
case("one scale a group", "GroupNormalization", [floats(2, 4, 3), floats(2), floats(2)], opset=18, num_groups=2)

# Regions
rois = np.array([[0, 0, 3, 3], [1.5, 0.5, 4, 4.5]], np.float32)
case("half pixels", "RoiAlign", [floats(2, 2, 6, 5), rois, ints(0, 1)], output_height=2, output_width=3, sampling_ratio=2)
case("old rule", "RoiAlign", [floats(2, 2, 6, 5), rois, ints(1, 0)], opset=10, output_height=2, output_width=2, sampling_ratio=1, spatial_scale=0.5)
grid = floats(1, 3, 2, 2)
case("linear", "GridSample", [floats(1, 2, 4, 5), grid], opset=20)
case("border and corners", "GridSample", [floats(1, 2, 4, 5), grid], opset=20, padding_mode="border", align_corners=1)
case("reflection", "GridSample", [floats(1, 2, 4, 5), grid], opset=20, padding_mode="reflection")
case("nearest", "GridSample", [floats(1, 2, 4, 5), grid], opset=20, mode="nearest")
case("two axes", "AffineGrid", [floats(2, 2, 3), ints(2, 1, 3, 4)], opset=20, constants=(1,))
case("corners", "AffineGrid", [floats(1, 2, 3), ints(1, 1, 3, 2)], opset=20, constants=(1,), align_corners=1)
case("bent window", "DeformConv", [floats(1, 2, 4, 4), floats(3, 2, 2, 2), floats(1, 8, 3, 3), floats(3)], opset=19, kernel_shape=[2, 2], pads=[0, 0, 0, 0])
case("weighed, two groups", "DeformConv", [floats(1, 4, 4, 4), floats(2, 2, 2, 2), floats(1, 16, 3, 3), None, np.abs(floats(1, 8, 3, 3))], opset=19, group=2, offset_group=2, kernel_shape=[2, 2], pads=[0, 0, 0, 0])

# Signals
case("real", "DFT", [floats(1, 8, 1)])
case("one-sided", "DFT", [floats(2, 6, 1)], onesided=1)
case("inverse", "DFT", [floats(1, 5, 2)], inverse=1)
case("padded, other axis", "DFT", [floats(1, 3, 4, 1), np.int64(6)], constants=(1,), axis=2)
case("cut off, axis as input", "DFT", [floats(1, 6, 3, 1), np.int64(4), np.int64(1)], opset=20, constants=(1, 2))
case("window", "STFT", [floats(1, 16, 1), np.int64(4), np.abs(floats(8))], constants=(1, 2))
case("frame length, both sides", "STFT", [floats(2, 12, 1), np.int64(3), None, np.int64(6)], constants=(1, 3), onesided=0)
case("periodic", "HannWindow", [np.int64(8)])
case("symmetric", "HammingWindow", [np.int64(7)], periodic=0)
case("periodic", "BlackmanWindow", [np.int64(9)])
case("triangles", "MelWeightMatrix", [np.int64(4), np.int64(32), np.int64(8000), np.float32(50), np.float32(3000)])

# More elementwise operators
x = floats(2, 3)
for op in ("Tan", "Sinh", "Cosh", "Atan", "Asinh"):
    case("plain", op, [x])
for op in ("Asin", "Acos", "Atanh"):
    case("plain", op, [x / np.float32(2.5)])
case("plain", "Acosh", [np.abs(x) + np.float32(1)])
case("bias", "Shrink", [x], bias=0.2, lambd=0.6)
case("both", "IsInf", [np.array([1, np.inf, -np.inf], np.float32)], constants=(0,))
case("negative only", "IsInf", [np.array([1, np.inf, -np.inf], np.float32)], constants=(0,), detect_positive=0)
case("plain", "IsNaN", [np.array([1, np.nan], np.float32)], constants=(0,))
case("whole numbers", "BitwiseAnd", [ints(6, 5), ints(3, 4)], opset=18)
case("whole numbers", "BitwiseOr", [ints(6, 5), ints(3, 4)], opset=18)
case("whole numbers", "BitwiseXor", [ints(6, 5), ints(3, 4)], opset=18)
case("whole numbers", "BitwiseNot", [ints(6, -5)], opset=18)
case("left", "BitShift", [np.array([1, 5], np.uint64), np.array([3, 1], np.uint64)], direction="LEFT")
case("right", "BitShift", [np.array([9, 5], np.uint64), np.array([3, 1], np.uint64)], direction="RIGHT")
case("type only", "CastLike", [ints(1, 2), np.array([0.5], np.float32)], opset=19)

# Resize with regions and aspect ratios
x = floats(1, 1, 4, 5)
region = np.array([0, 0, 0.1, -0.2, 1, 1, 0.8, 1.3], np.float32)
case("cropped region", "Resize", [x, region, None, ints(1, 1, 3, 6)], constants=(1, 3), mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=2.0)
case("not larger", "Resize", [x, None, None, ints(8, 8)], opset=18, constants=(3,), mode="linear", axes=[2, 3], keep_aspect_ratio_policy="not_larger")
case("not smaller", "Resize", [x, None, None, ints(7, 8)], opset=18, constants=(3,), mode="nearest", axes=[2, 3], keep_aspect_ratio_policy="not_smaller")

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operators.json")
with open(path, "w") as f:
    f.write("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]\n")
print(len(cases), "cases,", os.path.getsize(path), "bytes")
