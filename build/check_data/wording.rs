//! Checks of the answers' wording: units the house way, no doses, no sentence that only a scholar can read.
//!
//! Turns answers into complaints, each with the words at fault. Does NOT look at questions and paraphrases: growers
//! write units as they like.

use regex::Regex;
use std::iter;
use tomato_assistant::knowledge::Entry;

/// Flesch reading ease below which nobody should have to read: "very difficult", Flesch 1948.
pub const HARDEST: f64 = 30.0;

/// What must not stand in an answer, and what stands there instead. The matches listed last are right.
const UNITS: &[(&str, &str, &[&str])] = &[
    (r"(?i)°\s*f\b|\bfahrenheit\b", "°C", &[]),
    (r"(?i)\b(inch|inches|gallons?|lbs?|pounds?|oz|ounces?|acres?|psi|mph|btu|cfm)\b", "metric units", &[]),
    (r"(?i)\d[\s-]*(ft|feet|foot|yards?|miles?|quarts?|pints?)\b", "metric units", &[]),
    (r"(?i)\d\s*degrees?\s+(c|celsius|f|warmer|cooler|colder|hotter)\b", "°C", &[]),
    (r"\d[°º˚]|[º˚]|°\s+C", "a space, then °C", &[]),
    (r"(?i)\d\s*per\s?cent\b|\d%", "a space, then %", &[]),
    (r"(?i)\bm\s?s\s?/\s?cm\b", "mS/cm", &["mS/cm"]),
    (r"(?i)\d\s*(d\s?s/m|mmho|cf\b)", "mS/cm", &[]),
    (r"(?i)\bk\s?pa\b", "kPa", &["kPa"]),
    (r"(?i)\bppm\b", "ppm", &["ppm"]),
    (r"\b[ckd]?m[23]\b", "m², m³", &[]),
    (
        r"(?:[µμ]|\bu)mol(?:/[\w²³]+)*(?: per \w+)?",
        "µmol/m²/s",
        &["µmol/m²/s", "µmol/L", "µmol/J", "µmol per joule", "µmol per square"],
    ),
    (r"\bmol/[\w²/]+", "mol/m²/day", &["mol/m²/day"]),
];

/// A product against a pest or disease, or what is used as one.
const PRODUCT: &str = r"(?i)\b(pesticides?|fungicides?|biofungicides?|insecticides?|miticides?|acaricides?|herbicides?|weedkillers?|nematicides?|bactericides?|disinfectants?|bleach|peroxide|soap|oils?|neem|pyrethrins?|abamectin|spinosad|bicarbonate|bacillus|bt|beauveria)\b";
/// What may be such a product, or feed.
const EITHER: &str = r"(?i)\b(spray(s|ed|ing)?|copper|sul(f|ph)ur|chlorine)\b";
/// Feed, which is weighed out by the litre, and sometimes sprayed.
const FEED: &str =
    r"(?i)\b(fertili[sz]ers?|feeds?|nutrients?|nitrates?|chelates?|epsom|urea|potash|magnesium|calcium|iron|foliar)\b";
/// An amount to be mixed or spread: "2 ml per litre", "1.5–2 kg/ha", "30 g in 10 l", "1:100", "a 2 % solution".
const AMOUNT: &str = r"(?i)\d\s*(ml|cc|millilit(re|er)s?|g|grams?|kg|kilos?|kilograms?|l|lit(re|er)s?|oz|ounces?|lbs?|tea-?spoons?|table-?spoons?)\s*(/|per|a|to|in|for)\s*(an?\s+|each\s+|every\s+)?(\d[\d,.]*\s*)?(ml|l|lit(re|er)s?|ha|hectares?|acres?|gallons?|m²|square|bucket|tank|plant)\b|\b1\s?:\s?\d+|\d\s*%\s*(solution|dilution|spray|emulsion)";

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns above are constants that the tests compile")
}

/// Metric units only, spelled as on the screen.
pub fn units(entries: &[Entry]) -> Vec<String> {
    let rules: Vec<_> = UNITS.iter().map(|(wrong, instead, right)| (regex(wrong), instead, right)).collect();
    let mut complaints = Vec::new();
    for entry in entries {
        for (rule, instead, right) in &rules {
            let wrong = rule.find_iter(&entry.output).filter(|found| !right.contains(&found.as_str()));
            complaints.extend(wrong.map(|found| format!("{}: {:?}, write {instead}", entry.id, found.as_str())));
        }
    }
    complaints
}

/// No sentence says how much of a product to take: that stands on its label, and differs between countries.
pub fn doses(entries: &[Entry]) -> Vec<String> {
    let (product, either, feed, amount) = (regex(PRODUCT), regex(EITHER), regex(FEED), regex(AMOUNT));
    let names = |text: &&str| product.is_match(text) || (either.is_match(text) && !feed.is_match(text));
    let mut complaints = Vec::new();
    for entry in entries {
        for sentence in sentences(&entry.output).filter(names) {
            let found = amount.find(sentence);
            complaints
                .extend(found.map(|found| format!("{}: a dose, {:?}, in {sentence:?}", entry.id, found.as_str())));
        }
    }
    complaints
}

/// The sentences of `text`: cut where a stop is followed by a space, so that a point inside a number ends none.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    iter::from_fn(move || {
        let end = rest.match_indices(['.', '!', '?']).map(|(at, _)| at + 1).find(|&end| rest[end..].starts_with(' '));
        let (sentence, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.trim_start();
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// Flesch reading ease: 206.835 − 1.015 × words per sentence − 84.6 × syllables per word. About 60 to 70 is plain
/// English, below 30 very difficult. Numbers and units are not counted.
pub fn reading_ease(text: &str) -> f64 {
    let words: Vec<_> = text
        .split(|c: char| !c.is_alphabetic() && c != '\'')
        .filter(|word| word.chars().any(char::is_alphabetic))
        .collect();
    let syllables: usize = words.iter().map(|word| syllables(word)).sum();
    let (words, sentences) = (words.len().max(1) as f64, sentences(text).count().max(1) as f64);
    206.835 - 1.015 * words / sentences - 84.6 * syllables as f64 / words
}

/// Runs of vowels, without a silent e at the end; right for about nine English words in ten.
fn syllables(word: &str) -> usize {
    let word = word.to_lowercase();
    let vowel = |c: char| "aeiouyéö".contains(c);
    let mut runs = 0;
    let mut before = false;
    for c in word.chars() {
        runs += usize::from(vowel(c) && !before);
        before = vowel(c);
    }
    let silent = word.ends_with('e') && !word.ends_with("le") && runs > 1;
    (runs - usize::from(silent)).max(1)
}

/// The answers with their reading ease, hardest first.
pub fn by_reading_ease(entries: &[Entry]) -> Vec<(f64, &str)> {
    let mut all: Vec<_> = entries.iter().map(|entry| (reading_ease(&entry.output), entry.id.as_str())).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all
}

/// No answer is harder than [`HARDEST`].
pub fn readability(entries: &[Entry]) -> Vec<String> {
    let hard = by_reading_ease(entries).into_iter().take_while(|(ease, _)| *ease < HARDEST);
    hard.map(|(ease, id)| format!("{id}: reading ease {ease:.0}, at least {HARDEST:.0}; shorten words and sentences"))
        .collect()
}
