//! Texts to token ids: `tokenizer.json`, less its own truncation and padding.

use std::path::Path;

use tokenizers::{ModelWrapper, NormalizerWrapper, PreTokenizerWrapper, Tokenizer};

use crate::error::{EncodeError, OpenError};

/// A text as the network sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Ids with the special tokens, at least one and at most [`Model::max_tokens`](crate::Model::max_tokens).
    pub ids: Vec<u32>,
    /// Where the text was cut: how many tokens there would have been, with the special ones, or more than the
    /// limit where [`Overlong::Cut`] spared the counting.
    pub truncated: Option<usize>,
}

/// What to do with the rest of a text of which the network only takes the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlong {
    /// Leave it: the time is bounded by the model's limit, whatever the text's length.
    Cut,
    /// Tokenise all of it, to know its length.
    Measure,
}

/// Pieces in which a long text is tokenised. A text below this is tokenised at once.
const PIECE_BYTES: usize = 4096;

pub(crate) struct Words {
    tokenizer: Tokenizer,
    /// Special tokens before and behind each text.
    before: Vec<u32>,
    behind: Vec<u32>,
    tokens_max: usize,
    vocabulary: usize,
    /// A text's tokens are those of its parts between spaces, one after another.
    spaces_part: bool,
    prompt: String,
    lowercase: bool,
}

/// How texts are prepared: see [`Recipe`](crate::recipe::Recipe).
pub(crate) struct Preparation {
    pub(crate) prompt: String,
    pub(crate) lowercase: bool,
    pub(crate) tokens_max: usize,
    /// Ids that the network knows; None for the tokenizer's own count.
    pub(crate) vocabulary: Option<usize>,
}

impl Words {
    pub(crate) fn parse(file: &Path, bytes: &[u8], preparation: Preparation) -> Result<Self, OpenError> {
        let wrong = |reason: String| OpenError::Tokenizer { file: file.to_owned(), reason };
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| wrong(error.to_string()))?;
        // Its own limit and its padding to a fixed length are those of the training, not of the model.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| wrong(error.to_string()))?;
        let (before, behind) = special_tokens(&tokenizer).map_err(wrong)?;
        let known = tokenizer.get_vocab_size(true);
        let vocabulary = preparation.vocabulary.unwrap_or(known);
        if known > vocabulary {
            return Err(wrong(format!("has {known} tokens, and config.json's vocab_size is {vocabulary}")));
        }
        if preparation.tokens_max <= before.len() + behind.len() {
            let (limit, special) = (preparation.tokens_max, before.len() + behind.len());
            return Err(wrong(format!("{special} special tokens leave no room in a limit of {limit} tokens")));
        }
        Ok(Self {
            spaces_part: spaces_part(&tokenizer),
            tokenizer,
            before,
            behind,
            tokens_max: preparation.tokens_max,
            vocabulary,
            prompt: preparation.prompt,
            lowercase: preparation.lowercase,
        })
    }

    pub(crate) fn tokens_max(&self) -> usize {
        self.tokens_max
    }

    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    pub(crate) fn tokenize(&self, text: &str, overlong: Overlong) -> Result<Tokens, EncodeError> {
        let room = self.tokens_max - self.before.len() - self.behind.len();
        let prepared;
        let text = if self.prompt.is_empty() && !self.lowercase {
            text
        } else {
            let text = format!("{}{text}", self.prompt);
            prepared = if self.lowercase { text.to_lowercase() } else { text };
            &prepared
        };
        let (mut ids, mut count) = (Vec::with_capacity(32), 0);
        ids.extend(&self.before);
        for piece in self.pieces(text) {
            let encoding = self.tokenizer.encode_fast(piece, false).map_err(EncodeError::because)?;
            let left = room.saturating_sub(count);
            count += encoding.len();
            ids.extend(encoding.get_ids().iter().take(left));
            if count > room && overlong == Overlong::Cut {
                break;
            }
        }
        ids.extend(&self.behind);
        let truncated = (count > room).then_some(count + self.before.len() + self.behind.len());
        Ok(Tokens { ids, truncated })
    }

    /// Ids that the caller has already: with the special tokens around them, as [`Self::tokenize`] gives them, or without.
    ///
    /// Fails with the first id that the network does not know.
    pub(crate) fn take(&self, ids: &[u32]) -> Result<Tokens, u32> {
        if let Some(unknown) = ids.iter().find(|id| usize::try_from(**id).is_ok_and(|id| id >= self.vocabulary)) {
            return Err(*unknown);
        }
        let inner = ids.strip_prefix(self.before.as_slice()).and_then(|ids| ids.strip_suffix(self.behind.as_slice()));
        let inner = inner.unwrap_or(ids);
        let special = self.before.len() + self.behind.len();
        let kept = &inner[..inner.len().min(self.tokens_max - special)];
        let truncated = (kept.len() < inner.len()).then_some(inner.len() + special);
        let mut ids = [self.before.as_slice(), kept, self.behind.as_slice()].concat();
        if ids.is_empty() {
            // A tokenizer without special tokens, and no token at all: the network needs one.
            ids.push(0);
        }
        Ok(Tokens { ids, truncated })
    }

    /// The text in parts that can be tokenised one by one.
    fn pieces<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let (mut rest, whole) = (text, !self.spaces_part);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let cut = match rest.as_bytes().get(PIECE_BYTES..) {
                Some(late) if !whole => {
                    late.iter().position(|byte| b" \t\n\r".contains(byte)).map(|at| at + PIECE_BYTES)
                }
                _ => None,
            };
            let (piece, behind) = rest.split_at(cut.unwrap_or(rest.len()));
            rest = behind;
            Some(piece)
        })
    }
}

/// What the tokenizer puts around a text.
fn special_tokens(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), String> {
    let ids = |special| match tokenizer.encode_fast("a", special) {
        Ok(encoding) => Ok(encoding.get_ids().to_vec()),
        Err(error) => Err(error.to_string()),
    };
    let (plain, full) = (ids(false)?, ids(true)?);
    let at = full.windows(plain.len().max(1)).position(|window| window == plain);
    let at = at.ok_or("it changes a text's tokens when it adds the special ones")?;
    Ok((full[..at].to_vec(), full[at + plain.len()..].to_vec()))
}

/// True for what BERT's tokenizers are made of: no step looks across a space, a tab or a line's end. Other
/// white space does not count: the normaliser removes some of it as control characters.
fn spaces_part(tokenizer: &Tokenizer) -> bool {
    let bert = matches!(tokenizer.get_normalizer(), None | Some(NormalizerWrapper::BertNormalizer(_)))
        && matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
        && matches!(tokenizer.get_model(), ModelWrapper::WordPiece(_));
    let added = tokenizer.get_added_tokens_decoder();
    bert && added.values().all(|token| !token.content.contains(char::is_whitespace))
}
