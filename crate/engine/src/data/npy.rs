//! One numpy array file (`.npy`, versions 1 to 3): the header, then the values.

use lopper_core::{Code, Error, Result};

use super::archive::{Entry, reserve};

/// A longer header is no array of numbers; numpy itself stops at 10,000 bytes.
const MOST_HEADER_BYTES: usize = 64 << 10;
const MAGIC: &[u8] = b"\x93NUMPY";

/// The kind of an array's items, after numpy's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Signed,
    Unsigned,
    Float,
    /// Fixed-length text of 4-byte characters.
    Unicode,
    /// Fixed-length text of bytes.
    Text,
}

/// What the header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub kind: Kind,
    /// Bytes of one item.
    pub item: usize,
    big_endian: bool,
    fortran: bool,
    pub shape: Vec<usize>,
}

/// An array in C order, items in the file's byte order.
pub(super) struct Array {
    pub header: Header,
    pub bytes: Vec<u8>,
}

fn bad(what: impl Into<String>) -> Error {
    Error::new(Code::BadData, what)
}

/// Reads a whole array. The header's shape is checked against the size of the file before anything is reserved.
pub(super) fn read(mut entry: Entry<'_>) -> Result<Array> {
    let start = entry.take(8)?;
    let (magic, version) = start.split_at_checked(6).unwrap_or_default();
    if magic != MAGIC {
        return Err(bad("this is not a numpy array file: its first bytes are wrong; save it with numpy.savez"));
    }
    let width = match *version {
        [1, _] => 2,
        [2 | 3, _] => 4,
        _ => {
            return Err(bad(format!(
                "version {} of numpy's file format is not known; versions 1 to 3 are",
                version.first().unwrap_or(&0)
            )));
        }
    };
    let length = entry.take(width)?.iter().rev().fold(0, |length: usize, &byte| length << 8 | usize::from(byte));
    if length > MOST_HEADER_BYTES {
        return Err(bad(format!("the array's header has {length} bytes; at most {MOST_HEADER_BYTES} make sense")));
    }
    let text = entry.take(length as u64)?;
    let text = std::str::from_utf8(&text).map_err(|_| bad("the array's header is not text; the file is damaged"))?;
    let header = parse(text)?;
    let present = entry.size.saturating_sub(8 + width + length as u64);
    let needed = header.shape.iter().try_fold(header.item as u64, |bytes, &dim| bytes.checked_mul(dim as u64));
    if needed != Some(present) {
        let code = if needed.is_none_or(|needed| needed > present) { Code::Truncated } else { Code::BadData };
        let needed = needed.map_or("more than can be counted".into(), |needed| needed.to_string());
        let message = format!(
            "the header's shape {:?} with {} bytes an item needs {needed} bytes but {present} are there; the file is damaged",
            header.shape, header.item
        );
        return Err(Error::new(code, message));
    }
    let stored = entry.take(present)?;
    entry.finish()?;
    let bytes = if header.fortran && !stored.is_empty() { to_c_order(&stored, &header)? } else { stored };
    Ok(Array { header, bytes })
}

/// Reorders items from first-index-fastest to last-index-fastest.
fn to_c_order(stored: &[u8], header: &Header) -> Result<Vec<u8>> {
    let mut ordered = reserve(stored.len() as u64)?;
    let mut steps = Vec::new();
    let mut step = header.item;
    for &dim in &header.shape {
        steps.push(step);
        step *= dim;
    }
    let mut at = vec![0; header.shape.len()];
    for _ in 0..stored.len().checked_div(header.item).unwrap_or(0) {
        let from: usize = at.iter().zip(&steps).map(|(at, step)| at * step).sum();
        ordered.extend_from_slice(stored.get(from..from + header.item).unwrap_or_default());
        for (at, dim) in at.iter_mut().zip(&header.shape).rev() {
            *at += 1;
            if *at < *dim {
                break;
            }
            *at = 0;
        }
    }
    Ok(ordered)
}

/// Reads the header: a Python dictionary with `descr`, `fortran_order` and `shape`, in any order.
fn parse(text: &str) -> Result<Header> {
    let inside = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let inside = inside.ok_or_else(|| bad("the array's header is not a dictionary; the file is damaged"))?;
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    let mut rest = inside.trim();
    while !rest.is_empty() {
        let (key, after) = quoted(rest).ok_or_else(|| bad("the array's header is damaged"))?;
        let after =
            after.trim_start().strip_prefix(':').ok_or_else(|| bad("the array's header is damaged"))?.trim_start();
        let end = match after.chars().next() {
            Some('(') => after.find(')').map(|at| at + 1),
            Some('\'' | '"') => quoted(after).map(|(_, rest)| after.len() - rest.len()),
            Some('[') => return Err(bad("the array holds records of several fields; save plain arrays of numbers")),
            _ => after.find(',').or(Some(after.len())),
        };
        let (value, after) =
            end.and_then(|end| after.split_at_checked(end)).ok_or_else(|| bad("the array's header is damaged"))?;
        match key {
            "descr" => descr = Some(item_type(quoted(value).map_or("", |(text, _)| text))?),
            "fortran_order" => fortran = boolean(value.trim()),
            "shape" => shape = Some(dimensions(value)?),
            other => return Err(bad(format!("the array's header has an unknown entry \"{other}\""))),
        }
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    let (Some((kind, item, big_endian)), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
        return Err(bad("the array's header lacks its type, order or shape; the file is damaged"));
    };
    Ok(Header { kind, item, big_endian, fortran, shape })
}

/// The text between quotes at the start, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| ['\'', '"'].contains(quote))?;
    text.get(1..)?.split_once(quote)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "True" => Some(true),
        "False" => Some(false),
        _ => None,
    }
}

