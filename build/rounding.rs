//! f32 numbers -> Q4_0 blocks that are nearer to them than those of plain rounding.
//!
//! A block is 32 numbers q·d with q from -8 to 7 and one f16 scale d. Plain rounding takes d so that the largest number is
//! exact. Here 19 scales around that are tried, each with the d that fits its q best by least squares; the best by weighted
//! squared error stays; by default large numbers count more (as ggml's make_qx_quants does without an importance matrix). The format, and
//! so the appliance, is the same. Does NOT know what the numbers are.

use half::f16;
use rayon::prelude::*;

/// Numbers in a block.
pub const BLOCK: usize = 32;
/// Bytes of a block: the scale, then two numbers a byte, the first 16 in the low halves.
pub const BYTES: usize = 18;
/// Tenths of a step by which the range is wider or narrower than -8 to 7.
const TRIES: std::ops::RangeInclusive<i8> = -9..=9;

/// The blocks of `values`, whose number is a multiple of 32.
pub fn q4_0(values: &[f32]) -> Vec<u8> {
    let mut bytes = vec![0; values.len() / BLOCK * BYTES];
    bytes.par_chunks_mut(BYTES).zip(values.par_chunks(BLOCK)).for_each(|(out, block)| {
        let weights: [f32; BLOCK] = std::array::from_fn(|place| block[place] * block[place]);
        let (scale, numbers) = fit(block, &weights);
        pack(scale, &numbers, out);
    });
    bytes
}

/// Writes a block.
pub fn pack(scale: f32, numbers: &[i8; BLOCK], out: &mut [u8]) {
    out[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
    for (place, byte) in out[2..].iter_mut().enumerate() {
        *byte = (numbers[place] + 8) as u8 | ((numbers[place + BLOCK / 2] + 8) as u8) << 4;
    }
}

/// The scale and the numbers, -8 to 7, that give `block` back best; an error at a place counts its weight.
pub fn fit(block: &[f32], weights: &[f32; BLOCK]) -> (f32, [i8; BLOCK]) {
    let largest = block.iter().copied().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(0.0);
    let (mut best, mut scale, mut numbers) = (0.0, 0.0, [0; BLOCK]);
    if largest.abs() < f32::MIN_POSITIVE {
        return (scale, numbers);
    }
    for tenths in TRIES {
        let inverse = -(8.0 + 0.1 * f32::from(tenths)) / largest;
        let (mut tried, mut product, mut square) = ([0; BLOCK], 0.0, 0.0);
        for ((number, value), weight) in tried.iter_mut().zip(block).zip(weights) {
            *number = (value * inverse).round().clamp(-8.0, 7.0) as i8;
            let q = f32::from(*number);
            product += weight * value * q;
            square += weight * q * q;
        }
        // The weighted squared error is that of all zeros less product² / square.
        if square > 0.0 && product * product / square > best {
            (best, scale, numbers) = (product * product / square, product / square, tried);
        }
    }
    (scale, numbers)
}
