//! The channels of smallest norm.

use super::amount::Amount;
use super::rank::{Axis, lowest};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// The order of a norm: any number, or plus or minus infinity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norm(f64);

impl Norm {
    /// # Errors
    /// When the order is not a number.
    pub fn new(order: f64) -> Result<Self> {
        if order.is_nan() {
            return Err(Error::new(Code::Usage, "the order of a norm must be a number, inf or -inf"));
        }
        Ok(Self(order))
    }

    /// The norm of some numbers.
    fn of(self, values: &[f64]) -> f64 {
        let sizes = || values.iter().map(|v| v.abs());
        match self.0 {
            f64::INFINITY => sizes().fold(0.0, f64::max),
            f64::NEG_INFINITY => sizes().fold(f64::INFINITY, f64::min),
            0.0 => sizes().filter(|v| *v != 0.0).count() as f64,
            p => sizes().map(|v| v.powf(p)).sum::<f64>().powf(1.0 / p),
        }
    }
}

impl FromStr for Norm {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::new(Code::Usage, format!("{text:?} is no order of a norm: give a number, inf or -inf"));
        text.parse().map_err(|_| bad()).and_then(Self::new)
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Norm {
    // JSON has no infinity.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        if self.0.is_finite() { serializer.serialize_f64(self.0) } else { serializer.collect_str(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Norm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let read = match (value.as_f64(), value.as_str()) {
            (Some(order), _) => Self::new(order),
            (None, Some(text)) => text.parse(),
            _ => Err(Error::new(Code::Usage, "the order of a norm must be a number, \"inf\" or \"-inf\"")),
        };
        read.map_err(|e| serde::de::Error::custom(e.message()))
    }
}

/// The mask without the positions of an axis whose masked entries have the smallest norm; positions that are masked
/// already as a whole do not count.
pub(super) fn mask(
    values: &[f32],
    dims: &[usize],
    mask: &[bool],
    amount: Amount,
    norm: Norm,
    axis: usize,
) -> Result<Vec<bool>> {
    let axis = Axis::of(dims, axis)?;
    let alive = axis.alive(mask);
    let n = amount.of(alive.len(), "channels")?;
    let mut slices: Vec<Vec<f64>> = vec![Vec::new(); axis.length];
    for (i, (&v, &m)) in values.iter().zip(mask).enumerate() {
        if let Some(slice) = slices.get_mut(axis.place(i)) {
            slice.push(if m { f64::from(v) } else { 0.0 });
        }
    }
    let scores: Vec<f64> = slices.iter().map(|s| norm.of(s)).collect();
    Ok(axis.without(mask, &lowest(&scores, alive, n)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn norms_of_every_order() {
        let of = |n: &str| n.parse::<Norm>().unwrap().of(&[3.0, -4.0, 0.0]);
        assert_eq!((of("1"), of("2"), of("inf"), of("-inf"), of("0")), (7.0, 5.0, 4.0, 0.0, 2.0));
        assert!("nan".parse::<Norm>().is_err() && "two".parse::<Norm>().is_err());
    }

    #[test]
    fn infinity_is_text_in_json() {
        for (text, json) in [("inf", "\"inf\""), ("-inf", "\"-inf\""), ("2.5", "2.5")] {
            let norm: Norm = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&norm).unwrap(), json);
            assert_eq!(serde_json::from_str::<Norm>(json).unwrap(), norm);
        }
    }
}
