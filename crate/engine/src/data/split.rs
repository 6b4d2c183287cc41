//! Dividing images into train, validation and test, by seed and by class.

use std::collections::BTreeMap;

use lopper_core::{Code, Error, Result};

use super::random::SplitMix64;

/// Separates this use of a seed from the shuffling of batches and from augmentation.
const STREAM: u64 = 0x5350_4c49_5400_0001;

/// The shares of validation and test; training gets the rest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fractions {
    /// Share of the images for validation, 0 to 1.
    pub validation: f64,
    /// Share of the images for the test, 0 to 1.
    pub test: f64,
}

impl Default for Fractions {
    fn default() -> Self {
        Self { validation: 0.1, test: 0.2 }
    }
}

/// Which images are for training, for choosing settings and for the final test. Every image is in exactly one part,
/// and each part lists its images in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Images to learn from.
    pub train: Vec<u32>,
    /// Images to choose settings by.
    pub validation: Vec<u32>,
    /// Images touched once, at the end.
    pub test: Vec<u32>,
}

impl Split {
    /// Divides `count` images. With labels each class is divided by itself, so that a class with enough images is in
    /// every part: within a class the indices are shuffled (Fisher-Yates with splitmix64, keyed by seed and class),
    /// the first go to the test, the next to validation, the rest to training.
    ///
    /// A class of one image goes to training and one of two to training and test, whatever the shares are.
    ///
    /// # Errors
    /// [`Code::Usage`] for shares outside 0 to 1 or above 1 together, [`Code::BadData`] if `labels` are not `count`.
    pub fn new(count: usize, labels: Option<&[u32]>, fractions: Fractions, seed: u64) -> Result<Self> {
        let Fractions { validation, test } = fractions;
        if !(validation >= 0.0 && test >= 0.0 && validation + test <= 1.0) {
            let message = format!(
                "the shares {validation} for validation and {test} for the test are not usable; give two numbers from 0 to 1 that are at most 1 together"
            );
            return Err(Error::new(Code::Usage, message));
        }
        if labels.is_some_and(|labels| labels.len() != count) {
            let found = labels.map_or(0, <[u32]>::len);
            return Err(Error::new(Code::BadData, format!("{found} labels for {count} images; each image needs one")));
        }
        let mut by_class: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for index in 0..count {
            let class = labels.and_then(|labels| labels.get(index)).copied().unwrap_or(0);
            by_class.entry(class).or_default().push(index as u32);
        }
        let mut split = Self::default();
        for (class, mut members) in by_class {
            SplitMix64::keyed(&[STREAM, seed, u64::from(class)]).shuffle(&mut members);
            let (of_validation, of_test) = shares(members.len(), fractions);
            let mut members = members.into_iter();
            split.test.extend(members.by_ref().take(of_test));
            split.validation.extend(members.by_ref().take(of_validation));
            split.train.extend(members);
        }
        for part in [&mut split.train, &mut split.validation, &mut split.test] {
            part.sort_unstable();
        }
        Ok(split)
    }
}

/// How many of a class's images go to validation and to the test.
fn shares(members: usize, fractions: Fractions) -> (usize, usize) {
    let wanted = |share: f64| if share > 0.0 { ((members as f64 * share).round() as usize).max(1) } else { 0 };
    let trained = usize::from(fractions.validation + fractions.test < 1.0);
    let test = wanted(fractions.test).min(members.saturating_sub(trained));
    let validation = wanted(fractions.validation).min(members.saturating_sub(trained + test));
    (validation, test)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(split: &Split) -> Vec<u32> {
        let mut all: Vec<u32> = [&split.train, &split.validation, &split.test].into_iter().flatten().copied().collect();
        all.sort_unstable();
        all
    }

    #[test]
    fn every_image_is_in_one_part_and_every_class_in_every_part() {
        let labels: Vec<u32> = (0..50).map(|index| index % 10).collect();
        let split = Split::new(50, Some(&labels), Fractions { validation: 0.1, test: 0.1 }, 7).unwrap();
        assert_eq!(all(&split), (0..50).collect::<Vec<u32>>());
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (30, 10, 10));
        for part in [&split.train, &split.validation, &split.test] {
            let classes: std::collections::BTreeSet<u32> = part.iter().map(|&index| labels[index as usize]).collect();
            assert_eq!(classes.len(), 10);
        }
    }

    #[test]
    fn a_seed_fixes_the_split_and_another_changes_it() {
        let make = |seed| Split::new(100, None, Fractions::default(), seed).unwrap();
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
        assert_eq!((make(1).train.len(), make(1).validation.len(), make(1).test.len()), (70, 10, 20));
        // From a second program written after the documentation: a change of the generator cannot pass unseen.
        assert_eq!(make(1).validation, [4, 7, 10, 24, 38, 41, 44, 65, 92, 93]);
    }

    #[test]
    fn tiny_classes_train_first_and_test_second() {
        let split = Split::new(3, Some(&[0, 1, 1]), Fractions { validation: 0.3, test: 0.3 }, 0).unwrap();
        assert_eq!((split.train.len(), split.validation.len(), split.test.len()), (2, 0, 1));
        let only_test = Split::new(4, None, Fractions { validation: 0.0, test: 1.0 }, 0).unwrap();
        assert_eq!(only_test.test, [0, 1, 2, 3]);
    }

    #[test]
    fn refuses_impossible_shares_and_counts() {
        for (validation, test) in [(-0.1, 0.2), (0.6, 0.6), (f64::NAN, 0.1), (0.1, f64::INFINITY)] {
            let error = Split::new(10, None, Fractions { validation, test }, 0).unwrap_err();
            assert_eq!(error.code(), Code::Usage);
        }
        let error = Split::new(3, Some(&[0, 1]), Fractions::default(), 0).unwrap_err();
        assert_eq!(error.code(), Code::BadData);
    }
}
