//! The cut itself: slice parameters, rewrite nodes in topological order, drop what is dead, validate.

use super::context::CutContext;
use super::edits::Edits;
use super::emptied::{Emptied, rename, still_there};
use super::kept::Kept;
use super::mask::{MaskEntry, entries_of, tensor_cuts};
use crate::channels::{Channels, Shuffles};
use crate::error::{Code, Error, Result};
use crate::graph::{Constant, Dim, Elements, Graph, InferContext, Node, NodeId, Table, Value, ValueId};
use crate::hash::{Map, Set, map};
use crate::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::{GraphProto, TensorProto, ValueInfoProto};
use crate::onnx::{Data, Model, Tensor, set_data};
use crate::ops;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// A cut model and what was done.
#[derive(Debug)]
pub struct Cut {
    /// The smaller model.
    pub model: Model,
    /// Its graph, as the validator built it.
    pub graph: Graph,
    /// What to zero in the original to get the same outputs.
    pub mask: Vec<MaskEntry>,
    /// Nodes whose statistics ran over channels that went.
    pub renormalised: Vec<String>,
    /// Initializers whose values changed beyond losing slices, and why.
    pub rewritten: Vec<(String, String)>,
}

/// Cuts the classes `removed` out of a model.
///
/// # Errors
/// When the classes cannot go together, or the result is not structurally valid.
pub fn cut(model: &Model, graph: &Graph, channels: &Channels, removed: impl IntoIterator<Item = u32>) -> Result<Cut> {
    let kept = Kept::new(graph, channels, removed);
    let renormalised: HashSet<NodeId> =
        channels.renormalised.iter().filter(|(_, ids)| ids.iter().any(|&i| kept.goes(i))).map(|(n, _)| *n).collect();
    let mut out = model.clone();
    let mut values: Table<ValueId, Value> = graph.values.iter().map(|(_, v)| v.alone()).collect();
    let (mut slices, mut changed) = (Vec::new(), vec![false; graph.values.len()]);
    let mut mask = Vec::new();
    for (id, cut) in tensor_cuts(graph, channels, &kept)? {
        mask.extend(entries_of(&graph.values[id], &cut));
        if let Some(tensor) = &graph.values[id].tensor {
            let left = kept.shape(id)?.unwrap_or_default();
            let smaller = cut.apply(tensor, left.iter().filter_map(Dim::length).collect())?;
            let v = &mut values[id];
            v.shape = Some(smaller.dims.iter().map(|&d| Dim::from(d)).collect());
            v.constant = Constant::of(&smaller);
            slices.push(smaller.clone());
            v.tensor = Some(smaller);
            mark(&mut changed, id);
        }
    }
    out.replace_tensors(slices);
    let emptied = Emptied::find(graph, channels, &kept)?;
    let mut edits = rewrite(graph, &out, &kept, (&mut values, changed), &renormalised, &channels.shuffles, &emptied)?;
    let names = emptied.names(graph, &mut edits)?;
    let rewritten = edits.rewritten.clone();
    edits.apply(&mut out.proto);
    rename(&mut out.proto, &names);
    drop_dead(&mut out, graph);
    out.forget_unread();
    update_infos(&mut out, graph, &kept)?;
    let new_graph = validate(&out, graph, &kept)?;
    let there = renormalised.iter().filter(|n| still_there(&out.proto, graph, **n));
    let mut names: Vec<(NodeId, String)> = there.map(|&n| (n, graph.nodes[n].name.clone())).collect();
    names.sort();
    Ok(Cut { mask, model: out, graph: new_graph, renormalised: names.into_iter().map(|n| n.1).collect(), rewritten })
}

fn mark(changed: &mut [bool], value: ValueId) {
    if let Some(slot) = changed.get_mut(usize::from(value)) {
        *slot = true;
    }
}

