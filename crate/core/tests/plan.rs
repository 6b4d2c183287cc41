//! Plans: order, ties, floors, multiples, locks and targets, on small graphs with chosen weights.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::Code;
use lopper_core::channels::Channels;
use lopper_core::graph::Graph;
use lopper_core::plan::{Plan, PlanOptions, Scope, Target, activation_bytes, plan};
use lopper_core::text::parse;
use proptest::prelude::*;

fn options(scope: Scope, target: Target) -> PlanOptions {
    PlanOptions { scope, ..PlanOptions::new(target) }
}

fn plan_of(text: &str, options: &PlanOptions) -> lopper_core::Result<Plan> {
    let model = parse(text).unwrap();
    let graph = Graph::new(&model).unwrap();
    plan(&graph, &Channels::analyze(&graph), options)
}

/// Two 1x1 convolutions in a row whose first has one input and the given weights.
fn chain(weights: &[f64]) -> String {
    let n = weights.len();
    let list: Vec<String> = weights.iter().map(f64::to_string).collect();
    format!(
        "(float[N,1,4,4] x) => (float[N,2,4,4] y)
         <float[{n},1,1,1] w = {{{}}}, float[2,{n},1,1] head>
         {{ a = Conv (x, w)  y = Conv (a, head) }}",
        list.join(",")
    )
}

const TWO: &str = "(float[N,2,4,4] x) => (float[N,2,4,4] y)
    <float[16,2,1,1] w1, float[24,16,1,1] w2, float[2,24,1,1] head>
    { a = Conv (x, w1)  b = Conv (a, w2)  y = Conv (b, head) }";

#[test]
fn smallest_go_first_and_of_equals_the_higher_index() {
    let ratio = |r| options(Scope::Group, Target::Ratio(r));
    assert_eq!(plan_of(&chain(&[3.0, -1.0, 2.0, 4.0]), &ratio(0.5)).unwrap().groups[0].kept, [0, 3]);
    assert_eq!(plan_of(&chain(&[1.0, 1.0, 1.0, 1.0, 1.0]), &ratio(0.4)).unwrap().groups[0].kept, [0, 1, 2]);
    assert_eq!(plan_of(&chain(&[0.0, -0.0, 5.0]), &ratio(0.33)).unwrap().groups[0].kept, [0, 2]);
}

#[test]
fn rounding_never_reaches_zero_or_goes_past_the_share() {
    for n in 2..40usize {
        for percent in [1, 10, 29, 30, 50, 70, 90, 99] {
            let r = f64::from(percent) / 100.0;
            let weights: Vec<f64> = (0..n).map(|i| i as f64 + 1.0).collect();
            let want = ((n * (100 - percent as usize)) / 100).max(1);
            let kept = match plan_of(&chain(&weights), &options(Scope::Group, Target::Ratio(r))) {
                Ok(p) => p.groups[0].kept.len(),
                Err(e) => panic!("{e}"),
            };
            assert_eq!(kept, want, "{n} channels, {percent} %");
        }
    }
}

#[test]
fn global_scope_keeps_a_tenth_and_counts_all_channels() {
    let p = plan_of(TWO, &options(Scope::Global, Target::Ratio(0.5))).unwrap();
    assert_eq!(p.groups.iter().map(|g| g.kept.len()).sum::<usize>(), 20);
    let p = plan_of(TWO, &options(Scope::Global, Target::Ratio(0.99))).unwrap();
    assert_eq!(p.groups.iter().map(|g| g.kept.len()).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn macs_are_reached_within_one_channel() {
    for scope in [Scope::Group, Scope::Global] {
        let p = plan_of(TWO, &options(scope, Target::Macs(0.5))).unwrap();
        let share = p.after.macs as f64 / p.before.macs as f64;
        // One channel of the second layer, the dearest, is 18 of 464.
        assert!(share <= 0.5 && share > 0.5 - 0.06, "{scope:?} {share}");
    }
    let e = plan_of(TWO, &PlanOptions { floor: Some(16), ..options(Scope::Global, Target::Macs(0.2)) }).unwrap_err();
    assert_eq!(e.code(), Code::NoTarget);
}

#[test]
fn locks_match_producers_groups_and_nodes_and_must_match_something() {
    let lock = |l: &str| PlanOptions { locks: vec![l.to_owned()], ..options(Scope::Group, Target::Ratio(0.5)) };
    let kept =
        |l: &str| -> Vec<usize> { plan_of(TWO, &lock(l)).unwrap().groups.iter().map(|g| g.kept.len()).collect() };
    assert_eq!(kept("w1"), [16, 12]);
    assert_eq!(kept("w2"), [8, 24], "w2 consumes the first group: that locks only the group that it makes");
    assert_eq!(kept("Conv_0"), [16, 12]);
    assert_eq!(plan_of(TWO, &lock("nothing*")).unwrap_err().code(), Code::Usage);
    assert_eq!(plan_of(TWO, &lock("w*")).unwrap_err().code(), Code::NothingToCut);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for target in
        [Target::Ratio(1.0), Target::Ratio(-0.1), Target::Ratio(f64::NAN), Target::Macs(0.0), Target::Macs(1.5)]
    {
        assert_eq!(plan_of(TWO, &options(Scope::Group, target.clone())).unwrap_err().code(), Code::Usage, "{target:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn floors_and_multiples_always_hold(ratio in 0.0..0.99f64, floor in 1usize..20, multiple in 1usize..9, global: bool) {
        let scope = if global { Scope::Global } else { Scope::Group };
        let o = PlanOptions { floor: Some(floor), multiple: Some(multiple), ..options(scope, Target::Ratio(ratio)) };
        match plan_of(TWO, &o) {
            Ok(p) => for g in &p.groups {
                let kept = g.kept.len();
                prop_assert!(kept >= floor.min(g.channels));
                prop_assert!(kept == g.channels || kept % multiple == 0, "{} keeps {} of {}", g.name, kept, g.channels);
            },
            Err(e) => prop_assert_eq!(e.code(), Code::NothingToCut),
        }
    }
}

#[test]
fn activations_are_counted_for_one_sample() {
    let text = "(float[N,2,4,4] x) => (int64[N] y)
<float[3,2,1,1] w, int64[2] shape = {0, -1}> { c = Conv (x, w) r = Relu (c) f = Reshape (r, shape) y = ArgMax <axis = 1, keepdims = 0> (f) }";
    let graph = Graph::new(&parse(text).unwrap()).unwrap();
    // Three values of 3 x 4 x 4 floats and one whole number.
    assert_eq!(activation_bytes(&graph), 3 * 48 * 4 + 8);
}

/// Of an option-A shortcut the stem's group holds the branch's convolution, too, which another group is named after.
#[test]
fn a_group_that_is_named_is_cut_alone() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/03_option_a_shortcut.txt")).unwrap();
    let model = parse(text.split("\n---").next().unwrap()).unwrap();
    let graph = Graph::new(&model).unwrap();
    let channels = Channels::analyze(&graph);
    let mut alone = 0;
    for named in channels.groups.iter().filter(|g| g.prunable()) {
        let ratios = [(named.name.clone(), 0.5)].into();
        let options = PlanOptions { group_ratios: ratios, ..options(Scope::Group, Target::Ratio(0.0)) };
        let Ok(plan) = plan(&graph, &channels, &options) else { continue };
        let smaller: Vec<&str> =
            plan.groups.iter().filter(|g| g.kept.len() < g.channels).map(|g| g.name.as_str()).collect();
        assert_eq!(smaller, [named.name.as_str()]);
        alone += 1;
    }
    assert!(alone > 1, "{alone}");
}
