//! Checks a pruned file against its original and its report, trusting none of them.

use crate::cutting::{TOLERANCE, agreement, agrees};
use bytes::Bytes;
use lopper_core::cut::MaskEntry;
use lopper_core::graph::Graph;
use lopper_core::onnx::{ExternalData, Model, Tensor};
use lopper_core::report::{Report, sha256};
use lopper_core::{Code, Error, Result};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Seed of the random input: another than any recipe's default.
const SEED: u64 = 0x5645_5249_4659;

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// Whether everything holds.
    pub passed: bool,
    /// Initializers compared bit for bit.
    pub initializers: usize,
    /// Largest difference divided by the largest output; none if the engine cannot run the model.
    pub max_error: Option<f64>,
    /// What `max_error` may be at most where the cut is exact.
    pub tolerance: f64,
    /// Whether the report says that the cut is exact.
    pub exact: bool,
    /// What does not hold.
    pub failures: Vec<String>,
    /// What could not be checked, and why.
    pub unchecked: Vec<String>,
}

/// Re-checks a cut: every float tensor of the pruned model is the original's without the masked slices, and the masked
/// original gives the pruned model's outputs on random input.
///
/// # Errors
/// When a file cannot be read, or the report is none or belongs to another original.
pub async fn verify_files(
    original: (Bytes, Arc<dyn ExternalData>),
    pruned: (Bytes, Arc<dyn ExternalData>),
    report: &[u8],
) -> Result<Verified> {
    let report: Report = serde_json::from_slice(report)
        .map_err(|e| Error::new(Code::BadReport, format!("this is no report of Lopper ({e})")))?;
    if report.model.sha256 != sha256(&original.0) {
        let name = &report.model.name;
        return Err(Error::new(
            Code::BadReport,
            format!("the report is about another file than this original (it was called {name:?})"),
        ));
    }
    let before = Model::read_with(original.0, &original.1)?.inlined()?;
    let after = Model::read_with(pruned.0, &pruned.1)?.inlined()?;
    let (old, new) = (Graph::new(&before)?, Graph::new(&after)?);
    let (initializers, mut failures) = compare_tensors(&old, &new, &report)?;
    let ports = |g: &Graph, ids: &[lopper_core::graph::ValueId]| -> Vec<String> {
        ids.iter().map(|&i| format!("{} {:?}", g.values[i].name, g.values[i].dtype)).collect()
    };
    if ports(&old, &old.inputs) != ports(&new, &new.inputs) || ports(&old, &old.outputs) != ports(&new, &new.outputs) {
        failures.push("the model's inputs or outputs changed".to_owned());
    }
    if new.parameter_count() as u64 != report.parameters.after {
        failures.push(format!(
            "the report counts {} parameters, the file holds {}",
            report.parameters.after,
            new.parameter_count()
        ));
    }
    let (mut max_error, mut unchecked) = (None, Vec::new());
    match agreement(&before, &after, &report.mask, SEED).await {
        Ok(seen) => {
            max_error = Some(if seen.relative.is_finite() { seen.relative } else { f64::MAX });
            if report.exact && !agrees(&seen) {
                failures.push(format!(
                    "the outputs differ by {:.1e} of the largest; {TOLERANCE:.0e} is allowed",
                    seen.relative
                ));
            }
        }
        Err(e) if e.code() == Code::Unsupported => unchecked.push(format!("the outputs: {}", e.message())),
        Err(e) if e.code().class() == lopper_core::Class::Device => return Err(e),
        Err(e) => failures.push(format!("the outputs cannot be compared: {}", e.message())),
    }
    Ok(Verified {
        passed: failures.is_empty(),
        initializers,
        max_error,
        tolerance: TOLERANCE,
        exact: report.exact,
        failures,
        unchecked,
    })
}

/// Compares every float tensor of the pruned model with the original's minus the mask.
fn compare_tensors(old: &Graph, new: &Graph, report: &Report) -> Result<(usize, Vec<String>)> {
    let mut by_name: BTreeMap<&str, Vec<&MaskEntry>> = BTreeMap::new();
    for e in &report.mask {
        by_name.entry(&e.initializer).or_default().push(e);
    }
    let rewritten: HashSet<&str> = report.rewritten.iter().map(|r| r.initializer.as_str()).collect();
    let (mut compared, mut failures) = (0, Vec::new());
    for name in by_name.keys() {
        if old.find(name).is_none_or(|v| old.values[v].tensor.is_none()) {
            failures.push(format!("the mask names {name:?}, which the original does not have"));
        }
    }
    for (_, value, tensor) in
        new.parameters().filter(|(_, v, t)| t.dtype.is_float() && !rewritten.contains(v.name.as_str()))
    {
        let Some(before) = old.find(&value.name).and_then(|v| old.values[v].tensor.as_ref()) else {
            if tensor.len() > 1 {
                failures.push(format!("tensor {:?} is neither in the original nor listed as rewritten", value.name));
            }
            continue;
        };
        compared += 1;
        let entries = by_name.get(value.name.as_str()).map(Vec::as_slice).unwrap_or_default();
        match without(before, entries)? {
            Some((dims, data)) if dims == tensor.dims && data == tensor.bytes()? => {}
            Some((dims, _)) if dims != tensor.dims => failures.push(format!(
                "tensor {:?} has shape {:?}; the original without the masked slices has {dims:?}",
                value.name, tensor.dims
            )),
            Some(_) => failures.push(format!("tensor {:?} holds other numbers than the original", value.name)),
            None => failures.push(format!("the mask of {:?} does not fit its shape {:?}", value.name, before.dims)),
        }
    }
    Ok((compared, failures))
}

