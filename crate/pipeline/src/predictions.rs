//! What two models say of the same images.

use crate::evaluate::spread;
use crate::host::{Host, Progress};
use crate::images::Images;
use crate::options::Which;
use crate::session::Session;
use crate::summary::Thumbnail;
use lopper_core::{Code, Error, Result};
use lopper_engine::eval::{Answer, answers};
use lopper_engine::{Ended, Network};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Images of one batch, fewer where they are large: a batch takes about this many numbers.
const BATCH: usize = 64;
const BATCH_NUMBERS: usize = 2 << 20;
/// A confusion matrix of more classes is not taken in at a glance; the others share a row and a column.
const CLASSES: usize = 20;

/// Answers that are known already, by model, with the images that were asked about.
#[derive(Debug, Default)]
pub(crate) struct Known(BTreeMap<&'static str, (Vec<u32>, Vec<Answer>, usize)>);

impl Known {
    /// A model is not what it was.
    pub(crate) fn forget(&mut self, which: Which) {
        self.0.remove(which.name());
    }
}

/// One answer in words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Said {
    /// The class that comes first.
    pub class: String,
    /// How sure the model is, 0 to 1.
    pub confidence: f32,
    /// Whether that is the image's class, if it is known.
    pub right: Option<bool>,
}

/// An image with both answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The image.
    pub picture: Thumbnail,
    /// What the original says.
    pub before: Said,
    /// What the other model says.
    pub after: Said,
    /// Whether the answers differ.
    pub changed: bool,
}

/// How many images of each class got which answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confusion {
    /// Names of the classes; where there are too many, the last is for all others.
    pub classes: Vec<String>,
    /// Whether the last class stands for all others.
    pub others: bool,
    /// The original's answers: a row for every true class, a column for every answer.
    pub before: Vec<Vec<usize>>,
    /// The other model's.
    pub after: Vec<Vec<usize>>,
    /// What was added to each, and what was lost.
    pub difference: Vec<Vec<i64>>,
}

/// Two models on the same images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The other model.
    pub which: Which,
    /// Images that both were asked about.
    pub images: usize,
    /// Images whose answer changed.
    pub changed: usize,
    /// Of those, images that were right and are wrong now, and the other way round; where classes are known.
    pub lost_and_won: Option<[usize; 2]>,
    /// Some of the images: those whose answer changed first, what was lost before what was won, then those that lost most of
    /// their confidence.
    pub seen: Vec<Compared>,
    /// Where classes are known.
    pub confusion: Option<Confusion>,
}

impl Session {
    /// Asks the original and another model about the test images, or about `limit` of them spread evenly over all. Answers are
    /// kept: each model is asked once. At most `shown` images come with the result.
    ///
    /// # Errors
    /// When images are missing or do not fit, there is no such model, the device fails, or with [`Code::Cancelled`].
    pub async fn compare(
        &mut self,
        which: Which,
        limit: Option<usize>,
        shown: usize,
        host: &impl Host,
    ) -> Result<Comparison> {
        self.control().begin();
        let indices = spread(&self.images()?.split.test, limit);
        if indices.is_empty() {
            return Err(Error::new(Code::BadData, "there is no image to compare by: give more images"));
        }
        let total = 2 * indices.len();
        let (before, known) = self.answers(Which::Original, &indices, (0, total), host).await?;
        let (after, other) = self.answers(which, &indices, (indices.len(), total), host).await?;
        let images = self.images()?;
        let classes = known.max(other);
        if let Some(label) = images.dataset.labels().and_then(|l| l.iter().find(|&&l| l as usize >= classes)) {
            let what = format!("label {label} is beyond the {classes} classes that the model tells apart");
            return Err(Error::new(Code::DataMismatch, what));
        }
        Ok(Pair { images, indices: &indices, before: &before, after: &after }.compared(which, shown))
    }

    /// The answers of a model, and how many classes it knows.
    async fn answers(
        &mut self,
        which: Which,
        indices: &[u32],
        (from, total): (usize, usize),
        host: &impl Host,
    ) -> Result<(Vec<Answer>, usize)> {
        if let Some((_, said, classes)) = self.opened()?.answers.0.get(which.name()).filter(|k| k.0 == indices) {
            return Ok((said.clone(), *classes));
        }
        let control = self.control();
        let images = self.images()?;
        let report = |done: usize| host.progress(&Progress::Evaluate { done: from + done.min(indices.len()), total });
        report(0);
        let network = Network::load_classifier(self.model(which)?, &self.device)?;
        let numbers = images.dataset.height() * images.dataset.width() * images.dataset.channels();
        let size = self.batch().unwrap_or(BATCH.min(BATCH_NUMBERS / numbers.max(1)).max(1));
        let fixed = self.batch().is_some();
        let batches = indices.chunks(size).map(|part| {
            // A model of a fixed batch cannot take a smaller one: the last is filled up.
            let last = part.last().copied().into_iter().cycle().take(if fixed { size - part.len() } else { 0 });
            images.sample(&part.iter().copied().chain(last).collect::<Vec<u32>>())
        });
        let (mut said, classes, ended) = answers(&network, batches, async |done: usize| {
            report(done);
            let goes_on = control.pass(host).await;
            if goes_on { lopper_engine::Control::Continue } else { lopper_engine::Control::Cancel }
        })
        .await?;
        if ended != Ended::Done {
            return Err(Error::new(Code::Cancelled, "the comparison was cancelled"));
        }
        said.truncate(indices.len());
        self.opened_mut()?.answers.0.insert(which.name(), (indices.to_vec(), said.clone(), classes));
        Ok((said, classes))
    }
}

