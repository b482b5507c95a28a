//! `report.html`: the report as one page that needs nothing else.
//!
//! Turns a [`Report`] into HTML with inline SVG. Does NOT compute figures.

use std::fmt::Write;

use super::report::{Answered, Report};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}pre{white-space:pre-wrap;background:#f6f6f6;padding:.7rem}\
.no{color:#b00020;font-weight:600}section{margin:1.5rem 0;border-top:1px solid #ccc}svg text{font:13px sans-serif}";

/// Width of the bars at most, and height of one line, in pixels.
const BAR: f64 = 420.0;
const LINE: usize = 26;

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(&report.bundle)
    );
    let _ = write!(page, "<h2>Goals</h2><table><tr><th>goal<th>at most<th>measured<th></tr>");
    for goal in &report.goals {
        let met = if goal.met { "met" } else { "<span class=no>not met</span>" };
        let _ = write!(page, "<tr><td>{}<td>{}<td>{:.2}<td>{met}</tr>", goal.name, goal.limit, goal.value);
    }
    let _ = write!(page, "</table><h2>Figures</h2><pre>{}</pre>", escape(&report.table()));
    let sizes: Vec<(String, f64)> =
        report.files.iter().map(|(name, bytes)| (name.clone(), *bytes as f64 / 1e6)).collect();
    let _ = write!(page, "<h2>What the bundle is made of, MB</h2>{}", bars(&sizes));
    let times: Vec<(String, f64)> = report.details.iter().map(|one| (one.id.clone(), one.total_s)).collect();
    let _ = write!(page, "<h2>Seconds of each answer</h2>{}<h2>Answers</h2>", bars(&times));
    for one in &report.details {
        page.push_str(&section(one));
    }
    page.push_str("</html>\n");
    page
}

/// One answer.
fn section(one: &Answered) -> String {
    let mut text = format!(
        "<section><h3>{}: {}</h3><p>{} of {} facts, {} words, {:.1} s{}{}</p>",
        one.id,
        escape(&one.question),
        one.score.told,
        one.score.facts,
        one.score.words,
        one.total_s,
        if one.declined { ", refused" } else { "" },
        if one.fallback { ", the entry as it stands" } else { "" }
    );
    if !one.readings_note.is_empty() {
        let _ = write!(text, "<p><b>Readings:</b> {}</p>", escape(&one.readings_note));
    }
    let _ = write!(text, "<p><b>{}</b></p>", escape(&one.text));
    for further in &one.further {
        let (title, sentences) = (escape(&further.reference.title), escape(&further.marked()));
        let _ = write!(text, "<p><i>{title}</i><br><b>{sentences}</b></p>");
    }
    let _ = write!(text, "<p>{}</p><p>[{}]</p>", escape(&one.more), escape(&one.references.join(", ")));
    for missing in &one.missing {
        let _ = write!(text, "<p class=no>not told: {}</p>", escape(missing));
    }
    text.push_str("</section>");
    text
}

/// A horizontal bar chart.
fn bars(values: &[(String, f64)]) -> String {
    let most = values.iter().map(|(_, value)| *value).fold(f64::MIN_POSITIVE, f64::max);
    let mut svg = format!("<svg width=\"800\" height=\"{}\">", values.len() * LINE);
    for (number, (name, value)) in values.iter().enumerate() {
        let (y, width) = (number * LINE, BAR * value / most);
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{0}\">{1}</text><rect x=\"200\" y=\"{2}\" width=\"{width:.1}\" height=\"18\" fill=\"#c8352b\"/>\
             <text x=\"{3:.1}\" y=\"{0}\">{value:.2}</text>",
            y + 15,
            escape(name),
            y + 2,
            208.0 + width
        );
    }
    svg.push_str("</svg>");
    svg
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
