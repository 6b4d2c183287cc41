//! Failing models made small: nodes go for as long as the failure stays.

use super::check::{Failure, check};
use super::spec::{Port, Spec, Step};
use lopper_core::graph::{Dim, Graph};
use lopper_core::text::parse;
use std::collections::HashMap;

/// A smaller model that fails in the same way.
pub fn shrink(spec: &Spec, seed: u64, kind: &str) -> (Spec, Failure) {
    let mut best = spec.clone();
    let mut failure = check(&best.text(), seed).unwrap_err();
    let mut tries = 4000;
    loop {
        let mut smaller = None;
        for candidate in candidates(&best) {
            tries -= 1;
            if size(&candidate) >= size(&best) || candidate.outputs.is_empty() || candidate.inputs.is_empty() {
                continue;
            }
            if let Err(f) = check(&candidate.text(), seed)
                && f.kind == kind
            {
                smaller = Some((candidate, f));
                break;
            }
        }
        match smaller {
            Some((s, f)) => (best, failure) = (s, f),
            None => return (best, failure),
        }
        if tries < 0 {
            return (best, failure);
        }
    }
}

/// What shrinks: nodes first, then operands, inputs and outputs.
fn size(s: &Spec) -> (usize, usize) {
    (s.steps.len(), s.parameters.len() + s.inputs.len() + s.outputs.len())
}

/// Lengths of every value; symbolic ones by their name.
fn shapes(spec: &Spec) -> HashMap<String, Vec<String>> {
    let Some(graph) = parse(&spec.text()).ok().and_then(|m| Graph::new(&m).ok()) else { return HashMap::new() };
    let own = graph.values.iter().filter_map(|(_, v)| {
        let float = v.dtype.is_none_or(|t| t.is_float());
        let shape = v.shape.as_ref().filter(|_| float)?;
        let dims = shape.iter().map(|d| match d {
            Dim::Known(n) => n.to_string(),
            other => other.to_string(),
        });
        Some((v.name.clone(), dims.collect::<Vec<_>>()))
    });
    own.filter(|(_, d)| d.iter().all(|d| d.chars().all(char::is_alphanumeric))).collect()
}

fn candidates(spec: &Spec) -> Vec<Spec> {
    let shapes = shapes(spec);
    let mut out = Vec::new();
    let mut add = |mut s: Spec| {
        s.tidy();
        out.push(s);
    };
    // One value as the only output: what comes after it goes.
    for step in &spec.steps {
        for name in step.outputs.iter().filter(|o| !o.is_empty()) {
            if let Some(dims) = shapes.get(name) {
                add(Spec { outputs: vec![Port { name: name.clone(), dims: dims.clone() }], ..spec.clone() });
            }
        }
    }
    for k in 0..spec.outputs.len() {
        let mut s = spec.clone();
        s.outputs.remove(k);
        add(s);
    }
    for k in 0..spec.steps.len() {
        let step = &spec.steps[k];
        let Some(output) = step.outputs.first().filter(|o| step.outputs.len() == 1 && !o.is_empty()) else { continue };
        let Some(dims) = shapes.get(output) else { continue };
        // A node's input in place of its output.
        for input in step.inputs.iter().filter(|i| shapes.get(*i) == Some(dims)) {
            if !spec.outputs.iter().any(|o| o.name == *output) {
                add(replaced(spec, k, output, input));
            }
        }
        // An input of the model in place of what makes a value.
        let mut s = spec.clone();
        s.steps.remove(k);
        s.inputs.push(Port { name: output.clone(), dims: dims.clone() });
        add(s);
        // Optional operands.
        for gone in 0..step.inputs.len() {
            let mut s = spec.clone();
            if gone + 1 == step.inputs.len() && gone > 1 {
                s.steps[k].inputs.pop();
                add(s);
            }
        }
    }
    out
}

fn replaced(spec: &Spec, k: usize, output: &str, input: &str) -> Spec {
    let mut s = spec.clone();
    s.steps.remove(k);
    for Step { inputs, .. } in &mut s.steps {
        for i in inputs.iter_mut().filter(|i| *i == output) {
            *i = input.to_owned();
        }
    }
    s
}
