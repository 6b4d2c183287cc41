//! Values inside the network that are to be as the uncut model has them: hints (Romero et al., FitNets, ICLR 2015).

use super::Trainer;
use super::teacher::Teacher;
use crate::run::Network;
use crate::tensor::{DeviceTensor, by_rank};
use crate::value::Value;
use burn::tensor::{Device, Int, Tensor, TensorData};
use lopper_core::graph::{Graph, Node, NodeId, Origin, ValueId};
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};

/// Values that are compared at most: a comparison costs a few passes over both.
const MOST: usize = 16;
/// A teacher's value that is zero everywhere counts as if its mean square were this.
const LEAST: f32 = 1e-12;

/// What the features of a network are compared with.
pub struct Hints<'a> {
    /// The uncut model.
    pub original: &'a Model,
    /// What the mean of the differences is multiplied by in the loss.
    pub weight: f32,
    /// Positions along an axis of one of its tensors, by the tensor's name, that the cut took out.
    pub removed: &'a dyn Fn(&str, usize) -> Vec<usize>,
}

/// Values that are compared.
#[derive(Clone, Debug)]
pub(super) struct Features {
    weight: f32,
    /// By value: channels of the uncut model's that are left, where some are not.
    stay: Vec<Option<Vec<i64>>>,
}

/// A value of both models.
struct Pair {
    own: ValueId,
    stay: Option<Vec<i64>>,
}

impl Trainer {
    /// As [`Trainer::learn_from`], and adds to the loss how far features are from the uncut model's: squared differences, of each value
    /// divided by the mean square that it has there, averaged over the values. These are ends of blocks (sums of two branches after
    /// their activation, or, in a network without, what pooling reads) that both models have, with the channels that are left. Gives
    /// their number; where that is 0, only answers are learnt.
    ///
    /// # Errors
    /// When the uncut model cannot be run.
    pub fn match_features(&mut self, hints: &Hints<'_>) -> Result<usize> {
        let pairs = pairs(&self.network, &Graph::new(hints.original)?, hints.removed);
        if pairs.is_empty() {
            self.learn_from(hints.original)?;
            return Ok(0);
        }
        let (count, own) = (pairs.len(), pairs.iter().map(|p| p.own).collect());
        let stay = pairs.into_iter().map(|p| p.stay).collect();
        self.compare(hints.original, own, Features { weight: hints.weight, stay })?;
        Ok(count)
    }

    /// Learns from the uncut model what another trainer of the same model learns.
    pub(super) fn learn_as(&mut self, leader: &Self, original: &Model) -> Result<()> {
        let Some(features) = &leader.features else { return self.learn_from(original) };
        let wanted = leader.network.wanted();
        let own = wanted.iter().skip(wanted.len().saturating_sub(features.stay.len())).copied().collect();
        self.compare(original, own, features.clone())
    }

    fn compare(&mut self, original: &Model, own: Vec<ValueId>, features: Features) -> Result<()> {
        let name = |id: &ValueId| self.network.graph().values[*id].name.clone();
        let names: Vec<String> = own.iter().map(name).collect();
        let whole = self.settings.loss.compares_all();
        self.teacher = Some(Teacher::with_features(original, self.network.device(), whole, &names)?);
        self.network.also_give(own);
        self.features = Some(features);
        Ok(())
    }

    /// Splits off what the network gives of features.
    pub(super) fn split_features(&self, outputs: &mut Vec<Value>) -> Vec<Value> {
        let count = self.features.as_ref().map_or(0, |f| f.stay.len());
        outputs.split_off(outputs.len().saturating_sub(count))
    }
}

impl Features {
    /// What is added to the loss, as one number.
    pub(super) fn loss(&self, own: Vec<Value>, theirs: Vec<Value>, device: &Device) -> Result<Tensor<1>> {
        let mut sum: Option<Tensor<1>> = None;
        for ((own, theirs), stay) in own.into_iter().zip(theirs).zip(&self.stay) {
            let one = apart(own.on(device)?, theirs.on(device)?, stay.as_deref(), device)?;
            sum = Some(sum.map_or(one.clone(), |s| s + one));
        }
        let sum = sum.ok_or_else(|| Error::new(Code::BadNode, "no feature was computed: this is a bug in Lopper"))?;
        Ok(sum.mul_scalar(f64::from(self.weight) / self.stay.len().max(1) as f64))
    }
}

