//! Every layer fitted anew, so that it makes of what the cut network gives it what the original made (He, Channel Pruning,
//! ICCV 2017): in order, with the inputs that the layers before already changed, and where the output joins another branch,
//! with the error of that branch made up for.

use super::pairs::{Constant, Pair, Side, pairs};
use super::rows::{Layout, chosen};
use super::updated;
use crate::batch::Control;
use crate::device::Device;
use crate::score::Sample;
use crate::value::HostTensor;
use crate::verify::MaskedSlices;
use lopper_core::graph::{NodeId, ValueId};
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_kernels::{products, solve};

/// How layers are refitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refit {
    /// What is added to the diagonal of the normal equations, as a share of its mean.
    pub ridge: f64,
    /// At most so many rows (positions of images) a layer, all groups together; each group gets at least [`ROWS_A_COLUMN`] for
    /// each of its inputs.
    pub rows: usize,
    /// Chooses the rows.
    pub seed: u64,
}

/// Rows that a layer's every input gets at least, as long as the images have them.
pub const ROWS_A_COLUMN: usize = 40;

impl Default for Refit {
    fn default() -> Self {
        Self { ridge: 1e-4, rows: 30_000, seed: 0 }
    }
}

/// Refits the layers of a cut model. `mask` says what of the original's initializers went. All images are kept with what
/// both networks make of them, so their number bounds the memory. `on_layer` is told how many of how many layers are done.
///
/// # Errors
/// When the models do not belong together or cannot be run, a batch does not fit them, the device fails, or with
/// [`Code::Cancelled`].
pub async fn refit(
    [original, cut]: [&Model; 2],
    mask: &[MaskedSlices],
    device: &Device,
    batches: impl IntoIterator<Item = Result<Sample>>,
    settings: &Refit,
    mut on_layer: impl AsyncFnMut(usize, usize) -> Control,
) -> Result<Model> {
    let mut original = Side::new(original, device)?;
    let mut now = Side::new(cut, device)?;
    for batch in batches {
        let batch = batch?;
        original.begin(&batch)?;
        now.begin(&batch)?;
    }
    let pairs = pairs(original.network.graph(), now.network.graph(), mask);
    let mut updates: Vec<(String, HostTensor)> = Vec::new();
    let (total, mut done) = (pairs.len(), 0);
    let nodes: Vec<NodeId> = now.network.step_nodes().collect();
    for (step, node) in nodes.into_iter().enumerate() {
        if let Some(pair) = pairs.get(&node) {
            original.run_through(pair.before.node)?;
            updates.extend(pair.fit(&original, &mut now, settings, done as u64).await?);
            done += 1;
            if on_layer(done, total).await != Control::Continue {
                return Err(Error::new(Code::Cancelled, "refitting was cancelled"));
            }
        }
        now.step(step)?;
    }
    updated(cut, &updates)
}

impl Pair {
    /// New weights and constant, put into the cut network, too.
    async fn fit(
        &self,
        original: &Side,
        now: &mut Side,
        settings: &Refit,
        key: u64,
    ) -> Result<Vec<(String, HostTensor)>> {
        let graph = now.network.graph();
        let Some(weight) = graph.values[self.layer.weight].tensor.clone() else { return Ok(Vec::new()) };
        let Some(groups) = self.rows(original, now, &weight.dims, settings, key).await? else { return Ok(Vec::new()) };
        let constant = !matches!(self.constant, Constant::Nowhere);
        let fits: Option<Vec<Fit>> = groups.into_iter().map(|rows| fit(rows, settings.ridge, constant)).collect();
        let Some(fit) = fits.map(joined) else { return Ok(Vec::new()) };
        let name = |value: ValueId| graph.values[value].name.clone();
        let mut out = vec![(self.layer.weight, HostTensor::f32(weight.dims.clone(), self.laid(&weight.dims, &fit))?)];
        let constants = |values: Vec<f32>| HostTensor::f32(vec![values.len()], values);
        match self.constant {
            Constant::Bias(bias) => out.push((bias, constants(fit.constant)?)),
            Constant::Mean(mean) => {
                let old = now.stored(mean).unwrap_or_default();
                out.push((mean, constants(old.iter().zip(&fit.constant).map(|(m, c)| m - c).collect())?));
            }
            Constant::Nowhere => {}
        }
        let named = out.iter().map(|(value, tensor)| (name(*value), tensor.clone())).collect();
        out.into_iter().for_each(|(value, tensor)| now.replace(value, tensor));
        Ok(named)
    }

