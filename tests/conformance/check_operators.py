"""Every text case of the core, cut as a model of its own, computes what the masked original computes.

The cases in crate/core/tests/cases say in a snapshot which groups and cuts they expect; here ONNX Runtime says whether such
a cut is exact. A case whose snapshot says that nothing can be cut has to be refused.
"""
import json
import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# Cases that cannot be asked about like this, and why; their snapshots still say what is expected.
SKIPPED = {
    "88_multi_head_attention_packed": "ONNX Runtime's CPU has no packed QKV",
    "105_bias_split_gelu_group_norm": "ONNX Runtime's CPU has no GroupNorm",
    "106_domain_decides": "its domain is unknown everywhere",
    "130_unknown_shape_pins": "its domain is unknown everywhere",
    "112_qlinear_conv": "masks of whole numbers mean zero points, which the oracle does not know",
    "116_function_inlined": "functions are not in this parser",
    "117_function_nested": "functions are not in this parser",
    "128_function_attribute_default": "functions are not in this parser",
    "119_if_captures": "bodies are not in this parser",
    "120_loop_body": "bodies are not in this parser",
    "121_scan_body": "bodies are not in this parser",
    "145_numbers_of_a_range": "random ranges are not in this parser",
    "136_gather_behind_pixel_shuffle": "only channels go that nothing reads",
    "139_one_channel_picked": "only channels go that nothing reads",
    "141_weights_filled_by_nodes": "the oracle knows initializers only; see check_light.py",
}
CASES = Path(__file__).resolve().parents[2] / "crate" / "core" / "tests"
TYPES = {"float": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10, "double": 11}
TOKEN = re.compile(r'"([^"]*)"|(=>|[<>(){}\[\],=])|([\w.\-+/:]+)')


class Parser:
    """The text form of crate/core/src/text.rs; initializers without data get small random numbers."""

    def __init__(self, text, seed):
        lines = [line.split("//")[0] for line in text.splitlines()]
        self.tokens = [m for line in lines for m in TOKEN.finditer(line)]
        self.at = 0
        self.random = np.random.default_rng(seed)

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead].group()

    def next(self, wanted=None):
        token = self.peek()
        assert wanted in (None, token), f"{wanted!r} expected, {token!r} found"
        self.at += 1
        return token

    def list(self, opening, closing, item):
        self.next(opening)
        found = []
        while self.peek() != closing:
            found.append(item())
            if self.peek() == ",":
                self.next()
        self.next(closing)
        return found

    def kind(self):
        kind = TYPES[self.next()]
        return kind, self.list("[", "]", self.next) if self.peek() == "[" else []

    def value(self):
        kind, dims = self.kind()
        return helper.make_tensor_value_info(self.next(), kind, [int(d) if d.isdigit() else d for d in dims])

    def tensor(self, kind, dims, name):
        dims = [int(d) for d in dims]
        if self.peek() == "=":
            self.next()
        if self.peek() == "{":
            read = float if kind in (1, 10, 11) else int
            data = np.array([read(v) for v in self.list("{", "}", self.next)])
        elif kind in (1, 10, 11):
            data = self.random.uniform(-1, 1, dims)
        else:
            data = self.random.integers(0, 2, dims)
        return numpy_helper.from_array(data.reshape(dims).astype(helper.tensor_dtype_to_np_dtype(kind)), name)

    def initializer(self):
        (kind, dims), name = self.kind(), self.next()
        return self.tensor(kind, dims, name)

    def attribute(self):
        name = self.next()
        self.next("=")
        if self.peek() == "[":
            found = self.list("[", "]", self.next)
            return name, [float(v) if "." in v else int(v) for v in found]
        if self.peek(1) == "[":
            kind, dims = self.kind()
            return name, self.tensor(kind, dims, "")
        quoted = self.tokens[self.at].group(1)
        token = self.next()
        if quoted is not None:
            return name, quoted
        return name, int(token) if re.fullmatch(r"-?\d+", token) else float(token)

    def node(self, index):
        outputs = [self.next()]
        while self.peek() == ",":
            self.next()
            outputs.append(self.next())
        self.next("=")
        domain, _, op = self.next().rpartition(".")
        attributes = dict(self.list("<", ">", self.attribute)) if self.peek() == "<" else {}
        inputs = self.list("(", ")", self.next)
        absent = [["" if n == "_" else n for n in names] for names in (inputs, outputs)]
        return helper.make_node(op, *absent, name=f"{op}_{index}", domain=domain, **attributes)

    def model(self):
        opset = 17
        if self.peek() == "<" and self.peek(1) == "opset":
            self.next(), self.next()
            opset = int(self.next())
            self.next(">")
        inputs = self.list("(", ")", self.value)
        self.next("=>")
        outputs = self.list("(", ")", self.value)
        initializers = self.list("<", ">", self.initializer) if self.peek() == "<" else []
        self.next("{")
        nodes = []
        while self.peek() != "}":
            nodes.append(self.node(len(nodes)))
        variances = {n.input[4] for n in nodes if n.op_type == "BatchNormalization"}
        for t in (t for t in initializers if t.name in variances):
            t.CopyFrom(numpy_helper.from_array(abs(numpy_helper.to_array(t)) + np.float32(0.1), t.name))
        graph = helper.make_graph(nodes, "case", inputs, outputs, initializers)
        sets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=sets, ir_version=8 if opset < 23 else 10)


