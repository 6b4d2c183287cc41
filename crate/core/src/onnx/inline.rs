//! Functions that a model defines are put in the place of their calls, so that channels go through.

use super::Model;
use super::proto::{AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::error::{Code, Error, Result};
use std::collections::{HashMap, HashSet};

/// Nodes that all calls together may become.
const MAX_NODES: usize = 1 << 19;
/// Calls within calls.
const MAX_DEPTH: usize = 64;

/// Domain, name and overload of a function.
type Key = (String, String, String);

fn text(s: Option<&String>) -> String {
    s.cloned().unwrap_or_default()
}

fn domain(d: Option<&String>) -> String {
    let d = text(d);
    if d == "ai.onnx" { String::new() } else { d }
}

fn key_of(node: &NodeProto) -> Key {
    (domain(node.domain.as_ref()), text(node.op_type.as_ref()), text(node.overload.as_ref()))
}

struct Inliner<'a> {
    functions: HashMap<Key, &'a FunctionProto>,
    /// Functions that use another version of a domain than the model: their calls stay.
    foreign: HashSet<Key>,
    names: HashSet<String>,
    made: usize,
    stack: Vec<Key>,
}

impl Model {
    /// The model with its own functions in the place of their calls, and with dense tensors in the place of sparse ones. Functions
    /// that no call needs any more are dropped.
    ///
    /// # Errors
    /// When a function calls itself, the calls would become too many nodes, or a sparse tensor is malformed.
    pub fn inlined(mut self) -> Result<Self> {
        self.inline_functions()?;
        self.densify()?;
        Ok(self)
    }

    pub(crate) fn inline_functions(&mut self) -> Result<()> {
        if self.proto.functions.is_empty() || self.proto.graph.as_option().is_none() {
            return Ok(());
        }
        let functions = std::mem::take(&mut self.proto.functions);
        let mut imports: HashMap<String, i64> = HashMap::new();
        for o in &self.proto.opset_import {
            imports.insert(domain(o.domain.as_ref()), o.version.unwrap_or(1));
        }
        let by_key: HashMap<Key, &FunctionProto> = (functions.iter())
            .map(|f| ((domain(f.domain.as_ref()), text(f.name.as_ref()), text(f.overload.as_ref())), f))
            .collect();
        let mut foreign = HashSet::new();
        for (key, f) in &by_key {
            let other = |o: &OperatorSetIdProto| {
                let d = domain(o.domain.as_ref());
                imports.get(&d).is_some_and(|v| Some(*v) != o.version) && !by_key.keys().any(|k| k.0 == d)
            };
            if f.opset_import.iter().any(other) {
                foreign.insert(key.clone());
            }
        }
        let mut inliner = Inliner { functions: by_key, foreign, names: HashSet::new(), made: 0, stack: Vec::new() };
        if let Some(graph) = self.proto.graph.as_option_mut() {
            collect_names(graph, &mut inliner.names);
            inliner.graph(graph)?;
        }
        let used = calls(&self.proto);
        let gone: Vec<OperatorSetIdProto> = (functions.iter())
            .filter(|f| !used.contains(&(domain(f.domain.as_ref()), text(f.name.as_ref()), text(f.overload.as_ref()))))
            .flat_map(|f| f.opset_import.iter().cloned())
            .collect();
        for o in gone {
            let d = domain(o.domain.as_ref());
            if let std::collections::hash_map::Entry::Vacant(slot) = imports.entry(d) {
                slot.insert(o.version.unwrap_or(1));
                self.proto.opset_import.push(o);
            }
        }
        self.proto.functions = if used.is_empty() { Vec::new() } else { functions };
        Ok(())
    }
}

