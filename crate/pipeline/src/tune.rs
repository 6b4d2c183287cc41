//! Fine-tuning after a cut: step by step, so that it can pause, stop and go on elsewhere.

mod ahead;

use crate::checkpoint::{BASE, BEST, Header, Stand, TuneStand, pack};
use crate::evaluate::Judge;
use crate::host::{Control, Host, Progress, TuneProgress};
use crate::images::Images;
use crate::memory;
use crate::options::{TuneOptions, Which};
use crate::rules::{Augmentation, LossKind};
use crate::session::Session;
use crate::summary::{RestingSummary, TuneSummary};
use lopper_core::graph::Graph;
use lopper_core::onnx::Model;
use lopper_core::{Code, Error, Result};
use lopper_engine::data::{Batches, Last, Order, Targets};
use lopper_engine::train::{Lesson, Settings, Trainer};
use lopper_engine::{Device, DeviceKind};
use std::sync::Arc;

/// Seconds between two signs of life, and between two checkpoints.
const PROGRESS_SECONDS: f64 = 0.1;
pub(crate) const CHECKPOINT_SECONDS: f64 = 5.0;
/// Keeping checkpoints of a large model takes no more than about this share of the time.
const KEEPING: f64 = 0.1;
/// Losses are read so rarely from a GPU, because reading waits for it.
const READ_EVERY_GPU: usize = 4;
/// Images a batch where nothing is trained.
const LOOK: usize = 64;

/// Seconds until the next checkpoint, where the last one took so many.
pub(crate) fn pause_after(took: f64) -> f64 {
    CHECKPOINT_SECONDS.max(took / KEEPING)
}

/// A fine-tuned model.
#[derive(Debug)]
pub(crate) struct Tuned {
    pub(crate) model: Model,
    pub(crate) options: TuneOptions,
    pub(crate) steps: usize,
    pub(crate) seconds: f64,
    pub(crate) finished: bool,
}

/// The model of the epoch that did best.
struct Best {
    model: Model,
    epoch: usize,
    top1: Option<f64>,
    /// What 1 lacks of the mean intersection over union of a segmentation, the share of wrong answers, or the loss where there are no
    /// classes: less is better.
    cost: f64,
}

impl Session {
    /// The engine's settings for so many steps in all.
    pub(crate) fn settings(&self, options: &TuneOptions, kind: LossKind, total: usize) -> Settings {
        options.rules.settings(kind, options.learning_rate, options.seed, total)
    }

    /// Fine-tunes the cut model, or the original where nothing was cut. The best epoch by the validation images is kept;
    /// stopping early keeps what was learnt so far.
    ///
    /// # Errors
    /// When images are missing, or unlabelled with nothing else to learn from, or the model cannot be trained. When the
    /// device fails or with [`Code::Diverged`] the last good model is kept as the tuned one, if there is any.
    pub async fn tune(&mut self, options: &TuneOptions, host: &impl Host) -> Result<TuneSummary> {
        options.check()?;
        // How it came to be is no setting of what comes out.
        let settings = TuneOptions { resume: false, ..options.clone() };
        let control = self.control();
        control.begin();
        let images = self.images()?;
        if images.split.train.is_empty() {
            return Err(Error::new(Code::BadData, "there is no image to learn from: give more images"));
        }
        let together = options.batch * options.rules.batches();
        let per_epoch = Batches::new(&images.split.train, together, Order::Listed, Last::Drop).count();
        let total = options.steps.unwrap_or(options.epochs * per_epoch);
        let from = self.beginning(options, total, host).await?;
        if total == 0 {
            let summary = without_steps(&from.stand);
            let model = from.base.map_or_else(|| self.base().cloned(), Ok)?;
            let tuned = Tuned { model, options: settings, steps: 0, seconds: 0.0, finished: true };
            return self.keep_tuned(tuned, summary);
        }
        let recovered = from.base.clone();
        let base = from.base.clone().map_or_else(|| self.base().cloned(), Ok)?;
        let mut run = self.run_of(&base, from, options, host, [per_epoch, total])?;
        let finished = match run.all().await {
            Ok(finished) => finished,
            Err(e) if matches!(e.code(), Code::Diverged | Code::DeviceLost) => {
                let steps = run.trainer.steps();
                let kept = run.best.take().map(|b| (b.model, format!("that of epoch {}", b.epoch)));
                let kept = kept.or_else(|| recovered.map(|model| (model, "that before the first step".to_owned())));
                let Some((model, which)) = kept else { return Err(e) };
                let tuned = Tuned { model, options: settings, steps, seconds: 0.0, finished: false };
                self.opened_mut()?.answers.forget(Which::Tuned);
                self.opened_mut()?.tuned = Some(tuned);
                return Err(Error::new(e.code(), format!("{}; the last good model, {which}, is kept", e.message())));
            }
            Err(e) => return Err(e),
        };
        let (model, summary) = run.end(finished).await?;
        let tuned = Tuned { model, options: settings, steps: summary.steps, seconds: summary.seconds, finished };
        self.keep_tuned(tuned, summary)
    }

