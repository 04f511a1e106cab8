//! The port, kept by a pool of DuckDB connections.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use duck::{Database, Prepared, Stream};
use kit::{Caller, Role};

use super::embed::{Allowed, Embed};
use super::explain;
use super::found::{Found, Shown};
use super::scrub::{statement_error, stopped};
use super::session::Session;
use super::setup::{self, S3, Settings};
use crate::engine::{Embedder, Parameters, ResultColumn, Rows, Run, Snapshot, SqlEngine, Stop};
use crate::error::Error;
use crate::gate::{Explain, Statement};

/// Runs of a failed statement again, to learn what it failed of: see [`duck::Stream::next_batch`].
const RUNS_FOR_THE_CAUSE_MAX: usize = 3;

/// A locked DuckDB and its idle connections.
pub struct DuckDb(Arc<Shared>);

struct Shared {
    database: Database,
    root: String,
    embed: Embed,
    found: Found,
    idle: Mutex<Vec<Session>>,
    idle_max: usize,
}

impl DuckDb {
    /// Opens an engine which can read below `settings.root` and nothing else; it keeps up to
    /// `idle_max` connections for later statements, and has `embedder` compute what they embed.
    ///
    /// # Errors
    /// DuckDB's; a lock that does not hold.
    pub fn open(settings: &Settings, idle_max: usize, embedder: Arc<dyn Embedder>) -> Result<Self, duck::Error> {
        let database = setup::open(settings)?;
        let embed = Embed::new(embedder);
        let found = Found::default();
        let connection = database.connect()?;
        connection.register("embed", 2, Arc::new(embed.clone()))?;
        found.register(&connection)?;
        let root = settings.root.clone();
        Ok(DuckDb(Arc::new(Shared { database, root, embed, found, idle: Mutex::default(), idle_max })))
    }

    /// From now on S3 is reached like this.
    ///
    /// # Errors
    /// DuckDB's.
    pub fn renew(&self, s3: &S3) -> Result<(), duck::Error> {
        setup::set_secret(&self.0.database.connect()?, &self.0.root, s3)
    }
}

impl SqlEngine for DuckDb {
    fn execute(&self, run: Run<'_>) -> Result<Box<dyn Rows>, Error> {
        let mut session = self.0.session(&run)?;
        let interrupter = session.interrupter();
        run.stop.interrupted_by(move || interrupter.interrupt());
        let allowed = run.statement.embeds.then(|| {
            let Run { caller, deadline, stop, .. } = &run;
            self.0.embed.allow(session.id(), caller, *deadline, stop)
        });
        let searches = !run.searched.is_empty();
        let shown = searches.then(|| self.0.found.show(session.id(), run.searched)).transpose();
        match shown.and_then(|shown| Ok((start(&mut session, &run)?, shown))) {
            Ok(((prepared, stream), shown)) => {
                let (keep, explain) = (run.statement.plan_is_reusable, run.statement.explain);
                let key = run.statement.sql.clone();
                let lease = Lease {
                    shared: self.0.clone(),
                    session: Some(session),
                    keep: keep.then_some(key),
                    prepared: Some(prepared),
                    allowed,
                    shown,
                    stop: run.stop.clone(),
                };
                Ok(DuckRows::boxed(stream, lease, explain, run.statement))
            }
            Err(error) => {
                run.stop.disarm();
                let error = failure(allowed.as_ref(), error, &self.0.root, run.stop);
                drop(allowed);
                self.0.give_back(session, &error);
                Err(error)
            }
        }
    }
}

/// Binds, prepares, fills in parameters, runs to the first rows.
fn start(session: &mut Session, run: &Run<'_>) -> Result<(Prepared, Stream), duck::Error> {
    session.bind(run.snapshot)?;
    let statement = run.statement;
    let mut prepared = match statement.explain {
        None => session.prepare(&statement.sql)?,
        Some(Explain::Plan) => session.prepare(&format!("EXPLAIN {}", statement.sql))?,
        Some(Explain::Analyze) => session.prepare(&format!("EXPLAIN (ANALYZE, FORMAT JSON) {}", statement.sql))?,
    };
    fill_in(&mut prepared, run.parameters)?;
    let stream = prepared.execute()?;
    Ok((prepared, stream))
}

