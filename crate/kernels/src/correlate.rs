//! The loop under a convolution's forward and its gradient by the input: sums of taps over a framed source.

use crate::geometry::{Frame, Run, runs};
use crate::simd::{Offsets, sum_taps};
use pulp::{Arch, Simd, WithSimd};
use std::ops::Range;

/// Numbers of one framed tile: a quarter of a megabyte, so that it stays in the second cache.
pub(super) const TILE: usize = 1 << 16;
/// Parts that a pass is split into at least, for threads to share.
pub(super) const PARTS: usize = 4;
/// Filters that share one load of the input.
const FILTERS: usize = 4;

/// One tap: the source channel of its group, and row and column in the framed plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    pub(super) channel: usize,
    pub(super) at: [usize; 2],
}

/// Some positions of the output and the taps that they sum: all of a forward, one phase of a gradient.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) taps: Vec<Tap>,
    /// Weights by group, filter and tap.
    pub(super) weights: Vec<f32>,
    /// Rows and columns of the grid that is computed.
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Grid position (r, c) is row `r * step + origin` of the output.
    pub(super) step: [usize; 2],
    pub(super) origin: [isize; 2],
}

/// A convolution of all images.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) images: usize,
    pub(super) groups: usize,
    /// Source channels and output filters of one group.
    pub(super) channels: usize,
    pub(super) filters: usize,
    pub(super) frame: Frame,
    /// Grid rows that the frame serves.
    pub(super) rows: usize,
    /// Rows and columns of an output plane.
    pub(super) output: [usize; 2],
    pub(super) phases: Vec<Phase>,
}

impl Pass {
    fn source_image(&self) -> usize {
        self.groups * self.channels * self.frame.source[0] * self.frame.source[1]
    }

    fn output_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Computes all output planes; `start` has one number a filter, of all groups.
    pub(super) fn run(&self, source: &[f32], start: Option<&[f32]>) -> Vec<f32> {
        let all = self.groups * self.filters;
        let images = images_at_once(self.images, self.channels * self.frame.len());
        // A few large images: each job takes some of the filters.
        let filters = match self.groups {
            1 if images == 1 && self.images < PARTS => all.div_ceil(PARTS).next_multiple_of(FILTERS).min(all),
            _ => all,
        };
        let mut output = vec![0.0; self.images * all * self.output_plane()];
        let split = all.div_ceil(filters.max(1));
        let size = images * filters * self.output_plane();
        let pack = |p: &Phase| if self.filters == 1 { pack::<1>(p, 1) } else { pack::<FILTERS>(p, self.filters) };
        let packed = self.phases.iter().map(pack).collect::<Vec<_>>();
        if filters == all || all.is_multiple_of(filters) {
            crate::each_chunk(&mut output, size, |chunk, output| {
                let image = chunk / split * images;
                let source = source.get(image * self.source_image()..).unwrap_or_default();
                let first = chunk % split * filters;
                Arch::new().dispatch(Job { pass: self, packed: &packed, source, start, first, filters, output });
            });
        } else {
            crate::each_chunk(&mut output, all * self.output_plane(), |image, output| {
                let source = source.get(image * self.source_image()..).unwrap_or_default();
                Arch::new().dispatch(Job {
                    pass: self,
                    packed: &packed,
                    source,
                    start,
                    first: 0,
                    filters: all,
                    output,
                });
            });
        }
        output
    }
}

/// Images that are framed together: enough to fill a tile, and few enough that every thread gets some.
pub(super) fn images_at_once(images: usize, frame: usize) -> usize {
    (TILE / frame.max(1)).clamp(1, images.div_ceil(PARTS).max(1))
}

/// Grid rows of a strip whose frame fits a tile; `row` and `reach` are a frame's numbers a row and rows beyond the grid's.
pub(super) fn rows_at_once(rows: usize, frame: usize, size: usize) -> usize {
    let reach = size.saturating_sub(rows);
    let row = (frame / size.max(1)).max(1);
    if frame <= TILE { rows.max(1) } else { (TILE / row).saturating_sub(reach).max(4) }
}

/// Weights by group, block of M filters, and tap, the filters of a block side by side.
fn pack<const M: usize>(phase: &Phase, filters: usize) -> Vec<f32> {
    let taps = phase.taps.len().max(1);
    let mut out = Vec::with_capacity(phase.weights.len());
    for group in phase.weights.chunks_exact((filters * taps).max(1)) {
        for block in group.chunks(M * taps) {
            for tap in 0..taps {
                let mut row = [0.0; M];
                for (to, filter) in row.iter_mut().zip(block.chunks_exact(taps)) {
                    *to = filter.get(tap).copied().unwrap_or(0.0);
                }
                out.extend(row);
            }
        }
    }
    out
}

/// Some images, or some filters of one image.
struct Job<'a> {
    pass: &'a Pass,
    packed: &'a [Vec<f32>],
    /// From the first image on.
    source: &'a [f32],
    start: Option<&'a [f32]>,
    /// The first filter that is computed, and how many.
    first: usize,
    filters: usize,
    output: &'a mut [f32],
}

impl WithSimd for Job<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.pass.filters == 1 { self.strips::<S, 1, 8>(simd) } else { self.strips::<S, FILTERS, 2>(simd) }
    }
}

/// A vector of grid positions: where its taps begin in the buffer and where its first sum goes in the output.
#[derive(Clone, Copy)]
struct Place {
    base: usize,
    at: usize,
    lanes: usize,
}

