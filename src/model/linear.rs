//! A weight matrix in whatever form it is stored: dense, dense with a low-rank adapter, or quantized.
//!
//! Turns activations (…, in) into (…, out). Does NOT know which layer it serves.

use super::{gradient, kernels::QMatrix};
use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor, Var};
use std::sync::Arc;

/// `y = x W^T` with W of shape (out, in), without bias: Gemma 3 has none.
#[derive(Clone, Debug)]
pub enum Linear {
    /// f32, differentiable.
    Dense(Tensor),
    /// A frozen dense matrix plus a trainable low-rank product: `y = x W^T + scale (x A^T) B^T` (Hu et al. 2021,
    /// arXiv 2106.09685).
    Lora(Lora),
    /// Blocks of integers; inference only: a backward pass through it is an error, not a silent zero.
    Quantized(Arc<QMatrix>),
}

/// The parts of [`Linear::Lora`].
#[derive(Clone, Debug)]
pub struct Lora {
    /// Frozen, (out, in).
    pub base: Tensor,
    /// (rank, in), starts random.
    pub a: Var,
    /// (out, rank), starts at zero, so that an untrained adapter changes nothing.
    pub b: Var,
    /// alpha / rank.
    pub scale: f64,
    /// Dropout: what x is multiplied by on its way to A, (tokens, in); none but in a training step.
    pub mask: Option<Tensor>,
}

impl Linear {
    /// Number of output values.
    ///
    /// # Errors
    /// A dense weight that is no matrix.
    pub fn rows(&self) -> Result<usize> {
        match self {
            Linear::Dense(weight) | Linear::Lora(Lora { base: weight, .. }) => Ok(weight.dims2()?.0),
            Linear::Quantized(weight) => Ok(weight.rows()),
        }
    }

    /// `x`: (batch, tokens, in) to (batch, tokens, out).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Linear::Dense(weight) => product(x, weight),
            Linear::Lora(Lora { base, a, b, scale, mask }) => {
                let (batch, tokens, columns) = x.dims3()?;
                let rows = base.dim(0)?;
                let Some(mask) = mask else {
                    let flat = x.reshape((batch * tokens, columns))?;
                    return gradient::adapted_product(&flat, base, a, b, *scale)?.reshape((batch, tokens, rows));
                };
                let read = x.broadcast_mul(mask)?;
                let change = product(&product(&read, a.as_tensor())?, b.as_tensor())?;
                product(x, base)? + (change * *scale)?
            }
            Linear::Quantized(weight) => quantized_product(x, weight),
        }
    }
}

/// The token table, which is also the output head (Gemma 3 ties them).
#[derive(Clone, Debug)]
pub enum Embedding {
    /// (vocabulary, hidden), f32.
    Dense(Tensor),
    /// The same, quantized; rows are dequantized as they are gathered, never the whole table.
    Quantized(Arc<QMatrix>),
}

impl Embedding {
    /// Number of tokens.
    ///
    /// # Errors
    /// A dense table that is no matrix.
    pub fn vocabulary(&self) -> Result<usize> {
        match self {
            Embedding::Dense(table) => Ok(table.dims2()?.0),
            Embedding::Quantized(table) => Ok(table.rows()),
        }
    }

    /// Rows of the table: `ids` (batch, tokens) of u32 to (batch, tokens, hidden).
    ///
    /// # Errors
    /// An id outside the vocabulary.
    pub fn rows(&self, ids: &Tensor) -> Result<Tensor> {
        match self {
            Embedding::Dense(table) => {
                let (batch, tokens) = ids.dims2()?;
                table.index_select(&ids.flatten_all()?, 0)?.reshape((batch, tokens, table.dim(1)?))
            }
            Embedding::Quantized(table) => {
                let (batch, tokens) = ids.dims2()?;
                let hidden = table.columns();
                let mut rows = vec![0f32; batch * tokens * hidden];
                for (&id, row) in ids.flatten_all()?.to_vec1::<u32>()?.iter().zip(rows.chunks_exact_mut(hidden)) {
                    if id as usize >= table.rows() {
                        candle_core::bail!("token {id} is outside the vocabulary of {}", table.rows());
                    }
                    table.dequantize_row(id as usize, row);
                }
                Tensor::from_vec(rows, (batch, tokens, hidden), ids.device())
            }
        }
    }

    /// Scores of all tokens: (batch, tokens, hidden) to (batch, tokens, vocabulary).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        match self {
            Embedding::Dense(table) => product(hidden, table),
            Embedding::Quantized(table) => quantized_product(hidden, table),
        }
    }
}

/// (batch, tokens, in) by (out, in) transposed. One flat product: candle would copy a broadcast weight. What is no variable
/// takes no gradient.
fn product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let (batch, tokens, columns) = x.dims3()?;
    let flat = x.reshape((batch * tokens, columns))?;
    let product = match weight.is_variable() {
        true => flat.matmul(&weight.t()?)?,
        false => gradient::frozen_product(&flat, weight)?,
    };
    product.reshape((batch, tokens, weight.dim(0)?))
}

/// Runs our kernel inside candle's graph.
fn quantized_product(x: &Tensor, weight: &Arc<QMatrix>) -> Result<Tensor> {
    x.contiguous()?.apply_op1(QuantizedProduct(weight.clone()))
}

struct QuantizedProduct(Arc<QMatrix>);

impl CustomOp1 for QuantizedProduct {
    fn name(&self) -> &'static str {
        "quantized-product"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = layout.shape();
        if shape.dim(D::Minus1)? != self.0.columns() {
            candle_core::bail!("activations {shape:?} do not fit a weight of {} columns", self.0.columns());
        }
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("activations must be contiguous");
        };
        let out = self.0.matmul(&storage.as_slice::<f32>()?[start..end]);
        let mut dims = shape.dims().to_vec();
        dims[shape.rank() - 1] = self.0.rows();
        Ok((CpuStorage::F32(out), Shape::from(dims)))
    }
}
