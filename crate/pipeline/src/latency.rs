//! How long layers take on the device in use, at several widths.

use crate::host::{Host, Progress};
use crate::session::Session;
use lopper_core::channels::Channels;
use lopper_core::cut::cut;
use lopper_core::graph::Graph;
use lopper_core::onnx::{DataType, Model};
use lopper_core::plan::{LatencyTable, PlanOptions, Scope, Target, layers, plan};
use lopper_core::{Code, Error, Result};
use lopper_engine::{Device, HostData, HostTensor, Network};

/// Shares of channels that stay in what is measured.
const WIDTHS: [f64; 5] = [1.0, 0.75, 0.5, 0.25, 0.125];
/// Runs that do not count, and the most and fewest that do.
const WARM: usize = 3;
const RUNS: (usize, usize) = (5, 50);
/// Seconds after which a layer has been measured often enough.
const SECONDS: f64 = 0.05;
/// Seconds that the clock must see pass at once: a browser's clock goes in steps of a tenth of a millisecond. Runs that are shorter
/// are taken together, so many at most.
const STRETCH: f64 = 0.002;
const TOGETHER: u32 = 64;

impl Session {
    /// Times every layer with weights on the device in use, alone, at several widths, and the whole model. Locks are kept.
    ///
    /// # Errors
    /// When the model cannot be run or cut, or with [`Code::Cancelled`].
    pub async fn latencies(&self, locks: &[String], host: &impl Host) -> Result<LatencyTable> {
        let control = self.control();
        control.begin();
        let opened = self.opened()?;
        let mut table = LatencyTable { device: self.device.name().to_owned(), ..LatencyTable::default() };
        let whole = time(&opened.model, &self.device, host).await?;
        for (done, width) in WIDTHS.into_iter().enumerate() {
            host.progress(&Progress::Cut { done, total: WIDTHS.len() });
            let options = PlanOptions {
                scope: Scope::Group,
                locks: locks.to_vec(),
                ..PlanOptions::new(Target::Ratio(1.0 - width))
            };
            let narrow = match width < 1.0 {
                true => {
                    let gone = plan(&opened.graph, &opened.channels, &options)?.removed;
                    cut(&opened.model, &opened.graph, &opened.channels, gone)?.model
                }
                false => opened.model.clone(),
            };
            let graph = Graph::new(&narrow)?;
            for (node, macs) in layers(&graph, &Channels::analyze(&graph))? {
                let Some(alone) = narrow.single(&graph, node) else { continue };
                let seconds = time(&alone, &self.device, host).await?;
                let name = graph.nodes[node].name.clone();
                table.layers.entry(name).or_default().push((macs, 1000.0 * seconds));
                if !control.pass(host).await {
                    return Err(Error::new(Code::Cancelled, "the measurement was cancelled"));
                }
            }
        }
        settle(&mut table, 1000.0 * whole)?;
        Ok(table)
    }

    /// Milliseconds of one sample of the opened model, or of the cut one if there is one, on the device in use.
    ///
    /// # Errors
    /// When the model cannot be run.
    pub async fn milliseconds(&self, host: &impl Host) -> Result<f64> {
        Ok(1000.0 * time(self.base()?, &self.device, host).await?)
    }
}

/// Makes the layers at full width and the rest add up to what the whole takes: alone, layers wait for the device more often.
fn settle(table: &mut LatencyTable, whole: f64) -> Result<()> {
    let full = |points: &Vec<(u64, f64)>| points.iter().max_by_key(|p| p.0).map_or(0.0, |p| p.1);
    let sum: f64 = table.layers.values().map(full).sum();
    table.rest = (whole - sum).max(0.0);
    let scale = if sum > whole { whole / sum } else { 1.0 };
    table.layers.values_mut().flatten().for_each(|p| p.1 *= scale);
    table.settle()
}

/// Median seconds of one run on zeros.
pub(crate) async fn time(model: &Model, device: &Device, host: &impl Host) -> Result<f64> {
    let network = Network::load(model, device)?;
    let inputs = zeros(network.graph())?;
    for _ in 0..WARM {
        network.run(&inputs).await?;
    }
    let stretch = async |runs: u32| -> Result<f64> {
        let start = host.seconds();
        for _ in 0..runs {
            network.run(&inputs).await?;
        }
        Ok(host.seconds() - start)
    };
    let mut together = 1;
    while together < TOGETHER && stretch(together).await? < STRETCH {
        together *= 2;
    }
    let (mut seconds, begin) = (Vec::new(), host.seconds());
    while seconds.len() < RUNS.0 || (seconds.len() < RUNS.1 && host.seconds() - begin < SECONDS) {
        seconds.push(stretch(together).await? / f64::from(together));
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds.get(seconds.len() / 2).copied().unwrap_or(0.0))
}

/// One sample of zeros for every input.
fn zeros(graph: &Graph) -> Result<Vec<(String, HostTensor)>> {
    let mut out = Vec::new();
    for &id in &graph.inputs {
        let value = &graph.values[id];
        let open = || {
            let what = format!("input {:?} has no shape, so the model cannot be timed", value.name);
            Error::new(Code::Unsupported, what)
        };
        let shape = value.shape.as_ref().ok_or_else(open)?;
        let dims: Vec<usize> = shape.iter().map(|d| d.length().unwrap_or(1)).collect();
        let count = dims.iter().product();
        let data = match value.dtype {
            Some(DataType::Bool) => HostData::Bool(vec![false; count]),
            Some(t) if !t.is_float() => HostData::I64(vec![0; count]),
            _ => HostData::F32(vec![0.0; count]),
        };
        out.push((value.name.clone(), HostTensor::new(dims, data)?));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_and_the_rest_add_up_to_the_whole() {
        let table = |ms: f64| LatencyTable {
            layers: [("a".to_owned(), vec![(10, 1.0), (20, ms)])].into(),
            ..LatencyTable::default()
        };
        let mut small = table(2.0);
        settle(&mut small, 5.0).unwrap();
        assert_eq!((small.rest, small.layers["a"][1].1), (3.0, 2.0));
        let mut large = table(10.0);
        settle(&mut large, 5.0).unwrap();
        assert_eq!((large.rest, large.layers["a"].as_slice()), (0.0, [(10, 0.5), (20, 5.0)].as_slice()));
    }
}
