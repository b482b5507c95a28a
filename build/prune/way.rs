//! A way of narrowing feed-forward layers: which of them, how wide, which neurons stay, what makes up for the others.
//!
//! Turns a model and what was seen of it into a narrower model. The recipe names one way; `pipeline compare` holds many
//! side by side. Does NOT measure.

use candle_core::Result;
use serde::{Deserialize, Serialize};
use tomato_assistant::model::gemma3::Gemma3;

use super::{
    super::ffn::{self, Activity, Fit, Score},
    sensitivity,
};

/// Which layers lose no neurons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protect {
    /// So many that cost most when they are left out.
    Sensitive(usize),
    /// So many at either end: the project document's.
    Ends(usize),
}

impl Default for Protect {
    fn default() -> Self {
        Self::Sensitive(5)
    }
}

impl Protect {
    /// Places of the layers that are narrowed, ascending; `added` is the loss that each adds when its feed-forward part
    /// is left out.
    pub fn open(self, added: &[f64]) -> Vec<usize> {
        let layers = added.len();
        match self {
            Protect::Ends(count) => (count..layers.saturating_sub(count)).collect(),
            Protect::Sensitive(count) => {
                let mut open = sensitivity::order(added);
                open.truncate(layers.saturating_sub(count));
                open.sort_unstable();
                open
            }
        }
    }
}

/// How the layers that are narrowed share the loss of neurons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shares {
    /// Those that cost less lose more.
    #[default]
    Sensitivity,
    /// All the same: the project document's.
    Equal,
}

/// A way of narrowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// What a neuron is worth.
    pub score: Score,
    /// How the down matrix is made for those that stay.
    pub fit: Fit,
    /// How the layers share the loss.
    pub shares: Shares,
    /// Which layers lose none.
    pub protect: Protect,
}

/// What was seen of a whole model over the calibration text; one element a layer.
pub struct Seen {
    /// What its neurons did.
    pub activities: Vec<Activity>,
    /// Loss added without its feed-forward part, nats a token.
    pub added: Vec<f64>,
}

impl Way {
    /// `whole` with the share `keep` of the neurons of the layers that are narrowed. All of its layers are equally wide.
    /// `each` is called for each layer that is narrowed.
    ///
    /// # Errors
    /// Layers that are not f32; a calibration text that is too short.
    pub fn narrowed(&self, whole: &Gemma3, seen: &Seen, keep: f64, each: &dyn Fn()) -> Result<Gemma3> {
        let open = self.protect.open(&seen.added);
        let full = whole.layers.first().map_or(Ok(0), |layer| layer.gate.rows())?;
        let widths = match self.shares {
            Shares::Sensitivity => {
                let added: Vec<f64> = open.iter().map(|&layer| seen.added[layer]).collect();
                ffn::shares(full, keep, &added)
            }
            Shares::Equal => vec![ffn::blocks(full, keep); open.len()],
        };
        let mut model = whole.clone();
        for (&place, width) in open.iter().zip(widths).filter(|(_, width)| *width < full) {
            let (layer, activity) = (&whole.layers[place], &seen.activities[place]);
            let kept = ffn::best(&ffn::scores(layer, activity, self.score)?, width);
            model.layers[place] = ffn::narrow(layer, activity, &kept, self.fit)?;
            each();
        }
        Ok(model)
    }
}

/// Neurons of each layer.
///
/// # Errors
/// A weight that is no matrix.
pub fn widths(model: &Gemma3) -> Result<Vec<usize>> {
    model.layers.iter().map(|layer| layer.gate.rows()).collect()
}
