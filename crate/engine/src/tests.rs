//! Whole networks: small ones, written as text.

use crate::data::random::SplitMix64;
use crate::tensor::WAITS;
use crate::train::{Lesson, Loss, Optimizer, Progress, Schedule, Settings, Trainer};
use crate::verify::{self, MaskedSlices};
use crate::{Control, Device, Ended, HostTensor, Labelled, Network, block_on, eval};
use lopper_core::onnx::Model;
use lopper_core::{Code, Error};

const CLASSIFIER: &str = "
(float[N,2,6,6] x) => (float[N,3] p)
<float[4,2,3,3] w, float[4] scale, float[4] shift, float[4] mean, float[4] spread = {1.5, 0.5, 1, 2}, float[3,4] fc, float[3] b>
{
  c = Conv <pads = [1, 1, 1, 1]> (x, w)
  n = BatchNormalization (c, scale, shift, mean, spread)
  r = Relu (n)
  g = GlobalAveragePool (r)
  f = Flatten (g)
  l = Gemm <transB = 1> (f, fc, b)
  p = Softmax (l)
}";

fn model(text: &str) -> Model {
    lopper_core::text::parse(text).unwrap()
}

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    let mut random = SplitMix64::new(seed as u64);
    (0..count).map(|_| random.range(-1.0, 1.0)).collect()
}

fn input(seed: usize) -> HostTensor {
    HostTensor::f32(vec![4, 2, 6, 6], numbers(4 * 72, seed)).unwrap()
}

fn labelled(seed: usize) -> Labelled {
    Labelled { images: numbers(4 * 72, seed), dims: vec![4, 2, 6, 6], labels: vec![0, 1, 2, 1] }
}

fn run(network: &Network, x: HostTensor) -> Result<HostTensor, Error> {
    block_on(network.run(&[("x".into(), x)])).map(|mut out| out.remove(0).1)
}

fn code<T>(result: Result<T, Error>) -> Code {
    result.err().expect("an error").code()
}

fn trainer(rate: f64) -> Trainer {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: true, weight_decay: 1e-4 };
    let settings = Settings {
        optimizer,
        rate,
        schedule: Schedule::Cosine { warmup: 2, total: 20 },
        seed: 3,
        ..Settings::default()
    };
    Trainer::new(&model(CLASSIFIER), &Device::cpu(), settings).unwrap()
}

#[test]
fn all_operators_that_cannot_run_are_named_at_once() {
    let text = "(float[N,4] x) => (float[N,4] y) { a = Frobnicate (x) b = Relu (a) y = test.Relu (b) }";
    let Err(e) = Network::load(&model(&text.replace("test.Relu", "Twist")), &Device::cpu()) else { panic!() };
    assert_eq!(e.code(), Code::Unsupported);
    assert!(e.message().contains("Frobnicate") && e.message().contains("Twist"), "{e}");
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = Network::load(&model(CLASSIFIER), &Device::cpu()).unwrap();
    let image = |dims: Vec<usize>| HostTensor::f32(dims.clone(), vec![0.0; dims.iter().product()]).unwrap();
    assert_eq!(code(run(&network, image(vec![1, 3, 6, 6]))), Code::DataMismatch);
    assert_eq!(code(run(&network, image(vec![2, 6, 6]))), Code::DataMismatch);
    assert_eq!(code(run(&network, HostTensor::i64(vec![1, 2, 6, 6], vec![0; 72]).unwrap())), Code::DataMismatch);
    assert_eq!(code(block_on(network.run(&[("z".into(), input(0))]))), Code::DataMismatch);
    assert_eq!(code(block_on(network.run(&[]))), Code::DataMismatch);
    assert_eq!(run(&network, image(vec![5, 2, 6, 6])).unwrap().dims, [5, 3]);
}

