//! The loops of the CPU.

use super::{Loops, Tracked, conversions};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex, TensorMetadata};
use burn::tensor::{Tensor, TensorData};
use lopper_kernels::{Geometry, Planes};

fn numbers(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor(values: Vec<f32>, dims: impl Into<Vec<usize>>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, dims.into()))
}

impl Loops for Flex {
    conversions!(Flex);

    fn fits(_: &Geometry) -> bool {
        true
    }

    fn forward(g: &Geometry, x: &FlexTensor, w: &FlexTensor, bias: Option<&FlexTensor>) -> FlexTensor {
        let (x, w, bias) = (x.to_contiguous(), w.to_contiguous(), bias.map(FlexTensor::to_contiguous));
        let y = lopper_kernels::forward(g, numbers(&x), numbers(&w), bias.as_ref().map(numbers));
        tensor(y, [g.images, g.groups * g.filters, g.output[0], g.output[1]])
    }

    fn input_gradient(g: &Geometry, w: &FlexTensor, gradient: &FlexTensor, start: Option<&FlexTensor>) -> FlexTensor {
        let (w, gradient, start) = (w.to_contiguous(), gradient.to_contiguous(), start.map(FlexTensor::to_contiguous));
        let x = lopper_kernels::input_gradient(g, numbers(&w), numbers(&gradient), start.as_ref().map(numbers));
        tensor(x, [g.images, g.groups * g.channels, g.input[0], g.input[1]])
    }

    fn weight_gradient(g: &Geometry, x: &FlexTensor, gradient: &FlexTensor) -> FlexTensor {
        let (x, gradient) = (x.to_contiguous(), gradient.to_contiguous());
        let w = lopper_kernels::weight_gradient(g, numbers(&x), numbers(&gradient));
        tensor(w, [g.groups * g.filters, g.channels, g.kernel[0], g.kernel[1]])
    }

    fn channel_sums(planes: Planes, gradient: &FlexTensor) -> FlexTensor {
        let gradient = gradient.to_contiguous();
        tensor(lopper_kernels::plane_sums(planes, numbers(&gradient)), [planes.channels])
    }

    fn norm_forward(planes: Planes, x_gamma_beta: [&FlexTensor; 3], epsilon: f64) -> [FlexTensor; 3] {
        let [x, gamma, beta] = x_gamma_beta.map(FlexTensor::to_contiguous);
        let y = lopper_kernels::norm_forward(planes, numbers(&x), numbers(&gamma), numbers(&beta), epsilon);
        let [mean, variance] = [y.mean, y.variance].map(|v| tensor(v, [planes.channels]));
        [tensor(y.output, x.shape().to_vec()), mean, variance]
    }

    fn norm_backward(planes: Planes, of: [&FlexTensor; 4], epsilon: f64, gradient: &FlexTensor) -> [FlexTensor; 3] {
        let [x, gamma, mean, variance] = of.map(FlexTensor::to_contiguous);
        let gradient = gradient.to_contiguous();
        let statistics = (numbers(&mean), numbers(&variance));
        let back = lopper_kernels::norm_backward(
            planes,
            numbers(&x),
            numbers(&gamma),
            statistics,
            epsilon,
            numbers(&gradient),
        );
        let [gamma, beta] = [back.gamma, back.beta].map(|v| tensor(v, [planes.channels]));
        [tensor(back.input, x.shape().to_vec()), gamma, beta]
    }
}
