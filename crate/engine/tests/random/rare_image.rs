//! Blocks over images `[N, C, H, W]` by operators that few models hold.

use super::build::{BATCH, Builder, Value};

impl Builder {
    /// One random block of operators that few models hold. Not every one fits every image; a convolution then stands in.
    pub fn rare_image(&mut self, x: &Value) -> Value {
        let (c, h, w) = (x.dims[1], x.dims[2], x.dims[3]);
        let even = h % 2 == 0 && w % 2 == 0 && h > 1 && w > 1;
        let last = self.spec.opset >= 21;
        match self.below(26) {
            0 => self.same("LRN", "size = 3, alpha = 0.1", &[x]),
            1 => self.unit_norm(x),
            2 => {
                // Its mean alone would be nothing but rounding.
                let y = self.same("MeanVarianceNormalization", "axes = [2, 3]", &[x]);
                let b = self.spread(&[c, 1, 1], 0.5, 1.0);
                self.same("Add", "", &[&y, &b])
            }
            3 if c % 2 == 0 && last => {
                let (s, b) = (self.spread(&[c], 0.5, 1.5), self.spread(&[c], -0.5, 0.5));
                self.same("GroupNormalization", "num_groups = 2", &[x, &s, &b])
            }
            4 if c % 4 == 0 && h <= 4 => {
                let mode = self.pick(&["DCR", "CRD"]);
                let attributes = format!("blocksize = 2, mode = \"{mode}\"");
                self.node("DepthToSpace", &attributes, &[x], &[BATCH, c / 4, h * 2, w * 2])
            }
            5 if even && c <= 6 => self.node("SpaceToDepth", "blocksize = 2", &[x], &[BATCH, c * 4, h / 2, w / 2]),
            6 if c <= 8 => {
                let times = self.ints(&[1, 2, 1, 1]);
                self.node("Tile", "", &[x, &times], &[BATCH, c * 2, h, w])
            }
            7 => self.einsum_conv(x),
            8 => self.cumulative(x),
            9 => {
                let axis = 1 + self.below(2);
                let most = x.dims[axis].min(2);
                let (k, mut dims) = (self.ints(&[most as i64]), x.dims.clone());
                dims[axis] = most;
                self.nodes("TopK", &format!("axis = {axis}"), &[x, &k], &[dims.clone(), dims]).remove(0)
            }
            10 => {
                let upper = self.below(2);
                self.same("Trilu", &format!("upper = {upper}"), &[x])
            }
            11 => {
                let at = self.node("ArgMax", "axis = 1, keepdims = 1", &[x], &[BATCH, 1, h, w]);
                let at = self.same("Cast", "to = 1", &[&at]);
                self.same("Add", "", &[x, &at])
            }
            12 => self.quantized_conv(x),
            13 if h <= 4 => self.resized(x),
            14 if h > 1 && w > 1 => self.padded(x),
            15 => self.rare_pool(x),
            16 if h <= 4 => self.transposed_conv(x),
            17 => self.conv_3d(x),
            18 => {
                let y = self.conv_to(x, c, 1);
                let op = self.pick(&["Sum", "Mean", "Max", "Min"]);
                self.same(op, "", &[x, &y, x])
            }
            19 => self.rare_gate(x),
            20 => {
                let (zero, slope) = (self.floats(&[], vec![0.0]), self.spread(&[c, 1, 1], 0.0, 0.5));
                let (positive, small) = (self.same("Greater", "", &[x, &zero]), self.same("Mul", "", &[x, &slope]));
                self.same("Where", "", &[&positive, x, &small])
            }
            21 => self.selective_kernel(x),
            22 if even && c % 2 == 0 => self.windows(x),
            23 => self.channel_attention(x),
            24 => self.last_channels(x),
            _ => self.rare_activation(x),
        }
    }

    /// Functions of one value, of which some are not zero at zero.
    pub fn rare_activation(&mut self, x: &Value) -> Value {
        let newest: &[&str] = if self.spec.opset >= 20 { &["Gelu"] } else { &[] };
        let all =
            ["Abs", "Exp", "Neg", "Softsign", "Selu", "Celu", "Sin", "Cos", "Atan", "Asinh", "Softmax", "LogSoftmax"];
        let all = [&all, newest].concat();
        let op = self.pick(&all);
        let bounded = if op == "Exp" { self.same("Tanh", "", &[x]) } else { x.clone() };
        self.same(op, if op.ends_with("oftmax") { "axis = 1" } else { "" }, &[&bounded])
    }

    /// Every place's channels divided by their norm, which a channel of its own keeps above zero.
    fn unit_norm(&mut self, x: &Value) -> Value {
        let one = self.floats(&[1, 1, 1, 1], vec![1.0]);
        let first = self.slice(x, 1, 0, 1, 1, 1);
        let none = self.floats(&[], vec![0.0]);
        let zero = self.same("Mul", "", &[&first, &none]);
        let ones = self.same("Add", "", &[&zero, &one]);
        let y = self.concat(&[x, &ones], 1);
        let p = 1 + self.below(2);
        self.same("LpNormalization", &format!("axis = 1, p = {p}"), &[&y])
    }

