//! Criteria that need weights only: norms of filters.

use crate::error::{Code, Error, Result};
use crate::onnx::{DataType, Tensor};
use serde::{Deserialize, Serialize};

/// A criterion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criterion {
    /// Sum of absolute values (Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017).
    L1,
    /// Euclidean norm (He et al., Soft Filter Pruning, IJCAI 2018).
    L2,
}

impl Criterion {
    /// All criteria with their names.
    pub const ALL: &'static [(&'static str, Criterion)] = &[("l1", Criterion::L1), ("l2", Criterion::L2)];

    /// From its name.
    ///
    /// # Errors
    /// When there is no such criterion.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|c| c.0 == name).map(|c| c.1).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|c| c.0).collect();
            Error::new(Code::Usage, format!("there is no criterion {name:?}: choose one of {}", names.join(", ")))
        })
    }

    /// The score of a filter of so many elements, all the same number.
    pub(crate) fn of_equal(self, number: f64, count: usize) -> f64 {
        match self {
            Criterion::L1 => number.abs() * count as f64,
            Criterion::L2 => number.abs() * (count as f64).sqrt(),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|c| c.1 == self).map_or("", |c| c.0)
    }
}

/// One number for each position along `axis` of a weight, over all other axes, summed in float64 in a fixed order.
///
/// # Errors
/// When the tensor holds no real numbers, or a score is infinite or not a number.
pub fn scores_of(criterion: Criterion, weight: &Tensor, axis: usize) -> Result<Vec<f64>> {
    let n = weight.dims.get(axis).copied().unwrap_or(1);
    let inner: usize = weight.dims.iter().skip(axis + 1).product::<usize>().max(1);
    let mut sums = vec![0.0f64; n];
    let bytes = &if weight.dtype == DataType::Float {
        weight.bytes()?
    } else {
        weight.to_f32()?.into_iter().flat_map(f32::to_le_bytes).collect()
    };
    match criterion {
        Criterion::L1 => add_terms(&mut sums, bytes, inner, |v| f64::from(v).abs()),
        Criterion::L2 => {
            add_terms(&mut sums, bytes, inner, |v| f64::from(v) * f64::from(v));
            for s in &mut sums {
                *s = s.sqrt();
            }
        }
    }
    if let Some(k) = sums.iter().position(|s| !s.is_finite()) {
        return Err(Error::new(
            Code::BadTensor,
            format!("weight {:?}: filter {k} holds infinite numbers or NaN, so it has no score", weight.name),
        ));
    }
    Ok(sums)
}

/// Numbers that are added side by side, so that the sum does not wait for itself.
const LANES: usize = 8;

fn float(b: &[u8]) -> f32 {
    <[u8; 4]>::try_from(b).map_or(0.0, f32::from_le_bytes)
}

/// Adds `term` of every element to the sum of its position; `inner` elements of one position lie together.
fn add_terms(sums: &mut [f64], bytes: &[u8], inner: usize, term: impl Fn(f32) -> f64) {
    for outer in bytes.chunks_exact((sums.len() * inner * 4).max(4)) {
        if inner == 1 {
            for (sum, b) in sums.iter_mut().zip(outer.chunks_exact(4)) {
                *sum += term(float(b));
            }
            continue;
        }
        for (sum, filter) in sums.iter_mut().zip(outer.chunks_exact(inner * 4)) {
            let mut lanes = [0.0f64; LANES];
            let blocks = filter.chunks_exact(4 * LANES);
            let rest: f64 = blocks.remainder().chunks_exact(4).map(|b| term(float(b))).sum();
            for block in blocks {
                for (lane, b) in lanes.iter_mut().zip(block.chunks_exact(4)) {
                    *lane += term(float(b));
                }
            }
            *sum += lanes.iter().sum::<f64>() + rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_along_any_axis() {
        let w = Tensor::from_f32("w", vec![2, 3], &[3.0, -4.0, 0.0, 1.0, 2.0, -2.0]);
        assert_eq!(scores_of(Criterion::L1, &w, 0).unwrap(), [7.0, 5.0]);
        assert_eq!(scores_of(Criterion::L2, &w, 0).unwrap(), [5.0, 3.0]);
        assert_eq!(scores_of(Criterion::L1, &w, 1).unwrap(), [4.0, 6.0, 2.0]);
        let bad = Tensor::from_f32("w", vec![2], &[1.0, f32::NAN]);
        assert!(scores_of(Criterion::L1, &bad, 0).is_err());
    }
}
