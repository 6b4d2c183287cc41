//! Layers to be looked at: their filters as pictures, what they make of an image, and which channels stay silent.

use crate::evaluate::spread;
use crate::host::{Host, Progress};
use crate::picture::{Picture, grey, signed};
use crate::session::{Opened, Session};
use lopper_core::cut::Kept;
use lopper_core::graph::ValueId;
use lopper_core::onnx::Tensor;
use lopper_core::plan::{Plan, PlanOptions};
use lopper_core::score::{Distances, Layer, Measured, Rows, Scorer, ascending, layers};
use lopper_core::{Code, Error, Result};
use lopper_engine::Ended;
use lopper_engine::look::{Maps, feature_maps, peaks};
use serde::Serialize;

/// More filters than this are no picture any more, and their distances would fill the memory.
const MOST_FILTERS: usize = 4096;
/// Images of one batch when channels are watched.
const BATCH: usize = 32;

/// A convolution or linear layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerInfo {
    /// The node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The stored weight.
    pub weight: String,
    /// The weight's lengths.
    pub shape: Vec<usize>,
    /// How many filters it has.
    pub filters: usize,
    /// Whether what is negative becomes zero behind it: its channels can be silent.
    pub rectified: bool,
}

/// A channel of a layer as a picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChannelPicture {
    /// Its place among the layer's filters.
    pub channel: usize,
    /// Whether the plan cuts it.
    pub goes: bool,
    /// Its score by the plan's criterion.
    pub score: Option<f64>,
    /// The smallest and the largest number in it.
    pub range: [f32; 2],
    /// The picture.
    pub picture: Picture,
}

/// Channels of a layer as pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pictures {
    /// In the order in which they are looked at.
    pub channels: Vec<ChannelPicture>,
    /// Why there are no scores, if so.
    pub unscored: Option<String>,
}

/// Channels that are zero everywhere on some images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silent {
    /// How many images were looked at.
    pub images: usize,
    /// By layer, as [`Session::layers`] lists them; nothing where channels cannot be told apart.
    pub layers: Vec<Option<Vec<usize>>>,
}

/// A layer's filters in the two dimensions in which they differ most.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilterPlane {
    /// One point a filter.
    pub points: Vec<[f64; 2]>,
    /// The point whose distances to all filters have the least sum.
    pub median: [f64; 2],
    /// The share of all squared distances that the plane shows, 0 to 1.
    pub share: f64,
    /// Sums of distances to the other filters.
    pub sums: Vec<f64>,
    /// The filters of the smallest sums, as many as the plan cuts of this layer.
    pub nearest: Vec<usize>,
    /// Those that the plan cuts.
    pub goes: Vec<usize>,
}

impl Session {
    /// The convolutions and linear layers whose weights are stored as real numbers, in graph order.
    ///
    /// # Errors
    /// When no model is open.
    pub fn layers(&self) -> Result<Vec<LayerInfo>> {
        let opened = self.opened()?;
        let info = |layer: Layer| -> Option<LayerInfo> {
            let (node, weight) = (&opened.graph.nodes[layer.node], &opened.graph.values[layer.weight]);
            let shape = weight.tensor.as_ref()?.dims.clone();
            Some(LayerInfo {
                node: node.name.clone(),
                op: node.op_type.clone(),
                weight: weight.name.clone(),
                filters: layer.filters.count(&shape),
                shape,
                rectified: layer.rectified,
            })
        };
        Ok(looked_at(opened).into_iter().filter_map(info).collect())
    }

    /// The filters of a layer as pictures, those of the smallest scores first: in colour where they look at three channels,
    /// else the mean over the channels that they look at, or all weights in a square where a filter has no extent.
    ///
    /// # Errors
    /// When there is no such layer, or the plan cannot be made as asked.
    pub fn filter_pictures(&self, layer: usize, options: &PlanOptions) -> Result<Pictures> {
        let (opened, layer) = (self.opened()?, self.looked_at(layer)?);
        let (tensor, rows) = filters(opened, &layer)?;
        let goes = self.goes(layer.weight, &layer.filters.axes, options)?;
        let scored = self.filter_scores(&layer, options);
        let kernel = Kernel::of(&tensor, &rows);
        let channels = rows.iter().enumerate().map(|(channel, row)| ChannelPicture {
            channel,
            goes: goes.get(channel).copied().unwrap_or(false),
            score: scored.as_ref().ok().and_then(|s| s.get(channel)).copied(),
            range: range(row),
            picture: kernel.picture(row),
        });
        let mut channels: Vec<ChannelPicture> = channels.collect();
        if let Ok(scores) = &scored {
            channels = ascending(scores).into_iter().filter_map(|k| channels.get(k)).cloned().collect();
        }
        Ok(Pictures { channels, unscored: scored.err().map(|e| e.message().to_owned()) })
    }

