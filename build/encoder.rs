//! Stage `encoder`: a BERT sentence encoder -> `encoder.gguf`, quantized and with the pieces that are needed, and
//! `encoder-tokenizer.json`. What comes out is held against recorded vectors of the original.
//!
//! The vocabulary is what the curated entries need and the most frequent rest. Does NOT know what vectors are for.

use indicatif::ProgressBar;
use serde::Deserialize;
use std::{collections::HashSet, fs, path::Path};
use tomato_assistant::{
    bundle::{ENCODER, ENCODER_TOKENIZER, WORDS},
    climate::{Measure, Stage as GrowthStage},
    engine::{EngineError, sentence::SentenceEncoder},
    model::weights::ggml_name,
};

use super::{
    adapter::{Adapter, AdapterError},
    artifact::{ArtifactError, Origin, Stage, at},
    blocks::{self, BlocksError},
    checkpoint::{Checkpoint, TENSORS, TOKENIZER},
    encoder_base::{Config, EncoderBase, EncoderBaseError, POSITIONS, WORDS as TOKENS},
    import::ImportError,
    recipe,
    sources::{ENCODER_ADAPTER, ENCODER_ADAPTER_CONFIG, PRODUCTS, SEARCHED, Sources, SourcesError, VOCABULARY},
    wordpiece::{self, Cut, CutError},
};

/// This stage.
pub const STAGE: Stage = Stage { number: 7, name: "encoder", revision: 4 };

/// What model and tokenizer may take in a bundle together, bytes.
const BUDGET: u64 = 15_000_000;
/// Least cosine with the original's vector of a recorded sentence whose pieces are all kept.
const LEAST: f32 = 0.98;
/// Least number of such sentences: fewer would not show that the encoder is as good as it was.
const COMPARABLE: usize = 5;
/// Made by make.py beside it.
const RECORDED: &str = include_str!("../tests/fixtures/minilm/golden.json");

/// Why there is no sentence encoder.
#[derive(Debug, thiserror::Error)]
pub enum EncoderError {
    /// The original cannot be used.
    #[error(transparent)]
    Base(#[from] EncoderBaseError),
    /// The original's weights cannot be used.
    #[error("the sentence encoder: {0}")]
    Weights(#[from] ImportError),
    /// The original's tokenizer cannot be cut.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// The curated entries cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// A tensor cannot be quantized or written.
    #[error("the sentence encoder: {0}")]
    Blocks(#[from] BlocksError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The result would fill the device.
    #[error(
        "the sentence encoder takes {0} bytes, at most {BUDGET} are allowed; lower the vocabulary in the recipe's table [encoder]"
    )]
    TooLarge(u64),
    /// Its adapter cannot be used.
    #[error("the sentence encoder: {0}")]
    Adapter(AdapterError),
    /// The adapter is another encoder's.
    #[error(
        "the sentence encoder's adapter was trained on another one. Leave [encoder.adapter] out of the recipe, or train one for \
         this encoder (pipeline tune)"
    )]
    OtherBase,
    /// A matrix and its change do not fit.
    #[error("the sentence encoder's adapter does not fit {0}; train one anew (pipeline tune)")]
    Misfit(String),
    /// The adapter cannot be added.
    #[error("the sentence encoder's adapter: {0}")]
    Compute(#[from] candle_core::Error),
    /// The appliance's own code refuses the result.
    #[error("the quantized sentence encoder does not work: {0}")]
    Unusable(#[from] EngineError),
    /// The result, or the tokenizer, is not what was recorded.
    #[error("the sentence encoder differs from the original: for {text:?} {what}; choose a finer format in the recipe")]
    Differs {
        /// The sentence.
        text: String,
        /// In what.
        what: String,
    },
    /// Too little is left as it was to be held against the original.
    #[error(
        "of {of} recorded sentences {kept} keep all their pieces in the smaller sentence encoder, at least {COMPARABLE} must, \
         or nobody knows whether it still works; raise the recipe's [encoder] vocabulary or positions"
    )]
    Incomparable {
        /// Sentences whose pieces are all kept.
        kept: usize,
        /// All that are recorded.
        of: usize,
    },
}

