//! What the model learns to read from: questions with references, and which sentences of these answer them.
//!
//! Turns the curated entries and the questions written about them into examples. Distractors are what the word search finds
//! besides the right entry. Held-out entries (see `split`) go into a set of their own, whole. Validation, test and development
//! questions are not known here. Does NOT know tokens or the model.

use std::{collections::HashMap, ops, time::UNIX_EPOCH};
use tomato_assistant::{
    answer::readings,
    climate::{Level, Measure, Period, Quantity, Range, Reading, Snapshot, Stage, Targets, assess},
    knowledge::{
        Entry,
        retrieval::{Index, Query},
        sentences::sentences,
        verdict::{DETAIL, WHOLE},
    },
    prompt::{self, Part, Passage},
    text::Lang,
};

use super::{
    draw::Draw,
    projection::is_held,
    questions::{BROAD, NARROW, Narrow, Refused, SENTENCES},
    split::held_out,
};

mod files;
pub mod kinds;

pub use files::{ExamplesError, Files, inputs};
pub use kinds::{Asked, Questions, only};

/// What an example teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// One or two sentences of one reference.
    Narrow,
    /// The half of one reference that answers a whole question.
    Broad,
    /// Which reference it is, from another wording of its question.
    Paraphrase,
    /// Which reference it is, from the readings.
    Readings,
    /// None of the references answers.
    Missing,
    /// Nothing may answer.
    Refused,
}

/// Whether a sentence belongs into the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It is of a reference that answers, but nobody said whether it does.
    Open,
}

/// One question with its references.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it teaches.
    pub kind: Kind,
    /// As asked.
    pub question: String,
    /// The readings' line.
    pub readings: String,
    /// Places of the references in the list of entries, in the order in which they are read.
    pub references: Vec<usize>,
    /// For each sentence of the references, in order.
    pub wanted: Vec<Wanted>,
    /// Place of the right one among the references; None where it is missing or nothing is right.
    pub right: Option<usize>,
    /// Of what kinds the question may be, as in [`Asked`].
    pub kinds: ops::Range<usize>,
}

/// Share of the examples whose right reference is not there.
const MISSING: f64 = 0.08;
/// Near misses from which distractors are drawn.
const NEAR: usize = 6;
/// Share of the examples with one, two and (the rest) three references.
const REFERENCES: [f64; 2] = [0.08, 0.52];
/// Share of the examples that carry readings which have nothing to do with the question.
const IDLE_READINGS: f64 = 0.15;
/// Examples whose readings decide, for each hundred entries.
const READINGS: usize = 90;
/// How many different paraphrases of an entry are asked.
const PARAPHRASES: usize = 4;

/// What a grower asks who looks at his readings.
const VAGUE: [&str; 24] = [
    "What should I do now?",
    "what do my sensors say",
    "Is everything all right in the house?",
    "anything wrong in here?",
    "The plants look tired. What do I change?",
    "my plants are not happy, what now",
    "What would you adjust first?",
    "do i need to act tonight",
    "is this ok for tomatoes",
    "Look at the readings, what is the problem?",
    "Something is off since this morning.",
    "what does this reading mean for my crop",
    "should I worry about these values?",
    "Which setting do I correct?",
    "growth has been poor this week, why?",
    "The crop looks stressed and I do not know why.",
    "are the numbers good",
    "How bad is this?",
    "I just came in, what needs doing?",
    "wilting a bit, check my readings",
    "leaves look odd, readings as shown",
    "Can I leave it like this until tomorrow?",
    "what is out of range and what does it do",
    "give me advice for the greenhouse right now",
];

/// All examples, those of the held-out entries apart.
pub struct Examples {
    /// To learn from, in no order.
    pub training: Vec<Example>,
    /// To see whether it learnt.
    pub held_out: Vec<Example>,
}

/// What examples are made from.
pub struct Material<'a> {
    /// The curated entries, in the appliance's order.
    pub entries: &'a [Entry],
    /// Ranges that readings are judged by.
    pub targets: &'a Targets,
    /// Questions about details.
    pub narrow: &'a [Narrow],
    /// The same about the sentences that these leave out.
    pub sentences: &'a [Narrow],
    /// Whole questions.
    pub broad: &'a [Narrow],
    /// Questions to refuse.
    pub refused: &'a [Refused],
}

