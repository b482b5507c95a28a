//! English. The only file with English words for growers, but for those in `en/`.

mod asked;
mod climate;

pub use asked::{measures_named, state_asked};

use super::{Key, Msg};
use crate::{
    answer::{AnswerError, LONGEST_QUESTION, OpenError},
    bundle::BundleError,
    climate::{Level, Measure, NoData, Quantity},
    knowledge::{Category, refusal::Why},
    stats::Stats,
};

/// The English words for `msg`.
pub fn say(msg: &Msg) -> String {
    match msg {
        Msg::AppName => "Tomato greenhouse assistant".into(),
        Msg::Category(category) => match category {
            Category::DiseaseManagement => "Diseases and pests",
            Category::EnvironmentalControl => "Greenhouse climate",
            Category::NutritionGrowth => "Nutrition and growth",
            Category::EquipmentSensors => "Equipment and sensors",
            Category::Troubleshooting => "Troubleshooting",
        }
        .into(),
        Msg::Quantity(quantity) => match quantity {
            Quantity::AirTemperature => "air temperature",
            Quantity::RelativeHumidity => "humidity",
            Quantity::Co2 => "CO2",
            Quantity::LightPpfd => "light",
            Quantity::RootTemperature => "root temperature",
            Quantity::Ph => "pH",
            Quantity::Ec => "EC",
            Quantity::SubstrateMoisture => "substrate moisture",
            Quantity::Dli => "daily light (DLI)",
        }
        .into(),
        Msg::Bundle(error) => bundle(error),
        Msg::Installed(dir) => format!(
            "The bundle is installed in {} and is used from the next start of the assistant. If it replaced a whole one, \
             `assistant --rollback` brings that back.",
            dir.display()
        ),
        Msg::RolledBack(dir) => format!(
            "The earlier bundle is back in {} and is used from the next start of the assistant. `assistant --rollback` \
             again undoes this.",
            dir.display()
        ),
        Msg::EmptyQuestion => "Please type a question first.".into(),
        Msg::ReferencesDropped(count) => format!("({count} reference(s) left out: the question is very long.)"),
        Msg::BundleUnusable => "The bundle holds something that this version cannot read. Please install a bundle made for \
                                this version. Details are in the log."
            .into(),
        Msg::CannotOpen(error) => cannot_open(error),
        Msg::NoAnswer(error) => match error {
            AnswerError::Empty => "Please type a question first.".into(),
            AnswerError::TooLong(length) => format!(
                "The question is too long: {length} characters, and {LONGEST_QUESTION} is the limit. Please shorten it."
            ),
            AnswerError::Engine(_) => {
                "The question could not be answered. Please ask it again in fewer words; if that does not help, restart \
                 the assistant. Details are in the log."
                    .into()
            }
        },

        Msg::Assessed(item, age) => climate::assessed(item, *age),
        Msg::Advised(measure, level) => climate::advised(*measure, *level),
        Msg::JudgedFor(stage, period) => climate::judged_for(*stage, *period),
        Msg::ReadingError(error) => climate::reading_error(error),
        Msg::ConfigError(error) => climate::config_error(error),
        Msg::SensorError(error) => climate::sensor_error(error),

        Msg::Measure(Measure::Vpd) => "vapour pressure deficit (VPD)".into(),
        Msg::Measure(Measure::Read(quantity)) => say(&Msg::Quantity(*quantity)),
        Msg::ShortMeasure(measure) => match measure {
            Measure::Vpd => "VPD",
            Measure::Read(Quantity::AirTemperature) => "air",
            Measure::Read(Quantity::RelativeHumidity) => "humidity",
            Measure::Read(Quantity::Co2) => "CO2",
            Measure::Read(Quantity::LightPpfd) => "light",
            Measure::Read(Quantity::RootTemperature) => "root",
            Measure::Read(Quantity::Ph) => "pH",
            Measure::Read(Quantity::Ec) => "EC",
            Measure::Read(Quantity::SubstrateMoisture) => "moisture",
            Measure::Read(Quantity::Dli) => "DLI",
        }
        .into(),
        Msg::Value(measure, value) => format!("{value:.*} {}", measure.decimals(), measure.unit()).trim_end().into(),
        // The full units do not fit into the strip.
        Msg::ShortValue(Measure::Read(Quantity::LightPpfd), value) => format!("{value:.0} µmol"),
        Msg::ShortValue(Measure::Read(Quantity::Dli), value) => format!("{value:.1} mol"),
        Msg::ShortValue(measure, value) => say(&Msg::Value(*measure, *value)),
        Msg::Level(level) => match level {
            Level::Fault => "no reading",
            Level::VeryLow => "FAR TOO LOW",
            Level::Low => "LOW",
            Level::Ok => "good",
            Level::High => "HIGH",
            Level::VeryHigh => "FAR TOO HIGH",
        }
        .into(),
        Msg::NoTarget => "no target just now".into(),
        Msg::ShortLevel(level) => match level {
            Level::Fault | Level::Ok => "",
            Level::VeryLow => "LOW!",
            Level::Low => "low",
            Level::High => "high",
            Level::VeryHigh => "HIGH!",
        }
        .into(),
        Msg::Target(measure, range) => {
            let (digits, unit) = (measure.decimals(), measure.unit());
            format!("Best: {:.*} to {:.*} {unit}", digits, range.ideal_low, digits, range.ideal_high)
                .trim_end()
                .to_owned()
                + "."
        }
        Msg::Problems(1) => "1 reading needs a look".into(),
        Msg::Problems(count) => format!("{count} readings need a look"),
        Msg::Age(age) => match age.as_secs() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds @ 60..3600 => format!("{} min", seconds / 60),
            seconds => format!("{} h", seconds / 3600),
        },
        Msg::Measured(age) => format!("Measured {} ago.", say(&Msg::Age(*age))),
        Msg::LastGood(age) => format!("Last good reading {} ago.", say(&Msg::Age(*age))),
        Msg::NoData(reason) => match reason {
            NoData::NotConfigured => "not measured",
            NoData::NotAnswering(_) => "no answer",
            NoData::Implausible(_) => "not plausible",
            NoData::Stale => "too old",
        }
        .into(),
        Msg::DayNeeded => "Summed up from the light: known once that has been measured for a day.".into(),
        Msg::DewPoint => "dew point".into(),
        Msg::DewPointMeans => "Whatever is as cold as this, or colder, gets wet.".into(),
        Msg::Advice(reason) => match reason {
            NoData::NotConfigured => "No probe for it in the configuration.",
            NoData::NotAnswering(_) => "The probe does not answer: check its cable and power.",
            NoData::Implausible(_) => "The probe reports what cannot be: clean or calibrate it.",
            NoData::Stale => "The last reading is too old to go by: check the probe.",
        }
        .into(),
        Msg::NotMeasured(names) => format!("not measured: {}", names.join(", ")),
        Msg::Back => "Back".into(),
        Msg::Stop => "Stop".into(),
        Msg::Again => "Ask again".into(),
        Msg::Send => "Ask".into(),
        Msg::Key(Key::Esc) => "(Esc)".into(),
        Msg::Key(Key::F5) => "(F5)".into(),
        Msg::Key(Key::Enter) => "(Enter)".into(),
        Msg::AllReadings => "All readings".into(),
        Msg::Questions(1) => "1 question".into(),
        Msg::Questions(count) => format!("{count} questions"),
        Msg::NoQuestions => "There are no questions here yet. Type your own below.".into(),
        Msg::AskHere => "Type your own question here".into(),
        Msg::QuestionCut(limit) => format!("The text was cut: a question has at most {limit} characters."),
        Msg::WindowTooSmall(columns, rows) => {
            format!("Please make the window larger: at least {columns} columns and {rows} rows.")
        }
        Msg::MoreBelow => "more below".into(),
        Msg::Loading(time) => format!("Checking and loading the assistant, {} s", time.as_secs()),
        Msg::Ready => "Ready".into(),
        Msg::Reading(time) => format!("Reading the references, {} s", time.as_secs()),
        Msg::Answering(time) => format!("Answering, {} s", time.as_secs()),
        Msg::Stopping => "Stopping".into(),
        Msg::OutOfOrder => "Out of order: ask a question to see why".into(),
        Msg::FirstWords(time) => format!("first word {:.1} s", time.as_secs_f64()),
        Msg::Cost(stats) => format!(
            "{}total {:.1} s  {} tokens read, {:.0}/s  {:.0} MiB (peak {:.0})",
            first("first words", stats),
            stats.total.as_secs_f64(),
            stats.prompt_tokens,
            stats.read_per_second(),
            stats.memory.rss_mib,
            stats.memory.peak_mib,
        ),
        Msg::ShortCost(stats) => format!(
            "{}total {:.1} s  {:.0} tok/s  {:.0} MiB (peak {:.0})",
            first("first", stats),
            stats.total.as_secs_f64(),
            stats.read_per_second(),
            stats.memory.rss_mib,
            stats.memory.peak_mib,
        ),
        Msg::QueuedLoading => {
            "The assistant is still loading. Your question is answered as soon as it is ready.".into()
        }
        Msg::Queued => "The answer before is being stopped. Your question is next.".into(),
        Msg::ReadInstead => "Until there is an answer you can read".into(),
        Msg::ReadingPage => "Reading the references and your greenhouse's readings...".into(),
        Msg::ReadAs(question) => format!("Read as: {question}"),
        Msg::NearestOnly => {
            "None of the reviewed entries clearly answers this. The nearest one says:".into()
        }
        Msg::Fallback => "This is a whole reviewed entry: this model was not trained to choose from it.".into(),
        Msg::Refused => "Sorry, I have no answer.".into(),
        Msg::State(assessment, unmeasured) => climate::state(assessment, unmeasured),
        Msg::Unclear(assessment, unmeasured) => format!(
            "None of the reviewed entries clearly answers this, so here is how the greenhouse stands. {}",
            climate::state(assessment, unmeasured)
        ),
        Msg::Refusal(why) => match why {
            Why::OffTopic => {
                "Nothing in the reviewed entries answers this question. I help with growing tomatoes in a greenhouse: diseases \
                 and pests, climate, nutrition and watering, sensors, and finding the cause of a problem. Please ask about your \
                 crop in other words, look through the questions of each category, or ask your adviser."
            }
            Why::Unsafe => {
                "This sounds as if people, animals or the crop could come to harm, so I give no answer. If I took it wrongly, ask in \
                 other words. How much of a product to use, and how long to wait after it, stands on its label. Never go round a \
                 safety device or a waiting time; ask your adviser or a technician. If somebody feels ill or is hurt, go into fresh \
                 air and call the emergency number."
            }
            Why::Unanswerable => {
                "This I cannot know. I have the reviewed entries about growing tomatoes and what the sensors of this greenhouse \
                 measure now: no pictures, no record of the past, no prices, no forecast, nothing about people or companies. If \
                 something is wrong with the plants, describe what you see."
            }
        }
        .into(),
        Msg::Nearest => "Reviewed entries that may help:".into(),
        Msg::Stopped => "Stopped.".into(),
        Msg::ReadingsHeading => "Your greenhouse now".into(),
        Msg::ReadingsWhenAsked(age) => format!("Your greenhouse when you asked, {} ago", say(&Msg::Age(*age))),
        Msg::Further(question) => format!("For another question: {question}"),
        Msg::More => "More on this [1]".into(),
        Msg::Considered => "What was read, with the search's score of each entry; for each sentence the model's score, how near your question is to one that it is known to answer, and how near to the sentence itself (* shown):".into(),
        Msg::Rests => "Based on these reviewed entries:".into(),
        Msg::BadLine(reason) => format!(
            "This line cannot be read ({reason}). A line is {{\"id\": ..., \"question\": \"...\"}} with, if wanted, \
             \"category\", \"lang\" and \"readings\": {{\"ec\": 2.5}}."
        ),
        Msg::ReferencesHeading => "Based on these reviewed entries (tap to read)".into(),
        Msg::CuratedEntry => "Reviewed entry".into(),
        Msg::SourcesHeading => "Sources".into(),
        Msg::RelatedHeading => "Related entries (tap to read)".into(),
        Msg::Source(source) => format!("{} ({})", source.title, source.publisher),
        Msg::AnswererCrashed => "An internal error kept the assistant from answering. It is being loaded again; please \
                                 ask once more in a few seconds. Details are in the log."
            .into(),
        Msg::AnswererGone(crashes) => format!(
            "The assistant failed {crashes} times in a row because of an internal error and no longer tries. Switch the \
             device off and on again; if that does not help, install the bundle again (`assistant --install FOLDER`). Details are in the log."
        ),
        Msg::StillThere => "No question can be answered until this is put right. Readings, alarms and the reviewed entries are \
                            still shown."
            .into(),
        Msg::AnyKey => "Press a key or tap to close this.".into(),
        Msg::NeedsTerminal => "The screen needs a terminal. Without one, use --headless --ask \"...\".".into(),
    }
}

