//! What can go wrong with an object.

use std::time::Duration;

use kit::{Code, ServiceError};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Every failure of this service. Messages of codes below 500 are shown to the caller.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("not a valid object key: {reason}")]
    InvalidKey { reason: &'static str },
    #[error("{reason}")]
    InvalidArgument { reason: String },
    #[error("the caller may not use the object {key}")]
    NotAllowed { key: String },
    #[error("there is no object {key}")]
    NotFound { key: String },
    #[error("the object {key} is not as the request's condition wants it")]
    ConditionFailed { key: String },
    #[error("there is an object {key} already")]
    AlreadyExists { key: String },
    #[error("another conditional write of {key} is under way: try again")]
    Conflict { key: String },
    #[error("the object is longer than {bytes_max} bytes ({limit})")]
    TooLarge { bytes_max: u64, limit: &'static str },
    #[error("no byte of the range lies within the {bytes} bytes of the object")]
    RangeOutside { bytes: u64 },
    #[error("{running} uploads are running, which is as many as are taken at once ({limit})")]
    Overloaded { running: usize, limit: &'static str },
    #[error("{reason}")]
    UnsupportedMediaType { reason: String },
    #[error("the body broke off before its end")]
    BodyBrokeOff(#[source] Cause),
    #[error("the body has {actual} bytes where {stated} were stated")]
    LengthDiffers { stated: u64, actual: u64 },
    #[error("the disk is full")]
    NoSpace(#[source] Cause),
    #[error("cannot {action}")]
    Disk {
        action: &'static str,
        #[source]
        source: Cause,
    },
    #[error("S3: cannot {action}")]
    Remote {
        action: &'static str,
        #[source]
        source: Cause,
    },
    #[error("S3 is not available: cannot {action}")]
    RemoteAway {
        action: &'static str,
        #[source]
        source: Cause,
    },
}

/// Long enough for an upload of a usual size to end.
const OVERLOADED_RETRY_AFTER: Duration = Duration::from_secs(5);

impl Error {
    /// A failed file operation.
    pub(crate) fn disk(action: &'static str, source: std::io::Error) -> Self {
        use std::io::ErrorKind;
        match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Error::NoSpace(source.into()),
            _ => Error::Disk { action, source: source.into() },
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::InvalidKey { .. } | Error::InvalidArgument { .. } => Code::InvalidArgument,
            Error::BodyBrokeOff(_) | Error::LengthDiffers { .. } => Code::InvalidArgument,
            Error::NotAllowed { .. } => Code::PermissionDenied,
            Error::NotFound { .. } => Code::NotFound,
            Error::ConditionFailed { .. } => Code::FailedPrecondition,
            Error::AlreadyExists { .. } => Code::AlreadyExists,
            Error::Conflict { .. } => Code::Conflict,
            Error::TooLarge { .. } => Code::PayloadTooLarge,
            Error::RangeOutside { .. } => Code::OutOfRange,
            Error::Overloaded { .. } => Code::Overloaded,
            Error::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
            Error::NoSpace(_) => Code::InsufficientStorage,
            Error::Disk { .. } => Code::Internal,
            Error::Remote { .. } => Code::BadGateway,
            Error::RemoteAway { .. } => Code::Unavailable,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Overloaded { .. } | Error::RemoteAway { .. } => Some(OVERLOADED_RETRY_AFTER),
            _ => None,
        }
    }
}
