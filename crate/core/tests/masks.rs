//! Masks against `torch.nn.utils.prune`, composing, undoing, storing, and the channels that they silence.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::channels::Channels;
use lopper_core::cut::{MaskEntry, cut};
use lopper_core::graph::Graph;
use lopper_core::mask::{Amount, MaskKind, MaskStep, Masks, dead_channels};
use lopper_core::onnx::{Model, Tensor};
use lopper_core::plan::{PlanOptions, Target, plan};
use lopper_core::{Code, Result, text};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

fn step(kind: Value) -> MaskStep {
    serde_json::from_value(kind).unwrap()
}

fn l1(amount: Amount) -> MaskStep {
    MaskStep { kind: MaskKind::L1Unstructured { amount }, tensors: Vec::new() }
}

/// A call of the golden file as a step, with its tensor's name.
fn call(call: &Value) -> (Option<MaskStep>, String) {
    let amount = match &call["amount"] {
        n if n.is_u64() => json!({"count": n}),
        n => json!({"share": n}),
    };
    let name = call["tensor"].as_u64().unwrap_or(0).to_string();
    let tensors = json!([name]);
    let kind = match call["op"].as_str().unwrap() {
        "l1_unstructured" => json!({"kind": "l1_unstructured", "amount": amount, "tensors": tensors}),
        "ln_structured" => {
            json!({"kind": "ln_structured", "amount": amount, "n": call["n"], "dim": call["dim"], "tensors": tensors})
        }
        "global_unstructured" => json!({"kind": "global_unstructured", "amount": amount}),
        "custom_from_mask" => json!({"kind": "custom_from_mask", "mask": {&name: call["mask"]}}),
        "remove" => return (None, name),
        other => panic!("{other}"),
    };
    (Some(step(kind)), name)
}

fn run(masks: &mut Masks, said: &Value) -> Result<()> {
    match call(said) {
        (Some(step), _) => masks.apply(&step).map(|_| ()),
        (None, name) => masks.remove(&name),
    }
}

fn tensors(case: &Value) -> Masks {
    let tensor = |(i, t): (usize, &Value)| {
        let dims = t["shape"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let values: Vec<f32> = t["values"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect();
        Tensor::from_f32(i.to_string(), dims, &values)
    };
    Masks::of_tensors(case["tensors"].as_array().unwrap().iter().enumerate().map(tensor))
}

#[test]
fn masks_are_those_of_torch() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/golden/torch_masks.json");
    let Ok(text) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: {path} is missing, so masks were NOT compared with torch");
        return;
    };
    let golden: Value = serde_json::from_str(&text).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!((cases.len(), golden["errors"].as_array().unwrap().len()), (18, 4));
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut masks = tensors(case);
        for (said, want) in
            case["calls"].as_array().unwrap().iter().zip(case["masks_after_each_call"].as_array().unwrap())
        {
            run(&mut masks, said).unwrap();
            for (i, want) in want.as_array().unwrap().iter().enumerate() {
                let got = masks.mask(&i.to_string()).map(|m| m.iter().map(|b| u64::from(*b)).collect::<Vec<_>>());
                assert_eq!(json!(got), *want, "{name}, tensor {i} after {}", said["op"]);
            }
        }
        for (i, want) in case["final_weights"].as_array().into_iter().flatten().enumerate() {
            let Some(want) = want.as_array().or_else(|| want["values"].as_array()) else { continue };
            let want: Vec<f32> = want.iter().map(|v| v.as_f64().unwrap() as f32).collect();
            assert_eq!(masks.tensor(&i.to_string()).unwrap().to_f32().unwrap(), want, "{name}, values of tensor {i}");
        }
    }
    for case in golden["errors"].as_array().unwrap() {
        let mut masks = tensors(case);
        let (last, first) = case["calls"].as_array().unwrap().split_last().unwrap();
        first.iter().for_each(|c| run(&mut masks, c).unwrap());
        let before = masks.masked();
        assert_eq!(run(&mut masks, last).unwrap_err().code(), Code::Usage, "{}", case["name"]);
        assert_eq!(masks.masked(), before, "a refused call changes nothing");
    }
}

