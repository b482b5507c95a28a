//! Safetensors files, a piece at a time: reading f32, bf16 or f16, writing f32.
//!
//! Turns rows of a tensor into bytes at the right place and back, so that no more than one piece is ever in memory.
//! Layout (safetensors README): u64 length of the header, JSON header, data. Does NOT know what the tensors mean.

use super::import::ImportError;
use candle_core::{DType, Device, Tensor};
use safetensors::{
    Dtype,
    tensor::{Metadata, TensorInfo},
};
use std::{
    collections::HashMap,
    fs::File,
    io::{BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// The largest header the safetensors library reads, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// An open file whose header has been read and held against the file's length.
pub struct Reader {
    path: PathBuf,
    file: File,
    data_start: u64,
    tensors: HashMap<String, TensorInfo>,
}

impl Reader {
    /// Errors when the header is not one, or promises more bytes than the file has.
    pub fn open(path: &Path) -> Result<Self, ImportError> {
        let io = |source| ImportError::io(path, source);
        let damaged = |reason: String| ImportError::Damaged { path: path.into(), reason };
        let mut file = File::open(path).map_err(io)?;
        let length = file.metadata().map_err(io)?.len();
        let mut prefix = [0u8; 8];
        file.read_exact(&mut prefix).map_err(|_| damaged("shorter than a header".into()))?;
        let header_length = u64::from_le_bytes(prefix);
        if header_length > LONGEST_HEADER || header_length + 8 > length {
            return Err(damaged(format!("a header of {header_length} bytes in a file of {length}")));
        }
        let mut header = vec![0u8; header_length as usize];
        file.read_exact(&mut header).map_err(io)?;
        let mut entries: HashMap<String, serde_json::Value> =
            serde_json::from_slice(&header).map_err(|error| damaged(format!("its header: {error}")))?;
        entries.remove("__metadata__");
        let (data_start, mut tensors) = (8 + header_length, HashMap::new());
        for (name, entry) in entries {
            let info: TensorInfo =
                serde_json::from_value(entry).map_err(|error| damaged(format!("header of {name}: {error}")))?;
            // Lists of positions that some exports of BERT store. Packed weights are never this wide.
            if info.dtype == Dtype::I64 {
                continue;
            }
            let width = width(info.dtype).ok_or_else(|| {
                ImportError::Unsupported(format!("{name} in {:?}; f32, bf16 and f16 can be read", info.dtype))
            })?;
            let bytes = info.shape.iter().try_fold(width, |product, &side| product.checked_mul(side));
            let (start, end) = info.data_offsets;
            let fits = end.checked_sub(start) == bytes && bytes.is_some() && end as u64 <= length - data_start;
            if !fits {
                return Err(damaged(format!("{name} {:?} does not fit into the file", info.shape)));
            }
            tensors.insert(name, info);
        }
        Ok(Self { path: path.into(), file, data_start, tensors })
    }

    /// Names and shapes (rows, columns) of what holds weights, in no order.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors.iter().map(|(name, info)| (name.as_str(), info.shape.as_slice()))
    }

    /// `count` numbers of tensor `name` from element `first` on, as f32. The caller stays inside the shape.
    pub fn piece(&mut self, name: &str, first: usize, count: usize) -> Result<Vec<f32>, ImportError> {
        let info = &self.tensors[name];
        let (dtype, width) = match info.dtype {
            Dtype::F32 => (DType::F32, 4),
            Dtype::BF16 => (DType::BF16, 2),
            _ => (DType::F16, 2),
        };
        let mut bytes = vec![0u8; count * width];
        let start = self.data_start + (info.data_offsets.0 + first * width) as u64;
        self.file.seek(SeekFrom::Start(start)).map_err(|source| ImportError::io(&self.path, source))?;
        self.file.read_exact(&mut bytes).map_err(|source| ImportError::io(&self.path, source))?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, &[count], &Device::Cpu)?;
        Ok(tensor.to_dtype(DType::F32)?.to_vec1()?)
    }
}

/// Bytes per number, for the types that can be read.
fn width(dtype: Dtype) -> Option<usize> {
    match dtype {
        Dtype::F32 => Some(4),
        Dtype::BF16 | Dtype::F16 => Some(2),
        _ => None,
    }
}

/// A file under construction: the header is written first, then the tensors in the order it names.
pub struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Writer {
    /// Begins `path` for f32 tensors of these names and shapes.
    pub fn create(path: &Path, tensors: &[(String, Vec<usize>)]) -> Result<Self, ImportError> {
        let mut end = 0;
        let infos = tensors.iter().map(|(name, shape)| {
            let start = end;
            end += shape.iter().product::<usize>() * 4;
            (name.clone(), TensorInfo { dtype: Dtype::F32, shape: shape.clone(), data_offsets: (start, end) })
        });
        // transformers looks for the format.
        let about = HashMap::from([("format".to_string(), "pt".to_string())]);
        let metadata = Metadata::new(Some(about), infos.collect())
            .map_err(|error| ImportError::Damaged { path: path.into(), reason: error.to_string() })?;
        let mut header = serde_json::to_vec(&metadata)
            .map_err(|error| ImportError::Damaged { path: path.into(), reason: error.to_string() })?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let io = |source| ImportError::io(path, source);
        let mut file = BufWriter::with_capacity(1 << 20, File::create(path).map_err(io)?);
        file.write_all(&(header.len() as u64).to_le_bytes()).map_err(io)?;
        file.write_all(&header).map_err(io)?;
        Ok(Self { path: path.into(), file })
    }

    /// Appends numbers to the tensor being written.
    pub fn append(&mut self, numbers: &[f32]) -> Result<(), ImportError> {
        for number in numbers {
            self.file.write_all(&number.to_le_bytes()).map_err(|source| ImportError::io(&self.path, source))?;
        }
        Ok(())
    }

    /// Makes the file durable. Returns its size in bytes.
    pub fn finish(mut self) -> Result<u64, ImportError> {
        let io = |source| ImportError::io(&self.path, source);
        self.file.flush().map_err(io)?;
        self.file.get_ref().sync_all().map_err(io)?;
        Ok(self.file.get_ref().metadata().map_err(io)?.len())
    }
}
