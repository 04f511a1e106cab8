//! One request on its way through the threads.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::EmbedError;
use crate::model::Model;
use crate::tokens::{Overlong, Tokens};

/// Texts to encode together.
#[derive(Debug, Clone)]
pub struct Request {
    /// The texts, each answered by one vector.
    pub inputs: Vec<Input>,
    /// Whether vectors are brought to length 1; None for what the model does.
    pub normalise: Option<bool>,
    /// Whether to take the beginning of a text that is longer than the model's limit. Otherwise it is
    /// [`EmbedError::TooLong`], and nothing of the request is answered.
    pub truncate: bool,
}

/// A text, as words or as token ids.
#[derive(Debug, Clone)]
pub enum Input {
    /// A text.
    Text(String),
    /// Token ids: see [`Model::take_ids`].
    Ids(Vec<u32>),
}

/// The vectors of a request.
#[derive(Debug, Clone, Default)]
pub struct Embedded {
    /// One per text, in the request's order.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens that were encoded, special ones included, per text.
    pub tokens: Vec<usize>,
}

/// What a request comes to.
pub type Answer = Result<Embedded, EmbedError>;

pub(super) struct Job {
    inputs: Vec<Input>,
    normalise: bool,
    truncate: bool,
    progress: Mutex<Progress>,
}

struct Progress {
    embedded: Embedded,
    missing: usize,
    /// None once it is answered.
    sender: Option<oneshot::Sender<Answer>>,
}

impl Job {
    /// None for a request without texts, which is answered at once.
    pub(super) fn new(request: Request, normalise: bool, sender: oneshot::Sender<Answer>) -> Option<Arc<Self>> {
        let count = request.inputs.len();
        if count == 0 {
            // The asker may have gone, as at any time.
            let _ = sender.send(Ok(Embedded::default()));
            return None;
        }
        let embedded = Embedded { vectors: vec![Vec::new(); count], tokens: vec![0; count] };
        Some(Arc::new(Self {
            inputs: request.inputs,
            normalise: request.normalise.unwrap_or(normalise),
            truncate: request.truncate,
            progress: Mutex::new(Progress { embedded, missing: count, sender: Some(sender) }),
        }))
    }

    pub(super) fn len(&self) -> usize {
        self.inputs.len()
    }

    pub(super) fn bytes(&self, index: usize) -> usize {
        match &self.inputs[index] {
            Input::Text(text) => text.len(),
            Input::Ids(ids) => ids.len() * size_of::<u32>(),
        }
    }

    pub(super) fn normalise(&self) -> bool {
        self.normalise
    }

    /// Nobody waits for it any more: its asker left, or one of its texts failed.
    pub(super) fn is_over(&self) -> bool {
        self.progress().sender.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    pub(super) fn tokenise(&self, index: usize, model: &Model) -> Result<Tokens, EmbedError> {
        let tokens = match &self.inputs[index] {
            Input::Text(text) => model.tokenize(text, if self.truncate { Overlong::Cut } else { Overlong::Measure })?,
            Input::Ids(ids) => model.take_ids(ids).map_err(|id| {
                let vocabulary = model.vocabulary();
                EmbedError::UnknownToken { index, id, vocabulary }
            })?,
        };
        match tokens.truncated {
            Some(length) if !self.truncate => {
                Err(EmbedError::TooLong { index, tokens: length, max: model.max_tokens() })
            }
            _ => Ok(tokens),
        }
    }

    pub(super) fn fail(&self, error: EmbedError) {
        self.answer(Err(error));
    }

    pub(super) fn deliver(&self, index: usize, vector: Vec<f32>, tokens: &Tokens) {
        let mut progress = self.progress();
        progress.embedded.vectors[index] = vector;
        progress.embedded.tokens[index] = tokens.ids.len();
        progress.missing -= 1;
        if progress.missing == 0 {
            let embedded = std::mem::take(&mut progress.embedded);
            drop(progress);
            self.answer(Ok(embedded));
        }
    }

    fn answer(&self, answer: Answer) {
        let sender = self.progress().sender.take();
        if let Some(sender) = sender {
            // The asker may have left meanwhile, which is its right.
            let _ = sender.send(answer);
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
