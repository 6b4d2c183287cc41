//! Every way in which a file can hold numbers and everything that Lopper does not look at: read, written and read again.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use buffa::Message as _;
use bytes::Bytes;
use lopper_core::onnx::proto::{ModelProto, StringStringEntryProto, TensorProto};
use lopper_core::onnx::{DataType, ExternalData, Model, Tensor};
use lopper_core::{Code, Error, Result};
use std::sync::Arc;
use support::build::{Net, body, node, tensor};
use support::chain::chain;
use support::models;

fn typed(dtype: DataType, dims: &[i64]) -> TensorProto {
    TensorProto {
        name: Some("w".to_owned()),
        data_type: Some(dtype as i32),
        dims: dims.to_vec(),
        ..TensorProto::default()
    }
}

/// A model that holds one tensor.
fn holding(t: TensorProto) -> ModelProto {
    Net::new().input("x", &[1]).tensor(t).node("Identity", "x", "y", &[]).output("y").proto
}

/// Reads and writes; nothing may change. Gives the tensor as the core sees it.
fn round_trip(t: TensorProto) -> Tensor {
    let before = holding(t);
    let bytes = before.encode_to_vec();
    let model = Model::read(bytes.clone().into()).expect("valid");
    assert_eq!(model.proto, before);
    let written = model.write().expect("small");
    assert_eq!(Model::read(written.into()).expect("valid").proto, before);
    model.tensor(&model.graph().initializer[0]).expect("checked when read")
}

fn little<const N: usize>(values: &[[u8; N]]) -> Vec<u8> {
    values.concat()
}

#[test]
fn every_field_of_numbers_gives_the_same_elements() {
    let floats = [1.5f32, -0.0, f32::MAX, 1e-45];
    let ints = [0i64, -1, i64::MAX, i64::MIN];
    let cases: Vec<(&str, TensorProto, Vec<u8>)> = vec![
        (
            "float_data",
            TensorProto { float_data: floats.to_vec(), ..typed(DataType::Float, &[2, 2]) },
            little(&floats.map(f32::to_le_bytes)),
        ),
        (
            "double_data",
            TensorProto { double_data: vec![1.5, f64::MIN_POSITIVE], ..typed(DataType::Double, &[2]) },
            little(&[1.5f64, f64::MIN_POSITIVE].map(f64::to_le_bytes)),
        ),
        (
            "int64_data",
            TensorProto { int64_data: ints.to_vec(), ..typed(DataType::Int64, &[4]) },
            little(&ints.map(i64::to_le_bytes)),
        ),
        (
            "uint64_data",
            TensorProto { uint64_data: vec![u64::MAX, 7], ..typed(DataType::Uint64, &[2]) },
            little(&[u64::MAX, 7].map(u64::to_le_bytes)),
        ),
        (
            "uint32 in uint64_data",
            TensorProto { uint64_data: vec![u64::from(u32::MAX), 7], ..typed(DataType::Uint32, &[2]) },
            little(&[u32::MAX, 7].map(u32::to_le_bytes)),
        ),
        (
            "int32_data",
            TensorProto { int32_data: vec![i32::MIN, 9], ..typed(DataType::Int32, &[2]) },
            little(&[i32::MIN, 9].map(i32::to_le_bytes)),
        ),
        (
            "int16 in int32_data",
            TensorProto { int32_data: vec![-2, 300], ..typed(DataType::Int16, &[2]) },
            vec![0xfe, 0xff, 0x2c, 1],
        ),
        (
            "uint16 in int32_data",
            TensorProto { int32_data: vec![65535], ..typed(DataType::Uint16, &[1]) },
            vec![0xff, 0xff],
        ),
        (
            "int8 in int32_data",
            TensorProto { int32_data: vec![-128, 127], ..typed(DataType::Int8, &[2]) },
            vec![0x80, 0x7f],
        ),
        ("uint8 in int32_data", TensorProto { int32_data: vec![255, 0], ..typed(DataType::Uint8, &[2]) }, vec![255, 0]),
        ("bool in int32_data", TensorProto { int32_data: vec![1, 0, 1], ..typed(DataType::Bool, &[3]) }, vec![1, 0, 1]),
        (
            "float16 in int32_data",
            TensorProto { int32_data: vec![0x3c00, 0xc000], ..typed(DataType::Float16, &[2]) },
            vec![0, 0x3c, 0, 0xc0],
        ),
        (
            "bfloat16 in int32_data",
            TensorProto { int32_data: vec![0x3f80, 0x4000], ..typed(DataType::Bfloat16, &[2]) },
            vec![0x80, 0x3f, 0, 0x40],
        ),
        (
            "two int4 a byte",
            TensorProto { int32_data: vec![0x21, 0x03], ..typed(DataType::Int4, &[3]) },
            vec![0x21, 0x03],
        ),
        (
            "complex64 in float_data",
            TensorProto { float_data: vec![1.0, 2.0], ..typed(DataType::Complex64, &[1]) },
            little(&[1f32, 2.0].map(f32::to_le_bytes)),
        ),
        (
            "raw_data",
            TensorProto { raw_data: Some(vec![1, 2, 3, 4].into()), ..typed(DataType::Float, &[1]) },
            vec![1, 2, 3, 4],
        ),
        (
            "raw int4",
            TensorProto { raw_data: Some(vec![0x21, 0x03].into()), ..typed(DataType::Uint4, &[3]) },
            vec![0x21, 0x03],
        ),
        ("raw scalar", TensorProto { raw_data: Some(vec![5].into()), ..typed(DataType::Uint8, &[]) }, vec![5]),
        ("nothing", typed(DataType::Float, &[0, 3]), vec![]),
    ];
    for (name, proto, want) in cases {
        let dims: Vec<usize> = proto.dims.iter().map(|&d| d as usize).collect();
        let got = round_trip(proto);
        assert_eq!((got.bytes().unwrap().as_ref(), got.dims.clone()), (want.as_slice(), dims), "{name}");
    }
}

