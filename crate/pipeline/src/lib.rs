//! Open, group, plan, cut, verify and tune a model, as one object with progress and cancel.
//!
//! [`Session`] holds a model and what was done to it; the command line and the page call it and nothing below it. It does
//! no I/O and owns no clock: files come and go as bytes, and a [`Host`] gives the time, shows progress and takes
//! checkpoints. [`Control`] pauses and cancels from outside while a task runs.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]
#![forbid(unsafe_code)]

mod check;
mod checkpoint;
mod cutting;
mod describe;
mod disagree;
mod drawing;
mod evaluate;
mod export;
mod host;
mod images;
mod latency;
mod look;
mod lost;
mod mask;
mod memory;
mod methods;
mod options;
mod picture;
mod predictions;
mod recipe;
mod recover;
mod rules;
pub mod sample;
mod sample_model;
mod scores;
mod sensitivity;
mod session;
mod summary;
mod sweep;
mod teacher;
mod tune;
mod widths;

pub use bytes::Bytes;
pub use check::{Verified, verify_files};
pub use checkpoint::Resumed;
pub use disagree::{Agreement, LayerAgreement, Matrix};
pub use drawing::{Drawing, DrawnNode, DrawnValue};
pub use export::{Exported, Unproved};
pub use host::{Control, Host, Progress, Stretch, TuneProgress};
pub use images::Source;
pub use look::{ChannelPicture, FilterPlane, LayerInfo, Pictures, Silent};
pub use lopper_core::channels::{Coupling, Link, Place, Reason, Told};
pub use lopper_core::mask::{Amount, MaskKind, MaskStep, Norm, Pattern};
pub use lopper_core::onnx::{Data, ExternalData, chosen};
pub use lopper_core::plan::{Achieved, HARDWARE, LatencyTable, PlanOptions, Schedule, Scope, Target, hardware};
pub use lopper_core::recipe::{Recipe, ScoreOptions};
pub use lopper_core::report::{Change, PinInfo, Report};
pub use lopper_core::score::{Criterion, Needs, Normalizer, Reduction};
pub use lopper_core::{Class, Code, Error, Result};
#[cfg(not(target_family = "wasm"))]
pub use lopper_engine::block_on;
pub use lopper_engine::data::ImageLoader;
pub use lopper_engine::{Device, DeviceChoice, HostData, HostTensor};
pub use mask::{MaskSummary, ZerosSummary};
pub use methods::{Course, Method, PRESETS, Phase, PruneTrainOptions, PruneTrainRecipe, PruneTrainSummary, StageNote};
pub use options::{DataOptions, Recovery, Stage, TuneOptions, Which};
pub use picture::Picture;
pub use predictions::{Compared, Comparison, Confusion, Said};
pub use rules::{Augmentation, BatchNorm, Decay, LossKind, OptimizerKind, Rules, ScheduleKind};
pub use sample_model::train as train_sample;
pub use scores::{GroupScores, WeightScores};
pub use sensitivity::{GroupSensitivity, Measure, Point, Sensitivity, SensitivityOptions};
pub use session::{Session, copy, from_text};
pub use summary::{CutSummary, DataSummary, DeviceInfo, Estimate, EvaluationSummary, GroupChange, GroupSummary};
pub use summary::{
    ModelSummary, OpenedModel, Port, RestingSummary, SampleSummary, SplitSummary, StageSummary, TeacherLook, Thumbnail,
    TuneSummary, Unsupported,
};
pub use sweep::SweepRow;
pub use widths::{AxisChannels, ChannelRun};
