//! What a fine-tune learns: labels, or the uncut model's answers beside them.

use crate::evaluate::{Judge, spread};
use crate::host::Host;
use crate::options::TuneOptions;
use crate::rules::{Augmentation, LossKind};
use crate::session::Session;
use crate::summary::TeacherLook;
use lopper_core::{Code, Error, Result};
use lopper_engine::data::Targets;

/// The uncut model's cross-entropy must be below this share of what guessing gets, or its answers are not worth learning.
const LEARNT: f64 = 0.8;
/// Training images that it is judged by where none are kept back.
const LOOK: usize = 500;

impl Session {
    /// What is made small. Where nothing is said, targets are learnt where there are any; otherwise the uncut model is asked once, on
    /// the validation images: if it has learnt what the labels say, its answers are learnt. Differences of all outputs stand in where it
    /// does not give scores of classes. Beside it, what the look at the uncut model showed, if there was one.
    pub(crate) async fn decide(
        &self,
        options: &TuneOptions,
        host: &impl Host,
    ) -> Result<(LossKind, Option<TeacherLook>)> {
        let targets = self.images()?.dataset.targets();
        let asked = asked_of(options.rules.loss, targets)?;
        if matches!(asked, LossKind::Segmentation | LossKind::Regression | LossKind::L1) {
            if asked == LossKind::Segmentation && options.rules.augments(Augmentation::Mixup) {
                let what = "classes of places cannot be mixed: leave mixup out of the augmentation";
                return Err(Error::new(Code::Usage, what));
            }
            return Ok((asked, None));
        }
        if asked == LossKind::CrossEntropy || (asked == LossKind::Auto && self.uncut().is_none()) {
            return Ok((LossKind::CrossEntropy, None));
        }
        if self.uncut().is_none() {
            let what = "the uncut model is not known: name it (--original on the command line)";
            return Err(Error::new(Code::Usage, what));
        }
        let graph = &self.opened()?.graph;
        let rank = match targets {
            Some(Targets::Places { dims, .. }) => 2 + dims.len(),
            _ => 2,
        };
        let scores = |id| graph.values[id].shape.as_ref().is_some_and(|s| s.len() == rank);
        let one = matches!(graph.outputs.as_slice(), [only] if scores(*only));
        if asked == LossKind::Mse || !one || matches!(targets, Some(Targets::Values { .. })) {
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

/// What is asked for, in the light of what the data hold.
fn asked_of(asked: LossKind, targets: Option<&Targets>) -> Result<LossKind> {
    let unfit = |what: &str| Err(Error::new(Code::Usage, format!("{what}, or leave the loss to the data (auto)")));
    let array = "give an npz with an array \"targets\"";
    match (asked, targets) {
        (LossKind::Auto, Some(Targets::Values { .. })) => Ok(LossKind::Regression),
        (LossKind::Auto, Some(Targets::Places { .. })) => Ok(LossKind::Segmentation),
        (LossKind::Regression | LossKind::L1, None | Some(Targets::Places { .. })) => {
            unfit(&format!("a regression needs numbers to learn: {array} of floats"))
        }
        (LossKind::Segmentation, None | Some(Targets::Values { .. })) => {
            unfit(&format!("a segmentation needs a class for each place: {array} of whole numbers"))
        }
        (LossKind::CrossEntropy, Some(_)) => {
            unfit("the images have targets instead of a class each: use regression or segmentation")
        }
        (asked, _) => Ok(asked),
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
    fn what_the_data_hold_decides_and_what_does_not_fit_is_refused() {
        use LossKind::{Auto, CrossEntropy, Distill, L1, Mse, Regression, Segmentation};
        let values = Targets::Values { dims: vec![], values: vec![0.5] };
        let places = Targets::Places { dims: vec![1, 1], classes: vec![0] };
        let of = |asked, t| asked_of(asked, t).ok();
        assert_eq!(
            [None, Some(&values), Some(&places)].map(|t| of(Auto, t)),
            [Auto, Regression, Segmentation].map(Some)
        );
        assert_eq!([None, Some(&values), Some(&places)].map(|t| of(L1, t)), [None, Some(L1), None]);
        assert_eq!([None, Some(&values), Some(&places)].map(|t| of(Segmentation, t)), [None, None, Some(Segmentation)]);
        assert_eq!([None, Some(&values)].map(|t| of(CrossEntropy, t)), [Some(CrossEntropy), None]);
        assert_eq!([Distill, Mse].map(|asked| of(asked, Some(&values))), [Some(Distill), Some(Mse)]);
    }

    #[test]
    fn a_model_that_guesses_has_nothing_to_teach() {
        let look = |loss: f64| TeacherLook { loss, guessing: 10_f64.ln() }.has_learnt();
        assert!(look(0.3) && look(1.8) && !look(1.9) && !look(2.4) && !look(f64::NAN));
    }
}
