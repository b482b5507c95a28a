//! Every word shown to a grower, one file per language.
//!
//! Turns a [`Msg`] into words. A language is one file with one function, so the compiler finds a missing message.
//! Does NOT know screens or terminals; nothing here may assume Latin text or one cell a character.

mod en;

/// A language the appliance can speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// English.
    #[default]
    En,
}

impl Lang {
    /// The words for `msg` in this language.
    pub fn say(self, msg: &Msg) -> String {
        match self {
            Lang::En => en::say(msg),
        }
    }
}

/// Everything the appliance can say.
#[derive(Clone, Debug)]
pub enum Msg<'a> {
    /// Name of the appliance.
    AppName,
    /// Name of a category.
    Category(crate::knowledge::Category),
    /// Name of a quantity.
    Quantity(crate::climate::Quantity),
    /// The question is empty.
    EmptyQuestion,
    /// Why there is no usable bundle, and what to do about it.
    Bundle(&'a crate::bundle::BundleError),
    /// A reference was left out because the question was long.
    ReferencesDropped(usize),
    /// Placeholder until more are needed.
    Verbatim(&'a str),
}
