//! The innermost loops, in vectors of the widest kind that the processor has.
//!
//! The only unsafe code of the engine: what may be read is checked once a call, because a check at every load takes
//! longer than the arithmetic.
#![allow(unsafe_code)]

use pulp::Simd;

/// Offsets into a buffer with the largest of them.
#[derive(Clone, Debug)]
pub(super) struct Offsets {
    all: Vec<usize>,
    reach: usize,
}

impl Offsets {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

impl FromIterator<usize> for Offsets {
    fn from_iter<I: IntoIterator<Item = usize>>(all: I) -> Self {
        let all: Vec<usize> = all.into_iter().collect();
        Self { reach: all.iter().copied().max().unwrap_or(0), all }
    }
}

/// Whether a vector fits at the sum of every one of `few` and every one of `many`.
fn fits<S: Simd>(buffer: &[f32], few: &[usize], many: &Offsets) -> bool {
    few.iter().all(|f| f + many.reach + S::F32_LANES <= buffer.len())
}

/// The vector at `at`.
///
/// # Safety
/// `at + S::F32_LANES` is at most the buffer's length.
#[inline(always)]
unsafe fn load<S: Simd>(buffer: &[f32], at: usize) -> S::f32s {
    debug_assert!(at + S::F32_LANES <= buffer.len());
    // SAFETY: the caller keeps the vector within the buffer, and a read without alignment takes any place.
    unsafe { buffer.as_ptr().add(at).cast::<S::f32s>().read_unaligned() }
}

/// Sums at N vectors of positions for M filters: over all taps, `weights[tap][m]` times what stands at `bases[n] + tap`.
///
/// # Panics
/// When the buffer does not hold what the taps reach.
#[inline(always)]
pub(super) fn sum_taps<S: Simd, const M: usize, const N: usize>(
    simd: S,
    weights: &[[f32; M]],
    taps: &Offsets,
    buffer: &[f32],
    bases: [usize; N],
    start: [f32; M],
) -> [[S::f32s; N]; M] {
    assert!(fits::<S>(buffer, &bases, taps), "a tap reaches past its buffer");
    let mut sums = start.map(|s| [simd.splat_f32s(s); N]);
    for (filters, &tap) in weights.iter().zip(&taps.all) {
        // SAFETY: `fits` holds for every base and every tap.
        let x = bases.map(|base| unsafe { load::<S>(buffer, base + tap) });
        for (row, &w) in sums.iter_mut().zip(filters) {
            let w = simd.splat_f32s(w);
            for (sum, x) in row.iter_mut().zip(x) {
                *sum = simd.mul_add_e_f32s(w, x, *sum);
            }
        }
    }
    sums
}

/// Sums over positions for M rows of gradients and N taps: over all bases, `gradients[m]` times what stands at `base + taps[n]`.
///
/// # Panics
/// When the buffer does not hold what the taps reach, or a row has another length than one vector a base.
#[inline(always)]
pub(super) fn sum_positions<S: Simd, const M: usize, const N: usize>(
    simd: S,
    gradients: [&[f32]; M],
    buffer: &[f32],
    bases: &Offsets,
    taps: [usize; N],
) -> [[f32; N]; M] {
    assert!(fits::<S>(buffer, &taps, bases), "a tap reaches past its buffer");
    let length = bases.all.len() * S::F32_LANES;
    assert!(gradients.iter().all(|row| row.len() == length), "a row of gradients does not fit its positions");
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    for (v, &base) in bases.all.iter().enumerate() {
        // SAFETY: `fits` holds for every tap and every base.
        let x = taps.map(|tap| unsafe { load::<S>(buffer, base + tap) });
        for (row, gradients) in sums.iter_mut().zip(gradients) {
            // SAFETY: each row holds one vector a base.
            let g = unsafe { load::<S>(gradients, v * S::F32_LANES) };
            for (sum, x) in row.iter_mut().zip(x) {
                *sum = simd.mul_add_e_f32s(g, x, *sum);
            }
        }
    }
    sums.map(|row| row.map(|s| simd.reduce_sum_f32s(s)))
}

/// Sums side by side of a pair of rows, however many a vector holds.
pub(super) const LANES: usize = 8;

/// What is summed over two rows.
pub(super) trait PairTerm {
    fn of<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s;
    fn plain(a: f32, b: f32) -> f32;
}

/// Sums of a term over rows of equal length, of each of M with each of N; V vectors hold [`LANES`] numbers.
///
/// # Panics
/// When the rows' lengths differ, or V is not what the vectors ask for.
#[inline(always)]
pub(super) fn sum_pairs<S: Simd, T: PairTerm, const M: usize, const N: usize, const V: usize>(
    simd: S,
    own: [&[f32]; M],
    others: [&[f32]; N],
) -> [[f64; N]; M] {
    let length = own.first().map_or(0, |row| row.len());
    assert!(own.iter().chain(&others).all(|row| row.len() == length), "rows of different lengths");
    assert_eq!(V * S::F32_LANES, LANES, "vectors of another size");
    let mut sums = [[[simd.splat_f32s(0.0); V]; N]; M];
    let whole = length / LANES * LANES;
    for at in (0..whole).step_by(LANES) {
        for v in 0..V {
            let at = at + v * S::F32_LANES;
            // SAFETY: every row holds `whole` numbers, of which these are the vector at `at`.
            let y = others.map(|row| unsafe { load::<S>(row, at) });
            for (line, row) in sums.iter_mut().zip(own) {
                // SAFETY: as above.
                let x = unsafe { load::<S>(row, at) };
                for (sum, y) in line.iter_mut().zip(y) {
                    sum[v] = simd.add_f32s(sum[v], T::of(simd, x, y));
                }
            }
        }
    }
    std::array::from_fn(|m| {
        std::array::from_fn(|n| {
            let lanes: &[f32] = pulp::bytemuck::cast_slice(&sums[m][n]);
            let rest = own[m].iter().zip(others[n]).skip(whole).map(|(a, b)| f64::from(T::plain(*a, *b)));
            lanes.iter().map(|&l| f64::from(l)).sum::<f64>() + rest.sum::<f64>()
        })
    })
}
