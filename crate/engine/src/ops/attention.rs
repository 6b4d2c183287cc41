//! Attention of the standard operators, and what all attentions share.

use super::pick::made;
use super::{Call, Forward, array, bad_attribute, bad_shape, length};
use crate::tensor::{DeviceTensor, pad_rank};
use crate::value::{HostData, HostTensor, Value};
use burn::tensor::{Bool, Tensor, activation};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "Attention" => attention,
        _ => return None,
    })
}

/// Added to scores that do not count: far below all others, and still a number when all are.
pub(super) const NEVER: f32 = -1e30;

/// Queries `[batch, heads, queries, size]`, keys and values `[batch, key heads, keys, size]`.
pub(super) struct Operands {
    pub(super) q: Tensor<4>,
    pub(super) k: Tensor<4>,
    pub(super) v: Tensor<4>,
}

/// How scores are made.
pub(super) struct Rule {
    /// Factor of the products; one by the root of the size of a head unless given.
    pub(super) scale: Option<f32>,
    /// Bound of the scores, none if zero.
    pub(super) softcap: f32,
    /// For causal masks: how many keys come before the first query.
    pub(super) causal: Option<usize>,
    /// Added to the scores; broadcasts to `[batch, heads, queries, keys]`.
    pub(super) bias: Vec<Tensor<4>>,
    /// Whether a query that may look at no key at all gives zero; else it gives the mean of all values.
    pub(super) blind: bool,
}

/// What [`attend`] computes on its way.
pub(super) struct Attended {
    /// `[batch, heads, queries, size of values]`.
    pub(super) output: Tensor<4>,
    /// Scaled products, the bounded ones, those with all masks, and their softmax; `[batch, heads, queries, keys]`.
    pub(super) scores: [Tensor<4>; 4],
}

/// `[batch, sequence, heads * size]` to `[batch, heads, sequence, size]`.
pub(super) fn split_heads(x: DeviceTensor, heads: usize) -> Result<Tensor<4>> {
    match *x.dims() {
        [b, s, c] if heads > 0 && c % heads == 0 => {
            x.reshape(&[b, s, heads, c / heads])?.permute(&[0, 2, 1, 3])?.float()
        }
        [_, _, _, _] => x.float(),
        ref other => Err(bad_shape(format!("shape {other:?} does not divide into {heads} heads"))),
    }
}

/// The inverse of [`split_heads`].
pub(super) fn join_heads(x: Tensor<4>) -> Result<DeviceTensor> {
    let [b, h, s, d] = x.dims();
    DeviceTensor::from(x.swap_dims(1, 2)).reshape(&[b, s, h * d])
}

/// Every head so many times in a row.
fn repeat_heads(x: Tensor<4>, times: usize) -> Tensor<4> {
    let [b, h, s, d] = x.dims();
    if times == 1 { x } else { x.reshape([b, h, 1, s, d]).expand([b, h, times, s, d]).reshape([b, h * times, s, d]) }
}

/// Softmax of masked scores, and the sum of the values that it weighs.
pub(super) fn attend(o: Operands, rule: Rule) -> Result<Attended> {
    let ([_, hq, s, d], [_, hk, l, dk], [_, hv, lv, _]) = (o.q.dims(), o.k.dims(), o.v.dims());
    if hk == 0 || hq % hk != 0 || hv != hk || dk != d || lv != l {
        return Err(bad_shape(format!("queries {:?}, keys {:?}, values {:?}", o.q.dims(), o.k.dims(), o.v.dims())));
    }
    let scale = rule.scale.unwrap_or(1.0 / (d as f32).sqrt());
    let device = o.q.device();
    let (k, v) = (repeat_heads(o.k, hq / hk), repeat_heads(o.v, hq / hk));
    let cap =
        |x: Tensor<4>| if rule.softcap > 0.0 { x.div_scalar(rule.softcap).tanh().mul_scalar(rule.softcap) } else { x };
    let products = o.q.matmul(k.swap_dims(2, 3)).mul_scalar(scale);
    let bounded = cap(products.clone());
    let mut masks = rule.bias;
    if let Some(before) = rule.causal {
        let values: Vec<f32> =
            (0..s).flat_map(|i| (0..l).map(move |j| if j > i + before { NEVER } else { 0.0 })).collect();
        masks.push(DeviceTensor::upload(&HostTensor::f32(vec![1, 1, s, l], values)?, &device)?.float::<4>()?);
    }
    let mask = masks.into_iter().reduce(|a, b| a + b);
    let (masked, weights) = match mask {
        None => (bounded.clone(), activation::softmax(bounded.clone(), 3)),
        Some(mask) => {
            let masked = bounded.clone() + mask.clone();
            let weights = activation::softmax(masked.clone(), 3);
            let seeing = || mask.max_dim(3).greater_elem(NEVER / 2.0).float();
            (masked, if rule.blind { weights * seeing() } else { weights })
        }
    };
    let output = weights.clone().matmul(v);
    Ok(Attended { output, scores: [products, bounded, masked, weights] })
}

