//! Files in and out.

use lopper_pipeline::{Bytes, Code, Error, ExternalData, Result, Source};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

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
    pub fn of(model: &Path) -> Self {
        Self(model.parent().unwrap_or(Path::new("")).to_path_buf())
    }
}

impl ExternalData for Beside {
    fn load(&self, location: &str) -> Result<Bytes> {
        let missing = || {
            Error::new(
                Code::ExternalMissing,
                format!("the model keeps tensors in {location:?}, which cannot be read beside it"),
            )
        };
        let path = self.0.join(location);
        // A link may lead out of the folder although its name does not.
        let real = path.canonicalize().map_err(|_| missing())?;
        let folder = if self.0.as_os_str().is_empty() { Path::new(".") } else { &self.0 };
        if !folder.canonicalize().is_ok_and(|folder| real.starts_with(folder)) {
            let message =
                format!("external data at {location:?} lead out of the model's folder through a link: refused");
            return Err(Error::new(Code::ExternalPath, message));
        }
        fs::read(real).map(Bytes::from).map_err(|_| missing())
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
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let draft = folder.join(format!(".{}.{}.part", name(path), std::process::id()));
    let written = fs::File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    written.map_err(|e| {
        // The draft may not be there at all; what matters is the first error.
        let _ = fs::remove_file(&draft);
        Error::new(Code::Usage, format!("{} cannot be written ({})", path.display(), plain(&e)))
    })
}
