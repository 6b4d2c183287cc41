//! Branches cut to nothing. What reads a value of which nothing is left computes numbers that are known before the model
//! runs: a convolution of nothing is its bias. They are followed to where they meet what is left; a sum with zeros goes.

use super::edits::Edits;
use super::kept::Kept;
use super::slice::TensorCut;
use crate::channels::Channels;
use crate::error::{Code, Error, Result};
use crate::graph::{Constant, Dim, Elements, Graph, Node, NodeId, Shape, Table, Value, ValueId, product};
use crate::onnx::proto::ModelProto;
use crate::onnx::{DataType, Tensor};
use crate::ops;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a node's first output is where nothing is left of some inputs, or their numbers are known.
#[derive(Clone, Debug)]
pub enum Rest {
    /// Nothing that can be written.
    Unknown,
    /// These numbers, which broadcast to the output's shape.
    Numbers(Constant),
    /// An input, as it is.
    Input(usize),
    /// What the node computes if it reads known numbers in the place of what made them, and leaves out what is empty.
    Stays,
}

/// An operator's view of such a node.
#[derive(Debug)]
pub struct RestContext<'a> {
    /// The node.
    pub node: &'a Node,
    graph: &'a Graph,
    channels: &'a Channels,
    kept: &'a Kept<'a>,
    found: &'a BTreeMap<ValueId, Found>,
}

/// What is known of a value.
#[derive(Clone, Debug)]
enum Found {
    /// Nothing is left of it.
    Nothing,
    /// It holds these numbers.
    Numbers(Constant),
    /// It is another value.
    Same(ValueId),
    /// What it would hold cannot be written, because of this input of this node. It may be that nobody needs it.
    Unknown(NodeId, ValueId),
}

impl RestContext<'_> {
    /// Whether nothing is left of an input.
    pub fn is_empty(&self, input: usize) -> bool {
        self.node.input(input).is_some_and(|v| matches!(self.found.get(&v), Some(Found::Nothing)))
    }

    /// Whether an input holds numbers because of what went.
    pub fn is_known(&self, input: usize) -> bool {
        self.node.input(input).is_some_and(|v| matches!(self.found.get(&v), Some(Found::Numbers(_))))
    }

    /// The numbers of an input that are known, or those of a parameter or constant after the cut.
    pub fn numbers(&self, input: usize) -> Option<Constant> {
        let v = self.node.input(input)?;
        match self.found.get(&v) {
            Some(Found::Numbers(c)) => return Some(c.clone()),
            Some(_) => return None,
            None => {}
        }
        // Exporters hand equal parameters on by nodes.
        let value = &self.graph.values[v];
        let folded = || value.constant.as_ref()?.to_tensor(&value.name);
        let tensor = value.tensor.clone().or_else(folded).filter(|t| t.dtype.is_float())?;
        let cut = self.channels.layouts.get(&v).map(|l| TensorCut::of(l, self.kept)).transpose().ok()?.flatten();
        let left: Tensor = match cut {
            Some(cut) => {
                let dims = self.kept.shape(v).ok()??.iter().filter_map(Dim::length).collect();
                cut.apply(&tensor, dims).ok()?
            }
            None => tensor,
        };
        let elements = Elements::Floats(left.to_f32().ok()?.into_iter().map(f64::from).collect());
        Some(Constant { dtype: left.dtype, dims: left.dims, elements })
    }

    /// The shape of an input after the cut.
    pub fn shape(&self, input: usize) -> Option<Shape> {
        self.kept.shape(self.node.input(input)?).ok().flatten()
    }

    /// The shape of the output after the cut.
    pub fn output_shape(&self) -> Option<Shape> {
        self.kept.shape(self.node.output(0)?).ok().flatten()
    }

    /// Numbers of the output's type.
    pub fn made(&self, dims: Vec<usize>, numbers: Vec<f64>) -> Rest {
        let dtype = self.node.output(0).and_then(|v| self.graph.values[v].dtype).unwrap_or(DataType::Float);
        Rest::Numbers(Constant { dtype, dims, elements: Elements::Floats(numbers) })
    }

    /// Known numbers behind a node that only names and orders axes anew; see `permutes` of an operator.
    fn moved(&self, order: Option<&[usize]>) -> Rest {
        let (Some(c), Some(from), Some(to)) = (self.numbers(0), self.shape(0), self.output_shape()) else {
            return Rest::Unknown;
        };
        let mut dims = vec![1; from.len().saturating_sub(c.dims.len())];
        dims.extend(&c.dims);
        let varying: Vec<usize> = dims.iter().enumerate().filter(|(_, n)| **n > 1).map(|(axis, _)| axis).collect();
        let axis = match (varying.as_slice(), order) {
            ([], _) => return Rest::Numbers(Constant { dims: Vec::new(), ..c }),
            ([axis], Some(order)) => order.iter().position(|o| o == axis),
            ([axis], None) => {
                // The same length before as many positions is the same axis.
                let inner = product(from.iter().skip(axis + 1));
                (0..to.len()).find(|&a| to.get(a) == from.get(*axis) && product(to.iter().skip(a + 1)) == inner)
            }
            _ => None,
        };
        let Some(axis) = axis else { return Rest::Unknown };
        let mut dims = vec![1; to.len()];
        if let Some(slot) = dims.get_mut(axis) {
            *slot = c.len();
        }
        Rest::Numbers(Constant { dims, ..c })
    }
}

