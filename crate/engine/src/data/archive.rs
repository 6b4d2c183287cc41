//! Reading zip archives within bounds.

use std::io::{Cursor, Read};

use bytes::Bytes;
use lopper_core::{Code, Error, Result};
use zip::ZipArchive;
use zip::result::ZipError;

use super::Limits;

/// Deflate cannot make less than one byte out of 1032; a file that claims more is lying about its size.
const MOST_DEFLATE_CAN: u64 = 1032;

/// A zip in memory, and how much has been unpacked from it.
pub(super) struct Archive {
    zip: ZipArchive<Cursor<Bytes>>,
    limits: Limits,
    unpacked: u64,
}

/// One file of the archive, being unpacked.
pub(super) struct Entry<'a> {
    reader: Box<dyn Read + 'a>,
    /// Bytes after unpacking, as the archive says; checked to be possible.
    pub size: u64,
    limits: Limits,
    unpacked: &'a mut u64,
}

impl Archive {
    /// Reads the list of files.
    pub fn open(bytes: Bytes, limits: Limits) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| {
            let message = format!(
                "this is not a readable zip archive ({error}); make it again and see that the copy is complete"
            );
            Error::new(Code::BadData, message)
        })?;
        Ok(Self { zip, limits, unpacked: 0 })
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// The names of all entries, folders with a `/` at their end, by index.
    pub fn names(&self) -> Vec<String> {
        (0..self.zip.len()).map(|index| self.zip.name_for_index(index).unwrap_or_default().to_owned()).collect()
    }

    /// Starts to unpack the entry at `index`.
    pub fn entry(&mut self, index: usize) -> Result<Entry<'_>> {
        let whole = self.zip.offset().saturating_add(self.zip.central_directory_start());
        let file = self.zip.by_index(index).map_err(unreadable)?;
        let (size, packed) = (file.size(), file.compressed_size());
        if packed > whole || size > packed.saturating_mul(MOST_DEFLATE_CAN).saturating_add(64) {
            let message = format!(
                "the archive says that {packed} bytes unpack to {size}, which cannot be; it is damaged or made to do harm"
            );
            return Err(Error::new(Code::BadData, message));
        }
        Ok(Entry { reader: Box::new(file), size, limits: self.limits, unpacked: &mut self.unpacked })
    }

    /// Unpacks the whole entry at `index`, an image file.
    pub fn read(&mut self, index: usize) -> Result<Vec<u8>> {
        let most = self.limits.file_bytes;
        let mut entry = self.entry(index)?;
        if entry.size > most {
            return Err(Error::new(
                Code::TooLarge,
                format!("the file has {} bytes; at most {most} are read", entry.size),
            ));
        }
        let size = entry.size;
        let bytes = entry.take(size)?;
        entry.finish()?;
        Ok(bytes)
    }
}

impl Entry<'_> {
    /// The next `count` bytes.
    pub fn take(&mut self, count: u64) -> Result<Vec<u8>> {
        *self.unpacked = self.unpacked.saturating_add(count);
        if *self.unpacked > self.limits.total_bytes {
            let message = format!(
                "the archive unpacks to more than {} MiB, the most that is read; use fewer or smaller images",
                self.limits.total_bytes >> 20
            );
            return Err(Error::new(Code::TooLarge, message));
        }
        let mut bytes = reserve(count)?;
        self.reader.by_ref().take(count).read_to_end(&mut bytes).map_err(|error| unreadable(error.into()))?;
        if (bytes.len() as u64) < count {
            let message = format!("the data end after {} of {count} bytes; the file is not complete", bytes.len());
            return Err(Error::new(Code::Truncated, message));
        }
        Ok(bytes)
    }

    /// Checks that nothing is left, and with it the archive's checksum.
    pub fn finish(mut self) -> Result<()> {
        let mut rest = [0];
        match self.reader.read(&mut rest) {
            Ok(0) => Ok(()),
            Ok(_) => Err(Error::new(Code::BadData, "there are more data than the header says; the file is damaged")),
            Err(error) => Err(unreadable(error.into())),
        }
    }
}

/// An empty vector with room for `count` values, or an error where memory does not suffice.
pub(super) fn reserve<T>(count: u64) -> Result<Vec<T>> {
    let mut values = Vec::new();
    usize::try_from(count).ok().and_then(|count| values.try_reserve_exact(count).ok()).ok_or_else(|| {
        Error::new(Code::TooLarge, format!("there is no memory left for {count} values; use fewer or smaller images"))
    })?;
    Ok(values)
}

fn unreadable(error: ZipError) -> Error {
    match error {
        ZipError::UnsupportedArchive(why) => {
            let message = format!(
                "the archive uses what is not supported ({why}); make it again as a plain zip, stored or deflated, with no password"
            );
            Error::new(Code::BadData, message)
        }
        other => Error::new(Code::BadData, format!("cannot be unpacked ({other}); the archive is damaged")),
    }
}
