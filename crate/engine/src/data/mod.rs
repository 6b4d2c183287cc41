//! Images, labels, and everything that happens to them before a network sees them.
//!
//! A [`Dataset`] comes from a zip or folder with one folder a class, from numpy's `.npz`, or from a program's own
//! pixels. [`Split`] divides it, [`Batches`] gives the order, and [`Dataset::gather`] makes the float tensors. Nothing
//! here knows of burn or of a device, and all of it gives the same numbers natively and in a browser.

mod archive;
mod batches;
mod decode;
mod gather;
mod listing;
mod loader;
mod normalize;
mod npy;
mod npz;
mod platform;
pub mod random;
mod split;
mod targets;
#[cfg(test)]
mod tests;
mod thumbnails;

use bytes::Bytes;
use lopper_core::{Code, Error, Result};

pub use batches::{Augment, Batches, Last, Order};
pub use gather::{Batch, Moved};
pub use loader::ImageLoader;
pub use normalize::Normalization;
pub use split::{Fractions, Split};
pub use targets::{IGNORED, Targets};
pub use thumbnails::Thumbnail;

/// The size that a model's input asks for; `None` where it leaves the size open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageSpec {
    /// Rows of pixels; the first image's if open.
    pub height: Option<usize>,
    /// Columns of pixels; the first image's if open.
    pub width: Option<usize>,
    /// 1 (grey) or 3 (colour); if open, 3 for image files and what is there for arrays.
    pub channels: Option<usize>,
}

impl ImageSpec {
    /// A fixed size.
    pub fn fixed(height: usize, width: usize, channels: usize) -> Self {
        Self { height: Some(height), width: Some(width), channels: Some(channels) }
    }
}

/// How much a file may make the program hold or unpack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one image file after unpacking.
    pub file_bytes: u64,
    /// Bytes unpacked from one archive, and bytes of all pixels held.
    pub total_bytes: u64,
    /// Pixels of one image before resizing.
    pub image_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 256 << 20, total_bytes: platform::TOTAL_BYTES, image_pixels: 64 << 20 }
    }
}

/// The values of all images, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// 0 to 255, each image as rows of pixels with their channels together (NHWC).
    Bytes(Vec<u8>),
    /// Any scale, each image as one plane after the other (NCHW).
    Floats(Vec<f32>),
}

/// What an image is called.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    /// Its path in the zip or folder.
    Paths(Vec<String>),
    /// Its place in an array of this name.
    Places(&'static str),
}

/// Images of one size, with their labels where there are any.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    count: usize,
    height: usize,
    width: usize,
    channels: usize,
    pixels: Pixels,
    labels: Option<Vec<u32>>,
    targets: Option<Targets>,
    classes: Vec<String>,
    names: Names,
    skipped: Vec<String>,
}

impl Dataset {
    /// Reads a zip with one folder a class, each with JPEG or PNG files. The class of a folder is its place among the
    /// sorted folder names. One folder around all of them is looked through; hidden files and what macOS adds
    /// (`__MACOSX`, `.DS_Store`) are ignored; a zip with all images in one place has no labels. Images of another size
    /// than `want` are resized (bilinear with antialiasing, as Pillow does). Everything at once; [`ImageLoader`] does
    /// it in pieces.
    ///
    /// # Errors
    /// [`Code::BadData`] for a broken archive or image (named), no images, or folders that mean something else;
    /// [`Code::TooLarge`] beyond [`Limits`]; [`Code::DataMismatch`] if the model wants other than 1 or 3 channels.
    pub fn from_zip(bytes: Bytes, want: ImageSpec) -> Result<Self> {
        ImageLoader::zip(bytes, want, Limits::default())?.load_all()
    }

    /// Reads dropped files, each with its path, by the rules of [`Dataset::from_zip`].
    ///
    /// # Errors
    /// As [`Dataset::from_zip`].
    pub fn from_entries(entries: impl IntoIterator<Item = (String, Bytes)>, want: ImageSpec) -> Result<Self> {
        ImageLoader::entries(entries, want, Limits::default())?.load_all()
    }

