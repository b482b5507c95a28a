//! References, assessed readings and a question to the text that the model continues. Pure; training will render with
//! this same function.
//!
//! Does NOT know tokens: whoever counts them drops references until it fits.

/// A passage the model may quote.
#[derive(Clone, Copy, Debug)]
pub struct Passage<'a> {
    /// The curated question.
    pub question: &'a str,
    /// The curated answer.
    pub answer: &'a str,
}

/// Texts that end the model's part: it would go on to write the next question itself.
pub const STOPS: [&str; 2] = ["\n", "Question:"];

/// One worked example. The base model is not instruction-tuned: it continues a pattern, so it is shown one. The example
/// is about another plant, so that nothing of it can pass for an answer about tomatoes.
const EXAMPLE: &str = "\
Reference: How often should I water lettuce?
Water lettuce every two days in cool weather and every day in hot weather. Water in the morning. Lettuce with dry roots \
turns bitter.

Question: my lettuce tastes bitter, am I watering it wrong?
Answer (in the words of the references): Lettuce with dry roots turns bitter. Water lettuce every two days in cool \
weather and every day in hot weather.
";

/// The prompt. `readings` is the readings' line by code, empty when there is nothing to say. The best reference stands
/// last, next to the question: small models follow what they read last.
pub fn render(passages: &[Passage], readings: &str, question: &str) -> String {
    let mut text = String::from("The answers below use only the references.\n\n");
    text.push_str(EXAMPLE);
    for passage in passages.iter().rev() {
        text.push_str(&format!("\nReference: {}\n{}\n", passage.question, passage.answer));
    }
    if !readings.is_empty() {
        text.push_str(&format!("\nReadings: {}\n", one_line(readings)));
    }
    text.push_str(&format!("\nQuestion: {}\nAnswer (in the words of the references):", one_line(question)));
    text
}

/// White space and line ends to single spaces: a question must not end the pattern that it stands in.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
