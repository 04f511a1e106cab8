//! Bodies of requests and answers.

use std::time::Duration;

use duck::Value as Parameter;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::catalog::Dataset;
use crate::encode::Format;
use crate::engine::Parameters;
use crate::error::Error;
use crate::gate::Explain;
use crate::service::{Page, Query};

/// A statement to run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SqlRequest {
    /// One statement that reads.
    sql: String,
    /// A list for `?` and `$1`, an object for `$name`; of null, booleans, numbers and strings.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// Rows answered at most; more are cut, and said so.
    #[serde(default)]
    max_rows: Option<u64>,
    /// Milliseconds that it may take.
    #[serde(default)]
    timeout_ms: Option<u64>,
}

impl SqlRequest {
    pub(super) fn query(self, format: Format) -> Result<Query, Error> {
        Ok(Query {
            sql: self.sql,
            parameters: parameters(self.params.unwrap_or_default())?,
            rows_max: self.max_rows,
            timeout: self.timeout_ms.map(Duration::from_millis),
            format,
            explain: None,
        })
    }
}

/// A statement to explain.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainRequest {
    /// One statement that reads.
    sql: String,
    /// As for running it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    params: Option<Value>,
    /// Whether it is run, to tell what each step took.
    #[serde(default)]
    analyze: bool,
    /// Milliseconds that it may take.
    #[serde(default)]
    timeout_ms: Option<u64>,
}

impl ExplainRequest {
    pub(super) fn query(self) -> Result<Query, Error> {
        Ok(Query {
            sql: self.sql,
            parameters: parameters(self.params.unwrap_or_default())?,
            rows_max: None,
            timeout: self.timeout_ms.map(Duration::from_millis),
            format: Format::Ndjson,
            explain: Some(if self.analyze { Explain::Analyze } else { Explain::Plan }),
        })
    }
}

/// A statement's plan.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainAnswer {
    /// For a person to read.
    pub(super) plan: String,
}

/// From a JSON list or object.
pub(crate) fn parameters(params: Value) -> Result<Parameters, Error> {
    match params {
        Value::Null => Ok(Parameters::default()),
        Value::Array(values) => {
            let positional = values.into_iter().map(parameter).collect::<Result<_, _>>()?;
            Ok(Parameters { positional, named: Vec::new() })
        }
        Value::Object(values) => {
            let named = values.into_iter().map(|(name, value)| Ok((name, parameter(value)?)));
            Ok(Parameters { positional: Vec::new(), named: named.collect::<Result<_, Error>>()? })
        }
        _ => Err(Error::Invalid("params is a list (for ? and $1) or an object (for $name)".into())),
    }
}

fn parameter(value: Value) -> Result<Parameter, Error> {
    Ok(match value {
        Value::Null => Parameter::Null,
        Value::Bool(value) => Parameter::Bool(value),
        Value::String(text) => Parameter::Text(text),
        Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(value), ..) => Parameter::Int(value),
            (None, Some(value), _) => Parameter::HugeInt(value.into()),
            (None, None, Some(value)) => Parameter::Double(value),
            (None, None, None) => return Err(Error::Invalid(format!("params: {number} is no number that SQL has"))),
        },
        Value::Array(_) | Value::Object(_) => {
            return Err(Error::Invalid("params: values are null, booleans, numbers and strings".into()));
        }
    })
}

/// Which page of the datasets.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SchemaQuery {
    /// Datasets at most.
    pub(super) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

/// What there is to query.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaAnswer {
    /// In the order of their names.
    datasets: Vec<DatasetEntry>,
    /// `null` on the last page.
    next_cursor: Option<String>,
}

impl From<Page> for SchemaAnswer {
    fn from(page: Page) -> Self {
        let datasets = page.datasets.iter().map(|dataset| dataset.as_ref().into());
        SchemaAnswer { datasets: datasets.collect(), next_cursor: page.next_cursor }
    }
}

/// A dataset.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DatasetEntry {
    name: String,
    dataset_id: String,
    /// The newest.
    version: u64,
    rows: u64,
    bytes: u64,
    columns: Vec<ColumnEntry>,
}

/// A column.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ColumnEntry {
    name: String,
    /// As DuckDB writes it.
    r#type: String,
    nullable: bool,
}

impl From<&Dataset> for DatasetEntry {
    fn from(dataset: &Dataset) -> Self {
        let column = |column: &crate::catalog::Column| ColumnEntry {
            name: column.name.clone(),
            r#type: column.logical_type.clone(),
            nullable: column.nullable,
        };
        DatasetEntry {
            name: dataset.name.clone(),
            dataset_id: dataset.dataset_id.clone(),
            version: dataset.version,
            rows: dataset.rows,
            bytes: dataset.bytes,
            columns: dataset.columns.iter().map(column).collect(),
        }
    }
}
