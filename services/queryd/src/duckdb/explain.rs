//! Plans for the client: as DuckDB draws them, without where objects lie.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::Value;

use crate::engine::{ResultColumn, Rows};
use crate::error::Error;
use crate::gate::{Explain, Statement};

/// What DuckDB says of a scan that would show paths.
const HIDDEN: [&str; 1] = ["Filename(s)"];

/// A plan as one row: what kind of plan, and its text.
pub(super) struct Explained<R> {
    inner: R,
    how: Explain,
    columns: Vec<ResultColumn>,
    schema: SchemaRef,
    sql: Arc<str>,
}

impl<R: Rows> Explained<R> {
    pub(super) fn new(inner: R, how: Explain, statement: &Statement) -> Self {
        let column = |name: &str| ResultColumn { name: name.to_owned(), logical_type: duck::Type::Varchar };
        let field = |name: &str| Field::new(name, DataType::Utf8, true);
        let schema = Schema::new(vec![field("explain_key"), field("explain_value")]);
        let columns = vec![column("explain_key"), column("explain_value")];
        Explained { inner, how, columns, schema: schema.into(), sql: statement.sql.clone() }
    }
}

impl<R: Rows> Rows for Explained<R> {
    fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }

    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Error> {
        let Some(batch) = self.inner.next_batch()? else { return Ok(None) };
        let text = |column: usize| batch.column(column).as_any().downcast_ref::<StringArray>();
        let (Some(keys), Some(values)) = (text(0), text(batch.num_columns() - 1)) else {
            return Err(Error::Internal("a plan that is no text"));
        };
        let drawn = (0..values.len()).map(|row| match self.how {
            // Without being run, a scan names no files.
            Explain::Plan => values.value(row).to_owned(),
            Explain::Analyze => draw(values.value(row), &self.sql),
        });
        let values = StringArray::from_iter_values(drawn);
        let arrays = vec![Arc::new(keys.clone()) as _, Arc::new(values) as _];
        RecordBatch::try_new(self.schema.clone(), arrays)
            .map(Some)
            .map_err(|_| Error::Internal("a plan of another form"))
    }
}

/// A profile, as an indented tree with what each step took.
fn draw(json: &str, sql: &str) -> String {
    let Ok(profile) = serde_json::from_str::<Value>(json) else { return "the profile cannot be read".into() };
    let mut text = format!("{}\n", sql.trim());
    if let Some(seconds) = profile["latency"].as_f64() {
        text.push_str(&format!("total: {seconds:.4} s\n"));
    }
    for child in profile["children"].as_array().into_iter().flatten() {
        draw_step(child, 0, &mut text);
    }
    text
}

fn draw_step(step: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let name = step["operator_name"].as_str().or(step["operator_type"].as_str()).unwrap_or("?").trim();
    if name != "EXPLAIN_ANALYZE" {
        let rows = step["operator_cardinality"].as_u64().unwrap_or(0);
        let seconds = step["operator_timing"].as_f64().unwrap_or(0.0);
        text.push_str(&format!("{indent}{name}  rows: {rows}  time: {seconds:.4} s\n"));
        for (key, value) in step["extra_info"].as_object().into_iter().flatten() {
            if !HIDDEN.contains(&key.as_str()) {
                text.push_str(&format!("{indent}    {key}: {}\n", written(value)));
            }
        }
    }
    for child in step["children"].as_array().into_iter().flatten() {
        draw_step(child, depth + 1, text);
    }
}

fn written(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(written).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}
