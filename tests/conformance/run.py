#!/usr/bin/env python3
"""Checks the built command line against the reference material in ../shared: models, golden numbers, an independent oracle.

    python3 tests/conformance/run.py [--lopper PATH] [--shared DIR] [--only WORD,...]

Runs every check of every check_*.py beside this file whose name holds one of the words. The Python packages go into a
virtual environment in the cache folder, the unpacked models and the images beside it. The last line is "N passed, N failed".
A check module has `def checks(ctx)`, which yields (name, callable); a callable that raises has failed, and what it returns,
if anything, is printed beside its name.
"""
import argparse
import dataclasses
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lopper"
# Which tests ONNX has depends on its version.
PACKAGES = ["numpy", "onnx==1.23.2", "onnxruntime", "pillow"]


@dataclasses.dataclass
class Context:
    """Where a check finds what it needs."""

    lopper: Path  # the command line under test
    shared: Path  # ../shared: oracle, golden, zoo
    zoo: Path  # the zoo's complete models, NAME.onnx
    cifar: Path  # train.npz, val.npz, test.npz, sample.zip
    scratch: Path  # an empty folder of this run

    def run(self, *args, code=0, timeout=900):
        """Runs `lopper ARGS` and returns its result; any other exit status than `code` (None: any) is a failure."""
        result = subprocess.run([self.lopper, *map(str, args)], capture_output=True, text=True, timeout=timeout)
        if code is not None and result.returncode != code:
            last = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
            raise AssertionError(f"lopper {args[0]}: exit {result.returncode}, expected {code}: {' '.join(last)[:400]}")
        return result


def environment():
    """The interpreter of a virtual environment that has PACKAGES."""
    place = CACHE / "venv"
    python, stamp = place / "bin" / "python", place / "packages"
    wanted = "\n".join([sys.version, *PACKAGES])
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing Python packages:", *PACKAGES, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        stamp.write_text(wanted)
    return python


def unpacked(shared):
    """The zoo's complete models, restored once per version of its manifest."""
    place = CACHE / "zoo"
    stamp, manifest = place / "manifest.json", (shared / "zoo" / "manifest.json").read_bytes()
    if not stamp.exists() or stamp.read_bytes() != manifest:
        subprocess.run([sys.executable, shared / "zoo" / "unpack.py", place], check=True, stdout=subprocess.DEVNULL)
        stamp.write_bytes(manifest)
    return place


def images(shared):
    place = CACHE / "cifar"
    if not (place / "sample.zip").exists():
        subprocess.run([sys.executable, shared / "data" / "cifar10.py", place, "--zip", "20"], check=True, stdout=subprocess.DEVNULL)
    return place


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def attempt(check):
    """(passed, what to print): a refused assertion needs no stack, anything else does."""
    try:
        return True, check() or ""
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return False, str(error) or "assertion without a message"
    except Exception:
        return False, traceback.format_exc().rstrip()


def run(ctx, words):
    passed = failed = 0
    for path in sorted(HERE.glob("check_*.py")):
        found = False

        def named(module_path=path):
            try:
                yield from load(module_path).checks(ctx)
            except Exception:
                stack = traceback.format_exc().rstrip()

                def broken():
                    raise AssertionError(f"the module itself broke: {stack}")

                yield module_path.stem, broken

        for name, check in named():
            if words and not any(word in f"{path.stem} {name}" for word in words):
                continue
            found, start = True, time.monotonic()
            good, said = attempt(check)
            passed, failed = passed + good, failed + (not good)
            first, *rest = str(said).splitlines() or [""]
            print(f"{'ok  ' if good else 'FAIL'} {path.stem[6:]}: {name} {time.monotonic() - start:.2f}s  {first}".rstrip(), flush=True)
            for line in rest:
                print("     ", line, flush=True)
        if not found and not words:
            failed += 1
            print(f"FAIL {path.stem[6:]}: no check in this module", flush=True)
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lopper", type=Path, default=ROOT / "target" / "release" / "lopper")
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--only", default="", help="words, separated by commas")
    args = parser.parse_args()
    if not args.shared.is_dir():
        print(f"SKIPPED: {args.shared} is missing, so NO conformance check was run")
        return 0
    python = environment()
    if Path(sys.prefix) != CACHE / "venv":
        os.execv(python, [python, __file__, *sys.argv[1:]])
    if not args.lopper.is_file():
        print(f"{args.lopper} is missing: cargo build --release -p lopper-cli")
        print("0 passed, 1 failed")
        return 1
    shared = args.shared.resolve()
    with tempfile.TemporaryDirectory(prefix="lopper-") as scratch:
        ctx = Context(args.lopper.resolve(), shared, unpacked(shared), images(shared), Path(scratch))
        passed, failed = run(ctx, [word for word in args.only.split(",") if word])
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
