//! Quantized products against f64 arithmetic on the dequantized values.

use half::f16;
use tomato_assistant::model::kernels::{BLOCK, Format, QMatrix};

/// Deterministic noise in -1..1.
fn noise(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as f32 / u32::MAX as f32 * 2.0 - 1.0
    };
    (0..count).map(step).collect()
}

/// A GGUF tensor's bytes with every nibble or byte value somewhere, and scales of all sizes.
fn blocks(rows: usize, columns: usize, format: Format) -> Vec<u8> {
    let scales = [0x1c00u16, 0x2e66, 0x9c00, 0x0001, 0x0000, 0x3c00];
    let blocks = rows * columns / BLOCK;
    let bytes = (0..blocks).flat_map(|block| {
        let scale = scales[block % scales.len()].to_le_bytes();
        let values = (0..format.block_bytes() - 2).map(move |i| (block * 37 + i * 11 + 128) as u8);
        scale.into_iter().chain(values)
    });
    bytes.collect()
}

/// The values of these bytes, in ggml's order: of 32 the first 16 are low nibbles in Q4_0, the others the high ones.
fn values(bytes: &[u8], format: Format) -> Vec<f32> {
    let of_block = |block: &[u8]| {
        let (scale, quants) = (f16::from_le_bytes([block[0], block[1]]).to_f32(), block[2..].to_vec());
        let quants: Vec<i8> = match format {
            Format::Q8_0 => quants.iter().map(|&byte| byte as i8).collect(),
            Format::Q4_0 => {
                let (low, high) = (quants.iter().map(|byte| byte & 15), quants.iter().map(|byte| byte >> 4));
                low.chain(high).map(|nibble| nibble as i8 - 8).collect()
            }
        };
        quants.into_iter().map(move |quant| f32::from(quant) * scale).collect::<Vec<f32>>()
    };
    bytes.chunks(format.block_bytes()).flat_map(of_block).collect()
}

/// `.ci/run` says which instructions an emulated processor has: else one loop could be tested in another's place.
#[test]
#[cfg(target_arch = "x86_64")]
fn an_emulated_processor_has_the_instructions_that_are_tested() {
    let Ok(expected) = std::env::var("EXPECTED_AVX2") else { return };
    let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    assert_eq!((found.to_string(), is_x86_feature_detected!("avx512vnni")), (expected, false));
}

#[test]
fn each_token_has_the_same_product_alone_and_among_others() {
    for format in [Format::Q8_0, Format::Q4_0] {
        let matrix = QMatrix::read(40, 96, format, &mut blocks(40, 96, format).as_slice()).unwrap();
        for tokens in 1..=17 {
            let x = noise(tokens * 96, 3);
            let alone: Vec<f32> = x.chunks(96).flat_map(|token| matrix.matmul(token)).collect();
            assert_eq!(matrix.matmul(&x), alone, "{format:?}, {tokens} tokens");
        }
    }
}

#[test]
fn products_match_f64_arithmetic() {
    for format in [Format::Q8_0, Format::Q4_0] {
        for (rows, columns, tokens) in [(1, 32, 1), (7, 64, 1), (100, 640, 3), (16, 32, 7), (48, 64, 12), (640, 96, 33)]
        {
            let bytes = blocks(rows, columns, format);
            let matrix = QMatrix::read(rows, columns, format, &mut bytes.as_slice()).unwrap();
            let values = values(&bytes, format);
            let x = noise(tokens * columns, 7);
            let product = matrix.matmul(&x);
            assert_eq!(product.len(), tokens * rows);
            let mut weights = vec![0f32; columns];
            for row in 0..rows {
                matrix.dequantize_row(row, &mut weights);
                assert_eq!(weights, values[row * columns..(row + 1) * columns], "{format:?} row {row}");
                for token in 0..tokens {
                    let x = &x[token * columns..(token + 1) * columns];
                    let exact: f64 = x.iter().zip(&weights).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    // Activations are rounded to 1/127 of the largest in their block: at most 1/254 off, per value.
                    let bound: f64 = weights.iter().map(|w| f64::from(w.abs()) / 254.0).sum::<f64>() + 1e-4;
                    let ours = f64::from(product[token * rows + row]);
                    assert!((ours - exact).abs() <= bound, "{format:?} {row},{token}: {ours} against {exact}");
                }
            }
        }
    }
}

