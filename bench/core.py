#!/usr/bin/env python3
"""Opening, grouping, planning and cutting natively, against a plain copy of the bytes and against Torch-Pruning."""
import json
import statistics
import subprocess
import sys
import time

from _peers import CACHE, ROOT, enter, median_ms, row, zoo

ZOO = ["resnet18", "mobilenet_v2", "densenet_small", "vit_tiny"]
# Exported from torchvision with random weights.
TORCHVISION = ["resnet50", "densenet121", "convnext_tiny", "vit_b_16", "swin_t"]
PEER = ["resnet18", "mobilenet_v2", *TORCHVISION]
PEER_SECONDS = 60


def exported(name):
    import torch
    import torchvision

    path = CACHE / "torchvision" / f"{name}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        net = getattr(torchvision.models, name)().eval()
        torch.onnx.export(
            net, (torch.randn(1, 3, 224, 224),), path, dynamo=False, opset_version=17,
            input_names=["input"], output_names=["output"], dynamic_axes={"input": {0: "N"}, "output": {0: "N"}},
        )
    return path


def chain():
    """A graph of 30,001 nodes."""
    from _large import deep

    path = CACHE / "deep.onnx"
    if not path.exists():
        deep(path)
    return path


def ours(path):
    command = ["cargo", "bench", "--quiet", "-p", "lopper-core", "--bench", "core", "--", str(path)]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return next(json.loads(line) for line in out.splitlines() if line.startswith("{"))


def peer(name):
    """Milliseconds to build the dependency graph, and of one pruning step at half of the channels."""
    import torch
    import torch_pruning as tp
    import torchvision

    torch.set_num_threads(2)
    make = getattr(torchvision.models, name)
    x = torch.randn(1, 3, 224, 224)
    net = make().eval()
    build = median_ms(lambda: tp.DependencyGraph().build_dependency(net, example_inputs=x), runs=5, warm=1)[0]

    def step():
        fresh = make().eval()
        head = [m for m in fresh.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1000]
        pruner = tp.pruner.MagnitudePruner(
            fresh, x, importance=tp.importance.MagnitudeImportance(p=1), pruning_ratio=0.5, ignored_layers=head
        )
        start = time.perf_counter()
        pruner.step()
        took = (time.perf_counter() - start) * 1e3
        fresh(x)
        return took

    print(f"{build:.0f} + {statistics.median(step() for _ in range(5)):.0f}")


def measured_peer(name):
    """What the peer takes, or how it fails: in a process of its own, which can be ended."""
    command = [sys.executable, __file__, "--peer", name]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PEER_SECONDS)
    except subprocess.TimeoutExpired:
        return f"not done after {PEER_SECONDS} s"
    if done.returncode == 0:
        return done.stdout.split("\n")[-2]
    return "fails: " + (done.stderr.strip().splitlines() or ["no message"])[-1][:100]


def main():
    place = zoo()
    models = [place / f"{name}.onnx" for name in ZOO] + [exported(name) for name in TORCHVISION] + [chain()]
    for path in models:
        m, name = ours(path), path.stem
        row(name, "open to graph, GB/s (copy of the bytes)", f"{m['open_gb_s']:.1f} ({m['memcpy_gb_s']:.1f})")
        parts = ", ".join(f"{k} {m[k + '_ms']:.1f}" for k in ("graph", "groups", "plan", "cut", "slices"))
        row(name, "graph + groups + plan + cut + slices, ms", f"{m['graph_to_cut_ms']:.1f} ({parts})")
        if name in PEER:
            row(name, "Torch-Pruning: build + one step, ms", measured_peer(name))


enter()
if sys.argv[1:2] == ["--peer"]:
    peer(sys.argv[2])
else:
    main()
