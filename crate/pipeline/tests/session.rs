//! A session from open to download, on the sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{
    Amount, Code, Control, Criterion, DataOptions, Host, HostTensor, LossKind, MaskKind, MaskStep, PlanOptions,
    Progress, PruneTrainOptions, Recovery, Rules, ScoreOptions, Session, Source, Stage, Target, TuneOptions, Unproved,
    Which, block_on,
};
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Instant;

static SAMPLE: &[u8] = include_bytes!("../assets/sample.onnx");

/// Breaths on the way through the validation images, before the first step: the cut model's look and the uncut one's.
const LOOKS: usize = 4;

/// A host that writes down what it is told, and cancels or pauses at a chosen breath.
struct Notes {
    start: Instant,
    progress: RefCell<Vec<Progress>>,
    checkpoints: RefCell<Vec<Vec<u8>>>,
    breaths: Cell<usize>,
    idle: Cell<usize>,
    cancel_at: Option<(usize, Arc<Control>)>,
    pause_at: Option<(usize, Arc<Control>)>,
    /// Seconds that every look at the clock takes.
    hurry: f64,
    looks: Cell<usize>,
}

impl Notes {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            progress: RefCell::default(),
            checkpoints: RefCell::default(),
            breaths: Cell::new(0),
            idle: Cell::new(0),
            cancel_at: None,
            pause_at: None,
            hurry: 0.0,
            looks: Cell::new(0),
        }
    }
}

impl Host for Notes {
    fn seconds(&self) -> f64 {
        self.looks.set(self.looks.get() + 1);
        self.start.elapsed().as_secs_f64() + self.hurry * self.looks.get() as f64
    }

    fn progress(&self, progress: &Progress) {
        self.progress.borrow_mut().push(progress.clone());
    }

    fn checkpoint(&self, bytes: Vec<u8>) {
        self.checkpoints.borrow_mut().push(bytes);
    }

    async fn breathe(&self, idle: bool) {
        if idle {
            self.idle.set(self.idle.get() + 1);
            if let (Some((_, control)), 3) = (&self.pause_at, self.idle.get()) {
                control.resume();
            }
            return;
        }
        self.breaths.set(self.breaths.get() + 1);
        for (at, control, cancel) in [(&self.cancel_at, true), (&self.pause_at, false)]
            .into_iter()
            .filter_map(|(a, c)| a.as_ref().map(|(n, k)| (*n, k, c)))
        {
            if at == self.breaths.get() {
                if cancel { control.cancel() } else { control.pause() }
            }
        }
    }
}

fn half() -> PlanOptions {
    PlanOptions::new(Target::Ratio(0.5))
}

fn tuning(steps: usize) -> TuneOptions {
    TuneOptions { epochs: 1, steps: Some(steps), learning_rate: 0.02, batch: 32, ..TuneOptions::default() }
}

fn sample() -> Session {
    let mut session = Session::new();
    let summary = block_on(session.load_sample(Bytes::from_static(SAMPLE), &Notes::new())).unwrap();
    assert_eq!((summary.data.images, summary.data.classes.len()), (2400, 10));
    session
}

