//! `analysis.svg`: what each layer is worth, and what each step cost, to look at.
//!
//! Turns a [`Record`] into one picture that needs nothing else. Does NOT compute figures.

use super::{
    super::plot::{Axes, Bar, Curve, Dot, Picture},
    record::{Group, Record, Step},
};

const PLAIN: &str = "#c8352b";
const SPARED: &str = "#3b6ea5";
const GENERAL: &str = "#2e7d32";

/// What stands below the steps that take out neurons.
pub const KEPT: &str = "Share of neurons kept in the layers that are narrowed";

/// The picture.
pub fn svg(record: &Record) -> String {
    let mut picture = Picture::default();
    let layers: Vec<_> = record.layers.iter().map(|one| (one.layer, one.added, !one.removed)).collect();
    let ffn: Vec<_> = record.ffn.iter().map(|one| (one.layer, one.added, one.protected)).collect();
    for (title, rows) in [
        ("Loss added without the whole layer, nats a token (blue: stays)", layers),
        ("Loss added without the layer's feed-forward part, nats a token (blue: keeps all neurons)", ffn),
    ] {
        if !rows.is_empty() {
            picture.bars(title, &rows.into_iter().map(bar).collect::<Vec<_>>());
        }
    }
    for (group, below, gate) in
        [(Group::Layers, "Layers removed", record.layers_gate), (Group::Ffn, KEPT, record.ffn_gate)]
    {
        let steps: Vec<Tried> = record.steps.iter().filter(|step| step.group == group).map(Tried::from).collect();
        if let (Some(gate), false) = (gate, steps.is_empty()) {
            // Neurons go from what the layers left.
            let before = record.steps.iter().rfind(|step| step.group != group && step.passed());
            let from = before.filter(|_| group == Group::Ffn).map_or([1.0; 2], |step| step.ratios);
            ratios(&mut picture, below, &steps, from, [gate.tomato, gate.general]);
        }
    }
    picture.svg()
}

/// What a layer is worth. One that does harm has no bar, only its number.
fn bar((layer, added, spared): (usize, f64, bool)) -> Bar {
    let colour = if spared { SPARED } else { PLAIN };
    Bar { name: format!("layer {layer}"), from: 0.0, to: added, shown: format!("{added:.3}"), colour }
}

/// A step as it is drawn.
pub struct Tried {
    /// How much is gone: layers, or the share of the neurons.
    pub gone: f64,
    /// Below the axis.
    pub name: String,
    /// Perplexity on tomato text and on general text, as multiples of the unpruned model's.
    pub ratios: [f64; 2],
    /// Whether it was let through; one that was undone is hollow.
    pub passed: bool,
}

impl From<&Step> for Tried {
    fn from(step: &Step) -> Self {
        let (gone, name) = match step.group {
            Group::Layers => (step.removed.len() as f64, step.removed.len().to_string()),
            Group::Ffn => (1.0 - step.keep, format!("{:.2}", step.keep)),
        };
        Self { gone, name, ratios: step.ratios, passed: step.passed() }
    }
}

/// Both ratios over the `steps`, beginning with `from`, on a scale of powers; the limits are dashed.
pub fn ratios(picture: &mut Picture, below: &str, steps: &[Tried], from: [f64; 2], limits: [f64; 2]) {
    let curve = |(place, (name, colour)): (usize, (&str, &'static str))| {
        let tried = steps.iter().map(|step| {
            let dot = if step.passed { Dot::Full } else { Dot::Hollow };
            (step.gone, step.ratios[place], dot)
        });
        let last = steps.last().map_or(1.0, |step| step.ratios[place]);
        Curve {
            name: format!("{name} {last:.2}"),
            colour,
            points: [(0.0, from[place], Dot::None)].into_iter().chain(tried).collect(),
            limit: Some(limits[place]),
        }
    };
    let curves: Vec<Curve> = [("tomato", PLAIN), ("general", GENERAL)].into_iter().enumerate().map(curve).collect();
    let marks = steps.iter().map(|step| (step.gone, step.name.clone()));
    let axes = Axes {
        title: "Perplexity, as a multiple of the unpruned model's",
        below,
        marks: [(0.0, "all".into())].into_iter().chain(marks).collect(),
        sight: [1.0, 1.1],
        powers: true,
    };
    picture.curves(&axes, &curves);
}