/// Marks a value that is not what it was.
fn note(graph: &Graph, values: &Table<ValueId, Value>, value: ValueId, changed: &mut [bool]) {
    let (new, old) = (&values[value], &graph.values[value]);
    if new.shape != old.shape || new.constant != old.constant {
        mark(changed, value);
    }
}

/// Asks every node that a change reaches to rewrite itself. `changed` says which of the values are not what they were.
fn rewrite(
    graph: &Graph,
    model: &Model,
    kept: &Kept<'_>,
    (values, mut changed): (&mut Table<ValueId, Value>, Vec<bool>),
    renormalised: &HashSet<NodeId>,
    shuffles: &Shuffles,
    emptied: &Emptied,
) -> Result<Edits> {
    let mut edits = Edits::default();
    for (id, node) in graph.nodes.iter() {
        if emptied.skips(node, &graph.values) {
            forget(node, graph, kept, (values, &mut changed))?;
            continue;
        }
        let is_changed = |v: &ValueId| changed.get(usize::from(*v)) == Some(&true);
        let reached =
            node.inputs.iter().flatten().any(is_changed) || node.outputs.iter().flatten().any(|v| kept.reaches(*v));
        let Some(op) = ops::lookup(node).filter(|_| reached && !shuffles.inner.contains(&id)) else { continue };
        let mut cx = CutContext {
            old: graph,
            model: &model.proto,
            kept,
            new_values: values,
            id,
            renormalised: renormalised.contains(&id),
            edits: &mut edits,
        };
        match shuffles.by_last.get(&id) {
            Some(shuffle) if kept.reaches(shuffle.input) => {
                cx.gather_shuffled(shuffle)?;
            }
            Some(_) => {}
            None => op.rewrite(&mut cx)?,
        }
        let edited = edits.nodes.contains_key(&node.position);
        let facts = if edited { Vec::new() } else { op.infer(&InferContext::new(node, values))? };
        let mut facts = facts.into_iter();
        for output in &node.outputs {
            let fact = facts.next().unwrap_or_default();
            let Some(output) = *output else { continue };
            if values[output].tensor.is_some() {
                continue;
            }
            let want = kept.shape(output)?;
            if let (Some(got), Some(want), false) = (&fact.shape, &want, edited)
                && got != want
            {
                return Err(Error::new(
                    Code::Invalid,
                    format!("{}: its output would have shape {got:?} instead of {want:?}", node.place()),
                ));
            }
            let frozen = freeze(graph, output, fact.constant.as_ref(), &mut edits, model, node.position);
            values[output].shape = want;
            values[output].constant = if frozen { graph.values[output].constant.clone() } else { fact.constant };
            note(graph, values, output, &mut changed);
        }
    }
    Ok(edits)
}

/// What a node makes is not computed any more.
fn forget(
    node: &Node,
    graph: &Graph,
    kept: &Kept<'_>,
    (values, changed): (&mut Table<ValueId, Value>, &mut [bool]),
) -> Result<()> {
    for &output in node.outputs.iter().flatten() {
        values[output].shape = kept.shape(output)?;
        values[output].constant = None;
        note(graph, values, output, changed);
    }
    Ok(())
}

/// Real numbers computed from sizes are part of the function (an attention scale): they keep their old value.
fn freeze(
    graph: &Graph,
    output: ValueId,
    now: Option<&Constant>,
    edits: &mut Edits,
    model: &Model,
    position: usize,
) -> bool {
    let (Some(now), Some(before)) = (now, graph.values[output].constant.as_ref()) else { return false };
    let (Elements::Floats(_), Elements::Floats(old)) = (&now.elements, &before.elements) else { return false };
    if now == before
        || now.dims != before.dims
        || graph.values[output].is_output
        || before.dtype != crate::onnx::DataType::Float
    {
        return false;
    }
    let name = graph.values[output].name.clone();
    let numbers: Vec<f32> = old.iter().map(|&v| v as f32).collect();
    edits
        .rewritten
        .push((name.clone(), "a number computed from a size that the cut changes keeps its old value".to_owned()));
    edits.push(Tensor::from_f32(name.clone(), before.dims.clone(), &numbers));
    let spare = edits.name(graph, &name);
    for slot in edits.node(&model.proto, position).output.iter_mut().filter(|o| **o == name) {
        slot.clone_from(&spare);
    }
    true
}

