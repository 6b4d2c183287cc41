//! Recipes as text for an address: defaults and notes are left out, known words are one or two letters.
//!
//! After the version comes an object without its parentheses. An object is `(key:value,..)`, a list `!(value,..)`, other values
//! are `!t`, `!f`, `!n`, numbers without a leading zero, known words by their letters, and other text in quotes. Every character
//! may stand behind the `#` of an address.

use super::{Recipe, VERSION};
use crate::error::{Code, Error, Result};
use serde_json::{Map, Value};

/// Known words by their place. New ones go to the end: the place of a word is what a stored address holds.
const WORDS: &[&str] = &[
    "cut",
    "mask",
    "data",
    "tune",
    "criterion",
    "scope",
    "target",
    "ratio",
    "macs",
    "parameters",
    "bytes",
    "latency",
    "milliseconds",
    "table",
    "remove",
    "dead",
    "sets",
    "group_ratios",
    "floor",
    "min_ratio",
    "max_ratio",
    "multiple",
    "locks",
    "heads",
    "steps",
    "schedule",
    "seed",
    "group",
    "global",
    "isomorphic",
    "linear",
    "agp",
    "exponential",
    "l1",
    "l2",
    "kind",
    "amount",
    "count",
    "share",
    "dim",
    "n",
    "tensors",
    "pattern",
    "keep",
    "of",
    "sparse",
    "normalize",
    "validation",
    "test",
    "imagenet",
    "cifar10",
    "none",
    "l1_unstructured",
    "random_unstructured",
    "global_unstructured",
    "ln_structured",
    "random_structured",
    "custom_from_mask",
    "n_m",
    "inf",
    "epochs",
    "learning_rate",
    "batch",
    "resume",
    "reduction",
    "normalizer",
    "device",
    "layers",
    "rest",
    "score",
    "limit",
    "recover",
    "recover_images",
    "bias",
    "lstsq",
    "batchnorm",
    "sum",
    "mean",
    "max",
    "prod",
    "first",
    "std",
    "gaussian",
    "lamp",
    "optimizer",
    "sgd",
    "momentum",
    "nesterov",
    "weight_decay",
    "warmup",
    "temperature",
    "teacher_share",
    "prune_train",
    "preset",
    "short",
    "tune_epochs",
    "features",
];

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Objects and lists within each other.
const MAX_DEPTH: usize = 32;

impl Recipe {
    /// The recipe as short as it can be, for the address of a page.
    ///
    /// # Errors
    /// Never for recipes that were read.
    pub fn to_compact(&self) -> Result<String> {
        let bare = Self { lopper: None, model: None, device: None, ..self.clone() };
        let mut value = serde_json::to_value(&bare)
            .map_err(|e| Error::new(Code::Invalid, format!("the recipe cannot be written ({e})")))?;
        for note in ["name", "images", "split"] {
            if let Some(data) = value.get_mut("data").and_then(Value::as_object_mut) {
                data.remove(note);
            }
        }
        strip(&mut value, &Self::defaults());
        let mut out = VERSION.to_string();
        if let Value::Object(fields) = &value {
            write_fields(fields, &mut out);
        }
        Ok(out)
    }

    /// Reads the compact form.
    ///
    /// # Errors
    /// When the text is none, or of another version.
    pub fn from_compact(text: &str) -> Result<Self> {
        let bad =
            || Error::new(Code::Usage, "this is no recipe: it is neither JSON nor a compact recipe that is whole");
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (version, rest) = text.split_at_checked(digits).ok_or_else(bad)?;
        let version: u64 = version.parse().map_err(|_| bad())?;
        let mut reader = Reader { rest, depth: 0 };
        let mut value = reader.fields(None).ok_or_else(bad)?;
        fill(&mut value, &Self::defaults());
        if let Some(fields) = value.as_object_mut() {
            fields.insert("version".to_owned(), version.into());
        }
        Self::from_value(value)
    }
}

/// Takes out of objects what is as in the defaults.
fn strip(value: &mut Value, defaults: &Value) {
    let (Value::Object(fields), Value::Object(defaults)) = (value, defaults) else { return };
    fields.retain(|key, own| {
        let Some(default) = defaults.get(key) else { return true };
        strip(own, default);
        own != default
    });
}

/// Puts it back.
fn fill(value: &mut Value, defaults: &Value) {
    let (Value::Object(fields), Value::Object(defaults)) = (value, defaults) else { return };
    for (key, default) in defaults {
        match fields.get_mut(key) {
            Some(own) => fill(own, default),
            // A part that is not there is not there.
            None if default.is_object() => {}
            None => {
                fields.insert(key.clone(), default.clone());
            }
        }
    }
}

