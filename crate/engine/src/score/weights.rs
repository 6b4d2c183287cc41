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
    Ok(of_rows(criterion, rows(product, at)?))
}

/// As [`terms`], of a BatchNormalization: what its scale and its shift come to together, one number a channel. A gate behind it would have
/// the same product (Molchanov et al., 2019).
pub(super) fn norm_terms(
    criterion: &Criterion,
    scale_and_shift: [(&DeviceTensor, &DeviceTensor); 2],
) -> Result<Tensor<1>> {
    let mut columns = Vec::with_capacity(2);
    for (parameter, gradient) in scale_and_shift {
        let product = parameter.clone().float::<1>()? * gradient.clone().float::<1>()?;
        columns.push(product.unsqueeze_dim::<2>(1));
    }
    Ok(of_rows(criterion, Tensor::cat(columns, 1)))
}

fn of_rows(criterion: &Criterion, rows: Tensor<2>) -> Tensor<1> {
    let sums = match criterion {
        Criterion::WeightTaylorAbs => rows.abs().sum_dim(1),
        Criterion::WeightTaylorSigned => rows.sum_dim(1).abs(),
        _ => (rows.clone() * rows).sum_dim(1),
    };
    sums.flatten(0, 1)
}