impl Material<'_> {
    /// Makes the examples; the same for the same seed.
    ///
    /// # Errors
    /// [`ExamplesError::UnknownEntry`].
    pub fn examples(&self, seed: u64) -> Result<Examples, ExamplesError> {
        let index = Index::new(self.entries, None);
        let places = self.entries.iter().enumerate().map(|(place, entry)| (entry.id.as_str(), place)).collect();
        let mut maker = Maker { material: self, index, places, draw: Draw::new(seed) };
        let (mut training, mut held) = (Vec::new(), Vec::new());
        let mut sort = |id: &str, example: Example| match held_out(id) {
            true => held.push(example),
            false => training.push(example),
        };
        for (kind, file, questions) in [
            (Kind::Narrow, NARROW, self.narrow),
            (Kind::Narrow, SENTENCES, self.sentences),
            (Kind::Broad, BROAD, self.broad),
        ] {
            for asked in questions {
                let unknown = || ExamplesError::UnknownEntry {
                    file,
                    question: asked.question.clone(),
                    entry: asked.entry.clone(),
                };
                let right = *maker.places.get(asked.entry.as_str()).ok_or_else(unknown)?;
                sort(&asked.entry, maker.labelled(kind, right, asked));
            }
        }
        for (place, entry) in self.entries.iter().enumerate() {
            let paraphrases = entry.paraphrases.iter().enumerate();
            let mut paraphrases: Vec<&String> =
                paraphrases.filter(|(own, _)| !is_held(*own)).map(|(_, own)| own).collect();
            maker.draw.shuffle(&mut paraphrases);
            for paraphrase in paraphrases.into_iter().take(PARAPHRASES) {
                sort(&entry.id, maker.open(Kind::Paraphrase, place, paraphrase, None));
            }
        }
        for _ in 0..READINGS * self.entries.len() / 100 {
            if let Some((place, example)) = maker.readings() {
                sort(&self.entries[place].id, example);
            }
        }
        for (number, refused) in self.refused.iter().enumerate() {
            // One in ten, as of the entries.
            let apart = number % 10 == 0;
            let example = maker.refused(refused, apart);
            if apart { held.push(example) } else { training.push(example) }
        }
        maker.draw.shuffle(&mut training);
        Ok(Examples { training, held_out: held })
    }

    /// The example as the model reads it.
    pub fn render(&self, example: &Example) -> Vec<Part> {
        let passage = |&place: &usize| {
            let entry = &self.entries[place];
            Passage { title: &entry.instruction, sentences: sentences(&entry.output).collect() }
        };
        let passages: Vec<Passage> = example.references.iter().map(passage).collect();
        prompt::render(&passages, &example.readings, &example.question)
    }
}

struct Maker<'a> {
    material: &'a Material<'a>,
    index: Index,
    places: HashMap<&'a str, usize>,
    draw: Draw,
}

