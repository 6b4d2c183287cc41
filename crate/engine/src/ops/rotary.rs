//! Rotary embeddings.

use super::attention::{join_heads, split_heads};
use super::{Call, Forward, bad_shape, length, one, unsupported};
use crate::tensor::DeviceTensor;
use crate::value::Value;
use burn::tensor::{Int, Tensor, TensorData};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "RotaryEmbedding" => |call| embed(call, 1, 3),
        _ => return None,
    })
}

pub(super) fn find_microsoft(op: &str) -> Option<Forward> {
    Some(match op {
        "RotaryEmbedding" => |call| embed(call, 2, 1),
        _ => return None,
    })
}

/// Rows of a table for every position, or the table as it is, as `[batch, 1, sequence, pairs]`.
fn table(t: &DeviceTensor, at: Option<&[i64]>, batch: usize, sequence: usize) -> Result<Tensor<4>> {
    let dims = t.dims();
    let (t, rows, pairs) = match (dims.as_slice(), at) {
        (&[rows, pairs], Some(at)) => {
            let at: Vec<i64> = match at {
                // One position stands for the first of every row.
                [first] if batch * sequence != 1 => (0..batch).flat_map(|_| *first..*first + sequence as i64).collect(),
                at => at.to_vec(),
            };
            if at.len() != batch * sequence || at.iter().any(|&i| i < 0 || i >= rows as i64) {
                return Err(bad_shape(format!("{} positions in a table of {rows} rows", at.len())));
            }
            let t: Tensor<2> = t.clone().float()?;
            let count = at.len();
            let at = Tensor::<1, Int>::from_data(TensorData::new(at, [count]), &t.device());
            (DeviceTensor::from(t.select(0, at)), batch, pairs)
        }
        (&[b, s, pairs], None) if s == sequence => (t.clone(), b, pairs),
        _ => return Err(bad_shape(format!("a table of shape {dims:?}"))),
    };
    t.reshape(&[rows, 1, sequence, pairs])?.float()
}

/// Turns pairs of dimensions of `[batch, heads, sequence, size]`; dimensions behind the last pair stay.
pub(super) fn rotate(
    x: Tensor<4>,
    cos: &DeviceTensor,
    sin: &DeviceTensor,
    at: Option<&[i64]>,
    interleaved: bool,
) -> Result<Tensor<4>> {
    let [b, h, s, d] = x.dims();
    let (cos, sin) = (table(cos, at, b, s)?, table(sin, at, b, s)?);
    let [_, _, _, pairs] = cos.dims();
    if 2 * pairs > d || pairs == 0 {
        return Err(bad_shape(format!("{pairs} pairs in heads of {d} dimensions")));
    }
    let turned = x.clone().narrow(3, 0, 2 * pairs);
    let (first, second) = if interleaved {
        let apart = turned.reshape([b, h, s, pairs, 2]);
        let half = |i: usize| apart.clone().narrow(4, i, 1).reshape([b, h, s, pairs]);
        (half(0), half(1))
    } else {
        (turned.clone().narrow(3, 0, pairs), turned.narrow(3, pairs, pairs))
    };
    let real = first.clone() * cos.clone() - second.clone() * sin.clone();
    let imaginary = first * sin + second * cos;
    let mut parts = if interleaved {
        let stacked = Tensor::cat(vec![real.reshape([b, h, s, pairs, 1]), imaginary.reshape([b, h, s, pairs, 1])], 4);
        vec![stacked.reshape([b, h, s, 2 * pairs])]
    } else {
        vec![real, imaginary]
    };
    if 2 * pairs < d {
        parts.push(x.narrow(3, 2 * pairs, d - 2 * pairs));
    }
    Ok(Tensor::cat(parts, 3))
}

fn embed(call: &mut Call<'_>, tables: usize, positions: usize) -> Result<Vec<Value>> {
    if call.flag("is_packed_batching") || call.float_or("scale", 1.0) != 1.0 {
        return Err(unsupported("packed batches or a scale in a rotary embedding"));
    }
    let x = call.tensor(0)?;
    let (cos, sin) = (call.tensor(tables)?, call.tensor(tables + 1)?);
    let at = call.ints(positions)?;
    let apart = x.rank() == 4;
    let pairs = cos.dims().last().copied().unwrap_or(1);
    let width = x.dims().last().copied().unwrap_or(0);
    let heads = match length(call.int_or("num_heads", 0))? {
        0 => width / (2 * pairs).max(1),
        n => n,
    };
    let interleaved = call.flag("interleaved");
    let y = rotate(split_heads(x, heads)?, &cos, &sin, at.as_deref(), interleaved)?;
    one(if apart { DeviceTensor::from(y) } else { join_heads(y)? })
}
