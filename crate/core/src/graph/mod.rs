//! Nodes and values of a model, in an order that computes, with shapes and folded constants.

mod build;
mod constant;
mod dim;
mod ids;
mod infer;

pub use constant::{Constant, Elements, MAX_FOLDED};
pub use dim::{Dim, product};
pub use ids::{NodeId, Table, ValueId};
pub use infer::{Fact, InferContext, MAX_ELEMENTS, MAX_RANK, axis_of};

use crate::error::{Code, Error, Result};
use crate::hash::Map;
use crate::onnx::proto::{AttributeProto, GraphProto, TensorProto};
use crate::onnx::{DataType, Tensor};
use crate::ops;

/// The lengths of a value's axes.
pub type Shape = Vec<Dim>;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A graph input.
    Input,
    /// An initializer, by its position in the file.
    Initializer(usize),
    /// An output of a node.
    Node(NodeId, usize),
}

/// A value: graph input, initializer or output of a node.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its name in the file.
    pub name: String,
    /// Where it comes from.
    pub origin: Origin,
    /// Element type, if known.
    pub dtype: Option<DataType>,
    /// Axes, if known.
    pub shape: Option<Shape>,
    /// Its elements if they are few and do not depend on the inputs' elements.
    pub constant: Option<Constant>,
    /// The tensor of an initializer or of a Constant node.
    pub tensor: Option<Tensor>,
    /// Who reads it: node and input position.
    pub uses: Vec<(NodeId, usize)>,
    /// Whether it is a graph output.
    pub is_output: bool,
}

impl Value {
    /// Lengths of all axes, if every one is known.
    pub fn lengths(&self) -> Option<Vec<usize>> {
        self.shape.as_ref()?.iter().map(Dim::length).collect()
    }

    /// The same value without its readers.
    pub(crate) fn alone(&self) -> Self {
        Self {
            name: self.name.clone(),
            origin: self.origin.clone(),
            shape: self.shape.clone(),
            constant: self.constant.clone(),
            tensor: self.tensor.clone(),
            uses: Vec::new(),
            ..*self
        }
    }

    /// Whether the value is an initializer or the output of a Constant node.
    pub fn is_parameter(&self) -> bool {
        self.tensor.is_some()
    }
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name, or one made from its operator and its first output.
    pub name: String,
    /// Operator, such as `Conv`.
    pub op_type: String,
    /// Operator domain; empty for the standard one.
    pub domain: String,
    /// Version of the operator set of its domain.
    pub opset: i64,
    /// Inputs; `None` where one is left out.
    pub inputs: Vec<Option<ValueId>>,
    /// Outputs; `None` where one is left out.
    pub outputs: Vec<Option<ValueId>>,
    /// Values of this graph that bodies of the node read.
    pub captures: Vec<ValueId>,
    /// Attributes as in the file.
    pub attributes: Vec<AttributeProto>,
    /// Position in the file's list of nodes.
    pub position: usize,
}

impl Node {
    /// The input at a position, if it is there.
    pub fn input(&self, i: usize) -> Option<ValueId> {
        self.inputs.get(i).copied().flatten()
    }

    /// The output at a position, if it is there.
    pub fn output(&self, i: usize) -> Option<ValueId> {
        self.outputs.get(i).copied().flatten()
    }

    /// `node "name" (Op)`, for messages.
    pub fn place(&self) -> String {
        format!("node {:?} ({})", self.name, self.op_type)
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attributes.iter().find(|a| a.name.as_deref() == Some(name))
    }

    /// A whole-number attribute.
    pub fn int(&self, name: &str) -> Option<i64> {
        // Some writers leave out a zero, which is what an absent field means.
        self.attribute(name).and_then(|a| a.i.or_else(|| (a.r#type == Some(2)).then_some(0)))
    }

    /// A list of whole numbers.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    /// A real-number attribute.
    pub fn float(&self, name: &str) -> Option<f32> {
        self.attribute(name).and_then(|a| a.f)
    }

    /// A list of real numbers.
    pub fn floats(&self, name: &str) -> Option<&[f32]> {
        self.attribute(name).map(|a| a.floats.as_slice())
    }

    /// A text attribute.
    pub fn string(&self, name: &str) -> Option<&str> {
        self.attribute(name).and_then(|a| a.s.as_ref()).and_then(|s| std::str::from_utf8(s).ok())
    }

    /// A tensor attribute.
    pub fn tensor(&self, name: &str) -> Option<&TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_option())
    }

    /// Bodies (If, Loop, Scan).
    pub fn bodies(&self) -> impl Iterator<Item = &GraphProto> {
        self.attributes.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs))
    }

    /// The attribute whose body reads a value of this graph.
    pub fn body_reading(&self, value: &str) -> Option<&str> {
        let reads = |a: &&AttributeProto| {
            let mut bodies = a.g.as_option().into_iter().chain(&a.graphs);
            bodies.any(|b| build::free_names(b).iter().any(|n| n == value))
        };
        self.attributes.iter().find(reads).and_then(|a| a.name.as_deref())
    }

    /// Whether an attribute is there at all.
    pub fn has(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }
}

/// A model's graph. Nodes are in topological order: [`NodeId`]s grow from producers to consumers.
#[derive(Clone, Debug)]
pub struct Graph {
    /// Version of the standard operator set.
    pub opset: i64,
    /// Nodes in topological order.
    pub nodes: Table<NodeId, Node>,
    /// All values.
    pub values: Table<ValueId, Value>,
    /// Graph inputs that are no initializers.
    pub inputs: Vec<ValueId>,
    /// Graph outputs.
    pub outputs: Vec<ValueId>,
    by_name: Map<String, ValueId>,
}

impl Graph {
    /// The value of a name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.by_name.get(name).copied()
    }

    /// The value of a name, or an error that says it is not there.
    ///
    /// # Errors
    /// When the graph has no such value.
    pub fn require(&self, name: &str) -> Result<ValueId> {
        self.find(name).ok_or_else(|| Error::new(Code::DanglingName, format!("the graph has no value {name:?}")))
    }

    /// Values with a tensor: initializers and outputs of Constant nodes.
    pub fn parameters(&self) -> impl Iterator<Item = (ValueId, &Value, &Tensor)> {
        self.values.iter().filter_map(|(id, v)| v.tensor.as_ref().map(|t| (id, v, t)))
    }

    /// Lengths and the number of a weight that a node fills with one number, by a shape that is stored. To channels it is a
    /// parameter like any other; it is never made as a whole, since small files can describe large ones.
    pub fn filled(&self, v: ValueId) -> Option<(Vec<usize>, f64)> {
        let value = &self.values[v];
        let Origin::Node(made, 0) = value.origin else { return None };
        let node = &self.nodes[made];
        let number = ops::lookup(node)?.fills(node)?;
        let stored = self.values[node.input(0)?].tensor.is_some() && value.dtype.is_some_and(DataType::is_float);
        let weighs =
            |&(n, port): &(NodeId, usize)| ops::lookup(&self.nodes[n]).and_then(|op| op.weights()) == Some(port);
        let lengths = value.lengths().filter(|_| stored && value.uses.iter().any(weighs))?;
        (!lengths.contains(&0)).then_some((lengths, number))
    }

    /// Number of float elements of all parameters, each tensor counted once.
    pub fn parameter_count(&self) -> usize {
        let counts = |v: &Value| match v.origin {
            Origin::Node(n, _) => self.nodes[n].has("value"),
            _ => true,
        };
        self.parameters().filter(|(_, v, t)| t.dtype.is_float() && counts(v)).map(|(_, _, t)| t.len()).sum()
    }
}