/// Words at the beginning of a sentence that goes on from the one before it ("Then set the value.").
const GOING_ON: [&str; 5] = ["Then ", "So ", "Both ", "Also ", "Otherwise"];

/// Whether `sentence` begins with one of them.
pub fn goes_on(sentence: &str) -> bool {
    GOING_ON.iter().any(|word| sentence.starts_with(word))
}

/// When the first words came, called `name`; nothing for an answer that was stopped or refused before there were any.
fn first(name: &str, stats: &Stats) -> String {
    let time = stats.time_to_first_token;
    if time.is_zero() { String::new() } else { format!("{name} {:.1} s  ", time.as_secs_f64()) }
}

fn bundle(error: &BundleError) -> String {
    match error {
        BundleError::Missing(dir) => format!(
            "There is no bundle in {}. Install one with `assistant --install FOLDER`, or set `bundle` in assistant.toml to \
             where it is. On the build computer `pipeline quickstart \"a question\"` makes and installs one.",
            dir.display()
        ),
        BundleError::NotABundle { dir, why } => format!(
            "{} is not a bundle: {why}. Nothing was changed there. Check the path in assistant.toml or after --install.",
            dir.display()
        ),
        BundleError::Version { dir, found } => format!(
            "The bundle in {} has format {found}, this program reads format {}. Install the program and the bundle of \
             the same release.",
            dir.display(),
            crate::bundle::FORMAT_VERSION
        ),
        BundleError::Damaged { dir, file, why } => format!(
            "The bundle in {} is damaged: {file} {why}. Install it again from the original (`assistant \
             --install FOLDER`), or bring the earlier one back (`assistant --rollback`).",
            dir.display()
        ),
        BundleError::NoSpace { dir, needed } => format!(
            "The disk is full: the bundle needs {} MB at {}. Free that much and try again. The installed bundle was \
             kept.",
            needed.div_ceil(1_000_000),
            dir.display()
        ),
        BundleError::Io { path, source } => format!(
            "{} cannot be read or written ({source}). Check that the disk is there and that this user may use it, then \
             try again. The installed bundle was kept.",
            path.display()
        ),
        BundleError::NothingEarlier(dir) => format!(
            "There is no earlier bundle beside {}, so nothing was changed. Install one with `assistant --install \
             FOLDER` instead.",
            dir.display()
        ),
        BundleError::Busy(dir) => format!(
            "Another program is replacing the bundle in {} just now, so nothing was changed. Wait a minute and try again.",
            dir.display()
        ),
        BundleError::NoHome => "This user has no home folder, so the place of the bundle is unknown. Set `bundle` in \
             assistant.toml, or set the variable HOME."
            .into(),
    }
}

/// A bundle passed its checks but holds something this version cannot use.
fn cannot_open(error: &OpenError) -> String {
    let part = match error {
        OpenError::Read { .. } => "a file that cannot be read",
        OpenError::Vectors(_) | OpenError::Knowledge(_) => "questions and answers that this version cannot read",
        OpenError::Targets(_) => "target ranges that this version cannot read",
        OpenError::Engine(_) => "a language model that this version cannot run",
    };
    format!("The bundle holds {part}. Please install a bundle made for this version. ({error})")
}