#[test]
fn what_is_folded_ahead_gives_the_same() {
    let device = Device::cpu();
    let folded = run(&Network::load_classifier(&model(CLASSIFIER), &device).unwrap(), input(1)).unwrap();
    let plain = run(&Network::load_for_training(&model(CLASSIFIER), &device).unwrap(), input(1)).unwrap();
    let difference = folded.as_f32().unwrap().iter().zip(plain.as_f32().unwrap()).map(|(a, b)| (a - b).abs());
    assert!(difference.fold(0.0, f32::max) < 1e-6);
}

#[test]
fn a_classifier_gives_its_scores_before_the_softmax() {
    let device = Device::cpu();
    let scores = run(&Network::load_classifier(&model(CLASSIFIER), &device).unwrap(), input(1)).unwrap();
    let shares = run(&Network::load(&model(CLASSIFIER), &device).unwrap(), input(1)).unwrap();
    for (s, p) in scores.as_f32().unwrap().chunks(3).zip(shares.as_f32().unwrap().chunks(3)) {
        let sum: f32 = s.iter().map(|v| v.exp()).sum();
        assert!(s.iter().zip(p).all(|(s, p)| (s.exp() / sum - p).abs() < 1e-6));
    }
}

#[test]
fn training_learns_and_its_model_does_what_it_learnt() {
    let mut trainer = trainer(0.5);
    assert_eq!(trainer.trained().collect::<Vec<_>>(), ["w", "scale", "shift", "fc", "b"]);
    let mut seen: Vec<Progress> = Vec::new();
    let batches = (0..20).map(|_| Ok(labelled(1)));
    let ended = block_on(trainer.fit(batches, 8, async |p| {
        seen.push(p);
        Control::Continue
    }));
    assert_eq!(ended.unwrap(), Ended::Done);
    let losses: Vec<f32> = seen.iter().flat_map(|p| p.losses.clone()).collect();
    assert_eq!((losses.len(), seen[7].losses.len(), seen[6].losses.len()), (20, 8, 0));
    assert!((seen[0].rate - 0.25).abs() < 1e-9 && (seen[1].rate - 0.5).abs() < 1e-9);
    assert!(losses[19] < losses[0] * 0.9, "{losses:?}");
    let trained = block_on(trainer.to_model(&model(CLASSIFIER))).unwrap();
    let judge = |m: &Model| {
        let network = Network::load_classifier(m, &Device::cpu()).unwrap();
        block_on(eval::evaluate(&network, [Ok(labelled(1))], async |_| Control::Continue)).unwrap().0
    };
    let (before, after) = (judge(&model(CLASSIFIER)), judge(&trained));
    assert_eq!((after.images, after.top1() >= before.top1()), (4, true));
    let running = |m: &Model| {
        m.tensor(m.graph().initializer.iter().find(|t| t.name.as_deref() == Some("mean")).unwrap()).unwrap()
    };
    assert_ne!(running(&trained), running(&model(CLASSIFIER)), "running statistics move");
}

#[test]
fn a_run_stops_where_it_is_told_to() {
    let stop = |control: Control| {
        let mut trainer = trainer(0.01);
        let ended =
            block_on(trainer.fit((0..9).map(|_| Ok(labelled(2))), 1, async |p| {
                if p.steps == 3 { control } else { Control::Continue }
            }));
        (ended.unwrap(), trainer.steps())
    };
    assert_eq!(stop(Control::Cancel), (Ended::Cancelled, 3));
    assert_eq!(stop(Control::Pause), (Ended::Paused, 3));
    let network = Network::load_classifier(&model(CLASSIFIER), &Device::cpu()).unwrap();
    let (seen, ended) =
        block_on(eval::evaluate(&network, (0..5).map(|_| Ok(labelled(1))), async |_| Control::Cancel)).unwrap();
    assert_eq!((seen.images, ended), (4, Ended::Cancelled));
}

