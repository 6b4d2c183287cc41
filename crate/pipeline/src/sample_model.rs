//! The sample model: a small residual network, built here and trained by this project's own engine on the sample images.

use crate::host::Host;
use crate::options::{DataOptions, TuneOptions, Which};
use crate::sample;
use crate::session::Session;
use crate::summary::SampleSummary;
use bytes::Bytes;
use lopper_core::Result;
use lopper_core::onnx::proto::__buffa::oneof::tensor_shape_proto::dimension::Value as DimValue;
use lopper_core::onnx::proto::tensor_shape_proto::Dimension;
use lopper_core::onnx::proto::{AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use lopper_core::onnx::proto::{TensorShapeProto, TypeProto, ValueInfoProto, type_proto};
use lopper_core::onnx::{Model, Tensor, tensor_proto};
use lopper_engine::data::random::SplitMix64;

/// One deviation and mean for all channels fit pictures of middling brightness.
const NORMALIZE: &str = "0.5/0.25";
/// The model learnt from the first and was judged by the second; the page shows the third.
const SEEDS: [u64; 3] = [1, 2, 0];
const TRAINED_PER_CLASS: usize = 1000;
const TESTED_PER_CLASS: usize = 200;
const SHOWN_PER_CLASS: usize = 240;
/// Channels of the three stages.
const STAGES: [usize; 3] = [16, 32, 64];

impl Session {
    /// Opens the sample model together with newly drawn images that it has not learnt from. `model` is the file
    /// crate/pipeline/assets/sample.onnx, made by `lopper sample-train` in 3,060 steps: of 2,000 pictures that it has not
    /// seen it gets 92.2 % right.
    ///
    /// # Errors
    /// When the file is damaged.
    pub async fn load_sample(&mut self, model: Bytes, host: &impl Host) -> Result<SampleSummary> {
        let model = self.open(model, "sample.onnx")?.clone();
        host.breathe(false).await;
        let options = DataOptions { normalize: NORMALIZE.to_owned(), seed: 0, validation: Some(0.05), test: Some(0.2) };
        let [_, _, seed] = SEEDS;
        let images = sample::images(seed, SHOWN_PER_CLASS)?;
        let data = self.adopt("drawn shapes", images, NORMALIZE.parse()?, &options)?;
        Ok(SampleSummary { model, data })
    }
}

/// Trains the sample model from nothing and returns its file with its accuracy on images that it has not seen.
///
/// # Errors
/// When the device fails.
pub async fn train(epochs: usize, host: &impl Host) -> Result<(Vec<u8>, f64)> {
    let [learnt, judged, _] = SEEDS;
    let mut session = Session::new();
    session.open(build(learnt)?.write()?, "sample.onnx")?;
    let options = DataOptions { normalize: NORMALIZE.to_owned(), seed: 0, validation: Some(0.02), test: Some(0.0) };
    session.adopt("drawn shapes", sample::images(learnt, TRAINED_PER_CLASS)?, NORMALIZE.parse()?, &options)?;
    let tune = TuneOptions { epochs, learning_rate: 0.05, batch: 32, seed: learnt, ..TuneOptions::default() };
    session.tune(&tune, host).await?;
    let all = DataOptions { test: Some(1.0), validation: Some(0.0), ..options };
    session.adopt("drawn shapes", sample::images(judged, TESTED_PER_CLASS)?, NORMALIZE.parse()?, &all)?;
    let seen = session.evaluate(Which::Tuned, None, host).await?;
    Ok((session.model(Which::Tuned)?.write()?, seen.top1.unwrap_or(0.0)))
}

/// Builds the graph node by node.
struct Builder {
    graph: GraphProto,
    random: SplitMix64,
}

impl Builder {
    fn tensor(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        self.graph.initializer.push(tensor_proto(&Tensor::from_f32(name, dims.to_vec(), values)));
        name.to_owned()
    }

    fn node(&mut self, op: &str, name: &str, inputs: &[&str], attribute: Vec<AttributeProto>) -> String {
        self.graph.node.push(NodeProto {
            input: inputs.iter().map(|i| (*i).to_owned()).collect(),
            output: vec![name.to_owned()],
            name: Some(format!("/{}", name.replace('.', "/"))),
            op_type: Some(op.to_owned()),
            attribute,
            ..NodeProto::default()
        });
        name.to_owned()
    }

    /// Normal numbers of a deviation that keeps the size of activations (He et al., ICCV 2015).
    fn weights(&mut self, dims: &[usize]) -> Vec<f32> {
        let count: usize = dims.iter().product();
        let fan_in: usize = dims.iter().skip(1).product();
        let deviation = (2.0 / fan_in.max(1) as f32).sqrt();
        (0..count)
            .map(|_| {
                let radius = (-2.0 * (1.0 - self.random.unit()).ln()).sqrt();
                deviation * radius * (std::f32::consts::TAU * self.random.unit()).cos()
            })
            .collect()
    }

    /// A convolution without bias and its norm.
    fn conv(&mut self, name: &str, input: &str, shape: [usize; 3], stride: i64) -> String {
        let [from, to, kernel] = shape;
        let dims = [to, from, kernel, kernel];
        let values = self.weights(&dims);
        let weight = self.tensor(&format!("{name}.weight"), &dims, &values);
        let pad = (kernel / 2) as i64;
        let attributes =
            vec![ints("kernel_shape", &[kernel as i64; 2]), ints("strides", &[stride; 2]), ints("pads", &[pad; 4])];
        let out = self.node("Conv", name, &[input, &weight], attributes);
        let norm = format!("{name}.norm");
        let [scale, bias, mean, variance] = [("scale", 1.0), ("bias", 0.0), ("mean", 0.0), ("variance", 1.0)]
            .map(|(part, value)| self.tensor(&format!("{norm}.{part}"), &[to], &vec![value; to]));
        self.node("BatchNormalization", &norm, &[&out, &scale, &bias, &mean, &variance], Vec::new())
    }

    /// Two convolutions beside a shortcut.
    fn block(&mut self, name: &str, input: &str, from: usize, to: usize) -> String {
        let stride = if from == to { 1 } else { 2 };
        let first = self.conv(&format!("{name}.conv1"), input, [from, to, 3], stride);
        let first = self.node("Relu", &format!("{name}.relu1"), &[&first], Vec::new());
        let second = self.conv(&format!("{name}.conv2"), &first, [to, to, 3], 1);
        let shortcut = if from == to {
            input.to_owned()
        } else {
            self.conv(&format!("{name}.shortcut"), input, [from, to, 1], stride)
        };
        let sum = self.node("Add", &format!("{name}.add"), &[&second, &shortcut], Vec::new());
        self.node("Relu", &format!("{name}.relu2"), &[&sum], Vec::new())
    }
}

fn ints(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(7), ints: values.to_vec(), ..AttributeProto::default() }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: Some(name.to_owned()), r#type: Some(2), i: Some(value), ..AttributeProto::default() }
}

