//! What the remote providers have in common: batches, one call with its limits, and trying again.

mod blame;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use kit::Secret;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::{Input, ProviderError};
use crate::config::ModelConfig;
use crate::embedding::Embedding;

/// The pause before the second try.
const RETRY_PAUSE_MIN: Duration = Duration::from_millis(100);
/// When somebody who was turned away here is asked to come back.
const RETRY_AFTER_OWN: Duration = Duration::from_secs(1);
/// How much of what an upstream says against a request is passed on.
const MESSAGE_CHARS_MAX: usize = 300;

/// A server that embeds, and how it is asked.
pub(crate) struct Upstream {
    client: reqwest::Client,
    url: Url,
    key: Secret,
    authorization: Option<HeaderValue>,
    calls: Arc<Semaphore>,
    waiting: AtomicUsize,
    waiting_max: usize,
    timeout: Duration,
    answer_bytes_max: usize,
    batch_texts_max: usize,
    batch_bytes_max: usize,
    calls_at_once_max: usize,
    retries: ExponentialBuilder,
    retry_pause_max: Duration,
}

/// Why an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetUpError {
    #[error("url is needed")]
    NoUrl,
    #[error("api_key cannot stand in a header")]
    Key,
    #[error("setting up HTTP")]
    Http(#[source] reqwest::Error),
}

impl Upstream {
    /// `path` comes after the configured URL.
    pub(crate) fn new(config: &ModelConfig, path: &[&str]) -> Result<Self, SetUpError> {
        let mut url = config.url.clone().ok_or(SetUpError::NoUrl)?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        let authorization = if config.api_key.is_empty() {
            None
        } else {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {}", config.api_key.expose())).map_err(|_| SetUpError::Key)?;
            value.set_sensitive(true);
            Some(value)
        };
        let pause = RETRY_PAUSE_MIN.min(config.retry_pause_max);
        let retries = ExponentialBuilder::new().with_min_delay(pause).with_max_delay(config.retry_pause_max);
        Ok(Upstream {
            // No redirects: they could carry the key elsewhere.
            client: client(&url, Policy::none()).map_err(SetUpError::Http)?,
            url,
            key: config.api_key.clone(),
            authorization,
            calls: Arc::new(Semaphore::new(config.calls_at_once_max)),
            waiting: AtomicUsize::new(0),
            waiting_max: config.calls_waiting_max,
            timeout: config.timeout,
            answer_bytes_max: config.answer_bytes_max,
            batch_texts_max: config.batch_texts_max,
            batch_bytes_max: config.batch_bytes_max,
            calls_at_once_max: config.calls_at_once_max,
            retries: retries.with_max_times(config.retries_max).with_jitter(),
            retry_pause_max: config.retry_pause_max,
        })
    }

    /// Embeds in batches, several at once. `ask` makes the body of a call, `read` takes the answer for so many
    /// inputs apart. Where nothing may be cut off, a refusal is about one text, and `strict` has it found.
    ///
    /// # Errors
    /// The first batch that fails; the others are given up.
    pub(crate) async fn embed(
        &self,
        inputs: Vec<Input>,
        strict: bool,
        deadline: Instant,
        ask: impl Fn(&[Input]) -> Result<Vec<u8>, ProviderError> + Sync,
        read: impl Fn(&[Input], &[u8]) -> Result<Vec<Embedding>, ProviderError> + Sync,
    ) -> Result<Vec<Embedding>, ProviderError> {
        let batches = batches(&inputs, self.batch_texts_max, self.batch_bytes_max);
        let (ask, read) = (&ask, &read);
        let (mut calls, mut next) = (Vec::with_capacity(batches.len()), 0);
        for batch in batches {
            let first = next;
            next += batch.len();
            calls.push(async move {
                let answer = match self.call(ask(batch)?.into(), deadline).await {
                    Err(refusal @ ProviderError::Refused(_)) if strict || batch.len() == 1 => {
                        return Err(self.blamed(batch, deadline, ask, refusal).await.behind(first));
                    }
                    other => other?,
                };
                let (read, asked) = (read(batch, &answer)?, batch.len());
                if read.len() == asked {
                    Ok(read)
                } else {
                    let what = format!("it answered {} vectors for {asked} texts", read.len());
                    Err(ProviderError::BadAnswer { what })
                }
            });
        }
        let done: Vec<Vec<Embedding>> = stream::iter(calls).buffered(self.calls_at_once_max).try_collect().await?;
        Ok(done.into_iter().flatten().collect())
    }