/// What the original gives for some sentences.
#[derive(Clone, Debug, Deserialize)]
pub struct Reference {
    /// SHA-256 of its `model.safetensors`. With another encoder nothing is compared.
    pub model_sha256: String,
    /// The sentences.
    pub sentences: Vec<Sentence>,
}

/// One sentence.
#[derive(Clone, Debug, Deserialize)]
pub struct Sentence {
    /// As typed.
    pub text: String,
    /// By the original tokenizer, with [CLS] and [SEP].
    pub ids: Vec<u32>,
    /// Of length 1.
    pub vector: Vec<f32>,
}

impl Reference {
    /// The one for the default encoder.
    pub fn recorded() -> Self {
        serde_json::from_str(RECORDED).expect("the recorded vectors are compiled in, and a test reads them")
    }
}

/// What the stage has to tell.
#[derive(Clone, Debug)]
pub struct Made {
    /// Pieces kept.
    pub pieces: usize,
    /// Pieces of the original.
    pub of: usize,
    /// Size of model and tokenizer, bytes.
    pub bytes: u64,
    /// Cosine with the original for each recorded sentence, and whether all its pieces are kept. Empty when another
    /// encoder was given.
    pub cosines: Vec<(f32, bool)>,
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Encoder, base: &EncoderBase, sources: &Sources) -> Origin {
    let mut inputs = base.inputs.clone();
    inputs.extend(sources.inputs(&SEARCHED));
    if table.adapter.is_some() {
        inputs.extend(sources.inputs(&[ENCODER_ADAPTER, ENCODER_ADAPTER_CONFIG]));
    }
    inputs.extend(sources.inputs(&[VOCABULARY, PRODUCTS]));
    Origin::new(&STAGE, table, inputs)
}

/// Reads the Hugging Face folder of `base`, writes `encoder.gguf` and `encoder-tokenizer.json` into `out`. `bar` counts
/// bytes of f32 weights.
///
/// # Errors
/// [`EncoderError`].
pub fn run(
    table: &recipe::Encoder,
    base: &EncoderBase,
    sources: &Sources,
    reference: &Reference,
    out: &Path,
    bar: &ProgressBar,
) -> Result<Made, EncoderError> {
    let adapter = adapter(table, base, sources)?;
    let config = Config::read(&base.folder)?;
    let path = base.folder.join(TOKENIZER);
    let tokenizer = fs::read(&path).map_err(at(&path))?;
    let cut = wordpiece::cut(&tokenizer, &texts(sources)?, table.vocabulary)?;
    let (model, cut_tokenizer) = (out.join(ENCODER), out.join(ENCODER_TOKENIZER));
    fs::write(&cut_tokenizer, &cut.json).map_err(at(&cut_tokenizer))?;
    let list = out.join(WORDS);
    fs::write(&list, words(&tokenizer, sources)?.join("\n")).map_err(at(&list))?;
    write_model(table, &config, base, &cut, Form::Quantized(None), &model, bar)?;
    let size = |path: &Path| Ok::<u64, ArtifactError>(fs::metadata(path).map_err(at(path))?.len());
    let bytes = size(&model)? + size(&cut_tokenizer)?;
    if bytes > BUDGET {
        return Err(EncoderError::TooLarge(bytes));
    }
    let encoder = SentenceEncoder::open(&model, &cut_tokenizer)?;
    let cosines = match base.inputs[TENSORS] == reference.model_sha256 {
        true => compare(&encoder, &cut, &tokenizer, reference, config.positions(table.positions))?,
        false => Vec::new(),
    };
    // Held against the original before it becomes another one.
    if adapter.is_some() {
        write_model(table, &config, base, &cut, Form::Quantized(adapter.as_ref()), &model, bar)?;
        SentenceEncoder::open(&model, &cut_tokenizer)?;
    }
    Ok(Made { pieces: cut.rows.len(), of: config.pieces(), bytes, cosines })
}

