//! Every family of kernels on a GPU against the CPU, with small numbers.
//!
//! A shader that an adapter rejects need not raise an error: its output may simply stay what the memory held before. So
//! each family runs twice with different numbers, and a result that does not follow them is found.

use crate::data::random::SplitMix64;
use crate::kernels;
use crate::tensor::DeviceTensor;
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, ConvTransposeOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Device, Int, Slice, Tensor, TensorData, activation, module};
use lopper_core::{Code, Error, Result};
use lopper_kernels::Geometry;

/// The largest difference, as a share of the largest number, that rounding may cause.
const TOLERANCE: f64 = 1e-3;

/// The results of one family, one after the other.
type Family = fn(&mut Source) -> Vec<Tensor<1>>;

const FAMILIES: &[(&str, Family)] = &[
    ("convolution", |s| conv(s, [2, 4, 8, 8], [8, 4, 3, 3], [1, 1], 1)),
    ("strided convolution", |s| conv(s, [2, 4, 8, 8], [8, 4, 3, 3], [2, 2], 1)),
    ("grouped convolution", |s| conv(s, [2, 8, 8, 8], [8, 4, 3, 3], [1, 1], 2)),
    ("depthwise convolution", |s| conv(s, [2, 8, 8, 8], [8, 1, 3, 3], [1, 1], 8)),
    ("transposed convolution", |s| conv_transpose(s, 1)),
    ("transposed convolution with strides", |s| conv_transpose(s, 2)),
    ("batch normalisation in training", batch_norm_train),
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

/// The kernels that a network runs: own ones where there are, and burn's.
fn conv(s: &mut Source, x: [usize; 4], w: [usize; 4], stride: [usize; 2], groups: usize) -> Vec<Tensor<1>> {
    let ([images, channels, rows, columns], [filters, ..]) = (x, w);
    let (x, w, b) = (s.leaf(x), s.leaf(w), s.leaf([filters]));
    let geometry = Geometry {
        images,
        groups,
        channels: channels / groups,
        filters: filters / groups,
        input: [rows, columns],
        output: [(rows - 1) / stride[0] + 1, (columns - 1) / stride[1] + 1],
        kernel: [3, 3],
        stride,
        dilation: [1, 1],
        begin: [1, 1],
    };
    let own = kernels::convolve(&x, &w, Some(&b), geometry, false);
    let options = ConvOptions::new(stride, [1, 1], [1, 1], groups);
    let y = own.unwrap_or_else(|| module::conv2d(x.clone(), w.clone(), Some(b.clone()), options));
    with_gradients!(s, y, x, w, b)
}

fn conv_transpose(s: &mut Source, stride: usize) -> Vec<Tensor<1>> {
    let (x, w, b) = (s.leaf([2, 4, 4, 4]), s.leaf([4, 4, 2, 2]), s.leaf([4]));
    let geometry = Geometry {
        images: 2,
        groups: 1,
        channels: 4,
        filters: 4,
        input: [3 * stride + 2; 2],
        output: [4, 4],
        kernel: [2, 2],
        stride: [stride; 2],
        dilation: [1, 1],
        begin: [0, 0],
    };
    let own = kernels::convolve(&x, &w, Some(&b), geometry, true);
    let options = ConvTransposeOptions::new([stride; 2], [0, 0], [0, 0], [1, 1], 1);
    let y = own.unwrap_or_else(|| module::conv_transpose2d(x.clone(), w.clone(), Some(b.clone()), options));
    with_gradients!(s, y, x, w, b)
}

fn batch_norm_train(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, scale, shift) = (s.leaf([4, 4, 4, 4]), s.leaf([4]), s.leaf([4]));
    let (y, [mean, variance]) = kernels::batch_norm_train(&x, &scale, &shift, 1e-5).unwrap_or_else(|| {
        let y = module::batch_norm_train(x.clone(), scale.clone(), shift.clone(), 1e-5);
        (y.output, [y.mean, y.variance])
    });
    let mut out = vec![flat(mean), flat(variance)];
    out.extend(with_gradients!(s, y, x, scale, shift));
    out
}

fn matmul(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b) = (s.leaf([2, 8, 12]), s.leaf([2, 12, 4]));
    with_gradients!(s, a.clone().matmul(b.clone()), a, b)
}

fn linear(s: &mut Source) -> Vec<Tensor<1>> {
    let (x, w, b) = (s.leaf([8, 12]), s.leaf([4, 12]), s.leaf([4]));
    with_gradients!(s, module::linear(x.clone(), w.clone().swap_dims(0, 1), Some(b.clone())), x, w, b)
}

fn pooling(s: &mut Source) -> Vec<Tensor<1>> {
    let max = MaxPoolOptions::new([3, 3]).with_stride([2, 2]).with_padding([1, 1]);
    let x = s.leaf([2, 4, 8, 8]);
    let mut out = with_gradients!(s, module::max_pool2d(x.clone(), max), x);
    let average = AvgPoolOptions::new([2, 2]).with_stride([2, 2]).with_count_include_pad(false);
    let x = s.leaf([2, 4, 8, 8]);
    out.extend(with_gradients!(s, module::avg_pool2d(x.clone(), average), x));
    out
}

