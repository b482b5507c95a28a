//! `prune.json`: what was measured while layers and neurons were taken out.
//!
//! Holds figures of the unpruned model, of every layer and of every step, and tells a step in one line. Holds no times: the
//! same inputs give the same bytes. Does NOT measure.

use serde::{Deserialize, Serialize};

use super::{
    gate::Gate,
    yardstick::{Figure, Figures},
};

/// What a step takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Whole layers.
    Layers,
    /// Neurons.
    Ffn,
}

/// The file. Layers are called by their places in the unpruned model, from 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    /// The model with all its layers and neurons; its vocabulary is cut already.
    pub unpruned: Figures,
    /// What each whole layer is worth; empty where none were to go.
    pub layers: Vec<Worth>,
    /// Limits of the steps that take out layers.
    pub layers_gate: Option<Gate>,
    /// What each feed-forward layer is worth, of the layers that stayed; empty where none were to be narrowed.
    pub ffn: Vec<Neurons>,
    /// Limits of the steps that take out neurons.
    pub ffn_gate: Option<Gate>,
    /// What was tried, in this order.
    pub steps: Vec<Step>,
    /// For each group that did not get as far as the recipe asks: at which step it stopped, and why.
    pub stopped: Vec<String>,
}

impl Record {
    /// Nothing has been tried yet.
    pub fn new(unpruned: Figures) -> Self {
        let (layers, ffn) = (Vec::new(), Vec::new());
        Self { unpruned, layers, layers_gate: None, ffn, ffn_gate: None, steps: Vec::new(), stopped: Vec::new() }
    }

    /// Adds a step; notes when it was undone.
    pub fn add(&mut self, step: Step) {
        if !step.passed() {
            let before = self.steps.iter().rfind(|before| before.group == step.group);
            let kept = before.map_or("nothing was taken out".into(), |before| format!("kept is {}", before.name()));
            self.stopped.push(format!("stopped at {}, {kept}: {}", step.name(), step.faults.join("; ")));
        }
        self.steps.push(step);
    }
}

/// One layer, left out whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Worth {
    /// Its place.
    pub layer: usize,
    /// Loss added without it, nats for each token of the calibration text.
    pub added: f64,
    /// Whether it went.
    pub removed: bool,
}

/// The neurons of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neurons {
    /// Its place.
    pub layer: usize,
    /// Loss added without its feed-forward part, nats for each token of the calibration text.
    pub added: f64,
    /// Whether it keeps all its neurons.
    pub protected: bool,
    /// Neurons at the end.
    pub width: usize,
    /// Lowest, middle and highest score.
    pub scores: [f32; 3],
    /// Share of the neurons that the score puts below the one that adds most to the stream: 1 is right, and what is
    /// below 1 - keep is cut away.
    pub strongest: f64,
}

/// A model that was tried.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// What it takes out.
    pub group: Group,
    /// Layers gone by then.
    pub removed: Vec<usize>,
    /// Share of the neurons that were to stay in the layers that are narrowed.
    pub keep: f64,
    /// Share that stays of all feed-forward neurons of the unpruned model.
    pub kept: f64,
    /// Neurons of each layer that is left.
    pub widths: Vec<usize>,
    /// Perplexity on tomato text and on general text, as multiples of the unpruned model's.
    pub ratios: [f64; 2],
    /// What the model does.
    pub figures: Figures,
    /// Why it was undone; it passed if there is nothing.
    pub faults: Vec<String>,
}

impl Step {
    /// Whether the gate let it through.
    pub fn passed(&self) -> bool {
        self.faults.is_empty()
    }

    /// What was asked for.
    pub fn name(&self) -> String {
        match self.group {
            Group::Layers => format!("without layers {:?}", self.removed),
            Group::Ffn => format!("{:.2} of the neurons", self.keep),
        }
    }

    /// One line of figures.
    pub fn line(&self) -> String {
        let (least, most) = (self.widths.iter().min(), self.widths.iter().max());
        let shown = |name: &str, figure: Figure, ratio: f64| format!("{name} {:.2} (x{ratio:.2})", figure.perplexity);
        let verdict = match self.passed() {
            true => "passed".into(),
            false => format!("undone: {}", self.faults.join("; ")),
        };
        format!(
            "{}: {:.1} % of all neurons, widths {}-{}, perplexity {}, {}: {verdict}",
            self.name(),
            100.0 * self.kept,
            least.unwrap_or(&0),
            most.unwrap_or(&0),
            shown("tomato", self.figures.tomato, self.ratios[0]),
            shown("general", self.figures.general, self.ratios[1]),
        )
    }
}
