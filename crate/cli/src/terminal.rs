//! The host of a session on a terminal: a bar where there is one, plain lines where not.

use crate::files;
use crate::table::count;
use indicatif::{ProgressBar, ProgressStyle};
use lopper_pipeline::{Host, Progress, Stage, StageNote, TuneProgress};
use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Seconds between two plain lines of one task.
const LINE_SECONDS: f64 = 10.0;

/// Time and progress.
pub struct Terminal {
    start: Instant,
    bars: bool,
    bar: RefCell<Option<(&'static str, ProgressBar)>>,
    told: Cell<f64>,
    /// Where checkpoints go.
    checkpoint: Option<PathBuf>,
}

impl Terminal {
    /// The terminal of this process.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            bars: std::io::stderr().is_terminal(),
            bar: RefCell::new(None),
            told: Cell::new(0.0),
            checkpoint: None,
        }
    }

    /// The same with a place for checkpoints.
    pub fn keeping(checkpoint: Option<&Path>) -> Self {
        Self { checkpoint: checkpoint.map(Path::to_path_buf), ..Self::new() }
    }

    /// Takes the bar away before results are printed.
    pub fn clear(&self) {
        if let Some((_, bar)) = self.bar.borrow_mut().take() {
            bar.finish_and_clear();
        }
    }

    fn show(&self, task: &'static str, done: usize, total: usize, words: String) {
        if !self.bars {
            let now = self.seconds();
            if now - self.told.get() >= LINE_SECONDS {
                self.told.set(now);
                eprintln!("{task}: {done} of {total}{words}");
            }
            return;
        }
        if self.bar.borrow().as_ref().is_none_or(|(t, _)| *t != task) {
            self.clear();
            let bar = ProgressBar::new(total as u64);
            if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}{msg}  {eta} left") {
                bar.set_style(style);
            }
            bar.set_prefix(task);
            *self.bar.borrow_mut() = Some((task, bar));
        }
        if let Some((_, bar)) = self.bar.borrow().as_ref() {
            bar.set_message(words);
            bar.set_position(done as u64);
        }
    }

    fn stage(&self, stage: &StageNote) {
        let right = stage.validation_top1.map_or_else(String::new, |t| format!(", {:.2} % right", 100.0 * t));
        self.line(&format!("{}: {} steps, {} MACs{right}", stage.what, stage.steps, count(stage.macs)));
    }

    fn line(&self, line: &str) {
        match self.bar.borrow().as_ref() {
            Some((_, bar)) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    fn tune(&self, p: &TuneProgress) {
        let what = p.stretch.as_ref().map_or_else(String::new, |s| format!(" of {}", s.what));
        let loss = format!("{what}, loss {:.4}", p.loss);
        self.show(if p.stretch.is_some() { "training" } else { "fine-tuning" }, p.step, p.steps, loss);
        let Some(top1) = p.validation_top1 else { return };
        let line = format!(
            "epoch {} of {}: loss {:.4}, {:.2} % right on the validation images",
            p.epoch,
            p.epochs,
            p.loss,
            100.0 * top1
        );
        self.line(&line);
    }
}

impl Host for Terminal {
    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    fn progress(&self, progress: &Progress) {
        match progress {
            Progress::Evaluate { done, total } => self.show("evaluating", *done, *total, String::new()),
            Progress::Score { done, total } => self.show("scoring", *done, *total, String::new()),
            Progress::Data { done, total } => self.show("reading images", *done, *total, String::new()),
            Progress::Cut { done, total } => self.show("cutting", *done, *total, String::new()),
            Progress::Recover { stage, done, total } => {
                let task = match stage {
                    Stage::Bias => "compensating biases",
                    Stage::Lstsq => "refitting layers",
                    Stage::BatchNorm => "re-estimating statistics",
                };
                self.show(task, *done, *total, String::new());
            }
            Progress::Tune(p) => self.tune(p),
            Progress::Stage(stage) => self.stage(stage),
            Progress::Sweep { done, total, row } => self.show("comparing", *done, *total, format!(" {}", row.name)),
        }
    }

    fn checkpoint(&self, bytes: Vec<u8>) {
        let Some(path) = &self.checkpoint else { return };
        if let Err(e) = files::write(path, &bytes) {
            self.line(&format!("{}: the run goes on without a checkpoint", e.message()));
        }
    }

    /// What the system says is free, where it says so.
    fn memory(&self) -> Option<u64> {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let free = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        free.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
    }

    async fn breathe(&self, idle: bool) {
        if idle {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
