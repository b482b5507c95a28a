//! `assistant.toml` -> settings that cannot be wrong.
//!
//! Serde reads the file into [`Raw`], where each value still knows its place; one pass turns that into a [`Config`] or
//! into an error with line, key and what is allowed. Paths are relative to the file. Does NOT open anything it names.

use crate::{
    climate::{DayHours, Stage, minute_of_day},
    text::Lang,
};
use serde::Deserialize;
use std::{
    io::ErrorKind,
    num::NonZeroUsize,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};
use toml::Spanned;

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Folder of the bundle; none means the usual place.
    pub bundle: Option<PathBuf>,
    /// Language of screen and answers.
    pub lang: Lang,
    /// Growth stage of the crop.
    pub stage: Stage,
    /// When it is day by the clock, for where the light is not measured; none means that the clock is not asked.
    pub day: Option<DayHours>,
    /// Time between two readings of a probe.
    pub poll: Duration,
    /// Age from which a reading is no longer shown as live; at least twice `poll`.
    pub stale_after: Duration,
    /// Threads of the model; none means all cores.
    pub threads: Option<NonZeroUsize>,
    /// The log file; none means the usual place.
    pub log_file: Option<PathBuf>,
    /// Size in bytes that the log never passes.
    pub log_bytes: u64,
    /// The probes.
    pub sensors: Vec<Sensor>,
}

/// A probe, as configured.
#[derive(Clone, Debug, PartialEq)]
pub enum Sensor {
    /// Sensirion SHT4x on `/dev/i2c-{bus}`.
    Sht4x {
        /// Number of the bus.
        bus: u8,
        /// Address on the bus.
        address: sht4x::Address,
    },
    /// A recorded day.
    Replay {
        /// The CSV file.
        file: PathBuf,
        /// How many times faster than life.
        speed: f32,
        /// Hour of the recorded day to begin at.
        start_hour: u32,
    },
}

/// What is wrong with `assistant.toml`. The words for growers are `text::Msg::Config`.
#[derive(Debug)]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line in it, from 1; none if it could not be read at all.
    pub line: Option<usize>,
    /// What is wrong there.
    pub problem: Problem,
}

