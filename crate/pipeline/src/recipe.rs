//! Following a recipe, and writing one.

use crate::host::Host;
use crate::methods::{PruneTrainOptions, PruneTrainRecipe};
use crate::options::{TuneOptions, Which};
use crate::session::Session;
use crate::summary::SplitSummary;
use lopper_core::plan::PlanOptions;
use lopper_core::recipe::{DataRecipe, Recipe};
use lopper_core::report::ModelInfo;
use lopper_core::score::Needs;
use lopper_core::{Code, Error, Result};

impl Session {
    /// Does what a recipe says with the opened model: masks, cuts, fine-tunes, or prunes and trains together. Gives the model that came last.
    ///
    /// # Errors
    /// As each of these; images must be loaded where the recipe fine-tunes or its criterion looks at some.
    pub async fn follow(&mut self, recipe: &Recipe, host: &impl Host) -> Result<Which> {
        recipe.check()?;
        let tune = recipe.tune.as_ref().map(tune_options).transpose()?;
        let together = recipe.prune_train.as_ref().map(|value| together(value, recipe.cut.as_ref())).transpose()?;
        if (tune.is_some() || together.is_some()) && self.images.is_none() {
            return Err(Error::new(Code::Usage, "the recipe trains: give the images to learn from"));
        }
        if tune.is_some() && together.is_some() {
            let what =
                "the recipe holds both \"tune\" and \"prune_train\", which has a fine-tune of its own: leave one out";
            return Err(Error::new(Code::Usage, what));
        }
        let mut last = Which::Original;
        if !recipe.mask.is_empty() {
            self.mask(&recipe.mask)?;
        }
        if let Some(options) = &together {
            self.prune_train(options, host).await?;
            return Ok(Which::Tuned);
        }
        if let Some(cut) = &recipe.cut {
            if cut.criterion.needs() != Needs::Weights {
                let images = recipe.score.clone().unwrap_or_default();
                self.score(&cut.criterion, None, &images, host).await?;
            }
            self.cut(cut, host).await?;
            last = Which::Cut;
        }
        if let Some(tune) = &tune {
            self.tune(tune, host).await?;
            last = Which::Tuned;
        }
        Ok(last)
    }

    /// Everything that this session did, to be done again.
    ///
    /// # Errors
    /// When no model is open.
    pub(crate) fn history(&self) -> Result<Recipe> {
        let opened = self.opened()?;
        Ok(Recipe {
            lopper: Some(env!("CARGO_PKG_VERSION").to_owned()),
            model: Some(ModelInfo {
                name: opened.name.clone(),
                sha256: self.first_sha256()?,
                opset: opened.graph.opset,
            }),
            device: Some(self.device.name().to_owned()),
            mask: opened.masks.as_ref().map(|m| m.steps.clone()).unwrap_or_default(),
            cut: opened.cut.as_ref().map(|c| c.options.clone()),
            score: opened.cut.as_ref().and_then(|c| c.report.recipe.score.clone()),
            data: self.data_recipe(),
            ..Recipe::default()
        })
    }

    /// A recipe that cuts as a plan of this session says, with the images that its criterion was measured on and the split they
    /// were taken from.
    ///
    /// # Errors
    /// When no model is open.
    pub fn recipe_of(&self, plan: PlanOptions) -> Result<Recipe> {
        let looks = plan.criterion.needs() != Needs::Weights;
        let measured = self.opened()?.measured.as_ref().filter(|_| looks);
        Ok(Recipe { score: measured.map(|m| m.0.clone()), data: self.data_recipe(), ..Recipe::of_cut(plan) })
    }

    /// How the loaded images become input, and which are for what.
    fn data_recipe(&self) -> Option<DataRecipe> {
        self.images.as_ref().map(|i| DataRecipe {
            normalize: i.options.normalize.clone(),
            seed: i.options.seed,
            validation: i.options.validation,
            test: i.options.test,
            name: Some(i.name.clone()),
            images: Some(i.dataset.len()),
            split: serde_json::to_value(SplitSummary {
                train: i.split.train.len(),
                validation: i.split.validation.len(),
                test: i.split.test.len(),
            })
            .ok(),
        })
    }
}

/// What a recipe says of pruning and training together: a preset, for which its cut says what is to go, or every number.
fn together(value: &serde_json::Value, cut: Option<&PlanOptions>) -> Result<PruneTrainOptions> {
    let bad =
        |e: serde_json::Error| Error::new(Code::Usage, format!("the recipe's \"prune_train\" makes no sense ({e})"));
    if value.get("preset").is_none() {
        let options: PruneTrainOptions = serde_json::from_value(value.clone()).map_err(bad)?;
        options.check()?;
        return Ok(options);
    }
    let missing = "the recipe names a preset but not what is to go: add \"cut\" with a target";
    let cut = cut.ok_or_else(|| Error::new(Code::Usage, missing))?;
    serde_json::from_value::<PruneTrainRecipe>(value.clone()).map_err(bad)?.options(cut)
}

/// What a recipe says of fine-tuning; what it notes of the rules that moved parameters is no setting.
fn tune_options(value: &serde_json::Value) -> Result<TuneOptions> {
    let bad = |e: serde_json::Error| Error::new(Code::Usage, format!("the recipe's fine-tuning makes no sense ({e})"));
    let options: TuneOptions = serde_json::from_value(value.clone()).map_err(bad)?;
    options.check()?;
    Ok(options)
}
