//! Penalties, gates and cuts of what training remembers, on networks small enough to follow.

use super::decorator::{Pick, begin_as_scales};
use super::gates::{areas, of_convolutions, sites};
use super::penalties::{marks, scales, slimming_factors};
use super::run::{Act, Plain};
use super::soft::weakest;
use super::uncut::Uncut;
use super::{Method, PruneTrainOptions, without_scales};
use crate::{Host, Progress, Session, Which, block_on};
use bytes::Bytes;
use lopper_core::channels::Channels;
use lopper_core::cut::apply_mask;
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Target};
use lopper_core::recipe::Recipe;
use lopper_core::score::Criterion;
use lopper_core::text::parse;
use lopper_engine::train::{Optimizer, Schedule, Settings, Trainer};
use lopper_engine::{Device, Labelled};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Instant;

/// Two layers that are added, so that their channels are one group of two scales, and a layer behind them.
const RESIDUAL: &str = "
(float[N,2,6,6] x) => (float[N,3] l)
<float[10,2,3,3] a, float[10] as, float[10] ab, float[10] am, float[10] av = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
 float[10,2,1,1] s, float[10] ss, float[10] sb, float[10] sm, float[10] sv = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1},
 float[8,10,3,3] c, float[8] cb, float[3,8] fc, float[3] b>
{
  h = Conv <pads = [1, 1, 1, 1]> (x, a)
  hn = BatchNormalization (h, as, ab, am, av)
  k = Conv (x, s)
  kn = BatchNormalization (k, ss, sb, sm, sv)
  m = Add (hn, kn)
  r = Relu (m)
  d = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (r, c, cb)
  e = Relu (d)
  g = GlobalAveragePool (e)
  f = Flatten (g)
  l = Gemm <transB = 1> (f, fc, b)
}";

fn open(text: &str) -> (Model, Graph, Channels) {
    let model = parse(text).unwrap();
    let graph = Graph::new(&model).unwrap();
    let channels = Channels::analyze(&graph);
    (model, graph, channels)
}

fn trainer(model: &Model) -> Trainer {
    let optimizer = Optimizer::Sgd { momentum: 0.9, nesterov: false, weight_decay: 1e-3 };
    Trainer::new(
        model,
        &Device::cpu(),
        Settings { optimizer, rate: 0.1, schedule: Schedule::Constant, seed: 1, ..Settings::default() },
    )
    .unwrap()
}

fn batch(seed: usize) -> Labelled {
    let images = (0..4 * 72).map(|i| ((i * 7919 + seed * 104_729 + 13) % 101) as f32 / 50.0 - 1.0).collect();
    Labelled { images, dims: vec![4, 2, 6, 6], labels: vec![0, 1, 2, 1] }
}

fn names(trainer: &Trainer) -> HashSet<String> {
    trainer.trained().map(str::to_owned).collect()
}

#[test]
fn group_slimming_divides_by_the_root_mean_square_of_a_channel() {
    let places = vec![Some(0), Some(1), None];
    let group = [(vec![3.0, 0.0, 5.0], places.clone()), (vec![4.0, 0.0, 7.0], places)];
    let factors = slimming_factors(&group, 0.1);
    let first = 0.1 / (12.5_f32 + 1e-9).sqrt();
    let dead = 0.1 / 1e-9_f32.sqrt();
    for own in &factors {
        assert!((own[0] - first).abs() < 1e-7 && (own[1] / dead - 1.0).abs() < 1e-5, "{factors:?}");
        assert_eq!(own[2], 0.0, "what is of no channel is not pulled");
    }
    let (_, graph, channels) = open(RESIDUAL);
    let all = scales(&graph, &channels);
    let found: Vec<Vec<&str>> = all.iter().map(|g| g.iter().map(|s| s.0.as_str()).collect()).collect();
    assert!(found.contains(&vec!["as", "ss"]), "{found:?}");
    assert!(all.iter().flatten().all(|(_, places)| places.iter().enumerate().all(|(k, p)| *p == Some(k))));
}

