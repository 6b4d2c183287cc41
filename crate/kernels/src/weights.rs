//! A convolution's gradient by its weights.

use crate::conv::{input_frame, taps};
use crate::correlate::{PARTS, TILE, images_at_once, rows_at_once};
use crate::geometry::{Frame, Geometry, Run, runs};
use crate::simd::{Offsets, sum_positions, sum_taps};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Filters and taps of one block of sums: 12 of them, which 16 registers hold.
const FILTERS: usize = 4;
const TAPS: usize = 3;
/// From so many filters on it pays to lay the taps of each position side by side, which sums without adding over lanes.
const MANY: usize = 96;

/// The gradient by the weights from the input and the gradient by the output, summed over images.
pub fn weight_gradient(g: &Geometry, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    let area = g.channels * g.kernel[0] * g.kernel[1];
    let at_once = images_at_once(g.images, g.channels * input_frame(g).len());
    // As many sums are held as there are parts, however many images there are: they may be as large as the weights.
    let each = g.images.div_ceil(PARTS).max(1);
    let parts = crate::map_all(g.images.div_ceil(each), |part| {
        let mut sums = vec![0.0; g.groups * g.filters * area];
        let all = part * each..((part + 1) * each).min(g.images);
        for first in all.clone().step_by(at_once) {
            let images = first..(first + at_once).min(all.end);
            Arch::new().dispatch(Job { geometry: g, x, gradient, images, sums: &mut sums });
        }
        sums
    });
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_default();
    for part in parts {
        sums.iter_mut().zip(part).for_each(|(s, p)| *s += p);
    }
    sums
}

struct Job<'a> {
    geometry: &'a Geometry,
    x: &'a [f32],
    gradient: &'a [f32],
    images: Range<usize>,
    sums: &'a mut [f32],
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let g = *self.geometry;
        let whole = input_frame(&g);
        let step = rows_at_once(g.output[0], g.channels * whole.len(), whole.size[0]);
        for first in (0..g.output[0]).step_by(step) {
            let strip = first..(first + step).min(g.output[0]);
            let mut frame = whole;
            frame.begin[0] -= (strip.start * frame.stride[0]) as isize;
            frame.size[0] -= g.output[0] - strip.len();
            let runs = runs(self.images.len(), strip.clone(), 0..g.output[1], S::F32_LANES);
            let base = |r: &Run, column: usize| {
                let row = (r.row - strip.start) * g.stride[0];
                r.image * g.channels * frame.len() + frame.at([row, (r.column + column) * g.stride[1]])
            };
            let taps: Vec<usize> = taps(&g).iter().map(|t| t.channel * frame.len() + frame.at(t.at)).collect();
            let places: Vec<usize> = runs.iter().flat_map(|r| (0..r.lanes).map(|c| base(r, c))).collect();
            let bases: Offsets = runs.iter().map(|r| base(r, 0)).collect();
            for group in 0..g.groups {
                let buffer = self.inputs(group, &frame, S::F32_LANES);
                if g.filters >= MANY {
                    self.by_position(simd, group, &runs, &buffer, &places, &taps);
                } else {
                    self.by_tap(simd, group, &runs, &buffer, &bases, &taps);
                }
            }
        }
    }
}

