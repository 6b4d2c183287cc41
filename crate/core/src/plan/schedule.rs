//! How a plan in steps gets to its target.

use serde::{Deserialize, Serialize};

/// The way from everything to the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Equal parts.
    #[default]
    Linear,
    /// Much at first, little at the end: the cubic of Zhu and Gupta, To Prune, or Not to Prune, 2017.
    Agp,
    /// The same share of what is left in every step.
    Exponential,
}

impl Schedule {
    /// All schedules with their names.
    pub const ALL: &'static [(&'static str, Schedule)] =
        &[("linear", Schedule::Linear), ("agp", Schedule::Agp), ("exponential", Schedule::Exponential)];

    /// The share that stays after a step, if `stays` is to stay after the last.
    pub(super) fn after(self, step: usize, steps: usize, stays: f64) -> f64 {
        let way = step as f64 / steps.max(1) as f64;
        match self {
            _ if step == steps => stays,
            Schedule::Linear => 1.0 - (1.0 - stays) * way,
            Schedule::Agp => 1.0 - (1.0 - stays) * (1.0 - (1.0 - way).powi(3)),
            Schedule::Exponential => stays.powf(way),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn every_way_ends_at_the_target() {
        for (name, schedule) in Schedule::ALL {
            let stays: Vec<f64> = (1..=4).map(|t| schedule.after(t, 4, 0.0625)).collect();
            assert_eq!(stays[3], 0.0625, "{name}");
            assert!(stays.is_sorted_by(|a, b| a > b), "{name} {stays:?}");
        }
        assert_eq!(Schedule::Linear.after(1, 2, 0.5), 0.75);
        assert_eq!(Schedule::Agp.after(1, 2, 0.5), 1.0 - 0.5 * 0.875);
        assert!((Schedule::Exponential.after(1, 4, 0.0625) - 0.5).abs() < 1e-12);
    }
}