fn fill_in(prepared: &mut Prepared, parameters: &Parameters) -> Result<(), duck::Error> {
    let invalid = |message: String| duck::Error { kind: duck::ErrorKind::InvalidInput, message };
    let wanted = prepared.parameter_count();
    let given = parameters.positional.len() + parameters.named.len();
    if given != wanted {
        return Err(invalid(format!("the statement has {wanted} parameters, and {given} values were given")));
    }
    if wanted == 0 {
        return Ok(());
    }
    prepared.clear_bindings();
    for (at, value) in parameters.positional.iter().enumerate() {
        prepared.bind(at + 1, value)?;
    }
    for (name, value) in &parameters.named {
        let index =
            prepared.parameter_index(name).ok_or_else(|| invalid(format!("the statement has no parameter ${name}")))?;
        prepared.bind(index, value)?;
    }
    Ok(())
}

impl Shared {
    /// The idle connection of the same scope that fits best, or a new one.
    fn session(&self, run: &Run<'_>) -> Result<Session, Error> {
        let scope = scope(run.caller);
        let best = self.take_best(&scope, run.statement, run.snapshot);
        match best {
            Some(session) => Ok(session),
            None => {
                let connection = self.database.connect();
                let connection = connection.map_err(|error| statement_error(error, &self.root, run.stop))?;
                Ok(Session::new(connection, scope))
            }
        }
    }

    fn take_best(&self, scope: &str, statement: &Statement, snapshot: &Snapshot) -> Option<Session> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = idle.iter().enumerate().filter(|(_, session)| session.scope() == scope);
        let cost = |session: &Session| (session.misfit(snapshot), !session.is_ready_for(&statement.sql));
        let (at, _) = candidates.min_by_key(|(_, session)| cost(session))?;
        Some(idle.swap_remove(at))
    }

    fn give_back(&self, session: Session, outcome: &Error) {
        // A connection that failed inside is not trusted again.
        if !matches!(outcome, Error::Engine { .. }) {
            self.park(session);
        }
    }

    fn park(&self, session: Session) {
        if session.is_full() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let dropped = (idle.len() >= self.idle_max).then(|| idle.remove(0));
        idle.push(session);
        drop(idle);
        drop(dropped);
    }
}

/// Callers who may read the same share connections.
fn scope(caller: &Caller) -> Arc<str> {
    if caller.role == Role::Admin || caller.grants.iter().any(|grant| grant == "*") {
        return "*".into();
    }
    let mut grants = caller.grants.to_vec();
    grants.sort();
    grants.join("\n").into()
}

/// A session in use: comes back to the pool when it is dropped.
struct Lease {
    shared: Arc<Shared>,
    session: Option<Session>,
    prepared: Option<Prepared>,
    /// Where the plan may be kept: under which text.
    keep: Option<Arc<str>>,
    /// Where the statement embeds.
    allowed: Option<Allowed>,
    /// Where it searches.
    shown: Option<Shown>,
    stop: Stop,
}

/// Why a statement failed, as the client is told.
fn failure(allowed: Option<&Allowed>, error: duck::Error, root: &str, stop: &Stop) -> Error {
    // What stops a statement ends what it embeds, too: whichever is told first.
    if allowed.is_some() && stop.reason().is_some() {
        return stopped(stop);
    }
    allowed.and_then(Allowed::failure).unwrap_or_else(|| statement_error(error, root, stop))
}

impl Lease {
    /// What a stream failed of. Where DuckDB tells of an interruption that nobody asked for, it has
    /// kept no trace of the failure behind it: the statement is run up to it again.
    fn cause(&mut self, told: duck::Error) -> duck::Error {
        let Lease { prepared: Some(prepared), stop, .. } = self else { return told };
        for _ in 0..RUNS_FOR_THE_CAUSE_MAX {
            if !told.is_interrupt() || stop.reason().is_some() {
                break;
            }
            match run_to_the_end(prepared) {
                Err(error) if !error.is_interrupt() => return error,
                // Interrupted once more, or well this time (random()).
                Ok(()) | Err(_) => {}
            }
        }
        told
    }
}

fn run_to_the_end(prepared: &mut Prepared) -> Result<(), duck::Error> {
    let mut stream = prepared.execute()?;
    while stream.next_batch()?.is_some() {}
    Ok(())
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.stop.disarm();
        (self.allowed, self.shown) = (None, None);
        let Some(mut session) = self.session.take() else { return };
        if let (Some(prepared), Some(key)) = (self.prepared.take(), self.keep.take()) {
            session.keep(key, prepared);
        }
        self.shared.park(session);
    }
}

struct DuckRows {
    // Before the lease: the stream ends before its connection is anybody else's.
    stream: Stream,
    columns: Vec<ResultColumn>,
    lease: Lease,
}

impl DuckRows {
    fn boxed(stream: Stream, lease: Lease, explain: Option<Explain>, statement: &Statement) -> Box<dyn Rows> {
        let columns = stream.columns().iter();
        let columns =
            columns.map(|c| ResultColumn { name: c.name.clone(), logical_type: c.logical_type.clone() }).collect();
        let rows = DuckRows { stream, columns, lease };
        match explain {
            None => Box::new(rows),
            Some(how) => Box::new(explain::Explained::new(rows, how, statement)),
        }
    }
}

