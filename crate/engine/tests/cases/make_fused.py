#!/usr/bin/env python3
"""Makes fused.json: attention, rotary embedding, quantised and fused operators, each a model of one node with its inputs
and what ONNX Runtime answers. What ONNX Runtime does not run on a CPU is answered by formulas below.

    python make_fused.py            (needs numpy, onnx, onnxruntime)
"""
import numpy as np
from one_node import MS, Cases, ints

cases = Cases(seed=11, opset=23, domains=[MS], ir_version=10)
rng, floats, case = cases.rng, cases.floats, cases.case


def bytes_(*shape):
    return rng.integers(0, 256, shape).astype(np.uint8)


def signed(*shape):
    # Seven bits: without VNNI, ONNX Runtime adds two products of bytes in 16 bits and saturates.
    return rng.integers(-64, 64, shape).astype(np.int8)


# Attention of the standard operators
q3, k3, v3 = floats(2, 3, 8), floats(2, 5, 8), floats(2, 5, 12)
heads = {"q_num_heads": 2, "kv_num_heads": 2}
case("three axes", "Attention", [q3, k3, v3], **heads)
case("given scale and bound", "Attention", [q3, k3, v3], scale=0.2, softcap=0.8, **heads)
case("fewer key heads", "Attention", [q3, floats(2, 5, 4), floats(2, 5, 6)], q_num_heads=2, kv_num_heads=1)
q4, k4, v4 = floats(2, 4, 3, 4), floats(2, 2, 3, 4), floats(2, 2, 3, 6)
case("four axes", "Attention", [q4, floats(2, 4, 5, 4), floats(2, 4, 5, 6)])
case("four axes, fewer key heads, causal", "Attention", [q4, k4, v4], is_causal=1)
case("mask to add", "Attention", [q4, k4, v4, floats(3, 3)])
case("mask of every head", "Attention", [q4, k4, v4, floats(2, 4, 3, 3)])
case("mask of truth values", "Attention", [q4, k4, v4, np.tril(np.ones((3, 3), bool))])
case("cache", "Attention", [q4, k4, v4, None, floats(2, 2, 2, 4), floats(2, 2, 2, 6)], outputs=3)
case("cache, causal", "Attention", [q4, k4, v4, None, floats(2, 2, 2, 4), floats(2, 2, 2, 6)], outputs=3, is_causal=1)

# Rotary embedding
case("four axes", "RotaryEmbedding", [floats(2, 3, 4, 8), floats(6, 4), floats(6, 4), np.array([[0, 1, 2, 3], [2, 3, 4, 5]], np.int64)])
case("own tables a row", "RotaryEmbedding", [floats(2, 3, 4, 8), floats(2, 4, 4), floats(2, 4, 4)])
case("three axes, interleaved", "RotaryEmbedding", [floats(2, 4, 16), floats(2, 4, 4), floats(2, 4, 4)], num_heads=2, interleaved=1)
case("part of the dimensions", "RotaryEmbedding", [floats(1, 2, 4, 8), floats(1, 4, 2), floats(1, 4, 2)], rotary_embedding_dim=4)
at = np.array([[0, 1, 2, 3], [1, 2, 3, 4]], np.int64)
case("Microsoft's, three axes", "RotaryEmbedding", [floats(2, 4, 16), at, floats(6, 4), floats(6, 4)], domain=MS)
case("Microsoft's, first position, interleaved", "RotaryEmbedding", [floats(2, 3, 4, 8), ints(1), floats(6, 4), floats(6, 4)], domain=MS, interleaved=1)

# Attentions of com.microsoft
case("apart", "MultiHeadAttention", [q3, k3, v3], domain=MS, num_heads=2)
case("bias and scale", "MultiHeadAttention", [q3, k3, v3, floats(28)], domain=MS, num_heads=2, scale=0.3)
case("mask by key", "MultiHeadAttention", [q3, k3, v3, None, np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)], domain=MS, num_heads=2)
case("bias of the scores", "MultiHeadAttention", [q3, k3, v3, None, None, floats(1, 2, 3, 5)], domain=MS, num_heads=2)


def packed_heads(x):
    q, k, v = (x[:, :, :, i].transpose(0, 2, 1, 3).astype(np.float64) for i in range(3))
    p = np.exp(q @ k.transpose(0, 1, 3, 2) / np.sqrt(x.shape[-1]))
    y = (p / p.sum(-1, keepdims=True)) @ v
    return [y.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[1], -1).astype(np.float32)]


