//! What training does beside following the loss, against plain formulas: penalties, frozen and held parameters, gates.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::onnx::Model;
use lopper_core::text::parse;
use lopper_engine::train::{GateSite, Optimizer, Pull, Schedule, Settings, Trainer};
use lopper_engine::{Device, HostTensor, Labelled, Network, block_on};

const NORMED: &str = "
(float[N,2,6,6] x) => (float[N,3] l)
<float[4,2,3,3] w, float[4] scale = {0.5, -0.25, 0, 1}, float[4] shift = {0.1, -0.2, 0.3, 0.4}, float[4] mean,
 float[4] spread = {1.5, 0.5, 1, 2}, float[3,4] fc, float[3] b>
{
  c = Conv <pads = [1, 1, 1, 1]> (x, w)
  n = BatchNormalization (c, scale, shift, mean, spread)
  r = Relu (n)
  g = GlobalAveragePool (r)
  f = Flatten (g)
  l = Gemm <transB = 1> (f, fc, b)
}";

/// The same with the normalisation folded into the convolution.
const FOLDED: &str = "
(float[N,2,6,6] x) => (float[N,3] l)
<float[4,2,3,3] w, float[4] bias = {0.1, -0.2, 0.3, 0.4}, float[3,4] fc, float[3] b>
{
  c = Conv <pads = [1, 1, 1, 1]> (x, w, bias)
  r = Relu (c)
  g = GlobalAveragePool (r)
  f = Flatten (g)
  l = Gemm <transB = 1> (f, fc, b)
}";

const RATE: f64 = 0.5;

fn sgd(momentum: f32, weight_decay: f32) -> Optimizer {
    Optimizer::Sgd { momentum, nesterov: false, weight_decay }
}

fn trainer(text: &str, optimizer: Optimizer) -> Trainer {
    let settings = Settings { optimizer, rate: RATE, schedule: Schedule::Constant, seed: 1, ..Settings::default() };
    Trainer::new(&parse(text).unwrap(), &Device::cpu(), settings).unwrap()
}

fn batch(seed: usize) -> Labelled {
    let images = (0..4 * 72).map(|i| ((i * 7919 + seed * 104_729 + 13) % 101) as f32 / 50.0 - 1.0).collect();
    Labelled { images, dims: vec![4, 2, 6, 6], labels: vec![0, 1, 2, 1] }
}

fn read(trainer: &Trainer, name: &str) -> Vec<f32> {
    block_on(trainer.read(name)).unwrap().as_f32().unwrap().to_vec()
}

/// A parameter before and after one step, without a pull and with one.
fn stepped(name: &str, prepare: impl Fn(&mut Trainer)) -> [Vec<f32>; 3] {
    let mut plain = trainer(NORMED, sgd(0.0, 0.0));
    let before = read(&plain, name);
    plain.step(&batch(1)).unwrap();
    let mut pulled = trainer(NORMED, sgd(0.0, 0.0));
    prepare(&mut pulled);
    pulled.step(&batch(1)).unwrap();
    [before, read(&plain, name), read(&pulled, name)]
}

fn close(got: &[f32], want: &[f32], tolerance: f32) {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    for (g, w) in got.iter().zip(want) {
        assert!((g - w).abs() <= tolerance * largest.max(1e-3), "{got:?} instead of {want:?}");
    }
}

#[test]
fn slimming_pulls_by_the_sign_and_leaves_zero_alone() {
    let [before, plain, pulled] = stepped("scale", |t| t.pull("scale", Some(Pull::Sign(0.01))).unwrap());
    let want: Vec<f32> = before
        .iter()
        .zip(&plain)
        .map(|(w, p)| {
            p - RATE as f32
                * 0.01
                * if *w > 0.0 {
                    1.0
                } else if *w < 0.0 {
                    -1.0
                } else {
                    0.0
                }
        })
        .collect();
    close(&pulled, &want, 1e-6);
    // An implementation whose sign of 0 is 1 would move this one.
    assert_eq!(pulled[2], plain[2]);
    assert_ne!(pulled[0], plain[0]);
}

#[test]
fn shrinking_adds_factor_times_weight() {
    let factors: Vec<f32> = (0..72).map(|i| (i % 5) as f32).collect();
    let [before, plain, pulled] = stepped("w", |t| {
        t.strength(0.02);
        let factors = HostTensor::f32(vec![4, 2, 3, 3], factors.clone()).unwrap();
        t.pull("w", Some(Pull::Shrink(factors))).unwrap();
    });
    let want: Vec<f32> = (0..72).map(|i| plain[i] - RATE as f32 * 0.02 * factors[i] * before[i]).collect();
    close(&pulled, &want, 1e-6);
    assert_ne!(pulled, plain);
}