/// Functions that calls are left of, those called by functions included.
fn calls(proto: &ModelProto) -> HashSet<Key> {
    fn within(nodes: &[NodeProto], out: &mut HashSet<Key>) {
        for n in nodes {
            out.insert(key_of(n));
            for g in n.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs)) {
                within(&g.node, out);
            }
        }
    }
    let mut out = HashSet::new();
    within(&proto.graph.node, &mut out);
    out.retain(|k| !k.0.is_empty());
    let standard = ["com.microsoft", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"];
    out.retain(|k| !standard.contains(&k.0.as_str()));
    out
}

fn collect_names(graph: &GraphProto, names: &mut HashSet<String>) {
    names.extend(graph.input.iter().chain(&graph.output).filter_map(|i| i.name.clone()));
    names.extend(graph.initializer.iter().filter_map(|t| t.name.clone()));
    for n in &graph.node {
        names.extend(n.output.iter().cloned());
        for g in n.attribute.iter().flat_map(|a| a.g.as_option().into_iter().chain(&a.graphs)) {
            collect_names(g, names);
        }
    }
}

impl Inliner<'_> {
    fn graph(&mut self, graph: &mut GraphProto) -> Result<()> {
        let mut out = Vec::with_capacity(graph.node.len());
        for node in std::mem::take(&mut graph.node) {
            self.node(node, &mut out)?;
        }
        graph.node = out;
        Ok(())
    }

    /// Appends a node, or what a call stands for.
    fn node(&mut self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<()> {
        for a in &mut node.attribute {
            for g in a.g.as_option_mut().into_iter().chain(a.graphs.iter_mut()) {
                self.graph(g)?;
            }
        }
        let key = key_of(&node);
        let Some(function) = self.functions.get(&key).copied().filter(|_| !self.foreign.contains(&key)) else {
            out.push(node);
            return Ok(());
        };
        let place = format!("node {:?}", text(node.name.as_ref()));
        if self.stack.contains(&key) {
            let what = format!("{place}: the function {:?} calls itself, which ONNX does not allow", key.1);
            return Err(Error::new(Code::Cycle, what));
        }
        if self.stack.len() >= MAX_DEPTH {
            let what = format!("{place}: functions are nested more than {MAX_DEPTH} deep");
            return Err(Error::new(Code::TooDeep, what));
        }
        self.made += function.node.len();
        if self.made > MAX_NODES {
            let what = format!("{place}: the calls of functions stand for more than {MAX_NODES} nodes");
            return Err(Error::new(Code::TooLarge, what));
        }
        self.stack.push(key);
        let done = self.call(&node, function, out);
        self.stack.pop();
        done
    }

    fn call(&mut self, call: &NodeProto, function: &FunctionProto, out: &mut Vec<NodeProto>) -> Result<()> {
        let mut scope = Scope { rename: HashMap::new(), prefix: self.prefix(call), attributes: HashMap::new() };
        for (i, name) in function.input.iter().enumerate() {
            scope.rename.insert(name.clone(), call.input.get(i).cloned().unwrap_or_default());
        }
        for a in function.attribute_proto.iter().chain(&call.attribute) {
            scope.attributes.insert(text(a.name.as_ref()), a.clone());
        }
        let produced: HashSet<&String> = function.node.iter().flat_map(|n| &n.output).collect();
        let mut passed = Vec::new();
        for (i, name) in function.output.iter().enumerate() {
            let Some(outer) = call.output.get(i).filter(|o| !o.is_empty()) else { continue };
            // An output that is an input, or that is listed twice, is copied.
            if produced.contains(name) && !scope.rename.contains_key(name) {
                scope.rename.insert(name.clone(), outer.clone());
            } else {
                passed.push((name.clone(), outer.clone()));
            }
        }
        for name in produced {
            if !name.is_empty() && !scope.rename.contains_key(name) {
                let fresh = self.unique(&format!("{}/{name}", scope.prefix));
                scope.rename.insert(name.clone(), fresh);
            }
        }
        for node in &function.node {
            let mut node = node.clone();
            scope.node(&mut node, self);
            self.node(node, out)?;
        }
        for (name, outer) in passed {
            let from = scope.rename.get(&name).cloned().unwrap_or_default();
            out.push(NodeProto {
                op_type: Some("Identity".to_owned()),
                name: Some(format!("{}/{outer}", scope.prefix)),
                input: vec![from],
                output: vec![outer],
                ..NodeProto::default()
            });
        }
        Ok(())
    }

    fn prefix(&self, call: &NodeProto) -> String {
        match call.name.as_deref() {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => call.output.iter().find(|o| !o.is_empty()).cloned().unwrap_or_default(),
        }
    }

    fn unique(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut n = 1;
        while !self.names.insert(name.clone()) {
            n += 1;
            name = format!("{base}#{n}");
        }
        name
    }
}

