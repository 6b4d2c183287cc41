//! What a session needs from whoever runs it: time, a place for progress, and a moment to listen.

use crate::methods::StageNote;
use crate::options::Stage;
use crate::sweep::SweepRow;
use serde::Serialize;
use std::future::Future;
use std::sync::atomic::{AtomicU8, Ordering};

/// Progress of the task that is running.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "task", rename_all = "lowercase")]
pub enum Progress {
    /// Images evaluated.
    Evaluate {
        /// Images so far.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Images scored by.
    Score {
        /// Images so far.
        done: usize,
        /// Images in all; none where only weights are compared.
        total: usize,
    },
    /// Images read.
    Data {
        /// Images so far.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Stages of a cut.
    Cut {
        /// Stages so far.
        done: usize,
        /// Stages in all.
        total: usize,
    },
    /// Layers or batches of a stage of recovery.
    Recover {
        /// The stage.
        stage: Stage,
        /// Layers or batches so far.
        done: usize,
        /// Layers or batches in all.
        total: usize,
    },
    /// A step of training.
    Tune(TuneProgress),
    /// A stage of pruning and training together that is done.
    Stage(StageNote),
    /// A recipe of a sweep that was followed and judged.
    Sweep {
        /// Recipes so far, the model as it is among them.
        done: usize,
        /// Recipes in all.
        total: usize,
        /// What it brought.
        row: SweepRow,
    },
}

/// Where training stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TuneProgress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The epoch that runs, from 1.
    pub epoch: usize,
    /// Epochs in all.
    pub epochs: usize,
    /// Mean loss since the last progress.
    pub loss: f64,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds since the run began.
    pub seconds: f64,
    /// Seconds left, once there is enough to tell.
    pub eta: Option<f64>,
    /// Share of right answers on the validation images, at the end of an epoch.
    pub validation_top1: Option<f64>,
    /// The stretch of pruning and training together, if it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
}

/// A stretch of pruning and training together, in which numbers of steps and epochs are its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stretch {
    /// What is done.
    pub what: String,
    /// Multiply-accumulates of one sample of the network that is trained.
    pub macs: u64,
    /// Steps of the whole run so far.
    pub taken: usize,
}

/// Whoever runs a session.
pub trait Host {
    /// Seconds of a clock that never goes back.
    fn seconds(&self) -> f64;

    /// Shows progress.
    fn progress(&self, _progress: &Progress) {}

    /// Bytes of memory that a task may take, where that is known; a browser's module ends at 4 GiB.
    fn memory(&self) -> Option<u64> {
        cfg!(target_family = "wasm").then_some(3 << 30)
    }

    /// Keeps a checkpoint, the newest instead of the one before.
    fn checkpoint(&self, _bytes: Vec<u8>) {}

    /// Called often while a task runs: a browser's worker listens to its messages here. With `idle` there is nothing to
    /// do, and it should wait for a twentieth of a second.
    fn breathe(&self, idle: bool) -> impl Future<Output = ()>;
}

const RUN: u8 = 0;
const PAUSE: u8 = 1;
const CANCEL: u8 = 2;

/// Pauses, resumes and cancels the task that runs; shared outside of the session, which is borrowed by the task.
#[derive(Debug, Default)]
pub struct Control(AtomicU8);

impl Control {
    /// The task waits before its next step.
    pub fn pause(&self) {
        // A cancelled task stays cancelled.
        let _ = self.0.compare_exchange(RUN, PAUSE, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// A waiting task goes on.
    pub fn resume(&self) {
        let _ = self.0.compare_exchange(PAUSE, RUN, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The task ends before its next step.
    pub fn cancel(&self) {
        self.0.store(CANCEL, Ordering::Relaxed);
    }

    /// A new task begins.
    pub(crate) fn begin(&self) {
        self.0.store(RUN, Ordering::Relaxed);
    }

    /// Between two steps: listens, waits while paused, and says whether to go on.
    pub(crate) async fn pass(&self, host: &impl Host) -> bool {
        host.breathe(false).await;
        loop {
            match self.0.load(Ordering::Relaxed) {
                CANCEL => return false,
                PAUSE => host.breathe(true).await,
                _ => return true,
            }
        }
    }
}
