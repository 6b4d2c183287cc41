//! What a fine-tune learns: labels, or the uncut model's answers beside them.

use crate::evaluate::{Judge, spread};
use crate::host::Host;
use crate::options::TuneOptions;
use crate::rules::LossKind;
use crate::session::Session;
use crate::summary::TeacherLook;
use lopper_core::{Code, Error, Result};

/// The uncut model's cross-entropy must be below this share of what guessing gets, or its answers are not worth learning.
const LEARNT: f64 = 0.8;
/// Training images that it is judged by where none are kept back.
const LOOK: usize = 500;

impl Session {
    /// What is made small. Where nothing is said, the uncut model is asked once, on the validation images: if it has learnt what the
    /// labels say, its answers are learnt. Differences of all outputs stand in where it does not give one row of scores. Beside it,
    /// what the look at the uncut model showed, if there was one.
    pub(crate) async fn decide(
        &self,
        options: &TuneOptions,
        host: &impl Host,
    ) -> Result<(LossKind, Option<TeacherLook>)> {
        let asked = options.rules.loss;
        if asked == LossKind::CrossEntropy || (asked == LossKind::Auto && self.uncut().is_none()) {
            return Ok((LossKind::CrossEntropy, None));
        }
        if self.uncut().is_none() {
            let what = "the uncut model is not known: name it (--original on the command line)";
            return Err(Error::new(Code::Usage, what));
        }
        let graph = &self.opened()?.graph;
        let scores = |id| graph.values[id].shape.as_ref().is_some_and(|s| s.len() == 2);
        let one = matches!(graph.outputs.as_slice(), [only] if scores(*only));
        if asked == LossKind::Mse || !one {
            return Ok((LossKind::Mse, None));
        }
        if asked == LossKind::Distill || self.images()?.dataset.labels().is_none() {
            return Ok((LossKind::Distill, None));
        }
        let look = self.look_at_uncut(host).await?;
        Ok((if look.has_learnt() { LossKind::Distill } else { LossKind::CrossEntropy }, Some(look)))
    }

    async fn look_at_uncut(&self, host: &impl Host) -> Result<TeacherLook> {
        let images = self.images()?;
        let uncut = self.uncut().ok_or_else(|| Error::new(Code::Usage, "the uncut model is not known"))?;
        let watched = images.watched();
        let indices = if watched.is_empty() { spread(&images.split.train, Some(LOOK)) } else { watched };
        let judge = Judge { images, device: &self.device, control: &self.control(), host };
        let (seen, _) = judge.run(uncut, &indices, |_| ()).await?;
        Ok(TeacherLook { loss: seen.loss(), guessing: (images.dataset.class_count().max(1) as f64).ln() })
    }
}

impl TeacherLook {
    /// Whether the model has learnt what the labels say.
    pub fn has_learnt(&self) -> bool {
        self.loss < LEARNT * self.guessing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_guesses_has_nothing_to_teach() {
        let look = |loss: f64| TeacherLook { loss, guessing: 10_f64.ln() }.has_learnt();
        assert!(look(0.3) && look(1.8) && !look(1.9) && !look(2.4) && !look(f64::NAN));
    }
}
