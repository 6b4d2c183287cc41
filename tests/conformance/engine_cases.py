"""Models with inputs and expected outputs, which the engine's test `onnx` runs all in one process."""
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

ROOT = Path(__file__).resolve().parents[2]
REAL = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}


def initializer(value, data):
    if isinstance(data, onnx.TensorProto):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(data)
        tensor.name = value.name
        return tensor
    return numpy_helper.from_array(np.asarray(data), value.name)


def on_device(model):
    """The model with a Clip without bounds in front of what reads its larger real inputs: it moves them to the device."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    clips = []
    for value in moved.graph.input:
        shape = [d.dim_value if d.HasField("dim_value") else 2 for d in value.type.tensor_type.shape.dim]
        if value.type.tensor_type.elem_type in REAL and 16 < np.prod(shape) and len(shape) <= 6:
            for node in moved.graph.node:
                node.input[:] = [f"{name}.moved" if name == value.name else name for name in node.input]
            clips.append(helper.make_node("Clip", [value.name], [f"{value.name}.moved"]))
    nodes = [*clips, *moved.graph.node]
    del moved.graph.node[:]
    moved.graph.node.extend(nodes)
    return moved if clips else None


def write(folder, model, data_sets, rtol, atol):
    """One case as files: models, data sets as models of initializers only, and the limits of its errors."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    if moved := on_device(model):
        (folder / "moved.onnx").write_bytes(moved.SerializeToString())
    for i, (inputs, outputs) in enumerate(data_sets):
        values = [*zip(model.graph.input, inputs, strict=True), *zip(model.graph.output, outputs, strict=True)]
        graph = helper.make_graph([], "data", [], [], [initializer(*pair) for pair in values])
        (folder / f"data_{i}.onnx").write_bytes(helper.make_model(graph).SerializeToString())
    (folder / "limits.json").write_text(json.dumps({"rtol": rtol, "atol": atol}))


def results(folder, features=None, device="cpu"):
    """{case: "ok" or what is wrong}."""
    command = ["cargo", "test", "--locked", "--release", "-p", "lopper-engine", "--test", "onnx"]
    command += ["--features", features] if features else ["-p", "lopper-pipeline", "-p", "lopper-cli"]
    env = {**os.environ, "LOPPER_ONNX_CASES": str(folder), "LOPPER_DEVICE": device}
    ran = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, f"the test program failed: {(ran.stdout + ran.stderr)[-2000:]}"
    return json.loads((folder / "results.json").read_text())
