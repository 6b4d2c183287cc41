//! What comes before the first parameter that moves: it runs as inference does, without gradients, and where images stay the same
//! it runs once.

use super::ahead::Ahead;
use super::{Lesson, Trainer};
use crate::ops::Mode;
use crate::run::{Network, Slot};
use crate::value::{HostTensor, Value};
use lopper_core::graph::{Origin, ValueId};
use lopper_core::{Code, Error, Result};
use std::collections::HashSet;

/// What a step of the network depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// On nothing that moves, and on no image.
    Constant,
    /// On images, and on nothing that moves.
    Fixed,
    /// On parameters that move.
    Moving,
}

/// The nodes before the first parameter that moves.
#[derive(Debug)]
pub(super) struct Prefix {
    /// By step of the network.
    kinds: Vec<Kind>,
    /// What later steps read of it, images among them.
    frontier: Vec<ValueId>,
    kept: Ahead,
}

impl Prefix {
    /// `moves` says which of the values that no node computes do.
    fn new(network: &Network, moves: impl Fn(ValueId) -> bool) -> Self {
        let graph = network.graph();
        let mut kind_of: Vec<Kind> = (graph.values.iter())
            .map(|(id, value)| match value.origin {
                _ if moves(id) => Kind::Moving,
                Origin::Input => Kind::Fixed,
                _ => Kind::Constant,
            })
            .collect();
        let mut kinds = Vec::new();
        for id in network.step_nodes() {
            let node = &graph.nodes[id];
            let reads = node.inputs.iter().flatten().chain(&node.captures);
            let of = |v: &ValueId| kind_of.get(Slot::from(*v)).copied().unwrap_or(Kind::Moving);
            let all: Vec<Kind> = reads.map(of).collect();
            let kind = [Kind::Moving, Kind::Fixed].into_iter().find(|k| all.contains(k)).unwrap_or(Kind::Constant);
            for out in node.outputs.iter().flatten() {
                if let Some(k) = kind_of.get_mut(Slot::from(*out)) {
                    *k = kind;
                }
            }
            kinds.push(kind);
        }
        let mut frontier: Vec<ValueId> = Vec::new();
        let later = network.step_nodes().zip(&kinds).filter(|(_, kind)| **kind == Kind::Moving);
        let read = later.flat_map(|(id, _)| graph.nodes[id].inputs.iter().flatten().chain(&graph.nodes[id].captures));
        for id in read.chain(network.wanted()).copied() {
            if kind_of.get(Slot::from(id)) == Some(&Kind::Fixed) && !frontier.contains(&id) {
                frontier.push(id);
            }
        }
        Self { kinds, frontier, kept: Ahead::default() }
    }

    fn nodes(&self) -> usize {
        self.kinds.iter().filter(|k| **k == Kind::Fixed).count()
    }
}

/// How much of a network rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resting {
    /// Parameters that do not move.
    pub parameters: usize,
    /// Nodes that run without gradients, because nothing that they read moves.
    pub nodes: usize,
    /// Nodes of the network in all.
    pub of: usize,
    /// Numbers of an image that later nodes read of them; none where a shape leaves that open.
    pub numbers: Option<u64>,
}

impl Trainer {
    /// Freezes parameters as [`Trainer::freeze`] does, and lets the nodes that nothing moves before run as inference does, with the
    /// running statistics.
    ///
    /// # Errors
    /// When nothing would be left to train.
    pub fn rest(&mut self, frozen: impl Fn(&str) -> bool) -> Result<Resting> {
        self.freeze(frozen);
        let moving: HashSet<Slot> = self.parameters.iter().filter(|p| !p.frozen).map(|p| p.slot).collect();
        if moving.is_empty() {
            return Err(Error::new(
                Code::Usage,
                "every parameter is frozen, so there is nothing to train: freeze fewer",
            ));
        }
        let prefix = Prefix::new(&self.network, |id| moving.contains(&Slot::from(id)));
        let graph = self.network.graph();
        let numbers = |id: &ValueId| {
            let shape = graph.values[*id].shape.as_ref()?;
            shape.iter().skip(1).map(|d| d.length().map(|n| n as u64)).product::<Option<u64>>()
        };
        let resting = Resting {
            parameters: self.parameters.iter().filter(|p| p.frozen).count(),
            nodes: prefix.nodes(),
            of: prefix.kinds.len(),
            numbers: prefix.frontier.iter().map(numbers).sum(),
        };
        self.prefix = (resting.nodes > 0).then_some(prefix);
        Ok(resting)
    }

