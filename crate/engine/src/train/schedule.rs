//! How the learning rate goes over the steps.

use std::f64::consts::PI;

/// Where a one-cycle run begins and ends, as shares of its highest rate (Smith and Topin 2017; PyTorch's defaults).
const CYCLE: (f64, f64) = (1.0 / 25.0, 1.0 / 250_000.0);
/// Where a triangle begins and ends: Gate Decorator goes from 1e-3 to 1e-2 and back.
const FOOT: f64 = 0.1;

/// A factor on the learning rate for every step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// Always 1.
    Constant,
    /// Up in a line over `warmup` steps, then times `factor` after every further `every` steps.
    Step {
        /// Steps until the full rate.
        warmup: usize,
        /// Steps between two changes.
        every: usize,
        /// What is left of the rate at each.
        factor: f64,
    },
    /// Up in a line over `warmup` steps, then down to 0 along half a cosine until step `total`.
    Cosine {
        /// Steps until the full rate.
        warmup: usize,
        /// Steps of the whole run.
        total: usize,
    },
    /// Up along half a cosine from 1/25 over `rise` steps, then down along half a cosine to 4e-6 until step `total`.
    OneCycle {
        /// Steps until the full rate.
        rise: usize,
        /// Steps of the whole run.
        total: usize,
    },
    /// Up in a line from a tenth until step `peak`, down in a line to a tenth until step `total`.
    Triangular {
        /// Steps until the full rate.
        peak: usize,
        /// Steps of the whole run.
        total: usize,
    },
}

impl Schedule {
    /// The factor of a step, the first being 0.
    pub fn factor(&self, step: usize) -> f64 {
        let rising = |warmup: usize| (step + 1) as f64 / warmup as f64;
        match *self {
            Schedule::Constant => 1.0,
            Schedule::Step { warmup, .. } | Schedule::Cosine { warmup, .. } if step < warmup => rising(warmup),
            Schedule::Step { warmup, every, factor } => {
                factor.powi(i32::try_from((step - warmup) / every.max(1)).unwrap_or(i32::MAX))
            }
            Schedule::Cosine { warmup, total } => along_cosine(1.0, 0.0, share(step, warmup, total)),
            Schedule::OneCycle { rise, .. } if step < rise => along_cosine(CYCLE.0, 1.0, share(step, 0, rise)),
            Schedule::OneCycle { rise, total } => along_cosine(1.0, CYCLE.1, share(step, rise, total)),
            Schedule::Triangular { peak, .. } if step < peak => FOOT + (1.0 - FOOT) * share(step, 0, peak),
            Schedule::Triangular { peak, total } => 1.0 - (1.0 - FOOT) * share(step, peak, total),
        }
    }
}

/// How far a step is on the way from one step to another, 1 at most.
fn share(step: usize, from: usize, to: usize) -> f64 {
    (step.saturating_sub(from) as f64 / to.saturating_sub(from).max(1) as f64).min(1.0)
}

fn along_cosine(from: f64, to: f64, share: f64) -> f64 {
    to + (from - to) * 0.5 * (1.0 + (PI * share).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-12, "{got} instead of {want}");
    }

    #[test]
    fn rises_in_a_line_and_falls_along_a_cosine() {
        let s = Schedule::Cosine { warmup: 10, total: 110 };
        assert_eq!(s.factor(0), 0.1);
        assert_eq!(s.factor(9), 1.0);
        assert_eq!(s.factor(10), 1.0);
        near(s.factor(60), 0.5);
        assert!(s.factor(110) < 1e-12 && s.factor(500) < 1e-12);
        assert_eq!(Schedule::Constant.factor(7), 1.0);
        assert_eq!(Schedule::Cosine { warmup: 0, total: 0 }.factor(0), 1.0);
    }

    #[test]
    fn steps_multiply() {
        let s = Schedule::Step { warmup: 2, every: 5, factor: 0.1 };
        [(0, 0.5), (1, 1.0), (2, 1.0), (6, 1.0), (7, 0.1), (11, 0.1), (12, 0.01)]
            .into_iter()
            .for_each(|(step, want)| near(s.factor(step), want));
        near(Schedule::Step { warmup: 0, every: 0, factor: 0.5 }.factor(2), 0.25);
    }

    #[test]
    fn one_cycle_goes_up_and_further_down() {
        let s = Schedule::OneCycle { rise: 30, total: 100 };
        [(0, 0.04), (15, 0.52), (30, 1.0), (65, 0.500_002), (100, 4e-6), (200, 4e-6)]
            .into_iter()
            .for_each(|(step, want)| near(s.factor(step), want));
    }

    #[test]
    fn a_triangle_comes_back_to_its_foot() {
        let s = Schedule::Triangular { peak: 50, total: 100 };
        [(0, 0.1), (25, 0.55), (50, 1.0), (75, 0.55), (100, 0.1), (120, 0.1)]
            .into_iter()
            .for_each(|(step, want)| near(s.factor(step), want));
    }
}
