//! From stored images to a network's input.

use lopper_core::{Code, Error, Result};

use super::batches::Shift;
use super::{Augment, Dataset, Normalization, Pixels};

/// Some images as a network's input, with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalised values in NCHW order.
    pub images: Vec<f32>,
    /// N, C, H, W.
    pub shape: [usize; 4],
    /// The class of each image, if known.
    pub labels: Option<Vec<u32>>,
}

/// What stands for one channel's values, and what for black.
struct Scale {
    mean: f32,
    std: f32,
    bytes: [f32; 256],
}

impl Scale {
    fn new((mean, std): (f32, f32)) -> Self {
        let bytes = std::array::from_fn(|byte| (byte as f32 / 255.0 - mean) / std);
        Self { mean, std, bytes }
    }

    fn of_byte(&self, byte: u8) -> f32 {
        self.bytes.get(usize::from(byte)).copied().unwrap_or_default()
    }

    fn of_float(&self, value: f32) -> f32 {
        (value - self.mean) / self.std
    }

    fn black(&self) -> f32 {
        self.of_float(0.0)
    }
}

impl Dataset {
    /// The images at `indices`, normalised and, while training, augmented, as one NCHW batch.
    ///
    /// Bytes count as `byte / 255`, floats as they are; then `(value - mean) / std`. An index may come twice.
    ///
    /// # Errors
    /// [`Code::DataMismatch`] if the normalisation is for another number of channels, [`Code::Usage`] for an index
    /// that is not in the data.
    pub fn gather(&self, indices: &[u32], normalization: &Normalization, augment: Option<Augment>) -> Result<Batch> {
        let scales: Vec<Scale> = normalization.of_channels(self.channels)?.into_iter().map(Scale::new).collect();
        let size = self.height * self.width * self.channels;
        let mut images = vec![0.0; size * indices.len()];
        for (&index, out) in indices.iter().zip(images.chunks_exact_mut(size)) {
            let shift = augment.map(|augment| augment.draw(index, self.height, self.width)).unwrap_or_default();
            self.write(index, &scales, &shift, out)?;
        }
        let labels = self.labels().map(|_| indices.iter().filter_map(|&index| self.label(index)).collect());
        Ok(Batch { images, shape: [indices.len(), self.channels, self.height, self.width], labels })
    }

    /// Writes one image as planes.
    fn write(&self, index: u32, scales: &[Scale], shift: &Shift, out: &mut [f32]) -> Result<()> {
        let (rows, columns, channels) = (self.height, self.width, self.channels);
        let size = rows * columns * channels;
        let missing = || Error::new(Code::Usage, format!("there is no image {index}; the data have {}", self.count));
        let start = Some(index as usize).filter(|&index| index < self.count).ok_or_else(missing)? * size;
        let planes = out.chunks_exact_mut(rows * columns).zip(scales);
        match &self.pixels {
            Pixels::Bytes(bytes) => {
                let image = bytes.get(start..start + size).ok_or_else(missing)?;
                for (channel, (plane, scale)) in planes.enumerate() {
                    let row = |row: &mut [f32], from: usize| {
                        let pixels = image.chunks_exact(columns * channels).nth(from).unwrap_or_default();
                        let values = pixels.iter().skip(channel).step_by(channels);
                        row.iter_mut().zip(values).for_each(|(out, &byte)| *out = scale.of_byte(byte));
                    };
                    fill(plane, columns, shift, scale.black(), row);
                }
            }
            Pixels::Floats(floats) => {
                let image = floats.get(start..start + size).ok_or_else(missing)?;
                for ((plane, scale), stored) in planes.zip(image.chunks_exact(rows * columns)) {
                    let row = |row: &mut [f32], from: usize| {
                        let values = stored.chunks_exact(columns).nth(from).unwrap_or_default();
                        row.iter_mut().zip(values).for_each(|(out, &value)| *out = scale.of_float(value));
                    };
                    fill(plane, columns, shift, scale.black(), row);
                }
            }
        }
        Ok(())
    }
}

/// Fills one plane with the window that `shift` asks for; `read` writes a whole stored row.
fn fill(plane: &mut [f32], columns: usize, shift: &Shift, black: f32, read: impl Fn(&mut [f32], usize)) {
    let rows = plane.len() / columns;
    for (at, row) in plane.chunks_exact_mut(columns).enumerate() {
        match at.checked_add_signed(shift.down).filter(|&from| from < rows) {
            None => row.fill(black),
            Some(from) => {
                read(row, from);
                slide(row, shift.right, black);
            }
        }
        if shift.mirror {
            row.reverse();
        }
        if let Some([_, columns]) = shift.hole.as_ref().filter(|[rows, _]| rows.contains(&at)) {
            row.iter_mut().take(columns.end).skip(columns.start).for_each(|value| *value = 0.0);
        }
    }
}

/// Moves a row's values left by `right` (to the right if negative); black comes in.
fn slide(row: &mut [f32], right: isize, black: f32) {
    let far = right.unsigned_abs().min(row.len());
    let kept = row.len() - far;
    if right >= 0 {
        row.rotate_left(far);
        row.iter_mut().skip(kept).for_each(|value| *value = black);
    } else {
        row.rotate_right(far);
        row.iter_mut().take(far).for_each(|value| *value = black);
    }
}
