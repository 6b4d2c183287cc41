//! N of every M: the pattern that sparse tensor cores read (Mishra et al., Accelerating Sparse Deep Neural Networks, 2021).

use super::rank::{Axis, lowest, without};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Of every `of` consecutive entries along an axis at most `keep` stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Entries that stay.
    pub keep: usize,
    /// Of so many.
    pub of: usize,
}

impl FromStr for Pattern {
    type Err = Error;

    /// `2:4` keeps two of every four.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(Code::Usage, format!("{text:?} is no pattern: give N:M with 1 <= N <= M, such as 2:4"));
        let (keep, of) = text.split_once(':').ok_or_else(bad)?;
        let pattern = Self { keep: keep.parse().map_err(|_| bad())?, of: of.parse().map_err(|_| bad())? };
        if pattern.keep == 0 || pattern.keep > pattern.of { Err(bad()) } else { Ok(pattern) }
    }
}

impl Pattern {
    /// Whether an axis of this length divides into whole runs.
    pub fn divides(self, length: usize) -> bool {
        length > 0 && length.is_multiple_of(self.of.max(1))
    }
}

/// The mask without the smallest entries of every run of the pattern along an axis. Entries that are masked already count as
/// the smallest.
pub(super) fn mask(values: &[f32], dims: &[usize], mask: &[bool], pattern: Pattern, axis: usize) -> Result<Vec<bool>> {
    let Pattern { keep, of } = pattern;
    let axis = Axis::of(dims, axis)?;
    if keep == 0 || keep > of || !pattern.divides(axis.length) {
        return Err(Error::new(
            Code::Usage,
            format!("{keep}:{of} does not fit an axis of {}: choose a pattern that divides it", axis.length),
        ));
    }
    let scores: Vec<f64> = values.iter().zip(mask).map(|(&v, &m)| if m { f64::from(v).abs() } else { -1.0 }).collect();
    let mut gone = Vec::new();
    for first in (0..mask.len()).filter(|&i| axis.place(i).is_multiple_of(of)) {
        let run: Vec<usize> = (0..of).map(|step| axis.further(first, step)).collect();
        gone.extend(lowest(&scores, run, of - keep)?);
    }
    Ok(without(mask, &gone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_of_four_along_either_axis() {
        let pattern: Pattern = "2:4".parse().unwrap();
        let bits = |m: Vec<bool>| m.iter().map(|b| u8::from(*b)).collect::<Vec<_>>();
        let values = [1.0, -3.0, 2.0, 0.5, 7.0, 7.0, 7.0, 7.0];
        assert_eq!(bits(mask(&values, &[2, 4], &[true; 8], pattern, 1).unwrap()), [0, 1, 1, 0, 1, 1, 0, 0]);
        // Columns of a 4 x 2 tensor.
        assert_eq!(bits(mask(&values, &[4, 2], &[true; 8], pattern, 0).unwrap()), [0, 0, 0, 0, 1, 1, 1, 1]);
        // What is masked already stays masked and counts.
        let old = [true, false, true, true, true, true, true, true];
        assert_eq!(bits(mask(&values, &[2, 4], &old, pattern, 1).unwrap()), [1, 0, 1, 0, 1, 1, 0, 0]);
        assert!(mask(&values, &[4, 2], &[true; 8], pattern, 1).is_err());
        for wrong in ["4", "0:4", "5:4", "a:b"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
