//! What an operator's rewrite rule works with.

use super::edits::{Edits, new_node, set_float, set_int, set_ints};
use super::kept::Kept;
use crate::channels::Shuffle;
use crate::error::{Code, Error, Result};
use crate::graph::{Dim, Graph, InferContext, Node, NodeId, Shape, Table, Value, ValueId};
use crate::onnx::Tensor;
use crate::onnx::proto::{ModelProto, NodeProto};

/// A rewrite rule's view of the cut at one node: the graph before, what is known of values after, and the changes.
#[derive(Debug)]
pub struct CutContext<'a> {
    pub(super) old: &'a Graph,
    pub(super) model: &'a ModelProto,
    pub(super) kept: &'a Kept<'a>,
    pub(super) new_values: &'a Table<ValueId, Value>,
    pub(super) id: NodeId,
    pub(super) renormalised: bool,
    pub(super) edits: &'a mut Edits,
}

impl<'a> CutContext<'a> {
    /// The node as it was.
    pub fn node(&self) -> &'a Node {
        &self.old.nodes[self.id]
    }

    /// Shape of an input before the cut.
    pub fn old_shape(&self, input: usize) -> Option<Shape> {
        self.node().input(input).and_then(|v| self.old.values[v].shape.clone())
    }

    /// Shape of an input after the cut.
    pub fn new_shape(&self, input: usize) -> Option<Shape> {
        self.node().input(input).and_then(|v| self.new_values[v].shape.clone())
    }

    /// Shape that an output must have after the cut.
    pub fn wanted(&self, output: usize) -> Option<Shape> {
        self.node().output(output).and_then(|v| self.kept.shape(v).ok().flatten())
    }

    /// The whole numbers that an input will hold, or those of an attribute of older operator sets.
    pub fn new_ints(&self, input: usize, attribute: &str) -> Option<Vec<Dim>> {
        self.infer_new(|i| i.ints_or_attribute(input, attribute))
    }

    /// The whole numbers that an input held.
    pub fn old_known(&self, input: usize) -> Option<Vec<i64>> {
        let v = &self.old.values[self.node().input(input)?];
        match (&v.constant, &v.tensor) {
            (Some(c), _) => c.as_known(),
            (None, Some(t)) => t.to_i64().ok(),
            _ => None,
        }
    }

    /// Asks shape inference about the node before the cut.
    pub fn infer_old<T>(&self, ask: impl FnOnce(&InferContext<'_>) -> T) -> T {
        ask(&InferContext::new(self.node(), &self.old.values))
    }

    /// Asks shape inference about the node among the values after the cut.
    pub fn infer_new<T>(&self, ask: impl FnOnce(&InferContext<'_>) -> T) -> T {
        ask(&InferContext::new(self.node(), self.new_values))
    }

    /// Whether the node's statistic is one that follows the cut.
    pub fn is_renormalised(&self) -> bool {
        self.renormalised
    }

    fn changed(&mut self) -> &mut NodeProto {
        self.edits.node(self.model, self.node().position)
    }

    /// Sets an attribute.
    pub fn set_int(&mut self, name: &str, value: i64) {
        set_int(self.changed(), name, value);
    }

    /// Sets an attribute of several whole numbers.
    pub fn set_ints(&mut self, name: &str, values: Vec<i64>) {
        set_ints(self.changed(), name, values);
    }

    /// Sets an attribute of one real number.
    pub fn set_float(&mut self, name: &str, value: f32) {
        set_float(self.changed(), name, value);
    }

    /// Whether each joint position of an input's bundle along an axis stays, row-major; `None` where nothing can go.
    pub fn kept_flags(&self, input: usize, axis: usize) -> Option<Vec<bool>> {
        let b = self.node().input(input).and_then(|v| self.kept.bundle(v, axis))?;
        Some(b.ids.iter().map(|&i| !self.kept.goes(i)).collect())
    }

    /// Takes an attribute away, if it is there.
    pub fn drop_attribute(&mut self, name: &str) {
        if self.node().has(name) {
            self.changed().attribute.retain(|a| a.name.as_deref() != Some(name));
        }
    }

    /// Takes an input away.
    pub fn drop_input(&mut self, input: usize) {
        let node = self.changed();
        node.input.truncate(input);
    }

    fn set_input(&mut self, input: usize, name: String) {
        let node = self.changed();
        while node.input.len() <= input {
            node.input.push(String::new());
        }
        if let Some(slot) = node.input.get_mut(input) {
            *slot = name;
        }
    }

    /// Makes an input (or, in older operator sets, an attribute) hold numbers that say how data are laid out. Symbolic ones
    /// are taken at run time from what the input held, since no cut changes them.
    ///
    /// # Errors
    /// When a symbolic number would have to go into an attribute.
    pub fn set_layout(&mut self, input: usize, attribute: &str, wanted: Vec<Dim>, why: &str) -> Result<()> {
        let place = self.node().place();
        let known: Vec<i64> = wanted.iter().map(|d| d.known().unwrap_or(0)).collect();
        let symbolic = wanted.iter().any(|d| d.known().is_none());
        if self.node().has(attribute) && self.node().input(input).is_none() {
            if symbolic {
                return Err(Error::new(
                    Code::Invalid,
                    format!("{place}: the {why} cannot be written for every batch size"),
                ));
            }
            set_ints(self.changed(), attribute, known);
            return Ok(());
        }
        let since = if attribute == "axes" || attribute == "split" { 13 } else { 11 };
        let uses_input = self.node().input(input).is_some() || self.node().opset >= since;
        if !uses_input {
            set_ints(self.changed(), attribute, known);
            return Ok(());
        }
        let base = self.node().name.clone();
        let numbers = self.edits.add(self.old, &base, why, |name| Tensor::from_i64(name, vec![known.len()], &known));
        if !symbolic {
            self.set_input(input, numbers);
            return Ok(());
        }
        let Some(present) = self.node().input(input).map(|v| self.old.values[v].name.clone()) else {
            return Err(Error::new(Code::Invalid, format!("{place}: the {why} is not known before the model runs")));
        };
        let mask: Vec<u8> = wanted.iter().map(|d| u8::from(d.known().is_some())).collect();
        let mask = self.edits.add(self.old, &base, why, |name| Tensor {
            name,
            dtype: crate::onnx::DataType::Bool,
            dims: vec![mask.len()],
            data: mask.into(),
        });
        let output = self.edits.name(self.old, &format!("{base}_layout"));
        let node = new_node("Where", &output, &[&mask, &numbers, &present], &output);
        self.edits.before.entry(self.node().position).or_default().push(node);
        self.set_input(input, output);
        Ok(())
    }

    /// How many of `count` equal blocks of an input's axis keep any channel.
    ///
    /// # Errors
    /// When blocks keep different numbers.
    pub fn kept_blocks(&self, input: usize, axis: usize, count: usize) -> Result<usize> {
        let Some(v) = self.node().input(input) else { return Ok(count) };
        // Rows of a joint bundle, if there are any, keep the same positions here.
        let Some(kept) = self.kept_along(v, axis).and_then(|rows| rows.into_iter().find(|r| !r.is_empty())) else {
            return Ok(count);
        };
        let length = self.old.values[v].shape.as_ref().and_then(|s| s.get(axis)).and_then(Dim::length).unwrap_or(count);
        let mut left = vec![0usize; count];
        for position in kept {
            if let Some(n) = left.get_mut(position / (length / count.max(1)).max(1)) {
                *n += 1;
            }
        }
        left.retain(|n| *n > 0);
        match left.first() {
            Some(first) if left.iter().any(|n| n != first) => Err(Error::new(
                Code::Invalid,
                format!("{}: blocks keep {left:?} channels, which differ", self.node().place()),
            )),
            _ => Ok(left.len()),
        }
    }

    /// Old positions of an axis that stay, for every row of the axes before it in a joint bundle.
    fn kept_along(&self, value: ValueId, axis: usize) -> Option<Vec<Vec<usize>>> {
        let b = self.kept.bundle(value, axis)?;
        let rank = b.rank_of(axis)?;
        let n = b.lengths.get(rank).copied().unwrap_or(1).max(1);
        let inner = b.inner(rank + 1).max(1);
        let stays = |ids: &[u32]| ids.iter().any(|i| !self.kept.goes(*i));
        let row = |ids: &[u32]| -> Vec<usize> {
            ids.chunks(inner).enumerate().filter(|(_, ids)| stays(ids)).map(|(i, _)| i).collect()
        };
        Some(b.ids.chunks(n * inner).map(row).collect())
    }

    /// Numbers that old positions of an axis have after the cut, the same for every row; those that go are left out.
    fn renumbered(&self, value: ValueId, axis: usize, at: &[usize]) -> Result<Option<Vec<i64>>> {
        let Some(rows) = self.kept_along(value, axis) else { return Ok(None) };
        let mut new = (rows.iter().filter(|r| !r.is_empty())).map(|kept| -> Vec<i64> {
            at.iter().filter_map(|p| kept.binary_search(p).ok().map(|i| i as i64)).collect()
        });
        let Some(first) = new.next() else { return Ok(None) };
        if new.any(|n| n != first) {
            return Err(Error::new(Code::Invalid, format!("{}: rows keep different positions", self.node().place())));
        }
        Ok(Some(first))
    }

    /// Bounds of a slice that takes what is left of `at`, if it can be one: `(start, end)` for step `step`.
    ///
    /// # Errors
    /// When rows of a joint bundle would need different bounds.
    pub fn kept_bounds(&self, input: usize, axis: usize, at: &[usize], step: i64) -> Result<Option<(i64, i64)>> {
        let Some(rows) = self.node().input(input).and_then(|v| self.kept_along(v, axis)) else { return Ok(None) };
        let mut bounds: Option<Option<(i64, i64)>> = None;
        for kept in rows.iter().filter(|r| !r.is_empty()) {
            let new: Vec<i64> = at.iter().filter_map(|p| kept.binary_search(p).ok().map(|i| i as i64)).collect();
            let regular = new.iter().zip(new.iter().skip(1)).all(|(a, b)| b - a == step);
            let own = match (new.first(), new.last()) {
                (Some(&first), Some(&last)) if regular => {
                    let end = last + step.signum();
                    // A descending slice down to position 0 has no end that is a position.
                    Some((first, if end < 0 { i64::from(i32::MIN) } else { end }))
                }
                (None, _) => Some((0, 0)),
                _ => None,
            };
            match bounds {
                None => bounds = Some(own),
                Some(b) if b == own => {}
                Some(_) => {
                    return Err(Error::new(
                        Code::Invalid,
                        format!("{}: rows would need different bounds", self.node().place()),
                    ));
                }
            }
        }
        Ok(bounds.flatten())
    }

    /// Turns the node into a Gather along one axis.
    fn become_gather(&mut self, data: ValueId, axis: usize, positions: &[i64], why: &str) {
        let base = self.node().name.clone();
        let index =
            self.edits.add(self.old, &base, why, |name| Tensor::from_i64(name, vec![positions.len()], positions));
        let data = self.old.values[data].name.clone();
        let node = self.changed();
        node.op_type = Some("Gather".to_owned());
        node.input = vec![data, index];
        node.attribute.clear();
        set_int(node, "axis", axis as i64);
    }

    /// Puts a Gather of what is left of `at` before an input.
    ///
    /// # Errors
    /// When rows of a joint bundle keep different positions.
    pub fn gather_before(&mut self, input: usize, axis: usize, at: &[usize]) -> Result<()> {
        let Some(value) = self.node().input(input) else { return Ok(()) };
        let new = self.renumbered(value, axis, at)?.unwrap_or_default();
        let base = self.node().name.clone();
        let index = self
            .edits
            .add(self.old, &base, "positions of a slice", |name| Tensor::from_i64(name, vec![new.len()], &new));
        let old = self.old.values[value].name.clone();
        let data = self.changed().input.get(input).cloned().unwrap_or(old);
        let output = self.edits.name(self.old, &format!("{base}_picked"));
        let mut node = new_node("Gather", &output, &[&data, &index], &output);
        set_int(&mut node, "axis", axis as i64);
        self.edits.before.entry(self.node().position).or_default().push(node);
        self.set_input(input, output);
        Ok(())
    }

    /// Turns a node that slices one axis into a Gather of what is left of `at`.
    ///
    /// # Errors
    /// When rows of a joint bundle keep different positions.
    pub fn gather_instead(&mut self, input: usize, axis: usize, at: &[usize]) -> Result<()> {
        let Some(data) = self.node().input(input) else { return Ok(()) };
        let new = self.renumbered(data, axis, at)?.unwrap_or_default();
        self.become_gather(data, axis, &new, "positions of a slice");
        Ok(())
    }

    /// Turns the last node of a shuffle into one Gather from what went into its first; into nothing where it moves nothing,
    /// and into a Transpose where it only moves axes.
    pub(super) fn gather_shuffled(&mut self, shuffle: &Shuffle) -> Result<()> {
        if let Some(perm) = &shuffle.perm {
            let data = self.old.values[shuffle.input].name.clone();
            let node = self.changed();
            node.op_type = Some("Transpose".to_owned());
            node.input = vec![data];
            node.attribute.clear();
            set_ints(node, "perm", perm.iter().map(|&p| p as i64).collect());
            return Ok(());
        }
        if shuffle.order.iter().enumerate().all(|(i, o)| i == *o) {
            let data = self.old.values[shuffle.input].name.clone();
            let node = self.changed();
            node.op_type = Some("Identity".to_owned());
            node.input = vec![data];
            node.attribute.clear();
            return Ok(());
        }
        if let Some(new) = self.renumbered(shuffle.input, shuffle.axis, &shuffle.order)? {
            self.become_gather(shuffle.input, shuffle.axis, &new, "order of a channel shuffle");
            return Ok(());
        }
        // The axis itself stays; others were cut.
        let order: Vec<i64> = shuffle.order.iter().map(|&i| i as i64).collect();
        self.become_gather(shuffle.input, shuffle.axis, &order, "order of a channel shuffle");
        Ok(())
    }

    /// Gives constant indices of a Gather the numbers that positions have after the cut.
    ///
    /// # Errors
    /// When rows of a joint bundle keep different positions, or what is left does not fill the wanted shape.
    pub fn renumber(&mut self, input: usize, axis: usize, at: &[usize]) -> Result<()> {
        let Some(data) = self.node().input(0) else { return Ok(()) };
        let Some(new) = self.renumbered(data, axis, at)? else { return Ok(()) };
        let rank = self.old_shape(input).map_or(1, |s| s.len());
        let dims: Vec<usize> = match (rank, self.wanted(0)) {
            (0, _) => Vec::new(),
            (1, _) | (_, None) => vec![new.len()],
            (_, Some(want)) => want.iter().skip(axis).take(rank).filter_map(Dim::length).collect(),
        };
        if dims.iter().product::<usize>() != new.len() {
            return Err(Error::new(
                Code::Invalid,
                format!("{}: {} indices are left, which do not fill {dims:?}", self.node().place(), new.len()),
            ));
        }
        let base = self.node().name.clone();
        let name = self.edits.add(self.old, &base, "indices of a gather", |name| Tensor::from_i64(name, dims, &new));
        self.set_input(input, name);
        Ok(())
    }

    /// Pads before and after an axis that are left of `(before, after)`.
    ///
    /// # Errors
    /// Never at present; a joint bundle is not padded.
    pub fn kept_pads(&self, axis: usize, before: i64, after: i64) -> Result<(i64, i64)> {
        let Some(b) = self.node().output(0).and_then(|v| self.kept.bundle(v, axis)) else { return Ok((before, after)) };
        if before < 0 || after < 0 {
            let gone = |range: std::ops::Range<usize>| {
                let ids = self
                    .node()
                    .input(0)
                    .and_then(|v| self.kept.bundle(v, axis))
                    .map(|b| b.ids.clone())
                    .unwrap_or_default();
                ids.get(range).map_or(0, |s| s.iter().filter(|i| self.kept.goes(**i)).count() as i64)
            };
            let n = self.node().input(0).and_then(|v| self.kept.bundle(v, axis)).map_or(0, |b| b.ids.len());
            let (front, back) = (before.unsigned_abs() as usize, after.unsigned_abs() as usize);
            return Ok((before + gone(0..front), after + gone(n.saturating_sub(back)..n)));
        }
        let n = b.ids.len();
        let stay = |ids: &[u32]| ids.iter().filter(|i| !self.kept.goes(**i)).count() as i64;
        let front = b.ids.get(..before as usize).map_or(0, stay);
        let back = b.ids.get(n.saturating_sub(after as usize)..).map_or(0, stay);
        Ok((front, back))
    }

    /// Multiplies the output by a number, so that a mean over fewer positions keeps its old divisor.
    ///
    /// # Errors
    /// When the node has no output.
    pub fn scale_output(&mut self, factor: f32) -> Result<()> {
        let Some(output) = self.node().output(0).map(|v| self.old.values[v].name.clone()) else {
            return Err(Error::new(Code::BadNode, format!("{}: no output", self.node().place())));
        };
        let base = self.node().name.clone();
        let number =
            self.edits.add(self.old, &base, "divisor of a mean", |name| Tensor::from_f32(name, vec![], &[factor]));
        let mean = self.edits.name(self.old, &format!("{output}_mean"));
        if let Some(slot) = self.changed().output.first_mut() {
            *slot = mean.clone();
        }
        let name = self.edits.name(self.old, &format!("{base}_scale"));
        let scale = new_node("Mul", &name, &[&mean, &number], &output);
        self.edits.after.entry(self.node().position).or_default().push(scale);
        Ok(())
    }
}
