//! Methods that prune and train together, with the numbers of their papers and a short variant of each.

use lopper_core::plan::{PlanOptions, Scope, Target};
use lopper_core::score::Criterion;
use lopper_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// How a learning rate goes over a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Course {
    /// The same in every step.
    Constant,
    /// A tenth from each of these shares of the phase on.
    Steps(Vec<f64>),
    /// Up over a tenth of the phase, then down to 0 along half a cosine.
    Cosine,
    /// From this rate up in a line to the phase's, and down again.
    Triangle(f64),
}

/// A stretch of training by SGD with momentum 0.9.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Passes over the training images; may be a part of one.
    pub epochs: f64,
    /// The highest learning rate.
    pub rate: f64,
    /// How it goes.
    pub course: Course,
    /// Added to gradients as `decay * w`.
    pub weight_decay: f32,
    /// Whether to step by Nesterov's rule.
    pub nesterov: bool,
}

impl Phase {
    /// The learning rate of a step, the first being 0, of so many.
    pub fn rate_at(&self, step: usize, total: usize) -> f64 {
        let way = step as f64 / total.max(1) as f64;
        self.rate
            * match &self.course {
                Course::Constant => 1.0,
                Course::Steps(at) => 0.1_f64.powi(at.iter().filter(|a| way >= **a).count() as i32),
                Course::Cosine if way < 0.1 => (step + 1) as f64 / (0.1 * total as f64).ceil().max(1.0),
                Course::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * (way - 0.1) / 0.9).cos()),
                Course::Triangle(low) => {
                    let low = low / self.rate;
                    low + (1.0 - low) * (1.0 - (2.0 * way - 1.0).abs())
                }
            }
    }

    /// Steps of the phase where an epoch has so many.
    pub fn steps(&self, per_epoch: usize) -> usize {
        (self.epochs * per_epoch as f64).round() as usize
    }
}

/// What is done to make channels superfluous before they go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// Liu et al., Learning Efficient Convolutional Networks through Network Slimming, ICCV 2017: `s * sign(gamma)` on the scales
    /// of BatchNormalization. The paper starts from scratch with scales of 0.5; here training goes on from the model's own.
    Slimming {
        /// `s`.
        strength: f64,
    },
    /// The same for groups: every scale is pulled by its share in the root mean square of all scales of its channel.
    GroupSlimming {
        /// Factor of the pull.
        strength: f64,
    },
    /// Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023: channels decay the faster the weaker their group is.
    GroupLasso {
        /// Factor of the decay.
        strength: f64,
        /// The weakest channel decays two to this times faster than the strongest.
        alpha: f64,
    },
    /// Wang et al., Neural Pruning via Growing Regularization, ICLR 2021 (GReg-1): the channels to go are chosen at the start and
    /// decay ever faster.
    Growing {
        /// What the factor grows by; none lets it reach its ceiling after seven tenths of the steps.
        delta: Option<f64>,
        /// Steps from one growth to the next.
        every: usize,
        /// The largest factor.
        ceiling: f64,
    },
    /// Growing regularisation with a factor for every channel, the weakest growing most.
    GrowingGroup {
        /// The factor at the beginning.
        start: f64,
        /// What the factor of the weakest channel grows by.
        delta: f64,
        /// Epochs from one growth to the next.
        every: f64,
    },
    /// He et al., Soft Filter Pruning, IJCAI 2018: the weakest filters are set to zero again and again, and may return.
    Soft {
        /// Epochs from one time to the next.
        every: f64,
        /// Zeros stay (He et al., FPGM, CVPR 2019): their gradients are masked.
        hard: bool,
        /// Scale and shift of normalisations become zero, too.
        norms: bool,
    },
    /// You et al., Gate Decorator, NeurIPS 2019: channels go a few at a time by the scores of trained gates (ticks), with training
    /// in between (tocks).
    GateDecorator {
        /// A tick.
        tick: Phase,
        /// Ticks from one tock to the next.
        ticks: usize,
        /// Share of the channels left that go after a tick.
        share: f64,
        /// Factor of the sum of absolute gates in the loss of a tock.
        penalty: f64,
        /// Factor of a gate's share in the cost, which is taken from its score.
        eta: f64,
        /// Gates begin as the scales of their normalisations instead of ones.
        #[serde(default)]
        from_scales: bool,
    },
    /// A part of the way is cut, then trained, again and again (Han et al., Learning both Weights and Connections, NeurIPS 2015).
    Iterative {
        /// How many times.
        rounds: usize,
    },
}

/// Everything that decides how a model is pruned and trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PruneTrainOptions {
    /// What is done.
    pub method: Method,
    /// Training before the cut: of an iterative method each round's, of gates a tock.
    pub sparse: Phase,
    /// Training after the cut.
    pub tune: Phase,
    /// Images a step.
    pub batch: usize,
    /// The cut.
    pub plan: PlanOptions,
    /// For the order of the images, their augmentation and dropout.
    pub seed: u64,
}