    fn einsum_conv(&mut self, x: &Value) -> Value {
        let (c, out) = (x.dims[1], self.width());
        let dims = [BATCH, out, x.dims[2], x.dims[3]];
        if self.one_in(2) {
            let w = self.weight(&[out, c], c);
            return self.node("Einsum", "equation = \"nchw,dc->ndhw\"", &[x, &w], &dims);
        }
        let w = self.weight(&[c, out], c);
        self.node("Einsum", "equation = \"cd,nchw->ndhw\"", &[&w, x], &dims)
    }

    fn cumulative(&mut self, x: &Value) -> Value {
        let axis = 1 + self.below(2) as i64;
        let axis = self.int(axis);
        let (exclusive, reverse) = (self.below(2), self.below(2));
        self.same("CumSum", &format!("exclusive = {exclusive}, reverse = {reverse}"), &[x, &axis])
    }

    /// A weight that was stored as bytes, with a scale for every output.
    fn quantized_conv(&mut self, x: &Value) -> Value {
        let (c, out) = (x.dims[1], self.width());
        let (w, s) = (self.weight(&[out, c, 3, 3], c * 9), self.spread(&[out], 0.01, 0.02));
        let zero = self.spec_bytes(out);
        let q = self.same("QuantizeLinear", "axis = 0", &[&w, &s, &zero]);
        let w = self.same("DequantizeLinear", "axis = 0", &[&q, &s, &zero]);
        self.node("Conv", "pads = [1, 1, 1, 1]", &[x, &w], &[BATCH, out, x.dims[2], x.dims[3]])
    }

    /// Zero points in the middle of the bytes.
    fn spec_bytes(&mut self, n: usize) -> Value {
        let middle = self.ints(&vec![128; n]);
        self.same("Cast", "to = 2", &[&middle])
    }

    fn resized(&mut self, x: &Value) -> Value {
        let mode = self.pick(&["linear", "cubic", "nearest"]);
        let place = self.pick(&["half_pixel", "align_corners", "asymmetric"]);
        let scales = self.floats(&[4], vec![1.0, 1.0, 2.0, 2.0]);
        let none = Value { name: String::new(), dims: vec![] };
        let attributes = format!("mode = \"{mode}\", coordinate_transformation_mode = \"{place}\"");
        let dims = [BATCH, x.dims[1], x.dims[2] * 2, x.dims[3] * 2];
        self.node("Resize", &attributes, &[x, &none, &scales], &dims)
    }

    fn padded(&mut self, x: &Value) -> Value {
        let dims = [BATCH, x.dims[1], x.dims[2] + 2, x.dims[3] + 1];
        let pads = self.ints(&[0, 0, 1, 0, 0, 0, 1, 1]);
        let mode = self.pick(&["reflect", "edge", "constant"]);
        let half = self.floats(&[], vec![0.5]);
        let inputs = if mode == "constant" { vec![x, &pads, &half] } else { vec![x, &pads] };
        self.node("Pad", &format!("mode = \"{mode}\""), &inputs, &dims)
    }

    fn rare_pool(&mut self, x: &Value) -> Value {
        let (c, h, w) = (x.dims[1], x.dims[2], x.dims[3]);
        match self.below(4) {
            0 => {
                let p = self.node("GlobalLpPool", "p = 2", &[x], &[BATCH, c, 1, 1]);
                let p = self.same("Tanh", "", &[&p]);
                self.same("Mul", "", &[x, &p])
            }
            1 => self.same("LpPool", "kernel_shape = [3, 3], pads = [1, 1, 1, 1], p = 2", &[x]),
            2 => self.same("AveragePool", "kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1", &[x]),
            3 if h == 1 || w == 1 => self.same("MaxPool", "kernel_shape = [3, 3], pads = [1, 1, 1, 1]", &[x]),
            _ => {
                let attributes = "kernel_shape = [2, 2], strides = [2, 2], ceil_mode = 1";
                self.node("MaxPool", attributes, &[x], &[BATCH, c, h.div_ceil(2), w.div_ceil(2)])
            }
        }
    }

    fn transposed_conv(&mut self, x: &Value) -> Value {
        let (c, out) = (x.dims[1], self.width());
        let w = self.weight(&[c, out, 3, 3], c * 3);
        let attributes = "strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]";
        self.node("ConvTranspose", attributes, &[x, &w], &[BATCH, out, x.dims[2] * 2, x.dims[3] * 2])
    }

