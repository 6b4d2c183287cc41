//! The cut with its report and its proof.

use crate::host::{Host, Progress};
use crate::options::Which;
use crate::session::{Opened, Session, estimate};
use crate::summary::{CutSummary, Estimate};
use lopper_core::cut::{MaskEntry, cut};
use lopper_core::onnx::{Data, Model};
use lopper_core::plan::{Plan, PlanOptions, Planner, Target};
use lopper_core::recipe::{Recipe, ScoreOptions};
use lopper_core::report::{Change, Report, ReportInput};
use lopper_core::score::Needs;
use lopper_core::{Code, Error, Result};
use lopper_engine::score::measurable;
use lopper_engine::verify::{Agreement, Block, MaskedSlices, compare};

/// What the largest difference, divided by the largest output, may be.
pub(crate) const TOLERANCE: f64 = 1e-4;
const STAGES: usize = 3;

/// Bytes that a proof may take beyond what the session holds.
const MOST_FOR_PROOF: u64 = 512 << 20;

/// What a file of tensors beside a model is called where nobody has named it.
const DATA_FILE: &str = "model.onnx.data";

/// Why a proof was not run.
#[derive(Clone, Debug)]
pub(crate) struct NotProved {
    pub(crate) why: String,
    /// Whether it could be run elsewhere: then the cut is handed out.
    pub(crate) elsewhere: bool,
}

/// A model's file in pieces, and those of a file beside it if one would be too large.
pub(crate) fn pieces(model: &Model, beside: &str) -> Result<(Vec<Data>, Vec<Data>)> {
    if model.is_apart() { model.write_apart(beside) } else { Ok((model.write_pieces()?, Vec::new())) }
}

/// A finished cut.
#[derive(Debug)]
pub(crate) struct CutState {
    pub(crate) options: PlanOptions,
    pub(crate) model: Model,
    pub(crate) report: Report,
    pub(crate) not_proved: Option<NotProved>,
    estimate: Estimate,
}

impl Session {
    /// Cuts the opened model and proves the cut. What was cut or tuned before is replaced only when all went well; where training
    /// has put its own model in the place of the opened one, that is opened again.
    ///
    /// # Errors
    /// When the plan cannot be made as asked, or with [`Code::NotExact`] when the proof fails.
    pub async fn cut(&mut self, options: &PlanOptions, host: &impl Host) -> Result<CutSummary> {
        self.open_first()?;
        self.cut_opened(options, host).await
    }

    /// The same with whatever model is open.
    pub(crate) async fn cut_opened(&mut self, options: &PlanOptions, host: &impl Host) -> Result<CutSummary> {
        let control = self.control();
        control.begin();
        let stage = |done: usize| host.progress(&Progress::Cut { done, total: STAGES });
        stage(0);
        let opened = self.opened()?;
        let sha256 = opened.sha256();
        let start = host.seconds();
        let images = opened.measured.as_ref().map(|m| m.0.clone()).unwrap_or_default();
        let plan = self.planned(opened, options, &images, host).await?;
        let planned = host.seconds();
        let done = cut(&opened.model, &opened.graph, &opened.channels, plan.removed.iter().copied())?;
        let (file, beside) = pieces(&done.model, DATA_FILE)?;
        let after = file.iter().chain(&beside).map(|piece| piece.len() as u64).sum();
        let sizes = Change { before: opened.size(), after };
        let recipe = Recipe {
            mask: opened.masks.as_ref().map(|m| m.steps.clone()).unwrap_or_default(),
            score: (options.criterion.needs() != Needs::Weights).then_some(images),
            ..Recipe::of_cut(options.clone())
        };
        let mut report = Report::new(&ReportInput {
            name: &opened.name,
            sha256,
            bytes: sizes,
            model: &opened.model,
            graph: &opened.graph,
            channels: &opened.channels,
            plan: &plan,
            recipe: &recipe,
            cut: &done,
        })?;
        let was_cut = host.seconds();
        stage(1);
        if !control.pass(host).await {
            return Err(Error::new(Code::Cancelled, "the cut was cancelled"));
        }
        let not_proved = prove(opened, &done.model, &mut report, options).await?;
        stage(2);
        report.seconds.insert("plan".to_owned(), planned - start);
        report.seconds.insert("cut".to_owned(), was_cut - planned);
        report.seconds.insert("proof".to_owned(), host.seconds() - was_cut);
        let mut estimate = estimate(opened, &plan);
        (estimate.parameters, estimate.macs, estimate.bytes) = (report.parameters, report.macs, sizes);
        let state = CutState { options: options.clone(), model: done.model, report, not_proved, estimate };
        let summary = state.summary();
        let opened = self.opened_mut()?;
        opened.cut = Some(state);
        opened.tuned = None;
        opened.trained = None;
        opened.answers.forget(Which::Cut);
        opened.answers.forget(Which::Tuned);
        opened.accuracy.after_cut = None;
        opened.accuracy.after_recovery = None;
        self.restored = None;
        stage(STAGES);
        Ok(summary)
    }
}

