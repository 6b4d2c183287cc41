//! Malformed and hostile files, each with the code that it must give.

use super::build::{Net, body, float, info, int, ints, node, tensor, text};
use lopper_core::Code;
use lopper_core::onnx::proto::{GraphProto, StringStringEntryProto, TensorProto};
use lopper_core::onnx::{DataType, Tensor, tensor_proto};

/// A file and the code of the first error that the chain meets.
pub struct Case {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    pub code: Code,
}

fn case(name: &'static str, code: Code, bytes: impl Into<Vec<u8>>) -> Case {
    Case { name, bytes: bytes.into(), code }
}

fn net(name: &'static str, code: Code, net: Net) -> Case {
    case(name, code, net.bytes())
}

pub fn all() -> Vec<Case> {
    [wire(), structure(), names(), tensors(), external(), attributes(), shapes(), operators()]
        .into_iter()
        .flatten()
        .collect()
}

/// `x` [1, 3, 8, 8] through one convolution; what a case changes comes before or after.
fn conv(weight: &[usize], attributes: &[lopper_core::onnx::proto::AttributeProto]) -> Net {
    Net::new().input("x", &[1, 3, 8, 8]).weight("w", weight).node("Conv", "x w", "y", attributes).output("y")
}

/// One node over a float input `x` and an int64 list `i`.
fn one(
    op: &str,
    inputs: &str,
    dims: &[i64],
    list: &[i64],
    attributes: &[lopper_core::onnx::proto::AttributeProto],
) -> Net {
    Net::new().input("x", dims).ints("i", list).node(op, inputs, "y", attributes).output("y")
}

/// A field of wire type 2 with whatever length is claimed.
fn field(number: u8, claimed: u64, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut rest = claimed;
    while rest > 127 {
        out.push(rest as u8 | 128);
        rest >>= 7;
    }
    out.push(rest as u8);
    out.extend_from_slice(content);
    out
}

fn wrapped(number: u8, content: &[u8]) -> Vec<u8> {
    field(number, content.len() as u64, content)
}

/// Graphs within attributes of nodes of graphs.
fn nested(depth: usize) -> Vec<u8> {
    let graph = (0..depth).fold(wrapped(2, b"g"), |graph, _| wrapped(1, &wrapped(5, &wrapped(6, &graph))));
    [vec![8, 8], wrapped(7, &graph), wrapped(8, &[16, 17])].concat()
}

