//! The hottest loop with the instructions of x86-64 that do four byte products at once: AVX-512 VNNI, or AVX2.
//!
//! The same sums as the plain loop in `dot`, for all rows of a panel at once. Knows nothing of matrices, formats' files or threads.

use super::{
    BLOCK,
    dot::{Panel, QUAD, ROWS, tiles},
};
use std::arch::x86_64::{
    _mm256_abs_epi8, _mm256_add_epi32, _mm256_cvtepi32_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_storeu_ps, _mm512_cvtepi32_ps,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi8,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_xor_si512,
};

/// Rows that a register of AVX2 has room for.
const HALF: usize = ROWS / 2;

/// Fills `out` (tokens, [`ROWS`]) if the processor has what it takes; false if not. `blocks` is that of
/// `Panel::checked_blocks`.
#[allow(unsafe_code)]
pub fn panel_by_tokens(panel: &Panel, blocks: usize, out: &mut [f32]) -> bool {
    let has_vnni = std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512vnni");
    // SAFETY, each time: the processor has just said that it has the features that the functions are compiled for; the lengths,
    // which bound every load, were checked by `Panel::checked_blocks`, and each tile has as many tokens as it is given.
    if has_vnni {
        let rest = tiles::<8>((0, out), |first, out| unsafe { vnni::<8>(panel, blocks, first, out) });
        let rest = tiles::<4>(rest, |first, out| unsafe { vnni::<4>(panel, blocks, first, out) });
        tiles::<1>(rest, |first, out| unsafe { vnni::<1>(panel, blocks, first, out) });
    } else if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        let rest = tiles::<4>((0, out), |first, out| unsafe { avx2::<4>(panel, blocks, first, out) });
        tiles::<1>(rest, |first, out| unsafe { avx2::<1>(panel, blocks, first, out) });
    } else {
        return false;
    }
    true
}

/// `N` tokens from `first` on; `out` (N, [`ROWS`]).
///
/// # Safety
/// The features, and lengths as `Panel::checked_blocks` checks them.
// avx512bw: without it the compiler splits registers of bytes in two.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
#[allow(unsafe_code)]
unsafe fn vnni<const N: usize>(panel: &Panel, blocks: usize, first: usize, out: &mut [f32]) {
    // SAFETY: block < blocks, quad < the quads of a block and token < the tokens, so every load is inside of its slice.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); N];
        for block in 0..blocks {
            let place = |token: usize| (first + token) * blocks + block;
            // One factor must be unsigned: weights get 128 added, which the tokens' sums take away again.
            let mut dots: [_; N] =
                std::array::from_fn(|token| _mm512_set1_epi32(-128 * panel.token_sums.get_unchecked(place(token))));
            for quad in 0..BLOCK / QUAD {
                let weights = panel.values.as_ptr().add((block * (BLOCK / QUAD) + quad) * ROWS * QUAD);
                let weights = _mm512_xor_si512(_mm512_loadu_si512(weights.cast()), _mm512_set1_epi8(-128));
                for (token, dots) in dots.iter_mut().enumerate() {
                    let four = four(panel, place(token) * BLOCK + quad * QUAD);
                    *dots = _mm512_dpbusd_epi32(*dots, weights, _mm512_set1_epi32(four));
                }
            }
            let scales = _mm512_loadu_ps(panel.scales.as_ptr().add(block * ROWS));
            for (token, (sum, dots)) in sums.iter_mut().zip(dots).enumerate() {
                let scale = _mm512_set1_ps(*panel.token_scales.get_unchecked(place(token)));
                *sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots), _mm512_mul_ps(scales, scale), *sum);
            }
        }
        for (out, sum) in out.chunks_exact_mut(ROWS).zip(sums) {
            _mm512_storeu_ps(out.as_mut_ptr(), sum);
        }
    }
}

/// `N` tokens from `first` on; `out` (N, [`ROWS`]).
///
/// # Safety
/// The features, and lengths as `Panel::checked_blocks` checks them.
#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn avx2<const N: usize>(panel: &Panel, blocks: usize, first: usize, out: &mut [f32]) {
    // SAFETY: as above.
    unsafe {
        for half in 0..2 {
            let mut sums = [_mm256_setzero_ps(); N];
            for block in 0..blocks {
                let place = |token: usize| (first + token) * blocks + block;
                let mut dots = [_mm256_setzero_si256(); N];
                for quad in 0..BLOCK / QUAD {
                    let row = (block * (BLOCK / QUAD) + quad) * ROWS + half * HALF;
                    let weights = _mm256_loadu_si256(panel.values.as_ptr().add(row * QUAD).cast());
                    let magnitudes = _mm256_abs_epi8(weights);
                    for (token, dots) in dots.iter_mut().enumerate() {
                        let four = _mm256_set1_epi32(four(panel, place(token) * BLOCK + quad * QUAD));
                        // The weight's sign goes over to the other factor, since one of them must be unsigned. Sums of two
                        // products of a magnitude (at most 128) and a signed byte (at most 127) fit 16 bits.
                        let pairs = _mm256_maddubs_epi16(magnitudes, _mm256_sign_epi8(four, weights));
                        *dots = _mm256_add_epi32(*dots, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
                    }
                }
                let scales = _mm256_loadu_ps(panel.scales.as_ptr().add(block * ROWS + half * HALF));
                for (token, (sum, dots)) in sums.iter_mut().zip(dots).enumerate() {
                    let scale = _mm256_set1_ps(*panel.token_scales.get_unchecked(place(token)));
                    *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), _mm256_mul_ps(scales, scale), *sum);
                }
            }
            for (out, sum) in out.chunks_exact_mut(ROWS).zip(sums) {
                _mm256_storeu_ps(out[half * HALF..].as_mut_ptr(), sum);
            }
        }
    }
}

/// The token values from `place` on, four bytes in one number.
///
/// # Safety
/// There are four.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn four(panel: &Panel, place: usize) -> i32 {
    // SAFETY: as of this function; the read needs no alignment.
    unsafe { panel.tokens.as_ptr().add(place).cast::<i32>().read_unaligned() }
}