/// One phase's taps and positions in a strip.
struct Laid {
    taps: Offsets,
    places: Vec<Place>,
    /// From one sum of a vector to the next in the output.
    step: usize,
}

impl Job<'_> {
    /// Sums for M filters and N vectors of positions at a time.
    #[inline(always)]
    fn strips<S: Simd, const M: usize, const N: usize>(mut self, simd: S) {
        let pass = self.pass;
        let images = self.output.len() / (self.filters * pass.output_plane()).max(1);
        let step = rows_at_once(pass.rows, pass.channels * pass.frame.len(), pass.frame.size[0]);
        let mut buffer = Vec::new();
        for first in (0..pass.rows).step_by(step) {
            let rows = first..(first + step).min(pass.rows);
            let mut frame = pass.frame;
            frame.begin[0] -= (rows.start * frame.stride[0]) as isize;
            frame.size[0] -= pass.rows - rows.len();
            buffer.resize(images * pass.channels * frame.len() + S::F32_LANES, 0.0);
            let laid: Vec<Laid> =
                pass.phases.iter().map(|p| self.lay(p, &frame, &rows, images, S::F32_LANES)).collect();
            for group in 0..pass.groups {
                self.fill(&frame, group, images, &mut buffer);
                for (laid, packed) in laid.iter().zip(self.packed) {
                    self.phase::<S, M, N>(simd, laid, packed, group, &buffer);
                }
            }
        }
    }

    /// Frames one group's planes of all images.
    fn fill(&self, frame: &Frame, group: usize, images: usize, buffer: &mut [f32]) {
        let pass = self.pass;
        let plane = frame.source[0] * frame.source[1];
        let sources = self.source.chunks_exact(pass.source_image()).take(images);
        for (source, frames) in sources.zip(buffer.chunks_exact_mut(pass.channels * frame.len())) {
            let planes = source.chunks_exact(plane).skip(group * pass.channels);
            planes.zip(frames.chunks_exact_mut(frame.len())).for_each(|(plane, to)| frame.fill(plane, to));
        }
    }

    fn lay(&self, phase: &Phase, frame: &Frame, strip: &Range<usize>, images: usize, lanes: usize) -> Laid {
        let pass = self.pass;
        let rows = phase.rows.start.max(strip.start)..phase.rows.end.min(strip.end);
        let place = |r: &Run| {
            let row = (r.row - strip.start) * frame.stride[0];
            let y = (r.row * phase.step[0]).saturating_add_signed(phase.origin[0]);
            let x = (r.column * phase.step[1]).saturating_add_signed(phase.origin[1]);
            Place {
                base: r.image * pass.channels * frame.len() + frame.at([row, r.column * frame.stride[1]]),
                at: r.image * self.filters * pass.output_plane() + y * pass.output[1] + x,
                lanes: r.lanes,
            }
        };
        Laid {
            taps: phase.taps.iter().map(|t| t.channel * frame.len() + frame.at(t.at)).collect(),
            places: runs(images, rows, phase.columns.clone(), lanes).iter().map(place).collect(),
            step: phase.step[1],
        }
    }

    #[inline(always)]
    fn phase<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        laid: &Laid,
        packed: &[f32],
        group: usize,
        buffer: &[f32],
    ) {
        let (area, blocks) = (laid.taps.len(), self.pass.filters.div_ceil(M));
        let (packed, _) = packed.as_chunks::<M>();
        let wanted = self.first..self.first + self.filters;
        for block in 0..blocks {
            let first = group * self.pass.filters + block * M;
            let filters = first..(first + M).min((group + 1) * self.pass.filters).min(wanted.end);
            if first < wanted.start || filters.is_empty() {
                continue;
            }
            let at = (group * blocks + block) * area;
            let weights = packed.get(at..at + area).unwrap_or_default();
            let mut start = [0.0; M];
            let given = self.start.and_then(|s| s.get(filters.clone())).unwrap_or_default();
            start.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
            let mut some = laid.places.chunks_exact(N);
            for places in &mut some {
                let mut bases = [0; N];
                bases.iter_mut().zip(places).for_each(|(b, p)| *b = p.base);
                let sums = sum_taps::<S, M, N>(simd, weights, &laid.taps, buffer, bases, start);
                for (filter, row) in filters.clone().zip(sums) {
                    places.iter().zip(row).for_each(|(place, sum)| self.store::<S>(place, laid.step, filter, sum));
                }
            }
            for place in some.remainder() {
                let sums = sum_taps::<S, M, 1>(simd, weights, &laid.taps, buffer, [place.base], start);
                let sums = filters.clone().zip(sums);
                sums.for_each(|(filter, [sum])| self.store::<S>(place, laid.step, filter, sum));
            }
        }
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, place: &Place, step: usize, filter: usize, sum: S::f32s) {
        let at = place.at + (filter - self.first) * self.pass.output_plane();
        let to = self.output.get_mut(at..).unwrap_or_default();
        if step == 1 && place.lanes == S::F32_LANES {
            S::as_mut_simd_f32s(to).0.iter_mut().take(1).for_each(|to| *to = sum);
            return;
        }
        let sum = [sum];
        let lanes: &[f32] = pulp::bytemuck::cast_slice(&sum);
        to.iter_mut().step_by(step).zip(lanes).take(place.lanes).for_each(|(to, from)| *to = *from);
    }
}
