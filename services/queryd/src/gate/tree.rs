//! A walk over DuckDB's syntax tree (`json_serialize_sql`): every table, every function, and nothing
//! that is not known.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::functions::{EMBED, Functions, Verdict};
use super::{Read, SearchCall};
use crate::error::Error;

/// Levels of the tree. The walk has a thread with room for them (see `Gate::judge`).
const NESTING_MAX: usize = 4_096;
const QUERY_NODES: [&str; 4] = ["SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"];
const TABLE_REFS: [&str; 8] =
    ["BASE_TABLE", "EMPTY", "EXPRESSION_LIST", "JOIN", "PIVOT", "SHOW_REF", "SUBQUERY", "TABLE_FUNCTION"];
const EXPRESSIONS: [&str; 17] = [
    "BETWEEN",
    "CASE",
    "CAST",
    "COLLATE",
    "COLUMN_REF",
    "COMPARISON",
    "CONJUNCTION",
    "CONSTANT",
    "FUNCTION",
    "LAMBDA",
    "LAMBDA_REF",
    "OPERATOR",
    "PARAMETER",
    "POSITIONAL_REFERENCE",
    "STAR",
    "SUBQUERY",
    "WINDOW",
];
/// Of `information_schema`; its `views` would show the views' SQL.
const INFORMATION_SCHEMA: [&str; 3] = ["tables", "columns", "schemata"];
const SHOWN: [&str; 4] = ["tables", "databases", "schemas", "__show_tables_expanded"];
/// SQL's functions without parentheses come as column references.
const VALUE_FUNCTIONS: [&str; 7] = [
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_catalog",
    "current_schema",
];

/// What a statement was seen to use.
pub(super) struct Found {
    pub(super) reads: BTreeSet<Read>,
    pub(super) searches: Vec<SearchCall>,
    /// It calls `embed`.
    pub(super) embeds: bool,
    pub(super) lists_catalog: bool,
    /// Nothing in it depends on when or where it runs.
    pub(super) is_pure: bool,
}

/// Walks a query node.
///
/// # Errors
/// The first thing that is not allowed or not known.
pub(super) fn walk(node: &Value, functions: &Functions) -> Result<Found, Error> {
    let found =
        Found { reads: BTreeSet::new(), searches: Vec::new(), embeds: false, lists_catalog: false, is_pure: true };
    let mut walker = Walker { functions, found, depth: 0 };
    walker.value(node, &Scope::Root)?;
    Ok(walker.found)
}

/// The CTEs that a place in the tree can see.
enum Scope<'a> {
    Root,
    With { name: &'a str, outer: &'a Scope<'a> },
}

impl Scope<'_> {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Scope::Root => false,
            Scope::With { name, outer } => name.eq_ignore_ascii_case(wanted) || outer.has(wanted),
        }
    }
}

struct Walker<'a> {
    functions: &'a Functions,
    found: Found,
    depth: usize,
}

type Object = Map<String, Value>;

