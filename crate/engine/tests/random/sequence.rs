//! Blocks over sequences `[N, T, C]` and vectors `[N, C]`.

use super::build::{BATCH, Builder, Value};

impl Builder {
    /// A linear layer over the last axis, in one of the forms that exporters write.
    pub fn linear(&mut self, x: &Value, out: usize) -> Value {
        let c = *x.dims.last().unwrap();
        let mut dims = x.dims.clone();
        *dims.last_mut().unwrap() = out;
        if x.rank() == 2 && self.one_in(2) {
            let transposed = self.one_in(2);
            let w = if transposed { self.weight(&[out, c], c) } else { self.weight(&[c, out], c) };
            let attributes = format!("transB = {}, alpha = {}", u8::from(transposed), self.pick(&["1.0", "0.5"]));
            if self.one_in(3) {
                return self.node("Gemm", &attributes, &[x, &w], &dims);
            }
            let b = self.spread(&[out], -0.5, 0.5);
            return self.node("Gemm", &attributes, &[x, &w, &b], &dims);
        }
        let w = if self.one_in(4) {
            let w = self.weight(&[out, c], c);
            self.node("Transpose", "perm = [1, 0]", &[&w], &[c, out])
        } else {
            self.weight(&[c, out], c)
        };
        let y = self.node("MatMul", "", &[x, &w], &dims);
        if self.one_in(2) {
            return y;
        }
        let b = self.spread(&[out], -0.5, 0.5);
        if self.one_in(2) { self.same("Add", "", &[&y, &b]) } else { self.node("Add", "", &[&b, &y], &dims) }
    }

    /// A normalisation over the last axis, fused or in parts.
    pub fn layer_norm(&mut self, x: &Value) -> Value {
        let c = *x.dims.last().unwrap();
        let last = x.rank() - 1;
        let s = self.spread(&[c], 0.5, 1.5);
        let form = self.below(3);
        if form == 0 {
            let b = self.spread(&[c], -0.5, 0.5);
            return self.same("LayerNormalization", "axis = -1, epsilon = 0.01", &[x, &s, &b]);
        }
        let centred = if form == 1 {
            let mean = self.reduce("ReduceMean", x, &[last], true);
            self.same("Sub", "", &[x, &mean])
        } else {
            x.clone()
        };
        let square = if self.one_in(2) {
            let two = self.floats(&[], vec![2.0]);
            self.same("Pow", "", &[&centred, &two])
        } else {
            self.same("Mul", "", &[&centred, &centred])
        };
        let mean = self.reduce("ReduceMean", &square, &[last], true);
        let epsilon = self.floats(&[], vec![0.01]);
        let sum = self.same("Add", "", &[&mean, &epsilon]);
        let root = self.same("Sqrt", "", &[&sum]);
        let y = self.same("Div", "", &[&centred, &root]);
        let y = self.same("Mul", "", &[&y, &s]);
        if form == 2 {
            return y;
        }
        let b = self.spread(&[c], -0.5, 0.5);
        self.same("Add", "", &[&y, &b])
    }

