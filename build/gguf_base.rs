//! A base model in one GGUF file, read through candle.
//!
//! Turns its metadata into a config, its vocabulary into pieces, its tensors into rows of f32 by Hugging Face name.
//! Does NOT trust the file: every tensor is held against the file's length before a byte of it is read.

use super::{
    config_json::{Config, TokenIds, Widths, layer_types},
    import::{HEAD, ImportError, Layout},
    tokenizer_json::Vocabulary,
};
use candle_core::{
    Device, Shape,
    quantized::gguf_file::{Content, TensorInfo, Value},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};
use tomato_assistant::model::weights::ggml_name;

/// An opened file.
pub struct GgufBase {
    /// What the metadata says.
    pub config: Config,
    path: PathBuf,
    file: File,
    content: Content,
    /// Hugging Face name to the name in the file.
    names: HashMap<String, String>,
}

impl GgufBase {
    /// Reads metadata and tensor table. Errors: damaged anywhere, or another architecture.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let io = |source| ImportError::io(path, source);
        let damaged = |reason: String| ImportError::Damaged { path: path.into(), reason };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        refuse_zero_alignment(&mut file, path)?;
        let content = Content::read(&mut file).map_err(|error| damaged(error.to_string()))?;
        for (name, info) in &content.tensor_infos {
            let start = content.tensor_data_offset.checked_add(info.offset);
            let end = byte_size(info).zip(start).and_then(|(size, start)| start.checked_add(size));
            if end.is_none_or(|end| end > length) {
                return Err(damaged(format!("tensor {name} reaches past the end of the file ({length} bytes)")));
            }
        }
        let config = read_config(&content, path)?;
        // Names that Gemma 3 does not have stay as they are, for the error that will name them.
        let expected = config.tensors().into_iter().filter_map(|(ours, _)| Some((ggml_name(&ours)?, ours)));
        let mut ours: HashMap<String, String> = expected.collect();
        ours.insert("output.weight".into(), HEAD.into());
        let names = content.tensor_infos.keys();
        let names = names.map(|name| (ours.remove(name).unwrap_or_else(|| name.clone()), name.clone())).collect();
        Ok(Self { config, path: path.into(), file, content, names })
    }

    /// Names and shapes of what is there; names without a counterpart keep their own.
    pub fn layout(&self) -> Layout {
        let shape = |name| self.content.tensor_infos[name].shape.dims().to_vec();
        self.names.iter().map(|(ours, theirs)| (ours.clone(), shape(theirs))).collect()
    }

    /// `rows` rows from `first` on, dequantized; a vector is one row of `columns`. Norms come as w, not 1 + w.
    pub fn rows(&mut self, name: &str, columns: usize, first: usize, rows: usize) -> Result<Vec<f32>, ImportError> {
        let info = &self.content.tensor_infos[&self.names[name]];
        let row = TensorInfo { ggml_dtype: info.ggml_dtype, shape: Shape::from(vec![1, columns]), offset: 0 };
        let row_bytes = byte_size(&row).ok_or_else(|| ImportError::Damaged {
            path: self.path.clone(),
            reason: format!("{name}: rows of {columns} are not whole blocks of {:?}", info.ggml_dtype),
        })?;
        // A run of rows is itself a tensor, with its own offset.
        let offset = info.offset + first as u64 * row_bytes;
        let run = TensorInfo { ggml_dtype: info.ggml_dtype, shape: Shape::from(vec![rows, columns]), offset };
        let tensor = run.read(&mut self.file, self.content.tensor_data_offset, &Device::Cpu)?;
        let mut numbers = tensor.dequantize(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
        // All vectors of a Gemma 3 are norms, and all its norms are vectors.
        if info.shape.rank() == 1 {
            numbers.iter_mut().for_each(|number| *number -= 1.0);
        }
        Ok(numbers)
    }

    /// The SentencePiece vocabulary. Errors when a list is missing or the lists differ in length.
    pub fn vocabulary(&self) -> Result<Vocabulary, ImportError> {
        let model = metadata(&self.content, &self.path, "tokenizer.ggml.model", Value::to_string)?;
        if model != "llama" {
            return Err(ImportError::Unsupported(format!("tokenizer {model}; SentencePiece (\"llama\") is needed")));
        }
        let list = |key: &str| metadata(&self.content, &self.path, key, Value::to_vec);
        let damaged = |error: candle_core::Error| ImportError::Damaged {
            path: self.path.clone(),
            reason: format!("its vocabulary: {error}"),
        };
        let texts = list("tokenizer.ggml.tokens")?.iter().map(|value| value.to_string().cloned());
        let scores = list("tokenizer.ggml.scores")?.iter().map(Value::to_f32);
        let kinds = list("tokenizer.ggml.token_type")?.iter().map(Value::to_i32);
        Vocabulary::new(
            texts.collect::<Result<_, _>>().map_err(damaged)?,
            scores.collect::<Result<_, _>>().map_err(damaged)?,
            kinds.collect::<Result<_, _>>().map_err(damaged)?,
            self.config.vocab_size as usize,
        )
    }
}

/// Bytes of a tensor; none when its shape overflows or does not fill whole blocks.
fn byte_size(info: &TensorInfo) -> Option<u64> {
    let dims = info.shape.dims();
    let elements = dims.iter().try_fold(1u64, |product, &side| product.checked_mul(side as u64))?;
    let block = info.ggml_dtype.block_size() as u64;
    let whole_rows = (*dims.last()? as u64).is_multiple_of(block);
    (elements > 0 && whole_rows).then_some(elements / block)?.checked_mul(info.ggml_dtype.type_size() as u64)
}

