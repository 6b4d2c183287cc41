//! How far two criteria order filters alike.

/// Spearman's rank correlation of two lists of scores: Pearson's correlation of their ranks, equal scores sharing the mean
/// of theirs (Spearman, The Proof and Measurement of Association between Two Things, 1904). From -1 to 1; none where there
/// are fewer than two scores, lists differ in length, or one holds a single number only.
pub fn rank_correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() != b.len() || a.len() < 2 {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    // The mean of all ranks, shared or not.
    let mean = (a.len() - 1) as f64 / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let norm = (product(&a, &a) * product(&b, &b)).sqrt();
    (norm > 0.0).then(|| (product(&a, &b) / norm).clamp(-1.0, 1.0))
}

/// The rank of each score, from 0.
fn ranks(scores: &[f64]) -> Vec<f64> {
    // -0 equals 0.
    let mut order: Vec<(f64, usize)> = scores.iter().enumerate().map(|(k, s)| (s + 0.0, k)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut out = vec![0.0; scores.len()];
    let mut from = 0;
    for same in order.chunk_by(|a, b| a.0 == b.0) {
        let shared = from as f64 + (same.len() - 1) as f64 / 2.0;
        for slot in same {
            if let Some(rank) = out.get_mut(slot.1) {
                *rank = shared;
            }
        }
        from += same.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.corrcoef` of the ranks.
    #[test]
    fn correlations_as_numpy_has_them() {
        let a = [0.3, 1.5, -2.0, 4.0, 0.3, 7.5, 1.5, 1.5];
        let b = [1.0, 2.0, 3.0, 2.5, -1.0, 9.0, 2.0, 0.5];
        assert!((rank_correlation(&a, &b).unwrap() - WANT).abs() < 1e-12);
        let up = [1.0, 2.0, 30.0];
        assert_eq!(rank_correlation(&up, &[0.1, 0.2, 0.21]), Some(1.0));
        assert_eq!(rank_correlation(&up, &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(rank_correlation(&[0.0, -0.0], &[1.0, 2.0]), None);
        assert_eq!(rank_correlation(&[1.0], &[1.0]), None);
        assert_eq!(rank_correlation(&up, &[1.0]), None);
    }

    const WANT: f64 = 0.395182210779197;
}
