//! The tiny Gemma 3 of `fixtures/tiny-gemma3`, loaded for the tests of other rooms.

use crate::stages::{
    artifact::{Artifact, ArtifactError, Artifacts, Origin},
    checkpoint::{CONFIG, TENSORS, TOKENIZER},
    import,
};
use candle_core::{Device, Tensor};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::{TempDir, tempdir};
use tomato_assistant::model::{config::Config, gemma3::Gemma3, weights::Weights};

/// Folder of the fixture.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-gemma3")
}

/// Its files, without those that the tests only compare with, put into `to`.
pub fn copy(to: &Path) {
    for name in [CONFIG, TENSORS, TOKENIZER] {
        fs::copy(folder().join(name), to.join(name)).unwrap();
    }
}

/// A copy to spoil.
pub fn copied() -> TempDir {
    let dir = tempdir().unwrap();
    copy(dir.path());
    dir
}

/// It as a stage would have left it below `pipeline`.
pub fn checkpoint(pipeline: &Path) -> Artifact {
    let artifacts = Artifacts::open(pipeline).unwrap();
    let origin = Origin::new(&import::STAGE, &"tiny", BTreeMap::new());
    let made = artifacts.produce(&import::STAGE, origin, |out| {
        copy(out);
        Ok::<(), ArtifactError>(())
    });
    made.unwrap()
}

/// Its shape.
pub fn config() -> Config {
    Config::from_json(&std::fs::read_to_string(folder().join("config.json")).unwrap()).unwrap()
}

/// The model, f32, with another shape where a test wants one.
pub fn model(config: Config, positions: usize) -> Gemma3 {
    let weights = Weights::safetensors(&folder().join("model.safetensors"), &Device::Cpu).unwrap();
    weights.load(config, positions).unwrap()
}

/// Ids as the model wants them: (1, tokens).
pub fn ids(ids: &[u32]) -> Tensor {
    Tensor::new(ids, &Device::Cpu).unwrap().unsqueeze(0).unwrap()
}

/// `count` ids that look like text to nobody, the same in every run.
pub fn some_ids(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 16) % 380 + 4).collect()
}

/// Largest difference of two tensors of one shape.
pub fn distance(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}