#[test]
fn of_equals_the_higher_index_and_the_later_tensor_go_first() {
    let two = || Masks::of_tensors(["a", "b"].map(|n| Tensor::from_f32(n, vec![2, 2], &[1.0, -1.0, 0.0, -0.0])));
    let mut masks = two();
    masks.apply(&l1(Amount::Count(1))).unwrap();
    assert_eq!(masks.mask("a").unwrap(), [true, true, true, false]);
    let mut masks = two();
    masks.apply(&step(json!({"kind": "global_unstructured", "amount": {"count": 5}}))).unwrap();
    assert_eq!(
        (masks.mask("a").unwrap(), masks.mask("b").unwrap()),
        ([true, true, false, false].as_slice(), [true, false, false, false].as_slice())
    );
    let mut masks = two();
    masks.apply(&step(json!({"kind": "ln_structured", "amount": {"count": 1}, "n": "-inf", "dim": 1}))).unwrap();
    assert_eq!(masks.mask("a").unwrap(), [true, false, true, false]);
}

#[test]
fn random_masks_depend_on_their_seed_and_compose() {
    let values: Vec<f32> = (1..=200).map(|i| i as f32).collect();
    let masks = |kind: &str, seed: u64, times: usize| {
        let mut masks = Masks::of_tensors([Tensor::from_f32("w", vec![20, 10], &values)]);
        let mut kind = json!({"kind": kind, "amount": {"share": 0.25}, "seed": seed});
        if kind["kind"] == "random_structured" {
            kind["dim"] = json!(0);
        }
        (0..times).for_each(|_| assert!(masks.apply(&step(kind.clone())).unwrap() > 0));
        masks.mask("w").unwrap().to_vec()
    };
    for kind in ["random_unstructured", "random_structured"] {
        let gone = |m: &[bool]| m.iter().filter(|b| !**b).count();
        let (one, two, other) = (masks(kind, 1, 1), masks(kind, 1, 2), masks(kind, 2, 1));
        assert_eq!(one, masks(kind, 1, 1));
        assert_ne!(one, other);
        assert_eq!((gone(&one), gone(&other)), (50, 50), "{kind}");
        // A quarter of the 150 entries, or of the 15 channels, that are left: 37.5 and 3.75, both rounded up to even.
        assert_eq!(gone(&two), if kind == "random_unstructured" { 88 } else { 90 });
        assert!(one.iter().zip(&two).all(|(a, b)| *a || !*b), "what is masked stays masked");
    }
}

