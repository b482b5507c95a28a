//! Learns the projection of the entries' vectors: texts of one entry are to find each other among those of others.
//!
//! Contrastive learning with the other entries of a step as negatives (InfoNCE, van den Oord et al. 2018), of one square
//! matrix that starts as the identity. Only texts of the entries themselves. Does NOT know the encoder or any question.

use candle_core::{D, Device, Result, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use tomato_assistant::knowledge::{
    Entry,
    projection::Projection,
    vectors::{asked, texts},
};

use super::{draw::Draw, recipe};

/// For each entry the places of its texts in the list of all vectors.
pub fn texts_of(entries: &[Entry]) -> Vec<Vec<usize>> {
    let mut first = 0;
    let places = |entry: &Entry| {
        let places: Vec<usize> = (first..first + texts(entry).len()).collect();
        first += places.len();
        places
    };
    entries.iter().map(places).collect()
}

/// The same for its questions alone: its own, the paraphrases, those that the pipeline added.
pub fn questions_of(entries: &[Entry]) -> Vec<Vec<usize>> {
    let mut all = texts_of(entries);
    entries.iter().zip(&mut all).for_each(|(entry, places)| places.truncate(asked(entry)));
    all
}

/// Of an entry's paraphrases the first and each seventh after it: nothing is tuned on them, so that it can be measured on them.
pub fn is_held(paraphrase: usize) -> bool {
    paraphrase.is_multiple_of(7)
}

/// [`texts_of`] without the paraphrases that are held back.
pub fn texts_learnt(entries: &[Entry]) -> Vec<Vec<usize>> {
    let mut all = texts_of(entries);
    for (entry, places) in entries.iter().zip(&mut all) {
        // The entry's own question comes first.
        let first = places[0] + 1;
        let paraphrases = first..first + entry.paraphrases.len();
        places.retain(|place| !paraphrases.contains(place) || !is_held(place - first));
    }
    all
}

/// Learns from the rows of `vectors` (length 1) that `entries` lists, at least two an entry. The same every time.
///
/// # Errors
/// Vectors of different widths; none at all.
pub fn learn(table: &recipe::Embed, vectors: &[Vec<f32>], entries: &[Vec<usize>]) -> Result<Projection> {
    let device = &Device::Cpu;
    let width = vectors.first().map_or(0, Vec::len);
    let identity = Tensor::from_slice(Projection::identity(width).values(), (width, width), device)?;
    let matrix = Var::from_tensor(&identity)?;
    let settings = ParamsAdamW { lr: table.learning_rate, weight_decay: 0.0, ..ParamsAdamW::default() };
    let mut adam = AdamW::new(vec![matrix.clone()], settings)?;
    let (mut draw, mut order) = (Draw::new(table.seed), Vec::new());
    for step in 0..table.steps {
        adam.set_learning_rate(table.learning_rate * (1.0 - step as f64 / table.steps as f64));
        let drawn: Vec<usize> =
            (0..table.entries.min(entries.len())).map(|_| next(&mut draw, &mut order, entries.len())).collect();
        let rows: Vec<(usize, usize)> =
            drawn.iter().flat_map(|&entry| entries[entry].iter().map(move |&row| (entry, row))).collect();
        let values: Vec<f32> = rows.iter().flat_map(|&(_, row)| vectors[row].iter().copied()).collect();
        let texts = Tensor::from_vec(values, (rows.len(), width), device)?;
        let moved = (matrix.as_tensor() - &identity)?.sqr()?.sum_all()?;
        let loss =
            (contrast(&texts, &rows, matrix.as_tensor(), table.sharpness)? + moved * (table.keep / width as f64))?;
        adam.backward_step(&loss)?;
    }
    Projection::new(width, matrix.flatten_all()?.to_vec1()?).map_err(candle_core::Error::wrap)
}

/// How badly each text finds the others of its entry among all of the step: the mean of -ln of the softmax share.
/// `texts` is (texts, width), `rows` names the entry of each.
fn contrast(texts: &Tensor, rows: &[(usize, usize)], matrix: &Tensor, sharpness: f64) -> Result<Tensor> {
    let moved = texts.matmul(matrix)?;
    let moved = moved.broadcast_div(&moved.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)?;
    // At most e^80, which the recipe's check keeps to: no need to take the largest off before.
    let shares = (moved.matmul(&moved.t()?)? * sharpness)?.exp()?;
    let pairs = |own: bool| {
        let counts = |a: &(usize, usize), b: &(usize, usize)| a != b && (!own || a.0 == b.0);
        let mask: Vec<f32> = rows.iter().flat_map(|a| rows.iter().map(move |b| f32::from(counts(a, b)))).collect();
        Tensor::from_vec(mask, (rows.len(), rows.len()), texts.device())
    };
    let (others, own) = (pairs(false)?, pairs(true)?);
    let (others, own) = ((&shares * others)?.sum(D::Minus1)?, (&shares * own)?.sum(D::Minus1)?);
    (others.log()? - own.log()?)?.mean_all()
}

/// A number below `limit`, in an order drawn by chance: all of them before one comes again.
fn next(draw: &mut Draw, order: &mut Vec<usize>, limit: usize) -> usize {
    if order.is_empty() {
        order.extend(0..limit);
        draw.shuffle(order);
    }
    order.pop().unwrap_or(0)
}
