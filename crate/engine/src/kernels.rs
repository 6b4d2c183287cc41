//! Own kernels as operators on burn's tensors, with or without gradients: on the CPU and on GPUs.
//!
//! burn's convolutions and its BatchNormalization took most of a training step on either: see BENCHMARKS.md. What these
//! do not take, numbers of other precisions and convolutions over three axes, burn computes.

mod cpu;
#[cfg(any(feature = "webgpu", feature = "vulkan", feature = "metal", feature = "cuda"))]
mod gpu;
#[cfg(all(test, any(feature = "webgpu", feature = "vulkan", feature = "metal")))]
mod tests;

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata};
use burn::tensor::{DType, Tensor};
#[cfg(any(feature = "webgpu", feature = "vulkan", feature = "metal", feature = "cuda"))]
use burn_cubecl::Cube;
use lopper_kernels::{Geometry, Planes};

/// A tensor with its place among the gradients.
type Tracked<B> = FloatTensor<Autodiff<B>>;

/// What a backend computes by itself. Tensors are those of 32-bit floats, in any layout.
trait Loops: Backend {
    /// The tensor below, unless it is on another backend or keeps track of gradients.
    fn plain<const D: usize>(tensor: Tensor<D>) -> Option<FloatTensor<Self>>;
    /// The tensor below that keeps track of gradients.
    fn tracked<const D: usize>(tensor: Tensor<D>) -> Option<Tracked<Self>>;
    fn from_plain<const D: usize>(tensor: FloatTensor<Self>) -> Tensor<D>;
    fn from_tracked<const D: usize>(tensor: Tracked<Self>) -> Tensor<D>;

    /// Whether a convolution is small enough.
    fn fits(geometry: &Geometry) -> bool;
    fn forward(
        geometry: &Geometry,
        x: &FloatTensor<Self>,
        w: &FloatTensor<Self>,
        bias: Option<&FloatTensor<Self>>,
    ) -> FloatTensor<Self>;
    /// `start` is a number a channel that is added.
    fn input_gradient(
        geometry: &Geometry,
        w: &FloatTensor<Self>,
        gradient: &FloatTensor<Self>,
        start: Option<&FloatTensor<Self>>,
    ) -> FloatTensor<Self>;
    fn weight_gradient(geometry: &Geometry, x: &FloatTensor<Self>, gradient: &FloatTensor<Self>) -> FloatTensor<Self>;
    /// One sum a channel.
    fn channel_sums(planes: Planes, gradient: &FloatTensor<Self>) -> FloatTensor<Self>;
    /// Output, mean and biased variance.
    fn norm_forward(planes: Planes, x_gamma_beta: [&FloatTensor<Self>; 3], epsilon: f64) -> [FloatTensor<Self>; 3];
    /// The gradients by input, gamma and beta.
    fn norm_backward(
        planes: Planes,
        x_gamma_mean_variance: [&FloatTensor<Self>; 4],
        epsilon: f64,
        gradient: &FloatTensor<Self>,
    ) -> [FloatTensor<Self>; 3];
}

/// From a tensor to one backend's own and back.
macro_rules! conversions {
    ($backend:ty) => {
        fn plain<const D: usize>(tensor: Tensor<D>) -> Option<FloatTensor<Self>> {
            tensor.try_into_primitive::<$backend>().ok()
        }

        fn tracked<const D: usize>(tensor: Tensor<D>) -> Option<Tracked<Self>> {
            tensor.try_into_primitive::<Autodiff<$backend>>().ok()
        }

        fn from_plain<const D: usize>(tensor: FloatTensor<Self>) -> Tensor<D> {
            Tensor::from_primitive::<$backend>(tensor)
        }

        fn from_tracked<const D: usize>(tensor: Tracked<Self>) -> Tensor<D> {
            Tensor::from_primitive::<Autodiff<$backend>>(tensor)
        }
    };
}
use conversions;

