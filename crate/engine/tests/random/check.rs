//! What must hold for every cut.

use lopper_core::channels::Channels;
use lopper_core::cut::{Cut, MaskEntry, cut};
use lopper_core::graph::{Dim, Graph, Shape};
use lopper_core::onnx::Model;
use lopper_core::plan::{Plan, PlanOptions, Scope, Target, plan};
use lopper_core::score::Criterion;
use lopper_core::text::parse;
use lopper_core::{Code, Error};
use lopper_engine::block_on;
use lopper_engine::data::random::SplitMix64;
use lopper_engine::verify::{Block, MaskedSlices, compare};

/// What came of a cut that holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing can be cut.
    Nothing,
    /// The cut model computes what the masked original computes.
    Exact(f64),
    /// Statistics ran over channels that went.
    Renormalised,
}

/// What went wrong: a word to compare failures by, and a sentence.
#[derive(Clone, Debug)]
pub struct Failure {
    pub kind: &'static str,
    pub why: String,
}

fn fail<T>(kind: &'static str, why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure { kind, why: why.into() })
}

fn step<T>(kind: &'static str, r: Result<T, Error>) -> Result<T, Failure> {
    r.map_err(|e| Failure { kind, why: e.to_string() })
}

/// Random settings of a plan; locks name groups by their number, since names change as a model shrinks.
pub fn options(seed: u64, groups: &[String]) -> PlanOptions {
    let mut r = SplitMix64::keyed(&[seed, 2]);
    let mut pick = |list: &[f64]| list[r.below(list.len() as u64) as usize];
    let ratio = pick(&[0.1, 0.25, 0.3, 0.5, 0.5, 0.5, 0.6, 0.75, 0.9, 0.99]);
    let left = 1.0 - ratio / 2.0;
    let target = match pick(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 2.0, 3.0]) as u8 {
        1 => Target::Macs(left),
        2 => Target::Parameters(left),
        3 => Target::Bytes(left),
        _ => Target::Ratio(ratio),
    };
    let scope = match pick(&[0.0, 0.0, 0.0, 1.0, 1.0, 2.0]) as u8 {
        1 => Scope::Global,
        2 => Scope::Isomorphic,
        _ => Scope::Group,
    };
    let floor = match pick(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]) as u8 {
        1 => Some(0),
        2 => Some(2),
        3 => Some(3),
        _ => None,
    };
    let (heads, steps) = (pick(&[0.0, 0.0, 1.0]) > 0.0, pick(&[1.0, 1.0, 1.0, 3.0]) as usize);
    let multiple = Some(pick(&[0.0, 0.0, 0.0, 0.0, 2.0, 4.0]) as usize).filter(|f| *f > 0);
    let mut locks = Vec::new();
    if r.below(5) == 0 && !groups.is_empty() {
        locks.push(groups[r.below(groups.len() as u64) as usize].clone());
    }
    let criterion = if r.below(2) == 0 { Criterion::L1 } else { Criterion::L2 };
    PlanOptions { criterion, scope, floor, multiple, locks, heads, steps, seed, ..PlanOptions::new(target) }
}

/// Cuts a model given as text at random and checks all that must hold.
pub fn check(text: &str, seed: u64) -> Result<Outcome, Failure> {
    let model = step("parse", parse(text))?;
    let graph = step("graph", Graph::new(&model))?;
    let channels = Channels::analyze(&graph);
    let names: Vec<String> = channels.groups.iter().map(|g| g.name.clone()).collect();
    let options = options(seed, &names);
    let plan = match plan(&graph, &channels, &options) {
        Ok(p) => p,
        Err(e) if e.code() == Code::NothingToCut => {
            return match free_group(&channels, &options) {
                Some(name) => fail("idle", format!("group {name:?} is free, but nothing is cut")),
                None => Ok(Outcome::Nothing),
            };
        }
        Err(e) if e.code() == Code::NoTarget => return Ok(Outcome::Nothing),
        Err(e) => return fail("plan", e.to_string()),
    };
    check_plan(&channels, &options, &plan)?;
    if plan.removed.is_empty() {
        return Ok(Outcome::Nothing);
    }
    let cut = step("cut", cut(&model, &graph, &channels, plan.removed))?;
    check_structure(&graph, &cut)?;
    let relative = step("run", block_on(compare(&model, &cut.model, &slices(&cut.mask), seed)))?;
    if !cut.renormalised.is_empty() {
        return match relative.difference.is_finite() {
            true => Ok(Outcome::Renormalised),
            false => fail("finite", "the outputs are not finite"),
        };
    }
    if relative.relative > 1e-4 {
        return fail("differs", format!("masked and cut differ by {:e} of the largest output", relative.relative));
    }
    Ok(Outcome::Exact(relative.relative))
}

