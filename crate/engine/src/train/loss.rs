//! What training makes small.

use super::lesson::{Lesson, Target, counted};
use crate::batch::check_labels;
use crate::data::IGNORED;
use crate::device::Device;
use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::{Int, Tensor, TensorData, activation};
use lopper_core::{Code, Error, Result};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// Mean of `-sum(q * log softmax(output))`, where `q` is 1 at the label, moved towards `1 / classes` by smoothing.
    CrossEntropy {
        /// How far, 0 to 1.
        smoothing: f32,
    },
    /// `(1 - share) * cross-entropy + share * T^2 * KL(softmax(teacher / T) || softmax(output / T))`, each summed over the
    /// classes and averaged over the images (Hinton, Vinyals and Dean 2015). Without labels only the second part counts, whole.
    Distill {
        /// How much both sides are flattened.
        temperature: f32,
        /// How much the teacher counts beside the labels.
        share: f32,
        /// As of cross-entropy.
        smoothing: f32,
    },
    /// Mean squared difference of every output from the teacher's or, without a teacher, of the first one from the values given.
    Squared,
    /// As [`Loss::Squared`], with the absolute difference.
    Absolute,
}

impl Default for Loss {
    fn default() -> Self {
        Loss::CrossEntropy { smoothing: 0.0 }
    }
}

impl Loss {
    /// Whether all outputs count, as they are, and not the scores of the first alone.
    pub(super) fn compares_all(&self) -> bool {
        matches!(self, Loss::Squared | Loss::Absolute)
    }

    /// The loss of what the network gave, as one number.
    pub(super) fn of(
        &self,
        outputs: Vec<DeviceTensor>,
        taught: Option<Vec<DeviceTensor>>,
        lesson: &Lesson,
        device: &Device,
    ) -> Result<Tensor<1>> {
        let missing = |what: &str| Error::new(Code::BadData, what);
        let labels = "the images have no labels: put each class in a folder of its own, or learn from an uncut model";
        match (*self, taught) {
            (Loss::CrossEntropy { smoothing }, _) => {
                let target = lesson.target.as_ref().ok_or_else(|| missing(labels))?;
                cross_entropy(first(outputs)?, lesson.images(), target, smoothing, device)
            }
            (Loss::Distill { temperature, share, smoothing }, Some(taught)) => {
                let (own, theirs) = (first(outputs)?, first(taught)?);
                let soft = divergence(own.clone(), theirs, lesson.images(), temperature)?;
                match lesson.target.as_ref() {
                    None => Ok(soft),
                    Some(target) => {
                        let hard = cross_entropy(own, lesson.images(), target, smoothing, device)?;
                        Ok(hard.mul_scalar(1.0 - share) + soft.mul_scalar(share))
                    }
                }
            }
            (Loss::Distill { .. }, None) => Err(missing("there is no uncut model to learn from: name it")),
            (Loss::Squared | Loss::Absolute, Some(taught)) => apart(outputs, taught, *self),
            (Loss::Squared | Loss::Absolute, None) => match &lesson.target {
                Some(Target::Values(values)) => {
                    let own = first(outputs)?;
                    let values = DeviceTensor::upload(values, device.inner())?;
                    let long = |dims: &[usize]| dims.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
                    let alike = long(&own.dims()) == long(&values.dims());
                    let values = if alike { values.reshape(&own.dims())? } else { values };
                    apart(vec![own], vec![values], *self)
                }
                _ => Err(missing("differences are taken from an uncut model or from numbers as targets: give either")),
            },
        }
    }
}

fn first(outputs: Vec<DeviceTensor>) -> Result<DeviceTensor> {
    outputs.into_iter().next().ok_or_else(|| Error::new(Code::BadNode, "the model has no output"))
}

