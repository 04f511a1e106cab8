//! The way of one file: spooled → parsed → encoded → stored → registered.
//!
//! Invariant: until catalogd has committed nothing that a reader could see has changed, and
//! whatever ends an ingest before that takes its objects and its spooled body with it. After the
//! commit was sent and not answered, objects stay: the version may stand.

use std::sync::Arc;
use std::time::Instant;

use kit::Caller;
use kit::context::Context;
use proto::v1::{Field, Manifest};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::catalog::{Catalog, Commit};
use crate::column::type_text;
use crate::config::Config;
use crate::encode::{Layout, Written, encode};
use crate::error::{Error, Result};
use crate::field::with_ids;
use crate::format::{Format, Hint};
use crate::metrics::{Metrics, Phase};
use crate::objects::{DatasetObjects, Storage};
use crate::reject::Rejects;
use crate::request::{IngestRequest, Mode};
use crate::session::Session;
use crate::source::{Columns, Failure, Opening, Sample, Source, open};
use crate::spool::{Spool, Spooled};

mod stop;

use stop::interrupt_when;

/// What became of a file.
#[derive(Debug, Clone)]
pub(crate) struct Ingested {
    pub(crate) dataset_id: String,
    pub(crate) name: String,
    pub(crate) version: u64,
    /// Whether the dataset was not there before.
    pub(crate) created: bool,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
    /// (name, type)
    pub(crate) schema: Columns,
    /// With `on_error=skip`.
    pub(crate) rejects: Option<Rejects>,
}

/// The service behind its routes.
pub(crate) struct Ingests {
    pub(crate) config: Config,
    pub(crate) spool: Arc<Spool>,
    pub(crate) metrics: Metrics,
    catalog: Catalog,
    storage: Storage,
    permits: Arc<Semaphore>,
}

/// Leave to ingest, and what is known before the body is read.
pub(crate) struct Admitted {
    request: IngestRequest,
    permit: OwnedSemaphorePermit,
    existing: Option<Manifest>,
}

/// What admission comes to.
pub(crate) enum Admission {
    Go(Box<Admitted>),
    /// An earlier request with the same id did it.
    Done(Box<Ingested>),
}

impl Ingests {
    pub(crate) fn new(config: Config, spool: Arc<Spool>, metrics: Metrics, catalog: Catalog, storage: Storage) -> Self {
        let permits = Arc::new(Semaphore::new(config.concurrent_ingests_max));
        Ingests { config, spool, metrics, catalog, storage, permits }
    }

    /// Everything that can be refused before the body is read is refused here.
    pub(crate) async fn admit(&self, caller: &Caller, request: IngestRequest) -> Result<Admission> {
        if !caller.may_write(request.name.as_str()) {
            return Err(Error::Forbidden(request.name.as_str().to_owned()));
        }
        let busy = |_| Error::Busy(self.config.concurrent_ingests_max);
        let permit = self.permits.clone().try_acquire_owned().map_err(busy)?;
        let existing = self.catalog.find(&request.name).await?;
        if let Some(id) = &request.request_id
            && let Some(manifest) = self.catalog.made_by(&request.name, id).await?
        {
            return Ok(Admission::Done(Box::new(Ingested::again(manifest))));
        }
        match (request.mode, &existing) {
            (Mode::Create, Some(_)) => Err(Error::Exists(request.name.as_str().to_owned())),
            // A replace of what is not there makes it.
            (Mode::Append, None) => Err(Error::Missing(request.name.as_str().to_owned())),
            _ => Ok(Admission::Go(Box::new(Admitted { request, permit, existing }))),
        }
    }