impl Job<'_> {
    /// Vectors of positions, one sum a filter and tap.
    #[inline(always)]
    fn by_tap<S: Simd>(
        &mut self,
        simd: S,
        group: usize,
        runs: &[Run],
        buffer: &[f32],
        bases: &Offsets,
        taps: &[usize],
    ) {
        let g = self.geometry;
        let gradients = self.gradients(group, runs, S::F32_LANES);
        let length = runs.len() * S::F32_LANES;
        let none: &[f32] = &[];
        for first in (0..g.filters).step_by(FILTERS) {
            let filters = FILTERS.min(g.filters - first);
            let mut rows = [none; FILTERS];
            for (m, row) in rows.iter_mut().enumerate() {
                // Filters that do not exist repeat the last one, and their sums are dropped.
                let m = m.min(filters - 1);
                *row = gradients.get((first + m) * length..(first + m + 1) * length).unwrap_or_default();
            }
            for tap in (0..taps.len()).step_by(TAPS) {
                let mut some = [0; TAPS];
                for (i, t) in some.iter_mut().enumerate() {
                    *t = taps.get((tap + i).min(taps.len() - 1)).copied().unwrap_or(0);
                }
                let sums = sum_positions::<S, FILTERS, TAPS>(simd, rows, buffer, bases, some);
                for (m, row) in sums.iter().take(filters).enumerate() {
                    let at = (group * g.filters + first + m) * taps.len() + tap;
                    let to = self.sums.get_mut(at..(at + TAPS).min(at - tap + taps.len())).unwrap_or_default();
                    to.iter_mut().zip(row).for_each(|(t, s)| *t += s);
                }
            }
        }
    }

    /// Vectors of taps, laid side by side for each position.
    #[inline(always)]
    fn by_position<S: Simd>(
        &mut self,
        simd: S,
        group: usize,
        runs: &[Run],
        buffer: &[f32],
        places: &[usize],
        taps: &[usize],
    ) {
        let g = self.geometry;
        let gradients = self.side_by_side(group, runs, places.len());
        let (gradients, _) = gradients.as_chunks::<FILTERS>();
        let part = (TILE / places.len().max(1)).next_multiple_of(2 * S::F32_LANES);
        let offsets: Offsets = (0..places.len()).map(|p| p * part).collect();
        let mut columns = vec![0.0; places.len() * part];
        for (first, some) in taps.chunks(part).enumerate() {
            for (row, place) in columns.chunks_exact_mut(part).zip(places) {
                for (to, tap) in row.iter_mut().zip(some) {
                    *to = buffer.get(place + tap).copied().unwrap_or(0.0);
                }
            }
            for (block, weights) in gradients.chunks_exact(places.len().max(1)).enumerate() {
                for at in (0..some.len()).step_by(2 * S::F32_LANES) {
                    let bases = [at, at + S::F32_LANES];
                    let sums = sum_taps::<S, FILTERS, 2>(simd, weights, &offsets, &columns, bases, [0.0; FILTERS]);
                    let filters = (block * FILTERS..g.filters).map(|f| group * g.filters + f);
                    for (filter, row) in filters.zip(&sums) {
                        let row: &[f32] = pulp::bytemuck::cast_slice(row);
                        let to = filter * taps.len() + first * part + at;
                        let end = (filter + 1) * taps.len();
                        let to = self.sums.get_mut(to..end.min(to + row.len())).unwrap_or_default();
                        to.iter_mut().zip(row).for_each(|(t, s)| *t += s);
                    }
                }
            }
        }
    }

    /// The framed input planes of a group.
    fn inputs(&self, group: usize, frame: &Frame, slack: usize) -> Vec<f32> {
        let g = self.geometry;
        let plane = g.input[0] * g.input[1];
        let mut buffer = vec![0.0; self.images.len() * g.channels * frame.len() + slack];
        let images = self.x.chunks_exact(g.groups * g.channels * plane).skip(self.images.start);
        for (image, frames) in images.zip(buffer.chunks_exact_mut(g.channels * frame.len())) {
            let planes = image.chunks_exact(plane).skip(group * g.channels);
            planes.zip(frames.chunks_exact_mut(frame.len())).for_each(|(plane, to)| frame.fill(plane, to));
        }
        buffer
    }

    /// The gradients of one filter's positions of a run.
    fn run(&self, group: usize, filter: usize, run: &Run) -> &[f32] {
        let g = self.geometry;
        let of = (self.images.start + run.image) * g.groups * g.filters + group * g.filters + filter;
        let at = of * g.output[0] * g.output[1] + run.row * g.output[1] + run.column;
        self.gradient.get(at..at + run.lanes).unwrap_or_default()
    }

    /// A group's gradients by filter and run, with zeros in the lanes that hold no position.
    fn gradients(&self, group: usize, runs: &[Run], lanes: usize) -> Vec<f32> {
        let filters = self.geometry.filters;
        let mut out = vec![0.0; filters * runs.len() * lanes];
        for (filter, rows) in out.chunks_exact_mut((runs.len() * lanes).max(1)).enumerate() {
            for (run, to) in runs.iter().zip(rows.chunks_exact_mut(lanes)) {
                to.iter_mut().zip(self.run(group, filter, run)).for_each(|(to, from)| *to = *from);
            }
        }
        out
    }

    /// A group's gradients by block of filters and position, the filters of a block side by side.
    fn side_by_side(&self, group: usize, runs: &[Run], positions: usize) -> Vec<f32> {
        let filters = self.geometry.filters;
        let mut out = vec![0.0; filters.next_multiple_of(FILTERS) * positions];
        for (block, rows) in out.chunks_exact_mut((positions * FILTERS).max(1)).enumerate() {
            for m in 0..FILTERS.min(filters - block * FILTERS) {
                let values = runs.iter().flat_map(|run| self.run(group, block * FILTERS + m, run));
                rows.iter_mut().skip(m).step_by(FILTERS).zip(values).for_each(|(to, from)| *to = *from);
            }
        }
        out
    }
}