#[test]
fn a_session_goes_from_open_to_download() {
    let mut session = sample();
    let notes = Notes::new();
    let before = block_on(session.evaluate(Which::Original, Some(100), &notes)).unwrap();
    assert!(before.top1.unwrap() > 0.85, "{before:?}");

    let estimate = session.plan(&half()).unwrap();
    let cut = block_on(session.cut(&half(), &notes)).unwrap();
    assert_eq!((estimate.parameters, estimate.macs), (cut.estimate.parameters, cut.estimate.macs));
    assert!(cut.exact && cut.max_error.unwrap() <= cut.tolerance, "{cut:?}");
    let bytes = cut.estimate.bytes;
    assert!(
        bytes.after < bytes.before / 2 && bytes.after.abs_diff(estimate.bytes.after) < 2000,
        "{bytes:?} {estimate:?}"
    );

    let tuned = block_on(session.tune(&tuning(60), &notes)).unwrap();
    assert!(tuned.finished && tuned.steps == 60 && tuned.loss.is_finite(), "{tuned:?}");
    let [cut, tuned] =
        [Which::Cut, Which::Tuned].map(|w| block_on(session.evaluate(w, Some(200), &notes)).unwrap().top1.unwrap());
    assert!(tuned > cut + 0.1, "{cut} -> {tuned}");

    let files = session.export(Which::Tuned, Unproved::Refuse, "").unwrap();
    let report: serde_json::Value = serde_json::from_str(&files.report).unwrap();
    assert_eq!(report["exact"], true);
    assert!(report["accuracy"]["after_recovery"].as_f64().unwrap() > report["accuracy"]["after_cut"].as_f64().unwrap());
    let recipe: serde_json::Value = serde_json::from_str(&files.recipe).unwrap();
    assert_eq!((&recipe["cut"]["criterion"], &recipe["tune"]["steps"]), (&"l1".into(), &60.into()));
    let input = HostTensor::f32(vec![1, 3, 32, 32], vec![0.25; 3 * 32 * 32]).unwrap();
    let want = block_on(session.run(Which::Tuned, input.clone())).unwrap();
    let mut other = Session::new();
    other.open(files.bytes().unwrap(), "again.onnx").unwrap();
    assert_eq!(block_on(other.run(Which::Original, input)).unwrap(), want);
}

#[test]
fn a_cancelled_run_keeps_what_it_learnt_and_goes_on_elsewhere() {
    let mut session = sample();
    block_on(session.cut(&half(), &Notes::new())).unwrap();
    let notes = Notes { cancel_at: Some((LOOKS + 5, session.control())), ..Notes::new() };
    let first = block_on(session.tune(&tuning(12), &notes)).unwrap();
    assert_eq!((first.steps, first.finished), (5, false));
    let checkpoint = notes.checkpoints.borrow().last().cloned().unwrap();

    let mut other = sample();
    let refused = block_on(other.restore(&checkpoint, &Notes::new())).unwrap_err();
    assert!(refused.message().contains("another cut"), "{refused}");
    block_on(other.cut(&half(), &Notes::new())).unwrap();
    block_on(other.restore(&checkpoint, &Notes::new())).unwrap();
    let model = |s: &Session| s.export(Which::Tuned, Unproved::Refuse, "").unwrap().model;
    assert_eq!(model(&session), model(&other), "the restored weights are the stopped run's");
    let rest = block_on(other.tune(&TuneOptions { resume: true, ..tuning(12) }, &Notes::new())).unwrap();
    assert_eq!((rest.steps, rest.finished), (12, true));
    block_on(session.tune(&tuning(12), &Notes::new())).unwrap();
    assert_eq!(model(&session), model(&other), "an interrupted run ends where one in a piece ends");
}

#[test]
fn a_paused_run_waits() {
    let mut session = sample();
    let notes = Notes { pause_at: Some((LOOKS / 2 + 2, session.control())), ..Notes::new() };
    let summary = block_on(session.tune(&tuning(4), &notes)).unwrap();
    assert_eq!((summary.steps, summary.finished, notes.idle.get()), (4, true, 3));
}

#[test]
fn a_cancelled_evaluation_says_so() {
    let mut session = sample();
    let notes = Notes { cancel_at: Some((1, session.control())), ..Notes::new() };
    assert_eq!(block_on(session.evaluate(Which::Original, None, &notes)).unwrap_err().code(), Code::Cancelled);
    assert!(block_on(session.evaluate(Which::Original, Some(10), &Notes::new())).is_ok());
}

#[test]
fn a_cut_by_gradients_measures_before_every_step() {
    let mut session = sample();
    let gates = PlanOptions { criterion: Criterion::GbnAbs, steps: 2, ..half() };
    let few = ScoreOptions { batch: 16, limit: Some(48) };
    assert_eq!(session.plan(&gates).unwrap_err().code(), Code::Usage, "nothing was measured yet");
    let host = Notes::new();
    let seen = block_on(session.score(&gates.criterion, None, &few, &host)).unwrap();
    assert!(!seen.scores.is_empty() && seen.left_out.is_empty());
    let told = |host: &Notes| host.progress.borrow().iter().filter(|p| matches!(p, Progress::Score { .. })).count();
    assert_eq!(told(&host), 1 + 3);
    session.plan(&gates).unwrap();
    let host = Notes::new();
    block_on(session.cut(&gates, &host)).unwrap();
    // The first step takes what is known, the second looks at the same 48 images again.
    assert_eq!(told(&host), 1 + 3);

    let control = session.control();
    let host = Notes { cancel_at: Some((2, control)), ..Notes::new() };
    let e = block_on(session.score(&Criterion::Apoz, None, &few, &host)).unwrap_err();
    assert_eq!(e.code(), Code::Cancelled);
}

