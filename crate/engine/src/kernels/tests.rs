//! The kernels of the GPU against those of the CPU and against burn's own operators.

use super::{batch_norm_train, convolve};
use crate::data::random::SplitMix64;
use crate::{Device, DeviceChoice, block_on};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, TensorData, module};
use lopper_kernels::Geometry;
use std::sync::Mutex;

/// The adapter; tests that ask for it at the same time wait for each other.
fn gpu() -> burn::tensor::Device {
    static OPENING: Mutex<()> = Mutex::new(());
    let _one = OPENING.lock();
    let device = block_on(Device::open(DeviceChoice::Gpu)).unwrap();
    println!("on {}", device.name());
    device.inner().clone()
}

/// Zeros behind the last row and column.
type End = [usize; 2];

/// Sizes of images, groups, channels and filters of a group; input, kernel, stride, dilation, padding.
fn geometry(n: [usize; 4], [input, kernel, stride, dilation, begin]: [[usize; 2]; 5], end: End) -> (Geometry, End) {
    let [images, groups, channels, filters] = n;
    let output = [0, 1].map(|i| (input[i] + begin[i] + end[i] - ((kernel[i] - 1) * dilation[i] + 1)) / stride[i] + 1);
    (Geometry { images, groups, channels, filters, input, output, kernel, stride, dilation, begin }, end)
}

fn cases() -> Vec<(Geometry, End)> {
    let (one, three) = ([1, 1], [3, 3]);
    vec![
        geometry([2, 1, 3, 16], [[9, 11], three, one, one, one], one),
        geometry([3, 1, 5, 7], [[9, 11], three, [2, 2], one, one], [0, 1]),
        geometry([2, 2, 4, 6], [[13, 17], [3, 5], [2, 1], [1, 2], [2, 3]], [1, 0]),
        geometry([2, 8, 1, 1], [[13, 17], three, one, one, one], one),
        geometry([2, 8, 1, 2], [[13, 17], [5, 5], [2, 2], one, [2, 2]], [2, 2]),
        geometry([2, 1, 16, 9], [[7, 7], one, one, one, [0, 0]], [0, 0]),
        geometry([2, 1, 16, 9], [[7, 7], one, [2, 2], one, [0, 0]], [0, 0]),
        geometry([2, 1, 3, 9], [[23, 23], [7, 7], [2, 2], one, three], three),
        geometry([2, 1, 3, 9], [[23, 23], three, [3, 2], [2, 3], [1, 0]], [0, 2]),
        geometry([1, 1, 2, 2], [[5, 5], [2, 2], one, one, [2, 2]], [2, 2]),
        geometry([2, 1, 4, 3], [[1, 40], [1, 9], [1, 3], [1, 2], [0, 4]], [0, 4]),
        geometry([1, 1, 33, 34], [[3, 2], three, one, one, one], one),
    ]
}

fn numbers<const D: usize>(random: &mut SplitMix64, shape: [usize; D]) -> TensorData {
    TensorData::new((0..shape.iter().product()).map(|_| random.range(-1.0, 1.0)).collect::<Vec<f32>>(), shape)
}

fn read<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_to_vec().unwrap()
}

/// Output and the gradients of a weighted sum of it.
fn slopes(
    device: &burn::tensor::Device,
    data: &[TensorData; 4],
    run: impl Fn(&Tensor<4>, &Tensor<4>, &Tensor<1>) -> Tensor<4>,
) -> [Vec<f32>; 4] {
    let [x, w, b, weights] = data;
    let leaf = |d: &TensorData| Tensor::<4>::from_data(d.clone(), device).autodiff().require_grad();
    let (x, w) = (leaf(x), leaf(w));
    let b = Tensor::<1>::from_data(b.clone(), device).autodiff().require_grad();
    let y = run(&x, &w, &b);
    let mut g = (y.clone() * Tensor::from_data(weights.clone(), device)).sum().backward();
    let of = |t: &Tensor<4>, g: &mut _| read(t.grad_remove(g).unwrap());
    [read(y.inner()), of(&x, &mut g), of(&w, &mut g), read(b.grad_remove(&mut g).unwrap())]
}

fn agree(got: &[Vec<f32>; 4], want: &[Vec<f32>; 4], what: &str) {
    for ((got, want), part) in got.iter().zip(want).zip(["output", "by input", "by weight", "by bias"]) {
        let largest = want.iter().fold(1e-9_f32, |m, v| m.max(v.abs()));
        let worst = got.iter().zip(want).fold(0.0_f32, |w, (a, b)| w.max((a - b).abs())) / largest;
        assert_eq!(got.len(), want.len(), "{what}, {part}");
        assert!(worst < 2e-5, "{what}, {part}: {worst:e}");
    }
}