    /// What there is before the first step: looks, decisions and stages, or what the restored checkpoint says of them.
    async fn beginning(&mut self, options: &TuneOptions, total: usize, host: &impl Host) -> Result<Begin> {
        if options.resume {
            let restored = self.restored.as_ref();
            let restored = restored.ok_or_else(|| Error::new(Code::Usage, "there is no checkpoint to go on from"))?;
            let Stand::Tune(stand) = &restored.header.run else {
                return Err(Error::new(
                    Code::Usage,
                    "the checkpoint is of pruning and training together, not of a fine-tune",
                ));
            };
            self.same_images(&restored.header)?;
            let mut stand = stand.as_ref().clone();
            let [done, _] = stand.steps;
            (stand.options, stand.steps) = (TuneOptions { resume: false, ..options.clone() }, [done, total]);
            let best = match (stand.best, restored.model(BEST)?) {
                (Some((epoch, top1, cost)), Some(model)) => {
                    Some(Best { model, epoch, top1, cost: f64::from_bits(cost) })
                }
                _ => None,
            };
            return Ok(Begin { base: restored.model(BASE)?, state: Some(restored.state()), best, stand });
        }
        let before_top1 = self.judged(self.base()?, host).await?;
        let recovered = self.recovered(options, host).await?;
        let (base, stages) = recovered.map_or((None, Vec::new()), |(model, stages)| (Some(model), stages));
        let (loss_kind, teacher) = if total == 0 { (LossKind::Auto, None) } else { self.decide(options, host).await? };
        let opened = self.opened()?;
        let graph = Graph::new(base.as_ref().map_or_else(|| self.base(), Ok)?)?;
        let stand = TuneStand {
            plan: opened.cut.as_ref().map(|c| c.options.clone()),
            options: options.clone(),
            steps: [0, total],
            loss: None,
            loss_kind,
            teacher,
            parts: memory::parts(&graph, self.uncut().is_some(), options, host.memory()).max(self.others.len() + 1),
            judged: 0,
            best: None,
            before_top1,
            stages,
        };
        Ok(Begin { base, state: None, best: None, stand })
    }

    /// A run that is ready to begin, or to go on.
    fn run_of<'a, H: Host>(
        &'a self,
        base: &'a Model,
        from: Begin,
        options: &'a TuneOptions,
        host: &'a H,
        [per_epoch, total]: [usize; 2],
    ) -> Result<Run<'a, H>> {
        let (images, kind) = (self.images()?, from.stand.loss_kind);
        let mut trainer = Trainer::new(base, &self.device, self.settings(options, kind, total))?;
        let features = self.teach(&mut trainer, &options.rules, kind)?;
        let resting = self.rest(&mut trainer, &options.rules)?;
        ahead::scale(&mut trainer, &options.rules)?;
        trainer.share(base, self.uncut(), &self.others)?;
        if let Some(state) = &from.state {
            trainer.restore(state)?;
        }
        Ok(Run {
            base,
            recovered: if from.base.is_some() { base.write()? } else { Vec::new() },
            images,
            device: &self.device,
            control: self.control(),
            host,
            options,
            from: trainer.steps(),
            trainer,
            header: self.header(Stand::Tune(Box::new(from.stand.clone())))?,
            stand: from.stand,
            per_epoch,
            total,
            start: host.seconds(),
            told: f64::NEG_INFINITY,
            kept: host.seconds(),
            pause: CHECKPOINT_SECONDS,
            losses: Vec::new(),
            features,
            resting,
            pixels: false,
            ahead: Vec::new(),
            validation: None,
            best: from.best,
        })
    }

    fn keep_tuned(&mut self, tuned: Tuned, summary: TuneSummary) -> Result<TuneSummary> {
        let opened = self.opened_mut()?;
        opened.tuned = Some(tuned);
        opened.answers.forget(Which::Tuned);
        opened.accuracy.after_recovery = None;
        Ok(summary)
    }
}

/// What a run of stages alone comes to.
fn without_steps(stand: &TuneStand) -> TuneSummary {
    TuneSummary {
        steps: 0,
        seconds: stand.stages.iter().map(|s| s.seconds).sum(),
        loss: f64::NAN,
        finished: true,
        validation_top1: stand.stages.last().and_then(|s| s.validation_top1),
        validation_loss: None,
        validation_mean_iou: None,
        before_top1: stand.before_top1,
        best_epoch: None,
        loss_kind: None,
        teacher: None,
        features: None,
        parts: 1,
        resting: None,
        stages: stand.stages.clone(),
    }
}

