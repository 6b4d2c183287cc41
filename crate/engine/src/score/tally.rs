//! What is added up over the batches for each criterion and layer, and the scores that come of it.

use super::activations::wanda;
use lopper_core::graph::{Graph, ValueId};
use lopper_core::score::{Criterion, Layer, Measured};
use lopper_core::{Code, Error, Result};
use std::collections::BTreeMap;

/// Sums in float64 of every criterion's terms, filter by filter.
#[derive(Debug)]
pub(super) struct Tally {
    criteria: Vec<Criterion>,
    layers: Vec<Layer>,
    images: usize,
    /// Images of the largest batch: what sums over batches count as one.
    largest: usize,
    /// By criterion and layer.
    sums: BTreeMap<(usize, usize), Result<Vec<f64>>>,
    /// Of BatchNormalizations, by criterion and scale.
    norms: BTreeMap<(usize, ValueId), Vec<f64>>,
}

impl Tally {
    pub(super) fn new(criteria: &[&Criterion], layers: &[Layer]) -> Self {
        Self {
            criteria: criteria.iter().map(|&c| c.clone()).collect(),
            layers: layers.to_vec(),
            images: 0,
            largest: 0,
            sums: BTreeMap::new(),
            norms: BTreeMap::new(),
        }
    }

    /// Images of all batches that were begun.
    pub(super) fn images(&self) -> usize {
        self.images
    }

    /// A batch begins.
    pub(super) fn begin(&mut self, images: usize) {
        self.images += images;
        self.largest = self.largest.max(images);
    }

    /// Adds terms to those of a criterion and a layer; why there are none stays.
    pub(super) fn add(&mut self, criterion: &Criterion, layer: usize, terms: Result<Vec<f64>>) {
        let Some(at) = self.criteria.iter().position(|c| c == criterion) else { return };
        let sums = self.sums.entry((at, layer)).or_insert_with(|| Ok(Vec::new()));
        match (sums.as_mut(), terms) {
            (Ok(sums), Ok(terms)) => {
                sums.resize(terms.len().max(sums.len()), 0.0);
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            (Ok(_), Err(e)) => *sums = Err(e),
            (Err(_), _) => {}
        }
    }

    /// Adds terms to those of a criterion and a BatchNormalization, told by its scale.
    pub(super) fn add_norm(&mut self, criterion: &Criterion, scale: ValueId, terms: Vec<f64>) {
        let Some(at) = self.criteria.iter().position(|c| c == criterion) else { return };
        let sums = self.norms.entry((at, scale)).or_default();
        sums.resize(terms.len().max(sums.len()), 0.0);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }

    /// The scores of every weight; the mean over the layers that share one.
    pub(super) fn close(self, graph: &Graph, measured: &mut Measured) -> Result<()> {
        if self.images == 0 {
            return Err(Error::new(Code::BadData, "there is no image to score by: give some"));
        }
        let mut weights: Vec<ValueId> = self.layers.iter().map(|l| l.weight).collect();
        weights.sort_unstable();
        weights.dedup();
        for (at, criterion) in self.criteria.iter().enumerate() {
            for &weight in &weights {
                let name = &graph.values[weight].name;
                measured.insert(criterion, name, self.scores(graph, weight, at, criterion));
            }
            for ((_, scale), sums) in self.norms.iter().filter(|((own, _), _)| *own == at) {
                let scores = sums.iter().map(|&sum| self.closed(criterion, sum)).collect();
                measured.insert(criterion, &graph.values[*scale].name, Ok(scores));
            }
        }
        Ok(())
    }

    fn scores(&self, graph: &Graph, weight: ValueId, at: usize, criterion: &Criterion) -> Result<Vec<f64>> {
        let value = &graph.values[weight];
        let mut out: Vec<f64> = Vec::new();
        let mut count = 0.0;
        for (k, layer) in self.layers.iter().enumerate().filter(|(_, l)| l.weight == weight) {
            let Some(sums) = self.sums.get(&(at, k)) else { continue };
            let part = match (sums.clone(), criterion, &value.tensor) {
                (Ok(sums), Criterion::WandaStructured, Some(tensor)) => wanda(layer, tensor, &sums, self.images),
                (sums, ..) => sums.map(|sums| sums.into_iter().map(|sum| self.closed(criterion, sum)).collect()),
            };
            let part: Vec<f64> = part.map_err(|e| e.at(format!("{criterion} has no score for {:?}", value.name)))?;
            out.resize(part.len().max(out.len()), 0.0);
            out.iter_mut().zip(part).for_each(|(score, part)| *score += part);
            count += 1.0;
        }
        if count == 0.0 {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "{criterion} has no score for {:?}: what is looked at does not depend on it; lock its group or score by weights",
                    value.name
                ),
            ));
        }
        out.iter_mut().for_each(|score| *score /= count);
        Ok(out)
    }

    /// A score from its sum: sums over batches count batches as large as the largest, all else is a mean over images.
    fn closed(&self, criterion: &Criterion, sum: f64) -> f64 {
        let (images, batch) = (self.images as f64, self.largest as f64);
        match criterion {
            Criterion::ActivationTaylorMean => sum.abs() / (batch * batch),
            Criterion::GbnAbs => sum / batch,
            Criterion::FisherObd => 0.5 * sum / images,
            _ => sum / images,
        }
    }
}
