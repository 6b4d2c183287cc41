//! Criteria that look at weights only, against the reference numbers, and what makes scores of channels of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::Code;
use lopper_core::channels::{Channels, Role};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Scope, Target, plan};
use lopper_core::score::{Criterion, Measured, Normalizer, Reduction, Scoring, group_scores, weight_scores};
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;

const FILES: [&str; 2] = ["resnet20.onnx", "resnet20_simplified.onnx"];

fn golden() -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap();
    let folder = here.ancestors().nth(3).unwrap().join("shared").join("golden");
    if !folder.is_dir() {
        eprintln!("SKIPPED: the reference files {} are not here", folder.display());
        return None;
    }
    Some(folder)
}

fn numbers(folder: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("resnet20.golden.json")).unwrap()).unwrap()
}

fn open(folder: &std::path::Path, file: &str) -> Graph {
    Graph::new(&Model::read(std::fs::read(folder.join(file)).unwrap().into()).unwrap()).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The largest difference, divided by the largest number that is wanted.
fn error(got: &[f64], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let most = want.iter().copied().fold(1e-300, |a: f64, b| a.max(b.abs()));
    got.iter().zip(want).map(|(g, w)| (g - w).abs()).fold(0.0, f64::max) / most
}

fn scores(graph: &Graph, criterion: &str) -> Vec<(String, lopper_core::Result<Vec<f64>>)> {
    weight_scores(graph, &Criterion::parse(criterion).unwrap(), None, Measured::none())
}

#[test]
fn every_weight_criterion_as_pytorch_has_it() {
    let Some(folder) = golden() else { return };
    let golden = numbers(&folder);
    let cases = [
        ("l1", "l1", 1e-5),
        ("l2", "l2", 1e-5),
        ("lp(3)", "lp3", 1e-5),
        ("linf", "linf", 1e-5),
        ("bn_scale", "bn_scale", 1e-5),
        ("lamp", "lamp", 1e-5),
        ("group_norm", "group_norm", 1e-5),
        ("fpgm_l2", "fpgm_l2", 1e-4),
        ("fpgm_l1", "fpgm_l1", 1e-4),
        ("fpgm_cosine", "fpgm_cosine", 1e-4),
        ("fpgm_mixed", "fpgm_mixed", 1e-4),
        ("random", "random", 1e-8),
    ];
    for file in FILES {
        let graph = open(&folder, file);
        for (criterion, name, tolerance) in cases {
            let all = scores(&graph, criterion);
            assert_eq!(all.len(), 20, "19 convolutions and the linear layer");
            let mut worst = 0.0f64;
            for (weight, want) in golden["criteria"].as_object().unwrap() {
                let got = all.iter().find(|s| s.0 == *weight).unwrap().1.as_ref().unwrap();
                let want = floats(&want[name]);
                worst = worst.max(error(got, &want));
                for (g, w) in got.iter().zip(&want).filter(|(_, w)| **w < 0.0) {
                    assert_eq!(g, w, "places in the order by norm");
                }
            }
            println!("{file} {criterion}: {worst:.1e}");
            assert!(worst < tolerance, "{file} {criterion}: {worst:e}");
        }
    }
}

#[test]
fn a_folded_model_has_no_scale_and_the_same_draw() {
    let Some(folder) = golden() else { return };
    let golden = numbers(&folder);
    let graph = open(&folder, "resnet20_folded.onnx");
    for (_, scored) in scores(&graph, "bn_scale") {
        let e = scored.unwrap_err();
        assert!(e.code() == Code::Unsupported && e.message().contains("group_norm"), "{e}");
    }
    for (weight, scored) in scores(&graph, "random").into_iter().filter(|s| s.0 != "fc.weight") {
        assert!(error(&scored.unwrap(), &floats(&golden["criteria"][&weight]["random"])) < 1e-8);
    }
    let channels = Channels::analyze(&graph);
    let options = PlanOptions { criterion: Criterion::BnScale, ..PlanOptions::new(Target::Ratio(0.5)) };
    assert_eq!(plan(&graph, &channels, &options).unwrap_err().code(), Code::Unsupported);
}

/// The residual stream is three groups here and one of 64 positions there: compared channel by channel.
#[test]
fn group_norms_of_whole_groups() {
    let Some(folder) = golden() else { return };
    let golden = numbers(&folder);
    for file in FILES {
        let graph = open(&folder, file);
        let channels = Channels::analyze(&graph);
        let table = channels.class_table();
        let all = by_group(&graph, &channels, &Criterion::GroupNorm, Reduction::Sum);
        let mut seen = 0;
        for (name, want) in golden["groups"].as_object().unwrap() {
            let want_scores = floats(&want["group_norm_sum"]);
            // The first member that covers all positions says which channel is which.
            let whole = want["members"].as_array().unwrap().iter().find(|m| {
                let value = graph.require(m["tensor"].as_str().unwrap()).unwrap();
                let axis = usize::from(m["axis"] == "in");
                graph.values[value].tensor.as_ref().unwrap().dims[axis] == want_scores.len()
            });
            let whole = whole.unwrap();
            let value = graph.require(whole["tensor"].as_str().unwrap()).unwrap();
            let bundle = channels.layouts.get(&value).unwrap().at(usize::from(whole["axis"] == "in")).unwrap();
            let got: Vec<f64> = bundle
                .ids
                .iter()
                .map(|&id| {
                    let class = table[id as usize];
                    let (g, k) = (channels.groups.iter().enumerate())
                        .find_map(|(g, group)| Some((g, group.classes.iter().position(|&c| c == class)?)))
                        .unwrap();
                    all[g][k]
                })
                .collect();
            assert!(error(&got, &want_scores) < 1e-5, "{file} {name}: {:e}", error(&got, &want_scores));
            seen += got.len();
        }
        assert_eq!(seen, 3 * 16 + 3 * 32 + 3 * 64 + 64);
    }
}

#[test]
fn every_reduction_and_normaliser_on_one_group() {
    let Some(folder) = golden() else { return };
    let example = numbers(&folder)["reduction_example"].clone();
    let graph = open(&folder, FILES[0]);
    let channels = Channels::analyze(&graph);
    let at = channels.groups.iter().position(|g| g.name == example["group"].as_str().unwrap()).unwrap();
    for (name, reduction) in Reduction::ALL {
        let all = by_group(&graph, &channels, &Criterion::GroupNorm, *reduction);
        let error = error(&all[at], &floats(&example["reductions"][name]));
        assert!(error < 1e-6, "{name}: {error:e}");
    }
    for (name, normalizer) in Normalizer::ALL {
        let scoring = Scoring { normalizer: Some(*normalizer), ..scoring(&Criterion::GroupNorm) };
        let mut all = group_scores(&graph, &channels, |g| g == at, &scoring, &HashSet::new()).unwrap();
        scoring.between_groups().apply(&mut all[at]);
        let error = error(&all[at], &floats(&example["normalisers_of_sum"][name]));
        assert!(error < 1e-6, "{name}: {error:e}");
    }
}

fn scoring(criterion: &Criterion) -> Scoring<'_> {
    Scoring { criterion, reduction: None, normalizer: None, measured: Measured::none() }
}

