//! Blocks over images `[N, C, H, W]`.

use super::build::{BATCH, Builder, Value};

impl Builder {
    /// A convolution to `out` channels that keeps the spatial size, or halves it.
    pub fn conv_to(&mut self, x: &Value, out: usize, stride: usize) -> Value {
        let c = x.dims[1];
        let groups: Vec<usize> =
            [1, 1, 1, 2, 4, c].into_iter().filter(|g| c.is_multiple_of(*g) && out.is_multiple_of(*g)).collect();
        let group = self.pick(&groups);
        let k = if stride == 2 { 3 } else { self.pick(&[1, 3]) };
        let w = self.weight(&[out, c / group, k, k], c / group * k * k);
        let dilated = k == 3 && stride == 1 && self.one_in(6);
        let mut attributes = format!("group = {group}, strides = [{stride}, {stride}]");
        if k == 3 && !dilated && self.one_in(5) {
            attributes += ", auto_pad = \"SAME_UPPER\"";
        } else {
            let pad = if k == 1 {
                0
            } else if dilated {
                2
            } else {
                1
            };
            attributes += &format!(", pads = [{pad}, {pad}, {pad}, {pad}], kernel_shape = [{k}, {k}]");
        }
        if dilated {
            attributes += ", dilations = [2, 2]";
        }
        let dims = [BATCH, out, x.dims[2].div_ceil(stride), x.dims[3].div_ceil(stride)];
        if self.one_in(2) {
            let b = self.spread(&[out], -0.5, 0.5);
            self.node("Conv", &attributes, &[x, &w, &b], &dims)
        } else {
            self.node("Conv", &attributes, &[x, &w], &dims)
        }
    }

    pub fn width(&mut self) -> usize {
        if self.tiny { self.pick(&[2, 3, 4]) } else { self.pick(&[4, 6, 8, 8, 12, 16]) }
    }

    pub fn batch_norm(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let (s, b) = (self.spread(&[c], 0.5, 1.5), self.spread(&[c], -0.5, 0.5));
        let (m, v) = (self.spread(&[c], -0.5, 0.5), self.spread(&[c], 0.5, 1.5));
        self.same("BatchNormalization", "epsilon = 0.001", &[x, &s, &b, &m, &v])
    }

    fn conv_bn_act(&mut self, x: &Value, out: usize, stride: usize) -> Value {
        let mut y = self.conv_to(x, out, stride);
        if self.one_in(2) {
            y = self.batch_norm(&y);
        }
        if self.one_in(3) { y } else { self.activation(&y) }
    }

    /// Blocks that keep the shape: what a residual runs around.
    fn image_same(&mut self, x: &Value, depth: usize) -> Value {
        let c = x.dims[1];
        match self.below(if depth > 0 { 12 } else { 9 }) {
            0 | 1 => self.conv_bn_act(x, c, 1),
            2 => {
                let middle = self.width();
                let y = self.conv_bn_act(x, middle, 1);
                self.conv_bn_act(&y, c, 1)
            }
            3 => self.squeeze_excite(x),
            4 => self.shuffle(x),
            5 => self.spatial_attention(x),
            6 => self.image_norm(x),
            7 => {
                let pool = self.pick(&["MaxPool", "AveragePool"]);
                self.same(pool, "kernel_shape = [3, 3], pads = [1, 1, 1, 1]", &[x])
            }
            8 => self.arithmetic(x),
            _ => {
                let y = self.image_same(x, depth - 1);
                let y = if self.one_in(2) { self.conv_bn_act(&y, c, 1) } else { y };
                let op = self.pick(&["Add", "Add", "Add", "Sub", "Mul", "Max"]);
                if self.one_in(2) { self.same(op, "", &[x, &y]) } else { self.same(op, "", &[&y, x]) }
            }
        }
    }

