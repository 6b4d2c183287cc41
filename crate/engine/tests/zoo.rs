//! The zoo's models against what ONNX Runtime computes from the same input.
//!
//! `LOPPER_ZOO` names a folder with the unpacked models and what `cases/zoo.py` puts beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_engine::{HostTensor, Network, block_on};
use std::path::Path;
use support::{bytes, model, shared};

fn reals(path: &Path) -> Vec<f32> {
    bytes(path.to_owned()).chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
}

fn input(folder: &Path, name: &str, about: &serde_json::Value) -> HostTensor {
    let dims: Vec<usize> =
        about["test_shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let path = folder.join(format!("{name}.input"));
    if about["dtype"] == "float32" {
        return HostTensor::f32(dims, reals(&path)).unwrap();
    }
    HostTensor::i64(dims, bytes(path).chunks_exact(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect())
        .unwrap()
}

#[test]
fn every_model_gives_what_onnx_runtime_gives() {
    let Some(zoo) = shared("zoo") else { return };
    let Some(folder) = std::env::var_os("LOPPER_ZOO") else {
        eprintln!("SKIPPED: LOPPER_ZOO does not name a folder made by tests/cases/zoo.py");
        return;
    };
    let (folder, device) = (Path::new(&folder), support::device());
    let manifest = support::json(zoo.join("manifest.json"));
    let mut wrong = Vec::new();
    for (name, about) in manifest["models"].as_object().unwrap() {
        let fed = &about["inputs"][0];
        let network = Network::load(&model(folder.join(format!("{name}.onnx"))), &device).unwrap();
        let outputs =
            block_on(network.run(&[(fed["name"].as_str().unwrap().into(), input(folder, name, fed))])).unwrap();
        for (i, ((output, got), want)) in outputs.iter().zip(about["outputs"].as_array().unwrap()).enumerate() {
            let got = got.as_f32().unwrap();
            let all = reals(&folder.join(format!("{name}.output{i}")));
            let largest = all.iter().fold(0.0_f64, |m, &v| m.max(f64::from(v).abs()));
            let error = support::worst(got.iter().map(|&v| f64::from(v)), all.iter().map(|&v| f64::from(v))) / largest;
            let mean = got.iter().map(|&v| f64::from(v)).sum::<f64>() / got.len() as f64;
            let norm = got.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt();
            let off = |v: f64, key: &str| (v - want[key].as_f64().unwrap()).abs() / largest;
            println!("{name} {output}: {error:.1e} of the largest output, mean {mean:.8}, norm {norm:.6}");
            let norm_off = (norm / want["l2"].as_f64().unwrap() - 1.0).abs();
            if got.len() != all.len() || error > 1e-4 || off(mean, "mean") > 1e-5 || norm_off > 1e-5 {
                wrong.push(format!("{name} {output}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