/// Kinds of [`ConfigError`].
#[derive(Debug)]
pub enum Problem {
    /// The file cannot be read; the system's reason.
    NotReadable(std::io::Error),
    /// Not TOML, an unknown key or a wrong type, in the parser's words (they name the keys that exist).
    Toml(String),
    /// A value that is not allowed.
    NotAllowed {
        /// Key.
        key: &'static str,
        /// What was given.
        given: String,
        /// What may be given.
        allowed: Allowed,
    },
    /// A key that this kind of sensor needs.
    Missing(&'static str),
    /// A key that this kind of sensor has no use for.
    Useless(&'static str),
}

/// What a key may hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowed {
    /// One of these words.
    OneOf(Vec<&'static str>),
    /// A number from the first to the second.
    FromTo(f64, f64),
    /// Addresses of a chip.
    Addresses(u8, u8),
    /// Two different times of day.
    Times,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    bundle: Option<PathBuf>,
    language: Option<Spanned<String>>,
    growth_stage: Option<Spanned<String>>,
    day: Option<Spanned<[String; 2]>>,
    poll_seconds: Option<Spanned<i64>>,
    stale_after_seconds: Option<Spanned<i64>>,
    threads: Option<Spanned<i64>>,
    log: Option<RawLog>,
    #[serde(default)]
    sensor: Vec<Spanned<RawSensor>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLog {
    file: Option<PathBuf>,
    max_kilobytes: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSensor {
    kind: Spanned<String>,
    bus: Option<Spanned<i64>>,
    address: Option<Spanned<i64>>,
    file: Option<Spanned<PathBuf>>,
    speed: Option<Spanned<f64>>,
    start_hour: Option<Spanned<i64>>,
}

/// Where in the text, and what.
type Fault = (Range<usize>, Problem);

impl Default for Config {
    fn default() -> Self {
        Self {
            bundle: None,
            lang: Lang::default(),
            stage: Stage::default(),
            day: None,
            poll: Duration::from_secs(10),
            stale_after: Duration::from_secs(120),
            threads: None,
            log_file: None,
            log_bytes: 1024 * 1024,
            sensors: Vec::new(),
        }
    }
}

impl Config {
    /// Where `assistant.toml` lies if nobody says otherwise: in the user's folder for settings.
    pub fn default_path() -> Option<PathBuf> {
        let dirs = directories::ProjectDirs::from("", "", "tomato-assistant")?;
        Some(dirs.config_dir().join("assistant.toml"))
    }

    /// Reads `path`, or without one the file at [`default_path`](Self::default_path); if that does not exist, the
    /// defaults: no sensors.
    ///
    /// # Errors
    /// As [`load`](Self::load). A `path` that was named must exist, and settings that are there but out of reach (another
    /// user's, a broken disk) are not silently replaced by the defaults.
    pub fn find(path: Option<&Path>) -> Result<Self, ConfigError> {
        let Some(usual) = path.map_or_else(Self::default_path, |path| Some(path.into())) else {
            return Ok(Self::default());
        };
        match Self::load(&usual) {
            Err(ConfigError { problem: Problem::NotReadable(reason), .. })
                if path.is_none() && reason.kind() == ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            loaded => loaded,
        }
    }

    /// Reads and validates the file at `path`.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line; see [`Problem`].
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let error = |line, problem| ConfigError { path: path.into(), line, problem };
        let text = std::fs::read_to_string(path).map_err(|reason| error(None, Problem::NotReadable(reason)))?;
        let raw = toml::from_str::<Raw>(&text)
            .map_err(|found| (found.span().unwrap_or_default(), Problem::Toml(found.message().into())));
        let folder = path.parent().unwrap_or(Path::new(""));
        raw.and_then(|raw| Self::validate(raw, folder)).map_err(|(span, problem)| {
            // A table's span starts at its header; counted from 1.
            let line = text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count() + 1;
            error(Some(line), problem)
        })
    }

    fn validate(raw: Raw, folder: &Path) -> Result<Self, Fault> {
        let usual = Self::default();
        let seconds = |key, given, usual: Duration| {
            Ok(whole(key, given, 1, 86_400)?.map_or(usual, |seconds| Duration::from_secs(seconds as u64)))
        };
        let poll = seconds("poll_seconds", &raw.poll_seconds, usual.poll)?;
        // Twice, so that one missed reading does not blank the screen.
        let at_least = poll.as_secs() as i64 * 2;
        let stale_after = match &raw.stale_after_seconds {
            given @ Some(_) => {
                whole("stale_after_seconds", given, at_least, 2 * 86_400)?.map(|s| Duration::from_secs(s as u64))
            }
            None => None,
        };
        let lang = match &raw.language {
            None => usual.lang,
            Some(given) => Lang::from_name(given.get_ref()).ok_or_else(|| {
                let allowed = Lang::ALL.iter().map(|lang| lang.name()).collect();
                not_allowed("language", given.span(), given.get_ref(), Allowed::OneOf(allowed))
            })?,
        };
        let stage = match &raw.growth_stage {
            None => usual.stage,
            Some(given) => Stage::from_name(given.get_ref()).ok_or_else(|| {
                let allowed = Stage::ALL.iter().map(|stage| stage.name()).collect();
                not_allowed("growth_stage", given.span(), given.get_ref(), Allowed::OneOf(allowed))
            })?,
        };
        let hours = |given: Spanned<[String; 2]>| {
            let [begin, end] = given.get_ref();
            let hours = minute_of_day(begin).zip(minute_of_day(end)).and_then(|(begin, end)| DayHours::new(begin, end));
            hours.ok_or_else(|| not_allowed("day", given.span(), &format!("{:?}", given.get_ref()), Allowed::Times))
        };
        let (log_file, kilobytes) = match raw.log {
            None => (None, None),
            Some(log) => (log.file, whole("max_kilobytes", &log.max_kilobytes, 16, 1024 * 1024)?),
        };
        let threads = whole("threads", &raw.threads, 1, 256)?;
        Ok(Self {
            bundle: raw.bundle.map(|bundle| folder.join(bundle)),
            lang,
            stage,
            day: raw.day.map(hours).transpose()?,
            poll,
            stale_after: stale_after.unwrap_or_else(|| usual.stale_after.max(poll * 2)),
            threads: threads.and_then(|threads| NonZeroUsize::new(threads as usize)),
            log_file: log_file.map(|file| folder.join(file)),
            log_bytes: kilobytes.map_or(usual.log_bytes, |kilobytes| kilobytes as u64 * 1024),
            sensors: raw.sensor.into_iter().map(|row| sensor(row, folder)).collect::<Result<_, _>>()?,
        })
    }
}

fn sensor(row: Spanned<RawSensor>, folder: &Path) -> Result<Sensor, Fault> {
    let span = row.span();
    let row = row.into_inner();
    let useless = |key, place: Option<Range<usize>>| match place {
        Some(place) => Err((place, Problem::Useless(key))),
        None => Ok(()),
    };
    let missing = |key| (span.clone(), Problem::Missing(key));
    match row.kind.get_ref().as_str() {
        "sht4x" => {
            useless("file", row.file.map(|key| key.span()))?;
            useless("speed", row.speed.map(|key| key.span()))?;
            useless("start_hour", row.start_hour.map(|key| key.span()))?;
            let bus = whole("bus", &row.bus, 0, 255)?.ok_or_else(|| missing("bus"))?;
            let address = row.address.ok_or_else(|| missing("address"))?;
            let address = match address.get_ref() {
                0x44 => sht4x::Address::Address0x44,
                0x45 => sht4x::Address::Address0x45,
                0x46 => sht4x::Address::Address0x46,
                other => {
                    let allowed = Allowed::Addresses(0x44, 0x46);
                    return Err(not_allowed("address", address.span(), &format!("{other:#04x}"), allowed));
                }
            };
            Ok(Sensor::Sht4x { bus: bus as u8, address })
        }
        "replay" => {
            useless("bus", row.bus.map(|key| key.span()))?;
            useless("address", row.address.map(|key| key.span()))?;
            let file = folder.join(row.file.ok_or_else(|| missing("file"))?.into_inner());
            let speed = match row.speed {
                None => 1.0,
                Some(speed) if (0.1..=3600.0).contains(speed.get_ref()) => speed.into_inner() as f32,
                Some(speed) => {
                    let allowed = Allowed::FromTo(0.1, 3600.0);
                    return Err(not_allowed("speed", speed.span(), &speed.get_ref().to_string(), allowed));
                }
            };
            let start_hour = whole("start_hour", &row.start_hour, 0, 23)?.unwrap_or(0) as u32;
            Ok(Sensor::Replay { file, speed, start_hour })
        }
        other => Err(not_allowed("kind", row.kind.span(), other, Allowed::OneOf(vec!["sht4x", "replay"]))),
    }
}

/// A whole number from `min` to `max`, if there is one.
fn whole(key: &'static str, given: &Option<Spanned<i64>>, min: i64, max: i64) -> Result<Option<i64>, Fault> {
    let Some(given) = given else { return Ok(None) };
    let value = *given.get_ref();
    if (min..=max).contains(&value) {
        return Ok(Some(value));
    }
    Err(not_allowed(key, given.span(), &value.to_string(), Allowed::FromTo(min as f64, max as f64)))
}

fn not_allowed(key: &'static str, span: Range<usize>, given: &str, allowed: Allowed) -> Fault {
    (span, Problem::NotAllowed { key, given: given.into(), allowed })
}
