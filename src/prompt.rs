//! Question, assessed readings and references to the text that the model reads. Pure; training renders with this same
//! function.
//!
//! The question comes first, so that every sentence of the references is read with the question in mind. Each sentence has a
//! line of its own: at its end the model says whether it answers the question. Does NOT know tokens: whoever counts them drops
//! references until it fits.

/// A reference that the model reads.
#[derive(Clone, Debug)]
pub struct Passage<'a> {
    /// The entry's question.
    pub title: &'a str,
    /// The sentences of its answer.
    pub sentences: Vec<&'a str>,
}

/// A part of the prompt. Parts are tokenized one by one, so that it is known which token ends a sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What is read.
    pub text: String,
    /// The last token ends a sentence, which is to be judged.
    pub judged: bool,
}

/// The prompt: sentences are judged in the order of `passages`. `readings` is the readings' line by code, empty when there is
/// nothing to say.
pub fn render(passages: &[Passage], readings: &str, question: &str) -> Vec<Part> {
    let line = |name: &str, text: &str| Part { text: format!("{name}{}\n", one_line(text)), judged: false };
    let mut parts = vec![line("Question: ", question)];
    if !readings.is_empty() {
        parts.push(line("Readings: ", readings));
    }
    for passage in passages {
        parts.push(line("\nReference: ", passage.title));
        let judged = passage.sentences.iter().map(|sentence| Part { judged: true, ..line("", sentence) });
        parts.extend(judged);
    }
    parts
}

/// White space and line ends to single spaces: a question must not look like a reference.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