#[test]
fn what_is_held_or_frozen_stays_through_momentum_and_decay() {
    let mut t = trainer(NORMED, sgd(0.9, 0.0));
    t.step(&batch(1)).unwrap();
    let stays = |i: usize| if i < 18 { 0.0 } else { 1.0 };
    let mask = HostTensor::f32(vec![4, 2, 3, 3], (0..72).map(stays).collect()).unwrap();
    t.multiply("w", &mask, true).unwrap();
    t.pull("w", Some(Pull::Hold(mask.clone()))).unwrap();
    let before = read(&t, "w");
    t.step(&batch(2)).unwrap();
    let after = read(&t, "w");
    assert!(after[..18].iter().all(|v| *v == 0.0), "{after:?}");
    assert_ne!(before[18..], after[18..]);
    // Without holding, the same entries come back: soft pruning.
    t.release();
    t.step(&batch(3)).unwrap();
    assert!(read(&t, "w")[..18].iter().any(|v| *v != 0.0));
    t.steer(sgd(0.9, 0.1), RATE);
    t.freeze(|name| name == "w");
    let before = read(&t, "w");
    let others = read(&t, "fc");
    t.step(&batch(4)).unwrap();
    assert_eq!(read(&t, "w"), before);
    assert_ne!(read(&t, "fc"), others);
}

#[test]
fn fixed_statistics_stay_and_are_used() {
    let running = |t: &Trainer| block_on(t.memory()).unwrap().tensors["s:mean"].clone();
    let mut t = trainer(NORMED, sgd(0.0, 0.0));
    t.fix_statistics(true);
    let before = running(&t);
    t.step(&batch(1)).unwrap();
    assert_eq!(running(&t), before);
    let fixed = block_on(t.losses()).unwrap();
    let mut other = trainer(NORMED, sgd(0.0, 0.0));
    other.step(&batch(1)).unwrap();
    assert_ne!(running(&other), before);
    assert_ne!(block_on(other.losses()).unwrap(), fixed);
}

fn normed_site() -> GateSite {
    GateSite { name: "w".into(), channels: 4, scales: vec![("scale".into(), 0), ("shift".into(), 0)] }
}

fn folded_site() -> GateSite {
    GateSite { name: "w".into(), channels: 4, scales: vec![("w".into(), 0), ("bias".into(), 0)] }
}

/// `g dL/dg = sum over what makes the channel of v dL/dv`, the slopes taken from plain steps.
#[test]
fn gate_scores_follow_from_the_slopes_of_what_they_multiply() {
    for (text, site) in [(NORMED, normed_site()), (FOLDED, folded_site())] {
        let mut plain = trainer(text, sgd(0.0, 0.0));
        let starts: Vec<Vec<f32>> = site.scales.iter().map(|(n, _)| read(&plain, n)).collect();
        plain.step(&batch(1)).unwrap();
        let mut want = vec![0.0_f32; 4];
        for ((name, _), start) in site.scales.iter().zip(&starts) {
            let each = start.len() / 4;
            for (i, (a, b)) in start.iter().zip(read(&plain, name)).enumerate() {
                want[i / each] += a * (a - b) / RATE as f32;
            }
        }
        want.iter_mut().for_each(|v| *v = v.abs());
        let mut gated = trainer(text, sgd(0.0, 0.0));
        gated.open_gates(std::slice::from_ref(&site)).unwrap();
        gated.step(&batch(1)).unwrap();
        let scores = block_on(gated.gate_scores()).unwrap();
        assert_eq!(scores[0].0, "w");
        close(&scores[0].1.iter().map(|&v| v as f32).collect::<Vec<_>>(), &want, 1e-3);
        assert!(block_on(gated.gate_scores()).unwrap().is_empty(), "scores begin anew");
        // With gates of ones the parameters themselves move as without.
        for (name, _) in &site.scales {
            close(&read(&gated, name), &read(&plain, name), 1e-6);
        }
    }
}

