//! Every loop against the sums that define it, written down plainly.

use crate::{
    Geometry, Planes, Term, forward, input_gradient, norm_backward, norm_forward, pair_sums, plane_sums, products,
    solve, weight_gradient,
};

/// Numbers between -0.5 and 0.5 that repeat in every run.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1_u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn close(got: &[f32], wanted: &[f64]) {
    assert_eq!(got.len(), wanted.len());
    let largest = wanted.iter().fold(1e-9_f64, |m, v| m.max(v.abs()));
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        assert!((f64::from(*g) - w).abs() <= 1e-5 * largest, "number {i}: {g}, expected {w}");
    }
}

/// Calls `each` with the places in input, weights and output of every product of a convolution.
fn each_product(g: &Geometry, mut each: impl FnMut(usize, usize, usize)) {
    let place = |i: usize, out: usize, k: usize| {
        (out * g.stride[i] + k * g.dilation[i]).checked_sub(g.begin[i]).filter(|&p| p < g.input[i])
    };
    for n in 0..g.images {
        for filter in 0..g.groups * g.filters {
            for c in 0..g.channels {
                let channel = n * g.groups * g.channels + filter / g.filters * g.channels + c;
                for at in 0..g.output[0] * g.output[1] * g.kernel[0] * g.kernel[1] {
                    let (out, k) = (at / (g.kernel[0] * g.kernel[1]), at % (g.kernel[0] * g.kernel[1]));
                    let y = place(0, out / g.output[1], k / g.kernel[1]);
                    let x = place(1, out % g.output[1], k % g.kernel[1]);
                    if let (Some(y), Some(x)) = (y, x) {
                        each(
                            (channel * g.input[0] + y) * g.input[1] + x,
                            (filter * g.channels + c) * g.kernel[0] * g.kernel[1] + k,
                            (n * g.groups * g.filters + filter) * g.output[0] * g.output[1] + out,
                        );
                    }
                }
            }
        }
    }
}

fn check(g: &Geometry) {
    let x = numbers(g.images * g.groups * g.channels * g.input[0] * g.input[1], 1);
    let w = numbers(g.groups * g.filters * g.channels * g.kernel[0] * g.kernel[1], 2);
    let d = numbers(g.images * g.groups * g.filters * g.output[0] * g.output[1], 3);
    let (bias, start) = (numbers(g.groups * g.filters, 4), numbers(g.groups * g.channels, 5));
    let planes = |g: &Geometry, i: usize| bias[i / (g.output[0] * g.output[1]) % (g.groups * g.filters)];
    let mut y: Vec<f64> = (0..d.len()).map(|i| f64::from(planes(g, i))).collect();
    let inputs = g.input[0] * g.input[1];
    let mut dx: Vec<f64> = (0..x.len()).map(|i| f64::from(start[i / inputs % (g.groups * g.channels)])).collect();
    let mut dw = vec![0.0; w.len()];
    each_product(g, |xi, wi, yi| {
        y[yi] += f64::from(x[xi]) * f64::from(w[wi]);
        dx[xi] += f64::from(w[wi]) * f64::from(d[yi]);
        dw[wi] += f64::from(x[xi]) * f64::from(d[yi]);
    });
    close(&forward(g, &x, &w, Some(&bias)), &y);
    close(&input_gradient(g, &w, &d, Some(&start)), &dx);
    close(&weight_gradient(g, &x, &d), &dw);
}

/// Images, groups, channels and filters of a group; input, kernel, stride, dilation, zeros before and after.
fn geometry(
    sizes: [usize; 4],
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    more: [[usize; 2]; 3],
) -> Geometry {
    let [dilation, begin, end] = more;
    let output = [0, 1].map(|i| (input[i] + begin[i] + end[i] - (kernel[i] - 1) * dilation[i] - 1) / stride[i] + 1);
    let [images, groups, channels, filters] = sizes;
    Geometry { images, groups, channels, filters, input, output, kernel, stride, dilation, begin }
}

