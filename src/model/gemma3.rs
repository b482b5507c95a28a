//! THE Gemma 3: the one place where its mathematics is written, for training and inference, f32 and quantized.
//!
//! Turns token ids into hidden states and logits. Does NOT know files, tokenizers or sampling.
//! Source: "Gemma 3 Technical Report" (arXiv 2503.19786) and transformers' `modeling_gemma3.py`; where the two reference
//! implementations round differently (the embedding scale) this follows llama.cpp: plain f32.

use super::{
    cache::KvCache,
    config::Config,
    linear::{Embedding, Linear},
    ops::{Pass, Rope, gated, masked_softmax, rms_norm},
};
use candle_core::{Device, Result, Tensor};

/// The weights of one layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Before attention, (hidden): all norm weights here are effective ones, Gemma's 1 + w.
    pub attention_norm: Tensor,
    /// (heads * head, hidden)
    pub query: Linear,
    /// (kv_heads * head, hidden)
    pub key: Linear,
    /// (kv_heads * head, hidden)
    pub value: Linear,
    /// (hidden, heads * head)
    pub output: Linear,
    /// On each query head, (head).
    pub query_norm: Tensor,
    /// On each key head, (head).
    pub key_norm: Tensor,
    /// After attention, (hidden).
    pub post_attention_norm: Tensor,
    /// Before the MLP, (hidden).
    pub mlp_norm: Tensor,
    /// (width, hidden)
    pub gate: Linear,
    /// (width, hidden)
    pub up: Linear,
    /// (hidden, width)
    pub down: Linear,
    /// After the MLP, (hidden).
    pub post_mlp_norm: Tensor,
}

impl Layer {
    /// All matrices, in the order of the fields.
    pub fn matrices(&mut self) -> [&mut Linear; 7] {
        let Layer { query, key, value, output, gate, up, down, .. } = self;
        [query, key, value, output, gate, up, down]
    }
}

/// What a layer's matrices read, in the order in which it comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Site {
    /// Query, key and value read the normed stream, (batch, tokens, hidden).
    Attention,
    /// The output matrix reads the mixed values, (batch, tokens, heads * head).
    Output,
    /// Gate and up read the normed stream, (batch, tokens, hidden).
    Ffn,
    /// The down matrix reads the neurons, (batch, tokens, width).
    Down,
}

/// Gets the index of a layer, and what is read at one of its sites.
pub type Observe<'a> = dyn FnMut(usize, Site, &Tensor) -> Result<()> + 'a;

/// A Gemma 3 text model with its weights. Immutable; working memory is in [`KvCache`].
#[derive(Clone, Debug)]
pub struct Gemma3 {
    /// Its shape.
    pub config: Config,
    /// Token table and output head.
    pub embedding: Embedding,
    /// From the input to the output.
    pub layers: Vec<Layer>,
    /// Before the head, (hidden).
    pub norm: Tensor,
    rope: Rope,
    rope_local: Rope,
    device: Device,
}

impl Gemma3 {
    /// Puts a model together that can read up to `positions` tokens.
    ///
    /// # Errors
    /// A config whose number of layers differs from the weights'.
    pub fn new(
        config: Config,
        embedding: Embedding,
        layers: Vec<Layer>,
        norm: Tensor,
        positions: usize,
    ) -> Result<Self> {
        if config.windows.len() != layers.len() {
            candle_core::bail!("{} layers described, {} found", config.windows.len(), layers.len());
        }
        let device = norm.device().clone();
        let rope = Rope::new(config.rope_theta, config.head, positions, &device)?;
        let rope_local = Rope::new(config.rope_local_theta, config.head, positions, &device)?;
        Ok(Self { config, embedding, layers, norm, rope, rope_local, device })
    }

    /// Where its weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// An empty cache that fits this model.
    pub fn cache(&self) -> KvCache {
        KvCache::new(&self.config.windows)
    }

    /// Reads `ids` (batch, tokens; u32) to hidden states (batch, tokens, hidden) after the last norm.
    ///
    /// With a cache, the ids continue what it holds, and the batch is 1; without one they start at position 0.
    ///
    /// # Errors
    /// An id outside the vocabulary, more positions than the model was made for.
    pub fn forward(&self, ids: &Tensor, pass: Pass, cache: Option<&mut KvCache>) -> Result<Tensor> {
        self.forward_observed(ids, pass, cache, &mut |_, _, _| Ok(()))
    }

