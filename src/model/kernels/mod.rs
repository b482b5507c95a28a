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
#[cfg(target_arch = "x86_64")]
mod x86;

use dot::{Panel, QUAD, ROWS};
use rayon::prelude::*;
use std::{io::Read, ops::Range};

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
/// It lies in memory as the product reads it: panels of [`ROWS`] rows side by side, four bytes of each in turn, so that an instruction
/// gets the values of many rows for one place in their blocks. The last panel is filled up with rows of zeros.
#[derive(Debug)]
pub struct QMatrix {
    rows: usize,
    columns: usize,
    format: Format,
    /// f16 bits, (panels, blocks of a row, [`ROWS`]).
    scales: Vec<u16>,
    /// (panels, blocks of a row, `format.quant_bytes()` / 4, [`ROWS`], 4).
    quants: Vec<u8>,
}

impl QMatrix {
    /// Takes the bytes of a GGUF tensor of shape (rows, columns), as they come: only the finished matrix and a few
    /// kilobytes are ever held, which decides the peak memory of the appliance.
    ///
    /// # Errors
    /// A sentence when there is nothing, when the columns are no multiple of 32, or when the bytes end too early.
    pub fn read(rows: usize, columns: usize, format: Format, bytes: &mut impl Read) -> Result<Self, String> {
        if !columns.is_multiple_of(BLOCK) {
            return Err(format!("{columns} columns are not a multiple of the block of {BLOCK}"));
        }
        let padded = rows.checked_next_multiple_of(ROWS).filter(|padded| padded.checked_mul(columns).is_some());
        let (Some(padded), 1.., 1..) = (padded, rows, columns) else {
            return Err(format!("{rows} x {columns} values are no matrix"));
        };
        let blocks = columns / BLOCK;
        let mut scales = vec![0; padded * blocks];
        let mut quants = vec![0; padded * blocks * format.quant_bytes()];
        let mut bytes_of_row = vec![0u8; blocks * format.block_bytes()];
        for row in 0..rows {
            bytes.read_exact(&mut bytes_of_row).map_err(|error| {
                let expected = rows * blocks * format.block_bytes();
                format!("{rows} x {columns} values take {expected} bytes, which are not there: {error}")
            })?;
            let blocks_of_row = bytes_of_row.chunks_exact(format.block_bytes());
            for (out, block) in own_mut(&mut scales, row, blocks).zip(blocks_of_row.clone()) {
                *out = u16::from_le_bytes([block[0], block[1]]);
            }
            let quads = blocks_of_row.flat_map(|block| block[2..].as_chunks::<QUAD>().0);
            let own = own_mut(quants.as_chunks_mut().0, row, blocks * format.quant_bytes() / QUAD);
            own.zip(quads).for_each(|(out, quad)| *out = *quad);
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
    ///
    /// # Panics
    /// There is no such row.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.rows);
        let blocks = self.columns / BLOCK;
        let (quads, _) = self.quants.as_chunks::<QUAD>();
        let own_quads = own(quads, row, blocks * self.format.quant_bytes() / QUAD);
        let quants: Vec<u8> = own_quads.flatten().copied().collect();
        let mut unpacked = Vec::new();
        let values = self.unpack(&quants, 1, &mut unpacked);
        let scales = own(&self.scales, row, blocks);
        for ((out, values), &scale) in out.chunks_exact_mut(BLOCK).zip(values.chunks_exact(BLOCK)).zip(scales) {
            let scale = f16_to_f32(scale);
            out.iter_mut().zip(values).for_each(|(out, &value)| *out = f32::from(value) * scale);
        }
    }

    /// `x` (tokens, columns) times this matrix transposed: (tokens, rows), row-major. Uses rayon's global pool.
    pub fn matmul(&self, x: &[f32]) -> Vec<f32> {
        let tokens = x.len() / self.columns;
        let Activations { values, scales, sums } = &Activations::quantize(x, self.columns);
        let panels = self.rows.div_ceil(ROWS);
        // A panel meets all tokens while it lies in the nearest caches, so the products come panel by panel.
        let mut products = vec![0f32; panels * tokens * ROWS];
        // At least so many panels a task that handing it out costs nothing.
        let tasks = products.par_chunks_exact_mut(tokens * ROWS).enumerate().with_min_len((panels / 64).clamp(1, 32));
        let blocks = self.columns / BLOCK;
        tasks.for_each_init(
            || (Vec::new(), vec![0f32; ROWS * blocks]),
            |(unpacked, panel_scales), (panel, out)| {
                let width = ROWS * blocks * self.format.quant_bytes();
                let own_scales = &self.scales[panel * ROWS * blocks..][..ROWS * blocks];
                panel_scales.iter_mut().zip(own_scales).for_each(|(out, &bits)| *out = f16_to_f32(bits));
                let panel = Panel {
                    values: self.unpack(&self.quants[panel * width..][..width], ROWS, unpacked),
                    scales: panel_scales,
                    tokens: values,
                    token_scales: scales,
                    token_sums: sums,
                };
                dot::panel_by_tokens(&panel, out);
            },
        );
        if tokens == 1 {
            products.truncate(self.rows);
            return products;
        }
        let mut out = vec![0f32; tokens * self.rows];
        out.par_chunks_exact_mut(self.rows).enumerate().for_each(|(token, out)| {
            for (out, panel) in out.chunks_mut(ROWS).zip(products.chunks_exact(tokens * ROWS)) {
                out.copy_from_slice(&panel[token * ROWS..][..out.len()]);
            }
        });
        out
    }

    /// The signed values of `rows` rows that lie side by side: borrowed where the format stores them so, else put into `unpacked`.
    fn unpack<'a>(&self, quants: &'a [u8], rows: usize, unpacked: &'a mut Vec<i8>) -> &'a [i8] {
        match self.format {
            Format::Q8_0 => as_signed(quants),
            Format::Q4_0 => {
                unpacked.resize(rows * self.columns, 0);
                dot::unpack_nibbles(quants, rows * BLOCK, unpacked);
                unpacked
            }
        }
    }
}

/// Where a matrix of `width` values a row, [`ROWS`] of them side by side, has those of `row`.
fn places(row: usize, width: usize) -> Range<usize> {
    let first = row / ROWS * ROWS * width;
    first + row % ROWS..first + ROWS * width
}

/// The values there.
fn own<T>(all: &[T], row: usize, width: usize) -> impl Iterator<Item = &T> {
    all[places(row, width)].iter().step_by(ROWS)
}

/// The same to be written.
fn own_mut<T>(all: &mut [T], row: usize, width: usize) -> impl Iterator<Item = &mut T> {
    all[places(row, width)].iter_mut().step_by(ROWS)
}

/// Activations in blocks of 32: signed values, and for each block an f32 scale and what the values add up to.
struct Activations {
    values: Vec<i8>,
    scales: Vec<f32>,
    sums: Vec<i32>,
}

impl Activations {
    /// Quantizes rows of `columns` values: scale = largest magnitude / 127, values rounded to nearest.
    fn quantize(x: &[f32], columns: usize) -> Self {
        let (blocks, count) = (columns / BLOCK, x.len() / BLOCK);
        let (mut values, mut scales, mut sums) = (vec![0i8; x.len()], vec![0f32; count], vec![0i32; count]);
        let rows = x
            .par_chunks_exact(columns)
            .zip(values.par_chunks_exact_mut(columns))
            .zip(scales.par_chunks_exact_mut(blocks))
            .zip(sums.par_chunks_exact_mut(blocks));
        rows.for_each(|(((x, values), scales), sums)| dot::quantize_row(x, values, scales, sums));
        Self { values, scales, sums }
    }
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
