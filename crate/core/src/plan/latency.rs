//! Milliseconds of a model from times that were measured layer by layer.

use super::cost::{at_one, macs_of};
use crate::channels::Channels;
use crate::cut::Kept;
use crate::error::{Code, Error, Result};
use crate::graph::{Graph, NodeId};
use crate::ops;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Times of layers at several widths. Between two of them time grows evenly with the multiply-accumulates.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatencyTable {
    /// Where it was measured.
    pub device: String,
    /// By name of node: multiply-accumulates and milliseconds, ascending.
    pub layers: BTreeMap<String, Vec<(u64, f64)>>,
    /// Milliseconds that no layer of the table accounts for.
    pub rest: f64,
}

impl LatencyTable {
    /// Puts the points of every layer in order, and makes time never fall where work grows: a slower narrow layer is
    /// noise, or a shape that the device does not like, and no plan should aim at it.
    ///
    /// # Errors
    /// When a time is negative or not a number.
    pub fn settle(&mut self) -> Result<()> {
        let times = self.layers.values().flatten().map(|p| p.1).chain([self.rest]);
        if let Some(t) = times.into_iter().find(|t| !t.is_finite() || *t < 0.0) {
            return Err(Error::new(Code::Usage, format!("a time of {t} ms makes no sense in a table of latencies")));
        }
        for points in self.layers.values_mut() {
            points.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            let mut least = 0.0f64;
            for p in points.iter_mut() {
                least = least.max(p.1);
                p.1 = least;
            }
            points.dedup_by_key(|p| p.0);
        }
        Ok(())
    }

    /// Milliseconds of one layer. Below the narrowest width that was measured the time falls evenly to none, above the widest
    /// it grows as between the last two.
    fn layer(&self, name: &str, macs: u64) -> f64 {
        let Some(points) = self.layers.get(name) else { return 0.0 };
        let at = points.partition_point(|p| p.0 < macs);
        let (low, high) = match (at.checked_sub(1).and_then(|i| points.get(i)), points.get(at)) {
            (Some(&low), Some(&high)) => (low, high),
            (None, Some(&high)) => ((0, 0.0), high),
            (Some(&last), None) => {
                (points.len().checked_sub(2).and_then(|i| points.get(i)).copied().unwrap_or((0, 0.0)), last)
            }
            (None, None) => return 0.0,
        };
        let width = high.0.saturating_sub(low.0).max(1) as f64;
        low.1 + (high.1 - low.1) * (macs as f64 - low.0 as f64) / width
    }

    /// Milliseconds of a graph with the classes of `kept` gone.
    ///
    /// # Errors
    /// When what is left is no grid.
    pub fn of(&self, graph: &Graph, kept: &Kept<'_>) -> Result<f64> {
        let values = at_one(graph, kept)?;
        let layers = graph.nodes.iter().filter(|(_, n)| self.layers.contains_key(&n.name));
        Ok(self.rest + layers.map(|(id, n)| self.layer(&n.name, macs_of(graph, &values, id))).sum::<f64>())
    }
}

/// The layers of a graph whose time depends on channels: nodes with weights, each with its multiply-accumulates for one sample.
///
/// # Errors
/// Never for a graph and its own channels.
pub fn layers(graph: &Graph, channels: &Channels) -> Result<Vec<(NodeId, u64)>> {
    let values = at_one(graph, &Kept::new(graph, channels, []))?;
    let weighs = graph.nodes.iter().filter(|(_, n)| ops::lookup(n).is_some_and(|op| op.weights().is_some()));
    Ok(weighs.map(|(id, _)| (id, macs_of(graph, &values, id))).filter(|l| l.1 > 0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_lie_between_those_measured_and_never_fall() {
        let points = vec![(100, 4.0), (50, 3.0), (25, 3.5), (100, 4.5)];
        let mut t = LatencyTable { layers: BTreeMap::from([("a".to_owned(), points)]), ..LatencyTable::default() };
        t.settle().unwrap();
        assert_eq!(t.layers["a"], [(25, 3.5), (50, 3.5), (100, 4.0)]);
        let times: Vec<f64> = (0..=200).map(|m| t.layer("a", m)).collect();
        assert!(times.is_sorted(), "{times:?}");
        assert_eq!((t.layer("a", 75), t.layer("a", 0), t.layer("b", 75)), (3.75, 0.0, 0.0));
        t.rest = f64::NAN;
        assert!(t.settle().is_err());
    }
}
