#!/usr/bin/env python3
"""Puts beside each unpacked zoo model NAME.onnx its test input (NAME.input) and ONNX Runtime's answers (NAME.output0, ...).

    python zoo.py MANIFEST FOLDER            (needs numpy, onnxruntime)
"""
import json
import os
import sys

import numpy as np
import onnxruntime as ort

manifest, folder = sys.argv[1:]
for name, about in json.load(open(manifest))["models"].items():
    fed = about["inputs"][0]
    rng = np.random.default_rng(0)
    if fed["dtype"] == "float32":
        x = rng.standard_normal(fed["test_shape"], dtype=np.float32)
    else:
        x = rng.integers(fed["range"][0], fed["range"][1], fed["test_shape"])
    x.tofile(os.path.join(folder, name + ".input"))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    answers = ort.InferenceSession(os.path.join(folder, name + ".onnx"), options).run(None, {fed["name"]: x})
    for i, y in enumerate(answers):
        y.tofile(os.path.join(folder, f"{name}.output{i}"))
