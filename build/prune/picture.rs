//! `analysis.svg`: what each layer is worth, and what each step cost, to look at.
//!
//! Turns a [`Record`] into one picture that needs nothing else. Does NOT compute figures.

use std::fmt::Write;

use super::record::{Group, Record, Step};

/// Pixels: width of the picture and of what is drawn in it, height of a line of bars and of the curves.
const WIDTH: f64 = 720.0;
const PLOT: f64 = 440.0;
const LINE: f64 = 22.0;
const CURVES: f64 = 260.0;
/// Room on the left for words, and between parts.
const LEFT: f64 = 150.0;
const GAP: f64 = 40.0;
const PLAIN: &str = "#c8352b";
const SPARED: &str = "#3b6ea5";
const GENERAL: &str = "#2e7d32";

/// The picture.
pub fn svg(record: &Record) -> String {
    let (mut body, mut y) = (String::new(), 0.0);
    let layers: Vec<_> = record.layers.iter().map(|one| (one.layer, one.added, !one.removed)).collect();
    let ffn: Vec<_> = record.ffn.iter().map(|one| (one.layer, one.added, one.protected)).collect();
    for (title, rows) in [
        ("Loss added without the whole layer, nats a token (blue: stays)", layers),
        ("Loss added without the layer's feed-forward part, nats a token (blue: keeps all neurons)", ffn),
    ] {
        if !rows.is_empty() {
            y = bars(&mut body, y, title, &rows);
        }
    }
    for (group, title, gate) in [
        (Group::Layers, "Layers removed", record.layers_gate),
        (Group::Ffn, "Share of neurons kept in the layers that are narrowed", record.ffn_gate),
    ] {
        let steps: Vec<&Step> = record.steps.iter().filter(|step| step.group == group).collect();
        if let (Some(gate), false) = (gate, steps.is_empty()) {
            // Neurons go from what the layers left.
            let before = record.steps.iter().rfind(|step| step.group != group && step.passed());
            let from = before.filter(|_| group == Group::Ffn).map_or([1.0; 2], |step| step.ratios);
            y = curves(&mut body, y, title, &steps, from, [gate.tomato, gate.general]);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" viewBox=\"0 0 {WIDTH} {y}\">\
         <style>text{{font:13px sans-serif;fill:#222}}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}</svg>\n"
    )
}

fn text(body: &mut String, x: f64, y: f64, text: &str) {
    let _ = write!(body, "<text x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

/// A horizontal bar for each layer, below `y`. Where it ends.
fn bars(body: &mut String, y: f64, title: &str, rows: &[(usize, f64, bool)]) -> f64 {
    text(body, 0.0, y + 18.0, title);
    let most =
        rows.iter().map(|(_, added, _)| *added).filter(|added| added.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    for (number, (layer, added, spared)) in rows.iter().enumerate() {
        let top = y + 28.0 + LINE * number as f64;
        // A layer that does harm has no bar, only its number.
        let width = (PLOT * added / most).clamp(0.0, PLOT);
        let colour = if *spared { SPARED } else { PLAIN };
        text(body, 0.0, top + 15.0, &format!("layer {layer}"));
        let _ = write!(
            body,
            "<rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>",
            top + 2.0
        );
        text(body, LEFT + width + 8.0, top + 15.0, &format!("{added:.3}"));
    }
    y + 28.0 + LINE * rows.len() as f64 + GAP
}

/// Both ratios over the steps, below `y`, beginning with `from`, on a scale of powers; the limits are dashed, a step that
/// was undone is hollow.
fn curves(body: &mut String, y: f64, title: &str, steps: &[&Step], from: [f64; 2], limits: [f64; 2]) -> f64 {
    text(body, 0.0, y + 18.0, "Perplexity, as a multiple of the unpruned model's");
    let known = |value: &f64| value.is_finite() && *value > 0.0;
    let values: Vec<f64> = steps.iter().flat_map(|step| step.ratios).filter(known).collect();
    // Limits that were set to let everything through are not drawn.
    let highest = values.iter().copied().fold(1.1, f64::max);
    let drawn: Vec<f64> = limits.into_iter().filter(|limit| *limit < 4.0 * highest).collect();
    let highest = drawn.iter().copied().fold(highest, f64::max).ln();
    let lowest = values.iter().copied().fold(1.0, f64::min).ln();
    let (top, bottom) = (y + 34.0, y + 34.0 + CURVES);
    let gone = |step: &Step| match step.group {
        Group::Layers => step.removed.len() as f64,
        Group::Ffn => 1.0 - step.keep,
    };
    let all = steps.iter().map(|step| gone(step)).fold(f64::MIN_POSITIVE, f64::max);
    let across = |step: &Step| LEFT + PLOT * gone(step) / all;
    let up = |ratio: f64| match known(&ratio) {
        true => bottom - CURVES * (ratio.ln() - lowest) / (highest - lowest),
        false => top,
    };
    for tick in 0..=4 {
        let ratio = (lowest + (highest - lowest) * f64::from(tick) / 4.0).exp();
        let at = up(ratio);
        let end = LEFT + PLOT;
        let _ = write!(body, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"#ddd\"/>");
        text(body, LEFT - 60.0, at + 4.0, &format!("{ratio:.2}"));
    }
    for (place, (name, colour, limit)) in
        [("tomato", PLAIN, limits[0]), ("general", GENERAL, limits[1])].into_iter().enumerate()
    {
        let points = steps.iter().map(|step| (across(step), up(step.ratios[place]), step));
        let line: String = points.clone().map(|(x, y, _)| format!("L{x:.1} {y:.1}")).collect();
        let _ = write!(body, "<path d=\"M{LEFT} {:.1}{line}\" fill=\"none\" stroke=\"{colour}\"/>", up(from[place]));
        for (x, y, step) in points {
            let fill = if step.passed() { colour } else { "#fff" };
            let _ = write!(body, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\"/>");
        }
        if drawn.contains(&limit) {
            let (at, end) = (up(limit), LEFT + PLOT);
            let _ = write!(body, "<path d=\"M{LEFT} {at:.1}H{end}\" stroke=\"{colour}\" stroke-dasharray=\"4\"/>");
        }
        let last = steps.last().map_or(1.0, |step| step.ratios[place]);
        let (x, y) = (LEFT + PLOT + 16.0, top + 18.0 * place as f64);
        let _ = write!(body, "<circle cx=\"{x}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>");
        text(body, x + 10.0, y + 4.0, &format!("{name} {last:.2}"));
    }
    text(body, LEFT - 8.0, bottom + 18.0, "all");
    for step in steps {
        let name = match step.group {
            Group::Layers => step.removed.len().to_string(),
            Group::Ffn => format!("{:.2}", step.keep),
        };
        text(body, across(step) - 12.0, bottom + 18.0, &name);
    }
    text(body, LEFT, bottom + 38.0, title);
    bottom + 38.0 + GAP
}
