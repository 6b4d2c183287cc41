//! The criteria by name, with what each needs.

use super::{Normalizer, Reduction};
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What makes a channel important (CRITERIA.md, sections 2 to 4). A small score goes first.
///
/// As text it is its name; `lp(3)` and `fpgm_mixed(0.2)` carry a number, and `l1:0.7,fpgm_l2:0.3` is a weighted
/// mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Criterion {
    /// Sum of absolute values (Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017).
    L1,
    /// Euclidean norm (He et al., Soft Filter Pruning, IJCAI 2018).
    L2,
    /// The p-norm, with its root.
    Lp(f64),
    /// Largest absolute value.
    Linf,
    /// Absolute scale of the BatchNormalization behind the producer (Liu et al., Network Slimming, ICCV 2017).
    BnScale,
    /// Sum of Euclidean distances to the producer's other filters (He et al., FPGM, CVPR 2019).
    FpgmL2,
    /// The same with sums of absolute differences.
    FpgmL1,
    /// The same with cosine distances.
    FpgmCosine,
    /// This share of the filters goes by norm, the rest by distances among themselves.
    FpgmMixed(f64),
    /// Squared norm over that of all larger filters (Lee et al., LAMP, ICLR 2021).
    Lamp,
    /// Squared norms of everything a channel owns (Fang et al., DepGraph, CVPR 2023).
    GroupNorm,
    /// Drawn evenly from 0 to 1 by seed, weight and index: the baseline.
    Random(u64),
    /// Sum of absolute products of weight and gradient.
    WeightTaylorAbs,
    /// Absolute sum of products of weight and gradient (Molchanov et al., CVPR 2019, joint form).
    WeightTaylorSigned,
    /// Sum of squared products of weight and gradient (Molchanov et al., CVPR 2019).
    WeightTaylorSq,
    /// Absolute mean over space of output times gradient, mean over images (Molchanov et al., ICLR 2017).
    ActivationTaylor,
    /// Absolute mean over images and space of output times gradient.
    ActivationTaylorMean,
    /// Squared gradient in a gate behind the output (Molchanov et al., CVPR 2019).
    GateTaylorSq,
    /// The same image by image; half of it is the Fisher score of Theis et al., 2018.
    GateTaylorSqPerImage,
    /// Absolute gradient in a gate, summed over batches (You et al., Gate Decorator, NeurIPS 2019).
    GbnAbs,
    /// Half the sum of squared weights times squared gradients of single images (LeCun et al., Optimal Brain Damage,
    /// 1989).
    FisherObd,
    /// Mean absolute activation.
    ActivationMeanAbs,
    /// One minus the average share of zeros behind a ReLU (Hu et al., Network Trimming, 2016).
    Apoz,
    /// Sum of absolute weights times norms of their inputs (Sun et al., Wanda, ICLR 2024, added up a filter).
    WandaStructured,
    /// Mean rank of the activation maps (Lin et al., HRank, CVPR 2020).
    Hrank,
    /// A weighted sum of criteria, each normalised first.
    Mix(Vec<(Criterion, f64)>),
}

/// What a criterion looks at beside weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needs {
    /// Nothing.
    Weights,
    /// Images.
    Images,
    /// Images with their classes.
    Labels,
}

