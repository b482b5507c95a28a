//! The lines of each page: what stands on it, in which order, and which lines can be chosen.
//!
//! Turns the state into lines of a given width. Home has none: it is made of tiles (`layout`). Does NOT know where
//! on screen a line ends up, nor how far the page is scrolled.

use super::{
    app::{App, Engine, Exchange, Page, Phase, Target},
    theme::Role,
    widgets::{readings, wrap::wrap},
};
use crate::{
    answer::{Answer, Reference},
    knowledge::Category,
    text::Msg,
};

/// One line of a page.
#[derive(Clone, Debug)]
pub struct Line {
    /// The words; never wider than the page.
    pub text: String,
    /// What they are; a ground fills the whole line.
    pub role: Role,
    /// What tapping it chooses.
    pub target: Option<Target>,
}

/// The lines of the page on screen, for `width` cells.
pub fn lines(app: &App, width: usize) -> Vec<Line> {
    let mut page = Lines { width, focus: if app.typing { None } else { app.place().focus }, lines: Vec::new() };
    match app.place().page {
        Page::Home => {}
        Page::Questions(category) => page.questions(app, category),
        Page::Answer => {
            if let Some(exchange) = &app.exchange {
                page.exchange(app, exchange);
            }
        }
        Page::Entry(index) => page.entry(app, index),
        Page::Readings => page.readings(app),
    }
    page.lines
}

/// Lines under construction.
struct Lines {
    width: usize,
    focus: Option<Target>,
    lines: Vec<Line>,
}

impl Lines {
    fn add(&mut self, words: &str, role: Role) {
        let wrapped = wrap(words, self.width);
        self.lines.extend(wrapped.into_iter().map(|text| Line { text, role, target: None }));
    }

    fn gap(&mut self) {
        self.add("", Role::Base);
    }

    /// A finger-sized item: three lines at least, the last a rule.
    fn item(&mut self, words: &str, target: Target) {
        let chosen = self.focus == Some(target);
        let role = if chosen { Role::Chosen } else { Role::Base };
        let mut rows = wrap(words, self.width.saturating_sub(3));
        rows.resize(rows.len().max(2), String::new());
        for (row, words) in rows.into_iter().enumerate() {
            let mark = if chosen && row == 0 { "> " } else { "  " };
            self.lines.push(Line { text: format!("{mark}{words}"), role, target: Some(target) });
        }
        self.lines.push(Line { text: "─".repeat(self.width), role: Role::Rule, target: Some(target) });
    }

    fn questions(&mut self, app: &App, category: Category) {
        for (index, entry) in app.entries_of(category) {
            self.item(&entry.instruction, Target::Ask(index));
        }
        if self.lines.is_empty() {
            self.gap();
            self.add(&app.lang.say(&Msg::NoQuestions), Role::Quiet);
        }
    }

    fn exchange(&mut self, app: &App, exchange: &Exchange) {
        let say = |msg: Msg| app.lang.say(&msg);
        self.gap();
        // A pasted question can be very long; its answer must not be pushed out of sight.
        let first = self.lines.len();
        self.add(&exchange.question, Role::Strong);
        if self.lines.len() > first + 3 {
            self.lines.truncate(first + 3);
            self.add("...", Role::Strong);
        }
        self.gap();
        match &exchange.phase {
            Phase::Queued => {
                let loading = app.engine == Engine::Loading;
                self.add(&say(if loading { Msg::QueuedLoading } else { Msg::Queued }), Role::Quiet);
                self.unanswered(app, exchange);
            }
            Phase::Reading => self.add(&say(Msg::ReadingPage), Role::Quiet),
            Phase::Answering | Phase::Stopping => self.add(&exchange.text, Role::Base),
            Phase::Failed(words) => {
                self.add(words, Role::Alarm);
                if matches!(app.engine, Engine::Gone(_)) {
                    self.gap();
                    self.add(&say(Msg::StillThere), Role::Base);
                }
                self.unanswered(app, exchange);
            }
            Phase::Done(answer) => {
                if !answer.read_as.is_empty() {
                    self.add(&say(Msg::ReadAs(&answer.read_as)), Role::Quiet);
                    self.gap();
                }
                if answer.readings_first {
                    self.greenhouse(app, exchange, answer);
                    self.gap();
                }
                self.answered(app, answer);
                if !answer.readings_first && !answer.readings_note.is_empty() {
                    self.gap();
                    self.greenhouse(app, exchange, answer);
                }
                if answer.dropped_references > 0 {
                    self.gap();
                    self.add(&say(Msg::ReferencesDropped(answer.dropped_references)), Role::Notice);
                }
                self.references(app, Msg::Nearest, &answer.nearest, &|_| String::new());
                self.references(app, Msg::ReferencesHeading, &answer.references, &|number| format!("[{number}] "));
            }
        }
    }

