"""The models that the onnx package ships for its own tests: opened, inspected and cut. Their weights are made by ConstantOfShape
nodes; once as they are, and once with random numbers in the place of every one."""
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

NAMES = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet", "squeezenet", "vgg19", "zfnet512"]
# Their fully connected layers hold hundreds of megabytes: the file with random numbers gets narrower ones.
NARROW = {4096: 192}


def explicit(model, number=None, only=None):
    """The model with an initializer for every ConstantOfShape, or for those named in `only`; `number(name, shape, role)` gives
    other elements than the node's."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    shapes = {t.name: numpy_helper.to_array(t) for t in out.graph.initializer}
    roles = {}
    for n in out.graph.node:
        if n.op_type == "BatchNormalization":
            roles.update(zip(n.input[1:], ("scale", "bias", "mean", "variance")))
    nodes, new = [], []
    for n in out.graph.node:
        if n.op_type != "ConstantOfShape" or only is not None and n.output[0] not in only:
            nodes.append(n)
            continue
        shape = [int(d) for d in shapes[n.input[0]]]
        value = numpy_helper.to_array(n.attribute[0].t) if n.attribute else np.zeros(1, np.float32)
        array = np.full(shape, value[0]) if number is None else number(n.output[0], shape, roles.get(n.output[0]))
        new.append(numpy_helper.from_array(array, n.output[0]))
    if number is not None:
        for t in out.graph.initializer:
            array = numpy_helper.to_array(t)
            if array.dtype == np.float32:
                t.CopyFrom(numpy_helper.from_array(number(t.name, list(array.shape), roles.get(t.name)), t.name))
    del out.graph.node[:]
    out.graph.node.extend(nodes)
    out.graph.initializer.extend(new)
    out.graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in new)
    return out


def narrowed(model):
    """Shapes of weights with shorter fully connected layers. What a Reshape makes of images keeps its length."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    filled = {n.input[0] for n in out.graph.node if n.op_type == "ConstantOfShape"}
    for t in out.graph.initializer:
        if t.name in filled:
            array = numpy_helper.to_array(t)
            small = np.array([NARROW.get(int(d), int(d)) for d in array], np.int64)
            t.CopyFrom(numpy_helper.from_array(small, t.name))
    return out


def random_numbers(seed):
    rng = np.random.default_rng(seed)

    def number(name, shape, role):
        if role == "scale" or role == "variance":
            return rng.uniform(0.5, 1.5, shape).astype(np.float32)
        summed = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        return (rng.standard_normal(shape) * (2 / max(1, summed)) ** 0.5).astype(np.float32)

    return number


def prune(ctx, path):
    out, report = path.with_suffix(".cut.onnx"), path.with_suffix(".json")
    ctx.run("inspect", path)
    ctx.run("prune", path, "-o", out, "--criterion", "l1", "--ratio", "0.5", "--report", report)
    return onnx.load(out), json.loads(report.read_text())


def counted(model):
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT)


def as_it_is(ctx, check, path):
    original = onnx.load(path)
    copy = ctx.scratch / path.name
    copy.write_bytes(path.read_bytes())
    cut, report = prune(ctx, copy)
    # The oracle masks and counts initializers: those of the weights that the mask names come into the place of their nodes.
    # What else is filled with one number (biases, scales) is the same number after the cut; its slices need no mask, since
    # the weights behind are masked.
    masked = {e["initializer"] for e in report["mask"]}
    before, after = explicit(original, only=masked), explicit(cut, only=masked)
    numbers = [{n.output[0]: n.attribute[0].t.raw_data for n in m.graph.node if n.op_type == "ConstantOfShape"} for m in (original, cut)]
    assert all(numbers[0][name] == value for name, value in numbers[1].items()), "a weight is filled with another number"
    report["parameters"] = {"before": counted(before), "after": counted(after)}
    fails, figures = check(before, after, report, runs=1)
    # With one number in all weights all classes are equally likely, cut or not.
    fails = [f for f in fails if not f.startswith("the outputs are the uncut model's")]
    assert not fails, "\n".join(fails)
    assert figures["params"] < 0.65, f"{figures['params']:.3f} of the parameters left"
    return " ".join(f"{key}={value:.3g}" for key, value in figures.items())


def with_random_numbers(ctx, check, path):
    model = explicit(narrowed(onnx.load(path)), random_numbers(1))
    copy = ctx.scratch / f"random-{path.name}"
    onnx.save(model, copy)
    cut, report = prune(ctx, copy)
    fails, figures = check(model, cut, report, runs=1)
    copy.unlink()
    assert not fails, "\n".join(fails)
    assert figures["params"] < 0.65, f"{figures['params']:.3f} of the parameters left"
    return " ".join(f"{key}={value:.3g}" for key, value in figures.items())


def checks(ctx):
    sys.path.insert(0, str(ctx.shared / "oracle"))
    from equivalence import check

    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    for name in NAMES:
        path = folder / f"light_{name}.onnx"
        yield f"{name} as it is", partial(as_it_is, ctx, check, path)
        yield f"{name} with random numbers", partial(with_random_numbers, ctx, check, path)
