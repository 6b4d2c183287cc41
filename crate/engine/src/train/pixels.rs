//! Images that lie on the device as bytes, and are normalised and moved there: a step sends eight numbers an image.

use crate::data::{Dataset, Moved, Normalization, Pixels};
use crate::tensor::DeviceTensor;
use burn::tensor::{Bool, Device, Int, Tensor, TensorData};
use lopper_core::{Code, Error, Result};

/// Bytes in a number.
const PACKED: usize = 4;

/// All images of a data set on a device.
#[derive(Debug)]
pub(super) struct DevicePixels {
    /// A row an image, four bytes a number, the lowest first.
    packed: Tensor<2, Int>,
    /// Rows, columns and channels of each.
    size: [usize; 3],
    /// Mean and deviation of each channel.
    mean: Tensor<3>,
    std: Tensor<3>,
}

impl DevicePixels {
    /// Puts all images on a device.
    ///
    /// # Errors
    /// When they are no bytes, or the normalisation is for another number of channels.
    pub(super) fn new(data: &Dataset, normalization: &Normalization, device: &Device) -> Result<Self> {
        let Pixels::Bytes(bytes) = data.pixels() else {
            return Err(Error::new(Code::Unsupported, "only images of bytes lie on a device as bytes"));
        };
        let size = [data.height(), data.width(), data.channels()];
        let each: usize = size.iter().product();
        let mut packed = Vec::with_capacity(data.len() * each.div_ceil(PACKED));
        for image in bytes.chunks(each) {
            packed.extend(image.chunks(PACKED).map(|four| {
                four.iter().rev().fold(0_u32, |number, &byte| number << 8 | u32::from(byte)).cast_signed()
            }));
        }
        let (mean, std): (Vec<f32>, Vec<f32>) = normalization.of_channels(data.channels())?.into_iter().unzip();
        let row = |v: Vec<f32>| Tensor::<3>::from_data(TensorData::new(v, [1, 1, data.channels()]), device);
        let packed = TensorData::new(packed, [data.len(), each.div_ceil(PACKED)]);
        Ok(Self { packed: Tensor::from_data(packed, device), size, mean: row(mean), std: row(std) })
    }

    /// Some images as [`Dataset::gather`] has them, `[N, C, H, W]`.
    pub(super) fn gather(&self, moved: &[Moved]) -> Result<DeviceTensor> {
        let [rows, columns, channels] = self.size;
        let (count, places) = (moved.len(), rows * columns);
        let device = self.packed.device();
        let [known, stored] = self.packed.dims();
        if moved.iter().any(|m| usize::try_from(m.image()).is_ok_and(|i| i >= known)) {
            return Err(Error::new(Code::Usage, format!("an image is asked for beyond the {known} on the device")));
        }
        let numbers: Vec<i32> = moved.iter().flat_map(Moved::numbers).collect();
        let numbers = Tensor::<2, Int>::from_data(TensorData::new(numbers, [count, Moved::NUMBERS]), &device);
        let of = |at: usize| numbers.clone().narrow(1, at, 1);
        let four = self.packed.clone().select(0, of(0).reshape([count]));
        let byte = |at: usize| {
            let byte = four.clone().bitwise_right_shift_scalar(8 * at as i32).bitwise_and_scalar(255);
            byte.unsqueeze_dim::<3>(2)
        };
        let bytes = Tensor::cat((0..PACKED).map(byte).collect(), 2).reshape([count, stored * PACKED]);
        let images = bytes.narrow(1, 0, places * channels).float().reshape([count, places, channels]).div_scalar(255.0);
        if moved.iter().all(Moved::stays) {
            return Ok(self.planes((images - self.mean.clone()) / self.std.clone(), count));
        }
        let line = |length: usize| Tensor::<1, Int>::arange(0..length as i64, &device).reshape([1, length]);
        let down = line(rows) + of(1);
        let mirrored = of(3) * (line(columns).mul_scalar(-2).add_scalar(columns as i32 - 1));
        let right = line(columns) + mirrored + of(2);
        let grid = |r: Tensor<2, Bool>, c: Tensor<2, Bool>| {
            let (r, c) = (r.float().reshape([count, rows, 1]), c.float().reshape([count, 1, columns]));
            (r * c).reshape([count, places, 1])
        };
        let within = |t: &Tensor<2, Int>, length: usize| {
            t.clone().greater_equal_elem(0).bool_and(t.clone().lower_elem(length as i32))
        };
        let inside = grid(within(&down, rows), within(&right, columns));
        let down = down.clamp(0, rows as i32 - 1).mul_scalar(columns as i32).reshape([count, rows, 1]);
        let right = right.clamp(0, columns as i32 - 1).reshape([count, 1, columns]);
        let from = (down + right).reshape([count, places, 1]).expand([count, places, channels]);
        let images = images.gather(1, from) * inside;
        let between = |length: usize, first: usize| {
            let line = line(length).expand([count, length]);
            line.clone()
                .greater_equal(of(first).expand([count, length]))
                .bool_and(line.lower(of(first + 1).expand([count, length])))
        };
        let seen = grid(between(rows, 4), between(columns, 6)).mul_scalar(-1.0).add_scalar(1.0);
        Ok(self.planes((images - self.mean.clone()) / self.std.clone() * seen, count))
    }

    fn planes(&self, images: Tensor<3>, count: usize) -> DeviceTensor {
        let [rows, columns, channels] = self.size;
        images.swap_dims(1, 2).reshape([count, channels, rows, columns]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use crate::data::Augment;

    #[test]
    fn images_on_the_device_are_those_of_the_host() {
        let device = crate::Device::cpu();
        for (rows, columns, channels) in [(7, 5, 3), (4, 4, 1), (3, 6, 1)] {
            let count = 9;
            let bytes = (0..count * rows * columns * channels).map(|v| (v * 37 % 256) as u8).collect();
            let names = vec![String::new(); count];
            let data =
                Dataset::from_bytes((rows, columns, channels), bytes, vec![0; count], Vec::new(), names).unwrap();
            let normalization = if channels == 3 { Normalization::cifar10() } else { "0.4/0.3".parse().unwrap() };
            let there = DevicePixels::new(&data, &normalization, device.inner()).unwrap();
            let mut changed = 0;
            for (padding, flip, cutout) in [(0, false, 0), (2, true, 0), (9, true, 3), (1, false, 2), (0, true, 0)] {
                let augment = Some(Augment { padding, flip, cutout, seed: 5, epoch: 1 });
                let images = [8, 0, 3, 3, 7, 1, 5];
                let host = data.gather(&images, &normalization, augment).unwrap();
                let (rest, moved) = data.moves(&images, augment).unwrap();
                assert_eq!((rest.shape, rest.labels), (host.shape, host.labels));
                let got = block_on(there.gather(&moved).unwrap().download()).unwrap();
                assert_eq!(got.dims, host.shape);
                for (a, b) in got.as_f32().unwrap().iter().zip(&host.images) {
                    assert!((a - b).abs() < 1e-6, "{a} instead of {b} with {augment:?}");
                }
                changed += usize::from(host.images != data.gather(&images, &normalization, None).unwrap().images);
            }
            assert!(changed >= 3);
        }
    }
}
