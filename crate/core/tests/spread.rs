//! Numbers of channels on the elements of parameters: what the penalties of groups do, and faults of others that they avoid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use lopper_core::channels::Channels;
use lopper_core::cut::{Kept, cut, places};
use lopper_core::graph::Graph;
use lopper_core::plan::{PlanOptions, Target, plan};
use lopper_core::score::{Members, spread};
use lopper_core::text::parse;
use std::collections::BTreeMap;

/// A convolution, a normalisation, a convolution in two groups, and one that reads it.
const GROUPED: &str = "(float[N,3,4,4] x) => (float[N,2,4,4] y)
    <float[4,3,1,1] a, float[4] scale, float[4] shift, float[4] mean, float[4] spread = {1, 1, 1, 1},
     float[4,2,1,1] g, float[2,4,1,1] c>
    { h = Conv (x, a) n = BatchNormalization (h, scale, shift, mean, spread)
      k = Conv <group = 2> (n, g) y = Conv (k, c) }";

fn open(text: &str) -> (Graph, Channels) {
    let graph = Graph::new(&parse(text).unwrap()).unwrap();
    let channels = Channels::analyze(&graph);
    (graph, channels)
}

/// Numbers for the groups by name.
fn numbers(channels: &Channels, of: &[(&str, &[f64])]) -> Vec<Vec<f64>> {
    let own = |name: &str| of.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_vec()).unwrap_or_default();
    channels.groups.iter().map(|g| own(&g.name)).collect()
}

#[test]
fn an_element_bears_the_sum_of_its_channels_whole() {
    let (graph, channels) = open(GROUPED);
    let all = spread(
        &graph,
        &channels,
        Members::All,
        &numbers(&channels, &[("a", &[1.0, 2.0, 4.0, 8.0]), ("g", &[10.0, 20.0, 30.0, 40.0])]),
    );
    let of = |name: &str| all[name].clone();
    assert_eq!(of("a"), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0, 8.0, 8.0, 8.0]);
    // Torch-Pruning divides the factor by the number of blocks once it has met a grouped convolution, for all members after it.
    assert_eq!(of("g"), [11.0, 12.0, 21.0, 22.0, 34.0, 38.0, 44.0, 48.0]);
    assert_eq!(of("c"), [10.0, 20.0, 30.0, 40.0, 10.0, 20.0, 30.0, 40.0]);
    // Torch-Pruning adds to a copy of the scales, so that they are never pulled.
    assert_eq!(of("scale"), [1.0, 2.0, 4.0, 8.0]);
    assert!(!all.contains_key("shift") && !all.contains_key("mean"));
}

#[test]
fn producers_alone_or_with_their_normalisation() {
    let (graph, channels) = open(GROUPED);
    let own = numbers(&channels, &[("a", &[0.0, 1.0, 0.0, 0.0])]);
    let names = |which| spread(&graph, &channels, which, &own).into_keys().collect::<Vec<_>>();
    assert_eq!(names(Members::Producers), ["a"]);
    assert_eq!(names(Members::Normalized), ["a", "scale", "shift"]);
    assert!(spread(&graph, &channels, Members::All, &numbers(&channels, &[])).is_empty());
}

/// Elements of every cut parameter are those of the original at their places, also where blocks keep different columns.
#[test]
fn places_lead_back_to_the_original() {
    let (graph, channels) = open(GROUPED);
    let model = parse(GROUPED).unwrap();
    let removed = plan(&graph, &channels, &PlanOptions::new(Target::Ratio(0.5))).unwrap().removed;
    let small = cut(&model, &graph, &channels, removed.iter().copied()).unwrap();
    let places: BTreeMap<_, _> = places(&graph, &channels, &Kept::new(&graph, &channels, removed)).unwrap();
    assert!(places.contains_key("a") && places.contains_key("g") && places.contains_key("c"));
    let values =
        |graph: &Graph, name: &str| graph.values[graph.find(name).unwrap()].tensor.as_ref().unwrap().to_f32().unwrap();
    for (name, places) in places {
        let (whole, left) = (values(&graph, &name), values(&small.graph, &name));
        assert_eq!(places.len(), left.len(), "{name}");
        assert!(left.len() < whole.len(), "{name}");
        assert_eq!(places.iter().map(|&at| whole[at]).collect::<Vec<_>>(), left, "{name}");
    }
}