/// Scores as one row for each of the `targets`: an image, or a position of one (`[N, C, ...]` with labels `[N, ...]`).
fn rows(scores: DeviceTensor, images: usize, targets: usize) -> Result<Tensor<2>> {
    let dims = scores.dims();
    let (channels, rest) = match dims.as_slice() {
        [n, c, rest @ ..] if *n == images => (*c, rest.iter().product::<usize>()),
        [n] if *n == images => (1, 1),
        _ => {
            let what = format!("an output of shape {dims:?} for {images} images");
            return Err(Error::new(Code::DataMismatch, what));
        }
    };
    if targets == images {
        return scores.reshape(&[images, channels * rest])?.float();
    }
    if targets != images * rest {
        let what =
            format!("{targets} labels for an output of shape {dims:?}: give one for each image or each position");
        return Err(Error::new(Code::DataMismatch, what));
    }
    let planes: Tensor<3> = scores.reshape(&[images, channels, rest])?.float()?;
    Ok(planes.swap_dims(1, 2).reshape([targets, channels]))
}

/// The mean over the labels of `-log softmax(logits)`.
pub(crate) fn mean_cross_entropy(
    logits: DeviceTensor,
    images: usize,
    labels: &[u32],
    device: &Device,
) -> Result<Tensor<1>> {
    cross_entropy(logits, images, &Target::Classes(labels.to_vec()), 0.0, device)
}

fn cross_entropy(
    logits: DeviceTensor,
    images: usize,
    target: &Target,
    smoothing: f32,
    device: &Device,
) -> Result<Tensor<1>> {
    let parts: [(&[u32], f32); 2] = match target {
        Target::Classes(labels) => [(labels, 1.0), (&[], 0.0)],
        Target::Mixed { first, second, share } => [(first, *share), (second, 1.0 - share)],
        Target::Places { dims, classes } => return by_place(logits, dims, classes, smoothing, device),
        Target::Values(_) => {
            let what = "these targets are numbers, not classes: use the loss regression";
            return Err(Error::new(Code::DataMismatch, what));
        }
    };
    let count = parts.first().map_or(0, |p| p.0.len());
    let logits = rows(logits, images, count)?;
    let [_, classes] = logits.dims();
    let scale = -1.0 / count.max(1) as f32;
    let mut wanted = vec![scale * smoothing / classes as f32; count * classes];
    for (labels, share) in parts.into_iter().filter(|p| !p.0.is_empty()) {
        check_labels(labels, count, classes)?;
        for (row, &label) in wanted.chunks_mut(classes).zip(labels) {
            if let Some(t) = row.get_mut(label as usize) {
                *t += scale * share * (1.0 - smoothing);
            }
        }
    }
    let wanted = Tensor::<2>::from_data(TensorData::new(wanted, [count, classes]), device.inner());
    Ok((activation::log_softmax(logits, 1) * wanted).sum())
}

/// The mean over the places that count, as [`cross_entropy`]; 0 where none does.
fn by_place(logits: DeviceTensor, dims: &[usize], labels: &[u8], smoothing: f32, device: &Device) -> Result<Tensor<1>> {
    let given = logits.dims();
    let (images, channels) = match given.as_slice() {
        [n, c, rest @ ..] if dims.split_first() == Some((n, rest)) => (*n, *c),
        _ => {
            let what = format!(
                "targets of shape {dims:?} for an output of shape {given:?}: one class is needed for each place of it"
            );
            return Err(Error::new(Code::DataMismatch, what));
        }
    };
    let logits = rows(logits, images, labels.len())?;
    let known: Vec<u32> = labels.iter().filter(|c| **c != IGNORED).map(|c| u32::from(*c)).collect();
    if !known.is_empty() {
        check_labels(&known, known.len(), channels)?;
    }
    let scale = -1.0 / counted(labels).max(1) as f32;
    let count = labels.len();
    let weights = labels.iter().map(|c| if *c == IGNORED { 0.0 } else { scale }).collect();
    let weights = Tensor::<2>::from_data(TensorData::new(weights, [count, 1]), device.inner());
    let places = labels.iter().map(|c| if *c == IGNORED { 0 } else { i64::from(*c) }).collect::<Vec<i64>>();
    let places = Tensor::<2, Int>::from_data(TensorData::new(places, [count, 1]), device.inner());
    let shares = activation::log_softmax(logits, 1);
    let own = (shares.clone().gather(1, places) * weights.clone()).sum();
    if smoothing == 0.0 {
        return Ok(own);
    }
    let all = (shares.mean_dim(1) * weights).sum();
    Ok(own.mul_scalar(1.0 - smoothing) + all.mul_scalar(smoothing))
}

