//! Scores of one parameter's filters.

use super::fpgm::{Distance, distance_sums, mixed};
use super::lamp::lamp;
use super::norms::{norms, of_equal, squares};
use super::random::random;
use super::{Criterion, Layer, Measured, Needs, Normalizer, Positions, layers};
use crate::error::{Code, Error, Result};
use crate::graph::{Graph, ValueId};
use crate::onnx::Tensor;

/// Scores filters of a graph's parameters.
#[derive(Debug)]
pub struct Scorer<'a> {
    graph: &'a Graph,
    measured: &'a Measured,
    layers: Vec<Layer>,
}

impl<'a> Scorer<'a> {
    /// For a graph, with what was measured of it.
    pub fn new(graph: &'a Graph, measured: &'a Measured) -> Self {
        Self { graph, measured, layers: layers(graph) }
    }

    /// The score of the filter at every position of a parameter; those that are not `present` count as gone.
    ///
    /// # Errors
    /// With [`Code::Unsupported`] when the criterion has no score for this parameter, [`Code::Usage`] when it has to be
    /// measured and was not, [`Code::BadTensor`] when a score is infinite or not a number.
    pub fn filters(
        &self,
        criterion: &Criterion,
        value: ValueId,
        at: &Positions,
        present: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<f64>> {
        let v = &self.graph.values[value];
        let count = |dims: &[usize]| at.count(dims);
        let dims = v.tensor.as_ref().map(|t| t.dims.clone()).or_else(|| self.graph.filled(value).map(|f| f.0));
        let wanted = count(&dims.unwrap_or_default());
        let scores = match (self.measured.get(criterion, &v.name), criterion, &v.tensor, self.graph.filled(value)) {
            (Some(measured), ..) => measured.clone()?,
            _ if criterion.needs() != Needs::Weights => return Err(not_measured(criterion)),
            (_, Criterion::BnScale, ..) => self.bn_scale(value)?,
            (_, Criterion::Random(seed), Some(t), _) => random(*seed, &v.name, count(&t.dims)),
            (_, Criterion::Random(seed), None, Some((dims, _))) => random(*seed, &v.name, count(&dims)),
            (_, _, Some(tensor), _) => of_tensor(criterion, tensor, at, present)?,
            (_, _, None, Some((dims, number))) => of_filled(criterion, &dims, number, at, present),
            _ => return Err(Error::new(Code::BadTensor, format!("weight {:?} has no elements", v.name))),
        };
        if scores.len() != wanted {
            return Err(Error::new(
                Code::Unsupported,
                format!(
                    "{criterion} has no score for {:?}: {} numbers for {wanted} channels; lock the group or choose another",
                    v.name,
                    scores.len()
                ),
            ));
        }
        finite(criterion, &v.name, &scores)?;
        Ok(scores)
    }

    /// The scores of a layer's filters; those of a mixture are normalised by their mean unless `normalizer` is another.
    ///
    /// # Errors
    /// As [`Scorer::filters`].
    pub fn layer(&self, criterion: &Criterion, normalizer: Option<Normalizer>, layer: &Layer) -> Result<Vec<f64>> {
        blended(criterion, normalizer, |c| self.filters(c, layer.weight, &layer.filters, &|_| true))
    }

    /// The absolute scale of the BatchNormalization behind the layers that read a weight; their mean where there are
    /// several.
    fn bn_scale(&self, value: ValueId) -> Result<Vec<f64>> {
        let name = &self.graph.values[value].name;
        let none = || {
            Error::new(
                Code::Unsupported,
                format!(
                    "bn_scale has no score for {name:?}: no BatchNormalization is behind it, or it was folded into the weights; \
                     score by group_norm or l2 instead, or lock the group"
                ),
            )
        };
        let mut sums: Vec<f64> = Vec::new();
        let mut count = 0usize;
        for layer in self.layers.iter().filter(|l| l.weight == value) {
            let scale = layer.norm.and_then(|n| self.graph.nodes[n].input(1)).map(|v| &self.graph.values[v]);
            let scale = scale.and_then(|v| v.tensor.as_ref()).ok_or_else(none)?.to_f32()?;
            sums.resize(scale.len(), 0.0);
            sums.iter_mut().zip(scale).for_each(|(s, g)| *s += f64::from(g).abs());
            count += 1;
        }
        if count == 0 {
            return Err(none());
        }
        sums.iter_mut().for_each(|s| *s /= count as f64);
        Ok(sums)
    }
}

/// The scores of every filter of every convolution's and linear layer's weight, in graph order; an error where the
/// criterion has none for a weight. Those of a mixture are normalised weight by weight, by their mean unless
/// `normalizer` is another.
pub fn weight_scores(
    graph: &Graph,
    criterion: &Criterion,
    normalizer: Option<Normalizer>,
    measured: &Measured,
) -> Vec<(String, Result<Vec<f64>>)> {
    let scorer = Scorer::new(graph, measured);
    let mut out: Vec<(String, Result<Vec<f64>>)> = Vec::new();
    for layer in &scorer.layers {
        let value = &graph.values[layer.weight];
        let stored = value.tensor.as_ref().is_some_and(|t| t.dtype.is_float());
        if stored && !out.iter().any(|(name, _)| *name == value.name) {
            out.push((value.name.clone(), scorer.layer(criterion, normalizer, layer)));
        }
    }
    out
}

fn blended(
    criterion: &Criterion,
    normalizer: Option<Normalizer>,
    of: impl Fn(&Criterion) -> Result<Vec<f64>>,
) -> Result<Vec<f64>> {
    let Criterion::Mix(terms) = criterion else {
        let mut scores = of(criterion)?;
        normalizer.unwrap_or(Normalizer::None).apply(&mut scores);
        return Ok(scores);
    };
    let mut sums: Vec<f64> = Vec::new();
    for (term, weight) in terms {
        let mut scores = of(term)?;
        normalizer.unwrap_or(Normalizer::Mean).apply(&mut scores);
        sums.resize(scores.len(), 0.0);
        sums.iter_mut().zip(scores).for_each(|(sum, s)| *sum += weight * s);
    }
    Ok(sums)
}

/// What to say where a criterion needs more than weights.
pub(super) fn not_measured(criterion: &Criterion) -> Error {
    let what = match criterion.needs() {
        Needs::Labels => "images with their classes",
        _ => "images",
    };
    Error::new(
        Code::Usage,
        format!("the criterion {criterion} needs {what}: give some, or choose one that looks at weights only"),
    )
}

/// Refuses scores that cannot be ordered.
pub(super) fn finite(criterion: &Criterion, name: &str, scores: &[f64]) -> Result<()> {
    match scores.iter().position(|s| !s.is_finite()) {
        Some(k) => Err(Error::new(
            Code::BadTensor,
            format!(
                "{name:?}: the {criterion} score of channel {k} is infinite or not a number, so it cannot be ranked"
            ),
        )),
        None => Ok(()),
    }
}

fn of_tensor(
    criterion: &Criterion,
    tensor: &Tensor,
    at: &Positions,
    present: &dyn Fn(usize) -> bool,
) -> Result<Vec<f64>> {
    let distance = |d: Distance| Ok(distance_sums(d, &at.rows(tensor)?, present));
    match criterion {
        Criterion::L1 => norms(1.0, tensor, at),
        Criterion::Lp(p) => norms(*p, tensor, at),
        Criterion::Linf => norms(f64::INFINITY, tensor, at),
        Criterion::FpgmL2 => distance(Distance::Euclidean),
        Criterion::FpgmL1 => distance(Distance::Manhattan),
        Criterion::FpgmCosine => distance(Distance::Cosine),
        Criterion::FpgmMixed(rate) => Ok(mixed(*rate, &norms(2.0, tensor, at)?, &at.rows(tensor)?, present)),
        Criterion::Lamp => Ok(lamp(&squares(tensor, at)?)),
        Criterion::GroupNorm => squares(tensor, at),
        _ => norms(2.0, tensor, at),
    }
}

/// The scores of filters that are all the same number; they are never made as a whole, since small files can describe
/// large ones.
fn of_filled(
    criterion: &Criterion,
    dims: &[usize],
    number: f64,
    at: &Positions,
    present: &dyn Fn(usize) -> bool,
) -> Vec<f64> {
    let count = at.count(dims);
    let each = dims.iter().product::<usize>() / count.max(1);
    let all = |number: f64| vec![number; count];
    // Between equal filters there is no distance but that of zeros to zeros by angle.
    let others = (0..count).filter(|&k| present(k)).count().saturating_sub(1) as f64;
    let apart = |k: usize| if present(k) && number == 0.0 { others } else { 0.0 };
    match criterion {
        Criterion::L1 => all(of_equal(1.0, number, each)),
        Criterion::Lp(p) => all(of_equal(*p, number, each)),
        Criterion::Linf => all(number.abs()),
        Criterion::FpgmL2 | Criterion::FpgmL1 => all(0.0),
        Criterion::FpgmCosine => (0..count).map(apart).collect(),
        Criterion::FpgmMixed(rate) => {
            let rows = super::Rows { values: vec![number as f32; count], size: 1 };
            mixed(*rate, &all(number.abs()), &rows, present)
        }
        Criterion::Lamp => lamp(&all(number * number * each as f64)),
        Criterion::GroupNorm => all(number * number * each as f64),
        _ => all(of_equal(2.0, number, each)),
    }
}
