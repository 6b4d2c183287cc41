//! The images of a session: where they come from, how they are divided, what a person sees of them.

use crate::evaluate::spread;
use crate::host::{Host, Progress};
use crate::options::DataOptions;
use crate::rules::{Augmentation, Rules};
use crate::scores::Resident;
use crate::session::Session;
use crate::summary::{DataSummary, SplitSummary, Thumbnail};
use bytes::Bytes;
use lopper_core::graph::Graph;
use lopper_core::{Code, Error, Result};
use lopper_engine::Labelled;
use lopper_engine::data::{Augment, Dataset, Fractions, ImageLoader, ImageSpec, Limits, Normalization, Split};
use lopper_engine::train::Lesson;
use std::sync::Mutex;

/// Images decoded between two looks at the host.
const PIECE: usize = 32;
/// Validation looks at no fewer images than this where there are as many.
const WATCHED: usize = 1000;
/// Pictures to look at, and the longest side of each.
const THUMBNAILS: usize = 30;
const THUMBNAIL_SIDE: usize = 96;

/// Where images come from.
pub enum Source {
    /// A zip with one folder a class, or numpy's `.npz`.
    Archive(Bytes),
    /// Image files, each with its path: one folder a class.
    Entries(Vec<(String, Bytes)>),
    /// A folder on disk.
    #[cfg(not(target_family = "wasm"))]
    Folder(std::path::PathBuf),
}

impl From<Vec<(String, Bytes)>> for Source {
    /// A lone file that does not begin as a JPEG or PNG does is an archive.
    fn from(mut files: Vec<(String, Bytes)>) -> Self {
        let image = |bytes: &Bytes| bytes.starts_with(&[0xff, 0xd8]) || bytes.starts_with(b"\x89PNG");
        match files.pop() {
            Some((_, lone)) if files.is_empty() && !image(&lone) => Self::Archive(lone),
            last => Self::Entries(files.into_iter().chain(last).collect()),
        }
    }
}

/// Loaded images with their split.
#[derive(Debug)]
pub(crate) struct Images {
    pub(crate) name: String,
    pub(crate) options: DataOptions,
    pub(crate) dataset: Dataset,
    pub(crate) normalization: Normalization,
    pub(crate) split: Split,
    /// What scoring has put on the device.
    pub(crate) resident: Mutex<Resident>,
}

impl Session {
    /// Loads images for the opened model, resized to its input. Images that cannot be used leave the session as it was.
    ///
    /// # Errors
    /// When no model is open, or the images are broken or do not fit the model.
    pub async fn load_data(
        &mut self,
        name: &str,
        source: Source,
        options: &DataOptions,
        host: &impl Host,
    ) -> Result<DataSummary> {
        let control = self.control();
        control.begin();
        let normalization: Normalization = options.normalize.parse()?;
        let want = image_spec(&self.opened()?.graph)?;
        let mut loader = match source {
            Source::Archive(bytes) if Dataset::is_npz(&bytes)? => {
                let dataset = Dataset::from_npz(bytes, want)?;
                return self.adopt(name, dataset, normalization, options);
            }
            Source::Archive(bytes) => ImageLoader::zip(bytes, want, Limits::default())?,
            Source::Entries(entries) => ImageLoader::entries(entries, want, Limits::default())?,
            #[cfg(not(target_family = "wasm"))]
            Source::Folder(path) => ImageLoader::folder(&path, want, Limits::default())?,
        };
        let total = loader.count();
        while loader.remaining() > 0 {
            let left = loader.load(PIECE)?;
            host.progress(&Progress::Data { done: total - left, total });
            if !control.pass(host).await {
                return Err(Error::new(Code::Cancelled, "reading the images was cancelled"));
            }
        }
        self.adopt(name, loader.finish()?, normalization, options)
    }

    /// Takes images over and describes them.
    pub(crate) fn adopt(
        &mut self,
        name: &str,
        dataset: Dataset,
        normalization: Normalization,
        options: &DataOptions,
    ) -> Result<DataSummary> {
        normalization.of_channels(dataset.channels())?;
        let default = Fractions::default();
        let fractions = Fractions {
            validation: options.validation.unwrap_or(default.validation),
            test: options.test.unwrap_or(default.test),
        };
        let split = dataset.split(fractions, options.seed)?;
        let images = Images {
            name: name.to_owned(),
            options: options.clone(),
            dataset,
            normalization,
            split,
            resident: Mutex::default(),
        };
        let summary = images.summary();
        self.images = Some(images);
        if let Some(opened) = self.opened.as_mut() {
            // Measured on other images.
            opened.accuracy = lopper_core::report::Accuracy::default();
            opened.measured = None;
            opened.scored = Mutex::default();
            opened.answers = crate::predictions::Known::default();
        }
        Ok(summary)
    }

    pub(crate) fn images(&self) -> Result<&Images> {
        self.images.as_ref().ok_or_else(|| Error::new(Code::Usage, "no images are loaded yet"))
    }
}

/// The size of image that a graph's only input asks for.
fn image_spec(graph: &Graph) -> Result<ImageSpec> {
    let unfit =
        |what: String| Err(Error::new(Code::DataMismatch, format!("this model cannot be fed with images: {what}")));
    let [input] = graph.inputs.as_slice() else {
        return unfit(format!("it has {} inputs", graph.inputs.len()));
    };
    let value = &graph.values[*input];
    match value.shape.as_deref() {
        Some([_, channels, height, width]) => {
            Ok(ImageSpec { height: height.length(), width: width.length(), channels: channels.length() })
        }
        Some(shape) => unfit(format!("its input {:?} has {} axes instead of 4", value.name, shape.len())),
        None => unfit(format!("the shape of its input {:?} is not known", value.name)),
    }
}

