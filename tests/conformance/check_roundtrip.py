"""Every file comes back from `lopper copy` with no field changed, whatever encoding its tensors have."""
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Field 500, a number, which no message of ONNX has.
UNKNOWN = bytes([0xA0, 0x1F, 0x07])


def differences(a, b, path, out):
    """Appends the paths at which two messages differ."""
    if len(out) >= 5:
        return
    names = {field.name for field, _ in a.ListFields()} | {field.name for field, _ in b.ListFields()}
    for name in sorted(names):
        here, field = f"{path}.{name}", a.DESCRIPTOR.fields_by_name[name]
        one, two = getattr(a, name), getattr(b, name)
        if field.is_repeated:
            if len(one) != len(two):
                out.append(f"{here}: {len(one)} entries became {len(two)}")
            elif field.message_type:
                for i, (x, y) in enumerate(zip(one, two)):
                    differences(x, y, f"{here}[{i}]", out)
            elif np.array(one).tobytes() != np.array(two).tobytes() or list(map(repr, one)) != list(map(repr, two)):
                out.append(f"{here}: other elements")
        elif a.HasField(name) != b.HasField(name):
            out.append(f"{here}: was {'set' if a.HasField(name) else 'not set'}")
        elif field.message_type:
            differences(one, two, here, out)
        elif repr(one) != repr(two):
            out.append(f"{here}: {str(one)[:60]!r} became {str(two)[:60]!r}")


def compare(before, after):
    a, b = onnx.ModelProto.FromString(before), onnx.ModelProto.FromString(after)
    out = []
    differences(a, b, "model", out)
    assert not out, "\n".join(out)
    # The walk does not see unknown fields; the serialisation does.
    same = a.SerializeToString(deterministic=True) == b.SerializeToString(deterministic=True)
    assert same, "unknown fields were lost or moved"
    return "the same bytes" if before == after else f"{len(before)} -> {len(after)} bytes"


def copied(ctx, path):
    out = ctx.scratch / f"copy-{path.name}"
    ctx.run("copy", path, out)
    after = out.read_bytes()
    out.unlink()
    return after


def file(ctx, path):
    return compare(path.read_bytes(), copied(ctx, path))


def made(ctx, name, model):
    path = ctx.scratch / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return file(ctx, path)


