//! Questions alone, of which is known what kind they are: to be refused and why, for how the greenhouse stands, or with an entry
//! that answers.
//!
//! Turns the repository's texts into these, some held out. Does NOT know tokens or the model.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Range,
};
use tomato_assistant::knowledge::{
    refusal::{STATE, Why},
    verdict::{DETAIL, WHOLE},
};

use super::{
    super::{
        draw::Draw,
        questions::{self, WORDINGS, Wording},
        sources::{self, ANSWERABLE, STATE as STATE_TEXTS, Sources, TOLD_APART},
        split::held_out,
    },
    ExamplesError,
};

/// What entries answer: whole questions or details.
const ANSWERED: Range<usize> = WHOLE..DETAIL + 1;

/// So many of the wordings of each entry's question are asked, of 24.
const WORDINGS_EACH: usize = 6;

/// One text in so many is held out of these; the examples hold others back, of whose sentences they measure the choice.
const HELD: usize = 20;

/// What they are made from, as inputs of a stage.
pub fn inputs(sources: &Sources) -> BTreeMap<String, String> {
    let mut inputs = sources.inputs(&[WORDINGS, questions::REFUSED]);
    inputs.extend(sources.inputs(&TOLD_APART));
    inputs
}

/// A question with the kinds that it may be of, places in the order of the model's head; none where that is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As asked.
    pub question: String,
    /// One kind, or several of which any is right.
    pub kinds: Range<usize>,
}

/// They, those held out apart.
pub struct Questions {
    /// To learn from, in no order.
    pub training: Vec<Asked>,
    /// To see whether it was learnt.
    pub held_out: Vec<Asked>,
}

/// The kind at this place alone.
pub fn only(kind: usize) -> Range<usize> {
    kind..kind + 1
}

impl Questions {
    /// Those of the repository; the same for the same seed.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn read(sources: &Sources, seed: u64) -> Result<Self, ExamplesError> {
        let (mut training, mut held) = (Vec::new(), Vec::new());
        let mut sort = |texts: Vec<String>, kinds: Range<usize>| {
            for (number, question) in texts.into_iter().enumerate() {
                let asked = Asked { question, kinds: kinds.clone() };
                if number % HELD == HELD - 1 { held.push(asked) } else { training.push(asked) }
            }
        };
        for (why, texts) in Why::ALL.into_iter().zip(sources.refused()?) {
            sort(texts, only(why as usize));
        }
        let [state, _] = sources::state(&sources.read(STATE_TEXTS)?);
        sort(state, only(STATE));
        sort(sources.lines(ANSWERABLE)?, ANSWERED);
        let mut draw = Draw::new(seed);
        let mut wordings: Vec<Wording> = questions::load(&sources.path(WORDINGS))?;
        draw.shuffle(&mut wordings);
        let mut counts = HashMap::<String, usize>::new();
        for Wording { entry, question } in wordings {
            let count = counts.entry(entry.clone()).or_default();
            *count += 1;
            if *count <= WORDINGS_EACH {
                let asked = Asked { question, kinds: only(WHOLE) };
                if held_out(&entry) { held.push(asked) } else { training.push(asked) }
            }
        }
        draw.shuffle(&mut training);
        Ok(Self { training, held_out: held })
    }
}