    /// Weights by filter and column, laid out as they are stored.
    fn laid(&self, dims: &[usize], fit: &Fit) -> Vec<f32> {
        // Only a matrix can hold the summed axis first.
        if self.layer.filters.axes.first() == Some(&0) {
            return fit.weights.clone();
        }
        let columns = dims.first().copied().unwrap_or(1).max(1);
        let filters = fit.weights.len() / columns;
        let at = |c: usize, f: usize| fit.weights.get(f * columns + c).copied().unwrap_or(0.0);
        (0..columns).flat_map(|c| (0..filters).map(move |f| at(c, f))).collect()
    }

    /// For each group, rows of what the cut network gives the layer, with what the original made there.
    async fn rows(
        &self,
        original: &Side,
        now: &Side,
        weight: &[usize],
        settings: &Refit,
        key: u64,
    ) -> Result<Option<Vec<Rows>>> {
        let node = &now.network.graph().nodes[self.layer.node];
        let Some(made) = original.network.graph().nodes[self.before.node].output(0) else { return Ok(None) };
        let scale = self.scale(now);
        let mut groups: Vec<Rows> = Vec::new();
        for batch in 0..now.runs.len() {
            let (x, y) = (now.read(batch, self.layer.input.0).await?, original.read(batch, made).await?);
            let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
            let Some(layout) = Layout::of(node, &x.dims, weight)? else { return Ok(None) };
            let each = self.filters.len() / layout.groups().max(1);
            groups.resize_with(layout.groups(), || Rows::new(layout.columns(), each));
            let others = match self.other {
                Some([here, there]) => now.read(batch, here).await?.zip(original.read(batch, there).await?),
                None => None,
            };
            let others = others.filter(|(_, there)| there.dims == y.dims);
            let (xs, ys) = (x.as_f32().unwrap_or_default(), y.as_f32().unwrap_or_default());
            let all = ys.len() / self.filters_before(&y.dims).max(1);
            let most = (settings.rows / layout.groups().max(1)).max(ROWS_A_COLUMN * layout.columns());
            let wanted = most.div_ceil(now.runs.len());
            for row in chosen(layout.count(xs.len()).min(all), wanted, &[settings.seed, key, batch as u64]) {
                for (group, rows) in groups.iter_mut().enumerate() {
                    layout.row(xs, group, row, &mut rows.x);
                }
                for (now, (&before, scale)) in self.filters.iter().zip(&scale).enumerate() {
                    let mut value = layout.output(ys, self.filters_before(&y.dims), row, before);
                    if let Some((here, there)) = &others {
                        let (here, there) = (here.as_f32().unwrap_or_default(), there.as_f32().unwrap_or_default());
                        let lost = layout.output(there, self.filters_before(&y.dims), row, before)
                            - layout.output(here, self.filters.len(), row, now);
                        value += lost * scale;
                    }
                    if let Some(rows) = groups.get_mut(now / each.max(1)) {
                        rows.y.push(value);
                    }
                }
            }
        }
        Ok(Some(groups))
    }

    fn filters_before(&self, made: &[usize]) -> usize {
        made.get(self.before.output.1).copied().unwrap_or(1)
    }

    /// For each filter, what one unit behind the normalisation is before it; 0 where it lets nothing through.
    fn scale(&self, now: &Side) -> Vec<f32> {
        let graph = now.network.graph();
        let Some(norm) = self.layer.norm.map(|n| &graph.nodes[n]) else { return vec![1.0; self.filters.len()] };
        let numbers = |i: usize| norm.input(i).and_then(|v| now.stored(v)).unwrap_or_default();
        let epsilon = norm.float("epsilon").unwrap_or(1e-5);
        let inverse = |(gamma, variance): (f32, f32)| {
            let deviation = (variance + epsilon).sqrt();
            if gamma.abs() > 1e-3 * deviation { deviation / gamma } else { 0.0 }
        };
        numbers(1).into_iter().zip(numbers(4)).map(inverse).collect()
    }
}

