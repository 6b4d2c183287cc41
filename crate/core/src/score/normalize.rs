//! Normalisers: make scores of different groups comparable.

use serde::{Deserialize, Serialize};

/// How scores of one group are scaled (CRITERIA.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalizer {
    /// As they are.
    None,
    /// Divided by their mean.
    Mean,
}

impl Normalizer {
    /// The scaled scores; a zero divisor leaves them unchanged.
    pub fn apply(self, scores: &mut [f64]) {
        let divisor = match self {
            Normalizer::None => return,
            Normalizer::Mean => scores.iter().sum::<f64>() / scores.len().max(1) as f64,
        };
        if divisor != 0.0 {
            for s in scores {
                *s /= divisor;
            }
        }
    }
}