/// Reads `(3, 4)`, `(3,)` or `()`; Python 2 wrote `3L`.
fn dimensions(text: &str) -> Result<Vec<usize>> {
    let wrong = || bad(format!("the array's shape {text} is not usable"));
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')).ok_or_else(wrong)?.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Ok(Vec::new());
    }
    let shape: Option<Vec<usize>> =
        inside.split(',').map(|dim| dim.trim().trim_end_matches('L').parse().ok()).collect();
    shape.filter(|shape| shape.len() <= 32).ok_or_else(wrong)
}

/// Reads `<f4`, `|u1`, `<U10` and the like: kind, bytes of an item, whether the first byte is the highest.
fn item_type(text: &str) -> Result<(Kind, usize, bool)> {
    let unsupported = |why: &str| bad(format!("the array's type \"{text}\" {why}"));
    let plain = text.trim_start_matches(['<', '>', '|', '=']);
    let mut letters = plain.chars();
    let letter = letters.next().ok_or_else(|| unsupported("is missing"))?;
    if letter == 'O' {
        return Err(unsupported(
            "means Python objects, which only Python can read; convert with .astype before saving",
        ));
    }
    let number: usize = letters.as_str().parse().map_err(|_| unsupported("is not known"))?;
    let (kind, item) = match (letter, number) {
        ('i', 1 | 2 | 4 | 8) => (Kind::Signed, number),
        ('u', 1 | 2 | 4 | 8) | ('b', 1) => (Kind::Unsigned, number),
        ('f', 4 | 8) => (Kind::Float, number),
        ('U', 1..=4096) => (Kind::Unicode, number * 4),
        ('S' | 'a', 1..=4096) => (Kind::Text, number),
        _ => return Err(unsupported("is not supported; integers, float32, float64 and text are")),
    };
    Ok((kind, item, text.starts_with('>')))
}

impl Array {
    /// The values of an integer array.
    pub fn integers(&self) -> Option<Vec<i128>> {
        let signed = match self.header.kind {
            Kind::Signed => true,
            Kind::Unsigned => false,
            _ => return None,
        };
        let value = |item: u64| {
            let unused = 64 - 8 * self.header.item as u32;
            if signed { i128::from(((item << unused) as i64) >> unused) } else { i128::from(item) }
        };
        Some(self.items().map(value).collect())
    }

    /// The values of a float array.
    pub fn floats(&self) -> Option<Result<Vec<f32>>> {
        let value =
            |item: u64| if self.header.item == 4 { f32::from_bits(item as u32) } else { f64::from_bits(item) as f32 };
        (self.header.kind == Kind::Float).then(|| {
            let mut values = reserve((self.bytes.len() / self.header.item) as u64)?;
            values.extend(self.items().map(value));
            Ok(values)
        })
    }

    /// The texts of a text array.
    pub fn texts(&self) -> Option<Result<Vec<String>>> {
        let count = self.header.shape.iter().product();
        let item = self.header.item;
        let each = |at: usize| self.bytes.get(at * item..(at + 1) * item).unwrap_or_default();
        match self.header.kind {
            Kind::Unicode => Some((0..count).map(|at| self.unicode(each(at))).collect()),
            Kind::Text => Some((0..count).map(|at| utf8(each(at))).collect()),
            _ => None,
        }
    }

    /// The items of a number array as bits.
    fn items(&self) -> impl Iterator<Item = u64> {
        let join = |bits: u64, &byte: &u8| bits << 8 | u64::from(byte);
        self.bytes.chunks_exact(self.header.item.max(1)).map(move |item| {
            if self.header.big_endian { item.iter().fold(0, join) } else { item.iter().rev().fold(0, join) }
        })
    }

    fn unicode(&self, item: &[u8]) -> Result<String> {
        let characters = item.as_chunks::<4>().0.iter().map(|&bytes| {
            let code = if self.header.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
            char::from_u32(code).ok_or_else(|| bad(format!("a name holds {code:#x}, which is no character")))
        });
        Ok(characters.collect::<Result<String>>()?.trim_end_matches('\0').to_owned())
    }
}

fn utf8(item: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(item).map_err(|_| bad("a name is not UTF-8 text"))?;
    Ok(text.trim_end_matches('\0').to_owned())
}