/// Names of presets, what they do, and whose they are.
pub const PRESETS: [(&str, &str); 9] = [
    ("slimming", "network slimming (Liu et al., ICCV 2017)"),
    ("group-slimming", "network slimming by groups"),
    ("group-lasso", "group lasso of DepGraph (Fang et al., CVPR 2023)"),
    ("growing", "growing regularisation (Wang et al., ICLR 2021)"),
    ("growing-group", "growing regularisation by groups"),
    ("soft", "soft filter pruning (He et al., IJCAI 2018)"),
    ("soft-hard", "the same with masked gradients (He et al., CVPR 2019)"),
    ("gate-decorator", "gates with tick-tock (You et al., NeurIPS 2019)"),
    ("iterative", "cut and train in turn (Han et al., NeurIPS 2015)"),
];

/// What differs from preset to preset.
struct Numbers {
    method: Method,
    sparse: Phase,
    tune: Phase,
    batch: usize,
    criterion: Criterion,
    scope: Scope,
}

fn phase(epochs: f64, rate: f64, course: Course, weight_decay: f32) -> Phase {
    Phase { epochs, rate, course, weight_decay, nesterov: false }
}

/// A paper's number, or the one for a short run.
struct Pick(bool);

impl Pick {
    fn by<T>(&self, paper: T, short: T) -> T {
        if self.0 { short } else { paper }
    }

    /// Training after the cut.
    fn tune(&self, epochs: f64, rate: f64, course: Course, weight_decay: f32) -> Phase {
        self.by(phase(epochs, rate, course, weight_decay), phase(1.0, 0.02, Course::Cosine, 5e-4))
    }

    fn slimming(&self, grouped: bool) -> Numbers {
        let strength = self.by(1e-4, 5e-3);
        let halves = || Course::Steps(vec![0.5, 0.75]);
        let sparse = self.by(phase(160.0, 0.1, halves(), 1e-4), phase(1.0, 0.02, Course::Constant, 1e-4));
        Numbers {
            method: if grouped { Method::GroupSlimming { strength } } else { Method::Slimming { strength } },
            sparse: Phase { nesterov: true, ..sparse },
            tune: Phase { nesterov: true, ..self.tune(160.0, 0.1, halves(), 1e-4) },
            batch: 64,
            criterion: Criterion::BnScale,
            scope: Scope::Global,
        }
    }

    /// Methods of DepGraph's repository, which train without the optimiser's decay before the cut.
    fn by_groups(&self, method: Method) -> Numbers {
        let late = || Course::Steps(vec![0.6, 0.8]);
        Numbers {
            method,
            sparse: self.by(phase(100.0, 0.01, late(), 0.0), phase(1.0, 0.01, Course::Constant, 0.0)),
            tune: self.tune(100.0, 0.01, late(), 5e-4),
            batch: 128,
            criterion: Criterion::GroupNorm,
            scope: Scope::Global,
        }
    }

    fn growing(&self) -> Numbers {
        Numbers {
            method: Method::Growing { delta: self.by(Some(1e-4), None), every: self.by(10, 1), ceiling: 1.0 },
            sparse: self.by(phase(400.0, 1e-3, Course::Constant, 5e-4), phase(1.0, 1e-2, Course::Constant, 5e-4)),
            tune: self.tune(120.0, 1e-2, Course::Steps(vec![0.5, 0.75]), 5e-4),
            batch: 128,
            criterion: Criterion::L1,
            scope: Scope::Group,
        }
    }

    fn soft(&self, hard: bool) -> Numbers {
        let halves = Course::Steps(vec![0.5, 0.75]);
        Numbers {
            method: Method::Soft { every: self.by(1.0, 0.1), hard, norms: false },
            sparse: self.by(phase(200.0, 0.01, halves, 5e-4), phase(1.0, 0.01, Course::Constant, 5e-4)),
            // The papers do not train after the cut.
            tune: self.tune(0.0, 0.01, Course::Constant, 5e-4),
            batch: 128,
            criterion: Criterion::L2,
            scope: Scope::Group,
        }
    }

    fn gates(&self) -> Numbers {
        let method = Method::GateDecorator {
            tick: phase(self.by(1.0, 0.05), 1e-3, Course::Constant, 5e-4),
            ticks: self.by(10, 5),
            share: self.by(0.002, 0.05),
            penalty: 1e-3,
            eta: 0.0,
            from_scales: false,
        };
        Numbers {
            method,
            sparse: phase(self.by(10.0, 0.25), 1e-2, Course::Triangle(1e-3), 5e-4),
            tune: self.tune(40.0, 1e-2, Course::Triangle(1e-3), 5e-4),
            batch: 128,
            criterion: Criterion::GbnAbs,
            scope: Scope::Global,
        }
    }

    fn iterative(&self) -> Numbers {
        Numbers {
            method: Method::Iterative { rounds: self.by(10, 4) },
            sparse: self.by(phase(10.0, 0.01, Course::Constant, 5e-4), phase(0.25, 0.02, Course::Cosine, 5e-4)),
            tune: self.tune(40.0, 0.01, Course::Steps(vec![0.5, 0.75]), 5e-4),
            batch: 128,
            criterion: Criterion::L1,
            scope: Scope::Group,
        }
    }
}