fn by_group(graph: &Graph, channels: &Channels, criterion: &Criterion, reduction: Reduction) -> Vec<Vec<f64>> {
    let scoring = Scoring { reduction: Some(reduction), ..scoring(criterion) };
    group_scores(graph, channels, |_| true, &scoring, &HashSet::new()).unwrap()
}

fn graph(text: &str) -> (Graph, Channels) {
    let graph = Graph::new(&lopper_core::text::parse(text).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    (graph, channels)
}

fn one_group(text: &str, name: &str, criterion: &Criterion, reduction: Reduction) -> Vec<f64> {
    let (graph, channels) = graph(text);
    let at = channels.groups.iter().position(|g| g.name == name).unwrap();
    by_group(&graph, &channels, criterion, reduction).swap_remove(at)
}

/// `b` covers all four channels of the sum, `a` only the middle two: a mean over all members would halve the outer
/// ones.
#[test]
fn a_mean_counts_the_members_that_cover_a_position() {
    let text = "<opset 17> (float[N,1,1,1] x) => (float[N,1,1,1] y)
        <float[2,1,1,1] a = {1,2}, float[4,1,1,1] b = {3,4,5,6}, float[1,4,1,1] c = {1,1,1,1}, int64[8] pads = {0,1,0,0,0,1,0,0}>
        { p = Conv (x, a) q = Conv (x, b) r = Pad (p, pads) s = Add (r, q) y = Conv (s, c) }";
    let (graph, channels) = graph(text);
    let of = |reduction: Reduction| -> Vec<f64> {
        let (all, table) = (by_group(&graph, &channels, &Criterion::L1, reduction), channels.class_table());
        let bundle = channels.layouts.get(&graph.require("c").unwrap()).unwrap().at(1).unwrap();
        let find = |class: u32| {
            let mut groups = channels.groups.iter().enumerate();
            groups.find_map(|(g, group)| group.classes.iter().position(|&c| c == class).map(|k| all[g][k])).unwrap()
        };
        bundle.ids.iter().map(|&id| find(table[id as usize])).collect()
    };
    assert_eq!(of(Reduction::Mean), [3.0, 2.5, 3.5, 6.0]);
    assert_eq!(of(Reduction::Sum), [3.0, 5.0, 7.0, 6.0]);
    assert_eq!(of(Reduction::Max), [3.0, 4.0, 5.0, 6.0]);
    assert_eq!(of(Reduction::Prod), [3.0, 4.0, 10.0, 6.0]);
    // The root of the inner channels is `a`, which comes first.
    assert_eq!(of(Reduction::First), [3.0, 1.0, 2.0, 6.0]);
}

/// A linear layer behind a Flatten reads each channel at every place of its map; biases and running statistics count
/// for nothing.
#[test]
fn a_group_norm_holds_consumers_gains_and_repeated_inputs() {
    let text = "<opset 17> (float[N,1,1,2] x) => (float[N,1] y)
        <float[2,1,1,1] a = {1,2}, float[2] bias = {9,9}, float[2] g = {3,-4}, float[2] b = {9,9}, float[2] m = {9,9}, float[2] v = {9,9},
         float[1,4] w = {1,2,3,4}>
        { p = Conv (x, a, bias) q = BatchNormalization (p, g, b, m, v) f = Flatten (q) y = Gemm <transB = 1> (f, w) }";
    let sum = one_group(text, "a", &Criterion::GroupNorm, Reduction::Sum);
    assert_eq!(sum, [1.0 + 9.0 + (1.0 + 4.0), 4.0 + 16.0 + (9.0 + 16.0)]);
    // Only producers and their BatchNormalization count for all others.
    assert_eq!(one_group(text, "a", &Criterion::L2, Reduction::Sum), [1.0, 2.0]);
    // Without the absolute value the second channel would go first.
    assert_eq!(one_group(text, "a", &Criterion::BnScale, Reduction::Mean), [3.0, 4.0]);
}

/// Filters of a transposed convolution lie along axis 1, in each of its blocks; those of a Gemm along either axis.
#[test]
fn filters_lie_where_the_operator_has_them() {
    let (graph, _) = graph(
        "<opset 17> (float[N,2,1,1] x) => (float[N,2] y)
        <float[2,2,1,1] t = {1,-2,3,-4}, float[4,3] g = {1,2,3,4,5,6,7,8,9,10,11,12}, float[2,3] h = {1,2,3,4,5,6}>
        { p = ConvTranspose <group = 2> (x, t) f = Flatten (p) q = Gemm (f, g) k = Transpose <perm = [1,0]> (h) y = MatMul (q, k) }",
    );
    let l1: Vec<(String, Vec<f64>)> = scores(&graph, "l1").into_iter().map(|(n, s)| (n, s.unwrap())).collect();
    let want = [("t", vec![1.0, 2.0, 3.0, 4.0]), ("g", vec![22.0, 26.0, 30.0]), ("h", vec![6.0, 15.0])];
    assert_eq!(l1, want.map(|(n, s)| (n.to_owned(), s)));
}

#[test]
fn a_mixture_is_the_sum_of_normalised_scores() {
    let text = "<opset 17> (float[N,1,1,1] x) => (float[N,1,1,1] y)
        <float[3,1,1,1] a = {1,2,6}, float[1,3,1,1] c = {1,1,1}> { p = Conv (x, a) y = Conv (p, c) }";
    let (graph, channels) = graph(text);
    let at = channels.groups.iter().position(|g| g.name == "a").unwrap();
    let mix = Criterion::parse("l1:0.7,fpgm_l2:0.3").unwrap();
    let of = |normalizer: Option<Normalizer>| {
        let scoring = Scoring { normalizer, ..scoring(&mix) };
        assert_eq!(scoring.between_groups(), Normalizer::None, "its terms are normalised already");
        group_scores(&graph, &channels, |g| g == at, &scoring, &HashSet::new()).unwrap().swap_remove(at)
    };
    // l1 is 1 2 6 with mean 3; distances are 6 5 9 with mean 20/3.
    let want = [1.0 / 3.0, 2.0 / 3.0, 2.0].iter().zip([0.9, 0.75, 1.35]).map(|(a, b)| 0.7 * a + 0.3 * b);
    let want: Vec<f64> = want.collect();
    assert!(error(&of(None), &want) < 1e-12);
    let by_max: Vec<f64> =
        [1.0, 2.0, 6.0].iter().zip([6.0, 5.0, 9.0]).map(|(a, b)| 0.7 * a / 6.0 + 0.3 * b / 9.0).collect();
    assert!(error(&of(Some(Normalizer::Max)), &by_max) < 1e-12);
    let by_weight = weight_scores(&graph, &mix, None, Measured::none());
    assert!(error(by_weight[0].1.as_ref().unwrap(), &want) < 1e-12);
}

#[test]
fn scores_that_are_no_numbers_are_refused() {
    for bad in ["inf", "nan", "-inf"] {
        let text = format!(
            "<opset 17> (float[N,1,1,1] x) => (float[N,1,1,1] y)
            <float[2,1,1,1] a = {{1,{bad}}}, float[1,2,1,1] c = {{1,1}}> {{ p = Conv (x, a) y = Conv (p, c) }}"
        );
        let (graph, channels) = graph(&text);
        for criterion in ["l1", "l2", "lp(3)", "linf", "fpgm_l2", "fpgm_l1", "fpgm_cosine", "lamp", "group_norm"] {
            let options =
                PlanOptions { criterion: Criterion::parse(criterion).unwrap(), ..PlanOptions::new(Target::Ratio(0.5)) };
            let e = plan(&graph, &channels, &options).unwrap_err();
            assert_eq!(e.code(), Code::BadTensor, "{criterion} {bad}: {e}");
        }
    }
}

#[test]
fn a_criterion_that_looks_at_images_says_what_it_needs() {
    let (graph, channels) = graph(
        "<opset 17> (float[N,1,1,1] x) => (float[N,1,1,1] y)
        <float[2,1,1,1] a = {1,2}, float[1,2,1,1] c = {1,1}> { p = Conv (x, a) y = Conv (p, c) }",
    );
    for (criterion, says) in [(Criterion::GbnAbs, "images with their classes"), (Criterion::Hrank, "images")] {
        let e =
            plan(&graph, &channels, &PlanOptions { criterion, ..PlanOptions::new(Target::Ratio(0.5)) }).unwrap_err();
        assert!(e.code() == Code::Usage && e.message().contains(says), "{e}");
    }
}

/// With all that has gone still in the distances, the third step would see three filters of zeros in the way.
#[test]
fn what_has_gone_is_no_neighbour_in_the_next_step() {
    // Filters at 1, 2, 10, 11, 12: of all, that at 10 is the nearest; then that at 11; were their zeros still counted,
    // 1 would be.
    let (graph, channels) = graph(
        "<opset 17> (float[N,1,1,1] x) => (float[N,1,1,1] y)
        <float[5,1,1,1] a = {1,2,10,11,12}, float[1,5,1,1] c = {1,1,1,1,1}> { p = Conv (x, a) y = Conv (p, c) }",
    );
    let options = PlanOptions { criterion: Criterion::FpgmL2, steps: 3, ..PlanOptions::new(Target::Ratio(0.6)) };
    let plan = plan(&graph, &channels, &options).unwrap();
    let group = plan.groups.iter().find(|g| g.name == "a").unwrap();
    assert_eq!(group.kept, kept_by_hand(&[1.0, 2.0, 10.0, 11.0, 12.0], 3));
}

fn kept_by_hand(filters: &[f64], go: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..filters.len()).collect();
    for _ in 0..go {
        let sum = |k: usize, left: &[usize]| left.iter().map(|&j| (filters[k] - filters[j]).abs()).sum::<f64>();
        let worst = left.iter().copied().min_by(|&a, &b| sum(a, &left).total_cmp(&sum(b, &left)).then(b.cmp(&a)));
        left.retain(|k| Some(*k) != worst);
    }
    left
}