/// The mean squared difference, divided by the mean square of the uncut model's.
fn apart(own: DeviceTensor, theirs: DeviceTensor, stay: Option<&[i64]>, device: &Device) -> Result<Tensor<1>> {
    let rank = own.rank();
    by_rank!(rank, D => {
        let (own, mut theirs) = (own.float::<D>()?, theirs.float::<D>()?);
        if let Some(stay) = stay {
            let rows = Tensor::<1, Int>::from_data(TensorData::new(stay.to_vec(), [stay.len()]), device);
            theirs = theirs.select(1, rows);
        }
        if own.dims() != theirs.dims() {
            let what = format!("a feature of shape {:?} where the uncut model's is {:?}", own.dims(), theirs.dims());
            return Err(Error::new(Code::DataMismatch, format!("{what}: give the model that this one was cut from")));
        }
        let size = theirs.clone().square().mean().clamp_min(LEAST);
        Ok((own - theirs).square().mean() / size)
    })
}

/// Ends of blocks that both models have, evenly spread where they are too many; the last is always among them.
fn pairs(network: &Network, uncut: &Graph, removed: &dyn Fn(&str, usize) -> Vec<usize>) -> Vec<Pair> {
    let graph = network.graph();
    let steps: Vec<NodeId> = network.step_nodes().collect();
    let ends = |joins: bool| -> Vec<Pair> {
        let mut out: Vec<Pair> = Vec::new();
        for id in &steps {
            let Some(own) = end_of_block(graph, &graph.nodes[*id], joins) else { continue };
            let known = out.iter().any(|p| p.own == own) || !network.gives(own) || network.wanted().contains(&own);
            if let Some(pair) = paired(graph, own, uncut, removed).filter(|_| !known) {
                out.push(pair);
            }
        }
        out
    };
    let joins = ends(true);
    let all = if joins.is_empty() { ends(false) } else { joins };
    let (count, most) = (all.len(), all.len().min(MOST));
    let chosen: Vec<usize> = (1..=most).map(|k| k * count / most.max(1) - 1).collect();
    all.into_iter().enumerate().filter(|(at, _)| chosen.contains(at)).map(|(_, pair)| pair).collect()
}

/// The value that ends a block at a node: a sum of two branches, after an activation that alone reads it, or what pooling reads.
fn end_of_block(graph: &Graph, node: &Node, joins: bool) -> Option<ValueId> {
    let computed = |id: &ValueId| {
        let value = &graph.values[*id];
        value.tensor.is_none() && value.constant.is_none() && matches!(value.origin, Origin::Node(..))
    };
    if !joins {
        let pools = ["MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"].contains(&node.op_type.as_str());
        return node.input(0).filter(|id| pools && computed(id));
    }
    let branches = node.op_type == "Add" && node.inputs.iter().flatten().filter(|id| computed(id)).count() == 2;
    let sum = node.output(0).filter(|_| branches)?;
    match graph.values[sum].uses.as_slice() {
        [(reader, 0)] if activates(&graph.nodes[*reader]) => graph.nodes[*reader].output(0),
        _ => Some(sum),
    }
}

fn activates(node: &Node) -> bool {
    matches!(
        node.op_type.as_str(),
        "Relu"
            | "LeakyRelu"
            | "PRelu"
            | "Clip"
            | "Elu"
            | "Selu"
            | "HardSwish"
            | "HardSigmoid"
            | "Sigmoid"
            | "Tanh"
            | "Gelu"
    )
}

/// The uncut model's value of the same name, if both are known to hold the same channels but those that went.
fn paired(graph: &Graph, own: ValueId, uncut: &Graph, removed: &dyn Fn(&str, usize) -> Vec<usize>) -> Option<Pair> {
    let theirs = uncut.find(&graph.values[own].name)?;
    let (small, large) = (graph.values[own].shape.as_ref()?, uncut.values[theirs].shape.as_ref()?);
    let float = |g: &Graph, id: ValueId| g.values[id].dtype.is_some_and(lopper_core::onnx::DataType::is_float);
    if small.len() != large.len() || small.len() < 2 || !float(graph, own) || !float(uncut, theirs) {
        return None;
    }
    let gone = channels_from(uncut, theirs).map_or_else(Vec::new, |(tensor, axis)| removed(&tensor, axis));
    let alike = |axis: usize| match (small.get(axis), large.get(axis)) {
        (Some(a), Some(b)) if axis != 1 => a == b,
        (Some(a), Some(b)) if gone.is_empty() => a == b,
        (Some(a), Some(b)) => a.length().zip(b.length()).is_some_and(|(a, b)| a > 0 && a + gone.len() == b),
        _ => false,
    };
    if !(1..small.len()).all(alike) {
        return None;
    }
    let stay = large.get(1).and_then(lopper_core::graph::Dim::length).filter(|_| !gone.is_empty());
    let stay = stay.map(|n| (0..n).filter(|k| !gone.contains(k)).map(|k| k as i64).collect());
    Some(Pair { own, stay })
}

