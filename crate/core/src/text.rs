//! Small models as text, for cases in tests and documents. The form follows ONNX's own textual syntax:
//!
//! ```text
//! <opset 17>
//! (float[N,3,8,8] x) => (float[N,4,8,8] y)
//! <float[4,3,3,3] w, int64[2] shape = {0, -1}>
//! {
//!   c = Conv <pads = [1, 1, 1, 1]> (x, w)
//!   y = Relu (c)
//! }
//! ```
//!
//! An initializer without data gets numbers in [-1, 1) that depend only on its name; `float[4] v ~ {0.5, 1.5}` gets such
//! numbers of another range.

use crate::error::{Code, Error, Result};
use crate::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use crate::onnx::proto::tensor_shape_proto::Dimension;
use crate::onnx::proto::type_proto::Tensor as TensorType;
use crate::onnx::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TypeProto, ValueInfoProto,
};
use crate::onnx::{Model, Tensor, tensor_proto};
use std::collections::HashMap;

/// Reads a model from its text.
///
/// # Errors
/// When the text does not follow the form; the message says what was expected and where.
pub fn parse(text: &str) -> Result<Model> {
    let mut p = Parser { tokens: tokens(text)?, at: 0 };
    let mut opset = 17;
    if p.is("<") && p.peek(1) == Some("opset") {
        p.at += 2;
        opset = p.number()? as i64;
        p.expect(">")?;
    }
    let input = p.values()?;
    p.expect("=>")?;
    let output = p.values()?;
    let initializer = if p.is("<") { p.initializers()? } else { Vec::new() };
    let node = p.nodes()?;
    let mut functions = Vec::new();
    while p.is("function") {
        functions.push(p.function(opset)?);
    }
    let graph = GraphProto { name: Some("text".to_owned()), node, initializer, input, output, ..GraphProto::default() };
    let sets = [("", opset), ("com.microsoft", 1), ("test", 1)];
    let proto = ModelProto {
        ir_version: Some(8),
        opset_import: (sets.iter())
            .map(|(d, v)| OperatorSetIdProto {
                domain: Some((*d).to_owned()),
                version: Some(*v),
                ..OperatorSetIdProto::default()
            })
            .collect(),
        graph: graph.into(),
        functions,
        ..ModelProto::default()
    };
    let mut model = Model { proto, external: HashMap::new(), apart: false };
    model.inline_functions()?;
    Ok(model)
}

