//! LSTM, GRU and RNN: one matrix product for the inputs of all steps, then step by step.

use super::{Call, Forward, array, bad_attribute, bad_shape, length, unsupported};
use crate::tensor::DeviceTensor;
use crate::value::Value;
use burn::tensor::{Shape, Tensor, activation};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "LSTM" => |call| recurrent(call, Cell::Lstm),
        "GRU" => |call| recurrent(call, Cell::Gru),
        "RNN" => |call| recurrent(call, Cell::Plain),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Lstm,
    Gru,
    Plain,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru => 3,
            Cell::Plain => 1,
        }
    }

    fn activations(self) -> &'static [&'static str] {
        match self {
            Cell::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Cell::Gru => &["Sigmoid", "Tanh"],
            Cell::Plain => &["Tanh"],
        }
    }
}

/// Weights of one direction: `[inputs, gates]`, `[hidden, gates]` and the two halves of the bias.
struct Weights {
    input: Tensor<2>,
    hidden: Tensor<2>,
    input_bias: Option<Tensor<1>>,
    hidden_bias: Option<Tensor<1>>,
    /// How much of the cell's state input, output and forget gate see, `[1, 3 * hidden]`.
    peep: Option<Tensor<2>>,
}

fn refuse(call: &Call<'_>, cell: Cell, steps: usize, directions: usize) -> Result<()> {
    let activations = call.node.attributes.iter().find(|a| a.name.as_deref() == Some("activations"));
    if let Some(a) = activations {
        let named: Vec<&[u8]> = a.strings.iter().map(|s| s.as_ref()).collect();
        let usual = std::iter::repeat_n(cell.activations(), directions).flatten().map(|s| s.as_bytes());
        if !named.into_iter().eq(usual) {
            return Err(unsupported("activations other than the usual ones"));
        }
    }
    if call.node.has("clip") || call.flag("input_forget") {
        return Err(unsupported("clip or input_forget"));
    }
    if call.ints(4)?.is_some_and(|lens| lens.iter().any(|&n| n != steps as i64)) {
        return Err(unsupported("sequences of different lengths in one batch"));
    }
    Ok(())
}

