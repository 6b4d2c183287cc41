//! Linear least squares in twice the precision: normal equations and their solution by Cholesky's method.

use crate::geometry::Geometry;
use crate::weights::weight_gradient;
use pulp::Arch;

/// Rows whose products are summed in 32 bits before they join a sum of 64.
const ROWS: usize = 4096;
/// Sums are kept in so many parts, which the compiler lays into vectors.
const PARTS: usize = 8;

/// `leftᵀ · right` for two row-major matrices with as many rows: `columns of left` x `columns of right`, row-major.
pub fn products(left: &[f32], right: &[f32], columns: [usize; 2]) -> Vec<f64> {
    let [m, n] = columns;
    let mut sums = vec![0.0; m * n];
    for (left, right) in left.chunks((ROWS * m).max(1)).zip(right.chunks((ROWS * n).max(1))) {
        let geometry = Geometry {
            images: left.len() / m.max(1),
            groups: 1,
            channels: n,
            filters: m,
            input: [1, 1],
            output: [1, 1],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            begin: [0, 0],
        };
        let part = weight_gradient(&geometry, right, left);
        sums.iter_mut().zip(part).for_each(|(sum, p)| *sum += f64::from(p));
    }
    sums
}

/// Solves `a · x = b` for a symmetric positive definite `a` of `n` rows; `b` and the solution are given by columns, each of
/// `n` numbers. Nothing where `a` is not positive definite.
pub fn solve(mut a: Vec<f64>, n: usize, b: &mut [f64]) -> Option<()> {
    for i in 0..n {
        let (above, rest) = a.split_at_mut(i * n);
        let row = rest.get_mut(..n)?;
        for j in 0..i {
            let other = above.get(j * n..j * n + n)?;
            let value = row.get(j)? - dot(row.get(..j)?, other.get(..j)?);
            *row.get_mut(j)? = value / other.get(j)?;
        }
        let left = row.get(..i)?;
        let pivot = row.get(i)? - dot(left, left);
        if pivot.is_nan() || pivot <= 0.0 {
            return None;
        }
        *row.get_mut(i)? = pivot.sqrt();
    }
    for column in b.chunks_exact_mut(n.max(1)) {
        for (i, row) in a.chunks_exact(n).enumerate() {
            let value = column.get(i)? - dot(row.get(..i)?, column.get(..i)?);
            *column.get_mut(i)? = value / row.get(i)?;
        }
        for (i, row) in a.chunks_exact(n).enumerate().rev() {
            let value = column.get(i)? / row.get(i)?;
            *column.get_mut(i)? = value;
            column.iter_mut().zip(row).take(i).for_each(|(c, r)| *c -= value * r);
        }
    }
    Some(())
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    Arch::new().dispatch(|| {
        let ((left, few), (right, rest)) = (left.as_chunks::<PARTS>(), right.as_chunks::<PARTS>());
        let mut parts = [0.0; PARTS];
        for (left, right) in left.iter().zip(right) {
            for ((part, l), r) in parts.iter_mut().zip(left).zip(right) {
                *part += l * r;
            }
        }
        parts.iter().sum::<f64>() + few.iter().zip(rest).map(|(l, r)| l * r).sum::<f64>()
    })
}
