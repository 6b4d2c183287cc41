//! How many entries or channels a mask takes.

use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A number of entries, or a share of those that are still unmasked.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Amount {
    /// So many.
    Count(usize),
    /// This share, 0 to 1.
    Share(f64),
}

impl Amount {
    /// How many of `n` that are left: shares are rounded half to even.
    ///
    /// # Errors
    /// When a count is more than there are, or a share is not within 0 and 1.
    pub fn of(self, n: usize, what: &str) -> Result<usize> {
        match self {
            Amount::Count(k) if k > n => Err(Error::new(
                Code::Usage,
                format!("{k} {what} cannot be masked where {n} are still unmasked: ask for fewer, or for a share"),
            )),
            Amount::Count(k) => Ok(k),
            Amount::Share(s) if (0.0..=1.0).contains(&s) => Ok((s * n as f64).round_ties_even() as usize),
            Amount::Share(s) => {
                Err(Error::new(Code::Usage, format!("a share of {s} is out of range: give 0 to 1, or a whole number")))
            }
        }
    }
}

impl FromStr for Amount {
    type Err = Error;

    /// `7` is a count; `0.3`, `1.0` and `30%` are shares.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::new(
                Code::Usage,
                format!("{text:?} is no amount: give a whole number such as 7, or a share such as 0.3"),
            )
        };
        if let Some(percent) = text.strip_suffix('%') {
            return percent.trim().parse::<f64>().map(|p| Amount::Share(p / 100.0)).map_err(|_| bad());
        }
        match text.parse::<usize>() {
            Ok(n) => Ok(Amount::Count(n)),
            Err(_) => text.parse::<f64>().map(Amount::Share).map_err(|_| bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_shares() {
        for (text, n, want) in [("3", 20, 3), ("0.125", 20, 2), ("0.175", 20, 4), ("1.0", 7, 7), ("50%", 5, 2)] {
            assert_eq!(text.parse::<Amount>().unwrap().of(n, "entries").unwrap(), want, "{text} of {n}");
        }
        assert!("4".parse::<Amount>().unwrap().of(3, "entries").is_err());
        for text in ["1.5", "-0.1", "nan"] {
            assert!(text.parse::<Amount>().unwrap().of(3, "entries").is_err(), "{text}");
        }
        assert!("-1".parse::<Amount>().unwrap().of(3, "entries").is_err());
        assert!("some".parse::<Amount>().is_err());
    }
}
