//! How far criteria disagree about which filters matter.

use crate::host::{Host, Progress};
use crate::session::Session;
use lopper_core::recipe::ScoreOptions;
use lopper_core::score::{Criterion, Needs, rank_correlation, weight_scores};
use lopper_core::{Code, Error, Result};
use lopper_engine::score::measurable;
use serde::Serialize;

/// Rank correlations of criteria: a row and a column for each, nothing where a pair cannot be compared.
pub type Matrix = Vec<Vec<Option<f64>>>;

/// How far some criteria order filters alike.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The criteria, as they are written.
    pub criteria: Vec<String>,
    /// By weight, in graph order.
    pub layers: Vec<LayerAgreement>,
    /// The mean over the layers, each with the weight of its number of filters.
    pub overall: Matrix,
    /// Why a criterion has no scores anywhere.
    pub left_out: Vec<String>,
}

/// The same of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerAgreement {
    /// The weight.
    pub weight: String,
    /// How many filters it has.
    pub filters: usize,
    /// Spearman's correlations.
    pub matrix: Matrix,
}

/// Scores of filters by weight; nothing where a criterion has none.
type Scores = Vec<(String, Option<Vec<f64>>)>;

impl Session {
    /// Scores the filters of every layer by several criteria and compares their order. Those that look at images see them
    /// as [`Session::score`] does; nothing is kept.
    ///
    /// # Errors
    /// When images are needed and missing, the device fails, or with [`Code::Cancelled`].
    pub async fn agreement(
        &self,
        criteria: &[Criterion],
        images: &ScoreOptions,
        host: &impl Host,
    ) -> Result<Agreement> {
        let control = self.control();
        control.begin();
        let graph = &self.opened()?.graph;
        let mut terms: Vec<&Criterion> = criteria.iter().flat_map(|c| measurable(c, &self.device)).collect();
        terms.retain(|c| c.needs() != Needs::Weights);
        let measured = self.measure(graph, &terms, images, host).await?;
        let (mut all, mut left_out): (Vec<Scores>, Vec<String>) = (Vec::new(), Vec::new());
        for (done, criterion) in criteria.iter().enumerate() {
            host.progress(&Progress::Score { done, total: criteria.len() });
            if !control.pass(host).await {
                return Err(Error::new(Code::Cancelled, "the comparison was cancelled"));
            }
            let scored = weight_scores(graph, criterion, None, &measured);
            let why = scored.iter().find_map(|(_, s)| s.as_ref().err()).map(|e| e.message().to_owned());
            let scores: Scores = scored.into_iter().map(|(name, s)| (name, s.ok())).collect();
            if scores.iter().all(|s| s.1.is_none()) {
                left_out.extend(why);
            }
            all.push(scores);
        }
        let weights = all.first().map_or(0, Vec::len);
        let layers: Vec<LayerAgreement> = (0..weights).filter_map(|layer| of_layer(&all, layer)).collect();
        let overall = mean(&layers, criteria.len());
        let criteria = criteria.iter().map(ToString::to_string).collect();
        Ok(Agreement { criteria, layers, overall, left_out })
    }
}

fn of_layer(all: &[Scores], layer: usize) -> Option<LayerAgreement> {
    let own: Vec<Option<&Vec<f64>>> = all.iter().map(|s| s.get(layer).and_then(|l| l.1.as_ref())).collect();
    let filters = own.iter().flatten().map(|s| s.len()).max()?;
    let pair = |a: &Option<&Vec<f64>>, b: &Option<&Vec<f64>>| rank_correlation((*a)?, (*b)?);
    let matrix = own.iter().map(|a| own.iter().map(|b| pair(a, b)).collect()).collect();
    Some(LayerAgreement { weight: all.first()?.get(layer)?.0.clone(), filters, matrix })
}

fn mean(layers: &[LayerAgreement], count: usize) -> Matrix {
    let cell = |row: usize, column: usize| {
        let known = layers.iter().filter_map(|l| Some((l.filters, (*l.matrix.get(row)?.get(column)?)?)));
        let (sum, filters) = known.fold((0.0, 0), |(sum, all), (n, r)| (sum + n as f64 * r, all + n));
        (filters > 0).then(|| sum / filters as f64)
    };
    (0..count).map(|row| (0..count).map(|column| cell(row, column)).collect()).collect()
}
