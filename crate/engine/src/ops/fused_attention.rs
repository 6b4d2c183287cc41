//! The attentions of the domain com.microsoft.

use super::attention::{NEVER, Operands, Rule, additive, attend, join_heads, split_heads};
use super::rotary::rotate;
use super::{Call, Forward, array, bad_attribute, bad_shape, length, one, unsupported};
use crate::tensor::DeviceTensor;
use crate::value::{HostTensor, Value};
use burn::tensor::Tensor;
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "MultiHeadAttention" => multi_head,
        "Attention" => packed,
        "GroupQueryAttention" => group_query,
        _ => return None,
    })
}

fn heads_of(call: &Call<'_>, name: &str) -> Result<usize> {
    match length(call.int_or(name, 0))? {
        0 => Err(bad_attribute(format!("{name} is missing"))),
        n => Ok(n),
    }
}

/// A given scale; these operators write zero for none.
fn scale(call: &Call<'_>) -> Option<f32> {
    call.node.float("scale").filter(|s| *s != 0.0)
}

/// Which keys count, as numbers to add: one length a row, or ones and zeros for every key, or for every query and key.
fn key_mask(call: &Call<'_>, input: usize, keys: usize) -> Result<Option<Tensor<4>>> {
    if !call.has(input) {
        return Ok(None);
    }
    let host = call.host(input)?;
    let numbers = host.data.to_i64();
    let never = call.float_or("mask_filter_value", -10_000.0);
    let add = |keep: bool| if keep { 0.0 } else { never };
    let (dims, values): (Vec<usize>, Vec<f32>) = match *host.dims {
        [b] => {
            let rows = numbers.iter().flat_map(|&n| (0..keys as i64).map(move |j| add(j < n)));
            (vec![b, 1, 1, keys], rows.collect())
        }
        [b, l] if l == keys => (vec![b, 1, 1, l], numbers.iter().map(|&n| add(n != 0)).collect()),
        [b, s, l] if l == keys => (vec![b, 1, s, l], numbers.iter().map(|&n| add(n != 0)).collect()),
        _ => return Err(unsupported(format!("a mask of shape {:?}", host.dims))),
    };
    DeviceTensor::upload(&HostTensor::f32(dims, values)?, call.device)?.float().map(Some)
}

/// Part `p` of `parts` of a tensor `[batch, sequence, heads, parts, size]` as `[batch, heads, sequence, size]`.
fn packed_part(x: &DeviceTensor, p: usize) -> Result<Tensor<4>> {
    let [b, s, h, _, d]: [usize; 5] = array(&x.dims())?;
    Ok(x.clone().float::<5>()?.narrow(3, p, 1).reshape([b, s, h, d]).swap_dims(1, 2))
}

fn multi_head(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let heads = heads_of(call, "num_heads")?;
    let (first, second, third) = (call.tensor(0)?, call.optional(1)?, call.optional(2)?);
    if call.has(8) || call.has(9) {
        return Err(unsupported("a cache that is written in place"));
    }
    let (mut q, mut k, mut v) = match (first.rank(), &second, third) {
        (5, ..) => (packed_part(&first, 0)?, packed_part(&first, 1)?, packed_part(&first, 2)?),
        (_, Some(kv), None) => (split_heads(first, heads)?, packed_part(kv, 0)?, packed_part(kv, 1)?),
        (_, Some(k), Some(v)) => (split_heads(first, heads)?, split_heads(k.clone(), heads)?, split_heads(v, heads)?),
        _ => return Err(bad_shape("keys are missing")),
    };
    if let Some(bias) = call.optional(3)? {
        let bias: Tensor<1> = bias.float()?;
        let mut from = 0;
        for part in [&mut q, &mut k, &mut v] {
            let [_, h, _, d] = part.dims();
            if from + h * d > bias.dims().iter().product() {
                return Err(bad_shape("the bias is shorter than queries, keys and values"));
            }
            let own = bias.clone().narrow(0, from, h * d).reshape([1, h, 1, d]);
            *part = part.clone() + own;
            from += h * d;
        }
    }
    let mut before = 0;
    if let (Some(past_k), Some(past_v)) = (call.optional(6)?, call.optional(7)?) {
        let [_, _, p, _]: [usize; 4] = array(&past_k.dims())?;
        before = p;
        k = Tensor::cat(vec![past_k.float()?, k], 2);
        v = Tensor::cat(vec![past_v.float()?, v], 2);
    }
    let keys = k.dims().into_iter().nth(2).unwrap_or(1);
    let bias = [key_mask(call, 4, keys)?, additive(call, 5)?].into_iter().flatten().collect();
    let causal = call.flag("unidirectional").then_some(before);
    let rule = Rule { scale: scale(call), softcap: 0.0, causal, bias, blind: false };
    let y = attend(Operands { q, k: k.clone(), v: v.clone() }, rule)?.output;
    let mut out = one(join_heads(y)?)?;
    out.push(DeviceTensor::from(k).into());
    out.push(DeviceTensor::from(v).into());
    Ok(out)
}

