//! Operators whose result depends on everything they read, or is no tensor: their inputs stay whole, with the reason.

use super::Operator;
use crate::channels::ChannelContext;
use crate::error::Result;
use crate::graph::{Dim, Fact, InferContext};
use crate::onnx::DataType;

/// What is known of the outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Makes {
    /// Nothing: sequences, optional values, text.
    Unknown,
    /// Tensors of this element type and so many axes of lengths that only running the model tells.
    Open(DataType, usize),
    /// The type and shape of the first input; the type may be given by an attribute.
    Same,
    /// One real number, and then a value like the first input.
    Loss,
}

/// An operator that allows no cut of what it reads.
#[derive(Debug)]
pub struct Whole {
    /// Why.
    pub why: &'static str,
    /// What comes out.
    pub makes: Makes,
}

impl Operator for Whole {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.value(0);
        Ok(match self.makes {
            Makes::Unknown => vec![Fact::default(); cx.node.outputs.len()],
            Makes::Open(dtype, rank) => {
                let facts = cx.node.outputs.iter().map(|o| Fact {
                    dtype: Some(dtype),
                    shape: o.map(|o| cx.unknown_shape(o, rank)),
                    constant: None,
                });
                facts.collect()
            }
            Makes::Same => {
                let given = cx.node.int("dtype").and_then(|t| DataType::from_number(i32::try_from(t).ok()?).ok());
                vec![Fact { dtype: given.or(x.and_then(|v| v.dtype)), ..Fact::of_type(None) }]
                    .into_iter()
                    .map(|f| Fact { shape: x.and_then(|v| v.shape.clone()), ..f })
                    .collect()
            }
            Makes::Loss => {
                let dtype = x.and_then(|v| v.dtype);
                let whole = cx.node.string("reduction") == Some("none");
                let loss = Fact { dtype, shape: (!whole).then(Vec::<Dim>::new), constant: None };
                vec![loss, Fact { dtype, shape: x.and_then(|v| v.shape.clone()), constant: None }]
            }
        })
    }

    fn keeps_all(&self) -> bool {
        true
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.pin_inputs(self.why);
    }
}

/// Unique: values, and where they stood.
#[derive(Debug)]
pub struct Unique;

impl Operator for Unique {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let x = cx.required(0)?;
        let open = |k: usize| cx.node.output(k).map(|o| cx.unknown_shape(o, 1));
        let values = match (cx.node.int("axis"), &x.shape) {
            (None, _) => open(0),
            (Some(axis), Some(from)) => {
                let axis = cx.axis(axis, from.len())?;
                let count = Dim::symbol(format!("{}.count", cx.node.name));
                Some(from.iter().enumerate().map(|(i, d)| if i == axis { count.clone() } else { d.clone() }).collect())
            }
            (Some(_), None) => None,
        };
        let mut facts = vec![Fact { dtype: x.dtype, shape: values, constant: None }];
        facts.extend((1..4).map(|k| Fact { dtype: Some(DataType::Int64), shape: open(k), constant: None }));
        Ok(facts)
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        cx.pin_inputs("which positions are alike, and in which order they come, depends on every one");
    }
}
