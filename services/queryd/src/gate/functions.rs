//! Which functions a statement may call.

use std::collections::{HashMap, HashSet};

use arrow_array::StringArray;
use duck::Connection;

/// Table functions that touch nothing but their arguments, or list only what the caller may see.
const TABLE_FUNCTIONS: [&str; 11] = [
    "range",
    "generate_series",
    "unnest",
    "repeat",
    "repeat_row",
    "json_each",
    "json_tree",
    "pg_timezone_names",
    "icu_calendar_names",
    "test_all_types",
    "duckdb_keywords",
];

/// Table functions that list the catalogue, of which the connection shows what the caller may see.
/// `duckdb_views()` is not among them: it shows the views' SQL, and with it where objects lie.
const CATALOG_FUNCTIONS: [&str; 5] =
    ["duckdb_tables", "duckdb_columns", "duckdb_schemas", "duckdb_types", "duckdb_databases"];

/// What DuckDB does not call consistent, and is harmless all the same.
const VOLATILE_ALLOWED: [&str; 19] = [
    "random",
    "uuid",
    "uuidv4",
    "uuidv7",
    "gen_random_uuid",
    "now",
    "today",
    "current_date",
    "get_current_time",
    "get_current_timestamp",
    "transaction_timestamp",
    "current_database",
    "current_schema",
    "current_schemas",
    "in_search_path",
    "error",
    "current_query",
    "current_localtime",
    "current_localtimestamp",
];

/// What DuckDB calls consistent, and reads settings, variables, or runs SQL in a string.
const DENIED: [&str; 19] = [
    "current_setting",
    "getvariable",
    "getenv",
    "json_serialize_plan",
    "json_serialize_sql",
    "json_deserialize_sql",
    "json_execute_serialized_sql",
    "parse_duckdb_log_message",
    "which_secret",
    "query",
    "query_table",
    "nextval",
    "currval",
    "setseed",
    "write_log",
    "stats",
    "sleep_ms",
    "format_type",
    "get_block_size",
];

/// The binder knows these; `duckdb_functions()` does not list them.
const BUILT_IN: [&str; 8] = ["unnest", "unlist", "grouping", "grouping_id", "columns", "ifnull", "if", "coalesce"];

const MACROS_ALLOWED_PG: [&str; 2] = ["pg_typeof", "pg_size_pretty"];

/// Computed by embedd: registered with the engine, so that the gate's parser does not know it. Its answer is as
/// good as the model that stands behind a name when it is asked.
pub(super) const EMBED: &str = "embed";

/// What may be said of calling a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It answers the same for the same arguments.
    Pure,
    /// It may be called, and its answer changes.
    Volatile,
    Denied,
    Unknown,
}

/// Every function of the linked DuckDB, judged once.
pub(super) struct Functions {
    scalar: HashMap<String, Verdict>,
    table: HashSet<String>,
}

impl Functions {
    pub(super) fn of(connection: &Connection) -> Result<Self, duck::Error> {
        let sql = "SELECT lower(function_name), function_type, coalesce(stability, '') FROM duckdb_functions()";
        let (mut scalar, mut table) = (HashMap::new(), HashSet::new());
        for batch in connection.prepare(sql)?.execute()? {
            let batch = batch?;
            let texts: Vec<_> =
                batch.columns().iter().filter_map(|c| c.as_any().downcast_ref::<StringArray>()).collect();
            let [names, types, stabilities] = texts[..] else { continue };
            for row in 0..batch.num_rows() {
                let (name, kind, stability) = (names.value(row), types.value(row), stabilities.value(row));
                if matches!(kind, "table" | "table_macro") {
                    table.insert(name.to_owned());
                } else if kind != "pragma" {
                    // Overloads: the strictest counts.
                    let verdict = judge(name, kind, stability);
                    let entry = scalar.entry(name.to_owned()).or_insert(verdict);
                    if verdict == Verdict::Denied || (verdict == Verdict::Volatile && *entry == Verdict::Pure) {
                        *entry = verdict;
                    }
                }
            }
        }
        for name in BUILT_IN {
            scalar.insert(name.to_owned(), Verdict::Pure);
        }
        scalar.insert(EMBED.to_owned(), Verdict::Volatile);
        Ok(Functions { scalar, table })
    }

    /// Of a scalar, aggregate or window function or a macro, by its name in lower case.
    pub(super) fn call(&self, name: &str) -> Verdict {
        match self.scalar.get(name) {
            Some(verdict) => *verdict,
            None if self.table.contains(name) || DENIED.contains(&name) => Verdict::Denied,
            None => Verdict::Unknown,
        }
    }

    /// Of a table function, by its name in lower case.
    pub(super) fn table(&self, name: &str) -> Verdict {
        match name {
            _ if TABLE_FUNCTIONS.contains(&name) => Verdict::Pure,
            _ if CATALOG_FUNCTIONS.contains(&name) => Verdict::Volatile,
            _ if self.table.contains(name) || DENIED.contains(&name) || self.scalar.contains_key(name) => {
                Verdict::Denied
            }
            _ => Verdict::Unknown,
        }
    }
}

fn judge(name: &str, kind: &str, stability: &str) -> Verdict {
    let denied_by_prefix = name.starts_with("__internal")
        || name.starts_with("read_")
        || (name.starts_with("pg_") && !MACROS_ALLOWED_PG.contains(&name))
        || name.contains("secret");
    if DENIED.contains(&name) || denied_by_prefix {
        return Verdict::Denied;
    }
    if VOLATILE_ALLOWED.contains(&name) {
        return Verdict::Volatile;
    }
    match (kind, stability) {
        ("scalar" | "aggregate", "CONSISTENT") => Verdict::Pure,
        // A macro is expanded into functions which are judged by DuckDB's own definition above all:
        // those that read the catalogue or the clock are few, and their plans are not kept.
        ("macro", _) => Verdict::Volatile,
        _ => Verdict::Denied,
    }
}
