//! The inner loops, each written once in plain Rust and compiled for every instruction set that is worth it.
//!
//! For the hottest, the block product, `aarch64` and `x86` have better ones; the plain one serves what neither knows. Knows
//! nothing of matrices, formats' files or threads.

use super::BLOCK;
#[cfg(target_arch = "aarch64")]
use super::aarch64 as native;
#[cfg(target_arch = "x86_64")]
use super::x86 as native;

/// A weight row and the tokens it meets.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    /// (columns)
    pub values: &'a [i8],
    /// (columns / 32)
    pub scales: &'a [f32],
    /// (tokens, columns), none of them -128
    pub tokens: &'a [i8],
    /// (tokens, columns / 32)
    pub token_scales: &'a [f32],
}

impl Row<'_> {
    /// Holds the lengths against each other, which bound every load that goes around the compiler's checks.
    ///
    /// # Panics
    /// They differ.
    pub fn check(&self, out: &[f32]) {
        assert_eq!(self.values.len(), self.scales.len() * BLOCK);
        assert_eq!(self.tokens.len(), out.len() * self.values.len());
        assert_eq!(self.token_scales.len(), out.len() * self.scales.len());
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

/// One weight row times every token: `out[t] = sum over blocks of scale * scale * (values . values)`.
pub fn row_by_tokens(row: Row, out: &mut [f32]) {
    struct RowByTokens<'a>(Row<'a>, &'a mut [f32]);
    impl Loop for RowByTokens<'_> {
        #[inline(always)]
        fn run(self) {
            let Self(Row { values, scales, tokens, token_scales }, out) = self;
            let tokens = tokens.chunks_exact(values.len()).zip(token_scales.chunks_exact(scales.len()));
            for (out, (token, token_scales)) in out.iter_mut().zip(tokens) {
                let blocks = values.chunks_exact(BLOCK).zip(token.chunks_exact(BLOCK));
                let mut sum = 0f32;
                for ((row, token), (row_scale, scale)) in blocks.zip(scales.iter().zip(token_scales)) {
                    let mut dot = 0i32;
                    for (&a, &b) in row.iter().zip(token) {
                        // Products of two signed bytes fit 16 bits; the compiler uses that.
                        dot += i32::from(i16::from(a) * i16::from(b));
                    }
                    sum += dot as f32 * (row_scale * scale);
                }
                *out = sum;
            }
        }
    }
    #[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
    if native::row_by_tokens(&row, out) {
        return;
    }
    widest(RowByTokens(row, out));
}

/// Q4_0's packed values (16 bytes a block: low nibbles are values 0..16, high nibbles 16..32) to signed bytes -8..=7.
pub fn unpack_nibbles(packed: &[u8], values: &mut [i8]) {
    struct UnpackNibbles<'a>(&'a [u8], &'a mut [i8]);
    impl Loop for UnpackNibbles<'_> {
        #[inline(always)]
        fn run(self) {
            for (packed, values) in self.0.chunks_exact(BLOCK / 2).zip(self.1.chunks_exact_mut(BLOCK)) {
                let (low, high) = values.split_at_mut(BLOCK / 2);
                for ((&byte, low), high) in packed.iter().zip(low).zip(high) {
                    *low = (byte & 0x0f) as i8 - 8;
                    *high = (byte >> 4) as i8 - 8;
                }
            }
        }
    }
    widest(UnpackNibbles(packed, values));
}

/// One row of f32 to blocks of signed bytes: scale = largest magnitude / 127, values rounded to nearest.
pub fn quantize_row(x: &[f32], values: &mut [i8], scales: &mut [f32]) {
    struct QuantizeRow<'a>(&'a [f32], &'a mut [i8], &'a mut [f32]);
    impl Loop for QuantizeRow<'_> {
        #[inline(always)]
        fn run(self) {
            let blocks = self.0.chunks_exact(BLOCK).zip(self.1.chunks_exact_mut(BLOCK)).zip(self.2);
            for ((x, values), scale) in blocks {
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
            }
        }
    }
    widest(QuantizeRow(x, values, scales));
}