impl Rows for DuckRows {
    fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    fn schema(&self) -> SchemaRef {
        self.stream.schema().clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let stop = &self.lease.stop;
        if stop.reason().is_some() {
            return Err(stopped(stop));
        }
        match self.stream.next_batch() {
            // DuckDB may end a stream that is interrupted as if it had come to its end.
            Ok(None) if stop.reason().is_some() => Err(stopped(stop)),
            Ok(batch) => Ok(batch),
            Err(error) => {
                let error = self.lease.cause(error);
                let Lease { allowed, shared, stop, .. } = &self.lease;
                let error = failure(allowed.as_ref(), error, &shared.root, stop);
                if matches!(error, Error::Engine { .. }) {
                    self.lease.session = None;
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::duckdb::S3;
    use crate::engine::{Limits, StopReason};
    use crate::gate::Gate;

    struct NoEmbedder;

    impl Embedder for NoEmbedder {
        fn embed(&self, _: &[&str], _: &str, _: &Caller, _: Instant, _: &Stop) -> Result<Vec<Arc<[f32]>>, Error> {
            Err(Error::Internal("nothing is embedded here"))
        }
    }

    /// Fails when the stream's buffer was full ten times and more.
    const FAILS_LATE: &str = "SELECT range, range, range, range, range, range, range, range, \
                              CAST(CASE WHEN range = 200000 THEN 'x' ELSE range::VARCHAR END AS INTEGER) FROM range(1000000)";
    const FAILS_NOT: &str = "SELECT range, range, range, range, range, range, range, range FROM range(200000)";

    /// What a stream of many buffers ends with when `meddle` is let loose on it after its first rows.
    fn end_of(sql: &str, meddle: impl FnOnce(&duck::Interrupter, &Stop)) -> Result<usize, Error> {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            root: format!("{}/", folder.path().display()),
            memory_limit_bytes: 1 << 30,
            threads: 2,
            temp_dir: folder.path().join("tmp"),
            temp_bytes_max: 1 << 20,
            httpfs: None,
            s3: S3::default(),
        };
        let engine = DuckDb::open(&settings, 1, Arc::new(NoEmbedder)).unwrap();
        let session = Session::new(engine.0.database.connect().unwrap(), scope(&Caller::local()));
        let interrupter = session.interrupter();
        // The one that the statement will be run on.
        engine.0.park(session);
        let statement = Gate::new(1 << 20).unwrap().check_now(&sql.into()).unwrap();
        let stop = Stop::default();
        let run = Run {
            statement: &statement,
            parameters: &Parameters::default(),
            snapshot: &Snapshot::default(),
            searched: &[],
            caller: &Caller::local(),
            limits: &Limits { timeout: Duration::from_secs(60), rows_max: None },
            deadline: Instant::now() + Duration::from_secs(60),
            stop: &stop,
        };
        let Ok(mut rows) = engine.execute(run) else { panic!("fails before its first rows: {sql}") };
        let mut count = rows.next_batch()?.unwrap().num_rows();
        meddle(&interrupter, &stop);
        while let Some(batch) = rows.next_batch()? {
            count += batch.num_rows();
        }
        Ok(count)
    }

    #[test]
    fn a_failure_that_was_told_as_an_interruption_is_told_as_itself() {
        let failure = |outcome: Result<usize, Error>| match outcome {
            Err(Error::Statement { message }) => message,
            other => panic!("{other:?}"),
        };
        let told = failure(end_of(FAILS_LATE, |_, _| {}));
        assert!(told.contains("Could not convert string 'x'"), "{told}");
        // As DuckDB does to the other threads of a statement when one of them fails.
        assert_eq!(failure(end_of(FAILS_LATE, |interrupter, _| interrupter.interrupt())), told);
    }

    #[test]
    fn an_interruption_that_was_asked_for_is_told_as_what_asked() {
        let timeout = end_of(FAILS_LATE, |_, stop| stop.ask(StopReason::Timeout));
        assert!(matches!(timeout, Err(Error::Timeout(_))), "{timeout:?}");
        // Nothing else failed: then there is no cause to be found.
        assert_eq!(end_of(FAILS_NOT, |_, _| {}).unwrap(), 200_000);
        let unasked = end_of(FAILS_NOT, |interrupter, _| interrupter.interrupt());
        assert!(matches!(unasked, Err(Error::Cancelled)), "{unasked:?}");
    }
}
