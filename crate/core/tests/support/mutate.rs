//! Seeded mutations of files: of their bytes, and of what the bytes mean.

use super::build::Net;
use lopper_core::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use lopper_core::onnx::proto::{AttributeProto, GraphProto, NodeProto, TensorProto};

/// Numbers at which arithmetic goes wrong.
const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    2,
    -2,
    3,
    4,
    5,
    7,
    8,
    16,
    31,
    64,
    255,
    1000,
    4096,
    65536,
    1 << 20,
    1 << 22,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    1 << 40,
    1 << 62,
    i64::MAX,
    i64::MAX - 1,
    i64::MIN,
    i64::MIN + 1,
];

const OPERATORS: &[&str] = &[
    "Relu",
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Pow",
    "Sum",
    "Max",
    "Where",
    "Conv",
    "ConvTranspose",
    "MatMul",
    "Gemm",
    "BatchNormalization",
    "InstanceNormalization",
    "LayerNormalization",
    "GroupNormalization",
    "LRN",
    "LpNormalization",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Reshape",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Transpose",
    "Expand",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "Pad",
    "ReduceMean",
    "ReduceSum",
    "ReduceMax",
    "Softmax",
    "Resize",
    "Upsample",
    "LSTM",
    "GRU",
    "RNN",
    "ConstantOfShape",
    "Shape",
    "Size",
    "Range",
    "Mod",
    "Cast",
    "Identity",
    "Dropout",
    "Clip",
    "PRelu",
    "Equal",
    "Floor",
    "Min",
    "Constant",
    "If",
    "Unknown",
];

const ATTRIBUTES: &[&str] = &[
    "axis",
    "axes",
    "group",
    "pads",
    "strides",
    "dilations",
    "kernel_shape",
    "perm",
    "split",
    "keepdims",
    "allowzero",
    "num_groups",
    "to",
    "starts",
    "ends",
    "steps",
    "hidden_size",
    "transA",
    "transB",
    "output_shape",
    "output_padding",
    "scales",
    "shape",
    "start",
    "end",
    "ceil_mode",
    "layout",
    "noop_with_empty_axes",
    "value_ints",
];

/// Splitmix64.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is at least one.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    fn number(&mut self) -> i64 {
        if self.below(4) == 0 { self.below(12) as i64 - 2 } else { *self.pick(NUMBERS) }
    }
}

/// Changes a few bytes: flips, numbers, cuts, doubled and missing pieces.
pub fn bytes(random: &mut Random, mut file: Vec<u8>) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let at = random.below(file.len());
        let n = random.below(24).min(file.len() - at);
        match random.below(7) {
            0 if !file.is_empty() => file[at] ^= 1 << random.below(8),
            1 if !file.is_empty() => file[at] = random.next() as u8,
            2 => drop(file.drain(at..at + n)),
            3 => {
                let piece = file[at..at + n].to_vec();
                file.splice(at..at, piece);
            }
            4 => file.truncate(at),
            5 => {
                file.splice(at..at, vec![0xff; 1 + random.below(9)]);
            }
            _ if !file.is_empty() => file[at] = *random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            _ => {}
        }
    }
    file
}

/// Changes what a model says: lengths, attributes, constants, wiring, operators.
pub fn meaning(random: &mut Random, mut net: Net) -> Vec<u8> {
    for _ in 0..=random.below(4) {
        let graph = net.graph();
        match random.below(12) {
            0 | 1 => attribute(random, graph),
            2 | 3 => tensor(random, graph),
            4 => input(random, graph),
            5 | 6 => wire(random, graph),
            7 => {
                let op = *random.pick(OPERATORS);
                if let Some(n) = some_node(random, graph) {
                    n.op_type = Some(op.to_owned());
                }
            }
            8 => insert(random, graph),
            9 => drop(graph.node.remove(random.below(graph.node.len()).min(graph.node.len() - 1))),
            10 => {
                let (a, b) = (random.below(graph.node.len()), random.below(graph.node.len()));
                graph.node.swap(a, b);
            }
            _ => net.proto.opset_import[0].version = Some(*random.pick(&[7, 9, 11, 13, 17, 21])),
        }
        if net.graph().node.is_empty() {
            break;
        }
    }
    net.bytes()
}

fn some_node<'a>(random: &mut Random, graph: &'a mut GraphProto) -> Option<&'a mut NodeProto> {
    let n = graph.node.len();
    graph.node.get_mut(random.below(n))
}

