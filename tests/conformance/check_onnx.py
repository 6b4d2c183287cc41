"""ONNX's own operator tests: what the engine computes from each is what the test expects.

onnx_operators.txt names the tests that have to pass, one a line. onnx_not_run.txt holds the rest as `PATTERN: reason`. A test that
neither of them knows is a failure, so that a new version of the package cannot go by unnoticed, and so is one of the rest that
passes. Every test runs twice:
as it is, and with its real inputs moved to the device first, as in the middle of a network. LOPPER_GPU=webgpu (or another GPU
feature of the engine) runs the same tests on a GPU as well, without those that onnx_not_on_gpu.txt names.
"""
import fnmatch
import os
import warnings
from functools import cache, partial
from pathlib import Path

import onnx
from engine_cases import results, write

HERE = Path(__file__).resolve().parent
NAMES = HERE.parents[1] / "crate" / "engine" / "tests" / "names.txt"


def reasons(path):
    """{pattern: reason} of a list."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    return dict(line.split(": ", 1) for line in lines if line and not line.startswith("#"))


def reason(name, listed):
    return next((pattern for pattern in listed if fnmatch.fnmatchcase(name, pattern)), None)


@cache
def cases():
    """Every operator test of the package that only has tensors, by name; the others as None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = {case.name: case for case in collect_testcases(None)}
    tensors = lambda case: all(v.type.WhichOneof("value") == "tensor_type" for v in [*case.model.graph.input, *case.model.graph.output])
    return {name: case if tensors(case) else None for name, case in found.items()}


def wanted():
    return (HERE / "onnx_operators.txt").read_text().split()


def written(folder, names):
    for name in names:
        case = cases()[name]
        write(folder / name, case.model, case.data_sets, case.rtol, case.atol)
    return folder


def on_cpu(ctx):
    rest = set(cases()) - set(wanted())
    rest = {name for name in rest if cases()[name]}
    found = results(written(ctx.scratch / "onnx", [*wanted(), *rest]))
    wrong = [f"{name}: {found.get(name, 'did not run')}" for name in wanted() if found.get(name) != "ok"]
    wrong += [f"{name}: passes, and belongs into onnx_operators.txt" for name in rest if found.get(name) == "ok"]
    assert not wrong, f"{len(wrong)} of {len(found)} tests:\n" + "\n".join(wrong)
    return f"{len(wanted())} tests"


def on_gpu(ctx, features):
    left = reasons(HERE / "onnx_not_on_gpu.txt")
    names = [name for name in wanted() if not reason(name, left)]
    found = results(written(ctx.scratch / "onnx-gpu", names), features, "gpu")
    wrong = [f"{name}: {found.get(name, 'did not run')}" for name in names if found.get(name) != "ok"]
    assert not wrong, f"{len(wrong)} of {len(names)} tests:\n" + "\n".join(wrong)
    return f"{len(names)} tests"


def listed():
    rest = set(cases()) - set(wanted())
    not_run = reasons(HERE / "onnx_not_run.txt")
    gone = [name for name in wanted() if cases().get(name) is None]
    unknown = sorted(name for name in rest if not reason(name, not_run))
    empty = [pattern for pattern in not_run if not fnmatch.filter(rest, pattern)]
    operators = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    unnamed = operators - set(NAMES.read_text().split())
    assert not unnamed, f"{NAMES.name} does not hold these operators: {sorted(unnamed)}"
    assert not gone, f"these have to pass and are not there: {gone}"
    assert not unknown, f"no list knows these: {unknown}"
    assert not empty, f"no test is called like these: {empty}"
    return f"{len(wanted())} of {len(cases())} tests have to pass"


def checks(ctx):
    yield "ONNX's operator tests, all listed", listed
    yield "ONNX's operator tests on the CPU", partial(on_cpu, ctx)
    if features := os.environ.get("LOPPER_GPU"):
        yield f"ONNX's operator tests on a GPU ({features})", partial(on_gpu, ctx, features)
