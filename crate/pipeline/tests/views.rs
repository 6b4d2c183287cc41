//! What the page draws: the graph, scores of channels, the time that zeros take, and a sweep as it goes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use bytes::Bytes;
use lopper_pipeline::{Criterion, Host, PlanOptions, Progress, Recipe, Scope, Session, SweepRow, Target, block_on};
use std::cell::RefCell;
use std::time::Instant;

static SAMPLE: &[u8] = include_bytes!("../assets/sample.onnx");

struct Listener(Instant, RefCell<Vec<SweepRow>>);

impl Host for Listener {
    fn seconds(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }

    fn progress(&self, progress: &Progress) {
        if let Progress::Sweep { done, total, row } = progress {
            self.1.borrow_mut().push(row.clone());
            assert_eq!((*done, *total), (self.1.borrow().len(), 3));
        }
    }

    async fn breathe(&self, _idle: bool) {}
}

fn listener() -> Listener {
    Listener(Instant::now(), RefCell::default())
}

fn opened() -> Session {
    let mut session = Session::new();
    session.open(Bytes::from_static(SAMPLE), "sample.onnx").unwrap();
    session
}

#[test]
fn a_drawing_holds_every_node_and_group() {
    let session = opened();
    let drawing = session.drawing().unwrap();
    let summary = session.summary().unwrap();
    assert_eq!(drawing.nodes.len(), summary.nodes + summary.inputs.len() + summary.outputs.len());
    assert!(drawing.edges.iter().all(|[from, to, value]| from < to && *value < drawing.values.len()));
    let read: std::collections::HashSet<usize> = drawing.edges.iter().map(|e| e[1]).collect();
    assert_eq!(read.len(), drawing.nodes.len() - summary.inputs.len());
    for (index, group) in session.groups().unwrap().iter().enumerate() {
        let at = |name: &String| drawing.nodes.iter().any(|n| n.parameter.as_ref() == Some(name));
        assert!(group.producers.iter().all(at));
        assert!(drawing.nodes.iter().any(|n| n.members.iter().any(|m| m.0 == index)), "{}", group.name);
        assert!(drawing.values.iter().any(|v| v.groups.contains(&index)), "{}", group.name);
    }
}

#[test]
fn the_channels_that_go_are_those_of_low_scores() {
    let session = opened();
    for scope in [Scope::Group, Scope::Global] {
        let options = PlanOptions { scope, criterion: Criterion::L2, ..PlanOptions::new(Target::Ratio(0.5)) };
        let scores = session.channel_scores(&options).unwrap();
        assert_eq!(scores.len(), session.groups().unwrap().iter().filter(|g| g.prunable).count());
        for group in &scores {
            let own = session.groups().unwrap().iter().find(|g| g.name == group.name).unwrap();
            assert_eq!(own.channels, group.scores.len());
            let mean = group.scores.iter().sum::<f32>() / group.scores.len() as f32;
            assert!(scope == Scope::Group || (mean - 1.0).abs() < 1e-4, "{mean}");
        }
    }
    let first = session.groups().unwrap()[0].name.clone();
    let locked = PlanOptions { locks: vec![first.clone()], ..PlanOptions::new(Target::Ratio(0.5)) };
    assert!(session.channel_scores(&locked).unwrap().iter().all(|g| g.name != first));
    let needs = PlanOptions { criterion: Criterion::Hrank, ..PlanOptions::new(Target::Ratio(0.5)) };
    assert!(session.channel_scores(&needs).is_err());
}

#[test]
fn zeros_are_timed_beside_the_cut() {
    let mut session = opened();
    let before = block_on(session.zeros(0.5, &listener())).unwrap();
    assert_eq!((before.masked, before.cut), ((before.entries as f64 / 2.0).round_ties_even() as usize, None));
    block_on(session.cut(&PlanOptions::new(Target::Ratio(0.5)), &listener())).unwrap();
    let after = block_on(session.zeros(0.5, &listener())).unwrap();
    assert!(after.original > 0.0 && after.zeros > 0.0 && after.cut.unwrap() > 0.0);
    assert!(block_on(session.zeros(1.5, &listener())).is_err());
}

#[test]
fn a_sweep_tells_every_row_as_it_goes() {
    let mut session = Session::new();
    block_on(session.load_sample(Bytes::from_static(SAMPLE), &listener())).unwrap();
    let of = |target: Target| Recipe::of_cut(PlanOptions::new(target));
    let recipes = [("half".to_owned(), of(Target::Macs(0.5))), ("none".to_owned(), of(Target::Macs(1e-6)))];
    let host = listener();
    let rows = block_on(session.sweep(&recipes, Some(50), &host)).unwrap();
    let told = host.1.into_inner();
    assert_eq!(told.len(), rows.len());
    assert!(told.iter().zip(&rows).all(|(a, b)| a.name == b.name && a.top1 == b.top1 && a.failed == b.failed));
}
