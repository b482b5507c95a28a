//! What a step of pruning may cost, and whether one costs more.
//!
//! Turns figures of the unpruned model and of a smaller one into faults, in words. Does NOT measure.
//!
//! The project document let a step pass when four of five texts looked English. A model at 80 % passed so that could no
//! longer write; so here the loss on text that was not calibrated with decides, and the texts are held against what the
//! unpruned model writes: at this size it loops by itself.

use serde::{Deserialize, Serialize};

use super::{continuation::Continuation, yardstick::Figures};

/// Share of Latin letters that is English enough, whatever the unpruned model writes.
const LATIN: f64 = 0.8;
/// How far below the unpruned model's share it may fall.
const LATIN_SLACK: f64 = 0.15;
/// How far the share of repeated 4-grams, over all texts, may rise above the unpruned model's: one rounding error more or
/// less decides whether a single greedy text loops.
const REPEATED_SLACK: f64 = 0.2;

/// What a step may cost at most. Beyond it the step is undone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gate {
    /// Perplexity on tomato text, as a multiple of the unpruned model's.
    pub tomato: f64,
    /// The same on general text.
    pub general: f64,
    /// Whether the texts must be as good as the unpruned model's.
    pub texts: bool,
}

impl Default for Gate {
    fn default() -> Self {
        Self { tomato: 1.25, general: 1.4, texts: true }
    }
}

impl Gate {
    /// # Errors
    /// What is no limit, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, limit) in [("tomato", self.tomato), ("general", self.general)] {
            if limit.is_nan() || limit < 1.0 {
                return Err(format!(
                    "gate = {{ {name} = {limit} }}; it is the most that perplexity may be multiplied by, so 1 or more: 1.25 is \
                     a quarter more"
                ));
            }
        }
        Ok(())
    }

    /// Why the model measured as `now` must not stay; nothing if it may.
    pub fn faults(&self, unpruned: &Figures, now: &Figures) -> Vec<String> {
        let mut faults = Vec::new();
        let [tomato, general] = now.ratios(unpruned);
        for (text, ratio, limit) in [("tomato", tomato, self.tomato), ("general", general, self.general)] {
            // What is no number is no pass.
            if !matches!(ratio.partial_cmp(&limit), Some(order) if order.is_le()) {
                faults.push(format!(
                    "perplexity on {text} text is {ratio:.2} times the unpruned model's, at most {limit}"
                ));
            }
        }
        if self.texts {
            faults.extend(unpruned.texts.iter().zip(&now.texts).filter_map(|(was, is)| fault(was, is)));
            let [was, is] = [unpruned, now].map(Figures::repeated);
            if is > was + REPEATED_SLACK {
                let [was, is] = [was, is].map(|share| 100.0 * share);
                faults.push(format!("its texts loop: {is:.0} % of their 4-grams are repeated, {was:.0} % unpruned"));
            }
        }
        faults
    }
}

/// What is wrong with one text, beside what the unpruned model writes.
fn fault(was: &Continuation, is: &Continuation) -> Option<String> {
    let prompt = is.prompt;
    if is.text.trim().is_empty() && !was.text.trim().is_empty() {
        return Some(format!("it has nothing to say after {prompt:?}"));
    }
    if is.special > was.special {
        return Some(format!("it writes {} special tokens after {prompt:?}, unpruned {}", is.special, was.special));
    }
    let (latin, before) = (is.latin, was.latin);
    if is.english && latin < LATIN.min(before - LATIN_SLACK) {
        let [latin, before] = [latin, before].map(|share| 100.0 * share);
        return Some(format!(
            "only {latin:.0} % of what it writes after {prompt:?} is Latin letters, unpruned {before:.0} %"
        ));
    }
    None
}
