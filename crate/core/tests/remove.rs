//! Channels, heads and blocks that a person names; targets reached in steps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::channels::Channels;
use lopper_core::cut::{Cut, Kept, cut};
use lopper_core::graph::Graph;
use lopper_core::plan::{Plan, PlanOptions, Savings, Scope, Target, cost, plan, whole_cost};
use lopper_core::{Code, Result, text};
use std::collections::{BTreeMap, HashSet};

fn case(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/cases/{name}.txt", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn planned(name: &str, options: &PlanOptions) -> Result<(Plan, Cut)> {
    let model = text::parse(&case(name))?;
    let graph = Graph::new(&model)?;
    let channels = Channels::analyze(&graph);
    let plan = plan(&graph, &channels, options)?;
    let cut = cut(&model, &graph, &channels, plan.removed.iter().copied())?;
    Ok((plan, cut))
}

fn remove(list: &[(&str, &[usize])]) -> PlanOptions {
    let list: BTreeMap<String, Vec<usize>> = list.iter().map(|(n, at)| ((*n).to_owned(), at.to_vec())).collect();
    PlanOptions::new(Target::Remove(list))
}

#[test]
fn named_channels_go_and_no_others() {
    let (plan, cut) = planned("01_conv_bn_relu_conv", &remove(&[("w1", &[1, 5])])).unwrap();
    let group = plan.groups.iter().find(|g| g.name == "w1").unwrap();
    assert_eq!(group.kept, (0..group.channels).filter(|k| ![1, 5].contains(k)).collect::<Vec<_>>());
    assert!(cut.mask.iter().all(|e| e.indices == [1, 5]), "{:?}", cut.mask);
}

#[test]
fn a_head_goes_with_its_queries_keys_and_values() {
    let (_, cut) = planned("12_attention_split", &remove(&[("qkv/rows", &[1])])).unwrap();
    let sizes: Vec<_> = cut.mask.iter().map(|e| (e.initializer.as_str(), e.axis, e.indices.clone())).collect();
    let gone: Vec<usize> = [4..8, 12..16, 20..24].into_iter().flatten().collect();
    assert_eq!(sizes, [("qkv", 1, gone), ("out", 0, vec![4, 5, 6, 7])]);
}

#[test]
fn a_block_of_a_grouped_convolution_goes_whole() {
    let (_, cut) = planned("08_grouped", &remove(&[("w/rows", &[2])])).unwrap();
    assert!(cut.graph.nodes.iter().any(|(_, n)| n.int("group") == Some(3)));
}

#[test]
fn what_a_row_saves_is_what_the_cut_saves() {
    for (name, rows) in [("12_attention_split", "qkv/rows"), ("167_gqa_head_behind_a_rotation", "wq/rows")] {
        let graph = Graph::new(&text::parse(&case(name)).unwrap()).unwrap();
        let channels = Channels::analyze(&graph);
        let mut gone = HashSet::from([channels.groups.iter().find(|g| g.name == rows).unwrap().classes[1]]);
        channels.close_rows(&mut gone);
        let saved = Savings::new(&graph, &channels).unwrap().of(&gone).unwrap();
        let (before, after) =
            (whole_cost(&graph), cost(&graph, &Kept::new(&graph, &channels, gone.iter().copied())).unwrap());
        let (parameters, macs) = (before.parameters - after.parameters, before.macs - after.macs);
        assert!(parameters > 0 && macs > 0, "{name}");
        assert_eq!((saved.parameters, saved.macs), (parameters, macs), "{name}");
    }
}

#[test]
fn what_cannot_go_is_refused_with_a_sentence() {
    let code = |options| planned("12_attention_split", &options).map(|_| ()).unwrap_err();
    assert_eq!(code(remove(&[("nobody", &[0])])).code(), Code::Usage);
    assert_eq!(code(remove(&[("qkv", &[99])])).code(), Code::Usage);
    // One dimension of one head only: what is left is no grid.
    assert_eq!(code(remove(&[("qkv", &[0])])).code(), Code::NoTarget);
    assert_eq!(code(remove(&[("qkv", &[0, 1, 2, 3, 4, 5, 6, 7])])).code(), Code::NoTarget);
    let locked = PlanOptions { locks: vec!["qkv".to_owned()], ..remove(&[("qkv", &[0, 4])]) };
    assert_eq!(code(locked).code(), Code::Usage);
}

#[test]
fn steps_reach_the_target_and_score_what_is_left() {
    for scope in [Scope::Group, Scope::Global] {
        let options = |steps| PlanOptions { scope, steps, ..PlanOptions::new(Target::Ratio(0.5)) };
        let (one, _) = planned("02_residual_adds", &options(1)).unwrap();
        let (five, _) = planned("02_residual_adds", &options(5)).unwrap();
        let kept = |p: &Plan| p.groups.iter().map(|g| g.kept.len()).sum::<usize>();
        assert_eq!(kept(&one), kept(&five), "{scope:?}");
    }
    let zero = PlanOptions { steps: 0, ..PlanOptions::new(Target::Ratio(0.5)) };
    assert_eq!(planned("02_residual_adds", &zero).map(|_| ()).unwrap_err().code(), Code::Usage);
}

