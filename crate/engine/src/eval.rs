//! How well a network does on images with classes, with a class for each place, or with numbers.

use crate::batch::{Control, Ended, check_labels};
use crate::data::IGNORED;
use crate::run::Network;
use crate::score::Sample;
use crate::train::{Lesson, Target};
use crate::value::HostTensor;
use lopper_core::{Code, Error, Result};

/// What has been counted so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Images seen.
    pub images: usize,
    /// What was compared: images with a class, places whose class counts, or numbers.
    pub compared: usize,
    /// Of these, how many the network named the class of first.
    pub correct: usize,
    /// Sum of the cross-entropy over all compared, or of squared differences.
    pub loss_sum: f64,
    /// Sum of absolute differences, where numbers are compared.
    pub absolute_sum: Option<f64>,
    /// By class, where places are compared: places of it that were named so, places named so, places of it.
    pub overlaps: Vec<[usize; 3]>,
}

impl Evaluation {
    /// The share whose class came first, 0 to 1.
    pub fn top1(&self) -> f64 {
        self.correct as f64 / self.compared.max(1) as f64
    }

    /// The mean cross-entropy, or the mean squared difference.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.compared.max(1) as f64
    }

    /// The mean absolute difference, where numbers are compared.
    pub fn absolute(&self) -> Option<f64> {
        self.absolute_sum.map(|sum| sum / self.compared.max(1) as f64)
    }

    /// Where places are compared: what is both of a class and named so, by what is either, averaged over the classes that there is
    /// either of.
    pub fn mean_iou(&self) -> Option<f64> {
        let shares = self.overlaps.iter().filter_map(|[both, named, own]| {
            let either = named + own - both;
            (either > 0).then(|| *both as f64 / either as f64)
        });
        let shares: Vec<f64> = shares.collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }

    /// Counts what a network says to a lesson.
    fn add(&mut self, output: &HostTensor, lesson: &Lesson) -> Result<()> {
        let values = output
            .as_f32()
            .ok_or_else(|| Error::new(Code::DataMismatch, "the model's output holds no real numbers"))?;
        let images = lesson.images();
        match &lesson.target {
            Some(Target::Classes(labels)) => {
                let classes = values.len() / labels.len().max(1);
                check_labels(labels, images, classes)?;
                for (row, &label) in values.chunks(classes.max(1)).zip(labels) {
                    self.add_class(row.iter().copied(), label as usize);
                }
            }
            Some(Target::Places { dims, classes }) => self.add_places(values, &output.dims, dims, classes)?,
            Some(Target::Values(wanted)) => self.add_values(values, wanted)?,
            _ => {
                let what = "the images have no labels: put each class in a folder of its own";
                return Err(Error::new(Code::BadData, what));
            }
        }
        self.images += images;
        Ok(())
    }

    /// Counts one row of scores; what was named.
    fn add_class(&mut self, row: impl Iterator<Item = f32> + Clone, label: usize) -> usize {
        let top = row.clone().fold(f32::NEG_INFINITY, f32::max);
        // Among equal scores the first class counts, as argmax has it.
        let named = row.clone().position(|v| v == top).unwrap_or(usize::MAX);
        self.correct += usize::from(named == label);
        let sum: f64 = row.clone().map(|v| (f64::from(v) - f64::from(top)).exp()).sum();
        let mut row = row;
        self.loss_sum += sum.ln() + f64::from(top) - f64::from(row.nth(label).unwrap_or(f32::NAN));
        self.compared += 1;
        named
    }

    fn add_places(&mut self, values: &[f32], given: &[usize], dims: &[usize], labels: &[u8]) -> Result<()> {
        let [images, classes, rest @ ..] = given else { return Err(unlike(given, dims)) };
        if dims.split_first() != Some((images, rest)) {
            return Err(unlike(given, dims));
        }
        self.overlaps.resize(*classes, [0; 3]);
        let places = rest.iter().product::<usize>().max(1);
        for (planes, labels) in values.chunks(places * classes).zip(labels.chunks(places)) {
            for (at, &label) in labels.iter().enumerate().filter(|(_, l)| **l != IGNORED) {
                let label = usize::from(label);
                check_labels(&[label as u32], 1, *classes)?;
                let named = self.add_class(planes.iter().skip(at).step_by(places).copied(), label);
                let mut count = |class: usize, what: usize| {
                    if let Some(n) = self.overlaps.get_mut(class).and_then(|o| o.get_mut(what)) {
                        *n += 1;
                    }
                };
                count(named, 1);
                count(label, 2);
                if named == label {
                    count(label, 0);
                }
            }
        }
        Ok(())
    }

    fn add_values(&mut self, values: &[f32], wanted: &HostTensor) -> Result<()> {
        let numbers = wanted.as_f32().unwrap_or_default();
        if numbers.len() != values.len() {
            return Err(unlike(&[values.len()], &wanted.dims));
        }
        let mut absolute = self.absolute_sum.unwrap_or(0.0);
        for (own, wanted) in values.iter().zip(numbers) {
            let apart = f64::from(*own) - f64::from(*wanted);
            self.loss_sum += apart * apart;
            absolute += apart.abs();
        }
        self.absolute_sum = Some(absolute);
        self.compared += values.len();
        Ok(())
    }
}