impl PruneTrainOptions {
    /// A preset for a target: its paper's numbers, or with `short` numbers for a few epochs, where penalties are so much stronger
    /// that they come as far in fewer steps.
    ///
    /// # Errors
    /// When there is no such preset.
    pub fn preset(name: &str, short: bool, target: Target) -> Result<Self> {
        let pick = Pick(short);
        let numbers = match name {
            "slimming" => pick.slimming(false),
            "group-slimming" => pick.slimming(true),
            "group-lasso" => pick.by_groups(Method::GroupLasso { strength: pick.by(5e-4, 1e-2), alpha: 4.0 }),
            "growing" => pick.growing(),
            "growing-group" => {
                let (start, delta, every) = (pick.by(5e-4, 1e-3), pick.by(1e-4, 5e-2), pick.by(1.0, 0.05));
                pick.by_groups(Method::GrowingGroup { start, delta, every })
            }
            "soft" => pick.soft(false),
            "soft-hard" => pick.soft(true),
            "gate-decorator" => pick.gates(),
            "iterative" => pick.iterative(),
            other => {
                let names: Vec<&str> = PRESETS.iter().map(|p| p.0).collect();
                let what = format!("there is no preset {other:?}: choose one of {}", names.join(", "));
                return Err(Error::new(Code::Usage, what));
            }
        };
        let Numbers { method, sparse, tune, batch, criterion, scope } = numbers;
        let plan = PlanOptions { criterion, scope, ..PlanOptions::new(target) };
        Ok(Self { method, sparse, tune, batch, plan, seed: 0 })
    }

    /// # Errors
    /// When a number makes no sense.
    pub fn check(&self) -> Result<()> {
        self.plan.check()?;
        let bad = |what: String| Err(Error::new(Code::Usage, what));
        if self.batch == 0 {
            return bad("a batch of 0 images cannot be trained on: give 1 or more".to_owned());
        }
        if !matches!(self.plan.target, Target::Ratio(_) | Target::Macs(_) | Target::Parameters(_)) {
            return bad("give a share of channels, MACs or parameters as the target".to_owned());
        }
        for (what, phase) in [("before the cut", &self.sparse), ("after the cut", &self.tune)] {
            if !(phase.rate > 0.0 && phase.rate.is_finite()) {
                return bad(format!("a learning rate of {} {what} makes no sense: give a number above 0", phase.rate));
            }
            if !(phase.epochs >= 0.0 && phase.epochs.is_finite()) {
                return bad(format!("{} epochs {what} make no sense: give 0 or more", phase.epochs));
            }
        }
        let positive = match &self.method {
            Method::Slimming { strength }
            | Method::GroupSlimming { strength }
            | Method::GroupLasso { strength, .. } => *strength >= 0.0 && strength.is_finite(),
            Method::Growing { every, ceiling, .. } => *every > 0 && *ceiling >= 0.0,
            Method::GrowingGroup { every, .. } | Method::Soft { every, .. } => *every > 0.0,
            Method::GateDecorator { share, ticks, .. } => *share > 0.0 && *share < 1.0 && *ticks > 0,
            Method::Iterative { rounds } => *rounds > 0,
        };
        if positive {
            Ok(())
        } else {
            bad("a number of the method is out of range: shares and counts are above 0".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_their_courses() {
        let of = |course, step| phase(1.0, 0.01, course, 0.0).rate_at(step, 100);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(of(Course::Triangle(0.001), 0), 0.001);
        near(of(Course::Triangle(0.001), 50), 0.01);
        near(of(Course::Triangle(0.001), 100), 0.001);
        near(of(Course::Triangle(0.001), 25), 0.0055);
        near(of(Course::Steps(vec![0.5, 0.75]), 49), 0.01);
        near(of(Course::Steps(vec![0.5, 0.75]), 50), 0.001);
        near(of(Course::Steps(vec![0.5, 0.75]), 80), 0.0001);
        near(of(Course::Cosine, 0), 0.001);
        near(of(Course::Cosine, 10), 0.01);
        near(of(Course::Cosine, 55), 0.005);
    }

    #[test]
    fn every_preset_is_whole_and_holds_its_papers_numbers() {
        for (name, _) in PRESETS {
            for short in [false, true] {
                PruneTrainOptions::preset(name, short, Target::Macs(0.5)).unwrap().check().unwrap();
            }
        }
        let paper = |name| PruneTrainOptions::preset(name, false, Target::Macs(0.5)).unwrap().method;
        assert_eq!(paper("slimming"), Method::Slimming { strength: 1e-4 });
        assert_eq!(paper("group-lasso"), Method::GroupLasso { strength: 5e-4, alpha: 4.0 });
        assert_eq!(paper("growing"), Method::Growing { delta: Some(1e-4), every: 10, ceiling: 1.0 });
        let Method::GateDecorator { tick, ticks, share, penalty, eta, .. } = paper("gate-decorator") else { panic!() };
        assert_eq!((tick.epochs, tick.rate, ticks, share, penalty, eta), (1.0, 1e-3, 10, 0.002, 1e-3, 0.0));
        assert!(PruneTrainOptions::preset("slim", true, Target::Macs(0.5)).is_err());
    }
}
