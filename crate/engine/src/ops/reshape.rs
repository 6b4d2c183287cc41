//! Other shapes for the same elements, axes in another order, repetition.

use super::{Call, Forward, MOST, array, axis_of, bad_attribute, bad_shape, host, length, lengths, one, unsupported};
use crate::tensor::{self, DeviceTensor, broadcast, by_rank};
use crate::value::{HostTensor, Value};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Reshape" => reshape,
        "Flatten" => flatten,
        "Transpose" => transpose,
        "Squeeze" => squeeze,
        "Unsqueeze" => unsqueeze,
        "Expand" => expand,
        "Tile" => tile,
        "DepthToSpace" => depth_to_space,
        "SpaceToDepth" => space_to_depth,
        _ => return None,
    })
}

/// Gives a value another shape, wherever it lives.
pub(super) fn set_shape(value: Value, dims: &[usize]) -> Result<Value> {
    match value {
        Value::Device(t) => t.reshape(dims).map(Value::from),
        Value::Host(h) => HostTensor::new(dims.to_vec(), h.tensor.data.clone()).map(Value::from),
    }
}

/// Axes in another order, wherever the value lives.
fn set_order(value: Value, axes: &[usize]) -> Result<Value> {
    match value {
        Value::Device(t) => t.permute(axes).map(Value::from),
        Value::Host(h) => host::permute(&h.tensor, axes).map(Value::from),
    }
}

fn reshape(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let want = call.ints_of("shape", 1)?.ok_or_else(|| bad_attribute("no shape is given"))?;
    let keep_zero = call.flag("allowzero");
    let x = call.take(0)?;
    let from = x.dims();
    let count: usize = from.iter().product();
    let mut dims = Vec::with_capacity(want.len());
    for (i, &d) in want.iter().enumerate() {
        dims.push(match d {
            0 if !keep_zero => from
                .get(i)
                .copied()
                .ok_or_else(|| bad_shape(format!("shape {want:?} copies an axis that {from:?} does not have")))?,
            -1 => 1,
            d => length(d)?,
        });
    }
    let open: Vec<usize> = want.iter().enumerate().filter(|(_, d)| **d == -1).map(|(i, _)| i).collect();
    let known = tensor::count(&dims)?;
    match open.as_slice() {
        [] => {}
        [i] if known > 0 && count.is_multiple_of(known) => {
            if let Some(d) = dims.get_mut(*i) {
                *d = count / known;
            }
        }
        _ => return Err(bad_shape(format!("shape {from:?} cannot become {want:?}"))),
    }
    one(set_shape(x, &dims)?)
}

fn flatten(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.take(0)?;
    let dims = x.dims();
    let axis = call.int_or("axis", 1);
    let axis = if axis == dims.len() as i64 { dims.len() } else { axis_of(axis, dims.len())? };
    let outer = dims.iter().take(axis).product();
    let inner = dims.iter().skip(axis).product();
    one(set_shape(x, &[outer, inner])?)
}

fn transpose(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.take(0)?;
    let rank = x.dims().len();
    let axes = match call.node.ints("perm") {
        Some(p) if !p.is_empty() => lengths(p)?,
        _ => (0..rank).rev().collect(),
    };
    let mut sorted = axes.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err(bad_attribute(format!("perm {axes:?} does not order {rank} axes")));
    }
    one(set_order(x, &axes)?)
}