impl Model {
    /// Puts tensors in the places of those of the same names (initializers or Constant nodes), in one pass.
    pub(crate) fn replace_tensors(&mut self, tensors: impl IntoIterator<Item = Tensor>) {
        let mut tensors: Map<String, Tensor> = tensors.into_iter().map(|t| (t.name.clone(), t)).collect();
        let Some(graph) = self.proto.graph.as_option_mut() else { return };
        for slot in &mut graph.initializer {
            if let Some(tensor) = slot.name.as_ref().and_then(|name| tensors.remove(name)) {
                put(slot, tensor, &mut self.external);
            }
        }
        for node in &mut graph.node {
            let Some(name) = node.output.first().filter(|name| tensors.contains_key(*name)) else { continue };
            if let Some(slot) = node.attribute.iter_mut().find_map(|a| a.t.as_option_mut())
                && let Some(tensor) = tensors.remove(name)
            {
                put(slot, tensor, &mut self.external);
            }
        }
    }
}

fn put(slot: &mut TensorProto, tensor: Tensor, external: &mut HashMap<String, Data>) {
    slot.dims = tensor.dims.iter().map(|&d| d as i64).collect();
    set_data(slot, &tensor.name, tensor.data, external);
    slot.float_data.clear();
    slot.int32_data.clear();
    slot.int64_data.clear();
    slot.double_data.clear();
    slot.uint64_data.clear();
}

/// Drops nodes that nothing reads any more, and initializers that were read before and are not now.
fn drop_dead(model: &mut Model, old: &Graph) {
    let Some(graph) = model.proto.graph.as_option_mut() else { return };
    let was_read =
        |name: &str| old.find(name).map(|v| &old.values[v]).is_some_and(|v| !v.uses.is_empty() || v.is_output);
    let (mut nodes, read) = alive(graph, |name| !was_read(name) && old.find(name).is_some());
    let name_of = |t: &TensorProto| t.name.clone().unwrap_or_default();
    let tensors: Vec<bool> =
        graph.initializer.iter().map(|t| read.contains(name_of(t).as_str()) || !was_read(&name_of(t))).collect();
    let left: Set<&str> = (graph.initializer.iter().zip(&tensors))
        .filter_map(|(t, stays)| t.name.as_deref().filter(|_| *stays))
        .collect();
    let inputs: Vec<bool> = (graph.input.iter().map(|i| i.name.as_deref().unwrap_or_default()))
        .map(|name| left.contains(name) || old.find(name).is_none_or(|v| old.inputs.contains(&v)))
        .collect();
    let (mut tensors, mut inputs) = (tensors.into_iter(), inputs.into_iter());
    graph.node.retain(|_| nodes.next().unwrap_or(true));
    graph.initializer.retain(|_| tensors.next().unwrap_or(true));
    graph.input.retain(|_| inputs.next().unwrap_or(true));
}

