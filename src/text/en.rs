//! English. The only file with English words for growers.

use super::Msg;
use crate::{
    bundle::BundleError,
    climate::{NoData, Quantity},
    knowledge::Category,
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
        }
        .into(),
        Msg::Bundle(error) => bundle(error),
        Msg::EmptyQuestion => "Please type a question first.".into(),
        Msg::ReferencesDropped(count) => format!("({count} reference(s) left out: the question is very long.)"),
        Msg::Verbatim(words) => (*words).into(),

        Msg::ShortQuantity(quantity) => match quantity {
            Quantity::AirTemperature => "air",
            Quantity::RelativeHumidity => "humidity",
            Quantity::Co2 => "CO2",
            Quantity::LightPpfd => "light",
            Quantity::RootTemperature => "root",
            Quantity::Ph => "pH",
            Quantity::Ec => "EC",
            Quantity::SubstrateMoisture => "moisture",
        }
        .into(),
        Msg::Value(Quantity::LightPpfd, value) => format!("{value:.0} µmol/m²/s"),
        Msg::Value(quantity, value) | Msg::ShortValue(quantity, value) => match quantity {
            Quantity::AirTemperature | Quantity::RootTemperature => format!("{value:.1} °C"),
            Quantity::RelativeHumidity | Quantity::SubstrateMoisture => format!("{value:.0} %"),
            Quantity::Co2 => format!("{value:.0} ppm"),
            Quantity::LightPpfd => format!("{value:.0} µmol"),
            Quantity::Ph => format!("{value:.1}"),
            Quantity::Ec => format!("{value:.1} mS/cm"),
        },
        Msg::Age(age) => match age.as_secs() {
            seconds @ 0..60 => format!("{seconds} s"),
            seconds @ 60..3600 => format!("{} min", seconds / 60),
            seconds => format!("{} h", seconds / 3600),
        },
        Msg::Measured(age) => format!("measured {} ago", say(&Msg::Age(*age))),
        Msg::NoData(reason) => match reason {
            NoData::NotConfigured => "not measured",
            NoData::NotAnswering(_) => "no answer",
            NoData::Implausible(_) => "not plausible",
            NoData::Stale => "too old",
        }
        .into(),
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
        Msg::Loading(time) => format!("Loading the assistant, {} s", time.as_secs()),
        Msg::Ready => "Ready".into(),
        Msg::Reading(time) => format!("Reading the references, {} s", time.as_secs()),
        Msg::Answering(time) => format!("Answering, {} s", time.as_secs()),
        Msg::Stopping => "Stopping".into(),
        Msg::OutOfOrder => "Out of order".into(),
        Msg::FirstWords(time) => format!("first word {:.1} s", time.as_secs_f64()),
        Msg::Cost(stats) => format!(
            "first word {:.1} s  total {:.1} s  {:.1} tokens/s  {:.0} MB (peak {:.0})",
            stats.time_to_first_token.as_secs_f64(),
            stats.total.as_secs_f64(),
            stats.tokens_per_second(),
            stats.memory.rss_mib,
            stats.memory.peak_mib,
        ),
        Msg::Queued => "The assistant is still busy. Your question is next.".into(),
        Msg::ReadMeanwhile => "Meanwhile you can read".into(),
        Msg::ReadingPage => "Reading the references and your greenhouse's readings...".into(),
        Msg::Fallback => "This is the reviewed entry itself: the model's own words were not good enough.".into(),
        Msg::Declined => "This is not about growing tomatoes in a greenhouse.".into(),
        Msg::Stopped => "Stopped.".into(),
        Msg::ReadingsHeading => "Your greenhouse now".into(),
        Msg::ReferencesHeading => "Based on these reviewed entries (tap to read)".into(),
        Msg::CuratedEntry => "Reviewed entry".into(),
        Msg::SourcesHeading => "Sources".into(),
        Msg::Source(source) => format!("{} ({})", source.title, source.publisher),
        Msg::AnswererCrashed => "The assistant stopped because of an internal error. Please restart the device.".into(),
        Msg::WorkerGone => "No question can be answered now. Please restart the device; the reviewed entries can \
                            still be read."
            .into(),
        Msg::NeedsTerminal => "The screen needs a terminal. Without one, use --headless --ask \"...\".".into(),
    }
}

fn bundle(error: &BundleError) -> String {
    match error {
        BundleError::Missing(dir) => format!(
            "No bundle is installed in {}. On the build computer run `pipeline quickstart \"a question\"`, or copy a \
             bundle folder to that place, or set `bundle` in assistant.toml to where it is.",
            dir.display()
        ),
        BundleError::NotABundle { dir, why } => format!(
            "{} is not a bundle: {why}. Nothing was changed there. Check the path in assistant.toml or after --bundle.",
            dir.display()
        ),
        BundleError::Version { dir, found } => format!(
            "The bundle in {} has format {found}, this program reads format {}. Install the program and the bundle of \
             the same release.",
            dir.display(),
            crate::bundle::FORMAT_VERSION
        ),
        BundleError::Damaged { dir, file, why } => format!(
            "The bundle in {} is damaged: {file} {why}. Install it again from the original, or roll back to the \
             earlier one.",
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
            "There is no earlier bundle beside {}, so nothing was rolled back. Install a bundle instead.",
            dir.display()
        ),
        BundleError::NoHome => "This user has no home folder, so the place of the bundle is unknown. Set `bundle` in \
             assistant.toml, or set the variable HOME."
            .into(),
    }
}
