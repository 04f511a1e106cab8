//! What can go wrong here, and what a client is told of it.

use std::sync::Arc;
use std::time::Duration;

use ann::EngineError;
use kit::{Code, PoolError, Problem, ServiceError};

use crate::filter::FilterError;
use crate::log::LogError;
use crate::model::Fingerprint;
use crate::name::IndexName;

/// How long a client waits before it tries again what was too much.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_BACKLOG: Duration = Duration::from_secs(5);

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{raw:?} is not a name of an index: it takes [A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}")]
    InvalidName { raw: String },
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error("the caller may not {act} the index {name}")]
    Forbidden { name: String, act: &'static str },
    #[error("there is no index {0}")]
    NoIndex(String),
    #[error("source.dataset: {0}")]
    NoDataset(String),
    #[error("there is no alias {0}")]
    NoAlias(String),
    #[error("there is no item {id:?} in the index {index}")]
    NoItem { index: IndexName, id: String },
    #[error("there is no import {0}")]
    NoImport(String),
    #[error("the index {0} exists already")]
    IndexExists(IndexName),
    #[error("{0} is the name of an alias")]
    IsAlias(IndexName),
    #[error("{0} is the name of an index")]
    IsIndex(IndexName),
    #[error("the index {0} is being loaded")]
    Loading(IndexName),
    #[error("the index {name} cannot be used: {reason}")]
    Broken { name: IndexName, reason: String },
    #[error("{what}: {count} exceed {limit} ({config_key})")]
    TooMany { what: &'static str, count: usize, limit: usize, config_key: &'static str },
    #[error("{what}: no room for more than {limit} at once ({config_key})")]
    Overloaded { what: &'static str, limit: usize, config_key: &'static str },
    #[error("{waiting} items of the index {name} wait to be indexed, the most there may be (unindexed_items_max)")]
    Backlog { name: IndexName, waiting: usize },
    #[error("there is no memory for more: {bytes} bytes are in use, {limit} allowed (max_memory_bytes)")]
    Memory { bytes: usize, limit: usize },
    #[error("there is no room on the disk")]
    DiskFull(#[source] Arc<LogError>),
    #[error("the service is stopping: come back")]
    Stopping,
    #[error("it took longer than {0:?}")]
    Timeout(Duration),
    #[error("work on the CPU broke off")]
    WorkLost,
    #[error("{what}")]
    Engine {
        what: &'static str,
        #[source]
        source: EngineError,
    },
    #[error("{what}")]
    Log {
        what: &'static str,
        #[source]
        source: Arc<LogError>,
    },
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("not the content of an index: {0}")]
    Content(&'static str),
    #[error("{what}: {problem:?}")]
    Peer { what: String, problem: Problem },
    #[error(
        "the index {index} holds vectors of {model} as of fingerprint {held}, and embedd's {model} has {offered} now: \
         they cannot be compared. Make a new index, or give embedd the former model back"
    )]
    OtherModel { index: IndexName, model: String, held: Fingerprint, offered: Fingerprint },
    #[error("embedd's answer is not what was asked for: {0}")]
    BadVectors(String),
    #[error("the index {index} follows the dataset {dataset}: its items come from there alone")]
    Follows { index: IndexName, dataset: String },
    #[error("version {version} of the dataset {dataset}: {what}")]
    BadRows { dataset: String, version: u64, what: String },
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::InvalidName { .. } | Error::Invalid(_) | Error::Filter(_) => Code::InvalidArgument,
            Error::Forbidden { .. } => Code::PermissionDenied,
            Error::NoDataset(_) => Code::NotFound,
            Error::NoIndex(_) | Error::NoAlias(_) | Error::NoItem { .. } | Error::NoImport(_) => Code::NotFound,
            Error::IndexExists(_) | Error::IsAlias(_) | Error::IsIndex(_) => Code::AlreadyExists,
            Error::TooMany { .. } => Code::PayloadTooLarge,
            Error::Loading(_) | Error::Broken { .. } | Error::Stopping => Code::Unavailable,
            Error::Overloaded { .. } | Error::Backlog { .. } => Code::Overloaded,
            Error::Memory { .. } | Error::DiskFull(_) => Code::InsufficientStorage,
            Error::Timeout(_) => Code::DeadlineExceeded,
            Error::WorkLost | Error::Engine { .. } | Error::Log { .. } | Error::Io { .. } | Error::Content(_) => {
                Code::Internal
            }
            Error::Peer { problem, .. } => problem.code,
            Error::OtherModel { .. } | Error::Follows { .. } => Code::Conflict,
            Error::BadVectors(_) => Code::BadGateway,
            Error::BadRows { .. } => Code::FailedPrecondition,
        }
    }

    fn public_detail(&self) -> String {
        match self {
            // Words of ours, without anything from inside.
            Error::Loading(_)
            | Error::Stopping
            | Error::Memory { .. }
            | Error::DiskFull(_)
            | Error::Timeout(_)
            | Error::BadVectors(_)
            | Error::Broken { .. } => self.to_string(),
            Error::Peer { what, problem } => format!("{what}: {}", problem.detail),
            other if other.code() == Code::Internal => Code::Internal.title().to_owned(),
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Backlog { .. } => Some(RETRY_AFTER_BACKLOG),
            Error::Peer { problem, .. } => problem.retry_after,
            other => match other.code() {
                Code::Unavailable | Code::Overloaded => Some(RETRY_AFTER),
                _ => None,
            },
        }
    }
}

impl From<PoolError> for Error {
    fn from(error: PoolError) -> Self {
        match error {
            PoolError::Full { what, limit, config_key } => Error::Overloaded { what, limit, config_key },
            PoolError::Lost => Error::WorkLost,
        }
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        match error {
            LogError::NoSpace { .. } => Error::DiskFull(Arc::new(error)),
            _ => Error::Log { what: "keeping the log or a snapshot", source: Arc::new(error) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_inside_keeps_its_words() {
        let source = std::io::Error::other("/var/lib/lakehouse/wal: bad");
        let error = Error::Io { what: "writing /var/lib/lakehouse", source };
        assert!(!Problem::from(error).body().to_string().contains("/var"));
    }
}
