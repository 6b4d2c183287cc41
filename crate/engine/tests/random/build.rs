//! The hand that writes random models: names, parameters of sensible size, reshapes in every form that exporters use.

use super::spec::{Data, Parameter, Port, Spec, Step};
use lopper_engine::data::random::SplitMix64;

/// A value: its name and lengths. Axis 0 holds the samples unless a block says otherwise.
#[derive(Clone, Debug)]
pub struct Value {
    pub name: String,
    pub dims: Vec<usize>,
}

impl Value {
    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }
}

/// Images of one run.
pub const BATCH: usize = 2;

/// A model under construction.
pub struct Builder {
    pub random: SplitMix64,
    pub spec: Spec,
    /// Whether the number of samples is left open.
    pub open: bool,
    /// How many nodes it may have.
    pub most: usize,
    /// Whether layers have two to four channels.
    pub tiny: bool,
    count: usize,
}

impl Builder {
    pub fn new(seed: u64) -> Self {
        let mut random = SplitMix64::keyed(&[seed, 1]);
        let open = random.below(2) == 0;
        let opset = if random.below(2) == 0 { 17 } else { 23 };
        let most = 3 + random.below(38) as usize;
        Self { random, spec: Spec { opset, ..Spec::default() }, open, most, tiny: false, count: 0 }
    }

