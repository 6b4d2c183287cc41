//! Blocks over sequences `[N, T, C]` by operators that few models hold.

use super::build::{Builder, Value};

impl Builder {
    /// One random block of operators that few models hold.
    pub fn rare_sequence(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let last = self.spec.opset >= 23;
        match self.below(20) {
            0 => {
                let s = self.spread(&[c], 0.5, 1.5);
                let op = if last { "RMSNormalization" } else { "SimplifiedLayerNormalization" };
                self.same(op, "axis = -1, epsilon = 0.01", &[x, &s])
            }
            1 if last => self.attention_node(x),
            2 => self.multi_head(x),
            3 => self.packed(x),
            4 => self.skip_norm(x),
            5 => {
                let op = self.pick(&["Gelu", "FastGelu", "QuickGelu", "BiasGelu"]);
                let b = self.spread(&[c], -0.5, 0.5);
                let inputs = if op == "BiasGelu" { vec![x, &b] } else { vec![x] };
                self.same(&format!("com.microsoft.{op}"), "", &inputs)
            }
            6 => {
                let out = self.width();
                let w = self.weight(&[out, c], c);
                self.node("com.microsoft.FusedMatMul", "transB = 1, alpha = 0.5", &[x, &w], &[n, t, out])
            }
            7 => self.einsum_attention(x),
            8 => {
                let w = self.weight(&[t, t], t);
                self.node("MatMul", "", &[&w, x], &x.dims)
            }
            9 => self.recurrent_batch_first(x),
            10 => {
                let axis = self.int(1);
                self.same("CumSum", "", &[x, &axis])
            }
            11 if t > 1 => {
                let k = self.ints(&[2]);
                self.nodes("TopK", "axis = 1", &[x, &k], &[vec![n, 2, c], vec![n, 2, c]]).remove(0)
            }
            12 if t < 10 => self.class_token(x),
            13 => {
                let out = self.width();
                let at = self.node("ArgMax", "axis = 2, keepdims = 0", &[x], &[n, t]);
                let table = self.weight(&[c, out], 1);
                self.node("Gather", "axis = 0", &[&table, &at], &[n, t, out])
            }
            14 => self.one_hot(x),
            15 => self.causal_conv(x),
            16 => self.quantized_linear(x),
            17 => self.unit_length(x),
            18 => self.rotated(x),
            _ => self.rare_activation(x),
        }
    }

    fn attention_node(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (heads, kv) = self.pick(&[(1, 1), (2, 2), (4, 2), (2, 1)]);
        let d = self.pick(&[2, 4]);
        let (q, k, v) = (self.linear(x, heads * d), self.linear(x, kv * d), self.linear(x, kv * d));
        let causal = self.below(2);
        let attributes = format!("q_num_heads = {heads}, kv_num_heads = {kv}, is_causal = {causal}");
        let o = self.node("Attention", &attributes, &[&q, &k, &v], &[n, t, heads * d]);
        self.linear(&o, c)
    }

    fn multi_head(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (heads, d) = (self.pick(&[1, 2, 4]), self.pick(&[2, 4]));
        let (q, k, v) = (self.linear(x, heads * d), self.linear(x, heads * d), self.linear(x, heads * d));
        let attributes = format!("num_heads = {heads}");
        let o = self.node("com.microsoft.MultiHeadAttention", &attributes, &[&q, &k, &v], &[n, t, heads * d]);
        self.linear(&o, c)
    }

    fn packed(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (heads, d) = (self.pick(&[1, 2]), self.pick(&[2, 4]));
        let a = heads * d;
        let (w, b) = (self.weight(&[c, 3 * a], c), self.spread(&[3 * a], -0.5, 0.5));
        let attributes = format!("num_heads = {heads}, qkv_hidden_sizes = [{a}, {a}, {a}]");
        let o = self.node("com.microsoft.Attention", &attributes, &[x, &w, &b], &[n, t, a]);
        self.linear(&o, c)
    }

    fn skip_norm(&mut self, x: &Value) -> Value {
        let c = x.dims[2];
        let (y, s) = (self.linear(x, c), self.spread(&[c], 0.5, 1.5));
        if self.one_in(2) {
            return self.same("com.microsoft.SkipSimplifiedLayerNormalization", "epsilon = 0.01", &[x, &y, &s]);
        }
        let b = self.spread(&[c], -0.5, 0.5);
        self.same("com.microsoft.SkipLayerNormalization", "epsilon = 0.01", &[x, &y, &s, &b])
    }

