//! Sampling at real-valued places over any number of axes: the forms of GridSample that burn has no kernel for.

use super::{one, unsupported};
use crate::tensor::{DeviceTensor, count};
use crate::value::Value;
use burn::tensor::ops::{GridSamplePaddingMode, InterpolateMode};
use burn::tensor::{Int, Tensor};
use lopper_core::Result;

/// One axis of the map: its length, and whether the ends of the grid are the middles of its outer positions.
#[derive(Clone, Copy)]
struct Axis {
    length: usize,
    corners: bool,
}

impl Axis {
    /// From the grid's coordinate, which runs from -1 to 1, to positions.
    fn position(self, g: Tensor<2>) -> Tensor<2> {
        let n = self.length as f32;
        let around = g.add_scalar(1.0);
        if self.corners {
            around.mul_scalar((n - 1.0) / 2.0)
        } else {
            around.mul_scalar(n).sub_scalar(1.0).div_scalar(2.0)
        }
    }

    /// Thrown back at both ends until it lies inside.
    fn reflected(self, p: Tensor<2>) -> Tensor<2> {
        let n = self.length as f32;
        let (least, span) = if self.corners { (0.0, n - 1.0) } else { (-0.5, n) };
        if span == 0.0 {
            return p.zeros_like();
        }
        let away = p.sub_scalar(least).abs();
        let turns = away.clone().detach().div_scalar(2.0 * span).floor();
        let folded = away - turns.mul_scalar(2.0 * span);
        folded.sub_scalar(span).abs().neg().add_scalar(span + least)
    }
}

/// Neighbours of a position along one axis: which one, and how much it counts.
struct Tap {
    at: Tensor<2, Int>,
    weight: Tensor<2>,
}

/// Keys' kernel with its usual number, at a distance below 1 or from there to 2.
fn keys(distance: Tensor<2>, near: bool) -> Tensor<2> {
    const A: f32 = -0.75;
    let x = distance;
    if near {
        (x.clone().mul_scalar(A + 2.0).sub_scalar(A + 3.0) * x.square()).add_scalar(1.0)
    } else {
        let inner = (x.clone().sub_scalar(5.0) * x.clone()).add_scalar(8.0);
        (inner * x).sub_scalar(4.0).mul_scalar(A)
    }
}

fn taps(g: Tensor<2>, axis: Axis, mode: &InterpolateMode, padding: &GridSamplePaddingMode) -> Result<Vec<Tap>> {
    let last = axis.length as f32 - 1.0;
    let inside = |p: Tensor<2>| match padding {
        GridSamplePaddingMode::Border => p.clamp(0.0, last),
        GridSamplePaddingMode::Reflection => axis.reflected(p),
        GridSamplePaddingMode::Zeros => p,
    };
    let place = axis.position(g);
    let place = match mode {
        InterpolateMode::Nearest => place.round(),
        _ => place,
    };
    let place = inside(place);
    let base = place.clone().detach().floor();
    let rest = place - base.clone();
    let weights: Vec<(f32, Tensor<2>)> = match mode {
        InterpolateMode::Nearest => vec![(0.0, rest.ones_like())],
        InterpolateMode::Bilinear => vec![(0.0, rest.clone().neg().add_scalar(1.0)), (1.0, rest)],
        InterpolateMode::Bicubic => {
            let back = rest.clone().neg().add_scalar(1.0);
            let (far, beyond) = (rest.clone().add_scalar(1.0), back.clone().add_scalar(1.0));
            vec![(-1.0, keys(far, false)), (0.0, keys(rest, true)), (1.0, keys(back, true)), (2.0, keys(beyond, false))]
        }
        _ => return Err(unsupported("this way of sampling")),
    };
    let tap = |(step, weight): (f32, Tensor<2>)| {
        let at = base.clone().add_scalar(step);
        let counts = at.clone().greater_equal_elem(0.0).bool_and(at.clone().lower_equal_elem(last)).float();
        let weight = if matches!(padding, GridSamplePaddingMode::Zeros) { weight * counts } else { weight };
        Tap { at: inside(at).clamp(0.0, last).int(), weight }
    };
    Ok(weights.into_iter().map(tap).collect())
}

/// Values of `x`, `[batch, channels, axes..]`, at the places of `grid`, `[batch, places.., axes]`.
pub(super) fn places(
    x: DeviceTensor,
    grid: DeviceTensor,
    mode: &InterpolateMode,
    padding: &GridSamplePaddingMode,
    corners: bool,
) -> Result<Vec<Value>> {
    let (xd, gd) = (x.dims(), grid.dims());
    let (batch, channels) = (xd.first().copied().unwrap_or(1), xd.get(1).copied().unwrap_or(1));
    let space = xd.get(2..).unwrap_or_default();
    let out: Vec<usize> = gd.iter().skip(1).take(space.len()).copied().collect();
    let total: usize = out.iter().product();
    count(&[batch, channels, total])?;
    let x: Tensor<3> = x.reshape(&[batch, channels, space.iter().product()])?.float()?;
    let grid: Tensor<3> = grid.reshape(&[batch, total, space.len()])?.float()?;
    let mut all: Vec<Tap> = Vec::new();
    for (i, &length) in space.iter().enumerate() {
        // The grid names the last axis first.
        let g: Tensor<2> = grid.clone().narrow(2, space.len() - 1 - i, 1).squeeze_dim(2);
        let own = taps(g, Axis { length, corners }, mode, padding)?;
        let joined = |a: &Tap| {
            let join = |b: &Tap| Tap {
                at: a.at.clone().mul_scalar(length as i64) + b.at.clone(),
                weight: a.weight.clone() * b.weight.clone(),
            };
            own.iter().map(join).collect::<Vec<_>>()
        };
        all = if i == 0 { own } else { all.iter().flat_map(joined).collect() };
    }
    let value = |tap: Tap| {
        let at = tap.at.unsqueeze_dim::<3>(1).expand([batch, channels, total]);
        x.clone().gather(2, at) * tap.weight.unsqueeze_dim::<3>(1)
    };
    let sum = all.into_iter().map(value).reduce(|a, b| a + b).ok_or_else(|| unsupported("a map without axes"))?;
    one(DeviceTensor::from(sum).reshape(&[&[batch, channels], out.as_slice()].concat())?)
}