    /// The same; `observe` sees what each layer's matrices read.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward) and of `observe`.
    pub fn forward_observed(
        &self,
        ids: &Tensor,
        pass: Pass,
        mut cache: Option<&mut KvCache>,
        observe: &mut Observe,
    ) -> Result<Tensor> {
        let tokens = ids.dim(1)?;
        let position = cache.as_ref().map_or(0, |cache| cache.position());
        let mut x = (self.embedding.rows(ids)? * (self.config.hidden as f64).sqrt())?;
        let mut masks = Masks::new(position, tokens, &self.device);
        for (index, layer) in self.layers.iter().enumerate() {
            let h = rms_norm(&x, &layer.attention_norm, self.config.norm_epsilon, pass)?;
            observe(index, Site::Attention, &h)?;
            let mixed = self.attention(index, &h, position, pass, &mut masks, cache.as_deref_mut())?;
            observe(index, Site::Output, &mixed)?;
            let h = layer.output.forward(&mixed)?;
            x = (x + rms_norm(&h, &layer.post_attention_norm, self.config.norm_epsilon, pass)?)?;
            let h = rms_norm(&x, &layer.mlp_norm, self.config.norm_epsilon, pass)?;
            observe(index, Site::Ffn, &h)?;
            let neurons = gated(&layer.gate.forward(&h)?, &layer.up.forward(&h)?)?;
            observe(index, Site::Down, &neurons)?;
            let h = layer.down.forward(&neurons)?;
            x = (x + rms_norm(&h, &layer.post_mlp_norm, self.config.norm_epsilon, pass)?)?;
        }
        if let Some(cache) = cache {
            cache.advance(tokens);
        }
        rms_norm(&x, &self.norm, self.config.norm_epsilon, pass)
    }

    /// Scores of the whole vocabulary: (batch, tokens, hidden) to (batch, tokens, vocabulary).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        self.embedding.logits(hidden)
    }

    /// `x` (batch, tokens, hidden) to the mixed values (batch, tokens, heads * head).
    fn attention(
        &self,
        index: usize,
        x: &Tensor,
        position: usize,
        pass: Pass,
        masks: &mut Masks,
        cache: Option<&mut KvCache>,
    ) -> Result<Tensor> {
        let (batch, tokens, _) = x.dims3()?;
        let Config { heads, kv_heads, head, norm_epsilon, query_scalar, .. } = self.config;
        let layer = &self.layers[index];
        let window = self.config.windows[index];
        let rope = if window.is_some() { &self.rope_local } else { &self.rope };
        let split = |x: Tensor, heads: usize| x.reshape((batch, tokens, heads, head))?.transpose(1, 2);

        let queries = rms_norm(&split(layer.query.forward(x)?, heads)?, &layer.query_norm, norm_epsilon, pass)?;
        let keys = rms_norm(&split(layer.key.forward(x)?, kv_heads)?, &layer.key_norm, norm_epsilon, pass)?;
        let values = split(layer.value.forward(x)?, kv_heads)?;
        let queries = (rope.rotate(&queries, position, pass)? * query_scalar.powf(-0.5))?;
        let keys = rope.rotate(&keys, position, pass)?;
        let (keys, values, first) = match cache {
            Some(cache) => cache.append(index, &keys, &values)?,
            None => (keys, values, 0),
        };

        // The query heads that share a key head are stacked along the tokens, so that keys are never repeated.
        let group = heads / kv_heads;
        let seen = keys.dim(2)?;
        let queries = queries.reshape((batch, kv_heads, group * tokens, head))?;
        let scores = queries.matmul(&keys.transpose(2, 3)?)?;
        let mask = masks.get(first, seen, window)?;
        let mixed = masked_softmax(&scores, mask.as_ref(), pass)?.matmul(&values.contiguous()?)?;
        mixed.reshape((batch, heads, tokens, head))?.transpose(1, 2)?.reshape((batch, tokens, heads * head))
    }
}

/// A mask with what it was made for: position of the first key, number of keys, window.
type Made = ((usize, usize, Option<usize>), Tensor);

/// The additive masks of one forward pass; made once a kind of layer, not once a layer.
struct Masks<'a> {
    position: usize,
    tokens: usize,
    device: &'a Device,
    made: Vec<Made>,
}

impl<'a> Masks<'a> {
    fn new(position: usize, tokens: usize, device: &'a Device) -> Self {
        Self { position, tokens, device, made: Vec::new() }
    }

    /// (tokens, seen): 0 where the token may see the key, minus infinity where not. Keys stand at positions
    /// `first .. first + seen`. None when every token may see every key: a single new token always may, since the
    /// cache hands out no more than its window.
    fn get(&mut self, first: usize, seen: usize, window: Option<usize>) -> Result<Option<Tensor>> {
        if self.tokens == 1 && window.is_none_or(|window| seen <= window) {
            return Ok(None);
        }
        let kind = (first, seen, window);
        if let Some((_, mask)) = self.made.iter().find(|(made, _)| *made == kind) {
            return Ok(Some(mask.clone()));
        }
        let mut mask = Vec::with_capacity(self.tokens * seen);
        for query in self.position..self.position + self.tokens {
            for key in first..first + seen {
                let visible = key <= query && window.is_none_or(|window| query - key < window);
                mask.push(if visible { 0f32 } else { f32::NEG_INFINITY });
            }
        }
        let mask = Tensor::from_vec(mask, (self.tokens, seen), self.device)?;
        self.made.push((kind, mask.clone()));
        Ok(Some(mask))
    }
}
