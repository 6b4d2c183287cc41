//! Blocks of channels that become blocks of a map, and back: DepthToSpace, SpaceToDepth, Col2Im.

use super::Operator;
use crate::channels::{Bundle, ChannelContext, Ids, Layout, MAX_POSITIONS};
use crate::error::Result;
use crate::graph::{Constant, Dim, Fact, InferContext, Node, product};

/// Side of a block.
fn block(node: &Node) -> Option<usize> {
    node.int("blocksize").and_then(|b| usize::try_from(b).ok()).filter(|b| (1..1 << 15).contains(b))
}

/// Whether channels come before the positions in a block.
fn channels_first(node: &Node) -> bool {
    node.string("mode") == Some("CRD")
}

/// Batch, channels, height and width with the block's side.
fn maps<'a>(cx: &InferContext<'a>) -> Result<Option<([&'a Dim; 4], Dim)>> {
    let side = block(cx.node).ok_or_else(|| cx.bad_attribute("blocksize has to be a small positive number"))?;
    match cx.required(0)?.shape.as_deref() {
        None => Ok(None),
        Some([n, c, h, w]) => Ok(Some(([n, c, h, w], Dim::from(side)))),
        Some(s) => Err(cx.bad_shape(format!("four axes are needed, not {s:?}"))),
    }
}

/// The channel axis alone, with all other axes of the map kept whole.
fn channel_axis(cx: &mut ChannelContext<'_>, why: &str) -> (Layout, Option<Bundle>) {
    let mut layout = cx.layout(0);
    let value = cx.node.input(0);
    for axis in 2..cx.rank(0).unwrap_or(2) {
        cx.keep_whole(&mut layout, axis, value, why);
    }
    if layout.at(1).is_some_and(|b| b.axes.len() > 1) {
        cx.keep_whole(&mut layout, 0, value, why);
    }
    let at = layout.index_of(1).map(|i| layout.bundles.remove(i));
    (layout, at)
}

/// Unites the positions of every block; `stride` apart, `count` of them for each of the returned channels.
fn unite_blocks(cx: &mut ChannelContext<'_>, b: &Bundle, count: usize, inner_first: bool) -> Bundle {
    let channels = b.ids.len() / count.max(1);
    let pick = |channel: usize, k: usize| {
        b.ids.get(if inner_first { channel * count + k } else { k * channels + channel }).copied()
    };
    let first: Ids = (0..channels).filter_map(|c| pick(c, 0)).collect();
    for k in 1..count {
        let other: Ids = (0..channels).filter_map(|c| pick(c, k)).collect();
        cx.unite(&first, &other);
    }
    Bundle::single(1, first, b.zero)
}

/// DepthToSpace: all channels that make one output channel go together.
#[derive(Debug)]
pub struct DepthToSpace;

impl Operator for DepthToSpace {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(0)?.dtype;
        let Some(([n, c, h, w], side)) = maps(cx)? else { return Ok(vec![Fact::of_type(dtype)]) };
        let count = side.mul(&side);
        if let (Some(c), Some(count)) = (c.known(), count.known())
            && c.checked_rem(count) != Some(0)
        {
            return Err(cx.bad_shape(format!("{c} channels do not fill blocks of {side} x {side}")));
        }
        let channels = c.div_floor(&count).unwrap_or(Dim::Known(1));
        Ok(vec![Fact::new(dtype, vec![n.clone(), channels, h.mul(&side), w.mul(&side)])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (mut layout, channels) = channel_axis(cx, "channels are moved into it");
        if let (Some(b), Some(side)) = (channels, block(cx.node)) {
            let inner_first = channels_first(cx.node);
            layout.bundles.push(unite_blocks(cx, &b, side * side, inner_first));
        }
        cx.set(0, layout);
    }
}

/// SpaceToDepth: a channel becomes several, which go together.
#[derive(Debug)]
pub struct SpaceToDepth;

impl Operator for SpaceToDepth {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(0)?.dtype;
        let Some(([n, c, h, w], side)) = maps(cx)? else { return Ok(vec![Fact::of_type(dtype)]) };
        if let Some(d) = [h, w]
            .into_iter()
            .find(|d| matches!((d.known(), side.known()), (Some(d), Some(s)) if d.checked_rem(s) != Some(0)))
        {
            return Err(cx.bad_shape(format!("an axis of {d} does not divide into blocks of {side}")));
        }
        let less = |d: &Dim| d.div_floor(&side).unwrap_or(Dim::Known(1));
        Ok(vec![Fact::new(dtype, vec![n.clone(), c.mul(&side).mul(&side), less(h), less(w)])])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (mut layout, channels) = channel_axis(cx, "it is moved into channels");
        if let (Some(b), Some(side)) = (channels, block(cx.node)) {
            let count = side * side;
            if b.ids.len().saturating_mul(count) > MAX_POSITIONS {
                let value = cx.node.input(0);
                cx.pin_ids(value, 1, &b.ids, "it becomes more channels than can be followed");
            } else {
                let ids: Ids = if channels_first(cx.node) {
                    b.ids.iter().flat_map(|&i| std::iter::repeat_n(i, count)).collect()
                } else {
                    b.ids.iter().copied().cycle().take(b.ids.len() * count).collect()
                };
                layout.bundles.push(Bundle::single(1, ids, b.zero));
            }
        }
        cx.set(0, layout);
    }
}

/// Col2Im: the columns that make one channel of the image go together.
#[derive(Debug)]
pub struct Col2Im;

impl Operator for Col2Im {
    fn infer(&self, cx: &InferContext<'_>) -> Result<Vec<Fact>> {
        let dtype = cx.required(0)?.dtype;
        (1..3).try_for_each(|i| cx.list(i))?;
        let image = cx.constant(1).and_then(Constant::as_ints);
        let (Some([n, c, _]), Some(image), Some(kernel)) =
            (cx.shape(0).map(Vec::as_slice), image, cx.constant(2).and_then(Constant::as_ints))
        else {
            return Ok(vec![Fact::of_type(dtype)]);
        };
        let channels = c
            .div_exact(&product(kernel))
            .ok_or_else(|| cx.bad_shape(format!("{c} rows are no multiple of blocks of {kernel:?}")))?;
        let mut shape = vec![n.clone(), channels];
        shape.extend(image.iter().cloned());
        Ok(vec![Fact::new(dtype, shape)])
    }

    fn channels(&self, cx: &mut ChannelContext<'_>) {
        let (mut layout, channels) = channel_axis(cx, "it is moved into the image");
        let count =
            cx.known(2).and_then(|v| v.iter().try_fold(1usize, |p, &n| p.checked_mul(usize::try_from(n).ok()?)));
        match (channels, count) {
            (Some(b), Some(count)) => layout.bundles.push(unite_blocks(cx, &b, count, true)),
            (Some(b), None) => {
                let value = cx.node.input(0);
                cx.pin_ids(value, 1, &b.ids, "the block that it is divided into is only told by running the model");
            }
            (None, _) => {}
        }
        cx.set(0, layout);
    }
}
