//! Arithmetic on small constants, exact for symbolic lengths.

use crate::channels::{positions, strides};
use crate::graph::{Constant, Dim, Elements, MAX_FOLDED, MAX_RANK};
use crate::onnx::DataType;

/// The shape that several shapes broadcast to. `None` if known lengths clash.
pub fn broadcast_shapes(shapes: &[&[Dim]]) -> Option<Vec<Dim>> {
    let rank = shapes.iter().map(|s| s.len()).max().unwrap_or(0);
    (0..rank)
        .map(|axis| {
            let mut out = Dim::Known(1);
            for s in shapes {
                let Some(d) = (axis + s.len()).checked_sub(rank).and_then(|i| s.get(i)) else { continue };
                match (&out, d) {
                    (_, Dim::Known(1)) => {}
                    (Dim::Known(1), d) => out = d.clone(),
                    (Dim::Known(a), Dim::Known(b)) if a != b => return None,
                    // A number beats a symbol: at run time they must be equal, or the symbol is one.
                    (Dim::Symbolic(_), Dim::Known(_)) => out = d.clone(),
                    _ => {}
                }
            }
            Some(out)
        })
        .collect()
}

/// Applies an elementwise operator to small broadcast constants. `None` if it cannot be folded.
pub fn elementwise(op: &str, inputs: &[&Constant]) -> Option<Constant> {
    let known = inputs.iter().all(|c| c.is_known());
    // Symbolic numbers are lengths of axes, so there are never many.
    let most = if known { MAX_FOLDED } else { MAX_RANK };
    if count(&result_dims(inputs)?)? > most { None } else { applied(op, inputs) }
}

/// Lengths of what constants broadcast to.
fn result_dims(inputs: &[&Constant]) -> Option<Vec<usize>> {
    let shapes: Vec<Vec<Dim>> = inputs.iter().map(|c| c.dims.iter().map(|&d| Dim::from(d)).collect()).collect();
    let refs: Vec<&[Dim]> = shapes.iter().map(Vec::as_slice).collect();
    broadcast_shapes(&refs)?.iter().map(Dim::length).collect()
}

/// Applies an elementwise operator to broadcast constants of any size.
pub fn applied(op: &str, inputs: &[&Constant]) -> Option<Constant> {
    let dims = result_dims(inputs)?;
    let all_ints = inputs.iter().all(|c| c.as_ints().is_some());
    let mut ints = Vec::new();
    let mut floats = Vec::new();
    for p in positions(&dims) {
        if all_ints {
            let args: Vec<&Dim> =
                inputs.iter().map(|c| c.as_ints()?.get(offset(&c.dims, &p)?)).collect::<Option<_>>()?;
            ints.push(int_op(op, &args)?);
        } else {
            let args: Vec<f64> = inputs.iter().map(|c| number(c, offset(&c.dims, &p)?)).collect::<Option<_>>()?;
            floats.push(float_op(op, &args)?);
        }
    }
    let boolean = matches!(op, "Equal" | "Less" | "Greater" | "LessOrEqual" | "GreaterOrEqual" | "And" | "Or" | "Not");
    let dtype = if boolean { DataType::Bool } else { inputs.last()?.dtype };
    Some(Constant { dtype, dims, elements: if all_ints { Elements::Ints(ints) } else { Elements::Floats(floats) } })
}

/// Number of elements of a shape that may have come from anywhere.
fn count(dims: &[usize]) -> Option<usize> {
    dims.iter().try_fold(1usize, |p, &n| p.checked_mul(n))
}

fn number(c: &Constant, at: usize) -> Option<f64> {
    match &c.elements {
        Elements::Ints(v) => v.get(at)?.known().map(|n| n as f64),
        Elements::Floats(v) => v.get(at).copied(),
    }
}

fn offset(dims: &[usize], p: &[usize]) -> Option<usize> {
    let skip = p.len().checked_sub(dims.len())?;
    Some(p.iter().skip(skip).zip(dims).zip(strides(dims)).map(|((i, n), s)| if *n == 1 { 0 } else { i * s }).sum())
}

