//! Why a request was not passed on, or its answer not passed back.

use std::fmt;
use std::time::Duration;

use kit::{Code, ServiceError};

use crate::routes::PathFault;

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

/// What can go wrong between a client and a service.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no route {path}")]
    NoRoute { path: String },
    #[error("the gateway does not take {method}")]
    Method { method: http::Method },
    #[error("gRPC is POST over HTTP/2")]
    NotGrpc,
    #[error("the path has a dot segment")]
    DotSegment,
    #[error("the path has a malformed percent escape")]
    Escape,
    #[error("{service} is not part of this platform ({service}_url is not set)")]
    NotConfigured { service: &'static str },
    #[error("the body is longer than {bytes_max} bytes (message_bytes_max)")]
    TooLong { bytes_max: u64 },
    #[error("the body stalled for longer than {}", Seconds(*.after))]
    Stalled { after: Duration },
    #[error("the body broke off before its end")]
    BrokeOff,
    #[error("{service} has {concurrency_max} requests running (upstream_concurrency_max)")]
    Crowded { service: &'static str, concurrency_max: usize },
    #[error("{service} cannot be reached")]
    Connect {
        service: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{service} broke off before its answer")]
    Upstream {
        service: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{service} did not answer within {}", Seconds(*.after))]
    TimedOut { service: &'static str, after: Duration },
}

impl From<PathFault> for Error {
    fn from(fault: PathFault) -> Self {
        match fault {
            PathFault::DotSegment => Error::DotSegment,
            PathFault::Escape => Error::Escape,
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::NoRoute { .. } => Code::NotFound,
            Error::Method { .. } => Code::MethodNotAllowed,
            Error::NotGrpc | Error::DotSegment | Error::Escape | Error::Stalled { .. } | Error::BrokeOff => {
                Code::InvalidArgument
            }
            Error::NotConfigured { .. } => Code::Unimplemented,
            Error::TooLong { .. } => Code::PayloadTooLarge,
            Error::Crowded { .. } => Code::Overloaded,
            Error::Connect { .. } | Error::Upstream { .. } => Code::BadGateway,
            Error::TimedOut { .. } => Code::DeadlineExceeded,
        }
    }

    /// None of the messages names more than a service: causes are sources, which are only logged.
    fn public_detail(&self) -> String {
        self.to_string()
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Crowded { .. } => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}
