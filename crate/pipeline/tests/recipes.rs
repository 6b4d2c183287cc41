//! Recipes, masks, sensitivity, sweeps and times, on the sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{
    Amount, Code, Criterion, DataOptions, Host, MaskKind, MaskStep, Measure, PlanOptions, Recipe, Scope, ScoreOptions,
    SensitivityOptions, Session, Source, Target, TuneOptions, Unproved, Which, block_on,
};
use std::time::Instant;

static SAMPLE: &[u8] = include_bytes!("../assets/sample.onnx");

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

fn opened() -> Session {
    let mut session = Session::new();
    session.open(Bytes::from_static(SAMPLE), "sample.onnx").unwrap();
    session
}

fn global() -> PlanOptions {
    PlanOptions { scope: Scope::Global, steps: 2, multiple: Some(2), ..PlanOptions::new(Target::Macs(0.6)) }
}

fn structured(share: f64) -> MaskStep {
    let kind = MaskKind::LnStructured { amount: Amount::Share(share), n: "1".parse().unwrap(), dim: None };
    MaskStep { kind, tensors: Vec::new() }
}

#[test]
fn a_recipe_repeats_a_run_to_the_byte() {
    let mut first = opened();
    block_on(first.cut(&global(), &clock())).unwrap();
    let files = first.export(Which::Cut, Unproved::Refuse, "").unwrap();
    for source in [&files.report, &files.recipe] {
        let recipe = Recipe::read(source).unwrap();
        for recipe in [Recipe::read(&recipe.to_compact().unwrap()).unwrap(), recipe] {
            let mut again = opened();
            let which = block_on(again.follow(&recipe, &clock())).unwrap();
            assert_eq!(again.export(which, Unproved::Refuse, "").unwrap().model, files.model);
        }
    }
}

#[test]
fn masks_come_before_the_cut_and_stand_in_the_recipe() {
    let mut session = opened();
    let summary = session.mask(&[structured(0.25)]).unwrap();
    assert!(summary.masked > 0 && summary.masked < summary.entries);
    let (sparse, stored) = session.sparse().unwrap();
    assert!(!sparse.is_empty() && stored.stored.iter().all(|s| s.dense > 0));
    block_on(session.cut(&global(), &clock())).unwrap();
    let files = session.export(Which::Cut, Unproved::Refuse, "").unwrap();
    let recipe = Recipe::read(&files.report).unwrap();
    assert_eq!((recipe.mask.len(), recipe.cut.clone()), (1, Some(global())));
    let mut again = opened();
    block_on(again.follow(&recipe, &clock())).unwrap();
    assert_eq!(again.export(Which::Cut, Unproved::Refuse, "").unwrap().model, files.model);
}

#[test]
fn masks_are_added_and_taken_back() {
    let file = |s: &Session| s.export(Which::Original, Unproved::Refuse, "").unwrap().bytes().unwrap();
    let original = || file(&opened());
    let l1 = |share| MaskStep { kind: MaskKind::L1Unstructured { amount: Amount::Share(share) }, tensors: Vec::new() };
    let (mut together, mut apart) = (opened(), opened());
    together.mask(&[structured(0.25), l1(0.5)]).unwrap();
    let first = apart.mask(&[structured(0.25)]).unwrap();
    let (alone, second) = (file(&apart), apart.mask(&[l1(0.5)]).unwrap());
    assert_eq!((file(&apart), apart.mask_steps().unwrap()), (file(&together), together.mask_steps().unwrap()));
    // Half of what the first step left goes, tensor by tensor.
    for after in &second.tensors {
        let before = first.tensors.iter().find(|t| t.initializer == after.initializer).map_or(0, |t| t.masked);
        let more = ((after.entries - before) as f64 * 0.5).round_ties_even() as usize;
        assert_eq!(after.masked, before + more, "{}", after.initializer);
    }
    // A step that does not fit changes nothing.
    let stranger = MaskStep { tensors: vec!["nobody*".to_owned()], ..l1(0.1) };
    assert_eq!(apart.mask(&[stranger]).unwrap_err().code(), Code::Usage);
    assert_eq!(file(&apart), file(&together));
    // Zeros of a file count as masked where that is asked for, and only there.
    let zeros = MaskStep { kind: MaskKind::Zeros {}, tensors: Vec::new() };
    let mut reopened = Session::new();
    reopened.open(alone.clone(), "masked.onnx").unwrap();
    assert_eq!(reopened.mask(&[zeros, l1(0.5)]).unwrap().masked, second.masked);
    assert_eq!(file(&reopened), file(&together));
    let mut ignored = Session::new();
    ignored.open(alone.clone(), "masked.onnx").unwrap();
    assert!(ignored.mask(&[l1(0.5)]).unwrap().masked < second.masked);
    // Back, step by step, to the byte.
    assert_eq!(apart.undo_mask().unwrap().masked, first.masked);
    assert_eq!((file(&apart), apart.mask_steps().unwrap().len()), (alone, 1));
    assert_eq!(apart.undo_mask().unwrap().masked, 0);
    assert_eq!((file(&apart), apart.mask_steps().unwrap().len()), (original(), 0));
    assert_eq!(apart.undo_mask().unwrap_err().code(), Code::Usage);
}

