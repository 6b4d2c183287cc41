"""The command line against PyTorch's numbers, and what it says to calls that cannot be."""
import json
from functools import partial

import numpy as np
import onnx
from onnx import numpy_helper

NAMES = ["resnet20", "resnet20_simplified", "resnet20_folded"]
LOCKS = ["--lock", "conv1.weight", "--lock", "*.conv2.weight", "--lock", "fc.*"]
# Accuracy right after the cut that PyTorch makes, in percent.
CUTS = [("l1", "0.3", 64.95), ("l1", "0.5", 24.75), ("l2", "0.3", 71.52), ("l2", "0.5", 28.41)]


def top1(ctx, model, *more):
    said = ctx.run("eval", model, "--data", ctx.cifar / "test.npz", "--normalize", "cifar10", "--device", "cpu", "--json", *more)
    return json.loads(said.stdout)


def accuracy(ctx, name, want):
    got = top1(ctx, ctx.shared / "golden" / f"{name}.onnx")
    assert got["images"] == 10000, got
    assert abs(100 * got["top1"] - want) <= 0.05, f"{100 * got['top1']:.2f} % instead of {want} %"
    return f"{100 * got['top1']:.2f} %, loss {got['loss']:.5f}, {got['milliseconds_per_image']:.2f} ms an image"


def loss(ctx, want):
    got = top1(ctx, ctx.shared / "golden" / "resnet20.onnx", "--limit", "500")
    assert got["images"] == 500 and abs(got["loss"] - want) < 0.1, got
    return f"{got['loss']:.4f} on 500 images, {want:.4f} on all"


def locked(ctx, criterion, ratio, want):
    out = ctx.scratch / f"locked-{criterion}-{ratio}.onnx"
    ctx.run("prune", ctx.shared / "golden" / "resnet20.onnx", "-o", out, "--criterion", criterion, "--ratio", ratio, *LOCKS)
    got = 100 * top1(ctx, out)["top1"]
    assert abs(got - want) <= 0.1, f"{got:.2f} % instead of {want} %"
    return f"{got:.2f} %"


def budget(ctx):
    """--macs is the share that stays, and the smallest cut that reaches it."""
    out, report = ctx.scratch / "macs.onnx", ctx.scratch / "macs.json"
    ctx.run("prune", ctx.zoo / "vgg_slim.onnx", "-o", out, "--macs", "0.5", "--scope", "global", "--report", report)
    macs = json.loads(report.read_text())["macs"]
    share = macs["after"] / macs["before"]
    assert 0.4 < share <= 0.5, share
    return f"{100 * share:.1f} %"


def tamper(model, what):
    """The same model with one number, one name or one node changed."""
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    if what == "number":
        array = numpy_helper.to_array(weight).copy()
        array.flat[0] += 0.5
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    elif what == "tensor":
        array = numpy_helper.to_array(weight)
        new = numpy_helper.from_array(array * np.float32(1.01), weight.name + "_other")
        for node in model.graph.node:
            for i, name in enumerate(node.input):
                if name == weight.name:
                    node.input[i] = new.name
        weight.CopyFrom(new)
    else:
        relu = next(n for n in model.graph.node if n.op_type == "Relu")
        relu.op_type = "Tanh"
    return model


def verify(ctx):
    original, cut, report = ctx.zoo / "lenet.onnx", ctx.scratch / "v.onnx", ctx.scratch / "v.json"
    ctx.run("prune", original, "-o", cut, "--ratio", "0.4", "--report", report)
    said = json.loads(ctx.run("verify", original, cut, "--report", report, "--json").stdout)
    assert said["passed"] and said["initializers"] > 0 and said["max_error"] < 1e-4, said
    bad = ctx.scratch / "bad.onnx"
    for what in ("number", "tensor", "node"):
        bad.write_bytes(tamper(onnx.load(cut), what).SerializeToString())
        ctx.run("verify", original, bad, "--report", report, code=4)
    # A report with one masked channel exchanged for another.
    wrong = json.loads(report.read_text())
    entry = next(m for m in wrong["mask"] if m["axis"] == 0 and m["indices"])
    free = next(i for i in range(1000) if i not in entry["indices"])
    entry["indices"] = sorted([*entry["indices"][1:], free])
    lying = ctx.scratch / "lying.json"
    lying.write_text(json.dumps(wrong))
    ctx.run("verify", original, cut, "--report", lying, code=4)
    ctx.run("verify", cut, cut, "--report", report, code=3)
    lying.write_text("{}")
    ctx.run("verify", original, cut, "--report", lying, code=3)
    return f"{said['initializers']} initializers, largest difference {said['max_error']:.1e}"


def status(ctx, code, says, *call):
    said = ctx.run(*call, code=code)
    lines = said.stderr.strip().splitlines()
    assert lines and not said.stdout, f"stdout {said.stdout[:80]!r}, stderr {said.stderr[:80]!r}"
    assert says in said.stderr, f"{says!r} is not in: {said.stderr.strip()[:300]}"
    if code != 2:
        assert len(lines) == 1, f"{len(lines)} lines instead of one sentence"


def untouched(ctx):
    """The input is never replaced unasked, and a failed call leaves nothing behind."""
    folder = ctx.scratch / "same"
    folder.mkdir()
    model = folder / "m.onnx"
    before = (ctx.zoo / "lenet.onnx").read_bytes()
    model.write_bytes(before)
    ctx.run("prune", model, "-o", model, "--ratio", "0.5", code=2)
    ctx.run("prune", model, "-o", folder / ".." / "same" / "m.onnx", "--ratio", "0.5", code=2)
    ctx.run("prune", model, "-o", folder / "out.onnx", "--macs", "0.000001", code=4)
    assert model.read_bytes() == before and [p.name for p in folder.iterdir()] == ["m.onnx"], list(folder.iterdir())
    ctx.run("prune", model, "-o", model, "--ratio", "0.5", "--force")
    assert len(model.read_bytes()) < len(before)


