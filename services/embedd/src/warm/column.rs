//! A column's texts, through queryd.

use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::UInt64Array;
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use kit::Problem;
use kit::grpc::PeerChannel;
use proto::v1::query_client::QueryClient;
use proto::v1::{ExecuteRequest, ExecuteResponse};

use crate::Error;
use crate::arrow::Texts;

pub(super) struct Query {
    client: QueryClient<PeerChannel>,
    timeout_ms: Option<u64>,
}

impl Query {
    pub(super) fn new(client: QueryClient<PeerChannel>, bytes_max: usize, timeout: Duration) -> Self {
        let client = client.max_decoding_message_size(bytes_max);
        Query { client, timeout_ms: u64::try_from(timeout.as_millis()).ok() }
    }

    /// How many different texts there are.
    ///
    /// # Errors
    /// queryd's.
    pub(super) async fn count(&mut self, dataset: &str, column: &str) -> Result<u64, Error> {
        let (dataset, column) = (quoted(dataset), quoted(column));
        let sql = format!("SELECT count(DISTINCT {column}::VARCHAR)::UBIGINT FROM {dataset}");
        let batch = self.execute(sql).await?.batch().await?.filter(|batch| batch.num_columns() == 1);
        let counts = batch.as_ref().and_then(|batch| batch.column(0).as_any().downcast_ref::<UInt64Array>());
        Ok(counts.and_then(|counts| counts.iter().next().flatten()).unwrap_or_default())
    }

    /// Each text once, page by page.
    ///
    /// # Errors
    /// queryd's.
    pub(super) async fn texts(&mut self, dataset: &str, column: &str) -> Result<Answer, Error> {
        let (dataset, column) = (quoted(dataset), quoted(column));
        let sql = format!("SELECT DISTINCT {column}::VARCHAR AS text FROM {dataset} WHERE {column} IS NOT NULL");
        self.execute(sql).await
    }

    async fn execute(&mut self, sql: String) -> Result<Answer, Error> {
        let request = ExecuteRequest { sql, timeout_ms: self.timeout_ms, ..ExecuteRequest::default() };
        let pieces = self.client.execute(request).await.map_err(of_queryd)?.into_inner();
        Ok(Answer { pieces, decoder: StreamDecoder::new(), undecoded: Buffer::default() })
    }
}

/// What queryd answers, batch by batch.
pub(super) struct Answer {
    pieces: tonic::Streaming<ExecuteResponse>,
    decoder: StreamDecoder,
    undecoded: Buffer,
}

impl Answer {
    /// Texts, as many as came at once; `None` at the end.
    ///
    /// # Errors
    /// queryd's.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<String>>, Error> {
        let Some(batch) = self.batch().await? else { return Ok(None) };
        let column = batch.columns().first().ok_or(Error::Content("queryd answered no column"))?;
        let texts = Texts::of(column)?;
        Ok(Some((0..batch.num_rows()).filter_map(|row| texts.at(row)).map(str::to_owned).collect()))
    }

    async fn batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            while !self.undecoded.is_empty() {
                let decoded = self.decoder.decode(&mut self.undecoded);
                if let Some(batch) = decoded.map_err(|_| Error::Content("queryd's answer is no Arrow"))? {
                    return Ok(Some(batch));
                }
            }
            let Some(piece) = self.pieces.message().await.map_err(of_queryd)? else { return Ok(None) };
            self.undecoded = Buffer::from(piece.arrow_ipc);
        }
    }
}

fn of_queryd(status: tonic::Status) -> Error {
    Error::Peer { what: "the query".into(), problem: Problem::from_status("queryd", status) }
}

/// As an identifier in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_names() {
        assert_eq!(quoted("a\" FROM secrets --"), "\"a\"\" FROM secrets --\"");
    }
}