impl Images {
    fn summary(&self) -> DataSummary {
        let d = &self.dataset;
        DataSummary {
            name: self.name.clone(),
            images: d.len(),
            classes: (0..d.class_count() as u32).map(|label| d.class_name(label)).collect(),
            labelled: d.labels().is_some(),
            targets: d.targets().is_some(),
            split: SplitSummary {
                train: self.split.train.len(),
                validation: self.split.validation.len(),
                test: self.split.test.len(),
            },
            normalize: self.normalization.to_string(),
            thumbnails: (d.thumbnails(THUMBNAILS).into_iter()).map(|t| self.thumbnail(t)).collect(),
        }
    }

    /// An image for a screen, made small.
    pub(crate) fn thumbnail(&self, picture: lopper_engine::data::Thumbnail) -> Thumbnail {
        let (width, height, rgba) = shrink(picture.width, picture.height, picture.rgba);
        let label = picture.label.map(|l| self.dataset.class_name(l)).unwrap_or_default();
        Thumbnail { image: picture.image, label, width, height, rgba: base64(&rgba) }
    }

    /// Some images with their classes as a network's input.
    pub(crate) fn batch(&self, indices: &[u32], augment: Option<Augment>) -> Result<Labelled> {
        self.dataset.gather(indices, &self.normalization, augment)?.try_into()
    }

    /// The validation images that training is watched by: all that cost no more than an eighth of an epoch, or 1000.
    pub(crate) fn watched(&self) -> Vec<u32> {
        spread(&self.split.validation, Some(WATCHED.max(self.split.train.len() / 8)))
    }

    /// The validation images that settings are chosen by, or `limit` of them spread evenly over all.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn judges(&self, limit: Option<usize>) -> Result<Vec<u32>> {
        let indices = spread(&self.split.validation, limit);
        let none =
            "there is no validation image to choose settings by: give more images, or a larger share for validation";
        if indices.is_empty() { Err(Error::new(Code::BadData, none)) } else { Ok(indices) }
    }

    /// Some images with what is known of them.
    pub(crate) fn lesson(&self, indices: &[u32], augment: Option<Augment>) -> Result<Lesson> {
        Ok(self.dataset.gather(indices, &self.normalization, augment)?.into())
    }

    /// As [`Images::lesson`], for a trainer on whose device the images lie.
    pub(crate) fn moved(&self, indices: &[u32], augment: Option<Augment>) -> Result<Lesson> {
        let (batch, moved) = self.dataset.moves(indices, augment)?;
        Ok(Lesson { moved, ..batch.into() })
    }

    /// What happens to each image. Shifts are by an eighth of it, as CIFAR training does; where nothing is said only colour
    /// images are mirrored, since digits and letters are mostly grey, and none where what they ask for does not follow.
    pub(crate) fn augment(&self, rules: &Rules, seed: u64, epoch: u64) -> Option<Augment> {
        let side = self.dataset.width().min(self.dataset.height());
        let padding = if rules.augments(Augmentation::Crop) { (side / 8).min(4) as u32 } else { 0 };
        let follow = self.dataset.targets().is_none_or(|t| t.follow(self.dataset.height(), self.dataset.width()));
        if rules.augmentation.is_none() && !follow {
            return None;
        }
        let asked = rules.augmentation.is_some() || self.dataset.channels() == 3;
        let flip = rules.augments(Augmentation::Flip) && asked;
        let cutout = if rules.augments(Augmentation::Cutout) { (side / 2) as u32 } else { 0 };
        (padding > 0 || flip || cutout > 0).then_some(Augment { padding, flip, cutout, seed, epoch })
    }
}

/// Averages blocks of pixels until no side is longer than a thumbnail's.
fn shrink(width: usize, height: usize, rgba: Vec<u8>) -> (usize, usize, Vec<u8>) {
    let step = width.max(height).div_ceil(THUMBNAIL_SIDE);
    if step <= 1 {
        return (width, height, rgba);
    }
    let (columns, rows) = ((width / step).max(1), (height / step).max(1));
    let mut out = Vec::with_capacity(columns * rows * 4);
    for at in 0..columns * rows * 4 {
        let (channel, x, y) = (at % 4, at / 4 % columns * step, at / 4 / columns * step);
        let block = (y..(y + step).min(height)).flat_map(|y| (x..(x + step).min(width)).map(move |x| (x, y)));
        let (mut sum, mut count) = (0_usize, 0_usize);
        for (x, y) in block {
            sum += usize::from(rgba.get((y * width + x) * 4 + channel).copied().unwrap_or(255));
            count += 1;
        }
        out.push((sum / count.max(1)) as u8);
    }
    (columns, rows, out)
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0_u32, |bits, i| bits << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let index = (bits >> (18 - 6 * digit) & 63) as usize;
            let shown = DIGITS.get(index).filter(|_| digit <= three.len()).copied().unwrap_or(b'=');
            out.push(char::from(shown));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_standard() {
        for (text, want) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(text.as_bytes()), want);
        }
        assert_eq!(base64(&[255, 254, 253]), "//79");
    }

    #[test]
    fn thumbnails_shrink_by_averaging() {
        let rgba: Vec<u8> = (0..200 * 100).flat_map(|at| [if at % 2 == 0 { 100 } else { 200 }, 7, 0, 255]).collect();
        let (width, height, small) = shrink(200, 100, rgba);
        assert_eq!((width, height, small.len()), (66, 33, 66 * 33 * 4));
        assert!((130..=170).contains(&small[0]) && small[1] == 7 && small[3] == 255);
        assert_eq!(shrink(1, 1, vec![1, 2, 3, 4]), (1, 1, vec![1, 2, 3, 4]));
    }
}
