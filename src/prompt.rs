//! References, assessed readings and a question to the text that the model continues. Pure; training will render with
//! this same function.
//!
//! Does NOT know tokens: whoever counts them drops references until it fits.

/// A passage the model may quote.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The curated answer.
    pub answer: &'a str,
}

/// Texts that end the model's part: it would go on to write the next question itself.
pub const STOPS: [&str; 2] = ["\n", "Question:"];

/// Two passages about other things, so that nothing of them can pass for an answer about tomatoes.
const LETTUCE: &str = "Water lettuce every two days in cool weather and every day in hot weather. Lettuce with dry roots \
                       turns bitter. Water in the morning, so that the leaves dry before night.";
const HENS: &str = "Hens stop laying when the day is shorter than 12 hours. Give hens light until 14 hours are full. A hen \
                    that moults also rests for six weeks.";

/// The prompt. `readings` is the readings' line by code, empty when there is nothing to say.
///
/// The base model is not instruction-tuned: it continues a pattern, so it is shown one twice. Of the orders tried, only
/// this one made it copy what it was given: question first, then the passages, the best one last, next to the answer.
pub fn render(passages: &[Passage], readings: &str, question: &str) -> String {
    let mut text = String::new();
    turn(&mut text, "my lettuce tastes bitter", "", &[LETTUCE, HENS]);
    text.push_str(&format!(" {LETTUCE}\n\n"));
    turn(&mut text, "why do my hens lay no eggs in winter?", "", &[HENS, LETTUCE]);
    text.push_str(&format!(" {HENS}\n\n"));
    let answers: Vec<&str> = passages.iter().map(|passage| passage.answer).collect();
    turn(&mut text, question, readings, &answers);
    text
}

/// One turn of the pattern, up to where the answer begins. `passages` come best first.
fn turn(text: &mut String, question: &str, readings: &str, passages: &[&str]) {
    text.push_str(&format!("Question: {}\n", one_line(question)));
    if !readings.is_empty() {
        text.push_str(&format!("Readings: {}\n", one_line(readings)));
    }
    for passage in passages.iter().rev() {
        text.push_str(&format!("Book: {}\n", one_line(passage)));
    }
    text.push_str("Answer:");
}

/// White space and line ends to single spaces: a question must not end the pattern that it stands in.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
