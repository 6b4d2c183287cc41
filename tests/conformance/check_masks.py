"""Masks: PyTorch's cases, files that onnxruntime reads, and cuts of what is dead."""
import json
import sys
from functools import partial

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper


def tensors_model(case):
    """A model that adds each of a case's tensors to an input of its own."""
    nodes, inputs, outputs, initializers = [], [], [], []
    for i, t in enumerate(case["tensors"]):
        array = np.array(t["values"], np.float32).reshape(t["shape"])
        initializers.append(numpy_helper.from_array(array, f"t{i}"))
        inputs.append(helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, t["shape"]))
        outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, t["shape"]))
        nodes.append(helper.make_node("Add", [f"x{i}", f"t{i}"], [f"y{i}"]))
    graph = helper.make_graph(nodes, "tensors", inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def step(case, call):
    amount = call.get("amount")
    amount = {"count": amount} if isinstance(amount, int) else {"share": amount}
    name = f"t{call.get('tensor', 0)}"
    if call["op"] == "custom_from_mask":
        return {"kind": "custom_from_mask", "mask": {name: call["mask"]}}
    names = [f"t{i}" for i in range(len(case["tensors"]))] if call["op"] == "global_unstructured" else [name]
    more = {key: call[key] for key in ("n", "dim") if key in call}
    return {"kind": call["op"], "amount": amount, "tensors": names, **more}


def masked_case(ctx, case, error):
    """The file that a recipe of the case's calls gives is zero where PyTorch's mask is."""
    model, recipe, out = (ctx.scratch / f"mask-{case['name']}{end}" for end in (".onnx", ".json", ".out.onnx"))
    onnx.save(tensors_model(case), model)
    steps = [step(case, call) for call in case["calls"] if call["op"] != "remove"]
    recipe.write_text(json.dumps({"version": 1, "mask": steps}))
    ctx.run("run", recipe, model, "-o", out, code=2 if error else 0)
    if error:
        assert not out.exists(), "a refused recipe wrote a file"
        return
    got = {t.name: numpy_helper.to_array(t) for t in onnx.load(out).graph.initializer}
    for i, (tensor, mask) in enumerate(zip(case["tensors"], case["masks_after_each_call"][-1])):
        want = np.array(tensor["values"], np.float32)
        if mask is not None:
            want = want * np.array(mask, np.float32)
        if case.get("final_weights") and case["final_weights"][i] is not None:
            final = case["final_weights"][i]
            want = np.array(final["values"] if isinstance(final, dict) else final, np.float32)
        assert np.array_equal(got[f"t{i}"].ravel(), want), f"tensor {i} differs"


def outputs(path, entry, seed=0):
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(seed)
    ranges = [i["range"] for i in entry.get("inputs", []) if i.get("range")]
    low, high = map(int, ranges[-1]) if ranges else (0, 16)
    feeds = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else (entry.get("dims") or {}).get(d, 2) for d in i.shape]
        if "float" in i.type:
            feeds[i.name] = random.standard_normal(shape).astype(np.float32)
        else:
            feeds[i.name] = random.integers(low, high, shape).astype(np.int64 if "int64" in i.type else np.int32)
    return session.run(None, feeds)


def stored(ctx, path, entry):
    """Zeros and lists give the same outputs, and the lists follow the standard."""
    zeros, lists = ctx.scratch / f"{path.stem}-zeros.onnx", ctx.scratch / f"{path.stem}-lists.onnx"
    ask = ("--kind", "global_unstructured", "--amount", "0.9")
    ctx.run("mask", path, "-o", zeros, *ask)
    said = ctx.run("mask", path, "-o", lists, *ask, "--sparse").stdout
    assert "make nothing faster" in said, "nothing is said about speed"
    sparse = onnx.load(lists)
    onnx.checker.check_model(sparse)
    assert sparse.graph.sparse_initializer, "no sparse initializer"
    worst = 0.0
    for want, got in zip(outputs(zeros, entry), outputs(lists, entry)):
        worst = max(worst, float(np.abs(want.astype(np.float64) - got).max(initial=0)))
    sizes = [p.stat().st_size for p in (path, zeros, lists)]
    assert worst == 0, f"outputs differ by {worst}"
    assert sizes[2] < sizes[1], f"lists of a tenth take {sizes[2]} bytes, zeros {sizes[1]}"
    return f"{sizes[0]} bytes, {sizes[1]} with zeros, {sizes[2]} as lists"


