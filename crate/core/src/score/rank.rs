//! The order in which channels go.

/// Indices by ascending score; among equals the higher index first, and -0 equals 0.
pub fn ascending(scores: &[f64]) -> Vec<usize> {
    let mut out: Vec<(f64, usize)> = scores.iter().enumerate().map(|(k, s)| (s + 0.0, k)).collect();
    out.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
    out.into_iter().map(|p| p.1).collect()
}
