//! Physical limits: the `[limits]` of `targets.toml` -> for each quantity the interval in which a reading can be true.
//!
//! ONE place of truth: the table is compiled in, because typed and measured values are checked before a bundle is open and
//! without one. The bundle carries the same file for its ranges; where its limits differ, program and bundle are of
//! different releases, and `Targets::parse` refuses it rather than let two tables hold. Does NOT judge.

use super::Quantity;
use serde::Deserialize;
use std::{collections::BTreeMap, sync::LazyLock};

/// The closed interval in which a reading can be true, in the quantity's unit.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(from = "[f32; 2]")]
pub struct Limits {
    /// Lowest value that can be true.
    pub min: f32,
    /// Highest value that can be true.
    pub max: f32,
}

impl From<[f32; 2]> for Limits {
    fn from([min, max]: [f32; 2]) -> Self {
        Self { min, max }
    }
}

/// The `[limits]` table.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Table {
    /// Names under `[sources]`.
    pub(super) source: Vec<String>,
    #[serde(flatten)]
    limits: BTreeMap<Quantity, Limits>,
}

impl Table {
    /// A quantity whose limits are not those that this program was built with.
    pub(super) fn foreign(&self) -> Option<Quantity> {
        Quantity::ALL.into_iter().find(|quantity| self.limits.get(quantity) != Some(&quantity.limits()))
    }
}

/// The limits compiled in, in the order of [`Quantity::ALL`].
static LIMITS: LazyLock<[Limits; Quantity::ALL.len()]> = LazyLock::new(|| {
    #[derive(Deserialize)]
    struct File {
        limits: Table,
    }
    let file: File = toml::from_str(include_str!("../../data/targets.toml")).expect("tests parse this very file");
    Quantity::ALL.map(|quantity| file.limits.limits[&quantity])
});

impl Quantity {
    /// Physical limits: outside of them the probe is at fault, whatever the greenhouse does.
    pub fn limits(self) -> Limits {
        LIMITS[self as usize]
    }

    /// Whether `value` can be true. NaN and infinities cannot.
    pub fn is_plausible(self, value: f32) -> bool {
        // Comparisons with NaN are false, so NaN needs no case of its own.
        value >= self.limits().min && value <= self.limits().max
    }
}