#[test]
fn gates_are_pulled_towards_zero_and_fold_back_bit_for_bit() {
    for (text, site) in [(NORMED, normed_site()), (FOLDED, folded_site())] {
        let gate = |t: &Trainer| block_on(t.memory()).unwrap().tensors["g:w"].as_f32().unwrap().to_vec();
        let run = |penalty: f32| {
            let mut t = trainer(text, sgd(0.0, 0.0));
            t.open_gates(std::slice::from_ref(&site)).unwrap();
            t.pull_gates(penalty);
            t.step(&batch(1)).unwrap();
            t
        };
        let (plain, pulled) = (run(0.0), run(0.1));
        let want: Vec<f32> = gate(&plain).iter().map(|g| g - RATE as f32 * 0.1).collect();
        close(&gate(&pulled), &want, 1e-6);
        let mut t = trainer(text, sgd(0.9, 1e-4));
        t.open_gates(std::slice::from_ref(&site)).unwrap();
        (0..3).for_each(|s| t.step(&batch(s)).unwrap());
        assert!(gate(&t).iter().any(|g| (g - 1.0).abs() > 1e-3), "gates are trained");
        let model = parse(text).unwrap();
        let through = block_on(t.to_model(&model)).unwrap();
        let raw = read(&t, &site.scales[0].0);
        t.fold_gates().unwrap();
        let folded = block_on(t.to_model(&model)).unwrap();
        assert_ne!(read(&t, &site.scales[0].0), raw);
        let bits = |m: &Model| answer(m).iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&through), bits(&folded));
        // The folded model goes on computing what the gated one did.
        t.fix_statistics(true);
        t.step(&batch(9)).unwrap();
    }
}

fn answer(model: &Model) -> Vec<f32> {
    let network = Network::load(model, &Device::cpu()).unwrap();
    let x = HostTensor::f32(vec![4, 2, 6, 6], batch(7).images).unwrap();
    block_on(network.run(&[("x".into(), x)])).unwrap().remove(0).1.as_f32().unwrap().to_vec()
}

/// The loss that a gated trainer sees is that of the model it hands out.
#[test]
fn a_gated_step_computes_what_the_folded_model_computes() {
    let mut t = trainer(NORMED, sgd(0.9, 0.0));
    t.open_gates(&[normed_site()]).unwrap();
    (0..3).for_each(|s| t.step(&batch(s)).unwrap());
    let model = block_on(t.to_model(&parse(NORMED).unwrap())).unwrap();
    block_on(t.losses()).unwrap();
    t.fix_statistics(true);
    t.step(&batch(7)).unwrap();
    let seen = block_on(t.losses()).unwrap()[0];
    let logits = answer(&model);
    let labels = batch(7).labels;
    let loss: f32 = (logits.chunks(3).zip(&labels))
        .map(|(row, &l)| row.iter().map(|v| v.exp()).sum::<f32>().ln() - row[l as usize])
        .sum::<f32>()
        / 4.0;
    assert!((seen - loss).abs() < 1e-5, "{seen} {loss}");
}

#[test]
fn gates_that_do_not_fit_are_refused() {
    let mut t = trainer(NORMED, sgd(0.0, 0.0));
    let wrong = GateSite { channels: 3, ..normed_site() };
    assert!(t.open_gates(&[wrong]).is_err());
    assert!(t.open_gates(&[normed_site(), normed_site()]).is_err());
    let stranger = GateSite { scales: vec![("nowhere".into(), 0)], ..normed_site() };
    assert!(t.open_gates(&[stranger]).is_err());
    assert!(t.pull("nowhere", Some(Pull::Sign(1.0))).is_err());
    assert!(t.multiply("w", &HostTensor::f32(vec![2], vec![1.0, 1.0]).unwrap(), false).is_err());
}

#[test]
fn what_is_remembered_goes_on_with_gates_and_momentum() {
    let make = || {
        let mut t = trainer(NORMED, sgd(0.9, 1e-4));
        t.open_gates(&[normed_site()]).unwrap();
        t
    };
    let mut whole = make();
    (0..3).for_each(|s| whole.step(&batch(s)).unwrap());
    let memory = block_on(whole.memory()).unwrap();
    assert!(memory.tensors.contains_key("1:w") && memory.tensors.contains_key("h:w"));
    let mut resumed = make();
    resumed.remember(memory.clone()).unwrap();
    whole.step(&batch(5)).unwrap();
    resumed.step(&batch(5)).unwrap();
    assert_eq!(block_on(whole.memory()).unwrap(), block_on(resumed.memory()).unwrap());
    assert_eq!(block_on(whole.state()).unwrap().len(), block_on(resumed.state()).unwrap().len());
    let mut lost = memory;
    lost.tensors.remove("p:w");
    assert!(resumed.remember(lost).is_err());
}