/// Whether all numbers are zero.
pub(crate) fn is_zero(c: &Constant) -> bool {
    c.as_floats().is_some_and(|v| v.iter().all(|x| *x == 0.0))
}

/// What is known of values where nothing is left of some.
#[derive(Debug, Default)]
pub(super) struct Emptied {
    found: BTreeMap<ValueId, Found>,
    /// Known numbers that a node reads which stays.
    read: BTreeSet<ValueId>,
}

impl Emptied {
    /// Follows what a cut leaves of emptied branches.
    ///
    /// # Errors
    /// When what they become cannot be written; the sentence names the node and what to keep.
    pub(super) fn find(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<Self> {
        let mut out = Self::default();
        for (v, value) in graph.values.iter() {
            if let (Some(old), Some(new)) = (&value.shape, kept.shape(v)?)
                && new.iter().zip(old).any(|(n, o)| *n == Dim::Known(0) && *o != Dim::Known(0))
            {
                out.found.insert(v, Found::Nothing);
            }
        }
        if out.found.is_empty() {
            return Ok(out);
        }
        let captured: HashSet<ValueId> = graph.nodes.iter().flat_map(|(_, n)| n.captures.iter().copied()).collect();
        for (id, node) in graph.nodes.iter() {
            let left = |v: &ValueId| {
                let value = &graph.values[*v];
                !out.found.contains_key(v) && (value.is_output || !value.uses.is_empty() || captured.contains(v))
            };
            let left: Vec<ValueId> = node.outputs.iter().flatten().copied().filter(left).collect();
            let touched = |v: &&ValueId| out.found.get(v).is_some_and(|f| !matches!(f, Found::Same(_)));
            let Some(&input) = node.inputs.iter().flatten().find(touched) else { continue };
            let cx = RestContext { node, graph, channels, kept, found: &out.found };
            let kept_name = left.iter().any(|v| graph.values[*v].is_output || captured.contains(v));
            let rest = if node.output(0).as_slice() == left { ask(&cx) } else { Rest::Unknown };
            let found = match rest {
                // A sum with zeros whose name is needed adds them.
                Rest::Stays | Rest::Input(_) if kept_name => None,
                Rest::Stays => None,
                Rest::Numbers(c) if !kept_name => Some(Found::Numbers(c)),
                Rest::Input(i) => node.input(i).map(|v| Found::Same(out.root(v))),
                _ => {
                    let first = node.inputs.iter().flatten().find_map(|v| match out.found.get(v) {
                        Some(&Found::Unknown(node, value)) => Some((node, value)),
                        _ => None,
                    });
                    let (node, value) = first.unwrap_or((id, input));
                    if kept_name {
                        return Err(refuse(graph, channels, kept, &graph.nodes[node], value));
                    }
                    Some(Found::Unknown(node, value))
                }
            };
            match found {
                Some(found) => out.found.extend(left.iter().map(|&v| (v, found.clone()))),
                None if left.is_empty() => {}
                None => {
                    let known = |v: &ValueId| matches!(out.found.get(v), Some(Found::Numbers(_)));
                    out.read.extend(node.inputs.iter().flatten().copied().filter(known));
                }
            }
        }
        Ok(out)
    }

    fn root(&self, v: ValueId) -> ValueId {
        match self.found.get(&v) {
            Some(Found::Same(other)) => *other,
            _ => v,
        }
    }

    /// Whether nothing that a node makes is read any more.
    pub(super) fn skips(&self, node: &Node, values: &Table<ValueId, Value>) -> bool {
        let outputs = || node.outputs.iter().flatten();
        let unread = |v: &ValueId| values[*v].uses.is_empty() && !values[*v].is_output;
        outputs().any(|v| self.found.contains_key(v)) && outputs().all(|v| self.found.contains_key(v) || unread(v))
    }

    /// Makes initializers of known numbers that are read; returns the names that readers have to read instead.
    ///
    /// # Errors
    /// When the numbers are of a type that cannot be written.
    pub(super) fn names(&self, graph: &Graph, edits: &mut Edits) -> Result<HashMap<String, String>> {
        let mut out = HashMap::new();
        for (v, found) in &self.found {
            let name = &graph.values[*v].name;
            match found {
                Found::Same(other) => {
                    out.insert(name.clone(), graph.values[*other].name.clone());
                }
                Found::Numbers(c) if self.read.contains(v) => {
                    let tensor = c.to_tensor(name).ok_or_else(|| {
                        let dtype = c.dtype.name();
                        let what =
                            format!("{name:?} would hold known numbers of type {dtype}, which cannot be written");
                        Error::new(Code::Unsupported, format!("{what}: leave a channel of what makes it"))
                    })?;
                    let why = "what a branch computes of which no channel is left";
                    out.insert(name.clone(), edits.add(graph, name, why, |name| Tensor { name, ..tensor }));
                }
                _ => {}
            }
        }
        Ok(out)
    }
}

/// Makes nodes read other names.
pub(super) fn rename(model: &mut ModelProto, names: &HashMap<String, String>) {
    let nodes = model.graph.as_option_mut().map(|g| g.node.iter_mut()).into_iter().flatten();
    for input in nodes.flat_map(|n| n.input.iter_mut()) {
        if let Some(name) = names.get(input) {
            input.clone_from(name);
        }
    }
}

fn ask(cx: &RestContext<'_>) -> Rest {
    let unknown = |v: &ValueId| matches!(cx.found.get(v), Some(Found::Unknown(..)));
    if cx.node.inputs.iter().flatten().any(unknown) {
        return Rest::Unknown;
    }
    let Some(op) = ops::lookup(cx.node) else { return Rest::Unknown };
    let rank = cx.shape(0).map_or(0, |s| s.len());
    match op.permutes(cx.node, rank) {
        Some(order) if cx.is_known(0) => cx.moved(order.as_deref()),
        _ => op.rest(cx),
    }
}

fn refuse(graph: &Graph, channels: &Channels, kept: &Kept<'_>, node: &Node, input: ValueId) -> Error {
    let table = channels.class_table();
    let gone: HashSet<u32> =
        (0..table.len() as u32).filter(|&i| kept.goes(i)).filter_map(|i| table.get(i as usize).copied()).collect();
    let groups = channels.groups.iter().filter(|g| !g.rows && g.matters());
    let emptied = groups.filter(|g| g.classes.iter().all(|c| gone.contains(c)));
    let names: Vec<String> = emptied.take(3).map(|g| format!("{:?}", g.name)).collect();
    let what = format!(
        "{}: nothing would be left of what makes its input {:?}, and what it then computes cannot be written: leave at \
         least one channel of {}",
        node.place(),
        graph.values[input].name,
        names.join(" or "),
    );
    Error::new(Code::NoTarget, what)
}

/// Whether every branch that loses all its channels can be written as what it then computes.
///
/// # Errors
/// When one cannot; the sentence names the node and what to keep.
pub fn check_emptied(graph: &Graph, channels: &Channels, kept: &Kept<'_>) -> Result<()> {
    Emptied::find(graph, channels, kept).map(drop)
}

/// Nodes of the cut model, by the first output.
pub(super) fn still_there(model: &ModelProto, graph: &Graph, node: NodeId) -> bool {
    let Some(output) = graph.nodes[node].output(0).map(|v| graph.values[v].name.as_str()) else { return false };
    let nodes = model.graph.as_option().map(|g| g.node.iter()).into_iter().flatten();
    nodes.flat_map(|n| &n.output).any(|o| o == output)
}
