//! A few images to look at.

use std::collections::BTreeMap;

use super::{Dataset, Pixels};

/// One image for a screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Which image it is.
    pub image: u32,
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Red, green, blue and opacity of each pixel.
    pub rgba: Vec<u8>,
    /// Its class, if known.
    pub label: Option<u32>,
    /// Where it came from.
    pub name: String,
}

impl Dataset {
    /// Some `most` images spread evenly over the classes and, within a class, over its images; in order of class.
    /// Float images are stretched to what a screen can show, each by itself.
    pub fn thumbnails(&self, most: usize) -> Vec<Thumbnail> {
        let mut by_class: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for image in 0..self.count as u32 {
            by_class.entry(self.label(image).unwrap_or(0)).or_default().push(image);
        }
        // Turn by turn, so that small classes leave their share to the others.
        let mut shares = vec![0; by_class.len()];
        let mut left = most.min(self.count);
        while left > 0 {
            for (share, members) in shares.iter_mut().zip(by_class.values()) {
                if left > 0 && *share < members.len() {
                    *share += 1;
                    left -= 1;
                }
            }
        }
        let chosen = by_class.values().zip(shares).flat_map(|(members, share)| {
            (0..share).filter_map(move |at| members.get(at * members.len() / share)).copied()
        });
        chosen.map(|image| self.thumbnail(image)).collect()
    }

    /// One image for a screen.
    pub fn thumbnail(&self, image: u32) -> Thumbnail {
        let size = self.height * self.width * self.channels;
        let range = image as usize * size..(image as usize + 1) * size;
        let rgba = match &self.pixels {
            Pixels::Bytes(bytes) => {
                bytes.get(range).unwrap_or_default().chunks_exact(self.channels).flat_map(opaque).collect()
            }
            Pixels::Floats(floats) => self.stretched(floats.get(range).unwrap_or_default()),
        };
        Thumbnail {
            image,
            width: self.width,
            height: self.height,
            rgba,
            label: self.label(image),
            name: self.name(image),
        }
    }

    /// Planes to pixels, the lowest value black and the highest white.
    fn stretched(&self, planes: &[f32]) -> Vec<u8> {
        let low = planes.iter().copied().fold(f32::INFINITY, f32::min);
        let high = planes.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = 255.0 / (high - low).max(f32::MIN_POSITIVE);
        let shown = if self.channels < 3 { 1 } else { 3 };
        let area = self.height * self.width;
        let value = |at: usize| planes.get(at).map_or(0, |value| ((value - low) * scale).round() as u8);
        (0..area)
            .flat_map(|at| opaque(&(0..shown).map(|channel| value(channel * area + at)).collect::<Vec<u8>>()))
            .collect()
    }
}

/// Grey or colour with full opacity.
fn opaque(pixel: &[u8]) -> [u8; 4] {
    match *pixel {
        [red, green, blue, ..] => [red, green, blue, 255],
        [grey, ..] => [grey, grey, grey, 255],
        [] => [0, 0, 0, 255],
    }
}
