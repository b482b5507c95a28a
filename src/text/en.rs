//! English. The only file with English words for growers.

use super::Msg;
use crate::{bundle::BundleError, climate::Quantity, knowledge::Category};

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
