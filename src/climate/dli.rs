//! Daily light integral: the light readings of the last 24 hours -> their sum in mol/m²/day, or none.
//!
//! None is made up: without 24 hours of light, or nearly so, there is no sum. Does NOT know any clock: each reading comes
//! with the time since a moment of the caller's choice, best by a clock that is never set, for a history that was
//! stamped before a jump cannot be put right after it.

use super::Quantity;
use std::{collections::VecDeque, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Readings must cover so much of the 24 hours before the last of them. Elsewhere in the window they must not leave more
/// than [`GAP`]; so the hour that may lack is its first, after a start or a gap.
const COVERED: Duration = Duration::from_secs(23 * 3600);

/// Longest time between two readings, or since the last one, that is bridged: light changes slowly enough for it.
const GAP: Duration = Duration::from_secs(30 * 60);

/// Readings closer than this are kept as one sum, so that a day takes a few kilobytes however often the probe is read.
const SPAN: Duration = Duration::from_secs(5 * 60);

/// The light of the last 24 hours, without a gap.
#[derive(Clone, Debug, Default)]
pub struct LightDay {
    /// Oldest first; each begins where the one before ends.
    spans: VecDeque<Span>,
    last: Option<(Duration, f32)>,
}

/// What came in from `start` to `end`.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Duration,
    end: Duration,
    /// µmol/m².
    sum: f64,
}

impl LightDay {
    /// Takes a reading of `ppfd` µmol/m²/s at `at`. One that cannot be true is passed over. One that comes before the last,
    /// or more than half an hour after it, starts a new history.
    pub fn add(&mut self, at: Duration, ppfd: f32) {
        if !Quantity::LightPpfd.is_plausible(ppfd) {
            return;
        }
        if let Some((before, value)) = self.last {
            if at < before || at - before > GAP {
                self.spans.clear();
            } else if at > before {
                // Trapezoidal: the light moves in a straight line between two readings.
                let sum = f64::from(value + ppfd) / 2.0 * (at - before).as_secs_f64();
                match self.spans.back_mut().filter(|span| at - span.start <= SPAN) {
                    Some(span) => (span.end, span.sum) = (at, span.sum + sum),
                    None => self.spans.push_back(Span { start: before, end: at, sum }),
                }
            }
        }
        self.last = Some((at, ppfd));
        while self.spans.front().is_some_and(|span| span.end + DAY <= at) {
            self.spans.pop_front();
        }
    }

    /// Sum in mol/m² over the 24 hours before the last reading; none if the readings cover less than 23 of them, or if at
    /// `now` the last is more than half an hour old.
    pub fn sum(&self, now: Duration) -> Option<f32> {
        let (last, _) = self.last.filter(|(last, _)| now.checked_sub(*last).is_some_and(|age| age <= GAP))?;
        let first = self.spans.front().filter(|span| last - span.start >= COVERED)?;
        let from = last.saturating_sub(DAY).max(first.start);
        // The first span may have begun before the window did.
        let outside = first.sum * (from - first.start).as_secs_f64() / (first.end - first.start).as_secs_f64();
        let sum: f64 = self.spans.iter().map(|span| span.sum).sum();
        Some(((sum - outside) * 1e-6) as f32)
    }
}