/// The weight, and the axis of it, that a value's channels (its axis 1) come from.
fn channels_from(graph: &Graph, mut value: ValueId) -> Option<(String, usize)> {
    for _ in 0..graph.nodes.iter().count() {
        let Origin::Node(id, 0) = graph.values[value].origin else { return None };
        let node = &graph.nodes[id];
        let weight = |axis: usize| {
            let weight = &graph.values[node.input(1)?];
            weight.tensor.is_some().then(|| (weight.name.clone(), axis))
        };
        value = match node.op_type.as_str() {
            "Conv" => return weight(0),
            "ConvTranspose" if node.int("group").unwrap_or(1) == 1 => return weight(1),
            "Gemm" => return weight(usize::from(node.int("transB").unwrap_or(0) == 0)),
            "Add" => node.inputs.iter().flatten().copied().find(|v| channels_from_branch(graph, *v))?,
            "BatchNormalization" | "MaxPool" | "AveragePool" | "Dropout" | "Identity" => node.input(0)?,
            _ if activates(node) => node.input(0)?,
            _ => return None,
        };
    }
    None
}

/// Whether a summand is computed, and no constant.
fn channels_from_branch(graph: &Graph, value: ValueId) -> bool {
    graph.values[value].tensor.is_none() && matches!(graph.values[value].origin, Origin::Node(..))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Lesson, Loss, Optimizer, Schedule, Settings, write};
    use crate::value::HostTensor;
    use crate::{Device as Place, block_on};
    use lopper_core::onnx::Tensor as Stored;

    /// Two branches that are added; what the cut one has lost is the middle channel.
    const UNCUT: &str = "(float[N,2,3,3] x) => (float[N,2] y)
<float[3,2,1,1] w1 = {0.5, -1, 2, 1, -0.5, 0.75}, float[3,3,1,1] w2 = {0.2, 0.1, -0.3, 0.4, 0.5, -0.6, 0.7, 0.8, -0.9},
 float[3,2] fc = {1, -1, 0.5, 0.25, -0.75, 1}>
{ c1 = Conv (x, w1) r1 = Tanh (c1) c2 = Conv (r1, w2) a = Add (r1, c2) r = Tanh (a)
  g = GlobalAveragePool (r) f = Flatten (g) y = Gemm (f, fc) }";
    const CUT: &str = "(float[N,2,3,3] x) => (float[N,2] y)
