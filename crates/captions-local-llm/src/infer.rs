//! The model itself: loading, and one step of inference. Everything here runs inside [`lane::run`](crate::lane::run).

use std::{
    fs::File,
    io::{BufReader, Cursor, Seek},
    path::Path,
};

use candle_core::{
    Device, Tensor,
    quantized::{
        GgmlDType, QTensor,
        gguf_file::{self, Content},
    },
};
use candle_transformers::models::quantized_llama::ModelWeights;

use crate::tokens::Tokens;

/// Why the model could not be loaded or run.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    #[error("reading the model file")]
    Read(#[from] std::io::Error),
    #[error("the model file or its use is broken")]
    Candle(#[from] candle_core::Error),
    #[error("tokenising: {0}")]
    Tokens(String),
}

/// Tokens that one forward pass takes at most: it bounds how long a cancelled call is still worked on.
pub(crate) const CHUNK: usize = 8;

/// A loaded model.
pub(crate) struct Loaded {
    pub(crate) tokens: Tokens,
    weights: ModelWeights,
}

/// A text that the model has read, ready to go on from. Cheap to clone: the weights and what was read are shared.
#[derive(Clone)]
pub(crate) struct Reading {
    weights: ModelWeights,
    length: usize,
    /// What the model makes of the next token: one logit per token; empty before the first token.
    pub(crate) logits: Vec<f32>,
}

impl Loaded {
    /// Loads the file. Takes about a second and 400 MB, of which 300 MB stay.
    pub(crate) fn open(path: &Path) -> Result<Self, InferError> {
        let device = Device::Cpu;
        let mut file = BufReader::new(File::open(path)?);
        let content = Content::read(&mut file)?;
        let tokens = Tokens::from_gguf(&content)?;

        // candle has no vector kernel for Q4_1; as Q8_0 the same weights run four times as fast.
        let mut tensors = Vec::with_capacity(content.tensor_infos.len());
        for name in content.tensor_infos.keys() {
            let tensor = content.tensor(&mut file, name, &device)?;
            let tensor = if tensor.dtype() == GgmlDType::Q4_1 {
                QTensor::quantize(&tensor.dequantize(&device)?, GgmlDType::Q8_0)?
            } else {
                tensor
            };
            tensors.push((name.as_str(), tensor));
        }
        // The model can only be built from a file, so the new tensors go through one in memory.
        let metadata: Vec<_> = content
            .metadata
            .iter()
            .filter(|(name, _)| !name.starts_with("tokenizer."))
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let bytes = tensors
            .iter()
            .map(|(_, tensor)| tensor.storage_size_in_bytes() + 64)
            .sum::<usize>();
        let mut image = Cursor::new(Vec::with_capacity(bytes + 65536));
        gguf_file::write(
            &mut image,
            &metadata,
            &tensors.iter().map(|(name, tensor)| (*name, tensor)).collect::<Vec<_>>(),
        )?;
        drop(tensors);
        image.rewind()?;
        let weights = ModelWeights::from_gguf(Content::read(&mut image)?, &mut image, &device)?;
        Ok(Self { tokens, weights })
    }

    /// Nothing read yet.
    pub(crate) fn begin(&self) -> Reading {
        Reading {
            weights: self.weights.clone(),
            length: 0,
            logits: Vec::new(),
        }
    }
}

impl Reading {
    /// Reads on, [`CHUNK`] tokens at a time. `Ok(false)` if `stop` said so between two chunks; the reading is then of no
    /// more use.
    pub(crate) fn read(&mut self, tokens: &[u32], stop: &dyn Fn() -> bool) -> Result<bool, InferError> {
        for chunk in tokens.chunks(CHUNK) {
            if stop() {
                return Ok(false);
            }
            let input = Tensor::new(chunk, &Device::Cpu)?.unsqueeze(0)?;
            self.logits = self.weights.forward(&input, self.length)?.squeeze(0)?.to_vec1()?;
            self.length += chunk.len();
        }
        Ok(true)
    }
}

/// What the model alone took for a text, in whatever unit `clock` counts.
#[derive(Debug, Clone, Copy)]
pub struct Steps {
    /// Tokens of the prompt, and what reading them took.
    pub read: (usize, f64),
    /// Tokens written one by one, each the likeliest, and what they took.
    pub written: (usize, f64),
}

/// For benches: inference with nothing around it, neither words to choose among nor what was read before.
pub fn steps(path: &Path, prompt: &str, write: usize, clock: &(dyn Fn() -> f64 + Sync)) -> Result<Steps, InferError> {
    let work = || {
        let loaded = Loaded::open(path)?;
        let tokens = loaded.tokens.encode(prompt)?;
        let mut reading = loaded.begin();
        let begun = clock();
        reading.read(&tokens, &|| false)?;
        let read = clock();
        for _ in 0..write {
            let next = crate::sampler::top(&reading.logits, 1);
            reading.read(&next, &|| false)?;
        }
        Ok(Steps {
            read: (tokens.len(), read - begun),
            written: (write, clock() - read),
        })
    };
    crate::lane::run(work).unwrap_or_else(|| Err(InferError::Tokens("the model's thread panicked".to_owned())))
}

#[cfg(test)]
mod tests;