def history(ctx, path):
    """Steps of one call, of two calls and onto a masked file are the same masks; the last ones can be left out again."""
    one, two, both, undone, onto = (ctx.scratch / f"history-{n}.onnx" for n in ("one", "two", "both", "undone", "onto"))
    first, second, steps = (ctx.scratch / f"history-{n}.json" for n in ("first", "second", "steps"))
    channels = ("--kind", "ln_structured", "--amount", "0.25")
    entries = ("--kind", "l1_unstructured", "--amount", "0.5")
    ctx.run("mask", path, "-o", one, *channels, "--report", first)
    ctx.run("mask", path, "-o", two, "--steps", first, *entries, "--report", second)
    asked = [
        {"kind": "ln_structured", "amount": {"share": 0.25}, "n": 2},
        {"kind": "l1_unstructured", "amount": {"share": 0.5}},
    ]
    steps.write_text(json.dumps(asked))
    ctx.run("mask", path, "-o", both, "--steps", steps)
    ctx.run("mask", path, "-o", undone, "--steps", second, "--undo", "1")
    steps.write_text(json.dumps([{"kind": "zeros"}]))
    ctx.run("mask", one, "-o", onto, "--steps", steps, *entries)
    assert two.read_bytes() == both.read_bytes() and two.read_bytes() == onto.read_bytes()
    assert undone.read_bytes() == one.read_bytes() != two.read_bytes()
    weights = [[numpy_helper.to_array(t) for t in onnx.load(f).graph.initializer] for f in (one, two)]
    assert all((after[before == 0] == 0).all() for before, after in zip(*weights))
    zeros = [sum(int((w == 0).sum()) for w in model) for model in weights]
    assert zeros[1] > zeros[0]
    return f"{zeros[0]} zeros, then {zeros[1]}"


def pattern(ctx, path):
    """Of every four inputs of a filter two stay."""
    out = ctx.scratch / "pattern.onnx"
    ctx.run("mask", path, "-o", out, "--kind", "n_m", "--pattern", "2:4")
    before = {t.name: numpy_helper.to_array(t) for t in onnx.load(path).graph.initializer}
    seen = 0
    for t in onnx.load(out).graph.initializer:
        now, old = numpy_helper.to_array(t), before[t.name]
        if np.array_equal(now, old):
            continue
        axis = 1 if now.ndim > 1 else 0
        runs = np.moveaxis(now, axis, -1).reshape(-1, 4)
        assert ((runs != 0).sum(1) <= 2).all(), t.name
        whole = np.sort(np.abs(np.moveaxis(old, axis, -1).reshape(-1, 4)), 1)
        assert np.allclose(np.sort(np.abs(runs), 1)[:, 2:], whole[:, 2:]), f"{t.name}: not the largest two stay"
        seen += 1
    assert seen > 3, seen
    return f"{seen} weights"


def dead(ctx, check, path):
    """Channels without scale and shift are cut, and the masked model computes what the cut one does."""
    model = onnx.load(path)
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    masks, want = {}, 0
    for node in model.graph.node:
        if node.op_type != "BatchNormalization" or ".bn1." not in node.input[1]:
            continue
        keep = np.ones(len(arrays[node.input[1]]), int)
        keep[1::3] = 0
        want += int((keep == 0).sum())
        for name in node.input[1:3]:
            masks[name] = keep.tolist()
    file = ctx.scratch / "dead-mask.json"
    file.write_text(json.dumps(masks))
    masked, out, report = (ctx.scratch / f"dead{end}" for end in (".masked.onnx", ".onnx", ".json"))
    ask = ("--kind", "custom_from_mask", "--mask", file)
    ctx.run("mask", path, "-o", masked, *ask)
    ctx.run("mask", path, "-o", out, *ask, "--cut", "--report", report)
    said = json.loads(report.read_text())
    gone = sum(g["channels"] - g["kept"] for g in said["groups"])
    assert gone == want > 0, f"{gone} of {want} dead channels were cut"
    fails, _ = check(onnx.load(masked), onnx.load(out), said)
    assert not fails, "\n".join(fails)
    for a, b in zip(outputs(masked, {}), outputs(out, {})):
        gap = np.abs(a - b).max() / np.abs(a).max()
        assert gap < 1e-5, f"masked and cut differ by {gap:.1e}"
    ctx.run("verify", masked, out, "--report", report)
    again = ctx.scratch / "dead-again.onnx"
    ctx.run("prune", masked, "-o", again, "--dead")
    assert again.read_bytes() == out.read_bytes()
    return f"{gone} channels, outputs within {gap:.1e}"


def checks(ctx):
    sys.path.insert(0, str(ctx.shared / "oracle"))
    from equivalence import check

    golden = json.loads((ctx.shared / "golden" / "torch_masks.json").read_text())
    for kind, error in (("cases", False), ("errors", True)):
        for case in golden[kind]:
            yield f"mask {case['name']}", partial(masked_case, ctx, case, error)
    manifest = json.loads((ctx.shared / "zoo" / "manifest.json").read_text())["models"]
    for name in ("lenet", "resnet18", "mobilenet_v2", "vit_tiny", "gqa_decoder"):
        yield f"mask stored {name}", partial(stored, ctx, ctx.zoo / f"{name}.onnx", manifest.get(name, {}))
    yield "mask history", partial(history, ctx, ctx.shared / "golden" / "resnet20.onnx")
    yield "mask 2:4", partial(pattern, ctx, ctx.shared / "golden" / "resnet20.onnx")
    for name in ("resnet20", "resnet20_simplified"):
        yield f"mask dead {name}", partial(dead, ctx, check, ctx.shared / "golden" / f"{name}.onnx")
