//! Everything that can go wrong on the way from a body to a version.

use std::io;
use std::time::Duration;

use kit::{Code, Problem, ServiceError};
use serde_json::{Map, Value};

use crate::reject::Reject;

pub(crate) type Result<T> = std::result::Result<T, Error>;

const RETRY_AFTER: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    Malformed(Box<Reject>),
    #[error("{0}")]
    UnsupportedFormat(String),
    #[error("the body is longer than {limit} bytes ({key})")]
    TooLarge { limit: u64, key: &'static str },
    #[error("to read this file takes more memory than {0} bytes (duckdb_memory_bytes)")]
    Memory(u64),
    #[error("this caller may not write {0}")]
    Forbidden(String),
    #[error("dataset {0} exists already: mode=append or mode=replace")]
    Exists(String),
    #[error("there is no dataset {0}: mode=create makes one")]
    Missing(String),
    #[error("the file's columns are not those of dataset {name}: {difference}")]
    Schema { name: String, difference: Box<SchemaDifference> },
    #[error("{0} ingests are running already (concurrent_ingests_max)")]
    Busy(usize),
    #[error("there is no room to keep the body until it is read (spool_bytes_max)")]
    SpoolFull,
    #[error("there is no room on the disk to keep the body until it is read")]
    DiskFull(#[source] io::Error),
    #[error("the ingest took longer than {} (request_timeout)", humantime(.0))]
    Timeout(Duration),
    #[error("the client left")]
    ClientGone,
    #[error("{peer}: {problem}")]
    Peer { peer: &'static str, problem: Box<Problem> },
    #[error("a file of the spool cannot be used")]
    Spool(#[source] io::Error),
    #[error("DuckDB failed")]
    Engine(#[source] duck::Error),
    #[error("the Parquet writer failed")]
    Encode(#[source] parquet::errors::ParquetError),
    #[error("{0}")]
    Internal(&'static str),
}

/// How the columns of a file differ from those of the dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SchemaDifference {
    /// The dataset has them, the file has not.
    pub(crate) missing: Vec<String>,
    /// The file has them, the dataset has not.
    pub(crate) extra: Vec<String>,
    /// (column, type in the dataset, type in the file)
    pub(crate) types: Vec<(String, String, String)>,
}

impl SchemaDifference {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.extra.is_empty() && self.types.is_empty()
    }
}

impl std::fmt::Display for SchemaDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            parts.push(format!("missing {}", self.missing.join(", ")));
        }
        if !self.extra.is_empty() {
            parts.push(format!("extra {}", self.extra.join(", ")));
        }
        parts.extend(self.types.iter().map(|(column, there, here)| format!("{column} is {here} instead of {there}")));
        f.write_str(&parts.join("; "))
    }
}

impl Error {
    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Error::Invalid(detail.into())
    }

    pub(crate) fn malformed(reject: Reject) -> Self {
        Error::Malformed(Box::new(reject))
    }

    pub(crate) fn peer(peer: &'static str, status: tonic::Status) -> Self {
        Error::Peer { peer, problem: Box::new(Problem::from_status(peer, status)) }
    }

    /// Of the spool: a full disk is the caller's to know.
    pub(crate) fn spool(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull(error),
            _ => Error::Spool(error),
        }
    }

    /// Of DuckDB, where nothing in the file is to blame.
    pub(crate) fn engine(error: duck::Error) -> Self {
        match error {
            error if error.is_interrupt() => Error::ClientGone,
            error if error.is_disk_full() => Error::DiskFull(io::Error::other(error)),
            error => Error::Engine(error),
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::Invalid(_) | Error::Malformed(_) => Code::InvalidArgument,
            Error::UnsupportedFormat(_) => Code::UnsupportedMediaType,
            Error::TooLarge { .. } | Error::Memory(_) => Code::PayloadTooLarge,
            Error::Forbidden(_) => Code::PermissionDenied,
            Error::Exists(_) => Code::AlreadyExists,
            Error::Missing(_) => Code::NotFound,
            Error::Schema { .. } => Code::Conflict,
            Error::Busy(_) => Code::Overloaded,
            Error::SpoolFull | Error::DiskFull(_) => Code::InsufficientStorage,
            Error::Timeout(_) => Code::DeadlineExceeded,
            Error::ClientGone => Code::Unavailable,
            Error::Peer { problem, .. } => problem.code,
            Error::Spool(_) | Error::Engine(_) | Error::Encode(_) | Error::Internal(_) => Code::Internal,
        }
    }

    fn public_detail(&self) -> String {
        match self {
            Error::Spool(_) | Error::Engine(_) | Error::Encode(_) | Error::Internal(_) => {
                Code::Internal.title().to_owned()
            }
            Error::Peer { problem, .. } => problem.detail.clone(),
            told => told.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Busy(_) => Some(RETRY_AFTER),
            Error::Peer { problem, .. } => problem.retry_after,
            _ => None,
        }
    }

    fn extensions(&self) -> Map<String, Value> {
        match self {
            Error::Malformed(reject) => reject.members(),
            Error::Peer { problem, .. } => problem.extensions.clone(),
            Error::Schema { difference, .. } => {
                let types = difference
                    .types
                    .iter()
                    .map(|(name, there, here)| serde_json::json!({"name": name, "dataset": there, "file": here}));
                let mut members = Map::new();
                members.insert("missing".into(), difference.missing.clone().into());
                members.insert("extra".into(), difference.extra.clone().into());
                members.insert("types".into(), types.collect());
                members
            }
            _ => Map::new(),
        }
    }
}

fn humantime(duration: &Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    use duck::ErrorKind;

    use super::*;

    #[test]
    fn a_full_disk_is_told_as_one_whoever_meets_it() {
        let spilling = "IO Error: Could not write file \"/spool/x\": No space left on device";
        let engine = |kind, message: &str| Error::engine(duck::Error { kind, message: message.to_owned() });
        let full = io::Error::from(io::ErrorKind::StorageFull);
        for error in [Error::spool(full), engine(ErrorKind::Io, spilling)] {
            assert_eq!(error.code(), Code::InsufficientStorage, "{error:?}");
            assert!(!error.public_detail().contains("/spool"), "{error:?}");
        }
        for error in [engine(ErrorKind::Io, "IO Error: gone"), engine(ErrorKind::Binder, spilling)] {
            assert_eq!(error.code(), Code::Internal, "{error:?}");
        }
    }
}