/// A tensor of a backend.
enum Held<B: Loops> {
    Plain(FloatTensor<B>),
    Tracked(Tracked<B>),
}

impl<B: Loops> Held<B> {
    /// Nothing for a tensor of another backend, or of other numbers than 32-bit ones.
    fn of<const D: usize>(tensor: &Tensor<D>) -> Option<Self> {
        if tensor.dtype() != DType::F32 {
            return None;
        }
        let plain = B::plain(tensor.clone()).map(Self::Plain);
        plain.or_else(|| B::tracked(tensor.clone()).map(Self::Tracked))
    }

    fn is_tracked(&self) -> bool {
        matches!(self, Self::Tracked(_))
    }

    fn plain(self) -> FloatTensor<B> {
        match self {
            Self::Plain(t) => t,
            Self::Tracked(t) => t.into_primitive(),
        }
    }

    fn tracked(self) -> Tracked<B> {
        match self {
            Self::Plain(t) => Tracked::<B>::new(t),
            Self::Tracked(t) => t,
        }
    }
}

/// A convolution, or the transposed one, whose forward is the other's gradient by the input.
#[derive(Clone, Copy, Debug)]
struct Conv {
    geometry: Geometry,
    transposed: bool,
    bias: bool,
}

impl Conv {
    fn forward<B: Loops>(&self, [x, w, bias]: [&FloatTensor<B>; 3]) -> FloatTensor<B> {
        let bias = self.bias.then_some(bias);
        if self.transposed {
            return B::input_gradient(&self.geometry, w, x, bias);
        }
        B::forward(&self.geometry, x, w, bias)
    }

    /// On the backend on which all are, if they are on `B`.
    fn on<B: Loops>(self, x: &Tensor<4>, w: &Tensor<4>, bias: Option<&Tensor<1>>) -> Option<Tensor<4>> {
        let (x, w) = (Held::<B>::of(x)?, Held::<B>::of(w)?);
        if !B::fits(&self.geometry) {
            return None;
        }
        let tracked = x.is_tracked() || w.is_tracked();
        let bias = bias.map(Held::<B>::of);
        // Without a bias the weights stand in as what nobody asks a gradient of.
        let (bias, w) = match bias {
            Some(bias) => (bias?, w),
            None => {
                let w = w.tracked();
                (Held::Plain(w.primitive().clone()), Held::Tracked(w))
            }
        };
        if !(tracked || bias.is_tracked()) {
            let (x, w, bias) = (x.plain(), w.plain(), bias.plain());
            return Some(B::from_plain(self.forward::<B>([&x, &w, &bias])));
        }
        let (x, w, bias) = (x.tracked(), w.tracked(), bias.tracked());
        let output = self.forward::<B>([x.primitive(), w.primitive(), bias.primitive()]);
        let prepared = Backward::<B, 3>::prepare::<NoCheckpointing>(self, [x.node(), w.node(), bias.node()]);
        let output = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (prepared.checkpoint(&x), prepared.checkpoint(&w));
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        Some(B::from_tracked(output))
    }
}

/// Images, channels, and the product of all other axes.
fn planes(dims: &[usize]) -> Planes {
    let at = |i: usize| dims.get(i).copied().unwrap_or(1);
    Planes { images: at(0), channels: at(1), size: dims.iter().skip(2).product() }
}

impl<B: Loops> Backward<B, 3> for Conv {
    /// The places of input and weights.
    type State = (NodeId, NodeId);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, kept: &mut Checkpointer) {
        let [by_x, by_w, by_bias] = ops.parents;
        let gradient = gradients.consume::<B>(&ops.node);
        let x = kept.retrieve_node_output::<FloatTensor<B>>(ops.state.0);
        let w = kept.retrieve_node_output::<FloatTensor<B>>(ops.state.1);
        let g = &self.geometry;
        if let Some(node) = by_x {
            let by_input = match self.transposed {
                true => B::forward(g, &gradient, &w, None),
                false => B::input_gradient(g, &w, &gradient, None),
            };
            gradients.register::<B>(node.id, by_input);
        }
        if let Some(node) = by_w {
            let by_weight = match self.transposed {
                true => B::weight_gradient(g, &gradient, &x),
                false => B::weight_gradient(g, &x, &gradient),
            };
            gradients.register::<B>(node.id, by_weight);
        }
        if let Some(node) = by_bias {
            gradients.register::<B>(node.id, B::channel_sums(planes(gradient.shape().as_slice()), &gradient));
        }
    }
}