/// A mask of truth values or numbers to add, as numbers to add that broadcast to four axes.
pub(super) fn additive(call: &mut Call<'_>, input: usize) -> Result<Option<Tensor<4>>> {
    if !call.has(input) {
        return Ok(None);
    }
    let value = call.take(input)?;
    let dims = pad_rank(&value.dims(), 4);
    if let Some(HostData::Bool(keep)) = value.host().map(|h| &h.data) {
        let add = keep.iter().map(|&k| if k { 0.0 } else { NEVER }).collect();
        return DeviceTensor::upload(&HostTensor::f32(dims, add)?, call.device)?.float().map(Some);
    }
    let t = value.on(call.device)?.reshape(&dims)?;
    if t.kind() == crate::tensor::Kind::Bool {
        let drop: Tensor<4, Bool> = t.bool::<4>()?.bool_not();
        return Ok(Some(drop.float().mul_scalar(NEVER)));
    }
    // Masks often hold minus infinity, which a query that sees nothing would turn into no number.
    Ok(Some(t.float::<4>()?.clamp_min(NEVER)))
}

/// The mask may be shorter than the keys: what it does not cover never counts.
fn padded(mask: Tensor<4>, keys: usize) -> Tensor<4> {
    let [a, b, c, l] = mask.dims();
    if l == 1 || l >= keys {
        return mask;
    }
    let rest = Tensor::<4>::full([a, b, c, keys - l], NEVER, &mask.device());
    Tensor::cat(vec![mask, rest], 3)
}

/// What keeps queries from keys that lie behind the end of their own sequence or outside of their window; `before` keys come
/// before the first query where sequences have no ends of their own.
fn limits(call: &Call<'_>, before: usize, queries: usize, keys: usize) -> Result<Option<Tensor<4>>> {
    let window = [call.int_or("left_window_size", -1), call.int_or("right_window_size", -1)];
    let given = call.ints(6)?;
    if given.is_none() && window == [-1, -1] {
        return Ok(None);
    }
    let (n, causal) = (queries as i64, call.flag("is_causal"));
    let ends: Vec<(i64, i64)> = match given {
        Some(ends) => ends.into_iter().map(|end| (end, end - n)).collect(),
        None => vec![(keys as i64, before as i64)],
    };
    let mut values = Vec::with_capacity(made(&[ends.len(), queries, keys])?);
    let [left, right] = window;
    for &(end, before) in &ends {
        for at in before..before + n {
            let seen = |j: i64| {
                let near = (left < 0 || at - j <= left) && (right < 0 || j - at <= right);
                j < end && near && (!causal || j <= at)
            };
            values.extend((0..keys as i64).map(|j| if seen(j) { 0.0 } else { NEVER }));
        }
    }
    let mask = HostTensor::f32(vec![ends.len(), 1, queries, keys], values)?;
    DeviceTensor::upload(&mask, call.device)?.float().map(Some)
}

fn attention(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let apart = call.look(0)?.dims().len() == 4;
    let (hq, hk) = (length(call.int_or("q_num_heads", 0))?, length(call.int_or("kv_num_heads", 0))?);
    let q = split_heads(call.tensor(0)?, hq)?;
    let (mut k, mut v) = (split_heads(call.tensor(1)?, hk)?, split_heads(call.tensor(2)?, hk)?);
    let mut before = 0;
    if let (Some(past_k), Some(past_v)) = (call.optional(4)?, call.optional(5)?) {
        let [_, _, p, _]: [usize; 4] = array(&past_k.dims())?;
        before = p;
        k = Tensor::cat(vec![past_k.float()?, k], 2);
        v = Tensor::cat(vec![past_v.float()?, v], 2);
    }
    let ([_, _, queries, _], [_, _, keys, _]) = (q.dims(), k.dims());
    let own = additive(call, 3)?.map(|m| padded(m, keys));
    let rule = Rule {
        scale: call.node.float("scale"),
        softcap: call.float_or("softcap", 0.0),
        causal: (call.flag("is_causal") && !call.has(6)).then_some(before),
        bias: own.into_iter().chain(limits(call, before, queries, keys)?).collect(),
        blind: true,
    };
    let done = attend(Operands { q, k: k.clone(), v: v.clone() }, rule)?;
    let y = if apart { done.output.into() } else { join_heads(done.output)? };
    let shown = length(call.int_or("qk_matmul_output_mode", 0))?;
    let [products, bounded, masked, weights] = done.scores;
    let shown = match shown {
        0 => products,
        1 => bounded,
        2 => masked,
        3 => weights,
        n => return Err(bad_attribute(format!("qk_matmul_output_mode {n} is unknown"))),
    };
    let rest = [DeviceTensor::from(k), DeviceTensor::from(v), DeviceTensor::from(shown)];
    Ok([y].into_iter().chain(rest).map(Value::from).collect())
}