#[test]
fn soft_pruning_takes_the_floor_of_the_rate_by_l2() {
    let (_, graph, channels) = open(RESIDUAL);
    let of = |rate: f64| {
        let options = PlanOptions { criterion: Criterion::L2, ..PlanOptions::new(Target::Ratio(rate)) };
        weakest(&graph, &channels, &options).unwrap()
    };
    let counts = |gone: &HashSet<u32>| -> Vec<usize> {
        let lost = |g: &lopper_core::channels::Group| g.classes.iter().filter(|c| gone.contains(c)).count();
        channels.groups.iter().filter(|g| g.prunable()).map(lost).collect()
    };
    // 0.7 * 10 is a hair below 7 in floating point; 0.3 * 8 is 2.4.
    assert_eq!(counts(&of(0.7)), [7, 5]);
    assert_eq!(counts(&of(0.3)), [3, 2]);
    let norms: Vec<f64> = {
        let w = graph.values[graph.find("c").unwrap()].tensor.as_ref().unwrap().to_f32().unwrap();
        w.chunks(90).map(|f| f.iter().map(|v| f64::from(*v).powi(2)).sum()).collect()
    };
    let mut order: Vec<usize> = (0..8).collect();
    order.sort_by(|&i, &j| norms[i].total_cmp(&norms[j]));
    let group = channels.groups.iter().find(|g| g.name == "c").unwrap();
    let want: HashSet<u32> = order[..2].iter().map(|&k| group.classes[k]).collect();
    let gone = of(0.3);
    assert_eq!(group.classes.iter().copied().filter(|c| gone.contains(c)).collect::<HashSet<_>>(), want);
    let half = PlanOptions { criterion: Criterion::L2, ..PlanOptions::new(Target::Macs(0.5)) };
    let plan = crate::methods::removal(&channels, &weakest(&graph, &channels, &half).unwrap());
    let plan = lopper_core::plan::plan(&graph, &channels, &plan).unwrap();
    assert!(plan.after.macs * 2 <= plan.before.macs, "{:?}", plan.after);
}

#[test]
fn gates_sit_on_normalisations_or_on_plain_layers() {
    let (model, graph, channels) = open(RESIDUAL);
    let (found, held) = sites(&graph, &channels, &names(&trainer(&model)));
    let of = |name: &str| found.iter().find(|s| s.name == name).unwrap().scales.clone();
    assert!(held.is_empty());
    assert_eq!(of("a"), [("as".to_owned(), 0), ("ab".to_owned(), 0)]);
    assert_eq!(of("c"), [("c".to_owned(), 0), ("cb".to_owned(), 0)]);
    assert!(found.iter().all(|s| s.name != "fc"), "what makes the answer is not pruned");
    let areas = areas(&graph, &found);
    assert_eq!((areas["a"], areas["c"], areas.len()), (4.0, 1.0, 3));
    let resting = of_convolutions(&graph);
    assert!(resting.contains("a") && resting.contains("cb") && !resting.contains("as") && !resting.contains("fc"));
    let (_, held) = sites(&graph, &channels, &HashSet::from(["a".to_owned()]));
    assert_eq!(held.len(), 2, "{held:?}");
}