    /// Reads a folder on disk by the rules of [`Dataset::from_zip`].
    ///
    /// # Errors
    /// As [`Dataset::from_zip`], and [`Code::NotFound`] for what cannot be read.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_folder(path: &std::path::Path, want: ImageSpec) -> Result<Self> {
        ImageLoader::folder(path, want, Limits::default())?.load_all()
    }

    /// Reads numpy's `.npz`: `images` as uint8 `[N, H, W, 3]`, `[N, H, W, 1]` or `[N, H, W]`, or as float32 or float64
    /// `[N, C, H, W]`; `labels` of any integer type, `[N]`; `classes`, an array of text. The last two may be absent and
    /// other arrays are ignored. Bytes are resized to `want`; floats must have its size already.
    ///
    /// In place of `labels`, which are not read then, `targets`: floats `[N, ...]` for a regression, or a class from 0 to 254
    /// for each place of an output, `[N, H, W]` of any integer type, where [`IGNORED`] (255) counts for nothing.
    ///
    /// # Errors
    /// [`Code::BadData`] for anything else, [`Code::Truncated`] if data are missing, [`Code::TooLarge`] beyond
    /// [`Limits`], [`Code::DataMismatch`] if the size is not what the model wants.
    pub fn from_npz(bytes: Bytes, want: ImageSpec) -> Result<Self> {
        npz::read(archive::Archive::open(bytes, Limits::default())?, want)
    }

    /// Reads a zip with folders or an `.npz` (which is a zip with `.npy` files in it), whichever it is.
    ///
    /// # Errors
    /// As [`Dataset::from_zip`] and [`Dataset::from_npz`].
    pub fn from_archive(bytes: Bytes, want: ImageSpec) -> Result<Self> {
        if Self::is_npz(&bytes)? { Self::from_npz(bytes, want) } else { Self::from_zip(bytes, want) }
    }

    /// Whether a zip is numpy's `.npz`.
    ///
    /// # Errors
    /// [`Code::BadData`] if it is no zip.
    pub fn is_npz(bytes: &Bytes) -> Result<bool> {
        let archive = archive::Archive::open(bytes.clone(), Limits::default())?;
        Ok(npz::has_arrays(&archive))
    }

    /// Images made by a program: bytes in NHWC order, with one label and one name each.
    ///
    /// # Errors
    /// [`Code::BadData`] if the counts do not fit together or there is no image.
    pub fn from_bytes(
        size: (usize, usize, usize),
        pixels: Vec<u8>,
        labels: Vec<u32>,
        classes: Vec<String>,
        names: Vec<String>,
    ) -> Result<Self> {
        if names.len() != labels.len() {
            return Err(Error::new(Code::BadData, format!("{} names for {} images", names.len(), labels.len())));
        }
        Self::assemble(Assembly {
            count: labels.len(),
            size,
            pixels: Pixels::Bytes(pixels),
            labels: Some(labels),
            targets: None,
            classes,
            names: Names::Paths(names),
            skipped: Vec::new(),
        })
    }

    /// The one way a data set comes to be; checks what the other parts of this module rely on.
    fn assemble(parts: Assembly) -> Result<Self> {
        let Assembly { count, size: (height, width, channels), pixels, labels, targets, classes, names, skipped } =
            parts;
        let bad = |message: String| Err(Error::new(Code::BadData, message));
        let held = match &pixels {
            Pixels::Bytes(bytes) => bytes.len(),
            Pixels::Floats(floats) => floats.len(),
        };
        let values = [count, height, width, channels].into_iter().try_fold(1_usize, usize::checked_mul);
        if held == 0 || values != Some(held) || u32::try_from(count).is_err() {
            return bad(format!(
                "{held} values cannot be {count} images of {height} x {width} with {channels} channels"
            ));
        }
        if let Some(labels) = &labels {
            if labels.len() != count {
                return bad(format!("{} labels for {count} images; each image needs one", labels.len()));
            }
            let wrong = labels.iter().find(|&&label| !classes.is_empty() && label as usize >= classes.len());
            if let Some(label) = wrong {
                return bad(format!(
                    "label {label} has no name: there are {} class names, for labels from 0",
                    classes.len()
                ));
            }
        }
        Ok(Self { count, height, width, channels, pixels, labels, targets, classes, names, skipped })
    }

    /// The number of images, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a data set is never empty")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Rows of pixels of every image.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Columns of pixels of every image.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Channels of every image.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All values.
    pub fn pixels(&self) -> &Pixels {
        &self.pixels
    }

    /// The class of every image, if known.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// What the images ask for where that is no class of their own.
    pub fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    /// The class of one image, if known.
    pub fn label(&self, image: u32) -> Option<u32> {
        self.labels.as_ref()?.get(image as usize).copied()
    }

    /// The names of the classes by label; empty if the data do not name them.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// How many classes there are: as many as there are names, else one more than the highest label, else 0.
    pub fn class_count(&self) -> usize {
        let highest = self.labels.iter().flatten().max().map_or(0, |&label| label as usize + 1);
        if self.classes.is_empty() { highest } else { self.classes.len() }
    }

    /// The name of a class, or its number if it has none.
    pub fn class_name(&self, label: u32) -> String {
        self.classes.get(label as usize).cloned().unwrap_or_else(|| label.to_string())
    }

    /// Where an image came from: its path in the zip or folder, or its place in the array.
    pub fn name(&self, image: u32) -> String {
        match &self.names {
            Names::Paths(paths) => paths.get(image as usize).cloned().unwrap_or_default(),
            Names::Places(array) => format!("{array}[{image}]"),
        }
    }

    /// Files that lay among the images but are neither JPEG nor PNG by their names, and so were not read.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// Divides the images by [`Split::new`].
    ///
    /// # Errors
    /// [`Code::Usage`] for unusable shares.
    pub fn split(&self, fractions: Fractions, seed: u64) -> Result<Split> {
        Split::new(self.count, self.labels(), fractions, seed)
    }
}

/// What [`Dataset::assemble`] checks; `size` is height, width, channels.
struct Assembly {
    count: usize,
    size: (usize, usize, usize),
    pixels: Pixels,
    labels: Option<Vec<u32>>,
    targets: Option<Targets>,
    classes: Vec<String>,
    names: Names,
    skipped: Vec<String>,
}
