//! Breaks words into lines of a number of cells, and cuts a line to fit.
//!
//! Widths are terminal cells of whole graphemes (a Hangul syllable has two), never bytes or characters. The same breaks
//! serve drawing and scrolling, so both always agree on the number of lines. Does NOT know styles.

use ratatui::buffer::CellWidth;
use unicode_segmentation::UnicodeSegmentation;

/// Cells that `text` takes on screen.
pub fn cells(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| usize::from(grapheme.cell_width())).sum()
}

/// `text` as lines of at most `width` cells, broken at white space; a longer word is broken anywhere. Line feeds are
/// kept, other control characters become spaces. Never empty. A glyph wider than `width` gets a line of its own.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let (mut line, mut used, start) = (String::new(), 0, lines.len());
        for piece in paragraph.split_inclusive(char::is_whitespace) {
            let word: String = piece.trim_end().chars().map(printable).collect();
            let size = cells(&word);
            if word.is_empty() && (used >= width || used == 0 && lines.len() > start) {
                continue; // no line starts with the space at which the one before was broken
            }
            if used > 0 && used + size > width {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            for grapheme in word.graphemes(true) {
                let size = usize::from(grapheme.cell_width());
                if used > 0 && used + size > width {
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push_str(grapheme);
                used += size;
            }
            if piece.ends_with(char::is_whitespace) {
                line.push(' ');
                used += 1;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// A control character has no width and could move the cursor; a space stands in for it.
fn printable(character: char) -> char {
    if character.is_control() { ' ' } else { character }
}

/// `text` cut to `width` cells, with three dots where something was cut.
pub fn fit(text: &str, width: usize) -> String {
    let text: String = text.chars().map(printable).collect();
    if cells(&text) <= width {
        return text;
    }
    let (mut out, mut used) = (String::new(), 0);
    for grapheme in text.graphemes(true) {
        let size = usize::from(grapheme.cell_width());
        if used + size + 3 > width {
            break;
        }
        out.push_str(grapheme);
        used += size;
    }
    out.push_str(&"..."[..3.min(width)]);
    out
}