/// The mask in the engine's words.
pub fn slices(mask: &[MaskEntry]) -> Vec<MaskedSlices> {
    mask.iter()
        .map(|e| MaskedSlices {
            initializer: e.initializer.clone(),
            axis: e.axis,
            indices: e.indices.clone(),
            within: e.within.as_ref().map(|w| Block { axis: w.axis, low: w.range[0], high: w.range[1] }),
        })
        .collect()
}

/// Channels of each group that lie in no balanced set.
fn loose(channels: &Channels) -> Vec<bool> {
    (0..channels.groups.len()).map(|g| !channels.balances.iter().flat_map(|b| &b.cells).any(|c| c.group == g)).collect()
}

/// A group that nothing keeps from losing a channel.
fn free_group(channels: &Channels, options: &PlanOptions) -> Option<String> {
    let floor = options.floor.unwrap_or(1).max(1);
    let free = channels.groups.iter().zip(loose(channels)).find(|(g, loose)| {
        *loose
            && g.prunable()
            && g.classes.len() > floor
            && !options.locks.contains(&g.name)
            && options.locks.is_empty()
            && !(options.heads && options.multiple.is_some())
    });
    free.map(|(g, _)| g.name.clone())
}

/// Floors, multiples, locks and ratios are respected.
fn check_plan(channels: &Channels, options: &PlanOptions, plan: &Plan) -> Result<(), Failure> {
    for ((group, left), loose) in channels.groups.iter().zip(&plan.groups).zip(loose(channels)) {
        let (n, kept) = (group.classes.len(), left.kept.len());
        let floor = options.floor.unwrap_or(1).min(n);
        if kept < floor && !options.heads {
            return fail("floor", format!("group {:?} keeps {kept} of {n}, fewer than {floor}", group.name));
        }
        // Rows go as a consequence only, unless heads are asked for.
        let rows = group.rows && (options.heads || options.floor == Some(0));
        let locked = options.locks.contains(&group.name) || !(group.prunable() || options.heads);
        if locked && !rows && group.classes.len() > 1 && kept < n {
            return fail("locked", format!("group {:?} keeps {kept} of {n}, but is locked", group.name));
        }
        // Whole rows are as wide as they are, and where they go first, what is left of the channels within them is their part.
        let multiple = options.multiple.filter(|_| !group.rows && !options.heads).unwrap_or(1);
        if loose && kept < n && !kept.is_multiple_of(multiple) {
            return fail("multiple", format!("group {:?} keeps {kept} of {n}, no multiple of {multiple}", group.name));
        }
        if let (Scope::Group, &Target::Ratio(r), true, true) = (options.scope, &options.target, loose, group.prunable())
            && left.limit.is_none()
            && !options.heads
        {
            // The nearest multiple that the floor allows, or everything; of two the larger.
            let nearest = |floor: usize| {
                let asked = (((1.0 - r) * n as f64 + 1e-9).floor() as usize).max(floor);
                let admissible = (floor..n).filter(|k| k.is_multiple_of(multiple)).chain([n]);
                admissible.min_by_key(|k| (k.abs_diff(asked), n - k)).unwrap_or(n)
            };
            // Not everything can be written without any of its channels.
            let allowed = if floor == 0 { vec![nearest(0), nearest(1)] } else { vec![nearest(floor)] };
            let nearest = allowed[0];
            if allowed.contains(&kept) {
                continue;
            }
            return fail("ratio", format!("group {:?} keeps {kept} of {n} instead of {nearest}", group.name));
        }
    }
    Ok(())
}

/// The same inputs and outputs, fewer parameters, and a file that can be read again.
fn check_structure(before: &Graph, cut: &Cut) -> Result<(), Failure> {
    let signature = |g: &Graph| -> Vec<(String, Option<Shape>)> {
        g.inputs.iter().chain(&g.outputs).map(|&v| (g.values[v].name.clone(), g.values[v].shape.clone())).collect()
    };
    if signature(before) != signature(&cut.graph) {
        return fail("signature", format!("{:?} became {:?}", signature(before), signature(&cut.graph)));
    }
    let (old, new) = (before.parameter_count(), cut.graph.parameter_count());
    if new >= old {
        return fail("parameters", format!("{old} parameters became {new}"));
    }
    let empty = cut.graph.parameters().find(|(_, v, t)| {
        t.is_empty()
            && before.find(&v.name).is_some_and(|v| before.values[v].tensor.as_ref().is_some_and(|t| !t.is_empty()))
    });
    if let Some((_, v, _)) = empty {
        return fail("empty", format!("nothing is left of {:?}", v.name));
    }
    let none = cut.graph.values.iter().find(|(_, v)| v.shape.iter().flatten().any(|d| *d == Dim::Known(0)));
    if let Some((_, v)) = none {
        return fail("empty", format!("{:?} has shape {:?}", v.name, v.shape));
    }
    let bytes = step("write", cut.model.write())?;
    let again = step("read", Model::read(bytes.clone().into()))?;
    if step("write again", again.write())? != bytes {
        return fail("read", "the written file reads differently");
    }
    Ok(())
}
