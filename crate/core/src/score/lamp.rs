//! `lamp`: the squared norm over that of all larger filters; also a normaliser.

use super::rank::ascending;

/// `u_k` over the sum of itself and everything that ranks above it; 0 where that sum is 0.
pub fn lamp(u: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; u.len()];
    // From the large end: a total minus what has passed would cancel.
    let mut tail = 0.0;
    for k in ascending(u).into_iter().rev() {
        let own = u.get(k).copied().unwrap_or(0.0);
        tail += own;
        if let Some(score) = out.get_mut(k).filter(|_| tail != 0.0) {
            *score = own / tail;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_scores_one_and_ties_keep_their_order() {
        assert_eq!(lamp(&[1.0, 3.0, 4.0]), [1.0 / 8.0, 3.0 / 7.0, 1.0]);
        // Of equals the later goes first, so it must score less.
        assert_eq!(lamp(&[2.0, 2.0]), [1.0, 0.5]);
        assert_eq!(lamp(&[0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(lamp(&[]), [0.0; 0]);
    }

    /// With the tail as total minus running sum in float32 the largest of these would not score 1.
    #[test]
    fn the_tail_does_not_cancel() {
        let u: Vec<f64> = (0..1000).map(|i| if i == 500 { 1.0 } else { 1e9 + f64::from(i) }).collect();
        let scores = lamp(&u);
        assert_eq!(scores.iter().copied().fold(0.0, f64::max), 1.0);
        let total: f64 = u.iter().sum();
        assert!((scores[500] * total - 1.0).abs() < 1e-9);
    }
}
