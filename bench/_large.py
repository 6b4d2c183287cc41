"""Writes large models: `_large.py deep FILE` (30,001 nodes), `_large.py apart FILE` (1 GB of tensors in FILE.data)."""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def deep(path, blocks=5000, width=8):
    """Residual blocks of two convolutions, in one stream."""
    rng = np.random.default_rng(0)
    tensors, nodes = [], []

    def weight(name, shape):
        tensors.append(numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32), name))
        return name

    def norm(data, key, out):
        parts = [weight(f"{p}{key}", (width,)) for p in "sbm"]
        tensors.append(numpy_helper.from_array(np.ones(width, np.float32), f"v{key}"))
        nodes.append(helper.make_node("BatchNormalization", [data, *parts, f"v{key}"], [out]))

    nodes.append(helper.make_node("Conv", ["input", weight("stem", (width, 3, 1, 1))], ["s"]))
    stream = "s"
    for k in range(blocks):
        nodes.append(helper.make_node("Conv", [stream, weight(f"w{k}_1", (width, width, 1, 1))], [f"a{k}"]))
        norm(f"a{k}", f"{k}_1", f"c{k}")
        nodes.append(helper.make_node("Relu", [f"c{k}"], [f"d{k}"]))
        nodes.append(helper.make_node("Conv", [f"d{k}", weight(f"w{k}_2", (width, width, 1, 1))], [f"e{k}"]))
        norm(f"e{k}", f"{k}_2", f"f{k}")
        nodes.append(helper.make_node("Add", [f"f{k}", stream], [f"x{k}"]))
        stream = f"x{k}"
    nodes.append(helper.make_node("Conv", [stream, weight("head", (4, width, 1, 1))], ["output"]))
    save(path, nodes, tensors, ["N", 3, 4, 4], ["N", 4, 4, 4])


def apart(path, hidden=4096, layers=13, wide=16384):
    """A perceptron: thirteen weights of 64 MB, one of 256 MB, one of 2 MB, all in a file beside the model."""
    rng = np.random.default_rng(0)
    lengths = [hidden] * (layers + 1) + [wide, 32]
    tensors, nodes, end = [], [], 0
    stream = "input"
    with open(f"{path}.data", "wb") as data:
        for k, (rows, columns) in enumerate(zip(lengths, lengths[1:])):
            values = rng.standard_normal((rows, columns), dtype=np.float32) * np.float32(rows**-0.5)
            tensor = TensorProto(name=f"w{k}", data_type=TensorProto.FLOAT, dims=[rows, columns])
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": f"{path}.data".rsplit("/", 1)[-1], "offset": end, "length": values.nbytes}
            tensor.external_data.extend(onnx.StringStringEntryProto(key=a, value=str(b)) for a, b in place.items())
            tensors.append(tensor)
            data.write(values.tobytes())
            end += values.nbytes
            last = k + 2 == len(lengths)
            nodes.append(helper.make_node("MatMul", [stream, f"w{k}"], ["output" if last else f"y{k}"]))
            if not last:
                nodes.append(helper.make_node("Relu", [f"y{k}"], [f"r{k}"]))
            stream = f"r{k}"
    save(path, nodes, tensors, ["N", hidden], ["N", 32])


def save(path, nodes, tensors, given, made):
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "large", [info("input", given)], [info("output", made)], tensors)
    with open(path, "wb") as file:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        file.write(model.SerializeToString())


if __name__ == "__main__":
    {"deep": deep, "apart": apart}[sys.argv[1]](sys.argv[2])
