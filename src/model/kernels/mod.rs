//! Quantized matrix products: the hot loops of inference. Plain slices in and out; knows nothing of candle or Gemma.
//!
//! A [`QMatrix`] holds a weight matrix in blocks of 32 along its rows, in one of ggml's formats
//! (<https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>):
//! Q8_0 is one f16 scale and 32 signed bytes, Q4_0 one f16 scale and 32 four-bit values offset by 8.
//! A product quantizes the activations to blocks of the Q8_0 kind, multiplies in integers and scales in f32, as
//! llama.cpp does. The inner loops are plain Rust, compiled once for the baseline and once for wider instruction sets
//! ([`dot`]); the hottest is written for each processor's own instructions, chosen at run time.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod dot;
pub mod threads;
#[cfg(target_arch = "x86_64")]
mod x86;

use dot::Row;
use rayon::prelude::*;
use std::io::Read;

/// Values per block, in every format here.
pub const BLOCK: usize = 32;

/// How a [`QMatrix`] stores its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// 34 bytes a block: 8.5 bits a weight.
    Q8_0,
    /// 18 bytes a block: 4.5 bits a weight.
    Q4_0,
}

impl Format {
    /// Bytes of quantized values in a block, without its scale.
    const fn quant_bytes(self) -> usize {
        match self {
            Format::Q8_0 => BLOCK,
            Format::Q4_0 => BLOCK / 2,
        }
    }

    /// Bytes of a block in a GGUF file.
    pub const fn block_bytes(self) -> usize {
        2 + self.quant_bytes()
    }
}

/// A quantized weight matrix of shape (rows, columns), immutable.
///
/// Scales and values lie apart, so that values can be read in full vector widths.
#[derive(Debug)]
pub struct QMatrix {
    rows: usize,
    columns: usize,
    format: Format,
    /// f16 bits, one a block, row by row.
    scales: Vec<u16>,
    /// `format.quant_bytes()` a block, row by row.
    quants: Vec<u8>,
}

impl QMatrix {
    /// Takes the bytes of a GGUF tensor of shape (rows, columns), as they come: only the finished matrix and a few
    /// kilobytes are ever held, which decides the peak memory of the appliance.
    ///
    /// # Errors
    /// A sentence when the columns are no multiple of 32 or the bytes end too early.
    pub fn read(rows: usize, columns: usize, format: Format, bytes: &mut impl Read) -> Result<Self, String> {
        if !columns.is_multiple_of(BLOCK) {
            return Err(format!("{columns} columns are not a multiple of the block of {BLOCK}"));
        }
        let blocks = rows * columns / BLOCK;
        let mut scales = Vec::with_capacity(blocks);
        let mut quants = Vec::with_capacity(blocks * format.quant_bytes());
        let mut row = vec![0u8; columns / BLOCK * format.block_bytes()];
        for _ in 0..rows {
            bytes.read_exact(&mut row).map_err(|error| {
                let expected = blocks * format.block_bytes();
                format!("{rows} x {columns} values take {expected} bytes, which are not there: {error}")
            })?;
            for block in row.chunks_exact(format.block_bytes()) {
                scales.push(u16::from_le_bytes([block[0], block[1]]));
                quants.extend_from_slice(&block[2..]);
            }
        }
        Ok(Self { rows, columns, format, scales, quants })
    }

    /// Number of output values.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of input values.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Bytes held in memory.
    pub fn bytes(&self) -> usize {
        self.scales.len() * 2 + self.quants.len()
    }

    /// Writes row `row`, dequantized, into `out` (`columns` values).
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        let mut values = vec![0i8; self.columns];
        let mut scales = vec![0f32; self.columns / BLOCK];
        let quants = self.unpack_row(row, &mut values, &mut scales);
        for ((out, quants), scale) in out.chunks_exact_mut(BLOCK).zip(quants.chunks_exact(BLOCK)).zip(&scales) {
            for (out, &quant) in out.iter_mut().zip(quants) {
                *out = f32::from(quant) * scale;
            }
        }
    }

    /// `x` (tokens, columns) times this matrix transposed: (tokens, rows), row-major. Uses rayon's global pool.
    pub fn matmul(&self, x: &[f32]) -> Vec<f32> {
        let tokens = x.len() / self.columns;
        let activations = Activations::quantize(x, self.columns);
        // One weight row meets all tokens while it lies in the first-level cache, so the product comes out transposed.
        let mut transposed = vec![0f32; self.rows * tokens];
        // Enough rows a task that handing it out costs nothing, few enough that two to four cores share evenly.
        let rows_a_task = (self.rows / 64).clamp(8, 512);
        transposed.par_chunks_mut(rows_a_task * tokens).enumerate().for_each(|(task, out)| {
            let mut values = vec![0i8; self.columns];
            let mut scales = vec![0f32; self.columns / BLOCK];
            for (offset, out) in out.chunks_exact_mut(tokens).enumerate() {
                let quants = self.unpack_row(task * rows_a_task + offset, &mut values, &mut scales);
                let (tokens, token_scales) = (&*activations.values, &*activations.scales);
                dot::row_by_tokens(Row { values: quants, scales: &scales, tokens, token_scales }, out);
            }
        });
        if tokens == 1 { transposed } else { transpose(&transposed, self.rows, tokens) }
    }

    /// The signed values of a row (borrowed where the format stores them so, else unpacked into `values`), and its
    /// scales as f32 into `scales`.
    fn unpack_row<'a>(&'a self, row: usize, values: &'a mut [i8], scales: &mut [f32]) -> &'a [i8] {
        let blocks = self.columns / BLOCK;
        for (out, &bits) in scales.iter_mut().zip(&self.scales[row * blocks..(row + 1) * blocks]) {
            *out = f16_to_f32(bits);
        }
        let width = blocks * self.format.quant_bytes();
        let quants = &self.quants[row * width..(row + 1) * width];
        match self.format {
            Format::Q8_0 => as_signed(quants),
            Format::Q4_0 => {
                dot::unpack_nibbles(quants, values);
                values
            }
        }
    }
}

/// Activations in blocks of 32: signed values and one f32 scale a block.
struct Activations {
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Activations {
    /// Quantizes rows of `columns` values: scale = largest magnitude / 127, values rounded to nearest.
    fn quantize(x: &[f32], columns: usize) -> Self {
        let mut values = vec![0i8; x.len()];
        let mut scales = vec![0f32; x.len() / BLOCK];
        let rows = x
            .par_chunks_exact(columns)
            .zip(values.par_chunks_exact_mut(columns))
            .zip(scales.par_chunks_exact_mut(columns / BLOCK));
        rows.for_each(|((x, values), scales)| dot::quantize_row(x, values, scales));
        Self { values, scales }
    }
}

/// (rows, columns) to (columns, rows).
fn transpose(x: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    out.par_chunks_exact_mut(rows).enumerate().for_each(|(column, out)| {
        for (row, out) in out.iter_mut().enumerate() {
            *out = x[row * columns + column];
        }
    });
    out
}

/// IEEE half to single precision, exact for all finite values. Branch-free so that it vectorizes: the exponent is
/// re-biased by a multiplication with 2^112, which also gets subnormal numbers right.
#[inline]
fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let magnitude = u32::from(bits & 0x7fff) << 13;
    f32::from_bits(sign | magnitude) * f32::from_bits(0x7780_0000)
}

/// Bytes as signed bytes.
fn as_signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: u8 and i8 have the same size and alignment and every bit pattern is valid for both.
    #[allow(unsafe_code)]
    unsafe {
        std::slice::from_raw_parts(bytes.as_ptr().cast::<i8>(), bytes.len())
    }
}
