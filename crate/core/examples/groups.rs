//! Prints the groups of a model.
use lopper_core::{channels::Channels, graph::Graph, onnx::Model};
fn main() {
    for f in std::env::args().skip(1) {
        let bytes = std::fs::read(&f).unwrap();
        let t = std::time::Instant::now();
        let m = match Model::read(bytes.into()) { Ok(m) => m, Err(e) => { println!("{f}: {e}"); continue } };
        let g = match Graph::new(&m) { Ok(g) => g, Err(e) => { println!("{f}: {e}"); continue } };
        let c = Channels::analyze(&g);
        println!("{f}: {} nodes {} groups {} prunable {} balances {:?}", g.nodes.len(), c.groups.len(), c.groups.iter().filter(|g| g.prunable()).count(), c.balances.len(), t.elapsed());
        if std::env::var("V").is_ok() {
        for gr in &c.groups { println!("  {} x{} rows={} renorm={} : {}", gr.name, gr.classes.len(), gr.rows, gr.renormalised.len(), gr.sites.iter().map(|s| format!("{}:{}{}", g.values[s.value].name, s.axis, match s.role { lopper_core::channels::Role::Producer=>"p", lopper_core::channels::Role::Consumer=>"c", _=>"m"})).collect::<Vec<_>>().join(" ")); }
        for p in &c.pins { println!("  pin {:?} axis {} node {:?} n={} why {}", p.value.map(|v| &g.values[v].name), p.axis, p.node.map(|n| g.nodes[n].place()), p.ids.len(), p.why); }
        for (_, v) in g.values.iter() { if v.shape.is_none() { println!("  no shape {}", v.name); } }
        }
    }
}
