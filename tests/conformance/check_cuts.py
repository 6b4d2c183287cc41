"""Every cut computes what the masked original computes, by the word of ../shared/oracle/equivalence.py."""
import json
import sys
from functools import partial

import onnx

# Statistics run over the residual streams of these; with the streams locked they are exact, too.
NORMALISED = ["convnext_atto", "vit_tiny", "vit_tiny_ts", "swin_small_cfg", "mixer_small", "gqa_decoder"]
GOLDEN = ["resnet20", "resnet20_simplified", "resnet20_folded"]


def cut(ctx, check, path, scope, ratio, entry, limit=None, inexact=False, more=()):
    out = ctx.scratch / f"{path.stem}-{scope}-{ratio}.onnx"
    report = out.with_suffix(".json")
    ctx.run("prune", path, "-o", out, "--criterion", "l1", "--scope", scope, "--ratio", ratio, *more, "--report", report)
    said = json.loads(report.read_text())
    ranges = [i["range"] for i in entry.get("inputs", []) if i.get("range")]
    ints = tuple(map(int, ranges[-1])) if ranges else (0, 16)
    fails, figures = check(onnx.load(path), onnx.load(out), said, ints=ints, dims=entry.get("dims") or {})
    if not said.get("exact") and not inexact:
        fails.append("reported as not exact: " + ", ".join(map(str, said.get("renormalised", [])[:3])))
    if limit is not None and figures["params"] > limit:
        fails.append(f"{figures['params']:.3f} of the parameters left, allowed {limit}")
    if (scope, ratio) == ("group", "0.5") and not more:
        fails.extend(
            f"group {g['name']} keeps {g['kept']} of {g['channels']} and names no limit"
            for g in said["groups"]
            if g["kept"] != g["channels"] // 2 and not g.get("limit")
        )
    out.unlink()
    assert not fails, "\n".join(fails)
    return " ".join(f"{key}={value:.3g}" for key, value in figures.items())


def checks(ctx):
    sys.path.insert(0, str(ctx.shared / "oracle"))
    from equivalence import check

    manifest = json.loads((ctx.shared / "zoo" / "manifest.json").read_text())["models"]
    limits = json.loads((ctx.shared / "oracle" / "limits.json").read_text())
    zoo = sorted(p for p in ctx.zoo.glob("*.onnx"))
    paths = zoo + [ctx.shared / "golden" / f"{name}.onnx" for name in GOLDEN]
    for path in paths:
        entry, inexact = manifest.get(path.stem, {}), path.stem in NORMALISED
        ask = partial(cut, ctx, check, path, entry=entry)
        for scope in ("group", "global"):
            for ratio in ("0.3", "0.5"):
                limit = limits.get(path.stem) if (scope, ratio) == ("group", "0.5") else None
                yield f"{path.stem} {scope} {ratio}", partial(ask, scope, ratio, limit=limit, inexact=inexact)
                steps = partial(ask, scope, ratio, inexact=inexact, more=("--steps", "5"))
                yield f"{path.stem} {scope} {ratio} in five steps", steps
            if inexact:
                yield f"{path.stem} {scope} 0.5 locked", partial(locked, ctx, ask, path, scope)


def locked(ctx, ask, path, scope):
    groups = json.loads(ctx.run("inspect", path, "--json").stdout)["groups"]
    streams = [word for g in groups if g["renormalised"] for word in ("--lock", g["name"])]
    return ask(scope, "0.5", more=streams)