def network(tensors):
    """A model that reads all tensors, so that nothing about them is odd but their encoding."""
    nodes = [helper.make_node("Identity", [t.name], [f"{t.name}.out"], name=f"read {t.name}") for t in tensors]
    outputs = [helper.make_tensor_value_info(f"{t.name}.out", t.data_type, list(t.dims)) for t in tensors]
    graph = helper.make_graph(nodes, "network", [], outputs, initializer=tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def encodings(raw):
    """One tensor of every type that ONNX had first, in its typed field or as raw bytes."""
    random = np.random.default_rng(1)
    kinds = {"FLOAT": "f4", "DOUBLE": "f8", "FLOAT16": "f2", "INT64": "i8", "INT32": "i4", "INT16": "i2", "INT8": "i1",
             "UINT64": "u8", "UINT32": "u4", "UINT16": "u2", "UINT8": "u1", "BOOL": "?"}
    tensors = []
    for name, kind in kinds.items():
        values = random.integers(0, 100, (3, 4)).astype(kind)
        if kind[0] == "f":
            values = random.standard_normal((3, 4)).astype(kind)
            values[0] = [np.nan, np.inf, -0.0, 0.0]
        data = values.tobytes() if raw else values.flatten()
        tensors.append(helper.make_tensor(name.lower(), getattr(TensorProto, name), values.shape, data, raw=raw))
    if not raw:
        tensors.append(helper.make_tensor("string", TensorProto.STRING, [2], [b"one", "zwölf".encode()]))
    tensors.append(helper.make_tensor("scalar", TensorProto.FLOAT, [], [1.5]))
    tensors.append(helper.make_tensor("empty", TensorProto.INT64, [0], []))
    return network(tensors)


def annotated():
    """Everything that is not the function: documents, metadata, functions, fields of a later ONNX."""
    model = encodings(True)
    model.doc_string, model.producer_name, model.producer_version, model.domain, model.model_version = "model", "someone", "1.2", "org.x", 7
    helper.set_model_props(model, {"key": "value", "empty": ""})
    graph = model.graph
    graph.doc_string = "graph"
    graph.node[0].doc_string, graph.initializer[0].doc_string, graph.output[0].doc_string = "node", "tensor", "value"
    graph.metadata_props.add(key="graph", value="1")
    graph.node[1].metadata_props.add(key="node", value="2")
    graph.quantization_annotation.add(tensor_name="float").quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="scalar")
    graph.value_info.append(helper.make_tensor_value_info("float.out", TensorProto.FLOAT, ["N", 4]))
    body = helper.make_node("Relu", ["a"], ["b"])
    model.functions.append(helper.make_function("org.x", "F", ["a"], ["b"], [body], [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("org.x", 3))
    for part in (graph.node[2], graph.initializer[1], graph):
        part.MergeFromString(UNKNOWN)
    model.MergeFromString(UNKNOWN)
    return model


def external(ctx, path, together):
    """A model saved with external data comes back with the data inside and nothing else changed."""
    folder = ctx.scratch / f"external-{path.stem}-{together}"
    folder.mkdir()
    onnx.save_model(onnx.load(path), folder / path.name, save_as_external_data=True, all_tensors_to_one_file=together, size_threshold=0)
    lying = sum(1 for f in folder.iterdir() if f.suffix != ".onnx")
    assert lying, "the onnx package wrote no external data"
    after = onnx.ModelProto.FromString(copied(ctx, folder / path.name))
    want = onnx.load(folder / path.name)
    for a, b in zip(want.graph.initializer, after.graph.initializer, strict=True):
        assert b.data_location == TensorProto.DEFAULT and not b.external_data, f"{b.name} still lies outside"
        assert numpy_helper.to_array(a).tobytes() == numpy_helper.to_array(b).tobytes(), f"{a.name} changed"
        for t in (a, b):
            t.ClearField("data_location")
    out = []
    differences(want, after, "model", out)
    assert not out, "\n".join(out)
    return f"{lying} files"


def missing(ctx, path):
    """Without its data a model is refused, and so is one that reaches out of its folder."""
    folder = ctx.scratch / "missing"
    folder.mkdir()
    onnx.save_model(onnx.load(path), folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    (folder / "m.data").rename(ctx.scratch / "m.data")
    ctx.run("copy", folder / "m.onnx", folder / "out.onnx", code=3)
    (folder / "m.data").symlink_to(ctx.scratch / "m.data")
    ctx.run("copy", folder / "m.onnx", folder / "out.onnx", code=3)
    model = onnx.load(folder / "m.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../m.data" if entry.key == "location" else entry.value
    (folder / "up.onnx").write_bytes(model.SerializeToString())
    ctx.run("copy", folder / "up.onnx", folder / "out.onnx", code=3)
    assert not (folder / "out.onnx").exists(), "something was written"


def checks(ctx):
    for path in [*sorted(ctx.zoo.glob("*.onnx")), *sorted((ctx.shared / "golden").glob("*.onnx"))]:
        yield path.stem, partial(file, ctx, path)
    yield "typed fields", partial(made, ctx, "typed", encodings(False))
    yield "raw bytes", partial(made, ctx, "raw", encodings(True))
    yield "documents, metadata, functions, unknown fields", partial(made, ctx, "annotated", annotated())
    lenet = ctx.zoo / "lenet.onnx"
    yield "external data in one file", partial(external, ctx, lenet, True)
    yield "external data in many files", partial(external, ctx, lenet, False)
    yield "external data that are missing or outside", partial(missing, ctx, lenet)
