//! Quantized products against f64 arithmetic on the dequantized values.

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

#[test]
fn products_match_f64_arithmetic() {
    for format in [Format::Q8_0, Format::Q4_0] {
        for (rows, columns, tokens) in [(1, 32, 1), (7, 64, 1), (100, 640, 3), (16, 32, 7), (48, 64, 12), (640, 96, 33)]
        {
            let matrix = QMatrix::read(rows, columns, format, &mut blocks(rows, columns, format).as_slice()).unwrap();
            let x = noise(tokens * columns, 7);
            let product = matrix.matmul(&x);
            assert_eq!(product.len(), tokens * rows);
            let mut weights = vec![0f32; columns];
            for row in 0..rows {
                matrix.dequantize_row(row, &mut weights);
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
}
