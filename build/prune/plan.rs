//! `[prune]` of the recipe, its depth, layers and neurons: what is taken away besides pieces of text, and what that may cost.
//!
//! Turns TOML into checked tables, and says what a recipe asks for that cannot be: by itself, and of a base. Does NOT
//! prune.

use serde::{Deserialize, Serialize};

use super::{
    super::{
        config_json::{Config, Widths},
        ffn::{BLOCK, Fit, Score},
    },
    gate::Gate,
    way::{Protect, Shares, Way},
};

/// The project document's steps; a recipe without a schedule takes those that lie above what it keeps.
const SCHEDULE: [f64; 4] = [0.90, 0.85, 0.80, 0.75];

/// What a recipe asks for that cannot be. The user's to mend: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("[{table}] {fault}")]
pub struct PlanError {
    table: &'static str,
    fault: String,
}

/// The shape of the first `depth` layers of a base; None for all of them.
///
/// # Errors
/// [`PlanError`]: the base has not so many.
pub fn shallow(base: &Config, depth: Option<usize>) -> Result<Config, PlanError> {
    let mut config = base.clone();
    let Some(depth) = depth else { return Ok(config) };
    let layers = config.num_hidden_layers as usize;
    if !(1..=layers).contains(&depth) {
        let fault = format!("depth is {depth}, and the base has {layers} layers; name 1 to {layers}, or leave it out");
        return Err(PlanError { table: "prune", fault });
    }
    config.num_hidden_layers = depth as u32;
    config.layer_types.truncate(depth);
    if let Widths::Each(widths) = &mut config.intermediate_size {
        widths.truncate(depth);
    }
    Ok(config)
}

/// Whole layers that are taken out: those without which the model foretells best.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    /// How many.
    pub remove: usize,
    /// What each of them may cost.
    #[serde(default)]
    pub gate: Gate,
}

impl Layers {
    /// # Errors
    /// [`PlanError`]: what no base could give.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |fault| Err(PlanError { table: "prune.layers", fault });
        if self.remove == 0 {
            return wrong("remove is 0; leave the table out, or say how many layers go".into());
        }
        self.gate.check().or_else(wrong)
    }

    /// # Errors
    /// [`PlanError`]: the model has not so many layers.
    pub fn check_fit(&self, config: &Config) -> Result<(), PlanError> {
        let (remove, layers) = (self.remove, config.num_hidden_layers as usize);
        match remove < layers {
            true => Ok(()),
            false => Err(PlanError {
                table: "prune.layers",
                fault: format!(
                    "remove is {remove}, and the base has {layers} layers, of which one must stay; lower it"
                ),
            }),
        }
    }
}

/// Neurons of the feed-forward layers that are taken out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ffn {
    /// Share of the neurons that stay in the layers that are narrowed.
    pub keep: f64,
    /// What a neuron is worth.
    #[serde(default)]
    pub score: Score,
    /// How the down matrix is made for those that stay.
    #[serde(default)]
    pub fit: Fit,
    /// How the layers share the loss of neurons.
    #[serde(default)]
    pub shares: Shares,
    /// Which layers lose none.
    #[serde(default)]
    pub protect: Protect,
    /// Shares that are tried one after the other, the last of them `keep`; left out, the document's.
    pub schedule: Option<Vec<f64>>,
    /// What each step may cost.
    #[serde(default)]
    pub gate: Gate,
}

impl Ffn {
    /// Shares that are tried, one after the other.
    pub fn steps(&self) -> Vec<f64> {
        let default = || SCHEDULE.into_iter().filter(|share| *share > self.keep).chain([self.keep]).collect();
        self.schedule.clone().unwrap_or_else(default)
    }

    /// How it is done.
    pub fn way(&self) -> Way {
        Way { score: self.score, fit: self.fit, shares: self.shares, protect: self.protect }
    }

    /// # Errors
    /// [`PlanError`]: what no base could give.
    pub fn check(&self) -> Result<(), PlanError> {
        let wrong = |fault| Err(PlanError { table: "prune.ffn", fault });
        let share = |share: f64| share > 0.0 && share <= 1.0;
        let keep = self.keep;
        if !share(keep) {
            return wrong(format!("keep is {keep}; it is the share of neurons that stay, above 0 and at most 1"));
        }
        let steps = self.steps();
        let falls = steps.windows(2).all(|pair| pair[1] < pair[0]);
        if !falls || steps.last() != Some(&keep) || !steps.iter().all(|step| share(*step)) {
            return wrong(format!(
                "schedule is {steps:?}; it must hold shares of at most 1 that fall from step to step and end at keep, {keep}"
            ));
        }
        self.gate.check().or_else(wrong)
    }

    /// Whether a model of this shape, of which `removed` layers go first, can be narrowed so.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn check_fit(&self, config: &Config, removed: usize) -> Result<(), PlanError> {
        let wrong = |fault| Err(PlanError { table: "prune.ffn", fault });
        let layers = (config.num_hidden_layers as usize).saturating_sub(removed);
        let protected = match self.protect {
            Protect::Sensitive(count) => count,
            Protect::Ends(count) => count.saturating_mul(2),
        };
        if protected >= layers {
            return wrong(format!(
                "protect leaves none of {layers} layers to narrow ({protected} are protected); lower it, or leave the \
                 table out"
            ));
        }
        let width = config.intermediate_size.of(0) as usize;
        if matches!(&config.intermediate_size, Widths::Each(each) if each.iter().any(|one| *one as usize != width)) {
            let fault = "the base's feed-forward layers differ in width: it was narrowed before; leave the table out";
            return wrong(fault.into());
        }
        if !width.is_multiple_of(BLOCK) {
            return wrong(format!(
                "the base's feed-forward layers are {width} neurons wide, no multiple of {BLOCK}, which the quantized \
                 formats need; leave the table out"
            ));
        }
        Ok(())
    }
}
