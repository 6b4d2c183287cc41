//! What is fetched to be looked at: layers, filters, feature maps, predictions, criteria beside each other, channels of values.

use crate::{Answer, Lopper, parsed, text};
use lopper_pipeline::{Criterion, PlanOptions, ScoreOptions, Which};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;

/// A layer by its place in the list of layers, seen with a plan.
#[derive(Deserialize)]
struct LayerAsk {
    layer: usize,
    plan: PlanOptions,
}

#[derive(Deserialize)]
struct FilterAsk {
    layer: usize,
    filter: usize,
}

#[derive(Deserialize)]
struct MapsAsk {
    layer: usize,
    image: u32,
    plan: PlanOptions,
}

#[derive(Deserialize)]
struct CompareAsk {
    which: Which,
    limit: Option<usize>,
    shown: usize,
}

#[derive(Deserialize)]
struct AgreementAsk {
    criteria: Vec<Criterion>,
    images: ScoreOptions,
}

#[derive(Deserialize)]
struct ValueAsk {
    value: String,
    plan: PlanOptions,
}

#[wasm_bindgen]
impl Lopper {
    /// Convolutions and linear layers.
    pub fn layers(&self) -> Answer<String> {
        self.at_once(|session| text(&session.layers()?))
    }

    /// A layer's filters as pictures.
    pub fn filter_pictures(&self, options: &str) -> Answer<String> {
        self.at_once(|session| {
            let ask: LayerAsk = parsed(options)?;
            text(&session.filter_pictures(ask.layer, &ask.plan)?)
        })
    }

    /// One filter, channel by channel.
    pub fn filter_channels(&self, options: &str) -> Answer<String> {
        self.at_once(|session| {
            let ask: FilterAsk = parsed(options)?;
            text(&session.filter_channels(ask.layer, ask.filter)?)
        })
    }

    /// A layer's filters as points of a plane.
    pub fn filter_plane(&self, options: &str) -> Answer<String> {
        self.at_once(|session| {
            let ask: LayerAsk = parsed(options)?;
            text(&session.filter_plane(ask.layer, &ask.plan)?)
        })
    }

    /// What a layer makes of an image.
    pub async fn feature_maps(&self, options: &str) -> Answer<String> {
        let ask = parsed::<MapsAsk>(options);
        self.in_steps(async |session, _| {
            let ask = ask?;
            text(&session.feature_maps(ask.layer, ask.image, &ask.plan).await?)
        })
        .await
    }

    /// Channels that are zero everywhere on at most so many images.
    pub async fn silent(&self, limit: usize) -> Answer<String> {
        self.in_steps(async |session, page| text(&session.silent(Some(limit), page).await?)).await
    }

    /// What the original and another model say of the test images.
    pub async fn compare(&self, options: &str) -> Answer<String> {
        let ask = parsed::<CompareAsk>(options);
        self.in_steps(async |session, page| {
            let ask = ask?;
            text(&session.compare(ask.which, ask.limit, ask.shown, page).await?)
        })
        .await
    }

    /// How far criteria order filters alike.
    pub async fn agreement(&self, options: &str) -> Answer<String> {
        let ask = parsed::<AgreementAsk>(options);
        self.in_steps(async |session, page| {
            let ask = ask?;
            text(&session.agreement(&ask.criteria, &ask.images, page).await?)
        })
        .await
    }

    /// Shapes of the drawing's values after a cut by a plan.
    pub fn widths(&self, options: &str) -> Answer<String> {
        self.at_once(|session| text(&session.widths(&parsed(options)?)?))
    }

    /// Whose channels stand on a value's axes, and which go.
    pub fn value_channels(&self, options: &str) -> Answer<String> {
        self.at_once(|session| {
            let ask: ValueAsk = parsed(options)?;
            text(&session.value_channels(&ask.value, &ask.plan)?)
        })
    }
}