def again(ctx):
    """One call, one result: the same bytes every time."""
    outs = [ctx.scratch / f"again{i}.onnx" for i in range(2)]
    for out in outs:
        ctx.run("prune", ctx.zoo / "unet.onnx", "-o", out, "--ratio", "0.3", "--scope", "global", "--criterion", "l2")
    assert outs[0].read_bytes() == outs[1].read_bytes()


def inspect(ctx, name):
    path = ctx.zoo / f"{name}.onnx"
    said = json.loads(ctx.run("inspect", path, "--json").stdout)
    assert set(said) == {"summary", "groups", "pinned"}, set(said)
    assert said["summary"]["macs"] > 0 and said["summary"]["parameters"] > 0 and said["groups"] and said["pinned"]
    for group in said["groups"]:
        assert {"name", "channels", "producers", "consumers", "companions", "parameters", "macs", "prunable"} <= set(group)
    for pin in said["pinned"]:
        assert pin["why"] and pin["what_to_do"], pin
    text = ctx.run("inspect", path).stdout
    assert all(g["name"] in text for g in said["groups"]), "a group is missing in the table"
    return f"{len(said['groups'])} groups, {len(said['pinned'])} pins"


def tune(ctx):
    """A few steps bring back much of what a cut took."""
    cut, out = ctx.scratch / "t.onnx", ctx.scratch / "t2.onnx"
    ctx.run("prune", ctx.shared / "golden" / "resnet20.onnx", "-o", cut, "--ratio", "0.5", *LOCKS)
    images = ["--data", ctx.cifar / "train.npz", "--normalize", "cifar10", "--device", "cpu"]
    said = json.loads(ctx.run("tune", cut, "-o", out, *images, "--steps", "60", "--batch", "64", "--lr", "0.02", "--json").stdout)
    assert said["steps"] == 60 and said["finished"], said
    before, after = top1(ctx, cut, "--limit", "2000")["top1"], top1(ctx, out, "--limit", "2000")["top1"]
    assert after > before + 0.2, f"{100 * before:.1f} % -> {100 * after:.1f} %"
    onnx.checker.check_model(onnx.load(out), full_check=True)
    return f"{100 * before:.1f} % -> {100 * after:.1f} % in 60 steps, {said['seconds']:.0f} s"


def checks(ctx):
    golden = json.loads((ctx.shared / "golden" / "resnet20.golden.json").read_text())
    for name in NAMES:
        yield f"accuracy {name}", partial(accuracy, ctx, name, 89.41)
    yield "limit", partial(loss, ctx, golden["test_loss_mean"])
    for criterion, ratio, want in CUTS:
        yield f"locked {criterion} {ratio}", partial(locked, ctx, criterion, ratio, want)
    yield "MACs", partial(budget, ctx)
    yield "verify", partial(verify, ctx)
    yield "untouched input", partial(untouched, ctx)
    yield "same bytes again", partial(again, ctx)
    for name in ("resnet18", "mobilenet_v2", "densenet_small"):
        yield f"inspect {name}", partial(inspect, ctx, name)
    yield "tune", partial(tune, ctx)
    lenet, out, none = ctx.zoo / "lenet.onnx", ctx.scratch / "never.onnx", ctx.scratch / "none.onnx"
    short, text = ctx.scratch / "short.onnx", ctx.scratch / "text.onnx"
    short.write_bytes(lenet.read_bytes()[:1000])
    text.write_text("this is no model, it is a sentence")
    images = ["--data", ctx.cifar / "test.npz"]
    for code, says, *call in [
        (2, "Usage", "prune", lenet, "-o", out),
        (2, "Usage", "prune", lenet, "-o", out, "--ratio", "0.5", "--macs", "0.5"),
        (2, "criterion", "prune", lenet, "-o", out, "--ratio", "0.5", "--criterion", "l7"),
        (2, "out of range", "prune", lenet, "-o", out, "--ratio", "1.5"),
        (2, "out of range", "prune", lenet, "-o", out, "--macs", "0"),
        (2, "matches no", "prune", lenet, "-o", out, "--ratio", "0.5", "--lock", "nothing.*"),
        (2, "no device", "eval", lenet, *images, "--device", "quantum"),
        (2, "unrecognized", "polish", lenet),
        (2, "normalisation", "eval", ctx.shared / "golden" / "resnet20.onnx", *images, "--normalize", "bright"),
        (2, "learning rate", "tune", lenet, "-o", out, *images, "--lr", "0"),
        (3, "cannot be read", "inspect", none),
        (3, "cut short", "inspect", short),
        (3, "no ONNX model", "inspect", text),
        (3, "cannot be read", "eval", lenet, "--data", none),
        (3, "[data.bad]", "eval", lenet, "--data", text),
        (4, "cannot be reached", "prune", lenet, "-o", out, "--macs", "0.000001"),
        (4, "no group can be cut", "prune", lenet, "-o", out, "--ratio", "0.5", "--lock", "*"),
        (4, "[data.mismatch]", "eval", ctx.zoo / "gqa_decoder.onnx", *images),
        (5, "[device.none]", "eval", ctx.shared / "golden" / "resnet20.onnx", *images, "--device", "gpu"),
    ]:
        words = " ".join(str(c).rsplit("/", 1)[-1] for c in call)
        yield f"exit {code}: {words}", partial(status, ctx, code, says, *call)
