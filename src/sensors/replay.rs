//! Plays a recorded day: a CSV file -> readings, as fast as wished, round and round.
//!
//! The file: a header `time,` and names of quantities, then one line each moment, `HH:MM` and numbers in the units of
//! [`Quantity`]; an empty cell is a probe that did not answer. Times rise. The daily light integral is that of the recorded
//! day, known from the start, since the day before was the same. Does NOT check whether a number can be true: that is done
//! for every probe in one place, and a recorded fault should be played as one.

use super::Probe;
use crate::climate::{LightDay, NoData, Quantity, minute_of_day};
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const MINUTES_A_DAY: u32 = 24 * 60;

/// A recorded day that plays.
pub struct Replay {
    quantities: Vec<Quantity>,
    rows: Vec<Row>,
    speed: f32,
    start: u32,
    began: Instant,
}

struct Row {
    /// Minutes since midnight.
    minute: u32,
    values: Vec<Option<f32>>,
}

/// Why a replay file is refused. The words for growers are `text::Msg::SensorError`.
#[derive(Debug)]
pub enum ReplayError {
    /// The file cannot be read; the system's reason.
    NotReadable(PathBuf, std::io::Error),
    /// The header is not `time,` and different names of quantities.
    Header(PathBuf),
    /// The line (from 1) is not a time later than the one before and as many numbers or blanks as the header has.
    Line(PathBuf, usize),
    /// There is no line but the header.
    Empty(PathBuf),
}

impl Replay {
    /// Opens `file`; a day of it takes a day divided by `speed` and begins at `start`, in minutes since midnight.
    ///
    /// # Errors
    /// The file is not there or not of the form above.
    pub fn open(file: &Path, speed: f32, start: u32) -> Result<Self, ReplayError> {
        let text = std::fs::read_to_string(file).map_err(|error| ReplayError::NotReadable(file.into(), error))?;
        let mut lines = text.lines();
        let header = || ReplayError::Header(file.into());
        let names = lines.next().and_then(|line| line.trim_start_matches('\u{feff}').strip_prefix("time,"));
        let quantities: Option<Vec<_>> =
            names.ok_or_else(header)?.split(',').map(|name| Quantity::from_name(name.trim())).collect();
        let quantities = quantities.ok_or_else(header)?;
        if (1..quantities.len()).any(|i| quantities[..i].contains(&quantities[i])) {
            return Err(header());
        }
        let mut rows: Vec<Row> = Vec::new();
        for (index, line) in lines.enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row = Row::parse(line, quantities.len());
            let later = |row: &Row| rows.last().is_none_or(|before| before.minute < row.minute);
            // The header is line 1.
            rows.push(row.filter(later).ok_or_else(|| ReplayError::Line(file.into(), index + 2))?);
        }
        if rows.is_empty() {
            return Err(ReplayError::Empty(file.into()));
        }
        let mut replay = Self { quantities, rows, speed, start, began: Instant::now() };
        if let Some(sum) = replay.light_sum() {
            replay.quantities.push(Quantity::Dli);
            replay.rows.iter_mut().for_each(|row| row.values.push(Some(sum)));
        }
        Ok(replay)
    }

    /// The sum of the recorded light, mol/m²/day, between two days alike; none if light is not recorded all day, or if the
    /// file has a sum of its own.
    fn light_sum(&self) -> Option<f32> {
        let light = self.quantities.iter().position(|quantity| *quantity == Quantity::LightPpfd)?;
        let mut day = LightDay::default();
        let mut last = Duration::ZERO;
        for before in [0, MINUTES_A_DAY] {
            for row in &self.rows {
                last = Duration::from_secs(60 * u64::from(before + row.minute));
                row.values[light].into_iter().for_each(|value| day.add(last, value));
            }
        }
        day.sum(last).filter(|_| !self.quantities.contains(&Quantity::Dli))
    }

    /// What was recorded at `minute` since midnight, or last before it (before the first line: the last of the day).
    pub fn at(&self, minute: u32) -> Vec<(Quantity, Result<f32, NoData>)> {
        let next = self.rows.partition_point(|row| row.minute <= minute % MINUTES_A_DAY);
        let row = &self.rows[next.checked_sub(1).unwrap_or(self.rows.len() - 1)];
        let answer = |value: &Option<f32>| value.ok_or_else(|| NoData::NotAnswering("nothing recorded".into()));
        self.quantities.iter().copied().zip(row.values.iter().map(answer)).collect()
    }
}

impl Row {
    fn parse(line: &str, columns: usize) -> Option<Self> {
        let mut cells = line.split(',').map(str::trim);
        let minute = minute_of_day(cells.next()?)?;
        let values: Option<Vec<_>> = cells
            .map(|cell| match cell {
                "" => Some(None),
                number => number.parse::<f32>().ok().filter(|value| value.is_finite()).map(Some),
            })
            .collect();
        values.filter(|values| values.len() == columns).map(|values| Self { minute, values })
    }
}

impl Probe for Replay {
    fn name(&self) -> String {
        "replay".into()
    }

    fn quantities(&self) -> Vec<Quantity> {
        self.quantities.clone()
    }

    fn read(&mut self) -> Vec<(Quantity, Result<f32, NoData>)> {
        let played = self.began.elapsed().as_secs_f32() * self.speed / 60.0;
        self.at(self.start + (played % MINUTES_A_DAY as f32) as u32)
    }
}