/// Numbers in [-1, 1) that depend only on a name.
fn numbers(name: &str, count: usize) -> Vec<f32> {
    let mut x = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    (0..count)
        .map(|_| {
            x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = x;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn tokens(text: &str) -> Result<Vec<String>> {
    let mut out = Vec::new();
    for line in text.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            let word = |c: char| c.is_alphanumeric() || "_.-+/:@".contains(c);
            if c == '"' {
                let s: String = chars.by_ref().take_while(|c| *c != '"').collect();
                out.push(format!("\"{s}"));
            } else if word(c) {
                let mut s = c.to_string();
                while let Some(n) = chars.next_if(|c| word(*c)) {
                    s.push(n);
                }
                out.push(s);
            } else if c == '=' && chars.next_if_eq(&'>').is_some() {
                out.push("=>".to_owned());
            } else if "<>(){}[],=~".contains(c) {
                out.push(c.to_string());
            } else if !c.is_whitespace() {
                return Err(Error::new(Code::NotOnnx, format!("the character {c:?} has no meaning in {line:?}")));
            }
        }
    }
    Ok(out)
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
}

impl Parser {
    fn peek(&self, ahead: usize) -> Option<&str> {
        self.tokens.get(self.at + ahead).map(String::as_str)
    }

    fn is(&self, token: &str) -> bool {
        self.peek(0) == Some(token)
    }

    fn error(&self, wanted: &str) -> Error {
        let near: Vec<&str> = self.tokens.iter().skip(self.at).take(6).map(String::as_str).collect();
        Error::new(Code::NotOnnx, format!("{wanted} expected at {:?}", near.join(" ")))
    }

    fn next(&mut self, wanted: &str) -> Result<String> {
        let t = self.tokens.get(self.at).cloned().ok_or_else(|| self.error(wanted))?;
        self.at += 1;
        Ok(t)
    }

    fn expect(&mut self, token: &str) -> Result<()> {
        if !self.is(token) {
            return Err(self.error(token));
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<f64> {
        let t = self.next("a number")?;
        t.parse().map_err(|_| self.error("a number"))
    }

    /// Items up to a closing token, separated by commas.
    fn list<T>(&mut self, open: &str, close: &str, mut item: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect(open)?;
        let mut out = Vec::new();
        while !self.is(close) {
            out.push(item(self)?);
            if self.is(",") {
                self.at += 1;
            }
        }
        self.expect(close)?;
        Ok(out)
    }

    /// `float[N,3]`: element type and dimensions.
    fn tensor_type(&mut self) -> Result<(i32, Vec<String>)> {
        let name = self.next("an element type")?;
        let number = match name.as_str() {
            "float" => 1,
            "uint8" => 2,
            "int4" => 22,
            "uint4" => 21,
            "int8" => 3,
            "int32" => 6,
            "int64" => 7,
            "bool" => 9,
            "float16" => 10,
            "double" => 11,
            _ => return Err(self.error("an element type")),
        };
        let dims = if self.is("[") { self.list("[", "]", |p| p.next("a dimension"))? } else { Vec::new() };
        Ok((number, dims))
    }

    fn values(&mut self) -> Result<Vec<ValueInfoProto>> {
        self.list("(", ")", |p| {
            let (elem_type, dims) = p.tensor_type()?;
            let name = p.next("a name")?;
            let dim = |d: &String| Dimension {
                value: Some(d.parse().map_or_else(|_| DimValue::DimParam(d.clone()), DimValue::DimValue)),
                ..Dimension::default()
            };
            let shape = TensorShapeProto { dim: dims.iter().map(dim).collect(), ..TensorShapeProto::default() };
            let tensor = TensorType { elem_type: Some(elem_type), shape: shape.into(), ..TensorType::default() };
            let r#type = TypeProto { tensor_type: tensor.into(), ..TypeProto::default() };
            Ok(ValueInfoProto { name: Some(name), r#type: r#type.into(), ..ValueInfoProto::default() })
        })
    }

    fn initializers(&mut self) -> Result<Vec<TensorProto>> {
        self.list("<", ">", |p| {
            let kind = p.tensor_type()?;
            let name = p.next("a name")?;
            let data = if p.is("=") {
                p.at += 1;
                Some(p.list("{", "}", Self::number)?)
            } else if p.is("~") {
                p.at += 1;
                Some(p.spread(&name, &kind.1)?)
            } else {
                None
            };
            p.tensor(name, kind, data)
        })
    }

    /// `{0.5, 1.5}`: numbers of that range, as many as the dimensions ask for.
    fn spread(&mut self, name: &str, dims: &[String]) -> Result<Vec<f64>> {
        let range = self.list("{", "}", Self::number)?;
        let [low, high] = range.as_slice() else { return Err(self.error("the two ends of a range")) };
        let count = self.count(dims)?;
        Ok(numbers(name, count).into_iter().map(|v| low + (high - low) * (f64::from(v) + 1.0) / 2.0).collect())
    }

    /// Elements of a tensor of so many numbers along each axis.
    fn count(&self, dims: &[String]) -> Result<usize> {
        dims.iter()
            .try_fold(1usize, |n, d| d.parse::<usize>().ok()?.checked_mul(n))
            .ok_or_else(|| self.error("a number"))
    }

    fn tensor(&self, name: String, kind: (i32, Vec<String>), data: Option<Vec<f64>>) -> Result<TensorProto> {
        let dims: Vec<usize> =
            kind.1.iter().map(|d| d.parse().map_err(|_| self.error("a number"))).collect::<Result<_>>()?;
        let count = self.count(&kind.1)?;
        let data = data.unwrap_or_else(|| numbers(&name, count).into_iter().map(f64::from).collect());
        if data.len() != count {
            return Err(self.error(&format!("{count} numbers for {name:?}")));
        }
        let floats: Vec<f32> = data.iter().map(|&v| v as f32).collect();
        let ints: Vec<i64> = data.iter().map(|&v| v as i64).collect();
        Ok(match kind.0 {
            1 => tensor_proto(&Tensor::from_f32(name, dims, &floats)),
            7 => tensor_proto(&Tensor::from_i64(name, dims, &ints)),
            other => TensorProto {
                name: Some(name),
                data_type: Some(other),
                dims: dims.iter().map(|&d| d as i64).collect(),
                int32_data: ints.iter().map(|&v| v as i32).collect(),
                ..TensorProto::default()
            },
        })
    }

    fn node(&mut self, index: usize) -> Result<NodeProto> {
        let mut output = vec![self.output()?];
        while self.is(",") {
            self.at += 1;
            output.push(self.output()?);
        }
        self.expect("=")?;
        let full = self.next("an operator")?;
        let (domain, op) = full.rsplit_once('.').unwrap_or(("", &full));
        let attribute = if self.is("<") { self.list("<", ">", Self::attribute)? } else { Vec::new() };
        let input = self.list("(", ")", |p| p.next("a name").map(|n| if n == "_" { String::new() } else { n }))?;
        Ok(NodeProto {
            name: Some(format!("{op}_{index}")),
            op_type: Some(op.to_owned()),
            domain: Some(domain.to_owned()),
            input,
            output,
            attribute,
            ..NodeProto::default()
        })
    }

    fn output(&mut self) -> Result<String> {
        self.next("a name").map(|n| if n == "_" { String::new() } else { n })
    }

    /// `function test.name (a, b) => (c) { nodes }`: a function of the file; `attribute = @name` refers to the call's.
    fn function(&mut self, opset: i64) -> Result<FunctionProto> {
        self.at += 1;
        let full = self.next("a name")?;
        let (domain, name) = full.rsplit_once('.').unwrap_or(("test", &full));
        let (domain, name) = (Some(domain.to_owned()), Some(name.to_owned()));
        let input = self.list("(", ")", |p| p.next("a name"))?;
        self.expect("=>")?;
        let output = self.list("(", ")", |p| p.next("a name"))?;
        let node = self.nodes()?;
        let set =
            OperatorSetIdProto { domain: Some(String::new()), version: Some(opset), ..OperatorSetIdProto::default() };
        Ok(FunctionProto { name, domain, input, output, node, opset_import: vec![set], ..FunctionProto::default() })
    }

    fn nodes(&mut self) -> Result<Vec<NodeProto>> {
        self.expect("{")?;
        let mut node = Vec::new();
        while !self.is("}") {
            node.push(self.node(node.len())?);
        }
        self.expect("}")?;
        Ok(node)
    }

    /// `(inputs) => (outputs) { nodes }`: the body of a node.
    fn body(&mut self) -> Result<GraphProto> {
        let input = self.values()?;
        self.expect("=>")?;
        let output = self.values()?;
        let initializer = if self.is("<") { self.initializers()? } else { Vec::new() };
        let node = self.nodes()?;
        Ok(GraphProto { name: Some("body".to_owned()), node, initializer, input, output, ..GraphProto::default() })
    }

    fn attribute(&mut self) -> Result<AttributeProto> {
        let name = Some(self.next("an attribute")?);
        self.expect("=")?;
        if self.is("(") {
            let g = self.body()?;
            return Ok(AttributeProto { name, g: g.into(), r#type: Some(5), ..AttributeProto::default() });
        }
        if let Some(reference) = self.peek(0).and_then(|t| t.strip_prefix('@')).map(str::to_owned) {
            self.at += 1;
            return Ok(AttributeProto { name, ref_attr_name: Some(reference), ..AttributeProto::default() });
        }
        if self.is("[") {
            let v = self.list("[", "]", |p| p.next("a number"))?;
            if v.iter().any(|t| t.contains('.')) {
                let floats = v.iter().map(|t| t.parse().map_err(|_| self.error("a number"))).collect::<Result<_>>()?;
                return Ok(AttributeProto { name, floats, r#type: Some(6), ..AttributeProto::default() });
            }
            let ints = v.iter().map(|t| t.parse().map_err(|_| self.error("a number"))).collect::<Result<_>>()?;
            return Ok(AttributeProto { name, ints, r#type: Some(7), ..AttributeProto::default() });
        }
        if self.peek(1) == Some("[") {
            let kind = self.tensor_type()?;
            let data = if self.is("{") { Some(self.list("{", "}", Self::number)?) } else { None };
            let t = self.tensor(String::new(), kind, data)?;
            return Ok(AttributeProto { name, t: t.into(), r#type: Some(4), ..AttributeProto::default() });
        }
        let value = self.next("a value")?;
        Ok(match (value.strip_prefix('"'), value.parse::<i64>()) {
            (Some(s), _) => {
                AttributeProto { name, s: Some(s.to_owned().into()), r#type: Some(3), ..AttributeProto::default() }
            }
            (_, Ok(i)) => AttributeProto { name, i: Some(i), r#type: Some(2), ..AttributeProto::default() },
            _ => {
                let f = value.parse().map_err(|_| self.error("a value"))?;
                AttributeProto { name, f: Some(f), r#type: Some(1), ..AttributeProto::default() }
            }
        })
    }
}
