//! Shapes, element types and folded constants, by asking every operator.

use super::build::declared;
use super::{Constant, Dim, Graph, Node, NodeId, Shape, Table, Value, ValueId};
use crate::error::{Code, Error, Result};
use crate::hash::map;
use crate::onnx::{DataType, Model};
use crate::ops;

/// What is known of one output of a node.
#[derive(Clone, Debug, Default)]
pub struct Fact {
    /// Element type.
    pub dtype: Option<DataType>,
    /// Axes.
    pub shape: Option<Shape>,
    /// Elements.
    pub constant: Option<Constant>,
}

impl Fact {
    /// Type and shape.
    pub fn new(dtype: Option<DataType>, shape: Shape) -> Self {
        Self { dtype, shape: Some(shape), constant: None }
    }

    /// A constant, which tells its type and shape.
    pub fn constant(c: Constant) -> Self {
        Self { dtype: Some(c.dtype), shape: Some(c.dims.iter().map(|&d| Dim::from(d)).collect()), constant: Some(c) }
    }

    /// Only a type.
    pub fn of_type(dtype: Option<DataType>) -> Self {
        Self { dtype, ..Self::default() }
    }
}

/// What an operator sees when it infers: its node and what is known of the inputs.
#[derive(Clone, Copy, Debug)]
pub struct InferContext<'a> {
    /// The node.
    pub node: &'a Node,
    values: &'a Table<ValueId, Value>,
}

impl<'a> InferContext<'a> {
    /// A view of a node among values.
    pub fn new(node: &'a Node, values: &'a Table<ValueId, Value>) -> Self {
        Self { node, values }
    }

    /// The same values seen by another node.
    pub fn of<'b>(&'b self, node: &'b Node) -> InferContext<'b> {
        InferContext { node, values: self.values }
    }

    /// All values, for rules that look into bodies.
    pub(crate) fn values(&self) -> &'a Table<ValueId, Value> {
        self.values
    }

    /// A shape of so many axes of unknown length.
    pub fn unknown_shape(&self, output: ValueId, rank: usize) -> Shape {
        let name = &self.values[output].name;
        (0..rank).map(|axis| Dim::symbol(format!("{name}.{axis}"))).collect()
    }

    /// What is known of an input, if it is given.
    pub fn value(&self, input: usize) -> Option<&'a Value> {
        self.node.input(input).map(|id| &self.values[id])
    }

    /// What is known of an input that must be given.
    ///
    /// # Errors
    /// When the node lacks it.
    pub fn required(&self, input: usize) -> Result<&'a Value> {
        self.value(input)
            .ok_or_else(|| Error::new(Code::BadNode, format!("{}: input {input} is missing", self.node.place())))
    }

    /// The shape of an input, if it is given and known.
    pub fn shape(&self, input: usize) -> Option<&'a Shape> {
        self.value(input).and_then(|v| v.shape.as_ref())
    }

    /// The element type of an input.
    pub fn dtype(&self, input: usize) -> Option<DataType> {
        self.value(input).and_then(|v| v.dtype)
    }

    /// The folded elements of an input.
    pub fn constant(&self, input: usize) -> Option<&'a Constant> {
        self.value(input).and_then(|v| v.constant.as_ref())
    }

    /// The whole numbers of an input that is a constant list, or of an attribute of older operator sets.
    pub fn ints_or_attribute(&self, input: usize, attribute: &str) -> Option<Vec<Dim>> {
        match self.node.ints(attribute).filter(|_| self.node.input(input).is_none()) {
            Some(v) => Some(v.iter().map(|&i| Dim::Known(i)).collect()),
            None => self.constant(input).and_then(|c| c.as_ints()).map(<[Dim]>::to_vec),
        }
    }

    /// As [`Self::ints_or_attribute`], if all are known.
    pub fn known_or_attribute(&self, input: usize, attribute: &str) -> Option<Vec<i64>> {
        self.ints_or_attribute(input, attribute)?.iter().map(Dim::known).collect()
    }

    /// Refuses an input that should be a list of whole numbers (a shape, axes, bounds) and is none. Left-out ones pass.
    ///
    /// # Errors
    /// When it has another type or several axes.
    pub fn list(&self, input: usize) -> Result<()> {
        if let Some(t) = self.dtype(input).filter(|t| !t.is_integer()) {
            let what = format!("{}: input {input} has to hold whole numbers, not {}", self.node.place(), t.name());
            return Err(Error::new(Code::BadType, what));
        }
        match self.shape(input) {
            Some(s) if s.len() > 1 => Err(self.bad_shape(format!("input {input} has to be a list, not {s:?}"))),
            _ => Ok(()),
        }
    }

    /// Whether a list is given whose numbers only running the model tells: no default stands for it.
    pub fn is_computed(&self, input: usize) -> bool {
        self.value(input).is_some_and(|v| v.constant.as_ref().and_then(Constant::as_known).is_none())
    }

    /// Axis `axis` counted from the front; negative ones count from the back.
    ///
    /// # Errors
    /// When it is out of range.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize> {
        axis_of(axis, rank).ok_or_else(|| self.bad_attribute(format!("axis {axis} is out of range for {rank} axes")))
    }

    /// An error about a shape.
    pub fn bad_shape(&self, what: impl std::fmt::Display) -> Error {
        Error::new(Code::BadShape, format!("{}: {what}", self.node.place()))
    }

    /// An error about an attribute.
    pub fn bad_attribute(&self, what: impl std::fmt::Display) -> Error {
        Error::new(Code::BadAttribute, format!("{}: {what}", self.node.place()))
    }
}

