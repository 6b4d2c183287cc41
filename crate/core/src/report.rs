//! The report of a cut, as JSON: what was done, in enough detail to check it without trusting it.

use crate::channels::advice::what_to_do;
use crate::channels::{Channels, Role};
use crate::cut::{Cut, MaskEntry};
use crate::graph::Graph;
use crate::onnx::Model;
use crate::plan::{Achieved, Plan, whole_cost};
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A number before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Before the cut.
    pub before: u64,
    /// After it.
    pub after: u64,
}

/// The model that was cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// File name.
    pub name: String,
    /// Of the file's bytes, hexadecimal.
    pub sha256: String,
    /// Version of the standard operator set.
    pub opset: i64,
}

/// A place that a group owns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SiteInfo {
    /// Initializer.
    pub initializer: String,
    /// Axis.
    pub axis: usize,
    /// Role.
    pub role: Role,
}

/// A group and what is left of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Name.
    pub name: String,
    /// Channels before.
    pub channels: usize,
    /// Channels after.
    pub kept: usize,
    /// Where they stand.
    pub sites: Vec<SiteInfo>,
    /// Why the group keeps more than asked, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
}

/// Something that could not be cut.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PinInfo {
    /// The value whose axis stays.
    pub value: String,
    /// The axis.
    pub axis: usize,
    /// The node that asks for it; empty for graph outputs.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// Why.
    pub why: String,
    /// What a person can do.
    pub what_to_do: String,
}

/// An initializer whose values changed beyond losing slices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rewritten {
    /// Its name.
    pub initializer: String,
    /// Why.
    pub why: String,
}

/// Shares of right answers, in percent, as far as they were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Of the uncut model.
    pub before: Option<f64>,
    /// Right after the cut.
    pub after_cut: Option<f64>,
    /// After recovery.
    pub after_recovery: Option<f64>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Version that did it.
    pub lopper: String,
    /// Every setting.
    pub recipe: Recipe,
    /// Device that verified it.
    pub device: String,
    /// The original.
    pub model: ModelInfo,
    /// Whether the cut model must equal the masked original.
    pub exact: bool,
    /// Nodes whose statistics ran over channels that went.
    pub renormalised: Vec<String>,
    /// Largest difference seen between masked and cut, relative to the largest output.
    pub max_error: Option<f64>,
    /// Float elements of parameters.
    pub parameters: Change,
    /// Multiply-accumulates of one sample.
    pub macs: Change,
    /// Bytes of the file.
    pub bytes: Change,
    /// How near the plan came to its target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub achieved: Option<Achieved>,
    /// All groups.
    pub groups: Vec<GroupInfo>,
    /// What stays and why.
    pub pinned: Vec<PinInfo>,
    /// What to zero in the original.
    pub mask: Vec<MaskEntry>,
    /// What changed beyond losing slices.
    pub rewritten: Vec<Rewritten>,
    /// Seconds of each step.
    pub seconds: BTreeMap<String, f64>,
    /// Accuracies.
    pub accuracy: Accuracy,
}

/// The SHA-256 of a file, hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Describes groups with what a plan leaves of them, or whole ones.
pub fn group_infos(graph: &Graph, channels: &Channels, plan: Option<&Plan>) -> Vec<GroupInfo> {
    (channels.groups.iter().enumerate())
        .filter(|(_, g)| g.matters())
        .map(|(i, g)| {
            let own = plan.and_then(|p| p.groups.get(i));
            GroupInfo {
                name: g.name.clone(),
                channels: g.classes.len(),
                kept: own.map_or(g.classes.len(), |p| p.kept.len()),
                sites: (g.sites.iter())
                    .map(|s| SiteInfo { initializer: graph.values[s.value].name.clone(), axis: s.axis, role: s.role })
                    .collect(),
                limit: own.and_then(|p| p.limit.clone()),
            }
        })
        .collect()
}

/// Describes why channels stay.
pub fn pin_infos(graph: &Graph, channels: &Channels) -> Vec<PinInfo> {
    let mut out: Vec<PinInfo> = Vec::new();
    let mut told = std::collections::HashSet::new();
    for p in &channels.pins {
        let node = p.node.map(|n| &graph.nodes[n]);
        // A pin that no value was named for is told by the node's first input.
        let value = p.value.or_else(|| node.and_then(|n| n.input(0)));
        let info = PinInfo {
            value: value.map(|v| graph.values[v].name.clone()).unwrap_or_default(),
            axis: p.axis,
            node: node.map(|n| n.name.clone()).unwrap_or_default(),
            op: node.map(|n| n.op_type.clone()).unwrap_or_default(),
            why: p.why.clone(),
            what_to_do: what_to_do(node.is_some(), &p.why),
        };
        if told.insert(info.clone()) {
            out.push(info);
        }
    }
    out
}

/// What a report is made from.
#[derive(Debug)]
pub struct ReportInput<'a> {
    /// The original's name and SHA-256 of its bytes.
    pub name: &'a str,
    /// SHA-256 of the original's bytes, hexadecimal.
    pub sha256: &'a str,
    /// Sizes of both files.
    pub bytes: Change,
    /// The original.
    pub model: &'a Model,
    /// Its graph.
    pub graph: &'a Graph,
    /// Its channels.
    pub channels: &'a Channels,
    /// What was planned.
    pub plan: &'a Plan,
    /// With which settings.
    pub recipe: &'a Recipe,
    /// What came out.
    pub cut: &'a Cut,
}

impl Report {
    /// The report of a cut, before it was verified.
    ///
    /// # Errors
    /// When the cut model cannot be costed.
    pub fn new(input: &ReportInput<'_>) -> crate::Result<Self> {
        let after = whole_cost(&input.cut.graph);
        Ok(Self {
            lopper: env!("CARGO_PKG_VERSION").to_owned(),
            recipe: input.recipe.clone(),
            device: String::new(),
            model: ModelInfo { name: input.name.to_owned(), sha256: input.sha256.to_owned(), opset: input.graph.opset },
            exact: input.cut.renormalised.is_empty(),
            renormalised: input.cut.renormalised.clone(),
            max_error: None,
            parameters: Change {
                before: input.graph.parameter_count() as u64,
                after: input.cut.graph.parameter_count() as u64,
            },
            macs: Change { before: input.plan.before.macs, after: after.macs },
            bytes: input.bytes,
            achieved: input.plan.achieved.clone(),
            groups: group_infos(input.graph, input.channels, Some(input.plan)),
            pinned: pin_infos(input.graph, input.channels),
            mask: input.cut.mask.clone(),
            rewritten: (input.cut.rewritten.iter())
                .map(|(name, why)| Rewritten { initializer: name.clone(), why: why.clone() })
                .collect(),
            seconds: BTreeMap::new(),
            accuracy: Accuracy::default(),
        })
    }
}
