"""Images with a class for each place, and images with numbers; what two models make of them, in float64."""

import json
import pathlib

import numpy as np

here = pathlib.Path(__file__).parent
rng = np.random.default_rng(7)
images = rng.integers(0, 256, (60, 8, 8), dtype=np.uint8)
x = images / 255.0
noisy = x + rng.normal(0, 0.1, x.shape)
places = np.digitize(noisy, [0.5, 0.8]).astype(np.int64)
places[rng.random(places.shape) < 0.1] = 255
numbers = np.stack([3 * x.mean((1, 2)), 1 - x.mean((1, 2))], 1)
np.savez_compressed(here / "places.npz", images=images, targets=places)
np.savez_compressed(here / "numbers.npz", images=images, targets=numbers.astype(np.float32))

logits = np.stack([0 * x, 4 * x - 2, 10 * x - 7], -1)
named, counts = logits.argmax(-1), places != 255
iou = []
for c in range(3):
    own, said = (places == c) & counts, (named == c) & counts
    iou.append((own & said).sum() / (own | said).sum())
shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
right = np.take_along_axis(shares, np.where(counts, places, 0)[..., None], -1)[..., 0]
given = np.stack([2 * x.mean((1, 2)) + 0.25, -x.mean((1, 2))], 1)
wanted = numbers.astype(np.float32)
expected = {
    "mean_iou": np.mean(iou),
    "top1": (named == places)[counts].mean(),
    "cross_entropy": -np.log(right[counts]).mean(),
    "mse": ((given - wanted) ** 2).mean(),
    "mae": np.abs(given - wanted).mean(),
}
(here / "expected.json").write_text(json.dumps({k: float(v) for k, v in expected.items()}, indent=2) + "\n")
