//! Reading image files a few at a time, so that a caller can show progress and stop.

use bytes::Bytes;
use lopper_core::{Code, Error, Result};

use super::archive::Archive;
use super::decode::{self, Size};
use super::listing::{Listing, list};
use super::{Assembly, Dataset, ImageSpec, Limits, Names, Pixels, platform};

/// Packed bytes read ahead at once, so that a piece of work stays small in memory whatever the files are.
const AHEAD_BYTES: usize = 64 << 20;

/// Where the files are.
enum Source {
    Zip(Box<Archive>),
    Entries(Vec<Bytes>),
    #[cfg(not(target_family = "wasm"))]
    Folder(Vec<std::path::PathBuf>),
}

/// Reads the images of a zip or folder in pieces: call [`ImageLoader::load`] until nothing remains, then
/// [`ImageLoader::finish`]. To cancel, drop it.
pub struct ImageLoader {
    source: Source,
    listing: Listing,
    want: ImageSpec,
    limits: Limits,
    next: usize,
    size: Option<Size>,
    pixels: Vec<u8>,
}

impl ImageLoader {
    /// Lists the images of a zip; reads none yet.
    ///
    /// # Errors
    /// As [`Dataset::from_zip`].
    pub fn zip(bytes: Bytes, want: ImageSpec, limits: Limits) -> Result<Self> {
        let archive = Archive::open(bytes, limits)?;
        let listing = list(&archive.names())?;
        Self::new(Source::Zip(Box::new(archive)), listing, want, limits)
    }

    /// Lists the images among dropped files; decodes none yet.
    ///
    /// # Errors
    /// As [`Dataset::from_entries`].
    pub fn entries(
        entries: impl IntoIterator<Item = (String, Bytes)>,
        want: ImageSpec,
        limits: Limits,
    ) -> Result<Self> {
        let (paths, files): (Vec<String>, Vec<Bytes>) = entries.into_iter().unzip();
        // A browser names dropped files with a `/` in front.
        let paths: Vec<String> = paths.iter().map(|path| path.trim_start_matches('/').to_owned()).collect();
        Self::new(Source::Entries(files), list(&paths)?, want, limits)
    }

    /// Lists the images of a folder on disk; reads none yet. Links to folders are not followed.
    ///
    /// # Errors
    /// As [`Dataset::from_folder`].
    #[cfg(not(target_family = "wasm"))]
    pub fn folder(path: &std::path::Path, want: ImageSpec, limits: Limits) -> Result<Self> {
        let (names, paths) = walk(path)?;
        Self::new(Source::Folder(paths), list(&names)?, want, limits)
    }

    fn new(source: Source, listing: Listing, want: ImageSpec, limits: Limits) -> Result<Self> {
        decode::channels(want, 3)?;
        Ok(Self { source, listing, want, limits, next: 0, size: None, pixels: Vec::new() })
    }

    /// The number of images.
    pub fn count(&self) -> usize {
        self.listing.files.len()
    }

    /// The number of images still to read.
    pub fn remaining(&self) -> usize {
        self.count() - self.next
    }

    /// Reads at most `most` images more (fewer if the files are large, at least one) and returns how many remain.
    /// Natively the cores share the decoding; the result is the same.
    ///
    /// # Errors
    /// As [`Dataset::from_zip`]; the file is named.
    pub fn load(&mut self, most: usize) -> Result<usize> {
        // The first image alone: where the model leaves the size open, it sets the size of the others.
        let most = if self.size.is_none() { 1 } else { most.max(1) };
        let mut ahead = Vec::new();
        let mut bytes = 0;
        while ahead.len() < most && bytes < AHEAD_BYTES {
            let Some((place, path)) = self.listing.files.get(self.next + ahead.len()) else { break };
            let file = read(&mut self.source, *place, self.limits).map_err(|error| error.at(path))?;
            bytes += file.len();
            ahead.push((path.as_str(), file));
        }
        let (want, limits) = (self.want, self.limits);
        let decoded = platform::map_in_order(&ahead, |(path, file)| {
            decode::decode(file, want, limits).map_err(|error| error.at(path))
        });
        drop(ahead);
        for image in decoded {
            let (size, pixels) = image?;
            self.keep(size, &pixels)?;
        }
        Ok(self.remaining())
    }

