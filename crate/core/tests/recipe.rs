//! Recipes: reading, refusing, and the compact form.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::Code;
use lopper_core::mask::{Amount, MaskKind, MaskStep};
use lopper_core::plan::{PlanOptions, Schedule, Scope, Target};
use lopper_core::recipe::{DataRecipe, Recipe, ScoreOptions};
use lopper_core::score::{Criterion, Normalizer, Reduction};
use std::collections::BTreeMap;

fn full() -> Recipe {
    let cut = PlanOptions {
        criterion: Criterion::parse("lp(3):0.7,gbn_abs:0.3").unwrap(),
        reduction: Some(Reduction::First),
        normalizer: Some(Normalizer::Gaussian),
        scope: Scope::Isomorphic,
        sets: vec![vec!["a*".to_owned(), "b, c".to_owned()]],
        group_ratios: BTreeMap::from([("layer1.0.conv1.weight".to_owned(), 0.25), ("größe'%".to_owned(), 0.5)]),
        min_ratio: Some(0.05),
        max_ratio: Some(1.0),
        multiple: Some(8),
        locks: vec!["conv1.weight".to_owned(), "l1".to_owned()],
        heads: true,
        steps: 5,
        schedule: Schedule::Agp,
        seed: u64::MAX,
        ..PlanOptions::new(Target::Remove(BTreeMap::from([("w".to_owned(), vec![1, 2])])))
    };
    let mask = vec![
        MaskStep { kind: MaskKind::L1Unstructured { amount: Amount::Share(0.3) }, tensors: vec!["fc.*".to_owned()] },
        MaskStep {
            kind: MaskKind::LnStructured { amount: Amount::Count(2), n: "-inf".parse().unwrap(), dim: Some(1) },
            tensors: Vec::new(),
        },
    ];
    let data = DataRecipe {
        normalize: "0.5,0.5,0.5/0.25,0.25,0.25".to_owned(),
        seed: 3,
        validation: Some(0.1),
        test: None,
        name: None,
        images: None,
        split: None,
    };
    let tune = serde_json::json!({"epochs": 3, "learning_rate": 1e-7, "nested": [null, true, false, -0.5, 2.0]});
    let score = Some(ScoreOptions { batch: 16, limit: Some(40) });
    Recipe { mask, sparse: true, cut: Some(cut), score, data: Some(data), tune: Some(tune), ..Recipe::default() }
}

#[test]
fn json_and_the_compact_form_come_back() {
    for recipe in
        [full(), Recipe::of_cut(PlanOptions::new(Target::Macs(0.5))), Recipe { mask: full().mask, ..Recipe::default() }]
    {
        assert_eq!(Recipe::read(&recipe.to_json().unwrap()).unwrap(), recipe);
        let compact = recipe.to_compact().unwrap();
        assert_eq!(Recipe::read(&compact).unwrap(), recipe, "{compact}");
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(c);
        assert!(compact.chars().all(allowed), "{compact}");
        for end in 0..compact.len() {
            // A damaged one is another recipe at most, never a panic.
            let _ = Recipe::read(&compact[..end]);
        }
    }
}

#[test]
fn the_compact_form_is_short() {
    let cut = PlanOptions { scope: Scope::Global, ..PlanOptions::new(Target::Macs(0.5)) };
    let compact = Recipe::of_cut(cut).to_compact().unwrap();
    assert!(compact.len() <= 20, "{compact} takes {}", compact.len());
    let noted = Recipe { lopper: Some("0.1.0".to_owned()), device: Some("CPU".to_owned()), ..full() };
    assert_eq!(noted.to_compact().unwrap(), full().to_compact().unwrap(), "notes are left out");
}

#[test]
fn a_report_is_read_for_its_recipe() {
    let recipe = full();
    let report = serde_json::json!({"lopper": "0.1.0", "exact": true, "recipe": recipe});
    assert_eq!(Recipe::read(&report.to_string()).unwrap(), recipe);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let mut json = serde_json::to_value(full()).unwrap();
    json["cut"]["colour"] = "red".into();
    let said = Recipe::read(&json.to_string()).unwrap_err();
    assert!(said.code() == Code::Usage && said.message().contains("`colour`"), "{said}");
    let mut json = serde_json::to_value(full()).unwrap();
    json["mask"][0]["colour"] = "red".into();
    assert!(Recipe::read(&json.to_string()).unwrap_err().message().contains("colour"));
    let mut json = serde_json::to_value(full()).unwrap();
    json["version"] = 2.into();
    assert!(Recipe::read(&json.to_string()).unwrap_err().message().contains("version 2"));
    for text in [
        "",
        "{}",
        "hello",
        "1",
        "2a:(g:(i:.5))",
        "1a:(g:(i:.5)",
        "1a:(g:(i:9))",
        "{\"version\":1}",
        "1'%GG':1",
        "(((((",
    ] {
        assert_eq!(Recipe::read(text).unwrap_err().code(), Code::Usage, "{text}");
    }
    let deep = format!("1a:{}", "!(".repeat(10_000));
    assert_eq!(Recipe::read(&deep).unwrap_err().code(), Code::Usage);
}