impl Criterion {
    /// All criteria with their names and their numbers as they are by default.
    pub const ALL: &'static [(&'static str, Criterion)] = &[
        ("l1", Criterion::L1),
        ("l2", Criterion::L2),
        ("lp", Criterion::Lp(2.0)),
        ("linf", Criterion::Linf),
        ("bn_scale", Criterion::BnScale),
        ("fpgm_l2", Criterion::FpgmL2),
        ("fpgm_l1", Criterion::FpgmL1),
        ("fpgm_cosine", Criterion::FpgmCosine),
        ("fpgm_mixed", Criterion::FpgmMixed(0.1)),
        ("lamp", Criterion::Lamp),
        ("group_norm", Criterion::GroupNorm),
        ("random", Criterion::Random(0)),
        ("weight_taylor_abs", Criterion::WeightTaylorAbs),
        ("weight_taylor_signed", Criterion::WeightTaylorSigned),
        ("weight_taylor_sq", Criterion::WeightTaylorSq),
        ("activation_taylor", Criterion::ActivationTaylor),
        ("activation_taylor_mean", Criterion::ActivationTaylorMean),
        ("gate_taylor_sq", Criterion::GateTaylorSq),
        ("gate_taylor_sq_per_image", Criterion::GateTaylorSqPerImage),
        ("gbn_abs", Criterion::GbnAbs),
        ("fisher_obd", Criterion::FisherObd),
        ("activation_mean_abs", Criterion::ActivationMeanAbs),
        ("apoz", Criterion::Apoz),
        ("wanda_structured", Criterion::WandaStructured),
        ("hrank", Criterion::Hrank),
    ];

    /// From its text.
    ///
    /// # Errors
    /// When there is no such criterion or a number in it is out of range.
    pub fn parse(text: &str) -> Result<Self> {
        let terms = text.split(',').map(term).collect::<Result<Vec<_>>>()?;
        let found = match terms.as_slice() {
            [(criterion, None)] => criterion.clone(),
            _ => Criterion::Mix(terms.into_iter().map(|(c, weight)| (c, weight.unwrap_or(1.0))).collect()),
        };
        found.check()?;
        Ok(found)
    }

    /// Its name; that of the first term for a mixture.
    pub fn name(&self) -> &'static str {
        if let Criterion::Mix(terms) = self {
            return terms.first().map_or("", |t| t.0.name());
        }
        let same = |c: &Criterion| std::mem::discriminant(c) == std::mem::discriminant(self);
        Self::ALL.iter().find(|c| same(&c.1)).map_or("", |c| c.0)
    }

    /// The single criteria it is made of, each with its weight.
    pub fn terms(&self) -> Vec<(&Criterion, f64)> {
        match self {
            Criterion::Mix(terms) => terms.iter().map(|(c, weight)| (c, *weight)).collect(),
            one => vec![(one, 1.0)],
        }
    }

    /// What it looks at beside weights.
    pub fn needs(&self) -> Needs {
        use Criterion as C;
        match self {
            C::WeightTaylorAbs | C::WeightTaylorSigned | C::WeightTaylorSq | C::ActivationTaylor => Needs::Labels,
            C::ActivationTaylorMean | C::GateTaylorSq | C::GateTaylorSqPerImage | C::GbnAbs => Needs::Labels,
            C::FisherObd => Needs::Labels,
            C::ActivationMeanAbs | C::Apoz | C::WandaStructured | C::Hrank => Needs::Images,
            C::Mix(terms) => terms.iter().map(|t| t.0.needs()).max().unwrap_or(Needs::Weights),
            _ => Needs::Weights,
        }
    }

    /// Whether it, or a term of a mixture, compares every filter with every other: work that is worth a device.
    pub fn compares(&self) -> bool {
        let compares = |c: &Criterion| matches!(c, Criterion::FpgmL2 | Criterion::FpgmL1 | Criterion::FpgmCosine);
        self.terms().iter().any(|(c, _)| compares(c))
    }

    /// The same criterion with another exponent, share that goes by norm, or seed, wherever it has one.
    pub fn with(self, exponent: Option<f64>, norm_rate: Option<f64>, seed: Option<u64>) -> Self {
        match self {
            Criterion::Lp(p) => Criterion::Lp(exponent.unwrap_or(p)),
            Criterion::FpgmMixed(rate) => Criterion::FpgmMixed(norm_rate.unwrap_or(rate)),
            Criterion::Random(own) => Criterion::Random(seed.unwrap_or(own)),
            Criterion::Mix(terms) => {
                Criterion::Mix(terms.into_iter().map(|(c, w)| (c.with(exponent, norm_rate, seed), w)).collect())
            }
            other => other,
        }
    }

    /// # Errors
    /// When a number is out of range.
    pub fn check(&self) -> Result<()> {
        let bad = |what: String| Err(Error::new(Code::Usage, what));
        match self {
            Criterion::Lp(p) if p.is_nan() || *p <= 0.0 => {
                bad(format!("an exponent of {p} makes no norm: give a number above 0, as in lp(3)"))
            }
            Criterion::FpgmMixed(rate) if !(0.0..1.0).contains(rate) => {
                bad(format!("a norm rate of {rate} is out of range: give the share that goes by norm, 0 <= R < 1"))
            }
            Criterion::Mix(terms) => match terms.iter().find(|t| !t.1.is_finite()) {
                Some((c, weight)) => bad(format!("a weight of {weight} for {c} makes no mixture: give a number")),
                None => terms.iter().try_for_each(|t| t.0.check()),
            },
            _ => Ok(()),
        }
    }

    /// How scores of the members of a group become one, unless the person says otherwise.
    pub fn reduction(&self) -> Reduction {
        use Criterion as C;
        match self {
            C::GroupNorm | C::GbnAbs | C::GateTaylorSq | C::GateTaylorSqPerImage => Reduction::Sum,
            _ => Reduction::Mean,
        }
    }

    /// How scores of different groups become comparable, unless the person says otherwise.
    pub fn normalizer(&self) -> Normalizer {
        use Criterion as C;
        match self {
            C::WeightTaylorAbs | C::WeightTaylorSigned | C::WeightTaylorSq | C::FisherObd => Normalizer::None,
            C::GateTaylorSq | C::GateTaylorSqPerImage | C::GbnAbs | C::Lamp | C::BnScale => Normalizer::None,
            C::ActivationTaylor | C::ActivationTaylorMean => Normalizer::L2,
            _ => Normalizer::Mean,
        }
    }
}