case("packed", "MultiHeadAttention", [floats(2, 3, 2, 3, 4)], domain=MS, formula=packed_heads, num_heads=2)
case("cross, keys of four axes", "MultiHeadAttention", [q3, floats(2, 2, 5, 4), floats(2, 2, 5, 4)], domain=MS, num_heads=2)
case("packed weights", "Attention", [floats(2, 3, 6), floats(6, 24), floats(24)], domain=MS, constants=(1, 2), num_heads=2)
case("widths of their own", "Attention", [floats(2, 3, 6), floats(6, 28), floats(28)], domain=MS, constants=(1, 2), num_heads=2, qkv_hidden_sizes=[8, 8, 12])
case("causal, lengths", "Attention", [floats(2, 3, 6), floats(6, 24), floats(24), np.array([2, 3], np.int32)], domain=MS, constants=(1, 2), num_heads=2, unidirectional=1, scale=0.4)
length, total = np.array([4, 4], np.int32), np.int32(5)
case("prompt", "GroupQueryAttention", [floats(2, 5, 32), floats(2, 5, 16), floats(2, 5, 16), None, None, length, total], domain=MS, outputs=3, num_heads=4, kv_num_heads=2)
case("packed with rotary tables", "GroupQueryAttention", [floats(2, 5, 128), None, None, None, None, length, total, floats(9, 8), floats(9, 8)], domain=MS, outputs=3, num_heads=4, kv_num_heads=2, do_rotary=1, scale=0.1)

# Fused normalisations and activations
x, s, g, b = floats(2, 3, 4), floats(2, 3, 4), floats(4), floats(4)
case("plain", "SkipLayerNormalization", [x, s, g, b], domain=MS, epsilon=1e-5)
case("bias and sum", "SkipLayerNormalization", [x, s, g, b, floats(4)], domain=MS, outputs=["y0", "", "", "y3"], epsilon=1e-5)
case("plain", "SkipSimplifiedLayerNormalization", [x, s, g], domain=MS, outputs=["y0", "", "", "y3"], epsilon=1e-5)
words = [np.array([[1, 4, 0], [2, 2, 3]], np.int32), np.array([[0, 0, 1], [1, 0, 1]], np.int32), floats(6, 4), floats(5, 4), floats(2, 4), g, b]
case("segments", "EmbedLayerNormalization", words, domain=MS, outputs=2, epsilon=1e-5)
case("plain", "Gelu", [x], domain=MS)
case("bias", "BiasGelu", [x, g], domain=MS)
case("bias", "FastGelu", [x, g], domain=MS)
case("plain", "QuickGelu", [x], domain=MS)
case("both turned", "FusedMatMul", [floats(2, 4, 3), floats(2, 5, 4)], domain=MS, transA=1, transB=1, alpha=0.5)
case("activation", "FusedGemm", [floats(3, 4), floats(5, 4), floats(5)], domain=MS, transB=1, activation="LeakyRelu", activation_alpha=0.2)
case("activation", "FusedConv", [floats(1, 3, 5, 5), floats(4, 3, 3, 3), floats(4)], domain=MS, pads=[1, 1, 1, 1], activation="Relu")
case("sum and activation", "FusedConv", [floats(1, 3, 5, 5), floats(4, 3, 3, 3), floats(4), floats(1, 4, 5, 5)], domain=MS, pads=[1, 1, 1, 1], activation="Relu")
erf = np.vectorize(__import__("math").erf)


def split_gelu(x, bias):
    a, b = np.split(x + bias, 2, -1)
    return [(a * (b * 0.5 * (1 + erf(b / np.sqrt(2))))).astype(np.float32)]