/// candle 0.11.1 divides by `general.alignment` without looking: a zero there would panic.
fn refuse_zero_alignment(file: &mut File, path: &Path) -> Result<(), ImportError> {
    /// Metadata stands first and is mostly the vocabulary (6.5 MB for 262144 pieces).
    const METADATA: u64 = 1 << 26;
    let (key, mut start) = (b"general.alignment", Vec::new());
    let mut read = || -> std::io::Result<()> {
        file.take(METADATA).read_to_end(&mut start)?;
        file.seek(SeekFrom::Start(0)).map(|_| ())
    };
    read().map_err(|source| ImportError::io(path, source))?;
    for (at, _) in start.windows(key.len()).enumerate().filter(|(_, window)| window[0] == key[0] && window == key) {
        // After the key: u32 type (0 to 5 are integers of 1, 1, 2, 2, 4, 4 bytes), then the value.
        let rest = &start[at + key.len()..];
        let width = match rest.first() {
            Some(0 | 1) => 1,
            Some(2 | 3) => 2,
            _ => 4,
        };
        if rest.len() < 4 + width || rest[4..4 + width].iter().all(|byte| *byte == 0) {
            return Err(ImportError::Damaged { path: path.into(), reason: "general.alignment is zero".into() });
        }
    }
    Ok(())
}

/// The value under `key`, or an error that names the key.
fn metadata<'a, T: 'a>(
    content: &'a Content,
    path: &Path,
    key: &str,
    typed: impl Fn(&'a Value) -> candle_core::Result<T>,
) -> Result<T, ImportError> {
    let damaged = |reason| ImportError::Damaged { path: path.into(), reason };
    let value = content.metadata.get(key).ok_or_else(|| damaged(format!("{key} is missing")))?;
    typed(value).map_err(|_| damaged(format!("{key} has the wrong type")))
}

/// Metadata keys are listed in llama.cpp's gguf-py/gguf/constants.py.
fn read_config(content: &Content, path: &Path) -> Result<Config, ImportError> {
    let architecture = metadata(content, path, "general.architecture", Value::to_string)?;
    if architecture != "gemma3" {
        return Err(ImportError::Unsupported(format!("architecture {architecture}")));
    }
    let has = |key: &str| content.metadata.contains_key(key);
    let number = |key: &str| metadata(content, path, key, Value::to_u32);
    // f32 in the file: through its shortest decimal, so that 1e-6 stays 1e-6.
    let real =
        |key: &str| metadata(content, path, key, Value::to_f32).map(|v| v.to_string().parse().unwrap_or(f64::NAN));
    let optional = |key: &str, default| if has(key) { number(key) } else { Ok(default) };
    if has("gemma3.rope.scaling.type")
        && metadata(content, path, "gemma3.rope.scaling.type", Value::to_string)? != "none"
        || has("gemma3.rope.scaling.factor") && real("gemma3.rope.scaling.factor")? != 1.0
    {
        return Err(ImportError::Unsupported("rope scaling".into()));
    }
    for key in ["gemma3.final_logit_softcapping", "gemma3.attn_logit_softcapping"] {
        if has(key) && real(key)? != 0.0 {
            return Err(ImportError::Unsupported(key.into()));
        }
    }
    let head_dim = number("gemma3.attention.key_length")?;
    if optional("gemma3.attention.value_length", head_dim)? != head_dim {
        return Err(ImportError::Unsupported("values of another width than keys".into()));
    }
    let layers = number("gemma3.block_count")?;
    if layers as usize > content.tensor_infos.len() {
        let reason = format!("{layers} layers, but only {} tensors", content.tensor_infos.len());
        return Err(ImportError::Damaged { path: path.into(), reason });
    }
    let pattern = optional("gemma3.attention.sliding_window_pattern", 6)?;
    let mut config = Config {
        hidden_size: number("gemma3.embedding_length")?,
        intermediate_size: Widths::All(number("gemma3.feed_forward_length")?),
        num_hidden_layers: layers,
        num_attention_heads: number("gemma3.attention.head_count")?,
        num_key_value_heads: number("gemma3.attention.head_count_kv")?,
        head_dim,
        vocab_size: metadata(content, path, "tokenizer.ggml.tokens", Value::to_vec)?.len() as u32,
        max_position_embeddings: number("gemma3.context_length")?,
        rms_norm_eps: real("gemma3.attention.layer_norm_rms_epsilon")?,
        rope_theta: real("gemma3.rope.freq_base")?,
        // llama.cpp's default for Gemma 3 when the key is absent, as it is in most files.
        rope_local_base_freq: if has("gemma3.rope.freq_base_swa") { real("gemma3.rope.freq_base_swa")? } else { 1e4 },
        sliding_window: number("gemma3.attention.sliding_window")?,
        sliding_window_pattern: pattern,
        layer_types: Vec::new(),
        // Not in the file: the head width, for every Gemma 3 but the 27B.
        query_pre_attn_scalar: head_dim.into(),
        tie_word_embeddings: true,
        bos_token_id: number("tokenizer.ggml.bos_token_id")?,
        eos_token_id: TokenIds::One(number("tokenizer.ggml.eos_token_id")?),
        pad_token_id: optional("tokenizer.ggml.padding_token_id", 0)?,
    };
    config.check()?;
    config.layer_types = layer_types(layers, pattern);
    Ok(config)
}
