//! A model with layers and neurons gone, beside the checkpoint that it was made from.
//!
//! Turns into the config and the tensors of the smaller checkpoint: which of them are copied, from where, and which are
//! new. Does NOT know why they are what they are.

use tomato_assistant::model::{gemma3::Gemma3, linear::Linear};

use super::{
    super::config_json::{Config, Widths},
    layers,
    record::Record,
    way::widths,
};

/// What layers' names begin with, in Hugging Face's naming.
const LAYERS: &str = "model.layers.";

/// A model with less in it.
pub struct Smaller {
    /// The last one that passed.
    pub model: Gemma3,
    /// Places of its layers in the whole model.
    pub layers: Vec<usize>,
    /// How it came about.
    pub record: Record,
}

impl Smaller {
    /// Its config, that of the whole model being `whole`. Layers that are equally wide have one width, as transformers
    /// and llama.cpp want it.
    ///
    /// # Errors
    /// A weight that is no matrix.
    pub fn config(&self, whole: &Config) -> candle_core::Result<Config> {
        let each: Vec<u32> = widths(&self.model)?.into_iter().map(|width| width as u32).collect();
        let same = each.iter().all(|width| *width == each[0]);
        Ok(Config {
            num_hidden_layers: self.layers.len() as u32,
            layer_types: layers::kept(&whole.layer_types, |place| self.layers.contains(&place)),
            intermediate_size: if same { Widths::All(each[0]) } else { Widths::Each(each) },
            ..whole.clone()
        })
    }

    /// What the whole checkpoint calls its tensor `name`.
    pub fn original(&self, name: &str) -> String {
        match self.place(name) {
            Some((place, part)) => format!("{LAYERS}{}.{part}", self.layers[place]),
            None => name.into(),
        }
    }

    /// The numbers of its tensor `name` where they are not those of the whole checkpoint, whose layers are `width` wide.
    ///
    /// # Errors
    /// A layer that is not f32.
    pub fn changed(&self, name: &str, width: usize) -> candle_core::Result<Option<Vec<f32>>> {
        let Some((place, part)) = self.place(name) else { return Ok(None) };
        let layer = &self.model.layers[place];
        let matrix = match part {
            "mlp.gate_proj.weight" => &layer.gate,
            "mlp.up_proj.weight" => &layer.up,
            "mlp.down_proj.weight" => &layer.down,
            _ => return Ok(None),
        };
        match matrix {
            _ if layer.gate.rows()? == width => Ok(None),
            Linear::Dense(weight) => Ok(Some(weight.flatten_all()?.to_vec1()?)),
            _ => candle_core::bail!("{name} is not f32"),
        }
    }

    /// Place of a layer in this model, and the part of it that `name` is.
    fn place<'a>(&self, name: &'a str) -> Option<(usize, &'a str)> {
        let (place, part) = name.strip_prefix(LAYERS)?.split_once('.')?;
        Some((place.parse().ok().filter(|place| *place < self.layers.len())?, part))
    }
}