/// Axis counted from the front, if it is in range.
pub fn axis_of(axis: i64, rank: usize) -> Option<usize> {
    let rank = i64::try_from(rank).ok()?;
    let axis = if axis < 0 { axis + rank } else { axis };
    usize::try_from(axis).ok().filter(|_| axis < rank)
}

/// Most axes of a value: exporters write at most eight.
pub const MAX_RANK: usize = 32;

/// Most elements of a value, far beyond any memory: guards every product of lengths.
pub const MAX_ELEMENTS: usize = if usize::BITS > 32 { (1u64 << 40) as usize } else { 1 << 30 };

/// Elements of all folded constants together: a small file of many nodes must not fill the memory.
const MAX_ALL_FOLDED: usize = 1 << 22;

/// Refuses shapes that no value can have.
pub(super) fn checked(shape: Option<Shape>, name: &str) -> Result<Option<Shape>> {
    let Some(shape) = shape else { return Ok(None) };
    let bad = |code, what: &str| Err(Error::new(code, format!("value {name:?}: {what}")));
    if shape.len() > MAX_RANK {
        return bad(Code::BadDims, &format!("{} axes are more than the {MAX_RANK} that are supported", shape.len()));
    }
    if shape.iter().any(|d| d.known().is_some_and(|n| n < 0)) {
        return bad(Code::BadShape, &format!("an axis of {shape:?} has a negative length"));
    }
    let elements = shape
        .iter()
        .filter_map(Dim::known)
        .try_fold(1usize, |p, n| p.checked_mul(usize::try_from(n).ok()?.max(1)).filter(|p| *p <= MAX_ELEMENTS));
    match elements {
        Some(_) => Ok(Some(shape)),
        None => bad(Code::BadDims, &format!("{shape:?} has more elements than any memory holds")),
    }
}

impl Graph {
    /// Asks every operator in topological order. What no rule tells is taken from the file's own value infos.
    pub(super) fn infer(&mut self, model: &Model) -> Result<()> {
        let mut told = map(model.graph().value_info.len());
        for info in model.graph().value_info.iter().chain(&model.graph().output) {
            let name = info.name.as_deref().unwrap_or_default();
            told.insert(name, declared(info.r#type.as_option(), name)?);
        }
        let mut folded = 0usize;
        let ids: Vec<NodeId> = self.nodes.ids().collect();
        for id in ids {
            let node = &self.nodes[id];
            let facts = match ops::lookup(node) {
                Some(op) => op.infer(&InferContext::new(node, &self.values))?,
                None => Vec::new(),
            };
            let outputs = node.outputs.clone();
            let mut facts = facts.into_iter();
            for output in outputs {
                let fact = facts.next().unwrap_or_default();
                let Some(output) = output else { continue };
                let value = &mut self.values[output];
                if value.tensor.is_some() {
                    continue;
                }
                let (dtype, shape) = told.get(value.name.as_str()).cloned().unwrap_or_default();
                value.dtype = fact.dtype.or(dtype);
                value.shape = checked(fact.shape.or(shape), &value.name).map_err(|e| e.at(self.nodes[id].place()))?;
                folded += fact.constant.as_ref().map_or(0, Constant::len);
                value.constant = fact.constant.filter(|_| folded <= MAX_ALL_FOLDED);
            }
        }
        Ok(())
    }
}