impl Walker<'_> {
    fn value(&mut self, value: &Value, scope: &Scope<'_>) -> Result<(), Error> {
        self.descend()?;
        match value {
            Value::Object(object) => self.object(object, scope)?,
            Value::Array(items) => items.iter().try_for_each(|item| self.value(item, scope))?,
            _ => {}
        }
        self.depth -= 1;
        Ok(())
    }

    fn descend(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > NESTING_MAX {
            return Err(Error::Invalid(format!("the statement nests deeper than {NESTING_MAX} levels")));
        }
        Ok(())
    }

    fn object(&mut self, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        if object.contains_key("cte_map") {
            return self.query_node(object, scope);
        }
        if let Some(class) = object.get("class").and_then(Value::as_str) {
            return self.expression(class, object, scope);
        }
        match text(object, "type") {
            kind if TABLE_REFS.contains(&kind) => self.table_ref(kind, object, scope),
            kind if kind.ends_with("_NODE") || matches!(kind, "COLUMN_DATA" | "DELIM_GET" | "CTE" | "INVALID") => {
                Err(unknown(kind))
            }
            _ => self.children(object, scope),
        }
    }

    fn children(&mut self, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        object.values().try_for_each(|value| self.value(value, scope))
    }

    /// With the CTEs it brings: each sees those before it, a recursive one itself too.
    fn query_node(&mut self, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        let kind = text(object, "type");
        if !QUERY_NODES.contains(&kind) {
            return Err(unknown(kind));
        }
        let none = Vec::new();
        let ctes = object["cte_map"].get("map").and_then(Value::as_array).unwrap_or(&none);
        self.with_ctes(ctes, object, scope)
    }

    fn with_ctes(&mut self, ctes: &[Value], node: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        let Some((first, rest)) = ctes.split_first() else { return self.node_body(node, scope) };
        let name = first["key"].as_str().unwrap_or_default();
        check_cte_name(name)?;
        let inner = Scope::With { name, outer: scope };
        let is_recursive = first["value"]["query"]["node"]["type"] == "RECURSIVE_CTE_NODE";
        self.value(&first["value"], if is_recursive { &inner } else { scope })?;
        self.descend()?;
        self.with_ctes(rest, node, &inner)?;
        self.depth -= 1;
        Ok(())
    }

    fn node_body(&mut self, node: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        let own = node.get("cte_name").and_then(Value::as_str);
        if let Some(name) = own {
            check_cte_name(name)?;
        }
        for (key, value) in node.iter().filter(|(key, _)| *key != "cte_map") {
            match own {
                // The recursive part, or what stands behind a materialised CTE.
                Some(name) if key == "right" || key == "child" => {
                    self.value(value, &Scope::With { name, outer: scope })?;
                }
                _ => self.value(value, scope)?,
            }
        }
        Ok(())
    }

    fn expression(&mut self, class: &str, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        match class {
            // Values: text in them is data, however it looks.
            "CONSTANT" => return Ok(()),
            "FUNCTION" | "WINDOW" => self.call(object)?,
            "COLUMN_REF" => {
                let last = object.get("column_names").and_then(Value::as_array).and_then(|names| names.last());
                let name = last.and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
                if VALUE_FUNCTIONS.contains(&name.as_str()) {
                    self.found.is_pure = false;
                }
            }
            known if EXPRESSIONS.contains(&known) || known == "TYPE" => {}
            other => return Err(unknown(other)),
        }
        self.children(object, scope)
    }

    fn call(&mut self, object: &Object) -> Result<(), Error> {
        // What stands before the name is a schema, or a column whose method this is (`name.upper()`):
        // there are no functions in schemas but DuckDB's own, so the name decides.
        let name = text(object, "function_name").to_ascii_lowercase();
        self.found.embeds |= name == EMBED;
        match self.functions.call(&name) {
            Verdict::Pure => Ok(()),
            Verdict::Volatile => {
                self.found.is_pure = false;
                Ok(())
            }
            Verdict::Denied => Err(Error::Refused(format!("the function {name} may not be used here"))),
            Verdict::Unknown => Err(Error::Invalid(format!("there is no function {name}"))),
        }
    }

    fn table_ref(&mut self, kind: &str, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        match kind {
            "BASE_TABLE" => self.base_table(object, scope)?,
            "TABLE_FUNCTION" => return self.table_function(object, scope),
            "SHOW_REF" => self.show(object)?,
            _ => {}
        }
        self.children(object, scope)
    }

    fn base_table(&mut self, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        let (catalog, schema) = (text(object, "catalog_name"), text(object, "schema_name"));
        let name = text(object, "table_name");
        let lower = name.to_ascii_lowercase();
        if object.get("at_clause").is_some_and(|at| !at.is_null()) {
            return Err(Error::Invalid(format!("for an older version write dataset_at('{lower}', 3)")));
        }
        if schema.is_empty() && catalog.is_empty() && scope.has(name) {
            return Ok(());
        }
        if schema.eq_ignore_ascii_case("recurring") && catalog.is_empty() && scope.has(name) {
            return Ok(());
        }
        if schema.eq_ignore_ascii_case("information_schema") {
            if !INFORMATION_SCHEMA.contains(&lower.as_str()) || !is_ours(catalog, &["", "memory", "system", "temp"]) {
                return Err(Error::Refused(format!("information_schema.{lower} may not be read here")));
            }
            (self.found.lists_catalog, self.found.is_pure) = (true, false);
            return Ok(());
        }
        if !is_ours(catalog, &["", "temp", "memory"]) || !is_ours(schema, &["", "main", "temp"]) {
            return Err(Error::Refused(format!("only datasets can be read, not {catalog}.{schema}.{name}")));
        }
        self.dataset(&lower, None)
    }

    fn dataset(&mut self, name: &str, version: Option<u64>) -> Result<(), Error> {
        if !is_dataset_name(name) {
            return Err(Error::Refused(format!("only datasets can be read: {name:?} is no name of one")));
        }
        self.found.reads.insert(Read { name: name.to_owned(), version });
        Ok(())
    }

    fn table_function(&mut self, object: &Object, scope: &Scope<'_>) -> Result<(), Error> {
        let Some(function) = object.get("function").and_then(Value::as_object) else {
            return Err(unknown("TABLE_FUNCTION"));
        };
        // `FROM (subquery of a function)` and the like come as other expressions: not known here.
        if text(function, "class") != "FUNCTION" {
            return Err(unknown("TABLE_FUNCTION"));
        }
        let name = text(function, "function_name").to_ascii_lowercase();
        check_home(&name, text(function, "catalog"), text(function, "schema"))?;
        if name == "dataset_at" {
            let (dataset, version) = dataset_at(function)?;
            return self.dataset(&dataset, Some(version));
        }
        if name == "vector_search" {
            let call = SearchCall::of(function)?;
            if !self.found.searches.contains(&call) {
                self.found.searches.push(call);
            }
            return Ok(());
        }
        match self.functions.table(&name) {
            Verdict::Pure => {}
            Verdict::Volatile => (self.found.lists_catalog, self.found.is_pure) = (true, false),
            Verdict::Denied => return Err(Error::Refused(format!("the table function {name} may not be used here"))),
            Verdict::Unknown => return Err(Error::Invalid(format!("there is no table function {name}"))),
        }
        self.children(function, scope)?;
        for (_, value) in object.iter().filter(|(key, _)| *key != "function") {
            self.value(value, scope)?;
        }
        Ok(())
    }

    /// `SHOW TABLES` and its kin. With a query in it, it is DESCRIBE or SUMMARIZE of that.
    fn show(&mut self, object: &Object) -> Result<(), Error> {
        self.found.is_pure = false;
        if object.get("query").is_some_and(|query| !query.is_null()) {
            return Ok(());
        }
        let name = text(object, "table_name").trim_matches('"').to_ascii_lowercase();
        let (catalog, schema) = (text(object, "catalog_name"), text(object, "schema_name"));
        let shows_schema = text(object, "show_type") == "SHOW_FROM" && name.is_empty();
        let is_known = shows_schema || SHOWN.contains(&name.as_str());
        if !is_known || !is_ours(catalog, &["", "temp", "memory"]) || !is_ours(schema, &["", "main", "temp"]) {
            return Err(Error::Refused(format!("SHOW {name} may not be used here")));
        }
        self.found.lists_catalog = true;
        Ok(())
    }
}