fn attribute(random: &mut Random, graph: &mut GraphProto) {
    let name = (*random.pick(ATTRIBUTES)).to_owned();
    let list: Vec<i64> = (0..random.below(6)).map(|_| random.number()).collect();
    let (number, single, at) = (random.number(), random.below(3) == 0, random.next() as usize);
    let Some(node) = some_node(random, graph) else { return };
    if !node.attribute.is_empty() && at % 4 != 0 {
        let count = node.attribute.len();
        let a = &mut node.attribute[at % count];
        if a.i.is_some() {
            a.i = Some(number);
        } else if single || a.ints.is_empty() {
            a.ints = list;
        } else {
            let n = a.ints.len();
            a.ints[at % n] = number;
        }
    } else if single {
        node.attribute.push(AttributeProto { name: Some(name), i: Some(number), ..AttributeProto::default() });
    } else {
        node.attribute.push(AttributeProto { name: Some(name), ints: list, ..AttributeProto::default() });
    }
}

fn tensor(random: &mut Random, graph: &mut GraphProto) {
    let count = graph.initializer.len();
    let (kind, number, small) = (random.below(4), random.number(), random.below(9));
    let Some(t) = graph.initializer.get_mut(random.below(count)) else { return };
    if t.data_type == Some(7) && kind > 0 {
        let n = if kind == 1 { small } else { t.dims.first().map_or(1, |d| (*d).clamp(0, 64) as usize) };
        let values: Vec<u8> = (0..n).flat_map(|_| random.number().to_le_bytes()).collect();
        t.dims = vec![n as i64];
        t.raw_data = Some(values.into());
    } else if kind < 3 && t.data_type == Some(1) {
        // Still a valid tensor, of another shape.
        let axis = random.below(t.dims.len());
        match kind {
            0 => drop(t.dims.get_mut(axis).map(|d| *d = small as i64)),
            1 => t.dims.push(1),
            _ => drop(t.dims.pop()),
        }
        fill(t);
    } else if let Some(d) = t.dims.first_mut() {
        *d = number;
    }
}

fn fill(t: &mut TensorProto) {
    let n: usize = t.dims.iter().map(|&d| d.clamp(0, 64) as usize).product();
    t.raw_data =
        Some((0..n.min(1 << 16)).flat_map(|i| ((i % 13) as f32 - 6.0).to_le_bytes()).collect::<Vec<u8>>().into());
}

fn input(random: &mut Random, graph: &mut GraphProto) {
    let value =
        if random.below(3) == 0 { DimValue::DimParam("n".to_owned()) } else { DimValue::DimValue(random.number()) };
    let change = random.below(5);
    let Some(shape) = (graph.input.first_mut())
        .and_then(|i| i.r#type.as_option_mut())
        .and_then(|t| t.tensor_type.as_option_mut())
        .and_then(|t| t.shape.as_option_mut())
    else {
        return;
    };
    let at = random.below(shape.dim.len());
    match change {
        0 => drop(shape.dim.pop()),
        1 => shape.dim.extend(shape.dim.first().cloned()),
        _ => drop(shape.dim.get_mut(at).map(|d| d.value = Some(value))),
    }
}

/// Every name of the graph.
fn names(graph: &GraphProto) -> Vec<String> {
    let mut out: Vec<String> = graph.node.iter().flat_map(|n| n.output.iter().cloned()).collect();
    out.extend(graph.initializer.iter().filter_map(|t| t.name.clone()));
    out.extend(graph.input.iter().filter_map(|i| i.name.clone()));
    out
}

fn wire(random: &mut Random, graph: &mut GraphProto) {
    let name = random.pick(&names(graph)).clone();
    let (how, at) = (random.below(5), random.next() as usize);
    let Some(node) = some_node(random, graph) else { return };
    let n = node.input.len();
    match how {
        0 => node.input.push(name),
        1 => drop(node.input.pop()),
        2 if n > 0 => node.input[at % n].clear(),
        _ if n > 0 => node.input[at % n] = name,
        _ => {}
    }
}

/// A new node between a value and one of its readers, or beside them.
fn insert(random: &mut Random, graph: &mut GraphProto) {
    let all = names(graph);
    let inputs: Vec<String> = (0..1 + random.below(3)).map(|_| random.pick(&all).clone()).collect();
    let at = random.below(graph.node.len());
    let name = format!("new{}", random.next());
    let node = NodeProto {
        op_type: Some((*random.pick(OPERATORS)).to_owned()),
        input: inputs,
        output: vec![name.clone()],
        ..NodeProto::default()
    };
    if let Some(reader) = graph.node.get_mut(at)
        && let Some(slot) = reader.input.first_mut()
    {
        *slot = name;
    }
    graph.node.insert(at, node);
}
