//! Models that keep their tensors in files beside them: what is in memory at once, and what comes out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod support;

use bytes::Bytes;
use lopper_core::channels::Channels;
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::onnx::proto::{StringStringEntryProto, TensorProto};
use lopper_core::onnx::{Data, DataType, ExternalData, Model};
use lopper_core::plan::{PlanOptions, Target, plan};
use lopper_core::{Code, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::build::Net;

/// Bytes of a file that are in memory now, and the most that ever were.
#[derive(Debug, Default)]
struct Meter {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A piece of a file that says when it is dropped.
struct Piece(Vec<u8>, Arc<Meter>);

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.1.now.fetch_sub(self.0.len(), Ordering::Relaxed);
    }
}

struct Disk {
    file: Vec<u8>,
    meter: Arc<Meter>,
}

impl ExternalData for Disk {
    fn length(&self, _location: &str) -> Result<u64> {
        Ok(self.file.len() as u64)
    }

    fn read(&self, _location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let now = self.meter.now.fetch_add(length, Ordering::Relaxed) + length;
        self.meter.most.fetch_max(now, Ordering::Relaxed);
        let bytes = self.file[offset as usize..offset as usize + length].to_vec();
        Ok(Bytes::from_owner(Piece(bytes, Arc::clone(&self.meter))))
    }
}

const WIDTH: usize = 2048;
const LAYERS: usize = 5;
const LARGEST: usize = 4 * WIDTH * WIDTH;

fn number(i: usize) -> f32 {
    ((i * 7919 + 13) % 1009) as f32 / 500.0 - 1.0
}

/// Layers of one width whose weights are in a file, and the same model with the weights in it.
fn nets() -> (Net, Net, Vec<u8>) {
    let (mut apart, mut whole, mut file) = (Net::new(), Net::new(), Vec::new());
    let input = [-1, WIDTH as i64];
    (apart, whole) = (apart.input("x", &input), whole.input("x", &input));
    for k in 0..LAYERS {
        let data: Vec<u8> = (0..WIDTH * WIDTH).flat_map(|i| number(i + k * 31).to_le_bytes()).collect();
        let entry = |key: &str, value: String| StringStringEntryProto {
            key: Some(key.to_owned()),
            value: Some(value),
            ..StringStringEntryProto::default()
        };
        let tensor = TensorProto {
            name: Some(format!("w{k}")),
            dims: vec![WIDTH as i64; 2],
            data_type: Some(DataType::Float as i32),
            ..TensorProto::default()
        };
        let external_data = vec![
            entry("location", "w.bin".to_owned()),
            entry("offset", file.len().to_string()),
            entry("length", data.len().to_string()),
        ];
        file.extend_from_slice(&data);
        apart = apart.tensor(TensorProto { data_location: Some(1), external_data, ..tensor.clone() });
        whole = whole.tensor(TensorProto { raw_data: Some(data.into()), ..tensor });
        let (from, to) = (if k == 0 { "x".to_owned() } else { format!("r{}", k - 1) }, format!("y{k}"));
        let add = |net: Net| {
            let net = net.node("MatMul", &format!("{from} w{k}"), &to, &[]);
            if k + 1 < LAYERS { net.node("Relu", &to, &format!("r{k}"), &[]) } else { net.output(&to) }
        };
        (apart, whole) = (add(apart), add(whole));
    }
    (apart, whole, file)
}

fn halved(model: &Model) -> Model {
    let graph = Graph::new(model).unwrap();
    let channels = Channels::analyze(&graph);
    let planned = plan(&graph, &channels, &PlanOptions::new(Target::Ratio(0.5))).unwrap();
    cut(model, &graph, &channels, planned.removed).unwrap().model
}

fn joined(pieces: &[Data]) -> Vec<u8> {
    pieces.iter().flat_map(|p| p.read().unwrap().to_vec()).collect()
}

#[test]
fn no_two_tensors_are_in_memory_at_once() {
    let (apart, whole, file) = nets();
    let meter = Arc::new(Meter::default());
    let disk: Arc<dyn ExternalData> = Arc::new(Disk { file, meter: Arc::clone(&meter) });
    let model = Model::read_with(apart.bytes().into(), &disk).unwrap();
    assert!(model.is_apart());
    assert_eq!(meter.most.load(Ordering::Relaxed), 0, "opening reads no tensor");
    let smaller = halved(&model);
    let (first, beside) = smaller.write_apart("small.onnx.data").unwrap();
    let mut written = Vec::new();
    for piece in &beside {
        written.extend_from_slice(&piece.read().unwrap());
        assert_eq!(meter.now.load(Ordering::Relaxed), 0, "a piece that is written is gone");
    }
    assert_eq!(meter.most.load(Ordering::Relaxed), LARGEST);
    // What was written is what a model that holds everything becomes.
    let none = Arc::new(Meter::default());
    let disk: Arc<dyn ExternalData> = Arc::new(Disk { file: written, meter: none });
    let back = Model::read_with(joined(&first).into(), &disk).unwrap();
    let want = Model::read(halved(&Model::read(whole.bytes().into()).unwrap()).write().unwrap().into()).unwrap();
    for (got, want) in back.graph().initializer.iter().zip(&want.graph().initializer) {
        assert_eq!(back.tensor(got).unwrap(), want_tensor(want));
    }
    assert_eq!(back.graph().initializer.len(), LAYERS);
    assert_eq!(smaller.outside(), back.outside(), "what was cut is not counted any more");
}

fn want_tensor(proto: &TensorProto) -> lopper_core::onnx::Tensor {
    lopper_core::onnx::Tensor::from_proto(proto, None).unwrap()
}

#[test]
fn a_file_that_shrinks_is_noticed() {
    #[derive(Debug)]
    struct Short;
    impl lopper_core::onnx::Source for Short {
        fn read(&self) -> Result<Bytes> {
            Ok(vec![0; 3].into())
        }
    }
    assert_eq!(Data::later(4, Short).read().unwrap_err().code(), Code::ExternalMissing);
}
