//! Images that ask for numbers or for a class of each place, and parameters that stay as they are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{
    Augmentation, Code, DataOptions, Host, LossKind, Measure, PlanOptions, Rules, SensitivityOptions, Session, Source,
    Target, TuneOptions, TuneSummary, Which, block_on,
};
use std::time::Instant;

const PLACES: &str = "(float[N,1,8,8] x) => (float[N,3,8,8] y)
<float[3,1,1,1] w = {0, 4, 10}, float[3] b = {0, -2, -7}> { y = Conv (x, w, b) }";
const NUMBERS: &str = "(float[N,1,8,8] x) => (float[N,2] y) <float[2,1] w = {2, -1}, float[2] b = {0.25, 0}>
{ g = GlobalAveragePool (x) f = Flatten (g) y = Gemm <transB = 1> (f, w, b) }";

struct Clock(Instant);

impl Host for Clock {
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    async fn breathe(&self, _idle: bool) {}
}

fn clock() -> Clock {
    Clock(Instant::now())
}

fn session(text: &str, npz: &'static [u8], test: f64) -> Session {
    let mut session = Session::new();
    let model = lopper_core::text::parse(text).unwrap();
    session.open(Bytes::from(model.write().unwrap()), "model.onnx").unwrap();
    let normalize = "none".to_owned();
    let options = DataOptions { normalize, seed: 1, validation: Some((1.0 - test) / 4.0), test: Some(test) };
    let source = Source::Archive(Bytes::from_static(npz));
    block_on(session.load_data("targets.npz", source, &options, &clock())).unwrap();
    session
}

fn places(test: f64) -> Session {
    session(PLACES, include_bytes!("targets/places.npz"), test)
}

fn numbers(test: f64) -> Session {
    session(NUMBERS, include_bytes!("targets/numbers.npz"), test)
}

fn tuned(session: &mut Session, rules: Rules) -> lopper_pipeline::Result<TuneSummary> {
    let options = TuneOptions { epochs: 8, learning_rate: 0.1, batch: 9, rules, ..TuneOptions::default() };
    block_on(session.tune(&options, &clock()))
}

#[test]
fn models_are_judged_by_what_numpy_makes_of_their_answers() {
    let expected: serde_json::Value = serde_json::from_str(include_str!("targets/expected.json")).unwrap();
    let near = |got: f64, name: &str| {
        let want = expected[name].as_f64().unwrap();
        assert!((got - want).abs() < 1e-5, "{name}: {got} instead of {want}");
    };
    let seen = block_on(places(1.0).evaluate(Which::Original, None, &clock())).unwrap();
    near(seen.mean_iou.unwrap(), "mean_iou");
    near(seen.top1.unwrap(), "top1");
    near(seen.loss, "cross_entropy");
    let seen = block_on(numbers(1.0).evaluate(Which::Original, None, &clock())).unwrap();
    assert_eq!((seen.top1, seen.mean_iou, seen.images), (None, None, 60));
    near(seen.loss, "mse");
    near(seen.absolute.unwrap(), "mae");
}

#[test]
fn images_without_classes_judge_cuts_by_what_the_output_moves() {
    // No image is negative: the third channel is silent on images, not on random input. Of equal scores the last goes first.
    let text = "(float[N,1,8,8] x) => (float[N,2] y)
<float[3,1,1,1] w = {1, 1, -1}, float[2,3] v = {1, 1, 1, 1, 1, 1}, float[2] b = {0, 0}>
{ c = Conv (x, w) r = Relu (c) g = GlobalAveragePool (r) f = Flatten (g) y = Gemm <transB = 1> (f, v, b) }";
    let session = session(text, include_bytes!("targets/numbers.npz"), 0.5);
    let options =
        SensitivityOptions { plan: PlanOptions::new(Target::Ratio(0.0)), ratios: vec![0.33, 0.66], limit: Some(17) };
    let seen = block_on(session.sensitivity(&options, &clock())).unwrap();
    assert_eq!((seen.measure, seen.baseline, seen.groups.len()), (Measure::Outputs, 0.0, 1));
    let values: Vec<f64> = seen.groups[0].points.iter().map(|p| p.value).collect();
    assert!(values.len() == 2 && values[0] == 0.0 && (values[1] - 0.5).abs() < 1e-6, "{values:?}");

    let mut without = Session::new();
    let model = lopper_core::text::parse(text).unwrap();
    without.open(Bytes::from(model.write().unwrap()), "model.onnx").unwrap();
    let seen = block_on(without.sensitivity(&options, &clock())).unwrap();
    assert!(seen.measure == Measure::Random && seen.groups[0].points[0].value > 0.0, "{seen:?}");
}