    /// A convolution over three axes, of which the first has one place.
    fn conv_3d(&mut self, x: &Value) -> Value {
        let (c, h, w, out) = (x.dims[1], x.dims[2], x.dims[3], self.width());
        let axes = self.ints(&[2]);
        let y = self.node("Unsqueeze", "", &[x, &axes], &[BATCH, c, 1, h, w]);
        let weight = self.weight(&[out, c, 1, 3, 3], c * 9);
        let y = self.node("Conv", "pads = [0, 1, 1, 0, 1, 1]", &[&y, &weight], &[BATCH, out, 1, h, w]);
        self.node("Squeeze", "", &[&y, &axes], &[BATCH, out, h, w])
    }

    fn rare_gate(&mut self, x: &Value) -> Value {
        let op = self.pick(&["ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMin", "ReduceSumSquare", "ReduceProd"]);
        let axes: &[usize] = if self.one_in(2) { &[1] } else { &[2, 3] };
        let y = self.same("Tanh", "", &[x]);
        let y = self.reduce(op, &y, axes, true);
        let y = self.same("Sigmoid", "", &[&y]);
        self.same("Mul", "", &[x, &y])
    }

    /// Two ways of which a softmax for every channel chooses (SK).
    fn selective_kernel(&mut self, x: &Value) -> Value {
        let (c, h, w) = (x.dims[1], x.dims[2], x.dims[3]);
        let (a, b) = (self.conv_to(x, c, 1), self.conv_to(x, c, 1));
        let both = self.same("Add", "", &[&a, &b]);
        let mean = self.node("GlobalAveragePool", "", &[&both], &[BATCH, c, 1, 1]);
        let squeezed = self.conv_to(&mean, 2, 1);
        let squeezed = self.same("Relu", "", &[&squeezed]);
        let axes = self.ints(&[1]);
        let ways: Vec<Value> = (0..2)
            .map(|_| {
                let v = self.conv_to(&squeezed, c, 1);
                self.node("Unsqueeze", "", &[&v, &axes], &[BATCH, 1, c, 1, 1])
            })
            .collect();
        let ways = self.concat(&[&ways[0], &ways[1]], 1);
        let ways = self.same("Softmax", "axis = 1", &[&ways]);
        let values: Vec<Value> =
            [a, b].iter().map(|v| self.node("Unsqueeze", "", &[v, &axes], &[BATCH, 1, c, h, w])).collect();
        let values = self.concat(&[&values[0], &values[1]], 1);
        let chosen = self.same("Mul", "", &[&values, &ways]);
        self.reduce("ReduceSum", &chosen, &[1], false)
    }

    /// Attention inside windows that are moved by half of one (Swin).
    fn windows(&mut self, x: &Value) -> Value {
        let (c, h, w) = (x.dims[1], x.dims[2], x.dims[3]);
        let y = self.transpose(x, &[0, 2, 3, 1]);
        let y = self.rolled(&y, 1);
        let parts = [BATCH, h / 2, 2, w / 2, 2, c];
        let y = self.reshape(&y, &parts, None);
        let y = self.transpose(&y, &[0, 1, 3, 2, 4, 5]);
        let y = self.reshape(&y, &[BATCH * h * w / 4, 4, c], Some(0));
        let y = self.attention(&y);
        let y = self.reshape(&y, &[BATCH, h / 2, w / 2, 2, 2, c], Some(0));
        let y = self.transpose(&y, &[0, 1, 3, 2, 4, 5]);
        let y = self.reshape(&y, &[BATCH, h, w, c], None);
        let y = self.rolled(&y, h as i64 - 1);
        let y = self.transpose(&y, &[0, 3, 1, 2]);
        self.same("Add", "", &[x, &y])
    }

    /// Rows moved on by some places, the first ones to the end.
    fn rolled(&mut self, x: &Value, by: i64) -> Value {
        let h = x.dims[1];
        let (end, first) =
            (self.slice(x, 1, by, i64::from(i32::MAX), 1, h - by as usize), self.slice(x, 1, 0, by, 1, by as usize));
        self.concat(&[&end, &first], 1)
    }

    /// Attention of channels to channels, by products over places.
    fn channel_attention(&mut self, x: &Value) -> Value {
        let (c, k) = (x.dims[1], self.width());
        let (keys, values) = (self.conv_to(x, k, 1), self.conv_to(x, k, 1));
        let scores = self.node("Einsum", "equation = \"nchw,nkhw->nck\"", &[x, &keys], &[BATCH, c, k]);
        let scores = self.same("Softmax", "axis = -1", &[&scores]);
        self.node("Einsum", "equation = \"nck,nkhw->nchw\"", &[&scores, &values], &x.dims)
    }

    /// Channels last and back, as exporters from TensorFlow write it.
    fn last_channels(&mut self, x: &Value) -> Value {
        let out = self.width();
        let y = self.transpose(x, &[0, 2, 3, 1]);
        let y = self.linear(&y, out);
        let y = if self.one_in(2) { self.layer_norm(&y) } else { self.same("Relu", "", &[&y]) };
        self.transpose(&y, &[0, 3, 1, 2])
    }
}