    /// Turns a spooled body into a version. Dropped before its end (the client left), it stops the
    /// work and leaves nothing.
    pub(crate) async fn run(self: Arc<Self>, admitted: Admitted, hint: Hint, body: Spooled) -> Result<Ingested> {
        if body.bytes() == 0 {
            return Err(Error::invalid("the body is empty"));
        }
        let stop = CancellationToken::new();
        let stop_on_drop = stop.clone().drop_guard();
        let timeout = self.config.request_timeout;
        let job = Job {
            format: Format::settle(hint, body.head()),
            existing: admitted.existing.as_ref().map(columns_of),
            request: admitted.request,
            ingests: self,
            body,
            stop: stop.clone(),
            runtime: Handle::current(),
            context: Context::current(),
        };
        let permit = admitted.permit;
        let mut task = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let _running = Running::new(&job.ingests.metrics);
            job.run()
        });
        let ended = match tokio::time::timeout(timeout, &mut task).await {
            Ok(ended) => ended,
            Err(_) => {
                stop.cancel();
                match task.await {
                    // It was past the point of no return.
                    Ok(Ok(done)) => Ok(Ok(done)),
                    _ => Ok(Err(Error::Timeout(timeout))),
                }
            }
        };
        drop(stop_on_drop.disarm());
        ended.unwrap_or(Err(Error::Internal("an ingest panicked")))
    }
}

/// Counts an ingest as long as it runs.
struct Running(Metrics);

impl Running {
    fn new(metrics: &Metrics) -> Self {
        metrics.running.inc();
        Running(metrics.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.dec();
    }
}

/// One ingest, on a thread that may block.
struct Job {
    ingests: Arc<Ingests>,
    request: IngestRequest,
    existing: Option<Columns>,
    format: Format,
    body: Spooled,
    stop: CancellationToken,
    runtime: Handle,
    context: Option<Context>,
}

/// Objects that no version names yet, and what is in them.
struct Stored {
    keys: Vec<String>,
    written: Written,
    schema: Columns,
    rejects: Rejects,
}

impl Job {
    fn run(&self) -> Result<Ingested> {
        let stored = match self.convert(Sample::First) {
            Err(Failure::SampleTooSmall) => self.convert(Sample::Whole),
            ended => ended,
        };
        let stored = stored.map_err(|failure| match failure {
            Failure::SampleTooSmall => Error::Internal("every row was looked at, and still it was not enough"),
            Failure::Final(error) => error,
        })?;
        if self.stop.is_cancelled() {
            self.discard(stored.keys);
            return Err(Error::ClientGone);
        }
        self.commit(stored)
    }

    /// Calls a peer from this thread.
    fn wait<F: Future>(&self, future: F) -> F::Output {
        match self.context.clone() {
            Some(context) => self.runtime.block_on(context.scope(future)),
            None => self.runtime.block_on(future),
        }
    }

    fn discard(&self, keys: Vec<String>) {
        self.wait(self.ingests.storage.remove(keys));
    }

    fn opening(&self, sample: Sample) -> Opening<'_> {
        Opening { config: &self.ingests.config, request: &self.request, existing: self.existing.as_ref(), sample }
    }

    /// Parses, encodes and stores every row; on a failure nothing stays behind.
    fn convert(&self, sample: Sample) -> std::result::Result<Stored, Failure> {
        let begun = Instant::now();
        let scratch = self.ingests.spool.scratch();
        let session = Session::open(&self.ingests.config, self.body.path(), scratch)?;
        let _interrupting = interrupt_when(&self.runtime, self.stop.clone(), session.interrupter());
        let opening = self.opening(sample);
        let mut source = open(self.format, session, &opening)?;
        opening.check(source.schema())?;
        let fields = source.schema().fields();
        let schema = fields.iter().map(|field| Ok((field.name().clone(), type_text(field)?)));
        let schema = schema.collect::<Result<Columns>>()?;
        let prepared = self.wait(self.ingests.catalog.prepare(&self.request, fields_of(&schema)))?;
        let ids: Vec<i32> = prepared.fields.iter().map(|field| field.id).collect();
        let layout = Layout::new(with_ids(source.schema(), &ids)?, &self.ingests.config)?;
        self.ingests.metrics.time(Phase::Open, begun.elapsed());

        let begun = Instant::now();
        let storage = self.ingests.storage.clone();
        let objects = DatasetObjects::new(storage, prepared.dataset_id, self.runtime.clone(), self.context.clone());
        let mut source = Stoppable { source: source.as_mut(), stop: &self.stop };
        let outcome = encode(&mut source, &layout, &objects)
            .and_then(|written| Ok((written, source.rejects().map_err(Failure::Final)?)));
        self.ingests.metrics.time(Phase::Convert, begun.elapsed());
        let keys = objects.into_keys();
        match outcome {
            Ok((written, rejects)) => Ok(Stored { keys, written, schema, rejects }),
            Err(failure) => {
                self.discard(keys);
                Err(failure)
            }
        }
    }

