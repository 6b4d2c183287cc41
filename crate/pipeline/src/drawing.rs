//! The graph as a page draws it: nodes, what flows between them, and which groups stand where.

use crate::session::Session;
use lopper_core::Result;
use lopper_core::channels::Role;
use lopper_core::graph::{Graph, Node, Origin, ValueId};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A node, or an input or output of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrawnNode {
    /// Its name.
    pub name: String,
    /// Its operator; `Input` or `Output` for those of the model.
    pub op: String,
    /// The parameter with most numbers that it reads, if it reads any.
    pub parameter: Option<String>,
    /// Groups that stand in its parameters, by their place in [`crate::OpenedModel::groups`], with what their channels are there.
    pub members: Vec<(usize, Role)>,
}

/// What flows between nodes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DrawnValue {
    /// Its name.
    pub name: String,
    /// Lengths of its axes, or nothing where they are not known.
    pub shape: Option<Vec<String>>,
    /// Groups whose channels stand in it.
    pub groups: Vec<usize>,
}

/// A graph, nodes in topological order between the model's inputs and its outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drawing {
    /// Inputs, nodes, outputs.
    pub nodes: Vec<DrawnNode>,
    /// Values that some node reads, or that the model gives.
    pub values: Vec<DrawnValue>,
    /// From node, to node, value: places in the lists above.
    pub edges: Vec<[usize; 3]>,
}

impl Session {
    /// The opened model's graph.
    ///
    /// # Errors
    /// When no model is open.
    pub fn drawing(&self) -> Result<Drawing> {
        let opened = self.opened()?;
        let (graph, channels) = (&opened.graph, &opened.channels);
        let shown: Vec<_> = channels.groups.iter().filter(|g| g.matters()).collect();
        let mut members: BTreeMap<usize, BTreeSet<(usize, Role)>> = BTreeMap::new();
        let mut of_class: HashMap<u32, usize> = HashMap::new();
        for (index, group) in shown.iter().enumerate() {
            of_class.extend(group.classes.iter().map(|c| (*c, index)));
            for site in &group.sites {
                for (node, _) in &graph.values[site.value].uses {
                    members.entry((*node).into()).or_default().insert((index, site.role));
                }
            }
        }
        let groups_of = |value: ValueId| -> Vec<usize> {
            let bundles = channels.layouts.get(&value).into_iter().flat_map(|l| &l.bundles);
            let ids = bundles.flat_map(|b| b.ids.iter());
            let classes = ids.filter_map(|&id| channels.class_table().get(id as usize));
            let found: BTreeSet<usize> = classes.filter_map(|c| of_class.get(c).copied()).collect();
            found.into_iter().collect()
        };
        let mut out = Drawing { nodes: Vec::new(), values: Vec::new(), edges: Vec::new() };
        let ends = |value: ValueId, op: &str| DrawnNode {
            name: graph.values[value].name.clone(),
            op: op.to_owned(),
            parameter: None,
            members: Vec::new(),
        };
        out.nodes.extend(graph.inputs.iter().map(|&v| ends(v, "Input")));
        let first = out.nodes.len();
        for (at, (_, node)) in graph.nodes.iter().enumerate() {
            let own = members.remove(&at).unwrap_or_default().into_iter().collect();
            let (name, op) = (node.name.clone(), node.op_type.clone());
            out.nodes.push(DrawnNode { name, op, parameter: parameter(graph, node), members: own });
        }
        let last = out.nodes.len();
        out.nodes.extend(graph.outputs.iter().map(|&v| ends(v, "Output")));
        for (id, value) in graph.values.iter() {
            let from = match value.origin {
                Origin::Input => graph.inputs.iter().position(|v| *v == id),
                Origin::Node(node, _) => Some(first + usize::from(node)),
                Origin::Initializer(_) => None,
            };
            let Some(from) = from.filter(|_| drawn(graph, id)) else { continue };
            let mut to: Vec<usize> = value.uses.iter().map(|(node, _)| first + usize::from(*node)).collect();
            to.extend(graph.outputs.iter().enumerate().filter(|(_, v)| **v == id).map(|(k, _)| last + k));
            to.dedup();
            out.edges.extend(to.into_iter().map(|to| [from, to, out.values.len()]));
            let shape = value.shape.as_ref().map(|s| s.iter().map(ToString::to_string).collect());
            out.values.push(DrawnValue { name: value.name.clone(), shape, groups: groups_of(id) });
        }
        Ok(out)
    }
}

/// Whether a value is on the drawing: some node makes it or it is given, and somebody reads it.
pub(crate) fn drawn(graph: &Graph, id: ValueId) -> bool {
    let value = &graph.values[id];
    let made = match value.origin {
        Origin::Input => graph.inputs.contains(&id),
        Origin::Node(..) => true,
        Origin::Initializer(_) => false,
    };
    made && (!value.uses.is_empty() || graph.outputs.contains(&id))
}

/// The name of the parameter with most numbers.
fn parameter(graph: &Graph, node: &Node) -> Option<String> {
    let stored = node.inputs.iter().flatten().map(|v| &graph.values[*v]);
    let sizes = stored.filter_map(|v| v.tensor.as_ref().map(|t| (t.len(), &v.name)));
    sizes.max_by_key(|s| s.0).map(|s| s.1.clone())
}