    /// One filter of a layer, channel by channel of what it looks at.
    ///
    /// # Errors
    /// When there is no such layer or filter.
    pub fn filter_channels(&self, layer: usize, filter: usize) -> Result<Pictures> {
        let (opened, layer) = (self.opened()?, self.looked_at(layer)?);
        let (tensor, rows) = filters(opened, &layer)?;
        let kernel = Kernel::of(&tensor, &rows);
        let row = rows.iter().nth(filter).ok_or_else(|| {
            Error::new(Code::Usage, format!("there is no filter {filter}: the layer has {}", rows.iter().count()))
        })?;
        let most = largest(row);
        let pictures = row.chunks(kernel.area()).enumerate().map(|(channel, part)| ChannelPicture {
            channel,
            goes: false,
            score: None,
            range: range(part),
            picture: signed(part, kernel.height, kernel.width, most),
        });
        Ok(Pictures { channels: pictures.collect(), unscored: None })
    }

    /// What a layer makes of one image of those that are loaded, channel by channel, behind the layer's activation.
    ///
    /// # Errors
    /// When there is no such layer or image, the plan cannot be made as asked, or the model cannot be run.
    pub async fn feature_maps(&self, layer: usize, image: u32, options: &PlanOptions) -> Result<Pictures> {
        let (opened, layer) = (self.opened()?, self.looked_at(layer)?);
        let images = self.images()?;
        if image as usize >= images.dataset.len() {
            let what = format!("there is no image {image}: {} are loaded", images.dataset.len());
            return Err(Error::new(Code::Usage, what));
        }
        let goes = self.goes(layer.output.0, &[layer.output.1], options)?;
        // Where the model fixes the batch, it is filled with the one image.
        let batch = images.sample(&vec![image; self.batch().unwrap_or(1)])?;
        let seen: Maps = feature_maps(&opened.graph, &self.device, &layer, &batch).await?;
        let scored = self.filter_scores(&layer, options);
        let channels = seen.values.chunks((seen.height * seen.width).max(1)).enumerate();
        let channels = channels.map(|(channel, map)| ChannelPicture {
            channel,
            goes: goes.get(channel).copied().unwrap_or(false),
            score: scored.as_ref().ok().and_then(|s| s.get(channel)).copied(),
            range: range(map),
            picture: grey(map, seen.height, seen.width),
        });
        Ok(Pictures { channels: channels.collect(), unscored: None })
    }

    /// Which channels of every layer are zero everywhere on some of the training images.
    ///
    /// # Errors
    /// When images are missing or do not fit, the model cannot be run, or with [`Code::Cancelled`].
    pub async fn silent(&self, limit: Option<usize>, host: &impl Host) -> Result<Silent> {
        let control = self.control();
        control.begin();
        let (opened, images) = (self.opened()?, self.images()?);
        let size = self.batch();
        let mut indices = spread(&images.split.train, limit);
        // A model of a fixed batch cannot take a smaller one.
        indices.truncate(indices.len() / size.unwrap_or(1) * size.unwrap_or(1));
        if indices.is_empty() {
            return Err(Error::new(Code::BadData, "there are too few images to look at: give more images"));
        }
        let total = indices.len();
        let report = |done: usize| host.progress(&Progress::Score { done, total });
        report(0);
        let all = looked_at(opened);
        let batches = indices.chunks(size.unwrap_or(BATCH)).map(|i| images.sample(i));
        let (peaks, ended) = peaks(&opened.graph, &self.device, &all, batches, async |done: usize| {
            report(done);
            let goes_on = control.pass(host).await;
            if goes_on { lopper_engine::Control::Continue } else { lopper_engine::Control::Cancel }
        })
        .await?;
        if ended != Ended::Done {
            return Err(Error::new(Code::Cancelled, "looking for silent channels was cancelled"));
        }
        let zero = |peaks: Vec<f64>| peaks.iter().enumerate().filter(|(_, p)| **p == 0.0).map(|(k, _)| k).collect();
        Ok(Silent { images: total, layers: peaks.into_iter().map(|p| p.map(zero)).collect() })
    }

    /// The filters of a layer as points, with their geometric median.
    ///
    /// # Errors
    /// When there is no such layer, it has too many filters, or the plan cannot be made as asked.
    pub fn filter_plane(&self, layer: usize, options: &PlanOptions) -> Result<FilterPlane> {
        let (opened, layer) = (self.opened()?, self.looked_at(layer)?);
        let (_, rows) = filters(opened, &layer)?;
        let goes = self.goes(layer.weight, &layer.filters.axes, options)?;
        let distances = Distances::new(&rows);
        let (plane, sums, weights) = (distances.plane(), distances.sums(), distances.median());
        let along = |at: usize| weights.iter().zip(&plane.points).map(|(w, p)| w * p.get(at).unwrap_or(&0.0)).sum();
        let goes: Vec<usize> = goes.iter().enumerate().filter(|(_, gone)| **gone).map(|(k, _)| k).collect();
        let nearest = ascending(&sums).into_iter().take(goes.len()).collect();
        Ok(FilterPlane { median: [along(0), along(1)], points: plane.points, share: plane.share, sums, nearest, goes })
    }