#[test]
fn convolutions_agree_with_the_cpu_and_with_burn() {
    let (gpu, cpu) = (gpu(), burn::tensor::Device::flex());
    for (at, (g, end)) in cases().into_iter().enumerate() {
        let random = &mut SplitMix64::new(at as u64);
        let data = [
            numbers(random, [g.images, g.groups * g.channels, g.input[0], g.input[1]]),
            numbers(random, [g.groups * g.filters, g.channels, g.kernel[0], g.kernel[1]]),
            numbers(random, [g.groups * g.filters]),
            numbers(random, [g.images, g.groups * g.filters, g.output[0], g.output[1]]),
        ];
        let own = |x: &Tensor<4>, w: &Tensor<4>, b: &Tensor<1>| convolve(x, w, Some(b), g, false).unwrap();
        let got = slopes(&gpu, &data, own);
        agree(&got, &slopes(&cpu, &data, own), &format!("the CPU, {g:?}"));
        let pads = [(g.begin[0], end[0]), (g.begin[1], end[1])];
        let options = ConvOptions::new_with_padding(g.stride, pads, g.dilation, g.groups);
        let want =
            slopes(&gpu, &data, |x, w, b| module::conv2d(x.clone(), w.clone(), Some(b.clone()), options.clone()));
        agree(&got, &want, &format!("burn, {g:?}"));
    }
}

#[test]
fn transposed_convolutions_agree_with_the_cpu_and_with_burn() {
    let (gpu, cpu) = (gpu(), burn::tensor::Device::flex());
    for (at, (g, end)) in cases().into_iter().enumerate() {
        let random = &mut SplitMix64::new(at as u64);
        let data = [
            numbers(random, [g.images, g.groups * g.filters, g.output[0], g.output[1]]),
            numbers(random, [g.groups * g.filters, g.channels, g.kernel[0], g.kernel[1]]),
            numbers(random, [g.groups * g.channels]),
            numbers(random, [g.images, g.groups * g.channels, g.input[0], g.input[1]]),
        ];
        let own = |x: &Tensor<4>, w: &Tensor<4>, b: &Tensor<1>| convolve(x, w, Some(b), g, true).unwrap();
        let got = slopes(&gpu, &data, own);
        agree(&got, &slopes(&cpu, &data, own), &format!("the CPU, {g:?}"));
        if g.begin != end {
            continue;
        }
        let extra = [0, 1].map(|i| {
            g.input[i] + 2 * g.begin[i] - (g.output[i] - 1) * g.stride[i] - (g.kernel[i] - 1) * g.dilation[i] - 1
        });
        let options = ConvTransposeOptions::new(g.stride, g.begin, extra, g.dilation, g.groups);
        let burns = |x: &Tensor<4>, w: &Tensor<4>, b: &Tensor<1>| {
            module::conv_transpose2d(x.clone(), w.clone(), Some(b.clone()), options.clone())
        };
        agree(&got, &slopes(&gpu, &data, burns), &format!("burn, {g:?}"));
    }
}

#[test]
fn batches_are_normalised_as_on_the_cpu_and_as_by_burn() {
    let (gpu, cpu) = (gpu(), burn::tensor::Device::flex());
    for shape in [[2, 3, 5, 7], [4, 8, 4, 4], [1, 2, 1, 3], [32, 16, 8, 8], [3, 700, 2, 3]] {
        let random = &mut SplitMix64::new(shape[1] as u64);
        let data = [numbers(random, shape), numbers(random, [shape[1]]), numbers(random, [shape[1]])];
        let weights = numbers(random, shape);
        let run = |device: &burn::tensor::Device, own: bool| {
            let [x, gamma, beta] = &data;
            // Far from zero, as sums of squares do not like it.
            let x = Tensor::<4>::from_data(x.clone(), device).add_scalar(3.0).autodiff().require_grad();
            let vector = |d: &TensorData| Tensor::<1>::from_data(d.clone(), device).autodiff().require_grad();
            let (gamma, beta) = (vector(gamma), vector(beta));
            let (y, [mean, variance]) = if own {
                batch_norm_train(&x, &gamma, &beta, 1e-5).unwrap()
            } else {
                let y = module::batch_norm_train(x.clone(), gamma.clone(), beta.clone(), 1e-5);
                (y.output, [y.mean.inner(), y.variance.inner()])
            };
            let mut g = (y.clone() * Tensor::from_data(weights.clone(), device)).sum().backward();
            let of = |t: &Tensor<1>, g: &mut _| read(t.grad_remove(g).unwrap());
            let statistics = [read(mean), read(variance)].concat();
            let by_vectors = [of(&gamma, &mut g), of(&beta, &mut g)].concat();
            [read(y.inner()), read(x.grad_remove(&mut g).unwrap()), statistics, by_vectors]
        };
        let got = run(&gpu, true);
        agree(&got, &run(&cpu, true), &format!("the CPU, {shape:?}"));
        agree(&got, &run(&gpu, false), &format!("burn, {shape:?}"));
    }
}