#[test]
fn values_that_need_no_rounding_are_exact() {
    // Whole numbers up to 127 with 127 among them quantize without loss; so do Q8_0 weights with scale 1.
    let mut bytes = vec![0x00, 0x3c];
    bytes.extend((0..32u8).map(|i| i.wrapping_mul(8).wrapping_sub(128)));
    let matrix = QMatrix::read(1, 32, Format::Q8_0, &mut bytes.as_slice()).unwrap();
    let x: Vec<f32> = (0..32).map(|i| if i == 5 { 127.0 } else { i as f32 - 16.0 }).collect();
    let weights: Vec<f32> = (0..32).map(|i| f32::from((i as u8).wrapping_mul(8).wrapping_sub(128) as i8)).collect();
    let mut row = vec![0f32; 32];
    matrix.dequantize_row(0, &mut row);
    assert_eq!(row, weights);
    let exact: f32 = x.iter().zip(&weights).map(|(x, w)| x * w).sum();
    assert_eq!(matrix.matmul(&x), [exact]);
}

#[test]
fn the_largest_products_do_not_overflow() {
    // Two of -128 * 127 just fit into 16 bits, three do not. Tokens enough for whole tiles and a rest.
    for (columns, tokens) in [(32, 1), (64, 4), (640, 9)] {
        let block: Vec<u8> = [0x00, 0x3c].into_iter().chain([0x80; 32]).collect();
        let bytes = block.repeat(2 * columns / BLOCK);
        let matrix = QMatrix::read(2, columns, Format::Q8_0, &mut bytes.as_slice()).unwrap();
        for value in [127.0, -127.0] {
            let product = matrix.matmul(&vec![value; tokens * columns]);
            assert_eq!(product, vec![-128.0 * value * columns as f32; tokens * 2]);
        }
    }
}

#[test]
fn nibbles_unpack_in_ggml_order() {
    // Low nibbles are values 0..16, high nibbles 16..32, both offset by 8; scale 2.
    let mut bytes = vec![0x00, 0x40];
    bytes.extend((0..16u8).map(|i| i | ((15 - i) << 4)));
    let matrix = QMatrix::read(1, 32, Format::Q4_0, &mut bytes.as_slice()).unwrap();
    let mut row = vec![0f32; 32];
    matrix.dequantize_row(0, &mut row);
    let expected: Vec<f32> = (0..16).chain((0..16).rev()).map(|i| (i - 8) as f32 * 2.0).collect();
    assert_eq!(row, expected);
}

#[test]
fn zeros_stay_zero() {
    let matrix = QMatrix::read(3, 64, Format::Q4_0, &mut blocks(3, 64, Format::Q4_0).as_slice()).unwrap();
    assert_eq!(matrix.matmul(&[0.0; 64]), [0.0; 3]);
}

#[test]
fn misshapen_bytes_are_refused() {
    assert!(QMatrix::read(2, 33, Format::Q8_0, &mut [0; 68].as_slice()).unwrap_err().contains("multiple"));
    assert!(QMatrix::read(2, 32, Format::Q8_0, &mut [0; 67].as_slice()).unwrap_err().contains("68"));
    assert!(QMatrix::read(2, 32, Format::Q4_0, &mut [0; 35].as_slice()).unwrap_err().contains("36"));
    for (rows, columns) in [(0, 32), (2, 0), (usize::MAX, 32), (usize::MAX / 32, 64)] {
        assert!(QMatrix::read(rows, columns, Format::Q8_0, &mut [].as_slice()).unwrap_err().contains("no matrix"));
    }
}
