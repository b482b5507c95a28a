//! Low-rank adapters: put onto a model to be trained, stored under peft's names, added into a checkpoint's weights.
//!
//! `W' = W + alpha / rank * B A` (Hu et al. 2021, arXiv 2106.09685). The selection head is trained and stored with them. Does
//! NOT know how they are trained.

use candle_core::{DType, Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, fs, path::Path};
use tomato_assistant::{
    knowledge::verdict::KINDS,
    model::{
        gemma3::Gemma3,
        linear::{Linear, Lora},
        selector::Selector,
    },
};

use super::{
    artifact::{self, ArtifactError, at},
    draw::Draw,
};

/// The weights, as peft calls the file.
pub const WEIGHTS: &str = "adapter_model.safetensors";
/// What they are, as peft calls the file.
pub const CONFIG: &str = "adapter_config.json";

/// What peft puts before the name of a module.
const PREFIX: &str = "base_model.model.";
/// What it puts behind it: (rank, in) and (out, rank).
const A: &str = ".lora_A.weight";
const B: &str = ".lora_B.weight";
/// Where the selection head is stored.
const SELECTOR: &str = "selector.weight";

/// Why an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// The disk refuses.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// It is not an adapter, or not one of this form.
    #[error(
        "the adapter in {folder} cannot be used: {cause}. Take data/model from the repository again, or train one \
         (pipeline run --train)"
    )]
    Unusable {
        /// Where it is.
        folder: String,
        /// What is wrong.
        cause: String,
    },
    /// It was trained on other weights.
    #[error(
        "the adapter was trained on another checkpoint ({trained}, this one is {found}). Train one for this base \
         (pipeline run --train), or leave [finetune] out of the recipe: answers are then whole entries"
    )]
    OtherBase {
        /// SHA-256 of the weights it was trained on.
        trained: String,
        /// SHA-256 of these.
        found: String,
    },
    /// The computation failed.
    #[error("the adapter: {0}")]
    Compute(#[from] candle_core::Error),
}

/// A matrix of a layer that an adapter may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matrix {
    /// Queries.
    Q,
    /// Keys.
    K,
    /// Values.
    V,
    /// Attention's output.
    O,
    /// The gate of the feed-forward part.
    Gate,
    /// What it gates.
    Up,
    /// Back to the residual stream.
    Down,
}

impl Matrix {
    /// All, in the order of `Layer::matrices`.
    pub const ALL: [Matrix; 7] = [Matrix::Q, Matrix::K, Matrix::V, Matrix::O, Matrix::Gate, Matrix::Up, Matrix::Down];

    /// The module in Hugging Face's names.
    fn module(self) -> &'static str {
        match self {
            Matrix::Q => "self_attn.q_proj",
            Matrix::K => "self_attn.k_proj",
            Matrix::V => "self_attn.v_proj",
            Matrix::O => "self_attn.o_proj",
            Matrix::Gate => "mlp.gate_proj",
            Matrix::Up => "mlp.up_proj",
            Matrix::Down => "mlp.down_proj",
        }
    }
}

/// The form of an adapter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Columns of B, rows of A.
    pub rank: usize,
    /// The change is multiplied by alpha / rank.
    pub alpha: f64,
    /// Which matrices get one.
    pub targets: Vec<Matrix>,
}

impl Shape {
    /// What the adapted modules are called.
    pub fn modules(&self) -> Vec<String> {
        self.targets.iter().map(|kind| kind.module().rsplit('.').next().unwrap_or_default().into()).collect()
    }
}

/// Puts fresh adapters onto `model` and makes a selection head: its variables by name, without peft's prefix. A starts random
/// (uniform up to 1 / sqrt(in), as in peft) and so does the head, B at zero.
///
/// # Errors
/// A matrix that is not dense.
pub fn attach(
    model: &mut Gemma3,
    shape: &Shape,
    draw: &mut Draw,
) -> candle_core::Result<(Vec<(String, Var)>, Selector)> {
    let mut variables = adapt_all(model, shape, draw)?;
    let hidden = model.config.hidden;
    let shape = (1 + KINDS, hidden + 1);
    let start = uniform(draw, shape.0 * shape.1, 0.1 / (hidden as f64).sqrt());
    let weight = Var::from_tensor(&Tensor::from_vec(start, shape, model.device())?)?;
    variables.push((SELECTOR.into(), weight.clone()));
    Ok((variables, Selector { weight: weight.as_tensor().clone() }))
}

