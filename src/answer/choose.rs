//! Which sentences make the answer: what the search and the model say of the references -> the sentences that answer, and the
//! rest of the entry that they are from.
//!
//! Every weight here was set on the development questions, those about details and the others; [`NEAREST_ONLY`] on graded answers to
//! everyday ones. Does NOT know what sentences say.

use crate::knowledge::{Warning, retrieval::Near};

/// A reference with its sentences.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What the search gave it.
    pub found: f32,
    /// The model's log odds that each of its sentences belongs into the answer.
    pub scores: Vec<f32>,
    /// How near the question is to each of them.
    pub near: Near,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The sentences of the first of `direct` that answer most directly: what is shown first, the best before the other.
    pub lead: Vec<usize>,
    /// What else answers: a block for each reference, in the order in which they are shown, each with sentences in their own
    /// order. The first may have none left.
    pub direct: Vec<(usize, Vec<usize>)>,
    /// The other sentences of the first reference.
    pub more: Vec<usize>,
    /// Even the best of the sentences hardly answers: they are only the nearest.
    pub nearest_only: bool,
}

/// What counts beside the model's log odds of a sentence: how far behind the first reference the search found its own, how near the
/// question is to the sentence itself, and that it stands last in its answer, where mostly an adviser is to be called.
const FOUND: f32 = 12.0;
const SAID: f32 = 8.0;
const LAST: f32 = -3.0;
/// What the known questions count beside the sum of these where sentences compete for the lead.
const ASKED: f32 = 9.0;
/// Times this, those sums are log odds.
const SHARPNESS: f32 = 0.55;
/// A question about a detail: the best sentence has this share of the softmax over all of them. It needs nothing but the lead.
const DETAIL: f32 = 0.9;
/// Most sentences of the lead, and how far below the best one the other may lie.
const LEAD: usize = 2;
const LEAD_RANGE: f32 = 4.0;
/// What a sentence needs to belong to the answer of a whole question.
const BELONGS: f32 = -2.2;
/// The best sentence shown needs so much, with the search's own number of its entry in place of the difference to the first's; below it
/// the answer says that it is only the nearest. Of 229 everyday answers that were graded it says so of 8 in 100 good and 42 in 100
/// other ones. What readings and category add counts too: without it right answers that readings decide would be called so. It refuses
/// nothing: that would take more real answers away than wrong ones.
const NEAREST_ONLY: f32 = 19.0;

/// Chooses among `candidates`, best found first, each with a sentence at least, finite scores, and `near` as long as these. The best
/// sentence is always chosen: what is to be refused is refused before. Nothing where there is none.
pub fn choose(candidates: &[Candidate]) -> Choice {
    let own = |at: usize, place: usize| {
        let Candidate { scores, near, .. } = &candidates[at];
        let last = if place + 1 == scores.len() { LAST } else { 0.0 };
        scores[place] + SAID * near.said[place] + last
    };
    let weight = |at: usize, place: usize| own(at, place) + FOUND * (candidates[at].found - candidates[0].found);
    let mut ranked = Vec::new();
    for (at, one) in candidates.iter().enumerate() {
        let leads = |place: usize| (weight(at, place) + ASKED * one.near.asked[place], at, place);
        ranked.extend((0..one.scores.len()).map(leads));
    }
    // Stable: of equals the one found first leads.
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let Some(&(top, first, _)) = ranked.first() else { return Choice::default() };
    let is_close = |&&(sum, at, _): &&(f32, usize, usize)| at == first && sum >= top - LEAD_RANGE;
    // The first whatever it is: where the search's numbers are none, no range holds.
    let lead = ranked.iter().take(1).chain(ranked[1..].iter().take(LEAD - 1).filter(is_close));
    let lead: Vec<usize> = lead.map(|(_, _, place)| *place).collect();
    let odds: f32 = ranked.iter().map(|(sum, ..)| (SHARPNESS * (sum - top)).exp()).sum();
    let is_detail = odds * DETAIL <= 1.0;
    let belonging = |at: usize| {
        // What the search found best answers the whole question more often than not, wherever the lead is from.
        let whole = at == 0 && first != 0;
        let places = (0..candidates[at].scores.len()).filter(|place| at != first || !lead.contains(place));
        let places = places.filter(|&place| !is_detail && (whole || weight(at, place) >= BELONGS));
        (at, places.collect::<Vec<usize>>())
    };
    let mut direct = vec![belonging(first)];
    let others = (0..candidates.len()).filter(|&at| at != first).map(belonging);
    direct.extend(others.filter(|(_, places)| !places.is_empty()));
    let is_shown = |place: &usize| lead.contains(place) || direct[0].1.contains(place);
    let more = (0..candidates[first].scores.len()).filter(|place| !is_shown(place)).collect();
    let sure = |at: usize, place: usize| own(at, place) + FOUND * candidates[at].found;
    let others = direct.iter().flat_map(|(at, places)| places.iter().map(|&place| sure(*at, place)));
    let shown = lead.iter().map(|&place| sure(first, place)).chain(others);
    // Where the search's numbers are none, nothing is sure; `max` passes over what is no number.
    let surest = shown.fold(f32::MIN, f32::max);
    let nearest_only = surest < NEAREST_ONLY || surest.is_infinite();
    Choice { lead, direct, more, nearest_only }
}

