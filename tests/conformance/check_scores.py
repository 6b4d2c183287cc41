"""`lopper score` with every criterion against PyTorch's numbers, and what it says where a criterion has none."""
import json
from functools import partial

import numpy as np

# Criterion as in the golden file -> what is written on the command line, and the largest difference allowed, by the layer's largest number.
WEIGHTS = {
    "l1": ([], 1e-5), "l2": ([], 1e-5), "lp3": (["lp", "--p", "3"], 1e-5), "linf": ([], 1e-5), "bn_scale": ([], 1e-5),
    "lamp": ([], 1e-5), "group_norm": ([], 1e-5), "fpgm_l2": ([], 1e-4), "fpgm_l1": ([], 1e-4), "fpgm_cosine": ([], 1e-4),
    "fpgm_mixed": (["fpgm_mixed", "--norm-rate", "0.1"], 1e-4), "random": (["random", "--seed", "0"], 1e-8),
}
IMAGES = {"activation_mean_abs": 1e-4, "apoz": 1e-3, "wanda_structured": 1e-4, "hrank": None}
LABELS = dict.fromkeys(
    ["weight_taylor_abs", "weight_taylor_signed", "weight_taylor_sq", "activation_taylor", "activation_taylor_mean",
     "gate_taylor_sq", "gbn_abs", "fisher_obd"], 1e-3)
FOUR = ["gbn_abs", "gate_taylor_sq", "activation_taylor_mean", "weight_taylor_abs", "weight_taylor_sq"]
# These see the same in a folded model.
BEHIND = ["activation_taylor", "activation_taylor_mean", "gate_taylor_sq", "gbn_abs", "activation_mean_abs", "apoz", "hrank"]


def score(ctx, name, *more, code=0):
    return ctx.run("score", ctx.shared / "golden" / f"{name}.onnx", *more, "--json", code=code)


def data(ctx, batch=64):
    images = ctx.shared / "golden" / "resnet20_batch64.npz"
    return ["--data", images, "--normalize", "cifar10", "--batch", batch, "--device", "cpu"]


def compare(said, golden, key, tolerance):
    """The largest difference over all layers; None as tolerance means 0.1 absolute."""
    got = json.loads(said.stdout)
    worst = 0.0
    for weight, criteria in golden.items():
        want, own = np.array(criteria[key]), np.array(got[weight])
        assert want.shape == own.shape, f"{weight}: {own.shape} instead of {want.shape}"
        off = np.abs(want - own).max() / (np.abs(want).max() if tolerance else 1)
        assert off < (tolerance or 0.1), f"{weight}: {off:.1e}"
        worst = max(worst, float(off))
    return f"{worst:.1e}"


def by_weights(ctx, name, key, golden):
    words, tolerance = WEIGHTS[key]
    return compare(score(ctx, name, "--criterion", *(words or [key])), golden, key, tolerance)


def by_images(ctx, name, key, golden):
    tolerance = {**IMAGES, **LABELS}[key]
    return compare(score(ctx, name, "--criterion", key, *data(ctx)), golden, key, tolerance)


def four(ctx, key, golden):
    return compare(score(ctx, "resnet20", "--criterion", key, *data(ctx, 16)), golden, f"{key}_4x16", 1e-3)


def mixture(ctx, golden):
    got = json.loads(score(ctx, "resnet20", "--criterion", "l1:0.7,fpgm_l2:0.3").stdout)
    for weight, criteria in golden.items():
        parts = [np.array(criteria[key]) for key in ("l1", "fpgm_l2")]
        want = sum(share * part / part.mean() for share, part in zip((0.7, 0.3), parts))
        assert np.abs(np.array(got[weight]) - want).max() < 1e-4 * want.max(), weight


def unlabelled(ctx):
    """Criteria of activations need no classes; those of gradients say that they do."""
    batch = np.load(ctx.shared / "golden" / "resnet20_batch64.npz")
    bare = ctx.scratch / "bare.npz"
    np.savez(bare, images=batch["images"][:8])
    model = ctx.shared / "golden" / "resnet20.onnx"
    call = ["--data", bare, "--normalize", "cifar10", "--device", "cpu"]
    ctx.run("score", model, "--criterion", "activation_mean_abs", *call)
    said = ctx.run("score", model, "--criterion", "gbn_abs", *call, code=3)
    assert "labels" in said.stderr, said.stderr


def refusals(ctx):
    said = score(ctx, "resnet20_folded", "--criterion", "bn_scale", code=4)
    assert "group_norm" in said.stderr, said.stderr
    for criterion, what in (("gbn_abs", "classes"), ("hrank", "images")):
        said = score(ctx, "resnet20", "--criterion", criterion, code=2)
        assert what in said.stderr, said.stderr
    for wrong in (["l3"], ["lp", "--p", "0"], ["fpgm_mixed", "--norm-rate", "1"], ["l1:x"]):
        score(ctx, "resnet20", "--criterion", *wrong, code=2)
    said = score(ctx, "resnet20", "--criterion", "apoz", *data(ctx))
    assert "fc.weight" in said.stderr and "fc.weight" not in json.loads(said.stdout), said.stderr


def prune(ctx, *words):
    """Each kind of criterion ranks a cut, which is proved; the recipe says by what."""
    out, report = ctx.scratch / "scored.onnx", ctx.scratch / "scored.json"
    model = ctx.shared / "golden" / "resnet20.onnx"
    ctx.run("prune", model, "-o", out, "--ratio", "0.5", "--report", report, *words)
    said = json.loads(report.read_text())
    assert said["exact"] and said["max_error"] < 1e-4, said["max_error"]
    return f"{said['recipe']['cut']['criterion']}, {said['parameters']['after']} parameters"


def checks(ctx):
    golden = json.loads((ctx.shared / "golden" / "resnet20.golden.json").read_text())
    criteria = golden["criteria"]
    for name in ("resnet20", "resnet20_simplified"):
        for key in WEIGHTS:
            yield f"{name} {key}", partial(by_weights, ctx, name, key, criteria)
    for key in [*IMAGES, *LABELS]:
        yield f"resnet20 {key}", partial(by_images, ctx, "resnet20", key, criteria)
    for key in BEHIND:
        yield f"resnet20_folded {key}", partial(by_images, ctx, "resnet20_folded", key, criteria)
    yield "resnet20_folded random", partial(by_weights, ctx, "resnet20_folded", "random", criteria)
    for key in FOUR:
        yield f"four batches {key}", partial(four, ctx, key, golden["variants"])
    yield "mixture", partial(mixture, ctx, criteria)
    yield "without classes", partial(unlabelled, ctx)
    yield "refusals", partial(refusals, ctx)
    yield "prune by a mixture", partial(prune, ctx, "--criterion", "l1:0.7,fpgm_l2:0.3", "--scope", "global")
    yield "prune by gates", partial(prune, ctx, "--criterion", "gbn_abs", "--scope", "global", *data(ctx))
    yield "prune by Taylor in steps", partial(prune, ctx, "--criterion", "weight_taylor_sq", "--steps", "3", *data(ctx))
    yield "prune by groups", partial(
        prune, ctx, "--criterion", "group_norm", "--reduction", "max", "--normalizer", "gaussian", "--scope", "global")
