//! A connection of the pool, with the views that stand on it and the statements that it has ready.

use std::collections::HashMap;
use std::sync::Arc;

use duck::{Connection, Error, ErrorKind, Interrupter, Prepared, StatementKind, quote_identifier, quote_literal};

use crate::catalog::Dataset;
use crate::engine::{Relation, Snapshot};

/// Statements kept prepared on one connection.
const PREPARED_MAX: usize = 64;
/// Views on one connection; one that would hold more starts afresh.
const VIEWS_MAX: usize = 4_096;

/// What a view stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    dataset_id: String,
    version: u64,
    /// Whether rows can be read through it, or only its columns be seen.
    full: bool,
}

/// A connection and what it holds.
pub(super) struct Session {
    // Before the connection: they belong to it.
    prepared: HashMap<Arc<str>, Prepared>,
    views: HashMap<String, Bound>,
    /// Whose eyes the views are for.
    scope: Arc<str>,
    connection: Connection,
}

impl Session {
    pub(super) fn new(connection: Connection, scope: Arc<str>) -> Self {
        Session { prepared: HashMap::new(), views: HashMap::new(), scope, connection }
    }

    pub(super) fn scope(&self) -> &str {
        &self.scope
    }

    pub(super) fn id(&self) -> u64 {
        self.connection.id()
    }

    pub(super) fn interrupter(&self) -> Interrupter {
        self.connection.interrupter()
    }

    /// How many views would have to be made for this snapshot.
    pub(super) fn misfit(&self, snapshot: &Snapshot) -> usize {
        let missing = snapshot.relations.iter().filter(|relation| !self.holds(relation)).count();
        let extra = if snapshot.is_everything { self.views.len().saturating_sub(snapshot.relations.len()) } else { 0 };
        missing + extra
    }

    pub(super) fn is_ready_for(&self, sql: &str) -> bool {
        self.prepared.contains_key(sql)
    }

    pub(super) fn is_full(&self) -> bool {
        self.views.len() >= VIEWS_MAX
    }

    fn holds(&self, relation: &Relation) -> bool {
        self.views.get(&view_name(relation)).is_some_and(|bound| {
            let dataset = &relation.dataset;
            let fits = bound.version == dataset.version && bound.dataset_id == dataset.dataset_id;
            fits && (bound.full || relation.places.is_none())
        })
    }

    /// Makes the views what the snapshot says.
    pub(super) fn bind(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        if snapshot.is_everything {
            self.drop_others(snapshot)?;
        }
        for relation in &snapshot.relations {
            if self.holds(relation) {
                continue;
            }
            match self.create(relation) {
                Err(error) if relation.places.is_none() => {
                    // Only seen beside what is read: the others need not miss for it.
                    let Dataset { name, version, .. } = &*relation.dataset;
                    tracing::warn!(dataset = %name, version, %error, "a dataset's columns cannot be shown");
                }
                created => created?,
            }
        }
        Ok(())
    }

    fn drop_others(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        let wanted: std::collections::HashSet<_> = snapshot.relations.iter().map(view_name).collect();
        let others: Vec<_> = self.views.keys().filter(|name| !wanted.contains(*name)).cloned().collect();
        self.changed(!others.is_empty());
        for name in others {
            self.connection.execute_batch(&format!("DROP VIEW IF EXISTS temp.main.{}", quote_identifier(&name)))?;
            self.views.remove(&name);
        }
        Ok(())
    }

    fn create(&mut self, relation: &Relation) -> Result<(), Error> {
        self.changed(true);
        let name = view_name(relation);
        self.views.remove(&name);
        let (body, full) = match relation.places.as_deref() {
            Some([]) => (empty_body(relation), true),
            Some(places) => (parquet_body(places), true),
            None => (empty_body(relation), false),
        };
        // One statement, whatever a manifest's types may hold.
        let sql = format!("CREATE OR REPLACE TEMP VIEW {} AS {body}", quote_identifier(&name));
        let mut create = self.connection.prepare(&sql)?;
        if create.kind() != StatementKind::Create {
            return Err(Error { kind: ErrorKind::Internal, message: "a view's SQL is not one CREATE".into() });
        }
        create.execute()?.next_batch()?;
        let dataset = &relation.dataset;
        self.views.insert(name, Bound { dataset_id: dataset.dataset_id.clone(), version: dataset.version, full });
        Ok(())
    }

    /// Plans made over other views are not kept.
    fn changed(&mut self, changed: bool) {
        if changed {
            self.prepared.clear();
        }
    }

    /// The statement, prepared: from an earlier run, or now. Exactly one, and one that reads.
    pub(super) fn prepare(&mut self, sql: &str) -> Result<Prepared, Error> {
        if let Some(prepared) = self.prepared.remove(sql) {
            return Ok(prepared);
        }
        let mut statements = self.connection.extract(sql)?;
        let (Some(only), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Error { kind: ErrorKind::Permission, message: "not exactly one statement".into() });
        };
        let prepared = only.prepare()?;
        match prepared.kind() {
            StatementKind::Select | StatementKind::Explain => Ok(prepared),
            _ => Err(Error { kind: ErrorKind::Permission, message: "not a statement that reads".into() }),
        }
    }

    /// Keeps a prepared statement for the next run of the same text.
    pub(super) fn keep(&mut self, sql: Arc<str>, prepared: Prepared) {
        if self.prepared.len() >= PREPARED_MAX {
            // Any one: what is asked often comes back soon.
            let victim = self.prepared.keys().next().cloned();
            victim.and_then(|key| self.prepared.remove(&key));
        }
        self.prepared.insert(sql, prepared);
    }
}

fn view_name(relation: &Relation) -> String {
    let dataset = &relation.dataset;
    if relation.pinned { format!("{}@{}", dataset.name, dataset.version) } else { dataset.name.clone() }
}

fn parquet_body(places: &[String]) -> String {
    let list: Vec<_> = places.iter().map(|place| quote_literal(place)).collect();
    format!("SELECT * FROM read_parquet([{}], hive_partitioning = false, union_by_name = false)", list.join(", "))
}

/// No rows, with the columns' names and types.
fn empty_body(relation: &Relation) -> String {
    let columns = relation.dataset.columns.iter();
    let columns: Vec<_> = columns
        .map(|column| format!("CAST(NULL AS {}) AS {}", column.logical_type, quote_identifier(&column.name)))
        .collect();
    format!("SELECT {} WHERE false", columns.join(", "))
}
