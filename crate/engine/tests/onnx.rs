//! ONNX's own operator tests, written by `tests/conformance/check_onnx.py` into the folder that `LOPPER_ONNX_CASES` names:
//! in each case's folder `model.onnx`, for every data set a model whose initializers are the inputs and the outputs, and often
//! `moved.onnx`, which computes the same with its inputs on the device.
//! What came of every case goes into `results.json` beside them; `LOPPER_DEVICE=gpu` runs them on a GPU.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use lopper_core::onnx::{DataType, Model};
use lopper_engine::{Device, HostData, HostTensor, Network, block_on};
use serde_json::{Map, Value};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The tensors of a data set by name.
fn tensors(path: &Path) -> Result<Vec<(String, HostTensor)>, String> {
    let model = Model::read(support::bytes(path.to_owned())).map_err(|e| e.to_string())?;
    let one = |proto| {
        let t = model.tensor(proto)?;
        let data = match t.dtype {
            d if d.is_float() => HostData::F32(t.to_f32()?),
            DataType::Bool => HostData::Bool(t.to_i64()?.into_iter().map(|v| v != 0).collect()),
            _ => HostData::I64(t.to_i64()?),
        };
        Ok((t.name, HostTensor::new(t.dims, data)?))
    };
    model.graph().initializer.iter().map(one).collect::<lopper_core::Result<_>>().map_err(|e| e.to_string())
}

/// Whether numbers agree as ONNX's own runner asks for.
fn close(got: f32, want: f32, [relative, absolute]: [f64; 2]) -> bool {
    let (got, want) = (f64::from(got), f64::from(want));
    got == want || (got.is_nan() && want.is_nan()) || (got - want).abs() <= absolute + relative * want.abs()
}

fn agree(got: &HostTensor, want: &HostTensor, limits: [f64; 2]) -> Result<(), String> {
    if got.dims != want.dims {
        return Err(format!("shape {:?} instead of {:?}", got.dims, want.dims));
    }
    match (&got.data, &want.data) {
        (HostData::F32(a), HostData::F32(b)) => match a.iter().zip(b).position(|(&a, &b)| !close(a, b, limits)) {
            Some(i) => Err(format!("{} instead of {} at {i}", a[i], b[i])),
            None => Ok(()),
        },
        (a, b) if a == b => Ok(()),
        (a, b) => Err(format!("{a:?} instead of {b:?}").chars().take(200).collect()),
    }
}

/// Runs all data sets of a case.
fn run(case: &Path, device: &Device) -> Result<(), String> {
    run_model(case, "model.onnx", device)?;
    if !case.join("moved.onnx").is_file() {
        return Ok(());
    }
    match run_model(case, "moved.onnx", device) {
        // Boxes, masks and the like decide what is computed: a GPU cannot be asked for them in between.
        Err(e) if e.contains("depends on the contents of the data") => Ok(()),
        other => other.map_err(|e| format!("on the device, {e}")),
    }
}

fn run_model(case: &Path, file: &str, device: &Device) -> Result<(), String> {
    let limits = support::json(case.join("limits.json"));
    let limits = [limits["rtol"].as_f64().unwrap(), limits["atol"].as_f64().unwrap()];
    let model = Model::read(support::bytes(case.join(file))).map_err(|e| e.to_string())?;
    let network = Network::load(&model, device).map_err(|e| e.to_string())?;
    let sets: Vec<_> = (0..).map(|i| case.join(format!("data_{i}.onnx"))).take_while(|p| p.is_file()).collect();
    assert!(!sets.is_empty(), "no data");
    for set in sets {
        let data = tensors(&set)?;
        let fed = |name: &str| model.graph().input.iter().any(|i| i.name.as_deref() == Some(name));
        let (inputs, wants): (Vec<_>, Vec<_>) = data.into_iter().partition(|(name, _)| fed(name));
        let outputs = block_on(network.run(&inputs)).map_err(|e| e.to_string())?;
        for (name, want) in &wants {
            let (_, got) = outputs.iter().find(|(n, _)| n == name).ok_or(format!("{name} is not computed"))?;
            agree(got, want, limits).map_err(|e| format!("{name}: {e}"))?;
        }
    }
    Ok(())
}

#[test]
fn operator_tests_of_onnx() {
    let Some(folder) = std::env::var_os("LOPPER_ONNX_CASES") else {
        eprintln!("SKIPPED: LOPPER_ONNX_CASES names no folder; tests/conformance/check_onnx.py makes one");
        return;
    };
    let (folder, device) = (Path::new(&folder), support::device());
    let mut results = Map::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let case = entry.unwrap().path();
        if case.is_dir() {
            let ran = catch_unwind(AssertUnwindSafe(|| run(&case, &device)));
            let said = ran.unwrap_or(Err("it panicked".into())).err().unwrap_or("ok".into());
            results.insert(case.file_name().unwrap().to_string_lossy().into_owned(), Value::String(said));
        }
    }
    assert!(!results.is_empty());
    std::fs::write(folder.join("results.json"), serde_json::to_string(&results).unwrap()).unwrap();
}
