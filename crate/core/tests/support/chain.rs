//! Everything the core does with a file, from bytes to a cut model and back.

use lopper_core::channels::Channels;
use lopper_core::cut::{apply_mask, cut};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::plan::{PlanOptions, Scope, Target, plan};
use lopper_core::recipe::Recipe;
use lopper_core::report::{Change, Report, ReportInput, group_infos, pin_infos};
use lopper_core::score::Criterion;
use lopper_core::{Error, Result};

/// Runs the whole chain for several plans. The first error ends it; none may be a panic.
pub fn chain(bytes: &[u8]) -> Result<()> {
    let model = Model::read(bytes.to_vec().into())?;
    let graph = Graph::new(&model)?;
    let channels = Channels::analyze(&graph);
    group_infos(&graph, &channels, None);
    pin_infos(&graph, &channels);
    Model::read(model.write()?.into())?;
    let mut failed: Option<Error> = None;
    for (scope, target, multiple) in [
        (Scope::Group, Target::Ratio(0.5), None),
        (Scope::Global, Target::Macs(0.6), None),
        (Scope::Global, Target::Ratio(0.3), Some(2)),
    ] {
        let options = PlanOptions { criterion: Criterion::L2, scope, multiple, ..PlanOptions::new(target) };
        if let Err(e) = prune(&model, &graph, &channels, &options) {
            failed.get_or_insert(e);
        }
    }
    failed.map_or(Ok(()), Err)
}

fn prune(model: &Model, graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<()> {
    let plan = plan(graph, channels, options)?;
    let cut = cut(model, graph, channels, plan.removed.iter().copied())?;
    let written = cut.model.write()?;
    let bytes = Change { before: 0, after: written.len() as u64 };
    Report::new(&ReportInput {
        name: "m",
        sha256: "",
        bytes,
        model,
        graph,
        channels,
        plan: &plan,
        recipe: &Recipe::of_cut(options.clone()),
        cut: &cut,
    })?;
    apply_mask(model, &cut.mask)?;
    Graph::new(&Model::read(written.into())?).map(drop)
}
