//! `hrank`: the rank of activation maps (Lin et al., HRank, CVPR 2020).

/// The number of singular values above `largest * max(height, width) * 2^-23` of a map, row-major.
///
/// They are the roots of the eigenvalues of the smaller product of the map with itself, in float64, which is far finer
/// than the bound.
pub(super) fn rank(map: &[f32], width: usize) -> usize {
    let height = map.len() / width.max(1);
    let gram = gram(map, height, width);
    let side = height.min(width);
    let (diagonal, beside) = tridiagonal(gram, side);
    let largest = largest(&diagonal, &beside);
    if largest <= 0.0 {
        return 0;
    }
    let bound = height.max(width) as f64 * 2f64.powi(-23);
    above(&diagonal, &beside, largest * bound * bound)
}

/// Ranks of maps of each image and channel, added up over the images.
pub(super) fn ranks(values: &[f32], (images, channels, width): (usize, usize, usize)) -> Vec<f64> {
    let size = values.len() / (images * channels).max(1);
    let mut out = vec![0.0; channels];
    for image in values.chunks((size * channels).max(1)) {
        for (sum, map) in out.iter_mut().zip(image.chunks(size.max(1))) {
            *sum += rank(map, width) as f64;
        }
    }
    out
}

/// The smaller product of a map with its transpose, scaled so that its largest element is 1.
fn gram(map: &[f32], height: usize, width: usize) -> Vec<f64> {
    let most = map.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    if most == 0.0 {
        let side = height.min(width);
        return vec![0.0; side * side];
    }
    let scaled: Vec<f64> = map.iter().map(|&v| f64::from(v) / f64::from(most)).collect();
    // Lines along the longer side, whose products are wanted.
    let lines: Vec<f64> = if height <= width {
        scaled
    } else {
        (0..width).flat_map(|x| scaled.iter().copied().skip(x).step_by(width)).collect()
    };
    let long = height.max(width).max(1);
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    lines.chunks(long).flat_map(|a| lines.chunks(long).map(move |b| product(a, b)).collect::<Vec<_>>()).collect()
}

/// Diagonal and off-diagonal of a tridiagonal matrix with the same eigenvalues, by Householder's reflections.
fn tridiagonal(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let at = |a: &[f64], i: usize, j: usize| a.get(i * n + j).copied().unwrap_or(0.0);
    let mut beside = Vec::with_capacity(n);
    for k in 0..n.saturating_sub(2) {
        let mut v: Vec<f64> = (k + 1..n).map(|i| at(&a, i, k)).collect();
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let Some(first) = v.first_mut().filter(|_| norm > 0.0) else {
            beside.push(0.0);
            continue;
        };
        let alpha = if *first > 0.0 { -norm } else { norm };
        *first -= alpha;
        beside.push(alpha);
        let length: f64 = v.iter().map(|x| x * x).sum();
        // The rest becomes H A H with H = 1 - 2 v v' / v'v.
        let p: Vec<f64> = (k + 1..n)
            .map(|i| v.iter().enumerate().map(|(j, x)| at(&a, i, k + 1 + j) * x).sum::<f64>() * 2.0 / length)
            .collect();
        let mean = p.iter().zip(&v).map(|(p, v)| p * v).sum::<f64>() / length;
        let q: Vec<f64> = p.iter().zip(&v).map(|(p, v)| p - mean * v).collect();
        for ((row, vi), qi) in a.chunks_mut(n).skip(k + 1).zip(&v).zip(&q) {
            for ((x, vj), qj) in row.iter_mut().skip(k + 1).zip(&v).zip(&q) {
                *x -= vi * qj + qi * vj;
            }
        }
    }
    if n >= 2 {
        beside.push(at(&a, n - 1, n - 2));
    }
    ((0..n).map(|i| at(&a, i, i)).collect(), beside)
}

/// Eigenvalues above a number, counted by Sturm's sequence.
fn above(diagonal: &[f64], beside: &[f64], x: f64) -> usize {
    let mut pivot = 1.0;
    let mut count = 0;
    let before = std::iter::once(0.0).chain(beside.iter().copied());
    for (d, e) in diagonal.iter().zip(before) {
        pivot = d - x - if e == 0.0 { 0.0 } else { e * e / pivot };
        if pivot == 0.0 {
            pivot = -f64::MIN_POSITIVE;
        }
        count += usize::from(pivot > 0.0);
    }
    count
}

/// The largest eigenvalue, by bisection below Gershgorin's bound.
fn largest(diagonal: &[f64], beside: &[f64]) -> f64 {
    let left = std::iter::once(0.0).chain(beside.iter().copied());
    let right = beside.iter().copied().chain(std::iter::once(0.0));
    let bounds = diagonal.iter().zip(left.zip(right)).map(|(d, (l, r))| d + l.abs() + r.abs());
    let mut high = bounds.fold(0.0, f64::max);
    let mut low = 0.0;
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if above(diagonal, beside, middle) > 0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares, since equal steps would themselves be of rank two.
    fn numbers(count: usize, seed: usize) -> Vec<f64> {
        (0..count).map(|i| ((i + 31 * seed + 7).pow(2) * 7919 % 10_007) as f64 / 5003.5 - 1.0).collect()
    }

    /// A map of known rank, as a sum of products of columns and rows.
    fn map(height: usize, width: usize, rank: usize) -> Vec<f32> {
        let (left, right) = (numbers(height * rank, 1), numbers(rank * width, 2));
        let cell = |i: usize, j: usize| (0..rank).map(|k| left[i * rank + k] * right[k * width + j]).sum::<f64>();
        (0..height * width).map(|at| cell(at / width, at % width) as f32).collect()
    }

    #[test]
    fn ranks_of_maps_made_to_have_them() {
        for (height, width) in [(8, 8), (5, 9), (9, 5), (32, 32)] {
            for rank_wanted in [1, 2, 4, 5] {
                let m = map(height, width, rank_wanted);
                // Rounding to float32 adds singular values of about its precision, below the bound of the rank.
                assert_eq!(rank(&m, width), rank_wanted, "{height} {width}");
            }
        }
        assert_eq!(rank(&[0.0; 12], 4), 0);
        assert_eq!(rank(&[0.0, 0.0, 3e-30, 0.0], 2), 1);
        assert_eq!((rank(&[1.0, 0.0, 0.0, 1.0], 2), rank(&[1.0, 2.0, 2.0, 4.0], 2), rank(&[5.0], 1)), (2, 1, 1));
        let identity: Vec<f32> = (0..49).map(|i| if i % 8 == 0 { 1.0 } else { 0.0 }).collect();
        assert_eq!(rank(&identity, 7), 7);
    }

    /// The bound is `max(height, width) * 2^-23` of the largest: 4.8e-7 for two by four.
    #[test]
    fn the_bound_is_the_one_of_float32() {
        let with = |small: f32| rank(&[1.0, 0.0, 0.0, 0.0, 0.0, small, 0.0, 0.0], 4);
        assert_eq!((with(5.5e-7), with(4.0e-7)), (2, 1));
    }

    #[test]
    fn without_space_a_map_is_there_or_not() {
        assert_eq!(ranks(&[1.0, 0.0, 2.0, 0.0, 3.0, 4.0], (3, 2, 1)), [3.0, 1.0]);
    }
}