/// A criterion with its weight in a mixture, if one is given.
fn term(text: &str) -> Result<(Criterion, Option<f64>)> {
    let number = |word: &str| -> Result<f64> {
        word.trim().parse().map_err(|_| Error::new(Code::Usage, format!("{word:?} in {text:?} is no number")))
    };
    let (body, weight) = match text.split_once(':') {
        Some((body, weight)) => (body.trim(), Some(number(weight)?)),
        None => (text.trim(), None),
    };
    let (name, argument) = match body.strip_suffix(')').and_then(|b| b.split_once('(')) {
        Some((name, argument)) => (name, Some(number(argument)?)),
        None => (body, None),
    };
    let found = Criterion::ALL.iter().find(|c| c.0 == name).map(|c| c.1.clone()).ok_or_else(|| {
        let names: Vec<&str> = Criterion::ALL.iter().map(|c| c.0).collect();
        Error::new(Code::Usage, format!("there is no criterion {name:?}: choose one of {}", names.join(", ")))
    })?;
    if argument.is_some() && !matches!(found, Criterion::Lp(_) | Criterion::FpgmMixed(_)) {
        return Err(Error::new(
            Code::Usage,
            format!("the criterion {name} takes no number: leave out what is in brackets"),
        ));
    }
    Ok((found.with(argument, argument, None), weight))
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Criterion::Lp(number) | Criterion::FpgmMixed(number) => write!(f, "{}({number})", self.name()),
            Criterion::Mix(terms) => {
                let words: Vec<String> = terms.iter().map(|(c, weight)| format!("{c}:{weight}")).collect();
                f.write_str(&words.join(","))
            }
            _ => f.write_str(self.name()),
        }
    }
}

impl From<Criterion> for String {
    fn from(criterion: Criterion) -> Self {
        criterion.to_string()
    }
}

impl TryFrom<String> for Criterion {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        for (name, criterion) in Criterion::ALL {
            assert_eq!((criterion.name(), &Criterion::parse(name).unwrap()), (*name, criterion));
        }
        for text in ["lp(3)", "fpgm_mixed(0.25)", "l1:0.7,fpgm_l2:0.3", "lp(inf)", "l1:2"] {
            assert_eq!(Criterion::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Criterion::parse("l1, gbn_abs:2").unwrap().terms(),
            [(&Criterion::L1, 1.0), (&Criterion::GbnAbs, 2.0)]
        );
        let json = serde_json::to_string(&Criterion::parse("lp(3)").unwrap()).unwrap();
        assert_eq!((json.as_str(), serde_json::from_str(&json).unwrap()), ("\"lp(3)\"", Criterion::Lp(3.0)));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in
            ["", "l3", "l1:", "l1:x", "l1(2)", "lp(0)", "lp(-1)", "lp(nan)", "fpgm_mixed(1)", "l1:inf", "l1,,l2"]
        {
            assert_eq!(Criterion::parse(text).unwrap_err().code(), Code::Usage, "{text}");
        }
    }

    #[test]
    fn needs_of_a_mixture_are_the_largest() {
        let needs = |text: &str| Criterion::parse(text).unwrap().needs();
        assert_eq!(needs("l1:1,random:2"), Needs::Weights);
        assert_eq!(needs("l1:1,apoz:2"), Needs::Images);
        assert_eq!(needs("hrank:1,gbn_abs:2"), Needs::Labels);
    }
}
