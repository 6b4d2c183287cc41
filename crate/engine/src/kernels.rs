//! The CPU's own kernels as operators on burn's tensors, with or without gradients.
//!
//! burn's convolutions and its BatchNormalization took most of a training step on the CPU: see BENCHMARKS.md.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{DType, Tensor, TensorData};
use lopper_kernels::{
    Geometry, Planes, forward, input_gradient, norm_backward, norm_forward, plane_sums, weight_gradient,
};

/// A tensor of the CPU with its place among the gradients.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// A tensor of the CPU.
enum Cpu {
    Plain(FlexTensor),
    Tracked(Tracked),
}

impl Cpu {
    /// Nothing for a tensor of another device, or of other numbers than 32-bit ones.
    fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        match tensor.clone().try_into_primitive::<Flex>() {
            Ok(plain) => Some(Self::Plain(plain)),
            Err(_) => tensor.clone().try_into_primitive::<Autodiff<Flex>>().ok().map(Self::Tracked),
        }
    }

    fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    fn plain(self) -> FlexTensor {
        match self {
            Self::Plain(t) => t,
            Self::Tracked(t) => t.into_primitive(),
        }
    }

    fn tracked(self) -> Tracked {
        match self {
            Self::Plain(t) => Tracked::new(t),
            Self::Tracked(t) => t,
        }
    }
}

fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor(values: Vec<f32>, dims: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims.into()))
}

fn dims(tensor: &FlexTensor) -> Vec<usize> {
    tensor.shape().to_vec()
}

/// A convolution, or the transposed one, whose forward is the other's gradient by the input.
#[derive(Clone, Copy, Debug)]
struct Conv {
    geometry: Geometry,
    transposed: bool,
    bias: bool,
}

impl Conv {
    fn forward(&self, x: &FlexTensor, w: &FlexTensor, bias: &FlexTensor) -> FlexTensor {
        let (g, x, w, bias) = (&self.geometry, x.to_contiguous(), w.to_contiguous(), bias.to_contiguous());
        let bias = self.bias.then(|| numbers(&bias));
        if self.transposed {
            let y = input_gradient(g, numbers(&w), numbers(&x), bias);
            return tensor(y, [g.images, g.groups * g.channels, g.input[0], g.input[1]]);
        }
        let y = forward(g, numbers(&x), numbers(&w), bias);
        tensor(y, [g.images, g.groups * g.filters, g.output[0], g.output[1]])
    }

    fn by_input(&self, x: &FlexTensor, w: &FlexTensor, gradient: &FlexTensor) -> FlexTensor {
        let (g, w) = (&self.geometry, w.to_contiguous());
        let by_input = if self.transposed {
            forward(g, numbers(gradient), numbers(&w), None)
        } else {
            input_gradient(g, numbers(&w), numbers(gradient), None)
        };
        tensor(by_input, dims(x))
    }

    fn by_weight(&self, x: &FlexTensor, w: &FlexTensor, gradient: &FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let by_weight = if self.transposed {
            weight_gradient(&self.geometry, numbers(gradient), numbers(&x))
        } else {
            weight_gradient(&self.geometry, numbers(&x), numbers(gradient))
        };
        tensor(by_weight, dims(w))
    }

    fn by_bias(&self, gradient: &FlexTensor) -> FlexTensor {
        let planes = planes(&dims(gradient));
        tensor(plane_sums(planes, numbers(gradient)), [planes.channels])
    }
}

/// Images, channels, and the product of all other axes.
fn planes(dims: &[usize]) -> Planes {
    let at = |i: usize| dims.get(i).copied().unwrap_or(1);
    Planes { images: at(0), channels: at(1), size: dims.iter().skip(2).product() }
}

impl Backward<Flex, 3> for Conv {
    /// The places of input and weights.
    type State = (NodeId, NodeId);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, kept: &mut Checkpointer) {
        let [by_x, by_w, by_bias] = ops.parents;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let x = kept.retrieve_node_output::<FlexTensor>(ops.state.0);
        let w = kept.retrieve_node_output::<FlexTensor>(ops.state.1);
        if let Some(node) = by_x {
            gradients.register::<Flex>(node.id, self.by_input(&x, &w, &gradient));
        }
        if let Some(node) = by_w {
            gradients.register::<Flex>(node.id, self.by_weight(&x, &w, &gradient));
        }
        if let Some(node) = by_bias {
            gradients.register::<Flex>(node.id, self.by_bias(&gradient));
        }
    }
}

