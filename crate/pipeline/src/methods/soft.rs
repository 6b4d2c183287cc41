//! Which filters soft pruning sets to zero.

use lopper_core::channels::Channels;
use lopper_core::graph::Graph;
use lopper_core::plan::{Plan, PlanOptions, Planner, Target, matches_glob};
use lopper_core::{Code, Error, Result};
use std::collections::HashSet;

/// Rates that are tried for a target that is no rate: thousandths.
const RATES: usize = 999;

/// The classes that go: of every group `floor(rate * C + 1e-9)` channels, with the rate of the target, or the smallest that meets it.
pub(super) fn weakest(graph: &Graph, channels: &Channels, options: &PlanOptions) -> Result<HashSet<u32>> {
    let removed = |plan: Plan| plan.removed.into_iter().collect();
    let share = match options.target {
        Target::Ratio(rate) => return at_rate(graph, channels, options, rate).map(removed),
        Target::Macs(share) | Target::Parameters(share) => share,
        _ => return Err(Error::new(Code::Usage, "soft pruning needs a share of channels, MACs or parameters")),
    };
    let left = |plan: &Plan| match options.target {
        Target::Macs(_) => plan.after.macs as f64 / plan.before.macs.max(1) as f64,
        _ => plan.after.parameters as f64 / plan.before.parameters.max(1) as f64,
    };
    // More rate never leaves more.
    let (mut low, mut high) = (0, RATES);
    while high - low > 1 {
        let middle = usize::midpoint(low, high);
        let plan = at_rate(graph, channels, options, middle as f64 / 1000.0)?;
        if left(&plan) <= share { high = middle } else { low = middle }
    }
    let plan = at_rate(graph, channels, options, high as f64 / 1000.0)?;
    if left(&plan) > share {
        let what =
            format!("the target cannot be reached: {:.0} % are left at least; lock fewer groups", 100.0 * left(&plan));
        return Err(Error::new(Code::NoTarget, what));
    }
    Ok(removed(plan))
}

fn at_rate(graph: &Graph, channels: &Channels, options: &PlanOptions, rate: f64) -> Result<Plan> {
    let mut options = PlanOptions { target: Target::Ratio(0.0), ..options.clone() };
    for group in channels.groups.iter().filter(|g| g.prunable()) {
        let count = group.classes.len() as f64;
        if !options.group_ratios.keys().any(|glob| matches_glob(glob, &group.name)) {
            options.group_ratios.insert(group.name.clone(), (rate * count + 1e-9).floor() / count);
        }
    }
    Planner::new(graph, channels, &options)?.by_weights()
}
