#!/usr/bin/env python3
"""ResNet-20, batch 32, natively on the CPU: our inference and training against onnxruntime and PyTorch in the same run."""
import statistics
import tempfile
import time
from pathlib import Path

from _peers import CACHE, built, enter, lopper, median_ms, row, shared

BATCH = 32


def torch_resnet20():
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.a, self.b = a, b
            self.conv1, self.bn1 = nn.Conv2d(a, b, 3, b // a, 1, bias=False), nn.BatchNorm2d(b)
            self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if self.a != self.b:
                pad = (self.b - self.a) // 2
                x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
            return torch.relu(x + y)

    widths = [16] * 3 + [32] * 3 + [64] * 3
    blocks = [Block(a, b) for a, b in zip([16, *widths], widths)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def peers():
    import numpy as np
    import onnxruntime as ort
    import torch

    torch.set_num_threads(2)
    x = np.random.default_rng(0).standard_normal((BATCH, 3, 32, 32)).astype("float32")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(str(shared() / "golden" / "resnet20.onnx"), options, providers=["CPUExecutionProvider"])
    ms = median_ms(lambda: session.run(None, {"input": x}))[0]
    row("onnxruntime", "evaluation, images/s", f"{BATCH / ms * 1e3:.0f}")
    net, y = torch_resnet20(), torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    images = torch.from_numpy(x)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), y).backward()
        optimizer.step()

    row("PyTorch eager", "training step, ms", "%.1f (%.1f-%.1f)" % median_ms(step, runs=20, warm=5))
    net.eval()
    with torch.no_grad():
        ms = median_ms(lambda: net(images))[0]
    row("PyTorch eager", "evaluation, images/s", f"{BATCH / ms * 1e3:.0f}")


def each(work, few=10, many=60):
    """Milliseconds for one more of what `work` does so many times: medians of three runs of either length, in turns."""
    seconds = {few: [], many: []}
    for _ in range(3):
        for count in seconds:
            start = time.monotonic()
            work(count)
            seconds[count].append(time.monotonic() - start)
    return (statistics.median(seconds[many]) - statistics.median(seconds[few])) / (many - few) * 1e3


def main():
    model, data = shared() / "golden" / "resnet20.onnx", CACHE / "cifar" / "test.npz"
    if not data.exists():
        raise SystemExit("CIFAR-10 is not in the cache yet: run the conformance checks first")
    built()
    peers()
    e = lopper("eval", model, "--data", data, "--normalize", "cifar10", "--device", "cpu", "--limit", 1000)
    row("lopper, CPU", "evaluation, images/s", f"{1e3 / e['milliseconds_per_image']:.0f}")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "tuned.onnx"
        common = [model, "--data", data, "--normalize", "cifar10", "--device", "cpu", "--batch", BATCH]
        t = lopper("tune", *common, "-o", out, "--steps", 40)
        row("lopper, CPU", "training step, ms (mean, data included)", f"{t['seconds'] / t['steps'] * 1e3:.1f}")
        step = each(lambda n: lopper("tune", *common, "-o", out, "--steps", n))
        row("lopper, CPU", "training step, ms (difference of two runs)", f"{step:.1f}")
        for criterion in ["weight_taylor_sq", "gate_taylor_sq", "fisher_obd"]:
            ms = each(lambda n: lopper("score", *common, "--criterion", criterion, "--limit", n * BATCH))
            row("lopper, CPU", f"{criterion}, ms a batch (of a step)", f"{ms:.1f} ({ms / step:.2f})")


enter()
main()
