//! A row that could not be read.

use serde_json::{Map, Value};

/// Of a value in a message: enough to recognise it.
const VALUE_CHARS_MAX: usize = 200;

/// One malformed row: where and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reject {
    /// Of the file, counted from 1; a JSON array has record numbers instead.
    pub(crate) line: Option<u64>,
    pub(crate) record: Option<u64>,
    pub(crate) column: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) reason: String,
}

impl Reject {
    pub(crate) fn at_line(line: u64, reason: impl Into<String>) -> Self {
        Reject { line: Some(line), record: None, column: None, value: None, reason: reason.into() }
    }

    pub(crate) fn at_record(record: u64, reason: impl Into<String>) -> Self {
        Reject { line: None, record: Some(record), column: None, value: None, reason: reason.into() }
    }

    pub(crate) fn column(mut self, column: impl Into<String>) -> Self {
        self.column = Some(column.into());
        self
    }

    pub(crate) fn value(mut self, value: &str) -> Self {
        self.value = Some(shortened(value));
        self
    }

    /// Its members in a problem body or a list of errors.
    pub(crate) fn members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        let mut put = |key: &str, value: Option<Value>| value.map(|value| members.insert(key.to_owned(), value));
        put("line", self.line.map(Value::from));
        put("record", self.record.map(Value::from));
        put("column", self.column.clone().map(Value::from));
        put("value", self.value.clone().map(Value::from));
        put("reason", Some(self.reason.clone().into()));
        members
    }
}

impl std::fmt::Display for Reject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.record) {
            (Some(line), _) => write!(f, "line {line}")?,
            (None, Some(record)) => write!(f, "record {record}")?,
            (None, None) => write!(f, "the file")?,
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column:?}")?;
        }
        write!(f, ": {}", self.reason)?;
        match &self.value {
            Some(value) => write!(f, ": {value:?}"),
            None => Ok(()),
        }
    }
}

/// The rows that were skipped.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rejects {
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) shown: Vec<Reject>,
}

/// How many of the skipped rows are shown.
pub(crate) const REJECTS_SHOWN: usize = 20;

impl Rejects {
    pub(crate) fn push(&mut self, reject: Reject) {
        self.count += 1;
        if self.shown.len() < REJECTS_SHOWN {
            self.shown.push(reject);
        }
    }
}

fn shortened(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value.to_owned(),
    }
}
