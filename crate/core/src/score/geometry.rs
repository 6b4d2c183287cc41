//! Filters as points: what `fpgm_l2` sees, in two dimensions.
//!
//! Everything is taken from the distances between filters. The plane is classical multidimensional scaling (Torgerson,
//! Multidimensional Scaling, 1952). The geometric median, from which He et al. (Filter Pruning via Geometric Median, CVPR
//! 2019) have their name, is found by Weiszfeld's steps (1937); it is a mean of the filters with weights, so it has a place
//! in the plane, too.

use super::Rows;
use super::fpgm::squared_distance;
use super::threads::in_parallel;

/// Multiplications that the search for the plane's axes may take, and its fewest and most steps.
const MOST_WORK: usize = 400_000_000;
const STEPS: (usize, usize) = (60, 2000);
/// Steps towards the median.
const MEDIAN_STEPS: usize = 300;
/// What counts as no change.
const STILL: f64 = 1e-12;

/// Squared Euclidean distances of all pairs of some filters.
#[derive(Clone, Debug)]
pub struct Distances {
    count: usize,
    squares: Vec<f64>,
}

/// Filters in the two dimensions in which they differ most.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// One point a filter; their mean is the origin.
    pub points: Vec<[f64; 2]>,
    /// The share of all squared distances that the two dimensions hold, 0 to 1.
    pub share: f64,
}

impl Distances {
    /// Between all filters.
    pub fn new(rows: &Rows) -> Self {
        let all: Vec<&[f32]> = rows.iter().collect();
        // Each pair twice: rows are then independent, and a pair has the same distance both ways.
        let lines = in_parallel(all.len(), |i| -> Vec<f64> {
            let own = all.get(i).copied().unwrap_or_default();
            all.iter().map(|other| squared_distance(own, other)).collect()
        });
        Self { count: all.len(), squares: lines.into_iter().flatten().collect() }
    }

    /// Every filter's sum of distances to the others: its score by `fpgm_l2`.
    pub fn sums(&self) -> Vec<f64> {
        self.lines().map(|line| line.iter().map(|s| s.sqrt()).sum()).collect()
    }

    fn lines(&self) -> impl Iterator<Item = &[f64]> {
        self.squares.chunks(self.count.max(1))
    }

    /// The squares times a vector.
    fn times(&self, vector: &[f64]) -> Vec<f64> {
        self.lines().map(|line| dot(line, vector)).collect()
    }

    /// The filters' places in the plane. Axes point to where the farthest filter on them is.
    pub fn plane(&self) -> Plane {
        let n = self.count.max(1) as f64;
        let spread: f64 = self.squares.iter().sum::<f64>() / (2.0 * n);
        let mut points = vec![[0.0; 2]; self.count];
        let mut axes: Vec<(Vec<f64>, f64)> = Vec::new();
        for at in 0..2 {
            let (axis, value) = self.axis(&axes, at);
            for (point, x) in points.iter_mut().zip(&axis) {
                if let Some(coordinate) = point.get_mut(at) {
                    *coordinate = x * value.max(0.0).sqrt();
                }
            }
            axes.push((axis, value));
        }
        let held: f64 = axes.iter().map(|a| a.1.max(0.0)).sum();
        Plane { points, share: if spread > 0.0 { (held / spread).min(1.0) } else { 1.0 } }
    }

    /// The direction in which the centred filters spread most beside known ones, of length one, and how far they do.
    fn axis(&self, known: &[(Vec<f64>, f64)], at: usize) -> (Vec<f64>, f64) {
        let steps = (MOST_WORK / (self.count * self.count).max(1)).clamp(STEPS.0, STEPS.1);
        // Any start that no symmetry of the filters knows.
        let mut now: Vec<f64> =
            (0..self.count).map(|k| ((k * 37 + at * 11 + 1) as f64 * 0.618).fract() - 0.5).collect();
        let mut value = 0.0;
        for _ in 0..steps {
            settle(&mut now, known);
            let mut next: Vec<f64> = self.times(&now).into_iter().map(|s| -s / 2.0).collect();
            centre(&mut next);
            value = dot(&now, &next);
            settle(&mut next, known);
            let change = now.iter().zip(&next).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            now = next;
            if change < STILL {
                break;
            }
        }
        let farthest = now.iter().copied().fold(0.0, |far: f64, x| if x.abs() > far.abs() { x } else { far });
        if farthest < 0.0 {
            now.iter_mut().for_each(|x| *x = -*x);
        }
        (now, value)
    }

