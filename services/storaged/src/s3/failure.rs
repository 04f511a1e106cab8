//! What a failed call means.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::Error;

/// The error of a call about `key`.
pub(super) fn failure<E>(action: &'static str, key: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let status = error.raw_response().map(|response| response.status().as_u16());
    let code = error.code().unwrap_or_default().to_owned();
    let key = key.to_owned();
    match (status, code.as_str()) {
        (Some(404), "NoSuchBucket") => Error::Remote { action, source: error.into() },
        (Some(404), _) => Error::NotFound { key },
        (Some(412), _) => Error::ConditionFailed { key },
        (Some(409), "ConditionalRequestConflict") => Error::Conflict { key },
        (Some(400), "KeyTooLongError") => Error::InvalidKey { reason: "the bucket takes no longer keys" },
        (Some(429 | 503), _) | (None, _) => Error::RemoteAway { action, source: error.into() },
        _ => Error::Remote { action, source: error.into() },
    }
}
