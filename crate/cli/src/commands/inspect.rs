//! `lopper inspect`

use super::{open, print_json};
use crate::args::Inspect;
use crate::table::{Table, count, names};
use lopper_pipeline::{ModelSummary, Port, Result};

/// Shows a model's groups, sizes and pins.
pub fn run(args: &Inspect) -> Result<()> {
    let session = open(&args.model)?;
    if args.json {
        return print_json(session.described()?);
    }
    head(session.summary()?);
    groups(session.groups()?);
    let pinned = session.pinned()?;
    if !pinned.is_empty() {
        println!("\nPinned: these axes stay whole");
        let mut table = Table::new(&["node", "operator", "value", ">axis", "why", "what to do"]);
        for p in pinned {
            let node = if p.node.is_empty() { "-" } else { &p.node };
            let op = if p.op.is_empty() { "-" } else { &p.op };
            let cells = [node, op, &p.value, &p.axis.to_string(), &p.why, &p.what_to_do];
            table.row(cells.map(str::to_owned));
        }
        table.print();
    }
    Ok(())
}

fn head(s: &ModelSummary) {
    let ports = |ports: &[Port]| {
        let one = |p: &Port| {
            let shape: Vec<String> =
                p.shape.iter().map(|d| d.as_str().map_or_else(|| d.to_string(), str::to_owned)).collect();
            format!("{} {} [{}]", p.name, p.dtype, shape.join(", "))
        };
        ports.iter().map(one).collect::<Vec<_>>().join("; ")
    };
    println!("{}: {} bytes, operator set {}, {} nodes", s.name, count(s.bytes), s.opset, count(s.nodes as u64));
    println!("{} parameters, {} multiply-accumulates a sample", count(s.parameters), count(s.macs));
    println!("inputs: {}", ports(&s.inputs));
    println!("outputs: {}", ports(&s.outputs));
    for u in &s.unsupported {
        let place = if u.node.is_empty() { String::new() } else { format!("node {:?} ({}): ", u.node, u.op) };
        println!("not supported: {place}{}", u.why);
    }
}

fn groups(groups: &[lopper_pipeline::GroupSummary]) {
    println!("\nGroups: channels that go together");
    let mut table =
        Table::new(&["group", ">channels", ">parameters", ">MACs", "cut", "producers", "consumers", "companions"]);
    for g in groups {
        let cut = match (g.prunable, g.renormalised.is_empty()) {
            (false, _) => "no",
            (true, true) => "exact",
            (true, false) => "not exact",
        };
        table.row([
            g.name.clone(),
            count(g.channels as u64),
            count(g.parameters),
            count(g.macs),
            cut.to_owned(),
            names(&g.producers),
            names(&g.consumers),
            names(&g.companions),
        ]);
    }
    table.print();
}
