//! A model without some of its layers.
//!
//! Whether a layer slides or sees everything goes with it: it is stored for each, not derived from its place. Does NOT
//! know which layers should go.

use candle_core::Result;
use tomato_assistant::model::gemma3::Gemma3;

/// `model` without the layers at the places `removed`.
///
/// # Errors
/// A place that it does not have.
pub fn without(model: &Gemma3, removed: &[usize]) -> Result<Gemma3> {
    if let Some(place) = removed.iter().find(|place| **place >= model.layers.len()) {
        candle_core::bail!("there is no layer {place} to remove");
    }
    let mut smaller = model.clone();
    let stays = |place: usize| !removed.contains(&place);
    smaller.layers = kept(&model.layers, stays);
    smaller.config.windows = kept(&model.config.windows, stays);
    Ok(smaller)
}

/// What stands at the places that stay.
pub fn kept<T: Clone>(all: &[T], stays: impl Fn(usize) -> bool) -> Vec<T> {
    all.iter().enumerate().filter(|(place, _)| stays(*place)).map(|(_, one)| one.clone()).collect()
}
