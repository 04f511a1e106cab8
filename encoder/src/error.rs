use std::path::PathBuf;

/// Why a folder cannot be opened as a model. Each names the file, and the field or tensor, to look at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file that every model has is not there.
    #[error("{file} is not there: {wanted}", file = file.display())]
    Missing {
        /// The file.
        file: PathBuf,
        /// What is read from it.
        wanted: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot read {file}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A file is not JSON.
    #[error("{file} is not JSON: {source}", file = file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field is missing, of the wrong type, or says what is not supported.
    #[error("{file}, field {field:?}: {reason}", file = file.display())]
    Field {
        /// The file.
        file: PathBuf,
        /// The field.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The tokenizer does not load.
    #[error("{file} is not a tokenizer: {reason}", file = file.display())]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// What the tokenizer library says.
        reason: String,
    },
    /// The weights do not fit the configuration, or are not what safetensors look like.
    #[error("{file}, tensor {tensor:?}: {reason}", file = file.display())]
    Weights {
        /// The file.
        file: PathBuf,
        /// The tensor, or what was looked for.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The ONNX graph does not load, or has inputs or outputs that are not an encoder's.
    #[error("{file}: {reason}", file = file.display())]
    Graph {
        /// The file.
        file: PathBuf,
        /// What rten says.
        reason: String,
    },
    /// An option does not fit the model.
    #[error("option {option:?}: {reason}")]
    Option {
        /// The field of [`Options`](crate::Options).
        option: &'static str,
        /// Why it cannot be.
        reason: String,
    },
}

/// Why texts could not be encoded: nothing that a caller's text can bring about.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the network failed: {reason}")]
pub struct EncodeError {
    /// What the library below says.
    pub reason: String,
}

impl EncodeError {
    pub(crate) fn because(reason: impl std::fmt::Display) -> Self {
        Self { reason: reason.to_string() }
    }
}

/// The threads of an encoder cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start a thread to encode with")]
pub struct StartError {
    /// What the system says.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The queue is full: try again later. Nothing of the request was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{queued_texts} texts ({queued_bytes} bytes) wait already, of at most {texts_max} ({bytes_max} bytes)")]
pub struct Overloaded {
    /// Texts that wait.
    pub queued_texts: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// [`EncoderOptions::queue_texts_max`](crate::EncoderOptions::queue_texts_max).
    pub texts_max: usize,
    /// [`EncoderOptions::queue_bytes_max`](crate::EncoderOptions::queue_bytes_max).
    pub bytes_max: usize,
}

/// Why a request has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// The queue is full.
    #[error(transparent)]
    Overloaded(#[from] Overloaded),
    /// A text has more tokens than the model takes, and the request forbids to cut it.
    #[error("text {index} has {tokens} tokens, more than the {max} that the model takes")]
    TooLong {
        /// Which text of the request, counted from zero.
        index: usize,
        /// Its length in tokens, with the special ones.
        tokens: usize,
        /// [`Model::max_tokens`](crate::Model::max_tokens).
        max: usize,
    },
    /// A token id that the vocabulary does not have.
    #[error("text {index}: token id {id} is not below {vocabulary}, the size of the vocabulary")]
    UnknownToken {
        /// Which text of the request, counted from zero.
        index: usize,
        /// The id.
        id: u32,
        /// How many ids there are.
        vocabulary: usize,
    },
    /// Tokenising or the network failed.
    #[error(transparent)]
    Failed(#[from] EncodeError),
    /// The encoder was dropped.
    #[error("the encoder has stopped")]
    Stopped,
}
