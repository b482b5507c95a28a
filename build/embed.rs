//! Stage `embed`: curated entries and sentence encoder -> `vectors.safetensors`, one projected vector for each text of an
//! entry and for examples of what none answers, and `raw.safetensors`, the same before the projection, which stays here.
//!
//! Which texts, and how vectors are stored, is the appliance's own code. Does NOT know how vectors are searched.

use indicatif::ProgressBar;
use std::{fs, path::Path};
use tomato_assistant::{
    bundle::{ENCODER, ENCODER_TOKENIZER, VECTORS},
    engine::{EngineError, sentence::SentenceEncoder},
    knowledge::{
        projection::Projection,
        refusal::{Kinds, Planes},
        vectors::{Vectors, VectorsError, texts},
    },
};

use super::{
    artifact::{Artifact, ArtifactError, Origin, Stage, at},
    planes, projection,
    questions::REFUSED,
    recipe,
    sources::{self, ANSWERABLE, SEARCHED, STATE, Sources, SourcesError, TOLD_APART},
};

/// This stage.
pub const STAGE: Stage = Stage { number: 8, name: "embed", revision: 9 };

/// The vectors as the encoder gives them, for measuring what the projection is worth.
pub const RAW: &str = "raw.safetensors";

/// Why there are no vectors.
#[derive(Debug, thiserror::Error)]
pub enum EmbedError {
    /// The curated entries cannot be read.
    #[error(transparent)]
    Sources(#[from] SourcesError),
    /// The encoder cannot be opened or fails.
    #[error(transparent)]
    Encoder(#[from] EngineError),
    /// The disk refuses, or is full.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Projection or planes cannot be learnt.
    #[error("what is learnt of the vectors: {0}")]
    Learn(#[from] candle_core::Error),
    /// What was written cannot be read.
    #[error(transparent)]
    Unusable(#[from] VectorsError),
}

/// What this stage's folder is made from.
pub fn origin(table: &recipe::Embed, encoder: &Artifact, sources: &Sources) -> Origin {
    let mut inputs = encoder.inputs();
    inputs.extend(sources.inputs(&SEARCHED));
    inputs.extend(sources.inputs(&TOLD_APART));
    inputs.extend(sources.inputs(&[REFUSED]));
    Origin::new(&STAGE, table, inputs)
}

/// Writes the vectors of all entries, in their order, those of the examples, and what is learnt from both, into `out`. `bar` counts
/// texts.
///
/// # Errors
/// [`EmbedError`].
pub fn run(
    table: &recipe::Embed,
    encoder: &Artifact,
    sources: &Sources,
    out: &Path,
    bar: &ProgressBar,
) -> Result<(), EmbedError> {
    let knowledge = sources.searched()?;
    let encoder = SentenceEncoder::open(&encoder.dir.join(ENCODER), &encoder.dir.join(ENCODER_TOKENIZER))?;
    let texts: Vec<String> = knowledge.entries().iter().flat_map(texts).collect();
    let refused = sources.refused()?;
    let answerable = sources.lines(ANSWERABLE)?;
    let [state, _] = sources::state(&sources.read(STATE)?);
    let others = [&refused[0], &refused[1], &refused[2], &answerable, &state];
    bar.set_length((texts.len() + others.iter().map(|texts| texts.len()).sum::<usize>()) as u64);
    let encode = |texts: &Vec<String>| encoder.encode_all(texts, &|made| bar.inc(made as u64));
    let vectors = encode(&texts)?;
    let refused = [encode(&refused[0])?, encode(&refused[1])?, encode(&refused[2])?];
    let (answerable, state) = (encode(&answerable)?, encode(&state)?);
    bar.finish();
    let learnt = projection::texts_learnt(knowledge.entries());
    let questions = projection::questions_of(knowledge.entries()).concat();
    let about = learnt.iter().flatten().filter(|row| questions.binary_search(row).is_ok());
    let about: Vec<Vec<f32>> = about.map(|&row| vectors[row].clone()).collect();
    let [off_topic, harmful, unanswerable] = &refused;
    // In the order of Why::ALL, then how the greenhouse stands. What is off topic is told from questions with an answer alone,
    // the others from all that is asked.
    let planes = [
        planes::learn(table.ridge, off_topic, &[&about, &answerable])?,
        planes::learn(table.ridge, harmful, &[&about, &answerable, unanswerable, off_topic, &state])?,
        planes::learn(table.ridge, unanswerable, &[&about, &answerable, harmful, off_topic, &state])?,
        planes::learn(table.ridge, &state, &[&about, &answerable, harmful, unanswerable, off_topic])?,
    ];
    let projection = projection::learn(table, &vectors, &learnt)?;
    let planes = Planes::new(projection.width(), planes.concat())?;
    let examples = [off_topic, harmful, unanswerable, &state].map(|kind| apart(kind, &projection, table.apart));
    let kinds = Kinds { planes, examples };
    for (name, projection) in [(RAW, Projection::identity(projection.width())), (VECTORS, projection)] {
        let bytes = Vectors::quantize(&vectors, projection, &kinds).to_bytes()?;
        Vectors::parse(&bytes, knowledge.entries())?;
        let path = out.join(name);
        fs::write(&path, bytes).map_err(at(&path))?;
    }
    Ok(())
}

/// Those of `rows` of which, projected, no earlier one that is kept has a cosine of `most` or more.
pub fn apart(rows: &[Vec<f32>], projection: &Projection, most: f64) -> Vec<Vec<f32>> {
    let mut kept: Vec<(Vec<f32>, &Vec<f32>)> = Vec::new();
    for row in rows {
        let moved = projection.apply(row);
        let cosine = |other: &[f32]| moved.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        if kept.iter().all(|(other, _)| f64::from(cosine(other)) < most) {
            kept.push((moved, row));
        }
    }
    kept.into_iter().map(|(_, row)| row.clone()).collect()
}
