//! From the wire message to a [`Graph`] in topological order.

use super::infer::checked;
use super::{Constant, Dim, Graph, Node, NodeId, Origin, Shape, Table, Value, ValueId};
use crate::error::{Code, Error, Result};
use crate::hash::{Map, map, set};
use crate::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::{GraphProto, NodeProto, TypeProto};
use crate::onnx::{DataType, Model, Tensor};
use std::collections::{HashMap, HashSet};

/// Operator sets before 7 broadcast differently and are refused.
const OLDEST_OPSET: i64 = 7;

impl Graph {
    /// Builds the graph of a model and infers shapes and constants.
    ///
    /// # Errors
    /// When names dangle or clash, nodes form a circle, the operator set is missing or too old, or shapes do not fit.
    pub fn new(model: &Model) -> Result<Self> {
        let opset = model.opset().ok_or_else(|| {
            Error::new(Code::NoOpset, "the model does not say which version of the standard operators it uses")
        })?;
        if opset < OLDEST_OPSET {
            return Err(Error::new(
                Code::OldOpset,
                format!(
                    "the model uses operator set {opset}; {OLDEST_OPSET} is the oldest supported: convert it with onnx.version_converter"
                ),
            ));
        }
        if model.graph().node.is_empty() {
            return Err(Error::new(Code::NoGraph, "the graph holds no nodes"));
        }
        let mut graph = Self {
            opset,
            nodes: Table::new(),
            values: Table::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            by_name: map(model.graph().initializer.len() + model.graph().node.len()),
        };
        graph.add_sources(model)?;
        graph.add_nodes(model)?;
        for o in &model.graph().output {
            let id = graph.require(o.name.as_deref().unwrap_or_default()).map_err(|e| e.at("graph output"))?;
            graph.values[id].is_output = true;
            graph.outputs.push(id);
        }
        graph.infer(model)?;
        Ok(graph)
    }

    fn add_value(&mut self, name: &str, origin: Origin) -> Result<ValueId> {
        if self.by_name.contains_key(name) {
            return Err(Error::new(Code::DuplicateName, format!("the name {name:?} is defined twice")));
        }
        let id = self.values.push(Value {
            name: name.to_owned(),
            origin,
            dtype: None,
            shape: None,
            constant: None,
            tensor: None,
            uses: Vec::new(),
            is_output: false,
        });
        self.by_name.insert(name.to_owned(), id);
        Ok(id)
    }

    fn set_tensor(&mut self, id: ValueId, tensor: Tensor) {
        let value = &mut self.values[id];
        value.dtype = Some(tensor.dtype);
        value.shape = Some(tensor.dims.iter().map(|&d| Dim::from(d)).collect());
        value.constant = Constant::of(&tensor);
        value.tensor = Some(tensor);
    }