fn wire() -> Vec<Case> {
    let valid = conv(&[4, 3, 3, 3], &[]).bytes();
    let cut = |n: usize| valid[..n].to_vec();
    vec![
        case("empty file", Code::Truncated, []),
        case("only the first byte", Code::Truncated, cut(1)),
        case("cut within the graph", Code::Truncated, cut(valid.len() / 2)),
        case("cut a byte before the end", Code::Truncated, cut(valid.len() - 1)),
        case("cut before the graph", Code::NoGraph, cut(2)),
        case("zeros", Code::NotOnnx, vec![0; 64]),
        case("a picture", Code::NotOnnx, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        case("a zip", Code::NotOnnx, b"PK\x03\x04\x14\0\0\0\x08\0".to_vec()),
        case("text", Code::NotOnnx, b"{\"model\": 1}".to_vec()),
        case("a wire type that does not exist", Code::NotOnnx, vec![8, 8, 0x3f, 1]),
        case("a number of eleven bytes", Code::NotOnnx, [vec![8], vec![0xff; 10], vec![1]].concat()),
        case("a length beyond the end", Code::Truncated, field(7, 1 << 30, b"\x12\x01g")),
        case("a negative length", Code::TooLarge, field(7, u64::MAX, b"\x12\x01g")),
        case("a name that is no text", Code::NotOnnx, wrapped(7, &wrapped(2, &[0xff, 0xfe]))),
        case("a graph that is a number", Code::NotOnnx, vec![8, 8, 7 << 3, 1]),
        case("an end of group without a start", Code::NotOnnx, vec![8, 8, 7 << 3 | 4]),
        case("groups within groups", Code::TooDeep, [vec![8, 8], vec![9 << 3 | 3; 4000]].concat()),
        case("bodies 30 deep", Code::TooDeep, nested(30)),
        case("bodies 20,000 deep", Code::TooDeep, nested(20_000)),
        case("a million unknown fields", Code::TooLarge, [vec![8, 8], [0x78, 1].repeat(1_000_000)].concat()),
        case("millions of empty nodes", Code::TooLarge, [vec![8, 8], wrapped(7, &[10, 0].repeat(6_000_000))].concat()),
    ]
}

fn structure() -> Vec<Case> {
    let mut no_opset = conv(&[4, 3, 3, 3], &[]);
    no_opset.proto.opset_import.clear();
    let mut other_opset = conv(&[4, 3, 3, 3], &[]);
    other_opset.proto.opset_import[0].domain = Some("ai.onnx.ml".to_owned());
    let mut nothing = conv(&[4, 3, 3, 3], &[]);
    nothing.proto.opset_import.clear();
    nothing.proto.ir_version = None;
    vec![
        net("neither IR version nor operator set", Code::NotOnnx, nothing),
        net("no operator set", Code::NoOpset, no_opset),
        net("only another domain's operator set", Code::NoOpset, other_opset),
        net("operator set 6", Code::OldOpset, conv(&[4, 3, 3, 3], &[]).opset(6)),
        net("a negative operator set", Code::OldOpset, conv(&[4, 3, 3, 3], &[]).opset(i64::MIN)),
        net("no nodes", Code::NoGraph, Net::new().input("x", &[1]).output("x")),
        net("nothing but weights", Code::NoGraph, Net::new().weight("w", &[3])),
    ]
}

fn names() -> Vec<Case> {
    let start = || Net::new().input("x", &[1, 3, 4, 4]);
    let inner =
        GraphProto { node: vec![node("Relu", "b", "c", &[])], output: vec![info("c", &[])], ..GraphProto::default() };
    vec![
        net("an input that nothing defines", Code::DanglingName, start().node("Relu", "z", "y", &[]).output("y")),
        net("an output that nothing defines", Code::DanglingName, start().node("Relu", "x", "y", &[]).output("z")),
        net("an output without a name", Code::DanglingName, start().node("Relu", "x", "y", &[]).output("")),
        net("a node that reads itself", Code::Cycle, start().node("Add", "x y", "y", &[]).output("y")),
        net(
            "a circle of three nodes",
            Code::Cycle,
            start().node("Add", "x c", "a", &[]).node("Relu", "a", "b", &[]).node("Relu", "b", "c", &[]).output("c"),
        ),
        net(
            "a circle through a body",
            Code::Cycle,
            start().node("If", "x", "a", &[body("then_branch", inner)]).node("Relu", "a", "b", &[]).output("b"),
        ),
        net(
            "two nodes of one output",
            Code::DuplicateName,
            start().node("Relu", "x", "y", &[]).node("Neg", "x", "y", &[]).output("y"),
        ),
        net("one node with one output twice", Code::DuplicateName, start().node("Split", "x", "y y", &[]).output("y")),
        net(
            "an initializer that a node makes, too",
            Code::DuplicateName,
            start().weight("y", &[1]).node("Relu", "x", "y", &[]).output("y"),
        ),
        net("an input that a node makes, too", Code::DuplicateName, start().node("Relu", "x", "x", &[]).output("x")),
        net(
            "an initializer twice",
            Code::DuplicateName,
            start().weight("w", &[1]).weight("w", &[1]).node("Add", "x w", "y", &[]).output("y"),
        ),
        net("an input twice", Code::DuplicateName, start().input("x", &[1]).node("Relu", "x", "y", &[]).output("y")),
        net("a node without inputs", Code::BadNode, start().node("Relu", "", "y", &[]).output("y")),
        net("a convolution without weights", Code::BadNode, start().node("Conv", "x", "y", &[]).output("y")),
        net(
            "a left-out input that is needed",
            Code::BadNode,
            start().weight("w", &[4]).node("Gemm", "- w", "y", &[]).output("y"),
        ),
    ]
}

fn raw(dims: &[i64], data_type: i32, bytes: usize) -> TensorProto {
    let raw_data = Some(vec![0u8; bytes].into());
    TensorProto {
        name: Some("w".to_owned()),
        dims: dims.to_vec(),
        data_type: Some(data_type),
        raw_data,
        ..TensorProto::default()
    }
}

fn with(t: TensorProto) -> Net {
    Net::new().input("x", &[1, 3, 4, 4]).tensor(t).node("Add", "x w", "y", &[]).output("y")
}

fn tensors() -> Vec<Case> {
    let float = DataType::Float as i32;
    let typed = TensorProto { raw_data: None, float_data: vec![1.0; 5], ..raw(&[2, 3], float, 0) };
    let strings = TensorProto {
        raw_data: None,
        string_data: vec![b"a".as_slice().into()],
        ..raw(&[2], DataType::String as i32, 0)
    };
    let complex = TensorProto { raw_data: None, ..raw(&[2], DataType::Float8E8M0 as i32, 0) };
    let nan = tensor_proto(&Tensor::from_f32("w", vec![4, 3, 1, 1], &[f32::NAN; 12]));
    let poisoned = Net::new().input("x", &[1, 3, 4, 4]).tensor(nan).weight("v", &[2, 4, 1, 1]);
    let words =
        TensorProto { raw_data: None, string_data: vec![b"a".as_slice().into(); 12], ..raw(&[4, 3, 1, 1], 8, 0) };
    let spelled = Net::new().input("x", &[1, 3, 4, 4]).tensor(words).weight("v", &[2, 4, 1, 1]);
    let two = |net: Net| net.node("Conv", "x w", "h", &[]).node("Conv", "h v", "y", &[]).output("y");
    vec![
        net("a negative dimension", Code::BadDims, with(raw(&[-1], float, 4))),
        net("the smallest dimension", Code::BadDims, with(raw(&[i64::MIN], float, 4))),
        net("a huge dimension", Code::BadDims, with(raw(&[i64::MAX], float, 4))),
        net("dimensions whose product overflows", Code::BadDims, with(raw(&[1 << 31, 1 << 31, 4], float, 0))),
        net("huge dimensions beside a zero", Code::BadDims, with(raw(&[0, 1 << 40, 1 << 40], float, 0))),
        net("a thousand dimensions", Code::BadDims, with(raw(&[1; 1000], float, 4))),
        net("a type of number 0", Code::BadType, with(raw(&[1], 0, 4))),
        net("a type of number 99", Code::BadType, with(raw(&[1], 99, 4))),
        net("a negative type", Code::BadType, with(raw(&[1], -1, 4))),
        net("too few bytes", Code::BadTensor, with(raw(&[2, 3], float, 20))),
        net("too many bytes", Code::BadTensor, with(raw(&[2, 3], float, 28))),
        net("bytes for a tensor of no elements", Code::BadTensor, with(raw(&[2, 0], float, 4))),
        net("no bytes at all", Code::BadTensor, with(raw(&[2, 3], float, 0))),
        net("too few typed numbers", Code::BadTensor, with(typed)),
        net("too few strings", Code::BadTensor, with(strings)),
        net("a type without typed numbers", Code::BadTensor, with(complex)),
        net("a constant with too few bytes", Code::BadTensor, {
            Net::new()
                .input("x", &[1])
                .node("Constant", "", "c", &[tensor("value", raw(&[2], float, 4))])
                .node("Add", "x c", "y", &[])
                .output("y")
        }),
        net("weights that are no numbers", Code::BadTensor, two(poisoned)),
        net("weights that are text", Code::BadType, two(spelled)),
    ]
}

fn stored_elsewhere(entries: &[(&str, &str)]) -> Net {
    let entry = |(k, v): &(&str, &str)| StringStringEntryProto {
        key: Some((*k).to_owned()),
        value: Some((*v).to_owned()),
        ..StringStringEntryProto::default()
    };
    let external_data = entries.iter().map(entry).collect();
    with(TensorProto { raw_data: None, data_location: Some(1), external_data, ..raw(&[2], 1, 0) })
}

fn external() -> Vec<Case> {
    let at = |name, code, location: &str| net(name, code, stored_elsewhere(&[("location", location)]));
    vec![
        net("external data without a location", Code::ExternalPath, stored_elsewhere(&[])),
        at("an empty location", Code::ExternalPath, ""),
        at("a location above the folder", Code::ExternalPath, "../secret"),
        at("a location above the folder, later", Code::ExternalPath, "a/b/../../../secret"),
        at("an absolute location", Code::ExternalPath, "/etc/passwd"),
        at("a location with a drive", Code::ExternalPath, "C:secret"),
        at("a location with backslashes", Code::ExternalPath, "..\\secret"),
        at("a network location", Code::ExternalPath, "\\\\host\\share"),
        at("an address", Code::ExternalPath, "http://host/secret"),
        at("a location with a zero byte", Code::ExternalPath, "a\0b"),
        at("a file that is not there", Code::ExternalMissing, "weights.bin"),
    ]
}

fn attributes() -> Vec<Case> {
    let w = [4, 3, 3, 3];
    let bad = |name, net: Net| self::net(name, Code::BadAttribute, net);
    let two_axes = tensor_proto(&Tensor::from_i64("i", vec![2], &[1, 2]));
    vec![
        bad("a number of groups that is a real number", conv(&w, &[float("group", 1.0)])),
        bad("pads that are text", conv(&w, &[text("pads", "1 1 1 1")])),
        bad("a perm that is one number", one("Transpose", "x", &[2, 3], &[], &[int("perm", 1)])),
        bad("no groups", conv(&w, &[int("group", 0)])),
        bad("a negative number of groups", conv(&w, &[int("group", -2)])),
        bad("more groups than filters", conv(&w, &[int("group", i64::MAX)])),
        bad("groups that do not divide the filters", conv(&w, &[int("group", 3)])),
        bad("a stride of zero", conv(&w, &[ints("strides", &[0, 1])])),
        bad("a negative stride", conv(&w, &[ints("strides", &[i64::MIN, 1])])),
        bad("a dilation of zero", conv(&w, &[ints("dilations", &[1, 0])])),
        bad("negative pads", conv(&w, &[ints("pads", &[-1, 0, 0, 0])])),
        bad("too few pads", conv(&w, &[ints("pads", &[1, 1])])),
        bad("a kernel_shape unlike the weights", conv(&w, &[ints("kernel_shape", &[5, 5])])),
        bad("a kernel of zero", one("MaxPool", "x", &[1, 3, 8, 8], &[], &[ints("kernel_shape", &[0, 2])])),
        bad("a negative kernel", one("AveragePool", "x", &[1, 3, 8, 8], &[], &[ints("kernel_shape", &[2, -2])])),
        bad("a concat along an axis that is not there", one("Concat", "x x", &[2, 3], &[], &[int("axis", 2)])),
        bad("a gather along an axis that is not there", one("Gather", "x i", &[2, 3], &[0], &[int("axis", -3)])),
        bad("a flatten before axis 5", one("Flatten", "x", &[2, 3], &[], &[int("axis", 5)])),
        bad("a split along the largest axis", one("Split", "x", &[2, 3], &[], &[int("axis", i64::MAX)])),
        bad("a squeeze of the smallest axis", one("Squeeze", "x i", &[1, 3], &[i64::MIN], &[])),
        bad("a softmax over axis 4", one("Softmax", "x", &[2, 3], &[], &[int("axis", 4)])),
        bad("a mean over axis 7", one("ReduceMean", "x", &[2, 3], &[], &[ints("axes", &[1, 7])])),
        bad("a norm from axis 3 on", one("LayerNormalization", "x x", &[2, 3], &[], &[int("axis", 3)])),
        bad("a perm with an axis twice", one("Transpose", "x", &[2, 3], &[], &[ints("perm", &[1, 1])])),
        bad("a perm of too few axes", one("Transpose", "x", &[2, 3], &[], &[ints("perm", &[0])])),
        bad("an unsqueeze of one axis twice", one("Unsqueeze", "x i", &[2, 3], &[1, 1], &[])),
        bad("parts of negative length", one("Split", "x i", &[2, 3], &[-1, 3], &[])),
        bad(
            "a slice of step zero",
            Net::new().input("x", &[4]).ints("z", &[0]).node("Slice", "x z z z z", "y", &[]).output("y"),
        ),
        bad("a slice with more ends than starts", {
            Net::new().input("x", &[4, 4]).tensor(two_axes).ints("z", &[0]).node("Slice", "x z i", "y", &[]).output("y")
        }),
        bad("a group norm of five groups", {
            Net::new()
                .input("x", &[1, 4, 2, 2])
                .weight("s", &[4])
                .node("GroupNormalization", "x s s", "y", &[int("num_groups", 5)])
                .output("y")
        }),
        net("a cast to no type", Code::BadType, one("Cast", "x", &[2], &[], &[int("to", 1 << 32 | 1)])),
    ]
}

fn shapes() -> Vec<Case> {
    let bad = |name, net: Net| self::net(name, Code::BadShape, net);
    let huge = |name, net: Net| self::net(name, Code::BadDims, net);
    vec![
        huge(
            "an input of more elements than any memory holds",
            Net::new().input("x", &[1 << 31, 1 << 31]).node("Relu", "x", "y", &[]).output("y"),
        ),
        huge("an input of 40 axes", Net::new().input("x", &[1; 40]).node("Relu", "x", "y", &[]).output("y")),
        huge("an expand beyond memory", one("Expand", "x i", &[1, 1], &[1 << 40, 1 << 40], &[])),
        huge("a constant of a huge shape", one("ConstantOfShape", "i", &[1], &[i64::MAX, 2], &[])),
        huge("an expand to 4000 axes", one("Expand", "x i", &[1], &[1; 4000], &[])),
        huge("pads of the largest amount", one("Pad", "x i", &[1, 2], &[i64::MAX, 0, i64::MAX, 0], &[])),
        huge("unsqueezed into 100 axes", one("Unsqueeze", "x i", &[2], &(0..100).collect::<Vec<_>>(), &[])),
        bad("a constant of a negative shape", one("ConstantOfShape", "i", &[1], &[-5], &[])),
        bad("pads that take more than there is", one("Pad", "x i", &[1, 2], &[0, -2, 0, -2], &[])),
        bad("a reshape to other elements", one("Reshape", "x i", &[2, 3], &[4, 2], &[])),
        bad("a reshape with two open lengths", one("Reshape", "x i", &[2, 3], &[-1, -1], &[])),
        bad("a reshape to a negative length", one("Reshape", "x i", &[2, 3], &[-6, -1], &[])),
        bad("a reshape that copies an axis that is not there", one("Reshape", "x i", &[6], &[2, 3, 0], &[])),
        bad("a reshape of nothing with an open length", one("Reshape", "x i", &[2, 3], &[0, 0, 0, -1], &[])),
        bad("a concat of unlike shapes", {
            Net::new().input("x", &[2, 3]).input("z", &[3, 3]).node("Concat", "x z", "y", &[int("axis", 1)]).output("y")
        }),
        bad("a concat of unlike ranks", {
            Net::new().input("x", &[2, 3]).input("z", &[2]).node("Concat", "x z", "y", &[int("axis", 0)]).output("y")
        }),
        bad("parts that are not all of it", one("Split", "x i", &[6], &[2, 2], &[])),
        bad("parts whose sum overflows", {
            let parts = [i64::MAX; 3];
            Net::new().input("x", &[6]).ints("i", &parts).node("Split", "x i", "a b c", &[]).output("a")
        }),
        bad("a squeeze of an axis of length 3", one("Squeeze", "x i", &[2, 3], &[1], &[])),
        bad(
            "shapes that do not broadcast",
            Net::new().input("x", &[2, 3]).input("z", &[2, 4]).node("Mul", "x z", "y", &[]).output("y"),
        ),
        bad("an expand to an unlike shape", one("Expand", "x i", &[2, 3], &[2, 4], &[])),
        bad(
            "a resize to a negative size",
            Net::new().input("x", &[1, 1]).ints("i", &[1, -4]).node("Resize", "x - - i", "y", &[]).output("y"),
        ),
    ]
}

fn operators() -> Vec<Case> {
    let bad = |name, net: Net| self::net(name, Code::BadShape, net);
    vec![
        bad(
            "data of no axes in a convolution",
            Net::new().input("x", &[]).weight("w", &[4, 3, 3, 3]).node("Conv", "x w", "y", &[]).output("y"),
        ),
        bad(
            "data of two axes in a convolution",
            Net::new().input("x", &[1, 3]).weight("w", &[4, 3]).node("Conv", "x w", "y", &[]).output("y"),
        ),
        bad("weights of other channels", conv(&[4, 5, 3, 3], &[])),
        bad("weights of other rank", conv(&[4, 3, 3], &[])),
        bad("a window larger than the data", conv(&[4, 3, 9, 9], &[])),
        bad("a dilation larger than the data", conv(&[4, 3, 3, 3], &[ints("dilations", &[i64::MAX, i64::MAX])])),
        bad("a bias of another length", {
            Net::new()
                .input("x", &[1, 3, 8, 8])
                .weight("w", &[4, 3, 3, 3])
                .weight("b", &[5])
                .node("Conv", "x w b", "y", &[])
                .output("y")
        }),
        bad("a transposed convolution of other channels", {
            Net::new()
                .input("x", &[1, 3, 8, 8])
                .weight("w", &[4, 3, 3, 3])
                .node("ConvTranspose", "x w", "y", &[])
                .output("y")
        }),
        bad("scales of another length", {
            Net::new()
                .input("x", &[1, 3, 8, 8])
                .weight("s", &[4])
                .node("BatchNormalization", "x s s s s", "y", &[])
                .output("y")
        }),
        bad(
            "a product of unlike lengths",
            Net::new().input("x", &[2, 3]).weight("w", &[4, 2]).node("MatMul", "x w", "y", &[]).output("y"),
        ),
        bad(
            "a product of scalars",
            Net::new().input("x", &[]).weight("w", &[]).node("MatMul", "x w", "y", &[]).output("y"),
        ),
        bad(
            "a Gemm of three axes",
            Net::new().input("x", &[2, 3, 3]).weight("w", &[3, 3]).node("Gemm", "x w", "y", &[]).output("y"),
        ),
        bad(
            "a Gemm of unlike lengths",
            Net::new()
                .input("x", &[2, 3])
                .weight("w", &[3, 4])
                .node("Gemm", "x w", "y", &[int("transB", 1)])
                .output("y"),
        ),
        bad("a recurrent layer over two axes", {
            Net::new()
                .input("x", &[2, 3])
                .weight("w", &[1, 8, 3])
                .weight("r", &[1, 8, 2])
                .node("LSTM", "x w r", "y", &[])
                .output("y")
        }),
        bad("a pool of one axis over two", one("MaxPool", "x", &[1, 3, 8, 8], &[], &[ints("kernel_shape", &[2])])),
        net("nothing that can be cut", Code::NothingToCut, conv(&[4, 3, 3, 3], &[])),
        net("an operator of no rule", Code::NothingToCut, one("Nonsense", "x", &[2, 3], &[], &[])),
    ]
}
