//! From the bytes of a JPEG or PNG to pixels of the size asked for.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};
use lopper_core::{Code, Error, Result};

use super::{ImageSpec, Limits};

/// Height, width and channels, all fixed.
pub(super) type Size = (usize, usize, usize);

/// The channels to make: 1 or 3.
pub(super) fn channels(want: ImageSpec, otherwise: usize) -> Result<usize> {
    match want.channels.unwrap_or(otherwise) {
        channels @ (1 | 3) => Ok(channels),
        other => {
            let message = format!(
                "the model's input has {other} channels and images have 3 (colour) or 1 (grey); give the data as an npz with float images [N, {other}, H, W]"
            );
            Err(Error::new(Code::DataMismatch, message))
        }
    }
}

/// Reads an image file and makes it `want`'s size, or its own where that is open.
pub(super) fn decode(bytes: &[u8], want: ImageSpec, limits: Limits) -> Result<(Size, Vec<u8>)> {
    let channels = channels(want, 3)?;
    let image = read(bytes, limits)?;
    let size = (want.height.unwrap_or(image.height() as usize), want.width.unwrap_or(image.width() as usize), channels);
    let (width, height, colours) = (image.width() as usize, image.height() as usize, image.into_raw());
    Ok((size, fit(colours, (height, width, 3), size)?))
}

/// Alpha is dropped and a rotation noted in the file is not applied: what loaders that training uses do too.
fn read(bytes: &[u8], limits: Limits) -> Result<RgbImage> {
    let bad =
        |why: String| Error::new(Code::BadData, format!("the image cannot be read ({why}); repair it or take it out"));
    let format = match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) => format,
        Ok(other) => return Err(bad(format!("its content is {other:?}, and only JPEG and PNG are supported"))),
        Err(_) => return Err(bad("its content is neither JPEG nor PNG".into())),
    };
    if format == ImageFormat::Jpeg && !jpeg_is_complete(bytes) {
        return Err(bad("the JPEG ends before its picture does".into()));
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = image::Limits::default();
    bounds.max_alloc = Some(limits.image_pixels.saturating_mul(8));
    reader.limits(bounds);
    let decoder = reader.into_decoder().map_err(|error| bad(error.to_string()))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limits.image_pixels {
        let message = format!("the image has {width} x {height} pixels; at most {} are read", limits.image_pixels);
        return Err(Error::new(Code::TooLarge, message));
    }
    Ok(DynamicImage::from_decoder(decoder).map_err(|error| bad(error.to_string()))?.into_rgb8())
}

/// Whether the end marker follows the start of the compressed picture. The decoder fills what is missing with grey, and
/// a picture that is half grey is no picture of its class.
fn jpeg_is_complete(bytes: &[u8]) -> bool {
    let mut rest = bytes.get(2..).unwrap_or_default();
    loop {
        match *rest {
            [0xff, 0xff, ..] => rest = rest.get(1..).unwrap_or_default(),
            [0xff, 0xda, ..] => return rest.windows(2).any(|pair| pair == [0xff, 0xd9]),
            [0xff, 0x01 | 0xd0..=0xd8, ..] => rest = rest.get(2..).unwrap_or_default(),
            [0xff, _, high, low, ..] => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest = rest.get(2 + length..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

/// Makes an image of `have` into one of `size`; both have 1 or 3 channels.
pub(super) fn fit(pixels: Vec<u8>, have: Size, size: Size) -> Result<Vec<u8>> {
    let recoloured = match (have.2, size.2) {
        (3, 1) => pixels.chunks_exact(3).map(luma).collect(),
        (1, 3) => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        _ => pixels,
    };
    if (have.0, have.1) == (size.0, size.1) {
        return Ok(recoloured);
    }
    let unusable = || {
        Error::new(
            Code::DataMismatch,
            format!("an image of {} x {} cannot be resized to {} x {}", have.0, have.1, size.0, size.1),
        )
    };
    let dimension = |value: usize| u32::try_from(value).ok().filter(|&value| value > 0).ok_or_else(unusable);
    let (from, to) = ((dimension(have.1)?, dimension(have.0)?), (dimension(size.1)?, dimension(size.0)?));
    if size.2 == 1 {
        let image = GrayImage::from_raw(from.0, from.1, recoloured).ok_or_else(unusable)?;
        Ok(imageops::resize(&image, to.0, to.1, FilterType::Triangle).into_raw())
    } else {
        let image = RgbImage::from_raw(from.0, from.1, recoloured).ok_or_else(unusable)?;
        Ok(imageops::resize(&image, to.0, to.1, FilterType::Triangle).into_raw())
    }
}

/// ITU-R 601 in 16-bit fixed point, what Pillow's conversion to grey computes.
fn luma(pixel: &[u8]) -> u8 {
    let weights = [19_595_u32, 38_470, 7_471];
    let sum: u32 = pixel.iter().zip(weights).map(|(&value, weight)| u32::from(value) * weight).sum();
    ((sum + 0x8000) >> 16) as u8
}
