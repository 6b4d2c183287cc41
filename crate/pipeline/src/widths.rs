//! What stands on the graph's edges: channels, whose they are, and which of them go.

use crate::drawing::drawn;
use crate::session::Session;
use lopper_core::Result;
use lopper_core::channels::{Bundle, PINNED, Role};
use lopper_core::cut::Kept;
use lopper_core::plan::PlanOptions;
use serde::Serialize;
use std::collections::HashMap;

/// Runs of channels that are told apart on one axis.
const MOST_RUNS: usize = 64;

/// Channels that lie together on an axis of a value: of one group, or such as stay whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelRun {
    /// The group, by its place in [`crate::OpenedModel::groups`]; nothing for channels that stay whole.
    pub group: Option<usize>,
    /// The weights that make these channels.
    pub producers: Vec<String>,
    /// The place of the first of them in its group.
    pub first: usize,
    /// Positions of the axis that one channel takes, as after a Flatten.
    pub each: usize,
    /// Whether each channel goes.
    pub goes: Vec<bool>,
}

/// The channels of an axis of a value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisChannels {
    /// The axis, or several whose positions go together.
    pub axes: Vec<usize>,
    /// From the first position to the last.
    pub runs: Vec<ChannelRun>,
    /// Whether there are more runs than are listed.
    pub more: bool,
}

impl Session {
    /// Shapes of the values of [`Session::drawing`] after a cut by a plan.
    ///
    /// # Errors
    /// When no model is open or the plan cannot be made as asked.
    pub fn widths(&self, options: &PlanOptions) -> Result<Vec<Option<Vec<String>>>> {
        let opened = self.opened()?;
        let kept = Kept::new(&opened.graph, &opened.channels, self.quick_plan(options)?.removed);
        let shape = |id| -> Result<Option<Vec<String>>> {
            Ok(kept.shape(id)?.map(|s| s.iter().map(ToString::to_string).collect()))
        };
        opened.graph.values.ids().filter(|&id| drawn(&opened.graph, id)).map(shape).collect()
    }

    /// Whose channels stand on a value's axes, and which of them a plan takes away.
    ///
    /// # Errors
    /// When no value has this name or the plan cannot be made as asked.
    pub fn value_channels(&self, value: &str, options: &PlanOptions) -> Result<Vec<AxisChannels>> {
        let opened = self.opened()?;
        let id = opened.graph.require(value)?;
        let kept = Kept::new(&opened.graph, &opened.channels, self.quick_plan(options)?.removed);
        let shown = opened.channels.groups.iter().filter(|g| g.matters());
        let mut places: HashMap<u32, (usize, usize)> = HashMap::new();
        let mut producers: Vec<Vec<String>> = Vec::new();
        for (g, group) in shown.enumerate() {
            places.extend(group.classes.iter().enumerate().map(|(k, &class)| (class, (g, k))));
            let mut names: Vec<String> =
                group.with_role(Role::Producer).map(|s| opened.graph.values[s.value].name.clone()).collect();
            names.dedup();
            producers.push(names);
        }
        let table = opened.channels.class_table();
        let of_axis = |bundle: &Bundle| -> AxisChannels {
            let mut runs: Vec<ChannelRun> = Vec::new();
            for same in classes(bundle, table).chunk_by(|a, b| a.0 == b.0 && a.0 != PINNED) {
                let Some(&(class, id)) = same.first() else { continue };
                let place = places.get(&class);
                let fits = |run: &&mut ChannelRun| {
                    run.group == place.map(|p| p.0)
                        && run.each == same.len()
                        && place.is_none_or(|p| p.1 == run.first + run.goes.len())
                };
                match runs.last_mut().filter(fits) {
                    Some(run) => run.goes.push(kept.goes(id)),
                    None => runs.push(ChannelRun {
                        group: place.map(|p| p.0),
                        producers: place.and_then(|p| producers.get(p.0)).cloned().unwrap_or_default(),
                        first: place.map_or(0, |p| p.1),
                        each: same.len(),
                        goes: vec![kept.goes(id)],
                    }),
                }
            }
            let more = runs.len() > MOST_RUNS;
            runs.truncate(MOST_RUNS);
            AxisChannels { axes: bundle.axes.clone(), runs, more }
        };
        let bundles = opened.channels.layouts.get(&id).into_iter().flat_map(|l| &l.bundles);
        Ok(bundles.map(of_axis).filter(|a| a.runs.iter().any(|r| r.group.is_some())).collect())
    }
}

/// The class of every position with its id.
fn classes(bundle: &Bundle, table: &[u32]) -> Vec<(u32, u32)> {
    bundle.ids.iter().map(|&id| (table.get(id as usize).copied().unwrap_or(PINNED), id)).collect()
}