#[test]
fn convolutions_and_their_gradients_are_the_sums_that_define_them() {
    let same = [[1, 1], [1, 1], [1, 1]];
    check(&geometry([2, 1, 3, 5], [7, 9], [3, 3], [1, 1], same));
    check(&geometry([9, 1, 4, 4], [8, 8], [3, 3], [2, 2], same));
    check(&geometry([1, 2, 3, 4], [9, 8], [3, 2], [2, 3], [[1, 1], [1, 0], [0, 1]]));
    check(&geometry([2, 3, 1, 1], [10, 11], [5, 3], [1, 2], [[2, 1], [2, 2], [3, 1]]));
    check(&geometry([2, 1, 2, 3], [6, 6], [1, 1], [2, 2], [[1, 1], [0, 0], [0, 0]]));
    check(&geometry([2, 1, 2, 3], [5, 30], [3, 3], [3, 3], [[2, 2], [4, 4], [4, 4]]));
    check(&geometry([5, 1, 7, 1], [1, 13], [1, 4], [1, 1], [[1, 3], [0, 2], [0, 9]]));
    check(&geometry([2, 1, 3, 2], [3, 3], [1, 1], [1, 1], [[1, 1], [2, 2], [2, 2]]));
    check(&geometry([1, 1, 2, 2], [1, 1], [5, 5], [1, 1], [[1, 1], [2, 2], [2, 2]]));
}

#[test]
fn planes_that_do_not_fit_a_tile_are_cut_into_strips() {
    check(&geometry([1, 1, 40, 9], [90, 70], [7, 7], [2, 2], [[1, 1], [3, 3], [3, 3]]));
    check(&geometry([1, 1, 33, 2], [70, 64], [3, 3], [1, 1], [[1, 1], [1, 1], [1, 1]]));
}

#[test]
fn many_filters_are_summed_by_position() {
    check(&geometry([3, 1, 20, 130], [5, 7], [3, 3], [1, 1], [[1, 1], [1, 1], [1, 1]]));
    check(&geometry([3, 2, 9, 97], [6, 6], [3, 3], [2, 2], [[1, 1], [1, 1], [0, 0]]));
}

#[test]
fn one_image_is_shared_among_threads_by_filters() {
    for filters in [1, 7, 16, 18] {
        check(&geometry([1, 1, 3, filters], [9, 12], [3, 3], [1, 1], [[1, 1], [1, 1], [1, 1]]));
    }
}

#[test]
fn normalisation_and_its_gradients_are_their_formulas() {
    let planes = Planes { images: 3, channels: 2, size: 37 };
    let (x, d) = (numbers(222, 6), numbers(222, 7));
    let (gamma, beta, epsilon) = ([1.5_f32, -0.5], [0.25_f32, 2.0], 1e-3);
    let y = norm_forward(planes, &x, &gamma, &beta, epsilon);
    let back = norm_backward(planes, &x, &gamma, (&y.mean, &y.variance), epsilon, &d);
    let channel = |i: usize| i / 37 % 2;
    let (mut output, mut dx) = (vec![0.0; 222], vec![0.0; 222]);
    let (mut means, mut variances, mut by_gamma, mut by_beta) = (vec![], vec![], vec![], vec![]);
    for c in 0..2 {
        let at: Vec<usize> = (0..222).filter(|&i| channel(i) == c).collect();
        let over = |f: &dyn Fn(usize) -> f64| at.iter().map(|&i| f(i)).sum::<f64>() / at.len() as f64;
        let mean = over(&|i| f64::from(x[i]));
        let variance = over(&|i| (f64::from(x[i]) - mean).powi(2));
        let deviation = (variance + epsilon).sqrt();
        let hat = |i: usize| (f64::from(x[i]) - mean) / deviation;
        let (d_mean, d_hat) = (over(&|i| f64::from(d[i])), over(&|i| f64::from(d[i]) * hat(i)));
        for &i in &at {
            output[i] = hat(i) * f64::from(gamma[c]) + f64::from(beta[c]);
            dx[i] = f64::from(gamma[c]) / deviation * (f64::from(d[i]) - d_mean - hat(i) * d_hat);
        }
        means.push(mean);
        variances.push(variance);
        by_gamma.push(d_hat * at.len() as f64);
        by_beta.push(d_mean * at.len() as f64);
    }
    close(&y.output, &output);
    close(&y.mean, &means);
    close(&y.variance, &variances);
    close(&back.input, &dx);
    close(&back.gamma, &by_gamma);
    close(&back.beta, &by_beta);
    close(&plane_sums(planes, &d), &by_beta);
}

