//! numpy's `.npz`: a zip of arrays, of which `images`, `labels` or `targets`, and `classes` are read.

use lopper_core::{Code, Error, Result};

use super::archive::{Archive, reserve};
use super::decode::{self, Size};
use super::npy::{self, Array, Kind};
use super::{Assembly, Dataset, ImageSpec, Names, Pixels, Targets};

/// Whether an archive holds arrays and not image files.
pub(super) fn has_arrays(archive: &Archive) -> bool {
    let names = archive.names();
    find(&names, "images").is_some() || names.iter().any(|name| name.ends_with(".npy"))
}

/// Reads the data set.
pub(super) fn read(mut archive: Archive, want: ImageSpec) -> Result<Dataset> {
    let names = archive.names();
    let images = array(&mut archive, &names, "images")?.ok_or_else(|| {
        let found: Vec<&str> = names.iter().map(|name| name.strip_suffix(".npy").unwrap_or(name)).take(8).collect();
        let message = format!(
            "there is no array \"images\" (found: {}); save it with numpy.savez(file, images=..., labels=...)",
            found.join(", ")
        );
        Error::new(Code::BadData, message)
    })?;
    let targets = array(&mut archive, &names, "targets")?;
    let labels = if targets.is_some() { None } else { array(&mut archive, &names, "labels")? };
    let classes = array(&mut archive, &names, "classes")?;
    let most = archive.limits().total_bytes;
    let (count, size, pixels) = pixels(images, want, most).map_err(|error| error.at("images"))?;
    let labels = labels.map(|labels| read_labels(&labels, count).map_err(|error| error.at("labels"))).transpose()?;
    let targets = targets.map(|t| Targets::read(t, count).map_err(|error| error.at("targets"))).transpose()?;
    let classes =
        classes.map_or(Ok(Vec::new()), |classes| read_classes(&classes).map_err(|error| error.at("classes")))?;
    Dataset::assemble(Assembly {
        count,
        size,
        pixels,
        labels,
        targets,
        classes,
        names: Names::Places("images"),
        skipped: Vec::new(),
    })
}

fn find(names: &[String], array: &str) -> Option<usize> {
    names.iter().position(|name| name.strip_suffix(".npy").unwrap_or(name) == array)
}

fn array(archive: &mut Archive, names: &[String], name: &str) -> Result<Option<Array>> {
    let read = |index| archive.entry(index).and_then(npy::read).map_err(|error| error.at(name));
    find(names, name).map(read).transpose()
}

fn bad(message: String) -> Error {
    Error::new(Code::BadData, message)
}

fn pixels(array: Array, want: ImageSpec, most: u64) -> Result<(usize, Size, Pixels)> {
    if array.header.shape.contains(&0) {
        return Err(bad(format!("the shape is {:?}: there are no images in it", array.header.shape)));
    }
    if let Some(floats) = array.floats() {
        return float_images(&array.header.shape, floats?, want);
    }
    let wrong = |shape: &[usize]| {
        let message =
            format!("whole-number images must be uint8 [N, H, W, 3], [N, H, W, 1] or [N, H, W], this is {shape:?}");
        let hint =
            if matches!(shape, [_, 1 | 3, _, _]) { "; transpose(0, 2, 3, 1) puts the channels last" } else { "" };
        bad(format!("{message}{hint}"))
    };
    if matches!(array.header.kind, Kind::Unicode | Kind::Text) {
        return Err(bad("the images are text; numbers are needed".into()));
    }
    let (count, have) = match *array.header.shape {
        [count, height, width, channels @ (1 | 3)] => (count, (height, width, channels)),
        [count, height, width] => (count, (height, width, 1)),
        _ => return Err(wrong(&array.header.shape)),
    };
    if (array.header.kind, array.header.item) != (Kind::Unsigned, 1) {
        let letter = if array.header.kind == Kind::Unsigned { "uint" } else { "int" };
        let bits = array.header.item * 8;
        return Err(bad(format!(
            "the images are {letter}{bits}; uint8, float32 and float64 are read, so convert with .astype"
        )));
    }
    let size = (want.height.unwrap_or(have.0), want.width.unwrap_or(have.1), decode::channels(want, have.2)?);
    if size == have {
        return Ok((count, size, Pixels::Bytes(array.bytes)));
    }
    let all = [size.0, size.1, size.2].iter().fold(count as u64, |all, &dim| all.saturating_mul(dim as u64));
    if all > most {
        let message = format!(
            "{count} images of {} x {} take {} MiB, and at most {} are held; use fewer images",
            size.0,
            size.1,
            all >> 20,
            most >> 20
        );
        return Err(Error::new(Code::TooLarge, message));
    }
    let mut fitted = reserve(all)?;
    for image in array.bytes.chunks_exact(have.0 * have.1 * have.2) {
        fitted.extend(decode::fit(image.to_vec(), have, size)?);
    }
    Ok((count, size, Pixels::Bytes(fitted)))
}

fn float_images(shape: &[usize], floats: Vec<f32>, want: ImageSpec) -> Result<(usize, Size, Pixels)> {
    let &[count, channels, height, width] = shape else {
        return Err(bad(format!("float images must be [N, C, H, W], this is {shape:?}")));
    };
    for (wanted, have, axis) in
        [(want.channels, channels, "channels"), (want.height, height, "rows"), (want.width, width, "columns")]
    {
        if let Some(wanted) = wanted.filter(|&wanted| wanted != have) {
            let hint = if Some(width) == want.channels {
                "; transpose(0, 3, 1, 2) puts the channels first"
            } else {
                "; float images are not resized"
            };
            let message =
                format!("the float images [N, C, H, W] have {have} {axis} and the model wants {wanted}{hint}");
            return Err(Error::new(Code::DataMismatch, message));
        }
    }
    if let Some(at) = floats.iter().position(|value| !value.is_finite()) {
        let image = at / (channels * height * width);
        return Err(bad(format!(
            "image {image} holds {}, which no network can use; check how the array was made",
            floats.get(at).unwrap_or(&f32::NAN)
        )));
    }
    Ok((count, (height, width, channels), Pixels::Floats(floats)))
}

fn read_labels(array: &Array, count: usize) -> Result<Vec<u32>> {
    let shape = &array.header.shape;
    if !matches!(**shape, [_] | [_, 1]) {
        return Err(bad(format!("the shape is {shape:?}; one whole number for each image is needed, [{count}]")));
    }
    let integers =
        array.integers().ok_or_else(|| bad("the labels are no whole numbers; convert with .astype('int64')".into()))?;
    if integers.len() != count {
        return Err(bad(format!("there are {} labels for {count} images; each image needs one", integers.len())));
    }
    // A class count must still fit in 32 bits, a browser's word.
    let label = |(at, &value): (usize, &i128)| {
        u32::try_from(value)
            .ok()
            .filter(|&label| label < i32::MAX as u32)
            .ok_or_else(|| bad(format!("label {at} is {value}; labels count from 0")))
    };
    integers.iter().enumerate().map(label).collect()
}

fn read_classes(array: &Array) -> Result<Vec<String>> {
    let shape = &array.header.shape;
    if shape.len() != 1 {
        return Err(bad(format!("the shape is {shape:?}; a list of names is needed")));
    }
    array.texts().unwrap_or_else(|| Err(bad("the names are no text; save numpy.array([\"cat\", \"dog\", ...])".into())))
}
