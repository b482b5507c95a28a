//! The hottest loop with the instructions of x86-64 that do four byte products at once: AVX2, and AVX-512 VNNI where it is.
//!
//! The same sums as the plain loop in `dot`, in another order: a block's products stay in eight lanes, which are added up
//! once a row instead of once a block. Knows nothing of matrices, formats' files or threads.

use super::{BLOCK, dot::Row};
use std::arch::x86_64::{
    __m256, __m256i, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_movehdup_ps, _mm_movehl_ps, _mm256_abs_epi8,
    _mm256_castps256_ps128, _mm256_cvtepi32_ps, _mm256_dpbusd_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_sign_epi8,
};

/// Tokens that share a loaded weight.
const TILE: usize = 4;

/// Fills `out` (tokens) if the processor has what it takes; false if not.
pub fn row_by_tokens(row: &Row, out: &mut [f32]) -> bool {
    row.check(out);
    if !(std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma")) {
        return false;
    }
    // SAFETY: the processor has just said that it has the features that the functions are compiled for; the lengths, which
    // bound every load, were checked above.
    #[allow(unsafe_code)]
    unsafe {
        match std::is_x86_feature_detected!("avx512vnni") && std::is_x86_feature_detected!("avx512vl") {
            true => vnni(row, out),
            false => avx2(row, out),
        }
    }
    true
}

#[target_feature(enable = "avx2,fma,avx512vnni,avx512vl")]
#[allow(unsafe_code)]
unsafe fn vnni(row: &Row, out: &mut [f32]) {
    // SAFETY: the features are those of this function.
    unsafe { tiles(row, out, |a, b| _mm256_dpbusd_epi32(_mm256_setzero_si256(), a, b)) }
}

#[target_feature(enable = "avx2,fma")]
#[allow(unsafe_code)]
unsafe fn avx2(row: &Row, out: &mut [f32]) {
    // Sums of two products of a magnitude (at most 128) and a signed byte (at most 127) fit 16 bits.
    // SAFETY: the features are those of this function.
    unsafe { tiles(row, out, |a, b| _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1))) }
}

/// `products` adds up each four products of unsigned and signed bytes: 32 bytes by 32 bytes to 8 sums.
///
/// # Safety
/// AVX2 and FMA, and lengths as `row_by_tokens` checks them.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn tiles(row: &Row, out: &mut [f32], products: impl Fn(__m256i, __m256i) -> __m256i + Copy) {
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
    products: impl Fn(__m256i, __m256i) -> __m256i,
) {
    let (columns, blocks) = (row.values.len(), row.scales.len());
    // SAFETY: AVX2 and FMA are there; block < blocks and token < the tokens of the row, so every load is inside of its slice.
    unsafe {
        let mut sums = [_mm256_setzero_ps(); N];
        for block in 0..blocks {
            let weights = load(row.values.as_ptr().add(block * BLOCK));
            let magnitudes = _mm256_abs_epi8(weights);
            let scale = *row.scales.get_unchecked(block);
            for (place, sum) in sums.iter_mut().enumerate() {
                let token = first + place;
                let values = load(row.tokens.as_ptr().add(token * columns + block * BLOCK));
                // The weight's sign goes over to the other factor, since one of them must be unsigned.
                let products = products(magnitudes, _mm256_sign_epi8(values, weights));
                let scale = _mm256_set1_ps(scale * row.token_scales.get_unchecked(token * blocks + block));
                *sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(products), scale, *sum);
            }
        }
        for (out, sum) in out.iter_mut().zip(sums) {
            *out = add_up(sum);
        }
    }
}

/// # Safety
/// AVX2, and 32 bytes at `from`.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn load(from: *const i8) -> __m256i {
    // SAFETY: as of this function; the load needs no alignment.
    unsafe { _mm256_loadu_si256(from.cast()) }
}

/// The sum of eight lanes.
///
/// # Safety
/// AVX2.
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn add_up(lanes: __m256) -> f32 {
    // SAFETY: as of this function.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps::<1>(lanes));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}