/// `T^2 * KL(softmax(theirs / T) || softmax(own / T))`, averaged over images and positions.
fn divergence(own: DeviceTensor, theirs: DeviceTensor, images: usize, temperature: f32) -> Result<Tensor<1>> {
    let (dims, other) = (own.dims(), theirs.dims());
    if dims != other {
        return Err(unlike(&dims, &other));
    }
    let positions = images * dims.iter().skip(2).product::<usize>();
    let flat = |t: DeviceTensor| -> Result<Tensor<2>> {
        Ok(activation::log_softmax(rows(t, images, positions)?.div_scalar(temperature), 1))
    };
    let (own, theirs) = (flat(own)?, flat(theirs)?);
    let sum = (theirs.clone().exp() * (theirs - own)).sum();
    Ok(sum.mul_scalar(f64::from(temperature).powi(2) / positions.max(1) as f64))
}

/// The mean squared or absolute difference of each output, summed over the outputs.
fn apart(own: Vec<DeviceTensor>, wanted: Vec<DeviceTensor>, how: Loss) -> Result<Tensor<1>> {
    let mut sum: Option<Tensor<1>> = None;
    for (own, wanted) in own.into_iter().zip(wanted) {
        let (dims, other) = (own.dims(), wanted.dims());
        if dims != other {
            return Err(unlike(&dims, &other));
        }
        let one: Tensor<1> = by_rank!(own.rank(), D => {
            let apart = own.float::<D>()? - wanted.float::<D>()?;
            Ok(if how == Loss::Absolute { apart.abs().mean() } else { apart.square().mean() })
        })?;
        sum = Some(sum.map_or(one.clone(), |s| s + one));
    }
    sum.ok_or_else(|| Error::new(Code::BadNode, "the model has no output of real numbers"))
}

