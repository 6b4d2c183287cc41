#!/usr/bin/env python3
"""What is left of ResNet-20's accuracy on CIFAR-10 after half the channels inside its blocks went, and what recovery brings back.

    recovery.py [EPOCHS...]     by default 0, 1 and 3; about five minutes of two quiet cores an epoch"""
import json
import sys
import tempfile
from pathlib import Path

from _peers import CACHE, enter, lopper, row, shared

# Epochs: options. 45,000 images are learnt from, 5,000 choose the epoch, the 10,000 test images are looked at once.
RUNS = {
    0: ["--recover", "lstsq,batchnorm"],
    1: ["--recover", "lstsq", "--batch", "64", "--lr", "0.02"],
    3: ["--recover", "lstsq", "--batch", "64", "--lr", "0.03"],
}
CUT = ["--lock", "conv1.weight", "--lock", "*.conv2.weight", "--lock", "fc.*", "--criterion", "l1", "--scope", "group", "--ratio", "0.5"]


def joined(folder):
    """Training and validation images as one file: which are for what is for lopper's own split."""
    import numpy as np

    parts = [np.load(CACHE / "cifar" / f"{name}.npz") for name in ("train", "val")]
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in ("images", "labels")}
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


def main():
    enter()
    model, known = shared() / "golden" / "resnet20.onnx", json.loads((shared() / "golden" / "recovery.json").read_text())
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        cut, images = place / "cut.onnx", joined(place)
        lopper("prune", model, "-o", cut, *CUT)

        def test(file):
            return 100 * lopper("eval", file, "--data", CACHE / "cifar" / "test.npz", "--normalize", "cifar10")["top1"]

        row("uncut", "test images right, %", f"{test(model):.2f} (PyTorch {known['uncut']})")
        row("right after the cut", "test images right, %", f"{test(cut):.2f} (PyTorch {known['right_after_cut']['l1_0.5']})")
        for epochs in map(int, sys.argv[1:] or RUNS):
            out = place / f"{epochs}.onnx"
            options = [*RUNS[epochs], "--epochs", epochs, "--test", 0, "--normalize", "cifar10"]
            done = lopper("tune", cut, "-o", out, "--data", images, "--original", model, *options)
            seconds = done["seconds"] + (sum(s["seconds"] for s in done["stages"]) if epochs else 0)
            best = max(value for key, value in known.items() if f"_{epochs}_epochs_lr" in key) if epochs else known["refit_1024_bn"]
            row(f"{epochs} epochs", "test images right, %", f"{test(out):.2f} in {seconds:.0f} s (PyTorch {best})")


main()