    /// One call, tried again where that may help.
    async fn call(&self, body: Bytes, deadline: Instant) -> Result<Bytes, ProviderError> {
        let _permit = self.admitted().await?;
        let tried = (|| self.attempt(body.clone()))
            .retry(self.retries)
            .when(|error| self.is_worth_another_try(error))
            .adjust(|error, pause| pause.map(|pause| pause.max(error.retry_after().unwrap_or_default())));
        timeout_at(deadline, tried).await.unwrap_or(Err(ProviderError::Timeout))
    }

    async fn admitted(&self) -> Result<tokio::sync::SemaphorePermit<'_>, ProviderError> {
        if let Ok(permit) = self.calls.try_acquire() {
            return Ok(permit);
        }
        let waiting = Waiting(&self.waiting);
        if waiting.0.fetch_add(1, Ordering::Relaxed) >= self.waiting_max {
            return Err(ProviderError::Overloaded { retry_after: RETRY_AFTER_OWN });
        }
        let permit = self.calls.acquire().await;
        permit.map_err(|_| ProviderError::Internal { what: "the calls' semaphore was closed".into() })
    }

    fn is_worth_another_try(&self, error: &ProviderError) -> bool {
        match error {
            ProviderError::RateLimited { retry_after } => retry_after.is_none_or(|after| after <= self.retry_pause_max),
            ProviderError::Unreachable { again, .. } => *again,
            _ => false,
        }
    }

    async fn attempt(&self, body: Bytes) -> Result<Bytes, ProviderError> {
        let mut request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let answered = async {
            let response = request.send().await.map_err(unreachable)?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok((status, headers, self.body(response).await?))
        };
        let late = |_| ProviderError::Unreachable { what: late(self.timeout), again: true, source: None };
        let (status, headers, body) = tokio::time::timeout(self.timeout, answered).await.map_err(late)??;
        if status.is_success() { Ok(body) } else { Err(self.refusal(status, &headers, &body)) }
    }

    async fn body(&self, mut response: reqwest::Response) -> Result<Bytes, ProviderError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            if body.len() + piece.len() > self.answer_bytes_max {
                let what = format!("it answered more than {} bytes (answer_bytes_max)", self.answer_bytes_max);
                return Err(ProviderError::BadAnswer { what });
            }
            body.extend_from_slice(&piece);
        }
        Ok(body.into())
    }

    fn refusal(&self, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ProviderError {
        let answered = |what: &str| format!("it answered {}{what}", status.as_u16());
        let unreachable = |what: &str, again| ProviderError::Unreachable { what: answered(what), again, source: None };
        match status {
            StatusCode::TOO_MANY_REQUESTS => ProviderError::RateLimited { retry_after: retry_after(headers) },
            // What it says of a key may hold a part of it.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => unreachable(": it does not take our key", false),
            StatusCode::NOT_FOUND => unreachable(": it does not know the model or the path", false),
            StatusCode::REQUEST_TIMEOUT => unreachable("", true),
            _ if status.is_client_error() => ProviderError::Refused(format!("the upstream says: {}", self.said(body))),
            _ => unreachable("", status.is_server_error()),
        }
    }

    /// The message of a refusal, without our key and anything that would not fit into a line.
    fn said(&self, body: &[u8]) -> String {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let places = [json.pointer("/error/message"), json.pointer("/error"), json.pointer("/message")];
        let text =
            places.into_iter().flatten().find_map(|place| place.as_str()).unwrap_or("(nothing that we understand)");
        let clean: String = text.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
        if self.key.is_empty() { clean } else { clean.replace(self.key.expose(), "***") }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ProviderError {
    /// With so many inputs before those that it counts.
    fn behind(self, first: usize) -> Self {
        match self {
            ProviderError::TextRefused { at, bytes, what } => {
                ProviderError::TextRefused { at: first + at, bytes, what }
            }
            other => other,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            ProviderError::RateLimited { retry_after } => *retry_after,
            _ => None,
        }
    }
}

/// A client for what is at `url`.
pub(super) fn client(url: &Url, redirects: Policy) -> Result<reqwest::Client, reqwest::Error> {
    // Fails only where the process has one already, which is as good.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .redirect(redirects)
        .tcp_nodelay(true)
        .user_agent(concat!("lakehouse/", env!("CARGO_PKG_VERSION")));
    // The system's certificates are not needed for http, and a small machine may have none.
    let builder = if url.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    builder.build()
}

fn unreachable(error: reqwest::Error) -> ProviderError {
    let what = if error.is_connect() { "it cannot be reached" } else { "the connection to it broke off" };
    ProviderError::Unreachable { what: what.into(), again: true, source: Some(Box::new(error.without_url())) }
}

fn late(timeout: Duration) -> String {
    format!("it did not answer within {timeout:?} (timeout)")
}

/// In seconds or as a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(SystemTime::now()).unwrap_or_default())
}

/// Consecutive inputs, of which no more go into one call than there may be.
fn batches(inputs: &[Input], texts_max: usize, bytes_max: usize) -> Vec<&[Input]> {
    let (mut batches, mut from, mut bytes) = (Vec::new(), 0, 0);
    for (at, input) in inputs.iter().enumerate() {
        if at > from && (at - from == texts_max || bytes + input.bytes() > bytes_max) {
            batches.push(&inputs[from..at]);
            (from, bytes) = (at, 0);
        }
        bytes += input.bytes();
    }
    batches.push(&inputs[from..]);
    batches
}

/// Divides a count of tokens among texts by their length, where the upstream counts whole batches.
pub(super) fn tokens_of(inputs: &[Input], counted: Option<u64>) -> Vec<u32> {
    let bytes: Vec<u64> = inputs.iter().map(|input| input.bytes() as u64).collect();
    let total = bytes.iter().sum::<u64>().max(1);
    // Four bytes a token is about what English text has.
    let counted = counted.unwrap_or_else(|| total.div_ceil(4));
    let (mut before, mut given) = (0, 0);
    let share = bytes.iter().map(|bytes| {
        before += bytes;
        let until = u64::try_from(u128::from(counted) * u128::from(before) / u128::from(total)).unwrap_or(counted);
        let tokens = until - given;
        given = until;
        u32::try_from(tokens).unwrap_or(u32::MAX)
    });
    share.collect()
}

/// What an answer that is no JSON of the protocol is called: nothing of what it holds is repeated.
pub(super) fn garbage(error: &serde_json::Error) -> ProviderError {
    let (line, column) = (error.line(), error.column());
    let what = format!("its answer is not what the protocol says (line {line}, column {column})");
    ProviderError::BadAnswer { what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(lengths: &[usize]) -> Vec<Input> {
        lengths.iter().map(|length| Input::Text("x".repeat(*length))).collect()
    }

    proptest! {
        #[test]
        fn batches_hold_every_text_once_and_no_more_than_they_may(
            lengths in prop::collection::vec(0_usize..30, 1..40),
            texts_max in 1_usize..10,
            bytes_max in 1_usize..50,
        ) {
            let inputs = texts(&lengths);
            let batches = batches(&inputs, texts_max, bytes_max);
            prop_assert_eq!(batches.concat(), inputs.clone());
            for batch in batches {
                let bytes: usize = batch.iter().map(Input::bytes).sum();
                prop_assert!(!batch.is_empty() && batch.len() <= texts_max);
                prop_assert!(bytes <= bytes_max || batch.len() == 1);
            }
        }

        #[test]
        fn every_token_is_given_to_some_text(lengths in prop::collection::vec(0_usize..30, 1..20), counted in 0_u64..500) {
            let tokens = tokens_of(&texts(&lengths), Some(counted));
            let whole = lengths.iter().sum::<usize>() > 0;
            prop_assert_eq!(tokens.iter().map(|n| u64::from(*n)).sum::<u64>(), if whole { counted } else { 0 });
        }
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_date() {
        let asked =
            |text: &str| retry_after(&[(RETRY_AFTER, HeaderValue::from_str(text).unwrap())].into_iter().collect());
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(100));
        assert!((98..=100).contains(&asked(&soon).unwrap().as_secs()));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
