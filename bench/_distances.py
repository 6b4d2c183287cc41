#!/usr/bin/env python3
"""MODEL OUT: a model that sums, for each convolution of MODEL, the distances of every filter to the others by a matrix product."""
import sys

from _peers import enter

enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def distances(name, weight):
    """The nodes and constants for one weight, and the name of the sums."""
    rows = weight.reshape(len(weight), -1)
    own = lambda what: f"{name}.{what}"
    constants = [numpy_helper.from_array(a, own(n)) for n, a in {
        "w": rows, "t": np.ascontiguousarray(rows.T), "two": np.float32([2]), "zero": np.float32([0])}.items()]
    node = lambda op, inputs, out, **more: helper.make_node(op, [own(i) for i in inputs], [own(out)], **more)
    return [
        node("MatMul", ["w", "t"], "products"),
        node("ReduceSumSquare", ["w"], "column", axes=[1], keepdims=1),
        node("Transpose", ["column"], "row", perm=[1, 0]),
        node("Add", ["column", "row"], "squares"),
        node("Mul", ["products", "two"], "twice"),
        node("Sub", ["squares", "twice"], "square"),
        node("Max", ["square", "zero"], "positive"),
        node("Sqrt", ["positive"], "distances"),
        node("ReduceSum", ["distances", "axis"], "sums", keepdims=0),
    ], [*constants, numpy_helper.from_array(np.int64([1]), own("axis"))], own("sums")


model = onnx.load(sys.argv[1])
nodes, constants, outputs = [], [], []
for tensor in model.graph.initializer:
    n, c, out = distances(tensor.name, numpy_helper.to_array(tensor))
    nodes += n
    constants += c
    outputs.append(helper.make_tensor_value_info(out, TensorProto.FLOAT, [tensor.dims[0]]))
graph = helper.make_graph(nodes, "distances", [], outputs, constants)
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[2])
