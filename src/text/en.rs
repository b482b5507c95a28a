//! English. The only file with English words for growers.

use super::Msg;
use crate::{climate::Quantity, knowledge::Category};

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
        Msg::EmptyQuestion => "Please type a question first.".into(),
        Msg::ReferencesDropped(count) => format!("({count} reference(s) left out: the question is very long.)"),
        Msg::Verbatim(words) => (*words).into(),
    }
}
