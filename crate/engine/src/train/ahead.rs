//! What was computed once for images that are seen again and again: tensors on the device, looked up by row.

use crate::tensor::{DeviceTensor, by_rank};
use burn::tensor::{Device, Int, Tensor, TensorData};
use lopper_core::{Code, Error, Result};

/// Some tensors of many images, the images first.
#[derive(Debug, Default)]
pub(super) struct Ahead(Vec<Vec<DeviceTensor>>);

impl Ahead {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the next images in.
    pub(super) fn push(&mut self, tensors: Vec<DeviceTensor>) {
        self.0.resize_with(tensors.len(), Vec::new);
        self.0.iter_mut().zip(tensors).for_each(|(pieces, tensor)| pieces.push(tensor));
    }

    /// The rows of some images, counted from the first that was taken in.
    pub(super) fn rows(&mut self, images: &[u32], device: &Device) -> Result<Vec<DeviceTensor>> {
        let rows: Vec<i64> = images.iter().map(|&r| i64::from(r)).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [images.len()]), device);
        let mut out = Vec::with_capacity(self.0.len());
        for pieces in &mut self.0 {
            let all = joined(std::mem::take(pieces))?;
            *pieces = vec![all.clone()];
            let known = all.dims().first().copied().unwrap_or(0);
            if images.iter().any(|&r| r as usize >= known) {
                return Err(Error::new(
                    Code::Usage,
                    format!("an image is asked for beyond the {known} looked at ahead"),
                ));
            }
            out.push(by_rank!(all.rank(), D => Ok(all.float::<D>()?.select(0, rows.clone()).into()))?);
        }
        Ok(out)
    }
}

/// Pieces of a batch as one.
fn joined(mut pieces: Vec<DeviceTensor>) -> Result<DeviceTensor> {
    match (pieces.pop(), pieces.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => by_rank!(last.rank(), D => {
            let pieces = pieces.into_iter().chain([last]).map(DeviceTensor::float::<D>).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::cat(pieces, 0).into())
        }),
        (None, _) => Err(Error::new(Code::Usage, "nothing was looked at ahead")),
    }
}
