//! Sums over all pairs of rows, for distances of filters.

use crate::simd::{LANES, PairTerm, sum_pairs};
use pulp::{Arch, Simd, WithSimd};

/// What is summed over the elements of two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Term {
    /// `a b`.
    Product,
    /// `|a - b|`.
    Difference,
}

/// Elements that are summed in float32 before they go into float64.
const PIECE: usize = 512;
/// Rows of either side whose pairs are summed at once: their sums and a row fill 16 registers.
const OWN: usize = 2;
const OTHERS: usize = 3;

/// The sum of a term over the elements of each of `own` with each of `others`, row-major; over as many elements as the
/// shortest row has. The same bits on every processor: sums side by side are as many everywhere, and none is fused.
pub fn pair_sums(term: Term, own: &[&[f32]], others: &[&[f32]]) -> Vec<f64> {
    let size = own.iter().chain(others).map(|row| row.len()).min().unwrap_or(0);
    let mut sums = vec![0.0; own.len() * others.len()];
    for from in (0..size).step_by(PIECE) {
        let piece = from..(from + PIECE).min(size);
        let own: Vec<&[f32]> = own.iter().map(|row| row.get(piece.clone()).unwrap_or_default()).collect();
        let others: Vec<&[f32]> = others.iter().map(|row| row.get(piece.clone()).unwrap_or_default()).collect();
        Arch::new().dispatch(Job { term, own: &own, others: &others, sums: &mut sums });
    }
    sums
}

/// All pairs over one piece.
struct Job<'a> {
    term: Term,
    own: &'a [&'a [f32]],
    others: &'a [&'a [f32]],
    sums: &'a mut [f64],
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (self.term, LANES / S::F32_LANES) {
            (Term::Product, 1) => self.tiles::<S, Product, 1>(simd),
            (Term::Product, 2) => self.tiles::<S, Product, 2>(simd),
            (Term::Product, _) => self.tiles::<S, Product, LANES>(simd),
            (Term::Difference, 1) => self.tiles::<S, Difference, 1>(simd),
            (Term::Difference, 2) => self.tiles::<S, Difference, 2>(simd),
            (Term::Difference, _) => self.tiles::<S, Difference, LANES>(simd),
        }
    }
}

impl Job<'_> {
    /// Tiles of pairs; rows that do not exist repeat the last one, and their sums are dropped.
    #[inline(always)]
    fn tiles<S: Simd, T: PairTerm, const V: usize>(self, simd: S) {
        let Some((last_own, last_other)) = self.own.last().zip(self.others.last()) else { return };
        for (i, own) in self.own.chunks(OWN).enumerate() {
            let rows: [&[f32]; OWN] = std::array::from_fn(|m| *own.get(m).unwrap_or(last_own));
            for (j, others) in self.others.chunks(OTHERS).enumerate() {
                let columns: [&[f32]; OTHERS] = std::array::from_fn(|n| *others.get(n).unwrap_or(last_other));
                let tile = sum_pairs::<S, T, OWN, OTHERS, V>(simd, rows, columns);
                for (m, line) in tile.iter().take(own.len()).enumerate() {
                    let at = (i * OWN + m) * self.others.len() + j * OTHERS;
                    let to = self.sums.get_mut(at..at + others.len()).unwrap_or_default();
                    to.iter_mut().zip(line).for_each(|(t, s)| *t += s);
                }
            }
        }
    }
}

struct Product;

impl PairTerm for Product {
    #[inline(always)]
    fn of<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.mul_f32s(a, b)
    }

    #[inline(always)]
    fn plain(a: f32, b: f32) -> f32 {
        a * b
    }
}

struct Difference;

impl PairTerm for Difference {
    #[inline(always)]
    fn of<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        simd.abs_f32s(simd.sub_f32s(a, b))
    }

    #[inline(always)]
    fn plain(a: f32, b: f32) -> f32 {
        (a - b).abs()
    }
}
