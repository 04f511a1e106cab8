//! Extractors that refuse with problems: what is wrong, and where.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body::Body as _;
use http_body_util::{BodyExt, Limited};
use serde::de::DeserializeOwned;

use crate::server::{HttpConfig, MessageBytesMax};
use crate::{Code, Problem};

/// A JSON body of at most `message_bytes_max` bytes. curl's default content type and none at all
/// are taken as JSON too; any other is 415. Errors name the field's path.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if let Some(content_type) = request.headers().get(CONTENT_TYPE) {
            let text = content_type.to_str().unwrap_or_default();
            let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if essence != "application/json" && essence != "application/x-www-form-urlencoded" {
                return Err(Problem::new(
                    Code::UnsupportedMediaType,
                    format!("this route takes application/json, not {text:?}"),
                ));
            }
        }
        let body = read_message(request).await?;
        from_json(&body).map(Json)
    }
}

/// The whole body of a request, of at most `message_bytes_max` bytes.
///
/// # Errors
/// 413 beyond it; 400 for a body that breaks off.
pub async fn read_message(request: Request) -> Result<Bytes, Problem> {
    let limit = match request.extensions().get::<MessageBytesMax>() {
        Some(limit) => limit.0,
        None => HttpConfig::default().message_bytes_max,
    };
    if request.body().size_hint().lower() > limit {
        return Err(too_long(limit));
    }
    // Not `with_limited_body`: axum's own limit, 2 MiB unless a router lifts it, would come first.
    let body = Limited::new(request.into_body(), usize::try_from(limit).unwrap_or(usize::MAX));
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_long(limit)),
        Err(error) => Err(Problem::invalid("the body broke off before its end").with_source(error)),
    }
}

fn too_long(limit: u64) -> Problem {
    Problem::new(Code::PayloadTooLarge, format!("the body is longer than {limit} bytes (message_bytes_max)"))
}

/// Parses JSON; an error names the path of the field and the position in the text.
///
/// # Errors
/// 400 `invalid_argument`.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." { String::new() } else { format!("{path}: ") };
        Problem::invalid(format!("{place}{}", error.inner()))
    })?;
    deserializer.end().map_err(|error| Problem::invalid(error.to_string()))?;
    Ok(value)
}

/// The query string. Give `T` `deny_unknown_fields`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let text = parts.uri.query().unwrap_or_default();
        let deserializer = serde_urlencoded::Deserializer::new(form_pairs(text));
        match serde_path_to_error::deserialize(deserializer) {
            Ok(value) => Ok(Query(value)),
            Err(error) => Err(Problem::invalid(format!("query parameter {}: {}", error.path(), error.inner()))),
        }
    }
}

/// No query string: on a route without parameters one is refused by its name, as [`Query`] does, so
/// that a typo never passes silently.
#[derive(Debug)]
pub struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match form_pairs(parts.uri.query().unwrap_or_default()).next() {
            None => Ok(NoQuery),
            Some((name, _)) => Err(Problem::invalid(format!("query parameter {name}: this route takes none"))),
        }
    }
}

fn form_pairs(text: &str) -> url::form_urlencoded::Parse<'_> {
    url::form_urlencoded::parse(text.as_bytes())
}

/// The path's parameters.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(rejection) => Err(Problem::invalid(format!("path: {}", rejection.body_text()))),
        }
    }
}
