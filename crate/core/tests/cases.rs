//! Text cases: a small graph in, its groups, balance, pins and the cut at 50 % out. Each case is a file in `tests/cases`;
//! what is expected stands beside it and is reviewed as a difference (`INSTA_UPDATE=always` rewrites it). A line
//! `// remove GROUP 0 1` names channels instead of half of all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::channels::{Channels, Role};
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::plan::{PlanOptions, Target, plan};
use lopper_core::report::pin_infos;
use lopper_core::text::parse;
use std::collections::BTreeMap;
use std::fmt::Write as _;

fn describe(text: &str) -> String {
    let model = parse(text).unwrap();
    let graph = Graph::new(&model).unwrap();
    let channels = Channels::analyze(&graph);
    let mut out = String::new();
    for g in &channels.groups {
        let sites: Vec<String> = (g.sites.iter())
            .map(|s| {
                let role = match s.role {
                    Role::Producer => "produces",
                    Role::Consumer => "consumes",
                    Role::Companion => "accompanies",
                };
                format!("{}[{}] {role}", graph.values[s.value].name, s.axis)
            })
            .collect();
        let rows = if g.rows { " rows" } else { "" };
        let norm = if g.renormalised.is_empty() { "" } else { " renormalised" };
        writeln!(out, "group {} x{}{rows}{norm}: {}", g.name, g.classes.len(), sites.join(", ")).unwrap();
    }
    for b in &channels.balances {
        let cells: Vec<String> =
            b.cells.iter().map(|c| format!("{}{:?}", channels.groups[c.group].name, c.channels)).collect();
        writeln!(out, "balance at {}: {}", graph.values[b.value].name, cells.join(" ")).unwrap();
    }
    for p in pin_infos(&graph, &channels) {
        writeln!(out, "pin {}[{}] at {}: {}", p.value, p.axis, p.node, p.why).unwrap();
    }
    let options = PlanOptions::new(removal(text, &channels).unwrap_or(Target::Ratio(0.5)));
    match plan(&graph, &channels, &options).and_then(|p| cut(&model, &graph, &channels, p.removed)) {
        Ok(c) => {
            writeln!(
                out,
                "cut: {}",
                if c.renormalised.is_empty() {
                    "exact".to_owned()
                } else {
                    format!("renormalised {:?}", c.renormalised)
                }
            )
            .unwrap();
            for (_, n) in c.graph.nodes.iter() {
                let shapes: Vec<String> = n
                    .outputs
                    .iter()
                    .flatten()
                    .map(|&v| c.graph.values[v].shape.as_ref().map_or_else(|| "?".to_owned(), |s| format!("{s:?}")))
                    .collect();
                let group = n.int("group").map(|g| format!(" group={g}")).unwrap_or_default();
                writeln!(out, "  {}{group} -> {}", n.op_type, shapes.join(" ")).unwrap();
            }
            for e in &c.mask {
                let within = e
                    .within
                    .as_ref()
                    .map(|w| format!(" where [{}] in {}..{}", w.axis, w.range[0], w.range[1]))
                    .unwrap_or_default();
                writeln!(out, "  mask {}[{}] {:?}{within}", e.initializer, e.axis, e.indices).unwrap();
            }
            for (name, why) in &c.rewritten {
                writeln!(out, "  new {name}: {why}").unwrap();
            }
        }
        Err(e) => writeln!(out, "no cut: {e}").unwrap(),
    }
    out
}

/// `// remove GROUP 0 1`: the channels that a case names instead of half of all; `*` stands for every one.
fn removal(text: &str, channels: &Channels) -> Option<Target> {
    let lines = text.lines().filter_map(|l| l.strip_prefix("// remove "));
    let named = lines.map(|line| {
        let (group, list) = line.split_once(' ').unwrap();
        let group = channels.groups.iter().find(|g| g.name == group).unwrap();
        let all = 0..group.classes.len();
        let at = if list == "*" { all.collect() } else { list.split(' ').map(|k| k.parse().unwrap()).collect() };
        (group.name.clone(), at)
    });
    let list: BTreeMap<String, Vec<usize>> = named.collect();
    (!list.is_empty()).then_some(Target::Remove(list))
}

#[test]
fn cases() {
    insta::glob!("cases/*.txt", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        insta::assert_snapshot!(describe(&text));
    });
}

#[test]
fn every_pin_says_what_to_do_about_its_own_reason() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut vague: BTreeMap<String, String> = BTreeMap::new();
    for file in std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()) {
        let graph = Graph::new(&parse(&std::fs::read_to_string(&file).unwrap()).unwrap()).unwrap();
        for p in pin_infos(&graph, &Channels::analyze(&graph)) {
            if p.what_to_do.contains("this axis keeps its length") {
                vague.insert(p.why, format!("{} at {} ({})", file.display(), p.node, p.op));
            }
        }
    }
    assert!(vague.is_empty(), "reasons without advice of their own: {vague:#?}");
}
