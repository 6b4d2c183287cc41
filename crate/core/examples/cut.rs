//! Cuts a model: cut IN OUT REPORT RATIO SCOPE [LOCK..].
use lopper_core::{channels::Channels, cut::cut, graph::Graph, onnx::Model, plan::*, report::*, score::Criterion};
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if let Err(e) = run(&a) { eprintln!("{e}"); std::process::exit(4) }
}
fn run(a: &[String]) -> lopper_core::Result<()> {
    let bytes = std::fs::read(&a[1]).unwrap();
    let m = Model::read(bytes.clone().into())?;
    let g = Graph::new(&m)?;
    let c = Channels::analyze(&g);
    let o = PlanOptions { criterion: Criterion::L1, scope: if a[5] == "global" { Scope::Global } else { Scope::Group }, target: Target::Ratio(a[4].parse().unwrap()), floor: None, multiple: None, locks: a[6..].to_vec(), seed: 0 };
    let p = plan(&g, &c, &o)?;
    let k = cut(&m, &g, &c, p.removed.iter().copied())?;
    let out = k.model.write()?;
    let r = Report::new(&ReportInput { name: &a[1], sha256: &sha256(&bytes), bytes: Change { before: bytes.len() as u64, after: out.len() as u64 }, model: &m, graph: &g, channels: &c, plan: &p, options: &o, cut: &k })?;
    std::fs::write(&a[2], out).unwrap();
    std::fs::write(&a[3], serde_json::to_string(&r).unwrap()).unwrap();
    Ok(())
}