/// Inputs and wanted outputs, row-major.
struct Rows {
    x: Vec<f32>,
    y: Vec<f32>,
    columns: usize,
    filters: usize,
}

impl Rows {
    fn new(columns: usize, filters: usize) -> Self {
        Self { x: Vec::new(), y: Vec::new(), columns, filters }
    }
}

/// The fits of all groups as one: a group's filters follow those of the group before.
fn joined(fits: Vec<Fit>) -> Fit {
    let mut all = Fit { weights: Vec::new(), constant: Vec::new() };
    for fit in fits {
        all.weights.extend(fit.weights);
        all.constant.extend(fit.constant);
    }
    all
}

/// Weights by filter and column, and a constant a filter.
struct Fit {
    weights: Vec<f32>,
    constant: Vec<f32>,
}

/// The weights of least squared error, with a constant or without; nothing where the inputs do not decide them.
fn fit(mut rows: Rows, ridge: f64, constant: bool) -> Option<Fit> {
    let (k, m) = (rows.columns, rows.filters);
    let (mean_x, mean_y) =
        if constant { (centre(&mut rows.x, k), centre(&mut rows.y, m)) } else { (vec![0.0; k], vec![0.0; m]) };
    let mut gram = products(&rows.x, &rows.x, [k, k]);
    let mut solution = products(&rows.y, &rows.x, [m, k]);
    let trace: f64 = gram.iter().step_by(k + 1).sum();
    gram.iter_mut().step_by(k + 1).for_each(|d| *d += ridge * trace / k as f64);
    solve(gram, k, &mut solution)?;
    let dot = |w: &[f64]| w.iter().zip(&mean_x).map(|(w, x)| w * x).sum::<f64>();
    let constant = solution.chunks_exact(k.max(1)).zip(&mean_y).map(|(w, y)| (y - dot(w)) as f32).collect();
    Some(Fit { weights: solution.into_iter().map(|w| w as f32).collect(), constant })
}

/// Takes the mean off every column and returns it.
fn centre(rows: &mut [f32], columns: usize) -> Vec<f64> {
    let mut mean = vec![0.0; columns];
    let count = (rows.len() / columns.max(1)).max(1) as f64;
    for row in rows.chunks_exact(columns.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / count);
    }
    for row in rows.chunks_exact_mut(columns.max(1)) {
        row.iter_mut().zip(&mean).for_each(|(v, m)| *v -= *m as f32);
    }
    mean
}

#[cfg(test)]
mod tests {
    use super::{Rows, fit};
    use crate::data::random::SplitMix64;

    /// Squared error of weights with a constant, by the definition.
    fn error(x: &[f32], y: &[f32], weights: &[f32], constant: f32) -> f64 {
        let made =
            |row: &[f32]| row.iter().zip(weights).map(|(x, w)| f64::from(x * w)).sum::<f64>() + f64::from(constant);
        x.chunks(weights.len()).zip(y).map(|(row, y)| (made(row) - f64::from(*y)).powi(2)).sum()
    }

    #[test]
    fn no_other_weights_have_a_smaller_error() {
        let mut random = SplitMix64::new(3);
        let mut numbers = |n: usize| (0..n).map(|_| random.range(-1.0, 1.0)).collect::<Vec<f32>>();
        let (rows, k) = (300, 7);
        let (x, noise, kept) = (numbers(rows * k), numbers(rows), numbers(k));
        let y: Vec<f32> = x.chunks(k).zip(&noise).map(|(r, n)| r.iter().sum::<f32>() + n + 0.4).collect();
        for constant in [false, true] {
            let best = fit(Rows { x: x.clone(), y: y.clone(), columns: k, filters: 1 }, 0.0, constant).unwrap();
            let least = error(&x, &y, &best.weights, best.constant[0]);
            assert!(least <= error(&x, &y, &kept, 0.0), "the weights that are there are worse");
            for i in 0..k {
                for by in [-1e-2, 1e-2] {
                    let mut other = best.weights.clone();
                    other[i] += by;
                    assert!(least < error(&x, &y, &other, best.constant[0]));
                }
            }
            assert_eq!(constant, best.constant[0] != 0.0);
        }
    }
}