impl Choice {
    /// All of the first of the references, which has `length` sentences.
    pub fn whole(length: usize) -> Self {
        Self { direct: vec![(0, (0..length).collect())], ..Self::default() }
    }

    /// All that is shown of the reference at `part` of `direct`.
    pub fn shown(&self, part: usize) -> impl Iterator<Item = usize> {
        let lead = if part == 0 { self.lead.as_slice() } else { &[] };
        lead.iter().chain(&self.direct[part].1).copied()
    }

    /// Puts the sentence before each of the lead that goes on from it where it is understood, right before it; the first
    /// reference's answer is `sentences`, and `goes_on` tells which of them are not understood alone.
    pub fn complete_lead(&mut self, sentences: &[&str], goes_on: impl Fn(&str) -> bool) {
        for place in self.lead.clone() {
            let mut place = place;
            while let Some(before) = place.checked_sub(1).filter(|_| goes_on(sentences[place])) {
                for list in [&mut self.lead, &mut self.direct[0].1, &mut self.more] {
                    list.retain(|own| *own != before);
                }
                let at = self.lead.iter().position(|own| *own == place).unwrap_or(0);
                self.lead.insert(at, before);
                place = before;
            }
        }
    }

    /// Adds those `warnings` of the reference at `part` of `direct`, whose answer is `sentences`, that must be shown with what is
    /// there, and those that must be shown with these. What the lead needs stands in the lead.
    pub fn add_warnings(&mut self, part: usize, sentences: &[&str], warnings: &[Warning]) {
        if part == 0 {
            complete(&mut self.lead, &[], sentences, warnings);
            self.direct[0].1.retain(|place| !self.lead.contains(place));
        }
        let lead = if part == 0 { self.lead.as_slice() } else { &[] };
        complete(&mut self.direct[part].1, lead, sentences, warnings);
        self.direct[part].1.sort_unstable();
        if part == 0 {
            let shown: Vec<usize> = self.shown(0).collect();
            self.more.retain(|place| !shown.contains(place));
        }
    }
}

/// Adds to `chosen` the `warnings` that must be shown with it, each behind what needs it, unless they are there or in `above`.
fn complete(chosen: &mut Vec<usize>, above: &[usize], sentences: &[&str], warnings: &[Warning]) {
    let mut before = 0;
    while chosen.len() > before {
        before = chosen.len();
        for warning in warnings {
            let place = sentences.iter().position(|sentence| *sentence == warning.sentence);
            let missing = place.filter(|place| !chosen.contains(place) && !above.contains(place));
            let needs = |place: &usize| warning.with.iter().any(|sentence| sentences[*place] == sentence);
            if let (Some(place), Some(after)) = (missing, chosen.iter().position(needs)) {
                chosen.insert(after + 1, place);
            }
        }
    }
}
