//! Rows of datasets, as queryd answers them.

use std::borrow::Cow;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use kit::{Caller, Problem};
use proto::v1::query_client::QueryClient;
use proto::v1::{ExecuteRequest, ExecuteResponse};
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::indexes::Indexes;

/// What queryd is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    /// An object: what its `$names` stand for. Empty: it has none.
    pub(crate) params_json: String,
}

impl From<String> for Statement {
    fn from(sql: String) -> Self {
        Statement { sql, params_json: String::new() }
    }
}

impl Indexes {
    /// Runs a statement in queryd, for `caller` and within `timeout`.
    ///
    /// # Errors
    /// queryd's.
    pub(crate) async fn query(
        &self,
        caller: &Caller,
        statement: Statement,
        timeout: Duration,
    ) -> Result<Answer, Error> {
        let bytes_max = self.config().http.grpc_message_bytes_max();
        let mut client = QueryClient::new(self.queryd()).max_decoding_message_size(bytes_max);
        let timeout_ms = u64::try_from(timeout.as_millis()).ok();
        let Statement { sql, params_json } = statement;
        let request = ExecuteRequest { sql, params_json, timeout_ms, ..ExecuteRequest::default() };
        let pieces = client.execute(kit::grpc::request(request, caller, None)).await.map_err(of_queryd)?.into_inner();
        let stopping = self.stopping().clone();
        Ok(Answer { pieces, decoder: StreamDecoder::new(), undecoded: Buffer::default(), stopping })
    }
}

/// What queryd answers, batch by batch.
pub(crate) struct Answer {
    pieces: tonic::Streaming<ExecuteResponse>,
    decoder: StreamDecoder,
    undecoded: Buffer,
    stopping: CancellationToken,
}

impl Answer {
    /// `None` behind the last one.
    ///
    /// # Errors
    /// queryd's; the end of this service.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            while !self.undecoded.is_empty() {
                let decoded = self.decoder.decode(&mut self.undecoded);
                if let Some(batch) = decoded.map_err(|_| Error::Content("queryd's answer is no Arrow"))? {
                    return Ok(Some(batch));
                }
            }
            let piece = self.stopping.run_until_cancelled(self.pieces.message()).await.ok_or(Error::Stopping)?;
            let Some(piece) = piece.map_err(of_queryd)? else { return Ok(None) };
            self.undecoded = Buffer::from(piece.arrow_ipc);
        }
    }
}

fn of_queryd(status: tonic::Status) -> Error {
    Error::Peer { what: "the query".into(), problem: Problem::from_status("queryd", status) }
}

/// A row's JSON as DuckDB writes it, as JSON. What JSON has no numbers for becomes a text, as in the answers of SQL.
pub(crate) fn json(written: &str) -> Cow<'_, str> {
    const NOT_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
    if !NOT_FINITE.iter().any(|word| written.contains(word)) {
        return Cow::Borrowed(written);
    }
    let (mut json, mut rest) = (String::with_capacity(written.len() + 16), written);
    let (mut in_text, mut escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        let word = NOT_FINITE.into_iter().find(|word| !in_text && rest.starts_with(word));
        match (word, c) {
            (Some(word), _) => json.extend(["\"", word, "\""]),
            (None, c) => {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = in_text,
                    '"' => in_text = !in_text,
                    _ => {}
                }
                json.push(c);
            }
        }
        rest = &rest[word.map_or(c.len_utf8(), str::len)..];
    }
    Cow::Owned(json)
}

/// As an identifier in SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// As a text in SQL.
pub(crate) fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_has_not_become_texts() {
        assert_eq!(
            json(r#"{"a":NaN,"b":[-Infinity,1],"c":Infinity}"#),
            r#"{"a":"NaN","b":["-Infinity",1],"c":"Infinity"}"#
        );
        let texts = r#"{"NaN":"-Infinity \"NaN\\","b":"\\\""}"#;
        assert_eq!(json(texts), texts);
        assert!(matches!(json(r#"{"a":1}"#), Cow::Borrowed(_)));
    }
}
