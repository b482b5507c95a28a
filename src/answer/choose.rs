//! Which sentences make the answer: what the search and the model say of the references -> the sentences that are shown.
//!
//! Does NOT know what they say.

/// A reference with its sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the search gave it.
    pub found: f32,
    /// The model's log odds that each of its sentences belongs into the answer.
    pub scores: Vec<f32>,
}

/// Chooses among `candidates`, best found first: references in the order in which they are shown, each with its chosen
/// sentences in their own order. Nothing when none of them answers.
pub fn choose(candidates: &[Candidate]) -> Vec<(usize, Vec<usize>)> {
    let best = candidates.first().map_or(0.0, |candidate| candidate.found);
    let mut chosen = Vec::new();
    for (reference, candidate) in candidates.iter().enumerate() {
        let held = candidate.scores.iter().map(|score| score + candidate.found - best);
        let sentences: Vec<usize> = held.enumerate().filter(|(_, score)| *score > 0.0).map(|(at, _)| at).collect();
        if !sentences.is_empty() {
            chosen.push((reference, sentences));
        }
    }
    chosen
}
