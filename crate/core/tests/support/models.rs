//! Small valid models, one for each part of the theory.

use super::build::{Net, body, float, info, int, ints, node, tensor, text};
use lopper_core::onnx::proto::GraphProto;
use lopper_core::onnx::{Tensor, tensor_proto};

/// Every valid model with its name.
pub fn valid() -> Vec<(&'static str, Net)> {
    vec![
        ("residual", residual()),
        ("reshapes", reshapes()),
        ("parts", parts()),
        ("grouped", grouped()),
        ("attention", attention()),
        ("recurrent", recurrent()),
        ("branch", branch()),
        ("decoder", decoder()),
    ]
}

fn norm(net: Net, name: &str, n: usize) -> Net {
    ["scale", "bias", "mean", "var"].iter().fold(net, |net, part| net.weight(&format!("{name}.{part}"), &[n]))
}

fn residual() -> Net {
    let net = Net::new()
        .input("x", &[-1, 3, 8, 8])
        .weight("w0", &[8, 3, 3, 3])
        .weight("w1", &[8, 8, 3, 3])
        .weight("w2", &[8, 8, 3, 3]);
    let net = norm(net.weight("b2", &[8]).weight("fc", &[5, 8]).weight("fb", &[5]), "bn", 8);
    net.node("Conv", "x w0", "c0", &[ints("pads", &[1, 1, 1, 1])])
        .node("BatchNormalization", "c0 bn.scale bn.bias bn.mean bn.var", "n0", &[float("epsilon", 1e-5)])
        .node("Relu", "n0", "r0", &[])
        .node("Conv", "r0 w1", "c1", &[ints("pads", &[1, 1, 1, 1]), ints("kernel_shape", &[3, 3])])
        .node("Relu", "c1", "r1", &[])
        .node("Conv", "r1 w2 b2", "c2", &[ints("pads", &[1, 1, 1, 1]), ints("dilations", &[1, 1])])
        .node("Add", "c2 r0", "a", &[])
        .node("MaxPool", "a", "p", &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .node("GlobalAveragePool", "p", "g", &[])
        .node("Flatten", "g", "f", &[int("axis", 1)])
        .node("Gemm", "f fc fb", "y", &[int("transB", 1), float("alpha", 1.0)])
        .output("y")
}

fn reshapes() -> Net {
    Net::new()
        .input("x", &[-1, 3, 4, 4])
        .weight("w0", &[8, 3, 1, 1])
        .weight("w1", &[4, 128])
        .weight("w2", &[6, 4])
        .ints("zero", &[0])
        .ints("rest", &[-1])
        .ints("two", &[2])
        .node("Conv", "x w0", "c", &[])
        .node("Shape", "c", "s", &[])
        .node("Gather", "s zero", "n", &[int("axis", 0)])
        .node("Mul", "n two", "n2", &[])
        .node("Div", "n2 two", "n1", &[])
        .node("Concat", "n1 rest", "target", &[int("axis", 0)])
        .node("Transpose", "c", "t", &[ints("perm", &[0, 2, 3, 1])])
        .node("Transpose", "t", "u", &[ints("perm", &[0, 3, 1, 2])])
        .node("Reshape", "u target", "f", &[])
        .node("Gemm", "f w1", "h", &[int("transB", 1)])
        .node("Unsqueeze", "h two", "h3", &[])
        .node("Squeeze", "h3 two", "h2", &[])
        .node("Gemm", "h2 w2", "y", &[int("transB", 1)])
        .output("y")
}

fn parts() -> Net {
    Net::new()
        .input("x", &[1, 3, 6, 6])
        .weight("w0", &[8, 3, 1, 1])
        .weight("w1", &[6, 3, 1, 1])
        .weight("w2", &[4, 14, 1, 1])
        .ints("sizes", &[6, 8])
        .ints("starts", &[1])
        .ints("ends", &[7])
        .ints("axes", &[1])
        .ints("steps", &[1])
        .ints("pads", &[0, 1, 0, 0, 0, 1, 0, 0])
        .node("Conv", "x w0", "a", &[])
        .node("Conv", "x w1", "b", &[])
        .node("Concat", "a b", "ab", &[int("axis", 1)])
        .node("Split", "ab sizes", "p q", &[int("axis", 1)])
        .node("Slice", "q starts ends axes steps", "r", &[])
        .node("Pad", "r pads", "t", &[text("mode", "constant")])
        .node("Concat", "p t", "pt", &[int("axis", 1)])
        .node("Conv", "pt w2", "y", &[])
        .output("y")
}

fn grouped() -> Net {
    Net::new()
        .input("x", &[-1, 4, 5, 5])
        .weight("w0", &[8, 4, 1, 1])
        .weight("wd", &[8, 1, 3, 3])
        .weight("wg", &[12, 4, 1, 1])
        .weight("w1", &[3, 12, 1, 1])
        .node("Conv", "x w0", "a", &[])
        .node("Conv", "a wd", "d", &[int("group", 8), ints("pads", &[1, 1, 1, 1])])
        .node("Conv", "d wg", "g", &[int("group", 2)])
        .node("Sigmoid", "g", "s", &[])
        .node("Mul", "g s", "m", &[])
        .node("Conv", "m w1", "y", &[])
        .output("y")
}

fn attention() -> Net {
    let net = ["q", "k", "v", "o"]
        .iter()
        .fold(Net::new().input("x", &[-1, -2, 8]), |net, n| net.weight(&format!("w{n}"), &[8, 8]));
    let net = net.weight("ls", &[8]).weight("lb", &[8]).ints("heads", &[0, 0, 2, 4]).ints("flat", &[0, 0, -1]);
    let net = net.node("LayerNormalization", "x ls lb", "n", &[int("axis", -1)]);
    let net = ["q", "k", "v"].iter().fold(net, |net, n| {
        net.node("MatMul", &format!("n w{n}"), n, &[])
            .node("Reshape", &format!("{n} heads"), &format!("{n}h"), &[])
            .node(
                "Transpose",
                &format!("{n}h"),
                &format!("{n}t"),
                &[ints("perm", if *n == "k" { &[0, 2, 3, 1] } else { &[0, 2, 1, 3] })],
            )
    });
    net.node("MatMul", "qt kt", "scores", &[])
        .node("Softmax", "scores", "p", &[int("axis", -1)])
        .node("MatMul", "p vt", "z", &[])
        .node("Transpose", "z", "zt", &[ints("perm", &[0, 2, 1, 3])])
        .node("Reshape", "zt flat", "zf", &[])
        .node("MatMul", "zf wo", "o", &[])
        .node("Add", "o x", "y", &[])
        .output("y")
}

fn recurrent() -> Net {
    Net::new()
        .input("x", &[7, -1, 5])
        .weight("wl", &[1, 16, 5])
        .weight("rl", &[1, 16, 4])
        .weight("bl", &[1, 32])
        .weight("wg", &[2, 9, 4])
        .weight("rg", &[2, 9, 3])
        .weight("fc", &[6, 2])
        .ints("one", &[1])
        .ints("flat", &[0, 0, -1])
        .node("LSTM", "x wl rl bl", "l", &[int("hidden_size", 4)])
        .node("Squeeze", "l one", "ls", &[])
        .node("GRU", "ls wg rg", "g", &[int("hidden_size", 3), text("direction", "bidirectional")])
        .node("Transpose", "g", "gt", &[ints("perm", &[0, 2, 1, 3])])
        .node("Reshape", "gt flat", "gf", &[])
        .node("MatMul", "gf fc", "y", &[])
        .output("y")
}

fn branch() -> Net {
    let arm = |op: &str| GraphProto {
        name: Some(op.to_owned()),
        node: vec![node(op, "a", "out", &[])],
        output: vec![info("out", &[])],
        ..GraphProto::default()
    };
    Net::new()
        .input("x", &[1, 3, 4, 4])
        .weight("w0", &[6, 3, 1, 1])
        .weight("w1", &[4, 6, 1, 1])
        .weight("w2", &[4, 4, 1, 1])
        .node("Constant", "", "c", &[tensor("value", tensor_proto(&Tensor::from_i64("", vec![], &[1])))])
        .node("Cast", "c", "flag", &[int("to", 9)])
        .node("Conv", "x w0", "h", &[])
        .node("Conv", "h w1", "a", &[])
        .node("If", "flag", "b", &[body("then_branch", arm("Relu")), body("else_branch", arm("Neg"))])
        .node("Conv", "a w2", "y", &[])
        .output("y")
        .output("b")
}

fn decoder() -> Net {
    let scales = tensor_proto(&Tensor::from_f32("scales", vec![4], &[1.0, 1.0, 2.0, 2.0]));
    Net::new()
        .input("x", &[-1, 4, 6, 6])
        .weight("w0", &[8, 4, 3, 3])
        .weight("wt", &[8, 6, 2, 2])
        .weight("ws", &[1, 6, 1, 1])
        .weight("w1", &[2, 6, 1, 1])
        .tensor(scales)
        .ints("shape", &[1, 6, 1, 1])
        .node("Conv", "x w0", "c", &[text("auto_pad", "SAME_UPPER"), ints("strides", &[2, 2])])
        .node("AveragePool", "c", "p", &[ints("kernel_shape", &[2, 2]), int("ceil_mode", 1)])
        .node("ConvTranspose", "p wt", "t", &[ints("strides", &[2, 2]), ints("output_padding", &[0, 0])])
        .node("Resize", "t - scales", "r", &[text("mode", "nearest")])
        .node("ReduceMean", "r", "m", &[ints("axes", &[2, 3]), int("keepdims", 1)])
        .node("Div", "r m", "d", &[])
        .node(
            "ConstantOfShape",
            "shape",
            "ones",
            &[tensor("value", tensor_proto(&Tensor::from_f32("", vec![1], &[1.0])))],
        )
        .node("Expand", "ws shape", "e", &[])
        .node("Mul", "d e", "k", &[])
        .node("Add", "k ones", "l", &[])
        .node("Clip", "l", "q", &[])
        .node("Conv", "q w1", "y", &[])
        .output("y")
}
