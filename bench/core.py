#!/usr/bin/env python3
"""Opening, grouping, planning and cutting natively, against a plain copy of the bytes and against Torch-Pruning."""
import json
import subprocess

from _peers import ROOT, enter, median_ms, row, zoo

MODELS = ["resnet18", "mobilenet_v2", "densenet_small", "vit_tiny"]


def ours(paths):
    command = ["cargo", "bench", "--quiet", "-p", "lopper-core", "--bench", "core", "--", *map(str, paths)]
    out = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]


def torch_pruning(name):
    """Milliseconds to build the dependency graph, and of one pruning step at half of the channels."""
    import torch
    import torch_pruning as tp
    import torchvision

    torch.set_num_threads(2)
    make = getattr(torchvision.models, name, None)
    if make is None:
        return None
    x = torch.randn(1, 3, 224, 224)
    net = make().eval()
    build = median_ms(lambda: tp.DependencyGraph().build_dependency(net, example_inputs=x), runs=7, warm=1)[0]

    def step():
        fresh = make().eval()
        head = [m for m in fresh.modules() if isinstance(m, torch.nn.Linear)]
        pruner = tp.pruner.MagnitudePruner(
            fresh, x, importance=tp.importance.MagnitudeImportance(p=1), pruning_ratio=0.5, ignored_layers=head
        )
        import time

        start = time.perf_counter()
        pruner.step()
        return (time.perf_counter() - start) * 1e3

    steps = sorted(step() for _ in range(5))
    return build, steps[len(steps) // 2]


def main():
    place = zoo()
    for m in ours([place / f"{name}.onnx" for name in MODELS]):
        name = m["model"].rsplit("/", 1)[-1][:-5]
        row(name, "open to graph, GB/s (copy of the bytes)", f"{m['open_gb_s']:.1f} ({m['memcpy_gb_s']:.1f})")
        parts = ", ".join(f"{k} {m[k + '_ms']:.1f}" for k in ("graph", "groups", "plan", "cut"))
        row(name, "graph + groups + plan + cut, ms", f"{m['graph_to_cut_ms']:.1f} ({parts})")
        peer = torch_pruning(name)
        if peer:
            row(name, "Torch-Pruning: build + one step, ms", f"{peer[0]:.0f} + {peer[1]:.0f}")


enter()
main()
