#!/usr/bin/env python3
"""Every criterion on ResNet-20 at half the MACs: accuracy right after the cut, after repair without a gradient step, and after one epoch.

    criteria.py [--images N] [CRITERION...]     by default all criteria, the most known first, and all 45,000 training images"""
import argparse
import tempfile
from pathlib import Path

from _peers import CACHE, built, enter, lopper, row, shared

CRITERIA = [
    "l1", "l2", "random", "bn_scale", "fpgm_l2", "group_norm", "weight_taylor_sq", "gate_taylor_sq", "gbn_abs", "hrank", "apoz",
    "wanda_structured", "activation_mean_abs", "activation_taylor", "activation_taylor_mean", "weight_taylor_abs",
    "weight_taylor_signed", "gate_taylor_sq_per_image", "fisher_obd", "lamp", "linf", "fpgm_l1", "fpgm_cosine",
]
BY_WEIGHTS = {"l1", "l2", "linf", "bn_scale", "fpgm_l2", "fpgm_l1", "fpgm_cosine", "lamp", "group_norm", "random"}
# The same images, order and steps for all. Every group loses the same share.
CUT = ["--macs", "0.5", "--scope", "group"]
TUNE = ["--normalize", "cifar10", "--test", "0", "--batch", "32", "--lr", "0.02"]


def joined(folder, images):
    """So many training images and a ninth as many of the validation images: lopper's own split keeps a tenth back."""
    import numpy as np

    parts = [np.load(CACHE / "cifar" / f"{name}.npz") for name in ("train", "val")]
    counts = [images, images // 9]
    arrays = {key: np.concatenate([part[key][:n] for part, n in zip(parts, counts)]) for key in ("images", "labels")}
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=45000)
    parser.add_argument("criteria", nargs="*")
    args = parser.parse_args()
    enter()
    built()
    model = shared() / "golden" / "resnet20.onnx"
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        images = joined(place, args.images)

        def test(file):
            return 100 * lopper("eval", file, "--data", CACHE / "cifar" / "test.npz", "--normalize", "cifar10")["top1"]

        for criterion in args.criteria or CRITERIA:
            cut, repaired, tuned = (place / f"{name}.onnx" for name in ("cut", "repaired", "tuned"))
            data = [] if criterion in BY_WEIGHTS else ["--data", images, "--normalize", "cifar10", "--limit", "1024"]
            lopper("prune", model, "-o", cut, "--criterion", criterion, *CUT, *data)
            common = [cut, "--data", images, "--original", model, *TUNE]
            lopper("tune", *common, "-o", repaired, "--recover", "lstsq,batchnorm", "--epochs", 0)
            lopper("tune", *common, "-o", tuned, "--recover", "lstsq", "--epochs", 1)
            row(criterion, "test images right after the cut / repaired / one epoch, %", " / ".join(f"{test(f):.2f}" for f in (cut, repaired, tuned)))


main()
