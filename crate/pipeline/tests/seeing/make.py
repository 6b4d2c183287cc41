"""Writes images.npz and expected.json: what onnxruntime and numpy say of the sample model.

    python make.py      (needs numpy, onnx and onnxruntime)
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

here = Path(__file__).parent
model = onnx.load(here / "../../assets/sample.onnx")
weights = {t.name: onnx.numpy_helper.to_array(t).astype(np.float64) for t in model.graph.initializer}

# Smooth pictures, so that the file is small: waves of several directions, and two that are one colour.
y, x = np.mgrid[0:32, 0:32].astype(np.float64)
images = np.zeros((24, 32, 32, 3), np.uint8)
for k in range(24):
    for c in range(3):
        wave = np.sin((x * np.cos(k) + y * np.sin(k)) / (1.5 + k / 3) + c * k / 4)
        images[k, :, :, c] = np.round(127.5 + (0 if k < 2 else 120) * wave) if k != 1 else 10
labels = np.arange(24) % 10
np.savez_compressed(here / "images.npz", images=images, labels=labels.astype(np.int64))

# Behind the activation of each layer, in graph order.
read = {
    "stem.weight": "stem.relu",
    "stage1.conv1.weight": "stage1.relu1",
    "stage1.conv2.weight": "stage1.relu2",
    "stage2.conv1.weight": "stage2.relu1",
    "stage2.conv2.weight": "stage2.relu2",
    "stage2.shortcut.weight": "stage2.relu2",
    "stage3.conv1.weight": "stage3.relu1",
    "stage3.conv2.weight": "stage3.relu2",
    "stage3.shortcut.weight": "stage3.relu2",
    "head.weight": "logits",
}
for name in sorted(set(read.values()) - {"logits"}):
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
runs = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
names = [o.name for o in runs.get_outputs()]
values = dict(zip(names, runs.run(None, {"image": images.transpose(0, 3, 1, 2).astype(np.float32) / 255})))

logits = values["logits"].astype(np.float64)
shares = np.exp(logits - logits.max(1, keepdims=True))
shares /= shares.sum(1, keepdims=True)
silent = []
for value in read.values():
    seen = np.abs(values[value]).reshape(24, values[value].shape[1], -1).max((0, 2))
    silent.append(np.flatnonzero(seen == 0).tolist())

maps = values["stage2.relu1"][5].astype(np.float64)


def ranks(scores):
    return np.array([(scores < s).sum() + ((scores == s).sum() - 1) / 2 for s in scores])


def agreement(a, b):
    return float(np.corrcoef(ranks(a), ranks(b))[0, 1])


layers, distances = [], {}
for weight in read:
    rows = weights[weight].reshape(len(weights[weight]), -1)
    pairs = np.sqrt(((rows[:, None] - rows[None]) ** 2).sum(-1))
    distances[weight] = pairs.sum(1)
    l1, l2 = np.abs(rows).sum(1), np.sqrt((rows**2).sum(1))
    scale = weights.get(weight.replace("weight", "norm.scale"))
    layers.append({
        "filters": len(rows),
        "l1_l2": agreement(l1, l2),
        "l1_fpgm": agreement(l1, distances[weight]),
        "l1_scale": None if scale is None else agreement(l1, np.abs(scale)),
    })

rows = weights["stage2.conv1.weight"].reshape(32, -1)
centred = rows - rows.mean(0)
values2 = np.linalg.svd(centred, compute_uv=False) ** 2
median = rows.mean(0)
for _ in range(3000):
    away = np.sqrt(((rows - median) ** 2).sum(1))
    median = (rows / away[:, None]).sum(0) / (1 / away).sum()
axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
place = axes @ (median - rows.mean(0))

expected = {
    "labels": labels.tolist(),
    "classes": shares.argmax(1).tolist(),
    "confidence": shares.max(1).tolist(),
    "silent": silent,
    "maps": [[float(m.min()), float(m.max())] for m in maps],
    "map": maps[7].ravel().tolist(),
    "layers": layers,
    "plane": {
        "share": float(values2[:2].sum() / values2.sum()),
        "sums": distances["stage2.conv1.weight"].tolist(),
        "points": np.abs(centred @ axes.T).tolist(),
        "median": np.abs(place).tolist(),
    },
}
short = json.loads(json.dumps(expected), parse_float=lambda text: float(f"{float(text):.7g}"))
(here / "expected.json").write_text(json.dumps(short) + "\n")
print(shares.argmax(1), shares.max(1).round(3), [len(s) for s in silent])