#[test]
fn a_checkpoint_goes_on_as_if_nothing_had_happened() {
    let steps = |trainer: &mut Trainer, seeds: std::ops::Range<usize>| {
        seeds.for_each(|s| trainer.step(&labelled(s)).unwrap());
        block_on(trainer.losses()).unwrap()
    };
    let mut whole = trainer(0.1);
    steps(&mut whole, 0..3);
    let state = block_on(whole.state()).unwrap();
    let rest = steps(&mut whole, 3..6);
    let mut resumed = trainer(0.1);
    resumed.restore(&state).unwrap();
    assert_eq!(resumed.steps(), 3);
    assert_eq!(steps(&mut resumed, 3..6), rest);
    assert_eq!(block_on(resumed.state()).unwrap(), block_on(whole.state()).unwrap());
    let mut fresh = trainer(0.1);
    for end in 0..state.len() {
        assert_eq!(code(fresh.restore(&state[..end])), Code::BadData, "cut at {end}");
    }
    assert_eq!(code(fresh.restore(&[state.clone(), vec![0]].concat())), Code::BadData);
    assert_eq!(fresh.steps(), 0);
}

#[test]
fn labels_and_rates_that_cannot_work_are_errors() {
    let mut trainer = trainer(0.1);
    let strange = Labelled { labels: vec![0, 1, 3, 1], ..labelled(0) };
    assert_eq!(code(trainer.step(&strange)), Code::DataMismatch);
    assert_eq!(code(trainer.step(&Labelled { labels: vec![0], ..labelled(0) })), Code::DataMismatch);
    trainer.step(&labelled(0)).unwrap();
    let mut wild = self::trainer(1e30);
    (0..6).for_each(|s| wild.step(&labelled(s)).unwrap());
    assert_eq!(code(block_on(wild.losses())), Code::Diverged);
}

#[test]
fn a_cut_is_compared_with_the_masked_original() {
    let whole = "(float[N,3,4,4] x) => (float[N,2,4,4] y)
        <float[3,3,1,1] a = {1, 2, 3, 4, 5, 6, 7, 8, 9}, float[3] s = {1, 1, 1}, float[2,3,1,1] b = {1, 2, 3, 4, 5, 6}>
        { h = Conv (x, a, s) r = Relu (h) y = Conv (r, b) }";
    let cut = "(float[N,3,4,4] x) => (float[N,2,4,4] y)
        <float[2,3,1,1] a = {1, 2, 3, 7, 8, 9}, float[2] s = {1, 1}, float[2,2,1,1] b = {1, 3, 4, 6}>
        { h = Conv (x, a, s) r = Relu (h) y = Conv (r, b) }";
    let mask = |name: &str, axis| MaskedSlices { initializer: name.into(), axis, indices: vec![1], within: None };
    let all = [mask("a", 0), mask("s", 0), mask("b", 1)];
    let exact = block_on(verify::compare(&model(whole), &model(cut), &all, 1)).unwrap();
    assert!(exact.relative < 1e-6 && exact.largest > 0.0, "{exact:?}");
    let other = MaskedSlices { indices: vec![0], ..mask("a", 0) };
    let wrong = block_on(verify::compare(&model(whole), &model(cut), &[other], 1)).unwrap();
    assert!(wrong.relative > 1e-2, "{wrong:?}");
    let stranger = [mask("c", 0)];
    assert_eq!(code(block_on(verify::compare(&model(whole), &model(cut), &stranger, 1))), Code::BadReport);
}

