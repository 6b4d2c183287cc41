//! Losses of targets, and the steps that follow from them, against PyTorch in float64: `SGD(lr=0.1, momentum=0.9, nesterov=True,
//! weight_decay=0.01)` on `cross_entropy(ignore_index=255)`, `mse_loss` and `l1_loss`.

use super::*;
use crate::block_on;

const PLACES: &str = "(float[N,1,3,4] x) => (float[N,3,3,4] y) <float[3,1,3,3] w, float[3] b>
{ y = Conv <pads = [1, 1, 1, 1]> (x, w, b) }";
const NUMBERS: &str = "(float[N,1,3,4] x) => (float[N,2] y) <float[2,12] w, float[2] b>
{ f = Flatten (x) y = Gemm <transB = 1> (f, w, b) }";

/// `(i * by % of - less) / over`, which float32 holds to the last bit.
fn series(count: usize, by: usize, of: usize, less: f32, over: f32) -> Vec<f32> {
    (0..count).map(|i| ((i * by % of) as f32 - less) / over).collect()
}

fn model(text: &str, weights: usize) -> Model {
    let mut model = lopper_core::text::parse(text).unwrap();
    for (name, values) in [("w", series(weights, 7, 11, 5.0, 8.0)), ("b", series(weights / 9, 3, 5, 2.0, 4.0))] {
        let place = stored::find(&mut model, name).unwrap();
        let dims: Vec<usize> = place.dims.iter().map(|d| *d as usize).collect();
        let values: Vec<f32> = values.into_iter().take(dims.iter().product()).collect();
        write(&mut model, &Stored::from_f32(name, dims, &values)).unwrap();
    }
    model
}

fn lesson(target: Target) -> Lesson {
    let input = HostTensor::f32(vec![2, 1, 3, 4], series(24, 5, 13, 6.0, 4.0)).unwrap();
    Lesson { input, target: Some(target), ahead: Vec::new(), moved: Vec::new() }
}

fn places() -> Target {
    let classes = vec![0, 1, 2, 255, 2, 2, 1, 0, 255, 255, 0, 1, 1, 1, 0, 2, 0, 255, 2, 1, 0, 0, 1, 2];
    Target::Places { dims: vec![2, 3, 4], classes }
}

fn values() -> Target {
    Target::Values(HostTensor::f32(vec![2, 2], series(4, 4, 7, 3.0, 2.0)).unwrap())
}

/// Losses of four steps, then biases and the first weights.
fn four_steps(model: &Model, loss: Loss, parts: impl Fn() -> Vec<Lesson>) -> Vec<f32> {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    let settings = Settings { optimizer, rate: 0.1, loss, ..Settings::default() };
    let mut trainer = Trainer::new(model, &Device::cpu(), settings).unwrap();
    (0..4).for_each(|_| trainer.learn(parts()).unwrap());
    losses_and_parameters(&mut trainer)
}

fn losses_and_parameters(trainer: &mut Trainer) -> Vec<f32> {
    let mut out = block_on(trainer.losses()).unwrap();
    let tensors = block_on(trainer.tensors()).unwrap();
    for (name, most) in [("b", 3), ("w", 5)] {
        let (_, tensor) = tensors.iter().find(|t| t.0 == name).unwrap();
        out.extend(tensor.as_f32().unwrap().iter().take(most));
    }
    out
}

fn near(got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((f64::from(*got) - want).abs() < 2e-6, "{got} instead of {want}");
    }
}

const SEGMENTED: [f64; 12] = [
    1.5463736165866813,
    1.4522141579562216,
    1.3351712299581724,
    1.2116892047819456,
    -0.3927884384585881,
    0.16154148360847675,
    -0.26269813720225477,
    -0.4656646037203216,
    0.09980254569926912,
    -0.20247828700961654,
    0.43980358680180864,
    -0.031943734418682194,
];

#[test]
fn classes_of_places_are_learnt_as_in_pytorch() {
    let model = model(PLACES, 27);
    let of = |smoothing| four_steps(&model, Loss::CrossEntropy { smoothing }, || vec![lesson(places())]);
    near(&of(0.0), &SEGMENTED);
    let smoothed = [
        1.528821533253348,
        1.4475464528488615,
        1.3462698651354437,
        1.2390763759059646,
        -0.39537113508513966,
        0.15978767751562684,
        -0.2583616344828531,
        -0.4751570256856227,
        0.10979173543883561,
        -0.20605374661327172,
        0.44782933316682016,
        -0.020014033192220088,
    ];
    near(&of(0.1), &smoothed);
}

