//! What images ask for where that is no class of their own: numbers, or a class for each place of an output.

use lopper_core::{Code, Error, Result};

use super::batches::Shift;
use super::gather::fill;
use super::npy::{Array, Kind};

/// The class of a place that counts for nothing, as in PASCAL VOC and Cityscapes.
pub const IGNORED: u8 = 255;

/// What images ask for where that is no class of their own.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Numbers.
    Values {
        /// Lengths of the axes of one image's numbers; none for a single number.
        dims: Vec<usize>,
        /// Of all images, row-major.
        values: Vec<f32>,
    },
    /// A class for each place of an output.
    Places {
        /// Lengths of the axes of one image's places, such as rows and columns.
        dims: Vec<usize>,
        /// Of all images, row-major; [`IGNORED`] where none counts.
        classes: Vec<u8>,
    },
}

fn bad(message: String) -> Error {
    Error::new(Code::BadData, message)
}

impl Targets {
    /// Floats are numbers, `[N, ...]`; integers of two or more axes are classes of places.
    pub(super) fn read(array: Array, count: usize) -> Result<Self> {
        let shape = array.header.shape.clone();
        let dims = match shape.split_first() {
            Some((&first, dims)) if first == count && !dims.contains(&0) => dims.to_vec(),
            _ => return Err(bad(format!("the shape is {shape:?}; its first axis must be the {count} images"))),
        };
        if let Some(values) = array.floats() {
            let values = values?;
            return match values.iter().position(|v| !v.is_finite()) {
                Some(at) => Err(bad(format!(
                    "image {} asks for {}, which no network can give; check how the array was made",
                    at / (values.len() / count.max(1)).max(1),
                    values.get(at).unwrap_or(&f32::NAN)
                ))),
                None => Ok(Self::Values { dims, values }),
            };
        }
        if dims.is_empty() || dims == [1] {
            return Err(bad(
                "one whole number for each image is a class: name the array \"labels\", or convert it with \
                 .astype('float32') if the number itself is to be learnt"
                    .into(),
            ));
        }
        let class = |(at, &value): (usize, &i128)| {
            u8::try_from(value)
                .map_err(|_| bad(format!("place {at} has class {value}; classes go from 0 to 254, and 255 counts not")))
        };
        let classes = match (array.header.kind, array.header.item) {
            (Kind::Unsigned, 1) => array.bytes,
            _ => array
                .integers()
                .ok_or_else(|| bad("the targets are text; numbers are needed".into()))?
                .iter()
                .enumerate()
                .map(class)
                .collect::<Result<_>>()?,
        };
        Ok(Self::Places { dims, classes })
    }

    /// Lengths of the axes of what one image asks for.
    pub fn dims(&self) -> &[usize] {
        let (Self::Values { dims, .. } | Self::Places { dims, .. }) = self;
        dims
    }

    /// Whether cropping and mirroring images leaves what they ask for true, because it is cropped and mirrored with them.
    pub fn follow(&self, rows: usize, columns: usize) -> bool {
        matches!(self, Self::Places { dims, .. } if *dims == [rows, columns])
    }

    /// Those of some images of so many rows and columns, moved as each image is. Planes of numbers are mirrored, and numbers of
    /// another shape say something of the image as a whole.
    pub(super) fn gather(&self, shifts: &[(u32, Shift)], [rows, columns]: [usize; 2]) -> Result<Self> {
        let dims = self.dims().to_vec();
        let size = dims.iter().product::<usize>();
        let plane = dims.ends_with(&[rows, columns]);
        let places = matches!(self, Self::Places { .. });
        let refused = |s: &Shift| {
            let shifted = s.down != 0 || s.right != 0;
            if places { !self.follow(rows, columns) && (shifted || s.mirror) } else { plane && shifted }
        };
        if shifts.iter().any(|(_, s)| refused(s)) {
            let what = format!(
                "targets of shape {dims:?} cannot follow when images of {rows} x {columns} are cropped or mirrored: leave crop \
                 and flip out of the augmentation"
            );
            return Err(Error::new(Code::Usage, what));
        }
        Ok(match self {
            Self::Values { values, .. } => {
                let values = moved(values, size, shifts, plane.then_some([rows, columns]), 0.0);
                Self::Values { dims, values }
            }
            Self::Places { classes, .. } => {
                let classes = moved(classes, size, shifts, plane.then_some([rows, columns]), IGNORED);
                Self::Places { dims, classes }
            }
        })
    }
}

/// The items of some images; planes of so many rows and columns are moved, and `outside` comes in.
fn moved<T: Copy>(all: &[T], size: usize, shifts: &[(u32, Shift)], plane: Option<[usize; 2]>, outside: T) -> Vec<T> {
    let mut out = Vec::with_capacity(size * shifts.len());
    for (image, shift) in shifts {
        let stored = all.chunks_exact(size.max(1)).nth(*image as usize).unwrap_or_default();
        let Some(plane @ [_, columns]) = plane else {
            out.extend_from_slice(stored);
            continue;
        };
        let mut own = vec![outside; size];
        let row = |row: &mut [T], from: usize| {
            let values = stored.chunks_exact(columns).nth(from).unwrap_or_default();
            row.iter_mut().zip(values).for_each(|(out, &value)| *out = value);
        };
        fill(&mut own, plane, shift, outside, row);
        out.extend(own);
    }
    out
}