    /// What each filter weighs in the point whose distances to all filters have the least sum; weights add up to 1.
    pub fn median(&self) -> Vec<f64> {
        let mut weights = vec![1.0 / self.count.max(1) as f64; self.count];
        let least = self.squares.iter().copied().fold(0.0, f64::max).sqrt() * 1e-9;
        for _ in 0..MEDIAN_STEPS {
            let squares = self.times(&weights);
            let own = dot(&weights, &squares) / 2.0;
            let mut next: Vec<f64> = squares.iter().map(|s| 1.0 / (s - own).max(0.0).sqrt().max(least)).collect();
            let sum: f64 = next.iter().sum();
            if !sum.is_finite() {
                break;
            }
            next.iter_mut().for_each(|w| *w /= sum);
            let change: f64 = weights.iter().zip(&next).map(|(a, b)| (a - b).abs()).sum();
            weights = next;
            if change < STILL {
                break;
            }
        }
        weights
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn centre(vector: &mut [f64]) {
    let mean = vector.iter().sum::<f64>() / vector.len().max(1) as f64;
    vector.iter_mut().for_each(|x| *x -= mean);
}

/// Makes a vector one of length one across all known axes and across the mean.
fn settle(vector: &mut [f64], known: &[(Vec<f64>, f64)]) {
    centre(vector);
    for (axis, _) in known {
        let along = dot(vector, axis);
        vector.iter_mut().zip(axis).for_each(|(x, a)| *x -= along * a);
    }
    let length = dot(vector, vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fpgm::{Distance, distance_sums};
    use super::*;

    fn rows(count: usize, size: usize) -> Rows {
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0;
        // Filters spread unlike in every direction, so that the axes are sharp.
        let values = (0..count * size).map(|i| value(i) * 3.0 / (1 + i % size) as f32).collect();
        Rows { values, size }
    }

    #[test]
    fn a_flat_set_keeps_its_distances() {
        let (cos, sin) = (0.6, 0.8);
        let flat = [[0.0, 0.0], [3.0, 0.0], [0.0, 1.0], [5.0, 2.0], [1.0, -1.5]];
        let values = flat.iter().flat_map(|[x, y]: &[f32; 2]| [x * cos - y * sin, x * sin + y * cos, 7.0]).collect();
        let distances = Distances::new(&Rows { values, size: 3 });
        let plane = distances.plane();
        assert!((plane.share - 1.0).abs() < 1e-6, "{}", plane.share);
        for (i, a) in flat.iter().enumerate() {
            for (j, b) in flat.iter().enumerate() {
                let want = f64::from((a[0] - b[0]).hypot(a[1] - b[1]));
                let [p, q] = [plane.points[i], plane.points[j]];
                assert!(((p[0] - q[0]).hypot(p[1] - q[1]) - want).abs() < 1e-5);
            }
        }
    }

    /// `numpy.linalg.eigh` of the doubly centred squares, and Weiszfeld's steps among the filters themselves.
    #[test]
    fn plane_and_median_as_numpy_has_them() {
        let rows = rows(12, 9);
        let distances = Distances::new(&rows);
        let plane = distances.plane();
        assert!((plane.share - SHARE).abs() < 1e-6, "{}", plane.share);
        for (got, want) in plane.points.iter().zip(POINTS) {
            assert!((got[0] - want[0]).abs() < 1e-5 && (got[1] - want[1]).abs() < 1e-5, "{got:?} {want:?}");
        }
        let weights = distances.median();
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let median: Vec<f64> =
            (0..9).map(|c| weights.iter().zip(rows.iter()).map(|(w, r)| w * f64::from(r[c])).sum()).collect();
        assert!(median.iter().zip(MEDIAN).all(|(g, w)| (g - w).abs() < 1e-5), "{median:?}");
        let (sums, want) = (distances.sums(), distance_sums(Distance::Euclidean, &rows, |_| true));
        assert!(sums.iter().zip(&want).all(|(g, w)| (g / w - 1.0).abs() < 1e-6));
    }

    #[test]
    fn equal_filters_are_one_point() {
        let distances = Distances::new(&Rows { values: vec![2.0; 12], size: 3 });
        assert_eq!(distances.plane(), Plane { points: vec![[0.0; 2]; 4], share: 1.0 });
        assert!((distances.median().iter().sum::<f64>() - 1.0).abs() < 1e-9);
        let none = Distances::new(&Rows { values: Vec::new(), size: 3 });
        assert!(none.plane().points.is_empty() && none.median().is_empty());
    }

    const SHARE: f64 = 0.8825103139426231;
    const POINTS: [[f64; 2]; 12] = [
        [-2.5274426, -1.020843],
        [1.4886345, 0.0052775],
        [-0.9818497, 1.1639159],
        [2.8248754, -1.0099651],
        [0.9213021, 0.5350576],
        [-1.5051145, 1.3612507],
        [2.3923311, -0.6672088],
        [0.4192791, 0.812157],
        [-2.1109498, -1.1506381],
        [1.9272445, -0.23682],
        [-0.2574538, 1.1936576],
        [-2.5908562, -0.9858411],
    ];
    const MEDIAN: [f64; 9] =
        [-0.2635058, -0.1253212, -0.0981974, -0.1453326, 0.0560157, 0.0853879, -0.003268, -0.0046866, -0.0252416];
}