#[test]
fn attributes_that_would_fill_the_memory_are_refused() {
    let image = "(float[N,2,6,6] x) => (float[N,2,M,K] y)";
    let weight = "<float[2,2,3,3] w>";
    let cases = [
        format!("{image} {weight} {{ y = Conv <pads = [99999, 0, 0, 0]> (x, w) }}"),
        format!("{image} {weight} {{ y = Conv <pads = [30000, 30000, 30000, 30000]> (x, w) }}"),
        format!("{image} {weight} {{ y = ConvTranspose <strides = [30000, 30000]> (x, w) }}"),
        format!("{image} {weight} {{ y = ConvTranspose <strides = [1, 1], output_padding = [99999, 0]> (x, w) }}"),
        format!("{image} <int64[8] p = {{0, 0, 16000000, 16000000, 0, 0, 0, 0}}> {{ y = Pad (x, p) }}"),
        format!("{image} <int64[8] p = {{0, 0, 4000000000, 0, 0, 0, 0, 0}}> {{ y = Pad (x, p) }}"),
        format!("{image} <int64[4] r = {{1, 1, 4000000000, 4000000000}}> {{ y = Tile (x, r) }}"),
        format!("{image} <int64[6] s = {{10000, 10000, 1, 1, 6, 6}}> {{ z = Expand (x, s) y = Relu (z) }}"),
        format!("{image} {{ y = LpPool <kernel_shape = [9000, 9000], pads = [9000, 9000, 9000, 9000]> (x) }}"),
        "(float[N,2,6,6] x) => (float[M] y) <int64[] n = {4000000000}> { y = HannWindow (n) }".to_owned(),
        "(int64[N,2,6,6] x) => (float[N,2,6,6,D] y) <int64[] d = {4000000000}, float[2] v = {0, 1}>
            { y = OneHot (x, d, v) }"
            .to_owned(),
        "(float[1,2,6,6] x) => (float[A,B,C,D] y) <float[1,2,3] t, int64[4] s = {1, 1, 90000, 90000}>
            { y = AffineGrid (t, s) }"
            .to_owned(),
        format!("{image} <int64[2] s = {{100000, 100000}}> {{ z = ConstantOfShape (s) y = Relu (z) }}"),
        format!("<opset 9> {image} <float[4] c = {{1, 1, 100000, 100000}}> {{ y = Upsample (x, c) }}"),
    ];
    for text in cases {
        let whole = HostTensor::i64(vec![4, 2, 6, 6], vec![0; 4 * 72]).unwrap();
        let x = if text.contains("int64[N,2,6,6] x") { whole } else { input(0) };
        let result = Network::load(&model(&text), &Device::cpu()).and_then(|n| run(&n, x));
        let code = code(result);
        assert!(matches!(code, Code::TooLarge | Code::BadDims), "{code:?}: {text}");
    }
}

/// The weights after some steps, from the same beginning.
fn after(settings: Settings, steps: impl Fn(&mut Trainer)) -> Model {
    let mut trainer = Trainer::new(&model(CLASSIFIER), &Device::cpu(), settings).unwrap();
    steps(&mut trainer);
    block_on(trainer.to_model(&model(CLASSIFIER))).unwrap()
}

fn stored(m: &Model, name: &str) -> Vec<f32> {
    let place = m.graph().initializer.iter().find(|t| t.name.as_deref() == Some(name)).unwrap();
    m.tensor(place).unwrap().to_f32().unwrap()
}