fn unlike(own: &[usize], wanted: &[usize]) -> Error {
    let what = format!("the model gives {own:?} where {wanted:?} is to be learnt: both models must answer alike");
    Error::new(Code::DataMismatch, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::HostTensor;

    const LOGITS: [f32; 6] = [1.0, -0.5, 0.25, 0.0, 2.0, -1.0];
    const TEACHER: [f32; 6] = [0.5, 0.5, -1.0, 3.0, 0.0, 0.0];

    fn on(dims: &[usize], values: &[f32]) -> DeviceTensor {
        let host = HostTensor::f32(dims.to_vec(), values.to_vec()).unwrap();
        DeviceTensor::upload(&host, Device::cpu().inner()).unwrap()
    }

    fn loss(loss: Loss, own: &[usize], taught: Option<&[f32]>, target: Option<Target>) -> Result<f64> {
        let input = HostTensor::f32(vec![own[0], 1], vec![0.0; own[0]]).unwrap();
        let lesson = Lesson { input, target, ahead: Vec::new(), moved: Vec::new() };
        let taught = taught.map(|t| vec![on(own, t)]);
        let one = loss.of(vec![on(own, &LOGITS)], taught, &lesson, &Device::cpu())?;
        Ok(f64::from(crate::block_on(DeviceTensor::from(one).download()).unwrap().as_f32().unwrap()[0]))
    }

    fn softmax(row: &[f32], temperature: f64) -> Vec<f64> {
        let e: Vec<f64> = row.iter().map(|v| (f64::from(*v) / temperature).exp()).collect();
        e.iter().map(|v| v / e.iter().sum::<f64>()).collect()
    }

    /// `-sum(q ln p)` of rows of three classes, averaged.
    fn entropy(rows: &[[f32; 3]], wanted: &[[f64; 3]]) -> f64 {
        let one =
            |(r, q): (&[f32; 3], &[f64; 3])| -> f64 { softmax(r, 1.0).iter().zip(q).map(|(p, q)| -q * p.ln()).sum() };
        rows.iter().zip(wanted).map(one).sum::<f64>() / rows.len() as f64
    }

    fn near(got: f64, want: f64) {
        assert!((got - want).abs() < 1e-5, "{got} instead of {want}");
    }

    #[test]
    fn cross_entropy_of_labels_smoothed_mixed_and_by_position() {
        let rows = [[1.0, -0.5, 0.25], [0.0, 2.0, -1.0]];
        let of = |smoothing, target| loss(Loss::CrossEntropy { smoothing }, &[2, 3], None, Some(target)).unwrap();
        let classes = || Target::Classes(vec![2, 0]);
        near(of(0.0, classes()), entropy(&rows, &[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
        near(of(0.3, classes()), entropy(&rows, &[[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]));
        let mixed = Target::Mixed { first: vec![2, 0], second: vec![1, 0], share: 0.75 };
        near(of(0.0, mixed), entropy(&rows, &[[0.0, 0.25, 0.75], [1.0, 0.0, 0.0]]));
        // One image of three classes at two positions: classes are the rows of a picture's planes.
        let places = loss(Loss::default(), &[1, 3, 2], None, Some(Target::Classes(vec![2, 0]))).unwrap();
        let planes = [[1.0, 0.25, 2.0], [-0.5, 0.0, -1.0]];
        near(places, entropy(&planes, &[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]));
        let code = |target| loss(Loss::default(), &[2, 3], None, target).unwrap_err().code();
        assert_eq!(code(None), Code::BadData);
        assert_eq!(code(Some(Target::Classes(vec![3, 0]))), Code::DataMismatch);
        assert_eq!(code(Some(Target::Classes(vec![0, 1, 1]))), Code::DataMismatch);
    }

    #[test]
    fn distillation_weighs_the_teacher_and_the_labels() {
        let distill = Loss::Distill { temperature: 4.0, share: 0.9, smoothing: 0.0 };
        let soft: f64 = (0..2)
            .map(|i| {
                let row = |all: &[f32; 6]| softmax(&all[3 * i..3 * i + 3], 4.0);
                row(&TEACHER).iter().zip(row(&LOGITS)).map(|(t, s)| t * (t / s).ln()).sum::<f64>()
            })
            .sum::<f64>()
            * 16.0
            / 2.0;
        let hard = loss(Loss::default(), &[2, 3], None, Some(Target::Classes(vec![2, 0]))).unwrap();
        near(loss(distill, &[2, 3], Some(&TEACHER), None).unwrap(), soft);
        let both = loss(distill, &[2, 3], Some(&TEACHER), Some(Target::Classes(vec![2, 0]))).unwrap();
        near(both, 0.1 * hard + 0.9 * soft);
        near(loss(distill, &[2, 3], Some(&LOGITS), None).unwrap(), 0.0);
        assert_eq!(loss(distill, &[2, 3], None, None).unwrap_err().code(), Code::BadData);
    }

    #[test]
    fn squared_error_is_of_the_teacher_or_of_numbers() {
        let want = LOGITS.iter().zip(TEACHER).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 6.0;
        near(loss(Loss::Squared, &[2, 3], Some(&TEACHER), None).unwrap(), want);
        let values = Target::Values(HostTensor::f32(vec![2, 3], TEACHER.to_vec()).unwrap());
        near(loss(Loss::Squared, &[2, 3], None, Some(values)).unwrap(), want);
        assert_eq!(loss(Loss::Squared, &[2, 3], None, None).unwrap_err().code(), Code::BadData);
    }
}