#[test]
fn every_step_can_be_taken_back() {
    let mut masks = Masks::of_tensors([Tensor::from_f32("w", vec![2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    assert!(!masks.undo());
    masks.apply(&l1(Amount::Count(1))).unwrap();
    let once = masks.mask("w").unwrap().to_vec();
    masks.apply(&l1(Amount::Share(0.5))).unwrap();
    masks.remove("w").unwrap();
    assert_eq!((masks.mask("w"), masks.tensor("w").unwrap().to_f32().unwrap()), (None, vec![0.0, 0.0, 0.0, 4.0]));
    assert!(masks.undo());
    assert_eq!(masks.masked()[0].masked, 3);
    assert!(masks.undo());
    assert_eq!(masks.mask("w").unwrap(), once);
    assert!(masks.undo() && !masks.undo());
    assert_eq!((masks.mask("w"), masks.tensor("w").unwrap().to_f32().unwrap()), (None, vec![1.0, 2.0, 3.0, 4.0]));
}

#[test]
fn a_step_reads_back_and_refuses_what_it_does_not_know() {
    for kind in [
        json!({"kind": "l1_unstructured", "amount": {"share": 0.5}, "tensors": ["a*"]}),
        json!({"kind": "ln_structured", "amount": {"count": 2}, "n": "inf", "dim": 1}),
        json!({"kind": "n_m", "pattern": {"keep": 2, "of": 4}}),
        json!({"kind": "random_structured", "amount": {"count": 2}, "seed": 7}),
    ] {
        assert_eq!(serde_json::to_value(step(kind.clone())).unwrap(), kind);
        let mut wrong = kind;
        wrong["amuont"] = json!(1);
        assert!(serde_json::from_value::<MaskStep>(wrong).is_err());
    }
}

/// Two convolutions with everything between them that a channel can meet.
const CHAIN: &str = "(float[N,3,6,6] x) => (float[N,2,6,6] y)
    <float[8,3,3,3] w1, float[8] b1, float[8] gamma, float[8] beta, float[8] mean, float[8] var, float[2,8,1,1] w2>
    { a = Conv <pads = [1,1,1,1]> (x, w1, b1)  n = BatchNormalization (a, gamma, beta, mean, var)
      r = Relu (n)  y = Conv (r, w2) }";

struct Opened {
    model: Model,
    graph: Graph,
    channels: Channels,
}

fn open(model: Model) -> Opened {
    let graph = Graph::new(&model).unwrap();
    let channels = Channels::analyze(&graph);
    Opened { model, graph, channels }
}

/// The names of dead positions of a case whose tensors were masked whole along an axis.
fn dead(source: &str, slices: &[(&str, usize, &[usize])]) -> (Opened, Vec<u32>) {
    let entry = |(name, axis, indices): &(&str, usize, &[usize])| MaskEntry {
        initializer: (*name).to_owned(),
        axis: *axis,
        indices: indices.to_vec(),
        within: None,
    };
    let mask: Vec<MaskEntry> = slices.iter().map(entry).collect();
    let opened = open(lopper_core::cut::apply_mask(&text::parse(source).unwrap(), &mask).unwrap());
    let dead = dead_channels(&opened.graph, &opened.channels, &HashSet::new()).unwrap();
    (opened, dead)
}

fn positions(o: &Opened, group: &str, dead: &[u32]) -> Vec<usize> {
    let g = o.channels.groups.iter().find(|g| g.name == group).unwrap();
    (0..g.classes.len()).filter(|&k| dead.contains(&g.classes[k])).collect()
}

#[test]
fn a_channel_is_dead_when_nobody_reads_it_or_nothing_of_it_arrives() {
    let of = |slices: &[(&str, usize, &[usize])]| {
        let (o, dead) = dead(CHAIN, slices);
        positions(&o, "w1", &dead)
    };
    assert_eq!(of(&[("w2", 1, &[2, 5])]), [2, 5], "nobody reads it");
    assert_eq!(of(&[("w1", 0, &[2])]), [0; 0], "its bias and normalisation still add to it");
    assert_eq!(of(&[("gamma", 0, &[3]), ("beta", 0, &[3])]), [3], "the normalisation multiplies it by nothing");
    assert_eq!(of(&[("gamma", 0, &[3])]), [0; 0], "beta is left");
    assert_eq!(
        of(&[("w1", 0, &[4]), ("b1", 0, &[4]), ("mean", 0, &[4]), ("beta", 0, &[4])]),
        [0; 0],
        "gamma is unknown to keep zero"
    );
    assert_eq!(of(&[("w2", 1, &[0, 1, 2, 3, 4, 5, 6, 7])]), [1, 2, 3, 4, 5, 6, 7], "one stays");
}

#[test]
fn dead_channels_go_and_the_cut_holds_what_is_left() {
    let (o, _) = dead(CHAIN, &[("w2", 1, &[2, 5])]);
    let p = plan(&o.graph, &o.channels, &PlanOptions::new(Target::Dead)).unwrap();
    let done = cut(&o.model, &o.graph, &o.channels, p.removed.iter().copied()).unwrap();
    let want: BTreeMap<&str, usize> = BTreeMap::from([("w1", 6 * 27), ("b1", 6), ("w2", 12)]);
    for (name, n) in want {
        assert_eq!(done.graph.values[done.graph.find(name).unwrap()].tensor.as_ref().unwrap().len(), n, "{name}");
    }
    let locked = PlanOptions { locks: vec!["w1".to_owned()], ..PlanOptions::new(Target::Dead) };
    assert_eq!(plan(&o.graph, &o.channels, &locked).unwrap_err().code(), Code::NothingToCut);
}

#[test]
fn a_sigmoid_makes_something_of_nothing() {
    let source = CHAIN.replace("Relu", "Sigmoid");
    let (o, found) = dead(&source, &[("gamma", 0, &[3]), ("beta", 0, &[3]), ("w2", 1, &[6])]);
    assert_eq!(positions(&o, "w1", &found), [6]);
}

#[test]
fn a_residual_channel_is_dead_only_when_every_reader_and_writer_agrees() {
    let source = "(float[N,3,6,6] x) => (float[N,2,6,6] y)
        <float[8,3,1,1] w1, float[8,8,1,1] w2, float[2,8,1,1] w3>
        { a = Conv (x, w1)  b = Conv (a, w2)  c = Add (a, b)  r = Relu (c)  y = Conv (r, w3) }";
    let of = |slices: &[(&str, usize, &[usize])]| {
        let (o, dead) = dead(source, slices);
        positions(&o, "w1", &dead)
    };
    assert_eq!(of(&[("w3", 1, &[1])]), [0; 0], "the block still reads it");
    assert_eq!(of(&[("w3", 1, &[1]), ("w2", 1, &[1])]), [1]);
    assert_eq!(of(&[("w1", 0, &[1]), ("w2", 0, &[1])]), [1]);
    assert_eq!(of(&[("w1", 0, &[1])]), [0; 0], "the block adds to it");
}

#[test]
fn sparse_initializers_list_what_is_left() {
    let model = text::parse(CHAIN).unwrap();
    let o = open(model);
    let mut masks = Masks::new(&o.graph, &o.channels);
    masks.apply(&l1(Amount::Share(0.9))).unwrap();
    masks.apply(&step(json!({"kind": "l1_unstructured", "amount": {"share": 1.0}, "tensors": ["w2"]}))).unwrap();
    let (sparse, stored) = masks.sparse(&o.model).unwrap();
    assert_eq!(
        stored.iter().map(|s| (s.initializer.as_str(), s.sparse)).collect::<Vec<_>>(),
        [("w1", true), ("w2", false)]
    );
    let graph = sparse.graph();
    let list = &graph.sparse_initializer[0];
    let (values, places) = (
        sparse.tensor(list.values.as_option().unwrap()).unwrap(),
        sparse.tensor(list.indices.as_option().unwrap()).unwrap(),
    );
    assert_eq!((values.name.as_str(), list.dims.as_slice(), values.len()), ("w1", [8i64, 3, 3, 3].as_slice(), 22));
    let dense = masks.tensor("w1").unwrap().to_f32().unwrap();
    for (at, v) in places.to_i64().unwrap().into_iter().zip(values.to_f32().unwrap()) {
        assert_eq!(dense[at as usize], v);
    }
    assert_eq!(dense.iter().filter(|v| **v != 0.0).count(), 22);
    assert!(places.to_i64().unwrap().is_sorted());
    assert!(graph.initializer.iter().all(|t| t.name.as_deref() != Some("w1")));
    assert!(sparse.proto.ir_version.unwrap() >= 6);
    let again = open(Model::read(sparse.write().unwrap().into()).unwrap().inlined().unwrap());
    assert_eq!(again.graph.values[again.graph.find("w1").unwrap()].tensor.as_ref().unwrap().to_f32().unwrap(), dense);
    let mut wrong = sparse;
    let list = &mut wrong.proto.graph.get_or_insert_default().sparse_initializer[0];
    list.dims = vec![2, 2];
    assert_eq!(wrong.inlined().unwrap_err().code(), Code::BadTensor);
}

#[test]
fn a_step_without_names_takes_the_weights_that_it_fits() {
    let o = open(text::parse(CHAIN).unwrap());
    let names = |kind: Value| {
        let mut masks = Masks::new(&o.graph, &o.channels);
        masks.apply(&step(kind)).map(|_| masks.masked().into_iter().map(|m| m.initializer).collect::<Vec<_>>())
    };
    assert_eq!(names(json!({"kind": "l1_unstructured", "amount": {"count": 1}})).unwrap(), ["w1", "w2"]);
    // The channels of w2 are the model's output.
    assert_eq!(names(json!({"kind": "ln_structured", "amount": {"count": 1}, "n": 2})).unwrap(), ["w1"]);
    // Three input channels are no multiple of four.
    assert_eq!(names(json!({"kind": "n_m", "pattern": {"keep": 2, "of": 4}})).unwrap(), ["w2"]);
    assert_eq!(names(json!({"kind": "n_m", "pattern": {"keep": 2, "of": 5}})).unwrap_err().code(), Code::NothingToCut);
    for wrong in [
        json!({"kind": "l1_unstructured", "amount": {"count": 1}, "tensors": ["nobody"]}),
        json!({"kind": "ln_structured", "amount": {"count": 1}, "n": 2, "tensors": ["w2"]}),
        json!({"kind": "ln_structured", "amount": {"count": 1}, "n": 2, "dim": 9}),
        json!({"kind": "custom_from_mask", "mask": {"w2": [1, 0]}}),
        json!({"kind": "custom_from_mask", "mask": {"nobody": [1, 0]}}),
    ] {
        assert_eq!(names(wrong.clone()).unwrap_err().code(), Code::Usage, "{wrong}");
    }
}
