//! `fpgm_l2`, `fpgm_l1` and `fpgm_cosine` on a device: differences of blocks of filters, as the core takes them.

use super::weights::rows;
use crate::device::Device;
use crate::tensor::DeviceTensor;
use crate::value::HostTensor;
use burn::tensor::Tensor;
use lopper_core::Result;
use lopper_core::graph::Graph;
use lopper_core::score::{Criterion, Distance, Layer, Measured};

/// Differences that are held at once.
const MOST: usize = 1 << 24;

/// The distance of a criterion, if it is one that sums distances and nothing else.
fn distance(criterion: &Criterion) -> Option<Distance> {
    match criterion {
        Criterion::FpgmL2 => Some(Distance::Euclidean),
        Criterion::FpgmL1 => Some(Distance::Manhattan),
        Criterion::FpgmCosine => Some(Distance::Cosine),
        _ => None,
    }
}

/// Adds the scores of a layer's filters.
pub(super) async fn score(
    graph: &Graph,
    layer: &Layer,
    criterion: &Criterion,
    device: &Device,
    measured: &mut Measured,
) -> Result<()> {
    let value = &graph.values[layer.weight];
    let (Some(distance), Some(stored)) = (distance(criterion), value.tensor.as_ref()) else { return Ok(()) };
    if !stored.dtype.is_float() || measured.get(criterion, &value.name).is_some() {
        return Ok(());
    }
    let weight = DeviceTensor::upload(&HostTensor::of(stored)?, device.inner())?;
    let sums = sums(distance, rows(weight, &layer.filters)?).await?;
    measured.insert(criterion, &value.name, Ok(sums));
    Ok(())
}

/// The sum of each row's distances to all others.
async fn sums(distance: Distance, rows: Tensor<2>) -> Result<Vec<f64>> {
    let [count, size] = rows.dims();
    // Angles are those of filters of length one; filters of zeros stay, so that they are at right angles to all.
    let rows = match distance {
        Distance::Cosine => {
            let norms = (rows.clone() * rows.clone()).sum_dim(1).sqrt();
            let none = norms.clone().equal_elem(0.0);
            rows / norms.mask_fill(none, 1.0)
        }
        _ => rows,
    };
    let block = (MOST / (count * size.min(256)).max(1)).clamp(1, count.max(1));
    let piece = (MOST / (block * count).max(1)).clamp(1, size.max(1));
    let mut out = Vec::with_capacity(count);
    for start in (0..count).step_by(block) {
        let end = (start + block).min(count);
        let mut total: Option<Tensor<3>> = None;
        for from in (0..size).step_by(piece) {
            let to = (from + piece).min(size);
            let own = rows.clone().slice([start..end, from..to]).unsqueeze_dim::<3>(1);
            let all = rows.clone().slice([0..count, from..to]).unsqueeze_dim::<3>(0);
            let part = match distance {
                Distance::Manhattan => (own - all).abs(),
                Distance::Euclidean => {
                    let d = own - all;
                    d.clone() * d
                }
                Distance::Cosine => own * all,
            }
            .sum_dim(2);
            total = Some(match total {
                Some(t) => t + part,
                None => part,
            });
        }
        let Some(total) = total else { continue };
        let host = DeviceTensor::from(total).download().await?;
        for (row, line) in host.as_f32().unwrap_or_default().chunks(count).enumerate() {
            let others = line.iter().enumerate().filter(|(j, _)| *j != start + row);
            out.push(others.map(|(_, &sum)| of(distance, f64::from(sum))).sum());
        }
    }
    Ok(out)
}

fn of(distance: Distance, sum: f64) -> f64 {
    match distance {
        Distance::Euclidean => sum.sqrt(),
        Distance::Manhattan => sum,
        Distance::Cosine => 1.0 - sum,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block_on;
    use lopper_core::score::{Rows, distance_sums};

    #[test]
    fn the_device_and_the_core_agree() {
        let device = Device::cpu();
        for (count, size) in [(1, 3), (7, 300), (64, 576)] {
            let mut values: Vec<f32> =
                (0..count * size).map(|i| ((i * 7919 + 13) % 1009) as f32 / 504.5 - 1.0).collect();
            values[..size].fill(0.0);
            let tensor =
                DeviceTensor::upload(&HostTensor::f32(vec![count, size], values.clone()).unwrap(), device.inner());
            let rows: Tensor<2> = tensor.unwrap().float().unwrap();
            for distance in [Distance::Euclidean, Distance::Manhattan, Distance::Cosine] {
                let got = block_on(sums(distance, rows.clone())).unwrap();
                let want = distance_sums(distance, &Rows { values: values.clone(), size }, |_| true);
                let most = want.iter().copied().fold(1e-9, f64::max);
                assert!(
                    got.iter().zip(&want).all(|(g, w)| (g - w).abs() < 1e-5 * most),
                    "{distance:?} {got:?} {want:?}"
                );
            }
        }
    }
}
