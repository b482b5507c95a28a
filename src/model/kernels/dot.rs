//! The inner loops in plain Rust; those that the compiler makes wide by itself are compiled for AVX2 as well.
//!
//! The hottest, the products of a panel, is written for each processor's own instructions in `aarch64` and `x86`; the plain one here
//! serves what neither knows. Knows nothing of matrices, formats' files or threads.

use super::BLOCK;
#[cfg(target_arch = "aarch64")]
use super::aarch64 as native;
#[cfg(target_arch = "x86_64")]
use super::x86 as native;

/// Rows of a panel.
pub const ROWS: usize = 16;
/// Columns that lie together in a panel: as many products as the processors' instructions add up at once.
pub const QUAD: usize = 4;

/// Weight rows side by side, and the tokens that they meet. An instruction gives each row its four columns of a token.
#[derive(Clone, Copy)]
pub struct Panel<'a> {
    /// (columns / 4, [`ROWS`], 4)
    pub values: &'a [i8],
    /// (columns / 32, [`ROWS`])
    pub scales: &'a [f32],
    /// (tokens, columns), none of them -128
    pub tokens: &'a [i8],
    /// (tokens, columns / 32)
    pub token_scales: &'a [f32],
    /// (tokens, columns / 32): the values of each block added up
    pub token_sums: &'a [i32],
}

impl Panel<'_> {
    /// Blocks of a row, once the lengths have been held against each other: they bound every load that goes around the compiler's
    /// checks. `out` is (tokens, [`ROWS`]).
    ///
    /// # Panics
    /// The lengths differ.
    fn checked_blocks(&self, out: &[f32]) -> usize {
        let (blocks, tokens) = (self.scales.len() / ROWS, out.len() / ROWS);
        assert_eq!((self.scales.len(), out.len()), (blocks * ROWS, tokens * ROWS));
        assert_eq!(self.values.len(), blocks * BLOCK * ROWS);
        assert_eq!(self.tokens.len(), tokens * blocks * BLOCK);
        assert_eq!((self.token_scales.len(), self.token_sums.len()), (tokens * blocks, tokens * blocks));
        blocks
    }
}

/// A loop that [`widest`] can compile for several instruction sets. `run` must be `#[inline(always)]`.
trait Loop {
    fn run(self);
}

/// Runs `body`, in its AVX2 copy where the processor has it.
fn widest(body: impl Loop) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn avx2(body: impl Loop) {
            body.run();
        }
        if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
            // SAFETY: the processor has just said that it has the features that `avx2` is compiled for.
            #[allow(unsafe_code)]
            unsafe {
                avx2(body);
            }
            return;
        }
    }
    body.run();
}

/// The rows of a panel times every token: `out[token][row]` = sum over blocks of scale * scale * (values . values).
pub fn panel_by_tokens(panel: &Panel, out: &mut [f32]) {
    let blocks = panel.checked_blocks(out);
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    if native::panel_by_tokens(panel, blocks, out) {
        return;
    }
    for (token, out) in out.chunks_exact_mut(ROWS).enumerate() {
        for (row, out) in out.iter_mut().enumerate() {
            *out = (0..blocks).fold(0.0, |sum, block| {
                let column = |column: usize| {
                    let weight = panel.values[(column / QUAD * ROWS + row) * QUAD + column % QUAD];
                    i32::from(weight) * i32::from(panel.tokens[token * blocks * BLOCK + column])
                };
                let dot: i32 = (block * BLOCK..(block + 1) * BLOCK).map(column).sum();
                sum + dot as f32 * (panel.scales[block * ROWS + row] * panel.token_scales[token * blocks + block])
            });
        }
    }
}

/// Gives `each` the tokens of `out` (tokens, [`ROWS`]), which begins with the token `first`, `N` at a time as long as there are so
/// many: they share loaded weights. Gives back those that are left over.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub fn tiles<const N: usize>(
    (mut first, out): (usize, &mut [f32]),
    each: impl Fn(usize, &mut [f32]),
) -> (usize, &mut [f32]) {
    let mut tiles = out.chunks_exact_mut(N * ROWS);
    for out in tiles.by_ref() {
        each(first, out);
        first += N;
    }
    (first, tiles.into_remainder())
}

/// Q4_0's packed values to signed bytes -8..=7. Of `block` values the first half are the low nibbles of `block` / 2 bytes, the
/// others their high ones; the blocks of rows side by side count as one.
pub fn unpack_nibbles(packed: &[u8], block: usize, values: &mut [i8]) {
    struct UnpackNibbles<'a>(&'a [u8], usize, &'a mut [i8]);
    impl Loop for UnpackNibbles<'_> {
        #[inline(always)]
        fn run(self) {
            let Self(packed, block, values) = self;
            for (packed, values) in packed.chunks_exact(block / 2).zip(values.chunks_exact_mut(block)) {
                let (low, high) = values.split_at_mut(block / 2);
                for ((&byte, low), high) in packed.iter().zip(low).zip(high) {
                    *low = (byte & 0x0f) as i8 - 8;
                    *high = (byte >> 4) as i8 - 8;
                }
            }
        }
    }
    widest(UnpackNibbles(packed, block, values));
}

/// One row of f32 to blocks of signed bytes: scale = largest magnitude / 127, values rounded to nearest; and their sums.
pub fn quantize_row(x: &[f32], values: &mut [i8], scales: &mut [f32], sums: &mut [i32]) {
    struct QuantizeRow<'a>(&'a [f32], &'a mut [i8], &'a mut [f32], &'a mut [i32]);
    impl Loop for QuantizeRow<'_> {
        #[inline(always)]
        fn run(self) {
            let blocks = self.0.chunks_exact(BLOCK).zip(self.1.chunks_exact_mut(BLOCK)).zip(self.2).zip(self.3);
            for (((x, values), scale), sum) in blocks {
                let mut largest = 0f32;
                for &x in x {
                    largest = if x.abs() > largest { x.abs() } else { largest };
                }
                *scale = largest / 127.0;
                let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
                for (value, &x) in values.iter_mut().zip(x) {
                    // Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits of the mantissa:
                    // rounding without a call into the C library, and it vectorizes.
                    *value = ((x * inverse + 12_582_912.0).to_bits() as i32).wrapping_sub(0x4b40_0000) as i8;
                }
                *sum = values.iter().map(|&value| i32::from(value)).sum();
            }
        }
    }
    widest(QuantizeRow(x, values, scales, sums));
}
