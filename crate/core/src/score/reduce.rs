//! From scores of filters to scores of channels.

use super::weights::finite;
use super::{Criterion, Measured, Needs, Normalizer, Positions, Scorer};
use crate::channels::{Channels, Group, Role, Site};
use crate::error::{Code, Error, Result};
use crate::graph::{Graph, ValueId};
use crate::ops;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// How the members of a group become one number a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Sum over the members that cover a position.
    Sum,
    /// Mean over the members that cover a position.
    Mean,
    /// The largest.
    Max,
    /// Their product.
    Prod,
    /// That of the group's first producer.
    First,
}

impl Reduction {
    /// All reductions with their names.
    pub const ALL: &'static [(&'static str, Reduction)] = &[
        ("sum", Reduction::Sum),
        ("mean", Reduction::Mean),
        ("max", Reduction::Max),
        ("prod", Reduction::Prod),
        ("first", Reduction::First),
    ];

    /// From its name.
    ///
    /// # Errors
    /// When there is no such reduction.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|c| c.0 == name).map(|c| c.1).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|c| c.0).collect();
            Error::new(Code::Usage, format!("there is no reduction {name:?}: choose one of {}", names.join(", ")))
        })
    }
}

/// How channels are scored.
#[derive(Clone, Copy, Debug)]
pub struct Scoring<'a> {
    /// The criterion.
    pub criterion: &'a Criterion,
    /// Another reduction than the criterion's own.
    pub reduction: Option<Reduction>,
    /// Another normaliser than the criterion's own.
    pub normalizer: Option<Normalizer>,
    /// Scores of criteria that look at more than weights.
    pub measured: &'a Measured,
}

impl Scoring<'_> {
    /// What makes scores of different groups comparable. Those of a mixture are already.
    pub fn between_groups(&self) -> Normalizer {
        match self.criterion {
            Criterion::Mix(_) => Normalizer::None,
            one => self.normalizer.unwrap_or(one.normalizer()),
        }
    }
}

/// One number for each channel of each group that is wanted, before groups are compared, and 0 for the others. Channels
/// whose class is `gone` count for nothing. The terms of a mixture are normalised over the channels that are left, by
/// their mean unless another normaliser is chosen.
///
/// # Errors
/// As [`Scorer::filters`], and when a score is infinite or not a number.
pub fn group_scores(
    graph: &Graph,
    channels: &Channels,
    wanted: impl Fn(usize) -> bool,
    scoring: &Scoring<'_>,
    gone: &HashSet<u32>,
) -> Result<Vec<Vec<f64>>> {
    let mut out: Vec<Vec<f64>> = channels.groups.iter().map(|g| vec![0.0; g.classes.len()]).collect();
    let normalizer = match scoring.criterion {
        Criterion::Mix(_) => scoring.normalizer.unwrap_or(Normalizer::Mean),
        _ => Normalizer::None,
    };
    for (criterion, weight) in scoring.criterion.terms() {
        let reduction = scoring.reduction.unwrap_or(criterion.reduction());
        let all = reduced(graph, channels, &wanted, criterion, reduction, scoring.measured, gone)?;
        for (g, (group, own)) in channels.groups.iter().zip(all).enumerate().filter(|(g, _)| wanted(*g)) {
            let stays = |k: usize| group.classes.get(k).is_some_and(|c| !gone.contains(c));
            let mut left: Vec<f64> = own.iter().enumerate().filter(|(k, _)| stays(*k)).map(|(_, s)| *s).collect();
            normalizer.apply(&mut left);
            finite(scoring.criterion, &group.name, &left)?;
            let slots = out.get_mut(g).into_iter().flatten().enumerate().filter(|(k, _)| stays(*k));
            slots.zip(left).for_each(|((_, sum), score)| *sum += weight * score);
        }
    }
    Ok(out)
}

/// What the members of a channel have come to.
#[derive(Clone, Copy, Default)]
struct Total {
    value: f64,
    members: usize,
}

impl Total {
    fn add(&mut self, reduction: Reduction, score: f64) {
        self.value = match reduction {
            _ if self.members == 0 => score,
            Reduction::Sum | Reduction::Mean => self.value + score,
            Reduction::Max => self.value.max(score),
            Reduction::Prod => self.value * score,
            Reduction::First => self.value,
        };
        self.members += 1;
    }

    fn close(self, reduction: Reduction) -> f64 {
        if reduction == Reduction::Mean { self.value / self.members.max(1) as f64 } else { self.value }
    }
}

