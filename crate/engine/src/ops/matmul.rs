//! Matrix products.

use super::{Call, Forward, bad_shape, one};
use crate::tensor::{DeviceTensor, broadcast, by_rank, pad_rank};
use crate::value::Value;
use burn::tensor::{Tensor, module};
use lopper_core::Result;

pub(super) fn find(op: &str) -> Option<Forward> {
    Some(match op {
        "MatMul" => matmul,
        "Gemm" => gemm,
        _ => return None,
    })
}

fn matmul(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (a, b) = (call.tensor(0)?, call.tensor(1)?);
    one(product(a, b)?)
}

/// numpy's matrix product: vectors gain an axis and lose it again, leading axes repeat.
pub(super) fn product(a: DeviceTensor, b: DeviceTensor) -> Result<DeviceTensor> {
    let (ad, bd) = (a.dims(), b.dims());
    let mismatch = || bad_shape(format!("shapes {ad:?} and {bd:?} cannot be multiplied"));
    let a2 = if ad.len() == 1 { vec![1, ad.iter().product()] } else { ad.clone() };
    let b2 = if bd.len() == 1 { vec![bd.iter().product(), 1] } else { bd.clone() };
    let ([a_lead @ .., m, k], [b_lead @ .., k2, n]) = (a2.as_slice(), b2.as_slice()) else { return Err(mismatch()) };
    if k != k2 {
        return Err(mismatch());
    }
    let lead = broadcast(a_lead, b_lead).map_err(|_| mismatch())?;
    let (a, b) = (a.reshape(&a2)?, b.reshape(&b2)?);
    let y: DeviceTensor = if b_lead.iter().all(|&d| d == 1) {
        // One weight for all rows: a single product.
        let rows: usize = a_lead.iter().product::<usize>() * m;
        a.reshape(&[rows, *k])?.float::<2>()?.matmul(b.reshape(&[*k, *n])?.float()?).into()
    } else {
        let rank = lead.len() + 2;
        let (a, b) = (a.reshape(&pad_rank(&a2, rank))?, b.reshape(&pad_rank(&b2, rank))?);
        by_rank!(rank, D => Ok(DeviceTensor::from(a.float::<D>()?.matmul(b.float::<D>()?))))?
    };
    let mut dims = lead;
    if ad.len() != 1 {
        dims.push(*m);
    }
    if bd.len() != 1 {
        dims.push(*n);
    }
    y.reshape(&dims)
}

fn gemm(call: &mut Call<'_>) -> Result<Vec<Value>> {
    let (alpha, beta) = (call.float_or("alpha", 1.0), call.float_or("beta", 1.0));
    let (transpose_a, transpose_b) = (call.flag("transA"), call.flag("transB"));
    let (a, b, c) = (call.tensor(0)?, call.tensor(1)?, call.optional(2)?);
    let mismatch = format!("shapes {:?} and {:?} cannot be multiplied", a.dims(), b.dims());
    let (mut a, mut b): (Tensor<2>, Tensor<2>) = (a.float()?, b.float()?);
    if transpose_a {
        a = a.swap_dims(0, 1);
    }
    if transpose_b {
        b = b.swap_dims(0, 1);
    }
    let ([m, k], [k2, n]) = (a.dims(), b.dims());
    if k != k2 {
        return Err(bad_shape(mismatch));
    }
    let c = c.filter(|_| beta != 0.0);
    if alpha == 1.0 && beta == 1.0 && c.as_ref().is_none_or(|c| c.dims() == [n]) {
        let bias = c.map(DeviceTensor::float::<1>).transpose()?;
        return one(DeviceTensor::from(module::linear(a, b, bias)));
    }
    let mut y = a.matmul(b);
    if alpha != 1.0 {
        y = y.mul_scalar(alpha);
    }
    if let Some(c) = c {
        let padded = pad_rank(&c.dims(), 2);
        if broadcast(&padded, &[m, n])? != [m, n] {
            return Err(bad_shape(format!("C of shape {:?} does not repeat to [{m}, {n}]", c.dims())));
        }
        let c: Tensor<2> = c.reshape(&padded)?.float()?;
        y = y + if beta == 1.0 { c } else { c.mul_scalar(beta) };
    }
    one(DeviceTensor::from(y))
}