    /// Broadcast arithmetic with a stored operand.
    fn arithmetic(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let shapes: [Vec<usize>; 4] = [vec![c, 1, 1], vec![1, c, 1, 1], vec![], x.dims[1..].to_vec()];
        let dims = self.pick(&shapes);
        let (op, low, high) = self.pick(&[
            ("Add", -1.0, 1.0),
            ("Mul", 0.5, 1.5),
            ("Sub", -1.0, 1.0),
            ("Div", 0.5, 1.5),
            ("Max", -1.0, 1.0),
        ]);
        let p = self.spread(&dims, low, high);
        match self.below(5) {
            0 if op != "Div" => self.node(op, "", &[&p, x], &x.dims),
            1 => {
                let keep = self.bools(&[c, 1, 1]);
                self.node("Where", "", &[&keep, x, &p], &x.dims)
            }
            _ => self.same(op, "", &[x, &p]),
        }
    }

    fn squeeze_excite(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let middle = self.pick(&[2, 4]);
        let gate = if self.one_in(2) {
            let p = self.node("GlobalAveragePool", "", &[x], &[BATCH, c, 1, 1]);
            let d = self.conv_to(&p, middle, 1);
            let r = self.same("Relu", "", &[&d]);
            let u = self.conv_to(&r, c, 1);
            let gate = self.pick(&["Sigmoid", "HardSigmoid"]);
            self.same(gate, "", &[&u])
        } else {
            let p = self.reduce("ReduceMean", x, &[2, 3], false);
            let d = self.linear(&p, middle);
            let r = self.same("Relu", "", &[&d]);
            let u = self.linear(&r, c);
            let u = self.same("Sigmoid", "", &[&u]);
            if self.one_in(2) {
                self.reshape(&u, &[BATCH, c, 1, 1], None)
            } else {
                let axes = self.ints(&[2, 3]);
                self.node("Unsqueeze", "", &[&u, &axes], &[BATCH, c, 1, 1])
            }
        };
        if self.one_in(3) {
            let shape = self.ints(&[1, 1, x.dims[2] as i64, x.dims[3] as i64]);
            let wide = self.node("Expand", "", &[&gate, &shape], &x.dims);
            return self.same("Mul", "", &[x, &wide]);
        }
        self.same("Mul", "", &[x, &gate])
    }

    fn shuffle(&mut self, x: &Value) -> Value {
        let [n, c, h, w] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        let g = self.pick(&[2, 2, 4]);
        if c % g != 0 {
            return self.same("Relu", "", &[x]);
        }
        let a = self.reshape(x, &[n, g, c / g, h, w], None);
        let t = self.transpose(&a, &[0, 2, 1, 3, 4]);
        let t = if self.one_in(4) { self.same("Relu", "", &[&t]) } else { t };
        self.reshape(&t, &[n, c, h, w], None)
    }

    /// Statistics over the channels say where to look.
    fn spatial_attention(&mut self, x: &Value) -> Value {
        let mean = self.reduce("ReduceMean", x, &[1], true);
        let gate = match self.below(3) {
            0 => mean,
            1 => {
                let max = self.reduce("ReduceMax", x, &[1], true);
                let both = self.concat(&[&mean, &max], 1);
                self.conv_to(&both, 1, 1)
            }
            _ => {
                let sum = self.reduce("ReduceSum", x, &[1], true);
                self.same("Add", "", &[&mean, &sum])
            }
        };
        let gate = self.same("Sigmoid", "", &[&gate]);
        self.same("Mul", "", &[x, &gate])
    }