#[test]
fn other_numbers_and_tensors_without_gradients_pass() {
    let gpu = gpu();
    let (g, _) = geometry([2, 1, 3, 4], [[6, 6], [3, 3], [1, 1], [1, 1], [1, 1]], [1, 1]);
    let random = &mut SplitMix64::new(7);
    let x = Tensor::<4>::from_data(numbers(random, [2, 3, 6, 6]), &gpu);
    let w = Tensor::<4>::from_data(numbers(random, [4, 3, 3, 3]), &gpu);
    let want = read(module::conv2d(x.clone(), w.clone(), None, ConvOptions::new([1, 1], [1, 1], [1, 1], 1)));
    let plain = read(convolve(&x, &w, None, g, false).unwrap());
    // A view in another order than memory.
    let turned = x.clone().permute([0, 1, 3, 2]).mul_scalar(1.0).permute([0, 1, 3, 2]);
    let from_view = read(convolve(&turned, &w, None, g, false).unwrap());
    for got in [plain, from_view] {
        assert!(got.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    let onto_cpu = Tensor::<4>::from_data(numbers(random, [4, 3, 3, 3]), &burn::tensor::Device::flex());
    assert!(convolve(&x, &onto_cpu, None, g, false).is_none());
}

/// Not a test: `cargo test --release -p lopper-engine --lib --features webgpu -- --ignored --nocapture milliseconds`.
#[test]
#[ignore = "prints times"]
fn milliseconds_of_resnet20s_convolutions() {
    let gpu = gpu();
    let wait = |t: Tensor<4>| read(t.slice([0..1, 0..1, 0..1, 0..1]));
    let time = |work: &dyn Fn() -> Tensor<4>| {
        wait(work());
        let start = std::time::Instant::now();
        let mut last = work();
        for _ in 1..4 {
            last = work();
        }
        wait(last);
        start.elapsed().as_secs_f64() * 250.0
    };
    let cases = [
        ([3, 16, 1], 32, 1),
        ([16, 16, 1], 32, 1),
        ([16, 32, 1], 32, 2),
        ([32, 32, 1], 16, 1),
        ([64, 64, 1], 8, 1),
        ([1, 1, 64], 32, 1),
    ];
    for ([channels, filters, groups], size, stride) in cases {
        let sizes = [[size, size], [3, 3], [stride, stride], [1, 1], [1, 1]];
        let (g, _) = geometry([32, groups, channels, filters], sizes, [1, 1]);
        let random = &mut SplitMix64::new(1);
        let x = Tensor::<4>::from_data(numbers(random, [32, groups * channels, size, size]), &gpu);
        let w = Tensor::<4>::from_data(numbers(random, [groups * filters, channels, 3, 3]), &gpu);
        let options = ConvOptions::new(g.stride, [1, 1], [1, 1], groups);
        let own = |x: &Tensor<4>, w: &Tensor<4>| convolve(x, w, None, g, false).unwrap();
        let burns = |x: &Tensor<4>, w: &Tensor<4>| module::conv2d(x.clone(), w.clone(), None, options.clone());
        let both = |f: &dyn Fn(&Tensor<4>, &Tensor<4>) -> Tensor<4>| {
            let back = |of_input: bool| {
                let (mut x, mut w) = (x.clone().autodiff(), w.clone().autodiff());
                (x, w) = if of_input { (x.require_grad(), w) } else { (x, w.require_grad()) };
                let mut gradients = f(&x, &w).sum().backward();
                (if of_input { x } else { w }).grad_remove(&mut gradients).unwrap()
            };
            let forward = time(&|| f(&x, &w));
            [forward, time(&|| back(true)) - forward, time(&|| back(false)) - forward]
        };
        println!(
            "{channels} -> {filters}, {groups} groups, {size}/{stride}: {:.1?} ms, burn {:.1?}",
            both(&own),
            both(&burns)
        );
    }
}