#[test]
fn momentum_is_cut_like_its_parameter_and_comes_back() {
    let (model, graph, channels) = open(RESIDUAL);
    let mut uncut = Uncut::new(&model, &graph, &channels);
    let mut whole = trainer(&model);
    uncut.with_gates(&names(&whole));
    whole.open_gates(&uncut.gates).unwrap();
    (0..2).for_each(|s| whole.step(&batch(s)).unwrap());
    let memory = uncut.expand(&block_on(whole.memory()).unwrap()).unwrap();
    assert_eq!(memory, block_on(whole.memory()).unwrap());
    let group = channels.groups.iter().find(|g| g.name == "a").unwrap();
    let gone: HashSet<u32> = [1, 4, 9].iter().map(|&k| group.classes[k]).collect();
    let stay = [0, 2, 3, 5, 6, 7, 8];
    let small = uncut.remove(gone.clone()).unwrap();
    let left = uncut.slice(&memory, &Graph::new(&small).unwrap()).unwrap();
    let values = |m: &lopper_engine::train::Memory, label: &str| m.tensors[label].as_f32().unwrap().to_vec();
    for kind in ["p", "1"] {
        let (from, to) = (values(&memory, &format!("{kind}:a")), values(&left, &format!("{kind}:a")));
        assert_eq!(to, stay.iter().flat_map(|&k| from[k * 18..(k + 1) * 18].to_vec()).collect::<Vec<_>>());
        let (from, to) = (values(&memory, &format!("{kind}:c")), values(&left, &format!("{kind}:c")));
        let rows = (0..8).flat_map(|o| stay.iter().flat_map(move |&k| (0..9).map(move |i| (o * 10 + k) * 9 + i)));
        assert_eq!(to, rows.map(|at| from[at]).collect::<Vec<_>>());
    }
    for label in ["g:a", "h:a", "s:am", "1:ss"] {
        let from = values(&memory, label);
        assert_eq!(values(&left, label), stay.iter().map(|&k| from[k]).collect::<Vec<_>>(), "{label}");
    }
    // The cut trainer goes on, and what it moved comes back to its places.
    let mut next = trainer(&small);
    next.open_gates(&uncut.gates_of(&Graph::new(&small).unwrap())).unwrap();
    next.remember(left).unwrap();
    next.step(&batch(5)).unwrap();
    let now = block_on(next.memory()).unwrap();
    let back = uncut.expand(&now).unwrap();
    assert_eq!(uncut.slice(&back, &Graph::new(&small).unwrap()).unwrap(), now);
    assert_eq!(values(&back, "1:a")[18..36], [0.0; 18], "what has gone has no momentum");
    // The uncut model, masked, is the cut one.
    next.fold_gates().unwrap();
    let trained = block_on(next.to_model(&small)).unwrap();
    let expanded = uncut.expand(&block_on(next.memory()).unwrap()).unwrap().to_model(&model).unwrap();
    let graph = Graph::new(&expanded).unwrap();
    let cut = lopper_core::cut::cut(&expanded, &graph, &channels, gone).unwrap();
    assert_eq!(cut.model.write().unwrap(), trained.write().unwrap());
    assert!(apply_mask(&expanded, &cut.mask).is_ok());
}

#[test]
fn a_tick_takes_the_share_of_what_is_left_and_never_the_floor() {
    let (model, graph, channels) = open(RESIDUAL);
    let mut uncut = Uncut::new(&model, &graph, &channels);
    uncut.with_gates(&names(&trainer(&model)));
    let plan = PlanOptions::new(Target::Macs(0.2));
    let class = |name: &str, k: usize| channels.groups.iter().find(|g| g.name == name).unwrap().classes[k];
    let rising = |from: f64, count: usize| -> Vec<f64> { (0..count).map(|k| from + k as f64).collect() };
    // Members of a group count together: 100 + 100 for the first channel of `a` and `s`, 1 for that of `c`.
    let scores = |uncut: &Uncut<'_>| -> Vec<(String, Vec<f64>)> {
        let first = |name: &str| if name == "c" { 1.0 } else { 100.0 };
        uncut
            .gates
            .iter()
            .map(|s| (s.name.clone(), rising(first(&s.name), uncut.channels_of(s).unwrap().len())))
            .collect()
    };
    let pick = |uncut: &Uncut<'_>, share: f64, eta: f64| {
        Pick { uncut, plan: &plan, held: &[], share, eta }.by(&scores(uncut)).unwrap()
    };
    // The reference removes one more than int(0.15 * 18) = 2.
    let (gone, reached) = pick(&uncut, 0.15, 0.0);
    assert_eq!((gone, reached), (HashSet::from([class("c", 0), class("c", 1)]), false));
    assert_eq!(pick(&uncut, 0.01, 0.0).0.len(), 1, "one at least");
    // The cost of the larger maps outweighs the scores: 2 * 36 / 9 * 10 * 10 against 8 * 10.
    assert_eq!(pick(&uncut, 0.15, 10.0).0, HashSet::from([class("a", 0), class("a", 1)]));
    // What has gone stays so and does not come before what lives, even where all scores are below 0; c keeps int(0.1 * 8), at least 1.
    uncut.remove((0..7).map(|k| class("c", k)).collect()).unwrap();
    let (gone, _) = pick(&uncut, 0.2, 10.0);
    assert_eq!(gone, (0..7).map(|k| class("c", k)).chain([class("a", 0), class("a", 1)]).collect::<HashSet<_>>());
    let held = [("a".to_owned(), "for a test".to_owned())];
    let stuck = Pick { uncut: &uncut, plan: &plan, held: &held, share: 0.2, eta: 0.0 }.by(&scores(&uncut));
    assert!(stuck.is_err());
}

