//! Running statistics of BatchNormalization: each has its own, and they follow the batches.

use super::{Trainer, put};
use crate::ops::Statistics;
use crate::run::Slot;
use crate::value::Value;
use lopper_core::Result;
use lopper_core::onnx::proto::{GraphProto, NodeProto, TensorProto};
use lopper_core::onnx::{DataType, Model};
use std::collections::{BTreeSet, HashMap};

/// Inputs of BatchNormalization that hold statistics, and what a tensor of its own is called after its output.
const PORTS: [(usize, &str); 2] = [(3, "running_mean"), (4, "running_var")];

/// A statistic that a node shares, or reads through copies.
struct Borrowed {
    /// Position of the node, and of its input.
    node: usize,
    port: usize,
    tensor: TensorProto,
}

/// The model with a tensor for each running statistic that nothing else reads, or `None` where that is so already. Exporters make one
/// initializer of equal ones, and read it through Identity; statistics that move must not be shared.
///
/// # Errors
/// Never for models that were read.
pub fn own_statistics(model: &Model) -> Result<Option<Model>> {
    let Some(graph) = model.proto.graph.as_option() else { return Ok(None) };
    let (borrowed, passed) = borrowed(graph);
    if borrowed.is_empty() {
        return Ok(None);
    }
    let mut own = model.held()?;
    let Some(graph) = own.proto.graph.as_option_mut() else { return Ok(None) };
    // The same statistics of a copy that holds its elements itself.
    let held = self::borrowed(graph).0;
    for Borrowed { node, port, tensor } in held {
        let name = tensor.name.clone().unwrap_or_default();
        if let Some(place) = graph.node.get_mut(node).and_then(|n| n.input.get_mut(port)) {
            *place = name;
            graph.initializer.push(tensor);
        }
    }
    drop_unread(graph, &passed);
    Ok(Some(own))
}

/// Statistics that must become their nodes' own, and names that they were read by until now.
fn borrowed(graph: &GraphProto) -> (Vec<Borrowed>, BTreeSet<String>) {
    let maker: HashMap<&str, &NodeProto> =
        graph.node.iter().flat_map(|n| n.output.iter().map(move |o| (o.as_str(), n))).collect();
    let tensors: HashMap<&str, &TensorProto> =
        graph.initializer.iter().filter_map(|t| Some((t.name.as_deref()?, t))).collect();
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for name in graph.node.iter().flat_map(|n| &n.input) {
        *readers.entry(name).or_default() += 1;
    }
    let mut taken: BTreeSet<String> = names(graph);
    let (mut out, mut passed) = (Vec::new(), BTreeSet::new());
    for (node, n) in graph.node.iter().enumerate().filter(|(_, n)| is(n, "BatchNormalization")) {
        for (port, what) in PORTS {
            let Some(name) = n.input.get(port).filter(|name| !name.is_empty()) else { continue };
            let (mut source, mut way) = (name.as_str(), vec![name.clone()]);
            while let Some(from) = maker.get(source).filter(|n| is(n, "Identity")).and_then(|n| n.input.first()) {
                // A way longer than there are nodes goes in a circle, which loading refuses.
                if way.len() > graph.node.len() {
                    break;
                }
                source = from.as_str();
                way.push(from.clone());
            }
            let constant =
                || maker.get(source).filter(|n| is(n, "Constant"))?.attribute.iter().find_map(|a| a.t.as_option());
            let Some(tensor) = tensors.get(source).copied().or_else(constant) else { continue };
            let alone = way.len() == 1 && readers.get(source) == Some(&1);
            if alone || tensor.data_type != Some(DataType::Float as i32) {
                continue;
            }
            let base = format!("{}.{what}", n.output.first().map_or("batch_norm", String::as_str));
            let named = |k: usize| if k == 0 { base.clone() } else { format!("{base}_{k}") };
            let Some(fresh) = (0..).map(named).find(|name| !taken.contains(name)) else { continue };
            taken.insert(fresh.clone());
            passed.extend(way);
            out.push(Borrowed { node, port, tensor: TensorProto { name: Some(fresh), ..tensor.clone() } });
        }
    }
    (out, passed)
}

fn is(node: &NodeProto, op: &str) -> bool {
    node.op_type.as_deref() == Some(op) && node.domain.as_deref().is_none_or(|d| d.is_empty() || d == "ai.onnx")
}

/// Every name that a graph uses.
fn names(graph: &GraphProto) -> BTreeSet<String> {
    let of_nodes = graph.node.iter().flat_map(|n| n.input.iter().chain(&n.output)).cloned();
    of_nodes.chain(graph.initializer.iter().filter_map(|t| t.name.clone())).collect()
}

/// Takes out copies and tensors of these names that nothing reads any more.
fn drop_unread(graph: &mut GraphProto, passed: &BTreeSet<String>) {
    // What bodies of nodes read is not counted, so nothing goes where there are bodies.
    if graph.node.iter().flat_map(|n| &n.attribute).any(|a| a.g.as_option().is_some() || !a.graphs.is_empty()) {
        return;
    }
    loop {
        let outputs = graph.output.iter().filter_map(|o| o.name.clone());
        let read: BTreeSet<String> = graph.node.iter().flat_map(|n| n.input.iter().cloned()).chain(outputs).collect();
        let goes = |name: &str| passed.contains(name) && !read.contains(name);
        let before = graph.node.len() + graph.initializer.len();
        graph.node.retain(|n| !n.output.first().is_some_and(|o| goes(o)));
        graph.initializer.retain(|t| !t.name.as_deref().is_some_and(goes));
        graph.input.retain(|i| !i.name.as_deref().is_some_and(goes));
        if graph.node.len() + graph.initializer.len() == before {
            return;
        }
    }
}

