"""What make.py and make_fused.py share: models of one node, and what ONNX Runtime answers to their inputs.

Where ONNX Runtime does not have the operator, ONNX's own evaluator or a formula answers.
"""
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

REFUSALS = ort.capi.onnxruntime_pybind11_state
MS = "com.microsoft"


def ints(*values):
    return np.array(values, np.int64)


def answer(model, fed):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return ort.InferenceSession(model.SerializeToString(), options).run(None, fed)
    except (REFUSALS.NotImplemented, REFUSALS.InvalidGraph, REFUSALS.Fail):
        return [np.asarray(a) for a in ReferenceEvaluator(model).run(None, fed)]


def tensor(name, a):
    kind = {"f": "real", "b": "truth"}.get(a.dtype.kind, "whole")
    values = [round(float(v), 7) for v in a.ravel()] if kind == "real" else [int(v) for v in a.ravel()]
    return {"name": name, "dims": list(a.shape), "kind": kind, "values": values}


class Cases:
    """Cases of one file; `opset` is that of a case that names none."""

    def __init__(self, seed, opset, domains=(), ir_version=8):
        self.rng = np.random.default_rng(seed)
        self.opset, self.domains, self.ir_version = opset, domains, ir_version
        self.cases = []

    def floats(self, *shape):
        return np.round(self.rng.uniform(-2, 2, shape), 2).astype(np.float32)

    def case(self, name, op, inputs, opset=None, domain="", outputs=1, constants=(), formula=None, **attributes):
        """`inputs`: arrays or None; `outputs`: their number or names; the positions in `constants` become initializers."""
        inputs = [None if a is None else np.asarray(a) for a in inputs]
        names = [f"x{i}" if a is not None else "" for i, a in enumerate(inputs)]
        made = [f"y{i}" for i in range(outputs)] if isinstance(outputs, int) else list(outputs)
        node = helper.make_node(op, names, made, name=op.lower(), domain=domain or None, **attributes)
        fed = [(n, a) for i, (n, a) in enumerate(zip(names, inputs)) if a is not None and i not in constants]
        shown = [n for n in made if n]
        graph = helper.make_graph(
            [node], "case",
            [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in fed],
            [helper.make_empty_tensor_value_info(n) for n in shown],
            [numpy_helper.from_array(a, names[i]) for i, a in enumerate(inputs) if a is not None and i in constants])
        sets = [helper.make_opsetid("", opset or self.opset), *(helper.make_opsetid(d, 1) for d in self.domains)]
        model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=sets, ir_version=self.ir_version))
        got = [np.asarray(a) for a in formula(*inputs)] if formula else answer(model, dict(fed))
        self.cases.append({
            "name": f"{op}: {name}",
            "model": model.SerializeToString().hex(),
            "inputs": [tensor(n, a) for n, a in fed],
            "outputs": [tensor(n, a) for n, a in zip(shown, got)]})

    def write(self, file):
        path = Path(__file__).with_name(file)
        path.write_text("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in self.cases) + "\n]\n")
        print(len(self.cases), "cases,", path.stat().st_size, "bytes")