/// A convolution on the CPU: `x` is images by channels by rows by columns, `w` filters by channels of a group by kernel.
/// A transposed one is the gradient by the input of the convolution that `geometry` describes, whose `output` is the
/// shape of `x`. Nothing when the tensors are on another device.
pub(crate) fn convolve(
    x: &Tensor<4>,
    w: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    geometry: Geometry,
    transposed: bool,
) -> Option<Tensor<4>> {
    let conv = Conv { geometry, transposed, bias: bias.is_some() };
    let (x, w) = (Cpu::of(x)?, Cpu::of(w)?);
    let bias = match bias {
        Some(bias) => Cpu::of(bias)?,
        None => Cpu::Plain(tensor(vec![0.0], [1])),
    };
    if !(x.is_tracked() || w.is_tracked() || bias.is_tracked()) {
        return Some(Tensor::from_primitive::<Flex>(conv.forward(&x.plain(), &w.plain(), &bias.plain())));
    }
    let (x, w, bias) = (x.tracked(), w.tracked(), bias.tracked());
    let output = conv.forward(x.primitive(), w.primitive(), bias.primitive());
    let prepared = conv.prepare::<NoCheckpointing>([x.node(), w.node(), bias.node()]).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(mut prepared) => {
            let state = (prepared.checkpoint(&x), prepared.checkpoint(&w));
            prepared.finish(state, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(output))
}

/// BatchNormalization of a batch by itself.
#[derive(Clone, Copy, Debug)]
struct BatchNorm {
    planes: Planes,
    epsilon: f64,
}

impl Backward<Flex, 3> for BatchNorm {
    /// The places of input and gamma; mean and variance.
    type State = (NodeId, NodeId, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, kept: &mut Checkpointer) {
        let [by_x, by_gamma, by_beta] = ops.parents;
        let gradient = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let (x, gamma, mean, variance) = ops.state;
        let x = kept.retrieve_node_output::<FlexTensor>(x).to_contiguous();
        let gamma = kept.retrieve_node_output::<FlexTensor>(gamma).to_contiguous();
        let statistics = (numbers(&mean), numbers(&variance));
        let back =
            norm_backward(self.planes, numbers(&x), numbers(&gamma), statistics, self.epsilon, numbers(&gradient));
        if let Some(node) = by_x {
            gradients.register::<Flex>(node.id, tensor(back.input, dims(&x)));
        }
        if let Some(node) = by_gamma {
            gradients.register::<Flex>(node.id, tensor(back.gamma, [self.planes.channels]));
        }
        if let Some(node) = by_beta {
            gradients.register::<Flex>(node.id, tensor(back.beta, [self.planes.channels]));
        }
    }
}

/// Output, mean and biased variance of a batch that is normalised by itself. Nothing when it is on another device.
pub(crate) fn batch_norm_train<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<(Tensor<D>, [Tensor<1>; 2])> {
    let all = [Cpu::of(x)?, Cpu::of(gamma)?, Cpu::of(beta)?];
    let tracked = all.iter().any(Cpu::is_tracked);
    let [x, gamma, beta] = all.map(Cpu::tracked);
    let norm = BatchNorm { planes: planes(&dims(x.primitive())), epsilon };
    let [xs, gammas, betas] = [&x, &gamma, &beta].map(|t| t.primitive().to_contiguous());
    let y = norm_forward(norm.planes, numbers(&xs), numbers(&gammas), numbers(&betas), epsilon);
    let output = tensor(y.output, dims(&xs));
    let [mean, variance] = [y.mean, y.variance].map(|v| tensor(v, [norm.planes.channels]));
    let statistics = [&mean, &variance].map(|t| Tensor::from_primitive::<Flex>(t.clone()));
    if !tracked {
        return Some((Tensor::from_primitive::<Flex>(output), statistics));
    }
    let prepared = norm.prepare::<NoCheckpointing>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
    let output = match prepared {
        OpsKind::Tracked(mut prepared) => {
            let state = (prepared.checkpoint(&x), prepared.checkpoint(&gamma), mean, variance);
            prepared.finish(state, output)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    };
    Some((Tensor::from_primitive::<Autodiff<Flex>>(output), statistics))
}
