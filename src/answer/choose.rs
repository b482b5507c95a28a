//! Which sentences make the answer: what the search and the model say of the references -> the sentences that answer, and the
//! rest of the entry that they are from.
//!
//! Every weight here was set on the development questions and on the narrow questions of held-out entries. Does NOT know what
//! sentences say.

use crate::knowledge::Warning;

/// A reference with its sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the search gave it.
    pub found: f32,
    /// The model's log odds that each of its sentences belongs into the answer.
    pub scores: Vec<f32>,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What answers: a block for each reference, in the order in which they are shown, each with sentences in their own order.
    pub direct: Vec<(usize, Vec<usize>)>,
    /// The other sentences of the first reference.
    pub more: Vec<usize>,
    /// Even the best of the sentences hardly answers: they are only the nearest.
    pub nearest_only: bool,
}

/// A question about a detail: one sentence has this share of the softmax over all of them.
const DETAIL: f32 = 0.5;
/// How much the search counts beside the model: the score of a sentence, or the number of a reference's sentences that it
/// expects to belong into the answer.
const FOUND_WEIGHT: f32 = 14.0;
/// How far below the best sentence of their reference others may lie, for a detail and for a whole question.
const DETAIL_RANGE: f32 = 1.5;
const WHOLE_RANGE: f32 = 2.5;
/// What a sentence of another reference needs, the search's difference included.
const ELSEWHERE: f32 = -1.0;
/// Log odds of the best sentence shown below which an answer says that it is only the nearest. Of the development questions 18 of
/// 247 answers lie below, and 8 of 25 answers to what should have been refused. It refuses nothing: that would take more real
/// answers away than wrong ones.
const NEAREST_ONLY: f32 = -2.5;

/// Chooses among `candidates`, best found first, each with a sentence at least and finite scores. The best sentence is always
/// chosen: only the search refuses. Nothing where there is none.
pub fn choose(candidates: &[Candidate]) -> Choice {
    let found = |reference: usize| candidates[reference].found - candidates[0].found;
    let all = || candidates.iter().enumerate().flat_map(|(at, one)| one.scores.iter().map(move |&score| (at, score)));
    let best = |weigh: &dyn Fn(usize, f32) -> f32| {
        all().max_by(|a, b| weigh(a.0, a.1).total_cmp(&weigh(b.0, b.1)).then(b.0.cmp(&a.0)))
    };
    let Some((mut reference, top)) = best(&|at, score| score + FOUND_WEIGHT * found(at)) else {
        return Choice::default();
    };
    let sum: f32 = all().map(|(_, score)| (score - top).exp()).sum();
    let detail = sum * DETAIL <= 1.0;
    let mut least = top - DETAIL_RANGE;
    if !detail {
        let expected = |at: usize| candidates[at].scores.iter().map(|score| 1.0 / (1.0 + (-score).exp())).sum::<f32>();
        if let Some((at, _)) = best(&|at, _| expected(at) + FOUND_WEIGHT * found(at)) {
            reference = at;
        }
        least = candidates[reference].scores.iter().copied().fold(f32::MIN, f32::max) - WHOLE_RANGE;
    }
    let places = |at: usize, wanted: &dyn Fn(f32) -> bool| {
        let scores = candidates[at].scores.iter().enumerate();
        scores.filter(|(_, score)| wanted(**score)).map(|(place, _)| place).collect::<Vec<usize>>()
    };
    let mut direct = vec![(reference, places(reference, &|score| score >= least))];
    if !detail {
        let others = (0..candidates.len()).filter(|&at| at != reference);
        let parts = others.map(|at| (at, places(at, &|score| score + found(at) >= ELSEWHERE)));
        direct.extend(parts.filter(|(_, sentences)| !sentences.is_empty()));
    }
    let more = (0..candidates[reference].scores.len()).filter(|place| !direct[0].1.contains(place)).collect();
    let shown = direct.iter().flat_map(|(at, places)| places.iter().map(|&place| candidates[*at].scores[place]));
    let nearest_only = shown.fold(f32::MIN, f32::max) < NEAREST_ONLY;
    Choice { direct, more, nearest_only }
}

impl Choice {
    /// All of the first of the references, which has `length` sentences.
    pub fn whole(length: usize) -> Self {
        Self { direct: vec![(0, (0..length).collect())], ..Self::default() }
    }

    /// Moves into `direct` the `warnings` of the reference at `part` of it, whose answer is `sentences`, that must be shown with
    /// what is there, and those that must be shown with these.
    pub fn add_warnings(&mut self, part: usize, sentences: &[&str], warnings: &[Warning]) {
        let chosen = &mut self.direct[part].1;
        let mut before = 0;
        while chosen.len() > before {
            before = chosen.len();
            for warning in warnings {
                let shown = |sentence: &String| chosen.iter().any(|&place| sentences[place] == sentence);
                let place = sentences.iter().position(|sentence| *sentence == warning.sentence);
                if let Some(place) = place.filter(|place| !chosen.contains(place) && warning.with.iter().any(shown)) {
                    chosen.push(place);
                }
            }
        }
        chosen.sort_unstable();
        if part == 0 {
            self.more.retain(|place| !chosen.contains(place));
        }
    }
}
