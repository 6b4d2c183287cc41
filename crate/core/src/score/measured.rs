//! Scores that were measured elsewhere: on images, or on a device.

use super::Criterion;
use crate::error::Result;
use std::collections::BTreeMap;

/// Scores of filters by criterion and weight, or why a weight has none.
#[derive(Clone, Debug, Default)]
pub struct Measured(BTreeMap<String, BTreeMap<String, Result<Vec<f64>>>>);

impl Measured {
    /// Nothing measured: enough for criteria that look at weights only.
    pub fn none() -> &'static Self {
        const NONE: &Measured = &Measured(BTreeMap::new());
        NONE
    }

    /// Adds the scores of a weight's filters.
    pub fn insert(&mut self, criterion: &Criterion, weight: &str, scores: Result<Vec<f64>>) {
        self.0.entry(criterion.to_string()).or_default().insert(weight.to_owned(), scores);
    }

    /// The scores of a weight's filters, if they were measured.
    pub fn get(&self, criterion: &Criterion, weight: &str) -> Option<&Result<Vec<f64>>> {
        self.0.get(&criterion.to_string())?.get(weight)
    }

    /// Whether a criterion was measured at all.
    pub fn has(&self, criterion: &Criterion) -> bool {
        self.0.contains_key(&criterion.to_string())
    }
}
