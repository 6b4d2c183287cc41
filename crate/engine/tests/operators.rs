//! Every operator against ONNX Runtime: small models of one node, made by `cases/make.py` and `cases/make_fused.py`.
//!
//! `LOPPER_DEVICE=gpu` runs the same cases on a GPU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::onnx::Model;
use lopper_engine::{HostData, HostTensor, Network, block_on};
use serde_json::Value;

fn tensor(v: &Value) -> HostTensor {
    let dims = v["dims"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let values = v["values"].as_array().unwrap();
    let data = match v["kind"].as_str().unwrap() {
        "real" => HostData::F32(values.iter().map(|x| x.as_f64().unwrap() as f32).collect()),
        "whole" => HostData::I64(values.iter().map(|x| x.as_i64().unwrap()).collect()),
        _ => HostData::Bool(values.iter().map(|x| x.as_i64().unwrap() != 0).collect()),
    };
    HostTensor { dims, data }
}

fn model(hex: &str) -> Model {
    let bytes: Vec<u8> = (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    Model::read(bytes.into()).unwrap()
}

/// What is wrong with an output, if anything.
fn fault(got: &HostTensor, want: &HostTensor) -> Option<String> {
    if got.dims != want.dims {
        return Some(format!("shape {:?} instead of {:?}", got.dims, want.dims));
    }
    let (HostData::F32(a), HostData::F32(b)) = (&got.data, &want.data) else {
        return (got.data != want.data).then(|| format!("{:?} instead of {:?}", got.data, want.data));
    };
    let worst = support::worst(a.iter().map(|&v| f64::from(v)), b.iter().map(|&v| f64::from(v)));
    let largest = b.iter().fold(1.0_f64, |m, &v| m.max(f64::from(v).abs()));
    (worst > 1e-5 * largest).then(|| format!("differs by {worst:.1e}"))
}

#[test]
fn every_operator_gives_what_onnx_runtime_gives() {
    check("operators.json");
}

#[test]
fn fused_and_quantised_operators_give_what_onnx_runtime_gives() {
    check("fused.json");
}

fn check(file: &str) {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file);
    let cases = support::json(cases);
    let device = support::device();
    let mut wrong = Vec::new();
    for case in cases.as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let inputs: Vec<_> = case["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| (v["name"].as_str().unwrap().to_owned(), tensor(v)))
            .collect();
        let run = || block_on(Network::load(&model(case["model"].as_str().unwrap()), &device)?.run(&inputs));
        match run() {
            Err(e) => wrong.push(format!("{name}: {e}")),
            Ok(outputs) => {
                let wants = case["outputs"].as_array().unwrap();
                assert_eq!(outputs.len(), wants.len(), "{name}");
                for ((output, got), want) in outputs.iter().zip(wants) {
                    wrong.extend(fault(got, &tensor(want)).map(|f| format!("{name}, {output}: {f}")));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.as_array().unwrap().len(), wrong.join("\n"));
}
