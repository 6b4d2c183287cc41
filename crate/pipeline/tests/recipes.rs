//! Recipes, masks, sensitivity, sweeps and times, on the sample.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{
    Amount, Code, Criterion, Host, MaskKind, MaskStep, Measure, PlanOptions, Recipe, Scope, SensitivityOptions,
    Session, Target, TuneOptions, Unproved, Which, block_on,
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
    assert_eq!(session.mask(&[structured(0.25)]).unwrap_err().code(), Code::Usage);
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
    assert!(block_on(session.evaluate(Which::Original, Some(100), &clock())).unwrap().top1 == Some(rows[0].top1));
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