#[test]
fn criterion_reduction_and_normaliser_come_through_a_recipe() {
    let options = PlanOptions {
        criterion: Criterion::parse("lp(3):2,random:1").unwrap(),
        reduction: Some(Reduction::Max),
        normalizer: Some(Normalizer::Gaussian),
        scope: Scope::Global,
        ..PlanOptions::new(Target::Ratio(0.5))
    };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<PlanOptions>(&text).unwrap(), options);
    let plain = serde_json::to_string(&PlanOptions::new(Target::Ratio(0.5))).unwrap();
    assert!(plain.contains("\"criterion\":\"l1\"") && !plain.contains("reduction"), "{plain}");
}

#[test]
fn one_seed_decides_what_is_drawn() {
    let Some(folder) = golden() else { return };
    let graph = open(&folder, FILES[0]);
    let channels = Channels::analyze(&graph);
    let kept = |seed: u64| {
        let options = PlanOptions { criterion: Criterion::Random(0), seed, ..PlanOptions::new(Target::Ratio(0.5)) };
        plan(&graph, &channels, &options).unwrap().removed
    };
    assert_eq!(kept(1), kept(1));
    assert_ne!(kept(1), kept(2));
    assert!(channels.groups.iter().any(|g| g.with_role(Role::Producer).next().is_some()));
}