/// A convolution: `x` is images by channels by rows by columns, `w` filters by channels of a group by kernel.
/// A transposed one is the gradient by the input of the convolution that `geometry` describes, whose `output` is the
/// shape of `x`. Nothing when burn's own operator is to do it.
pub(crate) fn convolve(
    x: &Tensor<4>,
    w: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    geometry: Geometry,
    transposed: bool,
) -> Option<Tensor<4>> {
    let conv = Conv { geometry, transposed, bias: bias.is_some() };
    let y = conv.on::<Flex>(x, w, bias);
    #[cfg(any(feature = "webgpu", feature = "vulkan", feature = "metal", feature = "cuda"))]
    let y = y.or_else(|| conv.on::<Cube>(x, w, bias));
    y
}

/// BatchNormalization of a batch by itself.
#[derive(Clone, Copy, Debug)]
struct BatchNorm {
    planes: Planes,
    epsilon: f64,
}

impl BatchNorm {
    /// On the backend on which all are, if they are on `B`.
    fn on<B: Loops, const D: usize>(
        self,
        x: &Tensor<D>,
        gamma: &Tensor<1>,
        beta: &Tensor<1>,
    ) -> Option<(Tensor<D>, [Tensor<1>; 2])> {
        let all = [Held::<B>::of(x)?, Held::<B>::of(gamma)?, Held::<B>::of(beta)?];
        let tracked = all.iter().any(Held::is_tracked);
        let [x, gamma, beta] = all.map(Held::tracked);
        let below = [x.primitive(), gamma.primitive(), beta.primitive()];
        let [output, mean, variance] = B::norm_forward(self.planes, below, self.epsilon);
        let statistics = [&mean, &variance].map(|t| B::from_plain(t.clone()));
        if !tracked {
            return Some((B::from_plain(output), statistics));
        }
        let prepared = Backward::<B, 3>::prepare::<NoCheckpointing>(self, [x.node(), gamma.node(), beta.node()]);
        let output = match prepared.compute_bound().stateful() {
            OpsKind::Tracked(mut prepared) => {
                let state = (prepared.checkpoint(&x), prepared.checkpoint(&gamma), mean, variance);
                prepared.finish(state, output)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(output),
        };
        Some((B::from_tracked(output), statistics))
    }
}

impl<B: Loops> Backward<B, 3> for BatchNorm {
    /// The places of input and gamma; mean and variance.
    type State = (NodeId, NodeId, FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, kept: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let (x, gamma, mean, variance) = ops.state;
        let x = kept.retrieve_node_output::<FloatTensor<B>>(x);
        let gamma = kept.retrieve_node_output::<FloatTensor<B>>(gamma);
        let back = B::norm_backward(self.planes, [&x, &gamma, &mean, &variance], self.epsilon, &gradient);
        for (node, gradient) in ops.parents.into_iter().zip(back) {
            if let Some(node) = node {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Output, mean and biased variance of a batch that is normalised by itself. Nothing when burn's own operator is to do it.
pub(crate) fn batch_norm_train<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    epsilon: f64,
) -> Option<(Tensor<D>, [Tensor<1>; 2])> {
    let norm = BatchNorm { planes: planes(x.shape().as_slice()), epsilon };
    let y = norm.on::<Flex, D>(x, gamma, beta);
    #[cfg(any(feature = "webgpu", feature = "vulkan", feature = "metal", feature = "cuda"))]
    let y = y.or_else(|| norm.on::<Cube, D>(x, gamma, beta));
    y
}
