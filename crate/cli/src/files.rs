//! Files in and out.

use lopper_pipeline::{Bytes, Code, Data, Error, ExternalData, Result, Source};
use std::fs;
use std::io::{BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Bytes> {
    let unreadable =
        |e: std::io::Error| Error::new(Code::NotFound, format!("{} cannot be read ({})", path.display(), plain(&e)));
    fs::read(path).map(Bytes::from).map_err(unreadable)
}

/// An operating system's error without its number.
fn plain(e: &std::io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// The name of a file without its folder.
pub fn name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The folder of a model, where its external data lie.
pub struct Beside(PathBuf);

impl Beside {
    /// The folder of this file.
    pub fn of(model: &Path) -> Arc<dyn ExternalData> {
        Arc::new(Self(model.parent().unwrap_or(Path::new("")).to_path_buf()))
    }

    fn open(&self, location: &str) -> Result<fs::File> {
        let path = self.0.join(location);
        // A link may lead out of the folder although its name does not.
        let real = path.canonicalize().map_err(|_| missing(location))?;
        let folder = if self.0.as_os_str().is_empty() { Path::new(".") } else { &self.0 };
        if !folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)) {
            let message =
                format!("external data at {location:?} lead out of the model's folder through a link: refused");
            return Err(Error::new(Code::ExternalPath, message));
        }
        fs::File::open(real).map_err(|_| missing(location))
    }
}

fn missing(location: &str) -> Error {
    let what = format!("the model keeps tensors in {location:?}, which cannot be read beside it");
    Error::new(Code::ExternalMissing, what)
}

impl ExternalData for Beside {
    fn length(&self, location: &str) -> Result<u64> {
        self.open(location)?.metadata().map(|m| m.len()).map_err(|_| missing(location))
    }

    fn read(&self, location: &str, offset: u64, length: usize) -> Result<Bytes> {
        let mut file = self.open(location)?;
        let mut bytes = vec![0; length];
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes));
        read.map(|()| bytes.into()).map_err(|_| missing(location))
    }
}

/// Where images are: a folder, or an archive that is read now.
pub fn images(path: &Path) -> Result<Source> {
    if path.is_dir() { Ok(Source::Folder(path.to_path_buf())) } else { read(path).map(Source::Archive) }
}

/// Refuses to write over an input, unless that was asked for.
pub fn guard(output: &Path, inputs: &[&Path], force: bool) -> Result<()> {
    let real = |path: &Path| path.canonicalize().ok();
    let same = inputs.iter().any(|input| *input == output || real(output).is_some_and(|o| real(input) == Some(o)));
    if same && !force {
        return Err(Error::new(
            Code::Usage,
            format!("{} is an input: give another output, or --force to replace it", output.display()),
        ));
    }
    if output.is_dir() {
        return Err(Error::new(Code::Usage, format!("{} is a folder: give the name of a file", output.display())));
    }
    Ok(())
}

/// Writes a file so that it is there whole or not at all.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, |file| file.write_all(bytes).map_err(|e| unwritable(path, &e)))
}

/// As [`write`], piece by piece: no two large ones are in memory at once.
pub fn write_pieces(path: &Path, pieces: &[Data]) -> Result<()> {
    write_with(path, |file| {
        pieces.iter().try_for_each(|piece| file.write_all(&piece.read()?).map_err(|e| unwritable(path, &e)))
    })
}

fn unwritable(path: &Path, e: &std::io::Error) -> Error {
    Error::new(Code::Usage, format!("{} cannot be written ({})", path.display(), plain(e)))
}

fn write_with(path: &Path, fill: impl FnOnce(&mut BufWriter<fs::File>) -> Result<()>) -> Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{}.{}.part", name(path), std::process::id()));
    let created = fs::File::create(&draft).map_err(|e| unwritable(path, &e));
    let written = created.map(BufWriter::new).and_then(|mut file| {
        fill(&mut file)?;
        let done = file.into_inner().map_err(|e| e.into_error()).and_then(|file| file.sync_all());
        done.and_then(|()| fs::rename(&draft, path)).map_err(|e| unwritable(path, &e))
    });
    // The draft may not be there at all; what matters is the first error.
    written.inspect_err(|_| drop(fs::remove_file(&draft)))
}

/// Where the tensors of a model go that has them in a file beside it.
pub fn data_of(model: &Path) -> PathBuf {
    let mut name = model.file_name().unwrap_or_default().to_owned();
    name.push(".data");
    model.with_file_name(name)
}