/// For each set of weights whether it runs backwards.
fn ways(call: &Call<'_>, directions: usize) -> Result<&'static [bool]> {
    Ok(match (call.node.string("direction").unwrap_or("forward"), directions) {
        ("forward", 1) => &[false],
        ("reverse", 1) => &[true],
        ("bidirectional", 2) => &[false, true],
        (other, n) => return Err(bad_attribute(format!("direction {other:?} with {n} sets of weights"))),
    })
}

fn recurrent(call: &mut Call<'_>, cell: Cell) -> Result<Vec<Value>> {
    let hidden = length(call.int_or("hidden_size", 0))?;
    let (x, w, r) = (call.tensor(0)?, call.tensor(1)?, call.tensor(2)?);
    // The batch may come first, in data and states alike.
    let batch_first = call.flag("layout");
    let x = if batch_first { x.permute(&[1, 0, 2])? } else { x };
    let ([steps, batch, inputs], [directions, rows, columns]): ([usize; 3], [usize; 3]) =
        (array(&x.dims())?, array(&w.dims())?);
    let width = cell.gates() * hidden;
    if [rows, columns] != [width, inputs] || r.dims() != [directions, width, hidden] || hidden == 0 {
        return Err(bad_shape(format!(
            "weights {:?} and {:?} for {inputs} inputs and {hidden} states",
            w.dims(),
            r.dims()
        )));
    }
    refuse(call, cell, steps, directions)?;
    let backward = ways(call, directions)?;
    let (w, r): (Tensor<3>, Tensor<3>) = (w.float()?, r.float()?);
    let bias: Option<Tensor<2>> = call.optional(3)?.map(DeviceTensor::float).transpose()?;
    let mut first = |i: usize| -> Result<Tensor<3>> {
        match call.optional(i)? {
            Some(t) if batch_first => t.permute(&[1, 0, 2])?.float(),
            Some(t) => t.float(),
            None => Ok(Tensor::zeros([directions, batch, hidden], call.device)),
        }
    };
    let h0 = first(5)?;
    let c0 = if cell == Cell::Lstm { first(6)? } else { h0.clone() };
    let peep: Option<Tensor<2>> =
        if cell == Cell::Lstm { call.optional(7)?.map(DeviceTensor::float).transpose()? } else { None };
    if peep.as_ref().is_some_and(|p| p.dims() != [directions, 3 * hidden]) {
        return Err(bad_shape("peepholes that do not fit the states"));
    }
    let reset_after = call.flag("linear_before_reset");
    let x: Tensor<2> = x.reshape(&[steps * batch, inputs])?.float()?;
    let (mut all, mut last_h, mut last_c) = (Vec::new(), Vec::new(), Vec::new());
    for (d, &reverse) in backward.iter().enumerate() {
        let matrix = |t: &Tensor<3>| t.clone().narrow(0, d, 1).squeeze_dim::<2>(0);
        let half = |start: usize| bias.clone().map(|b| b.narrow(0, d, 1).narrow(1, start, width).reshape([width]));
        let weights = Weights {
            input: matrix(&w).transpose(),
            hidden: matrix(&r).transpose(),
            input_bias: half(0),
            hidden_bias: half(width),
            peep: peep.clone().map(|p| p.narrow(0, d, 1)),
        };
        let run = Run { cell, steps, batch, hidden, reverse, reset_after };
        let (states, h, c) = run.over(x.clone(), &weights, matrix(&h0), matrix(&c0));
        all.push(Tensor::stack::<3>(states, 0).unsqueeze_dim::<4>(1));
        last_h.push(h);
        last_c.push(c);
    }
    let mut out = vec![DeviceTensor::from(Tensor::cat(all, 1)), Tensor::stack::<3>(last_h, 0).into()];
    if cell == Cell::Lstm {
        out.push(Tensor::stack::<3>(last_c, 0).into());
    }
    out.into_iter().map(|t| if batch_first { turned(t) } else { Ok(t) }.map(Value::from)).collect()
}

/// States of all steps, or the last ones, with the batch as their first axis.
fn turned(t: DeviceTensor) -> Result<DeviceTensor> {
    if t.rank() == 4 { t.permute(&[2, 0, 1, 3]) } else { t.permute(&[1, 0, 2]) }
}

struct Run {
    cell: Cell,
    steps: usize,
    batch: usize,
    hidden: usize,
    reverse: bool,
    reset_after: bool,
}

impl Run {
    /// The states of all steps in their own order, and the last two.
    fn over(
        &self,
        x: Tensor<2>,
        w: &Weights,
        mut h: Tensor<2>,
        mut c: Tensor<2>,
    ) -> (Vec<Tensor<2>>, Tensor<2>, Tensor<2>) {
        let width = self.cell.gates() * self.hidden;
        let repeat =
            |b: &Tensor<1>, n: usize| b.clone().unsqueeze::<2>().expand::<2, Shape>(Shape::from(vec![n, width]));
        let mut gates = x.matmul(w.input.clone());
        if let Some(b) = &w.input_bias {
            gates = gates + repeat(b, self.steps * self.batch);
        }
        let mut states = Vec::with_capacity(self.steps);
        for i in 0..self.steps {
            let t = if self.reverse { self.steps - 1 - i } else { i };
            let x = gates.clone().narrow(0, t * self.batch, self.batch);
            let mut r = h.clone().matmul(w.hidden.clone());
            if let Some(b) = &w.hidden_bias {
                r = r + repeat(b, self.batch);
            }
            (h, c) = self.step(x, r, w, h, c);
            states.push(h.clone());
        }
        if self.reverse {
            states.reverse();
        }
        (states, h, c)
    }

    fn step(&self, x: Tensor<2>, r: Tensor<2>, w: &Weights, h: Tensor<2>, c: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let gate = |t: &Tensor<2>, i: usize| t.clone().narrow(1, i * self.hidden, self.hidden);
        match self.cell {
            Cell::Plain => ((x + r).tanh(), c),
            Cell::Lstm => {
                let all = x + r;
                let seen = |i: usize, c: &Tensor<2>| match &w.peep {
                    Some(p) => gate(&all, i) + gate(p, i) * c.clone(),
                    None => gate(&all, i),
                };
                let (input, forget) = (activation::sigmoid(seen(0, &c)), activation::sigmoid(seen(2, &c)));
                let c = forget * c + input * gate(&all, 3).tanh();
                let output = activation::sigmoid(seen(1, &c));
                (output * c.clone().tanh(), c)
            }
            Cell::Gru => {
                let update = activation::sigmoid(gate(&x, 0) + gate(&r, 0));
                let reset = activation::sigmoid(gate(&x, 1) + gate(&r, 1));
                let inner = if self.reset_after {
                    reset * gate(&r, 2)
                } else {
                    let mut inner = (reset * h.clone()).matmul(gate(&w.hidden, 2));
                    if let Some(b) = &w.hidden_bias {
                        inner = inner + b.clone().narrow(0, 2 * self.hidden, self.hidden).unsqueeze::<2>();
                    }
                    inner
                };
                let candidate = (gate(&x, 2) + inner).tanh();
                let next = update.clone() * (h - candidate.clone()) + candidate;
                (next, c)
            }
        }
    }
}
