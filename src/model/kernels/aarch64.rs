//! The hottest loop with the instructions of aarch64: `sdot`, four byte products at once, where the processor has it (Pi 5), else
//! widening multiplications (Pi 4).
//!
//! The same sums as the plain loop in `dot`, in another order: a block's products stay in four lanes, which are added up once a
//! row instead of once a block. Knows nothing of matrices, formats' files or threads.

use super::{BLOCK, dot::Row};
use std::arch::{
    aarch64::{
        int8x16_t, int32x4_t, vaddvq_f32, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_n_f32, vget_low_s8, vld1q_s8,
        vmlal_high_s8, vmull_s8, vpadalq_s16, vpaddlq_s16,
    },
    asm, is_aarch64_feature_detected,
};

/// Tokens that share a loaded weight.
const TILE: usize = 4;
/// The halves of a block.
type Halves = [int8x16_t; 2];

/// Fills `out` (tokens); true, since every aarch64 has what it takes.
pub fn row_by_tokens(row: &Row, out: &mut [f32]) -> bool {
    row.check(out);
    // SAFETY: the processor has just said whether it has `sdot`, all else is in every aarch64; the lengths, which bound every
    // load, were checked above.
    #[allow(unsafe_code)]
    unsafe {
        match is_aarch64_feature_detected!("dotprod") {
            true => dot_products(row, out),
            false => tiles(row, out, widening),
        }
    }
    true
}

/// # Safety
/// `sdot`, and lengths as `row_by_tokens` checks them.
#[target_feature(enable = "dotprod")]
#[allow(unsafe_code)]
unsafe fn dot_products(row: &Row, out: &mut [f32]) {
    // SAFETY: as of this function.
    unsafe {
        tiles(row, out, |a, b| {
            let mut sums = vdupq_n_s32(0);
            for (a, b) in a.into_iter().zip(b) {
                // The compiler's own name for it, vdotq_s32, is not stable yet.
                asm!("sdot {sums:v}.4s, {a:v}.16b, {b:v}.16b", sums = inout(vreg) sums, a = in(vreg) a, b = in(vreg) b,
                    options(pure, nomem, nostack, preserves_flags));
            }
            sums
        })
    }
}

/// Sums of two products of signed bytes, one of them not -128, fit 16 bits.
#[inline(always)]
fn widening(a: Halves, b: Halves) -> int32x4_t {
    // SAFETY: NEON is in every aarch64.
    #[allow(unsafe_code)]
    unsafe {
        let [first, second] = [0, 1].map(|half: usize| {
            let low = vmull_s8(vget_low_s8(a[half]), vget_low_s8(b[half]));
            vmlal_high_s8(low, a[half], b[half])
        });
        vpadalq_s16(vpaddlq_s16(first), second)
    }
}

/// `products` adds up 32 products of signed bytes to 4 sums.
///
/// # Safety
/// Lengths as `row_by_tokens` checks them.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn tiles(row: &Row, out: &mut [f32], products: impl Fn(Halves, Halves) -> int32x4_t + Copy) {
    for (tile, out) in out.chunks_mut(TILE).enumerate() {
        // SAFETY: as of this function.
        unsafe {
            match out.len() {
                4 => tokens::<4>(row, tile * TILE, out, products),
                3 => tokens::<3>(row, tile * TILE, out, products),
                2 => tokens::<2>(row, tile * TILE, out, products),
                _ => tokens::<1>(row, tile * TILE, out, products),
            }
        }
    }
}

/// `N` tokens from `first` on.
///
/// # Safety
/// As [`tiles`].
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn tokens<const N: usize>(
    row: &Row,
    first: usize,
    out: &mut [f32],
    products: impl Fn(Halves, Halves) -> int32x4_t,
) {
    let (columns, blocks) = (row.values.len(), row.scales.len());
    // SAFETY: block < blocks and token < the tokens of the row, so every load is inside of its slice.
    unsafe {
        let mut sums = [vdupq_n_f32(0.0); N];
        for block in 0..blocks {
            let weights = load(row.values.as_ptr().add(block * BLOCK));
            let scale = *row.scales.get_unchecked(block);
            for (place, sum) in sums.iter_mut().enumerate() {
                let token = first + place;
                let values = load(row.tokens.as_ptr().add(token * columns + block * BLOCK));
                let scale = scale * row.token_scales.get_unchecked(token * blocks + block);
                *sum = vfmaq_n_f32(*sum, vcvtq_f32_s32(products(weights, values)), scale);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = vaddvq_f32(sum);
        }
    }
}

/// # Safety
/// 32 bytes at `from`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn load(from: *const i8) -> Halves {
    // SAFETY: as of this function; the load needs no alignment.
    unsafe { [vld1q_s8(from), vld1q_s8(from.add(BLOCK / 2))] }
}
