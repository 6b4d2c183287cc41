//! From pixel values to what a network was trained on.

use std::fmt;
use std::str::FromStr;

use lopper_core::{Code, Error, Result};

const IMAGENET: ([f32; 3], [f32; 3]) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
const CIFAR10: ([f32; 3], [f32; 3]) = ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);

/// `(value - mean) / std` for each colour channel, where a byte counts as `byte / 255` and a float as it is.
///
/// As text: `imagenet`, `cifar10`, `none`, or the numbers as `mean,mean,mean/std,std,std`. One mean and one deviation
/// stand for all channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Default for Normalization {
    fn default() -> Self {
        Self::none()
    }
}

impl Normalization {
    /// The ImageNet values of torchvision: mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225.
    pub fn imagenet() -> Self {
        Self::preset(IMAGENET)
    }

    /// The usual CIFAR-10 values: mean 0.4914, 0.4822, 0.4465 and deviation 0.2470, 0.2435, 0.2616.
    pub fn cifar10() -> Self {
        Self::preset(CIFAR10)
    }

    /// Bytes to 0 to 1 and nothing more; floats stay as they are.
    pub fn none() -> Self {
        Self { mean: vec![0.0], std: vec![1.0] }
    }

    /// Free values, one for each channel or one for all.
    ///
    /// # Errors
    /// [`Code::Usage`] if the counts differ or are 0, a value is not finite, or a deviation is not above 0.
    pub fn new(mean: Vec<f32>, std: Vec<f32>) -> Result<Self> {
        let usable = !mean.is_empty()
            && mean.len() == std.len()
            && mean.iter().all(|value| value.is_finite())
            && std.iter().all(|value| value.is_normal() && *value > 0.0);
        if usable { Ok(Self { mean, std }) } else { Err(unusable(&format!("means {mean:?} and deviations {std:?}"))) }
    }

    /// The mean of each channel (or one for all).
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// The deviation of each channel (or one for all).
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Mean and deviation for each of `channels`.
    ///
    /// # Errors
    /// [`Code::DataMismatch`] if there are values for another number of channels.
    pub fn of_channels(&self, channels: usize) -> Result<Vec<(f32, f32)>> {
        let pairs = self.mean.iter().copied().zip(self.std.iter().copied());
        match self.mean.len() {
            1 => Ok(pairs.cycle().take(channels).collect()),
            given if given == channels => Ok(pairs.collect()),
            given => Err(Error::new(
                Code::DataMismatch,
                format!(
                    "the normalisation has values for {given} channels but the images have {channels}; give {channels} means and deviations, or one of each for all"
                ),
            )),
        }
    }

    fn preset((mean, std): ([f32; 3], [f32; 3])) -> Self {
        Self { mean: mean.to_vec(), std: std.to_vec() }
    }
}

fn unusable(what: &str) -> Error {
    let message = format!(
        "the normalisation {what} is not usable; give imagenet, cifar10, none, or numbers such as 0.485,0.456,0.406/0.229,0.224,0.225 with deviations above 0"
    );
    Error::new(Code::Usage, message)
}

impl FromStr for Normalization {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers =
            |part: &str| part.split(',').map(|number| number.trim().parse().ok()).collect::<Option<Vec<f32>>>();
        match text.trim() {
            "imagenet" => Ok(Self::imagenet()),
            "cifar10" => Ok(Self::cifar10()),
            "none" => Ok(Self::none()),
            free => free
                .split_once('/')
                .and_then(|(mean, std)| Self::new(numbers(mean)?, numbers(std)?).ok())
                .ok_or_else(|| unusable(&format!("\"{free}\""))),
        }
    }
}

impl fmt::Display for Normalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("imagenet", Self::imagenet()), ("cifar10", Self::cifar10()), ("none", Self::none())];
        if let Some((name, _)) = named.iter().find(|(_, preset)| preset == self) {
            return f.write_str(name);
        }
        let join = |values: &[f32]| values.iter().map(f32::to_string).collect::<Vec<_>>().join(",");
        write!(f, "{}/{}", join(&self.mean), join(&self.std))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers_and_writes_them_back() {
        for text in ["imagenet", "cifar10", "none", "0.5/0.25", "0.1,0.2,0.3/1,2,0.5", "-1,0/1,1"] {
            assert_eq!(text.parse::<Normalization>().unwrap().to_string(), text);
        }
        let written_out: Normalization = "0.485,0.456,0.406/0.229,0.224,0.225".parse().unwrap();
        assert_eq!(written_out, Normalization::imagenet());
        assert_eq!(" 0.5 , 0.5 / 1 , 2 ".parse::<Normalization>().unwrap().std(), [1.0, 2.0]);
    }

    #[test]
    fn refuses_what_cannot_divide() {
        for text in
            ["", "/", "0.5", "a,b,c/d,e,f", "0.5/0", "0.5/-1", "1,2/3", "nan/1", "0/inf", "1/2/3", "Imagenet", "0,/1,1"]
        {
            assert_eq!(text.parse::<Normalization>().unwrap_err().code(), Code::Usage, "{text}");
        }
    }

    #[test]
    fn one_value_serves_all_channels_but_three_do_not_serve_one() {
        assert_eq!(Normalization::none().of_channels(3).unwrap(), [(0.0, 1.0); 3]);
        assert_eq!(Normalization::imagenet().of_channels(1).unwrap_err().code(), Code::DataMismatch);
    }
}
