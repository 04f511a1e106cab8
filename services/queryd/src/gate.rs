//! What a statement may do, read from its syntax tree before anything sees it run.
//!
//! Layers one and two of three (the third is the lock-down of the engine itself): a text is exactly
//! one statement, of a reading kind; every table it names is a dataset or a CTE; every function is
//! known to be harmless. What is not known is refused. The verdict is a pure function of the text
//! and is cached by it.

mod explain;
mod functions;
mod search;
mod tree;
pub(crate) use tree::is_dataset_name;

use std::collections::BTreeSet;
use std::sync::Arc;

use duck::{Database, ErrorKind, Value};
use moka::sync::Cache;
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::error::Error;
pub use explain::Explain;
use functions::Functions;
pub use search::{Argument, SearchCall};

const STACK_BYTES: usize = 64 << 20;

/// A statement that may run, and what it reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// What was checked: exactly these bytes run, after `EXPLAIN` where [`Statement::explain`] says so.
    pub sql: Arc<str>,
    /// Whether it is to be explained instead of answered.
    pub explain: Option<Explain>,
    /// The datasets that it names.
    pub reads: BTreeSet<Read>,
    /// The searches in it.
    pub searches: Vec<SearchCall>,
    /// Whether it calls `embed`.
    pub embeds: bool,
    /// Whether it lists what datasets there are (SHOW TABLES, information_schema …).
    pub lists_catalog: bool,
    /// Whether its plan depends on nothing but itself and the datasets: it may be kept.
    pub plan_is_reusable: bool,
}

/// A dataset as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// In lower case.
    pub name: String,
    /// `None`: the newest.
    pub version: Option<u64>,
}

/// The gate. Cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    /// Empty, and locked: here statements are parsed and never run.
    parser: Database,
    functions: Functions,
    verdicts: Cache<Arc<str>, Result<Arc<Statement>, Error>>,
    parsing: Semaphore,
}

impl Gate {
    /// A gate that remembers the verdict on so many bytes of statements.
    ///
    /// # Errors
    /// A DuckDB that cannot be opened or locked.
    pub fn new(cache_bytes_max: u64) -> Result<Self, duck::Error> {
        let settings = [
            ("enable_external_access", "false"),
            ("autoload_known_extensions", "false"),
            ("threads", "1"),
            ("lock_configuration", "true"),
        ];
        let parser = Database::open_in_memory(&settings)?;
        let functions = Functions::of(&parser.connect()?)?;
        let verdicts = Cache::builder()
            .max_capacity(cache_bytes_max)
            .weigher(|text: &Arc<str>, _| u32::try_from(text.len() + 1_024).unwrap_or(u32::MAX))
            .build();
        Ok(Gate(Arc::new(Inner { parser, functions, verdicts, parsing: Semaphore::new(2) })))
    }

    /// The verdict on a text, from the cache or on a blocking thread.
    ///
    /// # Errors
    /// 400 for what is not one statement, 403 for what is not allowed.
    pub async fn check(&self, text: &str) -> Result<Arc<Statement>, Error> {
        if let Some(verdict) = self.0.verdicts.get(text) {
            return verdict;
        }
        let _permit = self.0.parsing.acquire().await.map_err(|_| Error::Internal("the gate is closed"))?;
        let (gate, text) = (self.clone(), Arc::<str>::from(text));
        tokio::task::spawn_blocking(move || gate.check_now(&text))
            .await
            .map_err(|_| Error::Internal("the gate panicked"))?
    }

    /// As [`Gate::check`]; blocks.
    ///
    /// # Errors
    /// As [`Gate::check`].
    pub fn check_now(&self, text: &Arc<str>) -> Result<Arc<Statement>, Error> {
        let verdict = self.judge(text).map(Arc::new);
        // A failure of ours is not a verdict.
        if !matches!(verdict, Err(Error::Engine { .. } | Error::Internal(_))) {
            self.0.verdicts.insert(text.clone(), verdict.clone());
        }
        verdict
    }

    fn judge(&self, text: &str) -> Result<Statement, Error> {
        if text.contains('\0') {
            return Err(Error::Invalid("the statement has a NUL character in it".into()));
        }
        let (explain, sql) = explain::split(text)?;
        // DuckDB takes expressions a thousand levels deep: reading and walking such a tree wants
        // more stack than a pool's thread has.
        let walk = || tree::walk(&self.parse(sql)?, &self.0.functions);
        let found = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("gate".into()).stack_size(STACK_BYTES);
            let walker = thread.spawn_scoped(scope, walk).map_err(|_| Error::Internal("no thread for the gate"))?;
            walker.join().map_err(|_| Error::Internal("the gate panicked"))?
        })?;
        Ok(Statement {
            sql: sql.into(),
            plan_is_reusable: found.is_pure && !found.lists_catalog && explain.is_none(),
            explain,
            reads: found.reads,
            searches: found.searches,
            embeds: found.embeds,
            lists_catalog: found.lists_catalog,
        })
    }

    /// The statement's syntax tree, as DuckDB's own parser sees it.
    fn parse(&self, sql: &str) -> Result<serde_json::Value, Error> {
        let tree = self.serialize(sql).map_err(|error| Error::Engine { kind: error.kind, message: error.message })?;
        let mut reader = serde_json::Deserializer::from_str(&tree);
        reader.disable_recursion_limit();
        let mut tree = serde_json::Value::deserialize(&mut reader)
            .map_err(|_| Error::Engine { kind: ErrorKind::Internal, message: "no syntax tree".into() })?;
        if tree["error"].as_bool() == Some(true) {
            return Err(refusal(sql, &tree));
        }
        match tree["statements"].as_array_mut().map(std::mem::take).as_deref_mut() {
            Some([only]) => Ok(only["node"].take()),
            Some([]) | None => Err(Error::Invalid("there is no statement in the text".into())),
            Some(several) => Err(Error::Invalid(format!("one statement at a time: the text has {}", several.len()))),
        }
    }

    fn serialize(&self, sql: &str) -> Result<String, duck::Error> {
        let connection = self.0.parser.connect()?;
        let mut call = connection.prepare("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR")?;
        call.bind(1, &Value::Text(sql.to_owned()))?;
        let text = call.execute()?.next_batch()?.and_then(|batch| {
            let column = batch.column(0).as_any().downcast_ref::<arrow_array::StringArray>()?;
            Some(column.value(0).to_owned())
        });
        Ok(text.unwrap_or_default())
    }
}

/// Why DuckDB gave no tree.
fn refusal(sql: &str, tree: &serde_json::Value) -> Error {
    let message = tree["error_message"].as_str().unwrap_or("the statement cannot be read");
    if tree["error_type"] != "not implemented" {
        let place = tree["position"].as_str().map(|at| format!(" (at character {at})")).unwrap_or_default();
        return Error::Invalid(format!("Parser Error: {message}{place}"));
    }
    match explain::first_word(sql).as_str() {
        "pivot" | "pivot_wider" => Error::Invalid(
            "a PIVOT without the values to pivot on is two statements in DuckDB: name them, PIVOT … ON column IN ('a', 'b')".into(),
        ),
        _ => Error::Refused("only statements that read are run here: SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW TABLES, EXPLAIN".into()),
    }
}

#[cfg(test)]
mod tests;