/// What a run begins with.
struct Begin {
    /// What stages of recovery made, if there were any.
    base: Option<Model>,
    /// The engine's checkpoint to go on from.
    state: Option<Vec<u8>>,
    best: Option<Best>,
    stand: TuneStand,
}

/// A fine-tune while it runs.
struct Run<'a, H> {
    base: &'a Model,
    /// Its file, where stages of recovery made it.
    recovered: Vec<u8>,
    images: &'a Images,
    device: &'a Device,
    control: Arc<Control>,
    host: &'a H,
    options: &'a TuneOptions,
    trainer: Trainer,
    header: Header,
    /// Where it stands; the numbers of steps and the best epoch are put in when a checkpoint is kept.
    stand: TuneStand,
    per_epoch: usize,
    total: usize,
    start: f64,
    /// Steps that were done before this run.
    from: usize,
    /// When progress was last told and a checkpoint last kept, and the seconds from one checkpoint to the next.
    told: f64,
    kept: f64,
    pause: f64,
    /// Losses since progress was last told.
    losses: Vec<f32>,
    /// How many features are compared, where they count.
    features: Option<usize>,
    /// What is frozen, if anything.
    resting: Option<RestingSummary>,
    /// Whether the images lie on the device.
    pixels: bool,
    /// By image, where it is among those that were looked at ahead; empty if none was.
    ahead: Vec<u32>,
    validation: Option<f64>,
    best: Option<Best>,
}

