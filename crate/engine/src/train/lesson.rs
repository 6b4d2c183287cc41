//! What one part of a step learns from.

use crate::batch::Labelled;
use crate::data::random::SplitMix64;
use crate::data::{self, IGNORED, Moved, Targets};
use crate::value::{HostData, HostTensor};

/// Separates this use of a seed from others.
const STREAM: u64 = 0x4d49_5855_5000_0001;
/// Of the Beta distribution that shares are drawn from (Zhang et al. 2018 take 0.1 to 0.4).
const ALPHA: f32 = 0.2;

/// What the network should say.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// A class for each image, or for each position of an output `[N, C, ...]`, row-major.
    Classes(Vec<u32>),
    /// Two classes for each image, of which the first counts `share` and the second the rest.
    Mixed {
        /// Of the picture itself.
        first: Vec<u32>,
        /// Of the one mixed in.
        second: Vec<u32>,
        /// How much the first counts, 0 to 1.
        share: f32,
    },
    /// A class for each position of an output `[N, C, ...]`.
    Places {
        /// Lengths of the axes, the batch first.
        dims: Vec<usize>,
        /// Row-major; [`IGNORED`] where none counts.
        classes: Vec<u8>,
    },
    /// Numbers, for the differences of a regression.
    Values(HostTensor),
}

/// A batch of a network's input and what is to be learnt from it; without a target, a teacher's answers are.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// The input, the batch first.
    pub input: HostTensor,
    /// Where the pixels lie on the device (see [`super::Trainer::keep_images`]), how they are moved to be the input, whose own numbers are
    /// left out then.
    pub moved: Vec<Moved>,
    /// The labels, where there are any.
    pub target: Option<Target>,
    /// Where each image is among those that the teacher answered, or the nodes that rest ran on, ahead; empty if it is none of them.
    pub ahead: Vec<u32>,
}

impl Lesson {
    /// How many images it has.
    pub fn images(&self) -> usize {
        self.input.dims.first().copied().unwrap_or(0)
    }

    /// How much its mean loss counts beside others: places that are not ignored, or images.
    pub(crate) fn weight(&self) -> f64 {
        match &self.target {
            Some(Target::Places { classes, .. }) => counted(classes) as f64,
            _ => self.images() as f64,
        }
    }

    /// Mixes every picture with another of the batch, all by one share, and the labels or numbers alike: mixup. Depends on nothing
    /// but seed and step.
    #[must_use]
    pub fn mixed(mut self, seed: u64, step: u64) -> Self {
        let mut random = SplitMix64::keyed(&[STREAM, seed, step]);
        let share = beta(&mut random);
        let mut order: Vec<usize> = (0..self.images()).collect();
        random.shuffle(&mut order);
        blend(&mut self.input, &order, share);
        if let Some(Target::Values(values)) = &mut self.target {
            blend(values, &order, share);
        }
        if let Some(Target::Classes(first)) = self.target.take_if(|t| matches!(t, Target::Classes(_))) {
            let each = (first.len() / order.len().max(1)).max(1);
            let labels = |i: &usize| first.chunks(each).nth(*i).unwrap_or_default();
            let second = order.iter().flat_map(labels).copied().collect();
            self.target = Some(Target::Mixed { first, second, share });
        }
        // What was computed ahead was of other pictures.
        self.ahead.clear();
        self
    }
}

/// Places whose class counts.
pub(super) fn counted(classes: &[u8]) -> usize {
    classes.iter().filter(|c| **c != IGNORED).count()
}

/// Every row's share of itself and the rest of the row that `order` names.
fn blend(rows: &mut HostTensor, order: &[usize], share: f32) {
    let size = rows.dims.iter().skip(1).product::<usize>().max(1);
    if let HostData::F32(values) = &mut rows.data {
        let whole = values.clone();
        for (own, &other) in values.chunks_mut(size).zip(order) {
            let other = whole.chunks(size).nth(other).unwrap_or_default();
            own.iter_mut().zip(other).for_each(|(a, b)| *a = share * *a + (1.0 - share) * b);
        }
    }
}

impl From<data::Batch> for Lesson {
    fn from(batch: data::Batch) -> Self {
        let [images, ..] = batch.shape;
        let whole = |dims: Vec<usize>| [vec![images], dims].concat();
        let target = match batch.targets {
            Some(Targets::Values { dims, values }) => {
                Some(Target::Values(HostTensor { dims: whole(dims), data: HostData::F32(values) }))
            }
            Some(Targets::Places { dims, classes }) => Some(Target::Places { dims: whole(dims), classes }),
            None => batch.labels.map(Target::Classes),
        };
        let input = HostTensor { dims: batch.shape.to_vec(), data: HostData::F32(batch.images) };
        Self { input, target, ahead: Vec::new(), moved: Vec::new() }
    }
}

impl From<Labelled> for Lesson {
    fn from(batch: Labelled) -> Self {
        let input = HostTensor { dims: batch.dims, data: HostData::F32(batch.images) };
        Self { input, target: Some(Target::Classes(batch.labels)), ahead: Vec::new(), moved: Vec::new() }
    }
}

/// A number from Beta(ALPHA, ALPHA), by Joehnk's method: made for parameters below 1.
fn beta(random: &mut SplitMix64) -> f32 {
    loop {
        let (x, y) = (random.unit().powf(1.0 / ALPHA), random.unit().powf(1.0 / ALPHA));
        if x + y > 0.0 && x + y <= 1.0 {
            return x / (x + y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread_as_beta_has_it() {
        let mut random = SplitMix64::new(1);
        let drawn: Vec<f32> = (0..20_000).map(|_| beta(&mut random)).collect();
        let mean = drawn.iter().sum::<f32>() / drawn.len() as f32;
        let variance = drawn.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / drawn.len() as f32;
        // Mean 1/2 and variance 1 / (4 (2 alpha + 1)).
        assert!((mean - 0.5).abs() < 0.01 && (variance - 1.0 / 5.6).abs() < 0.004, "{mean} {variance}");
    }

    #[test]
    fn pictures_and_classes_are_mixed_alike() {
        let input = HostTensor::f32(vec![4, 1, 1, 2], vec![0.0, 10.0, 1.0, 11.0, 2.0, 12.0, 3.0, 13.0]).unwrap();
        let lesson =
            Lesson { input, target: Some(Target::Classes(vec![0, 1, 2, 3])), ahead: vec![7; 4], moved: Vec::new() };
        let mixed = lesson.clone().mixed(5, 9);
        assert_eq!(mixed, lesson.clone().mixed(5, 9));
        assert_ne!(mixed.input, lesson.mixed(5, 10).input);
        let Some(Target::Mixed { first, second, share }) = mixed.target else { panic!() };
        assert!(mixed.ahead.is_empty() && first == [0, 1, 2, 3]);
        for (pixels, (a, b)) in mixed.input.as_f32().unwrap().chunks(2).zip(first.iter().zip(&second)) {
            let want = share * *a as f32 + (1.0 - share) * *b as f32;
            assert!((pixels[0] - want).abs() < 1e-5 && (pixels[1] - want - 10.0).abs() < 1e-5);
        }
    }
}