    fn add_sources(&mut self, model: &Model) -> Result<()> {
        for (i, t) in model.graph().initializer.iter().enumerate() {
            let tensor = model.tensor(t)?;
            let id = self.add_value(&tensor.name.clone(), Origin::Initializer(i))?;
            self.set_tensor(id, tensor);
        }
        for t in &model.graph().sparse_initializer {
            let name = t.values.as_option().and_then(|v| v.name.as_deref()).unwrap_or_default();
            let id = self.add_value(name, Origin::Input)?;
            self.values[id].shape = checked(Some(t.dims.iter().map(|&d| Dim::Known(d)).collect()), name)?;
        }
        let mut seen = set(model.graph().input.len());
        for input in &model.graph().input {
            let name = input.name.as_deref().unwrap_or_default();
            if !seen.insert(name) {
                return Err(Error::new(Code::DuplicateName, format!("the graph input {name:?} is listed twice")));
            }
            if self.by_name.contains_key(name) {
                continue; // an initializer that callers may override, as files before IR version 4 write all of them
            }
            let id = self.add_value(name, Origin::Input)?;
            let (dtype, shape) = declared(input.r#type.as_option(), name)?;
            self.values[id].dtype = dtype;
            self.values[id].shape = checked(shape, name)?;
            self.inputs.push(id);
        }
        Ok(())
    }

    fn add_nodes(&mut self, model: &Model) -> Result<()> {
        let protos = &model.graph().node;
        let opsets: HashMap<&str, i64> = (model.proto.opset_import.iter())
            .map(|o| (standard(o.domain.as_deref()), o.version.unwrap_or(1)))
            .collect();
        for position in order(protos, &self.by_name)? {
            let Some(proto) = protos.get(position) else { continue };
            self.add_node(model, proto, position, &opsets)?;
        }
        Ok(())
    }

    fn add_node(
        &mut self,
        model: &Model,
        proto: &NodeProto,
        position: usize,
        opsets: &HashMap<&str, i64>,
    ) -> Result<()> {
        let id = NodeId::from(self.nodes.len());
        let domain = standard(proto.domain.as_deref()).to_owned();
        let mut inputs = Vec::with_capacity(proto.input.len());
        for (port, name) in proto.input.iter().enumerate() {
            inputs.push(if name.is_empty() {
                None
            } else {
                Some(self.require(name).map_err(|e| e.at(place_of(proto)))?)
            });
            if let Some(Some(v)) = inputs.last() {
                self.values[*v].uses.push((id, port));
            }
        }
        let mut captures = Vec::new();
        for body in proto.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs)) {
            for name in free_names(body) {
                captures.extend(self.find(&name));
            }
        }
        captures.sort_unstable();
        captures.dedup();
        let mut outputs = Vec::with_capacity(proto.output.len());
        for (port, name) in proto.output.iter().enumerate() {
            outputs.push(if name.is_empty() {
                None
            } else {
                Some(self.add_value(name, Origin::Node(id, port)).map_err(|e| e.at(place_of(proto)))?)
            });
        }
        let first = proto.output.first().map(String::as_str).unwrap_or_default();
        let op_type = proto.op_type.clone().unwrap_or_default();
        let name = match proto.name.as_deref() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("{op_type}:{first}"),
        };
        let opset = opsets.get(domain.as_str()).copied().unwrap_or(1);
        let node = Node {
            name,
            op_type,
            domain,
            opset,
            inputs,
            outputs,
            captures,
            attributes: proto.attribute.clone(),
            position,
        };
        if node.domain.is_empty() {
            check_attributes(&node)?;
        }
        if node.op_type == "Constant" && node.domain.is_empty() {
            self.add_constant(model, &node)?;
        }
        self.nodes.push(node);
        Ok(())
    }

    fn add_constant(&mut self, model: &Model, node: &Node) -> Result<()> {
        let Some(output) = node.output(0) else { return Ok(()) };
        let name = self.values[output].name.clone();
        let tensor = if let Some(t) = node.attributes.iter().find_map(|a| a.t.as_option()) {
            Tensor { name, ..model.tensor(t)? }
        } else if let Some(v) = node.int("value_int") {
            Tensor::from_i64(name, vec![], &[v])
        } else if let Some(v) = node.float("value_float") {
            Tensor::from_f32(name, vec![], &[v])
        } else if let Some(v) = node.ints("value_ints") {
            Tensor::from_i64(name, vec![v.len()], v)
        } else if let Some(v) = node.floats("value_floats") {
            Tensor::from_f32(name, vec![v.len()], v)
        } else {
            return Ok(()); // strings and sparse tensors: a value of unknown contents
        };
        self.set_tensor(output, tensor);
        Ok(())
    }
}

/// Types of attributes that mean the same in every standard operator that has them.
const ATTRIBUTES: &[(i32, &str, &[&str])] = &[
    (1, "a number", &["alpha", "beta", "epsilon"]),
    (
        2,
        "a whole number",
        &["allowzero", "axis", "ceil_mode", "group", "hidden_size", "keepdims", "num_groups", "to", "transA", "transB"],
    ),
    (3, "a text", &["auto_pad", "direction", "mode"]),
    (5, "a graph", &["body", "else_branch", "then_branch"]),
    (
        7,
        "a list of whole numbers",
        &["axes", "dilations", "kernel_shape", "output_padding", "pads", "perm", "split", "strides"],
    ),
];

/// Refuses attributes of the wrong type, whose default would otherwise be taken.
fn check_attributes(node: &Node) -> Result<()> {
    for a in &node.attributes {
        let name = a.name.as_deref().unwrap_or_default();
        let Some((want, text, _)) = ATTRIBUTES.iter().find(|(_, _, names)| names.contains(&name)) else { continue };
        if a.r#type.is_some_and(|t| t != 0 && t != *want) {
            return Err(Error::new(
                Code::BadAttribute,
                format!("{}: the attribute {name:?} has to be {text}", node.place()),
            ));
        }
    }
    Ok(())
}

/// The standard domain has two spellings.
fn standard(domain: Option<&str>) -> &str {
    match domain {
        Some("ai.onnx") | None => "",
        Some(d) => d,
    }
}

fn place_of(proto: &NodeProto) -> String {
    format!("node {:?} ({})", proto.name.as_deref().unwrap_or_default(), proto.op_type.as_deref().unwrap_or_default())
}

