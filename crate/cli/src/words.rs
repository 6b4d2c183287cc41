//! Single words of the command line.

use lopper_pipeline::{
    Augmentation, Criterion, DeviceChoice, HARDWARE, Normalizer, Reduction, Schedule, Scope, hardware,
};
use serde::de::{DeserializeOwned, IntoDeserializer};

/// Most channels that one range of positions names.
const MOST_NAMED: usize = 1 << 20;

/// A criterion or a mixture.
pub fn criterion(name: &str) -> Result<Criterion, String> {
    Criterion::parse(name).map_err(|e| e.message().to_owned())
}

/// A reduction.
pub fn reduction(name: &str) -> Result<Reduction, String> {
    Reduction::parse(name).map_err(|e| e.message().to_owned())
}

/// A normaliser.
pub fn normalizer(name: &str) -> Result<Normalizer, String> {
    Normalizer::parse(name).map_err(|e| e.message().to_owned())
}

/// A group and positions in it.
pub fn removal(words: &str) -> Result<(String, Vec<usize>), String> {
    // Names of initializers may hold colons themselves.
    let (group, list) = words.rsplit_once(':').ok_or("give a group and positions in it, as in GROUP:1,5,9")?;
    let position =
        |word: &str| word.trim().parse::<usize>().map_err(|_| format!("{word:?} is no position of a channel"));
    let mut out = Vec::new();
    for word in list.split(',') {
        let (first, last) = word.split_once('-').unwrap_or((word, word));
        let (first, last) = (position(first)?, position(last)?);
        if last >= first.saturating_add(MOST_NAMED) {
            return Err(format!("{word:?} names more than {MOST_NAMED} channels"));
        }
        out.extend(first..=last);
    }
    Ok((group.to_owned(), out))
}

/// A word that a recipe knows too.
pub fn word<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    T::deserialize(name.into_deserializer()).map_err(|e: serde::de::value::Error| e.to_string())
}

/// What happens to images.
#[derive(Clone, Debug)]
pub struct Augmentations(pub Vec<Augmentation>);

/// A list of what happens to images, or `none`.
pub fn augmentations(names: &str) -> Result<Augmentations, String> {
    let names = names.split(',').filter(|name| *name != "none");
    names.map(word).collect::<Result<_, _>>().map(Augmentations)
}

/// A device.
pub fn device(name: &str) -> Result<DeviceChoice, String> {
    name.parse().map_err(|e: lopper_pipeline::Error| e.message().to_owned())
}

/// A scope.
pub fn scope(name: &str) -> Result<Scope, String> {
    match name {
        "group" => Ok(Scope::Group),
        "global" => Ok(Scope::Global),
        "isomorphic" => Ok(Scope::Isomorphic),
        _ => Err("choose group, global or isomorphic".to_owned()),
    }
}

/// A schedule.
pub fn schedule(name: &str) -> Result<Schedule, String> {
    let found = Schedule::ALL.iter().find(|s| s.0 == name).map(|s| s.1);
    found.ok_or_else(|| "choose linear, agp or exponential".to_owned())
}

/// A pattern and a ratio.
pub fn group_ratio(words: &str) -> Result<(String, f64), String> {
    let (glob, ratio) = words.rsplit_once('=').ok_or("give a pattern and a ratio, as in layer1.*=0.3")?;
    let ratio = ratio.parse().map_err(|_| format!("{ratio:?} is no ratio: give a number such as 0.3"))?;
    Ok((glob.to_owned(), ratio))
}

/// The multiple of a kind of hardware.
pub fn multiple_of(name: &str) -> Result<usize, String> {
    let names = || HARDWARE.iter().map(|h| format!("{} ({}: {})", h.0, h.1, h.2)).collect::<Vec<_>>().join(", ");
    hardware(name).ok_or_else(|| format!("choose one of {}", names()))
}