fn axes_in(given: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut axes = given.iter().map(|&a| axis_of(a, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    if axes.len() == given.len() { Ok(axes) } else { Err(bad_attribute(format!("axes {given:?} name one axis twice"))) }
}

fn squeeze(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let given = call.ints_of("axes", 1)?;
    let x = call.take(0)?;
    let dims = x.dims();
    let gone = match given {
        Some(axes) => axes_in(&axes, dims.len())?,
        None => dims.iter().enumerate().filter(|(_, d)| **d == 1).map(|(i, _)| i).collect(),
    };
    if gone.iter().any(|&a| dims.get(a) != Some(&1)) {
        return Err(bad_shape(format!("axes {gone:?} of shape {dims:?} are not all of length 1")));
    }
    let left: Vec<usize> = dims.iter().enumerate().filter(|(i, _)| !gone.contains(i)).map(|(_, &d)| d).collect();
    one(set_shape(x, &left)?)
}

fn unsqueeze(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let given = call.ints_of("axes", 1)?.ok_or_else(|| bad_attribute("no axes are given"))?;
    let x = call.take(0)?;
    let mut dims = x.dims();
    for axis in axes_in(&given, dims.len() + given.len())? {
        if axis > dims.len() {
            return Err(bad_attribute(format!("axes {given:?} leave gaps in shape {dims:?}")));
        }
        dims.insert(axis, 1);
    }
    one(set_shape(x, &dims)?)
}

fn expand(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let want = lengths(&call.ints(1)?.ok_or_else(|| bad_attribute("no shape is given"))?)?;
    let x = call.take(0)?;
    let dims = broadcast(&x.dims(), &want)?;
    match x {
        Value::Device(t) => one(t.expand(&dims)?),
        Value::Host(h) => one(host::expand(&h.tensor, &dims)?),
    }
}

fn tile(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let times = lengths(&call.ints(1)?.ok_or_else(|| bad_attribute("no repeats are given"))?)?;
    let x = call.take(0)?;
    let dims = x.dims();
    if times.len() != dims.len() || times.contains(&0) {
        return Err(bad_shape(format!("repeats {times:?} for shape {dims:?}")));
    }
    let out: Vec<usize> = dims.iter().zip(&times).map(|(d, n)| d.saturating_mul(*n)).collect();
    tensor::count(&out)?;
    match x {
        Value::Host(h) => {
            let mut t = h.tensor.clone();
            for (axis, (&d, &n)) in dims.iter().zip(&times).enumerate() {
                let rows: Vec<usize> = (0..d * n).map(|i| i % d).collect();
                t = host::take(&t, axis, &rows)?;
            }
            one(t)
        }
        Value::Device(t) => by_rank!(dims.len(), D => one(DeviceTensor::from(t.float::<D>()?.repeat(&times)))),
    }
}

/// Height, width and channels of a map, and the block that goes from one to the other.
fn blocks(call: &Call<'_>, dims: &[usize]) -> Result<([usize; 4], usize)> {
    let block = length(call.int_or("blocksize", 1))?;
    if !(1..=MOST).contains(&block) {
        return Err(bad_attribute(format!("a block size of {block}")));
    }
    Ok((array(dims)?, block))
}

fn depth_to_space(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let ([n, c, h, w], b) = blocks(call, &x.dims())?;
    if c % (b * b) != 0 {
        return Err(bad_shape(format!("{c} channels do not fill blocks of {b} x {b}")));
    }
    let out = c / (b * b);
    let y = match call.node.string("mode").unwrap_or("DCR") {
        "DCR" => x.reshape(&[n, b, b, out, h, w])?.permute(&[0, 3, 4, 1, 5, 2])?,
        "CRD" => x.reshape(&[n, out, b, b, h, w])?.permute(&[0, 1, 4, 2, 5, 3])?,
        other => return Err(unsupported(format!("mode {other}"))),
    };
    one(y.reshape(&[n, out, h * b, w * b])?)
}

fn space_to_depth(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let x = call.tensor(0)?;
    let ([n, c, h, w], b) = blocks(call, &x.dims())?;
    if h % b != 0 || w % b != 0 {
        return Err(bad_shape(format!("a map of {h} x {w} does not divide into blocks of {b}")));
    }
    let x = x.reshape(&[n, c, h / b, b, w / b, b])?;
    let y = match call.node.string("mode").unwrap_or("DCR") {
        "DCR" => x.permute(&[0, 3, 5, 1, 2, 4])?,
        "CRD" => x.permute(&[0, 1, 3, 5, 2, 4])?,
        other => return Err(unsupported(format!("mode {other}"))),
    };
    one(y.reshape(&[n, c * b * b, h / b, w / b])?)
}