#[test]
fn half_precision_has_the_numbers_of_the_standards() {
    let halves = [
        (0x3c00, 1.0f32),
        (0xc000, -2.0),
        (0x7bff, 65504.0),
        (0x0001, 2f32.powi(-24)),
        (0x8000, -0.0),
        (0xfc00, f32::NEG_INFINITY),
    ];
    let proto = TensorProto { int32_data: halves.iter().map(|h| h.0).collect(), ..typed(DataType::Float16, &[6]) };
    let got = round_trip(proto).to_f32().unwrap();
    assert_eq!(got.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), halves.map(|h| h.1.to_bits()));
    let brain = [(0x3f80, 1.0f32), (0xc040, -3.0), (0x7f80, f32::INFINITY), (0x0001, f32::from_bits(1 << 16))];
    let proto = TensorProto { int32_data: brain.iter().map(|h| h.0).collect(), ..typed(DataType::Bfloat16, &[4]) };
    assert_eq!(round_trip(proto).to_f32().unwrap(), brain.map(|h| h.1));
}

#[test]
fn strings_survive() {
    let strings = vec![b"cat".as_slice().into(), b"".as_slice().into(), b"\xff\0".as_slice().into()];
    let got = round_trip(TensorProto { string_data: strings, ..typed(DataType::String, &[3]) });
    assert_eq!((got.dtype, got.dims), (DataType::String, vec![3]));
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value.to_owned()),
        ..StringStringEntryProto::default()
    }
}

/// Files beside a model.
struct Folder(Vec<(&'static str, Bytes)>);

impl ExternalData for Folder {
    fn length(&self, location: &str) -> Result<u64> {
        self.read(location, 0, 0)?;
        Ok(self.0.iter().filter(|f| f.0 == location).map(|f| f.1.len() as u64).sum())
    }

    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let file = self.0.iter().find(|f| f.0 == location);
        let missing = || Error::new(Code::ExternalMissing, format!("no file {location:?}"));
        file.map(|f| f.1.slice(offset as usize..offset as usize + length)).ok_or_else(missing)
    }
}

fn elsewhere(name: &str, dims: &[i64], entries: &[(&str, &str)]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        data_location: Some(1),
        external_data: entries.iter().map(|(k, v)| entry(k, v)).collect(),
        ..typed(DataType::Uint8, dims)
    }
}

fn read_beside(net: &Net) -> Result<Model> {
    let folder = Folder(vec![("w.bin", (0..16u8).collect::<Vec<_>>().into()), ("sub/v.bin", vec![9, 8].into())]);
    Model::read_with(net.bytes().into(), &(Arc::new(folder) as Arc<dyn ExternalData>))
}

#[test]
fn external_data_are_found_and_embedded() {
    let inner =
        |range: [&str; 2]| elsewhere("", &[2], &[("location", "w.bin"), ("offset", range[0]), ("length", range[1])]);
    let arm = |t: TensorProto| lopper_core::onnx::proto::GraphProto {
        node: vec![node("Constant", "", "c", &[tensor("value", t)])],
        ..Default::default()
    };
    let net = Net::new()
        .input("x", &[1])
        .tensor(elsewhere("a", &[4], &[("location", "w.bin"), ("offset", "4"), ("length", "4")]))
        .tensor(elsewhere("b", &[2], &[("location", "sub/v.bin")]))
        .tensor(elsewhere("c0", &[6], &[("location", "w.bin"), ("offset", "10")]))
        .node("Constant", "", "k0", &[tensor("value", inner(["0", "2"]))])
        .node("Constant", "", "k1", &[tensor("value", inner(["2", "2"]))])
        .node(
            "If",
            "x",
            "y",
            &[body("then_branch", arm(inner(["6", "2"]))), body("else_branch", arm(inner(["8", "2"])))],
        )
        .output("y");
    let model = read_beside(&net).expect("all files are there");
    let data = |m: &Model, k: usize| m.tensor(&m.graph().initializer[k]).unwrap().bytes().unwrap().to_vec();
    assert_eq!(
        [data(&model, 0), data(&model, 1), data(&model, 2)],
        [vec![4, 5, 6, 7], vec![9, 8], vec![10, 11, 12, 13, 14, 15]]
    );
    // Written, the file stands alone: tensors of one name keep their own numbers.
    let alone = Model::read(model.write().unwrap().into()).expect("nothing is elsewhere any more");
    assert_eq!(
        [data(&alone, 0), data(&alone, 1), data(&alone, 2)],
        [data(&model, 0), data(&model, 1), data(&model, 2)]
    );
    let constant = |k: usize| alone.graph().node[k].attribute[0].t.raw_data.clone().unwrap().to_vec();
    assert_eq!([constant(0), constant(1)], [vec![0, 1], vec![2, 3]]);
    let branch =
        |k: usize| alone.graph().node[2].attribute[k].g.node[0].attribute[0].t.raw_data.clone().unwrap().to_vec();
    assert_eq!([branch(0), branch(1)], [vec![6, 7], vec![8, 9]]);
}