/// Of two filters with equal scores the one whose normalisation counts for more stays; without its score the filters decide alone.
#[test]
fn taylor_scores_of_norms_count_in_their_groups() {
    let text = "(float[N,2,4,4] x) => (float[N,3,4,4] y)
<float[2,2,1,1] w, float[2] scale, float[2] shift, float[2] mean, float[2] spread = {1, 1}, float[3,2,1,1] v>
{ c = Conv (x, w) n = BatchNormalization (c, scale, shift, mean, spread) r = Relu (n) y = Conv (r, v) }";
    let graph = Graph::new(&lopper_core::text::parse(text).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    let of = |criterion: Criterion, scale: Option<Vec<f64>>| {
        let mut measured = Measured::default();
        measured.insert(&criterion, "w", Ok(vec![1.0, 2.0]));
        measured.insert(&criterion, "v", Ok(vec![1.0; 3]));
        if let Some(scale) = scale {
            measured.insert(&criterion, "scale", Ok(scale));
        }
        let scoring = Scoring { criterion: &criterion, reduction: None, normalizer: None, measured: &measured };
        let at = channels.groups.iter().position(|g| g.name == "w").unwrap();
        group_scores(&graph, &channels, |g| g == at, &scoring, &HashSet::new()).unwrap().swap_remove(at)
    };
    for criterion in [Criterion::WeightTaylorAbs, Criterion::WeightTaylorSigned, Criterion::WeightTaylorSq] {
        assert_eq!(of(criterion.clone(), None), [1.0, 2.0]);
        assert_eq!(of(criterion, Some(vec![5.0, 0.0])), [3.0, 1.0]);
    }
}