#[test]
fn what_the_data_hold_decides_what_is_learnt() {
    let loss = |s: &mut Session, w| block_on(s.evaluate(w, None, &clock())).unwrap().loss;
    let mut of_places = places(0.2);
    let told = tuned(&mut of_places, Rules::default()).unwrap();
    assert_eq!((told.loss_kind, told.validation_top1), (Some(LossKind::Segmentation), None));
    let [before, after] = [Which::Original, Which::Tuned].map(|w| loss(&mut of_places, w));
    assert!(after < before && told.best_epoch.is_some() && told.validation_loss.is_none(), "{before} {after} {told:?}");
    assert!(told.validation_mean_iou.is_some_and(|iou| iou > 0.0 && iou <= 1.0), "{told:?}");

    let mut of_numbers = numbers(0.2);
    let told = tuned(&mut of_numbers, Rules::default()).unwrap();
    assert_eq!((told.loss_kind, told.before_top1), (Some(LossKind::Regression), None));
    let [before, after] = [Which::Original, Which::Tuned].map(|w| loss(&mut of_numbers, w));
    assert!(after < 0.2 * before, "{before} {after}");
    let l1 = tuned(&mut of_numbers, Rules { loss: LossKind::L1, ..Rules::default() }).unwrap();
    assert_eq!(l1.loss_kind, Some(LossKind::L1));

    let refused = |s: &mut Session, loss, augmentation| {
        tuned(s, Rules { loss, augmentation, ..Rules::default() }).unwrap_err().code()
    };
    assert_eq!(refused(&mut of_places, LossKind::Regression, None), Code::Usage);
    assert_eq!(refused(&mut of_numbers, LossKind::CrossEntropy, None), Code::Usage);
    assert_eq!(refused(&mut of_places, LossKind::Auto, Some(vec![Augmentation::Mixup])), Code::Usage);
}

#[test]
fn batches_that_make_one_step_are_one_batch() {
    let loss = |batch, accumulate| {
        let mut session = places(0.2);
        let rules = Rules { accumulate: Some(accumulate), ..Rules::default() };
        let options = TuneOptions { epochs: 2, learning_rate: 0.1, batch, rules, ..TuneOptions::default() };
        let told = block_on(session.tune(&options, &clock())).unwrap();
        (told.steps, block_on(session.evaluate(Which::Tuned, None, &clock())).unwrap().loss)
    };
    let ((steps, whole), (same, parts), (more, each)) = (loss(12, 1), loss(4, 3), loss(4, 1));
    assert_eq!((steps, more), (same, 3 * steps));
    assert!((whole - parts).abs() < 1e-6 && (whole - each).abs() > 1e-4, "{whole} {parts} {each}");
}

#[test]
fn folded_models_learn_scales_that_are_multiplied_in() {
    let learnt = |affine| {
        let mut session = places(0.2);
        tuned(&mut session, Rules { affine, ..Rules::default() }).unwrap();
        let [before, after] =
            [Which::Original, Which::Tuned].map(|w| block_on(session.evaluate(w, None, &clock())).unwrap().loss);
        assert!(after < before, "{before} {after}");
        after
    };
    assert!((learnt(true) - learnt(false)).abs() > 1e-5);
    let refused = tuned(&mut numbers(0.2), Rules { affine: true, ..Rules::default() });
    assert_eq!(refused.unwrap_err().code(), Code::Usage, "there is no convolution");
}

#[test]
fn nodes_before_the_cut_rest_and_run_once_where_images_stay() {
    let mut session = Session::new();
    let sample = Bytes::from_static(include_bytes!("../assets/sample.onnx"));
    block_on(session.load_sample(sample, &clock())).unwrap();
    let run = |session: &mut Session, freeze: &str, augmentation: Option<Vec<Augmentation>>| {
        let freeze = vec![freeze.to_owned()];
        let rules = Rules { freeze, augmentation, loss: LossKind::CrossEntropy, ..Rules::default() };
        let options = TuneOptions { epochs: 2, steps: Some(40), batch: 64, rules, ..TuneOptions::default() };
        block_on(session.tune(&options, &clock()))
    };
    assert_eq!(run(&mut session, "prefix", None).unwrap_err().code(), Code::Usage, "nothing was cut");

    let locks = vec!["stem*".to_owned(), "stage1*".to_owned()];
    block_on(session.cut(&PlanOptions { locks, ..PlanOptions::new(Target::Ratio(0.5)) }, &clock())).unwrap();
    let told = run(&mut session, "prefix", Some(Vec::new())).unwrap().resting.unwrap();
    // Three convolutions with their normalisations, two Relus before the sum and its own after it.
    assert_eq!((told.parameters, told.nodes, told.kept), (9, 10, true));
    assert!(told.bytes.is_some_and(|b| b % (4 * 1024) == 0), "{told:?}");
    let told = run(&mut session, "prefix", None).unwrap().resting.unwrap();
    assert!(!told.kept && told.nodes == 10, "images that change are not looked at once: {told:?}");
    let told = run(&mut session, "head*", Some(Vec::new())).unwrap().resting.unwrap();
    assert_eq!((told.parameters, told.nodes, told.bytes, told.kept), (2, 0, None, false), "all before it learns");
    assert_eq!(run(&mut session, "nothing-is-called-so", None).unwrap_err().code(), Code::Usage);
    assert_eq!(run(&mut session, "*", None).unwrap_err().code(), Code::Usage);
}
