//! Rounding that makes up for its own errors: nearer where inputs go together, plain where they do not.

use crate::{
    stages::{
        compensate::{self, Compensation},
        draw::Draw,
        rounding::{self, BLOCK, BYTES, fit},
    },
    tiny,
};
use candle_core::{DType, Device, Tensor};
use tomato_assistant::model::{
    gemma3::Site,
    kernels::{Format, QMatrix},
};

const WIDTH: usize = 4 * BLOCK;
const ROWS: usize = 24;

fn random(draw: &mut Draw, count: usize) -> Vec<f32> {
    // Sums of uniform numbers are near to normal ones.
    (0..count).map(|_| (0..4).map(|_| draw.share() as f32 - 0.5).sum::<f32>()).collect()
}

fn matrix(values: Vec<f32>, columns: usize) -> Tensor {
    Tensor::from_vec(values.clone(), (values.len() / columns, columns), &Device::Cpu).unwrap()
}

/// The numbers that Q4_0 blocks stand for.
fn read(bytes: &[u8], columns: usize) -> Vec<f32> {
    let rows = bytes.len() / BYTES * BLOCK / columns;
    let blocks = QMatrix::read(rows, columns, Format::Q4_0, &mut &*bytes).unwrap();
    let mut values = vec![0f32; rows * columns];
    values.chunks_mut(columns).enumerate().for_each(|(row, out)| blocks.dequantize_row(row, out));
    values
}

/// Squared error of what the matrix gives for `inputs`.
fn error(weights: &[f32], bytes: &[u8], inputs: &Tensor) -> f32 {
    let off = weights.iter().zip(read(bytes, WIDTH)).map(|(weight, rounded)| weight - rounded).collect();
    let product = inputs.matmul(&matrix(off, WIDTH).t().unwrap()).unwrap();
    product.sqr().unwrap().sum_all().unwrap().to_scalar().unwrap()
}

fn correlations(inputs: &Tensor) -> Tensor {
    inputs.t().unwrap().matmul(inputs).unwrap()
}

#[test]
fn where_inputs_go_together_the_product_is_nearer() {
    let mut draw = Draw::new(7);
    // A fifth as many causes as inputs, and a little noise.
    let causes = WIDTH / 5;
    let mixing = matrix(random(&mut draw, causes * WIDTH), WIDTH);
    let mut inputs = |count: usize| {
        let mixed = matrix(random(&mut draw, count * causes), causes).matmul(&mixing).unwrap();
        (mixed + (matrix(random(&mut draw, count * WIDTH), WIDTH) * 0.1).unwrap()).unwrap()
    };
    let (seen, others) = (inputs(600), inputs(300));
    let weights = random(&mut draw, ROWS * WIDTH);
    let compensated = Compensation::new(&correlations(&seen)).unwrap().q4_0(&weights);
    let rounded = rounding::q4_0(&weights);
    assert_eq!((compensated.len(), rounded.len()), (ROWS * WIDTH / BLOCK * BYTES, ROWS * WIDTH / BLOCK * BYTES));
    for inputs in [&seen, &others] {
        let (ours, plain) = (error(&weights, &compensated, inputs), error(&weights, &rounded, inputs));
        assert!(ours < 0.5 * plain, "{ours} compensated, {plain} rounded");
    }
}

#[test]
fn where_nothing_goes_together_it_is_plain_rounding() {
    let weights = random(&mut Draw::new(3), ROWS * WIDTH);
    let identity = Tensor::eye(WIDTH, DType::F32, &Device::Cpu).unwrap();
    let found = read(&Compensation::new(&identity).unwrap().q4_0(&weights), WIDTH);
    for (block, found) in weights.chunks(BLOCK).zip(found.chunks(BLOCK)) {
        let (scale, numbers) = fit(block, &[1.0; BLOCK]);
        for (place, found) in found.iter().enumerate() {
            // The scale is stored in 16 bits; a number in the middle may then go either way.
            let plain = f32::from(numbers[place]) * scale;
            let (own, its) = ((block[place] - found).abs(), (block[place] - plain).abs());
            assert!((own - its).abs() < 0.01 * scale.abs(), "{own} from it, {its} by plain rounding");
        }
    }
    let ours = error(&weights, &Compensation::new(&identity).unwrap().q4_0(&weights), &identity);
    assert!(ours <= 1.01 * error(&weights, &rounding::q4_0(&weights), &identity));
}

#[test]
fn inputs_that_are_never_read_and_blocks_of_zeros_break_nothing() {
    let mut draw = Draw::new(5);
    let mut values = random(&mut draw, 200 * WIDTH);
    values.iter_mut().enumerate().filter(|(at, _)| at % WIDTH < 3).for_each(|(_, value)| *value = 0.0);
    let inputs = matrix(values, WIDTH);
    let mut weights = random(&mut draw, ROWS * WIDTH);
    weights[BLOCK..2 * BLOCK].fill(0.0);
    let bytes = Compensation::new(&correlations(&inputs)).unwrap().q4_0(&weights);
    let found = read(&bytes, WIDTH);
    assert!(found.iter().all(|value| value.is_finite()));
    let largest = weights.iter().fold(0f32, |largest, weight| largest.max(weight.abs()));
    assert!(found.iter().zip(&weights).all(|(found, weight)| (found - weight).abs() < largest));
    let broken = (correlations(&inputs) * f64::NAN).unwrap();
    assert!(Compensation::new(&broken).is_err());
}

#[test]
fn every_matrix_of_the_model_is_watched() {
    let model = tiny::model(tiny::config(), 64);
    let windows: Vec<Vec<u32>> = vec![tiny::some_ids(40), tiny::some_ids(24)[4..].to_vec()];
    let seen = std::cell::RefCell::new(Vec::new());
    let sums = compensate::observe(&model, &windows, |tokens| seen.borrow_mut().push(tokens)).unwrap();
    assert_eq!(*seen.borrow(), [40, 20]);
    let config = tiny::config();
    let width = model.layers[0].gate.rows().unwrap();
    for layer in 0..model.layers.len() {
        for (site, width) in [
            (Site::Attention, config.hidden),
            (Site::Output, config.heads * config.head),
            (Site::Ffn, config.hidden),
            (Site::Down, width),
        ] {
            let sum = &sums[&(layer, site)];
            assert_eq!(sum.dims(), [width, width], "{layer} {site:?}");
            assert!(tiny::distance(sum, &sum.t().unwrap().contiguous().unwrap()) < 1e-3);
        }
    }
    assert_eq!(sums.len(), 4 * model.layers.len());
    // The windows add up.
    let alone = |window: usize| compensate::observe(&model, &windows[window..=window], |_| {}).unwrap();
    let both = (&alone(0)[&(1, Site::Ffn)] + &alone(1)[&(1, Site::Ffn)]).unwrap();
    assert!(tiny::distance(&both, &sums[&(1, Site::Ffn)]) < 1e-2);
}
