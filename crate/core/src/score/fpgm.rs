//! `fpgm_l2`, `fpgm_l1`, `fpgm_cosine` and `fpgm_mixed`: how far a filter is from the producer's others.
//!
//! He et al., Filter Pruning via Geometric Median, CVPR 2019. A filter near all others can be made up for by them.
//! Distances are taken from differences, element by element: from products of filters, those of near-equal filters
//! would cancel.

use super::Rows;
use super::rank::ascending;
use super::threads::in_parallel;
use std::ops::Range;

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
/// Elements of each that are summed in float32 before they go into float64.
const PIECE: usize = 512;
/// Sums side by side.
const LANES: usize = 16;

/// For every filter the sum of its distances to the others; filters that are not `present` count as gone and score 0.
pub fn distance_sums(distance: Distance, rows: &Rows, present: impl Fn(usize) -> bool) -> Vec<f64> {
    let all: Vec<(usize, &[f32])> = rows.iter().enumerate().filter(|(k, _)| present(*k)).collect();
    let norms: Vec<f64> = match distance {
        Distance::Cosine => all.iter().map(|(_, row)| sum_of(row, row, |a, b| a * b).sqrt()).collect(),
        _ => vec![0.0; all.len()],
    };
    let tiles = all.len().div_ceil(TILE);
    // Each tile of filters adds up by itself, so that the result does not depend on the number of threads.
    let parts = in_parallel(tiles, |tile| tile_sums(distance, &all, &norms, tile));
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
fn tile_sums(distance: Distance, all: &[(usize, &[f32])], norms: &[f64], tile: usize) -> Vec<f64> {
    let mut out = vec![0.0; all.len()];
    let own = tile * TILE..((tile + 1) * TILE).min(all.len());
    for start in (own.start..all.len()).step_by(TILE) {
        let others = start..(start + TILE).min(all.len());
        let sums =
            pair_sums(distance, all.get(own.clone()).unwrap_or_default(), all.get(others.clone()).unwrap_or_default());
        let mut sums = sums.into_iter();
        for i in own.clone() {
            for j in others.clone() {
                let sum = sums.next().unwrap_or(0.0);
                if j <= i {
                    continue;
                }
                let norm = |k: usize| norms.get(k).copied().unwrap_or(0.0);
                let d = match distance {
                    Distance::Euclidean => sum.sqrt(),
                    Distance::Manhattan => sum,
                    Distance::Cosine if norm(i) == 0.0 || norm(j) == 0.0 => 1.0,
                    Distance::Cosine => 1.0 - sum / (norm(i) * norm(j)),
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

/// What the distances of all pairs of two tiles are made from, row-major, piece after piece.
fn pair_sums(distance: Distance, own: &[(usize, &[f32])], others: &[(usize, &[f32])]) -> Vec<f64> {
    let size = own.first().map_or(0, |r| r.1.len());
    let mut sums = vec![0.0; own.len() * others.len()];
    for start in (0..size).step_by(PIECE) {
        let range: Range<usize> = start..(start + PIECE).min(size);
        let piece = |row: &(usize, &'_ [f32])| -> Range<usize> {
            range.clone().start.min(row.1.len())..range.end.min(row.1.len())
        };
        for (a, line) in own.iter().zip(sums.chunks_mut(others.len().max(1))) {
            let x = a.1.get(piece(a)).unwrap_or_default();
            for (b, sum) in others.iter().zip(line) {
                let y = b.1.get(piece(b)).unwrap_or_default();
                *sum += match distance {
                    Distance::Euclidean => add(x, y, |a, b| (a - b) * (a - b)),
                    Distance::Manhattan => add(x, y, |a, b| (a - b).abs()),
                    Distance::Cosine => add(x, y, |a, b| a * b),
                };
            }
        }
    }
    sums
}

/// The sum of a term over two whole filters.
fn sum_of(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32 + Copy) -> f64 {
    x.chunks(PIECE).zip(y.chunks(PIECE)).map(|(x, y)| add(x, y, term)).sum()
}

/// The sum of squared differences of two filters.
pub(super) fn squared_distance(x: &[f32], y: &[f32]) -> f64 {
    sum_of(x, y, |a, b| (a - b) * (a - b))
}

/// The sum of a term over a piece of two filters.
#[inline]
fn add(x: &[f32], y: &[f32], term: impl Fn(f32, f32) -> f32) -> f64 {
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| term(*a, *b)).sum();
    let mut lanes = [0.0f32; LANES];
    for (a, b) in xs.zip(ys) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(*a, *b);
        }
    }
    lanes.iter().map(|&l| f64::from(l)).sum::<f64>() + f64::from(rest)
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

    /// Products of filters in float32 would find these two a hundred times farther apart, or none at all.
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