    /// Names of the parameters before the first node that reads a tensor of which `changed` says so.
    pub fn before(&self, changed: impl Fn(&str) -> bool) -> HashSet<String> {
        let graph = self.network.graph();
        let touched = |id| graph.values[id].tensor.is_some() && changed(&graph.values[id].name);
        let prefix = Prefix::new(&self.network, touched);
        let mut later: HashSet<ValueId> = HashSet::new();
        let steps: Vec<_> = self.network.step_nodes().zip(&prefix.kinds).collect();
        for (id, kind) in steps.into_iter().rev() {
            let node = &graph.nodes[id];
            let prepares = *kind == Kind::Constant && node.outputs.iter().flatten().any(|v| later.contains(v));
            if *kind == Kind::Moving || prepares {
                later.extend(node.inputs.iter().flatten().chain(&node.captures));
            }
        }
        let later: HashSet<Slot> = later.into_iter().map(Slot::from).collect();
        self.parameters.iter().filter(|p| !later.contains(&p.slot)).map(|p| p.name.clone()).collect()
    }

    /// Computes once what later nodes read of those that rest. The images of all calls, in their order, are what [`Lesson::ahead`]
    /// counts. False if that is not one row an image: then nothing is kept, and they go on to run in every step.
    ///
    /// # Errors
    /// When the images do not fit the network, or the device fails.
    pub fn run_ahead(&mut self, input: &HostTensor) -> Result<bool> {
        let Some(prefix) = &self.prefix else { return Ok(false) };
        let mut constants = self.constants.clone();
        self.parameters.iter().for_each(|p| super::put(&mut constants, p.slot, Some(p.tensor.clone())));
        let inputs = vec![(self.network.only_input()?, Value::from(input.clone()))];
        let mut kept: Vec<Option<Value>> = vec![None; prefix.frontier.len()];
        let mut keep = |slot: Slot, value: Value| {
            let at = prefix.frontier.iter().position(|id| Slot::from(*id) == slot);
            if let Some(place) = at.and_then(|at| kept.get_mut(at)) {
                *place = Some(value.clone());
            }
            Ok(value)
        };
        let mut running = self.network.begin(inputs, &mut keep)?;
        for (step, _) in prefix.kinds.iter().enumerate().filter(|(_, kind)| **kind != Kind::Moving) {
            self.network.advance(&mut running, step, &constants, &mut Mode::Infer, &mut keep)?;
        }
        let images = input.dims.first().copied();
        let row = |v: &Value| v.is_float() && v.dims().first().copied() == images;
        let whole: Option<Vec<Value>> = kept.into_iter().map(|v| v.filter(row)).collect();
        let device = self.network.device().clone();
        let Some(prefix) = &mut self.prefix else { return Ok(false) };
        let Some(whole) = whole else {
            prefix.kept = Ahead::default();
            return Ok(false);
        };
        prefix.kept.push(whole.into_iter().map(|v| v.on(device.inner())).collect::<Result<_>>()?);
        device.flush()?;
        Ok(true)
    }