/// Which nodes are needed for the outputs or were `unread` before, and all names that these read.
fn alive(graph: &GraphProto, unread: impl Fn(&str) -> bool) -> (std::vec::IntoIter<bool>, Set<Cow<'_, str>>) {
    let mut read: Set<Cow<'_, str>> =
        graph.output.iter().filter_map(|o| o.name.as_deref()).map(Cow::Borrowed).collect();
    let mut makers: Map<&str, usize> = map(graph.node.len());
    makers.extend((graph.node.iter().enumerate()).flat_map(|(i, n)| n.output.iter().map(move |o| (o.as_str(), i))));
    let mut left: Vec<usize> = (graph.node.iter().enumerate())
        .filter(|(_, n)| n.output.iter().all(|o| unread(o)) || n.output.iter().any(|o| read.contains(o.as_str())))
        .map(|(i, _)| i)
        .collect();
    let mut keep = vec![false; graph.node.len()];
    // From readers to producers, whatever order the file has them in.
    while let Some(i) = left.pop() {
        let Some((slot, node)) = keep.get_mut(i).filter(|k| !**k).zip(graph.node.get(i)) else { continue };
        *slot = true;
        let bodies =
            node.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs)).flat_map(all_names);
        for name in node.input.iter().map(|n| Cow::Borrowed(n.as_str())).chain(bodies.map(Cow::Owned)) {
            left.extend(makers.get(name.as_ref()));
            read.insert(name);
        }
    }
    (keep.into_iter(), read)
}

fn all_names(body: &GraphProto) -> Vec<String> {
    let mut out: Vec<String> = body.node.iter().flat_map(|n| n.input.iter().cloned()).collect();
    out.extend(body.output.iter().filter_map(|o| o.name.clone()));
    out.extend(
        body.node
            .iter()
            .flat_map(|n| &n.attribute)
            .flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs))
            .flat_map(all_names),
    );
    out
}

/// Declared shapes of inner values and of initializers among the inputs follow the cut.
fn update_infos(model: &mut Model, old: &Graph, kept: &Kept<'_>) -> Result<()> {
    let Some(graph) = model.proto.graph.as_option_mut() else { return Ok(()) };
    let names: Set<&str> = (graph.node.iter().flat_map(|n| n.output.iter().map(String::as_str)))
        .chain(graph.initializer.iter().filter_map(|t| t.name.as_deref()))
        .chain(graph.input.iter().filter_map(|i| i.name.as_deref()))
        .filter(|_| !graph.value_info.is_empty())
        .collect();
    let stay: Vec<bool> =
        graph.value_info.iter().map(|i| i.name.as_deref().is_some_and(|n| names.contains(n))).collect();
    let mut stay = stay.into_iter();
    graph.value_info.retain(|_| stay.next().unwrap_or(true));
    for info in graph.value_info.iter_mut().chain(graph.input.iter_mut()) {
        update_info(info, old, kept)?;
    }
    Ok(())
}

fn update_info(info: &mut ValueInfoProto, old: &Graph, kept: &Kept<'_>) -> Result<()> {
    let Some(id) = info.name.as_deref().and_then(|n| old.find(n)) else { return Ok(()) };
    let (Some(before), Some(after)) = (&old.values[id].shape, kept.shape(id)?) else { return Ok(()) };
    if *before == after {
        return Ok(());
    }
    let shape =
        info.r#type.as_option_mut().and_then(|t| t.tensor_type.as_option_mut()).and_then(|t| t.shape.as_option_mut());
    for ((dim, b), a) in shape.map(|s| s.dim.iter_mut()).into_iter().flatten().zip(before).zip(&after) {
        if let (Some(n), true) = (a.known(), a != b) {
            dim.value = Some(DimValue::DimValue(n));
        }
    }
    Ok(())
}

/// Builds the cut model's graph anew and compares every value's shape with what the plan leaves.
fn validate(model: &Model, old: &Graph, kept: &Kept<'_>) -> Result<Graph> {
    let graph = Graph::new(model).map_err(|e| Error::new(Code::Invalid, format!("the cut model is not valid: {e}")))?;
    for (_, v) in graph.values.iter() {
        let Some(before) = old.find(&v.name) else { continue };
        if let (Some(got), Some(want)) = (&v.shape, kept.shape(before)?)
            && got.iter().zip(&want).any(|(g, w)| matches!((g.known(), w.known()), (Some(g), Some(w)) if g != w))
        {
            return Err(Error::new(
                Code::Invalid,
                format!("value {:?} has shape {got:?} instead of {want:?} after the cut", v.name),
            ));
        }
    }
    Ok(graph)
}