    pub fn below(&mut self, n: usize) -> usize {
        self.random.below(n as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        let i = self.below(list.len());
        list[i].clone()
    }

    /// Whether the model is as large as it may become.
    pub fn full(&self) -> bool {
        self.spec.steps.len() >= self.most
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    pub fn input(&mut self, dims: &[usize]) -> Value {
        let name = self.name("x");
        let mut text: Vec<String> = dims.iter().map(ToString::to_string).collect();
        if self.open {
            text[0] = "N".to_owned();
        }
        self.spec.inputs.push(Port { name: name.clone(), dims: text });
        Value { name, dims: dims.to_vec() }
    }

    pub fn output(&mut self, v: &Value) {
        if self.spec.outputs.iter().any(|o| o.name == v.name) {
            return;
        }
        let mut dims: Vec<String> = v.dims.iter().map(ToString::to_string).collect();
        if self.open {
            dims[0] = "N".to_owned();
        }
        self.spec.outputs.push(Port { name: v.name.clone(), dims });
    }

    fn parameter(&mut self, prefix: &str, dims: &[usize], data: Data) -> Value {
        let name = self.name(prefix);
        self.spec.parameters.push(Parameter { name: name.clone(), dims: dims.to_vec(), data });
        Value { name, dims: dims.to_vec() }
    }

    /// A weight whose outputs are as large as its inputs when so many are summed.
    pub fn weight(&mut self, dims: &[usize], summed: usize) -> Value {
        let a = ((300.0 / summed.max(1) as f64).sqrt() * 10.0).round() / 100.0;
        self.parameter("w", dims, Data::Range(-a, a))
    }

    pub fn spread(&mut self, dims: &[usize], low: f64, high: f64) -> Value {
        self.parameter("p", dims, Data::Range(low, high))
    }

    pub fn floats(&mut self, dims: &[usize], v: Vec<f64>) -> Value {
        self.parameter("c", dims, Data::Floats(v))
    }

    pub fn ints(&mut self, v: &[i64]) -> Value {
        self.parameter("i", &[v.len()], Data::Ints(v.to_vec()))
    }

    pub fn int(&mut self, v: i64) -> Value {
        self.parameter("i", &[], Data::Ints(vec![v]))
    }

    pub fn bools(&mut self, dims: &[usize]) -> Value {
        let n = dims.iter().product();
        let v = (0..n).map(|_| self.one_in(2)).collect();
        self.parameter("b", dims, Data::Bools(v))
    }

    /// Adds a node with several outputs.
    pub fn nodes(&mut self, op: &str, attributes: &str, inputs: &[&Value], outputs: &[Vec<usize>]) -> Vec<Value> {
        let own: Vec<Value> = outputs.iter().map(|dims| Value { name: self.name("v"), dims: dims.clone() }).collect();
        self.spec.steps.push(Step {
            op: op.to_owned(),
            attributes: attributes.to_owned(),
            inputs: inputs.iter().map(|v| v.name.clone()).collect(),
            outputs: own.iter().map(|v| v.name.clone()).collect(),
        });
        own
    }

    /// Adds a node with one output.
    pub fn node(&mut self, op: &str, attributes: &str, inputs: &[&Value], dims: &[usize]) -> Value {
        self.nodes(op, attributes, inputs, &[dims.to_vec()]).remove(0)
    }

    /// Adds a node whose output has the shape of its first input.
    pub fn same(&mut self, op: &str, attributes: &str, inputs: &[&Value]) -> Value {
        let dims = inputs[0].dims.clone();
        self.node(op, attributes, inputs, &dims)
    }

    pub fn transpose(&mut self, x: &Value, perm: &[usize]) -> Value {
        let dims: Vec<usize> = perm.iter().map(|&p| x.dims[p]).collect();
        self.node("Transpose", &format!("perm = {perm:?}"), &[x], &dims)
    }

    /// A reshape, its target written in one of the ways that exporters write it. Where the samples are no axis of their own,
    /// `batch` is the axis of the result that their number is a factor of.
    pub fn reshape(&mut self, x: &Value, to: &[usize], batch: Option<usize>) -> Value {
        let mut target: Vec<i64> = to.iter().map(|&n| n as i64).collect();
        let kept = to[0] == x.dims[0] && batch.is_none();
        if !kept {
            if self.open {
                target[batch.unwrap_or(0)] = -1;
            }
        } else if self.one_in(4) {
            return self.reshape_computed(x, to);
        } else if self.open || self.one_in(2) {
            target[0] = 0;
            if self.one_in(2) && to.len() > 1 {
                let at = 1 + self.below(to.len() - 1);
                target[at] = -1;
            }
        }
        let shape = self.ints(&target);
        self.node("Reshape", "", &[x, &shape], to)
    }

    /// The number of samples read from the data at run time.
    fn reshape_computed(&mut self, x: &Value, to: &[usize]) -> Value {
        let shape = self.node("Shape", "", &[x], &[x.rank()]);
        let zero = self.int(0);
        let batch = self.node("Gather", "axis = 0", &[&shape, &zero], &[]);
        let axes = self.ints(&[0]);
        let batch = self.node("Unsqueeze", "", &[&batch, &axes], &[1]);
        let mut rest: Vec<i64> = to[1..].iter().map(|&n| n as i64).collect();
        if self.one_in(2) && !rest.is_empty() {
            let at = self.below(rest.len());
            rest[at] = -1;
        }
        let rest = self.ints(&rest);
        let target = self.node("Concat", "axis = 0", &[&batch, &rest], &[to.len()]);
        self.node("Reshape", "", &[x, &target], to)
    }

    pub fn concat(&mut self, parts: &[&Value], axis: usize) -> Value {
        let mut dims = parts[0].dims.clone();
        dims[axis] = parts.iter().map(|p| p.dims[axis]).sum();
        let axis = if self.one_in(3) { axis as i64 - dims.len() as i64 } else { axis as i64 };
        self.node("Concat", &format!("axis = {axis}"), parts, &dims)
    }

    pub fn split(&mut self, x: &Value, axis: usize, sizes: &[usize]) -> Vec<Value> {
        let dims: Vec<Vec<usize>> = sizes
            .iter()
            .map(|&n| {
                let mut d = x.dims.clone();
                d[axis] = n;
                d
            })
            .collect();
        let attribute = format!("axis = {axis}");
        let equal = sizes.iter().all(|n| *n == sizes[0]);
        if equal && self.one_in(2) {
            let attribute = match self.spec.opset {
                ..18 => attribute,
                _ => format!("{attribute}, num_outputs = {}", sizes.len()),
            };
            return self.nodes("Split", &attribute, &[x], &dims);
        }
        let sizes: Vec<i64> = sizes.iter().map(|&n| n as i64).collect();
        let sizes = self.ints(&sizes);
        self.nodes("Split", &attribute, &[x, &sizes], &dims)
    }

    pub fn slice(&mut self, x: &Value, axis: usize, from: i64, to: i64, step: i64, count: usize) -> Value {
        let mut dims = x.dims.clone();
        dims[axis] = count;
        let (starts, ends, axes, steps) =
            (self.ints(&[from]), self.ints(&[to]), self.ints(&[axis as i64]), self.ints(&[step]));
        self.node("Slice", "", &[x, &starts, &ends, &axes, &steps], &dims)
    }

    /// Means over axes, which stay with length one or go.
    pub fn reduce(&mut self, op: &str, x: &Value, axes: &[usize], keep: bool) -> Value {
        let dims: Vec<usize> = (x.dims.iter().enumerate())
            .filter(|(i, _)| keep || !axes.contains(i))
            .map(|(i, &n)| if axes.contains(&i) { 1 } else { n })
            .collect();
        let keepdims = if keep { 1 } else { 0 };
        if op == "ReduceSum" || self.spec.opset >= 18 {
            let own: Vec<i64> = axes.iter().map(|&a| a as i64).collect();
            let own = self.ints(&own);
            return self.node(op, &format!("keepdims = {keepdims}"), &[x, &own], &dims);
        }
        self.node(op, &format!("axes = {axes:?}, keepdims = {keepdims}"), &[x], &dims)
    }

    pub fn activation(&mut self, x: &Value) -> Value {
        match self.below(16) {
            0 => self.same("Sigmoid", "", &[x]),
            1 => self.same("HardSigmoid", "", &[x]),
            2 => self.same("HardSwish", "", &[x]),
            3 => self.same("LeakyRelu", "alpha = 0.1", &[x]),
            4 => self.same("Tanh", "", &[x]),
            5 => {
                let s = self.same("Sigmoid", "", &[x]);
                self.same("Mul", "", &[x, &s])
            }
            6 => {
                let (low, high) = (self.pick(&[0.0, -1.0, 0.25]), self.pick(&[6.0, 1.0]));
                let (low, high) = (self.floats(&[], vec![low]), self.floats(&[], vec![high]));
                self.same("Clip", "", &[x, &low, &high])
            }
            7 => self.gelu(x),
            8 => self.same("Softplus", "", &[x]),
            9 => {
                let mut dims = vec![x.dims[1]];
                dims.extend(vec![1; x.rank().saturating_sub(2)]);
                let slope = self.spread(&dims, 0.0, 0.5);
                self.same("PRelu", "", &[x, &slope])
            }
            10 => self.same("Elu", "", &[x]),
            11 => self.same("Identity", "", &[x]),
            12 => self.same("Dropout", "", &[x]),
            _ => self.same("Relu", "", &[x]),
        }
    }

    fn gelu(&mut self, x: &Value) -> Value {
        let (root, one, half) = (
            self.floats(&[], vec![std::f64::consts::SQRT_2]),
            self.floats(&[], vec![1.0]),
            self.floats(&[], vec![0.5]),
        );
        let d = self.same("Div", "", &[x, &root]);
        let e = self.same("Erf", "", &[&d]);
        let a = self.same("Add", "", &[&e, &one]);
        let m = self.same("Mul", "", &[x, &a]);
        self.same("Mul", "", &[&m, &half])
    }
}
