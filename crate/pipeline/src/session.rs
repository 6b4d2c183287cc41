//! A model, what was done to it, and the images to judge it by.

use crate::checkpoint::Restored;
use crate::cutting::CutState;
use crate::describe;
use crate::host::Control;
use crate::images::Images;
use crate::mask::MaskState;
use crate::methods::Trained;
use crate::options::Which;
use crate::predictions::Known;
use crate::recover::Reference;
use crate::summary::{DeviceInfo, Estimate, GroupChange, GroupSummary, ModelSummary, OpenedModel};
use crate::tune::Tuned;
use bytes::Bytes;
use lopper_core::channels::{Channels, Coupling, Told};
use lopper_core::graph::Graph;
use lopper_core::onnx::{ExternalData, Model, NoExternalData};
use lopper_core::plan::{Plan, PlanOptions, Planner, whole_cost};
use lopper_core::recipe::ScoreOptions;
use lopper_core::report::{Accuracy, Change, PinInfo, sha256};
use lopper_core::score::Measured;
use lopper_core::{Code, Error, Result};
use lopper_engine::{Device, DeviceChoice, DeviceKind, HostTensor, Network};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The opened model with everything that was found out about it.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) name: String,
    pub(crate) bytes: Bytes,
    digest: OnceLock<String>,
    pub(crate) model: Model,
    pub(crate) graph: Graph,
    pub(crate) channels: Channels,
    pub(crate) described: OpenedModel,
    pub(crate) accuracy: Accuracy,
    /// Scores by images, and which images these were.
    pub(crate) measured: Option<(ScoreOptions, Measured)>,
    /// Scores of the last plan's first step, and what they depend on beside `measured`.
    pub(crate) scored: Mutex<Option<(String, Vec<Vec<f64>>)>>,
    /// What models said of images.
    pub(crate) answers: Known,
    pub(crate) cut: Option<CutState>,
    pub(crate) tuned: Option<Tuned>,
    pub(crate) masks: Option<MaskState>,
    /// What training around a cut ended with.
    pub(crate) trained: Option<Trained>,
}

impl Opened {
    /// The file's SHA-256, taken when somebody first asks: a large file needs longer for it than for all its groups.
    pub(crate) fn sha256(&self) -> &str {
        self.digest.get_or_init(|| sha256(&self.bytes))
    }

    /// Bytes of the model's file, and of its tensors in files beside it.
    pub(crate) fn size(&self) -> u64 {
        self.bytes.len() as u64 + self.model.outside()
    }
}

/// A model as a person opened it, where training around a cut has put another in its place.
#[derive(Clone, Debug)]
pub(crate) struct First {
    pub(crate) name: String,
    pub(crate) sha256: String,
    pub(crate) bytes: Bytes,
    pub(crate) model: Model,
}

/// One model on its way from open to download.
#[derive(Debug)]
pub struct Session {
    control: Arc<Control>,
    pub(crate) device: Device,
    /// Devices that take parts of every batch of a fine-tune.
    pub(crate) others: Vec<Device>,
    pub(crate) opened: Option<Opened>,
    pub(crate) images: Option<Images>,
    pub(crate) restored: Option<Restored>,
    pub(crate) reference: Option<Reference>,
    pub(crate) first: Option<First>,
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    /// An empty session on the CPU.
    pub fn new() -> Self {
        Self {
            control: Arc::default(),
            device: Device::cpu(),
            others: Vec::new(),
            opened: None,
            images: None,
            restored: None,
            reference: None,
            first: None,
        }
    }

    /// The switch that pauses and cancels tasks of this session.
    pub fn control(&self) -> Arc<Control> {
        Arc::clone(&self.control)
    }

    /// Opens a model that holds all its tensors itself. A file that cannot be opened leaves the session as it was.
    ///
    /// # Errors
    /// When the bytes are no model that Lopper can read.
    pub fn open(&mut self, bytes: impl Into<Bytes>, name: &str) -> Result<&OpenedModel> {
        self.open_with(bytes, name, Arc::new(NoExternalData))
    }

    /// Opens a model whose tensors may live in other files. Large ones stay there and are read when they are needed.
    ///
    /// # Errors
    /// As [`Session::open`], and when such a file is missing.
    pub fn open_with(
        &mut self,
        bytes: impl Into<Bytes>,
        name: &str,
        files: Arc<dyn ExternalData>,
    ) -> Result<&OpenedModel> {
        let bytes = bytes.into();
        let model = Model::read_with(bytes.clone(), &files)?.inlined()?;
        self.put(bytes, name, model)
    }

