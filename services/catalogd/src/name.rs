//! What a dataset is called, and who it is.

use std::fmt;

use uuid::Uuid;

use crate::Error;

/// **Fixed** for ever: every dataset id issued depends on it.
const DATASET_NAMESPACE: Uuid = Uuid::from_u128(0xa8f3c1d2_4e5b_5a6c_9d8e_7f0a1b2c3d4e);

const BYTES_MAX: usize = 63;

/// Kept for the platform and for DuckDB's own relations.
const RESERVED_PREFIXES: [&str; 4] = ["system_", "duckdb_", "pg_", "sqlite_"];

/// DuckDB 1.5.5's `duckdb_keywords()` of category `reserved`: a view of such a name could not be
/// written without quotes. The last lines are names that mean something else already: schemas,
/// catalogs and our own table function.
const RESERVED: [&str; 84] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "default",
    "deferrable",
    "desc",
    "describe",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lambda",
    "lateral",
    "leading",
    "limit",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "pivot",
    "pivot_longer",
    "pivot_wider",
    "placing",
    "primary",
    "qualify",
    "references",
    "returning",
    "select",
    "show",
    "some",
    "summarize",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "unpivot",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
    "dataset_at",
    "information_schema",
    "main",
    "memory",
    "pg_catalog",
    "query",
    "query_table",
    "system",
    "temp",
];

/// The name of a dataset: also the name of its SQL view.
///
/// Invariant: `[a-z_][a-z0-9_]{0,62}` and none that SQL or the platform keeps for itself,
/// established only by [`DatasetName::parse`], so that it can stand in SQL and in an object key
/// without quoting surprises.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DatasetName(std::sync::Arc<str>);

impl DatasetName {
    pub(crate) fn parse(raw: &str) -> Result<Self, Error> {
        let mut bytes = raw.bytes();
        let starts_well = bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_lowercase());
        let goes_on_well = bytes.all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit());
        if !starts_well || !goes_on_well || raw.len() > BYTES_MAX {
            let shown: String = raw.chars().take(BYTES_MAX + 1).collect();
            return Err(Error::InvalidName { raw: shown });
        }
        let reserved = RESERVED.contains(&raw) || RESERVED_PREFIXES.iter().any(|prefix| raw.starts_with(prefix));
        if reserved { Err(Error::ReservedName { raw: raw.to_owned() }) } else { Ok(DatasetName(raw.into())) }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn id(&self) -> DatasetId {
        DatasetId::of(&self.0)
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A function of the name: the same on every machine and for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DatasetId(Uuid);

impl DatasetId {
    /// Also of names that would no longer be accepted, so that their objects are left alone.
    pub(crate) fn of(name: &str) -> Self {
        DatasetId(Uuid::new_v5(&DATASET_NAMESPACE, name.as_bytes()))
    }

    /// Where the dataset's objects lie.
    pub(crate) fn prefix(self) -> String {
        format!("datasets/{self}/")
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identity_is_a_function_of_the_name() {
        let workers = DatasetName::parse("workers").unwrap();
        assert_eq!(workers.id().to_string(), "4ee908eb-05e4-5c26-a4ad-4ca54bb01062");
        assert_ne!(workers.id(), DatasetName::parse("worker").unwrap().id());
    }

    #[test]
    fn names_that_need_quotes_or_mean_something_else_are_refused() {
        for raw in ["workers", "_x", "a1", "selects", "pgs", "main2", &"a".repeat(63)] {
            assert!(DatasetName::parse(raw).is_ok(), "{raw}");
        }
        for raw in ["", "1a", "A", "a-b", "a b", "é", "a.b", "a/b", "a\0", &"a".repeat(64)] {
            assert!(matches!(DatasetName::parse(raw), Err(Error::InvalidName { .. })), "{raw}");
        }
        for raw in
            ["select", "table", "pg_x", "duckdb_tables", "sqlite_master", "system_a", "information_schema", "main"]
        {
            assert!(matches!(DatasetName::parse(raw), Err(Error::ReservedName { .. })), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_can_stand_in_a_key(raw in "\\PC{0,70}") {
            if let Ok(name) = DatasetName::parse(&raw) {
                prop_assert!(name.as_str().bytes().all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit()));
                prop_assert!((1..=63).contains(&raw.len()));
            }
        }
    }
}
