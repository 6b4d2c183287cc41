//! `fpgm_l2`, `fpgm_l1`, `fpgm_cosine` and `fpgm_mixed`: how far a filter is from the producer's others.
//!
//! He et al., Filter Pruning via Geometric Median, CVPR 2019. A filter near all others can be made up for by them.
//! Euclidean distances are taken from products of filters, and from differences where filters are so near each other
//! that their products would cancel.

use super::Rows;
use super::rank::ascending;
use super::threads::in_parallel;
use lopper_kernels::{Term, pair_sums};

/// How the distance of two filters is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distance {
    /// Root of the sum of squared differences.
    Euclidean,
    /// Sum of absolute differences.
    Manhattan,
    /// One minus the cosine of the angle; 1 to and from a filter of zeros.
    Cosine,
}

/// Filters that are compared with as many others while both lie in the cache.
const TILE: usize = 16;
/// Squared distances below this share of the two squared lengths are taken from differences: products leave an error of
/// about 3e-7 of the lengths.
const NEAR: f64 = 1.0 / 16.0;

/// For every filter the sum of its distances to the others; filters that are not `present` count as gone and score 0.
pub fn distance_sums(distance: Distance, rows: &Rows, present: impl Fn(usize) -> bool) -> Vec<f64> {
    let all: Vec<(usize, &[f32])> = rows.iter().enumerate().filter(|(k, _)| present(*k)).collect();
    let filters: Vec<&[f32]> = all.iter().map(|(_, row)| *row).collect();
    let squares: Vec<f64> = filters.iter().map(|row| row.iter().map(|&v| f64::from(v) * f64::from(v)).sum()).collect();
    let tiles = all.len().div_ceil(TILE);
    // Each tile of filters adds up by itself, so that the result does not depend on the number of threads.
    let parts = in_parallel(tiles, |tile| tile_sums(distance, &filters, &squares, tile));
    let mut out = vec![0.0; rows.values.len() / rows.size.max(1)];
    for part in parts {
        for ((k, _), sum) in all.iter().zip(part) {
            if let Some(score) = out.get_mut(*k) {
                *score += sum;
            }
        }
    }
    out
}

/// Distances of a tile of filters to themselves and to all later filters, added to both.
fn tile_sums(distance: Distance, filters: &[&[f32]], squares: &[f64], tile: usize) -> Vec<f64> {
    let mut out = vec![0.0; filters.len()];
    let term = match distance {
        Distance::Manhattan => Term::Difference,
        Distance::Euclidean | Distance::Cosine => Term::Product,
    };
    let own = tile * TILE..((tile + 1) * TILE).min(filters.len());
    for start in (own.start..filters.len()).step_by(TILE) {
        let others = start..(start + TILE).min(filters.len());
        let rows = |range: &std::ops::Range<usize>| filters.get(range.clone()).unwrap_or_default();
        let mut sums = pair_sums(term, rows(&own), rows(&others)).into_iter();
        for i in own.clone() {
            for j in others.clone() {
                let sum = sums.next().unwrap_or(0.0);
                if j <= i {
                    continue;
                }
                let square = |k: usize| squares.get(k).copied().unwrap_or(0.0);
                let d = match distance {
                    Distance::Euclidean => euclidean(filters, [i, j], square(i) + square(j), sum),
                    Distance::Manhattan => sum,
                    Distance::Cosine if square(i) == 0.0 || square(j) == 0.0 => 1.0,
                    Distance::Cosine => 1.0 - sum / (square(i) * square(j)).sqrt(),
                };
                for k in [i, j] {
                    if let Some(score) = out.get_mut(k) {
                        *score += d;
                    }
                }
            }
        }
    }
    out
}

/// The distance of two filters whose squared lengths add up to `squares`.
fn euclidean(filters: &[&[f32]], [i, j]: [usize; 2], squares: f64, product: f64) -> f64 {
    let square = squares - 2.0 * product;
    let near = square.is_nan() || square < NEAR * squares;
    let exactly = || Some(squared_distance(filters.get(i)?, filters.get(j)?));
    if near { exactly().unwrap_or(0.0).sqrt() } else { square.sqrt() }
}

/// The sum of squared differences of two filters.
pub(super) fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
    let square = |a: f32, b: f32| (f64::from(a) - f64::from(b)).powi(2);
    let ((xs, x), (ys, y)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (a, b) in xs.iter().zip(ys) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += square(*a, *b);
        }
    }
    lanes.iter().sum::<f64>() + x.iter().zip(y).map(|(a, b)| square(*a, *b)).sum::<f64>()
}

