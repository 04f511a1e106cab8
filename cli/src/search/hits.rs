//! What a search found, as a table and as CSV.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Number, Value, json};

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
    metadata: Option<Members>,
}

/// The members of an object in the order in which they came: that of the dataset's columns.
#[derive(Debug)]
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
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

    /// In the order in which results first have them.
    fn names<'a>(&'a self, wanted: Option<&'a [String]>) -> Vec<&'a str> {
        if let Some(wanted) = wanted {
            return wanted.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
        }
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.results.iter().flat_map(Hit::members) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    fn kind(&self, name: &str) -> &'static str {
        let mut values = self.results.iter().filter_map(|hit| hit.member(name)).filter(|value| !value.is_null());
        if values.all(Value::is_number) { "DOUBLE" } else { "VARCHAR" }
    }
}

impl Hit {
    fn members(&self) -> &[(String, Value)] {
        self.metadata.as_ref().map_or(&[], |metadata| &metadata.0)
    }

    fn member(&self, name: &str) -> Option<&Value> {
        self.members().iter().find(|(own, _)| own == name).map(|(_, value)| value)
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
    fn a_table_has_the_metadata_in_its_own_order() {
        let table = found().table(None).render(None);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "rank   score  id  role     pay  note      home");
        assert_eq!(lines[2], "   1  0.7312  7   welder  31.5  a, \"b\"    NULL");
        assert_eq!(lines[3], "   2  0.5000  9   NULL    NULL            {\"city\":\"Gary\"}");
    }

    #[test]
    fn csv_is_exact_and_quoted() {
        assert_eq!(
            found().csv(None),
            "rank,score,id,role,pay,note,home\n1,0.73123455,7,welder,31.5,\"a, \"\"b\"\"\",\n2,0.5,9,,,\"\",\"{\"\"city\"\":\"\"Gary\"\"}\"\n"
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