/// The encoder with the pieces that are needed, in f32 and without its adapter: what the adapter is trained on. Its files stay in
/// the folder `out`.
///
/// # Errors
/// [`EncoderError`].
pub fn dense(
    table: &recipe::Encoder,
    base: &EncoderBase,
    sources: &Sources,
    out: &Path,
) -> Result<SentenceEncoder, EncoderError> {
    let path = base.folder.join(TOKENIZER);
    let cut = wordpiece::cut(&fs::read(&path).map_err(at(&path))?, &texts(sources)?, table.vocabulary)?;
    let (model, cut_tokenizer) = (out.join(ENCODER), out.join(ENCODER_TOKENIZER));
    fs::write(&cut_tokenizer, &cut.json).map_err(at(&cut_tokenizer))?;
    let config = Config::read(&base.folder)?;
    write_model(table, &config, base, &cut, Form::Dense, &model, &ProgressBar::hidden())?;
    Ok(SentenceEncoder::open(&model, &cut_tokenizer)?)
}

/// The adapter of the repository, where the recipe asks for one.
fn adapter(table: &recipe::Encoder, base: &EncoderBase, sources: &Sources) -> Result<Option<Adapter>, EncoderError> {
    if table.adapter.is_none() {
        return Ok(None);
    }
    let path = sources.path(ENCODER_ADAPTER);
    let adapter = Adapter::open_headless(path.parent().unwrap_or(&path)).map_err(EncoderError::Adapter)?;
    match adapter.fits(&base.inputs[TENSORS]) {
        Ok(()) => Ok(Some(adapter)),
        Err(_) => Err(EncoderError::OtherBase),
    }
}

/// What a written encoder is made of.
#[derive(Clone, Copy)]
enum Form<'a> {
    /// f32.
    Dense,
    /// As the recipe asks, with this adapter added before.
    Quantized(Option<&'a Adapter>),
}

/// Words that are spelt right: those of the original's vocabulary, the most common first, then those that the language model's
/// has besides, and names.
fn words(tokenizer: &[u8], sources: &Sources) -> Result<Vec<String>, EncoderError> {
    let mut words = wordpiece::words(tokenizer)?;
    let known: HashSet<String> = words.iter().cloned().collect();
    let pieces = sources.read(VOCABULARY)?;
    let pieces = pieces.lines().filter_map(|line| {
        // After a space, in small letters: what begins with a capital is a name more often than not.
        let word = serde_json::from_str::<String>(line).unwrap_or_default().strip_prefix('▁')?.to_owned();
        (!word.is_empty() && word.chars().all(char::is_lowercase)).then_some(word)
    });
    let mut named = HashSet::new();
    let others = pieces.chain(sources.lines(PRODUCTS)?);
    words.extend(others.filter(|word| !known.contains(word) && named.insert(word.clone())));
    Ok(words)
}

/// Every text that must keep its pieces: what entries are found by and read, and the names of what is measured.
fn texts(sources: &Sources) -> Result<Vec<String>, SourcesError> {
    let mut texts: Vec<String> = Measure::all().map(|measure| measure.name().replace('_', " ")).collect();
    texts.extend(GrowthStage::ALL.iter().map(|stage| stage.name().into()));
    for entry in sources.searched()?.entries() {
        texts.extend([&entry.input, &entry.output].into_iter().chain(entry.asked()).chain(&entry.keywords).cloned());
    }
    Ok(texts)
}

