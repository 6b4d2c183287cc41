//! What is said when nothing can be cut: the groups and what holds them, or the node that keeps the first axis.

use crate::channels::Channels;
use crate::error::{Code, Error};
use crate::graph::Graph;
use crate::report::pin_infos;

/// Groups that are named; a model may have hundreds.
const NAMED: usize = 3;

/// The error of a plan under which no group may lose a channel. `limits` says what holds each group, if a limit of its own does.
pub(super) fn nothing_to_cut(graph: &Graph, channels: &Channels, limits: &[Option<String>]) -> Error {
    Error::new(
        Code::NothingToCut,
        if channels.groups.is_empty() { pinned(graph, channels) } else { held(channels, limits) },
    )
}

fn held(channels: &Channels, limits: &[Option<String>]) -> String {
    let own = channels.groups.iter().zip(limits);
    let own = own.map(|(g, l)| {
        format!("group {:?} stays ({})", g.name, l.as_deref().unwrap_or("at its floor, ceiling or multiple"))
    });
    let named: Vec<String> = own.take(NAMED).collect();
    let more = match channels.groups.len() - named.len() {
        0 => String::new(),
        n => format!(", and so on for {n} more"),
    };
    format!("no group can be cut: {}{more}; lift what holds one of them", named.join(", "))
}

fn pinned(graph: &Graph, channels: &Channels) -> String {
    let pins = pin_infos(graph, channels);
    // That the model's inputs stay goes without saying.
    let telling = pins.iter().find(|p| !p.node.is_empty() && !p.why.contains("an input of the model"));
    let output = || pins.iter().find(|p| p.node.is_empty());
    match telling.or_else(output).or(pins.first()) {
        Some(p) if p.node.is_empty() => {
            format!("no channel can go: {:?} keeps axis {}, since {}; {}", p.value, p.axis, p.why, p.what_to_do)
        }
        Some(p) => {
            format!(
                "no channel can go: node {:?} ({}) keeps axis {} of {:?}, since {}; {}",
                p.node, p.op, p.axis, p.value, p.why, p.what_to_do
            )
        }
        None => "no channel can go: the model has no layer whose output is made from weights".to_owned(),
    }
}