fn unlike(given: &[usize], wanted: &[usize]) -> Error {
    let what = format!("the model gives {given:?} where the targets are {wanted:?}: they must fit each other");
    Error::new(Code::DataMismatch, what)
}

/// Runs a network over batches and compares its first output with what each asks for. Where that is a class, the network should
/// come from [`Network::load_classifier`], so that a final softmax does not distort the loss.
///
/// # Errors
/// When a batch does not fit the network or asks for nothing, or the device fails.
pub async fn evaluate<T: Into<Lesson>>(
    network: &Network,
    batches: impl IntoIterator<Item = Result<T>>,
    mut on_batch: impl AsyncFnMut(&Evaluation) -> Control,
) -> Result<(Evaluation, Ended)> {
    let mut seen = Evaluation::default();
    for batch in batches {
        let lesson: Lesson = batch?.into();
        let output = network.run_single(lesson.input.clone()).await?;
        seen.add(&output, &lesson)?;
        match on_batch(&seen).await {
            Control::Continue => {}
            Control::Pause => return Ok((seen, Ended::Paused)),
            Control::Cancel => return Ok((seen, Ended::Cancelled)),
        }
    }
    Ok((seen, Ended::Done))
}

/// What a classifier says of one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class that it names first.
    pub class: u32,
    /// How sure it is of it: the class's share after a softmax, 0 to 1.
    pub confidence: f32,
}

/// Asks a network for the class of every image; none has to have one. The network should come from
/// [`Network::load_classifier`]. Also gives how many classes it knows. `on_batch` is told how many images are done.
///
/// # Errors
/// When a batch does not fit the network, its output is not one number a class, or the device fails.
pub async fn answers(
    network: &Network,
    batches: impl IntoIterator<Item = Result<Sample>>,
    mut on_batch: impl AsyncFnMut(usize) -> Control,
) -> Result<(Vec<Answer>, usize, Ended)> {
    let (mut out, mut classes) = (Vec::new(), 0);
    for batch in batches {
        let Sample { values, dims, .. } = batch?;
        let images = dims.first().copied().unwrap_or(0);
        let logits = network.run_single(HostTensor::f32(dims, values)?).await?;
        let numbers = logits.as_f32().filter(|v| images > 0 && v.len() % images == 0).ok_or_else(|| {
            let what = format!("an output of shape {:?} is not one number a class for {images} images", logits.dims);
            Error::new(Code::DataMismatch, what)
        })?;
        classes = numbers.len() / images;
        out.extend(numbers.chunks(classes.max(1)).map(answer));
        match on_batch(out.len()).await {
            Control::Continue => {}
            Control::Pause => return Ok((out, classes, Ended::Paused)),
            Control::Cancel => return Ok((out, classes, Ended::Cancelled)),
        }
    }
    Ok((out, classes, Ended::Done))
}