#[test]
fn external_data_out_of_bounds_are_refused() {
    let cases: &[(&[(&str, &str)], Code)] = &[
        (&[("location", "w.bin"), ("offset", "16"), ("length", "4")], Code::ExternalMissing),
        (&[("location", "w.bin"), ("offset", "14"), ("length", "4")], Code::ExternalMissing),
        (&[("location", "w.bin"), ("offset", "18446744073709551615"), ("length", "4")], Code::ExternalMissing),
        (&[("location", "w.bin"), ("offset", "99")], Code::ExternalMissing),
        (&[("location", "w.bin"), ("offset", "-4"), ("length", "4")], Code::BadTensor),
        (&[("location", "w.bin"), ("length", "four")], Code::BadTensor),
        (&[("location", "w.bin"), ("length", "3")], Code::BadTensor),
        (&[("location", "w.bin")], Code::BadTensor),
        (&[("location", "other.bin")], Code::ExternalMissing),
        (&[("location", "sub/../../w.bin")], Code::ExternalPath),
    ];
    for (entries, code) in cases {
        let net =
            Net::new().input("x", &[1]).tensor(elsewhere("a", &[4], entries)).node("Relu", "x", "y", &[]).output("y");
        assert_eq!(read_beside(&net).expect_err("refused").code(), *code, "{entries:?}");
    }
}

#[test]
fn what_is_not_looked_at_survives() {
    let mut net = models::valid().remove(0).1;
    net.proto.doc_string = Some("what it is".to_owned());
    net.proto.producer_name = Some("pytorch".to_owned());
    net.proto.model_version = Some(-3);
    net.proto.metadata_props = vec![entry("labels", "cat, dog"), entry("", "no key")];
    let graph = net.graph();
    graph.doc_string = Some("a graph".to_owned());
    graph.initializer[0].doc_string = Some("a weight".to_owned());
    graph.node[0].doc_string = Some("a node".to_owned());
    graph.node[0].attribute[0].doc_string = Some("an attribute".to_owned());
    graph.input[0].doc_string = Some("an input".to_owned());
    // Fields of no number that this version knows: one of each wire type.
    let unknown = [
        vec![0xc0, 0x3e, 5],
        vec![0xc9, 0x3e, 1, 2, 3, 4, 5, 6, 7, 8],
        vec![0xd2, 0x3e, 2, b'h', b'i'],
        vec![0xdd, 0x3e, 1, 2, 3, 4],
    ]
    .concat();
    let bytes = [net.bytes(), unknown.clone()].concat();
    let model = Model::read(bytes.clone().into()).expect("valid");
    let written = model.write().unwrap();
    assert_eq!(written.len(), bytes.len());
    assert!(written.ends_with(&unknown));
    let again = Model::read(written.into()).unwrap();
    assert_eq!(again.proto, model.proto);
    assert_eq!(again.proto.metadata_props, net.proto.metadata_props);
    assert_eq!(again.graph().node[0].doc_string.as_deref(), Some("a node"));
}

#[test]
fn every_valid_model_is_written_as_it_was_read() {
    for (name, net) in models::valid() {
        let bytes = net.bytes();
        let model = Model::read(bytes.clone().into()).expect(name);
        assert_eq!(model.proto, net.proto, "{name}");
        assert_eq!(model.write().unwrap(), bytes, "{name}");
    }
}

/// Where a top-level field of a message ends.
fn field_ends(bytes: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut at = 0;
    let number = |at: &mut usize| -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[*at];
            *at += 1;
            value |= usize::from(byte & 127) << shift;
            if byte < 128 {
                break;
            }
        }
        value
    };
    while at < bytes.len() {
        let tag = number(&mut at);
        let value = number(&mut at);
        at += if tag & 7 == 2 { value } else { 0 };
        ends.push(at);
    }
    ends
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    for (name, net) in models::valid() {
        let bytes = net.bytes();
        let ends = field_ends(&bytes);
        for n in 0..bytes.len() {
            let code = chain(&bytes[..n]).expect_err("a part is no model").code();
            // Between two fields the bytes are a message that lacks the later ones.
            let want = if ends.contains(&n) { [Code::NoGraph, Code::NoOpset] } else { [Code::Truncated; 2] };
            assert!(want.contains(&code), "{name} cut at {n} of {}: {code:?}", bytes.len());
        }
    }
}
