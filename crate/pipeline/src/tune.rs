//! Fine-tuning after a cut: step by step, so that it can pause, stop and go on elsewhere.

use crate::checkpoint::{Header, pack};
use crate::evaluate::{Judge, spread};
use crate::host::{Control, Host, Progress, TuneProgress};
use crate::images::Images;
use crate::options::TuneOptions;
use crate::session::Session;
use crate::summary::TuneSummary;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_engine::data::{Batches, Last, Order};
use lopper_engine::train::{Optimizer, Schedule, Settings, Trainer};
use lopper_engine::{Device, DeviceKind};

/// The rule that moves parameters: the one that PyTorch's reference recovery uses.
pub(crate) const MOMENTUM: f32 = 0.9;
pub(crate) const WEIGHT_DECAY: f32 = 5e-4;
/// One step of so many warms up.
pub(crate) const WARMUP: usize = 10;
/// Seconds between two signs of life, and between two checkpoints.
const PROGRESS_SECONDS: f64 = 0.1;
const CHECKPOINT_SECONDS: f64 = 5.0;
/// Validation looks at no more images than this.
pub(crate) const VALIDATION: usize = 1000;
/// Losses are read so rarely from a GPU, because reading waits for it.
const READ_EVERY_GPU: usize = 4;

/// A fine-tuned model.
#[derive(Debug)]
pub(crate) struct Tuned {
    pub(crate) model: Model,
    pub(crate) options: TuneOptions,
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
    pub(crate) finished: bool,
}

/// The engine's settings for so many steps in all.
pub(crate) fn settings(options: &TuneOptions, total: usize) -> Settings {
    Settings {
        optimizer: Optimizer::Sgd { momentum: MOMENTUM, nesterov: true, weight_decay: WEIGHT_DECAY },
        rate: options.learning_rate,
        schedule: Schedule::Cosine { warmup: total / WARMUP, total },
        seed: options.seed,
    }
}

impl Session {
    /// Fine-tunes the cut model, or the original where nothing was cut. Stopping early keeps what was learnt.
    ///
    /// # Errors
    /// When images are missing or unlabelled, the model cannot be trained, the device fails, or with [`Code::Diverged`].
    pub async fn tune(&mut self, options: &TuneOptions, host: &impl Host) -> Result<TuneSummary> {
        options.check()?;
        let control = self.control();
        control.begin();
        let images = self.images()?;
        if images.split.train.is_empty() {
            return Err(Error::new(Code::BadData, "there is no image to learn from: give more images"));
        }
        let per_epoch = Batches::new(&images.split.train, options.batch, Order::Listed, Last::Drop).count();
        let total = options.steps.unwrap_or(options.epochs * per_epoch);
        let opened = self.opened()?;
        let recovered = self.recovered(options, host).await?;
        let (base, stages) = match &recovered {
            Some((model, stages)) => (model, stages.clone()),
            None => (self.base()?, Vec::new()),
        };
        if total == 0 {
            let summary = TuneSummary {
                steps: 0,
                seconds: stages.iter().map(|s| s.seconds).sum(),
                loss: f64::NAN,
                finished: true,
                validation_top1: stages.last().and_then(|s| s.validation_top1),
                stages,
            };
            let tuned = Tuned { model: base.clone(), options: options.clone(), steps: 0, seconds: 0.0, finished: true };
            return self.keep_tuned(tuned, summary);
        }
        let mut trainer = Trainer::new(base, &self.device, settings(options, total))?;
        let mut loss = f64::NAN;
        if options.resume {
            let restored = self.restored.as_ref();
            let restored = restored.ok_or_else(|| Error::new(Code::Usage, "there is no checkpoint to go on from"))?;
            trainer.restore(&restored.state)?;
            loss = restored.header.loss;
        }
        let header = Header {
            lopper: env!("CARGO_PKG_VERSION").to_owned(),
            model: opened.sha256().to_owned(),
            plan: opened.cut.as_ref().map(|c| c.options.clone()),
            tune: options.clone(),
            steps: [0, total],
            loss,
        };
        let mut run = Run {
            base,
            images,
            device: &self.device,
            control: &control,
            host,
            options,
            trainer,
            header,
            per_epoch,
            total,
            start: host.seconds(),
            from: 0,
            told: f64::NEG_INFINITY,
            kept: host.seconds(),
            losses: Vec::new(),
            validation: None,
        };
        run.from = run.trainer.steps();
        let finished = run.all().await?;
        let (model, mut summary) = run.end(finished).await?;
        summary.stages = stages;
        let tuned = Tuned { model, options: options.clone(), steps: summary.steps, seconds: summary.seconds, finished };
        self.keep_tuned(tuned, summary)
    }

    fn keep_tuned(&mut self, tuned: Tuned, summary: TuneSummary) -> Result<TuneSummary> {
        let opened = self.opened_mut()?;
        opened.tuned = Some(tuned);
        opened.accuracy.after_recovery = None;
        Ok(summary)
    }
}