<float[2,2,1,1] w1 = {0.4, -0.8, -0.5, 0.5}, float[2,2,1,1] w2 = {0.3, -0.2, 0.6, -0.7}, float[2,2] fc = {1, -1, -0.5, 0.5}>
{ c1 = Conv (x, w1) r1 = Tanh (c1) c2 = Conv (r1, w2) a = Add (r1, c2) r = Tanh (a)
  g = GlobalAveragePool (r) f = Flatten (g) y = Gemm (f, fc) }";
    const WEIGHT: f32 = 5.0;

    fn model(text: &str) -> Model {
        lopper_core::text::parse(text).unwrap()
    }

    fn gone(tensor: &str, axis: usize) -> Vec<usize> {
        if (tensor, axis) == ("w1", 0) { vec![1] } else { Vec::new() }
    }

    fn lesson() -> Lesson {
        let pixels = (0..4 * 18).map(|i| ((i * 7 + 3) % 23) as f32 / 10.0 - 1.1).collect();
        let input = HostTensor::f32(vec![4, 2, 3, 3], pixels).unwrap();
        Lesson { input, target: None, ahead: Vec::new(), moved: Vec::new() }
    }

    /// The loss of one step, and the model after it.
    fn one_step(small: &Model, weight: Option<f32>) -> (f64, Model) {
        let settings = Settings {
            optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 },
            rate: RATE,
            schedule: Schedule::Constant,
            loss: Loss::Distill { temperature: 4.0, share: 0.9, smoothing: 0.0 },
            ..Settings::default()
        };
        let mut trainer = Trainer::new(small, &Place::cpu(), settings).unwrap();
        let uncut = model(UNCUT);
        match weight {
            Some(weight) => {
                let hints = Hints { original: &uncut, weight, removed: &gone };
                assert_eq!(trainer.match_features(&hints).unwrap(), 1);
            }
            None => trainer.learn_from(&uncut).unwrap(),
        }
        trainer.learn(vec![lesson()]).unwrap();
        let loss = block_on(trainer.losses()).unwrap()[0];
        (f64::from(loss), block_on(trainer.to_model(small)).unwrap())
    }

    const RATE: f64 = 0.1;

    /// What stands at `r`, by image and channel.
    fn inside(text: &str, channels: usize) -> Vec<f64> {
        let shown = text.replace("float[N,2] y)", &format!("float[N,2] y, float[N,{channels},3,3] r)"));
        let network = Network::load(&model(&shown), &Place::cpu()).unwrap();
        let run = block_on(network.run(&[("x".to_owned(), lesson().input)])).unwrap();
        run[1].1.as_f32().unwrap().iter().map(|v| f64::from(*v)).collect()
    }

    #[test]
    fn the_loss_is_that_of_the_answers_and_the_formula() {
        let (own, whole) = (inside(CUT, 2), inside(UNCUT, 3));
        let theirs: Vec<f64> = whole.chunks(27).flat_map(|image| [&image[..9], &image[18..]].concat()).collect();
        assert_eq!(own.len(), theirs.len());
        let apart: f64 = own.iter().zip(&theirs).map(|(a, b)| (a - b).powi(2)).sum();
        let want = f64::from(WEIGHT) * apart / theirs.iter().map(|t| t.powi(2)).sum::<f64>();
        let got = one_step(&model(CUT), Some(WEIGHT)).0 - one_step(&model(CUT), None).0;
        assert!(want > 0.1 && (got - want).abs() < 1e-5 * want.max(1.0), "{got} instead of {want}");
    }

    #[test]
    fn parameters_move_along_its_slope() {
        const STEP: f32 = 1e-2;
        let numbers = |m: &Model, name: &str| {
            let graph = Graph::new(m).unwrap();
            let tensor = graph.values[graph.find(name).unwrap()].tensor.clone().unwrap();
            (tensor.to_f32().unwrap(), tensor.dims)
        };
        let after = one_step(&model(CUT), Some(WEIGHT)).1;
        for name in ["w1", "w2", "fc"] {
            let (before, dims) = numbers(&model(CUT), name);
            for at in 0..before.len() {
                let slope = f64::from(before[at] - numbers(&after, name).0[at]) / RATE;
                let beside = |by: f32| {
                    let (mut moved, mut values) = (model(CUT), before.clone());
                    values[at] += by;
                    write(&mut moved, &Stored::from_f32(name, dims.clone(), &values)).unwrap();
                    one_step(&moved, Some(WEIGHT)).0
                };
                let want = (beside(STEP) - beside(-STEP)) / (2.0 * f64::from(STEP));
                assert!((slope - want).abs() < 5e-3 * want.abs().max(1.0), "{name}[{at}]: {slope} instead of {want}");
            }
        }
    }

    #[test]
    fn ends_of_blocks_are_found_where_both_models_have_them() {
        let found = |own: &str, uncut: &str, removed: &dyn Fn(&str, usize) -> Vec<usize>| {
            let network = Network::load_for_training(&model(own), &Place::cpu()).unwrap();
            let graph = Graph::new(&model(uncut)).unwrap();
            let told = |p: Pair| (network.graph().values[p.own].name.clone(), p.stay);
            pairs(&network, &graph, removed).into_iter().map(told).collect::<Vec<_>>()
        };
        let whole = |_: &str, _: usize| Vec::new();
        assert_eq!(found(CUT, UNCUT, &gone), [("r".to_owned(), Some(vec![0, 2]))]);
        assert_eq!(found(UNCUT, UNCUT, &whole), [("r".to_owned(), None)]);
        assert!(found(CUT, UNCUT, &whole).is_empty(), "which channels are left is not known");
        // Without a sum it is what pooling reads; a sum with a constant is none.
        let plain =
            UNCUT.replace("a = Add (r1, c2)", "a = Add (c2, one)").replace("fc = {", "one = {1, 1}, float[3,2] fc = {");
        let plain = plain.replace("float[3,2] one = {1, 1}", "float[1,1,1,1] one = {1}");
        assert_eq!(found(&plain, &plain, &whole), [("r".to_owned(), None)]);
        let last = UNCUT.replace("r = Tanh (a)", "r = Conv (a, w2)");
        assert_eq!(found(&last, &last, &whole), [("a".to_owned(), None)], "nothing follows the sum");
    }
}