fn apart(a: &Model, b: &Model, name: &str) -> f32 {
    stored(a, name).iter().zip(stored(b, name)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_batch_in_parts_moves_parameters_as_a_whole_one_does() {
    // With statistics of the batch the parts would differ from the whole.
    let frozen = || Settings { frozen_statistics: true, clip: Some(0.5), ..Settings::default() };
    let whole = after(frozen(), |t| t.learn(vec![labelled(1).into()]).unwrap());
    let parts = after(frozen(), |t| {
        let Labelled { images, labels, .. } = labelled(1);
        let part = |from: usize, to: usize| Labelled {
            images: images[from * 72..to * 72].to_vec(),
            dims: vec![to - from, 2, 6, 6],
            labels: labels[from..to].to_vec(),
        };
        t.learn(vec![part(0, 3).into(), part(3, 4).into()]).unwrap();
    });
    for name in ["w", "scale", "shift", "fc", "b"] {
        assert!(apart(&whole, &parts, name) < 1e-6, "{name}");
        assert!(apart(&whole, &model(CLASSIFIER), name) > 1e-6, "{name} does not move");
    }
    assert_eq!(apart(&whole, &model(CLASSIFIER), "mean"), 0.0, "frozen statistics stay");
}

#[test]
fn devices_that_share_a_batch_move_parameters_as_one_does() {
    let part = |seed: usize, from: usize, to: usize| Labelled {
        images: labelled(seed).images[from * 72..to * 72].to_vec(),
        dims: vec![to - from, 2, 6, 6],
        labels: labelled(seed).labels[from..to].to_vec(),
    };
    let lessons = |seed: usize| vec![part(seed, 0, 2).into(), part(seed, 2, 3).into(), part(seed, 3, 4).into()];
    let three_steps = |t: &mut Trainer| (0..3).for_each(|seed| t.learn(lessons(seed)).unwrap());
    let shared = |settings: Settings| {
        after(settings, |t| {
            t.share(&model(CLASSIFIER), None, &[Device::cpu(), Device::cpu()]).unwrap();
            three_steps(t);
        })
    };
    let frozen = Settings { frozen_statistics: true, ..Settings::default() };
    let (alone, together) = (after(frozen.clone(), three_steps), shared(frozen));
    for name in ["w", "scale", "shift", "fc", "b"] {
        assert!(apart(&alone, &together, name) < 1e-6, "{name}");
        assert!(apart(&alone, &model(CLASSIFIER), name) > 1e-6, "{name} does not move");
    }
    let (alone, together) = (after(Settings::default(), three_steps), shared(Settings::default()));
    for name in ["mean", "spread"] {
        // One after the other three parts move them further than side by side.
        let moved = |m: &Model| apart(m, &model(CLASSIFIER), name);
        assert!(moved(&together) > 1e-4 && moved(&together) < moved(&alone), "{name}");
    }
}

#[test]
fn a_network_learns_what_its_teacher_says_without_labels() {
    let distill = || Settings {
        loss: Loss::Distill { temperature: 4.0, share: 0.9, smoothing: 0.0 },
        rate: 0.3,
        ..Settings::default()
    };
    let teacher =
        after(Settings { rate: 0.5, ..Settings::default() }, |t| (0..10).for_each(|_| t.step(&labelled(1)).unwrap()));
    let lesson = || Lesson { target: None, ..labelled(2).into() };
    let mut losses = Vec::new();
    let asked = |answers: Vec<u32>, losses: &mut Vec<f32>| {
        let mut trainer = Trainer::new(&model(CLASSIFIER), &Device::cpu(), distill()).unwrap();
        trainer.learn_from(&teacher).unwrap();
        // Two batches are answered ahead, of which the second is learnt from.
        trainer.ask_ahead(&Lesson::from(labelled(7)).input).unwrap();
        trainer.ask_ahead(&lesson().input).unwrap();
        for _ in 0..20 {
            trainer.learn(vec![Lesson { ahead: answers.clone(), ..lesson() }]).unwrap();
        }
        losses.extend(block_on(trainer.losses()).unwrap());
        let judged = block_on(trainer.judge([Ok(lesson())], async || Control::Continue)).unwrap();
        (block_on(trainer.to_model(&model(CLASSIFIER))).unwrap(), judged)
    };
    let (now, judged) = asked(Vec::new(), &mut losses);
    let (ahead, _) = asked(vec![4, 5, 6, 7], &mut Vec::new());
    assert!(losses[19] < 0.2 * losses[0] && judged.is_finite(), "{losses:?} {judged}");
    assert!(apart(&now, &ahead, "w") < 1e-6, "answers given ahead are the same answers");
    let mut trainer = Trainer::new(&model(CLASSIFIER), &Device::cpu(), distill()).unwrap();
    assert_eq!(code(trainer.learn(vec![lesson()])), Code::BadData);
}

#[test]
fn steps_never_wait_and_losses_are_read_at_once() {
    let loss = Loss::Distill { temperature: 4.0, share: 0.9, smoothing: 0.1 };
    let settings = Settings { loss, clip: Some(1.0), decay_all: false, ..Settings::default() };
    let mut trainer = Trainer::new(&model(CLASSIFIER), &Device::cpu(), settings).unwrap();
    trainer.learn_from(&model(CLASSIFIER)).unwrap();
    let before = WAITS.get();
    (0..5).for_each(|step| trainer.learn(vec![Lesson::from(labelled(step)).mixed(1, step as u64); 2]).unwrap());
    assert_eq!(WAITS.get(), before);
    assert_eq!((block_on(trainer.losses()).unwrap().len(), WAITS.get()), (5, before + 1));
}