#[test]
fn why_tells_the_chain_and_the_pin() {
    let graph = Graph::new(&text::parse(&case("02_residual_adds")).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    let names: Vec<&str> = graph.parameters().map(|p| p.1.name.as_str()).collect();
    let pairs = names.iter().flat_map(|a| names.iter().map(move |b| (a, b))).filter(|(a, b)| a != b);
    let chained: Vec<_> =
        pairs.map(|(a, b)| channels.why_together(&graph, a, b).unwrap()).filter(|c| !c.pinned).collect();
    assert!(chained.iter().any(|c| c.chain.iter().any(|l| l.op == "Add")));
    for c in &chained {
        assert_eq!(c.channels == 0, c.chain.is_empty() && c.a != c.b, "{c:?}");
        // Every link goes on where the one before it ended.
        assert!(c.chain.iter().all(|l| l.from != l.to), "{c:?}");
    }
    let pinned = names.iter().flat_map(|n| channels.why(&graph, n).unwrap()).filter(|t| t.pinned > 0);
    assert!(pinned.clone().count() > 0 && pinned.into_iter().all(|t| !t.reasons.is_empty()));
    assert_eq!(channels.why(&graph, "nobody").unwrap_err().code(), Code::Usage);
}

/// Queries and keys of two heads, and their values, in one matrix: `w` and `w#2`.
const PACKED: &str = "<opset 17> (float[N,25,18] x) => (float[N,25,18] y)
    <float[18,24] w, int64[4] apart = {0,25,2,-1}, int64[3] again = {0,25,-1}, float[8,18] o>
    { p = MatMul (x, w) q, k, v = Split <axis = 2> (p)
      q1 = Reshape (q, apart) q2 = Transpose <perm = [0,2,1,3]> (q1)
      k1 = Reshape (k, apart) k2 = Transpose <perm = [0,2,3,1]> (k1)
      v1 = Reshape (v, apart) v2 = Transpose <perm = [0,2,1,3]> (v1)
      s = MatMul (q2, k2) t = MatMul (s, v2) u = Transpose <perm = [0,2,1,3]> (t)
      z = Reshape (u, again) y = MatMul (z, o) }";

#[test]
fn a_lock_on_the_values_of_heads_keeps_the_heads() {
    let graph = Graph::new(&text::parse(PACKED).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    assert!(["w", "w#2", "w/rows"].iter().all(|n| channels.groups.iter().any(|g| g.name == *n)));
    let asked = |heads: bool, floor: Option<usize>, ratio: f64| PlanOptions {
        heads,
        floor,
        locks: vec!["w#2".to_owned()],
        ..PlanOptions::new(Target::Ratio(ratio))
    };
    for options in [asked(true, None, 0.6), asked(true, Some(0), 0.99), asked(false, Some(0), 0.99)] {
        let kept = match plan(&graph, &channels, &options) {
            Ok(p) => p.groups.iter().find(|g| g.name == "w#2").unwrap().kept.len(),
            Err(e) => {
                assert_eq!(e.code(), Code::NothingToCut);
                continue;
            }
        };
        assert_eq!(kept, 8, "{options:?}");
    }
    // Without the lock a head goes.
    let p = plan(&graph, &channels, &PlanOptions { locks: Vec::new(), ..asked(true, None, 0.5) }).unwrap();
    assert_eq!(p.groups.iter().find(|g| g.name == "w#2").unwrap().kept.len(), 4);
}

#[test]
fn the_chain_between_two_layers_is_told_union_by_union() {
    let graph = Graph::new(&text::parse(&case("02_residual_adds")).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    // The first block and the last, by way of the additions that join each to the stream.
    let said = channels.why_together(&graph, "a2", "c2").unwrap();
    let told: Vec<String> = (said.chain.iter())
        .map(|l| format!("{}[{}] {} {}[{}]", l.from.value, l.from.axis, l.op, l.to.value, l.to.axis))
        .collect();
    assert_eq!(told, ["p2[1] Add s[1]", "q[1] Add t2[1]"]);
    assert_eq!((said.channels, said.pinned), (6, false));
    // Inside a block nothing is shared with the stream.
    let apart = channels.why_together(&graph, "a1", "b1").unwrap();
    assert_eq!((apart.channels, apart.chain.len()), (0, 0));
    // The last layer makes the output, and says so with what to do.
    let pinned = channels.why(&graph, "head").unwrap();
    let reason = pinned.iter().flat_map(|t| &t.reasons).next().unwrap();
    let expected = serde_json::json!({
        "at": { "value": "y", "axis": 1 },
        "node": "",
        "op": "",
        "why": "it is an output of the model",
        "what_to_do": "nothing: the model's outputs keep their shape; cut the layers before it",
        "chain": [],
    });
    assert_eq!(serde_json::to_value(reason).unwrap(), expected);
}
