//! Channels that a person names: heads, blocks, single channels.

use super::solve::is_locked;
use super::{cost, matches_glob};
use crate::channels::Channels;
use crate::cut::Kept;
use crate::error::{Code, Error, Result};
use crate::graph::Graph;
use std::collections::{BTreeMap, HashSet};

/// The classes of the named channels, with all that can only go with them.
///
/// # Errors
/// When there is no such group or channel, one of them is locked, or what is left is no grid.
pub(super) fn listed(
    graph: &Graph,
    channels: &Channels,
    wanted: &BTreeMap<String, Vec<usize>>,
    limits: &[Option<String>],
) -> Result<HashSet<u32>> {
    let mut out = HashSet::new();
    for (name, positions) in wanted {
        let group = channels.groups.iter().find(|g| g.name == *name).ok_or_else(|| unknown(channels, name))?;
        for &k in positions {
            out.insert(*group.classes.get(k).ok_or_else(|| {
                let last = group.classes.len().saturating_sub(1);
                Error::new(Code::Usage, format!("group {name:?} has the channels 0 to {last}, and no {k}"))
            })?);
        }
    }
    channels.close_rows(&mut out);
    if out.is_empty() {
        return Err(Error::new(Code::NothingToCut, "no channel is named that could go"));
    }
    for (group, limit) in channels.groups.iter().zip(limits) {
        let lock = limit.as_ref().filter(|_| is_locked(limit));
        if let Some(lock) = lock.filter(|_| group.classes.iter().any(|c| out.contains(c))) {
            return Err(Error::new(
                Code::Usage,
                format!("group {:?} would lose channels, but it is {lock}", group.name),
            ));
        }
    }
    if let Some(value) = channels.uneven(&out) {
        let name = &graph.values[value].name;
        let what =
            format!("the blocks of {name:?} would differ in length: name as many channels of each, or whole blocks");
        return Err(Error::new(Code::NoTarget, what));
    }
    let kept = Kept::new(graph, channels, out.iter().copied());
    cost(graph, &kept).map_err(|e| {
        let what = format!("{}: name as many channels of every row, or whole rows", e.message());
        Error::new(Code::NoTarget, what)
    })?;
    Ok(out)
}

fn unknown(channels: &Channels, name: &str) -> Error {
    let near: Vec<&str> = channels
        .groups
        .iter()
        .map(|g| g.name.as_str())
        .filter(|n| matches_glob(&format!("*{name}*"), n))
        .take(5)
        .collect();
    let hint = if near.is_empty() {
        "`lopper inspect` lists them".to_owned()
    } else {
        format!("did you mean {}?", near.join(", "))
    };
    Error::new(Code::Usage, format!("there is no group {name:?}; {hint}"))
}
