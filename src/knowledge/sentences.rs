//! Where sentences end. Answers are chosen, cited and shown a sentence at a time.
//!
//! Turns text into its sentences, word for word. Does NOT know what they say.

/// The sentences of `text`, without the white space between them. One ends after `.`, `!` or `?` (or their wide forms)
/// before white space: a point inside a number is followed by a digit.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim();
    std::iter::from_fn(move || {
        let (sentence, tail) = rest.split_at(end(rest).unwrap_or(rest.len()));
        rest = tail.trim_start();
        (!sentence.is_empty()).then_some(sentence)
    })
}

/// Where the first sentence of `text` ends, if another one may follow.
fn end(text: &str) -> Option<usize> {
    let mut previous = ' ';
    for (at, letter) in text.char_indices() {
        if letter.is_whitespace() && matches!(previous, '.' | '!' | '?' | '。' | '！' | '？') {
            return Some(at);
        }
        previous = letter;
    }
    None
}
