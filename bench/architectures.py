#!/usr/bin/env python3
"""Architectures of torchvision and torch with random weights, cut at half of the channels and checked in ONNX Runtime.

Each is cut twice: as it is and, where a normalisation runs over cut channels, with those groups locked, which must be exact.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from _peers import CACHE, LOPPER, built, enter, row, shared

IMAGES = [
    "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "mnasnet0_5", "mobilenet_v3_large",
    "shufflenet_v2_x1_0", "squeezenet1_0", "resnext50_32x4d", "regnet_x_400mf", "convnext_tiny", "swin_t", "swin_v2_t", "vit_b_16",
]


def shaken(net):
    """Numbers of a normalisation that start as zeros and ones would hide faults."""
    import torch

    torch.manual_seed(0)
    with torch.no_grad():
        for name, buffer in net.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1)
            elif name.endswith("running_var"):
                buffer.uniform_(0.75, 1.25)
        for parameter in net.parameters():
            if parameter.ndim <= 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return net.eval()


def models():
    """Name, network and input of every architecture."""
    import torch
    import torchvision

    image = torch.randn(1, 3, 96, 96)
    alone = {"init_weights": False, "aux_logits": False}
    plain = {"googlenet": alone, "inception_v3": alone}
    for name in IMAGES:
        x = torch.randn(1, 3, 224, 224) if name.startswith("vit") else image
        yield name, lambda name=name: getattr(torchvision.models, name)(weights=None, **plain.get(name, {})), x
    pixel = {"weights": None, "weights_backbone": None}
    for name in ("deeplabv3_mobilenet_v3_large", "fcn_resnet50"):
        net = lambda name=name: torchvision.models._utils.IntermediateLayerGetter(  # noqa: E731
            torch.nn.Sequential(getattr(torchvision.models.segmentation, name)(**pixel)), {"0": "out"}
        )
        yield name, net, image
    for name in ("r3d_18", "r2plus1d_18"):
        net = lambda name=name: getattr(torchvision.models.video, name)(weights=None)  # noqa: E731
        yield name, net, torch.randn(1, 3, 8, 64, 64)
    layer = torch.nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    encoder = lambda: torch.nn.Sequential(torch.nn.TransformerEncoder(layer, 2), torch.nn.Linear(64, 9))  # noqa: E731
    yield "TransformerEncoder", encoder, torch.randn(2, 12, 64)


def exported(name, make, x):
    import torch

    path = CACHE / "architectures" / f"{name}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        torch.onnx.export(
            shaken(make()), (x,), path, dynamo=False, opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "N"}}
        )
    return path


def pruned(path, place, locks=()):
    """What the check says of a cut: failures, figures, report."""
    import onnx
    from equivalence import check

    out, report = place / "out.onnx", place / "report.json"
    command = [LOPPER, "prune", path, "-o", out, "--ratio", "0.5", "--report", report]
    command += [part for lock in locks for part in ("--lock", lock)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return [done.stderr.strip()], {}, {}
    report = json.loads(report.read_text())
    fails, figures = check(onnx.load(path), onnx.load(out), report)
    return fails, figures, report


def main():
    sys.path.insert(0, str(shared() / "oracle"))
    built()
    failed = 0
    for name, make, x in models():
        path = exported(name, make, x)
        with tempfile.TemporaryDirectory() as place:
            fails, figures, report = pruned(path, Path(place))
            figure = f"{100 * figures.get('params', 1):.0f} % of the parameters left"
            if not fails and not report["exact"]:
                seen = subprocess.run([LOPPER, "inspect", path, "--json"], capture_output=True, check=True).stdout
                groups = json.loads(seen)["groups"]
                fails, figures, report = pruned(path, Path(place), [g["name"] for g in groups if g["renormalised"]])
                figure += f", exact at {100 * figures.get('params', 1):.0f} %"
                fails += [] if report.get("exact") else ["not exact although every renormalised group is locked"]
        row(name, "cut and checked" if not fails else "FAILED", "; ".join(fails) or figure)
        failed += bool(fails)
    sys.exit(failed)


if __name__ == "__main__":
    enter()
    main()