impl Maker<'_> {
    /// An example whose sentences are known; `right` is the place of its entry.
    fn labelled(&mut self, kind: Kind, right: usize, asked: &Narrow) -> Example {
        let readings = self.idle_readings();
        let answer = |sentence: &str| asked.answer.iter().any(|said| said == sentence);
        self.example(kind, right, &asked.question, readings, &|sentence| match answer(sentence) {
            true => Wanted::Yes,
            false => Wanted::No,
        })
    }

    /// An example of which only the right reference is known.
    fn open(&mut self, kind: Kind, right: usize, question: &str, readings: Option<String>) -> Example {
        let readings = readings.unwrap_or_else(|| self.idle_readings());
        self.example(kind, right, question, readings, &|_| Wanted::Open)
    }

    fn example(
        &mut self,
        kind: Kind,
        right: usize,
        question: &str,
        readings: String,
        wanted: &dyn Fn(&str) -> Wanted,
    ) -> Example {
        let count = self.count();
        let missing = self.draw.share() < MISSING;
        let held = held_out(&self.material.entries[right].id);
        let mut references = self.near(question, (Some(right), held), if missing { count } else { count - 1 });
        if !missing {
            references.push(right);
        }
        self.draw.shuffle(&mut references);
        let entries = self.material.entries;
        let labels = references.iter().flat_map(|&place| {
            let of = move |sentence: &str| if place == right { wanted(sentence) } else { Wanted::No };
            sentences(&entries[place].output).map(of)
        });
        Example {
            kinds: match kind {
                Kind::Narrow => only(DETAIL),
                Kind::Broad | Kind::Paraphrase => only(WHOLE),
                // "Anything wrong?" is for the readings, "The plants look tired" is not.
                Kind::Readings | Kind::Missing | Kind::Refused => 0..0,
            },
            kind: if missing { Kind::Missing } else { kind },
            question: question.into(),
            readings,
            wanted: labels.collect(),
            right: references.iter().position(|&place| place == right),
            references,
        }
    }

    /// Nothing answers it.
    fn refused(&mut self, Refused { question, why }: &Refused, held: bool) -> Example {
        let count = self.count();
        let readings = self.idle_readings();
        let references = self.near(question, (None, held), count);
        let of = |&place: &usize| sentences(&self.material.entries[place].output).count();
        let wanted = vec![Wanted::No; references.iter().map(of).sum()];
        let (question, kinds) = (question.clone(), only(*why as usize));
        Example { kind: Kind::Refused, question, readings, references, wanted, right: None, kinds }
    }

    /// A house with one or two readings out of range, a vague question, and an entry that these readings make relevant.
    fn readings(&mut self) -> Option<(usize, Example)> {
        let (stage, snapshot) = self.house(true);
        let assessment = assess(&snapshot, self.material.targets, stage, Period::of(&snapshot));
        let signals = assessment.signals();
        let first = signals.first()?;
        let right: Vec<usize> = self.with_signal(first);
        if right.is_empty() {
            return None;
        }
        let right = *self.draw.one(&right);
        let line = readings::climate_note(&assessment, &[], UNIX_EPOCH, Lang::En);
        let question = self.draw.one(&VAGUE).to_string();
        let mut example = self.open(Kind::Readings, right, &question, Some(line));
        // Another entry that the same reading makes relevant could as well have been drawn as the right one, so which of its
        // sentences answer is as open. Where the right one is missing it answers in its place: `No` would teach to refuse what
        // answers, and this is then no example of nothing answering.
        let mut at = 0;
        for &place in &example.references {
            let count = sentences(&self.material.entries[place].output).count();
            if self.material.entries[place].signals.contains(first) {
                example.wanted[at..at + count].fill(Wanted::Open);
                example.kind = Kind::Readings;
            }
            at += count;
        }
        Some((right, example))
    }

    fn with_signal(&self, signal: &String) -> Vec<usize> {
        let entries = self.material.entries.iter().enumerate();
        entries.filter(|(_, entry)| entry.signals.contains(signal)).map(|(place, _)| place).collect()
    }

    /// A readings' line that has nothing to do with the question, mostly none.
    fn idle_readings(&mut self) -> String {
        if self.draw.share() >= IDLE_READINGS {
            return String::new();
        }
        let (stage, snapshot) = self.house(false);
        let assessment = assess(&snapshot, self.material.targets, stage, Period::of(&snapshot));
        readings::climate_note(&assessment, &[], UNIX_EPOCH, Lang::En)
    }

    /// Readings of some of the quantities; one or two of them out of range when `wrong`, else at most one.
    fn house(&mut self, wrong: bool) -> (Stage, Snapshot) {
        let stage = *self.draw.one(&Stage::ALL);
        let mut snapshot = Snapshot::default();
        let mut quantities: Vec<Quantity> =
            Quantity::ALL.into_iter().filter(|quantity| *quantity != Quantity::LightPpfd).collect();
        self.draw.shuffle(&mut quantities);
        let (shown, off) = (1 + self.draw.below(6), if wrong { 1 + self.draw.below(2) } else { self.draw.below(2) });
        for (number, quantity) in quantities.into_iter().take(shown).enumerate() {
            let measure = Measure::Read(quantity);
            let Some(range) = self.material.targets.range(measure, stage, Period::Unknown) else { continue };
            let level = match (number < off, self.draw.below(4)) {
                (false, _) => Level::Ok,
                (true, 0) => Level::VeryLow,
                (true, 1) => Level::Low,
                (true, 2) => Level::High,
                (true, _) => Level::VeryHigh,
            };
            let value = self.value(range, level);
            if quantity.is_plausible(value) {
                snapshot.set(quantity, Ok(Reading { value, at: UNIX_EPOCH }));
            }
        }
        (stage, snapshot)
    }

    /// A value of `level` by `range`.
    fn value(&mut self, range: Range, level: Level) -> f32 {
        let share = self.draw.share() as f32;
        let beyond = (range.ideal_high - range.ideal_low) * (0.1 + share);
        match level {
            Level::VeryLow => range.low - beyond,
            Level::Low => range.low + share * (range.ideal_low - range.low),
            Level::High => range.ideal_high + share * (range.high - range.ideal_high),
            Level::VeryHigh => range.high + beyond,
            Level::Ok | Level::Fault => range.ideal_low + share * (range.ideal_high - range.ideal_low),
        }
    }

    /// How many references an example has.
    fn count(&mut self) -> usize {
        match self.draw.share() {
            share if share < REFERENCES[0] => 1,
            share if share < REFERENCES[0] + REFERENCES[1] => 2,
            _ => 3,
        }
    }

    /// `count` entries that the word search finds for `question`, without the right one; drawn from the best, filled up with
    /// any others. Held-out entries only where the example is `held` out itself.
    fn near(&mut self, question: &str, (right, held): (Option<usize>, bool), count: usize) -> Vec<usize> {
        let entries = self.material.entries;
        let fits = |place: usize| Some(place) != right && (held || !held_out(&entries[place].id));
        let count = count.min((0..entries.len()).filter(|&place| fits(place)).take(count).count());
        let found = self.index.search(&Query { text: question, ..Query::default() });
        let mut near: Vec<usize> = found.hits.iter().map(|hit| hit.index).filter(|&place| fits(place)).collect();
        near.truncate(NEAR);
        self.draw.shuffle(&mut near);
        near.truncate(count);
        while near.len() < count {
            let place = self.draw.below(entries.len());
            if fits(place) && !near.contains(&place) {
                near.push(place);
            }
        }
        near
    }
}
