//! BatchNormalization with the statistics of the batch, and its gradients (Ioffe and Szegedy, 2015).

use crate::{each_chunk, map_all};
use pulp::Arch;

/// Sums are kept in so many parts, which the compiler lays into vectors.
const PARTS: usize = 16;
/// After so many values the parts go into a sum of twice the precision.
const BLOCK: usize = 4096;

/// Images, channels, and positions of one plane of a contiguous tensor.
#[derive(Clone, Copy, Debug)]
pub struct Planes {
    /// Images of the batch.
    pub images: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Positions of a plane.
    pub size: usize,
}

impl Planes {
    /// One channel's planes.
    fn of<'a>(&self, all: &'a [f32], channel: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        all.chunks_exact(self.size.max(1)).skip(channel).step_by(self.channels.max(1)).take(self.images)
    }

    /// Values of one channel.
    fn count(&self) -> f64 {
        (self.images * self.size) as f64
    }
}

/// What a forward computes: the output, and each channel's mean and biased variance.
#[derive(Clone, Debug)]
pub struct Normalised {
    /// As long as the input.
    pub output: Vec<f32>,
    /// One number a channel.
    pub mean: Vec<f32>,
    /// One number a channel; divided by the count, not by one less.
    pub variance: Vec<f32>,
}

/// `(x - mean) / sqrt(variance + epsilon) * gamma + beta`.
pub fn norm_forward(planes: Planes, x: &[f32], gamma: &[f32], beta: &[f32], epsilon: f64) -> Normalised {
    let statistics = map_all(planes.channels, |c| {
        let total: f64 = planes.of(x, c).map(|p| sum(p, |v| v)).sum();
        let mean = (total / planes.count()) as f32;
        let squares: f64 = planes.of(x, c).map(|p| sum(p, |v| (v - mean) * (v - mean))).sum();
        (mean, (squares / planes.count()) as f32)
    });
    let (mean, variance): (Vec<f32>, Vec<f32>) = statistics.into_iter().unzip();
    let scale: Vec<f32> = gamma.iter().zip(inverse(&variance, epsilon)).map(|(g, i)| g * i).collect();
    let shift: Vec<f32> = beta.iter().zip(&mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
    let mut output = vec![0.0; x.len()];
    each_image(planes, &mut output, |image, output| {
        let x = x.chunks_exact(planes.size.max(1)).skip(image * planes.channels);
        let outputs = output.chunks_exact_mut(planes.size.max(1));
        for ((x, y), (s, t)) in x.zip(outputs).zip(scale.iter().zip(&shift)) {
            x.iter().zip(y).for_each(|(x, y)| *y = x * s + t);
        }
    });
    Normalised { output, mean, variance }
}

/// The gradients by input, gamma and beta.
#[derive(Clone, Debug)]
pub struct NormGradients {
    /// As long as the input.
    pub input: Vec<f32>,
    /// One number a channel.
    pub gamma: Vec<f32>,
    /// One number a channel.
    pub beta: Vec<f32>,
}

/// From the gradient by the output, with what the forward saw and computed.
pub fn norm_backward(
    planes: Planes,
    x: &[f32],
    gamma: &[f32],
    (mean, variance): (&[f32], &[f32]),
    epsilon: f64,
    gradient: &[f32],
) -> NormGradients {
    let inverse = inverse(variance, epsilon);
    let sums = map_all(planes.channels, |c| {
        let (mean, inverse) = (at(mean, c), at(&inverse, c));
        let beta: f64 = planes.of(gradient, c).map(|p| sum(p, |v| v)).sum();
        let pairs = planes.of(x, c).zip(planes.of(gradient, c));
        let gamma: f64 = pairs.map(|(x, g)| sum_of_two(x, g, |x, g| (x - mean) * g)).sum();
        (gamma * f64::from(inverse), beta)
    });
    // dx = gamma / deviation * (g - mean(g) - normalised * mean(g * normalised)), as g * a + x * b + c.
    let terms: Vec<[f32; 3]> = sums
        .iter()
        .enumerate()
        .map(|(c, (by_gamma, by_beta))| {
            let inverse = f64::from(at(&inverse, c));
            let a = f64::from(at(gamma, c)) * inverse;
            let b = -a * inverse * by_gamma / planes.count();
            let c = -a * by_beta / planes.count() - b * f64::from(at(mean, c));
            [a, b, c].map(|v| v as f32)
        })
        .collect();
    let mut input = vec![0.0; x.len()];
    each_image(planes, &mut input, |image, output| {
        let start = image * planes.channels;
        let xs = x.chunks_exact(planes.size.max(1)).skip(start);
        let gradients = gradient.chunks_exact(planes.size.max(1)).skip(start);
        let outputs = output.chunks_exact_mut(planes.size.max(1));
        for (((x, g), y), [a, b, c]) in xs.zip(gradients).zip(outputs).zip(&terms) {
            for ((x, g), y) in x.iter().zip(g).zip(y) {
                *y = g * a + (x * b + c);
            }
        }
    });
    let (gamma, beta) = sums.into_iter().map(|(g, b)| (g as f32, b as f32)).unzip();
    NormGradients { input, gamma, beta }
}

/// Each plane's values of one channel added up over images: a bias's gradient.
pub fn plane_sums(planes: Planes, gradient: &[f32]) -> Vec<f32> {
    map_all(planes.channels, |c| planes.of(gradient, c).map(|p| sum(p, |v| v)).sum::<f64>() as f32)
}

fn each_image(planes: Planes, output: &mut [f32], work: impl Fn(usize, &mut [f32]) + Sync) {
    each_chunk(output, planes.channels * planes.size, |image, output| {
        Arch::new().dispatch(|| work(image, output));
    });
}

fn inverse(variance: &[f32], epsilon: f64) -> Vec<f32> {
    variance.iter().map(|&v| (1.0 / (f64::from(v) + epsilon).sqrt()) as f32).collect()
}

fn at(all: &[f32], channel: usize) -> f32 {
    all.get(channel).copied().unwrap_or_default()
}

/// The sum of a function of every value.
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    sum_of_two(values, values, |v, _| of(v))
}

/// The sum of a function of every pair of values.
fn sum_of_two(left: &[f32], right: &[f32], of: impl Fn(f32, f32) -> f32) -> f64 {
    Arch::new().dispatch(|| {
        let mut total = 0.0;
        for (left, right) in left.chunks(BLOCK).zip(right.chunks(BLOCK)) {
            let ((left, few), (right, rest)) = (left.as_chunks::<PARTS>(), right.as_chunks::<PARTS>());
            let mut parts = [0.0_f32; PARTS];
            for (left, right) in left.iter().zip(right) {
                for ((part, l), r) in parts.iter_mut().zip(left).zip(right) {
                    *part += of(*l, *r);
                }
            }
            total += parts.iter().map(|&p| f64::from(p)).sum::<f64>();
            total += few.iter().zip(rest).map(|(l, r)| f64::from(of(*l, *r))).sum::<f64>();
        }
        total
    })
}
