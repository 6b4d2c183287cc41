//! Shortening of gradients that are too long.

use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::Tensor;
use lopper_core::Result;

/// Keeps the division finite where all gradients are zero, as in `torch.nn.utils.clip_grad_norm_`.
const EPSILON: f64 = 1e-6;

/// Scales all gradients by `min(1, most / norm)`, where `norm` is that of all of them as one vector. Nothing is read back.
pub(super) fn clip(gradients: &mut [Option<DeviceTensor>], most: f32) -> Result<()> {
    let square =
        |g: &DeviceTensor| -> Result<Tensor<1>> { by_rank!(g.rank(), D => Ok(g.clone().float::<D>()?.square().sum())) };
    let squares = gradients.iter().flatten().map(square).collect::<Result<Vec<_>>>()?;
    if squares.is_empty() {
        return Ok(());
    }
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    let factor = norm.add_scalar(EPSILON).recip().mul_scalar(most).clamp_max(1.0);
    for gradient in gradients.iter_mut().flatten() {
        let g = gradient.clone();
        *gradient = by_rank!(g.rank(), D => Ok((g.float::<D>()? * factor.clone().reshape([1; D])).into()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::HostTensor;
    use burn::tensor::Device;

    fn clipped(most: f32) -> Vec<f32> {
        let device = Device::flex();
        let on =
            |dims: Vec<usize>, v: Vec<f32>| DeviceTensor::upload(&HostTensor::f32(dims, v).unwrap(), &device).unwrap();
        // 3, 4 and 12 make a vector of length 13.
        let mut all = [Some(on(vec![2], vec![3.0, -4.0])), None, Some(on(vec![1, 1, 1], vec![12.0]))];
        clip(&mut all, most).unwrap();
        let read = |t: DeviceTensor| crate::block_on(t.download()).unwrap().as_f32().unwrap().to_vec();
        all.into_iter().flatten().flat_map(read).collect()
    }

    #[test]
    fn all_gradients_are_one_vector_that_is_shortened_and_never_stretched() {
        for (got, want) in clipped(6.5).iter().zip([1.5, -2.0, 6.0]) {
            assert!((got - want).abs() < 1e-5, "{got} instead of {want}");
        }
        assert_eq!(clipped(14.0), [3.0, -4.0, 12.0]);
    }
}
