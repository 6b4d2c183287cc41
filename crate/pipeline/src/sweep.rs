//! Many recipes on one model: which of them no other beats.

use crate::host::{Host, Progress};
use crate::options::Which;
use crate::session::{Opened, Session};
use lopper_core::recipe::Recipe;
use lopper_core::{Class, Code, Error, Result};
use serde::Serialize;

/// What a recipe brings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SweepRow {
    /// Its name; the first row is the model as it was opened.
    pub name: String,
    /// Share of right answers on the validation images.
    pub top1: f64,
    /// Multiply-accumulates of one sample.
    pub macs: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Time of one image on the device in use.
    pub milliseconds: f64,
    /// Whether no other row is at least as good in everything and better in something.
    pub pareto: bool,
    /// Why there are no numbers, if it cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Session {
    /// Follows every recipe from the opened model and judges the results by the validation images: whoever chooses a row has
    /// not seen the test images. Afterwards the session holds the model as it was, with nothing cut.
    ///
    /// # Errors
    /// When images are missing or none is for validation, the device fails, or the person cancels; a recipe that does not fit becomes a row that says so.
    pub async fn sweep(
        &mut self,
        recipes: &[(String, Recipe)],
        limit: Option<usize>,
        host: &impl Host,
    ) -> Result<Vec<SweepRow>> {
        let Opened { bytes, name, model, .. } = self.opened()?;
        let (bytes, name, model) = (bytes.clone(), name.clone(), model.clone());
        let total = recipes.len() + 1;
        let tell = |done: usize, row: &SweepRow| host.progress(&Progress::Sweep { done, total, row: row.clone() });
        let mut rows = vec![self.row("as it is", Which::Original, limit, host).await?];
        rows.iter().for_each(|row| tell(1, row));
        for (title, recipe) in recipes {
            let row = match self.follow(recipe, host).await {
                Ok(which) => self.row(title, which, limit, host).await,
                Err(e) => Err(e),
            };
            let ends = |e: &Error| e.code().class() == Class::Device || e.code() == Code::Cancelled;
            let row = match row {
                Err(e) if !ends(&e) => Ok(SweepRow { failed: Some(e.message().to_owned()), ..blank(title) }),
                other => other,
            };
            let images = self.images.take();
            self.put(bytes.clone(), &name, model.clone())?;
            self.images = images;
            let row = row?;
            tell(rows.len() + 1, &row);
            rows.push(row);
        }
        mark(&mut rows);
        Ok(rows)
    }

    async fn row(&self, name: &str, which: Which, limit: Option<usize>, host: &impl Host) -> Result<SweepRow> {
        self.control().begin();
        let seen = self.evaluated(which, &self.images()?.judges(limit)?, host).await?;
        let unranked = || Error::new(Code::BadData, "recipes are compared by right answers: give images with classes");
        let top1 = seen.top1.ok_or_else(unranked)?;
        let opened = self.opened()?;
        let (macs, bytes) = match (&opened.cut, which) {
            (Some(cut), Which::Cut | Which::Tuned) => (cut.report.macs.after, cut.report.bytes.after),
            _ => (opened.described.summary.macs, opened.size()),
        };
        Ok(SweepRow { top1, macs, bytes, milliseconds: seen.milliseconds_per_image, ..blank(name) })
    }
}

fn blank(name: &str) -> SweepRow {
    let name = name.to_owned();
    SweepRow { name, top1: 0.0, macs: 0, bytes: 0, milliseconds: 0.0, pareto: false, failed: None }
}

/// Marks the rows that none beats.
fn mark(rows: &mut [SweepRow]) {
    let numbers = |r: &SweepRow| [-r.top1, r.macs as f64, r.bytes as f64, r.milliseconds];
    let all: Vec<Option<[f64; 4]>> = rows.iter().map(|r| r.failed.is_none().then(|| numbers(r))).collect();
    let beats = |a: &[f64; 4], b: &[f64; 4]| a.iter().zip(b).all(|(x, y)| x <= y) && a != b;
    for (row, own) in rows.iter_mut().zip(&all) {
        row.pareto = own.is_some_and(|own| !all.iter().flatten().any(|other| beats(other, &own)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rows_that_none_beats_are_marked() {
        let row = |name: &str, top1, macs| SweepRow { top1, macs, bytes: macs, milliseconds: 1.0, ..blank(name) };
        let mut rows = vec![row("a", 0.9, 100), row("b", 0.8, 50), row("c", 0.7, 60), row("d", 0.9, 100)];
        rows.push(SweepRow { failed: Some("no".into()), ..blank("e") });
        mark(&mut rows);
        let marked: Vec<&str> = rows.iter().filter(|r| r.pareto).map(|r| r.name.as_str()).collect();
        assert_eq!(marked, ["a", "b", "d"]);
    }
}
