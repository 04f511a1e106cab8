//! `embed('text')` and `embed('text', 'model')`: what DuckDB calls for rows, embedd computes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use duck::TextFunction;
use kit::Caller;

use crate::engine::{Embedder, Stop};
use crate::error::Error;

/// Texts kept with their vectors for the length of a statement: what is written out or a parameter comes again
/// with every batch of rows.
const KEPT_MAX: usize = 64;

/// By a model's name and a text.
type Vectors<Name> = HashMap<(Name, Name), Arc<[f32]>>;

/// The function, and the statements that may call it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Embed(Arc<Inner>);

struct Inner {
    embedder: Arc<dyn Embedder>,
    /// By the connection they run on.
    running: Mutex<HashMap<u64, Arc<Statement>>>,
}

/// For whom, until when, and what came of it.
struct Statement {
    caller: Caller,
    deadline: Instant,
    stop: Stop,
    kept: Mutex<Vectors<String>>,
    failure: Mutex<Option<Error>>,
}

/// While it lives, its connection's statement may call the function.
pub(super) struct Allowed {
    embed: Embed,
    connection: u64,
    statement: Arc<Statement>,
}

impl Embed {
    pub(super) fn new(embedder: Arc<dyn Embedder>) -> Self {
        Embed(Arc::new(Inner { embedder, running: Mutex::default() }))
    }

    pub(super) fn allow(&self, connection: u64, caller: &Caller, deadline: Instant, stop: &Stop) -> Allowed {
        let statement = Arc::new(Statement {
            caller: caller.clone(),
            deadline,
            stop: stop.clone(),
            kept: Mutex::default(),
            failure: Mutex::default(),
        });
        locked(&self.0.running).insert(connection, statement.clone());
        Allowed { embed: self.clone(), connection, statement }
    }
}

impl Allowed {
    /// What embedd said, where that is why the statement failed.
    pub(super) fn failure(&self) -> Option<Error> {
        locked(&self.statement.failure).take()
    }
}

impl Drop for Allowed {
    fn drop(&mut self) {
        locked(&self.embed.0.running).remove(&self.connection);
    }
}

impl TextFunction for Embed {
    fn call(&self, connection: u64, arguments: &[Vec<Option<&str>>]) -> Result<Vec<Option<Arc<[f32]>>>, String> {
        let statement = locked(&self.0.running).get(&connection).cloned();
        let statement = statement.ok_or("embed is not for this statement")?;
        let [texts, models @ ..] = arguments else { return Err("embed takes a text".into()) };
        let model = |row: usize| models.first().map_or(Some(""), |models| models[row]);
        let asked: Vec<Option<(&str, &str)>> = (0..texts.len()).map(|row| Some((model(row)?, texts[row]?))).collect();
        let vectors = self.0.vectors(&statement, &asked).map_err(|error| {
            let message = error.to_string();
            // Why it was stopped, whoever stopped it knows better.
            if !matches!(error, Error::Cancelled) {
                locked(&statement.failure).get_or_insert(error);
            }
            message
        })?;
        Ok(asked.iter().map(|asked| vectors.get(asked.as_ref()?).cloned()).collect())
    }
}

impl Inner {
    /// Each text once, with each of its models.
    fn vectors<'a>(
        &self,
        statement: &Statement,
        asked: &[Option<(&'a str, &'a str)>],
    ) -> Result<Vectors<&'a str>, Error> {
        let mut vectors = Vectors::new();
        let mut missing: HashMap<&str, Vec<&str>> = HashMap::new();
        {
            let kept = locked(&statement.kept);
            for &(model, text) in asked.iter().flatten() {
                if vectors.contains_key(&(model, text)) {
                    continue;
                }
                match kept.get(&(model.to_owned(), text.to_owned())) {
                    Some(vector) => vectors.insert((model, text), vector.clone()),
                    None => {
                        missing.entry(model).or_default().push(text);
                        vectors.insert((model, text), Arc::default())
                    }
                };
            }
        }
        for (model, texts) in missing {
            let found = self.embedder.embed(&texts, model, &statement.caller, statement.deadline, &statement.stop)?;
            vectors.extend(texts.iter().map(|text| (model, *text)).zip(found));
        }
        if vectors.len() <= KEPT_MAX {
            let mut kept = locked(&statement.kept);
            if kept.len() + vectors.len() <= KEPT_MAX {
                let owned = |(model, text): &(&str, &str)| ((*model).to_owned(), (*text).to_owned());
                kept.extend(vectors.iter().map(|(key, vector)| (owned(key), vector.clone())));
            }
        }
        Ok(vectors)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
