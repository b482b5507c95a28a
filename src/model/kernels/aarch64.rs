//! The hottest loop with the instructions of aarch64: `sdot`, four byte products at once, where the processor has it (Pi 5), else
//! widening multiplications (Pi 4).
//!
//! The same sums as the plain loop in `dot`, for four rows of a panel in a register. Knows nothing of matrices, formats' files or
//! threads.

use super::{
    BLOCK,
    dot::{Panel, QUAD, ROWS, tiles},
};
use std::arch::{
    aarch64::{
        float32x4_t, int8x16_t, int32x4_t, vcvtq_f32_s32, vdupq_laneq_s32, vdupq_n_f32, vdupq_n_s32, vfmaq_f32,
        vget_low_s8, vld1q_f32, vld1q_s8, vmlal_high_s8, vmlal_s8, vmull_high_s8, vmull_s8, vmulq_n_f32, vpadalq_s16,
        vpaddq_s32, vreinterpretq_s8_s32, vreinterpretq_s32_s8, vst1q_f32,
    },
    asm, is_aarch64_feature_detected,
};

/// Rows in a register, and registers that share a loaded token.
const LANES: usize = 4;
const ABREAST: usize = 2;
/// Columns of a token in a register.
const COLUMNS: usize = 16;

/// How 16 columns of four rows are multiplied with those of a token.
trait Products {
    /// What is added up over a block.
    type Sums: Copy;

    fn zero() -> Self::Sums;
    /// `weights`: four columns of four rows each.
    ///
    /// # Safety
    /// The processor has the instructions.
    #[allow(unsafe_code)]
    unsafe fn add(sums: Self::Sums, weights: [int8x16_t; 4], token: int8x16_t) -> Self::Sums;
    /// A sum for each row.
    fn total(sums: Self::Sums) -> int32x4_t;
}

/// With `sdot`.
struct DotProducts;

/// `sums` with four products added for each row: the columns of one `LANE` of the token.
///
/// # Safety
/// The processor has `sdot`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn sdot<const LANE: usize>(mut sums: int32x4_t, weights: int8x16_t, token: int8x16_t) -> int32x4_t {
    // SAFETY: as of this function. The compiler's own name for it, vdotq_laneq_s32, is not stable yet.
    unsafe {
        asm!("sdot {sums:v}.4s, {weights:v}.16b, {token:v}.4b[{lane}]", sums = inout(vreg) sums, weights = in(vreg) weights,
            token = in(vreg) token, lane = const LANE, options(pure, nomem, nostack, preserves_flags));
    }
    sums
}

impl Products for DotProducts {
    type Sums = int32x4_t;