fn activations(s: &mut Source) -> Vec<Tensor<1>> {
    let mut out = Vec::new();
    let each: [fn(Tensor<2>) -> Tensor<2>; 4] =
        [activation::relu, activation::sigmoid, Tensor::tanh, |x| x.clamp(-0.5, 0.5)];
    for f in each {
        let x = s.leaf([4, 12]);
        out.extend(with_gradients!(s, f(x.clone()), x));
    }
    out
}

fn softmax(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 12]);
    let mut out = with_gradients!(s, activation::log_softmax(x.clone(), 1), x);
    out.push(flat(activation::softmax(s.tensor([4, 12]), 1)));
    out
}

fn arithmetic(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b, c) = (s.leaf([4, 4, 4]), s.leaf([1, 4, 1]), s.positive([4, 4, 4]));
    let y = (a.clone() + b.clone()) * c.clone() - a.clone() / c.clone();
    let mut out = with_gradients!(s, y, a, b);
    let unary =
        [c.clone().exp(), c.clone().log(), c.clone().sqrt(), c.clone().recip(), c.clone().erf(), c.powf_scalar(1.5)];
    out.extend(unary.map(flat));
    out
}

fn reductions(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 40, 4]);
    let mut out = with_gradients!(s, x.clone().mean_dim(1), x);
    let x = s.leaf([4, 64]);
    out.extend(with_gradients!(s, x.clone().mean_dim(1), x));
    let x = s.tensor([4, 64]);
    out.extend([flat(x.clone().sum_dim(1)), flat(x.max_dim(1))]);
    out
}

fn gather(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 8, 4]);
    let at = Tensor::<1, Int>::from_data(TensorData::new(vec![5_i64, 0, 3, 3], [4]), &s.device);
    with_gradients!(s, x.clone().select(1, at), x)
}

fn slice(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 8, 8]);
    let parts = [Slice::full(), Slice::new(1, Some(8), 2), Slice::new(2, Some(6), 1)];
    let y = x.clone().slice(parts.as_slice()).permute([2, 0, 1]);
    with_gradients!(s, y, x)
}

fn padding(s: &mut Source) -> Vec<Tensor<1>> {
    let x = s.leaf([4, 4, 4]);
    with_gradients!(s, x.clone().pad([(2, 2), (0, 4)], PadMode::Constant(0.25)), x)
}

fn concat(s: &mut Source) -> Vec<Tensor<1>> {
    let (a, b) = (s.leaf([4, 4, 4]), s.leaf([4, 8, 4]));
    with_gradients!(s, Tensor::cat(vec![a.clone(), b.clone()], 1), a, b)
}

fn optimizer(s: &mut Source) -> Vec<Tensor<1>> {
    let (w, g, v) = (s.tensor([4, 8]), s.tensor([4, 8]), s.tensor([4, 8]));
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
        let (got, want) = (Results::of(device, round), Results::of(&cpu, round));
        let (parts, of_family) = (got.lengths == want.lengths, want.families.clone());
        let lengths = want.lengths.clone();
        let (got, want) = (got.read().await?, want.read().await?);
        let error = |part: usize| if parts { part_error(&got, &want, &lengths, part) } else { f64::INFINITY };
        let worst = (0..lengths.len()).map(|part| (error(part), part)).find(|(e, _)| *e > TOLERANCE);
        if let Some((error, part)) = worst {
            let name = of_family.get(part).copied().unwrap_or_default();
            return Err(Error::new(
                Code::DeviceRefused,
                format!(
                    "the GPU computes {name} otherwise than the CPU ({error:.1e} of the largest number): \
                     use the CPU, or update browser and driver"
                ),
            ));
        }
    }
    Ok(())
}

/// What all families gave on one device, in parts.
struct Results {
    all: Vec<Tensor<1>>,
    lengths: Vec<usize>,
    families: Vec<&'static str>,
}

impl Results {
    fn of(device: &Device, round: u64) -> Self {
        let (mut all, mut families) = (Vec::new(), Vec::new());
        for (place, (name, family)) in FAMILIES.iter().enumerate() {
            let random = SplitMix64::keyed(&[round, place as u64]);
            all.extend(family(&mut Source { random, device: device.clone() }));
            families.resize(all.len(), *name);
        }
        let lengths = all.iter().map(|t| t.shape().num_elements()).collect();
        Self { all, lengths, families }
    }

    /// All numbers in one read.
    async fn read(self) -> Result<Vec<f32>> {
        let host = DeviceTensor::from(Tensor::cat(self.all, 0)).download().await?;
        Ok(host.as_f32().unwrap_or_default().to_vec())
    }
}

/// The [`difference`] of one of the parts that two lists consist of.
fn part_error(got: &[f32], want: &[f32], lengths: &[usize], part: usize) -> f64 {
    let start: usize = lengths.iter().take(part).sum();
    let end = start + lengths.get(part).copied().unwrap_or(0);
    match (got.get(start..end), want.get(start..end)) {
        (Some(got), Some(want)) => difference(got, want),
        _ => f64::INFINITY,
    }
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
        let error = |part| part_error(&[1.0, 100.0, 0.1, 0.1], &[1.0, 100.0, 0.1, 0.2], &[2, 2], part);
        assert!(error(0) == 0.0 && error(1) > TOLERANCE, "large parts hide no small ones");
        assert!(part_error(&[1.0], &[1.0], &[2], 0) > TOLERANCE);
    }
}