    /// Opens a model that was read from these bytes.
    pub(crate) fn put(&mut self, bytes: Bytes, name: &str, model: Model) -> Result<&OpenedModel> {
        let graph = Graph::new(&model)?;
        let channels = Channels::analyze(&graph);
        let size = bytes.len() as u64 + model.outside();
        let described = describe::opened(name, size, &graph, &channels, whole_cost(&graph))?;
        self.images = None;
        self.restored = None;
        self.reference = None;
        self.first = None;
        let opened = Opened {
            name: name.to_owned(),
            digest: OnceLock::new(),
            bytes,
            model,
            graph,
            channels,
            described,
            accuracy: Accuracy::default(),
            measured: None,
            scored: Mutex::default(),
            answers: Known::default(),
            cut: None,
            tuned: None,
            masks: None,
            trained: None,
        };
        Ok(&self.opened.insert(opened).described)
    }

    pub(crate) fn opened(&self) -> Result<&Opened> {
        self.opened.as_ref().ok_or_else(no_model)
    }

    pub(crate) fn opened_mut(&mut self) -> Result<&mut Opened> {
        self.opened.as_mut().ok_or_else(no_model)
    }

    /// The opened model: at a glance, its groups, its pins.
    ///
    /// # Errors
    /// When no model is open.
    pub fn described(&self) -> Result<&OpenedModel> {
        Ok(&self.opened()?.described)
    }

    /// The opened model at a glance.
    ///
    /// # Errors
    /// When no model is open.
    pub fn summary(&self) -> Result<&ModelSummary> {
        Ok(&self.opened()?.described.summary)
    }

    /// Its groups.
    ///
    /// # Errors
    /// When no model is open.
    pub fn groups(&self) -> Result<&[GroupSummary]> {
        Ok(&self.opened()?.described.groups)
    }

    /// What stays and why.
    ///
    /// # Errors
    /// When no model is open.
    pub fn pinned(&self) -> Result<&[PinInfo]> {
        Ok(&self.opened()?.described.pinned)
    }

    /// What pins the channels of a group, initializer, node or value, and by which chain of unions.
    ///
    /// # Errors
    /// When no model is open or nothing has that name.
    pub fn why(&self, name: &str) -> Result<Vec<Told>> {
        let opened = self.opened()?;
        opened.channels.why(&opened.graph, name)
    }

    /// The chain of unions that couples two of them.
    ///
    /// # Errors
    /// When no model is open or nothing has one of the names.
    pub fn why_together(&self, a: &str, b: &str) -> Result<Coupling> {
        let opened = self.opened()?;
        opened.channels.why_together(&opened.graph, a, b)
    }

    /// The digest of the model as a person opened it.
    pub(crate) fn first_sha256(&self) -> Result<String> {
        let opened = self.opened()?;
        Ok(self.first.as_ref().map_or_else(|| opened.sha256().to_owned(), |first| first.sha256.clone()))
    }

    /// Opens a model that training made in the place of the one that is open; images stay, and so does what a person opened.
    pub(crate) fn reopen(&mut self, model: &Model) -> Result<()> {
        let opened = self.opened()?;
        let first = self.first.clone().unwrap_or_else(|| First {
            name: opened.name.clone(),
            sha256: opened.sha256().to_owned(),
            bytes: opened.bytes.clone(),
            model: opened.model.clone(),
        });
        let (name, images) = (opened.name.clone(), self.images.take());
        self.open(model.write()?, &name)?;
        (self.images, self.first) = (images, Some(first));
        Ok(())
    }

    /// Opens again what a person opened, if training has put another model in its place.
    pub(crate) fn open_first(&mut self) -> Result<()> {
        let Some(First { name, bytes, model, .. }) = self.first.take() else { return Ok(()) };
        let images = self.images.take();
        self.put(bytes, &name, model)?;
        self.images = images;
        Ok(())
    }

    /// What a cut would bring. A criterion that looks at images has to be scored by before, see [`Session::score`]; an
    /// estimate in several steps then takes these scores in each, where a cut measures anew.
    ///
    /// # Errors
    /// When no model is open or the plan cannot be made as asked.
    pub fn plan(&self, options: &PlanOptions) -> Result<Estimate> {
        let opened = self.opened()?;
        Ok(estimate(opened, &self.quick_plan(options)?))
    }

    /// A plan by scores that are known already.
    pub(crate) fn quick_plan(&self, options: &PlanOptions) -> Result<Plan> {
        let opened = self.opened()?;
        let measured = opened.measured.as_ref().map_or(Measured::none(), |m| &m.1);
        let mut planner = Planner::new(&opened.graph, &opened.channels, options)?.of_file(opened.size());
        // Whoever moves a slider asks for the same scores again and again.
        if planner.gone().is_empty()
            && let Some(now) = planner.next_graph()?
        {
            let key = planner.scored_by();
            let mut last = opened.scored.lock().unwrap_or_else(PoisonError::into_inner);
            let scores = match last.take().filter(|(of, _)| *of == key) {
                Some((_, scores)) => scores,
                None => planner.scores(&now, measured)?,
            };
            *last = Some((key, scores.clone()));
            planner.step_by(&now, scores)?;
        }
        while let Some(now) = planner.next_graph()? {
            planner.step(&now, measured)?;
        }
        planner.finish()
    }