#[test]
fn what_fails_leaves_the_session_as_it_was() {
    let mut session = sample();
    block_on(session.cut(&half(), &Notes::new())).unwrap();
    let before = session.export(Which::Cut, Unproved::Refuse, "").unwrap();
    let unreachable = PlanOptions { target: Target::Macs(1e-6), ..half() };
    assert_eq!(block_on(session.cut(&unreachable, &Notes::new())).unwrap_err().code(), Code::NoTarget);
    assert_eq!(session.open(vec![1, 2, 3], "no.onnx").unwrap_err().code().class(), lopper_pipeline::Class::BadFile);
    assert_eq!(session.export(Which::Cut, Unproved::Refuse, "").unwrap().model, before.model);
    assert_eq!(session.summary().unwrap().name, "sample.onnx");
    assert_eq!(Session::new().plan(&half()).unwrap_err().code(), Code::Usage);
    assert_eq!(session.export(Which::Tuned, Unproved::Refuse, "").unwrap_err().code(), Code::Usage);
}

/// A zip of one file, stored as it is.
fn zip(name: &str, bytes: &[u8]) -> Bytes {
    let turn = |c: u32| (0..8).fold(c, |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 });
    let crc = !bytes.iter().fold(!0, |c: u32, &b| turn((c ^ u32::from(b)) & 0xff) ^ c >> 8);
    let (length, name_length) = ((bytes.len() as u32).to_le_bytes(), (name.len() as u16).to_le_bytes());
    let common =
        [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0], crc.to_le_bytes().as_slice(), &length, &length, &name_length, &[0, 0]]
            .concat();
    let local = [b"PK\x03\x04", common.as_slice(), name.as_bytes(), bytes].concat();
    let central = [b"PK\x01\x02\x14\0", common.as_slice(), &[0; 14], name.as_bytes()].concat();
    let (size, start) = ((central.len() as u32).to_le_bytes(), (local.len() as u32).to_le_bytes());
    let end = [b"PK\x05\x06\0\0\0\0\x01\0\x01\0".as_slice(), &size, &start, &[0, 0]].concat();
    [local, central, end].concat().into()
}

