//! Every family of kernels on a GPU against the CPU, with small numbers.
//!
//! A shader that an adapter rejects need not raise an error: its output may simply stay what the memory held before. So
//! each family runs twice with different numbers, and a result that does not follow them is found.

use crate::data::random::SplitMix64;
use crate::tensor::DeviceTensor;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, ConvTransposeOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Int, Slice, Tensor, TensorData, activation, module};
use lopper_core::{Code, Error, Result};

/// The largest difference, as a share of the largest number, that rounding may cause.
const TOLERANCE: f64 = 1e-3;

/// The results of one family, one after the other.
type Family = fn(&mut Source) -> Vec<Tensor<1>>;

const FAMILIES: &[(&str, Family)] = &[
    ("convolution", |s| conv(s, [2, 4, 7, 6], [6, 4, 3, 3], [1, 1], [(1, 1), (1, 1)], 1)),
    ("strided convolution", |s| conv(s, [2, 4, 9, 8], [5, 4, 3, 3], [2, 2], [(1, 1), (1, 1)], 1)),
    ("convolution with uneven padding", |s| conv(s, [1, 3, 6, 6], [4, 3, 3, 3], [1, 1], [(0, 1), (1, 0)], 1)),
    ("pointwise convolution", |s| conv(s, [2, 8, 5, 5], [12, 8, 1, 1], [1, 1], [(0, 0), (0, 0)], 1)),
    ("grouped convolution", |s| conv(s, [2, 8, 6, 6], [8, 4, 3, 3], [1, 1], [(1, 1), (1, 1)], 2)),
    ("depthwise convolution", |s| conv(s, [2, 6, 7, 7], [6, 1, 3, 3], [2, 2], [(1, 1), (1, 1)], 6)),
    ("transposed convolution", conv_transpose),
    ("batch normalisation in training", batch_norm_train),
    ("batch normalisation", batch_norm),
    ("layer normalisation", layer_norm),
    ("matrix product", matmul),
    ("linear layer", linear),
    ("pooling", pooling),
    ("activations", activations),
    ("softmax", softmax),
    ("elementwise arithmetic", arithmetic),
    ("reductions", reductions),
    ("gather", gather),
    ("slice", slice),
    ("padding", padding),
    ("concatenation", concat),
    ("optimiser step", optimizer),
];

/// Numbers that depend on a seed only, on one device.
struct Source {
    random: SplitMix64,
    device: Device,
}

impl Source {
    fn tensor<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.random.range(-1.0, 1.0)).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// A tensor whose gradient is wanted.
    fn leaf<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.tensor(shape).autodiff().require_grad()
    }

    fn positive<const D: usize>(&mut self, shape: [usize; D]) -> Tensor<D> {
        self.tensor(shape).abs().add_scalar(0.5)
    }
}

fn flat<const D: usize>(t: Tensor<D>) -> Tensor<1> {
    let n = t.shape().num_elements();
    t.inner().reshape([n])
}

/// A result and the gradient of a weighted sum of it in up to three tensors.
macro_rules! with_gradients {
    ($source:expr, $y:expr, $($leaf:expr),+) => {{
        let y = $y;
        let weights = $source.tensor(y.dims());
        let mut gradients = (y.clone() * weights).sum().backward();
        let mut out = vec![flat(y)];
        $(out.extend($leaf.grad_remove(&mut gradients).map(flat));)+
        out
    }};
}

fn conv(
    s: &mut Source,
    x: [usize; 4],
    w: [usize; 4],
    stride: [usize; 2],
    pads: [(usize, usize); 2],
    groups: usize,
) -> Vec<Tensor<1>> {
    let [filters, ..] = w;
    let (x, w, b) = (s.leaf(x), s.leaf(w), s.leaf([filters]));
    let options = ConvOptions::new_with_padding(stride, pads, [1, 1], groups);
    with_gradients!(s, module::conv2d(x.clone(), w.clone(), Some(b.clone()), options), x, w, b)
}

fn conv_transpose(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, w, b) = (s.leaf([2, 4, 5, 4]), s.leaf([4, 3, 2, 2]), s.leaf([3]));
    let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
    with_gradients!(s, module::conv_transpose2d(x.clone(), w.clone(), Some(b.clone()), options), x, w, b)
}

fn batch_norm_train(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, scale, shift) = (s.leaf([4, 5, 6, 3]), s.leaf([5]), s.leaf([5]));
    let y = module::batch_norm_train(x.clone(), scale.clone(), shift.clone(), 1e-5);
    let mut out = vec![flat(y.mean), flat(y.variance)];
    out.extend(with_gradients!(s, y.output, x, scale, shift));
    out
}

