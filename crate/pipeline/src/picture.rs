//! Numbers as small pictures.

use crate::images::base64;
use serde::Serialize;

/// The longest side of a picture that is made smaller.
const SIDE: usize = 48;

/// Bytes that a page paints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Bytes of a pixel: 1, or 3 for red, green and blue.
    pub planes: usize,
    /// Base64 of the bytes, row-major. Of a picture with signs 128 is zero; of others 0 is the smallest number in it.
    pub bytes: String,
}

/// Numbers with signs: `most` and more is the brightest, minus that the darkest. Missing ones are zero.
pub(crate) fn signed(numbers: &[f32], height: usize, width: usize, most: f32) -> Picture {
    let byte = |v: f32| if most > 0.0 { (128.0 + 127.0 * v / most).round() as u8 } else { 128 };
    let wanted = (height * width).max(numbers.len());
    let bytes: Vec<u8> = numbers.iter().map(|&v| byte(v)).chain(std::iter::repeat(128)).take(wanted).collect();
    Picture { width, height, planes: 1, bytes: base64(&bytes) }
}

/// A map, from its smallest number to its largest; a large one shrinks by averaging blocks. One number alone is black.
pub(crate) fn grey(map: &[f32], height: usize, width: usize) -> Picture {
    let step = height.max(width).div_ceil(SIDE).max(1);
    let (rows, columns) = ((height / step).max(1), (width / step).max(1));
    let (high, wide) = (if height < step { height } else { step }, if width < step { width } else { step });
    let mean = |at: usize| -> f32 {
        let (top, left) = (at / columns * step, at % columns * step);
        let block = (top..top + high).flat_map(|y| (left..left + wide).map(move |x| y * width + x));
        block.map(|at| map.get(at).copied().unwrap_or(0.0)).sum::<f32>() / (high * wide).max(1) as f32
    };
    let small: Vec<f32> = (0..rows * columns).map(mean).collect();
    let low = small.iter().copied().fold(f32::INFINITY, f32::min);
    let most = small.iter().copied().fold(f32::NEG_INFINITY, f32::max) - low;
    let byte = |v: &f32| if most > 0.0 { (255.0 * (v - low) / most).round() as u8 } else { 0 };
    Picture { width: columns, height: rows, planes: 1, bytes: base64(&small.iter().map(byte).collect::<Vec<u8>>()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_the_middle_of_signs() {
        let seen = signed(&[0.0, 2.0, -2.0], 2, 2, 2.0);
        assert_eq!((seen.bytes, seen.width, seen.height), (base64(&[128, 255, 1, 128]), 2, 2));
        assert_eq!(signed(&[0.0], 1, 1, 0.0).bytes, base64(&[128]));
    }

    #[test]
    fn maps_go_from_their_least_to_their_most_and_shrink() {
        assert_eq!(grey(&[1.0, 2.0, 3.0], 1, 3).bytes, base64(&[0, 128, 255]));
        assert_eq!(grey(&[5.0; 4], 2, 2).bytes, base64(&[0; 4]));
        let large: Vec<f32> = (0..96 * 96).map(|at| if at % 96 < 48 { 0.0 } else { 8.0 }).collect();
        let seen = grey(&large, 96, 96);
        assert_eq!((seen.width, seen.height), (48, 48));
        let line: Vec<u8> = (0..48).map(|x| if x < 24 { 0 } else { 255 }).collect();
        assert_eq!(seen.bytes, base64(&line.repeat(48)));
        let column = grey(&(0..97).map(|v| v as f32).collect::<Vec<_>>(), 97, 1);
        assert_eq!((column.width, column.height), (1, 32));
    }
}