    fn heads(&mut self, x: &Value, heads: usize) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        self.reshape(x, &[n, t, heads, c / heads], None)
    }

    /// Query, key and value, `[N, H, T, D]` each, from one product or three.
    fn query_key_value(&mut self, x: &Value, heads: usize, kv: usize, d: usize) -> [Value; 3] {
        let [n, t] = [x.dims[0], x.dims[1]];
        let a = heads * d;
        if heads == kv && self.one_in(3) {
            let p = self.linear(x, 3 * a);
            let r = self.reshape(&p, &[n, t, 3, heads, d], None);
            let r = self.transpose(&r, &[2, 0, 3, 1, 4]);
            let parts = (0..3).map(|k| {
                let k = self.int(k);
                self.node("Gather", "axis = 0", &[&r, &k], &[n, heads, t, d])
            });
            return parts.collect::<Vec<_>>().try_into().unwrap();
        }
        let flat: Vec<Value> = if self.one_in(2) {
            let p = self.linear(x, a + 2 * kv * d);
            self.split(&p, 2, &[a, kv * d, kv * d])
        } else {
            [a, kv * d, kv * d].iter().map(|&out| self.linear(x, out)).collect()
        };
        let split = [heads, kv, kv];
        let parts = flat.iter().zip(split).map(|(p, h)| {
            let r = self.heads(p, h);
            self.transpose(&r, &[0, 2, 1, 3])
        });
        parts.collect::<Vec<_>>().try_into().unwrap()
    }

    /// Rotates pairs of a head's dimensions, half a head apart.
    fn rotary(&mut self, x: &Value) -> Value {
        let [t, d] = [x.dims[2], x.dims[3]];
        let low = self.slice(x, 3, 0, d as i64 / 2, 1, d / 2);
        let high = self.slice(x, 3, d as i64 / 2, i64::from(i32::MAX), 1, d - d / 2);
        let minus = self.same("Neg", "", &[&high]);
        let turned = self.concat(&[&minus, &low], 3);
        let (cos, sin) = (self.spread(&[t, d], -1.0, 1.0), self.spread(&[t, d], -1.0, 1.0));
        let a = self.same("Mul", "", &[x, &cos]);
        let b = self.same("Mul", "", &[&turned, &sin]);
        self.same("Add", "", &[&a, &b])
    }

    /// Each key head for several query heads.
    fn repeated(&mut self, x: &Value, times: usize) -> Value {
        let [n, h, t, d] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        if times == 1 {
            return x.clone();
        }
        let axes = self.ints(&[2]);
        let y = self.node("Unsqueeze", "", &[x, &axes], &[n, h, 1, t, d]);
        let shape = self.ints(&[1, 1, times as i64, 1, 1]);
        let y = self.node("Expand", "", &[&y, &shape], &[n, h, times, t, d]);
        self.reshape(&y, &[n, h * times, t, d], None)
    }

    /// 1 / sqrt(D), stored or computed from the data's shape.
    fn scaled(&mut self, scores: &Value, q: &Value) -> Value {
        let d = q.dims[3];
        if self.one_in(3) {
            let shape = self.node("Shape", "", &[q], &[4]);
            let last = self.int(3);
            let d = self.node("Gather", "axis = 0", &[&shape, &last], &[]);
            let d = self.node("Cast", "to = 1", &[&d], &[]);
            let root = self.node("Sqrt", "", &[&d], &[]);
            return self.same("Div", "", &[scores, &root]);
        }
        let s = self.floats(&[], vec![1.0 / (d as f64).sqrt()]);
        self.same("Mul", "", &[scores, &s])
    }

    pub fn attention(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let heads = self.pick(&[1, 2, 4]);
        let kv = if heads > 1 && self.one_in(3) { heads / 2 } else { heads };
        let d = self.pick(&[2, 4]);
        let [mut q, mut k, v] = self.query_key_value(x, heads, kv, d);
        if self.one_in(5) {
            (q, k) = (self.layer_norm(&q), self.layer_norm(&k));
        }
        if self.one_in(4) {
            (q, k) = (self.rotary(&q), self.rotary(&k));
        }
        let (k, v) = (self.repeated(&k, heads / kv), self.repeated(&v, heads / kv));
        let kt = self.transpose(&k, &[0, 1, 3, 2]);
        let s = self.node("MatMul", "", &[&q, &kt], &[n, heads, t, t]);
        let mut s = self.scaled(&s, &q);
        if self.one_in(4) {
            let mask = self.spread(&[t, t], -2.0, 0.0);
            s = self.same("Add", "", &[&s, &mask]);
        }
        let p = self.same("Softmax", "axis = -1", &[&s]);
        let o = self.node("MatMul", "", &[&p, &v], &[n, heads, t, d]);
        let o = self.transpose(&o, &[0, 2, 1, 3]);
        let o = self.reshape(&o, &[n, t, heads * d], None);
        self.linear(&o, c)
    }

    fn feed_forward(&mut self, x: &Value) -> Value {
        let c = x.dims[2];
        let middle = self.width();
        let h = match self.below(4) {
            0 => {
                let (g, u) = (self.linear(x, middle), self.linear(x, middle));
                let s = self.same("Sigmoid", "", &[&g]);
                let g = self.same("Mul", "", &[&g, &s]);
                self.same("Mul", "", &[&g, &u])
            }
            1 => {
                let p = self.linear(x, 2 * middle);
                let parts = self.split(&p, 2, &[middle, middle]);
                let s = self.same("Sigmoid", "", &[&parts[1]]);
                self.same("Mul", "", &[&parts[0], &s])
            }
            2 => {
                let p = self.linear(x, 2 * middle);
                let n = middle as i64;
                let (a, b) = (self.slice(&p, 2, 0, n, 1, middle), self.slice(&p, 2, n, 2 * n, 1, middle));
                let s = self.same("Tanh", "", &[&a]);
                self.same("Mul", "", &[&s, &b])
            }
            _ => {
                let h = self.linear(x, middle);
                self.same("Relu", "", &[&h])
            }
        };
        self.linear(&h, c)
    }

    fn recurrent(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (op, gates) = self.pick(&[("LSTM", 4), ("GRU", 3), ("RNN", 1)]);
        let d = self.pick(&[1, 2]);
        let h = self.pick(&[3, 4, 6]);
        let direction = if d == 2 { "bidirectional" } else { self.pick(&["forward", "reverse"]) };
        let xt = self.transpose(x, &[1, 0, 2]);
        let (w, r) = (self.weight(&[d, gates * h, c], c), self.weight(&[d, gates * h, h], h));
        let b = self.spread(&[d, 2 * gates * h], -0.5, 0.5);
        let attributes = format!("hidden_size = {h}, direction = \"{direction}\"");
        let mut inputs = vec![&xt, &w, &r];
        if !self.one_in(3) {
            inputs.push(&b);
        }
        if self.one_in(4) {
            let both = self.nodes(op, &attributes, &inputs, &[vec![t, d, n, h], vec![d, n, h]]);
            let last = self.transpose(&both[1], &[1, 0, 2]);
            self.forget(&both[0]);
            return self.reshape(&last, &[n, d * h], Some(0));
        }
        let y = self.node(op, &attributes, &inputs, &[t, d, n, h]);
        if d == 1 && self.one_in(2) {
            let axes = self.ints(&[1]);
            let y = self.node("Squeeze", "", &[&y, &axes], &[t, n, h]);
            return self.transpose(&y, &[1, 0, 2]);
        }
        let y = self.transpose(&y, &[2, 0, 1, 3]);
        self.reshape(&y, &[n, t, d * h], None)
    }

    /// Leaves the first output of the last node without a name: nothing reads it.
    fn forget(&mut self, v: &Value) {
        for step in &mut self.spec.steps {
            for o in step.outputs.iter_mut().filter(|o| **o == v.name) {
                o.clear();
            }
        }
    }

    /// Mixes positions of the sequence.
    fn mixer(&mut self, x: &Value) -> Value {
        let t = x.dims[1];
        let y = self.transpose(x, &[0, 2, 1]);
        let middle = self.width();
        let y = self.linear(&y, middle);
        let y = self.same("Relu", "", &[&y]);
        let y = self.linear(&y, t);
        self.transpose(&y, &[0, 2, 1])
    }

    fn convolve(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let y = self.transpose(x, &[0, 2, 1]);
        let w = self.weight(&[c, c, 3], c * 3);
        let y = self.node("Conv", "pads = [1, 1]", &[&y, &w], &[n, c, t]);
        self.transpose(&y, &[0, 2, 1])
    }

    fn sequence_same(&mut self, x: &Value, depth: usize) -> Value {
        let c = x.dims[2];
        match self.below(if depth > 0 { 13 } else { 8 }) {
            0 | 1 => self.attention(x),
            2 | 3 => self.feed_forward(x),
            4 => self.layer_norm(x),
            5 => self.mixer(x),
            6 => self.convolve(x),
            7 => {
                let y = self.linear(x, c);
                self.same("Tanh", "", &[&y])
            }
            _ => {
                let y = if self.one_in(2) { self.layer_norm(x) } else { x.clone() };
                let mut y = self.sequence_same(&y, depth - 1);
                if self.one_in(4) {
                    let gamma = self.spread(&[c], 0.1, 1.0);
                    y = self.same("Mul", "", &[&y, &gamma]);
                }
                self.same("Add", "", &[x, &y])
            }
        }
    }

    /// One random block over a sequence; the result may be a vector.
    pub fn sequence_block(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let out = self.width();
        match self.below(12) {
            0 => self.linear(x, out),
            1 if c <= 16 => self.recurrent(x),
            2 => {
                let p = self.spread(&[1, t, c], -0.5, 0.5);
                self.same("Add", "", &[x, &p])
            }
            3 if !self.open => {
                let token = self.spread(&[1, 1, c], -1.0, 1.0);
                let shape = self.ints(&[n as i64, 1, 1]);
                let token = self.node("Expand", "", &[&token, &shape], &[n, 1, c]);
                self.concat(&[&token, x], 1)
            }
            4 => {
                let zero = self.int(0);
                self.node("Gather", "axis = 1", &[x, &zero], &[n, c])
            }
            5 => self.reduce("ReduceMean", x, &[1], false),
            6 if c > 1 => {
                let a = 1 + self.below(c - 1);
                let parts = self.split(x, 2, &[a, c - a]);
                let y = self.linear(&parts[0], a);
                self.concat(&[&parts[1], &y], 2)
            }
            7 if c <= 16 => {
                let y = self.linear(x, out);
                self.concat(&[&y, x, x], 2)
            }
            _ => self.sequence_same(x, 2),
        }
    }

    /// One random block over a vector.
    pub fn vector_block(&mut self, x: &Value) -> Value {
        let [n, c] = [x.dims[0], x.dims[1]];
        let out = self.width();
        match self.below(10) {
            0 | 1 => {
                let y = self.linear(x, out);
                self.activation(&y)
            }
            2 => self.batch_norm(x),
            3 => self.layer_norm(x),
            4 if c <= 16 => {
                let y = self.linear(x, out);
                let y = self.same("Relu", "", &[&y]);
                if self.one_in(2) { self.concat(&[x, &y], 1) } else { self.concat(&[&y, &y], 1) }
            }
            5 if c % 2 == 0 => {
                let parts = self.split(x, 1, &[c / 2, c / 2]);
                let op = self.pick(&["Mul", "Add", "Max"]);
                self.same(op, "", &[&parts[1], &parts[0]])
            }
            6 => {
                let y = self.linear(x, c);
                let y = self.same("Softmax", "axis = 1", &[&y]);
                self.same("Mul", "", &[x, &y])
            }
            7 if c % 4 == 0 => {
                let r = self.reshape(x, &[n, 4, c / 4], None);
                let y = match self.below(3) {
                    0 => self.transpose(&r, &[0, 2, 1]),
                    1 => self.layer_norm(&r),
                    _ => self.same("Relu", "", &[&r]),
                };
                self.reshape(&y, &[n, c], None)
            }
            8 => {
                let y = self.linear(x, out);
                let y = self.same("Relu", "", &[&y]);
                let y = self.linear(&y, c);
                self.same("Add", "", &[x, &y])
            }
            _ => self.activation(x),
        }
    }

    /// An image becomes a sequence or a vector.
    pub fn image_to(&mut self, x: &Value, vector: bool) -> Value {
        let [n, c, h, w] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        if !vector {
            let y = self.reshape(x, &[n, c, h * w], None);
            return self.transpose(&y, &[0, 2, 1]);
        }
        match self.below(4) {
            0 if c * h * w <= 400 => self.node("Flatten", "axis = 1", &[x], &[n, c * h * w]),
            1 if c * h * w <= 400 => self.reshape(x, &[n, c * h * w], None),
            2 => self.reduce("ReduceMean", x, &[2, 3], false),
            _ => {
                let pool = self.pick(&["GlobalAveragePool", "GlobalMaxPool"]);
                let y = self.node(pool, "", &[x], &[n, c, 1, 1]);
                match self.below(3) {
                    0 => self.node("Flatten", "axis = 1", &[&y], &[n, c]),
                    1 => {
                        let axes = self.ints(&[2, 3]);
                        self.node("Squeeze", "", &[&y, &axes], &[n, c])
                    }
                    _ => self.reshape(&y, &[n, c], None),
                }
            }
        }
    }

    /// A vector becomes an image or a sequence.
    pub fn vector_to(&mut self, x: &Value, image: bool) -> Value {
        let c = self.pick(&[4, 8]);
        let y = self.linear(x, c * 4);
        if image { self.reshape(&y, &[BATCH, c, 2, 2], None) } else { self.reshape(&y, &[BATCH, 4, c], None) }
    }
}
