//! `report.html`: the report as one page that needs nothing else.
//!
//! Turns a [`Report`] and pictures into HTML; all text is escaped. Does NOT compute figures.

use std::fmt::Write;

use super::{
    super::plot::{Bar, Picture, escape},
    report::{Answered, Report},
};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .7rem;border-bottom:1px solid #ddd;text-align:right}\
td:first-child,th:first-child{text-align:left}pre{white-space:pre-wrap;background:#f6f6f6;padding:.7rem}\
.no{color:#b00020;font-weight:600}section{margin:1.5rem 0;border-top:1px solid #ccc}";

/// The page, with `pictures` below their headings.
pub fn html(report: &Report, pictures: &[(&str, String)]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escape(&report.bundle)
    );
    let _ = write!(page, "<h2>Goals</h2><table><tr><th>goal<th>at most<th>measured<th></tr>");
    for goal in &report.goals {
        let met = if goal.met { "met" } else { "<span class=no>not met</span>" };
        let _ = write!(page, "<tr><td>{}<td>{}<td>{:.2}<td>{met}</tr>", escape(goal.name), goal.limit, goal.value);
    }
    let _ = write!(page, "</table><h2>Figures</h2><pre>{}</pre>", escape(&report.table()));
    let sizes = report.files.iter().map(|(name, bytes)| (name.as_str(), *bytes as f64 / 1e6));
    let times = report.details.iter().map(|one| (one.id.as_str(), one.total_s));
    let own = [("What the bundle is made of, MB", bars(sizes)), ("Seconds of each answer", bars(times))];
    for (heading, picture) in pictures.iter().chain(&own) {
        let _ = write!(page, "<h2>{}</h2>{picture}", escape(heading));
    }
    page.push_str("<h2>Answers</h2>");
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
        escape(&one.id),
        escape(&one.question),
        one.score.told,
        one.score.facts,
        one.score.words,
        one.total_s,
        if one.refused.is_some() { ", refused" } else { "" },
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
    let _ = write!(text, "<p>{}</p>", escape(&one.more));
    for advice in &one.advice {
        let _ = write!(text, "<p><i>{}</i><br>{}</p>", escape(&advice.on), escape(&advice.says.marked()));
    }
    let _ = write!(text, "<p>[{}]</p>", escape(&one.references.join(", ")));
    for missing in &one.missing {
        let _ = write!(text, "<p class=no>not told: {}</p>", escape(missing));
    }
    text.push_str("</section>");
    text
}

/// A horizontal bar chart.
fn bars<'a>(values: impl Iterator<Item = (&'a str, f64)>) -> String {
    let bar = |(name, to): (&str, f64)| Bar {
        name: name.into(),
        from: 0.0,
        to,
        shown: format!("{to:.2}"),
        colour: "#c8352b",
    };
    let mut picture = Picture::default();
    picture.bars("", &values.map(bar).collect::<Vec<_>>());
    picture.svg()
}