    #[inline(always)]
    fn zero() -> int32x4_t {
        // SAFETY: NEON is in every aarch64.
        #[allow(unsafe_code)]
        unsafe {
            vdupq_n_s32(0)
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn add(sums: int32x4_t, [first, second, third, fourth]: [int8x16_t; 4], token: int8x16_t) -> int32x4_t {
        // SAFETY: as of this function.
        unsafe {
            let sums = sdot::<1>(sdot::<0>(sums, first, token), second, token);
            sdot::<3>(sdot::<2>(sums, third, token), fourth, token)
        }
    }

    #[inline(always)]
    fn total(sums: int32x4_t) -> int32x4_t {
        sums
    }
}

/// With multiplications of bytes to 16 bits.
struct Widening;

impl Products for Widening {
    /// Two for each row: of the first two rows, of the others.
    type Sums = [int32x4_t; 2];

    #[inline(always)]
    fn zero() -> [int32x4_t; 2] {
        [DotProducts::zero(); 2]
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn add(
        [low, high]: [int32x4_t; 2],
        [first, second, third, fourth]: [int8x16_t; 4],
        token: int8x16_t,
    ) -> [int32x4_t; 2] {
        // Sums of two products of signed bytes, one of them not -128, fit 16 bits.
        // SAFETY: NEON is in every aarch64.
        #[allow(unsafe_code)]
        unsafe {
            let quads = vreinterpretq_s32_s8(token);
            let pair = |low, high, [a, b]: [int8x16_t; 2], [x, y]: [int32x4_t; 2]| {
                let [x, y] = [x, y].map(|quad| vreinterpretq_s8_s32(quad));
                let products = vmlal_s8(vmull_s8(vget_low_s8(a), vget_low_s8(x)), vget_low_s8(b), vget_low_s8(y));
                (vpadalq_s16(low, products), vpadalq_s16(high, vmlal_high_s8(vmull_high_s8(a, x), b, y)))
            };
            let both = [vdupq_laneq_s32::<0>(quads), vdupq_laneq_s32::<1>(quads)];
            let (low, high) = pair(low, high, [first, second], both);
            let both = [vdupq_laneq_s32::<2>(quads), vdupq_laneq_s32::<3>(quads)];
            let (low, high) = pair(low, high, [third, fourth], both);
            [low, high]
        }
    }

    #[inline(always)]
    fn total([low, high]: [int32x4_t; 2]) -> int32x4_t {
        // SAFETY: NEON is in every aarch64.
        #[allow(unsafe_code)]
        unsafe {
            vpaddq_s32(low, high)
        }
    }
}

/// Fills `out` (tokens, [`ROWS`]); true, since every aarch64 has what it takes. `blocks` is that of `Panel::checked_blocks`.
#[allow(unsafe_code)]
pub fn panel_by_tokens(panel: &Panel, blocks: usize, out: &mut [f32]) -> bool {
    // As many tokens share loaded weights as there are registers for.
    // SAFETY, each time: the processor has just said whether it has `sdot`, all else is in every aarch64; the lengths, which bound
    // every load, were checked by `Panel::checked_blocks`, and each tile has as many tokens as it is given.
    if is_aarch64_feature_detected!("dotprod") {
        let rest = tiles::<4>((0, out), |first, out| unsafe { dot_products::<4>(panel, blocks, first, out) });
        tiles::<1>(rest, |first, out| unsafe { dot_products::<1>(panel, blocks, first, out) });
    } else {
        let rest = tiles::<2>((0, out), |first, out| unsafe { tokens::<Widening, 2>(panel, blocks, first, out) });
        tiles::<1>(rest, |first, out| unsafe { tokens::<Widening, 1>(panel, blocks, first, out) });
    }
    true
}

/// # Safety
/// `sdot`, and as [`tokens`].
#[target_feature(enable = "dotprod")]
#[allow(unsafe_code)]
unsafe fn dot_products<const N: usize>(panel: &Panel, blocks: usize, first: usize, out: &mut [f32]) {
    // SAFETY: as of this function.
    unsafe { tokens::<DotProducts, N>(panel, blocks, first, out) }
}

/// `N` tokens from `first` on; `out` (N, [`ROWS`]).
///
/// # Safety
/// What `P` needs, and lengths as `Panel::checked_blocks` checks them.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn tokens<P: Products, const N: usize>(panel: &Panel, blocks: usize, first: usize, out: &mut [f32]) {
    // SAFETY: rows < ROWS, block < blocks and token < the tokens of the panel, so every load and store is inside of its slice.
    unsafe {
        for rows in (0..ROWS).step_by(ABREAST * LANES) {
            let mut sums: [[float32x4_t; ABREAST]; N] = [[vdupq_n_f32(0.0); ABREAST]; N];
            for block in 0..blocks {
                let place = |token: usize| (first + token) * blocks + block;
                let mut dots = [[P::zero(); ABREAST]; N];
                for part in 0..BLOCK / COLUMNS {
                    let weights: [[int8x16_t; 4]; ABREAST] = std::array::from_fn(|register| {
                        std::array::from_fn(|quad| {
                            let quad = (block * BLOCK + part * COLUMNS) / QUAD + quad;
                            vld1q_s8(panel.values.as_ptr().add((quad * ROWS + rows + register * LANES) * QUAD))
                        })
                    });
                    for (token, dots) in dots.iter_mut().enumerate() {
                        let values = vld1q_s8(panel.tokens.as_ptr().add(place(token) * BLOCK + part * COLUMNS));
                        for (dots, weights) in dots.iter_mut().zip(weights) {
                            *dots = P::add(*dots, weights, values);
                        }
                    }
                }
                let scales: [float32x4_t; ABREAST] = std::array::from_fn(|register| {
                    vld1q_f32(panel.scales.as_ptr().add(block * ROWS + rows + register * LANES))
                });
                for (token, (sums, dots)) in sums.iter_mut().zip(dots).enumerate() {
                    let scale = *panel.token_scales.get_unchecked(place(token));
                    for (sum, (dots, scales)) in sums.iter_mut().zip(dots.into_iter().zip(scales)) {
                        *sum = vfmaq_f32(*sum, vcvtq_f32_s32(P::total(dots)), vmulq_n_f32(scales, scale));
                    }
                }
            }
            for (out, sums) in out.chunks_exact_mut(ROWS).zip(sums) {
                for (out, sum) in out[rows..].chunks_exact_mut(LANES).zip(sums) {
                    vst1q_f32(out.as_mut_ptr(), sum);
                }
            }
        }
    }
}