    /// Adds one image; the first fixes the size.
    fn keep(&mut self, size: Size, pixels: &[u8]) -> Result<()> {
        if self.size.is_none() {
            let all = (pixels.len() as u64).saturating_mul(self.count() as u64);
            if all > self.limits.total_bytes {
                let message = format!(
                    "{} images of {} x {} take {} MiB, and at most {} are held; use fewer images",
                    self.count(),
                    size.0,
                    size.1,
                    all >> 20,
                    self.limits.total_bytes >> 20
                );
                return Err(Error::new(Code::TooLarge, message));
            }
            self.size = Some(size);
            self.want = ImageSpec::fixed(size.0, size.1, size.2);
        }
        let left = self.remaining().min(1 + self.pixels.len() / pixels.len().max(1));
        if self.pixels.capacity() - self.pixels.len() < pixels.len() {
            self.pixels.try_reserve_exact(pixels.len().saturating_mul(left)).map_err(|_| {
                Error::new(
                    Code::TooLarge,
                    format!("there is no memory left after {} images; use fewer images", self.next),
                )
            })?;
        }
        self.pixels.extend_from_slice(pixels);
        self.next += 1;
        Ok(())
    }

    /// Reads everything that remains and makes the data set.
    ///
    /// # Errors
    /// As [`Dataset::from_zip`].
    pub fn load_all(mut self) -> Result<Dataset> {
        while self.remaining() > 0 {
            self.load(256)?;
        }
        self.finish()
    }

    /// Makes the data set.
    ///
    /// # Errors
    /// [`Code::Usage`] if images remain to be read.
    pub fn finish(self) -> Result<Dataset> {
        let (remaining, count) = (self.remaining(), self.count());
        let (0, Some(size)) = (remaining, self.size) else {
            return Err(Error::new(Code::Usage, format!("{remaining} of {count} images have not been read yet")));
        };
        let Listing { files, labels, classes, skipped } = self.listing;
        Dataset::assemble(Assembly {
            count,
            size,
            pixels: Pixels::Bytes(self.pixels),
            labels,
            targets: None,
            classes,
            names: Names::Paths(files.into_iter().map(|(_, path)| path).collect()),
            skipped,
        })
    }
}

/// The bytes of one file.
fn read(source: &mut Source, place: usize, limits: Limits) -> Result<Bytes> {
    let bounded = |size: u64| {
        let most = limits.file_bytes;
        let too_large = || Error::new(Code::TooLarge, format!("the file has {size} bytes; at most {most} are read"));
        if size > most { Err(too_large()) } else { Ok(()) }
    };
    match source {
        Source::Zip(archive) => Ok(archive.read(place)?.into()),
        Source::Entries(files) => {
            let file = files.get(place).cloned().unwrap_or_default();
            bounded(file.len() as u64)?;
            Ok(file)
        }
        #[cfg(not(target_family = "wasm"))]
        Source::Folder(paths) => {
            let unreadable =
                |error: std::io::Error| Error::new(Code::NotFound, format!("the file cannot be read ({error})"));
            let path = paths.get(place).map(std::path::PathBuf::as_path).unwrap_or(std::path::Path::new(""));
            bounded(std::fs::metadata(path).map_err(unreadable)?.len())?;
            Ok(std::fs::read(path).map_err(unreadable)?.into())
        }
    }
}

/// All files below a folder: their paths within it, and on disk.
#[cfg(not(target_family = "wasm"))]
fn walk(root: &std::path::Path) -> Result<(Vec<String>, Vec<std::path::PathBuf>)> {
    let unreadable = |path: &std::path::Path, error: std::io::Error| {
        Error::new(Code::NotFound, format!("the folder {} cannot be read ({error})", path.display()))
    };
    let (mut names, mut paths) = (Vec::new(), Vec::new());
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let path = entry.map_err(|error| unreadable(&folder, error))?.path();
            let link = path.is_symlink();
            if path.is_dir() && !link {
                folders.push(path);
            } else if path.is_file() {
                let within = path.strip_prefix(root).unwrap_or(&path);
                let parts: Vec<_> = within.components().map(|part| part.as_os_str().to_string_lossy()).collect();
                names.push(parts.join("/"));
                paths.push(path);
            }
        }
    }
    Ok((names, paths))
}
