//! The curated Q&A: what is true. Schema, categories, lookup.
//!
//! Turns `knowledge.json` into typed entries, loaded once. Does NOT know the model, the prompt or the screen.

pub mod retrieval;

use serde::{Deserialize, Serialize};

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
    /// Words a grower may type that stand in none of the above.
    pub keywords: Vec<String>,
    /// Assessed readings that make this entry relevant, such as `ec_high`.
    pub signals: Vec<String>,
    /// At least one.
    pub sources: Vec<Source>,
    /// Ids of related entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub see_also: Vec<String>,
}