/// One masked slice: positions of an axis that go, perhaps only within a range of another axis.
struct Gone {
    axis: usize,
    positions: Vec<bool>,
    within: Option<(usize, std::ops::Range<usize>)>,
}

impl Gone {
    fn of(entry: &MaskEntry, dims: &[usize]) -> Option<Self> {
        let mut positions = vec![false; *dims.get(entry.axis)?];
        for &i in &entry.indices {
            *positions.get_mut(i)? = true;
        }
        let within = match &entry.within {
            None => None,
            Some(w) => {
                let [low, high] = w.range;
                (low <= high && high <= *dims.get(w.axis)?).then_some(())?;
                Some((w.axis, low..high))
            }
        };
        Some(Self { axis: entry.axis, positions, within })
    }

    fn holds(&self, at: &[usize]) -> bool {
        let position = |axis: usize| at.get(axis).copied().unwrap_or(0);
        self.positions.get(position(self.axis)) == Some(&true)
            && self.within.as_ref().is_none_or(|(axis, range)| range.contains(&position(*axis)))
    }
}

/// A tensor without its masked slices: which elements stay is decided one by one, and what is left must be a box.
fn without(tensor: &Tensor, entries: &[&MaskEntry]) -> Result<Option<(Vec<usize>, Bytes)>> {
    let bytes = tensor.bytes()?;
    if entries.is_empty() {
        return Ok(Some((tensor.dims.clone(), bytes)));
    }
    let left = left_of(&bytes, (tensor.dtype.bits() / 8).max(1), &tensor.dims, entries);
    Ok(left.map(|(dims, data)| (dims, data.into())))
}

fn left_of(bytes: &[u8], size: usize, dims: &[usize], entries: &[&MaskEntry]) -> Option<(Vec<usize>, Vec<u8>)> {
    let gone = entries.iter().map(|e| Gone::of(e, dims)).collect::<Option<Vec<_>>>()?;
    let mut data = Vec::with_capacity(bytes.len());
    let mut seen: Vec<Vec<bool>> = dims.iter().map(|&n| vec![false; n]).collect();
    let (mut left, mut at) = (0, vec![0; dims.len()]);
    for element in bytes.chunks_exact(size) {
        if !gone.iter().any(|g| g.holds(&at)) {
            left += 1;
            data.extend_from_slice(element);
            for (seen, &i) in seen.iter_mut().zip(&at) {
                if let Some(slot) = seen.get_mut(i) {
                    *slot = true;
                }
            }
        }
        for (i, &n) in at.iter_mut().zip(dims).rev() {
            *i += 1;
            if *i < n {
                break;
            }
            *i = 0;
        }
    }
    let mut lengths: Vec<usize> = seen.iter().map(|s| s.iter().filter(|b| **b).count()).collect();
    // In blocks, positions differ from block to block and only their number counts.
    let blocked: BTreeSet<usize> = gone.iter().filter(|g| g.within.is_some()).map(|g| g.axis).collect();
    for axis in blocked {
        let others: usize = lengths.iter().enumerate().filter(|(i, _)| *i != axis).map(|(_, n)| n).product();
        if let Some(n) = lengths.get_mut(axis) {
            *n = left / others.max(1);
        }
    }
    (lengths.iter().product::<usize>() == left).then_some((lengths, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lopper_core::cut::Where;

    fn entry(axis: usize, indices: &[usize], within: Option<Where>) -> MaskEntry {
        MaskEntry { initializer: "w".into(), axis, indices: indices.to_vec(), within }
    }

    fn left(dims: &[usize], entries: &[MaskEntry]) -> Option<(Vec<usize>, Vec<f32>)> {
        let n: usize = dims.iter().product();
        let tensor = Tensor::from_f32("w", dims.to_vec(), &(0..n).map(|i| i as f32).collect::<Vec<_>>());
        let (dims, data) = without(&tensor, &entries.iter().collect::<Vec<_>>()).unwrap()?;
        let values = Tensor { dims: dims.clone(), data: data.into(), ..tensor }.to_f32().unwrap();
        Some((dims, values))
    }

    #[test]
    fn slices_go_along_axes_and_within_blocks() {
        assert_eq!(left(&[2, 3], &[]).unwrap().0, [2, 3]);
        assert_eq!(left(&[2, 3], &[entry(1, &[1], None)]).unwrap(), (vec![2, 2], vec![0.0, 2.0, 3.0, 5.0]));
        assert_eq!(left(&[2, 3], &[entry(1, &[1], None), entry(0, &[0], None)]).unwrap(), (vec![1, 2], vec![3.0, 5.0]));
        let block = |low, high| Some(Where { axis: 0, range: [low, high] });
        let jagged = [entry(1, &[0], block(0, 1)), entry(1, &[2], block(1, 2))];
        assert_eq!(left(&[2, 3], &jagged).unwrap(), (vec![2, 2], vec![1.0, 2.0, 3.0, 4.0]));
        assert_eq!(left(&[2, 3], &[entry(1, &[0], block(0, 1))]), None, "five elements are no grid");
        assert_eq!(left(&[2, 3], &[entry(1, &[3], None)]), None);
        assert_eq!(left(&[2, 3], &[entry(2, &[0], None)]), None);
    }
}