    /// Attention whose products name their axes.
    fn einsum_attention(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (heads, d) = (self.pick(&[1, 2]), self.pick(&[2, 4]));
        let parts: Vec<Value> = (0..3)
            .map(|_| {
                let w = self.weight(&[c, heads, d], c);
                self.node("Einsum", "equation = \"btc,chd->bthd\"", &[x, &w], &[n, t, heads, d])
            })
            .collect();
        let s = self.node("Einsum", "equation = \"bihd,bjhd->bhij\"", &[&parts[0], &parts[1]], &[n, heads, t, t]);
        let s = self.same("Softmax", "axis = -1", &[&s]);
        let o = self.node("Einsum", "equation = \"bhij,bjhd->bihd\"", &[&s, &parts[2]], &[n, t, heads, d]);
        let w = self.weight(&[heads, d, c], heads * d);
        self.node("Einsum", "equation = \"bthd,hdc->btc\"", &[&o, &w], &[n, t, c])
    }

    /// Recurrent layers whose first axis holds the samples.
    fn recurrent_batch_first(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let (op, gates) = self.pick(&[("LSTM", 4), ("GRU", 3), ("RNN", 1)]);
        let (d, h) = (self.pick(&[1, 2]), self.pick(&[3, 4]));
        let (w, r) = (self.weight(&[d, gates * h, c], c), self.weight(&[d, gates * h, h], h));
        let b = self.spread(&[d, 2 * gates * h], -0.5, 0.5);
        let direction = if d == 2 { "bidirectional" } else { "forward" };
        let more = if op == "GRU" && self.one_in(2) { ", linear_before_reset = 1" } else { "" };
        let attributes = format!("hidden_size = {h}, direction = \"{direction}\", layout = 1{more}");
        let y = self.node(op, &attributes, &[x, &w, &r, &b], &[n, t, d, h]);
        self.reshape(&y, &[n, t, d * h], None)
    }

    /// A token before all others, positions, and a layer that reads that token alone.
    fn class_token(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let first = self.slice(x, 1, 0, 1, 1, 1);
        let (none, own) = (self.floats(&[], vec![0.0]), self.spread(&[1, 1, c], -1.0, 1.0));
        let empty = self.same("Mul", "", &[&first, &none]);
        let token = self.same("Add", "", &[&empty, &own]);
        let all = self.concat(&[&token, x], 1);
        let places = self.spread(&[1, t + 1, c], -0.5, 0.5);
        let all = self.same("Add", "", &[&all, &places]);
        let all = self.attention(&all);
        if self.one_in(2) {
            return all;
        }
        let zero = self.int(0);
        self.node("Gather", "axis = 1", &[&all, &zero], &[n, c])
    }

    fn one_hot(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let out = self.width();
        let at = self.node("ArgMax", "axis = 2, keepdims = 0", &[x], &[n, t]);
        let (depth, values) = (self.int(c as i64), self.floats(&[2], vec![0.0, 1.0]));
        let code = self.node("OneHot", "axis = -1", &[&at, &depth, &values], &[n, t, c]);
        self.linear(&code, out)
    }

    fn causal_conv(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let out = self.width();
        let y = self.transpose(x, &[0, 2, 1]);
        let y = if self.one_in(2) {
            let w = self.weight(&[out, c, 3], c * 3);
            self.node("Conv", "pads = [4, 0], dilations = [2]", &[&y, &w], &[n, out, t])
        } else {
            let w = self.weight(&[c, out, 3], c * 3);
            self.node("ConvTranspose", "pads = [1, 1]", &[&y, &w], &[n, out, t])
        };
        self.transpose(&y, &[0, 2, 1])
    }

    /// A weight of one scale that was stored as bytes.
    fn quantized_linear(&mut self, x: &Value) -> Value {
        let [n, t, c] = [x.dims[0], x.dims[1], x.dims[2]];
        let out = self.width();
        let (w, s) = (self.weight(&[c, out], c), self.floats(&[], vec![0.01]));
        let middle = self.int(128);
        let zero = self.same("Cast", "to = 2", &[&middle]);
        let q = self.same("QuantizeLinear", "", &[&w, &s, &zero]);
        let w = self.same("DequantizeLinear", "", &[&q, &s, &zero]);
        self.node("MatMul", "", &[x, &w], &[n, t, out])
    }

    /// Every token divided by its length.
    fn unit_length(&mut self, x: &Value) -> Value {
        let length = self.reduce("ReduceL2", x, &[2], true);
        let (least, none) = (self.floats(&[], vec![0.1]), Value { name: String::new(), dims: vec![] });
        let length = self.same("Clip", "", &[&length, &least, &none]);
        self.same("Div", "", &[x, &length])
    }

    fn rotated(&mut self, x: &Value) -> Value {
        let t = x.dims[1];
        let (heads, d) = (self.pick(&[1, 2]), self.pick(&[2, 4]));
        let y = self.linear(x, heads * d);
        let (cos, sin) = (self.spread(&[t, d / 2], -1.0, 1.0), self.spread(&[t, d / 2], -1.0, 1.0));
        let offset = self.ints(&[0]);
        let attributes = format!("num_heads = {heads}, interleaved = {}", self.below(2));
        self.same("com.microsoft.RotaryEmbedding", &attributes, &[&y, &offset, &cos, &sin])
    }
}