#[test]
fn gates_that_begin_as_scales_leave_the_function() {
    // |shift / scale| beyond 10, where the reference clamps, and a scale of 0, where it divides by it.
    let text = RESIDUAL
        .replace("float[10] as,", "float[10] as = {0.01, 0, -0.5, 1, 1, 1, 1, 1, 1, 1},")
        .replace("float[10] ab,", "float[10] ab = {3, 2, 1, 0, -1, 1, 1, 1, 1, 1},");
    let (model, graph, channels) = open(&text);
    let mut uncut = Uncut::new(&model, &graph, &channels);
    let mut t = trainer(&model);
    uncut.with_gates(&names(&t));
    t.open_gates(&uncut.gates).unwrap();
    let mut memory = block_on(t.memory()).unwrap();
    uncut.gates.iter().for_each(|site| begin_as_scales(&mut memory, site).unwrap());
    let of = |label: &str| memory.tensors[label].as_f32().unwrap().to_vec();
    assert_eq!(of("g:a")[..4], [0.01, 1.0, -0.5, 1.0]);
    assert_eq!(of("p:as")[..4], [1.0, 0.0, 1.0, 1.0]);
    assert!((of("p:ab")[0] - 300.0).abs() < 1e-3 && of("p:ab")[1] == 2.0);
    assert!(of("g:c").iter().all(|g| *g == 1.0), "a gate on weights begins as ones");
    t.remember(memory).unwrap();
    t.fold_gates().unwrap();
    for name in ["as", "ab", "ss", "sb", "c"] {
        let (want, got) = (trainer(&model), block_on(t.read(name)).unwrap());
        let want = block_on(want.read(name)).unwrap();
        for (a, b) in got.as_f32().unwrap().iter().zip(want.as_f32().unwrap()) {
            assert!((a - b).abs() <= 1e-6 * b.abs(), "{name}: {a} {b}");
        }
    }
}

#[test]
fn groups_without_scales_stay_and_say_why() {
    let (_, graph, channels) = open(RESIDUAL);
    let plan = PlanOptions { criterion: Criterion::BnScale, ..PlanOptions::new(Target::Ratio(0.5)) };
    let held = without_scales(&graph, &channels, &plan).unwrap();
    assert!(held.len() == 1 && held[0].0 == "c" && held[0].1.contains("no BatchNormalization"), "{held:?}");
    let marked = marks(&channels, &HashSet::new());
    assert!(marked.iter().flatten().all(|m| *m == 0.0));
}

#[test]
fn nothing_happens_before_a_plain_step() {
    let (model, ..) = open(RESIDUAL);
    let mut t = trainer(&model);
    let before = block_on(t.memory()).unwrap();
    block_on(Plain.before(&mut t, 0, 1)).unwrap();
    assert_eq!(block_on(t.memory()).unwrap(), before);
}

