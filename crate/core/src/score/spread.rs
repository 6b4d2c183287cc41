//! From numbers of channels to numbers of the elements of parameters: what penalties and masks that hang on groups do.

use super::Positions;
use super::reduce::members;
use crate::channels::{Channels, Group, Role, Site};
use crate::graph::{Graph, ValueId};
use crate::ops;
use std::collections::BTreeMap;

/// Which parameters of a group are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Weights that make the channels.
    Producers,
    /// Those, and scale and shift of normalisations.
    Normalized,
    /// Those that [`super::Criterion::GroupNorm`] sums over: producers, consumers, and scales of normalisations.
    All,
}

/// For each parameter in which a channel with a number other than 0 stands, the sum of the numbers of the channels of each
/// element: an element of a convolution belongs to a channel that it makes and to one that it reads. `numbers` holds one list a
/// group, one number a channel; a shorter list leaves out the rest.
pub fn spread(graph: &Graph, channels: &Channels, which: Members, numbers: &[Vec<f64>]) -> BTreeMap<String, Vec<f64>> {
    let table = channels.class_table();
    let mut out: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (group, own) in channels.groups.iter().zip(numbers).filter(|(_, own)| own.iter().any(|n| *n != 0.0)) {
        let of_class: BTreeMap<u32, f64> = group.classes.iter().copied().zip(own.iter().copied()).collect();
        for site in sites(graph, group, which) {
            let value = &graph.values[site.value];
            let Some(tensor) = &value.tensor else { continue };
            let bundle = channels.layouts.get(&site.value).and_then(|l| l.bundles.get(site.bundle));
            let Some(bundle) = bundle else { continue };
            let number = |k: usize| -> f64 {
                let class = bundle.ids.get(k).and_then(|&id| table.get(id as usize));
                class.and_then(|c| of_class.get(c)).copied().unwrap_or(0.0)
            };
            let position = Positions::of(bundle).of_elements(&tensor.dims);
            let elements = out.entry(value.name.clone()).or_insert_with(|| vec![0.0; tensor.len()]);
            elements.iter_mut().enumerate().for_each(|(at, sum)| *sum += number(position(at)));
        }
    }
    out
}

fn sites<'a>(graph: &'a Graph, group: &'a Group, which: Members) -> Box<dyn Iterator<Item = &'a Site> + 'a> {
    match which {
        Members::Producers => Box::new(members(graph, group, false, &|_| false)),
        Members::All => Box::new(members(graph, group, true, &|_| true)),
        Members::Normalized => Box::new(group.sites.iter().filter(|s| match s.role {
            Role::Producer => true,
            Role::Consumer => false,
            Role::Companion => is_of_norm(graph, s.value),
        })),
    }
}

/// Whether a normalisation multiplies by a parameter or adds it.
fn is_of_norm(graph: &Graph, value: ValueId) -> bool {
    graph.values[value].uses.iter().any(|&(node, port)| {
        let gain = ops::lookup(&graph.nodes[node]).and_then(|op| op.gain());
        gain.is_some_and(|gain| port == gain || port == gain + 1)
    })
}

/// What the group lasso of DepGraph (Fang et al., CVPR 2023) pulls the channels of one group with, from the roots of their
/// norms: `2^(alpha (max - I) / (max - min))`, and 1 for all where they are equal.
pub fn lasso(importance: &[f64], alpha: f64) -> Vec<f64> {
    let (least, most) = bounds(importance);
    let share = |i: f64| if most > least { (most - i) / (most - least) } else { 0.0 };
    importance.iter().map(|&i| (alpha * share(i)).exp2()).collect()
}

/// What growing regularisation by groups adds to each channel's factor at the end of an epoch: all of `delta` to the weakest,
/// nothing to the strongest.
pub fn growth(importance: &[f64], delta: f64) -> Vec<f64> {
    let (least, most) = bounds(importance);
    importance.iter().map(|&i| delta * (most - i) / (most - least + 1e-8)).collect()
}

fn bounds(of: &[f64]) -> (f64, f64) {
    of.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), &i| (least.min(i), most.max(i)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weakest_channel_is_pulled_by_two_to_alpha() {
        // Torch-Pruning 1.6.1 takes 4 whatever alpha is given.
        assert_eq!(lasso(&[1.0, 3.0, 2.0], 4.0), [16.0, 1.0, 4.0]);
        assert_eq!(lasso(&[1.0, 3.0, 2.0], 2.0), [4.0, 1.0, 2.0]);
        assert_eq!(lasso(&[0.5, 0.5], 4.0), [1.0, 1.0]);
        assert!(lasso(&[], 4.0).is_empty());
    }

    #[test]
    fn the_weakest_channel_grows_most() {
        let grown = growth(&[1.0, 3.0, 2.0], 0.1);
        for (got, want) in grown.iter().zip([0.1, 0.0, 0.05]) {
            assert!((got - want).abs() < 1e-8, "{grown:?}");
        }
        assert_eq!(growth(&[2.0, 2.0], 0.1), [0.0, 0.0]);
    }
}