def runnable(model):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options)
    except Exception:
        return False
    return True


def reference(model, feed):
    """What ONNX's own evaluator computes, for operators that ONNX Runtime does not have."""
    return ReferenceEvaluator(model).run(None, feed)


def valid(model):
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:
        return False
    return True


def cut(ctx, oracle, path, criterion, ratio, seed):
    """Cuts one case; returns the figures of the oracle."""
    model = Parser(path.read_text(), seed).model()
    source, out = ctx.scratch / f"{path.stem}.onnx", ctx.scratch / f"{path.stem}-cut.onnx"
    report = out.with_suffix(".json")
    onnx.save(model, source)
    ctx.run("prune", source, "-o", out, "--criterion", criterion, "--ratio", ratio, "--report", report)
    said = json.loads(report.read_text())
    native, oracle.run = oracle.run, oracle.run if runnable(model) else reference
    try:
        # Whole numbers are positions along short axes.
        fails, figures = oracle.check(model, onnx.load(out), said, ints=(0, 2), dims={"*": 5, "h": 4, "w": 4, "R": 2})
    finally:
        oracle.run = native
        out.unlink()
    random = any(n.op_type.startswith("Random") for n in model.graph.node)
    fails = [f for f in fails if not (random and f.startswith("differs"))]
    # The checker also refuses operators that a later version took back.
    fails = [f for f in fails if not f.startswith("checker") or valid(model)]
    assert not fails, "\n".join(fails)
    return " ".join(f"{key}={value:.3g}" for key, value in figures.items()) + ("" if said["exact"] else " (not exact)")


def cuts(ctx, oracle, path):
    return "; ".join(cut(ctx, oracle, path, *settings) for settings in (("l1", "0.5", 11), ("l2", "0.3", 12)))


def refusal(ctx, path):
    source, out = ctx.scratch / f"{path.stem}.onnx", ctx.scratch / f"{path.stem}-cut.onnx"
    onnx.save(Parser(path.read_text(), 11).model(), source)
    result = ctx.run("prune", source, "-o", out, "--ratio", "0.5", code=None)
    assert result.returncode != 0 and not out.exists(), "nothing can be cut, yet a model was written"


def checks(ctx):
    sys.path.insert(0, str(ctx.shared / "oracle"))
    import equivalence

    for path in sorted((CASES / "cases").glob("*.txt")):
        if path.stem in SKIPPED:
            continue
        snapshot = CASES / "snapshots" / f"cases__cases@{path.name}.snap"
        refused = "\nno cut: " in snapshot.read_text()
        yield path.stem, partial(refusal, ctx, path) if refused else partial(cuts, ctx, equivalence, path)
