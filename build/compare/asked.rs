//! What a model writes when it is asked the validation questions, each with the entry that answers it before it: whether it tells
//! what stands there, whether it loops, and how fast it writes.
//!
//! Most of these entries are among those that a model learns back from, so this does not tell reading from remembering. The
//! shipped model is not asked so: it writes nothing.

use std::path::Path;

use super::{
    super::{
        bench::Spread,
        calibration,
        dense::{Dense, DenseError, Special},
        evaluate::score::Scorer,
        greedy,
        questions::{self, Question, VALIDATION},
        sources::Sources,
    },
    CompareError,
};

/// Tokens of an answer, at most. Few entries have more.
const LENGTH: usize = 160;

/// The questions as token ids, each with what a right answer tells.
pub struct Questions(Vec<(Vec<u32>, Scorer)>);

/// How a model answered them.
#[derive(Default)]
pub struct Answers {
    /// How many.
    pub count: usize,
    /// Facts told.
    pub told: usize,
    /// Facts that the entries hold.
    pub facts: usize,
    /// Those that are empty or loop.
    pub degenerate: usize,
    /// Tokens decoded in a second, in f32, one question after the other: the median of the answers that have a second token.
    pub speed: Option<f64>,
}

impl Questions {
    /// The validation questions of the repository at `root` that have an entry, as `dense` reads them, with those facts that the
    /// first one tells. The others stand in the readings, or in another entry.
    ///
    /// # Errors
    /// A file of the repository cannot be used.
    pub fn read(root: &Path, sources: &Sources, dense: &Dense) -> Result<Self, CompareError> {
        let (knowledge, mut all) = (sources.knowledge()?, Vec::new());
        for mut question in questions::load::<Question>(&root.join(VALIDATION))? {
            let answers = |id: &String| knowledge.entries().iter().find(|entry| entry.id == *id);
            let Some(entry) = question.entries.first().and_then(answers) else { continue };
            let missing = Scorer::new(&question)?.missing(&entry.output);
            question.facts.retain(|fact| !missing.contains(&fact.sentence));
            let prompt = dense.begun(&calibration::asked(&question.question, &entry.output))?;
            all.push((prompt, Scorer::new(&question)?));
        }
        Ok(Self(all))
    }

    /// Asks `dense` all of them.
    ///
    /// # Errors
    /// [`DenseError`].
    pub fn ask(&self, dense: &Dense) -> Result<Answers, DenseError> {
        let (mut answers, mut speeds) = (Answers { count: self.0.len(), ..Answers::default() }, Vec::new());
        for (prompt, scorer) in &self.0 {
            let written = greedy::decode(dense, prompt.clone(), LENGTH)?;
            let text = dense.text(&written.ids, Special::Hidden)?;
            // What was not taught where an answer ends goes on with a question of its own.
            let score = scorer.score("", text.split("\nQuestion:").next().unwrap_or_default(), &[]);
            answers.told += score.told;
            answers.facts += score.facts;
            answers.degenerate += usize::from(score.degenerate);
            speeds.extend(written.speed());
        }
        Ok(Answers { speed: Spread::of(&speeds).map(|speed| speed.median), ..answers })
    }
}
