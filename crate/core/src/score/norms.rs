//! `l1`, `l2`, `lp` and `linf`: norms of filters.

use super::Positions;
use crate::error::Result;
use crate::onnx::Tensor;

/// The p-norm of every slice; the largest absolute value for an infinite p.
///
/// # Errors
/// When the tensor holds no real numbers.
pub fn norms(p: f64, tensor: &Tensor, at: &Positions) -> Result<Vec<f64>> {
    if p == 1.0 {
        return at.fold(tensor, |v, _| f64::from(v).abs(), |a, b| a + b);
    }
    if p == 2.0 {
        return Ok(squares(tensor, at)?.into_iter().map(f64::sqrt).collect());
    }
    // Without its sign a number's bits grow with it, and those of what is no number are above all.
    let most = at.fold(tensor, |v, _| v.abs().to_bits().cast_signed(), i32::max)?;
    let most: Vec<f64> = most.into_iter().map(|bits| f64::from(f32::from_bits(bits.cast_unsigned()))).collect();
    if p.is_infinite() {
        return Ok(most);
    }
    // Divided by the largest, no power leaves the range of a number.
    let share = |v: f32, k: usize| most.get(k).map_or(0.0, |m| if *m == 0.0 { 0.0 } else { f64::from(v).abs() / m });
    let sums = at.fold(tensor, |v, k| share(v, k).powf(p), |a, b| a + b)?;
    Ok(sums.into_iter().zip(most).map(|(sum, m)| m * sum.powf(p.recip())).collect())
}

/// The sum of squares of every slice.
///
/// # Errors
/// When the tensor holds no real numbers.
pub fn squares(tensor: &Tensor, at: &Positions) -> Result<Vec<f64>> {
    at.fold(tensor, |v, _| f64::from(v) * f64::from(v), |a, b| a + b)
}

/// The p-norm of so many equal numbers.
pub fn of_equal(p: f64, number: f64, count: usize) -> f64 {
    if p.is_infinite() { number.abs() } else { number.abs() * (count as f64).powf(p.recip()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_along_any_axis() {
        let w = Tensor::from_f32("w", vec![2, 3], &[3.0, -4.0, 0.0, 1.0, 2.0, -2.0]);
        let of = |p: f64, axis: usize| norms(p, &w, &Positions::along(axis)).unwrap();
        assert_eq!(of(1.0, 0), [7.0, 5.0]);
        assert_eq!(of(2.0, 0), [5.0, 3.0]);
        assert_eq!(of(1.0, 1), [4.0, 6.0, 2.0]);
        assert_eq!(of(f64::INFINITY, 0), [4.0, 2.0]);
    }

    /// Torch-Pruning leaves the root out; then the norms of a half and of three would be off.
    #[test]
    fn the_root_is_taken() {
        let values: Vec<f32> = (0..40).map(|i| ((i * 37 + 11) % 19) as f32 / 7.0 - 1.2).collect();
        let w = Tensor::from_f32("w", vec![4, 10], &values);
        for p in [0.5, 1.0, 1.5, 2.0, 3.0, 7.0] {
            let plain =
                values.chunks(10).map(|f| f.iter().map(|v| f64::from(*v).abs().powf(p)).sum::<f64>().powf(1.0 / p));
            for (got, want) in norms(p, &w, &Positions::along(0)).unwrap().into_iter().zip(plain) {
                assert!((got / want - 1.0).abs() < 1e-12, "{p}: {got} {want}");
            }
        }
        // A power of a thousand would leave the range of a number in between.
        let tiny = Tensor::from_f32("w", vec![1, 2], &[1e-3, 5e-4]);
        assert!((norms(1000.0, &tiny, &Positions::along(0)).unwrap()[0] / 1e-3 - 1.0).abs() < 1e-6);
        assert!((of_equal(3.0, -2.0, 5) - (5.0f64 * 8.0).powf(1.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_is_not_hidden() {
        let w = Tensor::from_f32("w", vec![2, 2], &[1.0, f32::NAN, f32::NAN, 1.0]);
        for p in [1.0, 2.0, 3.0, f64::INFINITY] {
            assert!(norms(p, &w, &Positions::along(0)).unwrap().iter().all(|s| s.is_nan()), "{p}");
        }
    }
}
