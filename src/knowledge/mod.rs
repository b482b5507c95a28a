//! The curated Q&A: what is true. Schema, categories, lookup.
//!
//! Turns `knowledge.json` into typed entries, loaded once. Does NOT know the model, the prompt or the screen.

pub mod bm25;
pub mod projection;
pub mod refusal;
pub mod retrieval;
pub mod sentences;
pub mod spelling;
pub mod terms;
pub mod vectors;
pub mod verdict;

use sentences::sentences;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The five categories, in the order in which they are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Diseases, pests, disorders.
    DiseaseManagement,
    /// Temperature, humidity, CO2, light, ventilation.
    EnvironmentalControl,
    /// Nutrients, water, pruning, growth.
    NutritionGrowth,
    /// Probes and machines.
    EquipmentSensors,
    /// From a complaint to its cause.
    Troubleshooting,
}

impl Category {
    /// All categories, in display order.
    pub const ALL: [Category; 5] = [
        Category::DiseaseManagement,
        Category::EnvironmentalControl,
        Category::NutritionGrowth,
        Category::EquipmentSensors,
        Category::Troubleshooting,
    ];

    /// The name in the data and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Category::DiseaseManagement => "disease_management",
            Category::EnvironmentalControl => "environmental_control",
            Category::NutritionGrowth => "nutrition_growth",
            Category::EquipmentSensors => "equipment_sensors",
            Category::Troubleshooting => "troubleshooting",
        }
    }

    /// The category with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.name() == name)
    }
}

/// Where an entry's facts come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Title of the page or paper.
    pub title: String,
    /// Who published it.
    pub publisher: String,
    /// Its address; empty for "general agronomy consensus".
    pub url: String,
}

/// A sentence that must not be left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Warning {
    /// The sentence of the answer, word for word.
    pub sentence: String,
    /// The sentences with which it must be shown.
    pub with: Vec<String>,
}

/// What to do about a reading far out of range, whatever was asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remedy {
    /// What the assessed readings show, such as `ec_high`; no two remedies are for one.
    pub signal: String,
    /// Sentences of the answer, word for word and in its order, that can be read alone.
    pub sentences: Vec<String>,
}

/// A question that some sentences of an answer answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Detail {
    /// In a grower's words.
    pub question: String,
    /// The places of these sentences in the answer.
    pub sentences: Vec<usize>,
    /// It was written so that the sentence has one, not because it is likely to be asked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unlikely: bool,
}

/// One curated question with its reviewed answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Stable name, such as `disease-blossom-end-rot`.
    pub id: String,
    /// Where it is listed.
    pub category: Category,
    /// The question, as a grower asks it.
    pub instruction: String,
    /// The situation it is asked in; often empty.
    pub input: String,
    /// The reviewed answer.
    pub output: String,
    /// The same question in other words, at least three.
    pub paraphrases: Vec<String>,
    /// Questions that it answers, besides. The pipeline adds them: those that the model learns from, and wordings that are only
    /// searched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<String>,
    /// Questions about details, added likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub details: Vec<Detail>,
    /// Words a grower may type that stand in none of the above.
    pub keywords: Vec<String>,
    /// Assessed readings that make this entry relevant, such as `ec_high`.
    pub signals: Vec<String>,
    /// What must be shown with what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
    /// What it says to readings far out of range.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remedies: Vec<Remedy>,
    /// At least one.
    pub sources: Vec<Source>,
    /// Ids of related entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub see_also: Vec<String>,
}

impl Entry {
    /// All ways of asking it: its own question, the paraphrases, then what the pipeline added, that about details last.
    pub fn asked(&self) -> impl Iterator<Item = &String> {
        let own = std::iter::once(&self.instruction).chain(&self.paraphrases);
        own.chain(&self.questions).chain(self.details.iter().map(|detail| &detail.question))
    }
}

/// Why a knowledge file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KnowledgeError {
    /// It is not the JSON expected; line and column are in the words.
    #[error("the Q&A data cannot be read: {0}")]
    Format(#[from] serde_json::Error),
    /// One entry breaks a rule.
    #[error("the Q&A entry {id:?}: {fault}")]
    Entry {
        /// Which entry.
        id: String,
        /// Which rule.
        fault: &'static str,
    },
    /// There is nothing to answer from.
    #[error("the Q&A data has no entries")]
    Empty,
}