#[test]
fn a_report_of_a_fine_tune_repeats_it() {
    let sample = || {
        let mut session = Session::new();
        block_on(session.load_sample(Bytes::from_static(SAMPLE), &clock())).unwrap();
        session
    };
    let mut session = sample();
    block_on(session.cut(&global(), &clock())).unwrap();
    let options = TuneOptions { steps: Some(3), batch: 16, ..TuneOptions::default() };
    block_on(session.tune(&options, &clock())).unwrap();
    let made = session.export(Which::Tuned, Unproved::Refuse, "").unwrap();
    for text in [&made.report, &made.recipe] {
        let recipe = Recipe::read(text).unwrap();
        let mut again = sample();
        assert_eq!(block_on(again.follow(&recipe, &clock())).unwrap(), Which::Tuned);
        let repeated = again.export(Which::Tuned, Unproved::Refuse, "").unwrap();
        assert_eq!(repeated.bytes().unwrap(), made.bytes().unwrap());
    }
}

#[test]
fn a_sweep_of_criteria_that_look_at_images_needs_images_to_learn_from() {
    let mut session = Session::new();
    block_on(session.load_sample(Bytes::from_static(SAMPLE), &clock())).unwrap();
    let apoz = PlanOptions { criterion: Criterion::parse("apoz").unwrap(), ..PlanOptions::new(Target::Ratio(0.3)) };
    let recipes = [("apoz".to_owned(), Recipe::of_cut(apoz))];
    let rows = block_on(session.sweep(&recipes, Some(20), &clock())).unwrap();
    assert!(rows[0].failed.is_none() && rows[0].top1 > 0.0, "{rows:?}");
}

#[test]
fn every_group_is_measured_and_ratios_are_solved() {
    let session = opened();
    let options =
        SensitivityOptions { plan: PlanOptions::new(Target::Ratio(0.0)), ratios: vec![0.5, 0.25], limit: None };
    let seen = block_on(session.sensitivity(&options, &clock())).unwrap();
    assert_eq!((seen.measure, seen.baseline), (Measure::Random, 0.0));
    assert_eq!(seen.groups.len(), session.groups().unwrap().iter().filter(|g| g.prunable).count());
    for g in &seen.groups {
        assert!(g.points.is_sorted_by(|a, b| a.ratio < b.ratio && a.kept > b.kept), "{g:?}");
        assert!(g.points.iter().all(|p| p.value > 0.0), "{g:?}");
    }
    let solved = session.balanced(&seen, &options.plan, 0.8).unwrap();
    let macs = session.plan(&solved).unwrap().macs;
    assert!(macs.after as f64 <= 0.8 * macs.before as f64);
    assert_eq!(session.balanced(&seen, &options.plan, 0.01).unwrap_err().code(), Code::NoTarget);
    let wrong = SensitivityOptions { ratios: vec![1.5], ..options };
    assert_eq!(block_on(session.sensitivity(&wrong, &clock())).unwrap_err().code(), Code::Usage);
}

/// The sample with 24 images, of which these shares are for validation and the test.
fn divided(validation: f64, test: f64) -> Session {
    let mut session = opened();
    let options = DataOptions { normalize: "none".to_owned(), seed: 3, validation: Some(validation), test: Some(test) };
    let images = Source::Archive(Bytes::from_static(include_bytes!("seeing/images.npz")));
    block_on(session.load_data("images.npz", images, &options, &clock())).unwrap();
    session
}

