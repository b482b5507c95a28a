//! Keys and values of the tokens read so far: all the working memory of inference, apart from the weights.
//!
//! A global layer keeps every token, a sliding layer only those its window can still see. Does NOT know masks' values,
//! only which positions it holds.

use candle_core::{Result, Tensor};

/// Tokens by which a buffer grows.
const STEP: usize = 128;

/// Tokens by which a sliding buffer is longer than its window and the tokens at hand, so that it is moved down once in
/// so many decoded tokens instead of at every one.
const SLACK: usize = 64;

/// Keys and values of all layers.
#[derive(Debug)]
pub struct KvCache {
    layers: Vec<Layer>,
    position: usize,
}

impl KvCache {
    /// An empty cache; `windows` has one element a layer: the sliding window, or None for a global layer.
    pub fn new(windows: &[Option<usize>]) -> Self {
        Self { layers: windows.iter().map(|&window| Layer { window, ..Layer::default() }).collect(), position: 0 }
    }

    /// Tokens read so far: the position of the next one.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets everything; keeps the buffers.
    pub fn clear(&mut self) {
        self.position = 0;
        for layer in &mut self.layers {
            (layer.first, layer.length) = (0, 0);
        }
    }

    /// Called once a forward pass, after all layers have appended.
    pub(super) fn advance(&mut self, tokens: usize) {
        self.position += tokens;
    }

    /// Appends keys and values of new tokens, (1, heads, tokens, head) each, to layer `index`; returns those that the
    /// new tokens may see, oldest first, and the position of the first.
    pub(super) fn append(&mut self, index: usize, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor, usize)> {
        self.layers[index].append(keys, values)
    }
}

#[derive(Debug, Default)]
struct Layer {
    window: Option<usize>,
    /// (1, heads, capacity, head): keys and values.
    buffers: Option<(Tensor, Tensor)>,
    /// Position of the first token held.
    first: usize,
    /// Tokens held.
    length: usize,
}

impl Layer {
    fn append(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor, usize)> {
        let tokens = keys.dim(2)?;
        self.make_room(keys, tokens)?;
        let Some((key_buffer, value_buffer)) = &self.buffers else {
            candle_core::bail!("no room was made in the cache");
        };
        key_buffer.slice_set(&keys.contiguous()?, 2, self.length)?;
        value_buffer.slice_set(&values.contiguous()?, 2, self.length)?;
        self.length += tokens;
        // The first new token sees `window - 1` before itself; later ones are masked by the caller.
        let seen = self.window.map_or(self.length, |window| self.length.min(window - 1 + tokens));
        let skipped = self.length - seen;
        Ok((key_buffer.narrow(2, skipped, seen)?, value_buffer.narrow(2, skipped, seen)?, self.first + skipped))
    }

    /// Makes the buffers long enough for `tokens` more, dropping what a sliding window can no longer see.
    fn make_room(&mut self, like: &Tensor, tokens: usize) -> Result<()> {
        let capacity = match &self.buffers {
            Some((keys, _)) => keys.dim(2)?,
            None => 0,
        };
        if self.length + tokens <= capacity {
            return Ok(());
        }
        let kept = self.window.map_or(self.length, |window| self.length.min(window - 1));
        let capacity = capacity.max((kept + tokens).next_multiple_of(STEP) + self.window.map_or(0, |_| SLACK));
        let (batch, heads, _, head) = like.dims4()?;
        let grown = |old: Option<&Tensor>| -> Result<Tensor> {
            let new = Tensor::zeros((batch, heads, capacity, head), like.dtype(), like.device())?;
            if let (Some(old), true) = (old, kept > 0) {
                new.slice_set(&old.narrow(2, self.length - kept, kept)?.contiguous()?, 2, 0)?;
            }
            Ok(new)
        };
        let old = self.buffers.take();
        let keys = grown(old.as_ref().map(|(keys, _)| keys))?;
        let values = grown(old.as_ref().map(|(_, values)| values))?;
        self.buffers = Some((keys, values));
        (self.first, self.length) = (self.first + self.length - kept, kept);
        Ok(())
    }
}
