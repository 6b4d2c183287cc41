//! What operators compute from nothing, and from numbers that are known before the model runs.

use super::fold;
use crate::cut::{Rest, RestContext, is_zero};
use crate::graph::{Constant, Dim, Elements};

/// A contraction over nothing: zero, plus a bias along `axis` of a result with so many axes.
pub fn bias_alone(cx: &RestContext<'_>, bias: usize, axis: usize, rank: usize) -> Rest {
    if cx.node.input(bias).is_none() {
        return cx.made(Vec::new(), vec![0.0]);
    }
    let Some(numbers) = cx.numbers(bias).and_then(|b| b.as_floats().map(<[f64]>::to_vec)) else {
        return Rest::Unknown;
    };
    let mut dims = vec![1; rank];
    if let Some(slot) = dims.get_mut(axis) {
        *slot = numbers.len();
    }
    cx.made(dims, numbers)
}

/// A convolution of numbers that are the same at every place. Where it pads, only zeros stay the same everywhere.
pub fn convolved(cx: &RestContext<'_>, bias: usize) -> Option<Rest> {
    let rank = cx.shape(0)?.len();
    if cx.is_empty(0) {
        return Some(bias_alone(cx, bias, 1, rank));
    }
    let x = cx.numbers(0).filter(|_| cx.is_known(0))?;
    if is_zero(&x) {
        return Some(bias_alone(cx, bias, 1, rank));
    }
    let pads = cx.node.ints("pads").is_some_and(|p| p.iter().any(|n| *n != 0));
    let pads = pads || cx.node.string("auto_pad").is_some_and(|p| p.starts_with("SAME"));
    // Numbers differ between channels alone.
    let apart = x.dims.len() == rank && x.dims.iter().enumerate().all(|(axis, n)| axis == 1 || *n == 1);
    if pads || !(apart || x.len() == 1) {
        return None;
    }
    let w = cx.numbers(1)?;
    let (outputs, inputs) = (*w.dims.first()?, *w.dims.get(1)?);
    let kernel: usize = w.dims.iter().skip(2).product();
    let groups = usize::try_from(cx.node.int("group").unwrap_or(1)).ok()?.max(1);
    let bias = if cx.node.input(bias).is_some() { Some(cx.numbers(bias)?) } else { None };
    let (w, x) = (w.as_floats()?, x.as_floats()?);
    // Numbers of groups that are gone have left the weights, too.
    let channels = cx.shape(0)?.get(1)?.length()?;
    let groups = if groups > 1 { channels / inputs.max(1) } else { groups };
    let each = (outputs / groups.max(1)).max(1);
    let numbers: Option<Vec<f64>> = (w.chunks((inputs * kernel).max(1)).enumerate())
        .map(|(o, filter)| {
            let start = o / each * inputs;
            let sum: Option<f64> = (filter.chunks(kernel.max(1)).enumerate())
                .map(|(c, k)| {
                    Some(k.iter().sum::<f64>() * *x.get(start + c).or_else(|| x.first().filter(|_| x.len() == 1))?)
                })
                .sum();
            let own = match &bias {
                Some(b) => *b.as_floats()?.get(o)?,
                None => 0.0,
            };
            Some(sum? + own)
        })
        .collect();
    let mut dims = vec![1; rank];
    *dims.get_mut(1)? = outputs;
    Some(cx.made(dims, numbers?))
}

/// Rows of known numbers times a matrix `[k, n]`, or `[n, k]` if it is transposed.
pub fn multiplied(x: &Constant, w: &Constant, transposed: bool) -> Option<Vec<f64>> {
    if x.dims.iter().rev().skip(1).any(|n| *n != 1) {
        return None;
    }
    let [rows, columns] = w.dims[..] else { return None };
    let (k, n) = if transposed { (columns, rows) } else { (rows, columns) };
    let (x, w) = (x.as_floats()?, w.as_floats()?);
    (0..n)
        .map(|j| {
            (0..k)
                .map(|i| {
                    let factor = x.get(if x.len() == 1 { 0 } else { i })?;
                    Some(factor * w.get(if transposed { j * k + i } else { i * n + j })?)
                })
                .sum()
        })
        .collect()
}

/// An activation of known numbers.
pub fn activated(cx: &RestContext<'_>) -> Rest {
    let attribute = |name: &str, default: f32| f64::from(cx.node.float(name).unwrap_or(default));
    let of = |f: &dyn Fn(f64) -> f64| match cx.numbers(0) {
        Some(Constant { dims, elements: Elements::Floats(v), .. }) => cx.made(dims, v.into_iter().map(f).collect()),
        _ => Rest::Unknown,
    };
    match cx.node.op_type.as_str() {
        "Relu" => of(&|x| x.max(0.0)),
        "LeakyRelu" => of(&|x| if x < 0.0 { x * attribute("alpha", 0.01) } else { x }),
        "Elu" => of(&|x| if x < 0.0 { x.exp_m1() * attribute("alpha", 1.0) } else { x }),
        "Sigmoid" => of(&|x| 1.0 / (1.0 + (-x).exp())),
        "HardSigmoid" => of(&|x| (x * attribute("alpha", 0.2) + attribute("beta", 0.5)).clamp(0.0, 1.0)),
        "HardSwish" => of(&|x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0)),
        "Tanh" => of(&f64::tanh),
        "Softplus" => of(&|x| x.exp().ln_1p()),
        _ => broadcast(cx),
    }
}

/// Broadcast arithmetic: of known numbers alone they are folded; else the node reads them, unless they are zeros added.
pub fn broadcast(cx: &RestContext<'_>) -> Rest {
    let count = cx.node.inputs.len();
    let numbers: Option<Vec<Constant>> = (0..count).map(|i| cx.numbers(i)).collect();
    if let Some(all) = numbers {
        let all: Vec<&Constant> = all.iter().collect();
        return fold::applied(&cx.node.op_type, &all).map_or(Rest::Unknown, |c| match c.elements {
            Elements::Floats(v) => cx.made(c.dims, v),
            Elements::Ints(_) => Rest::Unknown,
        });
    }
    let others: Vec<usize> = (0..count).filter(|&i| cx.node.input(i).is_some() && !cx.is_known(i)).collect();
    // What made the numbers was as large as the result, and its readers may count on that.
    let shapes: Option<Vec<Vec<Dim>>> = others.iter().map(|&i| cx.shape(i)).collect();
    let shapes = shapes.unwrap_or_default();
    let shapes: Vec<&[Dim]> = shapes.iter().map(Vec::as_slice).collect();
    if others.iter().any(|&i| cx.is_empty(i)) || fold::broadcast_shapes(&shapes) != cx.output_shape() {
        return Rest::Unknown;
    }
    let zeros = (0..count).filter(|i| cx.is_known(*i)).all(|i| cx.numbers(i).is_some_and(|c| is_zero(&c)));
    match (cx.node.op_type.as_str(), others.as_slice()) {
        ("Add" | "Sum", [other]) | ("Sub", [other @ 0]) if zeros => Rest::Input(*other),
        _ => Rest::Stays,
    }
}