#[test]
fn settings_are_chosen_by_validation_images() {
    let options = SensitivityOptions { plan: PlanOptions::new(Target::Ratio(0.0)), ratios: vec![0.5], limit: None };
    let recipes = [("half".to_owned(), Recipe::of_cut(PlanOptions::new(Target::Ratio(0.5))))];
    // The same seed gives the test the first images, and validation these where there is no test.
    let mut tested = divided(0.0, 0.5);
    let judged = block_on(tested.evaluate(Which::Original, None, &clock())).unwrap();
    let all = block_on(divided(0.0, 1.0).evaluate(Which::Original, None, &clock())).unwrap();
    let right = |share: f64, images: usize| (share * images as f64).round() as usize;
    let first = right(judged.top1.unwrap(), judged.images);
    let rest = right(all.top1.unwrap(), all.images) - first;
    for (mut session, want) in [(divided(0.5, 0.0), first), (divided(0.5, 0.5), rest)] {
        let images = 24 / 2;
        let seen = block_on(session.sensitivity(&options, &clock())).unwrap();
        assert_eq!((seen.measure, right(seen.baseline, images)), (Measure::Accuracy, want));
        let rows = block_on(session.sweep(&recipes, None, &clock())).unwrap();
        assert_eq!(right(rows[0].top1, images), want);
    }
    for e in [
        block_on(tested.sensitivity(&options, &clock())).map(drop).unwrap_err(),
        block_on(tested.sweep(&recipes, None, &clock())).map(drop).unwrap_err(),
    ] {
        assert!(e.code() == Code::BadData && e.message().contains("no validation image"), "{e}");
    }
}

#[test]
fn a_recipe_of_solved_ratios_repeats_the_scores_and_the_split() {
    let criterion = Criterion::parse("apoz").unwrap();
    let score = ScoreOptions { batch: 4, limit: Some(6) };
    let mut session = divided(0.5, 0.0);
    block_on(session.score(&criterion, None, &score, &clock())).unwrap();
    let plan = PlanOptions { criterion, seed: 7, ..PlanOptions::new(Target::Ratio(0.0)) };
    let options = SensitivityOptions { plan: plan.clone(), ratios: vec![0.25, 0.5], limit: None };
    let seen = block_on(session.sensitivity(&options, &clock())).unwrap();
    let recipe = session.recipe_of(session.balanced(&seen, &plan, 0.8).unwrap()).unwrap();
    let recipe = Recipe::read(&recipe.to_json().unwrap()).unwrap();
    let data = recipe.data.as_ref().unwrap();
    assert_eq!((data.normalize.as_str(), data.seed, data.validation, data.test), ("none", 3, Some(0.5), Some(0.0)));
    assert_eq!((recipe.score.clone(), recipe.cut.as_ref().unwrap().seed), (Some(score), 7));
    block_on(session.cut(recipe.cut.as_ref().unwrap(), &clock())).unwrap();
    let mut again = divided(0.5, 0.0);
    block_on(again.follow(&recipe, &clock())).unwrap();
    let of = |s: &Session| s.export(Which::Cut, Unproved::Refuse, "").unwrap().model;
    assert_eq!(of(&again), of(&session));
    // Weights alone need no images.
    let by_weights = session.recipe_of(PlanOptions::new(Target::Ratio(0.5))).unwrap();
    assert_eq!(by_weights.score, None);
}

#[test]
fn a_sweep_compares_recipes_and_leaves_the_model_as_it_was() {
    let mut session = Session::new();
    block_on(session.load_sample(Bytes::from_static(SAMPLE), &clock())).unwrap();
    let before = session.summary().unwrap().macs;
    let of = |target: Target| Recipe::of_cut(PlanOptions::new(target));
    let recipes = [
        ("small".to_owned(), of(Target::Macs(0.9))),
        ("none".to_owned(), of(Target::Macs(1e-6))),
        ("masked".to_owned(), Recipe { mask: vec![structured(0.25)], ..Recipe::default() }),
    ];
    let rows = block_on(session.sweep(&recipes, Some(100), &clock())).unwrap();
    assert_eq!(rows.iter().map(|r| r.failed.is_some()).collect::<Vec<_>>(), [false, false, true, false]);
    assert!(rows[1].macs < before && rows[0].macs == before && rows[3].macs == before);
    assert!(rows[0].top1 > 0.5 && rows[3].top1 <= rows[0].top1);
    assert_eq!(session.summary().unwrap().macs, before);
}

#[test]
fn times_of_layers_are_a_target() {
    let mut session = opened();
    let table = block_on(session.latencies(&[], &clock())).unwrap();
    assert!(!table.layers.is_empty() && table.layers.values().all(|p| p.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)));
    let whole: f64 = table.rest + table.layers.values().map(|p| p.last().unwrap().1).sum::<f64>();
    let options = PlanOptions::new(Target::Latency { milliseconds: 0.7 * whole, table: table.clone() });
    match block_on(session.cut(&options, &clock())) {
        Ok(summary) => assert!(summary.achieved.unwrap().got <= 0.7 * whole),
        // On a small model most of the time may lie outside of layers.
        Err(e) => assert!(e.code() == Code::NoTarget && table.rest > 0.5 * whole, "{e}"),
    }
    assert!(block_on(session.milliseconds(&clock())).unwrap() > 0.0);
}
