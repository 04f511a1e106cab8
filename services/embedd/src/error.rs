//! What can go wrong here, and what a client is told of it.

use std::sync::Arc;
use std::time::Duration;

use kit::{Code, PoolError, Problem, ServiceError};

use crate::provider::ProviderError;

/// How long a client waits before it tries again what was too much.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Invalid(String),
    #[error("there is no model {name:?}; there are: {known}")]
    NoModel { name: String, known: String },
    #[error("the model {0} is being loaded")]
    Loading(String),
    #[error("the model {name} cannot be used: {reason}")]
    Broken { name: String, reason: String },
    #[error("there is no warm-up {0}")]
    NoWarm(String),
    #[error("the caller may not {act} {name}")]
    Forbidden { name: String, act: &'static str },
    #[error("{what}: {count} exceed {limit} ({config_key})")]
    TooMany { what: String, count: usize, limit: usize, config_key: &'static str },
    #[error("{what}: no room for more than {limit} at once ({config_key})")]
    Overloaded { what: &'static str, limit: usize, config_key: &'static str },
    #[error("texts[{at}]: {}", too_long(*tokens, *max))]
    TooLong { at: usize, tokens: Option<usize>, max: usize },
    #[error("texts[{at}], of {bytes} bytes: the model {model}: {what}")]
    TextRefused { at: usize, bytes: usize, model: String, what: String },
    #[error("the model {model} ({kind}): {source}")]
    Provider { model: String, kind: &'static str, source: ProviderError },
    #[error("it took longer than {0:?} (embed_timeout)")]
    Timeout(Duration),
    #[error("everybody who waited for it has left")]
    Abandoned,
    #[error("work on the CPU broke off")]
    WorkLost,
    #[error("not what an answer must be: {0}")]
    Content(&'static str),
    #[error("{what}")]
    Io {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{what}: {problem:?}")]
    Peer { what: String, problem: Problem },
    /// Of a batch that others may wait for as well.
    #[error(transparent)]
    Batch(Arc<Error>),
}

fn too_long(tokens: Option<usize>, max: usize) -> String {
    let limit = if max > 0 { format!("; the model takes {max}") } else { String::new() };
    match tokens {
        Some(tokens) => format!("it has {tokens} tokens{limit}, and truncate is false"),
        None => format!("it has more tokens than the model takes{limit}, and truncate is false"),
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

impl Error {
    /// Whether a failed batch says nothing about the texts that others wait for: they try again.
    pub(crate) fn is_the_leaders_own(&self) -> bool {
        match self {
            Error::TooLong { .. } | Error::TextRefused { .. } | Error::Timeout(_) | Error::Abandoned => true,
            Error::Provider { source, .. } => matches!(source, ProviderError::Refused(_) | ProviderError::Timeout),
            _ => false,
        }
    }
}

impl ServiceError for Error {
    fn code(&self) -> Code {
        match self {
            Error::Invalid(_) | Error::TooLong { .. } | Error::TextRefused { .. } => Code::InvalidArgument,
            Error::NoModel { .. } | Error::NoWarm(_) => Code::NotFound,
            Error::Forbidden { .. } => Code::PermissionDenied,
            Error::TooMany { .. } => Code::PayloadTooLarge,
            Error::Overloaded { .. } => Code::Overloaded,
            Error::Timeout(_) => Code::DeadlineExceeded,
            Error::Loading(_) | Error::Broken { .. } => Code::Unavailable,
            Error::Abandoned | Error::WorkLost | Error::Content(_) | Error::Io { .. } => Code::Internal,
            Error::Provider { source, .. } => match source {
                ProviderError::TooLong { .. } | ProviderError::TextRefused { .. } | ProviderError::Refused(_) => {
                    Code::InvalidArgument
                }
                ProviderError::Unsupported(_) => Code::Unimplemented,
                ProviderError::Overloaded { .. } => Code::Overloaded,
                ProviderError::RateLimited { .. } => Code::ResourceExhausted,
                ProviderError::Unreachable { .. } | ProviderError::BadAnswer { .. } => Code::BadGateway,
                ProviderError::Timeout => Code::DeadlineExceeded,
                ProviderError::Internal { .. } => Code::Internal,
            },
            Error::Peer { problem, .. } => problem.code,
            Error::Batch(error) => error.code(),
        }
    }

    fn public_detail(&self) -> String {
        match self {
            Error::Batch(error) => error.public_detail(),
            Error::Peer { what, problem } => format!("{what}: {}", problem.detail),
            // The reason may name paths: health and the log have it.
            Error::Broken { name, .. } => format!("the model {name} cannot be used: see this service's health"),
            other if other.code() == Code::Internal => Code::Internal.title().to_owned(),
            // Words of ours: they name the provider and what was wrong, never a key or a path.
            other => other.to_string(),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Error::Batch(error) => error.retry_after(),
            Error::Peer { problem, .. } => problem.retry_after,
            Error::Provider { source: ProviderError::RateLimited { retry_after }, .. } => {
                Some(retry_after.unwrap_or(RETRY_AFTER))
            }
            Error::Provider { source: ProviderError::Overloaded { retry_after }, .. } => Some(*retry_after),
            other => match other.code() {
                Code::Unavailable | Code::Overloaded => Some(RETRY_AFTER),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_inside_keeps_its_words() {
        let source = ProviderError::Internal { what: "/srv/models/x: bad".into() };
        let error = Error::Provider { model: "m".into(), kind: "local", source };
        let shared = Error::Batch(Arc::new(error));
        assert!(!Problem::from(shared).body().to_string().contains("/srv"));
    }

    #[test]
    fn a_text_that_is_too_long_is_named_with_its_length() {
        let known = Error::TooLong { at: 3, tokens: Some(300), max: 256 };
        assert_eq!(known.to_string(), "texts[3]: it has 300 tokens; the model takes 256, and truncate is false");
    }
}