fn packed(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let heads = heads_of(call, "num_heads")?;
    if call.flag("do_rotary") || call.has(4) || call.has(6) {
        return Err(unsupported("rotary embedding or a cache inside of an Attention with packed weights"));
    }
    let (x, w) = (call.tensor(0)?, call.tensor(1)?);
    let [_, total]: [usize; 2] = array(&w.dims())?;
    let mut projected: Tensor<3> = super::matmul::product(x, w)?.float()?;
    if let Some(bias) = call.optional(2)? {
        projected = projected + bias.reshape(&[1, 1, total])?.float()?;
    }
    let sizes: [usize; 3] = match call.node.ints("qkv_hidden_sizes").filter(|s| !s.is_empty()) {
        Some(s) => array(&super::lengths(s)?)?,
        None => [total / 3; 3],
    };
    if sizes.iter().sum::<usize>() != total {
        return Err(bad_shape(format!("widths {sizes:?} do not add up to {total}")));
    }
    let mut from = 0;
    let mut part = |n: usize| {
        let own = DeviceTensor::from(projected.clone().narrow(2, from, n));
        from += n;
        split_heads(own, heads)
    };
    let [a, b, c] = sizes;
    let (q, k, v) = (part(a)?, part(b)?, part(c)?);
    let keys = k.dims().into_iter().nth(2).unwrap_or(1);
    let bias = [key_mask(call, 3, keys)?, additive(call, 5)?].into_iter().flatten().collect();
    let causal = call.flag("unidirectional").then_some(0);
    let rule = Rule { scale: scale(call), softcap: 0.0, causal, bias, blind: false };
    let y = attend(Operands { q, k, v }, rule)?.output;
    one(join_heads(y)?)
}

fn group_query(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (hq, hk) = (heads_of(call, "num_heads")?, heads_of(call, "kv_num_heads")?);
    if call.has(11) || call.flag("smooth_softmax") || call.int_or("local_window_size", -1) > 0 {
        return Err(unsupported("a sliding window or a smooth softmax"));
    }
    let (first, second, third) = (call.tensor(0)?, call.optional(1)?, call.optional(2)?);
    let (mut q, mut k, v) = match (second, third) {
        (Some(k), Some(v)) => (split_heads(first, hq)?, split_heads(k, hk)?, split_heads(v, hk)?),
        _ => {
            let all = split_heads(first, hq + 2 * hk)?;
            (all.clone().narrow(1, 0, hq), all.clone().narrow(1, hq, hk), all.narrow(1, hq + hk, hk))
        }
    };
    let [batch, _, s, _] = q.dims();
    let past = (call.optional(3)?, call.optional(4)?);
    let before = past.0.as_ref().map_or(0, |p| p.dims().get(2).copied().unwrap_or(0));
    let lengths = call.ints(5)?.unwrap_or_default();
    let mut bias: Vec<Tensor<4>> = additive(call, 10)?.into_iter().collect();
    let total = before + s;
    if lengths.iter().any(|&n| n + 1 != total as i64) {
        if before > 0 {
            return Err(unsupported("rows of different lengths in one cache"));
        }
        let values = lengths.iter().flat_map(|&n| (0..total as i64).map(move |j| if j > n { NEVER } else { 0.0 }));
        let mask = HostTensor::f32(vec![batch, 1, 1, total], values.collect())?;
        bias.push(DeviceTensor::upload(&mask, call.device)?.float()?);
    }
    if call.flag("do_rotary") {
        let at: Vec<i64> = match call.ints(9)? {
            Some(at) => at,
            None => (0..batch).flat_map(|_| before as i64..total as i64).collect(),
        };
        let interleaved = call.flag("rotary_interleaved");
        let (cos, sin) = (call.tensor(7)?, call.tensor(8)?);
        q = rotate(q, &cos, &sin, Some(&at), interleaved)?;
        k = rotate(k, &cos, &sin, Some(&at), interleaved)?;
    }
    let (k, v) = match past {
        (Some(pk), Some(pv)) => (Tensor::cat(vec![pk.float()?, k], 2), Tensor::cat(vec![pv.float()?, v], 2)),
        _ => (k, v),
    };
    let rule =
        Rule { scale: scale(call), softcap: call.float_or("softcap", 0.0), causal: Some(before), bias, blind: false };
    let y = attend(Operands { q, k: k.clone(), v: v.clone() }, rule)?.output;
    let mut out = one(join_heads(y)?)?;
    out.push(DeviceTensor::from(k).into());
    out.push(DeviceTensor::from(v).into());
    Ok(out)
}
