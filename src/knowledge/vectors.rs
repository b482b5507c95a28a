//! The vectors of all entries' texts and of examples of what no entry answers, projected: what the pipeline stores and a
//! question's vector, projected in the same way, is held against.
//!
//! Eight bits a value and one scale a vector: a quarter of the memory, and cosines move by less than 0.01. Does NOT know
//! the encoder; a vector is a list of numbers of length 1.

use super::{
    Entry,
    projection::Projection,
    refusal::{COUNT, Kinds, Planes},
    sentences::sentences,
};
use half::bf16;
use safetensors::{
    Dtype, SafeTensorError, SafeTensors,
    tensor::{TensorView, serialize},
};
use std::ops::Range;

/// Why a file of vectors cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VectorsError {
    /// It is not the safetensors file expected.
    #[error("the vectors cannot be read: {0}")]
    Format(#[from] SafeTensorError),
    /// It was not made from these entries.
    #[error("the vectors do not belong to the Q&A data: {found} of them, {expected} texts")]
    Count {
        /// Vectors in the file.
        found: usize,
        /// Texts of the entries, and examples.
        expected: usize,
    },
    /// A tensor of the wrong type or shape.
    #[error("the vectors' tensor {0:?} has the wrong type or shape")]
    Shape(&'static str),
    /// Infinite, or no number.
    #[error("the vectors' tensor {0:?} holds a value that is no finite number")]
    NotFinite(&'static str),
}

/// What is embedded of an entry: first [`asked`] texts, the ways of asking it; then its question with each sentence of the
/// answer, at last with all of it.
pub fn texts(entry: &Entry) -> Vec<String> {
    let mut texts: Vec<String> = entry.asked().cloned().collect();
    let passages = sentences(&entry.output).chain([entry.output.as_str()]);
    texts.extend(passages.map(|passage| format!("{} {passage}", entry.instruction)));
    texts
}

/// How many [`texts`] an entry has.
pub fn count(entry: &Entry) -> usize {
    asked(entry) + sentences(&entry.output).count() + 1
}

/// How many of an entry's [`texts`] are questions, in the order of [`Entry::asked`].
pub fn asked(entry: &Entry) -> usize {
    entry.asked().count()
}

/// Vectors of equal width, quantized.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    width: usize,
    /// Largest magnitude of each vector / 127.
    scales: Vec<f32>,
    /// `width` values a vector: first those of the entries' texts, then the examples of each kind.
    values: Vec<i8>,
    /// How many examples there are of each kind.
    examples: [usize; COUNT],
    projection: Projection,
    planes: Planes,
}

impl Vectors {
    /// Projects `rows` and the examples of `kinds`, all of the projection's width and as the sentence encoder gives them, and
    /// quantizes them. The planes of `kinds` are for vectors that are not projected.
    pub fn quantize(rows: &[Vec<f32>], projection: Projection, kinds: &Kinds) -> Self {
        let projection = projection.rounded();
        let mut vectors = Self {
            width: projection.width(),
            scales: Vec::new(),
            values: Vec::new(),
            examples: kinds.examples.each_ref().map(Vec::len),
            projection,
            planes: kinds.planes.clone(),
        };
        for row in rows.iter().chain(kinds.examples.iter().flatten()) {
            let row = vectors.projection.apply(row);
            let scale = row.iter().fold(0f32, |largest, value| largest.max(value.abs())) / 127.0;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            vectors.scales.push(scale);
            vectors.values.extend(row.iter().map(|value| (value * inverse).round() as i8));
        }
        vectors
    }

    /// As a safetensors file: `values` (vectors, width; i8), `scales` (vectors; f32), `examples` (4; u32), `projection` (width,
    /// width; bf16), `planes` (4, width + 1; f32).
    ///
    /// # Errors
    /// [`VectorsError::Format`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, VectorsError> {
        let values: Vec<u8> = self.values.iter().map(|value| value.cast_unsigned()).collect();
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (scales, planes) = (bytes(&self.scales), bytes(self.planes.values()));
        let projection: Vec<u8> =
            self.projection.values().iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
        let examples: Vec<u8> = self.examples.iter().flat_map(|&count| (count as u32).to_le_bytes()).collect();
        let (count, width) = (self.scales.len(), self.width);
        let tensors = [
            ("examples", TensorView::new(Dtype::U32, vec![COUNT], &examples)?),
            ("planes", TensorView::new(Dtype::F32, vec![COUNT, width + 1], &planes)?),
            ("projection", TensorView::new(Dtype::BF16, vec![width, width], &projection)?),
            ("scales", TensorView::new(Dtype::F32, vec![count], &scales)?),
            ("values", TensorView::new(Dtype::I8, vec![count, width], &values)?),
        ];
        Ok(serialize(tensors, None)?)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote for `entries`.
    ///
    /// # Errors
    /// All of [`VectorsError`].
    pub fn parse(bytes: &[u8], entries: &[Entry]) -> Result<Self, VectorsError> {
        let file = SafeTensors::deserialize(bytes)?;
        let (values, scales) = (file.tensor("values")?, file.tensor("scales")?);
        let &[found, width] = values.shape() else { return Err(VectorsError::Shape("values")) };
        if values.dtype() != Dtype::I8 || width == 0 {
            return Err(VectorsError::Shape("values"));
        }
        if scales.dtype() != Dtype::F32 || scales.shape() != [found] {
            return Err(VectorsError::Shape("scales"));
        }
        let counts = file.tensor("examples")?;
        if counts.dtype() != Dtype::U32 || counts.shape() != [COUNT] {
            return Err(VectorsError::Shape("examples"));
        }
        let mut examples = [0; COUNT];
        for (count, bytes) in examples.iter_mut().zip(counts.data().chunks_exact(4)) {
            *count = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        }
        let expected = entries.iter().map(count).chain(examples).sum();
        if found != expected {
            return Err(VectorsError::Count { found, expected });
        }
        let projection = file.tensor("projection")?;
        if projection.dtype() != Dtype::BF16 || projection.shape() != [width, width] {
            return Err(VectorsError::Shape("projection"));
        }
        let planes = file.tensor("planes")?;
        if planes.dtype() != Dtype::F32 || planes.shape() != [COUNT, width + 1] {
            return Err(VectorsError::Shape("planes"));
        }
        let float = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let short = |bytes: &[u8]| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32();
        let floats = |bytes: &[u8]| bytes.chunks_exact(4).map(float).collect::<Vec<f32>>();
        let scales = floats(scales.data());
        if scales.iter().any(|scale| !scale.is_finite()) {
            return Err(VectorsError::NotFinite("scales"));
        }
        Ok(Self {
            width,
            scales,
            values: values.data().iter().map(|value| value.cast_signed()).collect(),
            examples,
            projection: Projection::new(width, projection.data().chunks_exact(2).map(short).collect())?,
            planes: Planes::new(width, floats(planes.data()))?,
        })
    }

    /// Number of vectors of the entries' texts.
    pub fn len(&self) -> usize {
        self.scales.len() - self.examples.iter().sum::<usize>()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the examples of each kind stand, after the entries' texts.
    pub fn examples(&self) -> [Range<usize>; COUNT] {
        let mut first = self.len();
        self.examples.map(|count| {
            first += count;
            first - count..first
        })
    }

    /// Vector `row` as it is stored, so nearly of length 1.
    pub fn row(&self, row: usize) -> Vec<f32> {
        let values = &self.values[row * self.width..(row + 1) * self.width];
        values.iter().map(|&value| f32::from(value) * self.scales[row]).collect()
    }

    /// Values in a vector.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the vectors were projected with.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The planes of the kinds of questions that no entry answers, for vectors that are not projected.
    pub fn planes(&self) -> &Planes {
        &self.planes
    }

    /// The same with the examples as they are stored: to be quantized again where the projection changes nothing.
    pub fn kinds(&self) -> Kinds {
        let examples = self.examples().map(|rows| rows.map(|row| self.row(row)).collect());
        Kinds { planes: self.planes.clone(), examples }
    }

    /// The cosine of `query` (of this width, as the sentence encoder gives it) with each of the vectors `rows`, in order.
    pub fn cosines(&self, query: &[f32], rows: Range<usize>) -> Vec<f32> {
        let query = self.projection.apply(query);
        // In whole numbers, whose sums may be made in any order and so many at once; none can be too large for 32 bits.
        let most = (i32::MAX / (128 * self.width.max(1) as i32)).min(i32::from(i16::MAX)) as f32;
        let step = query.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs())) / most;
        let query: Vec<i16> = query.iter().map(|value| (value / step).round() as i16).collect();
        let values = &self.values[rows.start * self.width..rows.end * self.width];
        let rows = values.chunks_exact(self.width.max(1)).zip(&self.scales[rows]);
        let product = |row: &[i8]| row.iter().zip(&query).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
        rows.map(|(row, scale)| scale * step * product(row) as f32).collect()
    }
}