/// Names and attributes of one call.
struct Scope {
    rename: HashMap<String, String>,
    prefix: String,
    attributes: HashMap<String, AttributeProto>,
}

impl Scope {
    fn name(&self, name: &mut String) {
        if let Some(new) = self.rename.get(name.as_str()) {
            name.clone_from(new);
        }
    }

    fn node(&self, node: &mut NodeProto, inliner: &mut Inliner<'_>) {
        let own = text(node.name.as_ref());
        let own = if own.is_empty() { text(node.output.first()) } else { own };
        node.name = Some(format!("{}/{own}", self.prefix));
        node.input.iter_mut().chain(node.output.iter_mut()).for_each(|n| self.name(n));
        let mut attributes = Vec::with_capacity(node.attribute.len());
        for mut a in std::mem::take(&mut node.attribute) {
            let reference = a.ref_attr_name.take().filter(|r| !r.is_empty());
            if let Some(reference) = reference {
                // An attribute that the call leaves out takes the operator's default.
                let Some(given) = self.attributes.get(&reference) else { continue };
                a = AttributeProto { name: a.name, ref_attr_name: None, ..given.clone() };
            } else {
                for g in a.g.as_option_mut().into_iter().chain(a.graphs.iter_mut()) {
                    self.body(g, inliner);
                }
            }
            attributes.push(a);
        }
        node.attribute = attributes;
    }

    /// A body within a function: names of its own get the call's prefix, so that calls do not clash.
    fn body(&self, graph: &mut GraphProto, inliner: &mut Inliner<'_>) {
        let mut own: HashSet<String> = HashSet::new();
        own.extend(graph.input.iter().filter_map(|i| i.name.clone()));
        own.extend(graph.initializer.iter().filter_map(|t| t.name.clone()));
        own.extend(graph.node.iter().flat_map(|n| n.output.iter().filter(|o| !o.is_empty()).cloned()));
        let mut inner =
            Scope { rename: self.rename.clone(), prefix: self.prefix.clone(), attributes: self.attributes.clone() };
        for name in own {
            let fresh = inliner.unique(&format!("{}/{name}", self.prefix));
            inner.rename.insert(name, fresh);
        }
        for info in graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info) {
            info.name.iter_mut().for_each(|n| inner.name(n));
        }
        graph.initializer.iter_mut().flat_map(|t| &mut t.name).for_each(|n| inner.name(n));
        for node in &mut graph.node {
            inner.node(node, inliner);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::error::Code;
    use crate::text::parse;

    #[test]
    fn a_function_that_calls_itself_is_refused() {
        let round = "(float[N,2] x) => (float[N,2] y) { y = test.a (x) } \
                     function test.a (x) => (y) { y = test.b (x) } function test.b (x) => (y) { y = test.a (x) }";
        assert_eq!(parse(round).unwrap_err().code(), Code::Cycle);
    }

    #[test]
    fn calls_leave_no_function_and_no_clashing_names() {
        let twice = "(float[N,2] x) => (float[N,2] y) { a = test.f (x) y = test.f (a) } \
                     function test.f (x) => (z) { h = Relu (x) z = Neg (h) }";
        let model = parse(twice).unwrap();
        assert!(model.proto.functions.is_empty());
        let mut names: Vec<&str> = model.graph().node.iter().flat_map(|n| &n.output).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 4);
    }
}
