"""What the benches share: the binary, a virtual environment with the peers, the zoo, and medians."""
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lopper"
LOPPER = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "release" / "lopper"
PACKAGES = ["numpy", "onnx", "onnxruntime", "torch", "torchvision", "torch-pruning==1.6.0"]


def enter():
    """Runs the calling script again in a virtual environment that has PACKAGES."""
    place = CACHE / "bench-venv"
    python, stamp = place / "bin" / "python", place / "packages"
    if Path(sys.prefix) == place:
        return
    if not stamp.exists() or stamp.read_text() != "\n".join(PACKAGES):
        print("Installing peers:", *PACKAGES, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        stamp.write_text("\n".join(PACKAGES))
    os.execv(python, [str(python), *sys.argv])


def built():
    """Builds the binary."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "lopper-cli"], cwd=ROOT, check=True)


def lopper(*args):
    """What the binary says in JSON."""
    done = subprocess.run([LOPPER, *map(str, args), "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def shared():
    place = ROOT.parent / "shared"
    if not place.is_dir():
        sys.exit("../shared is missing: the models of this bench are there")
    return place


def zoo():
    """The folder of the zoo's complete models."""
    place = CACHE / "zoo"
    if not (place / "resnet18.onnx").exists():
        subprocess.run([sys.executable, shared() / "zoo" / "unpack.py", place], check=True, stdout=subprocess.DEVNULL)
    return place


def median_ms(run, runs=15, warm=3):
    """Median, least and most milliseconds of a call."""
    times = []
    for i in range(warm + runs):
        start = time.perf_counter()
        run()
        if i >= warm:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times), min(times), max(times)


def row(name, what, figure):
    print(f"{name:28s} {what:44s} {figure}", flush=True)
