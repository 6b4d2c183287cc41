//! Scores of filters, and what of them is measured on images.

use crate::host::{Host, Progress};
use crate::session::Session;
use lopper_core::graph::Graph;
use lopper_core::plan::{PlanOptions, Scope};
use lopper_core::recipe::ScoreOptions;
use lopper_core::score::{Criterion, Measured, Needs, Normalizer, group_scores, weight_scores};
use lopper_core::{Code, Error, Result};
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::score::{Placed, Sample, measurable, measure_placed};
use lopper_engine::{Control, Ended};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Scores of every weight's filters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WeightScores {
    /// By weight, in graph order.
    pub scores: Vec<(String, Vec<f64>)>,
    /// Why a weight has none.
    pub left_out: Vec<String>,
}

/// Scores of a group's channels, as they are compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupScores {
    /// The group's name.
    pub name: String,
    /// One number a channel; small ones go first.
    pub scores: Vec<f32>,
}

impl Session {
    /// Scores of all channels of the groups that can be cut, reduced, and normalised where groups compete. Images must have
    /// been looked at before, see [`Session::score`].
    ///
    /// # Errors
    /// When the criterion needs what is missing.
    pub fn channel_scores(&self, options: &PlanOptions) -> Result<Vec<GroupScores>> {
        options.check()?;
        let opened = self.opened()?;
        let measured = opened.measured.as_ref().map_or(Measured::none(), |m| &m.1);
        // One seed decides whatever is drawn.
        let criterion = options.criterion.clone().with(None, None, Some(options.seed));
        let options = PlanOptions { criterion, ..options.clone() };
        let scoring = options.scoring(measured);
        let groups = &opened.channels.groups;
        let wanted =
            |g: usize| groups.get(g).is_some_and(|group| group.prunable() && !options.locks.contains(&group.name));
        let all = group_scores(&opened.graph, &opened.channels, wanted, &scoring, &HashSet::new())?;
        let shown = groups.iter().zip(all).enumerate().filter(|(g, _)| wanted(*g));
        Ok(shown
            .map(|(_, (group, mut own))| {
                if options.scope != Scope::Group {
                    scoring.between_groups().apply(&mut own);
                }
                GroupScores { name: group.name.clone(), scores: own.into_iter().map(|s| s as f32).collect() }
            })
            .collect())
    }

    /// Scores every filter of every convolution and linear layer. Criteria that look at images see the training images
    /// of those that are loaded, in their order; what is measured is kept for plans and cuts.
    ///
    /// # Errors
    /// When no weight has such a score, images are needed and missing or do not fit, the device fails, or with
    /// [`Code::Cancelled`].
    pub async fn score(
        &mut self,
        criterion: &Criterion,
        normalizer: Option<Normalizer>,
        options: &ScoreOptions,
        host: &impl Host,
    ) -> Result<WeightScores> {
        self.control().begin();
        let terms = measurable(criterion, &self.device);
        let measured = self.measure(&self.opened()?.graph, &terms, options, host).await?;
        let mut out = WeightScores::default();
        let mut first = None;
        for (name, scores) in weight_scores(&self.opened()?.graph, criterion, normalizer, &measured) {
            match scores {
                Ok(scores) => out.scores.push((name, scores)),
                // Not every layer has what a criterion looks at.
                Err(e) if e.code() == Code::Unsupported => {
                    out.left_out.push(e.message().to_owned());
                    first.get_or_insert(e);
                }
                Err(e) => return Err(e),
            }
        }
        let opened = self.opened_mut()?;
        opened.measured = Some((options.clone(), measured));
        opened.scored = Mutex::default();
        let none = || Error::new(Code::Unsupported, "the model holds no weight of a convolution or linear layer");
        if out.scores.is_empty() { Err(first.unwrap_or_else(none)) } else { Ok(out) }
    }

    /// What criteria see on images or are worth a device for; of a graph of the opened model, of which some may be
    /// masked.
    pub(crate) async fn measure(
        &self,
        graph: &Graph,
        criteria: &[&Criterion],
        options: &ScoreOptions,
        host: &impl Host,
    ) -> Result<Measured> {
        if options.batch == 0 {
            return Err(Error::new(Code::Usage, "a batch of 0 images cannot be scored by: give 1 or more"));
        }
        let Some(neediest) = criteria.iter().max_by_key(|c| c.needs()) else { return Ok(Measured::default()) };
        let control = self.control();
        let indices = match (&self.images, neediest.needs()) {
            (_, Needs::Weights) => Vec::new(),
            (Some(images), _) => crate::evaluate::spread(&images.split.train, options.limit),
            (None, Needs::Labels) => return Err(missing(neediest, "images with their classes")),
            (None, Needs::Images) => return Err(missing(neediest, "images")),
        };
        let fixed = graph.inputs.first().and_then(|i| graph.values[*i].shape.as_ref()?.first()?.length());
        let size = fixed.filter(|n| *n > 0).unwrap_or(options.batch);
        // A model of a fixed batch cannot take a smaller one.
        let last = if fixed.is_some() { Last::Drop } else { Last::Keep };
        let total = indices.len();
        host.progress(&Progress::Score { done: 0, total });
        let batches = Batches::new(&indices, size, Order::Listed, last);
        if let Some(images) = &self.images {
            images.resident.lock().unwrap_or_else(PoisonError::into_inner).begin(&indices, size);
        }
        let samples = batches.map(|i| self.images()?.placed(&i));
        let (measured, ended) = measure_placed(graph, &self.device, criteria, samples, async |done: usize| {
            host.progress(&Progress::Score { done, total });
            if control.pass(host).await { Control::Continue } else { Control::Cancel }
        })
        .await?;
        match ended {
            Ended::Done => Ok(measured),
            _ => Err(Error::new(Code::Cancelled, "scoring was cancelled")),
        }
    }
}

