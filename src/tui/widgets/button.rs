//! A filled block with words in its middle, large enough for a finger. Knows neither what it does nor where it is.

use ratatui::{Frame, layout::Rect, style::Style, widgets::Block};

use super::wrap::{cells, fit};

/// Draws `lines` centred in `area`; each has its own style on top of `style`. Lines that do not fit are left out. Of three
/// rows a lone line and the first of two are on the same one: a name stays where it is when a key appears below it.
pub fn draw(frame: &mut Frame, area: Rect, style: Style, lines: &[(String, Style)]) {
    frame.render_widget(Block::new().style(style), area);
    let shown = lines.len().min(usize::from(area.height));
    let top = area.y + (area.height - shown as u16).div_ceil(2);
    for (row, (words, over)) in (top..).zip(&lines[..shown]) {
        let words = fit(words, usize::from(area.width));
        let left = area.x + (area.width - cells(&words) as u16) / 2;
        frame.buffer_mut().set_string(left, row, words, style.patch(*over));
    }
}