    fn commit(&self, stored: Stored) -> Result<Ingested> {
        let begun = Instant::now();
        let (name, catalog) = (&self.request.name, &self.ingests.catalog);
        let request_id = self.request.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let op = self.request.mode.op();
        let registered = match self.wait(catalog.commit(name, op, stored.keys.clone(), &request_id)) {
            Commit::Done(registered) => registered,
            Commit::Refused(error) => {
                self.discard(stored.keys);
                return Err(error);
            }
            Commit::Unknown(error) => {
                tracing::warn!(name = name.as_str(), "a commit was not answered: its objects stay");
                return Err(error);
            }
        };
        // Another request with the same id was quicker: its version stands, without our objects.
        if self.request.request_id.is_some()
            && let Ok(false) = self.wait(catalog.holds(name, registered.version, &stored.keys))
        {
            self.discard(stored.keys);
        }
        let metrics = &self.ingests.metrics;
        metrics.time(Phase::Commit, begun.elapsed());
        metrics.rows.inc_by(stored.written.rows);
        metrics.bytes_out.inc_by(stored.written.bytes);
        metrics.rejects.inc_by(stored.rejects.count);
        let skips = self.request.on_error == crate::request::OnError::Skip;
        Ok(Ingested {
            dataset_id: registered.dataset_id,
            name: registered.name,
            version: registered.version,
            created: !registered.existing,
            rows: stored.written.rows,
            bytes: stored.written.bytes,
            objects: stored.written.objects,
            schema: stored.schema,
            rejects: skips.then_some(stored.rejects),
        })
    }
}

impl Ingested {
    /// What an earlier request with the same id was answered.
    fn again(manifest: Manifest) -> Self {
        let added: Vec<_> = manifest.objects.iter().filter(|o| o.added_version == manifest.version).collect();
        Ingested {
            schema: columns_of(&manifest),
            created: manifest.op() == proto::v1::Op::Create,
            rows: added.iter().map(|object| object.rows).sum(),
            bytes: added.iter().map(|object| object.bytes).sum(),
            objects: added.len() as u64,
            dataset_id: manifest.dataset_id,
            name: manifest.name,
            version: manifest.version,
            rejects: None,
        }
    }
}

/// A source that ends with an error once told to stop.
struct Stoppable<'a> {
    source: &'a mut dyn Source,
    stop: &'a CancellationToken,
}

impl Source for Stoppable<'_> {
    fn schema(&self) -> &arrow_schema::SchemaRef {
        self.source.schema()
    }

    fn next_batch(&mut self) -> std::result::Result<Option<arrow_array::RecordBatch>, Failure> {
        if self.stop.is_cancelled() {
            return Err(Failure::Final(Error::ClientGone));
        }
        self.source.next_batch()
    }

    fn rejects(&mut self) -> Result<Rejects> {
        self.source.rejects()
    }
}

fn columns_of(manifest: &Manifest) -> Columns {
    manifest.fields.iter().map(|field| (field.name.clone(), field.r#type.clone())).collect()
}

fn fields_of(schema: &Columns) -> Vec<Field> {
    let field =
        |(name, kind): &(String, String)| Field { id: 0, name: name.clone(), r#type: kind.clone(), nullable: true };
    schema.iter().map(field).collect()
}
