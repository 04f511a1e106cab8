//! What is asked of queryd.

use serde_json::json;

use crate::item::ItemId;
use crate::queryd::{Statement, quoted, text};
use crate::source::Source;

/// What is to be brought in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    /// A version whole: the index holds none, or one that cannot be read any more.
    Whole { target: u64 },
    /// What a version has otherwise than the one that the index holds.
    Difference { base: u64, target: u64 },
}

impl Plan {
    pub(super) fn target(self) -> u64 {
        match self {
            Plan::Whole { target } | Plan::Difference { target, .. } => target,
        }
    }

    /// The version that stands in the mark meanwhile.
    pub(super) fn base(self) -> u64 {
        match self {
            Plan::Whole { .. } => 0,
            Plan::Difference { base, .. } => base,
        }
    }
}

/// Statements over a source's dataset.
pub(super) struct Statements<'a> {
    pub(super) source: &'a Source,
    /// Longer texts are cut off, so that one row does not stop all others.
    pub(super) text_chars_max: usize,
    /// The page's rows at most.
    pub(super) rows_max: usize,
}

impl Statements<'_> {
    /// One row: `rows`, of them without an id (`nameless`), an id that comes `twice`, and one that is too `odd`
    /// to be one of an item.
    pub(super) fn check(&self, version: u64) -> Statement {
        let sql = format!(
            "WITH ids AS (SELECT {}::VARCHAR AS id, count(*) AS rows FROM {} GROUP BY 1) \
             SELECT coalesce(sum(rows), 0)::UBIGINT AS rows, \
             coalesce(sum(rows) FILTER (WHERE id IS NULL), 0)::UBIGINT AS nameless, \
             min(id) FILTER (WHERE rows > 1) AS twice, \
             min(id) FILTER (WHERE strlen(id) NOT BETWEEN 1 AND {}) AS odd FROM ids",
            quoted(&self.source.id_column),
            self.dataset(version),
            ItemId::BYTES_MAX
        );
        sql.into()
    }

    /// Of a difference, one row: `rows`.
    pub(super) fn count(&self, base: u64, target: u64) -> Statement {
        let differing = self.differing(base, target, false);
        format!("{differing} SELECT count(*)::UBIGINT AS rows FROM differing").into()
    }

    /// The next rows behind `after`, in the order of their ids: `id`; whether it is `gone`; `text` and
    /// `metadata`, NULL where they are what they were.
    pub(super) fn page(&self, plan: Plan, after: Option<&ItemId>) -> Statement {
        let (rows_max, goes_on) = (self.rows_max, after.is_some());
        let sql = match plan {
            Plan::Whole { target } => format!(
                "SELECT id, false AS gone, text, metadata FROM ({}) ORDER BY id LIMIT {rows_max}",
                self.rows(target, goes_on)
            ),
            Plan::Difference { base, target } => format!(
                "{} SELECT id, gone, text, metadata FROM differing ORDER BY id LIMIT {rows_max}",
                self.differing(base, target, goes_on)
            ),
        };
        let params_json = after.map(|after| json!({ "after": after.as_str() }).to_string()).unwrap_or_default();
        Statement { sql, params_json }
    }

    /// Every `id`, in order.
    pub(super) fn ids(&self, version: u64) -> Statement {
        let (id, dataset) = (quoted(&self.source.id_column), self.dataset(version));
        format!("SELECT {id}::VARCHAR AS id FROM {dataset} ORDER BY 1").into()
    }

    fn dataset(&self, version: u64) -> String {
        format!("dataset_at({}, {version})", text(&self.source.dataset))
    }

    /// Those behind `$after` alone, where it `goes_on`.
    fn rows(&self, version: u64, goes_on: bool) -> String {
        let id = quoted(&self.source.id_column);
        let columns = &self.source.metadata_columns;
        let pairs = columns.iter().map(|column| format!("{}, {}", text(column), quoted(column)));
        // Without columns the metadata is nobody's to change.
        let metadata = match columns.as_slice() {
            [] => "NULL::VARCHAR".to_owned(),
            _ => format!("json_object({})::VARCHAR", pairs.collect::<Vec<_>>().join(", ")),
        };
        let behind = if goes_on { format!(" WHERE {id}::VARCHAR > $after") } else { String::new() };
        format!(
            "SELECT {id}::VARCHAR AS id, left({}, {}) AS text, {metadata} AS metadata FROM {}{behind}",
            self.source.text.to_sql(),
            self.text_chars_max,
            self.dataset(version)
        )
    }

    fn differing(&self, base: u64, target: u64, goes_on: bool) -> String {
        format!(
            "WITH old AS ({}), new AS ({}), differing AS (\
             SELECT coalesce(new.id, old.id) AS id, new.id IS NULL AS gone, \
             CASE WHEN old.text IS DISTINCT FROM new.text THEN new.text END AS text, \
             CASE WHEN old.id IS NULL OR old.metadata IS DISTINCT FROM new.metadata THEN new.metadata END AS metadata \
             FROM new FULL OUTER JOIN old ON new.id = old.id \
             WHERE new.id IS NULL OR old.id IS NULL OR old.text IS DISTINCT FROM new.text \
             OR old.metadata IS DISTINCT FROM new.metadata)",
            self.rows(base, goes_on),
            self.rows(target, goes_on)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    #[test]
    fn names_and_ids_stay_what_they_are() {
        let source = Source {
            dataset: "crew".into(),
            id_column: "id\" FROM secrets --".into(),
            text: Template::parse("{a'b}").unwrap(),
            metadata_columns: vec!["it's".into()],
            tenant: "local".into(),
        };
        let statements = Statements { source: &source, text_chars_max: 9, rows_max: 5 };
        let page = statements.page(Plan::Whole { target: 3 }, Some(&ItemId::parse("'\"\0".into()).unwrap()));
        assert_eq!(page.params_json, r#"{"after":"'\"\u0000"}"#);
        assert_eq!(
            page.sql,
            "SELECT id, false AS gone, text, metadata FROM (SELECT \"id\"\" FROM secrets --\"::VARCHAR AS id, \
             left(concat(\"a'b\"::VARCHAR), 9) AS text, json_object('it''s', \"it's\")::VARCHAR AS metadata \
             FROM dataset_at('crew', 3) WHERE \"id\"\" FROM secrets --\"::VARCHAR > $after) ORDER BY id LIMIT 5"
        );
        assert_eq!(
            statements.ids(3).sql,
            "SELECT \"id\"\" FROM secrets --\"::VARCHAR AS id FROM dataset_at('crew', 3) ORDER BY 1"
        );
    }
}
