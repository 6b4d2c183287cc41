//! Where the reference files are and how tests read them.

#![allow(dead_code)] // each test file uses its own part

use bytes::Bytes;
use lopper_core::onnx::Model;
use lopper_engine::{Device, DeviceChoice};
use std::path::PathBuf;

/// A folder of reference files beside the repository, or a loud note that it is missing.
pub fn shared(part: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
    let folder = here.ancestors().nth(3).unwrap().join("shared").join(part);
    if !folder.is_dir() {
        eprintln!("SKIPPED: the reference files {} are not here", folder.display());
        return None;
    }
    Some(folder)
}

pub fn bytes(path: PathBuf) -> Bytes {
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).into()
}

pub fn model(path: PathBuf) -> Model {
    Model::read(bytes(path)).unwrap()
}

pub fn json(path: PathBuf) -> serde_json::Value {
    serde_json::from_slice(&bytes(path)).unwrap()
}

pub fn floats(value: &serde_json::Value) -> Vec<f64> {
    match value {
        serde_json::Value::Array(list) => list.iter().flat_map(floats).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

pub fn worst(a: impl IntoIterator<Item = f64>, b: impl IntoIterator<Item = f64>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| if (a - b).is_nan() { f64::INFINITY } else { (a - b).abs() }).fold(0.0, f64::max)
}

/// The device that `LOPPER_DEVICE` asks for, the CPU by default.
pub fn device() -> Device {
    let choice: DeviceChoice = std::env::var("LOPPER_DEVICE").map_or(DeviceChoice::Cpu, |d| d.parse().unwrap());
    let device = lopper_engine::block_on(Device::open(choice)).unwrap();
    println!("on {} ({:?}): {}", device.name(), device.kind(), device.why());
    device
}
