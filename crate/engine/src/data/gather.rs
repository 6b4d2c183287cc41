//! From stored images to a network's input.

use lopper_core::{Code, Error, Result};

use super::batches::Shift;
use super::{Augment, Dataset, Normalization, Pixels, Targets};

/// Some images as a network's input, with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Normalised values in NCHW order.
    pub images: Vec<f32>,
    /// N, C, H, W.
    pub shape: [usize; 4],
    /// The class of each image, if known.
    pub labels: Option<Vec<u32>>,
    /// What the images ask for where that is no class of their own.
    pub targets: Option<Targets>,
}

/// An image, and how it is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    index: u32,
    shift: Shift,
}

impl Moved {
    /// How many numbers say it.
    pub const NUMBERS: usize = 8;

    /// Which image.
    pub fn image(&self) -> u32 {
        self.index
    }

    /// Whether it stays as it is.
    pub fn stays(&self) -> bool {
        self.shift == Shift::default()
    }

    /// The image; rows down and columns right that the window starts; 1 if that is mirrored; where rows and columns of the hole begin
    /// and end.
    pub fn numbers(&self) -> [i32; Self::NUMBERS] {
        let Shift { down, right, mirror, hole } = &self.shift;
        let [rows, columns] = hole.clone().unwrap_or_default();
        let whole = [*down, *right].map(|v| v as i32);
        let ends = [rows.start, rows.end, columns.start, columns.end].map(|v| v as i32);
        let ([down, right], [top, bottom, left, end]) = (whole, ends);
        [self.index as i32, down, right, i32::from(*mirror), top, bottom, left, end]
    }
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
        let shifts = self.shifts(indices, augment);
        for ((index, shift), out) in shifts.iter().zip(images.chunks_exact_mut(size)) {
            self.write(*index, &scales, shift, out)?;
            hide(shift, [self.height, self.width], out);
        }
        Ok(Batch { images, ..self.without_pixels(&shifts)? })
    }

    /// What [`Dataset::gather`] gives but for the pixels, and how whoever has them must move each image.
    ///
    /// # Errors
    /// When targets cannot follow.
    pub fn moves(&self, indices: &[u32], augment: Option<Augment>) -> Result<(Batch, Vec<Moved>)> {
        let shifts = self.shifts(indices, augment);
        let batch = self.without_pixels(&shifts)?;
        Ok((batch, shifts.into_iter().map(|(index, shift)| Moved { index, shift }).collect()))
    }

    fn shifts(&self, indices: &[u32], augment: Option<Augment>) -> Vec<(u32, Shift)> {
        let draw = |index| augment.map(|augment| augment.draw(index, self.height, self.width)).unwrap_or_default();
        indices.iter().map(|&index| (index, draw(index))).collect()
    }

    fn without_pixels(&self, shifts: &[(u32, Shift)]) -> Result<Batch> {
        let labels = self.labels().map(|_| shifts.iter().filter_map(|(index, _)| self.label(*index)).collect());
        let targets = self.targets().map(|t| t.gather(shifts, [self.height, self.width])).transpose()?;
        let shape = [shifts.len(), self.channels, self.height, self.width];
        Ok(Batch { images: Vec::new(), shape, labels, targets })
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
                    fill(plane, [rows, columns], shift, scale.black(), row);
                }
            }
            Pixels::Floats(floats) => {
                let image = floats.get(start..start + size).ok_or_else(missing)?;
                for ((plane, scale), stored) in planes.zip(image.chunks_exact(rows * columns)) {
                    let row = |row: &mut [f32], from: usize| {
                        let values = stored.chunks_exact(columns).nth(from).unwrap_or_default();
                        row.iter_mut().zip(values).for_each(|(out, &value)| *out = scale.of_float(value));
                    };
                    fill(plane, [rows, columns], shift, scale.black(), row);
                }
            }
        }
        Ok(())
    }
}

/// Fills planes, one below the other, with the window that `shift` asks for; `read` writes a whole stored row.
pub(super) fn fill<T: Copy>(
    planes: &mut [T],
    [rows, columns]: [usize; 2],
    shift: &Shift,
    black: T,
    read: impl Fn(&mut [T], usize),
) {
    for (plane, all) in planes.chunks_exact_mut(rows * columns).enumerate() {
        for (at, row) in all.chunks_exact_mut(columns).enumerate() {
            match at.checked_add_signed(shift.down).filter(|&from| from < rows) {
                None => row.fill(black),
                Some(from) => {
                    read(row, plane * rows + from);
                    slide(row, shift.right, black);
                }
            }
            if shift.mirror {
                row.reverse();
            }
        }
    }
}

/// Sets the hole of an image to zero in all planes.
fn hide(shift: &Shift, [rows, columns]: [usize; 2], planes: &mut [f32]) {
    let Some([down, right]) = &shift.hole else { return };
    for plane in planes.chunks_exact_mut(rows * columns) {
        for row in plane.chunks_exact_mut(columns).take(down.end).skip(down.start) {
            row.iter_mut().take(right.end).skip(right.start).for_each(|value| *value = 0.0);
        }
    }
}

/// Moves a row's values left by `right` (to the right if negative); black comes in.
fn slide<T: Copy>(row: &mut [T], right: isize, black: T) {
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