    fn looked_at(&self, index: usize) -> Result<Layer> {
        let all = looked_at(self.opened()?);
        let count = all.len();
        let none = || Error::new(Code::Usage, format!("there is no layer {index}: the model has {count}"));
        all.into_iter().nth(index).ok_or_else(none)
    }

    /// The batch that the model's input fixes, if it does.
    pub(crate) fn batch(&self) -> Option<usize> {
        let graph = &self.opened().ok()?.graph;
        let input = graph.inputs.first()?;
        graph.values[*input].shape.as_ref()?.first()?.length().filter(|n| *n > 0)
    }

    /// Which positions of a value's axes a plan takes away.
    fn goes(&self, value: ValueId, axes: &[usize], options: &PlanOptions) -> Result<Vec<bool>> {
        let opened = self.opened()?;
        let plan: Plan = self.quick_plan(options)?;
        let kept = Kept::new(&opened.graph, &opened.channels, plan.removed);
        let bundles = opened.channels.layouts.get(&value).into_iter().flat_map(|l| &l.bundles);
        let own = bundles.into_iter().find(|b| b.axes == axes);
        Ok(own.map(|b| b.ids.iter().map(|&id| kept.goes(id)).collect()).unwrap_or_default())
    }

    fn filter_scores(&self, layer: &Layer, options: &PlanOptions) -> Result<Vec<f64>> {
        let opened = self.opened()?;
        let measured = opened.measured.as_ref().map_or(Measured::none(), |m| &m.1);
        let criterion = options.criterion.clone().with(None, None, Some(options.seed));
        Scorer::new(&opened.graph, measured).layer(&criterion, options.normalizer, layer)
    }
}

fn looked_at(opened: &Opened) -> Vec<Layer> {
    let stored = |l: &Layer| opened.graph.values[l.weight].tensor.as_ref().is_some_and(|t| t.dtype.is_float());
    layers(&opened.graph).into_iter().filter(stored).collect()
}

/// A layer's weight and its filters.
fn filters(opened: &Opened, layer: &Layer) -> Result<(Tensor, Rows)> {
    let value = &opened.graph.values[layer.weight];
    let none = || Error::new(Code::BadTensor, format!("weight {:?} has no elements", value.name));
    let tensor = value.tensor.clone().filter(|t| !t.is_empty()).ok_or_else(none)?;
    let count = layer.filters.count(&tensor.dims);
    if count > MOST_FILTERS {
        let what = format!("{:?} has {count} filters, and no more than {MOST_FILTERS} can be shown", value.name);
        return Err(Error::new(Code::TooLarge, what));
    }
    let rows = layer.filters.rows(&tensor)?;
    Ok((tensor, rows))
}

/// How the filters of a weight become pictures.
struct Kernel {
    height: usize,
    width: usize,
    /// Channels that a filter looks at.
    channels: usize,
}

impl Kernel {
    fn of(tensor: &Tensor, rows: &Rows) -> Self {
        let (height, width) = match tensor.dims.as_slice() {
            [_, _, .., height, width] if tensor.dims.len() > 3 => (*height, *width),
            [_, _, width] => (1, *width),
            _ => (1, 1),
        };
        Self { height, width, channels: rows.size / (height * width).max(1) }
    }

    fn area(&self) -> usize {
        (self.height * self.width).max(1)
    }

    fn picture(&self, row: &[f32]) -> Picture {
        let (area, most) = (self.area(), largest(row));
        if area == 1 {
            let side = (1..).find(|side| side * side >= row.len()).unwrap_or(1);
            return signed(row, row.len().div_ceil(side.max(1)), side, most);
        }
        if self.channels == 3 {
            let planes: Vec<&[f32]> = row.chunks(area).collect();
            let pixel = |at: usize| planes.iter().map(move |p| p.get(at).copied().unwrap_or(0.0));
            let mixed: Vec<f32> = (0..area).flat_map(pixel).collect();
            return Picture { planes: 3, ..signed(&mixed, self.height, self.width, most) };
        }
        let mut mean = vec![0.0; area];
        for plane in row.chunks(area) {
            mean.iter_mut().zip(plane).for_each(|(sum, v)| *sum += v / self.channels.max(1) as f32);
        }
        signed(&mean, self.height, self.width, largest(&mean))
    }
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, v| most.max(v.abs()))
}

fn range(numbers: &[f32]) -> [f32; 2] {
    numbers.iter().fold([f32::INFINITY, f32::NEG_INFINITY], |[low, high], &v| [low.min(v), high.max(v)])
}