    fn image_norm(&mut self, x: &Value) -> Value {
        let [n, c, h, w] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        match self.below(4) {
            0 => {
                let t = self.transpose(x, &[0, 2, 3, 1]);
                let t = self.layer_norm(&t);
                self.transpose(&t, &[0, 3, 1, 2])
            }
            1 => {
                let (s, b) = (self.spread(&[c], 0.5, 1.5), self.spread(&[c], -0.5, 0.5));
                self.same("InstanceNormalization", "", &[x, &s, &b])
            }
            2 if c % 2 == 0 => {
                let flat = self.reshape(x, &[n, 2, c / 2 * h * w], None);
                let (s, b) = (self.floats(&[2], vec![1.0; 2]), self.floats(&[2], vec![0.0; 2]));
                let y = self.same("InstanceNormalization", "", &[&flat, &s, &b]);
                let y = self.reshape(&y, &[n, c, h, w], None);
                let (s, b) = (self.spread(&[c, 1, 1], 0.5, 1.5), self.spread(&[c, 1, 1], -0.5, 0.5));
                let y = self.same("Mul", "", &[&y, &s]);
                self.same("Add", "", &[&y, &b])
            }
            _ => self.batch_norm(x),
        }
    }

    fn pixel_shuffle(&mut self, x: &Value) -> Value {
        let [n, c, h, w] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        if self.one_in(2) {
            let y = self.reshape(x, &[n, c / 4, 2, 2, h, w], None);
            let y = self.transpose(&y, &[0, 1, 4, 2, 5, 3]);
            return self.reshape(&y, &[n, c / 4, h * 2, w * 2], None);
        }
        let y = self.reshape(x, &[n, 2, 2, c / 4, h, w], None);
        let y = self.transpose(&y, &[0, 3, 4, 1, 5, 2]);
        self.reshape(&y, &[n, c / 4, h * 2, w * 2], None)
    }

    /// Space to depth, the way that exporters write it.
    fn unshuffle(&mut self, x: &Value) -> Value {
        let [n, c, h, w] = [x.dims[0], x.dims[1], x.dims[2], x.dims[3]];
        let y = self.reshape(x, &[n, c, h / 2, 2, w / 2, 2], None);
        let perm = self.pick(&[[0, 1, 3, 5, 2, 4], [0, 3, 5, 1, 2, 4]]);
        let y = self.transpose(&y, &perm);
        self.reshape(&y, &[n, c * 4, h / 2, w / 2], None)
    }

    /// A shortcut that skips positions and pads channels with zeros.
    fn option_a(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let extra = self.pick(&[2, 4]);
        let (starts, ends) = (self.ints(&[0, 0]), self.ints(&[i64::from(i32::MAX), i64::from(i32::MAX)]));
        let (axes, steps) = (self.ints(&[2, 3]), self.ints(&[2, 2]));
        let half = [BATCH, c, x.dims[2].div_ceil(2), x.dims[3].div_ceil(2)];
        let s = self.node("Slice", "", &[x, &starts, &ends, &axes, &steps], &half);
        let front = self.below(extra + 1) as i64;
        let pads = self.ints(&[0, front, 0, 0, 0, extra as i64 - front, 0, 0]);
        let out = [BATCH, c + extra, half[2], half[3]];
        let p = self.node("Pad", "", &[&s, &pads], &out);
        let y = self.conv_bn_act(x, c + extra, 2);
        self.same("Add", "", &[&p, &y])
    }

    /// Parts of the channels in another order, each with its own way.
    fn split_image(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let a = 1 + self.below(c - 1);
        let sizes = if c.is_multiple_of(2) && self.one_in(2) { vec![c / 2; 2] } else { vec![a, c - a] };
        let mut parts = self.split(x, 1, &sizes);
        let chosen = self.below(2);
        let part = parts[chosen].clone();
        parts[chosen] = self.image_same(&part, 0);
        if sizes[0] == sizes[1] && self.one_in(3) {
            return self.same("Add", "", &[&parts[1], &parts[0]]);
        }
        if self.one_in(2) {
            parts.reverse();
        }
        self.concat(&[&parts[0], &parts[1]], 1)
    }