/// One number for each channel of each group that is wanted by one criterion, and none for the others.
///
/// Members are the producers; for [`Criterion::GroupNorm`] consumers and the scales of normalisations as well, and for Taylor criteria of
/// weights the BatchNormalizations of producers, as far as they were measured. Where a
/// channel has several positions in one member (the gates of a recurrent layer, a map that a linear layer reads), their
/// mean counts, for `group_norm` their sum. Every parameter is read once, however many groups stand in it.
///
/// # Errors
/// As [`Scorer::filters`].
fn reduced(
    graph: &Graph,
    channels: &Channels,
    wanted: impl Fn(usize) -> bool,
    criterion: &Criterion,
    reduction: Reduction,
    measured: &Measured,
    gone: &HashSet<u32>,
) -> Result<Vec<Vec<f64>>> {
    let table = channels.class_table();
    let whole = *criterion == Criterion::GroupNorm;
    let gains = |value: ValueId| whole || scored_by_itself(graph, value, criterion, measured);
    let mut place: Vec<Option<(usize, usize)>> = vec![None; table.len()];
    let mut totals: Vec<Vec<Total>> = Vec::new();
    let mut sites: BTreeMap<(ValueId, usize), Vec<usize>> = BTreeMap::new();
    for (g, group) in channels.groups.iter().enumerate() {
        totals.push(vec![Total::default(); if wanted(g) { group.classes.len() } else { 0 }]);
        if !wanted(g) {
            continue;
        }
        for (k, &class) in group.classes.iter().enumerate() {
            if let Some(slot) = place.get_mut(class as usize) {
                *slot = Some((g, k));
            }
        }
        for site in
            members(graph, group, whole, &gains).take(if reduction == Reduction::First { 1 } else { usize::MAX })
        {
            sites.entry((site.value, site.bundle)).or_default().push(g);
        }
    }
    let scorer = Scorer::new(graph, measured);
    let mut own: Vec<Total> = vec![Total::default(); table.len()];
    for ((value, index), of) in sites {
        let Some(bundle) = channels.layouts.get(&value).and_then(|l| l.bundles.get(index)) else { continue };
        let class_at = |k: usize| bundle.ids.get(k).and_then(|&id| table.get(id as usize)).copied();
        let present = |k: usize| class_at(k).is_none_or(|class| !gone.contains(&class));
        let scores = scorer.filters(criterion, value, &Positions::of(bundle), &present)?;
        let classes = || (0..bundle.ids.len()).filter_map(class_at).map(|class| class as usize);
        for (class, score) in classes().zip(&scores) {
            if let Some(total) = own.get_mut(class) {
                total.add(Reduction::Sum, *score);
            }
        }
        for class in classes() {
            let Some(total) = own.get_mut(class).map(std::mem::take).filter(|o| o.members > 0) else { continue };
            let slot = place.get(class).copied().flatten().filter(|(g, _)| of.binary_search(g).is_ok());
            if let Some(sum) = slot.and_then(|(g, k)| totals.get_mut(g)?.get_mut(k)) {
                sum.add(reduction, total.close(if whole { Reduction::Sum } else { Reduction::Mean }));
            }
        }
    }
    Ok(totals.iter().map(|group| group.iter().map(|t| t.close(reduction)).collect()).collect())
}

/// The sites that are scored, the group's root first; of the scales of normalisations those of which `gains` says so.
pub(super) fn members<'a>(
    graph: &'a Graph,
    group: &'a Group,
    whole: bool,
    gains: &impl Fn(ValueId) -> bool,
) -> impl Iterator<Item = &'a Site> {
    group.sites.iter().filter(move |site| match site.role {
        Role::Producer => true,
        Role::Consumer => whole,
        Role::Companion => gains(site.value) && is_gain(graph, site.value),
    })
}

/// Whether a normalisation's scale has a measured score of its own, in which its shift is counted.
fn scored_by_itself(graph: &Graph, value: ValueId, criterion: &Criterion, measured: &Measured) -> bool {
    criterion.needs() == Needs::Labels && measured.get(criterion, &graph.values[value].name).is_some()
}

/// Whether a normalisation multiplies by a parameter.
fn is_gain(graph: &Graph, value: ValueId) -> bool {
    graph.values[value].uses.iter().any(|&(node, port)| {
        let gain = ops::lookup(&graph.nodes[node]).and_then(|op| op.gain());
        gain == Some(port)
    })
}