struct Clock(Instant, RefCell<usize>);

impl Host for Clock {
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn progress(&self, progress: &Progress) {
        if matches!(progress, Progress::Tune(_)) {
            *self.1.borrow_mut() += 1;
        }
    }

    async fn breathe(&self, _: bool) {}
}

/// Every preset from the sample to a proved cut and a trained model.
#[test]
fn every_preset_ends_with_a_proved_cut() {
    for (name, _) in super::PRESETS {
        let mut session = Session::new();
        let clock = Clock(Instant::now(), RefCell::default());
        let sample = Bytes::from_static(include_bytes!("../../assets/sample.onnx"));
        block_on(session.load_sample(sample, &clock)).unwrap();
        let mut options = PruneTrainOptions::preset(name, true, Target::Macs(0.5)).unwrap();
        options.batch = 16;
        (options.sparse.epochs, options.tune.epochs) = (0.03, 0.03);
        if let Method::GateDecorator { tick, share, .. } = &mut options.method {
            (tick.epochs, *share) = (0.01, 0.2);
        }
        if let Method::Iterative { rounds } = &mut options.method {
            *rounds = 3;
        }
        let summary = block_on(session.prune_train(&options, &clock)).unwrap_or_else(|e| panic!("{name}: {e}"));
        let cut = &summary.cut;
        assert!(cut.exact && cut.max_error.unwrap() <= cut.tolerance, "{name}: {cut:?}");
        assert!(cut.estimate.macs.after * 2 <= cut.estimate.macs.before, "{name}: {:?}", cut.estimate.macs);
        assert!(summary.stages.iter().any(|s| s.what == "cut") && *clock.1.borrow() > 0, "{name}");
        let [before, after, tuned] = [Which::Original, Which::Cut, Which::Tuned]
            .map(|which| session.export(which, crate::Unproved::Refuse, "").unwrap().bytes().unwrap());
        assert!(after.len() < before.len() && after != tuned, "{name}");
        let report: serde_json::Value = serde_json::from_str(&session.report().unwrap()).unwrap();
        assert_eq!(report["prune_train"]["batch"], 16, "{name}");
        assert_eq!(report["model"]["sha256"], lopper_core::report::sha256(&before), "{name}");
        for text in [session.recipe().unwrap(), session.report().unwrap()] {
            let recipe = Recipe::read(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(recipe.prune_train.is_some() && recipe.cut.is_none(), "{name}: {recipe:?}");
        }
    }
}

/// A host for which every look at the clock takes three seconds, so that checkpoints come every few steps.
struct Slow {
    now: Cell<f64>,
    kept: RefCell<Vec<Vec<u8>>>,
    cancel_at: Option<(usize, std::sync::Arc<crate::Control>)>,
    steps: Cell<usize>,
}

impl Slow {
    fn new(cancel_at: Option<(usize, std::sync::Arc<crate::Control>)>) -> Self {
        Self { now: Cell::new(0.0), kept: RefCell::default(), cancel_at, steps: Cell::new(0) }
    }
}

impl Host for Slow {
    fn seconds(&self) -> f64 {
        self.now.set(self.now.get() + 0.5);
        self.now.get()
    }

    fn checkpoint(&self, bytes: Vec<u8>) {
        self.kept.borrow_mut().push(bytes);
    }

    fn progress(&self, progress: &Progress) {
        let Progress::Tune(p) = progress else { return };
        let taken = p.stretch.as_ref().unwrap().taken;
        if let Some((at, control)) = &self.cancel_at
            && taken >= *at
        {
            control.cancel();
        }
        self.steps.set(taken);
    }

    async fn breathe(&self, _: bool) {}
}

fn with_sample() -> Session {
    let mut session = Session::new();
    let sample = Bytes::from_static(include_bytes!("../../assets/sample.onnx"));
    block_on(session.load_sample(sample, &Clock(Instant::now(), RefCell::default()))).unwrap();
    session
}

/// From every checkpoint that a run leaves, another session ends with the same bytes.
#[test]
fn a_run_that_was_broken_off_ends_as_one_in_a_piece() {
    for name in ["gate-decorator", "iterative", "growing-group", "group-lasso", "slimming", "soft-hard"] {
        let mut options = PruneTrainOptions::preset(name, true, Target::Macs(0.6)).unwrap();
        options.batch = 16;
        (options.sparse.epochs, options.tune.epochs) = (0.3, 0.2);
        match &mut options.method {
            Method::GateDecorator { tick, share, ticks, .. } => (tick.epochs, *share, *ticks) = (0.05, 0.15, 2),
            Method::Iterative { rounds } => *rounds = 3,
            Method::GrowingGroup { every, .. } | Method::Soft { every, .. } => *every = 0.03,
            _ => {}
        }
        let tuned = |s: &Session| s.export(Which::Tuned, crate::Unproved::Refuse, "").unwrap().bytes().unwrap();
        let mut whole = with_sample();
        let host = Slow::new(None);
        let told = block_on(whole.prune_train(&options, &host)).unwrap();
        let kept = host.kept.take();
        assert!(told.finished && kept.len() >= 3, "{name}: {}", kept.len());
        for at in [0, kept.len() / 3, 2 * kept.len() / 3, kept.len() - 1] {
            let mut other = with_sample();
            let resumed = block_on(other.restore(&kept[at], &Slow::new(None))).unwrap();
            assert_eq!(resumed.prune_train.as_ref(), Some(&options), "{name}");
            assert_eq!(resumed.finished, at + 1 == kept.len(), "{name} {at}");
            let end = block_on(other.resume_prune_train(&Slow::new(None))).unwrap();
            // Shares went through JSON, which keeps them but for the last bit.
            let share = |top1: f64| (top1 * 1e9).round();
            let named = |s: &super::PruneTrainSummary| -> Vec<(String, usize, u64, Option<f64>)> {
                s.stages.iter().map(|n| (n.what.clone(), n.steps, n.macs, n.validation_top1.map(share))).collect()
            };
            assert_eq!(named(&end), named(&told), "{name} {at}");
            assert_eq!(tuned(&other), tuned(&whole), "{name} {at}");
        }
    }
}

#[test]
fn a_cancelled_run_goes_on_in_the_same_session() {
    let mut options = PruneTrainOptions::preset("iterative", true, Target::Macs(0.6)).unwrap();
    options.batch = 16;
    (options.sparse.epochs, options.tune.epochs) = (0.05, 0.2);
    options.method = Method::Iterative { rounds: 2 };
    let mut session = with_sample();
    let first = session.first_sha256().unwrap();
    // Before the cut nothing is left of it but the checkpoint; after it, what was learnt so far.
    for (at, cut) in [(4, false), (10, true)] {
        let host = Slow::new(Some((at, session.control())));
        let ended = block_on(session.prune_train(&options, &host));
        assert_eq!(ended.as_ref().is_ok_and(|s| !s.finished), cut, "{ended:?}");
        assert_eq!(session.export(Which::Tuned, crate::Unproved::Refuse, "").is_ok(), cut);
        let last = host.kept.borrow().last().cloned().unwrap();
        let back = block_on(session.restore(&last, &Slow::new(None))).unwrap();
        assert_eq!((back.tuned, back.finished), (cut, false));
        assert!(block_on(session.resume_prune_train(&Slow::new(None))).unwrap().finished);
        assert_eq!(session.first_sha256().unwrap(), first);
    }
    block_on(session.cut(&PlanOptions::new(Target::Ratio(0.5)), &Slow::new(None))).unwrap();
    let opened = session.export(Which::Original, crate::Unproved::Refuse, "").unwrap().bytes().unwrap();
    assert_eq!(lopper_core::report::sha256(&opened), first, "a cut begins with what was opened");
}
