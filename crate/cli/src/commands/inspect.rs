//! `lopper inspect`

use super::{open, print_json};
use crate::args::Inspect;
use crate::table::{Table, count, names};
use lopper_pipeline::{Coupling, Link, ModelSummary, Place, Port, Result, Session, Told};

/// Shows a model's groups, sizes and pins.
pub fn run(args: &Inspect) -> Result<()> {
    let session = open(&args.model)?;
    if let Some(names) = &args.why {
        return why(&session, names, args.json);
    }
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

fn why(session: &Session, names: &[String], json: bool) -> Result<()> {
    match names {
        [a, b, ..] => {
            let coupling = session.why_together(a, b)?;
            if json { print_json(&coupling) } else { together(&coupling) }
        }
        [a] => {
            let told = session.why(a)?;
            if json { print_json(&told) } else { told.iter().try_for_each(alone) }
        }
        [] => Ok(()),
    }
}

fn place(p: &Place) -> String {
    format!("{}[{}]", p.value, p.axis)
}

fn chain(links: &[Link]) {
    for l in links {
        println!("  {} meets {} at {} ({})", place(&l.from), place(&l.to), l.node, l.op);
    }
}

fn together(c: &Coupling) -> Result<()> {
    let (a, b) = (place(&c.a), place(&c.b));
    match (c.channels, c.pinned) {
        (0, _) => println!("{a} and {b} share no channel: each can be cut without the other"),
        (n, true) => {
            println!("{a} and {b} are the same {n} channels, and these stay; `--why` with one of them says why")
        }
        (n, false) => println!("{a} and {b} share {n} channels, which can only go together:"),
    }
    chain(&c.chain);
    Ok(())
}

fn alone(t: &Told) -> Result<()> {
    let groups = if t.groups.is_empty() { "no group".to_owned() } else { t.groups.join(", ") };
    println!("{}: {} of {} channels stay; the others are in {groups}", place(&t.place), t.pinned, t.length);
    for r in &t.reasons {
        let by = if r.node.is_empty() { String::new() } else { format!(" at {} ({})", r.node, r.op) };
        println!("  pinned at {}{by}: {}", place(&r.at), r.why);
        println!("  what to do: {}", r.what_to_do);
        chain(&r.chain);
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
    println!(
        "{} parameters; a sample takes {} multiply-accumulates and {} bytes of activations",
        count(s.parameters),
        count(s.macs),
        count(s.activation_bytes)
    );
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
