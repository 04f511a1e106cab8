//! What the platform lists, in pages, and how it is shown.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::size;
use crate::table::{Column, Table};

const PAGE: &str = "1000";

#[derive(Deserialize)]
struct Page {
    #[serde(alias = "datasets", alias = "versions", alias = "indexes")]
    entries: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// All pages of a list.
pub(crate) async fn pages(client: &Client, segments: &[&str]) -> Result<Vec<Value>, Failure> {
    let mut entries = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut request = client.get(segments).query(&[("limit", PAGE)]);
        if let Some(cursor) = &cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page: Page = client.json(request).await?;
        entries.extend(page.entries);
        cursor = page.next_cursor.filter(|cursor| !cursor.is_empty());
        if cursor.is_none() {
            return Ok(entries);
        }
    }
}

/// A table of these members, or as JSON one object a line. `columns` are names and SQL types.
pub(crate) fn shown(entries: &[Value], columns: &[(&str, &str)], json: bool) -> String {
    if json {
        return entries.iter().map(|entry| format!("{entry}\n")).collect();
    }
    let row = |entry: &Value| {
        let cell = |(name, _): &(&str, &str)| match (*name, &entry[*name]) {
            ("bytes", Value::Number(bytes)) => json!(size::human(bytes.as_u64().unwrap_or(0))),
            (_, value) => value.clone(),
        };
        columns.iter().map(cell).collect()
    };
    let table = Table {
        columns: columns.iter().map(|(name, kind)| Column::new(name, kind)).collect(),
        rows: entries.iter().map(row).collect(),
    };
    table.render(None)
}
