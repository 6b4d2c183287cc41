//! How the learning rate goes over the steps.

use std::f64::consts::PI;

/// A factor on the learning rate for every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// Up in a line over `warmup` steps, then down to 0 along half a cosine until step `total`.
    Cosine {
        /// Steps until the full rate.
        warmup: usize,
        /// Steps of the whole run.
        total: usize,
    },
}

impl Schedule {
    /// The factor of a step, the first being 0.
    pub fn factor(&self, step: usize) -> f64 {
        match *self {
            Schedule::Constant => 1.0,
            Schedule::Cosine { warmup, .. } if step < warmup => (step + 1) as f64 / warmup as f64,
            Schedule::Cosine { warmup, total } => {
                let done = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
                0.5 * (1.0 + (PI * done.min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_in_a_line_and_falls_along_a_cosine() {
        let s = Schedule::Cosine { warmup: 10, total: 110 };
        assert_eq!(s.factor(0), 0.1);
        assert_eq!(s.factor(9), 1.0);
        assert_eq!(s.factor(10), 1.0);
        assert!((s.factor(60) - 0.5).abs() < 1e-12);
        assert!(s.factor(110) < 1e-12 && s.factor(500) < 1e-12);
        assert_eq!(Schedule::Constant.factor(7), 1.0);
        assert_eq!(Schedule::Cosine { warmup: 0, total: 0 }.factor(0), 1.0);
    }
}
