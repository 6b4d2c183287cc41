//! How well a network does on labelled images.

use crate::batch::{Control, Ended, Labelled};
use crate::run::Network;
use crate::score::Sample;
use crate::value::HostTensor;
use lopper_core::{Code, Error, Result};

/// What has been counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Images seen.
    pub images: usize,
    /// Images whose class the network named first.
    pub correct: usize,
    /// Sum of the cross-entropy over the images.
    pub loss_sum: f64,
}

impl Evaluation {
    /// The share of images whose class came first, 0 to 1.
    pub fn top1(&self) -> f64 {
        self.correct as f64 / self.images.max(1) as f64
    }

    /// The mean cross-entropy.
    pub fn loss(&self) -> f64 {
        self.loss_sum / self.images.max(1) as f64
    }

    /// Counts one batch: `logits` has one row an image.
    fn add(&mut self, logits: &HostTensor, labels: &[u32]) -> Result<()> {
        let classes = logits.data.len() / labels.len().max(1);
        let values = logits
            .as_f32()
            .ok_or_else(|| Error::new(Code::DataMismatch, "the model's output holds no real numbers"))?;
        for (row, &label) in values.chunks(classes.max(1)).zip(labels) {
            let label = label as usize;
            let top = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Among equal scores the first class counts, as argmax has it.
            self.correct += usize::from(row.iter().position(|&v| v == top) == Some(label));
            let sum: f64 = row.iter().map(|&v| (f64::from(v) - f64::from(top)).exp()).sum();
            self.loss_sum += sum.ln() + f64::from(top) - f64::from(row.get(label).copied().unwrap_or(f32::NAN));
            self.images += 1;
        }
        Ok(())
    }
}

/// Runs a network over labelled batches. The network should come from [`Network::load_classifier`], so that a final
/// softmax does not distort the loss.
///
/// # Errors
/// When a batch does not fit the network, or the device fails.
pub async fn evaluate(
    network: &Network,
    batches: impl IntoIterator<Item = Result<Labelled>>,
    mut on_batch: impl AsyncFnMut(&Evaluation) -> Control,
) -> Result<(Evaluation, Ended)> {
    let mut seen = Evaluation::default();
    for batch in batches {
        let mut batch = batch?;
        let input = HostTensor::f32(batch.dims.clone(), std::mem::take(&mut batch.images))?;
        let logits = network.run_single(input).await?;
        batch.check(logits.data.len() / batch.labels.len().max(1))?;
        seen.add(&logits, &batch.labels)?;
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

    #[test]
    fn counts_the_first_class_and_its_loss() {
        let mut seen = Evaluation::default();
        let logits = HostTensor::f32(vec![2, 3], vec![0.0, 2.0, 2.0, 1.0, 1.0, 1.0]).unwrap();
        seen.add(&logits, &[1, 2]).unwrap();
        assert_eq!((seen.images, seen.correct), (2, 1));
        let want = ((1.0 + 2.0 * 2f64.exp()).ln() - 2.0) + 3f64.ln();
        assert!((seen.loss_sum - want).abs() < 1e-6, "{}", seen.loss_sum);
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
