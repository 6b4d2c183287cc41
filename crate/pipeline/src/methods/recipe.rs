//! A preset and what is changed of it, as a recipe and a command line say it.

use super::preset::{Method, PruneTrainOptions};
use lopper_core::plan::{PlanOptions, Scope};
use lopper_core::score::Criterion;
use lopper_core::{Code, Error, Result};
use serde::{Deserialize, Serialize};

/// A preset's name and what is changed of it; numbers that are left out are the preset's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PruneTrainRecipe {
    /// One of [`super::PRESETS`].
    pub preset: String,
    /// The variant for a few epochs instead of the paper's numbers.
    #[serde(default)]
    pub short: bool,
    /// Passes over the images before the cut: of each round of iterative, of each tock of gate-decorator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Passes over the images after the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune_epochs: Option<f64>,
    /// The highest learning rate before the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The highest learning rate after the cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune_learning_rate: Option<f64>,
    /// How strong the penalty is, in the method's own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<f64>,
    /// Share of the channels left that go after a tick of gate-decorator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// How much a gate's share in the cost counts against it, of gate-decorator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta: Option<f64>,
    /// Rounds of iterative.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<usize>,
    /// Images a step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<usize>,
    /// Criterion of the cut, instead of the method's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub criterion: Option<Criterion>,
    /// Whether channels compete, instead of the method's own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// For the order of the images and their augmentation.
    #[serde(default)]
    pub seed: u64,
}

impl PruneTrainRecipe {
    /// The preset with these changes. Of the cut its target, its locks and its limits count; how channels are ranked is the method's.
    ///
    /// # Errors
    /// When there is no such preset, it lacks what is changed, or a number makes no sense.
    pub fn options(&self, cut: &PlanOptions) -> Result<PruneTrainOptions> {
        let mut o = PruneTrainOptions::preset(&self.preset, self.short, cut.target.clone())?;
        let set = |slot: &mut f64, given: Option<f64>| *slot = given.unwrap_or(*slot);
        set(&mut o.sparse.epochs, self.epochs);
        set(&mut o.tune.epochs, self.tune_epochs);
        set(&mut o.sparse.rate, self.learning_rate);
        set(&mut o.tune.rate, self.tune_learning_rate);
        self.change(&mut o.method)?;
        o.batch = self.batch.unwrap_or(o.batch);
        o.seed = self.seed;
        o.plan = PlanOptions {
            criterion: self.criterion.clone().unwrap_or(o.plan.criterion),
            scope: self.scope.unwrap_or(o.plan.scope),
            locks: cut.locks.clone(),
            min_ratio: cut.min_ratio,
            max_ratio: cut.max_ratio,
            floor: cut.floor,
            multiple: cut.multiple,
            heads: cut.heads,
            seed: self.seed,
            ..o.plan
        };
        o.check()?;
        Ok(o)
    }

    fn change(&self, method: &mut Method) -> Result<()> {
        let unfit = |what: &str| Err(Error::new(Code::Usage, format!("{} has no {what}", self.preset)));
        match (&mut *method, self.strength) {
            (_, None) => {}
            (Method::Slimming { strength } | Method::GroupSlimming { strength }, Some(s)) => *strength = s,
            (Method::GroupLasso { strength, .. }, Some(s)) => *strength = s,
            (Method::Growing { ceiling, .. }, Some(s)) => *ceiling = s,
            (Method::GrowingGroup { delta, .. }, Some(s)) => *delta = s,
            (Method::GateDecorator { penalty, .. }, Some(s)) => *penalty = s,
            _ => unfit("strength")?,
        }
        match (&mut *method, self.rounds) {
            (_, None) => {}
            (Method::Iterative { rounds }, Some(n)) => *rounds = n,
            _ => unfit("rounds")?,
        }
        match method {
            Method::GateDecorator { share, eta, .. } => {
                *share = self.share.unwrap_or(*share);
                *eta = self.eta.unwrap_or(*eta);
                Ok(())
            }
            _ if self.share.is_some() => unfit("share"),
            _ if self.eta.is_some() => unfit("eta"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lopper_core::plan::Target;

    #[test]
    fn changes_reach_the_preset_and_nothing_else_does() {
        let cut = PlanOptions {
            criterion: Criterion::L2,
            locks: vec!["a*".to_owned()],
            ..PlanOptions::new(Target::Macs(0.5))
        };
        let recipe = PruneTrainRecipe {
            preset: "gate-decorator".to_owned(),
            short: true,
            share: Some(0.1),
            tune_epochs: Some(2.0),
            seed: 7,
            ..PruneTrainRecipe::default()
        };
        let made = recipe.options(&cut).unwrap();
        let Method::GateDecorator { share, .. } = made.method else { panic!() };
        assert_eq!((share, made.tune.epochs, made.seed, made.plan.seed), (0.1, 2.0, 7, 7));
        assert_eq!((made.plan.criterion, made.plan.locks), (Criterion::GbnAbs, cut.locks.clone()));
        for unfit in [
            PruneTrainRecipe { preset: "soft".to_owned(), strength: Some(1.0), ..recipe.clone() },
            PruneTrainRecipe { preset: "slimming".to_owned(), ..recipe.clone() },
            PruneTrainRecipe { rounds: Some(2), ..recipe.clone() },
            PruneTrainRecipe { preset: "no".to_owned(), ..recipe },
        ] {
            assert!(unfit.options(&cut).is_err(), "{unfit:?}");
        }
    }
}
