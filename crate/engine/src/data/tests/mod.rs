//! Whole-file tests: every archive, image and array is made here.

mod arrays;
mod images;
mod shared;
mod training;

use std::io::{Cursor, Write};

use bytes::Bytes;
use image::{ImageFormat, RgbImage};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::*;

/// A zip of these files, deflated.
fn zip_of<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    zip_with(CompressionMethod::Deflated, files)
}

fn zip_with<'a>(method: CompressionMethod, files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A picture whose pixels all differ a little around one colour.
fn picture(width: u32, height: u32, colour: [u8; 3], format: ImageFormat) -> Vec<u8> {
    let shade = |x: u32, y: u32| colour.map(|value| value.saturating_add((x + 2 * y) as u8 % 16));
    let mut bytes = Cursor::new(Vec::new());
    RgbImage::from_fn(width, height, |x, y| image::Rgb(shade(x, y))).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    picture(width, height, colour, ImageFormat::Png)
}

/// A numpy array file, written by hand.
fn npy(descr: &str, fortran: bool, shape: &str, data: &[u8]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    npy_with(1, header.as_bytes(), data)
}

fn npy_with(version: u8, header: &[u8], data: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY".to_vec();
    bytes.extend([version, 0]);
    match version {
        1 => bytes.extend((header.len() as u16).to_le_bytes()),
        _ => bytes.extend((header.len() as u32).to_le_bytes()),
    }
    bytes.extend(header);
    bytes.extend(data);
    bytes
}

fn from_npz<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Result<Dataset> {
    Dataset::from_npz(zip_of(files).into(), ImageSpec::default())
}

fn from_zip(bytes: Vec<u8>) -> Result<Dataset> {
    Dataset::from_zip(Bytes::from(bytes), ImageSpec::default())
}

fn bytes_of(data: &Dataset) -> &[u8] {
    match data.pixels() {
        Pixels::Bytes(bytes) => bytes,
        Pixels::Floats(_) => panic!("floats"),
    }
}

fn floats_of(data: &Dataset) -> &[f32] {
    match data.pixels() {
        Pixels::Floats(floats) => floats,
        Pixels::Bytes(_) => panic!("bytes"),
    }
}