/// All curated entries, loaded once, in the order in which they are listed: by category, then as in the file.
#[derive(Clone, Debug)]
pub struct Knowledge {
    entries: Vec<Entry>,
}

impl Knowledge {
    /// Parses a JSON array of entries and checks each.
    ///
    /// # Errors
    /// The first entry that breaks a rule, by id.
    pub fn parse(json: &str) -> Result<Self, KnowledgeError> {
        let mut entries: Vec<Entry> = serde_json::from_str(json)?;
        let (mut ids, mut remedied) = (HashSet::new(), HashSet::new());
        for entry in &entries {
            let fault = |fault| Err(KnowledgeError::Entry { id: entry.id.clone(), fault });
            if entry.id.trim().is_empty() || !ids.insert(entry.id.as_str()) {
                return fault("its id is empty or used twice");
            }
            if entry.instruction.trim().is_empty() || entry.output.trim().is_empty() {
                return fault("question or answer is empty");
            }
            if entry.paraphrases.len() < 3 || entry.paraphrases.iter().any(|text| text.trim().is_empty()) {
                return fault("fewer than three paraphrases, or an empty one");
            }
            let says = |wanted: &String| sentences(&entry.output).any(|sentence| sentence == wanted);
            if !entry.warnings.iter().all(|warning| says(&warning.sentence) && warning.with.iter().all(says)) {
                return fault("a warning names a sentence that the answer does not hold");
            }
            let count = sentences(&entry.output).count();
            let is_faulty = |detail: &Detail| {
                let places = &detail.sentences;
                detail.question.trim().is_empty() || places.is_empty() || places.iter().any(|&place| place >= count)
            };
            if entry.details.iter().any(is_faulty) {
                return fault("a question about a detail is empty, or names no sentence of the answer");
            }
            for remedy in &entry.remedies {
                if remedy.sentences.is_empty() || !remedy.sentences.iter().all(says) {
                    return fault("a remedy has no sentence, or one that the answer does not hold");
                }
                if !remedied.insert(remedy.signal.as_str()) {
                    return fault("another remedy is for the same signal");
                }
            }
            if entry.sources.is_empty() {
                return fault("no source");
            }
        }
        for entry in &entries {
            if entry.see_also.iter().any(|id| !ids.contains(id.as_str())) {
                return Err(KnowledgeError::Entry { id: entry.id.clone(), fault: "see_also names an unknown entry" });
            }
        }
        if entries.is_empty() {
            return Err(KnowledgeError::Empty);
        }
        entries.sort_by_key(|entry| entry.category);
        Ok(Self { entries })
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries as they are read, in order: without what only the search needs, which is most of their text.
    pub fn into_readable(self) -> Vec<Entry> {
        let readable = |entry| Entry {
            paraphrases: Vec::new(),
            questions: Vec::new(),
            details: Vec::new(),
            keywords: Vec::new(),
            ..entry
        };
        self.entries.into_iter().map(readable).collect()
    }

    /// What to do when the readings show `signal`, and the entry that says so.
    pub fn remedy(&self, signal: &str) -> Option<(&Entry, &Remedy)> {
        let mut all = self.entries.iter().flat_map(|entry| entry.remedies.iter().map(move |remedy| (entry, remedy)));
        all.find(|(_, remedy)| remedy.signal == signal)
    }

    /// Adds a question that the entry `id` answers, unless it is one of its own; false when there is no such entry. It is one about
    /// a detail, `unlikely` or not, where `answer` names the sentences of the entry's that answer it.
    pub fn add_question(&mut self, id: &str, question: &str, answer: &[String], unlikely: bool) -> bool {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) else { return false };
        let plain = |text: &str| text.trim().to_lowercase();
        if entry.asked().any(|one| plain(one) == plain(question)) {
            return true;
        }
        let places = sentences(&entry.output).enumerate();
        let places = places.filter(|(_, sentence)| answer.iter().any(|said| said == sentence)).map(|(place, _)| place);
        match places.collect::<Vec<_>>() {
            none if none.is_empty() => entry.questions.push(question.into()),
            sentences => entry.details.push(Detail { question: question.into(), sentences, unlikely }),
        }
        true
    }
}