/// The share `rate` of smallest norm scores -n .. -1 in the order of removal; every other filter gets its distances to
/// those that remain. Filters that are not `present` count as gone.
pub fn mixed(rate: f64, norms: &[f64], rows: &Rows, present: impl Fn(usize) -> bool) -> Vec<f64> {
    let left: Vec<usize> = ascending(norms).into_iter().filter(|&k| present(k)).collect();
    // The share of all filters is at times a hair below a whole number.
    let first = (rate * left.len() as f64 + 1e-9).floor() as usize;
    let mut by_norm = vec![None; norms.len()];
    for (place, &k) in left.iter().take(first).enumerate() {
        if let Some(slot) = by_norm.get_mut(k) {
            *slot = Some(place as f64 - first as f64);
        }
    }
    let stays = |k: usize| present(k) && by_norm.get(k).is_some_and(Option::is_none);
    let distances = distance_sums(Distance::Euclidean, rows, stays);
    by_norm.iter().zip(distances).map(|(norm, distance)| norm.unwrap_or(distance)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Positions, norms::norms};
    use super::*;
    use crate::onnx::Tensor;

    fn numbers(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect()
    }

    fn plain(distance: Distance, rows: &Rows) -> Vec<f64> {
        let rows: Vec<&[f32]> = rows.iter().collect();
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let pair = |a: &[f32], b: &[f32]| -> f64 {
            let d = a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b));
            match distance {
                Distance::Euclidean => d.map(|d| d * d).sum::<f64>().sqrt(),
                Distance::Manhattan => d.map(f64::abs).sum(),
                Distance::Cosine => {
                    let product = (dot(a, a) * dot(b, b)).sqrt();
                    if product == 0.0 { 1.0 } else { 1.0 - dot(a, b) / product }
                }
            }
        };
        let of = |i: usize| (0..rows.len()).filter(|j| *j != i).map(|j| pair(rows[i], rows[j])).sum();
        (0..rows.len()).map(of).collect()
    }

    #[test]
    fn distances_as_a_plain_double_loop_takes_them() {
        for (count, size) in [(1, 5), (2, 1), (17, 9), (40, 1200), (33, 513)] {
            let mut values = numbers(count * size);
            values[..size].fill(0.0);
            let rows = Rows { values, size };
            for distance in [Distance::Euclidean, Distance::Manhattan, Distance::Cosine] {
                let (got, want) = (distance_sums(distance, &rows, |_| true), plain(distance, &rows));
                let most = want.iter().copied().fold(1e-9, f64::max);
                for (g, w) in got.iter().zip(&want) {
                    assert!((g - w).abs() < 1e-6 * most, "{distance:?} {count} {size}: {g} {w}");
                }
            }
        }
    }

    /// Products of filters alone would find these two a hundred times farther apart, or none at all.
    #[test]
    fn near_equal_filters_do_not_cancel() {
        let mut values = numbers(2000);
        let copy: Vec<f32> = values[..1000].iter().map(|v| v * (1.0 + f32::EPSILON * 4.0)).collect();
        values[1000..].copy_from_slice(&copy);
        let rows = Rows { values, size: 1000 };
        let (got, want) = (distance_sums(Distance::Euclidean, &rows, |_| true), plain(Distance::Euclidean, &rows));
        assert!(want[0] > 0.0 && (got[0] / want[0] - 1.0).abs() < 1e-5, "{} {}", got[0], want[0]);
    }

    /// In the authors' code every distance is the Euclidean one; absolute weights would lose their signs; and
    /// similarities would rank the most redundant filter highest.
    #[test]
    fn distances_differ_and_keep_signs() {
        let rows = Rows { values: vec![1.0, 0.0, 1.0, 0.1, -1.0, 0.0], size: 2 };
        let of = |d| distance_sums(d, &rows, |_| true);
        let (l2, l1, cosine) = (of(Distance::Euclidean), of(Distance::Manhattan), of(Distance::Cosine));
        assert!((l1[0] - 2.1).abs() < 1e-6 && (l2[0] - 2.1).abs() < 1e-6 && (cosine[0] - 2.005).abs() < 1e-3);
        assert!((l1[1] - 2.2).abs() < 1e-6 && (l2[1] - (0.1 + 4.01f64.sqrt())).abs() < 1e-6);
        for scores in [l2, l1, cosine] {
            assert_eq!(ascending(&scores).last(), Some(&2), "the filter that points elsewhere is the one to keep");
        }
    }

    #[test]
    fn those_that_are_gone_count_for_nothing() {
        let rows = Rows { values: vec![0.0, 3.0, 5.0], size: 1 };
        assert_eq!(distance_sums(Distance::Euclidean, &rows, |k| k != 0), [0.0, 2.0, 2.0]);
        assert_eq!(mixed(0.5, &[0.0, 3.0, 5.0], &rows, |k| k != 0), [0.0, -1.0, 0.0]);
    }

    /// `int(10 * (1 - 0.9))` is 0.
    #[test]
    fn the_share_by_norm_is_not_lost_to_rounding() {
        let w = Tensor::from_f32("w", vec![10, 2], &numbers(20));
        let at = Positions::along(0);
        let (rows, l2) = (at.rows(&w).unwrap(), norms(2.0, &w, &at).unwrap());
        let below = |rate: f64| mixed(rate, &l2, &rows, |_| true).iter().filter(|s| **s < 0.0).count();
        assert_eq!([below(0.0), below(1.0 - 0.9), below(0.3), below(0.95)], [0, 1, 3, 9]);
        let scores = mixed(0.3, &l2, &rows, |_| true);
        let order = ascending(&l2);
        assert_eq!(order[..3].iter().map(|&k| scores[k]).collect::<Vec<_>>(), [-3.0, -2.0, -1.0]);
        let rest: Vec<usize> = order[3..].to_vec();
        let among: f64 = rest.iter().map(|&k| plain_pair(&rows, rest[0], k)).sum();
        assert!((scores[rest[0]] - among).abs() < 1e-6);
    }

    fn plain_pair(rows: &Rows, i: usize, j: usize) -> f64 {
        let row = |k: usize| rows.values[k * rows.size..(k + 1) * rows.size].iter().map(|v| f64::from(*v));
        row(i).zip(row(j)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
    }
}
