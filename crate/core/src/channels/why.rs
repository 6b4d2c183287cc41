//! Why channels belong together, and why they stay: the chain of unions between two places of a graph.

use super::advice::what_to_do;
use super::layout::{Bundle, Ids};
use super::union_find::PINNED;
use super::{Channels, Pin};
use crate::error::{Code, Error, Result};
use crate::graph::{Graph, NodeId, ValueId};
use serde::Serialize;
use std::collections::{HashMap, HashSet, VecDeque};

/// An axis of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// Name of the value.
    pub value: String,
    /// The axis; of several that share positions, the innermost.
    pub axis: usize,
}

/// One union: a node sees positions of two places as the same channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Name of the node.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The place that the chain comes from.
    pub from: Place,
    /// The place that it goes to.
    pub to: Place,
}

/// A reason why channels stay, and how it reaches them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// Where it was found.
    pub at: Place,
    /// The node that asks for it; empty for inputs and outputs of the model.
    pub node: String,
    /// Its operator.
    pub op: String,
    /// The reason.
    pub why: String,
    /// What a person can do.
    pub what_to_do: String,
    /// From the place that was asked about to where the reason is.
    pub chain: Vec<Link>,
}

/// What is known of one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The place.
    pub place: Place,
    /// Its length.
    pub length: usize,
    /// Groups whose channels stand there.
    pub groups: Vec<String>,
    /// Positions that stay whatever is asked.
    pub pinned: usize,
    /// Why they stay.
    pub reasons: Vec<Reason>,
}

/// How two places hang together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Coupling {
    /// One place.
    pub a: Place,
    /// The other.
    pub b: Place,
    /// Channels that stand in both.
    pub channels: usize,
    /// Whether the channels of both stay for good.
    pub pinned: bool,
    /// The unions from one to the other; empty if no channel stands in both.
    pub chain: Vec<Link>,
}

/// One axis of a value, as it was asked for.
struct Spot {
    value: ValueId,
    bundle: Bundle,
}

/// A search over unions.
struct Search<'a> {
    graph: &'a Graph,
    channels: &'a Channels,
    /// For every id the unions that it is part of, and its position there.
    unions: HashMap<u32, Vec<(usize, usize)>>,
    /// Rows and positions in them that became one channel.
    same: HashMap<u32, Vec<u32>>,
}

impl Channels {
    /// What is known of the axes that a name stands for: a group, an initializer, another value, or a node, whose weight
    /// and output are meant. `NAME[AXIS]` means one axis only.
    ///
    /// # Errors
    /// When nothing has that name.
    pub fn why(&self, graph: &Graph, name: &str) -> Result<Vec<Told>> {
        let search = Search::new(graph, self);
        Ok(self.spots(graph, name)?.iter().map(|s| search.told(s)).collect())
    }

    /// How the places that two names stand for hang together: the best pair of places.
    ///
    /// # Errors
    /// When nothing has one of the names.
    pub fn why_together(&self, graph: &Graph, a: &str, b: &str) -> Result<Coupling> {
        let search = Search::new(graph, self);
        let (from, to) = (self.spots(graph, a)?, self.spots(graph, b)?);
        let couplings = from.iter().flat_map(|x| to.iter().map(|y| search.coupling(x, y)));
        let best =
            couplings.max_by_key(|c| (!c.chain.is_empty() && !c.pinned, c.channels, std::cmp::Reverse(c.chain.len())));
        best.ok_or_else(|| Error::new(Code::Usage, format!("{a:?} or {b:?} has no axis whose channels are followed")))
    }

    fn class(&self, id: u32) -> u32 {
        self.class_table().get(id as usize).copied().unwrap_or(PINNED)
    }