    /// Forward, with what rests as inference has it, or as it was when it ran ahead.
    pub(super) fn forward(&mut self, lesson: &Lesson, input: Value, mode: &mut Mode) -> Result<Vec<Value>> {
        let mut inputs = vec![(self.network.only_input()?, input)];
        let Some(prefix) = &mut self.prefix else { return self.network.forward(inputs, &self.constants, mode) };
        let known = !lesson.ahead.is_empty() && !prefix.kept.is_empty();
        if known {
            let rows = prefix.kept.rows(&lesson.ahead, self.network.device().inner())?;
            inputs = prefix.frontier.iter().copied().zip(rows.into_iter().map(Value::from)).collect();
        }
        let mut running = self.network.begin(inputs, &mut |_, v| Ok(v))?;
        for (step, kind) in prefix.kinds.iter().enumerate().filter(|(_, kind)| !known || **kind != Kind::Fixed) {
            let mode = if *kind == Kind::Moving { &mut *mode } else { &mut Mode::Infer };
            self.network.advance(&mut running, step, &self.constants, mode, &mut |_, v| Ok(v))?;
        }
        self.network.outputs(&running, &self.constants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::random::SplitMix64;
    use crate::train::{Settings, Target};
    use crate::{Control, Device, block_on};
    use lopper_core::onnx::Model;

    /// Two blocks, the first of which is also read around the second.
    const TEXT: &str = "(float[N,2,6,6] x) => (float[N,3] y)
<float[4,2,3,3] w1, float[4] s1, float[4] t1, float[4] m1, float[4] v1 = {1.5, 0.5, 1, 2},
 float[4,4,3,3] w2, float[4] s2, float[4] t2, float[4] m2, float[4] v2 = {1, 2, 1, 0.5}, float[4,3] fc, float[3] b>
{
  c1 = Conv <pads = [1, 1, 1, 1]> (x, w1) n1 = BatchNormalization (c1, s1, t1, m1, v1) r1 = Relu (n1)
  d = Dropout (r1)
  c2 = Conv <pads = [1, 1, 1, 1]> (d, w2) n2 = BatchNormalization (c2, s2, t2, m2, v2)
  a = Add (r1, n2) g = GlobalAveragePool (a) f = Flatten (g) y = Gemm (f, fc, b)
}";
    const FIRST: [&str; 3] = ["w1", "s1", "t1"];

    fn model() -> Model {
        lopper_core::text::parse(TEXT).unwrap()
    }

    fn without_dropout() -> Model {
        lopper_core::text::parse(&TEXT.replace("Dropout", "Identity")).unwrap()
    }

    fn input(images: &[u32]) -> HostTensor {
        let one = |i: &u32| {
            let mut random = SplitMix64::new(u64::from(*i));
            (0..72).map(|_| random.range(-1.0, 1.0)).collect::<Vec<_>>()
        };
        HostTensor::f32(vec![images.len(), 2, 6, 6], images.iter().flat_map(one).collect()).unwrap()
    }

    /// Ten steps on eight of twelve images; every trained tensor, bit for bit.
    fn ten_steps(model: &Model, settings: Settings, ready: impl Fn(&mut Trainer) -> bool) -> Vec<(String, HostTensor)> {
        let mut trainer = Trainer::new(model, &Device::cpu(), settings).unwrap();
        let ahead = ready(&mut trainer);
        for step in 0..10_u32 {
            let images: Vec<u32> = (0..8).map(|i| (i * 5 + step) % 12).collect();
            let target = Some(Target::Classes(images.iter().map(|i| i % 3).collect()));
            // What ran ahead is not asked for again: these images would give something else.
            let seen = if ahead { input(&[99; 8]) } else { input(&images) };
            trainer
                .learn(vec![Lesson {
                    input: seen,
                    target,
                    ahead: if ahead { images } else { vec![] },
                    moved: Vec::new(),
                }])
                .unwrap();
        }
        block_on(trainer.tensors()).unwrap()
    }

    fn first(trainer: &mut Trainer) -> Resting {
        trainer.rest(|name| FIRST.contains(&name)).unwrap()
    }

    #[test]
    fn what_rests_runs_once_and_the_rest_learns_the_same_to_the_last_bit() {
        let each_step = ten_steps(&model(), Settings::default(), |t| {
            // Convolution, normalisation, Relu and Dropout; both the Dropout's output and what is read around it are kept.
            assert_eq!(first(t), Resting { parameters: 3, nodes: 4, of: 10, numbers: Some(2 * 4 * 36) });
            false
        });
        let once = ten_steps(&model(), Settings::default(), |t| {
            first(t);
            assert!(
                t.run_ahead(&input(&[0, 1, 2, 3, 4, 5, 6])).unwrap()
                    && t.run_ahead(&input(&[7, 8, 9, 10, 11])).unwrap()
            );
            true
        });
        assert_eq!(each_step, once);
        let before = Trainer::new(&model(), &Device::cpu(), Settings::default()).unwrap();
        let before = block_on(before.tensors()).unwrap();
        let stays = |name: &str| FIRST.contains(&name) || ["m1", "v1"].contains(&name);
        for ((name, old), (_, new)) in before.iter().zip(&once) {
            assert_eq!(old == new, stays(name), "{name}");
        }
    }

    #[test]
    fn gradients_are_those_of_a_network_that_is_whole() {
        // Without statistics of the batch the only difference is what is not computed.
        let frozen = || Settings { frozen_statistics: true, ..Settings::default() };
        let resting = ten_steps(&without_dropout(), frozen(), |t| first(t).nodes == 0);
        let whole = ten_steps(&without_dropout(), frozen(), |t| {
            t.freeze(|name| FIRST.contains(&name));
            false
        });
        assert_eq!(resting, whole);
    }

    #[test]
    fn the_nodes_before_a_change_are_found_and_images_beyond_refused() {
        let mut trainer = Trainer::new(&model(), &Device::cpu(), Settings::default()).unwrap();
        let before = |changed: &str| {
            let mut names: Vec<String> = trainer.before(|name| name == changed).into_iter().collect();
            names.sort();
            names
        };
        assert_eq!(before("w2"), ["s1", "t1", "w1"]);
        assert_eq!(before("v1"), ["w1"]);
        assert!(before("w1").is_empty());
        assert_eq!(before("b"), ["s1", "s2", "t1", "t2", "w1", "w2"]);
        assert_eq!(trainer.rest(|_| true).unwrap_err().code(), Code::Usage);
        assert!(!trainer.run_ahead(&input(&[0])).unwrap(), "nothing rests");
        first(&mut trainer);
        trainer.run_ahead(&input(&[0, 1])).unwrap();
        let target = Some(Target::Classes(vec![0]));
        let lesson = |ahead| Lesson { input: input(&[0]), target: target.clone(), ahead, moved: Vec::new() };
        assert_eq!(trainer.learn(vec![lesson(vec![2])]).unwrap_err().code(), Code::Usage);
        // Judging looks at the images themselves.
        assert!(block_on(trainer.judge([Ok(lesson(vec![]))], async || Control::Continue)).unwrap().is_finite());
    }
}