fn int_op(op: &str, args: &[&Dim]) -> Option<Dim> {
    let compare = |f: fn(i64, i64) -> bool| -> Option<Dim> {
        Some(Dim::Known(i64::from(f(args.first()?.known()?, args.get(1)?.known()?))))
    };
    let a = args.first()?;
    let pair = || args.get(1).copied();
    Some(match op {
        "Identity" | "Cast" | "Floor" | "Ceil" | "Round" => (*a).clone(),
        "Add" | "Sum" => args.iter().fold(Dim::Known(0), |s, d| s.add(d)),
        "Sub" => a.sub(pair()?),
        "Mul" => a.mul(pair()?),
        "Div" => a.div_floor(pair()?)?,
        "Mod" => Dim::function("mod", a, pair()?, |a, b| a.checked_rem_euclid(b).unwrap_or(0)),
        "Neg" => Dim::Known(0).sub(a),
        "Max" => args.iter().skip(1).fold((*a).clone(), |m, d| Dim::function("max", &m, d, i64::max)),
        "Min" => args.iter().skip(1).fold((*a).clone(), |m, d| Dim::function("min", &m, d, i64::min)),
        "Equal" if *a == pair()? => Dim::Known(1),
        // A symbolic length is at least one, so it never equals the -1 that exporters compare with.
        "Equal" if matches!(pair()?, Dim::Known(n) if *n < 0) && a.known().is_none() => Dim::Known(0),
        "Equal" if matches!(a, Dim::Known(n) if *n < 0) && pair()?.known().is_none() => Dim::Known(0),
        "Equal" => compare(|a, b| a == b)?,
        "Less" => compare(|a, b| a < b)?,
        "Greater" => compare(|a, b| a > b)?,
        "LessOrEqual" => compare(|a, b| a <= b)?,
        "GreaterOrEqual" => compare(|a, b| a >= b)?,
        "And" => compare(|a, b| a != 0 && b != 0)?,
        "Or" => compare(|a, b| a != 0 || b != 0)?,
        "Not" => Dim::Known(i64::from(a.known()? == 0)),
        "Where" => match a.known()? {
            0 => (*args.get(2)?).clone(),
            _ => (*args.get(1)?).clone(),
        },
        _ => return None,
    })
}

fn float_op(op: &str, args: &[f64]) -> Option<f64> {
    let a = *args.first()?;
    let b = args.get(1).copied();
    Some(match op {
        "Identity" | "Cast" => a,
        "Add" | "Sum" => args.iter().sum(),
        "Sub" => a - b?,
        "Mul" => a * b?,
        "Div" => a / b?,
        "Pow" => a.powf(b?),
        "Sqrt" => a.sqrt(),
        "Reciprocal" => 1.0 / a,
        "Neg" => -a,
        "Exp" => a.exp(),
        "Log" => a.ln(),
        "Floor" => a.floor(),
        "Ceil" => a.ceil(),
        "Max" => args.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        "Min" => args.iter().copied().fold(f64::INFINITY, f64::min),
        _ => return None,
    })
}

/// Picks elements of a constant by position into a new shape.
pub fn pick(c: &Constant, dims: Vec<usize>, at: impl Iterator<Item = usize>) -> Option<Constant> {
    let elements = match &c.elements {
        Elements::Ints(v) => Elements::Ints(at.map(|i| v.get(i).cloned()).collect::<Option<_>>()?),
        Elements::Floats(v) => Elements::Floats(at.map(|i| v.get(i).copied()).collect::<Option<_>>()?),
    };
    let out = Constant { dtype: c.dtype, dims, elements };
    (Some(out.len()) == count(&out.dims)).then_some(out)
}

/// The same elements in another shape.
pub fn reshaped(c: Option<&Constant>, shape: &[Dim]) -> Option<Constant> {
    let dims: Vec<usize> = shape.iter().map(Dim::length).collect::<Option<_>>()?;
    let c = c?;
    (count(&dims) == Some(c.len())).then(|| Constant { dims, ..c.clone() })
}