/// Answers of two models to the same images.
struct Pair<'a> {
    images: &'a Images,
    indices: &'a [u32],
    before: &'a [Answer],
    after: &'a [Answer],
}

impl Pair<'_> {
    fn rows(&self) -> impl Iterator<Item = (u32, Answer, Answer)> {
        self.indices.iter().zip(self.before).zip(self.after).map(|((&image, &before), &after)| (image, before, after))
    }

    fn compared(&self, which: Which, shown: usize) -> Comparison {
        let label = |image: u32| self.images.dataset.label(image);
        let lost = |&(image, before, after): &(u32, Answer, Answer)| {
            let right = |a: Answer| label(image) == Some(a.class);
            (right(before) && !right(after), !right(before) && right(after))
        };
        let mut rows: Vec<(u32, Answer, Answer)> = self.rows().collect();
        let place = |row: &(u32, Answer, Answer)| match (row.1.class == row.2.class, lost(row)) {
            (true, _) => 3,
            (false, (true, _)) => 0,
            (false, (_, true)) => 1,
            (false, _) => 2,
        };
        // What one is surer of now, or not sure of any more, is the more telling.
        let telling = |row: &(u32, Answer, Answer)| match row.1.class == row.2.class {
            true => row.1.confidence - row.2.confidence,
            false => row.2.confidence,
        };
        rows.sort_by(|a, b| place(a).cmp(&place(b)).then(telling(b).total_cmp(&telling(a))).then(a.0.cmp(&b.0)));
        let labelled = self.images.dataset.labels().is_some();
        let count = |of: &dyn Fn(&(u32, Answer, Answer)) -> bool| rows.iter().filter(|r| of(r)).count();
        Comparison {
            which,
            images: rows.len(),
            changed: count(&|r| r.1.class != r.2.class),
            lost_and_won: labelled.then(|| [count(&|r| lost(r).0), count(&|r| lost(r).1)]),
            seen: rows.iter().take(shown).map(|row| self.shown(row)).collect(),
            confusion: labelled.then(|| self.confusion()),
        }
    }

    fn shown(&self, &(image, before, after): &(u32, Answer, Answer)) -> Compared {
        let label = self.images.dataset.label(image);
        let said = |answer: Answer| Said {
            class: self.images.dataset.class_name(answer.class),
            confidence: answer.confidence,
            right: label.map(|l| l == answer.class),
        };
        Compared {
            picture: self.images.thumbnail(self.images.dataset.thumbnail(image)),
            before: said(before),
            after: said(after),
            changed: before.class != after.class,
        }
    }

    /// The matrices over all classes that occur, or over those with most changes and one for all others.
    fn confusion(&self) -> Confusion {
        let data = &self.images.dataset;
        let mut changes: BTreeMap<u32, usize> = BTreeMap::new();
        for (image, before, after) in self.rows() {
            let own = data.label(image).unwrap_or_default();
            for class in [own, before.class, after.class] {
                *changes.entry(class).or_default() += usize::from(before.class != after.class);
            }
        }
        let mut most: Vec<(u32, usize)> = changes.into_iter().collect();
        let others = most.len() > CLASSES;
        most.sort_by_key(|(class, changes)| (std::cmp::Reverse(*changes), *class));
        let chosen: BTreeSet<u32> = most.iter().take(if others { CLASSES - 1 } else { CLASSES }).map(|c| c.0).collect();
        let size = chosen.len() + usize::from(others);
        let place = |class: u32| chosen.iter().position(|c| *c == class).unwrap_or(chosen.len());
        let mut matrices = [vec![vec![0usize; size]; size], vec![vec![0usize; size]; size]];
        for (image, before, after) in self.rows() {
            let row = place(data.label(image).unwrap_or_default());
            for (matrix, answer) in matrices.iter_mut().zip([before, after]) {
                if let Some(cell) = matrix.get_mut(row).and_then(|r| r.get_mut(place(answer.class))) {
                    *cell += 1;
                }
            }
        }
        let [before, after] = matrices;
        let less = |(b, a): (&usize, &usize)| *a as i64 - *b as i64;
        let difference = before.iter().zip(&after).map(|(b, a)| b.iter().zip(a).map(less).collect()).collect();
        let classes = chosen.iter().map(|&c| data.class_name(c)).chain(others.then(String::new)).collect();
        Confusion { classes, others, before, after, difference }
    }
}
