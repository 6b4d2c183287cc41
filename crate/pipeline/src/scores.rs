//! Scores of filters, and what of them is measured on images.

use crate::host::{Host, Progress};
use crate::session::Session;
use lopper_core::graph::Graph;
use lopper_core::plan::{PlanOptions, Scope};
use lopper_core::recipe::ScoreOptions;
use lopper_core::score::{Criterion, Measured, Needs, Normalizer, group_scores, weight_scores};
use lopper_core::{Code, Error, Result};
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::score::{Sample, measurable, measure};
use lopper_engine::{Control, Ended};
use serde::Serialize;
use std::collections::HashSet;
use std::sync::Mutex;

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
        let samples = batches.map(|i| self.images()?.sample(&i));
        let (measured, ended) = measure(graph, &self.device, criteria, samples, async |done: usize| {
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

impl crate::images::Images {
    /// Some images as a network's input, with their classes if they have any.
    pub(crate) fn sample(&self, indices: &[u32]) -> Result<Sample> {
        Ok(self.dataset.gather(indices, &self.normalization, None)?.into())
    }
}