    fn spots(&self, graph: &Graph, name: &str) -> Result<Vec<Spot>> {
        let (name, axis) = match name.strip_suffix(']').and_then(|n| n.rsplit_once('[')) {
            Some((head, axis)) if axis.parse::<usize>().is_ok() => (head, axis.parse::<usize>().ok()),
            _ => (name, None),
        };
        let of_group = self.groups.iter().filter(|g| g.name == name).flat_map(|g| g.sites.iter().take(1));
        let mut out: Vec<Spot> = (of_group.filter(|_| axis.is_none()))
            .filter_map(|s| {
                Some(Spot { value: s.value, bundle: self.layouts.get(&s.value)?.bundles.get(s.bundle)?.clone() })
            })
            .collect();
        if out.is_empty() {
            let of_node = graph.nodes.iter().filter(|(_, n)| n.name == name);
            let of_node =
                of_node.flat_map(|(_, n)| n.inputs.iter().skip(1).take(1).chain(n.outputs.iter().take(1)).flatten());
            let values = graph.find(name).into_iter().chain(of_node.copied());
            let bundles = values.flat_map(|v| {
                self.layouts.get(&v).into_iter().flat_map(move |l| l.bundles.iter().map(move |b| (v, b)))
            });
            out = (bundles.filter(|(_, b)| axis.is_none_or(|a| b.axes.contains(&a))))
                .map(|(value, bundle)| Spot { value, bundle: bundle.clone() })
                .collect();
        }
        if out.is_empty() {
            let hint = "give a group, an initializer, a value or a node, NAME[AXIS] for one axis; `lopper inspect` lists groups";
            return Err(Error::new(
                Code::Usage,
                format!("nothing named {name:?} has channels that are followed; {hint}"),
            ));
        }
        Ok(out)
    }
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, channels: &'a Channels) -> Self {
        let mut unions: HashMap<u32, Vec<(usize, usize)>> = HashMap::new();
        for (i, (a, b, _)) in channels.united.iter().enumerate() {
            for (k, id) in a.iter().chain(b.iter()).enumerate() {
                unions.entry(*id).or_default().push((i, k));
            }
        }
        let mut same: HashMap<u32, Vec<u32>> = HashMap::new();
        for (row, cells) in &channels.row_ids {
            for (r, cell) in row.iter().zip(cells.chunks((cells.len() / row.len().max(1)).max(1))) {
                for c in cell.iter().filter(|c| channels.class(**c) == channels.class(*r)) {
                    same.entry(*r).or_default().push(*c);
                    same.entry(*c).or_default().push(*r);
                }
            }
        }
        Self { graph, channels, unions, same }
    }

    /// What an id is united with, and by which node; rows and their positions need none.
    fn neighbours(&self, id: u32) -> Vec<(u32, Option<NodeId>)> {
        let by_union = self.unions.get(&id).into_iter().flatten().filter_map(|&(i, k)| {
            let (a, b, node) = self.channels.united.get(i)?;
            let other = if k < a.len() { b.get(k) } else { a.get(k - a.len()) };
            Some((*other?, Some(*node)))
        });
        let by_row = self.same.get(&id).into_iter().flatten().map(|&other| (other, None));
        by_union.chain(by_row).collect()
    }

    /// The shortest chain of unions from an id to one that `found` accepts.
    fn chain(&self, start: u32, found: impl Fn(u32) -> bool) -> Option<(u32, Vec<Link>)> {
        let mut came: HashMap<u32, (u32, Option<NodeId>)> = HashMap::new();
        let mut seen = HashSet::from([start]);
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            if found(id) {
                return Some((id, self.links(start, id, &came)));
            }
            for (other, node) in self.neighbours(id) {
                if seen.insert(other) {
                    came.insert(other, (id, node));
                    queue.push_back(other);
                }
            }
        }
        None
    }

    fn links(&self, start: u32, end: u32, came: &HashMap<u32, (u32, Option<NodeId>)>) -> Vec<Link> {
        let (mut out, mut id) = (Vec::new(), end);
        while let Some(&(before, node)) = came.get(&id).filter(|_| id != start) {
            if let Some(n) = node {
                let place = |id| self.place_at(id, n);
                if let (Some(from), Some(to)) = (place(before), place(id)) {
                    let node = &self.graph.nodes[n];
                    out.push(Link { node: node.name.clone(), op: node.op_type.clone(), from, to });
                }
            }
            id = before;
        }
        out.reverse();
        out
    }

    /// Where an id stands among the values of a node, or else in any value.
    fn place_at(&self, id: u32, node: NodeId) -> Option<Place> {
        let node = &self.graph.nodes[node];
        let near = node.inputs.iter().chain(&node.outputs).flatten().copied();
        let parameters = self.graph.parameters().map(|p| p.0);
        let all = self.channels.layouts.iter().map(|(value, _)| value);
        near.chain(parameters).chain(all).find_map(|v| self.place_in(id, v))
    }

    fn place_in(&self, id: u32, value: ValueId) -> Option<Place> {
        let layout = self.channels.layouts.get(&value)?;
        let bundle = layout.bundles.iter().find(|b| b.ids.contains(&id))?;
        Some(self.place(value, bundle))
    }

    fn place(&self, value: ValueId, bundle: &Bundle) -> Place {
        Place { value: self.graph.values[value].name.clone(), axis: bundle.axes.last().copied().unwrap_or(0) }
    }

    fn told(&self, spot: &Spot) -> Told {
        let classes: HashSet<u32> = spot.bundle.ids.iter().map(|&i| self.channels.class(i)).collect();
        let groups = self.channels.groups.iter().filter(|g| g.classes.iter().any(|c| classes.contains(c)));
        let pinned: Vec<u32> = spot.bundle.ids.iter().copied().filter(|&i| self.channels.class(i) == PINNED).collect();
        let place = self.place(spot.value, &spot.bundle);
        let mut reasons = self.reasons(&pinned);
        if reasons.is_empty() && !pinned.is_empty() {
            let why = "positions along this axis are no channels: a kernel's, or a table's".to_owned();
            let (node, op, chain) = (String::new(), String::new(), Vec::new());
            let what_to_do = what_to_do(true, &why);
            reasons.push(Reason { at: place.clone(), node, op, why, what_to_do, chain });
        }
        Told {
            place,
            length: spot.bundle.ids.len(),
            groups: groups.map(|g| g.name.clone()).collect(),
            pinned: pinned.len(),
            reasons,
        }
    }

    /// The nearest reason of each pinned position, each told once.
    fn reasons(&self, pinned: &[u32]) -> Vec<Reason> {
        let mut of: HashMap<u32, &Pin> = HashMap::new();
        for pin in &self.channels.pins {
            for &id in pin.ids.iter() {
                of.entry(id).or_insert(pin);
            }
        }
        let mut out: Vec<Reason> = Vec::new();
        let mut told: HashSet<*const u32> = HashSet::new();
        for &id in pinned {
            let Some((end, chain)) = self.chain(id, |i| of.contains_key(&i)) else { continue };
            let Some(pin) = of.get(&end).filter(|p| told.insert(list(&p.ids))) else { continue };
            let node = pin.node.map(|n| &self.graph.nodes[n]);
            let value = pin.value.or_else(|| node.and_then(|n| n.input(0)));
            out.push(Reason {
                at: Place {
                    value: value.map(|v| self.graph.values[v].name.clone()).unwrap_or_default(),
                    axis: pin.axis,
                },
                node: node.map(|n| n.name.clone()).unwrap_or_default(),
                op: node.map(|n| n.op_type.clone()).unwrap_or_default(),
                why: pin.why.clone(),
                what_to_do: what_to_do(node.is_some(), &pin.why),
                chain,
            });
        }
        out
    }

    fn coupling(&self, a: &Spot, b: &Spot) -> Coupling {
        let class = |id: &u32| self.channels.class(*id);
        let (own, other): (HashSet<u32>, HashSet<u32>) =
            (a.bundle.ids.iter().map(class).collect(), b.bundle.ids.iter().map(class).collect());
        let free: HashSet<u32> = own.intersection(&other).copied().filter(|&c| c != PINNED).collect();
        let targets: HashSet<u32> = b.bundle.ids.iter().copied().collect();
        // A pinned channel may be pinned on either side for reasons of its own: only unions couple.
        let starts = a.bundle.ids.iter().filter(|i| free.is_empty() || free.contains(&class(i)));
        let chain = starts
            .take(if free.is_empty() { 1 } else { usize::MAX })
            .find_map(|&i| self.chain(i, |x| targets.contains(&x)));
        let pinned = free.is_empty() && chain.is_some();
        let channels = if pinned { a.bundle.ids.len() } else { free.len() };
        Coupling {
            a: self.place(a.value, &a.bundle),
            b: self.place(b.value, &b.bundle),
            channels,
            pinned,
            chain: chain.map(|c| c.1).unwrap_or_default(),
        }
    }
}

fn list(ids: &Ids) -> *const u32 {
    ids.as_ptr()
}