/// A fine-tune while it runs.
struct Run<'a, H> {
    base: &'a Model,
    images: &'a Images,
    device: &'a Device,
    control: &'a Control,
    host: &'a H,
    options: &'a TuneOptions,
    trainer: Trainer,
    header: Header,
    per_epoch: usize,
    total: usize,
    start: f64,
    /// Steps that were done before this run.
    from: usize,
    /// When progress was last told and a checkpoint last kept.
    told: f64,
    kept: f64,
    /// Losses since progress was last told.
    losses: Vec<f32>,
    validation: Option<f64>,
}

impl<H: Host> Run<'_, H> {
    /// All epochs. False if it was cancelled.
    async fn all(&mut self) -> Result<bool> {
        while self.trainer.steps() < self.total {
            let epoch = self.trainer.steps() / self.per_epoch;
            if !self.epoch(epoch as u64).await? {
                return Ok(false);
            }
            self.validate().await?;
            self.tell(true);
            let first = self.header.steps == [0, self.total];
            if first || self.host.seconds() - self.kept >= CHECKPOINT_SECONDS {
                self.keep().await?;
            }
        }
        Ok(true)
    }

    /// What is left of an epoch. False if it was cancelled.
    async fn epoch(&mut self, epoch: u64) -> Result<bool> {
        let order = Order::Shuffled { seed: self.options.seed, epoch };
        let mut batches = Batches::new(&self.images.split.train, self.options.batch, order, Last::Drop);
        batches.seek(self.trainer.steps() % self.per_epoch);
        let augment = self.images.augment(self.options.seed, epoch);
        let read_every = if self.device.kind() == DeviceKind::Gpu { READ_EVERY_GPU } else { 1 };
        for indices in batches.take(self.total - self.trainer.steps()) {
            self.trainer.step(&self.images.batch(&indices, Some(augment))?)?;
            if self.trainer.steps().is_multiple_of(read_every) {
                let losses = self.trainer.losses().await?;
                self.losses.extend(losses);
                self.tell(false);
            }
            if self.host.seconds() - self.kept >= CHECKPOINT_SECONDS {
                self.keep().await?;
            }
            if !self.control.pass(self.host).await {
                return Ok(false);
            }
        }
        let losses = self.trainer.losses().await?;
        self.losses.extend(losses);
        Ok(true)
    }

    /// Progress, unless the last one was a moment ago.
    fn tell(&mut self, epoch_ended: bool) {
        let now = self.host.seconds();
        if !epoch_ended && now - self.told < PROGRESS_SECONDS {
            return;
        }
        self.told = now;
        if !self.losses.is_empty() {
            self.header.loss = self.losses.iter().map(|&l| f64::from(l)).sum::<f64>() / self.losses.len() as f64;
            self.losses.clear();
        }
        let (step, seconds) = (self.trainer.steps(), now - self.start);
        let done = step - self.from;
        self.host.progress(&Progress::Tune(TuneProgress {
            step,
            steps: self.total,
            epoch: step.div_ceil(self.per_epoch).max(1),
            epochs: self.total.div_ceil(self.per_epoch),
            loss: self.header.loss,
            learning_rate: self.trainer.rate(),
            seconds,
            eta: (done >= 5).then(|| seconds / done as f64 * (self.total - step) as f64),
            validation_top1: self.validation.filter(|_| epoch_ended),
        }));
    }

    async fn keep(&mut self) -> Result<()> {
        self.header.steps = [self.trainer.steps(), self.total];
        let bytes = pack(&self.header, &self.trainer.state().await?)?;
        self.host.checkpoint(bytes);
        self.kept = self.host.seconds();
        Ok(())
    }

    async fn validate(&mut self) -> Result<()> {
        let indices = spread(&self.images.split.validation, Some(VALIDATION));
        if indices.is_empty() {
            return Ok(());
        }
        let model = self.trainer.to_model(self.base).await?;
        let judge = Judge { images: self.images, device: self.device, control: self.control, host: self.host };
        match judge.run(&model, &indices, |_| ()).await {
            Ok((seen, _)) => self.validation = Some(seen.top1()),
            // The next step notices it too, and keeps what was learnt.
            Err(e) if e.code() == Code::Cancelled => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    async fn end(mut self, finished: bool) -> Result<(Model, TuneSummary)> {
        let losses = self.trainer.losses().await?;
        self.losses.extend(losses);
        self.tell(false);
        self.keep().await?;
        let model = self.trainer.to_model(self.base).await?;
        let summary = TuneSummary {
            steps: self.trainer.steps(),
            seconds: self.host.seconds() - self.start,
            loss: self.header.loss,
            finished,
            validation_top1: self.validation.filter(|_| finished),
            stages: Vec::new(),
        };
        Ok((model, summary))
    }
}