/// The type and shape that the file declares for a value.
pub(super) fn declared(t: Option<&TypeProto>, name: &str) -> Result<(Option<DataType>, Option<Shape>)> {
    let Some(tensor) = t.and_then(|t| t.tensor_type.as_option()) else { return Ok((None, None)) };
    let dtype = match tensor.elem_type.unwrap_or(0) {
        0 => None,
        n => Some(DataType::from_number(n).map_err(|e| e.at(format!("value {name:?}")))?),
    };
    let shape = tensor.shape.as_option().map(|s| {
        (s.dim.iter().enumerate())
            .map(|(axis, d)| match &d.value {
                Some(DimValue::DimValue(n)) if *n > 0 => Dim::Known(*n),
                Some(DimValue::DimParam(p)) if !p.is_empty() => Dim::symbol(p.as_str()),
                _ => Dim::symbol(format!("{name}.{axis}")),
            })
            .collect()
    });
    Ok((dtype, shape))
}

/// Names that a body reads from outside of itself.
pub(super) fn free_names(body: &GraphProto) -> Vec<String> {
    let mut own: HashSet<&str> = body.input.iter().filter_map(|i| i.name.as_deref()).collect();
    own.extend(body.initializer.iter().filter_map(|t| t.name.as_deref()));
    own.extend(body.node.iter().flat_map(|n| n.output.iter().map(String::as_str)));
    let mut free: Vec<String> = Vec::new();
    let read = body.node.iter().flat_map(|n| &n.input).chain(body.output.iter().filter_map(|o| o.name.as_ref()));
    free.extend(read.filter(|n| !n.is_empty() && !own.contains(n.as_str())).cloned());
    for inner in body.node.iter().flat_map(|n| &n.attribute).flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs))
    {
        free.extend(free_names(inner).into_iter().filter(|n| !own.contains(n.as_str())));
    }
    free
}

/// Positions of nodes so that producers come before consumers; otherwise the file's own order.
fn order(protos: &[NodeProto], sources: &Map<String, ValueId>) -> Result<Vec<usize>> {
    let mut producer: Map<&str, usize> = map(protos.len());
    for (i, p) in protos.iter().enumerate() {
        for name in p.output.iter().filter(|n| !n.is_empty()) {
            if producer.insert(name, i).is_some() || sources.contains_key(name) {
                return Err(Error::new(
                    Code::DuplicateName,
                    format!("{}: the name {name:?} is defined twice", place_of(p)),
                ));
            }
        }
    }
    let mut needs: Vec<usize> = vec![0; protos.len()];
    let mut feeds: Vec<Vec<usize>> = vec![Vec::new(); protos.len()];
    for (i, p) in protos.iter().enumerate() {
        let bodies = p.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs));
        let captured: Vec<String> = bodies.flat_map(free_names).filter(|n| producer.contains_key(n.as_str())).collect();
        for name in p.input.iter().chain(&captured).filter(|n| !n.is_empty()) {
            let Some(&from) = producer.get(name.as_str()) else {
                if sources.contains_key(name) {
                    continue;
                }
                return Err(Error::new(
                    Code::DanglingName,
                    format!("{}: nothing defines its input {name:?}", place_of(p)),
                ));
            };
            if let Some(f) = feeds.get_mut(from) {
                f.push(i);
            }
            if let Some(n) = needs.get_mut(i) {
                *n += 1;
            }
        }
    }
    kahn(protos, needs, &feeds)
}

fn kahn(protos: &[NodeProto], mut needs: Vec<usize>, feeds: &[Vec<usize>]) -> Result<Vec<usize>> {
    let mut ready: std::collections::BinaryHeap<std::cmp::Reverse<usize>> =
        needs.iter().enumerate().filter(|(_, n)| **n == 0).map(|(i, _)| std::cmp::Reverse(i)).collect();
    let mut order = Vec::with_capacity(protos.len());
    while let Some(std::cmp::Reverse(i)) = ready.pop() {
        order.push(i);
        for &to in feeds.get(i).into_iter().flatten() {
            if let Some(n) = needs.get_mut(to) {
                *n -= 1;
                if *n == 0 {
                    ready.push(std::cmp::Reverse(to));
                }
            }
        }
    }
    match needs.iter().position(|n| *n > 0).and_then(|i| protos.get(i)) {
        Some(p) if order.len() < protos.len() => Err(Error::new(
            Code::Cycle,
            format!("{}: it depends on its own output through a circle of nodes", place_of(p)),
        )),
        _ => Ok(order),
    }
}