/// 40 pictures without classes, as numpy writes them.
fn unlabelled() -> Bytes {
    let header = "{'descr': '|u1', 'fortran_order': False, 'shape': (40, 32, 32, 3), }";
    let header = format!("{header:<117}\n");
    let pixels = (0..40 * 32 * 32 * 3).map(|i| (i * 7 % 251) as u8);
    let file = [b"\x93NUMPY\x01\0".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    zip("images.npy", &file.into_iter().chain(pixels).collect::<Vec<_>>())
}

#[test]
fn the_uncut_model_teaches_without_labels() {
    let mut session = sample();
    block_on(session.cut(&half(), &Notes::new())).unwrap();
    let original = session.export(Which::Original, Unproved::Refuse, "").unwrap().bytes().unwrap();
    let cut = session.export(Which::Cut, Unproved::Refuse, "").unwrap().bytes().unwrap();

    let mut other = Session::new();
    other.open(cut, "cut.onnx").unwrap();
    let data = DataOptions { normalize: "none".into(), seed: 0, validation: Some(0.2), test: Some(0.0) };
    block_on(other.load_data("unlabelled.npz", Source::Archive(unlabelled()), &data, &Notes::new())).unwrap();
    let augmentation = Some(Vec::new());
    let options = TuneOptions { rules: Rules { augmentation, ..Rules::default() }, ..tuning(12) };
    let refused = block_on(other.tune(&options, &Notes::new())).unwrap_err();
    assert!(refused.message().contains("no labels"), "{refused}");
    other.compare_with(original, Arc::new(Vec::new())).unwrap();
    let summary = block_on(other.tune(&options, &Notes::new())).unwrap();
    assert_eq!((summary.loss_kind, summary.finished), (Some(LossKind::Distill), true));
    assert!(summary.validation_top1.is_none() && summary.best_epoch.is_some(), "{summary:?}");
    assert!(summary.loss.is_finite(), "{summary:?}");
}

#[test]
fn a_run_that_leaves_the_numbers_fails_and_keeps_the_last_good_model() {
    let mut session = sample();
    block_on(session.cut(&half(), &Notes::new())).unwrap();
    let rules = Rules { loss: LossKind::CrossEntropy, momentum: Some(0.0), ..Rules::default() };
    let wild = TuneOptions { learning_rate: 1e30, rules, ..tuning(5) };
    let failed = block_on(session.tune(&wild, &Notes::new())).unwrap_err();
    assert_eq!(failed.code(), Code::Diverged);
    assert!(session.export(Which::Tuned, Unproved::Refuse, "").is_err(), "there was no good model to keep");

    let recovery = Recovery { stages: vec![Stage::BatchNorm], ..Recovery::default() };
    let failed = block_on(session.tune(&TuneOptions { recovery, ..wild }, &Notes::new())).unwrap_err();
    assert!(failed.message().contains("before the first step, is kept"), "{failed}");
    let kept = block_on(session.evaluate(Which::Tuned, Some(100), &Notes::new())).unwrap();
    assert!(kept.loss.is_finite(), "{kept:?}");
}

/// A slider asks again and again, and scores that are kept must not outlive what they depend on.
#[test]
fn plans_in_any_order_are_those_of_a_new_session() {
    let options = |criterion: &str, ratio: f64, lock: bool| PlanOptions {
        criterion: Criterion::parse(criterion).unwrap(),
        locks: if lock { vec!["stage1.conv1.weight".into()] } else { Vec::new() },
        ..PlanOptions::new(Target::Ratio(ratio))
    };
    let open = || {
        let mut session = Session::new();
        session.open(SAMPLE, "sample.onnx").unwrap();
        session
    };
    let one = open();
    for (criterion, ratio, lock) in [
        ("l1", 0.3, false),
        ("l1", 0.5, false),
        ("l2", 0.5, false),
        ("l2", 0.5, true),
        ("random", 0.5, false),
        ("l1", 0.5, false),
    ] {
        let wanted = options(criterion, ratio, lock);
        let (kept, new) = (one.plan(&wanted).unwrap(), open().plan(&wanted).unwrap());
        assert_eq!(format!("{kept:?}"), format!("{new:?}"), "{criterion} {ratio}");
    }
}

/// The teacher is asked only where it has learnt what the labels say, and a run says why.
#[test]
fn what_is_learnt_follows_the_uncut_model() {
    let mut session = sample();
    block_on(session.cut(&half(), &Notes::new())).unwrap();
    let summary = block_on(session.tune(&tuning(2), &Notes::new())).unwrap();
    let look = summary.teacher.unwrap();
    assert_eq!(summary.loss_kind, Some(LossKind::Distill));
    assert!(look.loss < 0.5 && (look.guessing - 10_f64.ln()).abs() < 1e-12, "{look:?}");
    // Somebody's choice is followed without a look.
    let rules = Rules { loss: LossKind::CrossEntropy, ..Rules::default() };
    let plain = block_on(session.tune(&TuneOptions { rules, ..tuning(2) }, &Notes::new())).unwrap();
    assert_eq!((plain.loss_kind, plain.teacher), (Some(LossKind::CrossEntropy), None));
    // A network of which hardly anything is left has nothing to teach.
    let mut blank = sample();
    let kind = MaskKind::LnStructured { amount: Amount::Share(0.95), n: "1".parse().unwrap(), dim: None };
    blank.mask(&[MaskStep { kind, tensors: Vec::new() }]).unwrap();
    block_on(blank.cut(&PlanOptions::new(Target::Ratio(0.1)), &Notes::new())).unwrap();
    let summary = block_on(blank.tune(&tuning(2), &Notes::new())).unwrap();
    assert_eq!(summary.loss_kind, Some(LossKind::CrossEntropy), "{:?}", summary.teacher);
    assert!(summary.teacher.is_some_and(|look| look.loss > 1.9));
}

/// From every checkpoint, with stages of recovery ahead and epochs judged between, the same bytes come out.
#[test]
fn a_fine_tune_that_was_broken_off_ends_as_one_in_a_piece() {
    let recovery = Recovery { stages: vec![Stage::Bias, Stage::Lstsq], images: 64 };
    let rules = Rules { optimizer: lopper_pipeline::OptimizerKind::AdamW, ..Rules::default() };
    let options = TuneOptions { epochs: 3, learning_rate: 1e-3, batch: 256, recovery, rules, ..TuneOptions::default() };
    let mut whole = sample();
    block_on(whole.cut(&half(), &Notes::new())).unwrap();
    let notes = Notes { hurry: 0.45, ..Notes::new() };
    let told = block_on(whole.tune(&options, &notes)).unwrap();
    let files = |s: &Session| s.export(Which::Tuned, Unproved::Refuse, "").unwrap();
    let kept = notes.checkpoints.take();
    assert!(kept.len() >= 4, "{}", kept.len());
    for at in [0, kept.len() / 2, kept.len() - 2, kept.len() - 1] {
        let mut other = sample();
        block_on(other.cut(&half(), &Notes::new())).unwrap();
        block_on(other.restore(&kept[at], &Notes::new())).unwrap();
        let end = block_on(other.tune(&TuneOptions { resume: true, ..options.clone() }, &Notes::new())).unwrap();
        assert_eq!((end.best_epoch, end.validation_top1), (told.best_epoch, told.validation_top1), "{at}");
        assert_eq!((end.before_top1, end.stages.len(), end.teacher), (told.before_top1, 2, told.teacher), "{at}");
        assert_eq!(files(&other).model, files(&whole).model, "{at}");
        assert_eq!(files(&other).recipe, files(&whole).recipe, "{at}");
    }
}

/// Ends of blocks are compared with the uncut model's where its answers are learnt, unless somebody says otherwise.
#[test]
fn features_are_compared_where_answers_are_learnt() {
    let run = |features: Option<f64>, loss: LossKind| {
        let mut session = sample();
        block_on(session.cut(&half(), &Notes::new())).unwrap();
        let rules = Rules { features, loss, ..Rules::default() };
        let told = block_on(session.tune(&TuneOptions { rules, ..tuning(3) }, &Notes::new())).unwrap();
        let recipe: serde_json::Value =
            serde_json::from_str(&session.export(Which::Tuned, Unproved::Refuse, "").unwrap().recipe).unwrap();
        (told.features, told.loss, recipe["tune"]["features"].clone())
    };
    let (count, with, noted) = run(None, LossKind::Auto);
    assert!(count.is_some_and(|n| n > 0) && noted == serde_json::json!(50.0), "{count:?} {noted}");
    let (none, without, noted) = run(Some(0.0), LossKind::Auto);
    assert!(none.is_none() && without < with && noted == serde_json::json!(0.0), "{with} {without} {noted}");
    let (_, more, _) = run(Some(100.0), LossKind::Distill);
    assert!(more > with, "{more} {with}");
    assert_eq!(run(None, LossKind::CrossEntropy).0, None);
}

#[test]
fn pruning_and_training_without_labels_is_refused_at_once() {
    let mut session = Session::new();
    session.open(SAMPLE, "sample.onnx").unwrap();
    let data = DataOptions { normalize: "none".into(), seed: 0, validation: Some(0.2), test: Some(0.0) };
    block_on(session.load_data("unlabelled.npz", Source::Archive(unlabelled()), &data, &Notes::new())).unwrap();
    for (preset, _) in lopper_pipeline::PRESETS {
        let mut options = PruneTrainOptions::preset(preset, true, Target::Ratio(0.5)).unwrap();
        options.batch = 4;
        let notes = Notes::new();
        let refused = block_on(session.prune_train(&options, &notes)).unwrap_err();
        assert_eq!(refused.code(), Code::BadData);
        assert!(refused.message().contains("no class each"), "{refused}");
    }
}