/// `dataset_at('name', 3)`: both written out, so that what is read is known before it runs.
fn dataset_at(function: &Object) -> Result<(String, u64), Error> {
    let usage =
        || Error::Invalid("dataset_at takes a name and a version, both written out: dataset_at('workers', 3)".into());
    let arguments = function.get("children").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let [name, version] = arguments else { return Err(usage()) };
    let constant = |value: &Value| (value["class"] == "CONSTANT").then(|| value["value"]["value"].clone());
    let name = constant(name).and_then(|value| value.as_str().map(str::to_ascii_lowercase)).ok_or_else(usage)?;
    let version =
        constant(version).and_then(|value| value.as_u64()).filter(|version| *version > 0).ok_or_else(usage)?;
    Ok((name, version))
}

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn is_ours(name: &str, ours: &[&str]) -> bool {
    ours.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn check_home(name: &str, catalog: &str, schema: &str) -> Result<(), Error> {
    if is_ours(catalog, &["", "system", "memory", "temp"]) && is_ours(schema, &["", "main", "pg_catalog"]) {
        return Ok(());
    }
    Err(Error::Refused(format!("the table function {catalog}.{schema}.{name} may not be used here")))
}

/// A CTE may not be called like a file, lest a slip in scoping makes DuckDB look for one.
fn check_cte_name(name: &str) -> Result<(), Error> {
    if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | ' ' | '-' | '#' | '@')) {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "a CTE may not be called {name:?}: letters, digits, blanks, _, -, # and @ make its name"
    )))
}

/// As DESIGN says: `[a-z_][a-z0-9_]{0,62}`.
pub(crate) fn is_dataset_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b == b'_' || b.is_ascii_lowercase())
        && bytes.all(|b| b == b'_' || b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.len() <= 63
}

fn unknown(what: &str) -> Error {
    Error::Refused(format!("the statement holds what is not known here ({what})"))
}
