//! A model as lists that can be taken apart, and its text in the form of `lopper_core::text`.

use std::fmt::Write as _;

/// An input or output of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    pub name: String,
    pub dims: Vec<String>,
}

/// What an initializer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Real numbers of a range, which depend only on the name.
    Range(f64, f64),
    /// Real numbers.
    Floats(Vec<f64>),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Truth values.
    Bools(Vec<bool>),
}

/// An initializer.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    pub dims: Vec<usize>,
    pub data: Data,
}

/// A node.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub op: String,
    pub attributes: String,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spec {
    pub opset: i64,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
    pub parameters: Vec<Parameter>,
    pub steps: Vec<Step>,
}

impl Spec {
    /// Drops what no output needs: nodes, initializers and, but for the first, inputs.
    pub fn tidy(&mut self) {
        let mut read: std::collections::HashSet<String> = self.outputs.iter().map(|o| o.name.clone()).collect();
        let mut kept = Vec::new();
        for step in std::mem::take(&mut self.steps).into_iter().rev() {
            if step.outputs.iter().any(|o| read.contains(o)) {
                read.extend(step.inputs.iter().cloned());
                kept.push(step);
            }
        }
        kept.reverse();
        self.steps = kept;
        self.parameters.retain(|p| read.contains(&p.name));
        self.inputs.retain(|i| read.contains(&i.name));
    }

    /// The model's text.
    pub fn text(&self) -> String {
        let ports = |list: &[Port]| {
            let own: Vec<String> = list.iter().map(|p| format!("float[{}] {}", p.dims.join(","), p.name)).collect();
            own.join(", ")
        };
        let mut out = format!("<opset {}>\n({}) => ({})\n", self.opset, ports(&self.inputs), ports(&self.outputs));
        if !self.parameters.is_empty() {
            let own: Vec<String> = self.parameters.iter().map(Parameter::text).collect();
            writeln!(out, "<{}>", own.join(",\n ")).unwrap();
        }
        out.push_str("{\n");
        for s in &self.steps {
            let names = |list: &[String]| {
                list.iter().map(|n| if n.is_empty() { "_" } else { n }).collect::<Vec<_>>().join(", ")
            };
            let attributes = if s.attributes.is_empty() { String::new() } else { format!(" <{}>", s.attributes) };
            writeln!(out, "  {} = {}{attributes} ({})", names(&s.outputs), s.op, names(&s.inputs)).unwrap();
        }
        out.push_str("}\n");
        out
    }
}

impl Parameter {
    fn text(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(ToString::to_string).collect();
        let dims = if dims.is_empty() { String::new() } else { format!("[{}]", dims.join(",")) };
        let list = |v: Vec<String>| format!("= {{{}}}", v.join(","));
        let (kind, data) = match &self.data {
            Data::Range(low, high) => ("float", format!("~ {{{low}, {high}}}")),
            Data::Floats(v) => ("float", list(v.iter().map(ToString::to_string).collect())),
            Data::Ints(v) => ("int64", list(v.iter().map(ToString::to_string).collect())),
            Data::Bools(v) => ("bool", list(v.iter().map(|b| u8::from(*b).to_string()).collect())),
        };
        format!("{kind}{dims} {} {data}", self.name)
    }
}
