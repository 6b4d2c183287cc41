"""Every text case of the core, cut as a model of its own, computes what the masked original computes, and what the engine
computes from it is what ONNX Runtime computes.

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
from engine_cases import results, write
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

# Cases that cannot be asked about like this, and why; their snapshots still say what is expected.
SKIPPED = {
    "88_multi_head_attention_packed": "ONNX Runtime's CPU has no packed QKV",
    "105_bias_split_gelu_group_norm": "ONNX Runtime's CPU has no GroupNorm",
    "106_domain_decides": "its domain is unknown everywhere",
    "130_unknown_shape_pins": "its domain is unknown everywhere",
    "112_qlinear_conv": "masks of whole numbers mean zero points, which the oracle does not know",
    "136_gather_behind_pixel_shuffle": "only channels go that nothing reads",
    "139_one_channel_picked": "only channels go that nothing reads",
    "141_weights_filled_by_nodes": "the oracle knows initializers only; see check_light.py",
}
CASES = Path(__file__).resolve().parents[2] / "crate" / "core" / "tests"


def model_of(ctx, path, seed):
    """The case as a model; weights are drawn anew, so that not every run asks about the same numbers."""
    out = ctx.scratch / f"{path.stem}.onnx"
    ctx.run("text", path, "-o", out)
    model = onnx.load(out)
    out.unlink()
    model.ir_version = 10 if any(s.domain == "" and s.version > 22 for s in model.opset_import) else 8
    sets = [s for s in model.opset_import if s.domain != "test"]
    del model.opset_import[:]
    model.opset_import.extend(sets)
    random = np.random.default_rng(seed)
    given = set(re.findall(r"(\w+) *[=~] *{", path.read_text()))
    variances = {n.input[4] for n in model.graph.node if n.op_type == "BatchNormalization"}
    for t in model.graph.initializer:
        if t.name in given:
            continue
        kind = helper.tensor_dtype_to_np_dtype(t.data_type)
        real = np.issubdtype(kind, np.floating)
        low, high = (0.1, 1.1) if t.name in variances else (-1, 1)
        data = random.uniform(low, high, tuple(t.dims)) if real else random.integers(0, 2, tuple(t.dims))
        t.CopyFrom(numpy_helper.from_array(np.asarray(data).astype(kind), t.name))
    return model


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
    model = model_of(ctx, path, seed)
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
    onnx.save(model_of(ctx, path, 11), source)
    result = ctx.run("prune", source, "-o", out, "--ratio", "0.5", code=None)
    assert result.returncode != 0 and not out.exists(), "nothing can be cut, yet a model was written"


# Cases that are not compared with the engine, and why.
NOT_COMPARED = {
    "88_multi_head_attention_packed": SKIPPED["88_multi_head_attention_packed"],
    "105_bias_split_gelu_group_norm": SKIPPED["105_bias_split_gelu_group_norm"],
    "79_random_and_bits": "random numbers differ",
    "79_sequences_pin": "sequences are not run",
    "106_domain_decides": "its domain is unknown everywhere",
    "125_scikit_mlp": "classical machine learning of another domain",
    "130_unknown_shape_pins": "its domain is unknown everywhere",
}


def engine(ctx, oracle):
    """The engine on every case that ONNX Runtime or ONNX's own evaluator can run."""
    folder, paths = ctx.scratch / "cases", sorted((CASES / "cases").glob("*.txt"))
    for path in (p for p in paths if p.stem not in NOT_COMPARED):
        model = model_of(ctx, path, 11)
        feed = oracle.feeds(model, np.random.default_rng(5), 2, {"*": 5, "h": 4, "w": 4, "R": 2}, (0, 2))
        outputs = oracle.run(model, feed) if runnable(model) else reference(model, feed)
        write(folder / path.stem, model, [([feed[v.name] for v in model.graph.input], outputs)], 1e-3, 1e-4)
    wrong = [f"{name}: {said}" for name, said in sorted(results(folder).items()) if said != "ok"]
    assert not wrong, f"{len(wrong)} of {len(paths)} cases:\n" + "\n".join(wrong)
    return f"{len(paths) - len(NOT_COMPARED)} of {len(paths)} cases"


def checks(ctx):
    sys.path.insert(0, str(ctx.shared / "oracle"))
    import equivalence

    yield "the engine computes what ONNX Runtime computes", partial(engine, ctx, equivalence)
    for path in sorted((CASES / "cases").glob("*.txt")):
        if path.stem in SKIPPED:
            continue
        snapshot = CASES / "snapshots" / f"cases__cases@{path.name}.snap"
        refused = "\nno cut: " in snapshot.read_text()
        yield path.stem, partial(refusal, ctx, path) if refused else partial(cuts, ctx, equivalence, path)
