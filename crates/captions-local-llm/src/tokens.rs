//! Between text and token ids.

use candle_core::quantized::{gguf_file::Content, tokenizer::TokenizerFromGguf};
use tokenizers::{
    Tokenizer,
    pre_tokenizers::{byte_level::ByteLevel, digits::Digits, sequence::Sequence},
};

use crate::infer::InferError;

/// The tokenizer of a model file.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// The bytes that each token stands for; empty for control tokens.
    pieces: Vec<Box<[u8]>>,
}

impl Tokens {
    /// Reads the tokenizer from the file's metadata.
    pub(crate) fn from_gguf(content: &Content) -> Result<Self, InferError> {
        let mut tokenizer = Tokenizer::from_gguf(content).map_err(InferError::Candle)?;
        // candle does not know this file's pre-tokenizer and takes one that puts a space before every piece and keeps
        // numbers whole, which gives other ids than the model was trained on.
        let digits = Digits::new(true);
        let bytes = ByteLevel::new(false, true, true);
        tokenizer.with_pre_tokenizer(Some(Sequence::new(vec![digits.into(), bytes.into()])));

        let decode = byte_of_char();
        let special = tokenizer.get_added_vocabulary().get_added_tokens_decoder().clone();
        let count = u32::try_from(tokenizer.get_vocab_size(true)).unwrap_or(u32::MAX);
        let pieces = (0..count)
            .map(|id| match tokenizer.id_to_token(id) {
                Some(text) if !special.contains_key(&id) => text
                    .chars()
                    .filter_map(|c| decode.iter().position(|d| *d == c))
                    .filter_map(|b| u8::try_from(b).ok())
                    .collect(),
                _ => Box::default(),
            })
            .collect();
        Ok(Self { tokenizer, pieces })
    }

    /// The ids of `text`; control tokens written out in it are recognised, so user text must be cleaned before.
    pub(crate) fn encode(&self, text: &str) -> Result<Vec<u32>, InferError> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|error| InferError::Tokens(error.to_string()))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The bytes of a token; empty for control tokens and ids that do not exist.
    pub(crate) fn piece(&self, id: u32) -> &[u8] {
        usize::try_from(id)
            .ok()
            .and_then(|id| self.pieces.get(id))
            .map_or(&[], |piece| piece)
    }
}

/// Byte-level BPE writes each byte as one printable character; this is the character of each byte, by the rule of GPT-2:
/// printable Latin-1 stands for itself, the rest follows from U+0100 on in order.
fn byte_of_char() -> Vec<char> {
    let mut next = 0x100;
    (0u8..=255)
        .map(|byte| match byte {
            b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF => char::from(byte),
            _ => {
                let c = char::from_u32(next).unwrap_or(char::REPLACEMENT_CHARACTER);
                next += 1;
                c
            }
        })
        .collect()
}