fn port(name: &str, dims: &[usize]) -> ValueInfoProto {
    let batch = DimValue::DimParam("N".to_owned());
    let dim = std::iter::once(batch)
        .chain(dims.iter().map(|&d| DimValue::DimValue(d as i64)))
        .map(|value| Dimension { value: Some(value), ..Dimension::default() })
        .collect();
    let shape = TensorShapeProto { dim, ..TensorShapeProto::default() };
    let tensor = type_proto::Tensor { elem_type: Some(1), shape: shape.into(), ..type_proto::Tensor::default() };
    let r#type = TypeProto { tensor_type: tensor.into(), ..TypeProto::default() };
    ValueInfoProto { name: Some(name.to_owned()), r#type: r#type.into(), ..ValueInfoProto::default() }
}

/// The untrained network.
fn build(seed: u64) -> Result<Model> {
    let [first, _, last] = STAGES;
    let classes = sample::CLASSES.len();
    let mut b = Builder { graph: GraphProto::default(), random: SplitMix64::new(seed) };
    let stem = b.conv("stem", "image", [3, first, 3], 1);
    let mut value = b.node("Relu", "stem.relu", &[&stem], Vec::new());
    let mut from = first;
    for (stage, to) in STAGES.into_iter().enumerate() {
        value = b.block(&format!("stage{}", stage + 1), &value, from, to);
        from = to;
    }
    let pooled = b.node("GlobalAveragePool", "pool", &[&value], Vec::new());
    let flat = b.node("Flatten", "flat", &[&pooled], vec![int("axis", 1)]);
    let values = b.weights(&[classes, last]);
    let weight = b.tensor("head.weight", &[classes, last], &values);
    let bias = b.tensor("head.bias", &[classes], &vec![0.0; classes]);
    b.node("Gemm", "logits", &[&flat, &weight, &bias], vec![int("transB", 1)]);
    let graph = GraphProto {
        name: Some("sample".to_owned()),
        input: vec![port("image", &[3, sample::SIDE, sample::SIDE])],
        output: vec![port("logits", &[classes])],
        ..b.graph
    };
    // The smallest file with a graph, as a place for this one.
    let mut model = Model::read(Bytes::from_static(&[0x08, 0x08, 0x3a, 0x00]))?;
    model.proto = ModelProto {
        ir_version: Some(8),
        producer_name: Some("lopper".to_owned()),
        doc_string: Some("Ten kinds of drawn shapes, 32 x 32 pixels, (value / 255 - 0.5) / 0.25".to_owned()),
        graph: graph.into(),
        opset_import: vec![OperatorSetIdProto { version: Some(17), ..OperatorSetIdProto::default() }],
        ..ModelProto::default()
    };
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lopper_core::graph::Graph;

    #[test]
    fn the_network_has_about_the_size_that_was_wanted() {
        let graph = Graph::new(&build(0).unwrap()).unwrap();
        assert!((70_000..85_000).contains(&graph.parameter_count()), "{}", graph.parameter_count());
        assert!(graph.values[graph.outputs[0]].shape.is_some());
    }
}