    /// Entries to open, each with what `mark` gives its number before its question; nothing for none.
    fn references(&mut self, app: &App, heading: Msg, references: &[Reference], mark: &dyn Fn(usize) -> String) {
        if !references.is_empty() {
            self.gap();
            self.add(&app.lang.say(&heading), Role::Heading);
        }
        for (place, reference) in references.iter().enumerate() {
            let words = format!("{}{}", mark(place + 1), reference.title);
            match app.entry_of(&reference.id) {
                Some(index) => self.item(&words, Target::Open(index)),
                None => self.add(&words, Role::Base),
            }
        }
    }

    /// What answers, and what else the entries say to it.
    fn answered(&mut self, app: &App, answer: &Answer) {
        for (holds, notice) in [
            (answer.fallback, Msg::Fallback),
            (answer.refused.is_some(), Msg::Refused),
            (answer.nearest_only, Msg::NearestOnly),
        ] {
            if holds {
                self.add(&app.lang.say(&notice), Role::Notice);
            }
        }
        let (lead, rest) = answer.paragraphs();
        let mark = |words: &str, last: bool| format!("{words}{}", if last { answer.mark() } else { "" });
        if !lead.is_empty() {
            self.add(&mark(lead, rest.is_empty()), Role::Strong);
        }
        if !lead.is_empty() && !rest.is_empty() {
            self.gap();
        }
        if !rest.is_empty() {
            self.add(&mark(rest, true), Role::Base);
        }
        if answer.stopped {
            self.add(&app.lang.say(&Msg::Stopped), Role::Notice);
        }
        for further in &answer.further {
            self.gap();
            self.add(&app.lang.say(&Msg::Further(&further.reference.title)), Role::Heading);
            self.add(&further.marked(), Role::Base);
        }
        if !answer.more.is_empty() {
            self.gap();
            self.add(&app.lang.say(&Msg::More), Role::Heading);
            self.add(&answer.more, Role::Quiet);
        }
    }

    /// What the readings said when it was asked, and what to do about those far out of range.
    fn greenhouse(&mut self, app: &App, exchange: &Exchange, answer: &Answer) {
        // An answer may stay on the screen overnight.
        let age = app.now.instant.saturating_duration_since(exchange.asked);
        self.add(&app.lang.say(&Msg::ReadingsWhenAsked(age)), Role::Heading);
        self.add(&answer.readings_note, Role::Base);
        for advice in &answer.advice {
            self.gap();
            self.add(&advice.on, Role::Heading);
            self.add(&advice.says.marked(), Role::Base);
        }
    }

    /// A curated question has its entry, whatever becomes of the answerer.
    fn unanswered(&mut self, app: &App, exchange: &Exchange) {
        if let Some(index) = exchange.entry {
            self.gap();
            self.add(&app.lang.say(&Msg::ReadInstead), Role::Heading);
            self.item(&app.entries[index].instruction, Target::Open(index));
        }
    }

    fn entry(&mut self, app: &App, index: usize) {
        let Some(entry) = app.entries.get(index) else { return };
        self.gap();
        self.add(&app.lang.say(&Msg::CuratedEntry), Role::Heading);
        self.add(&entry.instruction, Role::Strong);
        if !entry.input.is_empty() {
            self.add(&entry.input, Role::Quiet);
        }
        self.gap();
        self.add(&entry.output, Role::Base);
        self.gap();
        self.add(&app.lang.say(&Msg::SourcesHeading), Role::Heading);
        for source in &entry.sources {
            self.add(&app.lang.say(&Msg::Source(source)), Role::Quiet);
        }
        let related: Vec<usize> = entry.see_also.iter().filter_map(|id| app.entry_of(id)).collect();
        if !related.is_empty() {
            self.gap();
            self.add(&app.lang.say(&Msg::RelatedHeading), Role::Heading);
        }
        for index in related {
            self.item(&app.entries[index].instruction, Target::Open(index));
        }
    }

    fn readings(&mut self, app: &App) {
        let assessment = &app.now.assessment;
        self.gap();
        self.add(&app.lang.say(&Msg::JudgedFor(assessment.stage, assessment.period)), Role::Quiet);
        for row in readings::full(assessment, app.now.clock, app.lang) {
            self.gap();
            self.add(&row.name, Role::Quiet);
            self.add(&row.value, row.role);
            self.add(&row.remark, Role::Quiet);
        }
    }
}
