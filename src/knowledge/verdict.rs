//! Whether a question is refused, and why; or whether the readings answer it: from what the search found out about it, and what the
//! model says of its kind once it has read it.
//!
//! The log odds of both are added up, as of two witnesses that do not know of each other; weights fitted to each kind told hardly
//! better. Every number here was set on the development questions in all their wordings, those of `data/refusal_questions.json` but
//! for its last 363, and the paraphrases left out of the index: a real question refused counted as much as two and a half of the
//! others answered. Does NOT know how the evidence was found.

use super::refusal::{COUNT, STATE, Why};

/// How many kinds of questions the model's head tells apart: those that no entry answers, in their order, then whole questions and
/// those about a detail.
pub const KINDS: usize = COUNT + 2;

/// The place of whole questions among them.
pub const WHOLE: usize = COUNT;

/// The place of questions about a detail.
pub const DETAIL: usize = COUNT + 1;

/// [`Evidence::topic`] below this: not about tomato growing.
const ON_TOPIC: f32 = 1.34;

/// What each log odds that the question is off topic takes from [`Evidence::topic`].
const SUBJECT_WEIGHT: f32 = 0.04;

/// How much less is asked of a question without an unknown word when readings are out of range.
const READINGS_ALLOWANCE: f32 = 0.3;

/// What is added to the log odds of each kind where the model was heard: it takes more questions for off topic and dangerous than
/// are, and fewer for unanswerable.
const PRIOR: [f32; COUNT] = [-2.5, -1.0, 1.5, 0.0];

/// What the search found out about a question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// How near the entries are, and how many of its words they know.
    pub topic: f32,
    /// Log odds that it is of each kind that no entry answers; all 0 where nothing is known.
    pub odds: [f32; COUNT],
    /// Readings are out of range, and it has no unknown word.
    pub steered: bool,
    /// It has so few words that these hardly tell what it is about.
    pub short: bool,
}

/// What becomes of a question.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Why it is to be refused, if it is: the likeliest of the reasons.
    pub refused: Option<Why>,
    /// It asks how the greenhouse stands, more likely than anything that is refused: where there are readings, they answer it,
    /// whatever `refused` says. Never where it is dangerous, nor where it is `vague`: what is out of range then says more than how much.
    pub state: bool,
    /// It is answered only because readings are out of range: its few words, all known, do not tell what it is about.
    pub vague: bool,
}

impl Evidence {
    /// What becomes of the question; `heard` is what the model says of its kind, as its head gives it, where it was asked. What are
    /// no finite numbers, or not as many as there are kinds, says nothing.
    pub fn verdict(&self, heard: Option<&[f32]>) -> Verdict {
        let heard = heard.and_then(log_odds).unwrap_or_default();
        let odds: [f32; COUNT] = std::array::from_fn(|kind| self.odds[kind] + heard[kind]);
        let odds_of = |why: Why| odds[why as usize];
        let topic = self.topic - SUBJECT_WEIGHT * odds_of(Why::OffTopic);
        let harmful = odds_of(Why::Unsafe) > 0.0;
        let vague = self.steered && self.short && topic < ON_TOPIC && !harmful;
        let off_topic = topic < ON_TOPIC - if self.steered { READINGS_ALLOWANCE } else { 0.0 };
        let is_refused = harmful || !vague && (odds_of(Why::Unanswerable) > 0.0 || off_topic);
        // Where it is refused and no other reason is likely it is off topic, whatever speaks against that.
        let reason = |why: &Why| if *why == Why::OffTopic { odds_of(*why).max(0.0) } else { odds_of(*why) };
        let likeliest = Why::ALL.into_iter().rev().max_by(|a, b| reason(a).total_cmp(&reason(b)));
        let state = odds[STATE] > odds_of(Why::Unanswerable).max(reason(&Why::OffTopic)) && !vague && !harmful;
        Verdict { refused: likeliest.filter(|_| is_refused), state, vague }
    }
}

/// The log odds of each kind that no entry answers against those that are answered, by an entry or by the readings, from the
/// outputs of the model's head, with [`PRIOR`].
fn log_odds(outputs: &[f32]) -> Option<[f32; COUNT]> {
    if outputs.len() != KINDS || outputs.iter().any(|output| !output.is_finite()) {
        return None;
    }
    let most = outputs[STATE..].iter().copied().fold(f32::MIN, f32::max);
    let answered = |kind: usize| (STATE..KINDS).filter(move |&other| other != kind);
    let sum = |kind: usize| answered(kind).map(|other| (outputs[other] - most).exp()).sum::<f32>();
    // Where only the kind itself is likely, the sum may be too small for a logarithm.
    Some(std::array::from_fn(|kind| outputs[kind] - most - sum(kind).max(f32::MIN_POSITIVE).ln() + PRIOR[kind]))
}
