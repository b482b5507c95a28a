//! Products with frozen weights, and with low-rank adapters beside them, on any device.
//!
//! The frozen weight takes no gradient: candle's own product would compute one, the most expensive of a training step. Does NOT
//! know layers.

use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp3, Layout, MetalStorage, Result, Shape, Storage, Tensor,
    backend::BackendStorage, op::Add,
};
use rayon::prelude::*;

/// `x` (tokens, in) by the transposed frozen `weight` (out, in): (tokens, out). The weight takes no gradient.
///
/// # Errors
/// Shapes that do not fit.
pub fn frozen_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(FrozenProduct(weight.clone()))
}

/// `x W^T + scale (x A^T) B^T` with `x` (tokens, in), frozen `base` W (out, in), `a` (rank, in), `b` (out, rank).
///
/// # Errors
/// Shapes that do not fit.
pub fn adapted_product(x: &Tensor, base: &Tensor, a: &Tensor, b: &Tensor, scale: f64) -> Result<Tensor> {
    x.contiguous()?.apply_op3(a, b, AdaptedProduct { base: base.clone(), scale })
}

struct FrozenProduct(Tensor);

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "frozen-product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        transposed_product(x, layout, &self.0)
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        transposed_product(x, layout, &self.0)
    }

    fn metal_fwd(&self, x: &MetalStorage, layout: &Layout) -> Result<(MetalStorage, Shape)> {
        transposed_product(x, layout, &self.0)
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(gradient.matmul(&self.0)?))
    }
}

struct AdaptedProduct {
    base: Tensor,
    scale: f64,
}

/// Values on a device, with their arrangement.
type Stored<'a, S> = (&'a S, &'a Layout);

impl AdaptedProduct {
    /// `x W^T`, `(x A^T) B^T`, and the shape of both.
    fn parts<S: On>(&self, x: Stored<S>, a: Stored<S>, b: Stored<S>) -> Result<(S, S, Shape)> {
        let (tokens, columns) = x.1.shape().dims2()?;
        let (rows, rank) = b.1.shape().dims2()?;
        let (y, shape) = transposed_product(x.0, x.1, &self.base)?;
        let low = x.0.matmul(a.0, (1, tokens, rank, columns), x.1, &a.1.transpose(0, 1)?)?;
        let low_layout = Layout::contiguous((tokens, rank));
        let change = low.matmul(b.0, (1, tokens, rows, rank), &low_layout, &b.1.transpose(0, 1)?)?;
        Ok((y, change, shape))
    }

    /// Their sum, by the device's own operations.
    fn added<S: On>(&self, x: Stored<S>, a: Stored<S>, b: Stored<S>) -> Result<(S, Shape)> {
        let (y, change, shape) = self.parts(x, a, b)?;
        let layout = Layout::contiguous(&shape);
        let change = change.affine(&layout, self.scale, 0.0)?;
        Ok((y.binary_impl::<Add>(&change, &layout, &layout)?, shape))
    }
}

impl CustomOp3 for AdaptedProduct {
    fn name(&self) -> &'static str {
        "adapted-product"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, change, shape) = self.parts((x, x_layout), (a, a_layout), (b, b_layout))?;
        let (CpuStorage::F32(mut y), CpuStorage::F32(change)) = (y, change) else {
            candle_core::bail!("adapters are trained in f32");
        };
        let (scale, rows) = (self.scale as f32, b_layout.shape().dim(0)?);
        let add = |(y, change): (&mut [f32], &[f32])| y.iter_mut().zip(change).for_each(|(y, c)| *y += scale * c);
        y.par_chunks_mut(rows).zip(change.par_chunks(rows)).for_each(add);
        Ok((CpuStorage::F32(y), shape))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        x_layout: &Layout,
        a: &CudaStorage,
        a_layout: &Layout,
        b: &CudaStorage,
        b_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.added((x, x_layout), (a, a_layout), (b, b_layout))
    }

    fn metal_fwd(
        &self,
        x: &MetalStorage,
        x_layout: &Layout,
        a: &MetalStorage,
        a_layout: &Layout,
        b: &MetalStorage,
        b_layout: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.added((x, x_layout), (a, a_layout), (b, b_layout))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (x, a, b) = (x.detach(), a.detach(), b.detach());
        let low_gradient = (gradient.matmul(&b)? * self.scale)?;
        let for_x = (gradient.matmul(&self.base)? + low_gradient.matmul(&a)?)?;
        let for_a = low_gradient.t()?.matmul(&x)?;
        let for_b = (gradient.t()?.matmul(&x.matmul(&a.t()?)?)? * self.scale)?;
        Ok((Some(for_x), Some(for_a), Some(for_b)))
    }
}

/// Where values can be.
trait On: BackendStorage {
    /// `storage`, if it is there.
    fn of(storage: &Storage) -> Option<&Self>;
}

impl On for CpuStorage {
    fn of(storage: &Storage) -> Option<&Self> {
        if let Storage::Cpu(storage) = storage { Some(storage) } else { None }
    }
}

impl On for CudaStorage {
    fn of(storage: &Storage) -> Option<&Self> {
        if let Storage::Cuda(storage) = storage { Some(storage) } else { None }
    }
}

impl On for MetalStorage {
    fn of(storage: &Storage) -> Option<&Self> {
        if let Storage::Metal(storage) = storage { Some(storage) } else { None }
    }
}

/// `x` (tokens, in), contiguous, by `weight` (out, in) transposed.
fn transposed_product<S: On>(x: &S, layout: &Layout, weight: &Tensor) -> Result<(S, Shape)> {
    let ((tokens, columns), (rows, expected)) = (layout.shape().dims2()?, weight.dims2()?);
    if columns != expected {
        candle_core::bail!("activations of {columns} do not fit a weight of {expected} columns");
    }
    let weight = weight.t()?;
    let (storage, weight_layout) = weight.storage_and_layout();
    let Some(weight) = S::of(&storage) else { candle_core::bail!("the weight is on another device") };
    let product = x.matmul(weight, (1, tokens, rows, columns), layout, weight_layout)?;
    Ok((product, Shape::from((tokens, rows))))
}