/// The same without a selection head.
///
/// # Errors
/// A matrix that is not dense.
pub fn adapt_all(model: &mut Gemma3, shape: &Shape, draw: &mut Draw) -> candle_core::Result<Vec<(String, Var)>> {
    let mut variables = Vec::new();
    for (index, layer) in model.layers.iter_mut().enumerate() {
        for (kind, linear) in Matrix::ALL.into_iter().zip(layer.matrices()) {
            if shape.targets.contains(&kind) {
                let module = format!("model.layers.{index}.{}", kind.module());
                variables.extend(adapt(linear, &module, (shape.rank, shape.alpha), draw)?);
            }
        }
    }
    Ok(variables)
}

/// Adds what the adapters of `model` have learnt to their matrices, which are dense again.
///
/// # Errors
/// None but candle's own.
pub fn fold(model: &mut Gemma3) -> candle_core::Result<()> {
    for linear in model.layers.iter_mut().flat_map(|layer| layer.matrices()) {
        if let Linear::Lora(Lora { base, a, b, scale, .. }) = linear {
            *linear = Linear::Dense((&*base + (b.matmul(a)? * *scale)?)?.detach());
        }
    }
    Ok(())
}

/// Puts a fresh adapter of this rank and alpha onto a matrix: its two variables, named after the `module`.
///
/// # Errors
/// A matrix that is not dense.
pub fn adapt(
    linear: &mut Linear,
    module: &str,
    (rank, alpha): (usize, f64),
    draw: &mut Draw,
) -> candle_core::Result<[(String, Var); 2]> {
    let Linear::Dense(base) = linear.clone() else { candle_core::bail!("only dense matrices can be adapted") };
    let (rows, columns) = base.dims2()?;
    let start = uniform(draw, rank * columns, 1.0 / (columns as f64).sqrt());
    let a = Var::from_tensor(&Tensor::from_vec(start, (rank, columns), base.device())?)?;
    let b = Var::zeros((rows, rank), DType::F32, base.device())?;
    *linear = Linear::Lora(Lora { base, a: a.clone(), b: b.clone(), scale: alpha / rank as f64, mask: None });
    Ok([(format!("{module}{A}"), a), (format!("{module}{B}"), b)])
}

/// `model` as it is for one training example of `tokens` tokens: a `share` of what each adapter reads, drawn by chance, is set
/// to zero and the rest made as much larger (Hinton et al. 2012, arXiv 1207.0580). Its variables are those of `model`. For the
/// longest example of the shipped model the masks take 0.46 GB.
///
/// # Errors
/// None but candle's own.
pub fn drop_out(model: &Gemma3, share: f64, tokens: usize, draw: &mut Draw) -> candle_core::Result<Gemma3> {
    let (mut model, kept) = (model.clone(), (1.0 / (1.0 - share)) as f32);
    for linear in model.layers.iter_mut().flat_map(|layer| layer.matrices()) {
        if let Linear::Lora(lora) = linear {
            let columns = lora.base.dim(1)?;
            let mask: Vec<f32> = (0..tokens * columns).map(|_| if draw.share() < share { 0.0 } else { kept }).collect();
            lora.mask = Some(Tensor::from_vec(mask, (tokens, columns), lora.base.device())?);
        }
    }
    Ok(model)
}

/// `count` numbers between -`bound` and `bound`.
fn uniform(draw: &mut Draw, count: usize, bound: f64) -> Vec<f32> {
    (0..count).map(|_| (bound * (2.0 * draw.share() - 1.0)) as f32).collect()
}

/// What `adapter_config.json` holds: peft's fields, and which weights it belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Config {
    /// peft's name of the method.
    pub peft_type: String,
    /// peft's name of the rank.
    pub r: usize,
    /// The change is multiplied by this / r.
    pub lora_alpha: f64,
    /// Names of the modules.
    pub target_modules: Vec<String>,
    /// SHA-256 of the checkpoint's weights that it was trained on.
    pub base_sha256: String,
}

/// Writes an adapter of this rank and alpha with these values (names without peft's prefix) into `folder`, in bf16; `modules`
/// are the names of what it changes.
///
/// # Errors
/// [`AdapterError`].
pub fn save(
    folder: &Path,
    (rank, alpha): (usize, f64),
    modules: Vec<String>,
    values: &HashMap<String, Tensor>,
    base_sha256: &str,
) -> Result<(), AdapterError> {
    let mut tensors = HashMap::new();
    for (name, value) in values {
        tensors.insert(format!("{PREFIX}{name}"), value.to_dtype(DType::BF16)?);
    }
    artifact::save(&folder.join(WEIGHTS), &tensors)?;
    let config = Config {
        peft_type: "LORA".into(),
        r: rank,
        lora_alpha: alpha,
        target_modules: modules,
        base_sha256: base_sha256.into(),
    };
    let path = folder.join(CONFIG);
    let json = serde_json::to_string_pretty(&config).expect("strings and numbers always serialize");
    Ok(fs::write(&path, json + "\n").map_err(at(&path))?)
}

