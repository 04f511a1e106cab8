//! Warming up: texts that will be asked for are embedded before anybody waits for them.
//!
//! Texts come in the body of a request, from a file that the configuration names, or from a column of a
//! dataset through queryd; or what memory held when the service last stopped is taken up again ([`saved`]).

mod column;
mod jobs;
mod saved;
mod schedule;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kit::{Caller, Code, ServiceError};
use proto::v1::query_client::QueryClient;
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use uuid::Uuid;

pub(crate) use jobs::{Job, Jobs};
pub(crate) use schedule::{save, schedule};

use crate::Error;
use crate::embedder::{Embedder, NewEmbed};
use crate::provider::Input;

/// How long a full queue is given before the next try.
const PAUSE: Duration = Duration::from_millis(200);

/// Where the texts are.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Texts(Vec<String>),
    /// One text a line; a line that is a JSON text, or an object with `text`, is read as that.
    File(PathBuf),
    Column {
        dataset: String,
        column: String,
    },
    /// What memory held when it was last saved.
    MostUsed,
}

/// Starts and remembers warm-ups. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Warmer(Arc<Inner>);

struct Inner {
    embedder: Embedder,
    jobs: Jobs,
    queryd: kit::grpc::PeerChannel,
}

impl Warmer {
    pub(crate) fn new(embedder: Embedder, queryd: kit::grpc::PeerChannel) -> Self {
        let jobs = Jobs::new(embedder.config().warm_jobs_max);
        Warmer(Arc::new(Inner { embedder, jobs, queryd }))
    }

    pub(crate) fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Begins a warm-up in the background.
    ///
    /// # Errors
    /// An unknown model; a dataset that the caller may not read; too many warm-ups.
    pub(crate) fn begin(&self, caller: &Caller, model: Option<&str>, source: Source) -> Result<Job, Error> {
        let model = self.0.embedder.models().resolve(model)?;
        if let Source::Column { dataset, .. } = &source
            && !caller.may_read(dataset)
        {
            return Err(Error::Forbidden { name: dataset.clone(), act: "read" });
        }
        let job = self.0.jobs.add(&model.name)?;
        let (warmer, id, name) = (self.clone(), job.id, model.name.clone());
        self.0.embedder.spawn(async move {
            let ended = warmer.run(id, &name, source).await;
            if let Err(error) = &ended {
                tracing::warn!(model = %name, warm = %id, error = error as &dyn std::error::Error, "warm-up failed");
            }
            warmer.0.jobs.end(id, ended.err().map(|error| error.public_detail()));
        });
        Ok(job)
    }

    async fn run(&self, id: Uuid, model: &str, source: Source) -> Result<(), Error> {
        let _turn = self.0.jobs.turn(id).await?;
        match source {
            Source::Texts(texts) => {
                self.0.jobs.update(id, |job| job.texts_total = Some(texts.len() as u64));
                let mut rest = VecDeque::from(texts);
                while !rest.is_empty() {
                    let count = rest.len().min(self.batch());
                    self.embed(id, model, rest.drain(..count).collect()).await?;
                }
                Ok(())
            }
            Source::File(path) => self.file(id, model, &path).await,
            Source::Column { dataset, column } => self.column(id, model, &dataset, &column).await,
            Source::MostUsed => {
                let kept = saved::load(&self.0.embedder).await?;
                self.0.jobs.update(id, |job| {
                    job.texts_total = Some(kept as u64);
                    job.texts_done = kept as u64;
                });
                Ok(())
            }
        }
    }

    async fn file(&self, id: Uuid, model: &str, path: &Path) -> Result<(), Error> {
        let io = |source| Error::Io { what: "reading the file of a warm-up", source };
        let mut lines = BufReader::new(File::open(path).await.map_err(io)?);
        let (line_bytes_max, mut batch) = (self.0.embedder.config().text_bytes_max as u64, Vec::new());
        loop {
            let mut line = Vec::new();
            // One more than there may be, so that a line that is too long is told from the last one.
            let read = (&mut lines).take(line_bytes_max + 1).read_until(b'\n', &mut line).await.map_err(io)?;
            if read as u64 > line_bytes_max && !line.ends_with(b"\n") {
                return Err(Error::Invalid(format!("a line has more than {line_bytes_max} bytes (text_bytes_max)")));
            }
            batch.extend(texts(&line)?);
            if (read == 0 && !batch.is_empty()) || batch.len() >= self.batch() {
                self.embed(id, model, std::mem::take(&mut batch)).await?;
            }
            if read == 0 {
                return Ok(());
            }
        }
    }

    async fn column(&self, id: Uuid, model: &str, dataset: &str, column: &str) -> Result<(), Error> {
        let config = self.0.embedder.config();
        let client = QueryClient::new(self.0.queryd.clone());
        let mut query = column::Query::new(client, config.http.grpc_message_bytes_max(), config.warm_timeout);
        let total = query.count(dataset, column).await?;
        self.0.jobs.update(id, |job| job.texts_total = Some(total));
        let mut answer = query.texts(dataset, column).await?;
        while let Some(page) = answer.next().await? {
            let mut rest = VecDeque::from(page);
            while !rest.is_empty() {
                let count = rest.len().min(self.batch());
                self.embed(id, model, rest.drain(..count).collect()).await?;
            }
        }
        Ok(())
    }

    /// Embeds one batch, however long it has to wait for room.
    async fn embed(&self, id: Uuid, model: &str, texts: Vec<String>) -> Result<(), Error> {
        let count = texts.len() as u64;
        loop {
            let inputs = texts.iter().cloned().map(Input::Text).collect();
            let asked = NewEmbed { model: Some(model.to_owned()), inputs, normalize: None, truncate: true };
            match self.0.embedder.embed(asked).await {
                Ok(embedded) => {
                    self.0.jobs.update(id, |job| {
                        job.texts_done += count;
                        job.computed += count - embedded.cached as u64;
                    });
                    return Ok(());
                }
                Err(error) if matches!(error.code(), Code::Overloaded | Code::ResourceExhausted) => {
                    tokio::time::sleep(error.retry_after().unwrap_or(PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn batch(&self) -> usize {
        self.0.embedder.config().warm_batch_texts
    }
}

/// The text of a line, where there is one.
///
/// # Errors
/// What is not UTF-8.
pub(crate) fn texts(line: &[u8]) -> Result<Option<String>, Error> {
    let line = std::str::from_utf8(line).map_err(|_| Error::Invalid("a line is not UTF-8".into()))?.trim();
    let text = match serde_json::from_str(line) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(serde_json::Value::Object(mut object)) => match object.remove("text") {
            Some(serde_json::Value::String(text)) => text,
            _ => return Err(Error::Invalid("a line is an object without \"text\"".into())),
        },
        _ => line.to_owned(),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_text_or_json_of_one() {
        let read = |line: &str| texts(line.as_bytes()).unwrap();
        assert_eq!(read("forklift driver\r\n").as_deref(), Some("forklift driver"));
        assert_eq!(read("\"a \\\"b\\\"\"").as_deref(), Some("a \"b\""));
        assert_eq!(read("{\"text\": \"welder\", \"n\": 1}").as_deref(), Some("welder"));
        assert_eq!(read("42").as_deref(), Some("42"));
        assert_eq!(read("  \n"), None);
        assert!(texts(b"{\"txt\": \"a\"}").is_err());
        assert!(texts(b"\xff").is_err());
    }
}