fn batch_norm(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, scale, shift) = (s.tensor([2, 5, 4, 4]), s.tensor([5]), s.tensor([5]));
    let (mean, variance) = (s.tensor([5]), s.positive([5]));
    let folded = x.clone() * scale.clone().reshape([1, 5, 1, 1]) + shift.clone().reshape([1, 5, 1, 1]);
    vec![flat(module::batch_norm(x, scale, shift, mean, variance, 1e-5)), flat(folded)]
}

fn layer_norm(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, scale, shift) = (s.leaf([6, 10]), s.leaf([10]), s.leaf([10]));
    with_gradients!(s, module::layer_norm(x.clone(), scale.clone(), Some(shift.clone()), 1e-5), x, scale, shift)
}

fn matmul(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b) = (s.leaf([2, 5, 7]), s.leaf([2, 7, 3]));
    with_gradients!(s, a.clone().matmul(b.clone()), a, b)
}

fn linear(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, w, b) = (s.leaf([6, 9]), s.leaf([4, 9]), s.leaf([4]));
    with_gradients!(s, module::linear(x.clone(), w.clone().swap_dims(0, 1), Some(b.clone())), x, w, b)
}

fn pooling(s: &mut Source) -> Vec<Tensor<1>> {
    let max = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
    let x = s.leaf([2, 3, 8, 7]);
    let mut out = with_gradients!(s, module::max_pool2d(x.clone(), max), x);
    let average = AvgPoolOptions::new([2, 2]).with_stride([2, 2]).with_padding([1, 1]).with_count_include_pad(false);
    let x = s.leaf([2, 3, 6, 6]);
    out.extend(with_gradients!(s, module::avg_pool2d(x.clone(), average), x));
    out
}

fn activations(s: &mut Source) -> Vec<Tensor<1>> {
    let mut out = Vec::new();
    let each: [fn(Tensor<2>) -> Tensor<2>; 8] = [
        activation::relu,
        activation::sigmoid,
        activation::gelu,
        activation::hard_swish,
        |x| activation::hard_sigmoid(x, 0.2, 0.5),
        |x| activation::leaky_relu(x, 0.1),
        |x| x.clamp(-0.5, 0.5),
        Tensor::tanh,
    ];
    for f in each {
        let x = s.leaf([4, 9]);
        out.extend(with_gradients!(s, f(x.clone()), x));
    }
    out
}

fn softmax(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([5, 11]);
    let mut out = with_gradients!(s, activation::log_softmax(x.clone(), 1), x);
    let x = s.leaf([5, 11]);
    out.extend(with_gradients!(s, activation::softmax(x.clone(), 1), x));
    out
}

fn arithmetic(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b, c) = (s.leaf([3, 4, 5]), s.leaf([1, 4, 1]), s.positive([3, 4, 5]));
    let y = (a.clone() + b.clone()) * c.clone() - a.clone() / c.clone().sqrt();
    let mut out = with_gradients!(s, y, a, b);
    out.push(flat(c.clone().exp() + c.clone().log() + c.clone().recip() + c.clone().powf_scalar(1.5) + c.erf()));
    out
}

fn reductions(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([3, 40, 5]);
    let mut out = with_gradients!(s, x.clone().mean_dim(1), x);
    let x = s.leaf([7, 33]);
    out.extend(with_gradients!(s, x.clone().sum_dim(1), x));
    let x = s.leaf([7, 33]);
    out.extend(with_gradients!(s, x.clone().max_dim(1), x));
    out.push(s.tensor([300]).sum());
    out
}

fn gather(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([3, 6, 2]);
    let at = Tensor::<1, Int>::from_data(TensorData::new(vec![5_i64, 0, 3, 3], [4]), &s.device);
    with_gradients!(s, x.clone().select(1, at), x)
}

fn slice(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 9, 6]);
    let parts = [Slice::full(), Slice::new(1, Some(8), 2), Slice::new(2, Some(5), 1)];
    let y = x.clone().slice(parts.as_slice()).permute([2, 0, 1]);
    with_gradients!(s, y, x)
}

fn padding(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([2, 3, 4]);
    with_gradients!(s, x.clone().pad([(1, 2), (0, 1)], PadMode::Constant(0.25)), x)
}