/// The first of the classes with the highest score.
fn answer(row: &[f32]) -> Answer {
    let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = row.iter().map(|&v| (f64::from(v) - f64::from(top)).exp()).sum();
    let class = row.iter().position(|&v| v == top).unwrap_or(0) as u32;
    Answer { class, confidence: (1.0 / sum) as f32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(target: Target) -> Lesson {
        Lesson {
            input: HostTensor::f32(vec![2, 1], vec![0.0; 2]).unwrap(),
            target: Some(target),
            ahead: Vec::new(),
            moved: Vec::new(),
        }
    }

    #[test]
    fn counts_the_first_class_and_its_loss() {
        let mut seen = Evaluation::default();
        let logits = HostTensor::f32(vec![2, 3], vec![0.0, 2.0, 2.0, 1.0, 1.0, 1.0]).unwrap();
        seen.add(&logits, &lesson(Target::Classes(vec![1, 2]))).unwrap();
        assert_eq!((seen.images, seen.correct, seen.mean_iou(), seen.absolute()), (2, 1, None, None));
        let want = ((1.0 + 2.0 * 2f64.exp()).ln() - 2.0) + 3f64.ln();
        assert!((seen.loss_sum - want).abs() < 1e-6, "{}", seen.loss_sum);
        assert_eq!(seen.add(&logits, &lesson(Target::Classes(vec![3, 0]))).unwrap_err().code(), Code::DataMismatch);
    }

    #[test]
    fn places_overlap_and_ignored_ones_do_not_count() {
        // Two images of two places and three classes; the network names 0 2 / 1 1, and the last place is ignored.
        let planes = vec![9.0, 0.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 9.0, 9.0, 0.0, 0.0];
        let logits = HostTensor::f32(vec![2, 3, 2], planes).unwrap();
        let mut seen = Evaluation::default();
        seen.add(&logits, &lesson(Target::Places { dims: vec![2, 2], classes: vec![0, 2, 2, IGNORED] })).unwrap();
        assert_eq!((seen.images, seen.compared, seen.correct), (2, 3, 2));
        // Class 0: 1 of 1; class 1: named once, never there; class 2: 1 of 2.
        assert!((seen.mean_iou().unwrap() - 0.5).abs() < 1e-12);
        let right = (1.0 + 2.0 * (-9f64).exp()).ln();
        assert!((seen.loss_sum - (3.0 * right + 9.0)).abs() < 1e-9, "{}", seen.loss_sum);
        let other = Target::Places { dims: vec![2, 3], classes: vec![0; 6] };
        assert_eq!(seen.add(&logits, &lesson(other)).unwrap_err().code(), Code::DataMismatch);
    }

    #[test]
    fn numbers_are_compared_by_their_differences() {
        let mut seen = Evaluation::default();
        let wanted = HostTensor::f32(vec![2], vec![1.0, -1.0]).unwrap();
        let given = HostTensor::f32(vec![2, 1], vec![3.0, 0.0]).unwrap();
        seen.add(&given, &lesson(Target::Values(wanted))).unwrap();
        assert_eq!((seen.loss(), seen.absolute()), (2.5, Some(1.5)));
    }

    #[test]
    fn an_answer_is_the_first_of_the_highest_with_its_share() {
        let seen = answer(&[1.0, 3.0, 3.0, 0.0]);
        let all = 1f64.exp() + 2.0 * 3f64.exp() + 1.0;
        assert_eq!(seen.class, 1);
        assert!((f64::from(seen.confidence) - 3f64.exp() / all).abs() < 1e-6);
        assert_eq!(answer(&[7.0]), Answer { class: 0, confidence: 1.0 });
    }
}
