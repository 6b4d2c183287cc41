#![allow(clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]
use lopper_core::onnx::Model;
use lopper_engine::data::*;
use lopper_engine::train::*;
use lopper_engine::*;
use std::time::Instant;
fn data(p: &str) -> Dataset { Dataset::from_npz(std::fs::read(p).unwrap().into(), ImageSpec::default()).unwrap() }
fn device() -> Device {
    let d = block_on(Device::open(std::env::var("DEV").unwrap_or("cpu".into()).parse().unwrap())).unwrap();
    eprintln!("device {} {:?} because {}", d.name(), d.kind(), d.why());
    d
}
fn batch(d: &Dataset, a: u32, n: u32) -> Labelled { d.gather(&(a..a + n).collect::<Vec<_>>(), &Normalization::cifar10(), None).unwrap().try_into().unwrap() }
fn main() {
    let a: Vec<String> = std::env::args().skip(1).collect();
    if a[0] == "nodes" { return nodes(&a[1]); }
    let model = Model::read(std::fs::read(&a[1]).unwrap().into()).unwrap();
    match a[0].as_str() {
        "grad" => {
            let d = data(&a[2]);
            let o = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
            let mut t = Trainer::new(&model, &device(), Settings { optimizer: o, rate: 1000.0, schedule: Schedule::Constant, seed: 0 }).unwrap();
            t.step(&batch(&d, 0, 32)).unwrap();
            let m = block_on(t.to_model(&model)).unwrap();
            std::fs::write(&a[3], m.write().unwrap()).unwrap();
        }
        "infer" => {
            let d = data(&a[2]);
            let n: u32 = a[3].parse().unwrap();
            let t = Instant::now();
            let net = Network::load(&model, &device()).unwrap();
            eprintln!("load {:?}", t.elapsed());
            let b = batch(&d, 0, n);
            let x = vec![(std::env::var("INPUT").unwrap_or("input".into()), HostTensor::f32(b.dims.clone(), b.images.clone()).unwrap())];
            let mut times = vec![];
            for _ in 0..a.get(4).map_or(10, |s| s.parse().unwrap()) { let t = Instant::now(); block_on(net.run(&x)).unwrap(); times.push(t.elapsed().as_secs_f64()); }
            times.sort_by(f64::total_cmp);
            println!("infer batch {n}: median {:.1} ms, min {:.1}, {:.0} images/s", times[times.len() / 2] * 1e3, times[0] * 1e3, n as f64 / times[times.len() / 2]);
        }
        "step" => {
            let d = data(&a[2]);
            let n: u32 = a[3].parse().unwrap();
            let o = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 5e-4 };
            let mut tr = Trainer::new(&model, &device(), Settings { optimizer: o, rate: 0.002, schedule: Schedule::Constant, seed: 0 }).unwrap();
            let b = batch(&d, 0, n);
            let mut times = vec![];
            for _ in 0..a.get(4).map_or(10, |s| s.parse().unwrap()) { let t = Instant::now(); tr.step(&b).unwrap(); block_on(tr.losses()).unwrap(); times.push(t.elapsed().as_secs_f64()); }
            times.sort_by(f64::total_cmp);
            println!("step batch {n}: median {:.1} ms, min {:.1}", times[times.len() / 2] * 1e3, times[0] * 1e3);
        }
        "raw" => {
            // raw MODEL INPUTNAME dtype dims.. < file; writes outputs
            let dims: Vec<usize> = a[4].split(',').map(|s| s.parse().unwrap()).collect();
            let bytes = std::fs::read(&a[5]).unwrap();
            let t = if a[3] == "f" { HostTensor::f32(dims, bytes.chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()) } else { HostTensor::i64(dims, bytes.chunks(8).map(|c| i64::from_le_bytes(c.try_into().unwrap())).collect()) };
            let net = Network::load(&model, &device()).unwrap();
            let out = block_on(net.run(&[(a[2].clone(), t.unwrap())])).unwrap();
            for (i, (n, t)) in out.iter().enumerate() {
                eprintln!("{n} {:?}", t.dims);
                std::fs::write(format!("{}.{i}", a[6]), t.as_f32().unwrap().iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>()).unwrap();
            }
        }
        _ => panic!(),
    }
}

fn host(v: &serde_json::Value) -> HostTensor {
    let dims = v["dims"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
    let vals = v["values"].as_array().unwrap();
    let data = match v["kind"].as_str().unwrap() {
        "f" => HostData::F32(vals.iter().map(|x| x.as_f64().unwrap_or(f64::NAN) as f32).collect()),
        "i" => HostData::I64(vals.iter().map(|x| x.as_i64().unwrap()).collect()),
        _ => HostData::Bool(vals.iter().map(|x| x.as_i64().unwrap() != 0).collect()),
    };
    HostTensor { dims, data }
}
fn nodes(file: &str) {
    let dev = device();
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let (mut good, mut bad, mut refused) = (0, 0, 0);
    let filter = std::env::var("ONLY").unwrap_or_default();
    for c in cases.as_array().unwrap() {
        let name = c["name"].as_str().unwrap();
        if !name.contains(&filter) { continue; }
        let inputs: Vec<_> = c["inputs"].as_array().unwrap().iter().map(|v| (v["name"].as_str().unwrap().to_string(), host(v))).collect();
        let run = || -> lopper_core::Result<Vec<(String, HostTensor)>> {
            let model = Model::read(std::fs::read(c["model"].as_str().unwrap()).unwrap().into())?;
            let net = Network::load(&model, &dev)?;
            block_on(net.run(&inputs))
        };
        match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
            Err(_) => { bad += 1; println!("PANIC {name}"); }
            Ok(Err(e)) => { refused += 1; println!("refused {name}: {e}"); }
            Ok(Ok(out)) => {
                let mut why = String::new();
                for (v, (_, got)) in c["outputs"].as_array().unwrap().iter().zip(&out) {
                    let want = host(v);
                    if want.dims != got.dims { why = format!("dims {:?} want {:?}", got.dims, want.dims); break; }
                    let f = |t: &HostTensor| -> Vec<f64> { match &t.data { HostData::F32(v) => v.iter().map(|&x| x as f64).collect(), HostData::I64(v) => v.iter().map(|&x| x as f64).collect(), HostData::Bool(v) => v.iter().map(|&x| x as u8 as f64).collect() } };
                    let w = f(&want).iter().zip(f(got)).filter(|(a, _)| a.is_finite()).map(|(a, b)| (a - b).abs() / (1.0 + a.abs())).fold(0.0, f64::max);
                    if !(w < 1e-4) { why = format!("differs by {w:.2e}"); }
                }
                if why.is_empty() { good += 1 } else { bad += 1; println!("BAD {name}: {why}") }
            }
        }
    }
    println!("{good} good, {bad} bad, {refused} refused");
}