    fn picked(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        match self.below(4) {
            0 => {
                let n = 2 + self.below(c - 1);
                let at: Vec<i64> = (0..n).map(|_| self.below(c) as i64).collect();
                let index = self.ints(&at);
                self.node("Gather", "axis = 1", &[x, &index], &[BATCH, n, x.dims[2], x.dims[3]])
            }
            1 => self.slice(x, 1, -1, i64::MIN + 1, -1, c),
            2 => self.slice(x, 1, 0, c as i64, 2, c.div_ceil(2)),
            _ => {
                let from = self.below(c - 1);
                self.slice(x, 1, from as i64, c as i64, 1, c - from)
            }
        }
    }

    fn concat_image(&mut self, x: &Value) -> Value {
        let y = self.image_same(x, 1);
        match self.below(4) {
            0 => self.concat(&[x, x], 1),
            1 => self.concat(&[&y, x, &y], 1),
            2 => {
                let own = self.width();
                let z = self.conv_bn_act(x, own, 1);
                self.concat(&[x, &y, &z], 1)
            }
            _ => self.concat(&[x, &y], 1),
        }
    }

    fn up(&mut self, x: &Value) -> Value {
        let c = x.dims[1];
        let out = self.width();
        let [h, w] = [x.dims[2] * 2, x.dims[3] * 2];
        if self.one_in(2) {
            let scales = self.floats(&[4], vec![1.0, 1.0, 2.0, 2.0]);
            let attributes =
                "mode = \"nearest\", coordinate_transformation_mode = \"asymmetric\", nearest_mode = \"floor\"";
            let none = Value { name: String::new(), dims: vec![] };
            return self.node("Resize", attributes, &[x, &none, &scales], &[BATCH, c, h, w]);
        }
        let groups: Vec<usize> =
            [1, 1, 2, c].into_iter().filter(|g| c.is_multiple_of(*g) && out.is_multiple_of(*g)).collect();
        let group = self.pick(&groups);
        let kernel = self.weight(&[c, out / group, 2, 2], c / group);
        let attributes = format!("group = {group}, strides = [2, 2], kernel_shape = [2, 2]");
        if self.one_in(2) {
            let b = self.spread(&[out], -0.5, 0.5);
            return self.node("ConvTranspose", &attributes, &[x, &kernel, &b], &[BATCH, out, h, w]);
        }
        self.node("ConvTranspose", &attributes, &[x, &kernel], &[BATCH, out, h, w])
    }

    /// One random block over an image.
    pub fn image_block(&mut self, x: &Value) -> Value {
        let (c, h, w) = (x.dims[1], x.dims[2], x.dims[3]);
        let out = self.width();
        let even = h % 2 == 0 && w % 2 == 0 && h > 1 && w > 1;
        match self.below(16) {
            0 | 1 => self.conv_bn_act(x, out, 1),
            2 if h > 2 => self.conv_bn_act(x, out, 2),
            3 if c > 1 => self.split_image(x),
            4 if c <= 16 => self.concat_image(x),
            5 if h > 2 => self.option_a(x),
            6 if c % 4 == 0 && h <= 4 => self.pixel_shuffle(x),
            7 if even && c <= 6 => self.unshuffle(x),
            8 if c > 1 => self.picked(x),
            9 if h <= 4 => self.up(x),
            10 if even => {
                let pool = self.pick(&["MaxPool", "AveragePool"]);
                self.node(pool, "kernel_shape = [2, 2], strides = [2, 2]", &[x], &[BATCH, c, h / 2, w / 2])
            }
            11 => {
                let m = self.pick(&[1, 2]);
                let weight = self.weight(&[c * m, 1, 3, 3], 9);
                let attributes = format!("group = {c}, pads = [1, 1, 1, 1]");
                self.node("Conv", &attributes, &[x, &weight], &[BATCH, c * m, h, w])
            }
            12 => {
                let pads = self.ints(&[0, 0, 1, 1, 0, 0, 0, 0]);
                self.node("Pad", "", &[x, &pads], &[BATCH, c, h + 1, w + 1])
            }
            _ => self.image_same(x, 2),
        }
    }
}