impl Trainer {
    /// `running = momentum * running + (1 - momentum) * batch`.
    pub(super) fn move_statistics(&mut self, seen: Vec<Statistics>) -> Result<()> {
        for s in seen {
            for (id, batch) in [(s.mean_of, s.mean), (s.variance_of, s.variance)] {
                let slot = Slot::from(id);
                let Some(Value::Device(old)) = self.constants.get_mut(slot).and_then(Option::take) else { continue };
                let new = old.float::<1>()?.mul_scalar(s.momentum) + batch.mul_scalar(1.0 - s.momentum);
                put(&mut self.constants, slot, Some(new.into()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Lesson, Settings, Target};
    use crate::value::HostTensor;
    use crate::{Device, block_on, stored};
    use lopper_core::graph::Graph;

    /// One mean for both, which is a shift as well; one variance, of which the second is read through two copies.
    const SHARED: &str = "(float[N,2,4,4] x) => (float[N,2] y)
<float[2,2,1,1] w1 = {1, 0.5, -1, 2}, float[2,2,1,1] w2 = {3, 0.5, -1, 1}, float[2] s1 = {1, 2}, float[2] s2 = {2, 1},
 float[2] zero = {0, 0}, float[2] one = {1, 1}, float[2] t = {0.5, 0}>
{
  c1 = Conv (x, w1) n1 = BatchNormalization (c1, s1, zero, zero, one)
  a = Identity (one) b = Identity (a)
  c2 = Conv (n1, w2) n2 = BatchNormalization (c2, s2, t, zero, b)
  g = GlobalAveragePool (n2) y = Flatten (g)
}";
    /// The same with a tensor each.
    const APART: &str = "(float[N,2,4,4] x) => (float[N,2] y)
<float[2,2,1,1] w1 = {1, 0.5, -1, 2}, float[2,2,1,1] w2 = {3, 0.5, -1, 1}, float[2] s1 = {1, 2}, float[2] s2 = {2, 1},
 float[2] zero = {0, 0}, float[2] m1 = {0, 0}, float[2] v1 = {1, 1}, float[2] m2 = {0, 0}, float[2] v2 = {1, 1},
 float[2] t = {0.5, 0}>
{
  c1 = Conv (x, w1) n1 = BatchNormalization (c1, s1, zero, m1, v1)
  c2 = Conv (n1, w2) n2 = BatchNormalization (c2, s2, t, m2, v2)
  g = GlobalAveragePool (n2) y = Flatten (g)
}";

    fn after_three_steps(text: &str) -> Model {
        let model = lopper_core::text::parse(text).unwrap();
        let mut trainer = Trainer::new(&model, &Device::cpu(), Settings::default()).unwrap();
        for step in 0..3 {
            let pixels = (0..4 * 32).map(|i| ((i * 7 + step * 3) % 13) as f32 / 4.0 - 1.0).collect();
            let input = HostTensor::f32(vec![4, 2, 4, 4], pixels).unwrap();
            let target = Some(Target::Classes(vec![0, 1, 1, 0]));
            trainer.learn(vec![Lesson { input, target, ahead: Vec::new(), moved: Vec::new() }]).unwrap();
        }
        block_on(trainer.to_model(&model)).unwrap()
    }

    fn numbers(model: &Model, name: &str) -> Vec<f32> {
        let graph = Graph::new(model).unwrap();
        let id = graph.find(name).unwrap_or_else(|| panic!("{name} is missing"));
        graph.values[id].tensor.as_ref().unwrap().to_f32().unwrap()
    }

    #[test]
    fn shared_statistics_become_own_ones_that_move_as_if_they_had_always_been() {
        let (shared, apart) = (after_three_steps(SHARED), after_three_steps(APART));
        let same = ["w1", "w2", "s1", "s2", "t", "zero"].map(|n| (n, n));
        let own =
            [("n1.running_mean", "m1"), ("n1.running_var", "v1"), ("n2.running_mean", "m2"), ("n2.running_var", "v2")];
        for (name, wanted) in same.into_iter().chain(own) {
            let (got, want) = (numbers(&shared, name), numbers(&apart, wanted));
            assert_eq!(got, want, "{name}");
            assert!(got != [0.0, 0.0] && got != [1.0, 1.0], "{name} does not move: {got:?}");
        }
        let graph = shared.proto.graph.as_option().unwrap();
        assert!(graph.node.iter().all(|n| !is(n, "Identity")), "copies that nothing reads are gone");
        assert!(
            graph.initializer.iter().all(|t| t.name.as_deref() != Some("one")),
            "and so is what they were copies of"
        );
        assert!(own_statistics(&shared).unwrap().is_none());
        // Both compute the same.
        let nodes = |m: &Model| Graph::new(m).unwrap().nodes.iter().count();
        assert_eq!(nodes(&shared), nodes(&apart));
    }

    #[test]
    fn what_is_read_elsewhere_stays() {
        let text = SHARED.replace("y = Flatten (g)", "f = Flatten (g) y = Add (f, a)");
        let mut own = own_statistics(&lopper_core::text::parse(&text).unwrap()).unwrap().unwrap();
        assert!(stored::find(&mut own, "one").is_some() && Graph::new(&own).unwrap().find("a").is_some());
        assert!(Graph::new(&own).unwrap().find("b").is_none());
        assert!(own_statistics(&lopper_core::text::parse(APART).unwrap()).unwrap().is_none());
    }
}