def group_norm(x, g, b):
    n, h, w, c = x.shape
    y = x.astype(np.float64).reshape(n, h * w, 2, c // 2)
    y = (y - y.mean((1, 3), keepdims=True)) / np.sqrt(y.var((1, 3), keepdims=True) + 1e-5)
    y = y.reshape(x.shape) * g + b
    return [(y / (1 + np.exp(-y))).astype(np.float32)]


case("halves", "BiasSplitGelu", [floats(2, 3, 8), floats(8)], domain=MS, formula=split_gelu)
case("channels last with activation", "GroupNorm", [floats(2, 3, 3, 4), g, b], domain=MS, formula=group_norm, groups=2, activation=1, epsilon=1e-5)

# Quantised numbers
x = floats(2, 4, 3)
case("one scale", "QuantizeLinear", [x, np.float32(0.013), np.uint8(120)], opset=17)
case("no zero point", "QuantizeLinear", [np.abs(x), np.float32(0.03)], opset=17)
case("one scale a channel", "QuantizeLinear", [x, np.abs(floats(4)) / 50 + np.float32(0.01), signed(4)], opset=17, axis=1)
case("one scale", "DequantizeLinear", [bytes_(2, 4, 3), np.float32(0.05), np.uint8(99)], opset=17)
case("one scale a channel", "DequantizeLinear", [signed(2, 4, 3), np.abs(floats(4)), signed(4)], opset=17, axis=1)
case("sums", "DequantizeLinear", [rng.integers(-999, 999, (2, 3)).astype(np.int32), np.float32(0.01)], opset=17)
case("blocks", "DequantizeLinear", [signed(3, 8), np.abs(floats(3, 2)), signed(3, 2)], opset=21, axis=1, block_size=4)
case("blocks", "QuantizeLinear", [floats(8, 3), np.abs(floats(4, 3)) / 20 + np.float32(0.01), signed(4, 3)], opset=21, axis=0, block_size=2)
case("plain", "DynamicQuantizeLinear", [x], opset=17, outputs=3)
case("only positive", "DynamicQuantizeLinear", [np.abs(x) + 1], opset=17, outputs=3)
case("zero points", "ConvInteger", [bytes_(1, 3, 5, 5), bytes_(4, 3, 3, 3), np.uint8(120), np.uint8(7)], opset=17, pads=[1, 1, 1, 1])
case("zero points", "MatMulInteger", [bytes_(3, 4), signed(4, 5), np.uint8(100), np.int8(3)], opset=17, constants=(1, 3))
case("a zero point a column", "MatMulInteger", [bytes_(2, 3, 4), signed(4, 5), np.uint8(100), signed(5)], opset=17, constants=(1, 3))
xs, xz, ys, yz = np.float32(0.02), np.uint8(110), np.float32(0.7), np.uint8(130)
ws = np.abs(floats(4)) / 10 + np.float32(0.01)
case("a scale a filter and bias", "QLinearConv", [bytes_(1, 3, 5, 5), xs, xz, signed(4, 3, 3, 3), ws, np.zeros(4, np.int8), ys, yz, rng.integers(-99, 99, 4).astype(np.int32)], opset=17, constants=(1, 2, 3, 4, 5, 6, 7, 8), pads=[1, 1, 1, 1])
case("groups", "QLinearConv", [bytes_(1, 4, 5, 5), xs, xz, signed(4, 2, 3, 3), np.float32(0.03), np.int8(2), ys, yz], opset=17, constants=(1, 2, 3, 4, 5, 6, 7), group=2)
case("one scale", "QLinearMatMul", [bytes_(3, 4), xs, xz, bytes_(4, 5), np.float32(0.03), np.uint8(9), ys, yz], opset=17)
case("a scale a column", "QLinearMatMul", [bytes_(3, 4), xs, xz, signed(4, 4), ws, np.zeros(4, np.int8), ys, yz], opset=17, constants=(1, 2, 3, 4, 5, 6, 7))
bias = rng.integers(-99, 99, 4).astype(np.int32)
case("quantised", "QGemm", [bytes_(3, 6), xs, xz, signed(4, 6), ws, np.zeros(4, np.int8), bias, ys, yz], opset=17, domain=MS, constants=(1, 2, 3, 4, 5, 6, 7, 8), transB=1)
case("real", "QGemm", [bytes_(3, 6), xs, xz, signed(6, 4), np.float32(0.03), np.int8(0), bias], opset=17, domain=MS, constants=(1, 2, 3, 4, 5, 6), alpha=0.5)
case("plain", "QLinearAdd", [bytes_(2, 3), xs, xz, bytes_(2, 3), ys / 20, yz, xs * 2, xz], opset=17, domain=MS, constants=(1, 2, 4, 5, 6, 7))
case("plain", "QLinearMul", [bytes_(2, 3), xs, xz, bytes_(2, 3), ys / 20, yz, xs * 2, xz], opset=17, domain=MS, constants=(1, 2, 4, 5, 6, 7))
case("plain", "QLinearLeakyRelu", [bytes_(2, 3), xs, xz, xs * 2, xz], opset=17, domain=MS, constants=(1, 2, 3, 4), alpha=0.2)
case("plain", "QLinearSigmoid", [bytes_(2, 3), xs, xz, np.float32(1 / 256), np.uint8(0)], opset=17, domain=MS, constants=(1, 2, 3, 4))
case("plain", "QLinearGlobalAveragePool", [bytes_(1, 2, 3, 3), xs, xz, xs, xz], opset=17, domain=MS, constants=(1, 2, 3, 4))
case("two parts", "QLinearConcat", [xs, xz, bytes_(2, 2), xs * 2, xz, bytes_(2, 3), xs, yz], opset=17, domain=MS, constants=(0, 1, 3, 4, 6, 7), axis=1)
case("bias", "DynamicQuantizeMatMul", [floats(3, 6), signed(6, 4), ws, np.zeros(4, np.int8), floats(4)], opset=17, domain=MS, constants=(1, 2, 3, 4))
case("bias", "MatMulIntegerToFloat", [bytes_(3, 6), signed(6, 4), xs, ws, xz, np.zeros(4, np.int8), floats(4)], opset=17, domain=MS, constants=(1, 2, 3, 4, 5, 6))

mask = np.array([[1, 1, 1, 0], [1, 1, 1, 1]], np.int32)
qkv = [bytes_(2, 4, 6), signed(6, 24), floats(24), xs, np.float32(0.03), mask, xz, np.int8(0)]
case("packed weights, mask by key", "QAttention", qkv, opset=17, domain=MS, constants=(1, 2, 3, 4, 6, 7), num_heads=2)
case("two matrices", "Inverse", [floats(2, 3, 3)], opset=17, domain=MS)

cases.write("fused.json")
