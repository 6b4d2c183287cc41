//! Criteria of weights and their gradients: `weight_taylor_abs`, `weight_taylor_signed`, `weight_taylor_sq` and
//! `fisher_obd`.

use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::Tensor;
use lopper_core::Result;
use lopper_core::score::{Criterion, Positions};

/// What one backward pass on a batch gives.
pub(super) const CRITERIA: [Criterion; 3] =
    [Criterion::WeightTaylorAbs, Criterion::WeightTaylorSigned, Criterion::WeightTaylorSq];

/// The slices of a parameter on its device as rows: see [`Positions::rows`].
pub(super) fn rows(t: DeviceTensor, at: &Positions) -> Result<Tensor<2>> {
    let mut dims = t.dims();
    let count = at.count(&dims);
    let size = dims.iter().product::<usize>() / count.max(1);
    let mut first: Vec<usize> = at.axes.clone();
    if let Some(b) = at.blocks {
        if let Some(n) = dims.get_mut(b.axis) {
            *n /= b.count.max(1);
        }
        dims.insert(b.axis, b.count);
        first.iter_mut().filter(|axis| **axis >= b.axis).for_each(|axis| *axis += 1);
        first.insert(0, b.axis);
    }
    let rest = (0..dims.len()).filter(|axis| !first.contains(axis));
    let order: Vec<usize> = first.iter().copied().chain(rest).collect();
    t.reshape(&dims)?.permute(&order)?.reshape(&[count, size])?.float()
}

/// The terms of every filter for a criterion, from the weight and its gradient.
pub(super) fn terms(
    criterion: &Criterion,
    weight: &DeviceTensor,
    gradient: &DeviceTensor,
    at: &Positions,
) -> Result<Tensor<1>> {
    let product: DeviceTensor = by_rank!(weight.rank(), D => {
        Ok((weight.clone().float::<D>()? * gradient.clone().float::<D>()?).into())
    })?;
    let rows = rows(product, at)?;
    let sums = match criterion {
        Criterion::WeightTaylorAbs => rows.abs().sum_dim(1),
        Criterion::WeightTaylorSigned => rows.sum_dim(1).abs(),
        _ => (rows.clone() * rows).sum_dim(1),
    };
    Ok(sums.flatten(0, 1))
}
