//! The answers to a statement's searches, as the rows of a table function that `vector_search` leads to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow_array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use duck::{Connection, TableFunction, Type};

use crate::meaning::{Hit, Searched};

/// What a statement calls: it leads to the function, of which no statement knows. See `Search::key`.
const VECTOR_SEARCH: &str = "CREATE MACRO vector_search(i, t, k := 10, filter := NULL) AS TABLE \
    SELECT * FROM found_by(sha256(sha256(i) || sha256(t) || k || sha256(coalesce(filter, ''))))";
const COLUMNS: [&str; 4] = ["id", "score", "distance", "metadata"];

/// The rows of each search, by its key.
type Answers = HashMap<String, RecordBatch>;

/// What was found for the statements that run, by their connections. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Found(Arc<Mutex<HashMap<u64, Answers>>>);

/// While it lives, its connection's statement finds its answers.
pub(super) struct Shown {
    found: Found,
    connection: u64,
}

impl Found {
    /// For all connections of the database.
    pub(super) fn register(&self, connection: &Connection) -> Result<(), duck::Error> {
        connection.register_table("found_by", Arc::new(self.clone()))?;
        connection.execute_batch(VECTOR_SEARCH)
    }

    pub(super) fn show(&self, connection: u64, searched: &[Searched]) -> Result<Shown, duck::Error> {
        let answers = searched.iter().map(|Searched { key, hits }| Ok((key.clone(), rows(hits)?)));
        self.answers().insert(connection, answers.collect::<Result<_, _>>()?);
        Ok(Shown { found: self.clone(), connection })
    }

    fn answers(&self) -> MutexGuard<'_, HashMap<u64, Answers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.found.answers().remove(&self.connection);
    }
}

impl TableFunction for Found {
    fn columns(&self) -> Vec<(&'static str, Type)> {
        let [id, score, distance, metadata] = COLUMNS;
        let json = Type::Named("JSON".into(), Box::new(Type::Varchar));
        vec![(id, Type::Varchar), (score, Type::Float), (distance, Type::Float), (metadata, json)]
    }

    fn rows(&self, connection: u64, key: &str) -> Result<RecordBatch, String> {
        let rows = self.answers().get(&connection).and_then(|answers| answers.get(key)).cloned();
        rows.ok_or_else(|| "vector_search: this search was not made for this statement".to_owned())
    }
}

fn rows(hits: &[Hit]) -> Result<RecordBatch, duck::Error> {
    let texts = |text: fn(&Hit) -> &str| Arc::new(StringArray::from_iter_values(hits.iter().map(text))) as ArrayRef;
    let floats = |float: fn(&Hit) -> f32| Arc::new(Float32Array::from_iter_values(hits.iter().map(float))) as ArrayRef;
    let columns =
        [texts(|hit| &hit.id), floats(|hit| hit.score), floats(|hit| hit.distance), texts(|hit| &hit.metadata)];
    let rows = RecordBatch::try_from_iter(COLUMNS.into_iter().zip(columns));
    rows.map_err(|error| duck::Error { kind: duck::ErrorKind::Internal, message: error.to_string() })
}
