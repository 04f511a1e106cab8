//! What a search found, as a table and as CSV.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Number, Value, json};

use crate::table::{Column, Table};

/// Digits of a score that a person looks at.
const SCORE_DIGITS: usize = 4;

#[derive(Debug, Deserialize)]
pub(super) struct Found {
    results: Vec<Hit>,
}

#[derive(Debug, Deserialize)]
struct Hit {
    id: String,
    score: Number,
    metadata: Option<Map<String, Value>>,
}

impl Found {
    /// Rank, score, id, and these members of the metadata, or all there are.
    pub(super) fn table(&self, wanted: Option<&[String]>) -> Table {
        let names = self.names(wanted);
        let mut columns =
            vec![Column::new("rank", "BIGINT"), Column::new("score", "DOUBLE"), Column::new("id", "VARCHAR")];
        columns.extend(names.iter().map(|name| Column::new(name, self.kind(name))));
        let row = |(at, hit): (usize, &Hit)| {
            let score =
                hit.score.as_f64().map_or_else(|| hit.score.to_string(), |score| format!("{score:.SCORE_DIGITS$}"));
            let own = [json!(at + 1), json!(score), json!(hit.id)];
            own.into_iter().chain(names.iter().map(|name| hit.member(name).cloned().unwrap_or_default())).collect()
        };
        Table { columns, rows: self.results.iter().enumerate().map(row).collect() }
    }

    pub(super) fn csv(&self, wanted: Option<&[String]>) -> String {
        let names = self.names(wanted);
        let head = ["rank", "score", "id"].into_iter().chain(names.iter().copied());
        let mut text = record(head.map(|name| Some(name.to_owned())));
        for (at, hit) in self.results.iter().enumerate() {
            let own = [(at + 1).to_string(), hit.score.to_string(), hit.id.clone()];
            let members = names.iter().map(|name| match hit.member(name) {
                None | Some(Value::Null) => None,
                Some(Value::String(text)) => Some(text.clone()),
                Some(other) => Some(other.to_string()),
            });
            text.push_str(&record(own.into_iter().map(Some).chain(members)));
        }
        text
    }

    /// Those that are wanted, or all there are.
    fn names<'a>(&'a self, wanted: Option<&'a [String]>) -> Vec<&'a str> {
        if let Some(wanted) = wanted {
            return wanted.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        }
        let all: BTreeSet<&str> = self
            .results
            .iter()
            .filter_map(|hit| hit.metadata.as_ref())
            .flat_map(Map::keys)
            .map(String::as_str)
            .collect();
        all.into_iter().collect()
    }

    fn kind(&self, name: &str) -> &'static str {
        let mut values = self.results.iter().filter_map(|hit| hit.member(name)).filter(|value| !value.is_null());
        if values.all(Value::is_number) { "DOUBLE" } else { "VARCHAR" }
    }
}

impl Hit {
    fn member(&self, name: &str) -> Option<&Value> {
        self.metadata.as_ref()?.get(name)
    }
}

/// A line of CSV, quoted where RFC 4180 wants it, with the line end that pipes here want. Nothing is nothing, and
/// an empty text is `""`, as in the results of SQL.
fn record(fields: impl Iterator<Item = Option<String>>) -> String {
    let quoted = fields.map(|field| match field {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains([',', '"', '\n', '\r']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(text) => text,
    });
    quoted.collect::<Vec<_>>().join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let text = r#"{"results": [
            {"id": "7", "score": 0.73123455, "distance": 0.2, "metadata": {"role": "welder", "pay": 31.5, "note": "a, \"b\""}},
            {"id": "9", "score": 0.5, "distance": 0.5, "metadata": {"role": null, "note": "", "home": {"city": "Gary"}}}
        ]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_table_shows_what_all_results_have() {
        let table = found().table(None).render(None);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "rank   score  id  home             note     pay  role");
        assert_eq!(lines[2], "   1  0.7312  7   NULL             a, \"b\"  31.5  welder");
        assert_eq!(lines[3], "   2  0.5000  9   {\"city\":\"Gary\"}          NULL  NULL");
    }

    #[test]
    fn csv_is_exact_and_quoted() {
        assert_eq!(
            found().csv(None),
            "rank,score,id,home,note,pay,role\n\
             1,0.73123455,7,,\"a, \"\"b\"\"\",31.5,welder\n\
             2,0.5,9,\"{\"\"city\"\":\"\"Gary\"\"}\",\"\",,\n"
        );
    }

    #[test]
    fn columns_are_those_that_were_asked_for() {
        let asked = ["pay".to_owned(), "never".to_owned()];
        assert!(found().csv(Some(&asked)).starts_with("rank,score,id,pay,never\n1,0.73123455,7,31.5,\n"));
        assert!(found().csv(Some(&[String::new()])).starts_with("rank,score,id\n1,0.73123455,7\n"));
    }

    #[test]
    fn nothing_found_is_a_head() {
        assert_eq!(serde_json::from_str::<Found>(r#"{"results": []}"#).unwrap().csv(None), "rank,score,id\n");
        let plain: Found = serde_json::from_str(r#"{"results": [{"id": "a", "score": -3}]}"#).unwrap();
        assert_eq!(plain.csv(None), "rank,score,id\n1,-3,a\n");
    }
}