    /// Opens a device for evaluation and training; the proof of a cut runs on the CPU in any case.
    ///
    /// # Errors
    /// When the GPU was asked for by name and is not there or fails its self-test; the device stays as it was.
    pub async fn device(&mut self, choice: DeviceChoice) -> Result<DeviceInfo> {
        self.device = Device::open(choice).await?;
        self.others.clear();
        self.leave_device();
        Ok(self.device_info())
    }

    /// Takes the devices of other machines, see [`Device::worker`]: the first for evaluation and training, and every one for a part of
    /// each batch of a fine-tune.
    ///
    /// # Errors
    /// When there is none, or one cannot be used; the device stays as it was.
    pub async fn workers(&mut self, addresses: &[String], token: Option<&str>) -> Result<DeviceInfo> {
        let mut devices = Vec::with_capacity(addresses.len());
        for address in addresses {
            devices.push(Device::worker(address, token).await?);
        }
        if devices.is_empty() {
            return Err(Error::new(Code::Usage, "there is no worker: give the address of one"));
        }
        self.others = devices.split_off(1);
        self.device = devices.remove(0);
        self.leave_device();
        Ok(self.device_info())
    }

    /// Lets go of images that lie on the device that was in use.
    fn leave_device(&mut self) {
        if let Some(images) = &mut self.images {
            images.resident = Mutex::default();
        }
    }

    /// The device in use.
    pub fn device_info(&self) -> DeviceInfo {
        DeviceInfo {
            kind: match self.device.kind() {
                DeviceKind::Cpu => "cpu",
                DeviceKind::Gpu => "gpu",
            },
            name: self.device.name().to_owned(),
            why: self.device.why().to_owned(),
        }
    }

    /// One of the three models.
    pub(crate) fn model(&self, which: Which) -> Result<&Model> {
        let opened = self.opened()?;
        let missing = |what: &str| Error::new(Code::Usage, what.to_owned());
        match which {
            Which::Original => Ok(&opened.model),
            Which::Cut => opened.cut.as_ref().map(|c| &c.model).ok_or_else(|| missing("nothing has been cut yet")),
            Which::Tuned => {
                let tuned = opened.tuned.as_ref().map(|t| &t.model).or(opened.trained.as_ref().map(|t| &t.model));
                tuned.ok_or_else(|| missing("nothing has been fine-tuned yet"))
            }
        }
    }

    /// Runs a model on one input on the device in use and gives its first output.
    ///
    /// # Errors
    /// When the input does not fit the model or the device fails.
    pub async fn run(&self, which: Which, input: HostTensor) -> Result<HostTensor> {
        let network = Network::load(self.model(which)?, &self.device)?;
        let name =
            (network.graph().inputs.first()).map(|&i| network.graph().values[i].name.clone()).unwrap_or_default();
        let first = network.run(&[(name, input)]).await?.into_iter().next();
        first.map(|(_, output)| output).ok_or_else(|| Error::new(Code::BadNode, "the model has no output"))
    }
}

fn no_model() -> Error {
    Error::new(Code::Usage, "no model is open yet")
}

/// What a plan brings, before the file exists.
pub(crate) fn estimate(opened: &Opened, plan: &Plan) -> Estimate {
    let before = opened.size();
    let gone = plan.before.bytes.saturating_sub(plan.after.bytes);
    Estimate {
        parameters: Change { before: plan.before.parameters, after: plan.after.parameters },
        macs: Change { before: plan.before.macs, after: plan.after.macs },
        bytes: Change { before, after: before.saturating_sub(gone) },
        groups: (plan.groups.iter().zip(&opened.channels.groups))
            .filter(|(_, g)| g.matters())
            .map(|(g, _)| GroupChange { name: g.name.clone(), channels: g.channels, kept: g.kept.len() })
            .collect(),
    }
}

/// Reads a model and writes it again: nothing but the encoding of lengths may differ, and data of other files come in.
///
/// # Errors
/// As [`Session::open_with`].
pub fn copy(bytes: Bytes, files: Arc<dyn ExternalData>) -> Result<Vec<u8>> {
    Model::read_with(bytes, &files)?.write()
}

/// Writes a model that is described by text.
///
/// # Errors
/// As [`lopper_core::text::parse`].
pub fn from_text(text: &str) -> Result<Vec<u8>> {
    lopper_core::text::parse(text)?.write()
}