fn missing(criterion: &Criterion, what: &str) -> Error {
    Error::new(
        Code::Usage,
        format!("the criterion {criterion} needs {what}: load some first (--data on the command line)"),
    )
}

/// Bytes of images that stay where scoring has put them.
const MOST_RESIDENT: u64 = 256 << 20;

/// Batches of images that scoring has put on the device: later criteria and steps read them there.
#[derive(Debug, Default)]
pub(crate) struct Resident {
    /// Which images are looked at, and how many at once.
    of: (Vec<u32>, usize),
    kept: HashMap<Vec<u32>, Arc<Placed>>,
    bytes: u64,
    /// Batches that were made anew.
    made: usize,
}

impl Resident {
    /// Lets go of what other images or batches have left.
    fn begin(&mut self, indices: &[u32], size: usize) {
        if self.of.0 != indices || self.of.1 != size {
            *self = Self { of: (indices.to_vec(), size), made: self.made, ..Self::default() };
        }
    }
}

impl crate::images::Images {
    /// Some images for scoring, which go to the device once as long as there is room to keep them.
    fn placed(&self, indices: &[u32]) -> Result<Arc<Placed>> {
        let mut resident = self.resident.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = resident.kept.get(indices) {
            return Ok(Arc::clone(known));
        }
        let placed = Arc::new(Placed::try_from(self.sample(indices)?)?);
        resident.made += 1;
        if resident.bytes + placed.bytes() <= MOST_RESIDENT {
            resident.bytes += placed.bytes();
            resident.kept.insert(indices.to_vec(), Arc::clone(&placed));
        }
        Ok(placed)
    }

    /// Some images as a network's input, with their classes if they have any.
    pub(crate) fn sample(&self, indices: &[u32]) -> Result<Sample> {
        Ok(self.dataset.gather(indices, &self.normalization, None)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DataOptions, DeviceChoice, Source, block_on};
    use bytes::Bytes;
    use lopper_core::plan::Target;

    struct Silent;

    impl Host for Silent {
        fn seconds(&self) -> f64 {
            0.0
        }

        async fn breathe(&self, _idle: bool) {}
    }

    #[test]
    fn images_go_to_the_device_once_for_all_criteria_and_steps() {
        let mut session = Session::new();
        session.open(Bytes::from_static(include_bytes!("../assets/sample.onnx")), "sample.onnx").unwrap();
        let options = DataOptions { normalize: "none".into(), seed: 0, validation: Some(0.0), test: Some(0.0) };
        let images = Source::Archive(Bytes::from_static(include_bytes!("../tests/seeing/images.npz")));
        block_on(session.load_data("images.npz", images, &options, &Silent)).unwrap();
        let made = |s: &Session| s.images().unwrap().resident.lock().unwrap().made;
        // Gradients, gradients of single images and values; 24 images are three batches.
        let criterion = Criterion::parse("weight_taylor_abs:1,fisher_obd:1,hrank:1").unwrap();
        let eight = ScoreOptions { batch: 8, limit: None };
        let first = block_on(session.score(&criterion, None, &eight, &Silent)).unwrap();
        assert_eq!(made(&session), 3);
        let plan = PlanOptions { criterion: criterion.clone(), steps: 3, ..PlanOptions::new(Target::Ratio(0.3)) };
        block_on(session.cut(&plan, &Silent)).unwrap();
        assert_eq!(made(&session), 3);
        assert_eq!(block_on(session.score(&criterion, None, &eight, &Silent)).unwrap(), first);
        assert_eq!(made(&session), 3);
        // Other batches, and another device, are made anew.
        block_on(session.score(&criterion, None, &ScoreOptions { batch: 24, limit: None }, &Silent)).unwrap();
        assert_eq!(made(&session), 4);
        block_on(session.device(DeviceChoice::Cpu)).unwrap();
        block_on(session.score(&criterion, None, &eight, &Silent)).unwrap();
        assert_eq!(made(&session), 3, "counted from the beginning");
    }
}