/// Writes the encoder in `form`; norms, biases and the two small tables stay f32 in any.
fn write_model(
    table: &recipe::Encoder,
    config: &Config,
    base: &EncoderBase,
    cut: &Cut,
    form: Form,
    path: &Path,
    bar: &ProgressBar,
) -> Result<(), EncoderError> {
    let mut checkpoint = Checkpoint::open(&base.folder)?;
    let positions = config.positions(table.positions);
    let all = config.tensors();
    bar.set_length(all.iter().map(|(_, shape)| 4 * shape.iter().product::<usize>() as u64).sum());
    let mut tensors = Vec::with_capacity(all.len());
    for (name, mut shape) in all {
        let mut values = checkpoint.values(&name, &shape)?;
        bar.inc(4 * values.len() as u64);
        if let Form::Quantized(Some(adapter)) = form
            && let Some(change) =
                adapter.change(&name).and_then(|change| change.map(|c| c.flatten_all()?.to_vec1()).transpose())?
        {
            if change.len() != values.len() {
                return Err(EncoderError::Misfit(name));
            }
            values.iter_mut().zip(change).for_each(|(value, change): (&mut f32, f32)| *value += change);
        }
        let mut format = None;
        if name == TOKENS {
            values = rows(&values, shape[1], &cut.rows)?;
            (shape[0], format) = (cut.rows.len(), Some(table.embedding));
        } else if name == POSITIONS {
            shape[0] = positions as usize;
            values.truncate(shape[0] * shape[1]);
        } else if name.starts_with("encoder.") && shape.len() == 2 {
            format = Some(table.format);
        }
        if let Form::Dense = form {
            format = None;
        }
        let ggml = ggml_name(&name).ok_or_else(|| ImportError::Missing { count: 1, names: name.clone() })?;
        let piece = |first: usize, count: usize| Ok(values[first..first + count].to_vec());
        tensors.push((ggml, blocks::tensor(&name, &shape, format, piece)?));
    }
    bar.finish();
    Ok(blocks::write(path, &config.metadata(&table.name, positions), &tensors)?)
}

/// Rows `chosen` of a table of `columns` columns.
fn rows(values: &[f32], columns: usize, chosen: &[usize]) -> Result<Vec<f32>, CutError> {
    let row = |row: &usize| values.get(row * columns..(row + 1) * columns);
    let rows: Option<Vec<&[f32]>> = chosen.iter().map(row).collect();
    Ok(rows.ok_or_else(|| CutError::Tokenizer("it has more pieces than the token table has rows".into()))?.concat())
}

/// Holds the tokenizer against the recorded ids, and `encoder` against the recorded vectors: (cosine, all pieces kept).
fn compare(
    encoder: &SentenceEncoder,
    cut: &Cut,
    tokenizer: &[u8],
    reference: &Reference,
    positions: u32,
) -> Result<Vec<(f32, bool)>, EncoderError> {
    let original = wordpiece::load(tokenizer)?;
    let kept = wordpiece::load(&cut.json)?;
    let mut cosines = Vec::new();
    for Sentence { text, ids, vector } in &reference.sentences {
        let differs = |what: String| EncoderError::Differs { text: text.clone(), what };
        let encoding = original.encode(text.as_str(), true).map_err(|error| CutError::Tokenizer(error.to_string()))?;
        if encoding.get_ids() != ids {
            return Err(differs(format!("the tokenizer gives {:?}, recorded is {ids:?}", encoding.get_ids())));
        }
        let same = wordpiece::pieces(&kept, text)? == encoding.get_tokens() && ids.len() <= positions as usize;
        let cosine: f32 = encoder.encode(text)?.iter().zip(vector).map(|(ours, theirs)| ours * theirs).sum();
        // NaN is refused too.
        if same && (cosine.is_nan() || cosine < LEAST) {
            return Err(differs(format!("the cosine is {cosine:.4}, at least {LEAST} is needed")));
        }
        cosines.push((cosine, same));
    }
    match cosines.iter().filter(|(_, same)| *same).count() {
        kept if kept < COMPARABLE => Err(EncoderError::Incomparable { kept, of: cosines.len() }),
        _ => Ok(cosines),
    }
}
