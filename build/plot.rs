//! Pictures of figures: bars and curves below each other, as SVG.
//!
//! Turns numbers and words into one element that needs nothing else; every word is escaped. Does NOT know what they mean.

use std::fmt::Write;

/// Pixels: width of the picture and of what is drawn in it, height of a line of bars and of curves.
const WIDTH: f64 = 760.0;
const PLOT: f64 = 440.0;
const LINE: f64 = 22.0;
const CURVES: f64 = 260.0;
/// Room on the left for words, and between parts.
const LEFT: f64 = 180.0;
const GAP: f64 = 40.0;

/// A line of a bar chart, which reaches from one value to another.
pub struct Bar {
    /// On its left.
    pub name: String,
    /// Where it begins; 0 for an ordinary bar.
    pub from: f64,
    /// Where it ends, not below `from`; what is has no length, only its number.
    pub to: f64,
    /// On its right.
    pub shown: String,
    /// Of the bar.
    pub colour: &'static str,
}

/// How a point is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dot {
    /// Not at all: the line only passes there.
    None,
    /// With a filled circle.
    Full,
    /// With an empty one.
    Hollow,
}

/// A line through points (across, up, how it is marked).
pub struct Curve {
    /// In the legend.
    pub name: String,
    /// Of line and points.
    pub colour: &'static str,
    /// From left to right.
    pub points: Vec<(f64, f64, Dot)>,
    /// Drawn as a dashed line, unless it lies far above everything.
    pub limit: Option<f64>,
}

/// What curves are drawn on.
pub struct Axes<'a> {
    /// What is measured, above.
    pub title: &'a str,
    /// What it is held against, below.
    pub below: &'a str,
    /// Words below the axis, and where.
    pub marks: Vec<(f64, String)>,
    /// Values that are in sight in any case: lowest and highest.
    pub sight: [f64; 2],
    /// Whether the scale is one of powers; values that are not above 0 have no place on it.
    pub powers: bool,
}

/// A picture that grows downwards.
#[derive(Default)]
pub struct Picture {
    body: String,
    height: f64,
}

impl Picture {
    /// The whole as one element.
    pub fn svg(&self) -> String {
        let Picture { body, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\
             <style>text{{font:13px sans-serif;fill:#222}}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}\
             </svg>\n"
        )
    }

    fn text(&mut self, x: f64, y: f64, text: &str) {
        let _ = write!(self.body, "<text x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escape(text));
    }

    fn dot(&mut self, x: f64, y: f64, (fill, colour): (&str, &str)) {
        let circle = format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{fill}\" stroke=\"{colour}\"/>");
        self.body.push_str(&circle);
    }

    /// A level line across the whole plot; `style` holds its attributes.
    fn level(&mut self, y: f64, style: &str) {
        let end = LEFT + PLOT;
        let _ = write!(self.body, "<path d=\"M{LEFT} {y:.1}H{end}\" {style}/>");
    }

    /// Horizontal bars below a title, which may be empty.
    pub fn bars(&mut self, title: &str, bars: &[Bar]) {
        let mut top = self.height;
        if !title.is_empty() {
            self.text(0.0, top + 18.0, title);
            top += 28.0;
        }
        let most = bars.iter().map(|bar| bar.to).filter(|to| to.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        for Bar { name, from, to, shown, colour } in bars {
            let [start, end] = [*from, *to].map(|value| match value.is_nan() {
                true => 0.0,
                false => (PLOT * value / most).clamp(0.0, PLOT),
            });
            let width = (end - start).max(0.0);
            self.text(0.0, top + 15.0, name);
            let _ = write!(
                self.body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"16\" fill=\"{colour}\"/>",
                LEFT + start,
                top + 2.0
            );
            self.text(LEFT + end + 8.0, top + 15.0, shown);
            top += LINE;
        }
        self.height = top + GAP;
    }

    /// Curves on common axes. A value that has no place on the scale is drawn at its top.
    pub fn curves(&mut self, axes: &Axes, curves: &[Curve]) {
        let (top, bottom) = (self.height + 34.0, self.height + 34.0 + CURVES);
        self.text(0.0, self.height + 18.0, axes.title);
        let known = |value: &f64| value.is_finite() && (!axes.powers || *value > 0.0);
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let values = || points().map(|(_, up, _)| *up).filter(known);
        let highest = values().fold(axes.sight[1], f64::max);
        // Limits that were set to let everything through are not drawn.
        let limit_of = |curve: &Curve| curve.limit.filter(|limit| *limit < 4.0 * highest);
        let highest = curves.iter().filter_map(limit_of).fold(highest, f64::max);
        let lowest = values().fold(axes.sight[0], f64::min);
        let (first, last) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(first, last), (across, _, _)| {
            (first.min(*across), last.max(*across))
        });
        let across = |value: f64| LEFT + PLOT * (value - first) / (last - first).max(f64::MIN_POSITIVE);
        let scale = |value: f64| if axes.powers { value.ln() } else { value };
        let range = scale(highest) - scale(lowest);
        let up = |value: f64| match known(&value) {
            true => bottom - CURVES * (scale(value) - scale(lowest)) / range,
            false => top,
        };
        for tick in 0..=4 {
            let at = scale(lowest) + range * f64::from(tick) / 4.0;
            let value = if axes.powers { at.exp() } else { at };
            self.level(up(value), "stroke=\"#ddd\"");
            self.text(LEFT - 60.0, up(value) + 4.0, &format!("{value:.2}"));
        }
        for (place, curve) in curves.iter().enumerate() {
            let colour = curve.colour;
            let line: Vec<String> =
                curve.points.iter().map(|&(x, y, _)| format!("{:.1} {:.1}", across(x), up(y))).collect();
            let _ = write!(self.body, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\"/>", line.join("L"));
            for &(x, y, dot) in curve.points.iter().filter(|(_, _, dot)| *dot != Dot::None) {
                let fill = if dot == Dot::Full { colour } else { "#fff" };
                self.dot(across(x), up(y), (fill, colour));
            }
            if let Some(limit) = limit_of(curve) {
                self.level(up(limit), &format!("stroke=\"{colour}\" stroke-dasharray=\"4\""));
            }
            let (x, y) = (LEFT + PLOT + 16.0, top + 18.0 * place as f64);
            self.dot(x, y, (colour, colour));
            self.text(x + 10.0, y + 4.0, &curve.name);
        }
        for (at, name) in &axes.marks {
            self.text(across(*at) - 12.0, bottom + 18.0, name);
        }
        self.text(LEFT, bottom + 38.0, axes.below);
        self.height = bottom + 38.0 + GAP;
    }
}

/// `text` as it may stand in HTML and SVG.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
