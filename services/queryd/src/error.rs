//! What goes wrong here, and what the client is told.

use std::time::Duration;

use duck::ErrorKind;
use kit::{Code, ServiceError};

/// Of queryd.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Not a statement that can be run: it does not parse, there are several, a parameter is missing.
    #[error("{0}")]
    Invalid(String),
    /// A statement that does what is not allowed here.
    #[error("{0}")]
    Refused(String),
    /// None of this name, or none that the caller may read: not told apart.
    #[error("there is no dataset {name:?}{}", hint.as_ref().map(|h| format!("; did you mean {h:?}?")).unwrap_or_default())]
    NoDataset {
        /// As the statement has it.
        name: String,
        /// The nearest name that the caller may read.
        hint: Option<String>,
    },
    /// A dataset with no such version.
    #[error("dataset {name:?} has no version {version}")]
    NoVersion {
        /// The dataset.
        name: String,
        /// The version asked for.
        version: u64,
    },
    /// What the engine says of the statement or its data; `message` is fit for the client.
    #[error("{message}")]
    Statement {
        /// Scrubbed of paths, URLs and settings.
        message: String,
    },
    /// The engine failed at what is not the client's fault.
    #[error("{message}")]
    Engine {
        /// DuckDB's kind.
        kind: ErrorKind,
        /// As DuckDB wrote it: for the log.
        message: String,
    },
    /// The engine ran out of the memory it may use.
    #[error("the statement needs more memory than it may use (memory_limit_bytes)")]
    OutOfMemory,
    /// The temp folder ran out of room.
    #[error("there is no room left for what does not fit into memory (temp_dir)")]
    NoSpace,
    /// A result of a type that the format asked for has not.
    #[error("{0}")]
    Unencodable(String),
    /// Stopped at its deadline.
    #[error("the statement ran longer than {0:?} (timeout_ms)")]
    Timeout(Duration),
    /// Stopped because nobody waits for it any more.
    #[error("the statement was stopped")]
    Cancelled,
    /// More statements at once than are let in.
    #[error("too many statements at once (concurrent_queries_max, queue_max)")]
    Overloaded {
        /// When it may be worth to try again.
        retry_after: Duration,
    },
    /// The engine is not set up yet.
    #[error("the engine is starting: /health says why")]
    Starting,
    /// None of the formats that the caller accepts.
    #[error("{0}")]
    NotAcceptable(String),
    /// A peer refused or failed.
    #[error("{peer}: {status}")]
    Peer {
        /// Its name.
        peer: &'static str,
        /// What it answered.
        status: Box<tonic::Status>,
    },
    /// A search or an embedding that the statement asks for came to nothing.
    #[error("{detail}")]
    Meaning {
        /// Whose fault it is.
        code: Code,
        /// What, and why: fit for the client.
        detail: String,
        /// When it may be worth to try again.
        retry_after: Option<Duration>,
    },
    /// A dataset whose manifest cannot be used.
    #[error("the manifest of dataset {name:?} cannot be used: {reason}")]
    Poisoned {
        /// The dataset.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A thread or task of ours that ended without an answer.
    #[error("internal: {0}")]
    Internal(&'static str),
}

impl Error {
    pub(crate) fn peer(peer: &'static str) -> impl Fn(tonic::Status) -> Error {
        move |status| Error::Peer { peer, status: Box::new(status) }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::Invalid(_)
            | Error::NoDataset { .. }
            | Error::NoVersion { .. }
            | Error::Statement { .. }
            | Error::Unencodable(_) => Code::InvalidArgument,
            Error::Refused(_) => Code::PermissionDenied,
            Error::Engine { kind, .. } => match kind {
                ErrorKind::Http | ErrorKind::Network | ErrorKind::Io => Code::BadGateway,
                _ => Code::Internal,
            },
            Error::OutOfMemory => Code::ResourceExhausted,
            Error::NoSpace => Code::InsufficientStorage,
            Error::Timeout(_) => Code::DeadlineExceeded,
            Error::Cancelled | Error::Starting => Code::Unavailable,
            Error::Overloaded { .. } => Code::Overloaded,
            Error::NotAcceptable(_) => Code::NotAcceptable,
            Error::Peer { status, .. } => match Code::from_grpc(status.code()) {
                code @ (Code::Unavailable | Code::Overloaded | Code::DeadlineExceeded) => code,
                _ => Code::BadGateway,
            },
            Error::Meaning { code, .. } => *code,
            Error::Poisoned { .. } | Error::Internal(_) => Code::Internal,
        }
    }

    fn public_detail(&self) -> String {
        match self {
            Error::Timeout(_) | Error::Starting | Error::Overloaded { .. } | Error::NoSpace | Error::Meaning { .. } => {
                self.to_string()
            }
            Error::Engine { .. } if self.code() == Code::BadGateway => {
                "a dataset's objects could not be read".to_owned()
            }
            Error::Peer { peer, .. } => format!("{peer}: {}", self.code().title()),
            Error::Poisoned { name, .. } => format!("the manifest of dataset {name:?} cannot be used"),
            other if other.code().http_status().is_server_error() => other.code().title().to_owned(),
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Overloaded { retry_after } => Some(*retry_after),
            Error::Meaning { retry_after, .. } => *retry_after,
            Error::Starting => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