impl<H: Host> Run<'_, H> {
    /// All epochs. False if it was cancelled.
    async fn all(&mut self) -> Result<bool> {
        self.keep_pixels(self.device.kind() == DeviceKind::Gpu)?;
        if !self.look_ahead().await? {
            return Ok(false);
        }
        loop {
            let steps = self.trainer.steps();
            let over = steps >= self.total;
            let ended = if over { steps.div_ceil(self.per_epoch) } else { steps / self.per_epoch };
            if self.stand.judged < ended {
                if !self.validate(ended).await? {
                    return Ok(false);
                }
                self.stand.judged = ended;
                self.tell(true);
                if ended == 1 || self.due() {
                    self.keep().await?;
                }
            }
            if over {
                return Ok(true);
            }
            if !self.epoch((steps / self.per_epoch) as u64).await? {
                return Ok(false);
            }
        }
    }

    /// Whether it is time for a checkpoint.
    fn due(&self) -> bool {
        self.host.seconds() - self.kept >= self.pause
    }

    /// What one step learns from.
    fn lessons(&self, indices: &[u32], epoch: u64) -> Result<Vec<Lesson>> {
        let rules = &self.options.rules;
        let augment = self.images.augment(rules, self.options.seed, epoch);
        let lesson = |(part, indices): (usize, &[u32])| {
            let mut lesson = if self.pixels {
                self.images.moved(indices, augment)?
            } else {
                self.images.lesson(indices, augment)?
            };
            if !self.ahead.is_empty() {
                lesson.ahead = indices.iter().filter_map(|&i| self.ahead.get(i as usize)).copied().collect();
            }
            let draw = (self.trainer.steps() << 16 | part) as u64;
            Ok(if rules.augments(Augmentation::Mixup) { lesson.mixed(self.options.seed, draw) } else { lesson })
        };
        indices.chunks(self.options.batch.div_ceil(self.stand.parts)).enumerate().map(lesson).collect()
    }

    /// What is left of an epoch. False if it was cancelled.
    async fn epoch(&mut self, epoch: u64) -> Result<bool> {
        let order = Order::Shuffled { seed: self.options.seed, epoch };
        let together = self.options.batch * self.options.rules.batches();
        let mut batches = Batches::new(&self.images.split.train, together, order, Last::Drop);
        batches.seek(self.trainer.steps() % self.per_epoch);
        let read_every = if self.device.kind() == DeviceKind::Gpu { READ_EVERY_GPU } else { 1 };
        for indices in batches.take(self.total - self.trainer.steps()) {
            self.trainer.learn(self.lessons(&indices, epoch)?)?;
            if self.trainer.steps().is_multiple_of(read_every) {
                let losses = self.trainer.losses().await?;
                self.losses.extend(losses);
                self.tell(false);
            }
            if self.due() {
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
            self.stand.loss = Some(self.losses.iter().map(|&l| f64::from(l)).sum::<f64>() / self.losses.len() as f64);
            self.losses.clear();
        }
        let (step, seconds) = (self.trainer.steps(), now - self.start);
        let done = step - self.from;
        self.host.progress(&Progress::Tune(TuneProgress {
            step,
            steps: self.total,
            epoch: step.div_ceil(self.per_epoch).max(1),
            epochs: self.total.div_ceil(self.per_epoch),
            loss: self.stand.loss.unwrap_or(f64::NAN),
            learning_rate: self.trainer.rate(),
            seconds,
            eta: (done >= 5).then(|| seconds / done as f64 * (self.total.saturating_sub(step)) as f64),
            validation_top1: self.validation.filter(|_| epoch_ended),
            stretch: None,
        }));
    }

    async fn keep(&mut self) -> Result<()> {
        let begin = self.host.seconds();
        self.stand.steps = [self.trainer.steps(), self.total];
        self.stand.best = self.best.as_ref().map(|b| (b.epoch, b.top1, b.cost.to_bits()));
        self.header.run = Stand::Tune(Box::new(self.stand.clone()));
        let best = self.best.as_ref().map(|b| b.model.write()).transpose()?.unwrap_or_default();
        let bytes = pack(&self.header, &[self.trainer.state().await?, self.recovered.clone(), best])?;
        self.host.checkpoint(bytes);
        self.kept = self.host.seconds();
        self.pause = pause_after(self.kept - begin);
        Ok(())
    }

    /// Whether each place has a class to learn.
    fn segments(&self) -> bool {
        self.stand.loss_kind != LossKind::Mse && matches!(self.images.dataset.targets(), Some(Targets::Places { .. }))
    }

    /// Looks at the validation images, and keeps the model if none before did better. False if it was cancelled.
    async fn validate(&mut self, epoch: usize) -> Result<bool> {
        let indices = self.images.watched();
        if indices.is_empty() {
            return Ok(true);
        }
        let model = self.trainer.to_model(self.base).await?;
        let classes = self.images.dataset.labels().is_some() && self.stand.loss_kind != LossKind::Mse;
        let seen = if classes || self.segments() {
            let judge = Judge { images: self.images, device: self.device, control: &self.control, host: self.host };
            judge.run(&model, &indices, |_| ()).await.map(|(seen, _)| match seen.mean_iou() {
                Some(iou) => (None, 1.0 - iou, seen.loss()),
                None => (Some(seen.top1()), 1.0 - seen.top1(), seen.loss()),
            })
        } else {
            let (images, control, host) = (self.images, &self.control, self.host);
            let on_batch = async || {
                if control.pass(host).await { lopper_engine::Control::Continue } else { lopper_engine::Control::Cancel }
            };
            let lessons = indices.chunks(LOOK).map(|i| images.lesson(i, None));
            self.trainer.judge(lessons, on_batch).await.map(|loss| (None, loss, loss))
        };
        match seen {
            Ok((.., loss)) if !loss.is_finite() => {
                let what = "the loss of the validation images stopped being a number: use a lower learning rate";
                Err(Error::new(Code::Diverged, what))
            }
            Ok((top1, cost, _)) => {
                self.validation = top1;
                // Of equals the later one, which has learnt more.
                if self.best.as_ref().is_none_or(|b| cost <= b.cost) {
                    self.best = Some(Best { model, epoch, top1, cost });
                }
                Ok(true)
            }
            Err(e) if e.code() == Code::Cancelled => Ok(false),
            Err(e) => Err(e),
        }
    }

    async fn end(mut self, finished: bool) -> Result<(Model, TuneSummary)> {
        let losses = self.trainer.losses().await?;
        self.losses.extend(losses);
        self.tell(false);
        self.keep().await?;
        let best = self.best.take().filter(|_| finished);
        let summary = TuneSummary {
            steps: self.trainer.steps(),
            seconds: self.host.seconds() - self.start,
            loss: self.stand.loss.unwrap_or(f64::NAN),
            finished,
            validation_top1: best.as_ref().and_then(|b| b.top1),
            validation_loss: best.as_ref().filter(|b| b.top1.is_none() && !self.segments()).map(|b| b.cost),
            validation_mean_iou: best.as_ref().filter(|_| self.segments()).map(|b| 1.0 - b.cost),
            before_top1: self.stand.before_top1,
            best_epoch: best.as_ref().map(|b| b.epoch),
            loss_kind: Some(self.stand.loss_kind),
            teacher: self.stand.teacher,
            features: self.features,
            parts: self.stand.parts,
            resting: self.resting,
            stages: self.stand.stages.clone(),
        };
        match best {
            Some(best) => Ok((best.model, summary)),
            None => Ok((self.trainer.to_model(self.base).await?, summary)),
        }
    }
}