fn concat(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b) = (s.leaf([2, 3, 4]), s.leaf([2, 5, 4]));
    with_gradients!(s, Tensor::cat(vec![a.clone(), b.clone()], 1), a, b)
}

fn optimizer(s: &mut Source) -> Vec<Tensor<1>> {
    let (w, g, v) = (s.tensor([6, 5]), s.tensor([6, 5]), s.tensor([6, 5]));
    let v = v.mul_scalar(0.9) + (g + w.clone().mul_scalar(5e-4));
    vec![flat(w - v.clone().mul_scalar(0.05)), flat(v)]
}

/// Compares a device with the CPU.
///
/// # Errors
/// [`Code::DeviceRefused`] names the first family that disagrees.
pub(crate) async fn compare(device: &Device) -> Result<()> {
    let cpu = Device::flex();
    for round in 0..2 {
        for (name, family) in FAMILIES {
            let results = |device: &Device| {
                family(&mut Source { random: SplitMix64::keyed(&[round, name.len() as u64]), device: device.clone() })
            };
            let (got, want) = (results(device), results(&cpu));
            let lengths: Vec<usize> = want.iter().map(|t| t.shape().num_elements()).collect();
            let same = got.iter().map(|t| t.shape().num_elements()).eq(lengths.iter().copied());
            let got = DeviceTensor::from(Tensor::cat(got, 0)).download().await?;
            let want = DeviceTensor::from(Tensor::cat(want, 0)).download().await?;
            let (got, want) = (got.as_f32().unwrap_or_default(), want.as_f32().unwrap_or_default());
            let error = if same { worst_part(got, want, &lengths) } else { f64::INFINITY };
            if error > TOLERANCE {
                return Err(Error::new(
                    Code::DeviceRefused,
                    format!(
                        "the GPU computes {name} otherwise than the CPU ({error:.1e} of the largest number): use the CPU, or update browser and driver"
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// The largest [`difference`] of the parts that two lists consist of.
fn worst_part(mut got: &[f32], mut want: &[f32], lengths: &[usize]) -> f64 {
    let mut worst = 0.0_f64;
    for &n in lengths {
        let (Some((a, rest_a)), Some((b, rest_b))) = (got.split_at_checked(n), want.split_at_checked(n)) else {
            return f64::INFINITY;
        };
        worst = worst.max(difference(a, b));
        (got, want) = (rest_a, rest_b);
    }
    worst
}

/// The largest difference as a share of the largest number; infinite if anything is no number.
fn difference(got: &[f32], want: &[f32]) -> f64 {
    let size = |v: f64| if v.is_finite() { v.abs() } else { f64::INFINITY };
    let largest = want.iter().map(|&v| size(f64::from(v))).fold(1e-12, f64::max);
    let worst = got.iter().zip(want).map(|(&a, &b)| size(f64::from(a) - f64::from(b))).fold(0.0, f64::max);
    if got.len() == want.len() && !want.is_empty() && worst.is_finite() { worst / largest } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_gives_finite_numbers_that_follow_the_seed() {
        for (name, family) in FAMILIES {
            let run = |seed| {
                let results = family(&mut Source { random: SplitMix64::new(seed), device: Device::flex() });
                crate::block_on(DeviceTensor::from(Tensor::cat(results, 0)).download())
                    .unwrap()
                    .as_f32()
                    .unwrap()
                    .to_vec()
            };
            let (a, again, b) = (run(1), run(1), run(2));
            assert!(a.iter().all(|v| v.is_finite()), "{name}");
            assert_eq!(a, again, "{name}");
            assert!(difference(&a, &b) > TOLERANCE, "{name}");
        }
    }

    #[test]
    fn the_cpu_agrees_with_itself() {
        crate::block_on(compare(&Device::flex())).unwrap();
    }

    #[test]
    fn stale_or_missing_numbers_are_found() {
        assert!(difference(&[0.0, 0.0], &[1.0, 0.5]) > TOLERANCE);
        assert!(difference(&[1.0], &[1.0, 0.5]) > TOLERANCE);
        assert!(difference(&[f32::NAN], &[1.0]) > TOLERANCE);
        assert!(difference(&[1.0, 0.5], &[1.0, 0.5]) == 0.0);
        assert!(
            worst_part(&[1.0, 100.0, 0.1, 0.1], &[1.0, 100.0, 0.1, 0.2], &[2, 2]) > TOLERANCE,
            "large parts hide no small ones"
        );
        assert!(worst_part(&[1.0], &[1.0], &[2]) > TOLERANCE);
    }
}