impl Session {
    /// What was cut.
    pub(crate) fn cut_summary(&self) -> Result<CutSummary> {
        let cut = self.opened()?.cut.as_ref();
        cut.map(CutState::summary).ok_or_else(|| Error::new(Code::Usage, "nothing has been cut yet"))
    }

    /// A plan; criteria that look at images are measured before each of its steps, on the images of the last
    /// [`Session::score`].
    async fn planned(
        &self,
        opened: &Opened,
        options: &PlanOptions,
        images: &ScoreOptions,
        host: &impl Host,
    ) -> Result<Plan> {
        let mut planner = Planner::new(&opened.graph, &opened.channels, options)?.of_file(opened.size());
        let mut terms = measurable(&options.criterion, &self.device);
        let mut known = opened.measured.as_ref().map(|m| &m.1).filter(|m| terms.iter().all(|c| m.has(c)));
        while let Some(now) = planner.next_graph()? {
            match known.take() {
                Some(measured) => planner.step(&now, measured)?,
                None => planner.step(&now, &self.measure(&now, &terms, images, host).await?)?,
            }
            // Distances to what has gone do not count, which the core sees to.
            terms.retain(|c| c.needs() != Needs::Weights);
        }
        planner.finish()
    }
}

impl CutState {
    fn summary(&self) -> CutSummary {
        CutSummary {
            estimate: self.estimate.clone(),
            exact: self.report.exact,
            renormalised: self.report.renormalised.clone(),
            max_error: self.report.max_error,
            tolerance: TOLERANCE,
            device: self.report.device.clone(),
            not_proved: self.not_proved.as_ref().map(|n| n.why.clone()),
            elsewhere: self.not_proved.as_ref().is_some_and(|n| n.elsewhere),
            achieved: self.report.achieved.clone(),
        }
    }
}

/// Runs the masked original and the cut model side by side. Returns why it could not, if the engine cannot run the model.
/// Channels that zeros have silenced go without any more zeros: the original itself must agree.
async fn prove(opened: &Opened, cut: &Model, report: &mut Report, options: &PlanOptions) -> Result<Option<NotProved>> {
    report.device = "CPU".to_owned();
    // The original is read and masked, and both models are given to the engine.
    let need = 3 * opened.model.outside() + 2 * cut.outside();
    if cut.is_apart() && need > MOST_FOR_PROOF {
        let why = format!(
            "both models at once need about {} MB of memory: `lopper verify ORIGINAL PRUNED REPORT` runs the proof",
            need >> 20
        );
        return Ok(Some(NotProved { why, elsewhere: true }));
    }
    let mask: &[MaskEntry] = if options.target == Target::Dead { &[] } else { report.mask.as_slice() };
    match agreement(&opened.model, cut, mask, options.seed).await {
        Ok(seen) => {
            report.max_error = Some(seen.relative);
            if report.exact && !agrees(&seen) {
                return Err(Error::new(
                    Code::NotExact,
                    format!(
                        "the cut model differs from the masked original by {:.1e} of the largest output where {TOLERANCE:.0e} is allowed: \
                         this is a bug in Lopper, and the cut was thrown away",
                        seen.relative
                    ),
                ));
            }
            Ok(None)
        }
        Err(e) if e.code() == Code::Unsupported => {
            Ok(Some(NotProved { why: e.message().to_owned(), elsewhere: false }))
        }
        Err(e) => Err(e.at("proof of the cut")),
    }
}

/// Whether a difference is within what is allowed; what is no number is not.
pub(crate) fn agrees(seen: &Agreement) -> bool {
    seen.relative <= TOLERANCE
}

/// How far the masked original and a cut model agree on random input.
pub(crate) async fn agreement(original: &Model, cut: &Model, mask: &[MaskEntry], seed: u64) -> Result<Agreement> {
    compare(original, cut, &slices(mask), seed).await
}

/// A report's mask as the engine takes it.
pub(crate) fn slices(mask: &[MaskEntry]) -> Vec<MaskedSlices> {
    (mask.iter())
        .map(|e| MaskedSlices {
            initializer: e.initializer.clone(),
            axis: e.axis,
            indices: e.indices.clone(),
            within: e.within.as_ref().map(|w| {
                let [low, high] = w.range;
                Block { axis: w.axis, low, high }
            }),
        })
        .collect()
}