#[test]
fn least_squares_finds_what_made_the_numbers() {
    let (rows, n, m) = (9000, 37, 3);
    let x = numbers(rows * n, 8);
    let truth: Vec<f64> = numbers(n * m, 9).into_iter().map(f64::from).collect();
    let y: Vec<f32> = x
        .chunks(n)
        .flat_map(|row| {
            truth.chunks(n).map(move |w| row.iter().zip(w).map(|(x, w)| f64::from(*x) * w).sum::<f64>() as f32)
        })
        .collect();
    let gram = products(&x, &x, [n, n]);
    let wanted: f64 = (0..rows).map(|r| f64::from(x[r * n + 4]) * f64::from(x[r * n + 30])).sum();
    assert!((gram[4 * n + 30] - wanted).abs() < 1e-3, "{} {wanted}", gram[4 * n + 30]);
    let mut found = products(&y, &x, [m, n]);
    solve(gram, n, &mut found).unwrap();
    found.iter().zip(&truth).for_each(|(f, t)| assert!((f - t).abs() < 1e-5, "{f} {t}"));
    assert!(solve(vec![1.0, 2.0, 2.0, 1.0], 2, &mut [1.0, 1.0]).is_none(), "not positive definite");
}

#[test]
fn sums_over_pairs() {
    for (own, others, size) in [(1, 1, 1), (2, 3, 8), (5, 7, 19), (3, 4, 1200), (16, 16, 513)] {
        let (left, right) = (numbers(own * size, 1), numbers(others * size, 2));
        let (left, right): (Vec<&[f32]>, Vec<&[f32]>) = (left.chunks(size).collect(), right.chunks(size).collect());
        for (term, plain) in
            [(Term::Product, (|a, b| a * b) as fn(f64, f64) -> f64), (Term::Difference, |a, b| (a - b).abs())]
        {
            let got = pair_sums(term, &left, &right);
            let wanted = left.iter().flat_map(|l| {
                right
                    .iter()
                    .map(move |r| l.iter().zip(*r).map(|(a, b)| plain(f64::from(*a), f64::from(*b))).sum::<f64>())
            });
            assert_eq!(got.len(), own * others);
            for (g, w) in got.iter().zip(wanted) {
                assert!((g - w).abs() < 2e-6 * size as f64 * 0.25, "{term:?} {own} {others} {size}: {g} {w}");
            }
        }
    }
    assert!(pair_sums(Term::Product, &[], &[&[1.0]]).is_empty());
}

/// What a page and a command line cut must be the same, so these bits are those of eight sums side by side, unfused.
#[test]
fn pairs_round_alike_on_every_processor() {
    let (a, b) = (numbers(1000, 3), numbers(1000, 4));
    let mut wanted = 0.0;
    for (a, b) in a.chunks(512).zip(b.chunks(512)) {
        let mut lanes = [0.0f32; 8];
        for (a, b) in a.chunks(8).zip(b.chunks(8)) {
            lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
        }
        wanted += lanes.iter().map(|&l| f64::from(l)).sum::<f64>();
    }
    assert_eq!(pair_sums(Term::Product, &[&a], &[&b]), [wanted]);
}
