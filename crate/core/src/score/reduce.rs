//! From scores of filters to scores of channels.

use super::{Criterion, scores_of};
use crate::channels::{Channels, Group, Role, Site};
use crate::error::Result;
use crate::graph::Graph;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

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
    let n = tensor.dims.get(by).copied().unwrap_or(1);
    let each = n / count.max(1);
    let mut out = Vec::new();
    for k in 0..count {
        let stay: Vec<usize> = (k * each..(k + 1) * each).collect();
        out.extend(scores_of(criterion, &crate::cut::take(tensor, by, &stay), axis)?);
    }
    Ok(out)
}

/// One number for each channel of a group. Members are the producers; where a channel has several positions in one member
/// (the gates of a recurrent layer), their mean counts.
///
/// # Errors
/// As [`scores_of`].
pub fn group_scores(
    graph: &Graph,
    channels: &Channels,
    group: &Group,
    criterion: Criterion,
    reduction: Reduction,
) -> Result<Vec<f64>> {
    let classes = channels.class_table();
    let index: HashMap<u32, usize> = group.classes.iter().enumerate().map(|(k, &c)| (c, k)).collect();
    let mut sums = vec![0.0; group.classes.len()];
    let mut covered = vec![0usize; group.classes.len()];
    for site in group.with_role(Role::Producer) {
        let scores = member_scores(graph, channels, criterion, site)?;
        let Some(bundle) = channels.layouts.get(&site.value).and_then(|l| l.bundles.get(site.bundle)) else { continue };
        let mut own = vec![(0.0, 0usize); group.classes.len()];
        for (id, score) in bundle.ids.iter().zip(&scores) {
            let slot = classes.get(*id as usize).and_then(|c| index.get(c)).and_then(|&k| own.get_mut(k));
            if let Some((sum, n)) = slot {
                *sum += score;
                *n += 1;
            }
        }
        for ((sum, n), (own_sum, own_n)) in sums.iter_mut().zip(&mut covered).zip(own).filter(|(_, o)| o.1 > 0) {
            *sum += own_sum / own_n as f64;
            *n += 1;
        }
    }
    let Reduction::Mean = reduction;
    Ok(sums.iter().zip(&covered).map(|(s, n)| if *n > 0 { s / *n as f64 } else { 0.0 }).collect())
}