/// What is wrong with the tensor `name` of an adapter of this `rank`: left unsaid, its matrix would go without an adapter.
fn fault(name: &str, values: &HashMap<String, Tensor>, rank: usize) -> Option<String> {
    let dims = values[name].dims();
    let (other, own) = match (name.strip_suffix(A), name.strip_suffix(B)) {
        (Some(module), _) => (format!("{module}{B}"), dims.first()),
        (_, Some(module)) => (format!("{module}{A}"), dims.last()),
        _ => return (name != SELECTOR).then(|| format!("{name} is no part of an adapter")),
    };
    if !values.contains_key(&other) {
        return Some(format!("{name} is there without {other}"));
    }
    let fits = dims.len() == 2 && own == Some(&rank);
    (!fits).then(|| format!("{name} is of shape {dims:?}, and by {CONFIG} the rank is {rank}"))
}

/// An adapter that was read: each A has its B, and both are of its rank.
pub struct Adapter {
    config: Config,
    values: HashMap<String, Tensor>,
}

impl Adapter {
    /// Reads what [`save`] wrote of the language model's, which has a selection head.
    ///
    /// # Errors
    /// [`AdapterError::Unusable`].
    pub fn open(folder: &Path) -> Result<Self, AdapterError> {
        Self::read(folder, true)
    }

    /// The same of one that has none: the sentence encoder's, or that of stage recover.
    ///
    /// # Errors
    /// [`AdapterError::Unusable`].
    pub fn open_headless(folder: &Path) -> Result<Self, AdapterError> {
        Self::read(folder, false)
    }

    fn read(folder: &Path, head: bool) -> Result<Self, AdapterError> {
        let fail = |cause: String| AdapterError::Unusable { folder: folder.display().to_string(), cause };
        let text = fs::read_to_string(folder.join(CONFIG)).map_err(|error| fail(format!("{CONFIG}: {error}")))?;
        let config: Config = serde_json::from_str(&text).map_err(|error| fail(format!("{CONFIG}: {error}")))?;
        let stored = candle_core::safetensors::load(folder.join(WEIGHTS), &Device::Cpu)
            .map_err(|error| fail(format!("{WEIGHTS}: {error}")))?;
        let mut values = HashMap::new();
        for (name, tensor) in stored {
            let short = name.strip_prefix(PREFIX).ok_or_else(|| fail(format!("a tensor {name}")))?;
            let tensor = tensor.to_dtype(DType::F32)?;
            if !tensor.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
                return Err(fail(format!("{short} holds numbers that are none")));
            }
            values.insert(short.to_string(), tensor);
        }
        if config.r == 0 || values.contains_key(SELECTOR) != head {
            return Err(fail("it has no rank, no selection head, or one that has no place".into()));
        }
        if let Some(dims) =
            values.get(SELECTOR).map(Tensor::dims).filter(|dims| dims.len() != 2 || dims[0] != 1 + KINDS)
        {
            return Err(fail(format!("its selection head is of shape {dims:?}, and {} rows are read", 1 + KINDS)));
        }
        // The first by name: the same words every time.
        if let Some(fault) = values.keys().filter_map(|name| fault(name, &values, config.r)).min() {
            return Err(fail(fault));
        }
        Ok(Self { config, values })
    }

    /// Errors when it was trained on other weights than those with this hash.
    ///
    /// # Errors
    /// [`AdapterError::OtherBase`].
    pub fn fits(&self, base_sha256: &str) -> Result<(), AdapterError> {
        match self.config.base_sha256 == base_sha256 {
            true => Ok(()),
            false => {
                Err(AdapterError::OtherBase { trained: self.config.base_sha256.clone(), found: base_sha256.into() })
            }
        }
    }

    /// The selection head's values, (1 + kinds, hidden + 1).
    pub fn selector(&self) -> &Tensor {
        &self.values[SELECTOR]
    }

    /// What is added to the weight called `name` in Hugging Face's names, (out, in); None where it has no adapter.
    ///
    /// # Errors
    /// Matrices that do not fit.
    pub fn change(&self, name: &str) -> candle_core::Result<Option<Tensor>> {
        let Some(module) = name.strip_suffix(".weight") else { return Ok(None) };
        let part = |end: &str| self.values.get(&format!("{module}{end}"));
        let (Some(a), Some(b)) = (part(A), part(B)) else { return Ok(None) };
        Ok(Some((b.matmul(a)? * (self.config.lora_alpha / self.config.r as f64))?))
    }
}