fn code(word: &str) -> Option<String> {
    let at = WORDS.iter().position(|w| *w == word)?;
    let letter = |i: usize| LETTERS.chars().nth(i);
    let one = LETTERS.len();
    Some(if at < one { letter(at)?.into() } else { format!("_{}", letter(at - one)?) })
}

fn word(code: &str) -> Option<&'static str> {
    let (base, letter) = match code.strip_prefix('_') {
        Some(letter) => (LETTERS.len(), letter),
        None => (0, code),
    };
    let place = LETTERS.find(letter).filter(|_| letter.len() == 1)?;
    WORDS.get(base + place).copied()
}

fn write_text(text: &str, out: &mut String) {
    if let Some(code) = code(text) {
        out.push_str(&code);
        return;
    }
    out.push('\'');
    for b in text.bytes() {
        match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' | b'/' | b':' | b',' | b'?' => {
                out.push(char::from(b));
            }
            _ => out.push_str(&format!("%{b:02X}")),
        }
    }
    out.push('\'');
}

fn write_fields(fields: &Map<String, Value>, out: &mut String) {
    for (i, (key, value)) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_text(key, out);
        out.push(':');
        write(value, out);
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("!n"),
        Value::Bool(true) => out.push_str("!t"),
        Value::Bool(false) => out.push_str("!f"),
        Value::Number(n) => {
            let text = n.to_string();
            let whole = text.strip_suffix(".0").map(|t| format!("{t}."));
            let text = whole.unwrap_or(text);
            match (text.strip_prefix("0."), text.strip_prefix("-0.")) {
                (Some(rest), _) => out.push_str(&format!(".{rest}")),
                (_, Some(rest)) => out.push_str(&format!("-.{rest}")),
                _ => out.push_str(&text),
            }
        }
        Value::String(text) => write_text(text, out),
        Value::Array(list) => {
            out.push_str("!(");
            for (i, v) in list.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(v, out);
            }
            out.push(')');
        }
        Value::Object(fields) => {
            out.push('(');
            write_fields(fields, out);
            out.push(')');
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Characters as long as they are wanted.
    fn run(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c: char| !wanted(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        run
    }

    /// Fields up to a closing character, or to the end of the text.
    fn fields(&mut self, end: Option<char>) -> Option<Value> {
        let mut out = Map::new();
        let over = |own: &mut Self| end.map_or(own.rest.is_empty(), |c| own.take(c));
        if over(self) {
            return Some(Value::Object(out));
        }
        loop {
            let key = self.text()?;
            if !self.take(':') || out.insert(key, self.value()?).is_some() {
                return None;
            }
            if over(self) {
                return Some(Value::Object(out));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn text(&mut self) -> Option<String> {
        if !self.take('\'') {
            return word(self.run(|c| c.is_ascii_alphabetic() || c == '_')).map(str::to_owned);
        }
        let quoted = self.run(|c| c != '\'');
        let mut bytes = Vec::with_capacity(quoted.len());
        let mut rest = quoted.bytes();
        while let Some(b) = rest.next() {
            bytes.push(match b {
                b'%' => {
                    let hex = [rest.next()?, rest.next()?];
                    u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
                }
                other => other,
            });
        }
        let whole = self.take('\'').then_some(bytes)?;
        String::from_utf8(whole).ok()
    }

    fn value(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let out = match self.rest.chars().next()? {
            '!' => self.marked(),
            '(' => {
                self.take('(');
                self.fields(Some(')'))
            }
            '0'..='9' | '-' | '.' => self.number(),
            _ => self.text().map(Value::String),
        };
        self.depth -= 1;
        out
    }

    fn marked(&mut self) -> Option<Value> {
        self.take('!');
        for (c, v) in [('n', Value::Null), ('t', Value::Bool(true)), ('f', Value::Bool(false))] {
            if self.take(c) {
                return Some(v);
            }
        }
        let mut out = Vec::new();
        if !self.take('(') {
            return None;
        }
        while !self.take(')') {
            if !out.is_empty() && !self.take(',') {
                return None;
            }
            out.push(self.value()?);
        }
        Some(Value::Array(out))
    }

    fn number(&mut self) -> Option<Value> {
        let text = self.run(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
        let head = if digits.starts_with('.') { "0" } else { "" };
        let tail = if digits.ends_with('.') { "0" } else { "" };
        serde_json::from_str(&format!("{sign}{head}{digits}{tail}")).ok()
    }
}
