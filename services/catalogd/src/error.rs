//! What can go wrong here, and what a client is told of it.

use std::time::Duration;

use kit::{Code, Problem, ServiceError};
use serde_json::{Map, Value, json};

use crate::name::DatasetName;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{raw:?} is not a dataset name: it takes [a-z_][a-z0-9_]{{0,62}}")]
    InvalidName { raw: String },
    #[error("{raw:?} cannot be a dataset name: SQL or the platform keeps it for itself")]
    ReservedName { raw: String },
    #[error("{0}")]
    Invalid(String),
    #[error("the caller may not {act} the dataset {name}")]
    Forbidden { name: DatasetName, act: &'static str },
    #[error("there is no dataset {name}")]
    NotFound { name: DatasetName },
    #[error("there is no version {version} of the dataset {name}")]
    NoVersion { name: DatasetName, version: u64 },
    #[error("there is no object {key:?}")]
    NoObject { key: String },
    #[error("the dataset {name} exists already")]
    AlreadyExists { name: DatasetName },
    #[error(
        "the dataset {name} has the schema {stored}, the objects have {given}: {}", differences.join("; ")
    )]
    SchemaConflict { name: DatasetName, stored: String, given: String, differences: Vec<String> },
    #[error("the fingerprint given is {given}, the objects' is {found}")]
    FingerprintMismatch { given: String, found: String },
    #[error("{key:?} does not have the schema of {first:?}: {}", differences.join("; "))]
    ObjectsDiffer { first: String, key: String, differences: Vec<String> },
    #[error("{key:?} is not a Parquet object that can be read: {reason}")]
    NotParquet { key: String, reason: String },
    #[error("{key:?} changed while it was registered")]
    ObjectChanged { key: String },
    #[error("the request id {request_id:?} was used for another kind of change of {name}")]
    RequestIdReused { name: DatasetName, request_id: String },
    #[error("{what}: {count} exceed {limit} ({config_key})")]
    TooMany { what: &'static str, count: u64, limit: u64, config_key: &'static str },
    #[error("the newest manifest of {name} (version {version}) cannot be read, so nothing can be added: {reason}")]
    Poisoned { name: DatasetName, version: u64, reason: String },
    #[error("other writers of {name} were quicker for too long")]
    Contended { name: DatasetName },
    #[error("there are too many {what} already ({config_key})")]
    Crowded { what: &'static str, config_key: &'static str },
    #[error(
        "the watcher fell behind by more than {history} changes (watch_history_max): come back for what is there now"
    )]
    FellBehind { history: usize },
    #[error("the catalog is being loaded")]
    Starting,
    #[error("the service is stopping: come back")]
    Stopping,
    #[error("work on the CPU broke off: {0}")]
    Broken(String),
    #[error("the manifest cannot be written: {0}")]
    Encode(String),
    #[error("{what}: {problem:?}")]
    Storage { what: String, problem: Problem },
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::InvalidName { .. }
            | Error::ReservedName { .. }
            | Error::Invalid(_)
            | Error::ObjectsDiffer { .. }
            | Error::NotParquet { .. } => Code::InvalidArgument,
            Error::Forbidden { .. } => Code::PermissionDenied,
            Error::NotFound { .. } | Error::NoVersion { .. } | Error::NoObject { .. } => Code::NotFound,
            Error::AlreadyExists { .. } => Code::AlreadyExists,
            Error::SchemaConflict { .. }
            | Error::FingerprintMismatch { .. }
            | Error::ObjectChanged { .. }
            | Error::RequestIdReused { .. } => Code::Conflict,
            Error::TooMany { .. } => Code::PayloadTooLarge,
            Error::Poisoned { .. } | Error::Starting | Error::Stopping => Code::Unavailable,
            Error::Contended { .. } | Error::Crowded { .. } | Error::FellBehind { .. } => Code::Overloaded,
            Error::Encode(_) | Error::Broken(_) => Code::Internal,
            Error::Storage { problem, .. } => problem.code,
        }
    }

    fn public_detail(&self) -> String {
        match self {
            // Words of ours, without anything from inside.
            Error::Poisoned { .. } | Error::Starting | Error::Stopping => self.to_string(),
            Error::Storage { what, problem } => format!("{what}: {}", problem.code.title()),
            other if other.code() == Code::Internal => Code::Internal.title().to_owned(),
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Storage { problem, .. } => problem.retry_after,
            other => match other.code() {
                Code::Unavailable | Code::Overloaded => Some(Duration::from_secs(1)),
                _ => None,
            },
        }
    }

    fn extensions(&self) -> Map<String, Value> {
        let members = match self {
            Error::SchemaConflict { stored, given, differences, .. } => {
                json!({ "stored_fingerprint": stored, "given_fingerprint": given, "differences": differences })
            }
            Error::FingerprintMismatch { given, found } => {
                json!({ "given_fingerprint": given, "found_fingerprint": found })
            }
            _ => Value::Null,
        };
        match members {
            Value::Object(members) => members,
            _ => Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_storage_shows_its_code_and_not_its_words() {
        let problem = Problem::new(Code::Internal, "/var/lib/secret: no space");
        let error = Error::Storage { what: "the manifest of workers".into(), problem };
        assert_eq!(error.code(), Code::Internal);
        assert!(!Problem::from(error).body().to_string().contains("secret"));
    }
}