#[test]
fn a_scale_that_is_put_in_again_is_learnt_as_in_pytorch_and_folds_back() {
    let model = model(PLACES, 27);
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 0.01 };
    let settings = Settings { optimizer, rate: 0.1, ..Settings::default() };
    let mut trainer = Trainer::new(&model, &Device::cpu(), settings.clone()).unwrap();
    let scales = vec![("w".to_owned(), 0), ("b".to_owned(), 0)];
    trainer.open_gates(&[GateSite { name: "w".into(), channels: 3, scales }]).unwrap();
    (0..4).for_each(|_| trainer.learn(vec![lesson(places())]).unwrap());
    let want = [
        1.5463736165866813,
        1.4227181887658262,
        1.2873932272950335,
        1.1634742908525164,
        -0.2928955435512594,
        0.1543166967567279,
        -0.17854375584443302,
        -0.34741542005448817,
        0.08188300888502373,
        -0.15219439701649265,
        0.33227181691220975,
        -0.01642135373772258,
    ];
    near(&losses_and_parameters(&mut trainer), &want);
    let judged = |t: &mut Trainer| block_on(t.judge([Ok(lesson(places()))], async || Control::Continue)).unwrap();
    let folded = block_on(trainer.to_model(&model)).unwrap();
    let after = judged(&mut Trainer::new(&folded, &Device::cpu(), settings).unwrap());
    assert!((judged(&mut trainer) - after).abs() < 1e-6 && after < 1.1634742908525164);
}

#[test]
fn a_batch_in_parts_counts_every_place_alike() {
    let image = |at: usize| {
        let Lesson { input, target: Some(Target::Places { classes, .. }), .. } = lesson(places()) else { panic!() };
        let input = HostTensor::f32(vec![1, 1, 3, 4], input.as_f32().unwrap()[at * 12..][..12].to_vec()).unwrap();
        let target = Target::Places { dims: vec![1, 3, 4], classes: classes[at * 12..][..12].to_vec() };
        Lesson { input, target: Some(target), ahead: Vec::new(), moved: Vec::new() }
    };
    near(&four_steps(&model(PLACES, 27), Loss::default(), || vec![image(0), image(1)]), &SEGMENTED);
}

#[test]
fn numbers_are_learnt_as_in_pytorch() {
    let model = model(NUMBERS, 24);
    let of = |loss| four_steps(&model, loss, || vec![lesson(values())]);
    let squared = [
        1.1650390625,
        0.2530422388465118,
        0.18829910289555712,
        0.012945593785981651,
        -0.5796681247298539,
        0.24348857963750864,
        -0.4691201061849074,
        0.25607411053035595,
        -0.34502477236886986,
        0.7228811076072638,
        0.08972632117852057,
    ];
    near(&of(Loss::Squared), &squared);
    let absolute = [
        1.046875,
        0.3784312499999999,
        0.37565282234375014,
        0.36038735655068754,
        -0.5703805350023661,
        0.24697254602618302,
        -0.5107972917770626,
        0.27109333872406116,
        -0.31839605701580487,
        0.6858477168788525,
        0.10938934423596963,
    ];
    near(&of(Loss::Absolute), &absolute);
}

#[test]
fn targets_that_do_not_fit_are_refused_and_none_that_counts_costs_nothing() {
    let (places_model, numbers_model) = (model(PLACES, 27), model(NUMBERS, 24));
    let learnt = |model: &Model, loss, target| {
        let mut trainer = Trainer::new(model, &Device::cpu(), Settings { loss, ..Settings::default() }).unwrap();
        trainer.learn(vec![lesson(target)]).map(|()| block_on(trainer.losses()).unwrap()[0])
    };
    let code = |model: &Model, loss, target| learnt(model, loss, target).unwrap_err().code();
    let place = |dims: Vec<usize>, class| Target::Places { classes: vec![class; dims.iter().product()], dims };
    assert_eq!(code(&places_model, Loss::default(), place(vec![2, 4, 3], 0)), Code::DataMismatch);
    assert_eq!(code(&places_model, Loss::default(), place(vec![2, 3, 4], 3)), Code::DataMismatch);
    assert_eq!(code(&places_model, Loss::default(), values()), Code::DataMismatch);
    assert_eq!(code(&places_model, Loss::Squared, places()), Code::BadData);
    let turned = Target::Values(HostTensor::f32(vec![2, 3], vec![0.0; 6]).unwrap());
    assert_eq!(code(&numbers_model, Loss::Absolute, turned), Code::DataMismatch);
    assert_eq!(learnt(&places_model, Loss::default(), place(vec![2, 3, 4], 255)).unwrap(), 0.0);
}
