//! Normalisers: make scores of different groups comparable.

use super::lamp::lamp;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// Keeps the divisor of `std` and `gaussian` from being zero.
const EPSILON: f64 = 1e-8;

/// How scores of one group are scaled (CRITERIA.md, section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normalizer {
    /// As they are.
    None,
    /// Divided by their sum.
    Sum,
    /// Divided by their mean.
    Mean,
    /// Divided by the largest.
    Max,
    /// From 0 for the smallest to 1 for the largest.
    Std,
    /// Mean 0 and standard deviation 1.
    Gaussian,
    /// Divided by the sum of all that are at least as large (Lee et al., LAMP, ICLR 2021).
    Lamp,
    /// Absolute values divided by their Euclidean norm (Molchanov et al., ICLR 2017).
    L2,
}

impl Normalizer {
    /// All normalisers with their names.
    pub const ALL: &'static [(&'static str, Normalizer)] = &[
        ("none", Normalizer::None),
        ("sum", Normalizer::Sum),
        ("mean", Normalizer::Mean),
        ("max", Normalizer::Max),
        ("std", Normalizer::Std),
        ("gaussian", Normalizer::Gaussian),
        ("lamp", Normalizer::Lamp),
        ("l2", Normalizer::L2),
    ];

    /// From its name.
    ///
    /// # Errors
    /// When there is no such normaliser.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL.iter().find(|c| c.0 == name).map(|c| c.1).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|c| c.0).collect();
            Error::new(Code::Usage, format!("there is no normaliser {name:?}: choose one of {}", names.join(", ")))
        })
    }

    /// Scales scores; a zero divisor leaves them unchanged.
    pub fn apply(self, scores: &mut [f64]) {
        let count = scores.len() as f64;
        let sum = |x: &[f64]| x.iter().sum::<f64>();
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self {
            Normalizer::None => {}
            Normalizer::Sum => divide(scores, sum(scores)),
            Normalizer::Mean => divide(scores, sum(scores) / count.max(1.0)),
            Normalizer::Max => divide(scores, most),
            Normalizer::Std => {
                let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
                scores.iter_mut().for_each(|s| *s = (*s - least) / (most - least + EPSILON));
            }
            Normalizer::Gaussian => {
                let mean = sum(scores) / count.max(1.0);
                let squares: f64 = scores.iter().map(|s| (s - mean) * (s - mean)).sum();
                let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
                scores.iter_mut().for_each(|s| *s = (*s - mean) / (deviation + EPSILON));
            }
            Normalizer::Lamp => {
                let scaled = lamp(scores);
                scores.iter_mut().zip(scaled).for_each(|(s, new)| *s = new);
            }
            Normalizer::L2 => {
                let norm = scores.iter().map(|s| s * s).sum::<f64>().sqrt();
                if norm != 0.0 {
                    scores.iter_mut().for_each(|s| *s = s.abs() / norm);
                }
            }
        }
    }
}

fn divide(scores: &mut [f64], divisor: f64) {
    if divisor != 0.0 {
        scores.iter_mut().for_each(|s| *s /= divisor);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_divisor_changes_nothing() {
        for (name, n) in Normalizer::ALL {
            for list in [vec![0.0, 0.0], vec![0.0], vec![]] {
                let mut scaled = list.clone();
                n.apply(&mut scaled);
                assert_eq!(scaled, list, "{name}");
            }
            assert_eq!(Normalizer::parse(name).unwrap(), *n);
        }
        let mut signed = vec![-1.0, 1.0];
        Normalizer::Mean.apply(&mut signed);
        assert_eq!(signed, [-1.0, 1.0]);
        assert!(Normalizer::parse("median").is_err());
    }
}
