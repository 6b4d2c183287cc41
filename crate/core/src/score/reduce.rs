//! From scores of filters to scores of channels.

use super::{Criterion, scores_of};
use crate::channels::{Channels, Role, Site};
use crate::error::Result;
use crate::graph::{Graph, ValueId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the members of a group become one number a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Mean over the members that cover a position.
    Mean,
}

/// The score of every filter of a producer, by position along its axis (block after block where the axis is divided).
///
/// # Errors
/// As [`scores_of`].
pub fn member_scores(graph: &Graph, channels: &Channels, criterion: Criterion, site: &Site) -> Result<Vec<f64>> {
    let bundle = channels.layouts.get(&site.value).and_then(|l| l.bundles.get(site.bundle));
    let Some(tensor) = graph.values[site.value].tensor.as_ref() else {
        // One number everywhere: all filters are equal.
        let (Some((dims, number)), Some(b)) = (graph.filled(site.value), bundle) else { return Ok(Vec::new()) };
        let each = dims.iter().product::<usize>() / b.ids.len().max(1);
        return Ok(vec![criterion.of_equal(number, each.max(1)); b.ids.len()]);
    };
    match bundle.map(|b| (b.axes.as_slice(), b.blocks)) {
        Some(([row, axis], None)) => joint_scores(criterion, tensor, *row, *axis),
        Some(([axis], Some(blocks))) => block_scores(criterion, tensor, blocks.axis, blocks.count, *axis),
        _ => scores_of(criterion, tensor, site.axis),
    }
}

fn joint_scores(criterion: Criterion, tensor: &crate::onnx::Tensor, row: usize, axis: usize) -> Result<Vec<f64>> {
    let rows = tensor.dims.get(row).copied().unwrap_or(1);
    block_scores(criterion, tensor, row, rows, axis)
}

fn block_scores(
    criterion: Criterion,
    tensor: &crate::onnx::Tensor,
    by: usize,
    count: usize,
    axis: usize,
) -> Result<Vec<f64>> {
    let tensor = &tensor.held()?;
    let n = tensor.dims.get(by).copied().unwrap_or(1);
    let each = n / count.max(1);
    let mut out = Vec::new();
    for k in 0..count {
        let stay: Vec<usize> = (k * each..(k + 1) * each).collect();
        out.extend(scores_of(criterion, &crate::cut::take(tensor, by, &stay)?, axis)?);
    }
    Ok(out)
}

/// One number for each channel of each group that is wanted, and none for the others. Members are the producers; where a
/// channel has several positions in one member (the gates of a recurrent layer), their mean counts. Every weight is read once,
/// however many groups stand in it.
///
/// # Errors
/// As [`scores_of`].
pub fn group_scores(
    graph: &Graph,
    channels: &Channels,
    wanted: impl Fn(usize) -> bool,
    criterion: Criterion,
    reduction: Reduction,
) -> Result<Vec<Vec<f64>>> {
    let table = channels.class_table();
    let mut place: Vec<Option<(usize, usize)>> = vec![None; table.len()];
    let mut sums: Vec<Vec<(f64, usize)>> = Vec::new();
    let mut sites: BTreeMap<(ValueId, usize), (&Site, Vec<usize>)> = BTreeMap::new();
    for (g, group) in channels.groups.iter().enumerate() {
        sums.push(vec![(0.0, 0); if wanted(g) { group.classes.len() } else { 0 }]);
        for (k, &class) in group.classes.iter().enumerate().filter(|_| wanted(g)) {
            if let Some(slot) = place.get_mut(class as usize) {
                *slot = Some((g, k));
            }
        }
        for site in group.with_role(Role::Producer).filter(|_| wanted(g)) {
            sites.entry((site.value, site.bundle)).or_insert_with(|| (site, Vec::new())).1.push(g);
        }
    }
    let mut own: Vec<(f64, usize)> = vec![(0.0, 0); table.len()];
    for (site, of) in sites.into_values() {
        let scores = member_scores(graph, channels, criterion, site)?;
        let Some(bundle) = channels.layouts.get(&site.value).and_then(|l| l.bundles.get(site.bundle)) else { continue };
        let members = || bundle.ids.iter().filter_map(|&id| table.get(id as usize)).map(|&class| class as usize);
        for (class, score) in members().zip(&scores) {
            if let Some((sum, n)) = own.get_mut(class) {
                *sum += score;
                *n += 1;
            }
        }
        for class in members() {
            let Some((sum, n)) = own.get_mut(class).map(std::mem::take).filter(|o| o.1 > 0) else { continue };
            let slot = place.get(class).copied().flatten().filter(|(g, _)| of.binary_search(g).is_ok());
            if let Some((total, count)) = slot.and_then(|(g, k)| sums.get_mut(g)?.get_mut(k)) {
                *total += sum / n as f64;
                *count += 1;
            }
        }
    }
    let Reduction::Mean = reduction;
    let mean = |&(sum, n): &(f64, usize)| if n > 0 { sum / n as f64 } else { 0.0 };
    Ok(sums.iter().map(|group| group.iter().map(mean).collect()).collect())
}
